//! The claims of `[expect]`, one check each (three for delivery).

use std::collections::BTreeMap;

use super::spoil::{Finding, Rests};
use super::{Check, CheckKind, Outcome, is_hub_observed, words};
use crate::event::{ClientObservation, CloseFirst, DeliveryTally};
use crate::measure::summary::{Extent, Since};
use crate::measure::{LatencyKind, PopulationSummary, Stage, Summary};
use crate::predict::{self, Fate};
use crate::protocol::close::NO_CODE;
use crate::protocol::{CloseCategory, CloseCode};
use crate::scenario::Plan;
use crate::scenario::plan::{Claim, Expectation, PopulationIndex, Quantity};

/// What a check of a claim comes to, without its path.
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    pub(super) expected: String,
    pub(super) actual: String,
    pub(super) rests: Rests,
}

impl Answer {
    pub(super) fn of(holds: Option<bool>, expected: String, actual: String, rests: Rests) -> Self {
        let outcome = match holds {
            Some(true) => Outcome::Pass,
            Some(false) => Outcome::Fail,
            None => Outcome::Undetermined,
        };
        Self { outcome, expected, actual, rests }
    }

    pub(super) fn finding(self, kind: CheckKind, path: String) -> Finding {
        let Self { outcome, expected, actual, rests } = self;
        Finding { check: Check { kind, path, outcome, expected, actual }, rests }
    }
}

/// What is said where the hub's side is needed and was not observed.
pub(super) const NOT_OBSERVED: &str = "the hub's side was not observed";

/// Bodies of refusals that are named in one message, per status.
const BODIES_NAMED_MAX: usize = 3;

/// One finding per claim, in file order.
pub(super) fn findings(plan: &Plan, summary: &Summary) -> Vec<Finding> {
    let nobody = PopulationSummary::default();
    let mut findings = Vec::new();
    for expectation in &plan.expectations {
        let population =
            summary.populations.get(usize::from(expectation.population)).unwrap_or(&nobody);
        let mut add = |path: String, answer: Answer| {
            findings.push(answer.finding(CheckKind::Expectation, path));
        };
        let tally = match expectation.claim {
            Claim::DeliveryComplete => Some(population.delivery),
            Claim::RepliesComplete => Some(population.replies),
            _ => None,
        };
        if let Some(tally) = tally {
            for (name, answer) in complete(&tally) {
                add(format!("{}.{name}", expectation.path), answer);
            }
        } else {
            let answer = judge(plan, summary, population, expectation);
            add(expectation.path.clone(), answer);
        }
    }
    findings
}

fn judge(
    plan: &Plan,
    summary: &Summary,
    population: &PopulationSummary,
    expectation: &Expectation,
) -> Answer {
    let index = expectation.population;
    match &expectation.claim {
        Claim::Closes(wanted) => closes(summary, population, wanted),
        Claim::CloseWithin { category, since, from, to } => {
            let extent = summary.windows.get(&(index, *category, *since)).copied();
            let window = (i128::from_duration(*from), i128::from_duration(*to));
            let rows = rows(population, *category);
            let about = (index, *category, *since);
            let answer = close_within(plan, summary, extent, rows, about, window);
            match too_soon(summary, extent, about) {
                Some(actual) => {
                    Answer { outcome: Outcome::Fail, actual, rests: Rests::Times, ..answer }
                }
                None => answer,
            }
        }
        Claim::Refused(wanted) => listed(&refusals(summary, index), wanted, "refused", "status"),
        Claim::RefusedBody(wanted) => refused_body(summary, index, wanted),
        Claim::CloseCodes(wanted) => {
            listed(&close_codes(summary, index), wanted, "closed by the hub", "code")
        }
        Claim::Opens(wanted) => counted(*wanted, population.opens, "opens"),
        Claim::Recovered(wanted) => counted(*wanted, population.recovered, "recovered"),
        Claim::Amplification { at_most } => amplification(population, *at_most),
        // Have three checks of their own each.
        Claim::DeliveryComplete | Claim::RepliesComplete => {
            Answer::of(None, String::new(), String::new(), Rests::Counts)
        }
        Claim::QueueAtCloseJustOverLimit { category, above, at_most } => {
            let extent = summary.queue_at_close.get(&(index, *category)).copied();
            let rows = rows(population, *category);
            queue_at_close(plan, summary, extent, rows, (index, *category), (*above, *at_most))
        }
        Claim::Steady { ratio, or_delta } => {
            let delta_ns = or_delta.as_secs_f64() * 1e9;
            steady(summary, index, *ratio, delta_ns)
        }
    }
}

