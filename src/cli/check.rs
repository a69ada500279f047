//! `squall check`.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;

use super::pick::{self, PickArguments};
use super::search::{self, Sought};
use super::{CliError, Exit, print, run};
use crate::event::World;
use crate::pace::{self, Purpose};
use crate::predict::{
    self, BudgetProblem, Conflict, ConflictKind, Fate, Forecast, HandlerForecast, HubPlace, Limits,
    Need, Refusal,
};
use crate::report::table::{self, Column};
use crate::report::{text, upstream, words};
use crate::scenario::Plan;
use crate::scenario::plan::search::{Order, Search, SetValue, Until};
use crate::scenario::plan::{Arrival, Claim, Population, PopulationIndex};
use crate::verdict::{self, Outcome};

/// Arguments of `squall check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    #[command(flatten)]
    pick: PickArguments,
    /// World the run would take place in
    #[arg(long, env = "SQUALL_WORLD", value_enum, default_value = "sockets")]
    world: World,
}

/// Validates scenarios and says what would happen. Nothing is started; what contradicts itself is
/// an error.
pub fn main(arguments: &CheckArguments) -> Result<Exit, CliError> {
    let mut picked = pick::load(&arguments.pick)?;
    let searches = search::take(&mut picked);
    let limits = run::limits();
    let (mut conflicts, mut short) = (0, 0);
    let plans = picked.plans.iter().map(|plan| (plan, None));
    for (plan, sought) in plans.chain(searches.iter().map(|sought| (sought.plan(), Some(sought)))) {
        let checked = Checked::of(plan, arguments.world, limits);
        let contradicts = |conflict: &&Conflict| conflict.kind == ConflictKind::Contradiction;
        conflicts += checked.conflicts.iter().filter(contradicts).count();
        short += usize::from(checked.short.is_some());
        print(&format!("{}\n", checked.render()));
        if let Some(sought) = sought {
            let searched = Searched::of(sought, arguments.world, limits)?;
            short += usize::from(searched.short.is_some());
            print(&format!("{}\n", searched.render(sought)));
        }
    }
    if conflicts > 0 {
        return Err(CliError::Conflicts(words::counted(conflicts as u64, "conflict")));
    }
    Ok(if short > 0 { Exit::Invalid } else { Exit::AsExpected })
}

/// Refuses plans that ask for what the world of their run does not have.
///
/// # Errors
///
/// A usage error that names the first such plan's reason and the way out.
pub fn fit_world(plans: &[Plan], world: World) -> Result<(), CliError> {
    let why = match world {
        World::Sockets => plans
            .iter()
            .find_map(predict::only_virtual)
            .map(|why| format!("{why}: run it with --world virtual")),
        World::Virtual => plans
            .iter()
            .find_map(predict::only_sockets)
            .map(|why| format!("{why}: run it with --world sockets")),
    };
    why.map_or(Ok(()), |why| Err(CliError::Usage(why)))
}

/// What a plan would do here.
struct Checked<'a> {
    plan: &'a Plan,
    /// The world that was asked for.
    world: World,
    forecasts: Vec<Forecast>,
    need: Need,
    limits: Limits,
    /// Expectations that the forecast speaks against.
    conflicts: Vec<Conflict>,
    /// The limit of this machine that the plan is past.
    short: Option<BudgetProblem>,
}

impl<'a> Checked<'a> {
    fn of(plan: &'a Plan, world: World, limits: Limits) -> Self {
        let place = match (world, predict::only_virtual(plan)) {
            (World::Sockets, None) => HubPlace::Embedded,
            (World::Virtual, _) | (World::Sockets, Some(_)) => HubPlace::InMemory,
        };
        let need = predict::need(plan, place);
        Self {
            plan,
            world,
            forecasts: predict::forecasts(plan),
            short: predict::budget_problem(&need, place, &limits),
            need,
            limits,
            conflicts: predict::conflicts(plan),
        }
    }

