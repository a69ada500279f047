//! Who is in the scenario, and how many after `-n`.

use super::super::Overrides;
use super::super::at::At;
use super::super::file::{BYSTANDERS, ScalingFile, ScenarioFile};
use super::super::problem::{Place, Problem, Problems, suggestion};
use super::super::units::Count;
use super::Arguments;

/// The word in `from` that means the engine's own REST calls, so no population can have it.
pub(super) const REST: &str = "rest";

/// Most populations of a scenario.
const POPULATIONS_MAX: usize = 1_000;

/// A population's name and size.
#[derive(Debug)]
pub(super) struct Member {
    pub name: String,
    /// Where its count stands.
    pub count_place: Place,
    /// How many in the file; `None` when that is bad.
    pub written: Option<u32>,
    /// How many in this run.
    pub count: u32,
    fixed: bool,
}

impl Member {
    /// Whether the command line changed a count that scales.
    pub fn is_rescaled(&self) -> bool {
        !self.fixed && self.written.is_some_and(|written| written != self.count)
    }

    /// Says at the count how many there are, where that is not what stands there.
    pub fn note(&self, note: &str) -> String {
        match self.written {
            Some(written) if written != self.count => format!("{} after -n", self.count),
            _ => note.to_owned(),
        }
    }

    /// How many times as many as the file says.
    pub fn factor(&self) -> f64 {
        match self.written {
            Some(written) if written > 0 => f64::from(self.count) / f64::from(written),
            _ => 1.0,
        }
    }
}

/// All populations, in file order.
#[derive(Debug, Default)]
pub(super) struct Roster(pub Vec<Member>);

impl Roster {
    pub fn new(
        file: &ScenarioFile,
        overrides: &Overrides,
        arguments: &Arguments,
        problems: &Problems,
    ) -> Self {
        let mut roster = Self::written(file, problems);
        let named = roster.set_named(overrides, arguments, problems);
        roster.set_total(overrides, arguments, &named, problems);
        roster
    }

    fn written(file: &ScenarioFile, problems: &Problems) -> Self {
        let Some(populations) = file.populations.get() else { return Self::default() };
        if populations.0.is_empty() || populations.0.len() > POPULATIONS_MAX {
            problems.push(
                Problem::new(file.populations.place, "a scenario needs virtual clients")
                    .label(format!("expected 1 to {POPULATIONS_MAX} populations"))
                    .help("begin with: [populations.members]"),
            );
        }
        let member = |(name, population): &(At<String>, At<_>)| {
            check_name(name, problems);
            let population: &At<super::super::file::PopulationFile> = population;
            let count = population.get().map(|population| &population.count);
            let written = count.and_then(At::get).map(|&Count(count)| count);
            if written == Some(0) {
                let place = count.map_or(population.place, |count| count.place);
                problems.push(
                    Problem::new(place, format!("`{}.count` cannot be 0", population.path))
                        .label("expected at least 1 client"),
                );
            }
            let scaling = population.get().and_then(|population| population.scaling.as_ref());
            Member {
                name: name.value.clone().unwrap_or_default(),
                count_place: count.map_or(population.place, |count| count.place),
                written,
                count: written.unwrap_or(1).max(1),
                fixed: scaling.is_some_and(|at| matches!(at.get(), Some(ScalingFile::Fixed))),
            }
        };
        Self(populations.0.iter().map(member).collect())
    }

    /// Applies `-n name=COUNT`; the result tells whose count is set by name.
    fn set_named(
        &mut self,
        overrides: &Overrides,
        arguments: &Arguments,
        problems: &Problems,
    ) -> Vec<bool> {
        let mut named = vec![false; self.0.len()];
        for ((name, count), place) in overrides.counts.iter().zip(&arguments.counts) {
            let found = self.0.iter().position(|member| member.name == *name);
            match found {
                Some(_) if *count == 0 => problems.push(
                    Problem::new(*place, format!("population `{name}` cannot have 0 clients"))
                        .label("expected at least 1"),
                ),
                Some(index) => {
                    self.0[index].count = *count;
                    named[index] = true;
                }
                None => problems.push(self.unknown(name, *place)),
            }
        }
        named
    }

