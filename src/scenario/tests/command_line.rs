//! What the command line and the environment change in a file.

use super::super::plan::{Arrival, ArrivalSchedule, Fault};
use crate::protocol::settings::{LifeSign, Tier};

use super::*;

#[test]
fn the_profile_of_the_command_line_replaces_that_of_the_file() {
    let text = small("[hub]\nprofile = \"ci\"\nkeep_alive = { timeout = \"50s\" }");
    let overrides = Overrides { profile: Some("real".into()), ..Overrides::default() };
    let hub = plan_with(&text, &overrides).hub;
    assert_eq!((hub.keep_alive.interval, hub.keep_alive.timeout), (seconds(20), seconds(50)));
    assert_eq!(hub.queue.bytes, 16 << 20);
}

#[test]
fn a_total_is_shared_by_what_scales_and_arrivals_keep_their_time() {
    let text =
        small("[populations.cap]\ncount = 25\nscaling = \"fixed\"\narrival = { burst = {} }");
    let overrides =
        Overrides { total: Some(3_000), counts: vec![("cap".into(), 30)], ..Overrides::default() };
    let plan = plan_with(&text, &overrides);
    let counts: Vec<_> = plan.populations.iter().map(|p| p.count).collect();
    assert_eq!(counts, [2_700, 300, 30]);
    let Arrival::Open { schedule: ArrivalSchedule::Constant { rate }, .. } =
        plan.populations[0].arrival
    else {
        panic!("{:?}", plan.populations[0].arrival);
    };
    assert!((rate - 1_500.0).abs() < 1e-9, "{rate}");
}

#[test]
fn what_is_named_takes_no_part_in_the_total() {
    let overrides =
        Overrides { total: Some(50), counts: vec![("muted".into(), 7)], ..Overrides::default() };
    let counts: Vec<_> =
        plan_with(&small(""), &overrides).populations.iter().map(|p| p.count).collect();
    assert_eq!(counts, [50, 7]);
}

#[test]
fn settings_of_the_command_line_go_before_the_file() {
    let text = small("[hub]\nprofile = \"ci\"\n[[faults]]\nat = \"5s\"\nreload = {}");
    let with = |path, value| plan_with(&text, &set(path, value));
    assert_eq!(with("hub.keep_alive.life", "any-frame").hub.keep_alive.life, LifeSign::AnyFrame);
    assert_eq!(with("duration", "1m").duration, seconds(60));
    assert_eq!(with("populations.muted.count", "11").populations[1].count, 11);
    assert_eq!(with("faults.0.at", "\"6s\"").faults[0].at, seconds(6));
    assert_eq!(
        with("faults.0.reload", "{ over = \"2s\" }").faults[0].fault,
        Fault::Reload { share: 1.0, over: seconds(2) }
    );
    assert_eq!(with("thresholds.\"message.service\"", "[\"p(99)<1s\"]").thresholds.len(), 1);
    assert_eq!(with("expect.bystanders", "untouched").expectations.len(), 0);
}

#[test]
fn the_later_of_two_settings_counts() {
    let twice = Overrides {
        sets: vec![("duration".into(), "1m".into()), ("duration".into(), "2m".into())],
        ..Overrides::default()
    };
    assert_eq!(plan_with(&small(""), &twice).duration, seconds(120));
}

#[test]
fn seeds_come_from_the_command_line_then_the_file_then_are_one() {
    let given = Overrides { seed: Some(9), ..Overrides::default() };
    let written = format!("seed = 7\n{}", small(""));
    assert_eq!(plan(&small("")).seed, 1);
    assert_eq!(plan(&written).seed, 7);
    assert_eq!(plan_with(&written, &given).seed, 9);
}

#[test]
fn the_environment_fills_strings_and_nothing_else() {
    let text = small("").replace("\"room\"", "\"the-${env:ROOM}-${env:ROOM}\"");
    assert_eq!(plan(&text).groups, ["the-lobby-lobby"]);
    let by_set = set("title", "${env:ROOM}");
    assert_eq!(plan_with(&small(""), &by_set).title, "lobby");
}

#[test]
fn the_hash_tells_plans_apart_but_not_seeds() {
    let text = small("");
    let seeded = Overrides { seed: Some(5), ..Overrides::default() };
    assert_eq!(plan(&text).hash, plan(&text).hash);
    assert_eq!(plan(&text).hash, plan_with(&text, &seeded).hash);
    assert_ne!(plan(&text).hash, plan_with(&text, &set("grace", "4s")).hash);
    assert_ne!(plan(&text).hash, plan_with(&text, &set("populations.muted.count", "9")).hash);
}

#[test]
fn a_hub_file_has_the_keys_of_hub() {
    let hub = load_hub(&source("profile = \"ci\"\ntier = \"free\"\nqueue = { bytes = \"1MiB\" }"));
    let hub = hub.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((hub.tier, hub.units, hub.queue.bytes), (Tier::Free, 1, 1 << 20));
    assert_eq!(load_hub(&source("")).unwrap(), HubSettings::real());
    for (bad, said) in [
        ("units = \"auto\"", "does not know who will come"),
        ("tier = \"free\"\nunits = 2", "no step of 2 units"),
        ("[hub]\nunits = 2", "unknown key `hub`"),
        ("keep_alive = { timeout = \"1s\" }", "shorter than the ping interval"),
    ] {
        let told = load_hub(&source(bad)).expect_err(bad).rendered;
        assert!(told.contains(said) && told.contains("mine.toml:"), "{told}");
    }
}
