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
use crate::scenario::plan::Destination;

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
    // A plan has no events by REST.
    let Destination::Group(group) = settings.to else { return 0 };
    let operation = Operation::SendToGroup {
        hub: hands.plan.hub_name.clone(),
        group: hands.plan.groups[usize::from(group)].clone(),
    };
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
        let stream = settings.stream_base;
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
        } else {
            failed += 1;
        }
        free_since = Instant::now();
    }
    failed
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
