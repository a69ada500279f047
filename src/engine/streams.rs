//! Reads what the hub streams: its side of the ledger, its story of the watched client, and its
//! resource log.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::event::EventFailedLine;
use crate::net::http::Lines;
use crate::protocol::resource_log::{Properties, Record};

/// Ledger entries that may wait for the dispatcher. Past it the hub waits, and in the end says that
/// entries were lost.
pub(super) const HUB_LINES_MAX: usize = 4_096;

/// A line of a stream that the engine understands.
#[derive(Debug)]
pub(super) enum HubLine<T> {
    /// An entry.
    Entry(T),
    /// There will be no more, although the run still needs them.
    Broken(String),
}

/// Passes on a stream's entries until it ends; that it ended is passed on too.
pub(super) async fn read_entries<T: DeserializeOwned>(
    mut lines: Lines,
    entries: mpsc::Sender<HubLine<T>>,
) {
    let why = loop {
        match lines.next().await {
            Ok(Some(line)) if line.is_empty() => {}
            Ok(Some(line)) => match serde_json::from_slice(&line) {
                Ok(entry) => {
                    if entries.send(HubLine::Entry(entry)).await.is_err() {
                        return;
                    }
                }
                Err(error) => break format!("an entry is not understood: {error}"),
            },
            Ok(None) => break "the hub ended the stream".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    // Without a dispatcher nobody misses them.
    let _ = entries.send(HubLine::Broken(why)).await;
}

/// Passes on resource-log records until the stream ends or nobody takes them, and those about
/// events that failed to the dispatcher too. (Records that the hub could not send are in its
/// counters.)
pub(super) async fn read_trace(
    mut lines: Lines,
    records: mpsc::Sender<Bytes>,
    failures: mpsc::Sender<EventFailedLine>,
) {
    while let Ok(Some(line)) = lines.next().await {
        if let Some(failure) = failed_event(&line)
            && failures.send(failure).await.is_err()
        {
            return;
        }
        if records.send(line).await.is_err() {
            return;
        }
    }
}

/// What a record says of an event that failed.
fn failed_event(line: &Bytes) -> Option<EventFailedLine> {
    // Most records are about connections, and many: only those that may be meant are parsed.
    const KEY: &[u8] = b"\"eventName\"";
    if !line.windows(KEY.len()).any(|part| part == KEY) {
        return None;
    }
    let Properties { event_name, message, exception, squall_attempt, .. } =
        serde_json::from_slice::<Record>(line).ok()?.properties;
    Some(EventFailedLine { failure: event_name?, message, exception, attempt: squall_attempt })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::protocol::resource_log::{CONNECTIVITY, Subject};
    use crate::protocol::webhook::WebhookFailure;

    #[test]
    fn only_records_of_failed_events_are_understood_as_such() {
        let subject = Subject {
            caller: "127.0.0.1",
            hub: "chat",
            connection_id: Some("c"),
            user_id: None,
            attempt: None,
        };
        let bytes = |record: &Record| Bytes::from(serde_json::to_vec(record).unwrap());
        let failure = WebhookFailure::AbuseProtectionResponseFailed;
        let (message, exception) = ("it \"failed\"".to_owned(), Some("refused".to_owned()));
        let record =
            Record::event_failed(0, &subject, CONNECTIVITY, failure, message.clone(), exception);
        let told = failed_event(&bytes(&record)).unwrap();
        let exception = Some("refused".to_owned());
        assert_eq!(told, EventFailedLine { failure, message, exception, attempt: None });
        assert_eq!(failed_event(&bytes(&Record::started(0, &subject))), None);
        assert_eq!(failed_event(&Bytes::from_static(b"{\"eventName\"")), None);
    }
}
