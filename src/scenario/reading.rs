//! What other files than scenarios are read with: the same places, units, errors and schema.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use std::cell::RefCell;

use super::document::{self, Entry};
use super::problem::Texts;
use super::{ScenarioErrors, Source, de, finish, schema};
use crate::secret::Secret;

pub(crate) use super::at::{At, Named};
pub(crate) use super::document::{Environment, Node, Value};
pub(crate) use super::problem::{Place, Problem, Problems, Text};
pub(crate) use super::units::{Count, Factor, Lasting, Rate, Share, Size};

/// A flag that sets keys of a file, or stands for one.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    /// As typed: `--size`.
    pub name: &'static str,
    /// Its value as typed.
    pub typed: String,
    /// Keys from the root of the file.
    pub path: &'static [&'static str],
    /// What the value means there.
    pub value: FlagValue,
}

/// What the value of a flag means in a file.
#[derive(Clone, Debug)]
pub(crate) enum FlagValue {
    /// A number where it is one, or else a text.
    Number,
    /// A text.
    Text,
    /// Texts with commas between.
    List,
    /// This text instead.
    Instead(String),
    /// Tables within each other, by keys from here, each with a number or a text.
    Table(Vec<(&'static [&'static str], String)>),
}

impl Flag {
    fn text(&self) -> String {
        format!("{} {}", self.name, self.typed)
    }

    fn node(&self, place: Place) -> Node {
        let value = match &self.value {
            FlagValue::Number => number(&self.typed),
            FlagValue::Text => Value::String(self.typed.clone()),
            FlagValue::Instead(text) => Value::String(text.clone()),
            FlagValue::List => {
                let words = self.typed.split(',').map(str::trim).filter(|word| !word.is_empty());
                let item = |word: &str| Node { place, value: Value::String(word.to_owned()) };
                Value::List(words.map(item).collect())
            }
            FlagValue::Table(keys) => {
                let mut table = Node { place, value: Value::Table(Vec::new()) };
                for (path, value) in keys {
                    put(&mut table, path, Node { place, value: number(value) }, place);
                }
                return table;
            }
        };
        Node { place, value }
    }
}

fn number(text: &str) -> Value {
    let plain = text.replace(['_', ','], "");
    match (plain.parse(), plain.parse::<f64>()) {
        (Ok(whole), _) => Value::Integer(whole),
        (_, Ok(number)) => Value::Float(number),
        _ => Value::String(text.to_owned()),
    }
}

/// Puts a value below a table, adding tables on the way.
fn put(node: &mut Node, path: &[&str], value: Node, place: Place) {
    let Value::Table(entries) = &mut node.value else { return };
    let Some((first, rest)) = path.split_first() else { return };
    let at = entries.iter().position(|entry| entry.key == *first).unwrap_or_else(|| {
        let empty = Node { place, value: Value::Table(Vec::new()) };
        entries.push(Entry { key: (*first).to_owned(), key_place: place, node: empty });
        entries.len() - 1
    });
    if rest.is_empty() {
        entries[at].node = value;
    } else {
        put(&mut entries[at].node, rest, value, place);
    }
}

/// Reads a file, or flags alone, changed by flags. `environment` looks up `${env:NAME}`; no error
/// shows what it gave.
pub(crate) fn read<T: DeserializeOwned, R>(
    source: &Source,
    flags: &[Flag],
    environment: Environment<'_>,
    build: impl FnOnce(&T, &Problems) -> R,
) -> Result<R, ScenarioErrors> {
    let problems = Problems::default();
    let texts = Texts {
        origin: &source.origin,
        file: &source.text,
        arguments: flags.iter().map(Flag::text).collect(),
    };
    let secrets = RefCell::new(Vec::new());
    let noted = |name: &str| {
        let value = environment(name)?;
        secrets.borrow_mut().push(Secret::new(value.clone()));
        Some(value)
    };
    let made = document::parse(&source.text, &problems).and_then(|mut root| {
        document::fill_in(&mut root, &noted, &problems);
        for (argument, flag) in flags.iter().enumerate() {
            let start = flag.name.len() + 1;
            let text = Text::Argument(argument);
            let place = Place { text, start, end: start + flag.typed.len(), hidden: false };
            put(&mut root, flag.path, flag.node(place), place);
        }
        de::read(&root, &problems).map(|file| build(&file, &problems))
    });
    finish(made, problems, &texts, secrets.into_inner())
}

/// The JSON Schema of a grammar (draft 2020-12), for editors.
#[must_use]
pub(crate) fn schema_of<T: JsonSchema>() -> serde_json::Value {
    schema::of::<T>()
}
