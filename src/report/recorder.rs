//! Takes the events of a run as they come and owns the files that grow while it goes on.
//!
//! It runs beside the engine on the run's main thread. It never waits for anything but the two
//! queues: flushing goes by the events themselves (progress comes several times a second), so that
//! it adds no timer to the world it watches.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::folder::{EVENTS, FileError, RunFolder, TRACE};
use super::live::Live;
use super::run_file::Observed;
use super::story::Story;
use super::stream::LineFile;
use crate::event::{Event, EventKind, HowEnded, HubSide, LedgerRow, RunStarted, Warning};
use crate::measure::summary::Extent;
use crate::protocol::CloseCategory;
use crate::secret::Redactor;

/// Lines wait for the system at most this long, plus the gap to the next event.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// Consumes events and trace records.
#[derive(Debug)]
pub struct Recorder {
    /// `None`: the run leaves nothing but its result.
    files: Option<GrowingFiles>,
    live: Live,
    redactor: Redactor,
    follow: Option<RunFolder>,
    flushed: Instant,
    recorded: Recorded,
}

/// Those that grow while a run goes on.
#[derive(Debug)]
struct GrowingFiles {
    events: LineFile,
    trace: LineFile,
}

/// Whether the link beside the run folders follows a run once it has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latest {
    /// It leads to this run.
    Follow,
    /// It stays.
    Leave,
}

/// What a recorder knows at the end.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The first event, when one came.
    pub started: Option<RunStarted>,
    /// How the run ended, when it said so.
    pub how: Option<HowEnded>,
    /// What was seen that no summary has.
    pub observed: Observed,
    /// The story of the watched client; of a run without one nothing.
    pub story: Story,
    /// What went wrong with the files.
    pub warnings: BTreeSet<Warning>,
}

impl Recorder {
    /// Creates the growing files of a run folder.
    pub fn create(
        folder: &RunFolder,
        latest: Latest,
        live: Live,
        redactor: Redactor,
    ) -> Result<Self, FileError> {
        let create = |name: &str| {
            let path = folder.file(name);
            LineFile::create(&path).map_err(|source| FileError::Io { path, source })
        };
        Ok(Self {
            files: Some(GrowingFiles { events: create(EVENTS)?, trace: create(TRACE)? }),
            follow: (latest == Latest::Follow).then(|| folder.clone()),
            ..Self::without_files(live, redactor)
        })
    }

    /// A recorder of a run that leaves no files: what is recorded is the same.
    #[must_use]
    pub fn without_files(live: Live, redactor: Redactor) -> Self {
        Self {
            files: None,
            live,
            redactor,
            follow: None,
            flushed: Instant::now(),
            recorded: Recorded::default(),
        }
    }

    /// Records until both queues have ended, or `stop` is ready; then flushes.
    pub async fn run(
        mut self,
        mut events: mpsc::Receiver<Event>,
        mut trace: mpsc::Receiver<Bytes>,
        stop: impl Future<Output = ()>,
    ) -> Recorded {
        let mut stop = std::pin::pin!(stop);
        let (mut events_open, mut trace_open) = (true, true);
        while events_open || trace_open {
            tokio::select! {
                biased;
                event = events.recv(), if events_open => match event {
                    Some(event) => self.take(&event),
                    None => events_open = false,
                },
                record = trace.recv(), if trace_open => match record {
                    Some(record) => self.take_trace(&record),
                    None => trace_open = false,
                },
                () = &mut stop => {
                    while let Ok(event) = events.try_recv() {
                        self.take(&event);
                    }
                    break;
                }
            }
        }
        self.finish()
    }

    /// Takes one event in.
    fn take(&mut self, event: &Event) {
        self.live.take(event);
        let now = match &event.kind {
            EventKind::Progress(_) => FlushWhen::Due,
            EventKind::AttemptEnded(row) => {
                note_kernel_bytes(row, &mut self.recorded.observed);
                self.write(event);
                FlushWhen::Due
            }
            EventKind::EventFailed(_)
            | EventKind::UpstreamCall(_)
            | EventKind::UpstreamValidation(_) => {
                self.write(event);
                FlushWhen::Due
            }
            EventKind::Story(line) => {
                self.recorded.story.lines.push((event.at_ns, line.as_ref().clone()));
                self.write(event);
                FlushWhen::Due
            }
            EventKind::RunStarted(started) => {
                self.recorded.started = Some(started.as_ref().clone());
                if let Some(folder) = &self.follow {
                    folder.link_latest();
                }
                self.write(event);
                FlushWhen::Now
            }
            EventKind::StoryEnded(end) => {
                self.recorded.story.end = Some(end.as_ref().clone());
                self.write(event);
                FlushWhen::Now
            }
            EventKind::RunEnded { how } => {
                self.recorded.how = Some(*how);
                self.write(event);
                FlushWhen::Now
            }
            EventKind::PhaseChanged { .. }
            | EventKind::FaultDone { .. }
            | EventKind::Warning(_) => {
                self.write(event);
                FlushWhen::Now
            }
        };
        if now == FlushWhen::Now || self.flushed.elapsed() >= FLUSH_EVERY {
            self.flush();
        }
    }

