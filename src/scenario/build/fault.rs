//! `[[faults]]`: what happens at which instant.

use std::time::Duration;

use super::super::file::{FaultFile, ScaleFile, ScenarioFile};
use super::super::plan::{Fault, FaultAt, Population, UserPolicy};
use super::super::problem::Problem;
use super::super::units::{Count, Share};
use super::population::exactly_one;
use super::{At, Context, hub};
use crate::protocol::Subprotocol;

/// Every fault, in order of time.
pub(super) fn all(
    context: &Context<'_>,
    file: &ScenarioFile,
    populations: &[Option<Population>],
) -> Vec<FaultAt> {
    let written = file.faults.iter().filter_map(At::get).flatten();
    let faults = written.filter_map(|at| Some((at, at.get()?)));
    let mut faults: Vec<FaultAt> = faults
        .filter_map(|(at, file)| {
            let instant = context.instant(&file.at);
            let fault = one(context, at, file, populations);
            Some(FaultAt { at: instant?, fault: fault? })
        })
        .collect();
    faults.sort_by_key(|fault| fault.at);
    faults
}

fn one(
    context: &Context<'_>,
    at: &At<FaultFile>,
    file: &FaultFile,
    populations: &[Option<Population>],
) -> Option<Fault> {
    let forms = [
        ("reload", file.reload.as_ref().map(|at| at.place)),
        ("freeze", file.freeze.as_ref().map(|at| at.place)),
        ("scale", file.scale.as_ref().map(|at| at.place)),
        ("close_connections", file.close_connections.as_ref().map(|at| at.place)),
        ("close_group", file.close_group.as_ref().map(|at| at.place)),
        ("close_user", file.close_user.as_ref().map(|at| at.place)),
        ("close_all", file.close_all.as_ref().map(|at| at.place)),
        ("leave", file.leave.as_ref().map(|at| at.place)),
    ];
    exactly_one(context, at.place, &at.path, &forms)?;
    if let Some(reload) = &file.reload {
        let reload = reload.get()?;
        let share = share(context, reload.share.as_ref());
        let over = reload.over.as_ref().and_then(At::get).map_or(Duration::ZERO, |over| over.0);
        return Some(Fault::Reload { share, over });
    }
    if let Some(freeze) = &file.freeze {
        return Some(Fault::Freeze { lasting: context.positive(&freeze.get()?.lasting)? });
    }
    if let Some(scale) = &file.scale {
        return self::scale(context, scale.get()?);
    }
    if let Some(close) = &file.close_connections {
        let close = close.get()?;
        let (index, count) = addressed(context, &close.population, close.count.as_ref())?;
        let reason = context.reason(close.reason.as_ref());
        needs_connection_ids(context, &close.population, populations, index);
        return Some(Fault::CloseConnections { population: index, count, reason });
    }
    if let Some(close) = &file.close_group {
        let close = close.get()?;
        let reason = context.reason(close.reason.as_ref());
        return Some(Fault::CloseGroup { group: context.group(&close.group)?, reason });
    }
    if let Some(close) = &file.close_user {
        let close = close.get()?;
        let reason = context.reason(close.reason.as_ref());
        let (index, _) = addressed(context, &close.population, None)?;
        needs_user(context, &close.population, populations, index);
        return Some(Fault::CloseUser { population: index, reason });
    }
    if let Some(close) = &file.close_all {
        return Some(Fault::CloseAll { reason: context.reason(close.get()?.reason.as_ref()) });
    }
    let leave = file.leave.as_ref()?.get()?;
    let (population, count) = addressed(context, &leave.population, leave.count.as_ref())?;
    Some(Fault::Leave { population, count })
}

fn share(context: &Context<'_>, at: Option<&At<Share>>) -> f64 {
    let Some((at, &Share(share))) = at.and_then(|at| Some((at, at.get()?))) else { return 1.0 };
    if share <= 0.0 || share > 1.0 {
        context.push(
            Problem::new(at.place, format!("`{}` is out of range", at.path))
                .label("expected more than 0% and at most 100% of the open connections"),
        );
    }
    share
}

fn scale(context: &Context<'_>, file: &ScaleFile) -> Option<Fault> {
    let (&tier, &Count(units)) = (file.tier.get()?, file.units.get()?);
    hub::check_units(context, tier, units, file.units.place);
    Some(Fault::Scale { tier, units })
}

/// A population of the fault, and how many of it.
fn addressed(
    context: &Context<'_>,
    population: &At<String>,
    count: Option<&At<Count>>,
) -> Option<(u16, Option<u32>)> {
    let index = context.roster.find(population, context.problems)?;
    let member = &context.roster.0[index];
    let count = count.and_then(|at| {
        let &Count(count) = at.get()?;
        if count == 0 || count > member.count {
            context.push(
                Problem::new(
                    at.place,
                    format!("{count} of the {} clients of `{}`", member.count, member.name),
                )
                .label("expected at least 1, and no more than there are")
                .also(member.count_place, member.note("the population's count")),
            );
        }
        Some(count)
    });
    Some((u16::try_from(index).ok()?, count))
}

fn needs_connection_ids(
    context: &Context<'_>,
    at: &At<String>,
    populations: &[Option<Population>],
    index: u16,
) {
    let population = populations.get(usize::from(index)).and_then(Option::as_ref);
    if population.is_some_and(|population| population.protocol == Subprotocol::Simple) {
        context.push(
            Problem::new(at.place, "simple clients never learn their connection id")
                .label("so nobody can ask for these connections to be closed by id")
                .help("close them by user or by group: close_user, close_group"),
        );
    }
}

fn needs_user(
    context: &Context<'_>,
    at: &At<String>,
    populations: &[Option<Population>],
    index: u16,
) {
    let population = populations.get(usize::from(index)).and_then(Option::as_ref);
    if population.is_some_and(|population| population.user == UserPolicy::Anonymous) {
        context.push(
            Problem::new(at.place, "these clients have no user id to close them by")
                .label("their `user` is \"anonymous\"")
                .help(
                    "leave `user` out for one id each, or share one: user = { shared = \"alice\" }",
                ),
        );
    }
}
