//! `[populations.NAME]`: arrival, user, token. Behaviours are in `behaviour`.

use std::time::Duration;

use super::super::file::{
    ArrivalFile, PopulationFile, ScalingFile, ScenarioFile, TokenFile, TokenLifetimeFile, UserFile,
};
use super::super::plan::{
    Arrival, ArrivalSchedule, FaultAt, GROUPS_MAX, GroupIndex, Population, RampStage, Rooms,
    Scaling, TokenPolicy, UserPolicy,
};
use super::super::problem::{Place, Problem, one_of};
use super::super::units::{Count, Lasting, Rate, ShareRate};
use super::behaviour;
use super::link;
use super::reconnect::reconnect;
use super::roster::Member;
use super::{At, Context};
use crate::protocol::Subprotocol;

const TOKEN_LIFETIME: Duration = Duration::from_hours(1);

/// What reading goes on with when an arrival is bad.
const EVERYBODY_AT_ONCE: Arrival =
    Arrival::Open { start: Duration::ZERO, schedule: ArrivalSchedule::Burst };

/// Longest group name, in characters: the service's limit.
const GROUP_NAME_MAX: usize = 1_024;

/// All groups, in the order in which populations name them.
pub(super) fn groups(context: &Context<'_>, file: &ScenarioFile) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    let populations = file.populations.get().into_iter().flat_map(|populations| &populations.0);
    for group in populations.filter_map(|(_, population)| population.get()).flat_map(|p| p.groups())
    {
        let Some(name) = group.get() else { continue };
        if name.is_empty() || name.chars().count() > GROUP_NAME_MAX {
            context.push(
                Problem::new(
                    group.place,
                    format!("{} is not a group name", group.place.show(name)),
                )
                .label(format!("expected 1 to {GROUP_NAME_MAX} characters")),
            );
        }
        if !groups.contains(name) {
            groups.push(name.clone());
        }
    }
    groups
}

/// Deals populations out to rooms; returns the names of the rooms, which stand behind all groups.
pub(super) fn rooms(
    context: &Context<'_>,
    file: &ScenarioFile,
    populations: &mut [Option<Population>],
) -> Vec<String> {
    let mut names = Vec::new();
    let files = file.populations.get().into_iter().flat_map(|populations| &populations.0);
    for ((_, file), population) in files.zip(populations) {
        let (Some(file), Some(population)) = (file.get(), population) else { continue };
        for at in file.rooms() {
            let first = context.groups.len() + names.len();
            if let Some(rooms) = rooms_of(context, at, population, first) {
                let (name, members) = (&population.name, rooms.members);
                let count = population.count.div_ceil(members);
                names.extend((0..count).map(|room| format!("{name}/{members}/{room}")));
                population.rooms.push(rooms);
            }
        }
    }
    names
}

/// Rooms of one size, the first of which is group number `first`.
fn rooms_of(
    context: &Context<'_>,
    at: &At<Count>,
    population: &Population,
    first: usize,
) -> Option<Rooms> {
    let &Count(members) = at.get()?;
    if members == 0 {
        context.push(
            Problem::new(at.place, format!("`{}` cannot be 0", at.path))
                .label("expected at least one client in each room"),
        );
        return None;
    }
    if population.rooms.iter().any(|rooms| rooms.members == members) {
        context.push(
            Problem::new(at.place, format!("`{}` has rooms of {members} twice", population.name))
                .label("expected each size once: a client is in one room of each"),
        );
        return None;
    }
    let last = first.saturating_add(population.count.div_ceil(members) as usize);
    let Some(first) = GroupIndex::try_from(first).ok().filter(|_| last <= GROUPS_MAX) else {
        context.push(
            Problem::new(at.place, format!("`{}` makes too many rooms", at.path))
                .label(format!("expected at most {GROUPS_MAX} groups and rooms in all")),
        );
        return None;
    };
    Some(Rooms { first, members })
}

/// Every population, in file order; `None` where its table could not be read.
pub(super) fn all(context: &Context<'_>, file: &ScenarioFile) -> Vec<Option<Population>> {
    let Some(populations) = file.populations.get() else { return Vec::new() };
    let members = &context.roster.0;
    let one = |((_, file), member): (&(_, At<PopulationFile>), &Member)| {
        file.get().map(|population| one(context, population, file.place, member))
    };
    populations.0.iter().zip(members).map(one).collect()
}

