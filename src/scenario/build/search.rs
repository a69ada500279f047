//! `[search]` and `--sweep`: from what is written to the values that are tried.

use super::super::Overrides;
use super::super::at::{At, Named};
use super::super::figure::{Figure, Unit};
use super::super::file::{
    AnyValue, ScalingFile, ScenarioFile, SearchExpectFile, SearchFile, UntilFile,
};
use super::super::plan::search::{Axis, ExpectedAnswers, Order, Search, SetValue, Until};
use super::super::problem::{Place, Problem, Problems};
use super::super::units::Share;

/// Most values of a key.
const VALUES_MAX: usize = 1_000;
/// Most combinations of the outer keys.
const COMBINATIONS_MAX: usize = 1_000;
/// Most runs of a search.
const RUNS_MAX: usize = 10_000;

/// A search and where its parts stand.
#[derive(Debug)]
pub(in crate::scenario) struct Searched {
    pub search: Search,
    /// Of the outer keys, then of the key that is searched.
    pub keys: Vec<KeyPlaces>,
}

/// Where a key and its values stand.
#[derive(Debug)]
pub(in crate::scenario) struct KeyPlaces {
    pub path: String,
    pub place: Place,
    pub values: Vec<(SetValue, Place)>,
}

impl KeyPlaces {
    fn set_values(&self) -> Vec<SetValue> {
        self.values.iter().map(|(value, _)| value.clone()).collect()
    }
}

/// What `[search]` says; `None` when something is wrong with it.
pub(in crate::scenario) fn search(
    at: &At<SearchFile>,
    whole: &ScenarioFile,
    overrides: &Overrides,
    arguments: &super::Arguments,
    problems: &Problems,
) -> Option<Searched> {
    let file = at.get()?;
    let reading = Reading { problems };
    let (values, order) = reading.values(file, at)?;
    let key = file.set.get()?;
    let mut keys = reading.outer(file.outer.as_ref())?;
    keys.push(KeyPlaces { path: key.clone(), place: file.set.place, values });
    reading.each_key_once(&keys)?;
    reading.nothing_else_sets(&keys, whole, overrides, arguments)?;
    let until = match file.until.as_ref().map(At::get) {
        None | Some(Some(UntilFile::FirstFailure)) => Until::FirstFailure,
        Some(Some(UntilFile::FirstSuccess)) => Until::FirstSuccess,
        Some(Some(UntilFile::Exhausted)) => Until::Exhausted,
        Some(None) => return None,
    };
    reading.fit_for_a_sweep(file, until)?;
    let mut searched = searched(keys, order, until)?;
    reading.within_bounds(&searched, at.place)?;
    if let Some(expect) = &file.expect {
        searched.search.expected = Some(reading.expected(expect, &searched.search)?);
    }
    Some(searched)
}

/// What `--sweep` says, once or more; the last one varies first.
pub(in crate::scenario) fn sweep(
    whole: &ScenarioFile,
    overrides: &Overrides,
    arguments: &super::Arguments,
    problems: &Problems,
) -> Option<Searched> {
    let reading = Reading { problems };
    let mut keys = Vec::new();
    for ((path, values), place) in overrides.sweeps.iter().zip(&arguments.sweeps) {
        let at = place.end + 1;
        let spanned = split(values).into_iter().map(|(start, end)| {
            let place = Place { start: at + start, end: at + end, ..*place };
            (typed(&values[start..end]), place)
        });
        let values: Vec<_> = spanned.collect();
        if let Some((_, place)) = values.iter().find(|(value, _)| value.shown.is_empty()) {
            problems.push(
                Problem::new(*place, "a value is missing")
                    .label("expected values with commas between: --sweep hub.units=1,2,5"),
            );
            return None;
        }
        keys.push(KeyPlaces { path: path.clone(), place: *place, values });
    }
    reading.each_key_once(&keys)?;
    reading.nothing_else_sets(&keys, whole, overrides, arguments)?;
    let place = keys.last()?.place;
    let searched = searched(keys, Order::Listed, Until::Exhausted)?;
    reading.within_bounds(&searched, place)?;
    Some(searched)
}

