//! Values with units: durations, sizes, rates, shares and quantities, each as a text in quotes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Expected, Unexpected, Visitor};

/// The longest duration a scenario can name: a year.
pub(crate) const DURATION_MAX: Duration = Duration::from_hours(365 * 24);

/// `"500ms"`, `"1m30s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lasting(pub Duration);

/// `"50ms"`, or `"50ms..2s"` to draw from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub from: Duration,
    pub to: Duration,
}

/// `"64KiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub u64);

/// `"200/s"`, in events per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate(pub f64);

/// `"10KiB/s"`, in bytes per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ByteRate(pub f64);

/// `"15%"`, as 0.15.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share(pub f64);

/// `"1%/min"`, as a part of one per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ShareRate(pub f64);

/// A whole number from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count(pub u32);

/// A seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(pub u64);

/// Units of a tier: a number, or `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Units {
    /// The fewest that hold every client connected at once.
    Auto,
    /// So many.
    Fixed(u32),
}

/// Size of a kernel buffer: `"16KiB"`, or `"system"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffer {
    /// The system's default, which grows to megabytes.
    System,
    /// So many bytes.
    Bytes(u64),
}

/// When the first attempt of a recovery comes: `"2s"`, or `"after-delay"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// At a random instant within this.
    Within(Duration),
    /// After the policy's first delay.
    AfterDelay,
}

/// A factor: a number from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Factor(pub f64);

/// How many of a population: `"all"`, `"none"`, 5, `"15%"`, `">=90%"`, `"3..5"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Amount {
    pub at_least: Option<Bound>,
    pub at_most: Option<Bound>,
}

/// One end of an [`Amount`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// So many, whatever the population's size.
    Count(u64),
    /// This part of the population; 1 is all.
    Share(f64),
}

impl Amount {
    const fn exactly(bound: Bound) -> Self {
        Self { at_least: Some(bound), at_most: Some(bound) }
    }
}

/// What was expected in place of a text that could not be read; worded for the text at hand.
struct Wanted(Cow<'static, str>);

impl Expected for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) type Parsed<T> = Result<T, Cow<'static, str>>;

/// A value that is written as a text.
pub(super) trait Written: Sized {
    /// What is expected, when nothing better can be said.
    const EXPECTED: &'static str;

    /// Reads it; the error says what was expected.
    fn parse(text: &str) -> Parsed<Self>;

    /// Reads a bare number, where that means something.
    fn number(number: f64) -> Parsed<Self> {
        let _ = number;
        Err(Cow::Borrowed(Self::EXPECTED))
    }
}

struct WrittenVisitor<T>(std::marker::PhantomData<T>);

impl<T: Written> Visitor<'_> for WrittenVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::parse(text).map_err(|wanted| E::invalid_value(Unexpected::Str(text), &Wanted(wanted)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are refused anyway")]
        self.visit_f64(number as f64)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        T::number(number)
            .map_err(|wanted| E::invalid_value(Unexpected::Float(number), &Wanted(wanted)))
    }
}

/// Any string with a `${env:NAME}` in it may become what is wanted.
const ENVIRONMENT: &str = r".*\$\{env:[^}]+\}.*";
const DURATION: &str =
    r"(\d+(\.\d+)?\s*(h|hours?|m|mins?|minutes?|s|secs?|seconds?|ms|us|µs|ns)[,\s]*)+";
const SIZE: &str = r"\d+(\.\d+)?\s*([kKmMgG]([iI]?[bB]?)|[bB])";
const PER: &str = r"\s*/\s*(s|min|h)";
const NUMBER: &str = r"\d+(\.\d+)?";
const BOUND: &str = r"\s*(all|none|\d+|\d+(\.\d+)?\s*%)\s*";

/// Schema of a text of some form.
pub(crate) fn text_schema(pattern: &str, description: &str) -> Schema {
    json_schema!({
        "type": "string",
        "description": description,
        "pattern": format!("^({pattern}|{ENVIRONMENT})$"),
    })
}

