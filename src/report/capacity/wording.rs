//! How an estimate's numbers read.

use std::time::Duration;

use super::super::words;
use crate::capacity::{Between, Dimension, Estimate, Figure, Measure, Resource, Tier, Use};

/// Characters of somebody's name for something.
const NAME_MAX: usize = 24;

/// From here on an amount is told by its first digits and its magnitude.
const LARGE: f64 = 1e10;

/// Seconds of a year.
const YEAR: f64 = 365.0 * 86_400.0;

/// Bytes past which no unit is in use.
const BYTES_MAX: f64 = 1e18;

/// A name that somebody gave, not too long.
pub fn name(text: &str) -> String {
    words::clipped_to(NAME_MAX, text)
}

/// A whole number with separators, or three digits of a small or of a huge one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded")]
pub fn amount(value: f64) -> String {
    if value >= LARGE {
        return format!("{value:.2e}");
    }
    if value > 0.0 && value < 0.01 {
        return small(value);
    }
    if value.abs() >= 100.0 || (value - value.round()).abs() < 1e-9 {
        return words::number(value.clamp(0.0, 1e18).round() as u64);
    }
    let text = if value >= 10.0 { format!("{value:.1}") } else { format!("{value:.2}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Two digits of what is less than a hundredth.
fn small(value: f64) -> String {
    if value < 1e-6 {
        return format!("{value:.1e}");
    }
    let places = (1..).take(7).find(|places| value * 10_f64.powi(*places) >= 10.0).unwrap_or(7);
    let text = format!("{value:.*}", usize::try_from(places).unwrap_or_default());
    text.trim_end_matches('0').to_owned()
}

/// Bytes, also more of them than anybody has units for.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded")]
pub fn bytes(value: f64) -> String {
    if value >= BYTES_MAX {
        return format!("{value:.1e} B");
    }
    words::bytes(value.max(0.0).round() as u64)
}

/// `1.5 times`, rounded down so that nothing is promised.
pub fn times(value: Option<f64>) -> String {
    let text = |value: f64| match value {
        value if value >= 100.0 => format!("{}×", amount((value + 1e-6).floor())),
        value if value >= 10.0 => format!("{:.1}×", (value * 10.0 + 1e-6).floor() / 10.0),
        value if value >= 0.1 => format!("{:.2}×", (value * 100.0 + 1e-6).floor() / 100.0),
        value => format!("{}×", amount(value)),
    };
    value.map_or_else(|| "-".to_owned(), text)
}

/// `33 %`; small ones with a digit more.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.05 {
        return "< 0.1 %".to_owned();
    }
    if percent > 0.0 && percent < 9.95 {
        return format!("{percent:.1} %");
    }
    format!("{} %", amount(percent.round()))
}

/// Seconds as a duration.
pub fn seconds(value: Option<f64>, otherwise: &str) -> String {
    match value {
        None => otherwise.to_owned(),
        Some(value) if value >= YEAR => format!("{} years", amount(value / YEAR)),
        // Tenths: more digits than the model has would be invented.
        Some(value) => {
            words::duration(Duration::from_secs_f64((value.max(0.0) * 10.0).round() / 10.0))
        }
    }
}

/// Two readings, or one where they agree.
pub fn between(value: Between, unit: impl Fn(f64) -> String) -> String {
    let (least, most) = (unit(value.least), unit(value.most));
    if least == most { least } else { format!("{least} to {most}") }
}

/// A figure as an amount.
pub fn figure(figure: Figure, otherwise: &str) -> String {
    figure.value.map_or_else(|| otherwise.to_owned(), amount)
}

/// `Standard_S1, 30 units`.
pub fn resource(resource: Resource) -> String {
    format!("{}, {}", resource.sku, words::counted(u64::from(resource.units), "unit"))
}

/// What holds something, or that nothing does.
pub fn needed(needed: Option<Resource>) -> String {
    needed.map_or_else(|| "more than one resource".to_owned(), resource)
}

/// What is asked or there is of a dimension.
pub fn quantity(dimension: Dimension, value: f64) -> String {
    match dimension {
        Dimension::Traffic(_, _, Measure::Bytes) => {
            format!("{}/s", bytes(value))
        }
        Dimension::Traffic(_, _, Measure::Messages) => format!("{}/s", amount(value)),
        Dimension::Connections | Dimension::DailyMessages => amount(value),
        Dimension::Together => percent(value),
    }
}

/// A bar of plain blocks, so many cells for the whole; what is past it ends in an arrow.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "clamped"
)]
pub fn bar(share: f64, cells: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if share > 1.0 + 1e-9 {
        return format!("{}▶", "█".repeat(cells - 1));
    }
    let eighths = (share.clamp(0.0, 1.0) * (cells * 8) as f64).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
}

/// The fullest use of some that is not of connections.
pub fn busiest(uses: &[Use]) -> Option<&Use> {
    let of = uses.iter().filter(|one| one.dimension != Dimension::Connections);
    of.max_by(|a, b| a.share.total_cmp(&b.share).then(b.dimension.cmp(&a.dimension)))
}

/// The answer in one sentence.
pub fn sentence(estimate: &Estimate) -> String {
    let first = estimate.break_order.first();
    let messages = between(estimate.messages.per_day, amount);
    let Some(recommended) = estimate.recommended else {
        let why = first.map_or_else(String::new, |first| {
            format!(": {} would be {} of all there is", first.dimension, percent(first.share))
        });
        return format!(
            "No single resource carries it{why} on the largest, so it has to be divided; \
             {messages} messages a day."
        );
    };
    let breaks = first.map_or_else(String::new, |first| {
        let planned = estimate.planned_first.unwrap_or(*first);
        let other = if planned.dimension == first.dimension {
            String::new()
        } else {
            format!(", by {}", planned.dimension)
        };
        format!(
            ": {} break first, at {} today's load (planned up to {}{other})",
            first.dimension,
            times(first.break_multiple),
            times(planned.planned_multiple),
        )
    });
    let stops = match recommended.tier {
        Tier::Free => ", and stops for the day after 20,000 of them",
        Tier::Standard | Tier::Premium => "",
    };
    let money = estimate.cost.as_ref().map_or_else(String::new, |cost| {
        format!(
            ", {} {} a month by the prices of {}",
            between(cost.total, amount),
            cost.currency,
            cost.date
        )
    });
    format!("{}{breaks}; {messages} messages a day{stops}{money}.", resource(recommended))
}

/// Hour of a day as `14:20 UTC`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an hour of a day")]
pub fn hour(value: Option<f64>) -> String {
    let clock = |hour: f64| {
        let minutes = (hour.clamp(0.0, 24.0) * 60.0).floor() as u64;
        format!("{:02}:{:02} UTC", minutes / 60, minutes % 60)
    };
    value.map_or_else(|| "not within the day".to_owned(), clock)
}
