//! `behaviour = { … }`: what clients do or fail to do, each in its window.

use std::time::Duration;

use super::super::file::{BehaviourFile, SlowReadFile, VanishHow};
use super::super::plan::{Behaviour, Population, ReconnectPolicy, TimedBehaviour, Vanish};
use super::super::problem::{Place, Problem};
use super::super::units::{Lasting, Share};
use super::population::exactly_one;
use super::{At, Context};
use crate::protocol::Subprotocol;

/// A behaviour as it came, for checks between several.
struct Found {
    key: &'static str,
    place: Place,
    timed: TimedBehaviour,
}

/// Every behaviour of a population.
pub(super) fn all(
    context: &Context<'_>,
    at: Option<&At<BehaviourFile>>,
    protocol: Subprotocol,
) -> Vec<TimedBehaviour> {
    let Some(file) = at.and_then(At::get) else { return Vec::new() };
    let found = read(context, file, protocol);
    check_pairs(context, &found);
    found.into_iter().map(|found| found.timed).collect()
}

fn read(context: &Context<'_>, file: &BehaviourFile, protocol: Subprotocol) -> Vec<Found> {
    let mut all = Vec::new();
    let mut add = |key, place, behaviour, from: Option<&At<Lasting>>, until| {
        let from = context.start(from);
        let until = context.until(from, until);
        all.push(Found { key, place, timed: TimedBehaviour { behaviour, from, until } });
    };
    if let Some((at, file)) = file.suppress_pong.as_ref().and_then(|at| Some((at, at.get()?))) {
        let (from, until) = (file.from.as_ref(), file.until.as_ref());
        add("suppress_pong", at.place, Behaviour::SuppressPong, from, until);
    }
    if let Some((at, file)) = file.delay_pong.as_ref().and_then(|at| Some((at, at.get()?))) {
        let by = context.positive(&file.by).unwrap_or_default();
        let (from, until) = (file.from.as_ref(), file.until.as_ref());
        add("delay_pong", at.place, Behaviour::DelayPong { by }, from, until);
    }
    if let Some((at, file)) = file.lose_pong.as_ref().and_then(|at| Some((at, at.get()?))) {
        let probability = probability(context, &file.probability);
        let (from, until) = (file.from.as_ref(), file.until.as_ref());
        add("lose_pong", at.place, Behaviour::LosePong { probability }, from, until);
    }
    if let Some((at, file)) = file.app_ping.as_ref().and_then(|at| Some((at, at.get()?))) {
        if protocol == Subprotocol::Simple {
            context.push(
                Problem::new(at.place, "simple clients have no ping of their own")
                    .label("this is a frame of the JSON subprotocol")
                    .help("set protocol = \"json\", or leave `app_ping` out"),
            );
        }
        let every = context.positive(&file.every).unwrap_or(Duration::from_secs(1));
        let (from, until) = (file.from.as_ref(), file.until.as_ref());
        add("app_ping", at.place, Behaviour::AppPing { every }, from, until);
    }
    if let Some((at, file)) = file.slow_read.as_ref().and_then(|at| Some((at, at.get()?))) {
        let (from, until) = (file.from.as_ref(), file.until.as_ref());
        if let Some(behaviour) = slow_read(context, at, file) {
            add("slow_read", at.place, behaviour, from, until);
        }
    }
    if let Some((at, file)) = file.stall.as_ref().and_then(|at| Some((at, at.get()?))) {
        let (from, until) = (file.from.as_ref(), file.until.as_ref());
        add("stall", at.place, Behaviour::Stall, from, until);
    }
    if let Some((at, file)) = file.vanish.as_ref().and_then(|at| Some((at, at.get()?))) {
        let how = match file.how.get() {
            Some(VanishHow::Fin) => Vanish::Fin,
            Some(VanishHow::BlackHole) => Vanish::BlackHole,
            Some(VanishHow::Reset) | None => Vanish::Reset,
        };
        add("vanish", at.place, Behaviour::Vanish { how }, file.at.as_ref(), None);
    }
    all
}

fn probability(context: &Context<'_>, at: &At<Share>) -> f64 {
    let Share(share) = at.or(Share(1.0));
    if share <= 0.0 || share > 1.0 {
        context.push(
            Problem::new(at.place, format!("`{}` is not a probability", at.path))
                .label("expected more than 0% and at most 100%"),
        );
    }
    share
}

fn slow_read(
    context: &Context<'_>,
    at: &At<SlowReadFile>,
    file: &SlowReadFile,
) -> Option<Behaviour> {
    let forms = [
        ("bytes", file.bytes.as_ref().map(|at| at.place)),
        ("messages", file.messages.as_ref().map(|at| at.place)),
    ];
    exactly_one(context, at.place, &at.path, &forms)?;
    if let Some(bytes) = &file.bytes {
        let rate = context.positive_rate(bytes.get()?.0, bytes.place, &bytes.path)?;
        return Some(Behaviour::SlowReadBytes { rate });
    }
    let messages = file.messages.as_ref()?;
    let rate = context.positive_rate(messages.get()?.0, messages.place, &messages.path)?;
    Some(Behaviour::SlowReadMessages { rate })
}

/// Pairs that contradict each other while both windows are open, and why.
const CONTRADICTIONS: [(&str, &str, &str); 7] = [
    ("suppress_pong", "delay_pong", "a pong that is never sent cannot be late"),
    ("suppress_pong", "lose_pong", "no pong is sent at all, so none can be lost"),
    ("suppress_pong", "stall", "who does not read sees no ping"),
    ("delay_pong", "stall", "who does not read sees no ping"),
    ("lose_pong", "stall", "who does not read sees no ping"),
    ("slow_read", "stall", "who does not read at all does not read slowly"),
    ("delay_pong", "lose_pong", "a ping is either answered late or by chance"),
];

fn check_pairs(context: &Context<'_>, found: &[Found]) {
    for (first, second, why) in CONTRADICTIONS {
        let pick = |key| found.iter().find(|found| found.key == key);
        let (Some(first), Some(second)) = (pick(first), pick(second)) else { continue };
        let ends_before =
            |a: &Found, b: &Found| a.timed.until.is_some_and(|until| until <= b.timed.from);
        if ends_before(first, second) || ends_before(second, first) {
            continue;
        }
        context.push(
            Problem::new(
                second.place,
                format!("`{}` and `{}` contradict each other", first.key, second.key),
            )
            .label(why)
            .also(first.place, "holds at the same time")
            .help("keep one, or give them windows that do not overlap: from, until"),
        );
    }
}

/// Nothing can begin after a client is gone, unless it comes back.
pub(super) fn check_after_vanishing(
    context: &Context<'_>,
    at: Option<&At<BehaviourFile>>,
    population: &Population,
) {
    if population.reconnect.policy != ReconnectPolicy::None {
        return;
    }
    let is_vanishing =
        |timed: &&TimedBehaviour| matches!(timed.behaviour, Behaviour::Vanish { .. });
    let (Some(at), Some(gone)) = (at, population.behaviours.iter().find(is_vanishing)) else {
        return;
    };
    if population.behaviours.iter().any(|timed| !is_vanishing(&timed) && timed.from >= gone.from) {
        context.push(
            Problem::new(at.place, "a behaviour begins when the client has already vanished")
                .label(format!("gone from {:?} on", gone.from))
                .help("let it begin earlier, or give the population a `reconnect` policy"),
        );
    }
}
