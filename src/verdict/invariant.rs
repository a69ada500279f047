//! What is true of every run: I1 to I9.
//!
//! I2, I3 and I7 to I9 speak of the hub's side and are checked where it is observed; so is the
//! hub's part of I1 and I6. I9 is of runs whose hub asks a handler about every connection.

use super::expectation::Answer;
use super::matrix::is_allowed_cell;
use super::spoil::{Finding, Rests, Spoils};
use super::{CheckKind, Outcome, is_hub_observed, words};
use crate::event::ClientObservation;
use crate::measure::{CloseKey, Summary};
use crate::predict;
use crate::predict::Fate;
use crate::protocol::CloseCategory;
use crate::protocol::control::{Counters, HubWire};
use crate::protocol::webhook::{Event, RequestKind, SystemEvent};
use crate::scenario::Plan;
use crate::scenario::plan::{Arrival, Claim, Fault, PopulationIndex, Quantity};

/// Cells or populations named in one message; the rest are counted.
const NAMED_MAX: usize = 6;

/// One finding per invariant that this run can be held to.
pub(super) fn findings(plan: &Plan, summary: &Summary, spoils: &Spoils) -> Vec<Finding> {
    let mut findings = vec![every_attempt_has_one_row(plan, summary)];
    if is_hub_observed(summary) {
        findings.push(every_row_has_a_category(plan, summary));
        findings.push(both_views_agree(plan, summary));
    }
    findings.push(generator_is_healthy(spoils));
    findings.push(deliveries_add_up(plan, summary));
    findings.push(nothing_is_left(summary));
    if is_hub_observed(summary) {
        findings.push(bystanders_close_in_order(plan, summary));
        if let Some(after) = &summary.counters_after {
            findings.push(counters_agree(plan, summary, after));
            if predict::asks_a_handler(plan) {
                findings.push(each_attempt_is_asked_about_once(summary, after));
            }
        }
    }
    findings
}

/// A finding that holds when there is nothing to complain of.
fn finding(
    name: &str,
    expected: &str,
    fine: String,
    complaints: &[String],
    rests: Rests,
) -> Finding {
    let (outcome, actual) = match complaints.is_empty() {
        true => (Outcome::Pass, fine),
        false => (Outcome::Fail, listed(complaints)),
    };
    Answer { outcome, expected: expected.to_owned(), actual, rests }
        .finding(CheckKind::Invariant, name.to_owned())
}

/// The first few of a list, and how many more there are.
fn listed(parts: &[String]) -> String {
    let mut text = parts.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ");
    if parts.len() > NAMED_MAX {
        text.push_str(&format!("; and {} more", parts.len() - NAMED_MAX));
    }
    text
}

/// Rows for which `select` holds.
fn rows(summary: &Summary, select: impl Fn(&CloseKey) -> bool) -> u64 {
    summary
        .closes
        .iter()
        .filter(|(key, _)| select(key))
        .fold(0, |sum, (_, tally)| sum.saturating_add(tally.count))
}

fn name(plan: &Plan, index: PopulationIndex) -> &str {
    plan.populations.get(usize::from(index)).map_or("?", |population| population.name.as_str())
}

/// Populations of the summary with their index.
fn populations(
    summary: &Summary,
) -> impl Iterator<Item = (PopulationIndex, &crate::measure::PopulationSummary)> {
    (0..).zip(&summary.populations)
}

/// I1.
fn every_attempt_has_one_row(plan: &Plan, summary: &Summary) -> Finding {
    let mut complaints = Vec::new();
    for (index, population) in populations(summary) {
        let ended = rows(summary, |key| key.population == index);
        if ended != population.attempts {
            complaints.push(format!(
                "{}: {}, {}",
                name(plan, index),
                words::counted(population.attempts, "attempt"),
                words::counted(ended, "row")
            ));
        }
    }
    let ended = rows(summary, |key| key.wire.is_some());
    if let Some(after) = &summary.counters_after {
        let (opens, open) = (after.connection_open_count, after.total_connection_count);
        // What connections of others amount to is not known; I8 says that there were some.
        let others = summary.hub_rows_unmatched;
        let closed = ended.saturating_add(open);
        if !(closed..=closed.saturating_add(others)).contains(&opens) {
            complaints.push(format!(
                "the hub opened {}, {} ended, {} still open",
                words::count(opens),
                words::count(ended),
                words::count(open)
            ));
        }
    }
    let all = rows(summary, |_| true);
    let fine = format!("{}, {}", words::counted(all, "attempt"), words::counted(all, "row"));
    let expected = "one row per attempt, opens = ends + still open";
    finding("I1", expected, fine, &complaints, Rests::Counts)
}