    fn render(&self) -> String {
        let mut out = self.head();
        self.populations(&mut out);
        self.timeline(&mut out);
        self.handler(&mut out);
        self.servers(&mut out);
        self.needs(&mut out);
        let needs = match self.world {
            World::Sockets => {
                predict::only_virtual(self.plan).map(|why| format!("--world virtual: {why}"))
            }
            World::Virtual => {
                predict::only_sockets(self.plan).map(|why| format!("--world sockets: {why}"))
            }
        };
        if let Some(words) = needs {
            out.push_str(&text::noted(text::style_of(Outcome::Undetermined), "needs", &words));
        }
        for (index, waits_for) in predict::idle_rules(self.plan) {
            let words = format!(
                "upstream.rules[{index}] takes {waits_for}, which nothing here brings to \
                 http://upstream: is the name right, and does an event handler take it?"
            );
            out.push_str(&text::noted(text::style_of(Outcome::Undetermined), "idle", &words));
        }
        for conflict in &self.conflicts {
            let (style, word) = match conflict.kind {
                ConflictKind::Contradiction => (text::style_of(Outcome::Fail), "conflict"),
                ConflictKind::Ambiguity => (text::style_of(Outcome::Undetermined), "may fail"),
            };
            out.push_str(&text::noted(style, word, &conflict.to_string()));
        }
        if let Some(short) = &self.short {
            let words = format!("{} {short}", self.plan.name);
            out.push_str(&text::noted(text::style_of(Outcome::Invalid), "too small", &words));
        }
        out
    }

    fn head(&self) -> String {
        let plan = self.plan;
        let hub = &plan.hub;
        format!(
            "{}: {}\n  {} in at most {}, seed {}, plan {}\n  \
             hub {}, {} ({} connections), ping every {}, timeout {}, queue {}\n",
            text::bold(&plan.name),
            plan.title,
            words::counted(plan.clients(), "client"),
            words::duration(plan.duration),
            plan.seed,
            plan.hash,
            words::tier_word(hub.tier),
            words::counted(u64::from(hub.units), "unit"),
            words::number(hub.connection_cap()),
            words::duration(hub.keep_alive.interval),
            words::duration(hub.keep_alive.timeout),
            words::bytes(hub.queue.bytes),
        )
    }

    fn populations(&self, out: &mut String) {
        let _ = writeln!(out, "\n  {}", text::bold("Populations"));
        let columns = [
            Column::Names("population"),
            Column::Figures("clients"),
            Column::Words("arrive"),
            Column::Words("do"),
            Column::Words("predicted"),
            Column::Words("expected"),
        ];
        let handler = predict::handler(self.plan);
        let rows = self.plan.populations.iter().zip(&self.forecasts).zip(0..);
        let rows = rows.map(|((population, forecast), index)| {
            let mut behaviour = words::behaviours(&population.behaviours);
            if let Some(reconnect) = words::reconnect(&population.reconnect) {
                let _ = write!(behaviour, "; {reconnect}");
            }
            if let Some(link) = words::shaping(&population.shaping) {
                let _ = write!(behaviour, "; {link}");
            }
            if let Some(rate) = population.churn {
                let _ = write!(behaviour, "; {}", words::churn(rate));
            }
            vec![
                population.name.clone(),
                words::number(u64::from(population.count)),
                words::arrival(&population.arrival),
                behaviour,
                forecast_words(forecast, handler),
                expected_words(self.plan, index),
            ]
        });
        out.push_str(&table::render(&columns, rows.collect()));
    }

    fn timeline(&self, out: &mut String) {
        let _ = writeln!(out, "\n  {}", text::bold("Timeline"));
        let rows =
            timeline(self.plan).into_iter().map(|(at, what)| vec![words::duration(at), what]);
        out.push_str(&table::render(
            &[Column::Figures("at"), Column::Words("what")],
            rows.collect(),
        ));
    }

