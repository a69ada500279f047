//! Expectations that contradict the forecast: told before a run, so that nobody waits for what
//! cannot come.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::handler::{HandlerForecast, Refusal, handler};
use super::{Fate, Forecast, flow, forecasts, words};
use crate::measure::summary::Since;
use crate::protocol::CloseCategory;
use crate::protocol::webhook::{Event, RequestKind, SystemEvent};
use crate::scenario::Plan;
use crate::scenario::plan::{Claim, Expectation, Quantity, ReconnectPolicy, UpstreamCount};

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
    let handler = handler(plan);
    let is_open = matches!(handler, HandlerForecast::LetsIn | HandlerForecast::Open);
    let mut conflicts = Vec::new();
    for expectation in &plan.expectations {
        let Some(forecast) = forecasts.get(usize::from(expectation.population)) else { continue };
        let found = match &expectation.claim {
            // What a handler answers, and does later, is not foretold.
            Claim::Closes(_) if is_open => Vec::new(),
            Claim::Closes(wanted) if fails_events(plan, expectation, wanted) => Vec::new(),
            Claim::Closes(wanted) => closes(wanted, forecast),
            Claim::CloseWithin { category, since, from, to } => {
                close_within(plan, forecast, *category, *since, (*from, *to)).into_iter().collect()
            }
            Claim::Recovered(wanted) => recovered(plan, expectation, *wanted).into_iter().collect(),
            Claim::Steady { .. } if plan.first_trouble().is_none() => vec![(
                ConflictKind::Contradiction,
                "nothing goes wrong on purpose, so there is no time after it to compare".to_owned(),
            )],
            Claim::Refused(wanted) => match forecast.fate {
                Fate::Refused(refusal) => refused(wanted, forecast, refusal),
                _ => Vec::new(),
            },
            Claim::Opens(wanted) => match forecast.fate {
                Fate::Refused(_) if wanted.at_least > 0 => {
                    vec![ruled_out("demands opens", &forecast.fate)]
                }
                _ => Vec::new(),
            },
            Claim::RefusedBody(_)
            | Claim::CloseCodes(_)
            | Claim::Amplification { .. }
            | Claim::DeliveryComplete
            | Claim::RepliesComplete
            | Claim::QueueAtCloseJustOverLimit { .. }
            | Claim::Steady { .. } => Vec::new(),
        };
        conflicts.extend(found.into_iter().map(|(kind, text)| Conflict {
            kind,
            path: expectation.path.clone(),
            text,
        }));
    }
    if let HandlerForecast::Refuses(refusal) = handler {
        conflicts.extend(requests(plan, &forecasts, refusal));
    }
    conflicts
}

/// A demand that the forecast rules out.
fn ruled_out(demand: &str, foretold: &Fate) -> Found {
    (ConflictKind::Contradiction, format!("{demand}, but {}", fate(foretold)))
}

/// Whether no number is both.
const fn are_apart(one: Quantity, other: Quantity) -> bool {
    one.at_most < other.at_least || other.at_most < one.at_least
}

/// Refusals that a handler's answer to everybody rules out.
fn refused(wanted: &[(u16, Quantity)], forecast: &Forecast, refusal: Refusal) -> Vec<Found> {
    let nothing = Quantity::exactly(0);
    let told = forecast.drops.get(&refusal.category).copied().unwrap_or(nothing);
    let statuses: BTreeSet<u16> =
        wanted.iter().map(|(status, _)| *status).chain([refusal.status]).collect();
    let conflict = |status: u16| {
        let demanded = wanted.iter().find(|(of, _)| *of == status).map_or(nothing, |(_, of)| *of);
        let told = if status == refusal.status { told } else { nothing };
        let demand = format!("demands status {status} {}", words::quantity(demanded));
        are_apart(told, demanded).then(|| ruled_out(&demand, &forecast.fate))
    };
    statuses.into_iter().filter_map(conflict).collect()
}

/// Counts of `connect` that a handler's answer to everybody rules out.
fn requests(plan: &Plan, forecasts: &[Forecast], refusal: Refusal) -> Vec<Conflict> {
    let connect = RequestKind::Event(Event::System(SystemEvent::Connect));
    let calls = forecasts.iter().filter_map(|forecast| forecast.drops.get(&refusal.category));
    let calls = calls.fold(Quantity::exactly(0), |sum, of| Quantity {
        at_least: sum.at_least.saturating_add(of.at_least),
        at_most: sum.at_most.saturating_add(of.at_most),
    });
    let made = Quantity {
        at_least: calls.at_least.saturating_mul(refusal.requests),
        at_most: calls.at_most.saturating_mul(refusal.requests),
    };
    let of_connect = plan.server_side.requests.iter().filter(|wanted| wanted.kind == connect);
    let conflicts = of_connect.filter_map(|wanted| {
        let told = match wanted.counted {
            UpstreamCount::Calls => calls,
            UpstreamCount::Requests | UpstreamCount::Received => made,
            UpstreamCount::ReceivedPerSecond | UpstreamCount::RequestsPerSecond => return None,
        };
        are_apart(told, wanted.count).then(|| Conflict {
            kind: ConflictKind::Contradiction,
            path: wanted.path.clone(),
            text: format!(
                "demands {}, foretold {}: {}",
                words::quantity(wanted.count),
                words::quantity(told),
                fate(&Fate::Refused(refusal))
            ),
        })
    });
    conflicts.collect()
}

/// Whether an event handler decides over every connection.
#[must_use]
pub fn asks_a_handler(plan: &Plan) -> bool {
    plan.hub.events.handler_of(&Event::System(SystemEvent::Connect)).is_some()
}

/// Whether events of the population go to a handler, and are demanded to fail there.
fn fails_events(
    plan: &Plan,
    expectation: &Expectation,
    wanted: &[(CloseCategory, Quantity)],
) -> bool {
    let failed = CloseCategory::SendEventFailed;
    wanted.iter().any(|(category, of)| *category == failed && of.at_most > 0)
        && plan.traffic.iter().any(|traffic| {
            traffic.is_from(expectation.population) && flow::is_handled(plan, traffic)
        })
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
        Fate::Refused(Refusal { status, from, to, .. }) => {
            let after = match (from == to, to.is_zero()) {
                (_, true) => "at once".to_owned(),
                (true, false) => format!("after {}", time(to)),
                (false, false) => format!("after {} to {}", time(from), time(to)),
            };
            format!("the event handler has everybody refused with {status}, {after}")
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
