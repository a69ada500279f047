//! A scenario's text as a tree of values that know where they stand, before they have types: TOML
//! parsed, `--set` applied, `${env:NAME}` filled in.

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem, Problems, Text, suggestion};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub place: Place,
    pub value: Value,
}

/// A TOML value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    String(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    /// Kept for the message that it is none of ours.
    Datetime(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key of a table with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub key_place: Place,
    pub node: Node,
}

impl Node {
    /// What kind of value it is, and which, as an error words it.
    pub fn describe(&self) -> String {
        if self.place.hidden {
            return "what the environment gave".to_owned();
        }
        match &self.value {
            Value::String(text) => format!("the text \"{text}\""),
            Value::Integer(number) => format!("the number {number}"),
            Value::Float(number) => format!("the number {number}"),
            Value::Boolean(value) => format!("`{value}`"),
            Value::Datetime(text) => format!("the date {text}"),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }

    /// The value of a key of this table; `None` where there is none, or no table.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Value::Table(entries) = &self.value else { return None };
        entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    fn from_toml(value: &Spanned<DeValue<'_>>, at: &dyn Fn(usize, usize) -> Place) -> Self {
        let span = value.span();
        let value = match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Value::Datetime(number.to_string()), Value::Integer),
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Datetime(date) => Value::Datetime(date.to_string()),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| Self::from_toml(item, at)).collect())
            }
            DeValue::Table(table) => Value::Table(entries(table, at)),
        };
        Self { place: at(span.start, span.end), value }
    }
}

fn entries(table: &DeTable<'_>, at: &dyn Fn(usize, usize) -> Place) -> Vec<Entry> {
    let entry = |(key, value): (&Spanned<_>, &Spanned<_>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        Entry {
            key: key.get_ref().to_string(),
            key_place: at(key.span().start, key.span().end),
            node: Node::from_toml(value, at),
        }
    };
    table.iter().map(entry).collect()
}

/// Parses a file. `None` when it is not TOML; then the problem says where and why.
pub(crate) fn parse(text: &str, problems: &Problems) -> Option<Node> {
    match DeTable::parse(text) {
        Ok(table) => Some(Node {
            place: Place::file(0, 0),
            value: Value::Table(entries(table.get_ref(), &Place::file)),
        }),
        Err(error) => {
            problems.push(syntax_problem(text, &error));
            None
        }
    }
}

fn syntax_problem(text: &str, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let (end, start) = (span.end.min(text.len()), span.start.min(text.len()));
    let message = error.message().lines().collect::<Vec<_>>().join("; ");
    let (what, expected) = match message.split_once(", expected ") {
        Some((what, expected)) => (what, format!("expected {expected}")),
        None => (message.as_str(), "expected TOML: key = value".to_owned()),
    };
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let place = Place::file(start, end);
    if what == "duplicate key" {
        return Problem::new(place, format!("`{}` stands here twice", &text[start..end]))
            .label("it has been set above")
            .help("keep one of the two, or rename one");
    }
    let help = if let Some((key, value)) = unquoted_value(line) {
        Some(format!("text, times, sizes and rates stand in quotes: {key} = \"{value}\""))
    } else if what.contains("comma") {
        Some("is there a bracket or a brace before this that is not closed?".to_owned())
    } else {
        None
    };
    Problem::new(place, format!("this is not TOML: {what}")).label(expected).maybe_help(help)
}

/// A line `key = value` whose value lacks its quotes.
fn unquoted_value(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let value = value.split('#').next()?.trim();
    let bare = |c: char| c.is_alphanumeric() || "/%.-_".contains(c);
    let is_bare = !value.is_empty()
        && value.chars().all(bare)
        && value.parse::<f64>().is_err()
        && !["true", "false"].contains(&value);
    is_bare.then(|| (key.trim(), value))
}

