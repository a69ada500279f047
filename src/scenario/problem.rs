//! What is wrong with a scenario, where, and how it is shown.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Widest line of an error, in columns.
const WIDTH: usize = 100;

/// Columns that are pointed at of a longer value on one line.
const POINTED_AT: usize = 32;

/// Rightmost column in which further lines of what is said begin.
const FOLDED_AT_MOST: usize = 60;

/// Which text a [`Place`] is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Text {
    /// The scenario file.
    File,
    /// An argument of the command line, by its position in [`Texts::arguments`].
    Argument(usize),
}

/// Bytes `start..end` of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub text: Text,
    pub start: usize,
    pub end: usize,
    /// The value there came (in part) from the environment and is never shown.
    pub hidden: bool,
}

impl Place {
    pub const fn file(start: usize, end: usize) -> Self {
        Self { text: Text::File, start, end, hidden: false }
    }

    /// How an error shows the value that stands here.
    pub fn show(&self, value: &str) -> String {
        if self.hidden { "`…` (from the environment)".to_owned() } else { format!("`{value}`") }
    }
}

/// One error, worded for people: the title says what is wrong, the label what was expected there,
/// the help what to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    place: Place,
    title: String,
    label: String,
    also: Vec<(Place, String)>,
    help: Vec<String>,
}

impl Problem {
    pub fn new(place: Place, title: impl Into<String>) -> Self {
        Self {
            place,
            title: title.into(),
            label: String::new(),
            also: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Says what was expected at the place.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Points at a second place that has to do with it.
    pub fn also(mut self, place: Place, label: impl Into<String>) -> Self {
        self.also.push((place, label.into()));
        self
    }

    /// Says what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Says what to do, if there is something to say.
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help.extend(help);
        self
    }
}

/// Takes problems in while a scenario is read; reading goes on after each.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: RefCell<Vec<Problem>>,
}

impl Problems {
    pub fn push(&self, problem: Problem) {
        let mut list = self.list.borrow_mut();
        if !list.contains(&problem) {
            list.push(problem);
        }
    }

    /// Takes the problems of another look at the same text, each with what they have in common.
    pub fn take(&self, other: Self, help: &str) {
        for problem in other.list.into_inner() {
            self.push(problem.help(help));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }

    /// All of them, in the order of the text.
    pub fn into_sorted(self) -> Vec<Problem> {
        let mut list = self.list.into_inner();
        list.sort_by_key(|problem| (problem.place.text, problem.place.start));
        list
    }
}

/// The texts that places refer to.
#[derive(Debug)]
pub(crate) struct Texts<'a> {
    /// What errors call the file.
    pub origin: &'a str,
    /// The file.
    pub file: &'a str,
    /// Arguments as typed: `--set hub.units=2`, `-n muted=5`.
    pub arguments: Vec<String>,
}

impl Texts<'_> {
    /// Whether the value at a place is written as an inline table: `{ … }`.
    pub fn is_inline_table(&self, place: Place) -> bool {
        self.text(place.text).get(place.start..).is_some_and(|rest| rest.starts_with('{'))
    }

    fn text(&self, text: Text) -> &str {
        match text {
            Text::File => self.file,
            Text::Argument(index) => self.arguments.get(index).map_or("", String::as_str),
        }
    }

    /// The bytes to point at: all of a place, or the beginning of a long one.
    fn span(&self, place: Place) -> Range<usize> {
        let value = self.text(place.text).get(place.start..place.end).unwrap_or_default();
        let end = value.char_indices().nth(POINTED_AT).filter(|_| !value.contains('\n'));
        place.start..end.map_or(place.end, |(length, _)| place.start + length)
    }

    fn snippet(&self, text: Text) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        match text {
            Text::File => Snippet::source(self.file).path(self.origin),
            Text::Argument(_) => {
                Snippet::source(self.text(text)).path("command line").line_numbering(false)
            }
        }
    }

    /// One block per problem, without colour, separated by empty lines; no line that can be broken
    /// is wider than [`WIDTH`].
    pub fn render(&self, problems: &[Problem]) -> String {
        let renderer = Renderer::plain().term_width(WIDTH);
        let mut out = String::new();
        for problem in problems {
            if !out.is_empty() {
                out.push_str("\n\n");
            }
            let told = renderer.render(&[self.group(problem)]);
            let lines: Vec<String> = told.lines().map(|line| folded(line, problem)).collect();
            out.push_str(&lines.join("\n"));
        }
        let _ = writeln!(out);
        out
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let mut snippet = self.snippet(problem.place.text).annotation(
            AnnotationKind::Primary.span(self.span(problem.place)).label(problem.label.as_str()),
        );
        let mut elsewhere = Vec::new();
        for (place, label) in &problem.also {
            let annotation = AnnotationKind::Context.span(self.span(*place)).label(label.as_str());
            if place.text == problem.place.text {
                snippet = snippet.annotation(annotation);
            } else {
                elsewhere.push(self.snippet(place.text).annotation(annotation));
            }
        }
        let mut group = Level::ERROR.primary_title(problem.title.as_str()).element(snippet);
        for snippet in elsewhere {
            group = group.element(snippet);
        }
        for help in &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        group
    }
}