/// I2.
fn every_row_has_a_category(plan: &Plan, summary: &Summary) -> Finding {
    // An attempt that failed before its upgrade was answered need not have reached the hub.
    let reached = |key: &CloseKey| {
        !matches!(
            key.observation,
            ClientObservation::ConnectFailed { .. } | ClientObservation::HandshakeFailed { .. }
        )
    };
    let mut complaints = Vec::new();
    for (index, population) in populations(summary) {
        let of_it = |key: &CloseKey| key.population == index;
        let without = rows(summary, |key| of_it(key) && key.category.is_none() && reached(key));
        if without > 0 {
            let count = words::counted(without, "row");
            complaints.push(format!("{}: {count} without a category", name(plan, index)));
        }
        let with = rows(summary, |key| of_it(key) && key.category.is_some());
        let by_category = population.categories.values().fold(0_u64, |a, b| a.saturating_add(*b));
        if with != by_category {
            complaints.push(format!(
                "{}: {} with a category, {} by category",
                name(plan, index),
                words::counted(with, "row"),
                words::count(by_category)
            ));
        }
    }
    let fine = words::counted(rows(summary, |key| key.category.is_some()), "row");
    finding("I2", "every end has one category", fine, &complaints, Rests::Counts)
}

/// I3.
fn both_views_agree(plan: &Plan, summary: &Summary) -> Finding {
    let complaints: Vec<String> = summary
        .closes
        .iter()
        .filter(|(key, tally)| tally.count > 0 && !is_allowed_cell(plan, key))
        .map(|(key, tally)| format!("{} x {}", words::count(tally.count), cell(plan, key)))
        .collect();
    let fine = words::counted(summary.closes.len() as u64, "cell");
    let expected = "hub and client can both be telling the truth of every end";
    finding("I3", expected, fine, &complaints, Rests::Counts)
}

/// A cell of the matrix, for people: `PingTimeout (reset by the hub) seen as end of stream, muted`.
fn cell(plan: &Plan, key: &CloseKey) -> String {
    let wire = match &key.wire {
        None => "refused".to_owned(),
        Some(HubWire::HubClose { code, reason }) => format!("close {code} {reason:?} by the hub"),
        Some(HubWire::ClientClose { code, .. }) => {
            let code = code.map_or_else(|| "without code".to_owned(), |code| code.to_string());
            format!("close {code} by the client")
        }
        Some(HubWire::HubAbort) => "reset by the hub".to_owned(),
        Some(HubWire::ClientEof) => "end of stream by the client".to_owned(),
        // The client's, or that of something on the way.
        Some(HubWire::ClientReset) => "a reset".to_owned(),
    };
    let category = key.category.map_or("no category", CloseCategory::name);
    let (seen, name) = (seen_words(&key.observation), name(plan, key.population));
    format!("{category} ({wire}) seen as {seen}, {name}")
}

/// What a client saw of its end, for people.
fn seen_words(observation: &ClientObservation) -> String {
    match observation {
        ClientObservation::ConnectFailed { failure } => format!("no connection ({failure:?})"),
        ClientObservation::Refused { status, .. } => format!("status {status}"),
        ClientObservation::HandshakeFailed { failure } => format!("no upgrade ({failure:?})"),
        ClientObservation::CloseFrame { code, reason, first } => {
            let code = code.map_or_else(|| "without code".to_owned(), |code| code.to_string());
            format!("close {code} {reason:?}, {first:?} first")
        }
        ClientObservation::Eof => "end of stream".to_owned(),
        ClientObservation::Reset => "reset".to_owned(),
        ClientObservation::Vanished => "vanished itself".to_owned(),
        ClientObservation::NoCloseAnswer => "no answer to its close".to_owned(),
        ClientObservation::Unaware => "nothing at all".to_owned(),
        ClientObservation::ProtocolError { what } => format!("protocol error ({what})"),
    }
}