fn one(context: &Context<'_>, file: &PopulationFile, place: Place, member: &Member) -> Population {
    let protocol = file.protocol.as_ref().map_or(Subprotocol::Json, |at| at.or(Subprotocol::Json));
    let arrived = arrival(context, &file.arrival, member);
    let population = Population {
        name: member.name.clone(),
        count: member.count,
        scaling: match file.scaling.as_ref().and_then(At::get) {
            Some(ScalingFile::Fixed) => Scaling::Fixed,
            Some(ScalingFile::Proportional) | None => Scaling::Proportional,
        },
        arrival: arrived.clone().unwrap_or(EVERYBODY_AT_ONCE),
        protocol,
        groups: file.groups().iter().filter_map(|group| context.group(group)).collect(),
        rooms: Vec::new(),
        user: user(context, file.user.as_ref()),
        behaviours: behaviour::all(context, file.behaviour.as_ref(), protocol),
        buffers: link::buffers(context, file),
        shaping: link::shaping(context, file.shaping.as_ref()),
        reconnect: reconnect(context, file.reconnect.as_ref()),
        lifetime: file.lifetime.as_ref().and_then(|at| context.positive(at)),
        churn: churn(context, file),
        token: token(context, file.token.as_ref()),
    };
    check_groups(context, file);
    // An arrival that could not be read says nothing about who arrives in time.
    if arrived.is_some() {
        check_all_arrive(context, &file.arrival, &population, place);
    }
    behaviour::check_after_vanishing(context, file.behaviour.as_ref(), &population);
    population
}

fn churn(context: &Context<'_>, file: &PopulationFile) -> Option<f64> {
    let at = file.churn.as_ref()?;
    if let Some(lifetime) = &file.lifetime {
        context.push(
            Problem::new(at.place, format!("`{}` stands beside a lifetime", at.path))
                .label("expected one of the two: how long clients stay is drawn, or it is set")
                .also(lifetime.place, "the lifetime"),
        );
    }
    let &ShareRate(rate) = at.get()?;
    context.positive_rate(rate, at.place, &at.path)
}

fn check_groups(context: &Context<'_>, file: &PopulationFile) {
    for (index, group) in file.groups().iter().enumerate() {
        let earlier = file.groups()[..index].iter().find(|other| other.value == group.value);
        if let (Some(name), Some(earlier)) = (group.get(), earlier) {
            context.push(
                Problem::new(group.place, format!("group {} twice", group.place.show(name)))
                    .label("expected each group once")
                    .also(earlier.place, "first here"),
            );
        }
    }
}

/// The forms of a table of which exactly one must stand there; reports none and several.
pub(super) fn exactly_one<'k>(
    context: &Context<'_>,
    place: Place,
    path: &str,
    forms: &[(&'k str, Option<Place>)],
) -> Option<&'k str> {
    let mut there = forms.iter().filter_map(|(name, place)| place.map(|place| (*name, place)));
    let names = one_of(forms.iter().map(|(name, _)| *name));
    let Some(first) = there.next() else {
        context.push(
            Problem::new(place, format!("`{path}` does not say which kind"))
                .label(format!("expected exactly {names}")),
        );
        return None;
    };
    if let Some(second) = there.next() {
        context.push(
            Problem::new(second.1, format!("`{path}` says both `{}` and `{}`", first.0, second.0))
                .label(format!("expected exactly {names}"))
                .also(first.1, "and this"),
        );
        return None;
    }
    Some(first.0)
}

/// When a population's clients come; `None` where that could not be read, which is then among the
/// problems.
fn arrival(context: &Context<'_>, at: &At<ArrivalFile>, member: &Member) -> Option<Arrival> {
    let file = at.get()?;
    let start = context.start(file.start.as_ref());
    let forms = [
        ("rate", file.rate.as_ref().map(|at| at.place)),
        ("ramp", file.ramp.as_ref().map(|at| at.place)),
        ("stages", file.stages.as_ref().map(|at| at.place)),
        ("burst", file.burst.as_ref().map(|at| at.place)),
        ("poisson", file.poisson.as_ref().map(|at| at.place)),
        ("closed", file.closed.as_ref().map(|at| at.place)),
    ];
    exactly_one(context, at.place, &at.path, &forms)?;
    if let Some(closed) = &file.closed {
        return Some(Arrival::Closed { start, slots: slots(context, closed, member) });
    }
    Some(Arrival::Open { start, schedule: schedule(context, file, member)? })
}

