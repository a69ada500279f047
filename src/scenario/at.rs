//! Values that know where they stand.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::problem::{Place, Text};

/// A value with its place; the value is `None` when it was bad, which has been reported.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub value: Option<T>,
    pub place: Place,
    /// Its path in the file: `populations.muted.count`.
    pub path: String,
}

impl<T> At<T> {
    pub const fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }
}

impl<T: Copy> At<T> {
    /// The value, or what to go on with when it was bad.
    pub fn or(&self, otherwise: T) -> T {
        self.value.unwrap_or(otherwise)
    }
}

/// A table whose keys are names, in file order.
#[derive(Clone, Debug)]
pub(crate) struct Named<T>(pub Vec<(At<String>, At<T>)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// The name by which the deserialiser knows that a value wants its place.
pub(crate) const AT: &str = "squall::At";

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(AT, AtVisitor(PhantomData))
    }
}

struct AtVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtVisitor<T> {
    type Value = At<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its place")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let mut number = || parts.next_element::<usize>().map(Option::unwrap_or_default);
        let text = match number()? {
            0 => Text::File,
            argument => Text::Argument(argument - 1),
        };
        let (start, end, hidden) = (number()?, number()?, number()? == 1);
        let path = parts.next_element::<String>()?.unwrap_or_default();
        let value = loop {
            match parts.next_element::<T>() {
                Ok(value) => break value,
                // Worth another try: see `AtAccess`.
                Err(_) if parts.size_hint() == Some(1) => {}
                Err(_) => break None,
            }
        };
        Ok(At { value, place: Place { text, start, end, hidden }, path })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamedVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with a name for each entry")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Named(all))
            }
        }
        deserializer.deserialize_map(NamedVisitor(PhantomData))
    }
}