/// A line that is too wide because of what is said at its end goes on below, behind the same rule.
fn folded(line: &str, problem: &Problem) -> String {
    if line.chars().count() <= WIDTH {
        return line.to_owned();
    }
    let labels = problem.also.iter().map(|(_, label)| label);
    let all = [&problem.title, &problem.label].into_iter().chain(labels).chain(&problem.help);
    let said = all.filter(|said| !said.is_empty() && line.ends_with(said.as_str()));
    let Some(said) = said.max_by_key(|said| said.len()) else { return line.to_owned() };
    let before = &line[..line.len() - said.len()];
    let rule = before.find('|').map_or(0, |at| at + 1);
    let columns = before.chars().count().min(FOLDED_AT_MOST);
    let margin = format!("{:columns$}", &before[..rule]);
    let mut out = before.to_owned();
    let mut at = before.chars().count();
    let mut is_first = true;
    for word in said.split(' ') {
        if at + usize::from(!is_first) + word.chars().count() > WIDTH {
            // A mark is never left without a word beside it.
            out.push_str(if is_first { "…" } else { "" });
            let _ = write!(out, "\n{margin}");
            at = columns;
        } else if !is_first {
            out.push(' ');
            at += 1;
        }
        out.push_str(word);
        at += word.chars().count();
        is_first = false;
    }
    out
}

/// The candidate that somebody who wrote `word` most likely meant.
pub(crate) fn closest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let word = plain(word);
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| {
            *distance <= limit || (word.len() >= 4 && plain(candidate).starts_with(&word))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean …?`, or the list of what there is.
pub(crate) fn suggestion<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(close) = closest(word, candidates.clone()) {
        return Some(format!("did you mean `{close}`?"));
    }
    let all = list(candidates);
    (!all.is_empty()).then(|| format!("there is {all}"))
}

/// "`a`, `b` and `c`".
pub(crate) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// "`a`, `b` or `c`".
pub(crate) fn either<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// "one of `a`, `b` or `c`", or the only word there is.
pub(crate) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    let one_of = if words.len() > 1 { "one of " } else { "" };
    format!("{one_of}{}", either(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_word_is_near_in_spelling_or_begins_alike() {
        let keys = ["count", "arrival", "receive_buffer", "reconnect"];
        assert_eq!(closest("cuont", keys), Some("count"));
        assert_eq!(closest("receive-buffer", keys), Some("receive_buffer"));
        assert_eq!(closest("Reconect", keys), Some("reconnect"));
        assert_eq!(closest("receive", keys), Some("receive_buffer"));
        assert_eq!(closest("xyz", keys), None);
    }

    #[test]
    fn no_line_of_an_error_is_wider_than_a_hundred_columns() {
        for (before, value) in [(0, 3), (4, 300), (60, 20), (85, 9), (85, 300), (300, 9)] {
            let file = format!("{}{} # and more\n", "x".repeat(before), "y".repeat(value));
            let texts = Texts { origin: "a.toml", file: &file, arguments: Vec::new() };
            let words = "expected one of many words that are too long for a line ".repeat(3);
            let place = Place::file(before, before + value);
            let problem = Problem::new(place, words.trim()).label(words.trim()).help(words.trim());
            let told = texts.render(&[problem]);
            assert!(told.lines().all(|line| line.chars().count() <= WIDTH), "{told}");
            assert!(told.lines().all(|line| !line.ends_with('^')), "{told}");
            assert_eq!(told.matches("expected").count(), 9, "nothing is lost: {told}");
        }
    }

    #[test]
    fn a_hidden_value_is_not_shown() {
        let place = Place { hidden: true, ..Place::file(0, 1) };
        assert!(!place.show("s3cret").contains("s3cret"));
        assert!(Place::file(0, 1).show("plain").contains("plain"));
    }
}