/// I4. Never a failure: what it spoils is invalid.
fn generator_is_healthy(spoils: &Spoils) -> Finding {
    let reasons = spoils.all();
    let (outcome, actual) = match reasons.is_empty() {
        true => (Outcome::Pass, "as demanded".to_owned()),
        false => (Outcome::Invalid, listed(&reasons)),
    };
    let expected = "nothing ran out, nothing was lost, sends were on time".to_owned();
    Answer { outcome, expected, actual, rests: Rests::Health }
        .finding(CheckKind::Invariant, "I4".to_owned())
}

/// I5.
fn deliveries_add_up(plan: &Plan, summary: &Summary) -> Finding {
    let mut complaints = Vec::new();
    let mut all = 0_u64;
    for (index, population) in populations(summary) {
        for (what, tally) in [("", &population.delivery), (" replies", &population.replies)] {
            all = all.saturating_add(tally.expected);
            let accounted =
                i128::from(tally.received) - i128::from(tally.duplicated) + i128::from(tally.lost);
            if i128::from(tally.expected) != accounted {
                complaints.push(format!(
                    "{}{what}: expected {}, received {}, duplicated {}, lost {}",
                    name(plan, index),
                    words::count(tally.expected),
                    words::count(tally.received),
                    words::count(tally.duplicated),
                    words::count(tally.lost)
                ));
            }
        }
    }
    let fine = format!("{} expected", words::count(all));
    let expected = "expected = received - duplicated + lost";
    finding("I5", expected, fine, &complaints, Rests::Counts)
}

/// I6. There is no allowance: what a run opens it closes before it is gathered, and what stays open
/// was open before. Fewer ends than before are no leak.
fn nothing_is_left(summary: &Summary) -> Finding {
    let health = &summary.health;
    let ends = health.open_ends;
    let mut complaints = Vec::new();
    let mut told = format!("{}s not told", ends.kind.name());
    if let (Some(before), Some(after)) = (ends.before, ends.after) {
        let (kind, was, is) = (ends.kind.name(), words::count(before), words::count(after));
        told = format!("{kind}s {was} and {is}");
        if after > before {
            complaints.push(told.clone());
        }
    }
    let mut left = vec![("client tasks", health.tasks_after)];
    match &summary.counters_after {
        None => told.push_str(", hub not observed"),
        Some(after) => left.extend([
            ("connections", after.total_connection_count),
            ("groups", after.groups),
            ("bytes in queues", after.queue_bytes),
            ("hub tasks", after.tasks),
        ]),
    }
    let leaks = left.iter().filter(|(_, count)| *count > 0);
    complaints.extend(leaks.map(|(what, count)| format!("{what} {}", words::count(*count))));
    let kind = ends.kind.name();
    let expected = format!("no {kind}, task, connection, group or queued byte is left");
    finding("I6", &expected, told, &complaints, Rests::Leftovers)
}

/// I7. A well-behaved population closes in order, apart from what faults aimed at it cause and what
/// its own expectations list. Who is reset by what lies on the way did not, though to the hub it
/// looks as if its client had gone; unless its link is known to cut it.
fn bystanders_close_in_order(plan: &Plan, summary: &Summary) -> Finding {
    let mut complaints = Vec::new();
    let mut bystanders = 0_u64;
    for (index, population) in (0..).zip(&plan.populations) {
        let Some(seen) = summary.populations.get(usize::from(index)) else { continue };
        if !population.is_well_behaved() {
            continue;
        }
        bystanders += 1;
        let aimed = predict::addressed(plan, index);
        for (category, count) in &seen.categories {
            let excused = *category == CloseCategory::Normal
                || aimed.contains(category)
                || is_listed(plan, index, *category);
            if *count > 0 && !excused {
                let count = words::count(*count);
                complaints.push(format!("{}: {category} {count}", population.name));
            }
        }
        if !seen.ended_against_wish.is_empty() && !is_cut(plan, index) {
            for (observation, count) in &seen.ended_against_wish {
                let (count, seen) = (words::count(*count), seen_words(observation));
                let name = &population.name;
                complaints.push(format!("{name}: {count} wished to stay, and saw: {seen}"));
            }
        }
    }
    let fine = words::counted(bystanders, "population");
    let expected = "the well-behaved that no fault is aimed at close in order";
    finding("I7", expected, fine, &complaints, Rests::Counts)
}

