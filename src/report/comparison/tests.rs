//! Golden texts of comparisons, over changed samples.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::{Names, markdown, record, text};
use crate::protocol::CloseCategory;
use crate::report::run_file::RunFile;
use crate::report::samples;
use crate::verdict::comparison::{Comparison, Demand, compare};

const NAMES: Names<'_> = Names { base: "baselines/ping-timeout.json", run: "squall-runs/x" };

fn plain(coloured: &str) -> String {
    anstream::adapter::strip_str(coloured).to_string()
}

fn against(change: impl FnOnce(&mut RunFile)) -> Comparison {
    let mut run = samples::passed();
    change(&mut run);
    compare(&record(&samples::passed()), &record(&run), Demand::WhatCanBe)
}

fn worse(run: &mut RunFile) {
    run.populations[1].categories.insert(CloseCategory::SlowClient, 1);
    run.populations[0].delivery.lost = 1;
    run.populations[0].delivery.received -= 1;
    run.latency_total[1].response.as_mut().unwrap().p99_us = 60_000;
}

fn elsewhere(run: &mut RunFile) {
    worse(run);
    run.machine.cores = 64;
    run.run.seed = 8;
    run.run.squall_version = "0.3.1".into();
}

fn changed(run: &mut RunFile) {
    run.run.plan_hash = "fedcba9876543210".into();
    run.run.settings.insert("hub.queue.bytes".into(), "128 KiB".into());
    run.run.settings.insert("hub.units".into(), "2".into());
    run.run.digests.insert("traffic.feed".into(), "00112233".into());
}

#[test]
fn text_of_every_finding() {
    let told = [
        against(|_| {}),
        against(worse),
        against(elsewhere),
        against(changed),
        compare(&record(&samples::passed()), &record(&samples::simulated()), Demand::Everything),
    ]
    .map(|comparison| plain(&text(&comparison, NAMES)));
    for line in told.iter().flat_map(|text| text.lines()) {
        assert!(line.chars().count() <= 100, "{line}");
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn markdown_tells_what_is_not_as_it_was() {
    let told = [against(|_| {}), against(worse), against(changed)];
    insta::assert_snapshot!(told.map(|comparison| markdown(&comparison, NAMES)).join("\n"));
}
