//! Times as text, to send them to whoever merges them: the least and the greatest in microseconds,
//! and base64 of HdrHistogram's V2 form, with colons between.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2Serializer};

use super::Timings;

/// Times as text; empty only on a defect of the serializer.
#[must_use]
pub fn encode(times: &Timings) -> String {
    let mut bytes = Vec::new();
    match V2Serializer::new().serialize(times.histogram(), &mut bytes) {
        Ok(_) => format!("{}:{}:{}", times.min(), times.max(), STANDARD.encode(bytes)),
        Err(_) => String::new(),
    }
}

/// The times of a text.
pub fn decode(text: &str) -> Result<Timings, String> {
    let mut parts = text.splitn(3, ':');
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (min, max) = number().zip(number()).ok_or("the least and the greatest are missing")?;
    let bytes = STANDARD
        .decode(parts.next().unwrap_or_default())
        .map_err(|error| format!("not base64: {error}"))?;
    let histogram = Deserializer::new()
        .deserialize::<u64, _>(&mut bytes.as_slice())
        .map_err(|error| format!("not a histogram: {error}"))?;
    // Of no times the least is above the greatest.
    let min = if histogram.is_empty() { u64::MAX } else { min };
    Ok(Timings::of(histogram, min, max))
}

#[cfg(test)]
mod tests {
    use super::super::latency::Distribution;
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_and_merges_exactly() {
        let mut one = Distribution::new().response;
        let mut other = one.clone();
        one.record(5);
        other.record(3_000_000_000);
        let mut merged = decode(&encode(&one)).unwrap();
        merged.merge(&decode(&encode(&other)).unwrap());
        one.merge(&other);
        assert_eq!(merged, one);
        let none = Distribution::new().response;
        assert_eq!(decode(&encode(&none)).unwrap(), none);
        for bad in ["", "1:2", "1:2:*", "1:2:AAAA", "x:2:"] {
            decode(bad).unwrap_err();
        }
    }
}
