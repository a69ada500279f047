//! A search over a scenario's keys: which values are tried, in which order, and what the answer is.
//! Each step is a whole run of the scenario, with the key set as `--set` sets it.

use serde::Serialize;

/// A search, or a sweep, which is a search without a stop.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Search {
    /// Outer keys with their values: a search for each combination, the last one varies first.
    pub axes: Vec<Axis>,
    /// The key whose value is searched, as `--set` spells it.
    pub key: String,
    /// Its values; ascending where they are bisected.
    pub values: Vec<SetValue>,
    /// Which of them are tried.
    pub order: Order,
    /// When it is over.
    pub until: Until,
    /// What the answers must be, one per combination.
    pub expected: Option<ExpectedAnswers>,
}

/// A key and the values it takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Axis {
    /// As `--set` spells it.
    pub key: String,
    /// In their order.
    pub values: Vec<SetValue>,
}

/// A value that a step sets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetValue {
    /// As TOML.
    pub toml: String,
    /// As people read it.
    pub shown: String,
    /// Its number in its own unit, where it is one.
    pub amount: Option<f64>,
}

/// Which values are tried, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Order {
    /// One after the other.
    Listed,
    /// The first, the last, then halfway between the nearest that passed and failed.
    Bisection,
}

/// When a search is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Until {
    /// At the first step that fails; the answer is the last that passed.
    FirstFailure,
    /// At the first step that passes, which is the answer.
    FirstSuccess,
    /// When all values have been tried; there is no answer.
    Exhausted,
}

/// What the answers must be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExpectedAnswers {
    /// One per combination, in order.
    pub answers: Vec<SetValue>,
    /// How far a number may be from it, as a share of it; 0 is exactly.
    pub within: f64,
}

/// What a step shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Everything that the scenario demands was so.
    Passed,
    /// Something was not.
    Failed,
}

/// What a search comes to; positions are those of [`Search::values`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The value that is the answer.
    pub good: Option<usize>,
    /// The value beside it that failed: the next one, or with [`Until::FirstSuccess`] the one
    /// before.
    pub bad: Option<usize>,
}

impl Search {
    /// What each combination of the outer keys sets, in order; one that sets nothing where there
    /// are none.
    #[must_use]
    pub fn combinations(&self) -> Vec<Vec<(String, SetValue)>> {
        let mut all = vec![Vec::new()];
        for axis in &self.axes {
            all = all
                .into_iter()
                .flat_map(|outer: Vec<_>| {
                    axis.values.iter().map(move |value| {
                        let mut with = outer.clone();
                        with.push((axis.key.clone(), value.clone()));
                        with
                    })
                })
                .collect();
        }
        all
    }

    /// Runs of one combination, at most.
    #[must_use]
    pub fn steps_max(&self) -> usize {
        match self.order {
            Order::Listed => self.values.len(),
            // Both ends, then as often as what is between them can be halved.
            Order::Bisection => {
                let between = self.values.len().saturating_sub(1);
                let halvings = between.next_power_of_two().trailing_zeros() as usize;
                self.values.len().min(2 + halvings)
            }
        }
    }

    /// The course of one combination.
    #[must_use]
    pub fn course(&self) -> Course {
        let Self { order, until, .. } = *self;
        Course { order, until, shown: vec![None; self.values.len()] }
    }
}

/// One search on its way: what has been shown, and so which value comes next.
#[derive(Clone, Debug)]
pub struct Course {
    order: Order,
    until: Until,
    shown: Vec<Option<Shown>>,
}

impl Course {
    /// Notes what a step showed.
    pub fn note(&mut self, index: usize, shown: Shown) {
        if let Some(place) = self.shown.get_mut(index) {
            *place = Some(shown);
        }
    }

    /// The value that comes next; `None` when the search is over.
    #[must_use]
    pub fn next(&self) -> Option<usize> {
        match self.order {
            Order::Listed => {
                let stop = match self.until {
                    Until::FirstFailure => Some(Shown::Failed),
                    Until::FirstSuccess => Some(Shown::Passed),
                    Until::Exhausted => None,
                };
                if stop.is_some() && self.shown.contains(&stop) {
                    return None;
                }
                self.shown.iter().position(Option::is_none)
            }
            Order::Bisection => self.halfway(),
        }
    }

    fn halfway(&self) -> Option<usize> {
        let last = self.shown.len().checked_sub(1)?;
        let near = self.near();
        let (first_shown, last_shown) = (self.shown[0], self.shown[last]);
        match (first_shown, last_shown) {
            (None, _) => Some(0),
            (Some(shown), _) if shown != near => None,
            (_, None) => Some(last),
            (_, Some(shown)) if shown == near => None,
            _ => {
                let low = self.shown.iter().rposition(|shown| *shown == Some(near))?;
                let high = (low + 1..=last).find(|&index| self.shown[index].is_some())?;
                (high - low > 1).then(|| low + (high - low) / 2)
            }
        }
    }

