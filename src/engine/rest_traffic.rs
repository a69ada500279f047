//! Traffic that the engine itself sends, by REST.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::hands::{Hands, Outcome};
use super::rest::Body;
use crate::pace;
use crate::protocol::rest::Operation;
use crate::protocol::stamp::Stamp;
use crate::scenario::plan::{Destination, Traffic};

/// Sends one traffic until its schedule ends or the sender of `stop` is gone.
///
/// One message at a time: the service keeps the order of a sender's messages only if each waits for
/// the answer to the one before. A message that has to wait keeps its planned instant, so the wait
/// is response time.
pub(super) async fn send(hands: Rc<Hands>, traffic: usize, stop: oneshot::Receiver<()>) {
    let failed = send_all(&hands, traffic, stop).await;
    // Without a dispatcher nobody counts any more.
    let _ = hands.outcomes.send(Outcome::RestTraffic { traffic, failed }).await;
}

/// Returns how many messages the hub did not take.
async fn send_all(hands: &Hands, traffic: usize, mut stop: oneshot::Receiver<()>) -> u64 {
    let settings = &hands.plan.traffic[traffic];
    let mut caller = hands.caller().ok();
    let mut failed = 0;
    let mut free_since = hands.epoch;
    for sequence in 1.. {
        let Some(at) = pace::send_instant(settings, 0, sequence) else { break };
        let planned = hands.epoch + at;
        tokio::select! {
            biased;
            _ = &mut stop => break,
            () = hands.pacer.until(planned) => {}
        }
        let started = Instant::now();
        hands.record_lag(planned, started.saturating_duration_since(planned.max(free_since)));
        let Some(Addressed { operation, position, sequence }) =
            addressed(hands, settings, sequence)
        else {
            break;
        };
        let stream = settings.stream_base + position;
        hands.book.note_sent(stream, sequence);
        let stamp = Stamp {
            stream,
            sequence,
            planned_ns: nanoseconds(at),
            sent_ns: nanoseconds(started.saturating_duration_since(hands.epoch)),
        };
        let mut body = Vec::new();
        stamp.write(settings.size as usize, &mut body);
        let sent = match &mut caller {
            Some(caller) => caller.operation(&operation, &[], Body::Text(body)).await.is_ok(),
            None => false,
        };
        if sent {
            let answered = Instant::now().saturating_duration_since(hands.epoch);
            hands.book.note_acknowledged(stream, sequence, nanoseconds(answered));
            hands.record_rest(planned, started);
            hands.sent.borrow_mut().sent(traffic, stamp.sent_ns);
        } else {
            failed += 1;
        }
        free_since = Instant::now();
    }
    failed
}

/// Where a message goes: the call, the stream's position in the traffic, and its number there.
struct Addressed {
    operation: Operation,
    position: u32,
    sequence: u32,
}

/// Where message `number` of a traffic goes, counted from 1; `None` of what is not sent by REST.
fn addressed(hands: &Hands, settings: &Traffic, number: u32) -> Option<Addressed> {
    let hub = hands.plan.hub_name.clone();
    let (operation, position, sequence) = match &settings.to {
        Destination::Group(group) => {
            let group = hands.plan.groups[*group as usize].clone();
            (Operation::SendToGroup { hub, group }, 0, number)
        }
        Destination::Users { of, count } => {
            let turn = number - 1;
            let position = turn % (*count).max(1);
            let user_id = format!("{of}-{position}");
            (Operation::SendToUser { hub, user_id }, position, turn / (*count).max(1) + 1)
        }
        Destination::Everybody => (Operation::SendToAll { hub }, 0, number),
        // A plan has none of these by REST.
        Destination::Rooms(_) | Destination::Event { .. } => return None,
    };
    Some(Addressed { operation, position, sequence })
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