/// Durations as signed nanoseconds that cannot overflow.
trait FromDuration {
    fn from_duration(duration: std::time::Duration) -> Self;
}

impl FromDuration for i128 {
    fn from_duration(duration: std::time::Duration) -> Self {
        Self::try_from(duration.as_nanos()).unwrap_or(Self::MAX)
    }
}

/// Rows of a category of a population.
fn rows(population: &PopulationSummary, category: CloseCategory) -> u64 {
    population.categories.get(&category).copied().unwrap_or(0)
}

fn closes(
    summary: &Summary,
    population: &PopulationSummary,
    wanted: &[(CloseCategory, Quantity)],
) -> Answer {
    let mut demands: Vec<String> = wanted
        .iter()
        .map(|(category, quantity)| format!("{category} {}", words::quantity(*quantity)))
        .collect();
    demands.push(if wanted.is_empty() { "nothing" } else { "nothing else" }.to_owned());
    let expected = demands.join(", ");
    if !is_hub_observed(summary) {
        return Answer::of(None, expected, NOT_OBSERVED.to_owned(), Rests::Counts);
    }
    let is_wanted = |category| {
        wanted.iter().any(|(listed, quantity)| *listed == category && quantity.at_most > 0)
    };
    let others = population.categories.iter().map(|(category, count)| (*category, *count)).filter(
        |(category, count)| *count > 0 && !wanted.iter().any(|(listed, _)| listed == category),
    );
    let listed = wanted.iter().map(|(category, _)| (*category, rows(population, *category)));
    let actual = words::categories(listed.chain(others));
    let strays = |category: &CloseCategory, count: &u64| *count > 0 && !is_wanted(*category);
    let holds =
        wanted.iter().all(|(category, quantity)| quantity.holds(rows(population, *category)))
            && !population.categories.iter().any(|(category, count)| strays(category, count));
    // A stray Normal proves nothing: a starved generator comes late, and its clients then leave in
    // order before they were dropped.
    let is_wrong = population
        .categories
        .iter()
        .any(|(category, count)| strays(category, count) && category.is_drop());
    let rests = if is_wrong { Rests::WrongCategory } else { Rests::Counts };
    Answer::of(Some(holds), expected, actual, rests)
}

/// Whether no row of a category is demanded of a population, so that a claim about such rows may
/// have nothing to look at.
fn may_be_absent(plan: &Plan, index: PopulationIndex, category: CloseCategory) -> bool {
    plan.expectations.iter().filter(|expectation| expectation.population == index).any(
        |expectation| match &expectation.claim {
            Claim::Closes(wanted) => !wanted
                .iter()
                .any(|(listed, quantity)| *listed == category && quantity.at_least > 0),
            _ => false,
        },
    )
}

/// What is said of a claim about rows of a category when there is none, or not enough is known.
fn gap(
    plan: &Plan,
    summary: &Summary,
    extent: Option<Extent>,
    rows: u64,
    (index, category): (PopulationIndex, CloseCategory),
    expected: &str,
) -> Option<Answer> {
    let answer = |holds, actual| Some(Answer::of(holds, expected.to_owned(), actual, Rests::Times));
    if !is_hub_observed(summary) {
        return answer(None, NOT_OBSERVED.to_owned());
    }
    let known = extent.map_or(0, |extent| extent.count);
    if rows == 0 && known == 0 {
        let holds = may_be_absent(plan, index, category);
        return answer(Some(holds), format!("no {category} occurred"));
    }
    if known == 0 {
        return answer(None, format!("known of none of {} {category}", words::count(rows)));
    }
    None
}

