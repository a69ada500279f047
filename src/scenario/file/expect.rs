//! The grammar of `[expect]`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, IntoDeserializer as _, MapAccess, Visitor};

use super::super::at::{At, Named};
use super::super::plan::UpstreamCount;
use super::super::units::{Amount, Factor, Lasting};
use crate::protocol::CloseCategory;
use crate::protocol::webhook::WebhookFailure;

/// What must be true at the end.
#[derive(Debug, Default)]
pub(in crate::scenario) struct ExpectFile {
    /// What must be true of whoever does nothing wrong and is not addressed by a fault.
    pub bystanders: Option<At<BystandersFile>>,
    /// By population.
    pub populations: Vec<(At<String>, At<PopulationExpectFile>)>,
}

/// What must be true of bystanders.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum BystandersFile {
    /// They all leave in order, none is dropped.
    Untouched,
}

/// The key of `[expect]` that is no population.
pub(in crate::scenario) const BYSTANDERS: &str = "bystanders";

impl<'de> Deserialize<'de> for ExpectFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ExpectVisitor;
        impl<'de> Visitor<'de> for ExpectVisitor {
            type Value = ExpectFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with a population's name for each entry")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ExpectFile, A::Error> {
                let mut file = ExpectFile::default();
                while let Some(key) = map.next_key::<At<String>>()? {
                    if key.get().is_some_and(|key| key == BYSTANDERS) {
                        file.bystanders = Some(map.next_value()?);
                    } else {
                        file.populations.push((key, map.next_value()?));
                    }
                }
                Ok(file)
            }
        }
        deserializer.deserialize_map(ExpectVisitor)
    }
}

impl JsonSchema for ExpectFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ExpectFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let bystanders = generator.subschema_for::<BystandersFile>();
        let population = generator.subschema_for::<PopulationExpectFile>();
        json_schema!({
            "type": "object",
            "description": "What must be true at the end.",
            "properties": { BYSTANDERS: bystanders },
            "additionalProperties": population,
        })
    }
}

/// What must be true of one population at the end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct PopulationExpectFile {
    /// How its connections end, whole: a category that is not listed does not occur.
    pub closes: Option<At<Named<Amount>>>,
    /// When the hub decides on a drop.
    pub close_within: Option<At<CloseWithinFile>>,
    /// Attempts that are refused, by HTTP status, whole: one that is not listed does not occur.
    pub refused: Option<At<Named<Amount>>>,
    /// What attempts refused with an HTTP status read as the body, whole: `{ 404 = "no hub" }`.
    pub refused_body: Option<At<Named<String>>>,
    /// Close frames that clients read from the hub, by code, whole: one that is not listed does not
    /// occur. Answers to their own are not among them; 1005 is a frame without a code.
    pub close_codes: Option<At<Named<Amount>>>,
    /// Connections opened in all.
    pub opens: Option<At<Amount>>,
    /// Clients that were dropped and came back.
    pub recovered: Option<At<Amount>>,
    /// Attempts during recoveries per dropped client, at most.
    pub amplification: Option<At<Factor>>,
    /// What of the traffic to its groups arrives.
    pub delivery: Option<At<DeliveryFile>>,
    /// What of its own events with `reply = "echo"` comes back to their senders.
    pub replies: Option<At<DeliveryFile>>,
    /// Bytes in the hub's queue when it decides on a drop.
    pub queue_at_close: Option<At<QueueAtCloseFile>>,
    /// Message latency after the first trouble against before.
    pub steady: Option<At<SteadyFile>>,
}

/// When the hub decides on a drop.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct CloseWithinFile {
    /// Counted from what.
    pub after: At<SinceFile>,
    /// More than this.
    pub from: At<Lasting>,
    /// At most this.
    pub to: At<Lasting>,
    /// Of which category. Default: the one drop that `closes` lists.
    pub category: Option<At<CloseCategory>>,
}

/// What a window counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::scenario) enum SinceFile {
    /// The last sign of life.
    LastLife,
    /// The open connection.
    Open,
    /// The start of the misbehaviour.
    Behaviour,
    /// The latest fault.
    Fault,
}

/// What of the messages arrives.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum DeliveryFile {
    /// Everything, once, in order.
    Complete,
}

/// Bytes in the queue at a drop.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum QueueAtCloseFile {
    /// Above the queue's limit, of bytes or of messages, by at most one frame.
    JustOverLimit,
}

/// Message latency p99 after the first trouble against before: either bound will do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct SteadyFile {
    /// At most this many times as long.
    pub ratio: At<Factor>,
    /// Or at most this much longer.
    pub or_delta: At<Lasting>,
}

/// Lines of the hub's log about events that did not get to their handler, or that it did not take.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct LogExpectFile {
    /// Name of the event in the log.
    pub event: At<WebhookFailure>,
    /// The whole message, byte for byte; `{hub}` stands for the hub's name. Default: any.
    pub message: Option<At<String>>,
    /// How many lines. A share is one of the clients of all populations together.
    pub count: At<Amount>,
}

/// What the application server must have been asked: requests received, or counts by name.
#[derive(Debug)]
pub(in crate::scenario) enum AskedFile {
    /// Requests that it received.
    Received(Amount),
    /// Counts by the names of [`UpstreamCount`].
    Counts(Vec<(At<String>, At<Amount>)>),
}

impl<'de> Deserialize<'de> for AskedFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AskedVisitor;
        impl<'de> Visitor<'de> for AskedVisitor {
            type Value = AskedFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count, a share, or a table of counts: { received = \"all\" }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<AskedFile, E> {
                Amount::deserialize(text.into_deserializer()).map(AskedFile::Received)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<AskedFile, E> {
                Amount::deserialize(number.into_deserializer()).map(AskedFile::Received)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AskedFile, A::Error> {
                let mut counts = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    counts.push(entry);
                }
                Ok(AskedFile::Counts(counts))
            }
        }
        deserializer.deserialize_any(AskedVisitor)
    }
}

impl JsonSchema for AskedFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AskedFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let amount = generator.subschema_for::<Amount>();
        let of = |count: UpstreamCount| {
            let mut schema = amount.clone();
            schema.insert("description".into(), count.meaning().into());
            (count.key().to_owned(), schema.to_value())
        };
        let counts: serde_json::Map<_, _> = UpstreamCount::ALL.into_iter().map(of).collect();
        json_schema!({
            "description": "Requests that the application server received, repeated ones among \
                            them; or counts of both sides.",
            "anyOf": [
                amount,
                { "type": "object", "properties": counts, "additionalProperties": false },
            ],
        })
    }
}