    fn write(&mut self, event: &Event) {
        let Some(files) = &mut self.files else { return };
        match serde_json::to_string(event) {
            Ok(line) => files.events.push(masked_line(&self.redactor, line).as_bytes()),
            Err(error) => self.not_written(EVENTS, &error.to_string()),
        }
    }

    fn take_trace(&mut self, record: &Bytes) {
        let Some(files) = &mut self.files else { return };
        let line = String::from_utf8_lossy(record).trim_end().to_owned();
        files.trace.push(masked_line(&self.redactor, line).as_bytes());
        if self.flushed.elapsed() >= FLUSH_EVERY {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let Some(files) = &mut self.files else { return };
        files.events.flush();
        files.trace.flush();
        self.flushed = Instant::now();
    }

    fn not_written(&mut self, name: &str, why: &str) {
        self.recorded.warnings.insert(Warning::NotWritten { what: format!("{name}: {why}") });
    }

    fn finish(mut self) -> Recorded {
        self.live.finish();
        let Some(files) = self.files else { return self.recorded };
        let results: [(&str, Result<(), (_, io::Error)>); 2] =
            [(EVENTS, files.events.finish()), (TRACE, files.trace.finish())];
        for (name, result) in results {
            if let Err((_, error)) = result {
                let what = format!("{name}: {error}");
                self.recorded.warnings.insert(Warning::NotWritten { what });
            }
        }
        self.recorded
    }
}

/// When the lines so far go to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlushWhen {
    /// At once: the event is rare and matters.
    Now,
    /// When the last time is long enough ago.
    Due,
}

/// A JSON line without secrets. Nearly every line has none, and is passed on as it is.
fn masked_line(redactor: &Redactor, line: String) -> String {
    if redactor.redact(&line) == line {
        return line;
    }
    match serde_json::from_str(&line) {
        Ok(mut value) => {
            super::mask(redactor, &mut value);
            value.to_string()
        }
        Err(_) => redactor.redact(&line),
    }
}

