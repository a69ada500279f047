//! Figures that a search steps through: a number and its unit.

use super::units::{ByteRate, Lasting, Rate, Share, Size, Written};

/// A number with a unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figure {
    /// In the unit's base: bytes, per second, milliseconds, percent.
    pub amount: f64,
    pub unit: Unit,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// Bytes.
    Size,
    /// Per second.
    Rate,
    /// Bytes per second.
    ByteRate,
    /// Milliseconds.
    Lasting,
    /// Percent.
    Share,
}

const KIB: f64 = 1_024.0;
/// Significant digits of a figure that is no whole number.
const DIGITS: i32 = 3;

impl Figure {
    /// Reads a figure; `None` when the value is none.
    pub fn of(value: &toml::Value) -> Option<Self> {
        let figure = |amount, unit| Some(Self { amount, unit });
        match value {
            #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 fit no key")]
            toml::Value::Integer(number) => figure(*number as f64, Unit::Whole),
            toml::Value::Float(number) => figure(*number, Unit::Number),
            toml::Value::String(text) => Self::parse(text),
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let figure = |amount, unit| Some(Self { amount, unit });
        if let Ok(Share(share)) = Share::parse(text) {
            return figure(share * 100.0, Unit::Share);
        }
        if let Ok(Rate(rate)) = Rate::parse(text) {
            return figure(rate, Unit::Rate);
        }
        if let Ok(ByteRate(rate)) = ByteRate::parse(text) {
            return figure(rate, Unit::ByteRate);
        }
        if let Ok(Lasting(lasting)) = Lasting::parse(text) {
            return figure(lasting.as_secs_f64() * 1_000.0, Unit::Lasting);
        }
        let Size(bytes) = Size::parse(text).ok()?;
        #[expect(clippy::cast_precision_loss, reason = "sizes beyond 2^53 fit no key")]
        figure(bytes as f64, Unit::Size)
    }

    /// The same unit with another amount, rounded to what the unit can say.
    pub fn with(self, amount: f64) -> Self {
        let amount = match self.unit {
            Unit::Whole | Unit::Size | Unit::Lasting | Unit::ByteRate => amount.round(),
            Unit::Number | Unit::Rate | Unit::Share => rounded(amount, 9),
        };
        Self { amount, ..self }
    }

    /// The same unit with another amount, rounded to a figure that is easy to read.
    pub fn about(self, amount: f64) -> Self {
        self.with(rounded(amount, DIGITS))
    }

    /// As people, and `--set`, write it.
    pub fn shown(self) -> String {
        let Self { amount, unit } = self;
        match unit {
            Unit::Whole | Unit::Number => amount.to_string(),
            Unit::Size => bytes(amount),
            Unit::Rate => format!("{amount}/s"),
            Unit::ByteRate => format!("{}/s", bytes(amount)),
            Unit::Lasting if amount % 1_000.0 == 0.0 => format!("{}s", amount / 1_000.0),
            Unit::Lasting => format!("{amount}ms"),
            Unit::Share => format!("{amount}%"),
        }
    }

    /// As TOML.
    pub fn toml(self) -> String {
        match self.unit {
            Unit::Whole | Unit::Number => self.shown(),
            Unit::Size | Unit::Rate | Unit::ByteRate | Unit::Lasting | Unit::Share => {
                format!("\"{}\"", self.shown())
            }
        }
    }
}

/// Bytes in the largest unit that says them exactly.
fn bytes(amount: f64) -> String {
    for (unit, name) in [(KIB * KIB, "MiB"), (KIB, "KiB")] {
        if amount >= unit && amount % unit == 0.0 {
            return format!("{}{name}", amount / unit);
        }
    }
    format!("{amount}B")
}

/// Rounded to so many significant digits.
fn rounded(amount: f64, digits: i32) -> f64 {
    if amount == 0.0 || !amount.is_finite() {
        return amount;
    }
    #[expect(clippy::cast_possible_truncation, reason = "an exponent of ten")]
    let exponent = digits - 1 - amount.abs().log10().floor() as i32;
    // Dividing by a power of ten is exact where multiplying by a tenth is not.
    let scale = 10_f64.powi(exponent.abs());
    if exponent >= 0 { (amount * scale).round() / scale } else { (amount / scale).round() * scale }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn figures_are_read_with_their_units_and_written_as_they_were() {
        for (text, amount, unit) in [
            ("50/s", 50.0, Unit::Rate),
            ("64KiB", 65_536.0, Unit::Size),
            ("512B", 512.0, Unit::Size),
            ("10KiB/s", 10_240.0, Unit::ByteRate),
            ("1500ms", 1_500.0, Unit::Lasting),
            ("4s", 4_000.0, Unit::Lasting),
            ("15%", 15.0, Unit::Share),
        ] {
            let figure = Figure::of(&toml::Value::String(text.into())).unwrap();
            assert_eq!((figure.unit, figure.shown()), (unit, text.to_owned()));
            assert!((figure.amount - amount).abs() < 1e-9, "{text}");
        }
        assert_eq!(Figure::of(&toml::Value::Integer(700)).unwrap().toml(), "700");
        assert_eq!(Figure::of(&toml::Value::String("js-sdk".into())), None);
    }

    #[test]
    fn rounding_keeps_the_leading_digits() {
        for (amount, digits, kept) in [
            (1_234.5, 3, 1_230.0),
            (0.123_456, 3, 0.123),
            (99.96, 3, 100.0),
            (0.1 + 0.2, 9, 0.3),
            (700.0, 3, 700.0),
        ] {
            assert!((rounded(amount, digits) - kept).abs() < 1e-12, "{amount}");
        }
    }
}
