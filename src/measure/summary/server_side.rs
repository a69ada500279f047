//! What the hub's log said about events that failed.

use std::collections::BTreeMap;

use crate::protocol::webhook::WebhookFailure;

/// Different lines that are counted apart; a run has few, for a message names no connection.
const LINES_MAX: usize = 1_000;

/// Lines of the hub's log about events that failed, by event and message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogTally {
    /// How often each came.
    pub lines: BTreeMap<(WebhookFailure, String), u64>,
    /// Lines beyond those that are counted apart.
    pub of_further_lines: u64,
}

impl LogTally {
    /// Takes a line in.
    pub fn take(&mut self, event: WebhookFailure, message: &str) {
        let key = (event, message.to_owned());
        let is_full = self.lines.len() >= LINES_MAX;
        match self.lines.get_mut(&key) {
            Some(count) => *count += 1,
            None if is_full => self.of_further_lines += 1,
            None => {
                self.lines.insert(key, 1);
            }
        }
    }

    /// Every line.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.lines.values().sum::<u64>().saturating_add(self.of_further_lines)
    }

    /// Lines of an event, with this message or any.
    #[must_use]
    pub fn count(&self, event: WebhookFailure, message: Option<&str>) -> u64 {
        let is_meant = |(of, text): &(WebhookFailure, String)| {
            *of == event && message.is_none_or(|message| message == text)
        };
        self.lines.iter().filter(|(key, _)| is_meant(key)).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_apart_up_to_a_bound_and_none_is_forgotten() {
        let event = WebhookFailure::EventHandlerNotFound;
        let mut tally = LogTally::default();
        for _ in 0..2 {
            for line in 0..=LINES_MAX {
                tally.take(event, &line.to_string());
            }
        }
        assert_eq!((tally.lines.len(), tally.of_further_lines), (LINES_MAX, 2));
        assert_eq!(tally.count(event, Some("7")), 2);
        assert_eq!(tally.count(event, None), 2 * LINES_MAX as u64);
        assert_eq!(tally.count(WebhookFailure::AbuseProtectionResponseFailed, None), 0);
    }
}
