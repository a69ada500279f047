//! Expectations that contradict the forecast: told before a run, so that nobody waits for what
//! cannot come.

use std::fmt;
use std::time::Duration;

use super::{Fate, Forecast, forecasts, words};
use crate::measure::summary::Since;
use crate::protocol::CloseCategory;
use crate::protocol::webhook::{Event, SystemEvent};
use crate::scenario::Plan;
use crate::scenario::plan::{Claim, Expectation, Quantity, ReconnectPolicy};

/// How far an expectation and the forecast are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictKind {
    /// By the forecast the expectation cannot be met.
    Contradiction,
    /// Two causes race, or a bound is so close that it may be missed: the expectation is a guess.
    Ambiguity,
}

/// An expectation and what the forecast says against it. Its text names the expectation's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// How far they are apart.
    pub kind: ConflictKind,
    /// Path of the expectation: `expect.muted.closes`.
    pub path: String,
    /// What speaks against it, as a fragment for people.
    pub text: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// Everything in the expectations that contradicts the forecast, in file order.
#[must_use]
pub fn conflicts(plan: &Plan) -> Vec<Conflict> {
    let forecasts = forecasts(plan);
    let mut conflicts = Vec::new();
    for expectation in &plan.expectations {
        let Some(forecast) = forecasts.get(usize::from(expectation.population)) else { continue };
        let found = match &expectation.claim {
            // What a handler answers is not foretold.
            Claim::Closes(_) if asks_a_handler(plan) => Vec::new(),
            Claim::Closes(wanted) => closes(wanted, forecast),
            Claim::CloseWithin { category, since, from, to } => {
                close_within(plan, forecast, *category, *since, (*from, *to)).into_iter().collect()
            }
            Claim::Recovered(wanted) => recovered(plan, expectation, *wanted).into_iter().collect(),
            Claim::Steady { .. } if plan.first_trouble().is_none() => vec![(
                ConflictKind::Contradiction,
                "nothing goes wrong on purpose, so there is no time after it to compare".to_owned(),
            )],
            Claim::Refused(_)
            | Claim::RefusedBody(_)
            | Claim::Opens(_)
            | Claim::Amplification { .. }
            | Claim::DeliveryComplete
            | Claim::QueueAtCloseJustOverLimit { .. }
            | Claim::Steady { .. } => Vec::new(),
        };
        conflicts.extend(found.into_iter().map(|(kind, text)| Conflict {
            kind,
            path: expectation.path.clone(),
            text,
        }));
    }
    conflicts
}

/// Whether an event handler decides over every connection.
#[must_use]
pub fn asks_a_handler(plan: &Plan) -> bool {
    plan.hub.events.handler_of(&Event::System(SystemEvent::Connect)).is_some()
}

type Found = (ConflictKind, String);

fn closes(wanted: &[(CloseCategory, Quantity)], forecast: &Forecast) -> Vec<Found> {
    let mut found = Vec::new();
    for category in CloseCategory::ALL.into_iter().filter(|category| category.is_drop()) {
        let nothing = Quantity::exactly(0);
        let listed = wanted.iter().find(|(of, _)| *of == category);
        let demanded = listed.map_or(nothing, |(_, quantity)| *quantity);
        let told = forecast.drops.get(&category).copied().unwrap_or(nothing);
        let demand = words::quantity(demanded);
        if told.at_most < demanded.at_least || demanded.at_most < told.at_least {
            found.push((
                ConflictKind::Contradiction,
                format!(
                    "demands {category} {demand}, foretold {} ({})",
                    words::quantity(told),
                    fate(&forecast.fate)
                ),
            ));
        } else if let Fate::Ambiguous { first, second } = forecast.fate
            && (category == first || category == second)
            && (demanded.at_least > told.at_least || demanded.at_most < told.at_most)
        {
            let text = format!("demands {category} {demand}, but {}", race(first, second));
            found.push((ConflictKind::Ambiguity, text));
        }
    }
    found
}

fn close_within(
    plan: &Plan,
    forecast: &Forecast,
    category: CloseCategory,
    since: Since,
    (from, to): (Duration, Duration),
) -> Option<Found> {
    let Fate::Dropped { category: told, from: soonest, to: latest } = forecast.fate else {
        return None;
    };
    if told != category {
        return None;
    }
    let keep_alive = plan.hub.keep_alive;
    let (soonest, latest) = match (since, category) {
        // Counted from there it does not matter when the misbehaviour began.
        (Since::LastLife, CloseCategory::PingTimeout) => {
            (keep_alive.timeout, keep_alive.timeout.saturating_add(keep_alive.interval))
        }
        (Since::Behaviour | Since::Fault, _) => (soonest, latest),
        (Since::LastLife | Since::Open, _) => return None,
    };
    let kind = if latest <= from || to < soonest {
        ConflictKind::Contradiction
    } else if to < latest {
        ConflictKind::Ambiguity
    } else {
        return None;
    };
    let time = |of: Duration| words::time(of.as_secs_f64() * 1e9);
    let (from, to, soonest, latest) = (time(from), time(to), time(soonest), time(latest));
    let text = format!("demands {category} after {from} to {to}, foretold {soonest} to {latest}");
    Some((kind, text))
}

fn recovered(plan: &Plan, expectation: &Expectation, wanted: Quantity) -> Option<Found> {
    let population = plan.populations.get(usize::from(expectation.population))?;
    let stays_away = population.reconnect.policy == ReconnectPolicy::None;
    (stays_away && wanted.at_least > 0).then(|| {
        let text = format!("{} has no reconnect policy, so nobody comes back", population.name);
        (ConflictKind::Contradiction, text)
    })
}

/// A fate, for people.
fn fate(fate: &Fate) -> String {
    let time = |of: &Duration| words::time(of.as_secs_f64() * 1e9);
    match fate {
        Fate::Leaves => "they leave in order".to_owned(),
        Fate::Vanishes => "they vanish by themselves".to_owned(),
        Fate::Cut { from, to } => {
            format!("their links are cut {} to {} after they open", time(from), time(to))
        }
        Fate::Dropped { category, from, to } => {
            format!("{category} comes first, {} to {} after its cause", time(from), time(to))
        }
        Fate::Ambiguous { first, second } => race(*first, *second),
    }
}

fn race(first: CloseCategory, second: CloseCategory) -> String {
    match (first, second) {
        (category, CloseCategory::Normal) | (CloseCategory::Normal, category) => {
            format!("{category} may come too late, or not at all")
        }
        (first, second) => format!("{first} and {second} race"),
    }
}
