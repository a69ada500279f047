//! Where deliveries to event listeners go: a file that grows by whole lines. The hub never waits
//! for it; a delivery that finds the queue full is lost, which the hub counts.

use std::path::Path;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::CliError;
use crate::report::FileError;
use crate::report::stream::LineFile;

/// Deliveries on their way into the file.
const WAITING_MAX: usize = 1 << 14;

/// The file, and what comes for it.
#[derive(Debug)]
pub struct DeliveryFile {
    file: LineFile,
    lines: mpsc::Receiver<Bytes>,
}

impl DeliveryFile {
    /// Creates a file, which must not exist, and the queue to it.
    pub fn create(path: &Path) -> Result<(mpsc::Sender<Bytes>, Self), CliError> {
        let file = LineFile::create(path)
            .map_err(|source| FileError::Io { path: path.to_owned(), source })?;
        let (queue, lines) = mpsc::channel(WAITING_MAX);
        Ok((queue, Self { file, lines }))
    }

    /// Writes until nobody can deliver any more. What went wrong with the file is told at the end.
    pub async fn write(mut self) -> Result<(), FileError> {
        while let Some(line) = self.lines.recv().await {
            self.take(&line);
        }
        self.finish()
    }

    /// The same on a thread of its own, beside the hub's.
    pub fn write_on_a_thread(mut self) -> Result<JoinHandle<Result<(), FileError>>, CliError> {
        let body = move || {
            while let Some(line) = self.lines.blocking_recv() {
                self.take(&line);
            }
            self.finish()
        };
        thread::Builder::new()
            .name("squall-deliveries".to_owned())
            .spawn(body)
            .map_err(|error| CliError::Internal(format!("no thread for deliveries: {error}")))
    }

    fn take(&mut self, line: &Bytes) {
        self.file.push(line);
        if self.lines.is_empty() {
            self.file.flush();
        }
    }

    fn finish(self) -> Result<(), FileError> {
        self.file.finish().map_err(|(path, source)| FileError::Io { path, source })
    }
}
