//! From the tree of a [`Node`] to typed values, through serde, with every error kept.
//!
//! The format's grammar is the types of `file`. Each of their values is an [`At`]: it knows its
//! place, and when it cannot be read the problem is noted, the value is `None`, and reading goes on
//! with the next. Unknown keys are noted and skipped; a missing key is noted and taken as bad.

use std::fmt;

use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};

use super::at::{AT, At};
use super::document::{Entry, Node, Value};
use super::problem::{Place, Problem, Problems, Text, closest, list, one_of, suggestion};

/// The key of a table that may be written as the value of that key alone.
const LIKE: &str = "like";

/// Reads a tree into a type of the grammar; `None` when nothing could be made of it at all.
pub(crate) fn read<'de, T: Deserialize<'de>>(
    node: &'de Node,
    problems: &'de Problems,
) -> Option<T> {
    let whole = NodeDe { node, path: String::new(), problems, missing: Vec::new() };
    At::deserialize(whole).ok()?.value
}

/// Why a value could not be read. Every deserialiser below reports a fresh one at its place.
#[derive(Debug)]
enum Error {
    Reported,
    /// A key is missing, which has been reported.
    Missing(&'static str),
    Custom(String),
    Unfit {
        found: Option<String>,
        expected: String,
    },
    UnknownVariant {
        variant: String,
        expected: &'static [&'static str],
    },
    MissingKey(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }

    fn invalid_type(_found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Unfit { found: None, expected: expected.to_string() }
    }

    fn invalid_value(_found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Unfit { found: None, expected: expected.to_string() }
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::Unfit { found: Some(format!("{length} items")), expected: expected.to_string() }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::UnknownVariant { variant: variant.to_owned(), expected }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::MissingKey(field)
    }
}

struct NodeDe<'de> {
    node: &'de Node,
    path: String,
    problems: &'de Problems,
    /// Keys of the table that are missing, which has been reported: they are there, and bad.
    missing: Vec<&'static str>,
}

impl<'de> NodeDe<'de> {
    fn report(&self, error: Error) -> Error {
        let place = self.node.place;
        let problem = match error {
            Error::Reported | Error::Missing(_) => return error,
            Error::Custom(message) => Problem::new(place, message),
            Error::Unfit { found, expected } => self.unfit(found, &expected),
            Error::UnknownVariant { variant, expected } => {
                let close = closest(&variant, expected.iter().copied());
                let help = close.map(|close| format!("did you mean `{close}`?"));
                Problem::new(place, format!("{} cannot be {}", self.name(), place.show(&variant)))
                    .label(format!("expected {}", one_of(expected.iter().copied())))
                    .maybe_help(help.filter(|_| !place.hidden))
            }
            Error::MissingKey(key) => {
                self.problems.push(
                    Problem::new(place, format!("{} lacks the key `{key}`", self.name()))
                        .label(format!("expected `{key} = …` in this table")),
                );
                return Error::Missing(key);
            }
        };
        self.problems.push(problem);
        Error::Reported
    }

    /// Whether a text repeats a value that must not be shown.
    fn is_told_by(&self, text: &str) -> bool {
        match &self.node.value {
            Value::String(value) => self.node.place.hidden && text.contains(value.trim()),
            _ => false,
        }
    }