/// What is said of rows that came before what they are timed from. (A row whose hub side is known
/// has a last sign of life too.)
fn too_soon(
    summary: &Summary,
    extent: Option<Extent>,
    (index, category, since): (PopulationIndex, CloseCategory, Since),
) -> Option<String> {
    let before = match since {
        Since::Behaviour => "before the misbehaviour began",
        Since::Fault => "before the fault",
        Since::LastLife | Since::Open => return None,
    };
    let all = summary.windows.get(&(index, category, Since::LastLife))?.count;
    let early = all.checked_sub(extent.map_or(0, |extent| extent.count)).filter(|of| *of > 0)?;
    Some(format!("{} dropped {before}", words::count(early)))
}

fn close_within(
    plan: &Plan,
    summary: &Summary,
    extent: Option<Extent>,
    rows: u64,
    (index, category, since): (PopulationIndex, CloseCategory, Since),
    (from, to): (i128, i128),
) -> Answer {
    let after = match since {
        Since::LastLife => "the last sign of life",
        Since::Open => "the open",
        Since::Behaviour => "the misbehaviour began",
        Since::Fault => "the fault",
    };
    let time = |ns: i128| words::time(ns as f64);
    let measured = |ns: i64| words::time_in(summary.world(), ns as f64);
    let expected = match from {
        0 => format!("every {category} at most {} after {after}", time(to)),
        _ => {
            format!("every {category} more than {}, at most {} after {after}", time(from), time(to))
        }
    };
    if let Some(answer) = gap(plan, summary, extent, rows, (index, category), &expected) {
        return answer;
    }
    let extent = extent.unwrap_or_default();
    let (min, max) = (i128::from(extent.min), i128::from(extent.max));
    let early = if from == 0 { min < 0 } else { min <= from };
    let range = format!("{} to {}", measured(extent.min), measured(extent.max));
    let short = extent.count < rows;
    let holds = if early || max > to { Some(false) } else { (!short).then_some(true) };
    let actual = match short {
        true => {
            format!("{range}, known of {} of {}", words::count(extent.count), words::count(rows))
        }
        false => format!("{range} ({})", words::count(extent.count)),
    };
    Answer::of(holds, expected, actual, Rests::Times)
}

fn queue_at_close(
    plan: &Plan,
    summary: &Summary,
    extent: Option<Extent>,
    rows: u64,
    (index, category): (PopulationIndex, CloseCategory),
    (above, most): (u64, u64),
) -> Answer {
    let expected = format!(
        "queue at {category} above {} bytes, at most {}",
        words::count(above),
        words::count(most)
    );
    // Bytes in a queue are counted, not timed.
    let counted = |answer: Answer| Answer { rests: Rests::Counts, ..answer };
    if let Some(answer) = gap(plan, summary, extent, rows, (index, category), &expected) {
        return counted(answer);
    }
    let extent = extent.unwrap_or_default();
    let holds =
        i128::from(extent.min) > i128::from(above) && i128::from(extent.max) <= i128::from(most);
    let bytes = |value: i64| words::count(u64::try_from(value).unwrap_or(0));
    let actual = format!("{} to {} bytes", bytes(extent.min), bytes(extent.max));
    Answer::of(Some(holds), expected, actual, Rests::Counts)
}

/// Refused attempts of a population by HTTP status, as the clients saw them.
pub(super) fn refusals(summary: &Summary, index: PopulationIndex) -> BTreeMap<u16, u64> {
    let mut refusals = BTreeMap::new();
    for (key, tally) in &summary.closes {
        if let ClientObservation::Refused { status, .. } = &key.observation
            && key.population == index
        {
            *refusals.entry(*status).or_default() += tally.count;
        }
    }
    refusals
}

