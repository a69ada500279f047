//! A baseline: the figures of a run that somebody accepted, with the reason. A small file to be
//! kept beside the scenario and reviewed like one: keys stand in one order, and of time it holds
//! the day of the run only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::table::INDENT;
use super::text;
use super::words;
use crate::verdict::comparison::{Record, Unfit};

/// Version of the shape of a baseline.
pub const SCHEMA_VERSION: u32 = 1;

/// A run that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Squall baseline", description = "what `squall baseline accept` writes")]
pub struct Baseline {
    /// Version of this shape.
    pub schema_version: u32,
    /// Why it was accepted.
    pub reason: String,
    /// The figures.
    pub accepted: Record,
}

impl Baseline {
    /// Accepts a run.
    ///
    /// # Errors
    ///
    /// When it was cut short, or is no whole answer.
    pub fn accept(accepted: Record, reason: &str) -> Result<Self, Unfit> {
        accepted.acceptable()?;
        Ok(Self { schema_version: SCHEMA_VERSION, reason: reason.to_owned(), accepted })
    }

    /// The file.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self)
            .map_or_else(|_| String::new(), |text| format!("{text}\n"))
    }

    /// What was accepted, in a few lines.
    #[must_use]
    pub fn headline(&self) -> String {
        let Record { scenario, seed, squall_version, date, outcome, fingerprint, plan, .. } =
            &self.accepted;
        let mut out = String::new();
        let word = words::outcome(*outcome);
        let label = format!("BASELINE  {}: ", text::bold(scenario));
        let columns = "BASELINE  : ".len() + scenario.chars().count();
        text::flowing("", &label, columns, &self.reason, &mut out);
        let facts = format!(
            "{word} · seed {seed} · plan {} · world {} · Squall {squall_version} · {date}",
            plan.hash,
            words::world(fingerprint.world)
        );
        text::flowing(INDENT, "", 0, &facts, &mut out);
        out
    }
}

/// The JSON Schema of a baseline.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Baseline>()
        .to_value()
}