    /// Applies `-n COUNT`: the populations that scale and are not set by name share it.
    fn set_total(
        &mut self,
        overrides: &Overrides,
        arguments: &Arguments,
        named: &[bool],
        problems: &Problems,
    ) {
        let (Some(total), Some(place)) = (overrides.total, arguments.total) else { return };
        if total == 0 {
            problems.push(
                Problem::new(place, "a run cannot have 0 clients").label("expected at least 1"),
            );
            return;
        }
        let sharers: Vec<usize> =
            (0..self.0.len()).filter(|&index| !named[index] && !self.0[index].fixed).collect();
        let weights: Vec<u32> = sharers.iter().map(|&index| self.0[index].count).collect();
        for (&index, share) in sharers.iter().zip(largest_remainder(total, &weights)) {
            self.0[index].count = share;
        }
    }

    /// The population of a name that stands in the file.
    pub fn find(&self, at: &At<String>, problems: &Problems) -> Option<usize> {
        let name = at.get()?;
        let found = self.0.iter().position(|member| member.name == *name);
        if found.is_none() {
            problems.push(self.unknown(name, at.place));
        }
        found
    }

    /// The problem that there is no population of a name.
    pub fn unknown(&self, name: &str, place: Place) -> Problem {
        let names = self.0.iter().map(|member| member.name.as_str());
        let help = suggestion(name, names).filter(|_| !place.hidden);
        Problem::new(place, format!("there is no population {}", place.show(name)))
            .label("expected the name of a population")
            .maybe_help(help)
    }
}

fn check_name(at: &At<String>, problems: &Problems) {
    let Some(name) = at.get() else { return };
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !fits {
        let plain: String = name
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let plain = plain.trim_start_matches(|c: char| !c.is_ascii_lowercase());
        problems.push(
            Problem::new(at.place, format!("`{name}` cannot be the name of a population"))
                .label("expected a small letter, then small letters, digits and `-`")
                .maybe_help((!plain.is_empty()).then(|| format!("for instance `{plain}`"))),
        );
    } else if [BYSTANDERS, REST].contains(&name.as_str()) {
        problems.push(
            Problem::new(at.place, format!("`{name}` cannot be the name of a population"))
                .label("this word has a meaning of its own"),
        );
    }
}

/// Shares `total` by weight: whole parts first, what is left to the largest remainders (the earlier
/// one when equal). Nobody with a weight gets less than 1, so the sum can exceed a small total.
fn largest_remainder(total: u32, weights: &[u32]) -> Vec<u32> {
    let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    if sum == 0 {
        return weights.to_vec();
    }
    let product = |weight: u32| u64::from(weight) * u64::from(total);
    let mut shares: Vec<u64> = weights.iter().map(|&weight| product(weight) / sum).collect();
    let left = u64::from(total) - shares.iter().sum::<u64>();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|&index| std::cmp::Reverse(product(weights[index]) % sum));
    for index in by_remainder.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        shares[index] += 1;
    }
    let at_least_one = |(share, &weight): (u64, &u32)| {
        u32::try_from(share).unwrap_or(u32::MAX).max(u32::from(weight > 0))
    };
    shares.into_iter().zip(weights).map(at_least_one).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_goes_to_the_largest_remainders() {
        assert_eq!(largest_remainder(3_000, &[90, 10]), [2_700, 300]);
        assert_eq!(largest_remainder(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(largest_remainder(10, &[75, 15, 10]), [8, 1, 1]);
        assert_eq!(largest_remainder(5, &[98, 1, 1]), [5, 1, 1]);
        assert_eq!(largest_remainder(7, &[]), Vec::<u32>::new());
    }

    proptest! {
        #[test]
        fn shares_sum_to_the_total_and_are_within_one_of_exact(
            total in 1_u32..100_000,
            weights in proptest::collection::vec(1_u32..5_000, 1..6),
        ) {
            let shares = largest_remainder(total, &weights);
            let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
            let least = u32::try_from(weights.len()).unwrap();
            if total >= 5_000 * least {
                prop_assert_eq!(shares.iter().sum::<u32>(), total);
            }
            for (share, weight) in shares.iter().zip(&weights) {
                let exact = f64::from(total) * f64::from(*weight) / sum as f64;
                prop_assert!(*share >= 1);
                prop_assert!((f64::from(*share) - exact).abs() <= 1.0);
            }
        }
    }
}