/// Close frames of the hub that came first and that a population's clients read, by code.
pub(super) fn close_codes(summary: &Summary, index: PopulationIndex) -> BTreeMap<CloseCode, u64> {
    let mut codes = BTreeMap::new();
    for (key, tally) in &summary.closes {
        if let ClientObservation::CloseFrame { code, first: CloseFirst::Hub, .. } = &key.observation
            && key.population == index
        {
            *codes.entry(code.unwrap_or(NO_CODE)).or_default() += tally.count;
        }
    }
    codes
}

/// Counts by number, whole: `what` is what a number is, `how` how it came about.
fn listed(found: &BTreeMap<u16, u64>, wanted: &[(u16, Quantity)], how: &str, what: &str) -> Answer {
    let mut demands: Vec<String> = wanted
        .iter()
        .map(|(number, quantity)| format!("{what} {number} {}", words::quantity(*quantity)))
        .collect();
    demands.push(if wanted.is_empty() { "nothing" } else { "nothing else" }.to_owned());
    let parts: Vec<String> = found
        .iter()
        .map(|(number, count)| format!("{what} {number}: {}", words::count(*count)))
        .collect();
    let actual = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
    let of = |number| found.get(&number).copied().unwrap_or(0);
    let is_listed = |number: &u16| wanted.iter().any(|(listed, _)| listed == number);
    let holds = wanted.iter().all(|(number, quantity)| quantity.holds(of(*number)))
        && found.keys().all(is_listed);
    let expected = format!("{how} with {}", demands.join(", "));
    Answer::of(Some(holds), expected, format!("{how} with {actual}"), Rests::Counts)
}

/// Bodies of refused attempts of a population with one HTTP status, and how often they came.
pub(super) fn refused_with(
    summary: &Summary,
    index: PopulationIndex,
    status: u16,
) -> BTreeMap<&str, u64> {
    let mut bodies = BTreeMap::new();
    for (key, tally) in summary.closes.iter().filter(|(key, _)| key.population == index) {
        if let ClientObservation::Refused { status: of, body } = &key.observation
            && *of == status
        {
            *bodies.entry(body.as_str()).or_default() += tally.count;
        }
    }
    bodies
}

fn refused_body(summary: &Summary, index: PopulationIndex, wanted: &[(u16, String)]) -> Answer {
    let mut holds = true;
    let (mut demands, mut parts) = (Vec::new(), Vec::new());
    for (status, text) in wanted {
        demands.push(format!("status {status}: {text:?}"));
        let bodies = refused_with(summary, index, *status);
        holds &= bodies.len() == 1 && bodies.contains_key(text.as_str());
        let seen: Vec<String> = bodies
            .iter()
            .take(BODIES_NAMED_MAX)
            .map(|(body, count)| format!("{} x {body:?}", words::count(*count)))
            .collect();
        let seen = if seen.is_empty() { "nobody".to_owned() } else { seen.join(", ") };
        let more = bodies.len().saturating_sub(BODIES_NAMED_MAX) as u64;
        let more = match more {
            0 => String::new(),
            more => format!(" and {} more", words::count(more)),
        };
        parts.push(format!("status {status}: {seen}{more}"));
    }
    let expected = format!("refused with {}", demands.join(", "));
    Answer::of(Some(holds), expected, format!("refused with {}", parts.join("; ")), Rests::Counts)
}

fn counted(wanted: Quantity, count: u64, what: &str) -> Answer {
    let expected = format!("{what} {}", words::quantity(wanted));
    let actual = format!("{what} {}", words::count(count));
    Answer::of(Some(wanted.holds(count)), expected, actual, Rests::Counts)
}