    fn unfit(&self, found: Option<String>, expected: &str) -> Problem {
        let found = found.unwrap_or_else(|| self.node.describe());
        let expected = match expected {
            // A hint made from the value would show it.
            _ if self.is_told_by(expected) => {
                "a value of another form: what the environment gives is a text, unit and all"
            }
            // serde's own words for what its visitors take.
            "a sequence" => "a list: [ … ]",
            "a string" => "a text in quotes",
            "a boolean" => "true or false",
            "map" | "a map" => "a table",
            other => other,
        };
        let help = match &self.node.value {
            Value::String(text) if expected.starts_with("a list") && !self.node.place.hidden => {
                Some(format!("in brackets: [\"{text}\"]"))
            }
            Value::Table(entries) if expected.starts_with("a list") => {
                match (self.path.split_once('.'), entries.first()) {
                    (None | Some(("hub" | "upstream", _)), _) => {
                        Some(format!("each entry begins with [[{}]]", self.path))
                    }
                    (Some(("thresholds", metric)), Some(entry)) => {
                        let view = &entry.key;
                        Some(format!("a name with a dot stands in quotes: \"{metric}.{view}\""))
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        Problem::new(self.node.place, format!("{} cannot be {found}", self.name()))
            .label(format!("expected {expected}"))
            .maybe_help(help)
    }

    fn located<V>(&self, result: Result<V, Error>) -> Result<V, Error> {
        result.map_err(|error| self.report(error))
    }

    fn name(&self) -> String {
        if self.path.is_empty() { "the file".to_owned() } else { format!("`{}`", self.path) }
    }

    fn child(&self, key: &str, node: &'de Node) -> Self {
        let path =
            if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { node, path, problems: self.problems, missing: Vec::new() }
    }

    fn table<V: Visitor<'de>>(
        &self,
        entries: &'de [Entry],
        keys: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let known = entries.iter().filter(|entry| {
            let is_known = keys.is_none_or(|keys| keys.contains(&entry.key.as_str()));
            if !is_known {
                self.problems.push(self.unknown_key(entry, keys.unwrap_or_default()));
            }
            is_known
        });
        let known = known.collect::<Vec<_>>().into_iter();
        let missing = self.missing.clone();
        visitor.visit_map(TableAccess { de: self, entries: known, missing, next: None })
    }

    /// What a table of these keys looks like.
    fn table_of(&self, keys: &[&str]) -> String {
        match (keys, &self.node.value) {
            ([], _) => "an empty table: { }".to_owned(),
            ([key], _) => format!("a table: {{ {key} = … }}"),
            (keys, Value::String(word)) if keys.contains(&word.as_str()) => {
                format!("a table: {{ {word} = {{ … }} }}")
            }
            _ => format!("a table, {{ … }}, with keys of {}", list(keys.iter().copied())),
        }
    }

    fn unknown_key(&self, entry: &Entry, keys: &'static [&'static str]) -> Problem {
        let place = entry.key_place;
        let table =
            if self.path.is_empty() { "the file".to_owned() } else { format!("`{}`", self.path) };
        Problem::new(place, format!("unknown key `{}` in {table}", entry.key))
            .label("not a key of this table")
            .maybe_help(suggestion(&entry.key, keys.iter().copied()))
    }
}

impl<'de> Deserializer<'de> for NodeDe<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match &self.node.value {
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Integer(number) => match (u64::try_from(*number), i64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => visitor.visit_i128(*number),
            },
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Datetime(text) => {
                Err(de::Error::invalid_type(Unexpected::Other(text), &visitor))
            }
            Value::List(items) => {
                visitor.visit_seq(ListAccess { de: &self, items: items.iter().enumerate() })
            }
            Value::Table(entries) => self.table(entries, None, visitor),
        };
        self.located(result)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name != AT {
            return visitor.visit_newtype_struct(self);
        }
        let (place, path) = (self.node.place, self.path.clone());
        visitor.visit_seq(AtAccess { step: 0, place, path, inner: Some(self), again: false })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let result = match &self.node.value {
            Value::Table(entries) => self.table(entries, Some(fields), visitor),
            Value::String(_) if fields.contains(&LIKE) => {
                visitor.visit_map(LikeAccess { de: &self, is_told: false })
            }
            _ => Err(Error::Unfit { found: None, expected: self.table_of(fields) }),
        };
        self.located(result)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let result = match &self.node.value {
            Value::String(text) => visitor.visit_enum(VariantDe {
                de: &self,
                variant: text,
                settings: None,
                at: &self,
            }),
            Value::Table(entries) => match entries.as_slice() {
                [entry] => {
                    // A misspelt variant is reported at its key.
                    let key = NodeDe {
                        node: &Node {
                            place: entry.key_place,
                            value: Value::String(entry.key.clone()),
                        },
                        path: self.path.clone(),
                        problems: self.problems,
                        missing: Vec::new(),
                    };
                    let access = VariantDe {
                        de: &self,
                        variant: &entry.key,
                        settings: Some(&entry.node),
                        at: &key,
                    };
                    visitor.visit_enum(access)
                }
                _ => Err(Error::Unfit {
                    found: Some(format!("a table with {} keys", entries.len())),
                    expected: format!("exactly {}", one_of(variants.iter().copied())),
                }),
            },
            _ => Err(Error::Unfit { found: None, expected: one_of(variants.iter().copied()) }),
        };
        self.located(result)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// The parts of an [`At`]: text, start, end, hidden, path, then the value itself.
///
/// serde gives a table up at the first key that is missing. So the value can be asked for again:
/// then that key counts as there, and bad, and the table's other keys are read all the same.
struct AtAccess<'de> {
    step: u8,
    place: Place,
    path: String,
    /// `None` for a value that is missing.
    inner: Option<NodeDe<'de>>,
    /// Whether asking for the value again makes sense.
    again: bool,
}

impl<'de> AtAccess<'de> {
    fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some(inner) = &mut self.inner else { return Ok(None) };
        let result = seed.deserialize(NodeDe {
            node: inner.node,
            path: inner.path.clone(),
            problems: inner.problems,
            missing: inner.missing.clone(),
        });
        self.again = false;
        if let Err(Error::Missing(key)) = &result
            && !inner.missing.contains(key)
        {
            inner.missing.push(key);
            self.again = true;
        }
        result.map(Some)
    }
}