fn searched(keys: Vec<KeyPlaces>, order: Order, until: Until) -> Option<Searched> {
    let (inner, outer) = keys.split_last()?;
    let axis = |key: &KeyPlaces| Axis { key: key.path.clone(), values: key.set_values() };
    let search = Search {
        axes: outer.iter().map(axis).collect(),
        key: inner.path.clone(),
        values: inner.set_values(),
        order,
        until,
        expected: None,
    };
    Some(Searched { search, keys })
}

/// Whether `-n COUNT` leaves a population alone.
fn is_fixed(file: &ScenarioFile, name: &str) -> bool {
    let populations = file.populations.get().map(|named| named.0.as_slice()).unwrap_or_default();
    let found =
        populations.iter().find(|(known, _)| known.get().is_some_and(|known| known == name));
    let scaling = found.and_then(|(_, population)| population.get()?.scaling.as_ref()?.get());
    matches!(scaling, Some(ScalingFile::Fixed))
}

/// Where values with commas between begin and end; commas within quotes, braces and brackets are
/// part of a value.
fn split(text: &str) -> Vec<(usize, usize)> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push((start, at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push((start, text.len()));
    let trimmed = |(start, end): (usize, usize)| {
        let part = &text[start..end];
        let start = start + (part.len() - part.trim_start().len());
        (start, start + part.trim().len())
    };
    parts.into_iter().map(trimmed).collect()
}

/// A value as it was typed: TOML, or a bare word.
fn typed(text: &str) -> SetValue {
    let table = format!("value = {text}").parse::<toml::Table>().ok();
    let value = table.and_then(|mut table| table.remove("value"));
    set_value(&value.unwrap_or_else(|| toml::Value::String(text.to_owned())))
}

fn set_value(value: &toml::Value) -> SetValue {
    SetValue {
        toml: value.to_string(),
        shown: match value {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        },
        amount: Figure::of(value).map(|figure| figure.amount),
    }
}

fn set_figure(figure: Figure) -> SetValue {
    SetValue { toml: figure.toml(), shown: figure.shown(), amount: Some(figure.amount) }
}

struct Reading<'a> {
    problems: &'a Problems,
}

