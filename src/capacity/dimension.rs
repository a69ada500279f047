//! What can run out.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

pub use crate::protocol::throughput::Pattern;

/// What can run out. The order is that of reports, and decides between equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Connections at once.
    Connections,
    /// Messages or bytes a second of one pattern.
    Traffic(Pattern, Direction, Measure),
    /// All patterns together, each by its fullest share, where there are several.
    Together,
    /// Messages a day, as billed, where a tier ends with its quota (Free).
    DailyMessages,
}

/// Seen from the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the service.
    In,
    /// Out of the service.
    Out,
}

/// What is counted a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Messages.
    Messages,
    /// Bytes, a message under 1,024 counting as 1,024.
    Bytes,
}

impl Dimension {
    /// Every dimension there is.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Connections];
        for pattern in Pattern::ALL {
            for direction in [Direction::In, Direction::Out] {
                for measure in [Measure::Messages, Measure::Bytes] {
                    all.push(Self::Traffic(pattern, direction, measure));
                }
            }
        }
        all.extend([Self::Together, Self::DailyMessages]);
        all
    }

    /// The pattern whose traffic it counts.
    #[must_use]
    pub const fn pattern(self) -> Option<Pattern> {
        match self {
            Self::Traffic(pattern, _, _) => Some(pattern),
            Self::Connections | Self::Together | Self::DailyMessages => None,
        }
    }

    /// The share of its capacity up to which it is planned: 80 % of connections (billing guide),
    /// 70 % of throughput, below which latency stays low (performance guide, Server Load), all of a
    /// daily quota.
    #[must_use]
    pub const fn planned_share(self) -> f64 {
        match self {
            Self::Connections => 0.8,
            Self::Traffic(..) | Self::Together => 0.7,
            Self::DailyMessages => 1.0,
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Traffic(pattern, direction, measure) = self else {
            return f.write_str(match self {
                Self::Together => "all patterns together",
                Self::DailyMessages => "messages a day",
                Self::Connections | Self::Traffic(..) => "connections",
            });
        };
        let direction = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        match measure {
            Measure::Messages => write!(f, "{pattern}, {direction}/s"),
            Measure::Bytes => write!(f, "{pattern}, bytes {direction}/s"),
        }
    }
}