macro_rules! written {
    ($($type:ident: $schema:expr),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(WrittenVisitor(std::marker::PhantomData))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($type))
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

written! {
    Lasting: text_schema(DURATION, Lasting::EXPECTED),
    Span: text_schema(&format!(r"{DURATION}(\.\.{DURATION})?"), Span::EXPECTED),
    Size: text_schema(SIZE, Size::EXPECTED),
    Rate: text_schema(&format!("{NUMBER}{PER}"), Rate::EXPECTED),
    ByteRate: text_schema(&format!("{SIZE}{PER}"), ByteRate::EXPECTED),
    Share: text_schema(&format!(r"{NUMBER}\s*%"), Share::EXPECTED),
    ShareRate: text_schema(&format!(r"{NUMBER}\s*%{PER}"), ShareRate::EXPECTED),
    Count: json_schema!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
    Units: json_schema!({
        "description": Units::EXPECTED,
        "oneOf": [{ "type": "integer", "minimum": 1 }, text_schema("auto", Units::EXPECTED)],
    }),
    Buffer: text_schema(&format!("(system|{SIZE})"), Buffer::EXPECTED),
    First: text_schema(&format!("(after-delay|{DURATION})"), First::EXPECTED),
    Factor: json_schema!({ "type": "number", "minimum": 0 }),
    Amount: json_schema!({
        "description": Amount::EXPECTED,
        "oneOf": [
            { "type": "integer", "minimum": 0 },
            text_schema(&format!(r"((>=|<=)?{BOUND}|{BOUND}\.\.{BOUND})"), Amount::EXPECTED),
        ],
    }),
}

impl Written for Lasting {
    const EXPECTED: &'static str =
        "a duration with its unit (h, m, s, ms), such as \"500ms\", \"4s\" or \"1m30s\"";

    fn parse(text: &str) -> Parsed<Self> {
        let bare = text.trim();
        if bare.parse::<f64>().is_ok() && !bare.starts_with('-') {
            return Err(unit_missing("duration", bare, &["s", "ms"]));
        }
        let duration = SignedDuration::from_str(bare).map_err(|_| Cow::Borrowed(Self::EXPECTED))?;
        let duration = Duration::try_from(duration)
            .map_err(|_| Cow::Borrowed("a duration that is not negative"))?;
        if duration > DURATION_MAX {
            return Err(Cow::Borrowed("a duration of at most a year, \"8760h\""));
        }
        Ok(Self(duration))
    }

    fn number(number: f64) -> Parsed<Self> {
        Err(unit_missing("duration", &number.to_string(), &["s", "ms"]))
    }
}

impl FromStr for Lasting {
    /// What was expected.
    type Err = Cow<'static, str>;

    fn from_str(text: &str) -> Parsed<Self> {
        Self::parse(text)
    }
}

/// Reads a duration as scenarios have it, for a command line; the error says what is expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    Lasting::parse(text).map(|of| of.0).map_err(|wanted| format!("expected {wanted}"))
}

/// Reads a rate likewise, in events per second.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    Rate::parse(text).map(|of| of.0).map_err(|wanted| format!("expected {wanted}"))
}

fn unit_missing(what: &str, number: &str, units: &[&str]) -> Cow<'static, str> {
    let forms: Vec<String> = units.iter().map(|unit| format!("\"{number}{unit}\"")).collect();
    Cow::Owned(format!("a {what} with its unit: {}", forms.join(" or ")))
}

impl Written for Span {
    const EXPECTED: &'static str =
        "a duration with its unit, such as \"50ms\", or a range of them: \"50ms..2s\"";

    fn parse(text: &str) -> Parsed<Self> {
        let Some((from, to)) = text.split_once("..") else {
            let Lasting(fixed) = Lasting::parse(text)?;
            return Ok(Self { from: fixed, to: fixed });
        };
        let end = |text| Lasting::parse(text).map_err(|_| Cow::Borrowed(Self::EXPECTED));
        let (Lasting(from), Lasting(to)) = (end(from)?, end(to)?);
        if from > to {
            return Err(Cow::Owned(format!("a range that goes up: \"{to:?}..{from:?}\"")));
        }
        Ok(Self { from, to })
    }

    fn number(number: f64) -> Parsed<Self> {
        Lasting::number(number).map(|Lasting(fixed)| Self { from: fixed, to: fixed })
    }
}

impl Written for Size {
    const EXPECTED: &'static str = "a size with its unit, such as \"64B\", \"16KiB\" or \"1MiB\"";