impl Reading<'_> {
    /// Tells a problem; there is no result then.
    fn refuse<T>(&self, problem: Problem) -> Option<T> {
        self.problems.push(problem);
        None
    }

    fn values(
        &self,
        file: &SearchFile,
        at: &At<SearchFile>,
    ) -> Option<(Vec<(SetValue, Place)>, Order)> {
        let stepping = [
            ("step", file.step.as_ref().map(|at| at.place)),
            ("factor", file.factor.as_ref().map(|at| at.place)),
            ("bisect", file.bisect.as_ref().map(|at| at.place)),
        ];
        let given: Vec<_> =
            stepping.iter().filter_map(|(key, place)| Some((key, (*place)?))).collect();
        let ends = [("from", file.from.as_ref()), ("to", file.to.as_ref())];
        if let Some(values) = &file.values {
            let other = ends.iter().find_map(|(key, at)| Some((*key, at.as_ref()?.place)));
            let other = other.or_else(|| given.first().map(|(key, place)| (**key, *place)));
            if let Some((key, place)) = other {
                return self.refuse(
                    Problem::new(place, format!("`{key}` does not go together with `values`"))
                        .label("expected either a list of values, or a range")
                        .also(values.place, "the values"),
                );
            }
            return Some((self.listed(values)?, Order::Listed));
        }
        let [from, to] = [&file.from, &file.to];
        let (Some(from), Some(to)) = (from, to) else {
            return self.refuse(
                Problem::new(at.place, "this search has no values")
                    .label("expected `values`, or `from` and `to`")
                    .help("for example: values = [1, 2, 3], or: from = 100, to = 900, step = 100"),
            );
        };
        match given.as_slice() {
            [_] => {}
            [] => {
                return self.refuse(
                    Problem::new(to.place, "this range has no way from one value to the next")
                        .label("expected one of `step`, `factor` or `bisect` beside it"),
                );
            }
            [_, (key, place), ..] => {
                return self.refuse(
                    Problem::new(*place, format!("`{key}` is a second way to the next value"))
                        .label("expected exactly one of `step`, `factor` and `bisect`"),
                );
            }
        }
        self.range(from, to, file)
    }

    /// A sweep tries all of its values, and has no answer.
    fn fit_for_a_sweep(&self, file: &SearchFile, until: Until) -> Option<()> {
        let bisect = file.bisect.as_ref().map(|at| ("bisect", at.place));
        let expect = file.expect.as_ref().map(|at| ("expect", at.place));
        match (until, bisect.or(expect)) {
            (Until::Exhausted, Some((key, place))) => self.refuse(
                Problem::new(place, format!("`{key}` does not go together with `exhausted`"))
                    .label("a sweep tries all of its values, and has no answer")
                    .help("leave it out, or say until = \"first-failure\""),
            ),
            _ => Some(()),
        }
    }

    fn listed(&self, values: &At<Vec<At<AnyValue>>>) -> Option<Vec<(SetValue, Place)>> {
        let list = values.get()?;
        if list.is_empty() || list.len() > VALUES_MAX {
            return self.refuse(
                Problem::new(values.place, format!("`{}` has {} values", values.path, list.len()))
                    .label(format!("expected 1 to {VALUES_MAX}")),
            );
        }
        list.iter().map(|at| Some((set_value(&at.get()?.0), at.place))).collect()
    }

    fn range(
        &self,
        from_at: &At<AnyValue>,
        to_at: &At<AnyValue>,
        file: &SearchFile,
    ) -> Option<(Vec<(SetValue, Place)>, Order)> {
        let (from, to) = (self.figure(from_at)?, self.figure(to_at)?);
        self.same_unit(to_at, to, from)?;
        if to.amount <= from.amount {
            return self.refuse(
                Problem::new(to_at.place, "this range does not go up")
                    .label(format!("expected more than {}", from.shown())),
            );
        }
        let (figures, order, place) = if let Some(at) = &file.step {
            (self.added(from, to, at)?, Order::Listed, at.place)
        } else if let Some(at) = &file.factor {
            (self.multiplied(from, to, *at.get()?, at.place)?, Order::Listed, at.place)
        } else {
            let at = file.bisect.as_ref()?;
            let tolerance = self.figure(at)?;
            let figures = if tolerance.unit == Unit::Share && from.unit != Unit::Share {
                self.multiplied(from, to, Share(tolerance.amount / 100.0), at.place)?
            } else {
                self.added(from, to, at)?
            };
            (figures, Order::Bisection, at.place)
        };
        if figures.len() > VALUES_MAX {
            return self.refuse(
                Problem::new(place, "this range has too many values")
                    .label(format!("expected at most {VALUES_MAX}; a larger one gives fewer")),
            );
        }
        let ends = [from_at.place, to_at.place];
        let last = figures.len() - 1;
        let placed = figures
            .into_iter()
            .enumerate()
            .map(|(index, figure)| (set_figure(figure), ends[usize::from(index == last)]));
        Some((placed.collect(), order))
    }

    fn figure(&self, at: &At<AnyValue>) -> Option<Figure> {
        let value = &at.get()?.0;
        match Figure::of(value) {
            Some(figure) if figure.amount.is_finite() => Some(figure),
            _ => self.refuse(
                Problem::new(at.place, format!("`{}` is no figure", at.path))
                    .label(
                        "expected a number, or one with its unit: 100, \"5/s\", \"64KiB\", \"2s\"",
                    )
                    .help("what has no order is listed: values = [\"a\", \"b\"]"),
            ),
        }
    }

    fn same_unit(&self, at: &At<AnyValue>, figure: Figure, of: Figure) -> Option<()> {
        if figure.unit == of.unit {
            return Some(());
        }
        self.refuse(
            Problem::new(at.place, format!("`{}` has another unit than `from`", at.path))
                .label(format!("expected a figure like {}", of.toml())),
        )
    }

    /// `from`, then one step more each time; the last value is `to` where the steps meet it.
    fn added(&self, from: Figure, to: Figure, at: &At<AnyValue>) -> Option<Vec<Figure>> {
        let step = self.figure(at)?;
        self.same_unit(at, step, from)?;
        if step.amount <= 0.0 {
            return self.refuse(
                Problem::new(at.place, format!("`{}` leads nowhere", at.path))
                    .label("expected a figure above 0"),
            );
        }
        // A hair more, so that a step that meets the end in decimals meets it in binary.
        let ends = to.amount + step.amount * 1e-9;
        let each = (0..=VALUES_MAX).map(|index| {
            #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
            let times = index as f64;
            from.amount + times * step.amount
        });
        Some(each.take_while(|amount| *amount <= ends).map(|amount| from.with(amount)).collect())
    }

    /// `from`, then a share more each time, up to `to`, which comes last in any case.
    fn multiplied(
        &self,
        from: Figure,
        to: Figure,
        Share(share): Share,
        place: Place,
    ) -> Option<Vec<Figure>> {
        if share <= 0.0 || from.amount <= 0.0 {
            return self.refuse(
                Problem::new(place, "growth by a share leads nowhere from here")
                    .label("expected a share above 0%, and `from` above 0"),
            );
        }
        let mut figures = vec![from];
        let mut exact = from.amount;
        while figures.len() <= VALUES_MAX {
            exact *= 1.0 + share;
            let next = from.about(exact);
            if next.amount >= to.amount {
                break;
            }
            // What rounds to the value before it is none of its own.
            if figures.last().is_some_and(|last| next.amount > last.amount) {
                figures.push(next);
            } else if !exact.is_finite() {
                break;
            }
        }
        figures.push(to);
        Some(figures)
    }

    fn outer(&self, at: Option<&At<Named<Vec<At<AnyValue>>>>>) -> Option<Vec<KeyPlaces>> {
        let Some(at) = at else { return Some(Vec::new()) };
        let key = |(key, values): &(At<String>, At<Vec<At<AnyValue>>>)| {
            let path = key.get()?.clone();
            Some(KeyPlaces { path, place: key.place, values: self.listed(values)? })
        };
        at.get()?.0.iter().map(key).collect()
    }

    fn each_key_once(&self, keys: &[KeyPlaces]) -> Option<()> {
        for (index, key) in keys.iter().enumerate() {
            let section = key.path.split('.').next().unwrap_or_default().trim();
            if ["search", "profiles"].contains(&section) {
                return self.refuse(
                    Problem::new(key.place, format!("`{}` cannot be searched", key.path))
                        .label("expected a key of what is run"),
                );
            }
            if let Some(first) = keys[..index].iter().find(|first| first.path == key.path) {
                return self.refuse(
                    Problem::new(key.place, format!("`{}` is set twice in each step", key.path))
                        .label("expected another key")
                        .also(first.place, "set here"),
                );
            }
        }
        Some(())
    }

    /// Refuses what the command line would set as well, and so win or lose against every step.
    fn nothing_else_sets(
        &self,
        keys: &[KeyPlaces],
        file: &ScenarioFile,
        overrides: &Overrides,
        arguments: &super::Arguments,
    ) -> Option<()> {
        let counted = |key: &KeyPlaces| {
            let name = key.path.strip_prefix("populations.")?.strip_suffix(".count")?;
            let named = overrides.counts.iter().position(|(counted, _)| counted == name);
            let total = arguments.total.filter(|_| !is_fixed(file, name));
            named.map_or(total, |index| arguments.counts.get(index).copied())
        };
        for key in keys {
            let set = overrides.sets.iter().position(|(path, _)| *path == key.path);
            let set = set.and_then(|index| arguments.sets.get(index).copied());
            if let Some(place) = set.or_else(|| counted(key)) {
                return self.refuse(
                    Problem::new(place, format!("the search sets `{}` itself", key.path))
                        .label("leave it out here")
                        .also(key.place, "in each of its steps"),
                );
            }
        }
        Some(())
    }

    fn within_bounds(&self, searched: &Searched, place: Place) -> Option<()> {
        let search = &searched.search;
        let combinations = search.axes.iter().map(|axis| axis.values.len());
        let combinations = combinations.fold(1_usize, usize::saturating_mul);
        let runs = combinations.saturating_mul(search.steps_max());
        if combinations <= COMBINATIONS_MAX && runs <= RUNS_MAX {
            return Some(());
        }
        self.refuse(Problem::new(place, format!("this search may take {runs} runs")).label(
            format!("expected at most {RUNS_MAX}, in at most {COMBINATIONS_MAX} combinations"),
        ))
    }

    fn expected(&self, at: &At<SearchExpectFile>, search: &Search) -> Option<ExpectedAnswers> {
        let file = at.get()?;
        let answer = &file.answer.get()?.0;
        let combinations = search.combinations().len();
        let answers: Vec<SetValue> = match answer {
            toml::Value::Array(list) => list.iter().map(set_value).collect(),
            one => vec![set_value(one)],
        };
        let place = file.answer.place;
        if answers.len() != combinations {
            return self.refuse(
                Problem::new(place, format!("`{}` has another length", file.answer.path))
                    .label(format!("expected {combinations}, one for each combination")),
            );
        }
        let within = match &file.within {
            None => 0.0,
            Some(at) => at.get()?.0,
        };
        for answer in &answers {
            let exactly = ExpectedAnswers { answers: vec![answer.clone()], within };
            if !search.values.iter().any(|value| exactly.is_met(0, Some(value))) {
                return self.refuse(
                    Problem::new(place, format!("the search never tries {}", answer.shown))
                        .label("expected a value of the search")
                        .maybe_help(near(search, answer)),
                );
            }
        }
        Some(ExpectedAnswers { answers, within })
    }
}