fn schedule(context: &Context<'_>, file: &ArrivalFile, member: &Member) -> Option<ArrivalSchedule> {
    // `-n` changes how many come, not how long that takes.
    let factor = member.factor();
    let rate = |at: &At<Rate>| {
        let &Rate(rate) = at.get()?;
        Some(context.positive_rate(rate, at.place, &at.path)? * factor)
    };
    let stage = |from: &At<Rate>, to: &At<Rate>, lasting: &At<Lasting>| {
        let lasting = context.positive(lasting);
        let (&Rate(from), &Rate(to)) = (from.get()?, to.get()?);
        Some(RampStage { from: from * factor, to: to * factor, lasting: lasting? })
    };
    if let Some(at) = &file.rate {
        return rate(at).map(|rate| ArrivalSchedule::Constant { rate });
    }
    if let Some(at) = &file.poisson {
        return rate(at).map(|rate| ArrivalSchedule::Poisson { rate });
    }
    if let Some(at) = &file.ramp {
        let ramp = at.get()?;
        return Some(ArrivalSchedule::Stages(vec![stage(&ramp.from, &ramp.to, &ramp.over)?]));
    }
    let Some(at) = &file.stages else { return Some(ArrivalSchedule::Burst) };
    let stages = at.get()?;
    if stages.is_empty() {
        context.push(
            Problem::new(at.place, format!("`{}` is empty", at.path))
                .label("expected at least one stage: { from = …, to = …, for = … }"),
        );
        return None;
    }
    // Every stage is looked at, so that the mistakes of all are told at once.
    let stages: Vec<_> = stages
        .iter()
        .map(|at| at.get().and_then(|file| stage(&file.from, &file.to, &file.r#for)))
        .collect();
    Some(ArrivalSchedule::Stages(stages.into_iter().collect::<Option<_>>()?))
}

fn slots(
    context: &Context<'_>,
    closed: &At<super::super::file::ClosedFile>,
    member: &Member,
) -> u32 {
    let Some(file) = closed.get() else { return 1 };
    let Count(slots) = file.slots.or(Count(1));
    let written = member.written.unwrap_or(u32::MAX);
    if slots == 0 || slots > written {
        context.push(
            Problem::new(file.slots.place, format!("{slots} slots for {written} clients"))
                .label("expected at least 1, and no more than the population's count")
                .also(member.count_place, "the count"),
        );
    }
    let scaled = (f64::from(slots) * member.factor()).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let scaled = scaled.clamp(1.0, f64::from(u32::MAX)) as u32;
    scaled
}

/// Checks that slots of a closed arrival become free for those who wait for one.
pub(super) fn check_slots_free(
    context: &Context<'_>,
    file: &ScenarioFile,
    populations: &[Option<Population>],
    faults: &[FaultAt],
) {
    let Some(written) = file.populations.get() else { return };
    for ((_, at), population) in written.0.iter().zip(populations) {
        let (Some(file), Some(population)) = (at.get(), population) else { continue };
        let Arrival::Closed { slots, .. } = population.arrival else { continue };
        let ends =
            population.lifetime.is_some() || !population.is_well_behaved() || !faults.is_empty();
        if slots < population.count && !ends {
            context.push(
                Problem::new(
                    file.arrival.place,
                    format!(
                        "only {slots} of the {} clients of `{}` ever arrive",
                        population.count, population.name
                    ),
                )
                .label("nobody leaves, so no slot becomes free")
                .help("give the population a `lifetime`"),
            );
        }
    }
}

/// Checks that the schedule brings everybody in before the scenario ends.
fn check_all_arrive(
    context: &Context<'_>,
    at: &At<ArrivalFile>,
    population: &Population,
    place: Place,
) {
    let (Arrival::Open { start, schedule }, Some(duration)) =
        (&population.arrival, context.duration)
    else {
        return;
    };
    // A random schedule is judged by its mean.
    let even = match schedule {
        ArrivalSchedule::Poisson { rate } => ArrivalSchedule::Constant { rate: *rate },
        other => other.clone(),
    };
    let draws = crate::pace::stream(0, "", 0, crate::pace::Purpose::Arrival);
    let arrived = crate::pace::arrivals(&even, population.count, draws)
        .take_while(|at| start.saturating_add(*at) < duration)
        .count();
    if u32::try_from(arrived) == Ok(population.count) {
        return;
    }
    let place = if at.value.is_some() { at.place } else { place };
    context.push(
        Problem::new(
            place,
            format!(
                "only {arrived} of the {} clients of `{}` arrive before the scenario ends",
                population.count, population.name
            ),
        )
        .label(format!("too slow for a duration of {duration:?}"))
        .help("raise the rate, start earlier, lower the count, or make `duration` longer"),
    );
}

fn user(context: &Context<'_>, at: Option<&At<UserFile>>) -> UserPolicy {
    match at.and_then(At::get) {
        Some(UserFile::Anonymous) => UserPolicy::Anonymous,
        Some(UserFile::PerClient) | None => UserPolicy::PerClient,
        Some(UserFile::Shared(user)) => {
            let name = user.value.clone().unwrap_or_default();
            if user.value.is_some() && name.is_empty() {
                context.push(
                    Problem::new(user.place, "a shared user needs a name")
                        .label("expected at least one character")
                        .help("clients without a user id: user = \"anonymous\""),
                );
            }
            UserPolicy::Shared(name)
        }
    }
}

fn token(context: &Context<'_>, at: Option<&At<TokenFile>>) -> TokenPolicy {
    let lifetime = |file: &At<TokenLifetimeFile>| {
        file.get().and_then(|file| context.positive(&file.lifetime)).unwrap_or(TOKEN_LIFETIME)
    };
    match at.and_then(At::get) {
        Some(TokenFile::Minted(file)) => TokenPolicy::Minted { lifetime: lifetime(file) },
        Some(TokenFile::Once(file)) => TokenPolicy::Once { lifetime: lifetime(file) },
        None => TokenPolicy::Minted { lifetime: TOKEN_LIFETIME },
    }
}