    fn parse(text: &str) -> Parsed<Self> {
        let bare = text.trim();
        if bare.parse::<f64>().is_ok() && !bare.starts_with('-') {
            return Err(unit_missing("size", bare, &["B", "KiB"]));
        }
        let size = bare.parse::<ByteSize>().map_err(|_| Cow::Borrowed(Self::EXPECTED))?;
        Ok(Self(size.as_u64()))
    }

    fn number(number: f64) -> Parsed<Self> {
        Err(unit_missing("size", &number.to_string(), &["B", "KiB"]))
    }
}

/// Cuts `/s`, `/min` or `/h` off; the second part is how many seconds that is.
fn per_second(text: &str) -> Option<(&str, f64)> {
    let (amount, unit) = text.rsplit_once('/')?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3_600.0,
        _ => return None,
    };
    Some((amount.trim(), seconds))
}

/// A plain decimal number that is not negative.
fn decimal(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    plain.then(|| text.parse().ok()).flatten()
}

impl Written for Rate {
    const EXPECTED: &'static str = "a rate per s, min or h, such as \"200/s\" or \"30/min\"";

    fn parse(text: &str) -> Parsed<Self> {
        let bare = text.trim();
        if decimal(bare).is_some() {
            return Err(unit_missing("rate", bare, &["/s", "/min"]));
        }
        let (amount, seconds) = per_second(bare).ok_or(Cow::Borrowed(Self::EXPECTED))?;
        let amount = decimal(amount).ok_or(Cow::Borrowed(Self::EXPECTED))?;
        Ok(Self(amount / seconds))
    }

    fn number(number: f64) -> Parsed<Self> {
        Err(unit_missing("rate", &number.to_string(), &["/s", "/min"]))
    }
}

impl Written for ByteRate {
    const EXPECTED: &'static str = "bytes per time, such as \"10KiB/s\" or \"1MiB/min\"";

    fn parse(text: &str) -> Parsed<Self> {
        let (amount, seconds) = per_second(text.trim()).ok_or(Cow::Borrowed(Self::EXPECTED))?;
        let Size(bytes) = Size::parse(amount).map_err(|_| Cow::Borrowed(Self::EXPECTED))?;
        #[expect(clippy::cast_precision_loss, reason = "a rate, not a count")]
        Ok(Self(bytes as f64 / seconds))
    }
}

impl Written for Share {
    const EXPECTED: &'static str = "a share, such as \"15%\"";

    fn parse(text: &str) -> Parsed<Self> {
        let percent = text.trim().strip_suffix('%').and_then(|number| decimal(number.trim_end()));
        percent.map(|percent| Self(percent / 100.0)).ok_or(Cow::Borrowed(Self::EXPECTED))
    }

    fn number(number: f64) -> Parsed<Self> {
        // 0.07 * 100 is 7.000000000000001 in binary.
        let percent = if number <= 1.0 { (number * 1e8).round() / 1e6 } else { number };
        Err(Cow::Owned(format!("a share with its sign: \"{percent}%\"")))
    }
}

impl Written for ShareRate {
    const EXPECTED: &'static str = "a share per s, min or h, such as \"1%/min\"";

    fn parse(text: &str) -> Parsed<Self> {
        let (amount, seconds) = per_second(text.trim()).ok_or(Cow::Borrowed(Self::EXPECTED))?;
        let Share(share) = Share::parse(amount).map_err(|_| Cow::Borrowed(Self::EXPECTED))?;
        Ok(Self(share / seconds))
    }
}

impl Written for Amount {
    const EXPECTED: &'static str =
        "a quantity: \"all\", \"none\", 5, \"15%\", \">=90%\", \"<=3\" or \"3..5\"";

    fn parse(text: &str) -> Parsed<Self> {
        let text = text.trim();
        let bound = |text: &str| bound(text).ok_or(Cow::Borrowed(Self::EXPECTED));
        if let Some(least) = text.strip_prefix(">=") {
            return Ok(Self { at_least: Some(bound(least)?), at_most: None });
        }
        if let Some(most) = text.strip_prefix("<=") {
            return Ok(Self { at_least: None, at_most: Some(bound(most)?) });
        }
        if let Some((least, most)) = text.split_once("..") {
            return Ok(Self { at_least: Some(bound(least)?), at_most: Some(bound(most)?) });
        }
        Ok(Self::exactly(bound(text)?))
    }

    fn number(number: f64) -> Parsed<Self> {
        whole(number, f64::from(u32::MAX))
            .map(|count| Self::exactly(Bound::Count(count)))
            .ok_or(Cow::Borrowed(Self::EXPECTED))
    }
}