    /// What the event handler of `connect` is asked, and does.
    fn handler(&self, out: &mut String) {
        let Some(load) = predict::handler_load(self.plan) else { return };
        let row = |what: &str, figure: String| vec![what.to_owned(), figure];
        let at_most = |count: u64| format!("at most {}", words::number(count));
        let mut rows = vec![
            row("answers", handler_words(predict::handler(self.plan))),
            row(
                "requests per call",
                match load.requests {
                    of if of.at_least == of.at_most => words::number(of.at_most),
                    of => {
                        format!("{} to {}", words::number(of.at_least), words::number(of.at_most))
                    }
                },
            ),
            row("calls per second, as clients arrive", at_most(load.arriving)),
        ];
        if let Some(storm) = load.storm {
            rows.push(row("calls per second, as they come back", at_most(storm)));
        }
        let _ = writeln!(out, "\n  {}", text::bold("Event handler of connect"));
        out.push_str(&table::render(&[Column::Words("what"), Column::Words("foretold")], rows));
    }

    /// What the hub's log and the application server must have seen.
    fn servers(&self, out: &mut String) {
        let demands = verdict::server_side_demands(self.plan);
        if demands.is_empty() {
            return;
        }
        let rows = demands.into_iter().map(|(path, what)| vec![path, what]).collect();
        let _ = writeln!(out, "\n  {}", text::bold("Expected of the servers"));
        out.push_str(&table::render(&[Column::Names("where"), Column::Words("what")], rows));
    }

    fn needs(&self, out: &mut String) {
        let need = &self.need;
        let of = |limit: Option<u64>| limit.map_or_else(|| "not known".to_owned(), words::number);
        let row = |what: &str, need: String, limit: String| vec![what.to_owned(), need, limit];
        let mut rows = vec![
            row("connections at once", words::number(need.connections_peak), String::new()),
            row("connections in all, but for recoveries", words::number(need.opens), String::new()),
            row("connects per second", words::number(need.connects_per_second), String::new()),
        ];
        if let Some(memory) = need.memory_bytes {
            let available = self.limits.memory.map_or_else(|| "not known".into(), words::bytes);
            rows.push(row("memory", words::bytes(memory), available));
        } else {
            let descriptors = of(Some(self.limits.descriptors_max));
            rows.push(row("descriptors", words::number(need.descriptors), descriptors));
            rows.push(row("ports", words::number(need.ports), of(self.limits.ports)));
            rows.push(row("kernel memory", words::bytes(need.kernel_bytes), String::new()));
        }
        if need.user_events > 0 {
            let each_second = words::number(need.user_events_per_second);
            rows.extend([
                row("user events to handlers", words::number(need.user_events), String::new()),
                row("user events per second", each_second, String::new()),
            ]);
        }
        rows.extend([
            row("messages in", words::number(need.messages_in), String::new()),
            row("messages out", words::number(need.messages_out), String::new()),
            row("messages of 2 KiB, as billed", words::number(need.billed_messages), String::new()),
        ]);
        let place = match need.memory_bytes {
            None => "Needs, with the embedded hub",
            Some(_) => "Needs, in the virtual world",
        };
        let _ = writeln!(out, "\n  {}", text::bold(place));
        let columns =
            [Column::Names("what"), Column::Figures("at most"), Column::Figures("limit here")];
        out.push_str(&table::render(&columns, rows));
    }
}

/// What the steps of a search would do here.
struct Searched {
    plans: Vec<Plan>,
    /// The limit of this machine that a step is past.
    short: Option<BudgetProblem>,
}

impl Searched {
    fn of(sought: &Sought, world: World, limits: Limits) -> Result<Self, CliError> {
        let plans = sought.plans()?;
        let place = match world {
            World::Sockets => HubPlace::Embedded,
            World::Virtual => HubPlace::InMemory,
        };
        let short = |plan| predict::budget_problem(&predict::need(plan, place), place, &limits);
        Ok(Self { short: plans.iter().find_map(short), plans })
    }

