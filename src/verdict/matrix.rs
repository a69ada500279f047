//! Which ends the hub and the client can both be telling the truth about: the allowed cells of the
//! matrix hub category x wire form x client observation (invariant I3).
//!
//! First the category has to fit the wire form:
//!
//! | wire form | categories |
//! | --- | --- |
//! | none (refused), status 429 | ConnectionCountLimitReached, Throttled |
//! | none, 401 or 403 | Unauthorized |
//! | none, another 4xx | BadRequest |
//! | none, any 4xx or 5xx | SendEventFailed, EventHandlerNotFound |
//! | none, no answer | those, and Normal: it left before the answer |
//! | none, 5xx | ServiceReload, ServiceTransientError |
//! | the client closed, ended or reset first | all but Unauthorized (1) |
//! | the hub's close frame | those whose form is set to it, and those without a setting (2) |
//! | the hub's reset | those whose form is set to abort, and the service's own errors (3) |
//!
//! 1. It is Normal, or it crossed a drop that was decided and not yet written.
//! 2. The forms of PingTimeout, SlowClient and ServiceReload are settings. Never Normal,
//!    Unauthorized or ConnectionCountLimitReached.
//! 3. ConnectionCountLimitReached under accept-then-abort too; and, of a client that does not read,
//!    whatever should have been a close frame, for which there was no room.
//!
//! Then the observation has to fit the wire form:
//!
//! | wire form | every client | slow readers too | stalled and black-holed too |
//! | --- | --- | --- | --- |
//! | refused | that refusal | | |
//! | hub's close frame | that code and reason (4) | reset, end of stream | unaware, no answer (5) |
//! | hub's reset | reset, end of stream (6) | | unaware, no answer |
//! | client's close frame | the echo of its code | no answer, reset, end of stream | unaware |
//! | client's end or reset | vanished (8), no answer | | unaware, reset, end of stream (7) |
//!
//! 4. Whoever of the two thinks to have closed first: close frames may cross.
//! 5. No answer to its own close frame.
//! 6. Where the error of the reset was told to a write before it was told to the read.
//! 7. By the relay that holds the silence.
//! 8. As its behaviour says, or because the run was over and it was ended at once.
//!
//! A middlebox that cuts idle connections resets both ends: the hub takes it for the client's
//! reset, and the client may see a reset with every form, as what was under way is lost.
//!
//! Clients that vanish, as their behaviour says, may do so before any of the others reaches them.
//! An answer to a close frame may also be missing wherever the hub was frozen.
//!
//! A handshake that did not finish (in time, before the run's end, before the connection's end)
//! goes with every form: the hub may have sent its 101 just before. What breaks the protocol goes
//! with none.

use crate::event::{ClientObservation, CloseFirst, HandshakeFailure};
use crate::measure::CloseKey;
use crate::protocol::CloseCategory;
use crate::protocol::control::HubWire;
use crate::protocol::settings::{OverLimit, WireForm};
use crate::scenario::Plan;
use crate::scenario::plan::{Behaviour, Fault, PopulationIndex, Vanish};

/// Whether the hub's view and the client's view of one end can both be true: the allowed cells of
/// the matrix hub category x client observation (invariant I3). A row whose hub side is missing
/// contradicts nothing here (invariant I2 asks for it).
#[must_use]
pub fn is_allowed_cell(plan: &Plan, key: &CloseKey) -> bool {
    let Some(category) = key.category else { return true };
    let client = ClientKind::of(plan, key.population);
    match &key.wire {
        None => is_allowed_refusal(category, &key.observation),
        Some(wire) => {
            is_form_of(plan, category, wire, client) && is_view_of(plan, wire, key, client)
        }
    }
}

/// How much of what the hub sends a client gets to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Attention {
    /// Reads as it comes.
    Prompt,
    /// Reads slowly: a close frame may not get through before the reset.
    Slow,
    /// Stalled or black-holed: may learn nothing.
    Deaf,
}