/// Whether it is foretold that a population's links are cut.
fn is_cut(plan: &Plan, index: PopulationIndex) -> bool {
    let fates = predict::fates(plan);
    matches!(fates.get(usize::from(index)), Some(Fate::Cut { .. }))
}

/// Whether an end was against the wish of a client that should not be disturbed, and nothing but
/// the client says so: to the hub it was a close in order.
#[must_use]
pub fn is_disturbed(plan: &Plan, summary: &Summary, key: &CloseKey) -> bool {
    let at = usize::from(key.population);
    let (Some(population), Some(seen)) = (plan.populations.get(at), summary.populations.get(at))
    else {
        return false;
    };
    let is_drop = key.category.is_some_and(CloseCategory::is_drop);
    !is_drop
        && seen.ended_against_wish.contains_key(&key.observation)
        && population.is_well_behaved()
        && !is_cut(plan, key.population)
}

/// Whether a population's own expectations list a category.
fn is_listed(plan: &Plan, index: PopulationIndex, category: CloseCategory) -> bool {
    plan.expectations.iter().filter(|expectation| expectation.population == index).any(
        |expectation| match &expectation.claim {
            Claim::Closes(wanted) => {
                wanted.iter().any(|(of, quantity)| *of == category && quantity.at_most > 0)
            }
            _ => false,
        },
    )
}

/// I8.
fn counters_agree(plan: &Plan, summary: &Summary, after: &Counters) -> Finding {
    let mut complaints = Vec::new();
    let mut compare = |what: &str, hub: u64, clients: u64| {
        if hub != clients {
            let (hub, clients) = (words::count(hub), words::count(clients));
            complaints.push(format!("{what}: hub {hub}, clients {clients}"));
        }
    };
    compare("ledger entries of no client's attempt", summary.hub_rows_unmatched, 0);
    let opens = populations(summary).fold(0_u64, |sum, (_, of)| sum.saturating_add(of.opens));
    compare("opens", after.connection_open_count, opens.saturating_add(opened_unread(summary)));
    for category in CloseCategory::ALL {
        // A refused attempt was no connection, so it is not counted as the close of one.
        let closed = |key: &CloseKey| key.category == Some(category) && key.wire.is_some();
        let hub = after.connection_close_count.get(&category).copied().unwrap_or(0);
        compare(category.name(), hub, rows(summary, closed));
    }
    let statuses = after.client_request_status.iter();
    let refusals = statuses.filter(|(status, _)| **status != 101);
    let refused = refusals.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    let rows_refused = rows(summary, |key| key.category.is_some() && key.wire.is_none());
    compare("refusals", refused, rows_refused);
    let (delivered, least, most) = deliveries(plan, summary, after);
    if !(least..=most).contains(&delivered) {
        let clients = Quantity { at_least: least, at_most: most };
        complaints.push(format!(
            "deliveries: hub {}, clients {}",
            words::count(delivered),
            words::quantity(clients)
        ));
    }
    let fine = format!(
        "{}, {}",
        words::counted(after.connection_open_count, "open"),
        match delivered {
            1 => "1 delivery".to_owned(),
            count => format!("{} deliveries", words::count(count)),
        }
    );
    finding("I8", "the hub's counters equal the clients' sums", fine, &complaints, Rests::Counts)
}

