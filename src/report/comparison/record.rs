//! From a run, and from a plan, to what comparisons rest on.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::event::World;
use crate::measure::{LatencyKind, Summary};
use crate::report::run_file::{LatencySeries, PopulationFacts, RunFile, TargetPlace};
use crate::report::words;
use crate::scenario::Plan;
use crate::verdict::comparison::{
    Fingerprint, LatencyRecord, Machine, PlanRecord, PopulationRecord, Record,
};
use crate::verdict::{self, CheckKind};

/// Bytes of the digest of a part of a plan; two digits each.
const DIGEST_BYTES: usize = 4;

/// Parts of a plan that follow from others, or are told as settings.
const NOT_DIGESTED: [&str; 5] = ["name", "title", "duration", "groups", "streams"];

/// What is kept of a run.
#[must_use]
pub fn record(run: &RunFile) -> Record {
    let facts = &run.run;
    // RFC 3339: the day is what stands before the T.
    let date = run.machine.started.split('T').next().unwrap_or_default().to_owned();
    Record {
        scenario: facts.scenario.clone(),
        seed: facts.seed,
        squall_version: facts.squall_version.clone(),
        date,
        outcome: run.outcome,
        how: run.how,
        fingerprint: fingerprint(run),
        plan: PlanRecord {
            hash: facts.plan_hash.clone(),
            settings: facts.settings.clone(),
            digests: facts.digests.clone(),
        },
        hub_observed: run.hub_observed(),
        populations: run.populations.iter().map(population).collect(),
        latency: run.latency_total.iter().filter_map(latency).collect(),
    }
}

fn population(facts: &PopulationFacts) -> PopulationRecord {
    PopulationRecord {
        name: facts.name.clone(),
        clients: facts.clients,
        attempts: facts.attempts,
        opens: facts.opens,
        refusals: facts.refusals,
        dropped: facts.dropped,
        recovered: facts.recovered,
        categories: facts.categories.clone(),
        delivery: facts.delivery,
        replies: facts.replies,
    }
}

fn latency(series: &LatencySeries) -> Option<LatencyRecord> {
    if series.kind == LatencyKind::SendLag {
        return None;
    }
    let quantiles = series.response?;
    let samples = quantiles.count;
    let p95 = quantiles.p95_us.filter(|_| samples >= LatencyRecord::P95_SAMPLES_MIN);
    let p99 = Some(quantiles.p99_us).filter(|_| samples >= LatencyRecord::P99_SAMPLES_MIN);
    let (kind, p50_us) = (series.kind, quantiles.p50_us);
    Some(LatencyRecord { kind, samples, p50_us, p95_us: p95, p99_us: p99 })
}

fn fingerprint(run: &RunFile) -> Fingerprint {
    let facts = &run.run;
    let world = facts.world;
    let computer = match world {
        World::Virtual => None,
        World::Sockets => run.machine.computer.clone(),
    };
    let target = match facts.target.place {
        TargetPlace::Embedded => "embedded hub".to_owned(),
        TargetPlace::Loopback => "another process".to_owned(),
        TargetPlace::Remote => facts.target.endpoint.clone(),
    };
    let machine = computer.map(|computer| Machine {
        os: computer.os,
        arch: computer.arch,
        cpu: computer.cpu,
        cores: run.machine.cores,
        threads: run.machine.threads,
        target,
        build: computer.build,
        squall: version_class(&facts.squall_version),
    });
    Fingerprint { world, machine }
}

/// `0.1` of `0.1.7`.
fn version_class(version: &str) -> String {
    version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

/// What is kept of a plan.
#[must_use]
pub fn plan_record(plan: &Plan) -> PlanRecord {
    PlanRecord { hash: plan.hash.clone(), settings: settings(plan), digests: digests(plan) }
}

/// The settings that people change most, by the key that changes them.
fn settings(plan: &Plan) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    let mut tell = |key: String, value: String| told.insert(key, value);
    let hub = &plan.hub;
    tell("title".into(), plan.title.clone());
    tell("duration".into(), words::duration(plan.duration));
    tell("hub.tier".into(), words::tier_word(hub.tier).to_owned());
    tell("hub.units".into(), hub.units.to_string());
    tell("hub.keep_alive.interval".into(), words::duration(hub.keep_alive.interval));
    tell("hub.keep_alive.timeout".into(), words::duration(hub.keep_alive.timeout));
    tell("hub.queue.bytes".into(), words::bytes(hub.queue.bytes));
    tell("hub.queue.messages".into(), words::number(hub.queue.messages));
    for population in &plan.populations {
        let key = |of: &str| format!("populations.{}.{of}", population.name);
        tell(key("count"), words::number(u64::from(population.count)));
        tell(key("arrival"), words::arrival(&population.arrival));
        tell(key("behaviour"), words::behaviours(&population.behaviours));
        if let Some(reconnect) = words::reconnect(&population.reconnect) {
            tell(key("reconnect"), reconnect);
        }
        if let Some(shaping) = words::shaping(&population.shaping) {
            tell(key("shaping"), shaping);
        }
        if let Some(churn) = population.churn {
            tell(key("churn"), words::churn(churn));
        }
    }
    for traffic in &plan.traffic {
        tell(format!("traffic.{}", traffic.name), words::traffic(plan, traffic));
    }
    for (index, fault) in plan.faults.iter().enumerate() {
        let what = words::fault(plan, &fault.fault);
        tell(format!("faults[{index}]"), format!("{what}, at {}", words::duration(fault.at)));
    }
    // What a plan demands is worded where it is judged; nothing has to have happened for that.
    let sizes = plan.populations.iter().map(|one| (one.name.clone(), u64::from(one.count)));
    let nothing = Summary::new(&sizes.collect::<Vec<_>>());
    for check in verdict::judge(plan, &nothing).checks {
        match check.kind {
            CheckKind::Expectation | CheckKind::Threshold => tell(check.path, check.expected),
            CheckKind::Invariant => None,
        };
    }
    told
}