/// A `--set path=value`, cut in two.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    /// Position among the arguments, for errors.
    pub argument: usize,
    /// Where the path begins in the argument's text.
    pub path_at: usize,
    pub path: &'a str,
    pub value: &'a str,
}

impl Setting<'_> {
    fn place(&self, start: usize, end: usize) -> Place {
        Place { text: Text::Argument(self.argument), start, end, hidden: false }
    }

    /// The value; `None` when it is broken.
    fn value_node(&self, problems: &Problems) -> Option<Node> {
        let value_at = self.path_at + self.path.len() + 1;
        let place = self.place(value_at, value_at + self.value.len());
        match DeValue::parse(self.value) {
            Ok(value) => {
                let at = |start, end| self.place(value_at + start, value_at + end);
                Some(Node::from_toml(&value, &at))
            }
            // What begins like structured TOML was meant as such; anything else is a bare string.
            Err(error) if self.value.starts_with(['{', '[', '"', '\'']) => {
                let message = error.message().lines().collect::<Vec<_>>().join("; ");
                problems.push(
                    Problem::new(place, format!("this is not TOML: {message}"))
                        .label("expected a TOML value, or a bare word"),
                );
                None
            }
            Err(_) => Some(Node { place, value: Value::String(self.value.to_owned()) }),
        }
    }

    /// The segments of the path with their places; `None` when it is not a path.
    fn segments(&self, problems: &Problems) -> Option<Vec<(String, Place)>> {
        let at = |start, end| self.place(self.path_at + start, self.path_at + end);
        segments(self.path, &at, problems)
    }

    /// Puts the value where the path leads.
    pub fn apply(&self, root: &mut Node, problems: &Problems) {
        let Some(segments) = self.segments(problems) else { return };
        let Some(value) = self.value_node(problems) else { return };
        put_at(root, &segments, value, problems);
    }
}

/// The segments of a path with their places; `None` when it is not a path.
pub(super) fn segments(
    path: &str,
    at: &dyn Fn(usize, usize) -> Place,
    problems: &Problems,
) -> Option<Vec<(String, Place)>> {
    let line = format!("{path} = 0");
    let parsed = if path.contains('\n') { None } else { DeTable::parse(&line).ok() };
    let mut segments = Vec::new();
    let mut table = parsed.as_ref().map(|table| table.get_ref());
    while let Some((key, value)) = table.and_then(|table| table.iter().next()) {
        let span = key.span();
        segments.push((key.get_ref().to_string(), at(span.start, span.end)));
        table = value.get_ref().as_table();
    }
    if segments.is_empty() {
        problems.push(
            Problem::new(at(0, path.len()), "this is not the path of a value")
                .label("expected keys with dots between, such as `hub.keep_alive.timeout`"),
        );
        return None;
    }
    Some(segments)
}

/// A TOML value all of which stands at one place; `None` when it is none.
pub(super) fn value_at(toml: &str, place: Place) -> Option<Node> {
    DeValue::parse(toml).ok().map(|value| Node::from_toml(&value, &|_, _| place))
}

/// The steps to a value, each a key and its place.
pub(crate) type Path = [(String, Place)];

/// Puts a value where a path leads. Tables that a file leaves out are added, but for populations
/// and traffic, which must be there.
pub(crate) fn put_at(root: &mut Node, path: &Path, value: Node, problems: &Problems) {
    let Some(((last, place), parents)) = path.split_last() else { return };
    if let Some(node) = descend_to(root, parents, problems) {
        put(node, last, *place, value, problems);
    }
}

/// The table (or list) that a path leads to, added where [`put_at`] would.
pub(crate) fn descend_to<'a>(
    root: &'a mut Node,
    path: &Path,
    problems: &Problems,
) -> Option<&'a mut Node> {
    let mut node = root;
    for (depth, (segment, place)) in path.iter().enumerate() {
        let section = match &path[..depth] {
            [(section, _)] if section == "populations" || section == "traffic" => {
                Some(section.as_str())
            }
            _ => None,
        };
        node = descend(node, segment, *place, section, problems)?;
    }
    Some(node)
}