/// I9. A handler of `connect` is asked once about every attempt that the hub does not refuse by
/// itself, and its server receives no request that the hub did not make.
fn each_attempt_is_asked_about_once(summary: &Summary, after: &Counters) -> Finding {
    let connect = SystemEvent::Connect.name();
    let calls = after.webhooks.events.get(connect).cloned().unwrap_or_default();
    let asked = |asked: Asked| {
        rows(summary, |key| key.category.is_some_and(|of| asks(of, key.wire.as_ref()) == asked))
    };
    let least = asked(Asked::Yes);
    // Who is no client of this run has no row.
    let most = least + asked(Asked::Perhaps) + summary.hub_rows_unmatched;
    let attempts = words::quantity(Quantity { at_least: least, at_most: most });
    let fine = format!("{}, attempts {attempts}", words::counted(calls.begun, "call"));
    let mut complaints = Vec::new();
    if !(least..=most).contains(&calls.begun) {
        complaints.push(fine.clone());
    }
    let kind = RequestKind::Event(Event::System(SystemEvent::Connect));
    let received = summary.upstream.as_ref().map_or(0, |counts| counts.of(&kind).received);
    if received > calls.requests {
        let (received, made) = (words::count(received), words::count(calls.requests));
        complaints.push(format!("the server received {received} requests, the hub made {made}"));
    }
    let expected = "one `connect` call per attempt that the hub does not refuse by itself";
    finding("I9", expected, fine, &complaints, Rests::Counts)
}

/// Whether a handler of `connect` was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Yes,
    No,
    Perhaps,
}

/// Whether a handler was asked about an attempt that ended like this.
const fn asks(category: CloseCategory, wire: Option<&HubWire>) -> Asked {
    match (wire, category) {
        // It was open, or would have been; or the client left while the handler was asked.
        (Some(_), _) | (None, CloseCategory::SendEventFailed | CloseCategory::Normal) => Asked::Yes,
        // The hub says so before it asks and after it; a handler may say so as well.
        (
            None,
            CloseCategory::Unauthorized
            | CloseCategory::ConnectionCountLimitReached
            | CloseCategory::ServiceTransientError,
        ) => Asked::Perhaps,
        (None, _) => Asked::No,
    }
}

/// Connections that the hub opened and the client did not: it gave up, or they were dropped, before
/// it had read the hub's answer.
fn opened_unread(summary: &Summary) -> u64 {
    let is_unopened = |key: &CloseKey| {
        matches!(
            key.observation,
            ClientObservation::ConnectFailed { .. }
                | ClientObservation::HandshakeFailed { .. }
                | ClientObservation::Refused { .. }
        )
    };
    let given_up = rows(summary, |key| key.wire.is_some() && is_unopened(key));
    // What ended in another way and was never open ended between the 101 and the first frame.
    let refusals = populations(summary).fold(0_u64, |sum, (_, of)| sum.saturating_add(of.refusals));
    given_up.saturating_add(refusals.saturating_sub(rows(summary, is_unopened)))
}

/// Deliveries by the hub's count, and the least and the most they can be by the clients': every
/// message that arrived was put into a queue; in a run in which nobody was dropped or left before
/// the end, every message in a queue arrived or is lost.
fn deliveries(plan: &Plan, summary: &Summary, after: &Counters) -> (u64, u64, u64) {
    let (mut arrived, mut lost) = (0_u64, 0_u64);
    for (_, population) in populations(summary) {
        for tally in [&population.delivery, &population.replies] {
            arrived = arrived.saturating_add(tally.received.saturating_sub(tally.duplicated));
            lost = lost.saturating_add(tally.lost);
        }
        arrived = arrived.saturating_add(population.received_besides);
    }
    let stays = plan.populations.iter().all(|population| {
        population.lifetime.is_none()
            && population.churn.is_none()
            && matches!(population.arrival, Arrival::Open { .. })
    });
    let is_calm = stays
        && !plan.faults.iter().any(|fault| matches!(fault.fault, Fault::Leave { .. }))
        && summary.closes.keys().all(|key| {
            key.category == Some(CloseCategory::Normal)
                && matches!(key.wire, Some(HubWire::ClientClose { .. }))
        });
    let most = if is_calm { arrived.saturating_add(lost) } else { u64::MAX };
    (after.deliveries, arrived, most)
}
