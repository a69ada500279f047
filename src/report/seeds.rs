//! What many seeds of one scenario came to, and in how far they differ.

use std::collections::BTreeMap;
use std::time::Duration;

use super::run_file::{RunFile, UpstreamFacts};
use super::text::{self, flowing};
use super::words;
use crate::protocol::CloseCategory;
use crate::verdict::Outcome;

/// Seeds in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedRange {
    /// The first one.
    pub first: u64,
    /// How many, at least 1; the last one fits in 64 bits.
    pub count: u64,
}

impl SeedRange {
    /// The seed at a position from 0.
    #[must_use]
    pub const fn at(self, index: u64) -> u64 {
        self.first.saturating_add(index)
    }

    /// `1,000 seeds (1 to 1000)`.
    fn words(self) -> String {
        let (count, last) = (words::counted(self.count, "seed"), self.at(self.count - 1));
        if self.count == 1 {
            format!("{count} ({last})")
        } else {
            format!("{count} ({} to {last})", self.first)
        }
    }
}

/// Sums over the runs of one scenario that passed. The order they come in does not matter, and it
/// does not grow with their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeedsTally {
    /// How many.
    passed: u64,
    checks: Option<Bounds>,
    /// Rows per population, by its place in the scenario and its name, and category.
    closes: BTreeMap<(usize, String, CloseCategory), Bounds>,
    /// Counts of what went to event handlers, by what is counted.
    upstream: BTreeMap<String, Bounds>,
}

/// Least and greatest value of those that had one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    runs: u64,
    min: u64,
    max: u64,
}

impl Bounds {
    const fn of(value: u64) -> Self {
        Self { runs: 1, min: value, max: value }
    }

    fn add(&mut self, value: u64) {
        self.runs += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Over all of `runs`, of which those without a value count as 0.
    const fn over(self, runs: u64) -> (u64, u64) {
        (if self.runs < runs { 0 } else { self.min }, self.max)
    }
}

impl SeedsTally {
    /// Adds a run that passed.
    pub fn add(&mut self, run: &RunFile) {
        self.passed += 1;
        let checks = run.checks.len() as u64;
        match &mut self.checks {
            Some(bounds) => bounds.add(checks),
            None => self.checks = Some(Bounds::of(checks)),
        }
        for (what, count) in run.upstream.iter().flat_map(UpstreamFacts::counts) {
            self.upstream
                .entry(what)
                .and_modify(|bounds| bounds.add(count))
                .or_insert_with(|| Bounds::of(count));
        }
        for (index, population) in run.populations.iter().enumerate() {
            for (&category, &count) in &population.categories {
                self.closes
                    .entry((index, population.name.clone(), category))
                    .and_modify(|bounds| bounds.add(count))
                    .or_insert_with(|| Bounds::of(count));
            }
        }
    }

    /// How many runs there were.
    #[must_use]
    pub const fn passed(&self) -> u64 {
        self.passed
    }

    /// `PASS  ping-timeout: 1,000 seeds (1 to 1000), 14 of 14 checks each, 4.1 s (244 a second)`.
    #[must_use]
    pub fn headline(&self, scenario: &str, seeds: SeedRange, took: Duration) -> String {
        let (least, most) = self.checks.map_or((0, 0), |bounds| bounds.over(self.passed));
        let each = if seeds.count == 1 { "" } else { " each" };
        let checks = if least == most {
            format!("{most} of {}{each}", words::counted(most, "check"))
        } else {
            format!("all of {least} to {most} checks{each}")
        };
        let text = format!("{}, {checks}, {}", seeds.words(), pace(self.passed, took));
        labelled(Outcome::Pass, words::outcome(Outcome::Pass), scenario, &text)
    }

    /// `INTERRUPTED  ping-timeout: 412 of 1,000 seeds (1 to 1000), all of them passed, …`.
    #[must_use]
    pub fn interrupted(&self, scenario: &str, seeds: SeedRange, took: Duration) -> String {
        let so_far = match self.passed {
            0 => "none was done".to_owned(),
            1 => "1 was done and passed".to_owned(),
            passed => format!("{} were done and passed", words::number(passed)),
        };
        let text = format!("{so_far} of {}, {}", seeds.words(), pace(self.passed, took));
        labelled(Outcome::Undetermined, "INTERRUPTED", scenario, &text)
    }

    /// How many connections of each population closed for each reason, and what went to event
    /// handlers, where the seeds differ in it.
    #[must_use]
    pub fn differences(&self) -> String {
        let mut parts: Vec<(&str, Vec<String>)> = Vec::new();
        for ((_, population, category), bounds) in &self.closes {
            let (least, most) = bounds.over(self.passed);
            if least == most {
                continue;
            }
            let told = format!("{category} {} to {}", words::number(least), words::number(most));
            match parts.last_mut() {
                Some((name, list)) if *name == population => list.push(told),
                _ => parts.push((population, vec![told])),
            }
        }
        let parts: Vec<_> =
            parts.iter().map(|(name, list)| format!("{name}: {}", list.join(", "))).collect();
        let told = match parts.len() {
            0 => "the same number for the same reasons with every seed".to_owned(),
            _ => parts.join("; "),
        };
        text::aside("closes", &told) + &self.upstream_differences()
    }

