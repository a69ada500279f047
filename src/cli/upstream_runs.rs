//! Runs with a scripted application server, whole, in both worlds.

#![allow(clippy::unwrap_used, reason = "tests")]

use tokio::task::LocalSet;

use super::interrupt::Interrupts;
use super::session::{self, Context, Keep};
use super::world;
use crate::engine::Shards;
use crate::event::World;
use crate::net::Clock;
use crate::protocol::webhook::{
    EventHandler, EventSettings, SystemEvent, UrlTemplate, UserEventPattern,
};
use crate::report::RunFile;
use crate::report::live::LiveMode;
use crate::report::recorder::Latest;
use crate::scenario::{self, Overrides, Plan, Source};
use crate::verdict::{Check, CheckKind, Outcome};

/// Ten clients at once, and a handler that gets every event.
fn plan(more: &str) -> Plan {
    let text = format!(
        "duration = \"30s\"\n[populations.fleet]\ncount = 10\narrival = {{ burst = {{}} }}\n{more}"
    );
    let source = Source { name: "mine".into(), origin: "mine.toml".into(), text };
    let mut plan = scenario::load(&source, &Overrides::default(), &|_| None).unwrap();
    let handler = EventHandler {
        url: UrlTemplate::parse("http://upstream/{hub}/{event}").unwrap(),
        user_events: UserEventPattern::parse("*").unwrap(),
        system_events: SystemEvent::ALL.into_iter().collect(),
    };
    plan.hub.events = EventSettings { handlers: vec![handler], ..EventSettings::default() };
    plan
}

fn run(plan: Plan, world: World) -> RunFile {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = LocalSet::new();
    let interrupts = local.block_on(&runtime, async { Interrupts::listen("") }).unwrap();
    let context = Context {
        clock: Clock::system(),
        target: None,
        ca_file: None,
        shards: match world {
            World::Sockets => Shards::Threads(1),
            World::Virtual => Shards::Here,
        },
        cores: 1,
        latest: Latest::Leave,
        live: LiveMode::Quiet,
        interrupts,
        watch: None,
        secrets: Vec::new(),
    };
    let done = match world {
        World::Sockets => {
            local.block_on(&runtime, session::run(&context, plan, &Keep::Nothing, "mine"))
        }
        World::Virtual => world::live(&context, plan, &Keep::Nothing, "mine"),
    };
    done.unwrap().run
}

#[track_caller]
fn assert_passes(more: &str, expectations: usize) {
    for world in [World::Virtual, World::Sockets] {
        let run = run(plan(more), world);
        // Other tests of this process open and close descriptors meanwhile.
        let is_alone = world == World::Virtual;
        let bad = |check: &&Check| check.outcome != Outcome::Pass;
        let bad: Vec<_> =
            run.checks.iter().filter(bad).filter(|of| is_alone || of.path != "I6").collect();
        assert!(bad.is_empty(), "{world:?}: {bad:#?}");
        let of = |kind| run.checks.iter().filter(|check| check.kind == kind).count();
        assert_eq!(of(CheckKind::Expectation), expectations);
    }
}

#[test]
fn a_handler_that_answers_404_refuses_everybody_and_is_logged_as_the_guide_has_it() {
    assert_passes(
        r#"
[[upstream.rules]]
on = ["connect"]
answer = { status = 404 }
[expect.fleet]
closes = { SendEventFailed = "all" }
refused = { 404 = "all" }
[[expect_log]]
event = "HttpHandlerUnexpectedResponse"
message = """Sending message during operation hub:{hub},event:connect,type:sys,\
category:connections,requestType:Connect got unexpected response with status code 404."""
count = "all"
[expect_upstream]
validate = 1
connect = "all"
connected = "none"
disconnected = "none"
"#,
        7,
    );
}

#[test]
fn a_healthy_handler_hears_of_every_connection_from_its_start_to_its_end() {
    assert_passes(
        r#"
[upstream]
[[faults]]
at = "500ms"
leave = { population = "fleet" }
[expect.fleet]
closes = { Normal = "all" }
opens = "all"
refused = {}
[expect_upstream]
validate = 1
connect = "all"
connected = "all"
disconnected = "all"
"#,
        7,
    );
}

#[test]
fn a_handler_that_is_down_is_told_by_the_validation_that_fails() {
    assert_passes(
        r#"
[upstream]
down = [{}]
[expect.fleet]
closes = { SendEventFailed = "all" }
refused = { 500 = "all" }
[[expect_log]]
event = "AbuseProtectionResponseFailed"
message = "Abuse protection validation for 'http://upstream/{hub}/validate' failed."
count = 1
[expect_upstream]
validate = 0
connect = 0
"#,
        5,
    );
}