fn amplification(population: &PopulationSummary, at_most: f64) -> Answer {
    let expected = format!("at most {} attempts per dropped client", words::digits(at_most));
    if population.dropped == 0 {
        let nobody = "no samples: no client was dropped".to_owned();
        return Answer::of(Some(false), expected, nobody, Rests::Counts);
    }
    let ratio = population.recovery_attempts as f64 / population.dropped as f64;
    let actual = format!(
        "{} ({} attempts, {} clients)",
        words::digits(ratio),
        words::count(population.recovery_attempts),
        words::count(population.dropped)
    );
    Answer::of(Some(ratio <= at_most), expected, actual, Rests::Counts)
}

/// Nothing lost, nothing duplicated, nothing out of order.
fn complete(tally: &DeliveryTally) -> [(&'static str, Answer); 3] {
    let of = |count: u64, what: &str| {
        let actual = match tally.expected {
            0 => format!("{what} {}; no samples: no message had to arrive", words::count(count)),
            all => format!("{what} {} of {}", words::count(count), words::count(all)),
        };
        let holds = count == 0 && tally.expected > 0;
        Answer::of(Some(holds), format!("{what} = 0"), actual, Rests::Counts)
    };
    // Without a message to lose, the check of loss alone says so.
    let spare = |count: u64, what: &str| {
        let actual = format!("{what} {} of {}", words::count(count), words::count(tally.received));
        Answer::of(Some(count == 0), format!("{what} = 0"), actual, Rests::Counts)
    };
    [
        ("lost", of(tally.lost, "lost")),
        ("duplicated", spare(tally.duplicated, "duplicated")),
        ("out_of_order", spare(tally.out_of_order, "out of order")),
    ]
}

fn steady(summary: &Summary, index: PopulationIndex, ratio: f64, delta_ns: f64) -> Answer {
    let expected = format!(
        "message p99 after at most {} x before, or at most {} more",
        words::digits(ratio),
        words::time(delta_ns)
    );
    let p99 = |stage| {
        let of_it =
            |key: &crate::measure::LatencyKey| key.population == Some(index) && key.stage == stage;
        let response = summary.latency.sum(LatencyKind::Message, of_it)?.response;
        (!response.is_empty()).then(|| response.value_at_quantile(0.99) as f64 * 1e3)
    };
    let (before, after) = (p99(Stage::Before), p99(Stage::After));
    let text = |stage: &str, p99: Option<f64>| match p99 {
        Some(ns) => format!("{stage} {}", words::time_in(summary.world(), ns)),
        None => format!("no samples {stage}"),
    };
    let actual = format!("{}, {}", text("before", before), text("after", after));
    let holds = match (before, after) {
        (Some(before), Some(after)) => after <= before * ratio || after - before <= delta_ns,
        _ => false,
    };
    Answer::of(Some(holds), expected, actual, Rests::Times)
}

/// Whether rows of this category are expected of this population: what its `closes` lists; without
/// one, a close in order, what the faults aimed at it cause, and what its behaviour leads to.
#[must_use]
pub fn is_expected(plan: &Plan, population: PopulationIndex, category: CloseCategory) -> bool {
    let mut listed = plan
        .expectations
        .iter()
        .filter(|expectation| expectation.population == population)
        .filter_map(|expectation| match &expectation.claim {
            Claim::Closes(wanted) => Some(wanted),
            _ => None,
        })
        .peekable();
    if listed.peek().is_some() {
        return listed.flatten().any(|(of, quantity)| *of == category && quantity.at_most > 0);
    }
    category == CloseCategory::Normal
        || predict::addressed(plan, population).contains(&category)
        || match predict::fates(plan).get(usize::from(population)) {
            Some(Fate::Dropped { category: predicted, .. }) => *predicted == category,
            Some(Fate::Ambiguous { first, second }) => *first == category || *second == category,
            Some(Fate::Refused(refusal)) => refusal.category == category,
            Some(Fate::Leaves | Fate::Vanishes | Fate::Cut { .. }) | None => false,
        }
}
