//! Whether this process may have what a run needs, before anything opens.

use std::fmt;

use super::need::{DESCRIPTORS_RESERVE, PAIR_BYTES};
use super::words::count as grouped;
use super::{HubPlace, Need};

/// What this process and machine allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Soft limit of open files.
    pub descriptors_max: u64,
    /// Ports for outgoing connections to one address and port; `None` where that cannot be told.
    pub ports: Option<u64>,
    /// Memory that can be had, in bytes; `None` where that cannot be told.
    pub memory: Option<u64>,
}

/// A run that this process cannot carry. Its text names the need, the limit and a way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BudgetProblem {
    /// More open files than the process may have.
    Descriptors {
        /// Needed in all.
        needed: u64,
        /// Clients connected at once.
        clients: u64,
        /// Where the hub runs.
        hub: HubPlace,
        /// Of those, descriptors of relays that hold silence.
        relays: u64,
        /// Allowed.
        allowed: u64,
    },
    /// More memory than there is.
    Memory {
        /// Needed, in bytes.
        needed: u64,
        /// Clients in all.
        clients: u64,
        /// Available, in bytes.
        allowed: u64,
    },
    /// More ports than the machine hands out towards one target.
    Ports {
        /// Needed.
        needed: u64,
        /// Available.
        allowed: u64,
    },
}

/// Compares a need with the limits; the first thing that does not fit.
#[must_use]
pub fn budget_problem(need: &Need, hub: HubPlace, limits: &Limits) -> Option<BudgetProblem> {
    if need.descriptors > limits.descriptors_max {
        let plain = need.connections_peak.saturating_mul(per_client(hub));
        let relays = need.descriptors.saturating_sub(plain.saturating_add(DESCRIPTORS_RESERVE));
        return Some(BudgetProblem::Descriptors {
            needed: need.descriptors,
            clients: need.connections_peak,
            hub,
            relays,
            allowed: limits.descriptors_max,
        });
    }
    if let (Some(needed), Some(allowed)) = (need.memory_bytes, limits.memory)
        && needed > allowed
    {
        let clients = need.connections_peak;
        return Some(BudgetProblem::Memory { needed, clients, allowed });
    }
    let allowed = limits.ports.filter(|ports| need.ports > *ports)?;
    Some(BudgetProblem::Ports { needed: need.ports, allowed })
}

/// What bounds the clients that this process can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Open files.
    Descriptors,
    /// Ports towards one target.
    Ports,
    /// Memory.
    Memory,
}

/// The most clients of a plain population, connected at once, that the limits allow, and which of
/// them that is; `None` where none is known.
#[must_use]
pub fn clients_max(hub: HubPlace, limits: &Limits) -> Option<(u64, Bound)> {
    let room = limits.descriptors_max.saturating_sub(DESCRIPTORS_RESERVE);
    let (descriptors, ports, memory) = match hub {
        HubPlace::Embedded | HubPlace::Elsewhere => {
            (Some(room / per_client(hub)), limits.ports, None)
        }
        HubPlace::InMemory => (None, None, limits.memory.map(|memory| memory / PAIR_BYTES)),
    };
    [(descriptors, Bound::Descriptors), (ports, Bound::Ports), (memory, Bound::Memory)]
        .into_iter()
        .filter_map(|(clients, bound)| Some((clients?, bound)))
        .min_by_key(|(clients, _)| *clients)
}

/// Descriptors of this process per connected client.
pub(super) const fn per_client(hub: HubPlace) -> u64 {
    match hub {
        HubPlace::Embedded => 2,
        HubPlace::Elsewhere => 1,
        HubPlace::InMemory => 0,
    }
}

