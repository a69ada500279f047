//! The way of a whole file, from text to plan.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod builtins;
mod command_line;
mod expectations;
mod grammar;
mod mistakes;
mod profiles;
mod server_side;
mod upstream;
mod webhook;

use std::time::Duration;

use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn source(text: &str) -> Source {
    Source { name: "mine".into(), origin: "mine.toml".into(), text: text.into() }
}

fn try_plan(text: &str, overrides: &Overrides) -> Result<Plan, ScenarioErrors> {
    load(&source(text), overrides, &|name| (name == "ROOM").then(|| "lobby".to_owned()))
}

fn plan_with(text: &str, overrides: &Overrides) -> Plan {
    try_plan(text, overrides).unwrap_or_else(|errors| panic!("{errors}"))
}

fn plan(text: &str) -> Plan {
    plan_with(text, &Overrides::default())
}

fn errors(text: &str, overrides: &Overrides) -> String {
    try_plan(text, overrides).expect_err("a bad scenario").rendered
}

fn set(path: &str, value: &str) -> Overrides {
    Overrides { sets: vec![(path.into(), value.into())], ..Overrides::default() }
}

/// `healthy` (90) and `muted` (10) in a group, with more after it.
fn small(more: &str) -> String {
    let head = r#"
duration = "20s"
[populations.healthy]
count = 90
arrival = { rate = "50/s" }
groups = ["room"]
[populations.muted]
count = 10
arrival = { rate = "50/s" }
groups = ["room"]
behaviour = { suppress_pong = {} }
"#;
    format!("{head}{more}")
}

/// One population `p` of 10 with some keys.
fn one(keys: &str) -> plan::Population {
    plan(&format!("duration = \"20s\"\n[populations.p]\ncount = 10\n{keys}")).populations.remove(0)
}