/// The values around one that is none.
fn near(search: &Search, answer: &SetValue) -> Option<String> {
    let wanted = answer.amount?;
    let above =
        search.values.iter().position(|value| value.amount.is_some_and(|at| at > wanted))?;
    let below = above.checked_sub(1)?;
    let shown = |index: usize| &search.values[index].shown;
    Some(format!("it tries {} and then {}", shown(below), shown(above)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_part_values_but_for_those_within_one() {
        let parts = |text: &'static str| -> Vec<&str> {
            split(text).into_iter().map(|(start, end)| &text[start..end]).collect()
        };
        assert_eq!(parts("64KiB, 256KiB,1MiB"), ["64KiB", "256KiB", "1MiB"]);
        assert_eq!(parts("{ a = 1, b = [2, 3] },'x,y'"), ["{ a = 1, b = [2, 3] }", "'x,y'"]);
        assert_eq!(parts("1,,2"), ["1", "", "2"]);
    }

    #[test]
    fn what_is_typed_is_toml_or_a_bare_word() {
        let told = |text| {
            let value = typed(text);
            (value.toml, value.shown)
        };
        assert_eq!(told("700"), ("700".to_owned(), "700".to_owned()));
        assert_eq!(told("64KiB"), ("\"64KiB\"".to_owned(), "64KiB".to_owned()));
        assert_eq!(told("js-sdk"), ("\"js-sdk\"".to_owned(), "js-sdk".to_owned()));
        assert_eq!(told("\"5/s\""), ("\"5/s\"".to_owned(), "5/s".to_owned()));
    }
}