impl fmt::Display for BudgetProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Descriptors { needed, clients, hub, relays, allowed } => {
                let (needed, allowed_text) = (grouped(needed), grouped(allowed));
                write!(f, "needs {needed} open files ({} clients", grouped(clients))?;
                match hub {
                    HubPlace::Embedded => f.write_str(" x 2 in this process")?,
                    HubPlace::Elsewhere | HubPlace::InMemory => f.write_str(" x 1")?,
                }
                if relays > 0 {
                    write!(f, " + {} for relays", grouped(relays))?;
                }
                write!(f, " + {DESCRIPTORS_RESERVE}), this process may open {allowed_text}; ")?;
                match hub {
                    HubPlace::Embedded => f.write_str("run the hub elsewhere (squall hub), ")?,
                    HubPlace::Elsewhere | HubPlace::InMemory => {
                        f.write_str("spread the run over processes, ")?;
                    }
                }
                f.write_str("raise the limit (ulimit -n)")?;
                let room = allowed.saturating_sub(DESCRIPTORS_RESERVE + relays);
                match room / per_client(hub).max(1) {
                    0 => Ok(()),
                    fits => write!(f, ", or -n {fits}"),
                }
            }
            Self::Memory { needed, clients, allowed } => write!(
                f,
                "needs about {} MiB of memory ({} clients with their links and the hub's side), \
                 this machine has {} MiB to spare; use fewer clients, or -n {}",
                grouped(needed >> 20),
                grouped(clients),
                grouped(allowed >> 20),
                allowed / PAIR_BYTES
            ),
            Self::Ports { needed, allowed } => write!(
                f,
                "needs {} ports towards the target, this machine has {}; widen \
                 net.ipv4.ip_local_port_range, or -n {}",
                grouped(needed),
                grouped(allowed),
                allowed
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(clients: u64, descriptors: u64) -> Need {
        Need {
            connections_peak: clients,
            descriptors,
            ports: clients,
            kernel_bytes: 0,
            memory_bytes: None,
            connects_per_second: 0,
            opens: clients,
            messages_in: 0,
            messages_out: 0,
            billed_messages: 0,
            user_events: 0,
            user_events_per_second: 0,
        }
    }

    #[test]
    fn need_and_limit_are_named() {
        let limits = Limits { descriptors_max: 1_024, ports: Some(28_232), memory: None };
        let problem = budget_problem(&need(5_000, 10_064), HubPlace::Embedded, &limits).unwrap();
        assert_eq!(
            problem.to_string(),
            "needs 10,064 open files (5,000 clients x 2 in this process + 64), this process may \
             open 1,024; run the hub elsewhere (squall hub), raise the limit (ulimit -n), or -n 480"
        );
        let relays = budget_problem(&need(1_000, 1_084), HubPlace::Elsewhere, &limits).unwrap();
        assert_eq!(
            relays.to_string(),
            "needs 1,084 open files (1,000 clients x 1 + 20 for relays + 64), this process may \
             open 1,024; spread the run over processes, raise the limit (ulimit -n), or -n 940"
        );
    }

    #[test]
    fn ports_are_the_second_limit() {
        let limits = Limits { descriptors_max: 1_000_000, ports: Some(28_232), memory: None };
        let problem = budget_problem(&need(30_000, 30_064), HubPlace::Elsewhere, &limits);
        assert_eq!(problem, Some(BudgetProblem::Ports { needed: 30_000, allowed: 28_232 }));
        let unknown = Limits { ports: None, ..limits };
        assert_eq!(budget_problem(&need(30_000, 30_064), HubPlace::Elsewhere, &unknown), None);
    }

    #[test]
    fn in_memory_only_memory_is_a_limit() {
        let memory = Some(1 << 30);
        let limits = Limits { descriptors_max: 64, ports: Some(1), memory };
        let need = |bytes| Need { memory_bytes: Some(bytes), ports: 0, ..need(100_000, 64) };
        assert_eq!(budget_problem(&need(1 << 30), HubPlace::InMemory, &limits), None);
        let problem = budget_problem(&need(2 << 30), HubPlace::InMemory, &limits).unwrap();
        assert_eq!(
            problem.to_string(),
            "needs about 2,048 MiB of memory (100,000 clients with their links and the hub's \
             side), this machine has 1,024 MiB to spare; use fewer clients, or -n 65536"
        );
    }

    #[test]
    fn as_many_fit_as_are_told_and_not_one_more() {
        let memory = Some(1_u64 << 30);
        for (descriptors_max, ports) in [(20_000, 28_232), (1_000_000, 28_232), (63, 5)] {
            let limits = Limits { descriptors_max, ports: Some(ports), memory };
            for hub in [HubPlace::Embedded, HubPlace::Elsewhere, HubPlace::InMemory] {
                let need = |clients: u64| {
                    let descriptors = clients * per_client(hub) + DESCRIPTORS_RESERVE;
                    match hub {
                        HubPlace::InMemory => Need {
                            memory_bytes: Some(clients * PAIR_BYTES),
                            ports: 0,
                            ..need(clients, 0)
                        },
                        HubPlace::Embedded | HubPlace::Elsewhere => need(clients, descriptors),
                    }
                };
                let (most, _) = clients_max(hub, &limits).unwrap();
                let is_too_many = |clients| budget_problem(&need(clients), hub, &limits).is_some();
                assert!(most == 0 || !is_too_many(most), "{hub:?}");
                assert!(is_too_many(most + 1), "{hub:?}");
            }
        }
    }

    #[test]
    fn what_fits_exactly_is_no_problem() {
        let limits = Limits { descriptors_max: 264, ports: Some(100), memory: None };
        assert_eq!(budget_problem(&need(100, 264), HubPlace::Embedded, &limits), None);
        let tight = Limits { descriptors_max: 263, ..limits };
        assert!(budget_problem(&need(100, 264), HubPlace::Embedded, &tight).is_some());
    }
}
