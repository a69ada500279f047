//! What holds of the report of any load.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::capacity::{
    Basis, Growth, Inbound, LiveTrace, Need, OwnMessages, Prices, Profile, Reconnect, Retry,
    Revision, Slack, Target, Tier, Traffic, UnitList, Upstream, estimate,
};
use crate::report::table::WIDTH;

fn prices() -> Prices {
    Prices {
        date: date(2026, 9, 20),
        source: "a test".to_owned(),
        currency: "USD".to_owned(),
        region: "nowhere".to_owned(),
        standard_unit_day: 1.61,
        premium_unit_day: 2.0,
        million_messages: 1.0,
    }
}

fn told(load: &Workload) -> Estimate {
    estimate(load, Some((&prices(), date(2026, 10, 20))))
}

fn plain(coloured: &str) -> String {
    anstream::adapter::strip_str(coloured).to_string()
}

/// 20,000 users in groups of ten, and everything else that a workload can tell.
fn rich() -> Workload {
    let message = |name: &str, target, senders, rate, size| Traffic {
        name: name.to_owned(),
        target,
        senders,
        rate,
        size,
        own: OwnMessages::Delivered,
    };
    Workload {
        traffic: vec![
            message("chats", Target::Groups { count: 2_000, members: 10 }, 20_000, 0.1, 512),
            message("orders", Target::Upstream, 700, 0.3, 5_000),
            message("fills", Target::RestToUser, 1, 13.0, 700),
        ],
        slack: Slack { ghosts: 0.03, overlap: 0.05 },
        growth: Growth { per_month: 0.07 },
        live_trace: LiveTrace::On { record: 777 },
        held: Some((Tier::Standard, 20)),
        profile: Profile::hours(7.5),
        ..Workload::idle("rich", 20_000)
    }
}

fn counts(most: u64) -> impl Strategy<Value = u64> {
    // As many digits of each length.
    (0.0_f64..=1.0).prop_map(move |part| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "between 1 and the most"
        )]
        let count = (most as f64).powf(part).round() as u64;
        count.clamp(1, most)
    })
}

fn targets() -> impl Strategy<Value = Target> {
    prop_oneof![
        (counts(4_000_000_000), counts(4_000_000_000))
            .prop_map(|(count, members)| Target::Groups { count, members }),
        Just(Target::Everyone),
        Just(Target::Upstream),
        Just(Target::RestToUser),
        Just(Target::RestBroadcast),
    ]
}

fn traffics() -> impl Strategy<Value = Traffic> {
    let own = prop_oneof![Just(OwnMessages::Delivered), Just(OwnMessages::Withheld)];
    let parts = (targets(), counts(4_000_000_000), -9.0_f64..2.5, counts(1_048_576), own);
    ("[a-z]{1,40}", parts).prop_map(|(name, (target, senders, magnitude, size, own))| Traffic {
        name,
        target,
        senders,
        rate: 10_f64.powf(magnitude),
        size,
        own,
    })
}

fn workloads() -> impl Strategy<Value = Workload> {
    let revision = prop_oneof![Just(Revision::Newest), Just(Revision::Older)];
    let list = prop_oneof![Just(UnitList::Newest), Just(UnitList::Older)];
    let inbound = prop_oneof![Just(Inbound::Conditions), Just(Inbound::Limits)];
    let needs = prop_oneof![Just(None), Just(Some(Need::Autoscale))];
    let held = prop_oneof![Just(None), Just(Some((Tier::Standard, 1)))];
    let settings = (revision, list, inbound, needs, held, 0.01_f64..24.0);
    let shares = (0.0_f64..1.0, 0.0_f64..1.0, 0.0_f64..10.0, any::<bool>());
    let times = (counts(31_536_000_000), counts(31_536_000_000), counts(31_536_000_000));
    let load = (counts(4_294_967_295), prop::collection::vec(traffics(), 0..4));
    (load, settings, shares, times).prop_map(
        |((connections, traffic), settings, (ghosts, overlap, per_month, is_traced), times)| {
            let (revision, unit_list, inbound, need, held, hours) = settings;
            let lasting = Duration::from_millis;
            Workload {
                traffic,
                revision,
                unit_list,
                inbound,
                needs: need.into_iter().collect(),
                held,
                profile: Profile::hours(hours),
                slack: Slack { ghosts, overlap },
                growth: Growth { per_month },
                live_trace: match is_traced {
                    true => LiveTrace::On { record: 1_024 },
                    false => LiveTrace::Off,
                },
                reconnect: Reconnect {
                    first_within: lasting(times.0),
                    retry: Retry::Fixed { every: lasting(times.1) },
                },
                upstream: Upstream { latency: lasting(times.2), ..Upstream::default() },
                ..Workload::idle("any", connections)
            }
        },
    )
}

