//! How much the numbers of repeated runs of one scenario differ.

use std::collections::BTreeSet;

use super::run_file::RunFile;
use super::table::{self, Column};
use super::words;
use crate::verdict::Outcome;

/// The table of counts and latencies over the runs, least, median and greatest of each.
#[must_use]
pub fn render(runs: &[RunFile]) -> String {
    let Some(first) = runs.first() else { return String::new() };
    let columns = [
        Column::Names("number"),
        Column::Figures("least"),
        Column::Figures("median"),
        Column::Figures("greatest"),
        Column::Words("spread"),
    ];
    let mut rows = counts(runs);
    rows.extend(latencies(runs));
    let passed = runs.iter().filter(|run| run.outcome == Outcome::Pass).count();
    format!(
        "Spread over {} of {}, all with seed {}; {passed} passed\n{}",
        words::counted(runs.len() as u64, "run"),
        first.run.scenario,
        first.run.seed,
        table::render(&columns, rows)
    )
}

fn counts(runs: &[RunFile]) -> Vec<Vec<String>> {
    let mut keys = BTreeSet::new();
    for (index, population) in runs.iter().flat_map(|run| run.populations.iter().enumerate()) {
        let name = &population.name;
        keys.extend(population.categories.keys().map(|&category| (index, name.clone(), category)));
    }
    keys.into_iter()
        .map(|(index, name, category)| {
            let values: Vec<_> = runs
                .iter()
                .map(|run| run.populations.get(index).and_then(|p| p.categories.get(&category)))
                .map(|count| count.copied().unwrap_or(0))
                .collect();
            row(&format!("{name}: {category}"), &values, words::number)
        })
        .collect()
}

fn latencies(runs: &[RunFile]) -> Vec<Vec<String>> {
    let kinds: BTreeSet<_> =
        runs.iter().flat_map(|run| run.latency_total.iter().map(|series| series.kind)).collect();
    let mut rows = Vec::new();
    for kind in kinds {
        let of = |run: &RunFile| {
            run.latency_total.iter().find(|series| series.kind == kind).and_then(|s| s.response)
        };
        let quantiles: Vec<_> = runs.iter().filter_map(of).collect();
        let p50: Vec<_> = quantiles.iter().map(|q| q.p50_us).collect();
        let p99: Vec<_> = quantiles.iter().map(|q| q.p99_us).collect();
        rows.push(row(&format!("{} p50", words::latency(kind)), &p50, words::micros));
        rows.push(row(&format!("{} p99", words::latency(kind)), &p99, words::micros));
    }
    rows
}

fn row(name: &str, values: &[u64], words: impl Fn(u64) -> String) -> Vec<String> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let (Some(&least), Some(&greatest)) = (sorted.first(), sorted.last()) else {
        return vec![name.to_owned()];
    };
    let median = sorted[sorted.len() / 2];
    let spread = if least == greatest {
        "none".to_owned()
    } else {
        format!("{} of the median", super::words::share(greatest - least, median))
    };
    vec![name.to_owned(), words(least), words(median), words(greatest), spread]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_have_no_spread_and_others_tell_theirs() {
        assert_eq!(row("n", &[3, 3, 3], words::number)[4], "none");
        assert_eq!(
            row("n", &[10, 12, 8], words::number),
            ["n", "8", "10", "12", "40.0 % of the median"]
        );
    }
}