fn bound(text: &str) -> Option<Bound> {
    match text.trim() {
        "all" => Some(Bound::Share(1.0)),
        "none" => Some(Bound::Count(0)),
        text => match Share::parse(text) {
            Ok(Share(share)) => Some(Bound::Share(share)),
            Err(_) => text.parse().ok().map(Bound::Count),
        },
    }
}

/// A whole number from 0 to `most`.
fn whole(number: f64, most: f64) -> Option<u64> {
    let fits = number.fract() == 0.0 && (0.0..=most).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "just checked")]
    fits.then_some(number as u64)
}

impl Written for Count {
    const EXPECTED: &'static str = "a whole number from 0, without quotes, such as 20";

    fn parse(text: &str) -> Parsed<Self> {
        Err(match text.trim().parse::<u32>() {
            Ok(_) => Cow::Owned(format!("a number without quotes: {}", text.trim())),
            Err(_) => Cow::Borrowed(Self::EXPECTED),
        })
    }

    fn number(number: f64) -> Parsed<Self> {
        if number > f64::from(u32::MAX) {
            return Err(Cow::Borrowed("a whole number of at most 4294967295"));
        }
        whole(number, f64::from(u32::MAX))
            .and_then(|number| u32::try_from(number).ok())
            .map(Self)
            .ok_or(Cow::Borrowed(Self::EXPECTED))
    }
}

impl Written for Factor {
    const EXPECTED: &'static str = "a number from 0, such as 1.5";

    fn parse(text: &str) -> Parsed<Self> {
        Err(match decimal(text.trim()) {
            Some(_) => Cow::Owned(format!("a number without quotes: {}", text.trim())),
            None => Cow::Borrowed(Self::EXPECTED),
        })
    }

    fn number(number: f64) -> Parsed<Self> {
        (number.is_finite() && number >= 0.0)
            .then_some(Self(number))
            .ok_or(Cow::Borrowed(Self::EXPECTED))
    }
}

impl Written for Units {
    const EXPECTED: &'static str = "a number of units, such as 2, or \"auto\"";

    fn parse(text: &str) -> Parsed<Self> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            other => Err(match other.parse::<u32>() {
                Ok(number) => Cow::Owned(format!("a number without quotes, {number}, or \"auto\"")),
                Err(_) => Cow::Borrowed(Self::EXPECTED),
            }),
        }
    }

    fn number(number: f64) -> Parsed<Self> {
        let Count(units) = Count::number(number).map_err(|_| Cow::Borrowed(Self::EXPECTED))?;
        Ok(Self::Fixed(units))
    }
}

impl Written for Buffer {
    const EXPECTED: &'static str = "a size with its unit, such as \"16KiB\", or \"system\"";

    fn parse(text: &str) -> Parsed<Self> {
        if text.trim() == "system" {
            return Ok(Self::System);
        }
        let Size(bytes) = Size::parse(text).map_err(|_| Cow::Borrowed(Self::EXPECTED))?;
        Ok(Self::Bytes(bytes))
    }
}

impl Written for First {
    const EXPECTED: &'static str = "a duration with its unit, such as \"2s\", or \"after-delay\"";

    fn parse(text: &str) -> Parsed<Self> {
        if text.trim() == "after-delay" {
            return Ok(Self::AfterDelay);
        }
        let Lasting(within) = Lasting::parse(text).map_err(|_| Cow::Borrowed(Self::EXPECTED))?;
        Ok(Self::Within(within))
    }
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SeedVisitor;
        impl Visitor<'_> for SeedVisitor {
            type Value = Seed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 0")
            }

            fn visit_u64<E: de::Error>(self, seed: u64) -> Result<Seed, E> {
                Ok(Seed(seed))
            }
        }
        deserializer.deserialize_any(SeedVisitor)
    }
}

impl JsonSchema for Seed {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Seed")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads texts of a type, and holds its schema to the same answers.
    fn check<T: Written + JsonSchema + PartialEq + fmt::Debug>(good: &[(&str, T)], bad: &[&str]) {
        let schema = schemars::SchemaGenerator::default().into_root_schema_for::<T>();
        let validator = jsonschema::validator_for(schema.as_value()).unwrap();
        for (text, value) in good {
            assert_eq!(T::parse(text).as_ref(), Ok(value), "{text}");
            assert!(validator.is_valid(&serde_json::json!(text)), "the schema refuses {text:?}");
        }
        for text in bad {
            assert!(T::parse(text).is_err(), "{text}");
            assert!(!validator.is_valid(&serde_json::json!(text)), "the schema takes {text:?}");
        }
        assert!(validator.is_valid(&serde_json::json!("${env:NAME}")));
    }