impl<'de> SeqAccess<'de> for AtAccess<'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        self.step = self.step.saturating_add(1);
        let number = match self.step {
            1 => match self.place.text {
                Text::File => 0,
                Text::Argument(argument) => argument + 1,
            },
            2 => self.place.start,
            3 => self.place.end,
            4 => usize::from(self.place.hidden),
            5 => {
                let path = std::mem::take(&mut self.path);
                let path: StringDeserializer<Error> = path.into_deserializer();
                return seed.deserialize(path).map(Some);
            }
            _ => return self.value(seed),
        };
        seed.deserialize(number.into_deserializer()).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(usize::from(self.again))
    }
}

struct ListAccess<'a, 'de> {
    de: &'a NodeDe<'de>,
    items: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> SeqAccess<'de> for ListAccess<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let next = self.items.next();
        next.map(|(index, node)| {
            let path = format!("{}[{index}]", self.de.path);
            let problems = self.de.problems;
            seed.deserialize(NodeDe { node, path, problems, missing: Vec::new() })
        })
        .transpose()
    }
}

struct TableAccess<'a, 'de> {
    de: &'a NodeDe<'de>,
    entries: std::vec::IntoIter<&'de Entry>,
    /// Keys that are missing, and come last.
    missing: Vec<&'static str>,
    /// The entry whose value comes next; `None` for that of a missing key.
    next: Option<&'de Entry>,
}

impl<'de> MapAccess<'de> for TableAccess<'_, 'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        self.next = self.entries.next();
        if let Some(entry) = self.next {
            return seed.deserialize(KeyDe { entry, path: &self.de.path }).map(Some);
        }
        let missing = self.missing.pop().map(IntoDeserializer::into_deserializer);
        missing.map(|key: StrDeserializer<'_, Error>| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        match self.next.take() {
            Some(entry) => seed.deserialize(self.de.child(&entry.key, &entry.node)),
            None => seed.deserialize(MissingDe { place: self.de.node.place }),
        }
    }
}

/// A table that is written as the value of its key `like`.
struct LikeAccess<'a, 'de> {
    de: &'a NodeDe<'de>,
    is_told: bool,
}

impl<'de> MapAccess<'de> for LikeAccess<'_, 'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if std::mem::replace(&mut self.is_told, true) {
            return Ok(None);
        }
        let key: StrDeserializer<'_, Error> = LIKE.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let NodeDe { node, path, problems, .. } = self.de;
        seed.deserialize(NodeDe { node, path: path.clone(), problems, missing: Vec::new() })
    }
}

/// The value of a key that is missing: an [`At`] of the table's place, without a value.
struct MissingDe {
    place: Place,
}

impl<'de> Deserializer<'de> for MissingDe {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::Reported)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (place, path) = (self.place, String::new());
        visitor.visit_seq(AtAccess { step: 0, place, path, inner: None, again: false })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any option struct enum
    }
}

/// A key: plain text, or an [`At`] with the key's own place.
struct KeyDe<'a, 'de> {
    entry: &'de Entry,
    path: &'a str,
}

impl<'de> Deserializer<'de> for KeyDe<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(&self.entry.key)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let place = self.entry.key_place;
        let path = format!("{}.{}", self.path, self.entry.key);
        let parts = AtAccess { step: 0, place, path, inner: None, again: false };
        visitor.visit_seq(KeyAtAccess { parts, key: self })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any option struct enum
    }
}

struct KeyAtAccess<'a, 'de> {
    parts: AtAccess<'de>,
    key: KeyDe<'a, 'de>,
}

impl<'de> SeqAccess<'de> for KeyAtAccess<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if self.parts.step < 5 {
            return self.parts.next_element_seed(seed);
        }
        let key: StrDeserializer<'_, Error> = self.key.entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }
}

/// An externally tagged enum: a bare word, or a table of one key.
struct VariantDe<'a, 'de> {
    de: &'a NodeDe<'de>,
    variant: &'a str,
    settings: Option<&'de Node>,
    /// Where a variant that does not exist is reported.
    at: &'a NodeDe<'a>,
}

impl<'de> EnumAccess<'de> for VariantDe<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let word: StrDeserializer<'_, Error> = self.variant.into_deserializer();
        let value = seed.deserialize(word).map_err(|error| self.at.report(error))?;
        Ok((value, self))
    }
}

impl<'de> VariantDe<'_, 'de> {
    fn settings(&self) -> Result<NodeDe<'de>, Error> {
        let variant = self.variant;
        self.settings.map(|node| self.de.child(variant, node)).ok_or_else(|| Error::Unfit {
            found: None,
            expected: format!("settings with it: {{ {variant} = {{ … }} }}"),
        })
    }
}

impl<'de> VariantAccess<'de> for VariantDe<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.settings {
            None => Ok(()),
            Some(node) => {
                let unfit = Error::Unfit {
                    found: None,
                    expected: format!("the bare word: \"{}\"", self.variant),
                };
                Err(self.de.child(self.variant, node).report(unfit))
            }
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.settings()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        self.settings()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.settings()?.deserialize_struct("", fields, visitor)
    }
}
