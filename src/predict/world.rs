//! What a plan asks for that only the virtual world has.

use std::fmt;

use crate::scenario::Plan;

/// Why a plan needs the virtual world. Its text is a whole clause: "population `far` is shaped,
/// which only links in memory can do".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnlyVirtual {
    /// The first population that is shaped.
    population: String,
}

impl fmt::Display for OnlyVirtual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { population } = self;
        write!(f, "population `{population}` is shaped, which only links in memory can do")
    }
}

/// Why the plan needs the virtual world; `None` when sockets will do.
#[must_use]
pub fn only_virtual(plan: &Plan) -> Option<OnlyVirtual> {
    let shaped = plan.populations.iter().find(|population| !population.shaping.is_ideal());
    shaped.map(|population| OnlyVirtual { population: population.name.clone() })
}
