//! How much the numbers of repeated runs of one scenario differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::difference;
use super::run_file::{RunFile, UpstreamFacts};
use super::table::{self, Column};
use super::words;
use crate::event::World;
use crate::verdict::Outcome;

/// Runs of one scenario and one seed beside each other.
#[derive(Clone, Debug)]
pub struct Spread<'a> {
    runs: &'a [RunFile],
    /// Of runs in the virtual world: the first that is not as the first one, and where.
    unequal: Option<(usize, String)>,
}

impl<'a> Spread<'a> {
    /// Compares the runs and the files in their folders. In the virtual world runs of one seed are
    /// equal in all but [`RunFile::machine`], in every byte of the other files too.
    #[must_use]
    pub fn of(runs: &'a [RunFile], folders: &[PathBuf]) -> Self {
        let is_virtual = runs.first().is_some_and(|run| run.run.world == World::Virtual);
        Self { runs, unequal: if is_virtual { unequal(runs, folders) } else { None } }
    }

    /// Whether the runs differ where only a defect of Squall makes them.
    #[must_use]
    pub const fn is_defect(&self) -> bool {
        self.unequal.is_some()
    }

    /// The table of counts and latencies over the runs, least, median and greatest of each. Of
    /// equal runs in the virtual world one line; where they are not equal, it says where.
    #[must_use]
    pub fn render(&self) -> String {
        let Self { runs, unequal } = self;
        let Some(first) = runs.first() else { return String::new() };
        let passed = runs.iter().filter(|run| run.outcome == Outcome::Pass).count();
        let which = format!(
            "{} of {}, all with seed {}",
            words::counted(runs.len() as u64, "run"),
            first.run.scenario,
            first.run.seed
        );
        let world = words::world(first.run.world);
        match (first.run.world, unequal) {
            (World::Sockets, _) => format!("Spread over {which}; {passed} passed\n{}", table(runs)),
            (World::Virtual, None) => {
                format!("{which}, world {world}: equal in everything; {passed} passed\n")
            }
            (World::Virtual, Some((number, place))) => format!(
                "{which}, world {world}: NOT EQUAL, a defect of Squall; {passed} passed\n  \
                 run {number} differs from the first in {place}\n{}",
                table(runs)
            ),
        }
    }
}

/// The first run, counted from 1, that is not as the first one, and where it differs.
fn unequal(runs: &[RunFile], folders: &[PathBuf]) -> Option<(usize, String)> {
    let in_runs = |one: &RunFile, other: &RunFile| {
        difference::first(one, other).map(|path| format!("run.json, at {path}"))
    };
    let in_folders =
        |one: &PathBuf, other: &PathBuf| difference::first_file(one, other).map(str::to_owned);
    unlike_the_first(runs, in_runs).or_else(|| unlike_the_first(folders, in_folders))
}

fn unlike_the_first<T>(
    list: &[T],
    difference: impl Fn(&T, &T) -> Option<String>,
) -> Option<(usize, String)> {
    let (first, others) = list.split_first()?;
    (2..).zip(others).find_map(|(number, other)| Some((number, difference(first, other)?)))
}

fn table(runs: &[RunFile]) -> String {
    let columns = [
        Column::Names("number"),
        Column::Figures("least"),
        Column::Figures("median"),
        Column::Figures("greatest"),
        Column::Words("spread"),
    ];
    let mut rows = counts(runs);
    rows.extend(upstream(runs));
    rows.extend(latencies(runs));
    table::render(&columns, rows)
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

/// What went to event handlers; a run without one of the counts has none of it.
fn upstream(runs: &[RunFile]) -> Vec<Vec<String>> {
    let of = |run: &RunFile| -> BTreeMap<String, u64> {
        run.upstream.iter().flat_map(UpstreamFacts::counts).collect()
    };
    let counts: Vec<_> = runs.iter().map(of).collect();
    let keys: BTreeSet<_> = counts.iter().flat_map(BTreeMap::keys).collect();
    let row_of = |key: &&String| {
        let values: Vec<_> = counts.iter().map(|of| of.get(*key).copied().unwrap_or(0)).collect();
        row(&format!("upstream: {key}"), &values, words::number)
    };
    keys.iter().map(row_of).collect()
}

fn latencies(runs: &[RunFile]) -> Vec<Vec<String>> {
    let kinds: BTreeSet<_> =
        runs.iter().flat_map(|run| run.latency_total.iter().map(|series| series.kind)).collect();
    let mut rows = Vec::new();
    for kind in kinds {
        let time =
            |us| runs.first().map_or_else(String::new, |run| words::micros_in(run.run.world, us));
        let of = |run: &RunFile| {
            run.latency_total.iter().find(|series| series.kind == kind).and_then(|s| s.response)
        };
        let quantiles: Vec<_> = runs.iter().filter_map(of).collect();
        let p50: Vec<_> = quantiles.iter().map(|q| q.p50_us).collect();
        let p99: Vec<_> = quantiles.iter().map(|q| q.p99_us).collect();
        rows.push(row(&format!("{} p50", words::latency(kind)), &p50, time));
        rows.push(row(&format!("{} p99", words::latency(kind)), &p99, time));
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
    use crate::report::samples;

    #[test]
    fn virtual_runs_are_equal_or_told_where_they_are_not() {
        let mut runs = [samples::simulated(), samples::simulated(), samples::simulated()];
        runs[2].machine.real_elapsed_ns *= 2;
        assert_eq!(
            Spread::of(&runs, &[]).render(),
            "3 runs of ping-timeout, all with seed 7, world virtual: equal in everything; \
             3 passed\n"
        );
        runs[2].populations[0].published += 1;
        let spread = Spread::of(&runs, &[]);
        assert!(spread.is_defect());
        let told = spread.render();
        assert!(
            told.contains("run 3 differs from the first in run.json, at populations[0].published"),
            "{told}"
        );
        assert!(told.contains("connect p50"), "{told}");
        runs[2].populations[0].published -= 1;
        let folders = ["/no/one", "/no/other"].map(PathBuf::from);
        let told = Spread::of(&runs, &folders).render();
        assert!(told.contains("run 2 differs from the first in events.ndjson"), "{told}");
    }

    #[test]
    fn counts_of_event_handlers_are_told_and_their_times_are_not() {
        let mut runs = [samples::passed(), samples::passed()];
        runs[0].upstream = Some(samples::upstream());
        let told = Spread::of(&runs, &[]).render();
        let row = told.lines().find(|line| line.contains("upstream: connect requests"));
        let cells: Vec<_> = row.unwrap_or_default().split_whitespace().collect();
        assert_eq!(cells[3..6], ["0", "80", "80"], "{told}");
        assert!(!told.contains("upstream: connect p50"), "{told}");
    }

    #[test]
    fn equal_numbers_have_no_spread_and_others_tell_theirs() {
        assert_eq!(row("n", &[3, 3, 3], words::number)[4], "none");
        assert_eq!(
            row("n", &[10, 12, 8], words::number),
            ["n", "8", "10", "12", "40.0 % of the median"]
        );
    }
}
