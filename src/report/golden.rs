//! Golden output of every format, over the same two runs. The samples hold no times or paths of the
//! machine, so what stands here is what users read.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::spread::Spread;
use super::{html, junit, markdown, run_file, samples, text};
use crate::event::World;

fn plain(coloured: &str) -> String {
    anstream::adapter::strip_str(coloured).to_string()
}

#[test]
fn text_of_a_run_that_passed() {
    insta::assert_snapshot!(plain(&text::render(&samples::passed(), "squall-runs/x")));
}

#[test]
fn text_of_a_run_that_failed() {
    insta::assert_snapshot!(plain(&text::render(&samples::failed(), "squall-runs/x")));
}

#[test]
fn text_of_a_run_in_the_virtual_world() {
    insta::assert_snapshot!(plain(&text::render(&samples::simulated(), "squall-runs/x")));
}

#[test]
fn every_report_names_the_world_and_calls_simulated_times_so() {
    for (run, world) in [(samples::passed(), "sockets"), (samples::simulated(), "virtual")] {
        let one = [run.clone()];
        let both = [run.clone(), run.clone()];
        for (format, report) in [
            ("text", plain(&text::render(&run, "squall-runs/x"))),
            ("overview", plain(&text::overview(&both))),
            ("markdown", markdown::render(&one)),
            ("html", html::render(&run)),
            ("junit", junit::render(&one).unwrap().replace("\"world\" value=\"", "world ")),
        ] {
            assert!(report.contains(&format!("world {world}")), "{format}: {report}");
        }
        let told = [text::render(&run, "x"), markdown::render(&one), html::render(&run)];
        for report in told {
            let is_simulated = run.run.world == World::Virtual;
            assert_eq!(report.contains("simulated time at 1 ms resolution"), is_simulated);
            assert!(report.contains("emulator on this machine, not Azure"), "{report}");
        }
    }
}

#[test]
fn a_run_without_a_title_still_has_its_verdict() {
    let mut run = samples::passed();
    run.run.title = String::new();
    assert_eq!(plain(&text::headline(&run)).trim_end(), "PASS  ping-timeout:");
}

#[test]
fn overview_of_several_runs() {
    insta::assert_snapshot!(plain(&text::overview(&[samples::passed(), samples::failed()])));
}

#[test]
fn text_stays_within_a_hundred_columns() {
    let mut wordy = samples::passed();
    wordy.run.title = "a title of many words ".repeat(8);
    for run in [samples::passed(), samples::failed(), samples::simulated(), wordy] {
        for line in plain(&text::render(&run, "squall-runs/x")).lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}

#[test]
fn markdown_of_one_run_and_of_several() {
    let one = markdown::render(&[samples::failed()]);
    assert!(one.lines().count() <= markdown::LINES_MAX);
    insta::assert_snapshot!("markdown_of_one_run", one);
    let several = markdown::render(&[samples::passed(), samples::failed()]);
    insta::assert_snapshot!("markdown_of_several_runs", several);
    let many = markdown::render(&vec![samples::failed(); 40]);
    assert_eq!(many.lines().count(), markdown::LINES_MAX);
    assert!(many.ends_with("more lines: see report.html\n"));
}

#[test]
fn junit_of_runs() {
    let runs = [samples::passed(), samples::failed()];
    insta::assert_snapshot!(junit::render(&runs).unwrap());
}

#[test]
fn html_is_one_file_with_escaped_text() {
    let page = html::render(&samples::failed());
    assert!(page.contains("a title with &lt;markup&gt;"));
    for outside in ["http://", "https://", "<script", "<link", "@import", "url("] {
        let without_target = page.replace("http://127.0.0.1:4567", "");
        assert!(!without_target.contains(outside), "{outside}");
    }
    for wanted in ["prefers-color-scheme:dark", "width=device-width", "429"] {
        assert!(page.contains(wanted), "{wanted}");
    }
    insta::assert_snapshot!(page.replace("><", ">\n<"));
}

#[test]
fn spread_over_repeated_runs() {
    let mut other = samples::passed();
    other.latency_total[0] = samples::failed().latency_total[1].clone();
    other.latency_total[0].kind = crate::measure::LatencyKind::Connect;
    insta::assert_snapshot!(
        Spread::of(&[samples::passed(), samples::passed(), other], &[]).render()
    );
}

#[test]
fn the_checked_in_schema_is_the_one_of_this_version() {
    let current = format!("{:#}\n", run_file::schema());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/run.schema.json");
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        stored == current,
        "schemas/run.schema.json is not current: cargo run -- schema run > schemas/run.schema.json"
    );
}

#[test]
fn runs_keep_to_the_schema_and_read_back() {
    let schema = jsonschema::validator_for(&run_file::schema()).unwrap();
    for run in [samples::passed(), samples::failed(), samples::simulated()] {
        let value = serde_json::to_value(&run).unwrap();
        let errors: Vec<_> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(serde_json::from_value::<run_file::RunFile>(value.clone()).unwrap(), run);
        let mut broken = value;
        broken["elapsed_ns"] = "soon".into();
        assert!(!schema.is_valid(&broken), "the schema demands something");
    }
}