    fn render(&self, sought: &Sought) -> String {
        let search = sought.search();
        let mut out = format!("  {}\n", text::bold("Search, with a run for each step"));
        let columns = [Column::Names("what"), Column::Words("is")];
        let row = |what: &str, is: String| vec![what.to_owned(), is];
        let mut rows = Vec::new();
        for axis in &search.axes {
            rows.push(row("for each", format!("{} = {}", axis.key, listed(&axis.values))));
        }
        rows.push(row("set", format!("{} = {}", search.key, listed(&search.values))));
        rows.push(row("until", until_words(search).to_owned()));
        if let Some(expected) = &search.expected {
            rows.push(row("expected", listed(&expected.answers)));
        }
        let runs = search.steps_max() * search.combinations().len();
        let time: Duration = match search.order {
            Order::Listed => self.plans.iter().map(|plan| plan.duration).sum(),
            Order::Bisection => {
                let longest = self.plans.iter().map(|plan| plan.duration).max();
                let runs = u32::try_from(runs).unwrap_or(u32::MAX);
                longest.unwrap_or_default().saturating_mul(runs)
            }
        };
        rows.push(row(
            "at most",
            format!(
                "{}, {} of scenario time",
                words::counted(runs as u64, "run"),
                words::duration(time)
            ),
        ));
        rows.extend(self.forecast(search).map(|told| row("forecast", told)));
        out.push_str(&table::render(&columns, rows));
        if let Some(short) = &self.short {
            let words = format!("{} {short}", sought.name());
            out.push_str(&text::noted(text::style_of(Outcome::Invalid), "too small", &words));
        }
        out
    }

    /// The first value that is foretold to fail, of a search in order without outer keys.
    fn forecast(&self, search: &Search) -> Option<String> {
        if search.order != Order::Listed || !search.axes.is_empty() {
            return None;
        }
        let contradicted = |plan: &Plan| {
            let mut conflicts = predict::conflicts(plan).into_iter();
            conflicts.find(|conflict| conflict.kind == ConflictKind::Contradiction)
        };
        let failing = self.plans.iter().zip(&search.values);
        let mut failing = failing.filter_map(|(plan, value)| Some((value, contradicted(plan)?)));
        failing.next().map(|(value, why)| format!("{} fails: {why}", value.shown))
    }
}

/// Values past which a list of them is told by its ends.
const LISTED_MAX: usize = 12;

fn listed(values: &[SetValue]) -> String {
    let shown = |values: &[SetValue]| {
        values.iter().map(|value| value.shown.as_str()).collect::<Vec<_>>().join(", ")
    };
    match values {
        [first, second, .., last] if values.len() > LISTED_MAX => {
            let count = words::number(values.len() as u64);
            format!("{}, {}, … {}: {count} values", first.shown, second.shown, last.shown)
        }
        all => shown(all),
    }
}

const fn until_words(search: &Search) -> &'static str {
    match (search.until, search.order) {
        (Until::FirstFailure, Order::Listed) => {
            "the first failure; the last that passed is the answer"
        }
        (Until::FirstFailure, Order::Bisection) => {
            "the highest that passes is known, by halving; it is the answer"
        }
        (Until::FirstSuccess, Order::Listed) => "the first that passes, which is the answer",
        (Until::FirstSuccess, Order::Bisection) => {
            "the lowest that passes is known, by halving; it is the answer"
        }
        (Until::Exhausted, _) => "all were run",
    }
}