/// A digest of each part of a plan, by its name: a population, a traffic, the hub.
fn digests(plan: &Plan) -> BTreeMap<String, String> {
    let Ok(Value::Object(parts)) = serde_json::to_value(plan) else { return BTreeMap::new() };
    let mut digests = BTreeMap::new();
    for (part, mut value) in parts.into_iter().filter(|(part, _)| !is_told(part)) {
        without_numbering(&mut value);
        let part = match part.as_str() {
            "expectations" => "expect".to_owned(),
            _ => part,
        };
        match value {
            Value::Array(items) if items.iter().all(|item| name_of(item).is_some()) => {
                for item in items {
                    let name = name_of(&item).unwrap_or_default();
                    digests.insert(format!("{part}.{name}"), digest(&item));
                }
            }
            value => {
                digests.insert(part, digest(&value));
            }
        }
    }
    digests
}

fn is_told(part: &str) -> bool {
    NOT_DIGESTED.contains(&part)
}

fn name_of(item: &Value) -> Option<&str> {
    item.get("name")?.as_str()
}

/// Streams are numbered through the plan: a change of one traffic is none of those after it.
fn without_numbering(value: &mut Value) {
    if let Value::Array(items) = value {
        for item in items {
            if let Value::Object(fields) = item {
                fields.remove("stream_base");
            }
        }
    }
}

fn digest(value: &Value) -> String {
    let mut told = String::new();
    for byte in &Sha256::digest(value.to_string())[..DIGEST_BYTES] {
        let _ = write!(told, "{byte:02x}");
    }
    told
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::report::samples;
    use crate::scenario::{self, Overrides, Source};

    fn plan(sets: &[(&str, &str)]) -> Plan {
        let builtin = scenario::builtins().iter().find(|found| found.name == "slow-client");
        let text = builtin.unwrap().text.to_owned();
        let source = Source { name: "slow-client".into(), origin: "x".into(), text };
        let sets = sets.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let overrides = Overrides { sets: sets.collect(), ..Overrides::default() };
        scenario::load(&source, &overrides, &|_| None).unwrap()
    }

    fn changed(sets: &[(&str, &str)]) -> Vec<String> {
        let mut base = record(&samples::passed());
        base.plan = plan_record(&plan(&[]));
        let changes = base.plan_changes(&plan_record(&plan(sets)));
        changes.into_iter().map(|change| change.what).collect()
    }

    #[test]
    fn every_change_of_a_plan_is_told_by_its_key_or_its_part() {
        for (key, value, told) in [
            ("hub.queue.bytes", "128KiB", "hub.queue.bytes"),
            ("hub.limits.message", "2MiB", "hub"),
            ("traffic.feed.rate", "1/s", "traffic.feed"),
            ("populations.stalled.count", "3", "populations.stalled.count"),
            ("populations.stalled.lifetime", "1s", "populations.stalled"),
            ("title", "another", "title"),
        ] {
            let changes = changed(&[(key, value)]);
            assert!(changes.iter().any(|change| change == told), "{key}: {changes:?}");
        }
        assert!(changed(&[]).is_empty());
    }

    #[test]
    fn what_is_demanded_is_a_setting() {
        let settings = plan_record(&plan(&[])).settings;
        let closes = settings.get("expect.stalled.closes").unwrap();
        assert!(closes.contains("SlowClient = 20"), "{closes}");
    }

    #[test]
    fn how_late_the_generator_sent_is_not_kept() {
        let run = samples::passed();
        let has = |kind| run.latency_total.iter().any(|series| series.kind == kind);
        assert!(has(LatencyKind::SendLag));
        assert!(record(&run).latency.iter().all(|one| one.kind != LatencyKind::SendLag));
    }

    #[test]
    fn quantiles_of_too_few_samples_are_not_kept() {
        let mut run = samples::passed();
        run.latency_total[0].response.as_mut().unwrap().count = 99;
        let kept = |run: &RunFile| record(run).latency[0];
        assert_eq!((kept(&run).p95_us, kept(&run).p99_us), (Some(2_400), None));
        run.latency_total[0].response.as_mut().unwrap().count = 19;
        assert_eq!((kept(&run).p95_us, kept(&run).p99_us), (None, None));
    }

    #[test]
    fn a_fingerprint_has_a_machine_over_sockets_only() {
        let machine = record(&samples::passed()).fingerprint.machine.unwrap();
        assert_eq!((machine.cores, machine.squall.as_str()), (2, "0.0"));
        assert_eq!(machine.target, "embedded hub");
        assert_eq!(record(&samples::simulated()).fingerprint.machine, None);
        let mut old = samples::passed();
        old.machine.computer = None;
        assert_eq!(record(&old).fingerprint.machine, None);
    }
}