    /// Nothing where no event went to a handler.
    fn upstream_differences(&self) -> String {
        if self.upstream.is_empty() {
            return String::new();
        }
        let told = self.upstream.iter().filter_map(|(what, bounds)| {
            let (least, most) = bounds.over(self.passed);
            (least != most)
                .then(|| format!("{what} {} to {}", words::number(least), words::number(most)))
        });
        let told: Vec<_> = told.collect();
        let told = match told.len() {
            0 => "the same calls and requests with every seed".to_owned(),
            _ => told.join(", "),
        };
        text::aside("upstream", &told)
    }
}

/// `FAIL  lossy: seed 17, after 16 that passed of 1,000 seeds (1 to 1000), 210 ms`. Says nothing of
/// seeds above it: how many of these were done is chance.
#[must_use]
pub fn stopped_at(
    (outcome, word): (Outcome, &str),
    scenario: &str,
    seeds: SeedRange,
    index: u64,
    took: Duration,
) -> String {
    let before = match index {
        0 => "the first".to_owned(),
        1 => "after 1 that passed".to_owned(),
        index => format!("after {} that passed", words::number(index)),
    };
    let text = format!("seed {}, {before} of {}, {}", seeds.at(index), seeds.words(), real(took));
    labelled(outcome, word, scenario, &text)
}

/// `FAIL  lossy: seed 17 of 1,000 seeds (1 to 1000); interrupted before all below it were done, …`.
#[must_use]
pub fn cut_after(
    (outcome, word): (Outcome, &str),
    scenario: &str,
    seeds: SeedRange,
    index: u64,
    took: Duration,
) -> String {
    let cut = "interrupted before all below it were done";
    let text = format!("seed {} of {}; {cut}, {}", seeds.at(index), seeds.words(), real(took));
    labelled(outcome, word, scenario, &text)
}

fn labelled(outcome: Outcome, word: &str, scenario: &str, told: &str) -> String {
    let word_painted = text::paint(text::style_of(outcome), word);
    let label = format!("{word_painted}  {}: ", text::bold(scenario));
    let columns = word.chars().count() + scenario.chars().count() + "  : ".len();
    let mut out = String::new();
    flowing("", &label, columns, told, &mut out);
    out
}

fn real(took: Duration) -> String {
    words::micros(micros_of(took))
}

fn micros_of(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// `4.10 s (244 a second)`, and below one a second how long each took.
fn pace(runs: u64, took: Duration) -> String {
    let micros = micros_of(took);
    let a_second = runs.saturating_mul(1_000_000) / micros;
    match (runs, a_second) {
        (0 | 1, _) => real(took),
        (_, 0) => format!("{} ({} a seed)", real(took), words::micros(micros / runs)),
        _ => format!("{} ({} a second)", real(took), words::number(a_second)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    fn run_with(normal: u64, dropped: Option<u64>) -> RunFile {
        let mut run = samples::passed();
        let categories = &mut run.populations[1].categories;
        categories.clear();
        categories.insert(CloseCategory::Normal, normal);
        categories.extend(dropped.map(|count| (CloseCategory::PingTimeout, count)));
        run
    }

    fn tally_of(runs: &[RunFile]) -> SeedsTally {
        let mut tally = SeedsTally::default();
        runs.iter().for_each(|run| tally.add(run));
        tally
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn what_a_seed_does_not_have_counts_as_none_whatever_the_order() {
        let runs = [run_with(1_200, None), run_with(8, Some(2)), run_with(7, Some(3))];
        let tally = tally_of(&runs);
        assert_eq!(
            plain(&tally.differences()),
            "  closes  muted: Normal 7 to 1,200, PingTimeout 0 to 3\n"
        );
        let reversed: Vec<_> = runs.iter().rev().cloned().collect();
        assert_eq!(tally_of(&reversed), tally);
        let same = tally_of(&[run_with(8, Some(2)), run_with(8, Some(2))]);
        assert!(same.differences().contains("the same number"), "{}", same.differences());
    }

    #[test]
    fn what_went_to_event_handlers_is_told_where_the_seeds_differ() {
        let mut runs = [run_with(1, None), run_with(1, None)];
        runs.iter_mut().for_each(|run| run.upstream = Some(samples::upstream()));
        let same = plain(&tally_of(&runs).differences());
        assert!(same.ends_with("  upstream  the same calls and requests with every seed\n"));
        if let Some(facts) = &mut runs[1].upstream {
            facts.events[0].requests = 76;
        }
        let told = plain(&tally_of(&runs).differences());
        assert!(told.ends_with("  upstream  connect requests 76 to 80\n"), "{told}");
    }

    #[test]
    fn the_summary_line_tells_seeds_checks_and_pace() {
        let tally = tally_of(&[run_with(8, None), run_with(8, None)]);
        let told = |seeds, took| plain(&tally.headline("x", seeds, took));
        let two = SeedRange { first: 1_000, count: 2 };
        assert_eq!(
            told(two, Duration::from_millis(8)),
            "PASS  x: 2 seeds (1000 to 1001), 2 of 2 checks each, 8.00 ms (250 a second)\n"
        );
        assert!(told(two, Duration::from_secs(9)).contains("9.00 s (4.50 s a seed)"));
        let one = plain(&tally_of(&[run_with(8, None)]).headline(
            "x",
            SeedRange { first: u64::MAX, count: 1 },
            Duration::from_millis(8),
        ));
        assert_eq!(one, "PASS  x: 1 seed (18446744073709551615), 2 of 2 checks, 8.00 ms\n");
    }

    #[test]
    fn what_stopped_early_tells_how_far_it_came() {
        let seeds = SeedRange { first: 1, count: 1_000 };
        let took = Duration::from_millis(210);
        let failed = (Outcome::Fail, "FAIL");
        assert_eq!(
            plain(&stopped_at(failed, "x", seeds, 16, took)),
            "FAIL  x: seed 17, after 16 that passed of 1,000 seeds (1 to 1000), 210 ms\n"
        );
        assert_eq!(
            plain(&tally_of(&[run_with(1, None)]).interrupted("x", seeds, took)),
            "INTERRUPTED  x: 1 was done and passed of 1,000 seeds (1 to 1000), 210 ms\n"
        );
    }
}
