//! What a plan asks for that only the virtual world has, and what that world makes of it.

use std::fmt;
use std::time::Duration;

use crate::protocol::Endpoint;
use crate::protocol::control::UPSTREAM_HOST;
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

/// What becomes of delays that the virtual world's clock cannot tell. Its text is a whole clause:
/// "links of `far`: each way is rounded up to whole milliseconds in the virtual world, to 1 ms at
/// least".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rounded {
    /// The populations.
    populations: Vec<String>,
}

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "links of `{}`: each way is rounded up to whole milliseconds in the virtual world, to \
             1 ms at least",
            self.populations.join("`, `")
        )
    }
}

/// Which populations have a delay or a jitter that is no whole number of milliseconds; `None` when
/// there is none.
#[must_use]
pub fn rounded(plan: &Plan) -> Option<Rounded> {
    let is_whole = |of: Duration| of.subsec_nanos().is_multiple_of(1_000_000);
    let populations: Vec<_> = plan
        .populations
        .iter()
        .filter(|of| !is_whole(of.shaping.delay) || !is_whole(of.shaping.jitter))
        .map(|of| of.name.clone())
        .collect();
    (!populations.is_empty()).then_some(Rounded { populations })
}

/// Why the plan needs the virtual world; `None` when sockets will do.
#[must_use]
pub fn only_virtual(plan: &Plan) -> Option<OnlyVirtual> {
    let shaped = plan.populations.iter().find(|population| !population.shaping.is_ideal());
    shaped.map(|population| OnlyVirtual { population: population.name.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::fixture::{plan, population};

    #[test]
    fn delays_below_a_tick_are_said_to_be_rounded_up() {
        let mut plan = plan(["near", "far", "jumpy"].map(|name| population(name, 1)).into());
        assert_eq!(rounded(&plan), None);
        plan.populations[1].shaping.delay = Duration::from_millis(40);
        assert_eq!(rounded(&plan), None, "a whole number");
        plan.populations[1].shaping.delay = Duration::from_micros(1_500);
        plan.populations[2].shaping.jitter = Duration::from_micros(1);
        let told = rounded(&plan).map(|of| of.to_string()).unwrap_or_default();
        assert!(told.starts_with("links of `far`, `jumpy`: each way is rounded up"), "{told}");
    }
}

/// End of host names that nobody ever has (RFC 2606): in neither world is there anybody to reach.
const NOBODY: &str = ".invalid";

/// Why a plan needs sockets. Its text is a whole clause: "the event handler at `https://h` lies
/// outside of the virtual world, which has nothing but its own hub and its own `[upstream]`".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnlySockets {
    /// Whom the first such handler's URL names.
    endpoint: Endpoint,
}

impl fmt::Display for OnlySockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint } = self;
        write!(
            f,
            "the event handler at `{endpoint}` lies outside of the virtual world, which has \
             nothing but its own hub and its own `[upstream]`"
        )
    }
}

/// Why the plan needs sockets; `None` when the virtual world will do.
#[must_use]
pub fn only_sockets(plan: &Plan) -> Option<OnlySockets> {
    let mut endpoints = plan.hub.events.handlers.iter().map(|handler| handler.url.endpoint());
    let outside = endpoints.find(|endpoint| {
        let host = endpoint.host.to_ascii_lowercase();
        host != UPSTREAM_HOST && !host.ends_with(NOBODY)
    });
    outside.map(|endpoint| OnlySockets { endpoint: endpoint.clone() })
}
