//! What can and cannot happen to a population, so that an expectation of the impossible is refused
//! before anything starts.

use super::super::plan::{
    Behaviour, Destination, Fault, FaultAt, Population, ReconnectPolicy, Traffic, UserPolicy,
    Vanish,
};
use crate::protocol::{CloseCategory, HubSettings};

/// Everything of a plan that causes ends of connections.
pub(super) struct Situation<'a> {
    pub populations: &'a [Option<Population>],
    pub hub: &'a HubSettings,
    pub traffic: &'a [Traffic],
    pub faults: &'a [FaultAt],
}

impl Situation<'_> {
    /// Whether messages go to a group that the population is in.
    pub fn has_traffic(&self, population: &Population) -> bool {
        self.traffic.iter().any(|traffic| traffic.reaches(population))
    }

    /// Whether a fault closes connections of the population.
    pub fn is_addressed(&self, index: u16, population: &Population) -> bool {
        self.faults.iter().any(|at| {
            matches!(at.fault, Fault::Reload { .. })
                || self.closes_by_call(&at.fault, index, population)
        })
    }

    /// Whether the application server closes connections of the population with this fault.
    fn closes_by_call(&self, fault: &Fault, index: u16, population: &Population) -> bool {
        match fault {
            Fault::CloseAll { .. } => true,
            Fault::CloseConnections { population, .. } => *population == index,
            Fault::CloseGroup { group, .. } => population.groups.contains(group),
            Fault::CloseUser { population: other, .. } => {
                *other == index || self.shares_user(*other, population)
            }
            Fault::Reload { .. }
            | Fault::Freeze { .. }
            | Fault::Scale { .. }
            | Fault::Leave { .. } => false,
        }
    }

    fn shares_user(&self, other: u16, population: &Population) -> bool {
        let other = self.populations.get(usize::from(other)).and_then(Option::as_ref);
        matches!(population.user, UserPolicy::Shared(_))
            && other.is_some_and(|other| other.user == population.user)
    }

    /// Why connections of the population cannot end for this reason; `None` when they can, or when
    /// this cannot be told beforehand.
    pub fn why_not(
        &self,
        category: CloseCategory,
        index: u16,
        population: &Population,
    ) -> Option<&'static str> {
        let any_fault = |is: &dyn Fn(&Fault) -> bool| self.faults.iter().any(|at| is(&at.fault));
        match category {
            CloseCategory::ServiceReload => {
                (!any_fault(&|fault| matches!(fault, Fault::Reload { .. })))
                    .then_some("no fault reloads the hub")
            }
            CloseCategory::ClosedByAppServer => {
                (!any_fault(&|fault| self.closes_by_call(fault, index, population)))
                    .then_some("no fault closes connections of this population")
            }
            CloseCategory::SlowClient => {
                // What a handler answers to events comes back to their senders.
                let sends_events = |traffic: &&Traffic| {
                    traffic.is_from(index) && matches!(traffic.to, Destination::Event { .. })
                };
                let is_quiet = !self.has_traffic(population)
                    && !self.traffic.iter().any(|traffic| sends_events(&traffic));
                is_quiet.then_some("no traffic goes to a group of this population")
            }
            CloseCategory::PingTimeout => {
                let silent =
                    population.behaviours.iter().any(|timed| can_silence(&timed.behaviour));
                let silent = silent || !population.shaping.is_ideal();
                let frozen = any_fault(&|fault| matches!(fault, Fault::Freeze { .. }));
                (!silent && !frozen)
                    .then_some("nothing keeps these clients from answering pings in time")
            }
            CloseCategory::ConnectionCountLimitReached => {
                self.always_fits().then_some("the hub has room for every client at once")
            }
            _ => None,
        }
    }

    /// Whether every client has a place whatever the others do.
    fn always_fits(&self) -> bool {
        let clients: u64 = self.populations.iter().flatten().map(|p| u64::from(p.count)).sum();
        let scaled = self.faults.iter().filter_map(|at| match at.fault {
            Fault::Scale { tier, units } => {
                Some(u64::from(tier.connections_per_unit()) * u64::from(units))
            }
            _ => None,
        });
        scaled.chain([self.hub.connection_cap()]).all(|cap| cap >= clients)
    }

    /// Whether something goes wrong on purpose after the start.
    pub fn has_later_trouble(&self) -> bool {
        let behaviours = self
            .populations
            .iter()
            .flatten()
            .flat_map(|population| &population.behaviours)
            .filter(|timed| timed.behaviour.is_misbehaviour())
            .map(|timed| timed.from);
        behaviours.chain(self.faults.iter().map(|at| at.at)).any(|at| !at.is_zero())
    }
}

/// Whether a client that behaves so may leave pings unanswered for a timeout.
fn can_silence(behaviour: &Behaviour) -> bool {
    match behaviour {
        Behaviour::SuppressPong
        | Behaviour::DelayPong { .. }
        | Behaviour::LosePong { .. }
        | Behaviour::SlowReadBytes { .. }
        | Behaviour::SlowReadMessages { .. }
        | Behaviour::Stall => true,
        Behaviour::AppPing { .. } => false,
        Behaviour::Vanish { how } => *how == Vanish::BlackHole,
    }
}

/// Whether a client of the population may connect more than once.
pub(super) fn connects_again(population: &Population) -> bool {
    reconnects(population) || population.churn.is_some()
}

/// Whether a client of the population comes back from a drop.
pub(super) fn reconnects(population: &Population) -> bool {
    population.reconnect.policy != ReconnectPolicy::None
}
