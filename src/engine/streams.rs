//! Reads what the hub streams: its side of the ledger, its story of the watched client, and its
//! resource log.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::net::http::Lines;

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

/// Passes on resource-log records until the stream ends or nobody takes them. (Records that the hub
/// could not send are in its counters.)
pub(super) async fn read_trace(mut lines: Lines, records: mpsc::Sender<Bytes>) {
    while let Ok(Some(line)) = lines.next().await {
        if records.send(line).await.is_err() {
            return;
        }
    }
}