/// Asserts that a text stays within the width and has every piece of every cell whole.
fn assert_whole(load: &Workload) {
    let estimate = told(load);
    let told = plain(&text(load, &estimate, Detail::Formulas));
    for line in told.lines() {
        assert!(line.chars().count() <= usize::from(WIDTH), "{line}\n{load:?}");
    }
    let pieces: BTreeSet<&str> = told.split_whitespace().collect();
    for section in sections::all(&estimate, detail_of(load, &estimate, Detail::Formulas)) {
        for cell in section.rows.iter().flatten() {
            for piece in cell.split_whitespace() {
                assert!(pieces.contains(piece), "{piece} of {cell} is cut\n{told}\n{load:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_the_load_lines_fit_and_no_number_is_cut(load in workloads()) {
        assert_whole(&load);
    }
}

#[test]
fn the_largest_loads_fit_the_lines() {
    let everybody = |size, rate, target| Workload {
        traffic: vec![Traffic {
            name: "a name of somebody who likes long names of traffic".replace(' ', "-"),
            target,
            senders: 100_000_000,
            rate,
            size,
            own: OwnMessages::Delivered,
        }],
        ..Workload { traffic: Vec::new(), ..rich() }
    };
    for target in [Target::Everyone, Target::Groups { count: 10_000_000, members: 10 }] {
        for (size, rate) in [(1_048_576, 1.0), (1_048_576, 10_000.0), (1, 1e-9)] {
            let load = Workload { connections: 100_000_000, ..everybody(size, rate, target) };
            assert_whole(&load);
        }
    }
    assert_whole(&Workload::idle("nobody sends", u64::from(u32::MAX)));
    assert_whole(&rich());
}

#[test]
fn every_table_says_what_each_row_rests_on() {
    let names: Vec<&str> =
        [Basis::Measured, Basis::Model, Basis::MicrosoftBenchmark, Basis::Assumption]
            .map(Basis::name)
            .to_vec();
    let load = rich();
    let estimate = told(&load);
    for section in sections::all(&estimate, detail_of(&load, &estimate, Detail::Formulas)) {
        let last = section.columns.last().unwrap();
        assert_eq!(*last, Column::Names("basis"), "{}", section.title);
        for row in &section.rows {
            assert_eq!(row.len(), section.columns.len(), "{}: {row:?}", section.title);
            let basis = row.last().unwrap().as_str();
            assert!(names.contains(&basis), "{}: {row:?}", section.title);
        }
    }
}

/// Figures of a cell, each with its unit.
fn figures(cell: &str) -> BTreeSet<String> {
    let bound = crate::report::table::bound(&cell.replace(['(', ')', '×', '\n'], " "));
    let pieces = bound.split_ascii_whitespace().map(|piece| {
        let piece = piece.trim_matches([',', ';', ':']);
        piece.strip_suffix("/s").unwrap_or(piece).to_owned()
    });
    pieces.filter(|piece| piece.chars().any(|c| c.is_ascii_digit())).collect()
}

#[test]
fn every_number_of_the_report_is_found_in_the_formulas() {
    // Not computed: where prices are from, and what the guide says.
    const FACTS: [&str; 2] = ["prices of", "more units work"];
    let autoscaled = Workload { needs: [Need::Autoscale].into(), ..rich() };
    let free = Workload { connections: 12, traffic: Vec::new(), ..rich() };
    for load in [rich(), autoscaled, free, Workload::idle("crowd", 2_000_000)] {
        let estimate = told(&load);
        let formulas = explain::sections(&load, &estimate);
        let explained: BTreeSet<String> = formulas
            .iter()
            .flat_map(|one| one.rows.iter().flatten())
            .flat_map(|c| figures(c))
            .collect();
        let sections = sections::all(&estimate, Vec::new());
        let (last, computed) = sections.split_last().unwrap();
        assert_eq!(last.title, "Taken for granted");
        let mut missed = Vec::new();
        for section in computed {
            let rows = section.rows.iter().filter(|row| !FACTS.contains(&row[0].as_str()));
            for (row, cell) in rows.flat_map(|row| row[1..].iter().map(move |cell| (row, cell))) {
                let missing = figures(cell).into_iter().filter(|one| !explained.contains(one));
                missed.extend(missing.map(|one| format!("{}: {one} of {row:?}", section.title)));
            }
        }
        assert!(missed.is_empty(), "{}: {missed:#?}", load.title);
    }
}

#[test]
fn each_thing_that_a_workload_tells_stands_in_the_formulas() {
    let load = rich();
    let sections = explain::sections(&load, &told(&load));
    let cells: Vec<&str> =
        sections.iter().flat_map(|one| one.rows.iter().flatten()).map(String::as_str).collect();
    let told = cells.join("\n");
    for part in [
        "20,000 × 0.1/s",
        "records a second = messages in + messages out",
        "⌈777 B / 2 KiB⌉",
        "ln(1 + 7.0 %)",
        "max(0, 43,200 - ",
        "⌈20,000 × 1 %⌉",
        "mean time away",
        "30.4 × ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn a_revision_that_changes_the_answer_is_told_before_the_tables() {
    let mut load = rich();
    load.traffic[0].rate = 0.5;
    let told = plain(&text(&load, &told(&load), Detail::Results));
    let (before, after) = told.split_once("  Load").unwrap();
    let before = before.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["200 in and 2,000 out", "400 in and 4,000 out", "--revision older"] {
        assert!(before.contains(part), "{part}: {before}");
    }
    assert!(after.contains("small groups by the newest revision"), "{after}");
}

#[test]
fn a_revision_that_changes_nothing_is_still_named_with_the_difference() {
    let load = Workload::idle("idle", 500);
    let told = plain(&text(&load, &told(&load), Detail::Results));
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = told.replace("azure-docs", "");
    for part in ["newest", "200 in", "older", "400 in", "no traffic"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("depends on which revision"), "{told}");
}