    /// What the first value is to show for there to be anything to bisect.
    const fn near(&self) -> Shown {
        match self.until {
            Until::FirstSuccess => Shown::Failed,
            Until::FirstFailure | Until::Exhausted => Shown::Passed,
        }
    }

    /// What is known so far.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let first = |wanted| self.shown.iter().position(|shown| *shown == Some(wanted));
        match self.until {
            Until::FirstFailure => {
                let bad = first(Shown::Failed);
                let before = &self.shown[..bad.unwrap_or(self.shown.len())];
                let good = before.iter().rposition(|shown| *shown == Some(Shown::Passed));
                Answer { good, bad }
            }
            Until::FirstSuccess => {
                let good = first(Shown::Passed);
                let before = &self.shown[..good.unwrap_or(self.shown.len())];
                let bad = before.iter().rposition(|shown| *shown == Some(Shown::Failed));
                Answer { good, bad }
            }
            Until::Exhausted => Answer::default(),
        }
    }
}

impl ExpectedAnswers {
    /// Whether an answer is what was expected of a combination.
    #[must_use]
    pub fn is_met(&self, combination: usize, answer: Option<&SetValue>) -> bool {
        let Some(expected) = self.answers.get(combination) else { return false };
        let Some(answer) = answer else { return false };
        match (expected.amount, answer.amount) {
            (Some(expected), Some(answer)) => {
                (answer - expected).abs() <= self.within * expected.abs() + f64::EPSILON
            }
            _ => expected.toml == answer.toml,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn search(count: usize, order: Order, until: Until) -> Search {
        let value = |index: usize| SetValue {
            toml: index.to_string(),
            shown: index.to_string(),
            amount: None,
        };
        let values = (0..count).map(value).collect();
        Search { axes: Vec::new(), key: "k".into(), values, order, until, expected: None }
    }

    /// Runs a search whose values pass below `edge` (or from there on), and counts its steps.
    fn run(search: &Search, edge: usize) -> (Answer, usize) {
        let mut course = search.course();
        let mut steps = 0;
        while let Some(index) = course.next() {
            assert!(course.shown[index].is_none(), "value {index} is tried twice");
            let passes = (index < edge) == (search.until != Until::FirstSuccess);
            course.note(index, if passes { Shown::Passed } else { Shown::Failed });
            steps += 1;
        }
        (course.answer(), steps)
    }

    proptest! {
        #[test]
        fn both_orders_find_the_edge_in_time(count in 1_usize..200, at in 0_usize..201) {
            let edge = at.min(count);
            for order in [Order::Listed, Order::Bisection] {
                let searched = search(count, order, Until::FirstFailure);
                let (answer, steps) = run(&searched, edge);
                prop_assert_eq!(answer.good, edge.checked_sub(1));
                prop_assert_eq!(answer.bad, (edge < count).then_some(edge));
                prop_assert!(steps <= searched.steps_max());
                let searched = search(count, order, Until::FirstSuccess);
                let (answer, steps) = run(&searched, edge);
                prop_assert_eq!(answer.good, (edge < count).then_some(edge));
                prop_assert_eq!(answer.bad, edge.checked_sub(1));
                prop_assert!(steps <= searched.steps_max());
            }
        }
    }

    #[test]
    fn a_search_in_order_ends_at_the_first_that_stops_it_and_a_sweep_at_none() {
        for (until, edge, steps) in
            [(Until::FirstFailure, 3, 4), (Until::FirstSuccess, 3, 4), (Until::Exhausted, 3, 9)]
        {
            assert_eq!(run(&search(9, Order::Listed, until), edge).1, steps, "{until:?}");
        }
    }

    #[test]
    fn the_last_outer_key_varies_first() {
        let value = |text: &str| SetValue { toml: text.into(), shown: text.into(), amount: None };
        let axis = |key: &str, values: [&str; 2]| Axis {
            key: key.into(),
            values: values.map(value).to_vec(),
        };
        let axes = vec![axis("a", ["1", "2"]), axis("b", ["x", "y"])];
        let searched = Search { axes, ..search(1, Order::Listed, Until::Exhausted) };
        let told: Vec<String> = searched
            .combinations()
            .iter()
            .map(|outer| outer.iter().map(|(key, value)| format!("{key}{}", value.shown)).collect())
            .collect();
        assert_eq!(told, ["a1bx", "a1by", "a2bx", "a2by"]);
    }

    #[test]
    fn an_answer_is_met_exactly_or_within_its_share() {
        let value = |amount: f64| SetValue {
            toml: amount.to_string(),
            shown: amount.to_string(),
            amount: Some(amount),
        };
        let expected = |within| ExpectedAnswers { answers: vec![value(700.0)], within };
        assert!(expected(0.0).is_met(0, Some(&value(700.0))));
        assert!(!expected(0.0).is_met(0, Some(&value(701.0))));
        assert!(expected(0.01).is_met(0, Some(&value(707.0))));
        assert!(!expected(0.01).is_met(0, Some(&value(708.0))));
        assert!(!expected(1.0).is_met(0, None), "no answer is none");
        assert!(!expected(1.0).is_met(1, Some(&value(700.0))), "another combination");
    }
}