/// What matters here of a population.
#[derive(Clone, Copy, Debug)]
struct ClientKind {
    attention: Attention,
    vanishes: Vanishes,
    middlebox: Middlebox,
}

/// Whether something between a population and the hub ends connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Middlebox {
    None,
    Cuts,
}

/// Whether a population's behaviour ends its connections without a close handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vanishes {
    No,
    Yes,
}

impl ClientKind {
    fn of(plan: &Plan, population: PopulationIndex) -> Self {
        let population = plan.populations.get(usize::from(population));
        let is_cut = population.is_some_and(|of| of.shaping.idle_cut.is_some());
        let mut kind = Self {
            attention: Attention::Prompt,
            vanishes: Vanishes::No,
            middlebox: if is_cut { Middlebox::Cuts } else { Middlebox::None },
        };
        for timed in population.iter().flat_map(|population| &population.behaviours) {
            let attention = match timed.behaviour {
                Behaviour::SuppressPong
                | Behaviour::DelayPong { .. }
                | Behaviour::LosePong { .. }
                | Behaviour::AppPing { .. } => Attention::Prompt,
                Behaviour::SlowReadBytes { .. } | Behaviour::SlowReadMessages { .. } => {
                    Attention::Slow
                }
                Behaviour::Stall => Attention::Deaf,
                Behaviour::Vanish { how } => {
                    kind.vanishes = Vanishes::Yes;
                    match how {
                        Vanish::BlackHole => Attention::Deaf,
                        Vanish::Reset | Vanish::Fin => Attention::Prompt,
                    }
                }
            };
            kind.attention = kind.attention.max(attention);
        }
        kind
    }
}

/// The first table's first row.
fn is_allowed_refusal(category: CloseCategory, observation: &ClientObservation) -> bool {
    let ClientObservation::Refused { status, .. } = observation else {
        // Who leaves while its handler is asked ended it, and gets no answer.
        let can_be = can_refuse(category) || category == CloseCategory::Normal;
        return is_unfinished_handshake(observation) && can_be;
    };
    match category {
        CloseCategory::ConnectionCountLimitReached | CloseCategory::Throttled => *status == 429,
        CloseCategory::Unauthorized => matches!(status, 401 | 403),
        CloseCategory::BadRequest => {
            (400..500).contains(status) && !matches!(status, 401 | 403 | 429)
        }
        CloseCategory::ServiceReload | CloseCategory::ServiceTransientError => {
            (500..600).contains(status)
        }
        CloseCategory::SendEventFailed | CloseCategory::EventHandlerNotFound => {
            (400..600).contains(status)
        }
        CloseCategory::Normal
        | CloseCategory::ClosedByAppServer
        | CloseCategory::PingTimeout
        | CloseCategory::SlowClient => false,
    }
}

/// Whether an attempt can be refused for this before the upgrade.
const fn can_refuse(category: CloseCategory) -> bool {
    !matches!(
        category,
        CloseCategory::Normal
            | CloseCategory::ClosedByAppServer
            | CloseCategory::PingTimeout
            | CloseCategory::SlowClient
    )
}

/// Whether the client never got the whole answer to its upgrade.
const fn is_unfinished_handshake(observation: &ClientObservation) -> bool {
    matches!(
        observation,
        ClientObservation::HandshakeFailed {
            failure: HandshakeFailure::TimedOut
                | HandshakeFailure::Ended
                | HandshakeFailure::Cancelled
        }
    )
}

