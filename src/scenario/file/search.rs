//! The grammar of `[search]`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::Deserializer;

use super::super::at::{At, Named};
use super::super::units::Share;

/// A search over a key of this file: `squall run` runs the scenario with one value after the other.
/// A step that fails is an answer to the question; one that is invalid ends the search without one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["values"] },
    { "required": ["from", "to", "step"] },
    { "required": ["from", "to", "factor"] },
    { "required": ["from", "to", "bisect"] },
]))]
pub(in crate::scenario) struct SearchFile {
    /// The key, as `--set` spells it: `populations.fleet.count`.
    pub set: At<String>,
    /// Its values, tried in this order.
    pub values: Option<At<Vec<At<AnyValue>>>>,
    /// The first value, with the key's unit: `100`, `"5/s"`, `"64KiB"`, `"2s"`.
    pub from: Option<At<AnyValue>>,
    /// The last value.
    pub to: Option<At<AnyValue>>,
    /// From one value to the next: added.
    pub step: Option<At<AnyValue>>,
    /// From one value to the next: this share more, `"10%"`.
    pub factor: Option<At<Share>>,
    /// Halves what is between a value that passes and one that fails, until they are this far
    /// apart: `"1/s"`, or a share, `"5%"`.
    pub bisect: Option<At<AnyValue>>,
    /// When it is over, and so what the answer is. Default `first-failure`.
    pub until: Option<At<UntilFile>>,
    /// Outer keys, each with its values: a search for each combination.
    #[serde(rename = "for")]
    pub outer: Option<At<Named<Vec<At<AnyValue>>>>>,
    /// What must come out, so that the search is a test.
    pub expect: Option<At<SearchExpectFile>>,
}

/// When a search is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum UntilFile {
    /// At the first step that fails; the answer is the last that passed.
    FirstFailure,
    /// At the first step that passes, which is the answer.
    FirstSuccess,
    /// When every value was tried: a sweep, which shows the steps side by side and has no answer.
    Exhausted,
}

/// What a search must come to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct SearchExpectFile {
    /// The answer; with outer keys a list, one for each combination, in the order of the table.
    pub answer: At<AnyValue>,
    /// How far a number may be from it. Default: not at all.
    pub within: Option<At<Share>>,
}

/// A value of any kind.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct AnyValue(pub toml::Value);

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        toml::Value::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for AnyValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("AnyValue")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string", "boolean", "array", "object"] })
    }
}