/// Arrivals, windows of behaviours, traffic, faults and the event handler's server, by time.
fn timeline(plan: &Plan) -> Vec<(Duration, String)> {
    let mut rows = Vec::new();
    for population in &plan.populations {
        let first = match &population.arrival {
            Arrival::Open { start, .. } | Arrival::Closed { start, .. } => *start,
        };
        let count = words::number(u64::from(population.count));
        let last = last_arrival(plan, population);
        let until = last
            .filter(|last| *last > first)
            .map_or_else(String::new, |last| format!(", the last at {}", words::duration(last)));
        rows.push((first, format!("{count} {} arrive{until}", population.name)));
        for timed in &population.behaviours {
            let what = words::behaviours(std::slice::from_ref(timed));
            rows.push((timed.from, format!("{}: {what}", population.name)));
        }
    }
    for traffic in &plan.traffic {
        let until = traffic
            .until
            .map_or_else(String::new, |until| format!(", until {}", words::duration(until)));
        rows.push((traffic.start, format!("{}{until}", words::traffic(plan, traffic))));
    }
    for fault in &plan.faults {
        rows.push((fault.at, words::fault(plan, &fault.fault)));
    }
    if let Some(script) = &plan.upstream {
        rows.extend(upstream::timeline(script));
    }
    rows.push((plan.duration, "the end, at the latest".to_owned()));
    rows.sort_by_key(|(at, _)| *at);
    rows
}

/// When the last client of an open arrival is planned.
fn last_arrival(plan: &Plan, population: &Population) -> Option<Duration> {
    let Arrival::Open { start, schedule } = &population.arrival else { return None };
    let rng = pace::stream(plan.seed, &population.name, 0, Purpose::Arrival);
    pace::arrivals(schedule, population.count, rng).last().map(|last| *start + last)
}

fn handler_words(handler: HandlerForecast) -> String {
    match handler {
        HandlerForecast::NotAsked => "nobody asks".to_owned(),
        HandlerForecast::LetsIn => "lets everybody in".to_owned(),
        HandlerForecast::Refuses(refusal) => refusal_words(refusal),
        HandlerForecast::Open => "not foretold: it depends on when it is asked".to_owned(),
    }
}

fn refusal_words(refusal: Refusal) -> String {
    let Refusal { status, from, to, .. } = refusal;
    let after = match (from == to, to.is_zero()) {
        (_, true) => "at once".to_owned(),
        (true, false) => format!("after {}", words::duration(to)),
        (false, false) => {
            format!("after {} to {}", words::duration(from), words::duration(to))
        }
    };
    format!("refused with {status} {after}")
}

fn forecast_words(forecast: &Forecast, handler: HandlerForecast) -> String {
    match &forecast.fate {
        Fate::Refused(refusal) => refusal_words(*refusal),
        _ if handler == HandlerForecast::Open => "as the event handler answers".to_owned(),
        Fate::Leaves => "leave in order".to_owned(),
        Fate::Vanishes => "vanish".to_owned(),
        Fate::Cut { from, to } => format!(
            "cut by the link, {} to {} after the open",
            words::duration(*from),
            words::duration(*to)
        ),
        Fate::Ambiguous { first, second } => format!("{first} or {second}: they race"),
        Fate::Dropped { from, to, .. } => {
            let drops = forecast
                .drops
                .iter()
                .map(|(category, rows)| format!("{category} {}", words::quantity(*rows)));
            let drops: Vec<_> = drops.collect();
            let within = match (from.is_zero(), to.is_zero()) {
                (true, true) => String::new(),
                (true, false) => format!(", within {}", words::duration(*to)),
                _ => format!(", {} to {} after", words::duration(*from), words::duration(*to)),
            };
            format!("{}{within}", drops.join(", "))
        }
    }
}

fn expected_words(plan: &Plan, population: PopulationIndex) -> String {
    let of = plan.expectations.iter().filter(|expectation| expectation.population == population);
    let mut parts = Vec::new();
    for expectation in of {
        match &expectation.claim {
            Claim::Closes(closes) => {
                parts.extend(closes.iter().map(|(category, quantity)| {
                    format!("{category} {}", words::quantity(*quantity))
                }))
            }
            Claim::Refused(refused) => {
                parts.extend(refused.iter().map(|(status, quantity)| {
                    format!("HTTP {status} {}", words::quantity(*quantity))
                }))
            }
            _ => {}
        }
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}
