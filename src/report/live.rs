//! How far a run is: one line that changes on a terminal, plain lines elsewhere, on standard error.

use std::io::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::words;
use crate::event::{Event, EventKind, Phase, Progress, World};

/// Between two plain lines, in nanoseconds of the run.
const LINE_EVERY_NS: u64 = 5_000_000_000;
/// The same in the virtual world, at least: a minute of it passes in a moment.
const VIRTUAL_LINE_EVERY_NS: u64 = 60_000_000_000;
/// Plain lines of a run in the virtual world, about: a day of it takes minutes.
const VIRTUAL_LINES: u64 = 20;
/// Run time from which seconds are no longer told in tenths.
const TENTHS_BELOW_NS: u64 = 120_000_000_000;
/// Between two plain lines about seeds, of real time.
const SEEDS_LINE_EVERY: Duration = Duration::from_secs(5);
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
    world: World,
    phase: Phase,
    last_line_ns: u64,
}

impl Live {
    /// A view that shows nothing yet; `name` says which run it is.
    #[must_use]
    pub fn new(name: &str, mode: LiveMode) -> Self {
        Self {
            name: name.to_owned(),
            mode,
            bar: None,
            world: World::Sockets,
            phase: Phase::Running,
            last_line_ns: 0,
        }
    }

    /// Shows what an event changes.
    pub fn take(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted(started) => self.world = started.world,
            EventKind::PhaseChanged { phase } => self.phase = *phase,
            EventKind::Progress(progress) => match self.mode {
                LiveMode::Terminal => self.draw(event.at_ns, progress),
                LiveMode::Lines => self.print_line(event.at_ns, progress),
                LiveMode::Quiet => {}
            },
            EventKind::FaultDone { .. }
            | EventKind::AttemptEnded(_)
            | EventKind::EventFailed(_)
            | EventKind::UpstreamCall(_)
            | EventKind::UpstreamValidation(_)
            | EventKind::Story(_)
            | EventKind::StoryEnded(_)
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
        bar.set_message(figures(at_ns, self.world, self.phase, progress));
    }

    fn print_line(&mut self, at_ns: u64, progress: &Progress) {
        if at_ns < self.last_line_ns.saturating_add(line_every_ns(self.world, progress)) {
            return;
        }
        self.last_line_ns = at_ns;
        let line = format!("{}: {}", self.name, figures(at_ns, self.world, self.phase, progress));
        // Who reads standard error may have gone; that is no reason to end a run.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// Run time between two plain lines. On sockets it is real time, and a reader wants to see that the
/// run goes on; in the virtual world it is over before anybody wonders.
fn line_every_ns(world: World, progress: &Progress) -> u64 {
    match world {
        World::Sockets => LINE_EVERY_NS,
        World::Virtual => VIRTUAL_LINE_EVERY_NS.max(progress.duration_ns / VIRTUAL_LINES),
    }
}

/// The live view of many runs of one scenario, one a seed.
#[derive(Debug)]
pub struct SeedsView {
    name: String,
    seeds: u64,
    mode: LiveMode,
    bar: Option<ProgressBar>,
    began: Instant,
    shown: Instant,
}

impl SeedsView {
    /// A view of `seeds` runs that begin now; `name` says of which scenario.
    #[must_use]
    pub fn new(name: &str, seeds: u64, mode: LiveMode) -> Self {
        let now = Instant::now();
        let bar = (mode == LiveMode::Terminal).then(|| {
            let bar = styled_bar(name, "{prefix}  {msg} {bar:20}");
            bar.set_message(seed_figures(0, seeds));
            bar.set_length(seeds);
            bar
        });
        Self { name: name.to_owned(), seeds, mode, bar, began: now, shown: now }
    }

    /// Shows how many are done.
    pub fn show(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_message(seed_figures(done, self.seeds));
            bar.set_position(done);
        }
        let due = self.shown.elapsed() >= SEEDS_LINE_EVERY;
        if self.mode == LiveMode::Lines && due && done < self.seeds {
            self.shown = Instant::now();
            let took = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
            let figures = seed_figures(done, self.seeds);
            let line = format!("{}: {figures}, {}", self.name, words::micros(took));
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// Takes the line off the terminal.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn seed_figures(done: u64, seeds: u64) -> String {
    format!("seed {} of {}", words::number(done), words::number(seeds))
}

fn new_bar(name: &str) -> ProgressBar {
    styled_bar(name, "{prefix} {bar:10} {wide_msg}")
}

fn styled_bar(name: &str, template: &str) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━━─");
    ProgressBar::with_draw_target(Some(1), target).with_style(style).with_prefix(name.to_owned())
}

/// `4.0 s of 12 s · open 100 · attempts 100 · received 412 · PingTimeout 10`; simulated time is
/// called so.
fn figures(at_ns: u64, world: World, phase: Phase, progress: &Progress) -> String {
    let at = if at_ns < TENTHS_BELOW_NS {
        format!("{}.{} s", at_ns / 1_000_000_000, at_ns / 100_000_000 % 10)
    } else {
        words::micros(at_ns / 1_000)
    };
    let at = match world {
        World::Sockets => at,
        World::Virtual => format!("simulated {at}"),
    };
    let duration = Duration::from_nanos(progress.duration_ns);
    let mut parts = vec![
        match phase {
            Phase::Running => format!("{at} of {}", words::duration(duration)),
            Phase::Draining => format!("{at}, draining"),
            Phase::Leaving => format!("{at}, leaving"),
            Phase::Gathering => format!("{at}, gathering"),
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
        let told = |at_ns, world, phase| figures(at_ns, world, phase, &progress);
        assert_eq!(
            told(4_250_000_000, World::Sockets, Phase::Running),
            "4.2 s of 12 s · open 90 · attempts 1,100 · received 4,120 · PingTimeout 10"
        );
        let leaving = told(13_000_000_000, World::Sockets, Phase::Leaving);
        assert!(leaving.starts_with("13.0 s, leaving"), "{leaving}");
        let virtually = told(4_250_000_000, World::Virtual, Phase::Running);
        assert!(virtually.starts_with("simulated 4.2 s of 12 s"), "{virtually}");
        let late = told(45_000_000_000_000, World::Virtual, Phase::Draining);
        assert!(late.starts_with("simulated 12 h 30 min, draining"), "{late}");
    }

    #[test]
    fn a_day_that_takes_minutes_is_told_in_about_twenty_lines() {
        let of =
            |seconds: u64| Progress { duration_ns: seconds * 1_000_000_000, ..Progress::default() };
        let day = 86_400;
        assert_eq!(line_every_ns(World::Virtual, &of(day)) * 20, of(day).duration_ns);
        assert!(line_every_ns(World::Virtual, &of(12)) > of(12).duration_ns, "none of a short run");
        assert_eq!(line_every_ns(World::Sockets, &of(day)), LINE_EVERY_NS);
    }
}
