//! A price file: what somebody found units and messages to cost, where and when. Prices are never
//! Squall's own.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Tier;
use crate::scenario::reading::{self, At, Factor, Problem, Problems};
use crate::scenario::{ScenarioErrors, Source};

/// Days after which a price file is old.
pub const AGE_DAYS_MAX: i64 = 90;

/// Prices of one region on one day.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices {
    /// When they were read, `2026-11-01`.
    pub date: Date,
    /// Where they were read.
    pub source: String,
    /// Currency of every price.
    pub currency: String,
    /// Region they hold in.
    pub region: String,
    /// A Standard unit for a day.
    pub standard_unit_day: f64,
    /// A Premium unit for a day.
    pub premium_unit_day: f64,
    /// A million messages more than included.
    pub million_messages: f64,
}

impl Prices {
    /// What a unit costs a day; Free costs nothing.
    #[must_use]
    pub const fn unit_day(&self, tier: Tier) -> f64 {
        match tier {
            Tier::Free => 0.0,
            Tier::Standard => self.standard_unit_day,
            Tier::Premium => self.premium_unit_day,
        }
    }

    /// Days between the prices and a day; negative for prices of the future.
    #[must_use]
    pub fn age_days(&self, today: Date) -> i64 {
        let until = self.date.duration_until(today);
        until.as_hours() / 24
    }
}

/// Prices of Azure Web PubSub.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Squall prices")]
struct PricesFile {
    /// When they were read: `"2026-11-01"`.
    date: At<String>,
    /// Where they were read, and what is uncertain about them.
    source: At<String>,
    /// `"USD"`, …
    currency: At<String>,
    /// Region they hold in.
    region: At<String>,
    /// A unit for a day.
    unit_day: At<UnitDayFile>,
    /// A million messages more than included.
    million_messages: At<Factor>,
}

/// A unit for a day, by tier.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UnitDayFile {
    /// `Standard_S1`.
    standard: At<Factor>,
    /// `Premium_P1` and `Premium_P2`.
    premium: At<Factor>,
}

/// Parses a price file; prices of a day after `today` (UTC) are refused.
///
/// # Errors
///
/// Everything that is wrong with it, rendered.
pub fn load_prices(source: &Source, today: Date) -> Result<Prices, ScenarioErrors> {
    let nothing = |_: &str| None;
    reading::read(source, &[], &nothing, |file, problems| meaning(file, problems, today))
}

/// Largest price that is believed, of a unit for a day or of a million messages.
const PRICE_MAX: f64 = 1_000_000.0;

fn meaning(file: &PricesFile, problems: &Problems, today: Date) -> Prices {
    let text = |at: &At<String>| at.get().cloned().unwrap_or_default();
    let date = file.date.get().and_then(|date| {
        let parsed = date.parse::<Date>().ok();
        if parsed.is_none() {
            problems.push(
                Problem::new(file.date.place, "this is not a date")
                    .label("expected year, month and day: \"2026-11-01\""),
            );
        }
        // Where it is read the day may have begun already.
        if parsed.is_some_and(|date| date > today.tomorrow().unwrap_or(today)) {
            problems.push(
                Problem::new(file.date.place, "nobody can have read these prices yet")
                    .label("expected the day they were read, which has come")
                    .help("read the prices where you buy, and write down that day"),
            );
        }
        parsed
    });
    let price = |at: &At<Factor>| {
        let price = at.or(Factor(0.0)).0;
        if price > PRICE_MAX {
            problems.push(
                Problem::new(at.place, "nobody pays that")
                    .label(format!("expected at most {PRICE_MAX}")),
            );
        }
        price
    };
    if file.currency.get().is_some_and(|currency| currency.trim().is_empty()) {
        problems.push(
            Problem::new(file.currency.place, "these prices have no currency")
                .label("expected its code: \"USD\""),
        );
    }
    let unit_day = file.unit_day.get();
    Prices {
        date: date.unwrap_or_default(),
        source: text(&file.source),
        currency: text(&file.currency),
        region: text(&file.region),
        standard_unit_day: unit_day.map_or(0.0, |unit| price(&unit.standard)),
        premium_unit_day: unit_day.map_or(0.0, |unit| price(&unit.premium)),
        million_messages: price(&file.million_messages),
    }
}

/// The JSON Schema of a price file (draft 2020-12), for editors.
#[must_use]
pub fn prices_schema() -> serde_json::Value {
    reading::schema_of::<PricesFile>()
}
