//! What the hub's ledger says of each event and of each validation, once it is over.

use std::time::Duration;

use tokio::time::Instant;

use super::super::connection::Connection;
use super::super::state::Hub;
use super::dialogue::Dialogue;
use crate::measure::latency::microseconds;
use crate::protocol::AttemptId;
use crate::protocol::control::{EventFailure, HubCall, HubValidation, LedgerEntry, UpstreamCall};
use crate::protocol::webhook::{Event, RequestKind, WebhookFailure, WebhookUrl};

/// Whose event it was, and in which timeline.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    attempt: Option<&'a AttemptId>,
    connection_id: &'a str,
    timeline: u64,
}

impl<'a> Whose<'a> {
    /// Of the connection, which may not be there yet, that a dialogue belongs to.
    pub fn of(dialogue: &'a Dialogue) -> Self {
        Self {
            attempt: dialogue.attempt.as_ref(),
            connection_id: &dialogue.connection_id,
            timeline: dialogue.timeline,
        }
    }

    /// Of a connection that may have no dialogue.
    pub fn of_connection(connection: &'a Connection) -> Self {
        Self {
            attempt: connection.attempt.as_ref(),
            connection_id: &connection.id,
            timeline: connection.timeline,
        }
    }
}

/// Requests so far, and the answer to the last of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    pub count: u32,
    pub status: Option<u16>,
}

impl Tries {
    /// One more request begins.
    pub const fn asked(self) -> Self {
        Self { count: self.count + 1, status: None }
    }

    /// The last one was answered.
    pub const fn answered(self, status: u16) -> Self {
        Self { count: self.count, status: Some(status) }
    }
}

/// What became of an event.
pub fn call(
    event: &Event,
    failure: Option<EventFailure>,
    tries: Tries,
    took: Duration,
) -> UpstreamCall {
    UpstreamCall {
        event: RequestKind::Event(event.clone()),
        status: tries.status,
        failure,
        tries: tries.count,
        took_us: microseconds(took),
    }
}

/// Tells of an event that is over.
pub fn tell(hub: &Hub, whose: Whose<'_>, began: Instant, call: &UpstreamCall) {
    hub.ledger.push(&LedgerEntry::Called(Box::new(HubCall {
        attempt: whose.attempt.cloned(),
        connection_id: whose.connection_id.to_owned(),
        began_ns: hub.clock.at_ns(began),
        call: call.clone(),
    })));
}

/// Counts and tells of an event that is over at once, for nothing can be sent.
pub fn unsent(hub: &Hub, whose: Whose<'_>, event: &Event, why: EventFailure) -> UpstreamCall {
    let call = call(event, Some(why), Tries::default(), Duration::ZERO);
    if whose.timeline == hub.timeline.get() {
        hub.webhooks.tally.count(event, |of| of.begun += 1);
        hub.webhooks.tally.failed(event, why);
        tell(hub, whose, Instant::now(), &call);
    }
    call
}

/// Tells of a validation that is over.
pub fn tell_validated(
    hub: &Hub,
    url: &WebhookUrl,
    began: Instant,
    failure: Option<WebhookFailure>,
    tries: Tries,
) {
    hub.ledger.push(&LedgerEntry::Validated(Box::new(HubValidation {
        url: url.to_string(),
        began_ns: hub.clock.at_ns(began),
        status: tries.status,
        failure,
        tries: tries.count,
        took_us: microseconds(began.elapsed()),
    })));
}