fn descend<'a>(
    node: &'a mut Node,
    segment: &str,
    place: Place,
    section: Option<&str>,
    problems: &Problems,
) -> Option<&'a mut Node> {
    match &mut node.value {
        Value::Table(entries) => {
            if let Some(found) = entries.iter().position(|entry| entry.key == segment) {
                return Some(&mut entries[found].node);
            }
            if let Some(section) = section {
                let names = entries.iter().map(|entry| entry.key.as_str());
                problems.push(
                    Problem::new(place, format!("there is no `{segment}` in `[{section}]`"))
                        .label("expected one that the file defines")
                        .maybe_help(suggestion(segment, names)),
                );
                return None;
            }
            let added = Node { place, value: Value::Table(Vec::new()) };
            entries.push(Entry { key: segment.to_owned(), key_place: place, node: added });
            entries.last_mut().map(|entry| &mut entry.node)
        }
        Value::List(items) => {
            let count = items.len();
            let item = segment.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            if item.is_none() {
                problems.push(no_such_item(segment, place, count));
            }
            item
        }
        _ => {
            problems.push(not_a_table(segment, place));
            None
        }
    }
}

fn put(node: &mut Node, key: &str, place: Place, value: Node, problems: &Problems) {
    match &mut node.value {
        Value::Table(entries) => match entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => {
                entry.key_place = place;
                entry.node = value;
            }
            None => entries.push(Entry { key: key.to_owned(), key_place: place, node: value }),
        },
        Value::List(items) => {
            let count = items.len();
            match key.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                Some(item) => *item = value,
                None => problems.push(no_such_item(key, place, count)),
            }
        }
        _ => problems.push(not_a_table(key, place)),
    }
}

fn no_such_item(segment: &str, place: Place, count: usize) -> Problem {
    Problem::new(place, format!("there is no item {segment} in this list"))
        .label(format!("the list has {count}, counted from 0"))
}

fn not_a_table(segment: &str, place: Place) -> Problem {
    Problem::new(place, format!("there is no `{segment}` here: what stands before it is a value"))
        .label("expected the path to end before this")
}

/// Looks up an environment variable.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Fills `${env:NAME}` in, in every string; what it gave is hidden from errors.
pub(crate) fn fill_in(node: &mut Node, environment: Environment<'_>, problems: &Problems) {
    match &mut node.value {
        Value::String(text) => {
            if let Some(filled) = filled(text, node.place, environment, problems) {
                *text = filled;
                node.place.hidden = true;
            }
        }
        Value::List(items) => {
            for item in items {
                fill_in(item, environment, problems);
            }
        }
        Value::Table(entries) => {
            for entry in entries {
                fill_in(&mut entry.node, environment, problems);
            }
        }
        _ => {}
    }
}

fn filled(
    text: &str,
    place: Place,
    environment: Environment<'_>,
    problems: &Problems,
) -> Option<String> {
    const OPEN: &str = "${env:";
    let mut rest = text;
    let mut out = String::new();
    let mut found = false;
    while let Some(at) = rest.find(OPEN) {
        let (before, from_open) = rest.split_at(at);
        let Some((name, after)) = from_open[OPEN.len()..].split_once('}') else {
            problems.push(
                Problem::new(place, "`${env:` is not closed").label("expected `${env:NAME}`"),
            );
            return None;
        };
        out.push_str(before);
        match environment(name) {
            Some(value) => out.push_str(&value),
            None => problems.push(
                Problem::new(place, format!("the environment variable `{name}` is not set"))
                    .label("needed here")
                    .help(format!("set it before the command: {name}=… squall run …")),
            ),
        }
        found = true;
        rest = after;
    }
    out.push_str(rest);
    found.then_some(out)
}