/// The kernels' share of a backlog is hub bytes written less client bytes read; it says something
/// of clients that were dropped because they read too little or answered too late.
fn note_kernel_bytes(row: &LedgerRow, observed: &mut Observed) {
    let HubSide::Ended(end) = &row.hub else { return };
    if !matches!(end.category, CloseCategory::SlowClient | CloseCategory::PingTimeout) {
        return;
    }
    let held = end.written_bytes.saturating_sub(row.client.read_bytes);
    let held = i64::try_from(held).unwrap_or(i64::MAX);
    let key = (row.attempt.population.clone(), end.category);
    observed
        .kernel_bytes
        .entry(key)
        .and_modify(|extent| {
            extent.count += 1;
            extent.min = extent.min.min(held);
            extent.max = extent.max.max(held);
        })
        .or_insert(Extent { count: 1, min: held, max: held });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Progress;
    use crate::report::live::LiveMode;
    use crate::report::samples;
    use crate::secret::Secret;

    fn event(kind: EventKind) -> Event {
        Event { at_ns: 5, kind }
    }

    fn recorder(folder: &RunFolder) -> Recorder {
        let redactor = Redactor::new(vec![Secret::new("an-access-key-of-some-length")]);
        let live = Live::new("x", LiveMode::Quiet);
        Recorder::create(folder, Latest::Leave, live, redactor).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn events_become_lines_without_progress_and_without_secrets() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(&root.path().join("run")).unwrap();
        let (events, events_receiver) = mpsc::channel(16);
        let (trace, trace_receiver) = mpsc::channel(16);
        let body = "a \"quoted\" AccessKey=zzz\" and an-access-key-of-some-length";
        for kind in [
            EventKind::Progress(Progress::default()),
            EventKind::AttemptEnded(Box::new(samples::dropped(1))),
            EventKind::AttemptEnded(Box::new(samples::dropped(4))),
            EventKind::AttemptEnded(Box::new(samples::refused(body))),
            EventKind::RunEnded { how: HowEnded::Decided },
        ] {
            events.send(event(kind)).await.unwrap();
        }
        trace.send(Bytes::from_static(b"{\"message\":\"Bearer abc\"}\n")).await.unwrap();
        drop((events, trace));
        let recorded =
            recorder(&folder).run(events_receiver, trace_receiver, std::future::pending()).await;

        assert_eq!(recorded.how, Some(HowEnded::Decided));
        assert!(recorded.warnings.is_empty(), "{:?}", recorded.warnings);
        let held = recorded.observed.kernel_bytes[&("muted".into(), CloseCategory::PingTimeout)];
        assert_eq!(held, Extent { count: 2, min: 701, max: 704 });
        let text = std::fs::read_to_string(folder.file(EVENTS)).unwrap();
        let read: Vec<Event> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read.len(), 4);
        assert!(!text.contains("zzz") && !text.contains("an-access-key"), "{text}");
        let trace = std::fs::read_to_string(folder.file(TRACE)).unwrap();
        assert_eq!(trace, "{\"message\":\"Bearer ***\"}\n");
    }

    /// A timer of the recorder's would move the virtual world's clock to instants at which nothing
    /// happens in it.
    #[tokio::test(start_paused = true)]
    async fn nothing_but_what_it_records_wakes_the_recorder() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(&root.path().join("run")).unwrap();
        let (events, events_receiver) = mpsc::channel(16);
        let (trace, trace_receiver) = mpsc::channel(16);
        let recorder = recorder(&folder);
        let recording = recorder.run(events_receiver, trace_receiver, std::future::pending());
        let counted = async move {
            let (mut recording, mut polls) = (std::pin::pin!(recording), 0);
            std::future::poll_fn(|cx| {
                polls += 1;
                recording.as_mut().poll(cx)
            })
            .await;
            polls
        };
        let day = Duration::from_secs(86_400);
        let happening = async {
            for _ in 0..3 {
                tokio::time::sleep(day).await;
                events.send(event(EventKind::Progress(Progress::default()))).await.unwrap();
            }
            tokio::time::sleep(day).await;
            drop((events, trace));
        };
        let apart = tokio::task::LocalSet::new();
        let counted = apart.spawn_local(counted);
        apart.run_until(happening).await;
        let polls = apart.run_until(counted).await.unwrap();
        assert!(polls <= 5, "polled {polls} times: at its start, for three events, at the end");
    }

    #[tokio::test(start_paused = true)]
    async fn without_files_the_same_is_recorded() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(&root.path().join("run")).unwrap();
        let without = Recorder::without_files(Live::new("x", LiveMode::Quiet), Redactor::default());
        let mut recorded = Vec::new();
        for recorder in [recorder(&folder), without] {
            let (events, events_receiver) = mpsc::channel(16);
            let (trace, trace_receiver) = mpsc::channel(16);
            for kind in [
                EventKind::AttemptEnded(Box::new(samples::dropped(1))),
                EventKind::RunEnded { how: HowEnded::Decided },
            ] {
                events.send(event(kind)).await.unwrap();
            }
            trace.send(Bytes::from_static(b"{}\n")).await.unwrap();
            drop((events, trace));
            let end = recorder.run(events_receiver, trace_receiver, std::future::pending()).await;
            recorded.push((end.how, end.observed.kernel_bytes, end.warnings));
        }
        assert!(recorded[0].1.len() == 1 && recorded[0].2.is_empty(), "{recorded:?}");
        assert_eq!(recorded[0], recorded[1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hard_stop_keeps_what_has_come() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(&root.path().join("run")).unwrap();
        let (events, events_receiver) = mpsc::channel(16);
        let (trace, trace_receiver) = mpsc::channel(16);
        events.send(event(EventKind::RunEnded { how: HowEnded::Interrupted })).await.unwrap();
        let recorder = recorder(&folder);
        let recorded = recorder.run(events_receiver, trace_receiver, std::future::ready(())).await;
        assert_eq!(recorded.how, Some(HowEnded::Interrupted));
        assert_eq!(std::fs::read_to_string(folder.file(EVENTS)).unwrap().lines().count(), 1);
        drop((events, trace));
    }
}