/// The first table: whether a drop for this reason can look like this on the wire.
fn is_form_of(plan: &Plan, category: CloseCategory, wire: &HubWire, client: ClientKind) -> bool {
    match wire {
        HubWire::ClientClose { .. } | HubWire::ClientEof | HubWire::ClientReset => {
            category != CloseCategory::Unauthorized
        }
        HubWire::HubClose { code, reason } => match set_form(plan, category) {
            Some(WireForm::Close { code: set, reason: text }) => code == set && reason == text,
            Some(WireForm::DisconnectedThenClose) => *code == 1000,
            Some(WireForm::Abort) => false,
            None => !matches!(
                category,
                CloseCategory::Normal
                    | CloseCategory::ConnectionCountLimitReached
                    | CloseCategory::Unauthorized
            ),
        },
        HubWire::HubAbort => match category {
            CloseCategory::Normal | CloseCategory::Unauthorized => false,
            CloseCategory::ConnectionCountLimitReached => {
                plan.hub.drops.over_limit == OverLimit::AcceptThenAbort
            }
            CloseCategory::PingTimeout
            | CloseCategory::SlowClient
            | CloseCategory::ServiceReload
            | CloseCategory::ClosedByAppServer => {
                set_form(plan, category) == Some(&WireForm::Abort)
                    || client.attention > Attention::Prompt
            }
            CloseCategory::Throttled
            | CloseCategory::SendEventFailed
            | CloseCategory::EventHandlerNotFound
            | CloseCategory::ServiceTransientError
            | CloseCategory::BadRequest => true,
        },
    }
}

/// The wire form that the hub's settings give a drop; `None` where it is not a setting.
const fn set_form(plan: &Plan, category: CloseCategory) -> Option<&WireForm> {
    match category {
        CloseCategory::PingTimeout => Some(&plan.hub.drops.ping_timeout),
        CloseCategory::SlowClient => Some(&plan.hub.drops.slow_client),
        CloseCategory::ServiceReload => Some(&plan.hub.drops.service_reload),
        CloseCategory::Normal
        | CloseCategory::ClosedByAppServer
        | CloseCategory::ConnectionCountLimitReached
        | CloseCategory::Throttled
        | CloseCategory::SendEventFailed
        | CloseCategory::EventHandlerNotFound
        | CloseCategory::ServiceTransientError
        | CloseCategory::BadRequest
        | CloseCategory::Unauthorized => None,
    }
}

/// The second table: whether a client can see this of that wire form.
fn is_view_of(plan: &Plan, wire: &HubWire, key: &CloseKey, client: ClientKind) -> bool {
    let slow = client.attention >= Attention::Slow;
    let deaf = client.attention == Attention::Deaf;
    match &key.observation {
        ClientObservation::ConnectFailed { .. }
        | ClientObservation::Refused { .. }
        | ClientObservation::ProtocolError { .. } => false,
        observation @ ClientObservation::HandshakeFailed { .. } => {
            is_unfinished_handshake(observation)
        }
        ClientObservation::Vanished => match wire {
            HubWire::ClientEof | HubWire::ClientReset => true,
            HubWire::HubClose { .. } | HubWire::HubAbort | HubWire::ClientClose { .. } => {
                client.vanishes == Vanishes::Yes
            }
        },
        ClientObservation::Unaware => deaf,
        ClientObservation::NoCloseAnswer => match wire {
            HubWire::ClientEof | HubWire::ClientReset => true,
            // A frozen hub reads the close frame when the client has given up.
            HubWire::ClientClose { .. } => slow || freezes(plan),
            HubWire::HubClose { .. } | HubWire::HubAbort => deaf,
        },
        ClientObservation::Reset if client.middlebox == Middlebox::Cuts => true,
        ClientObservation::Reset | ClientObservation::Eof => match wire {
            HubWire::HubAbort => true,
            HubWire::HubClose { .. } | HubWire::ClientClose { .. } => slow,
            HubWire::ClientEof | HubWire::ClientReset => deaf,
        },
        ClientObservation::CloseFrame { code, reason, first } => match wire {
            HubWire::HubClose { code: sent, reason: text } => {
                *code == Some(*sent) && reason == text
            }
            HubWire::ClientClose { code: sent, .. } => *first == CloseFirst::Client && code == sent,
            HubWire::HubAbort | HubWire::ClientEof | HubWire::ClientReset => false,
        },
    }
}

/// Whether the hub is frozen at some time.
fn freezes(plan: &Plan) -> bool {
    plan.faults.iter().any(|fault| matches!(fault.fault, Fault::Freeze { .. }))
}
