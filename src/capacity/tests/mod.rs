//! The worked examples and tables of the documents, number by number, and what holds of any load.
#![allow(clippy::unwrap_used, reason = "tests")]

mod estimates;
mod examples;
mod properties;
mod storms;
mod tables;

use super::*;

/// A workload with one kind of traffic.
fn workload(connections: u64, traffic: Traffic) -> Workload {
    Workload { traffic: vec![traffic], ..Workload::idle("example", connections) }
}

fn traffic(target: Target, senders: u64, rate: f64, size: u64) -> Traffic {
    Traffic {
        name: "messages".to_owned(),
        target,
        senders,
        rate,
        size,
        own: OwnMessages::Delivered,
    }
}

/// 5,000 viewers of one broadcaster: 1 KiB every two seconds, all day.
fn broadcast() -> Workload {
    workload(5_000, traffic(Target::Everyone, 1, 0.5, 1_024))
}

/// 20,000 users in groups of ten, a message of 512 bytes every ten seconds each, 8 hours.
fn small_groups() -> Workload {
    let groups = Target::Groups { count: 2_000, members: 10 };
    Workload { profile: Profile::hours(8.0), ..workload(20_000, traffic(groups, 20_000, 0.1, 512)) }
}

/// 900 devices, an event a second each, echoed by the upstream.
fn echo() -> Workload {
    workload(900, traffic(Target::Upstream, 900, 1.0, 2_048))
}

/// 20 clients that get 2 KiB a second each.
fn free() -> Workload {
    workload(20, traffic(Target::RestBroadcast, 1, 1.0, 2_048))
}

fn close(actual: f64, expected: f64) -> bool {
    (actual - expected).abs() <= expected.abs() * 1e-9
}
