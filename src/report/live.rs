//! How far a run is: one line that changes on a terminal, plain lines elsewhere, on standard error.

use std::io::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::words;
use crate::event::{Event, EventKind, Phase, Progress};

/// Between two plain lines, in nanoseconds of the run.
const LINE_EVERY_NS: u64 = 5_000_000_000;
/// Times a second that the line on a terminal is drawn, at most.
const DRAWS_PER_SECOND: u8 = 10;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveMode {
    /// One line that changes.
    Terminal,
    /// A line every few seconds.
    Lines,
    /// Not at all.
    Quiet,
}

/// The live view of one run.
#[derive(Debug)]
pub struct Live {
    name: String,
    mode: LiveMode,
    bar: Option<ProgressBar>,
    phase: Phase,
    last_line_ns: u64,
}

impl Live {
    /// A view that shows nothing yet; `name` says which run it is.
    #[must_use]
    pub fn new(name: &str, mode: LiveMode) -> Self {
        Self { name: name.to_owned(), mode, bar: None, phase: Phase::Running, last_line_ns: 0 }
    }

    /// Shows what an event changes.
    pub fn take(&mut self, event: &Event) {
        match &event.kind {
            EventKind::PhaseChanged { phase } => self.phase = *phase,
            EventKind::Progress(progress) => match self.mode {
                LiveMode::Terminal => self.draw(event.at_ns, progress),
                LiveMode::Lines => self.print_line(event.at_ns, progress),
                LiveMode::Quiet => {}
            },
            EventKind::RunStarted(_)
            | EventKind::FaultDone { .. }
            | EventKind::AttemptEnded(_)
            | EventKind::Warning(_)
            | EventKind::RunEnded { .. } => {}
        }
    }

    /// Takes the line off the terminal.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn draw(&mut self, at_ns: u64, progress: &Progress) {
        let bar = self.bar.get_or_insert_with(|| new_bar(&self.name));
        bar.set_length(progress.duration_ns / 1_000_000);
        bar.set_position(at_ns.min(progress.duration_ns) / 1_000_000);
        bar.set_message(figures(at_ns, self.phase, progress));
    }

    fn print_line(&mut self, at_ns: u64, progress: &Progress) {
        if at_ns < self.last_line_ns + LINE_EVERY_NS {
            return;
        }
        self.last_line_ns = at_ns;
        let line = format!("{}: {}", self.name, figures(at_ns, self.phase, progress));
        // Who reads standard error may have gone; that is no reason to end a run.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

fn new_bar(name: &str) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
    let style = ProgressStyle::with_template("{prefix} {bar:10} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━━─");
    ProgressBar::with_draw_target(Some(1), target).with_style(style).with_prefix(name.to_owned())
}

/// `4.0 s of 12 s · open 100 · attempts 100 · received 412 · PingTimeout 10`.
fn figures(at_ns: u64, phase: Phase, progress: &Progress) -> String {
    let seconds = |ns: u64| format!("{}.{}", ns / 1_000_000_000, ns / 100_000_000 % 10);
    let duration = Duration::from_nanos(progress.duration_ns);
    let mut parts = vec![
        match phase {
            Phase::Running => format!("{} s of {}", seconds(at_ns), words::duration(duration)),
            Phase::Draining => format!("{} s, draining", seconds(at_ns)),
            Phase::Leaving => format!("{} s, leaving", seconds(at_ns)),
            Phase::Gathering => format!("{} s, gathering", seconds(at_ns)),
        },
        format!("open {}", words::number(progress.open)),
        format!("attempts {}", words::number(progress.attempts)),
    ];
    if progress.received > 0 {
        parts.push(format!("received {}", words::number(progress.received)));
    }
    let ended = progress.ended.iter().filter(|(_, count)| *count > 0);
    parts.extend(ended.map(|(category, count)| format!("{category} {}", words::number(*count))));
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::CloseCategory;

    #[test]
    fn the_line_tells_time_counts_and_ends() {
        let progress = Progress {
            duration_ns: 12_000_000_000,
            clients: 100,
            open: 90,
            attempts: 1_100,
            received: 4_120,
            ended: vec![(CloseCategory::PingTimeout, 10), (CloseCategory::Normal, 0)],
        };
        assert_eq!(
            figures(4_250_000_000, Phase::Running, &progress),
            "4.2 s of 12 s · open 90 · attempts 1,100 · received 4,120 · PingTimeout 10"
        );
        assert!(figures(13_000_000_000, Phase::Leaving, &progress).starts_with("13.0 s, leaving"));
    }
}
