//! The join key of the ledger.
//!
//! Simple clients never learn their connection id, and a refused attempt has none. So every attempt
//! carries a run-unique query parameter, the hub records it, and the two sides of a ledger row meet
//! on it, never on time or port.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Query parameter that carries the [`AttemptId`] in the upgrade request.
pub const ATTEMPT_PARAMETER: &str = "squall";

/// One connection attempt of one virtual client: `<population>.<index>.<attempt>`.
///
/// `index` counts the clients of a population from 0, `attempt` the attempts of a client from 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId {
    /// Name of the population, as in the scenario file.
    pub population: String,
    /// Which client of the population, from 0.
    pub index: u32,
    /// Which attempt of that client, from 0.
    pub attempt: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.population, self.index, self.attempt)
    }
}

/// A text that is not an attempt id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an attempt id of the form population.index.attempt")]
pub struct NotAnAttemptId;

impl FromStr for AttemptId {
    type Err = NotAnAttemptId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rest, attempt) = text.rsplit_once('.').ok_or(NotAnAttemptId)?;
        let (population, index) = rest.rsplit_once('.').ok_or(NotAnAttemptId)?;
        if population.is_empty() {
            return Err(NotAnAttemptId);
        }
        Ok(Self {
            population: population.to_owned(),
            index: index.parse().map_err(|_| NotAnAttemptId)?,
            attempt: attempt.parse().map_err(|_| NotAnAttemptId)?,
        })
    }
}

impl Serialize for AttemptId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AttemptId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_what_is_not_one() {
        let id = AttemptId { population: "a.b".into(), index: 7, attempt: 2 };
        assert_eq!(id.to_string(), "a.b.7.2");
        assert_eq!("a.b.7.2".parse(), Ok(id));
        for bad in ["", "a", "a.1", ".1.2", "a.x.1", "a.1.-1"] {
            assert_eq!(bad.parse::<AttemptId>(), Err(NotAnAttemptId), "{bad}");
        }
    }
}