    #[test]
    fn durations() {
        let millis = |millis| Lasting(Duration::from_millis(millis));
        let good = [
            ("500ms", millis(500)),
            ("4250ms", millis(4_250)),
            ("4s", millis(4_000)),
            ("0s", millis(0)),
            ("1m30s", millis(90_000)),
            ("1.5s", millis(1_500)),
            ("2h", millis(7_200_000)),
            ("8760h", millis(8_760 * 3_600_000)),
        ];
        check(&good, &["", "5", "s", "5 parsecs", "-5s", "1d", "5s!", "five seconds"]);
        assert!(Lasting::parse("8761h").is_err());
    }

    #[test]
    fn sizes() {
        let good = [
            ("64B", Size(64)),
            ("64KiB", Size(65_536)),
            ("1MB", Size(1_000_000)),
            ("1.5KiB", Size(1_536)),
            ("2 GiB", Size(2 << 30)),
        ];
        check(&good, &["", "64", "KiB", "64KiB/s", "-1B", "64s"]);
    }

    #[test]
    fn rates() {
        let good = [("200/s", Rate(200.0)), ("30/min", Rate(0.5)), ("0.5/s", Rate(0.5))];
        check(&good, &["", "5", "5/m", "5/day", "/s", "-5/s", "5 per second", "1e3/s", "inf/s"]);
        check(
            &[("1KiB/s", ByteRate(1_024.0)), ("60B/min", ByteRate(1.0))],
            &["1KiB", "5/s", "B/s"],
        );
    }

    #[test]
    fn shares_and_quantities() {
        check(
            &[("60%/min", ShareRate(0.01)), ("250 %/s", ShareRate(2.5))],
            &["60%", "1/min", "%/min", "-1%/min", "1%/day"],
        );
        check(&[("15%", Share(0.15)), ("0.5%", Share(0.005))], &["15", "%", "-1%", "a%"]);
        let amount = |at_least, at_most| Amount { at_least, at_most };
        let (five, most) = (Some(Bound::Count(5)), Some(Bound::Share(0.9)));
        let good = [
            ("all", Amount::exactly(Bound::Share(1.0))),
            ("none", Amount::exactly(Bound::Count(0))),
            ("5", Amount::exactly(Bound::Count(5))),
            ("200%", Amount::exactly(Bound::Share(2.0))),
            (">=90%", amount(most, None)),
            ("<= 5", amount(None, five)),
            ("5..90%", amount(five, most)),
        ];
        check(&good, &["", "most", ">5", "5..", "..5", "-5", "5.5", "==5"]);
    }

    #[test]
    fn words_beside_units() {
        check(&[("auto", Units::Auto)], &["", "2", "automatic"]);
        check(&[("system", Buffer::System), ("1KiB", Buffer::Bytes(1_024))], &["", "default", "5"]);
        let two = First::Within(Duration::from_secs(2));
        check(&[("after-delay", First::AfterDelay), ("2s", two)], &["", "later", "2"]);
    }

    #[test]
    fn bare_numbers_are_taken_only_where_no_unit_is_needed() {
        assert_eq!(Count::number(20.0), Ok(Count(20)));
        assert_eq!(Units::number(2.0), Ok(Units::Fixed(2)));
        assert_eq!(Amount::number(0.0), Ok(Amount::exactly(Bound::Count(0))));
        assert_eq!(Factor::number(1.5), Ok(Factor(1.5)));
        for number in [2.5, -1.0, f64::NAN, f64::INFINITY, 4_294_967_296.0] {
            assert!(Count::number(number).is_err(), "{number}");
        }
        for number in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(Factor::number(number).is_err(), "{number}");
        }
        assert_eq!(
            Lasting::number(5.0).unwrap_err(),
            "a duration with its unit: \"5s\" or \"5ms\""
        );
        assert_eq!(Share::number(0.07).unwrap_err(), "a share with its sign: \"7%\"");
    }
}
