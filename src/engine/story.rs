//! The story of the watched client: lines of both sides become events of the run.

use tokio::sync::mpsc;

use super::Control;
use super::dispatcher::Dispatcher;
use super::ledger::HubTime;
use super::streams::HubLine;
use crate::client::{ClientStoryLine, WatchedClient};
use crate::event::{Event, EventKind, HubTelling, StoryEnd, StoryLine, StorySide};
use crate::protocol::story::{HubStep, HubStoryLine, Watched};
use crate::scenario::Plan;

/// Lines of each side that become events, at most; more are counted. Both sides together fit the
/// queue of the events, even if nobody took one.
const STORY_LINES_MAX: u64 = 25_000;

/// Lines of the hub's that may wait for the dispatcher. Past it the hub's stream waits.
const HUB_STORY_MAX: usize = 4_096;

/// Lines of the client's that may wait for the dispatcher: all that one client tells, as a rule.
const CLIENT_STORY_MAX: usize = 32_768;

/// What came in of a story.
#[derive(Debug)]
pub(super) enum Told {
    /// By the hub.
    Hub(HubLine<HubStoryLine>),
    /// By the client.
    Client(Box<ClientStoryLine>),
}

/// What comes in of a story; of a run without one nothing.
#[derive(Debug)]
pub(super) struct StoryInbox {
    /// The hub's side.
    pub(super) hub: mpsc::Receiver<HubLine<HubStoryLine>>,
    /// The client's side.
    pub(super) client: mpsc::Receiver<ClientStoryLine>,
}

impl StoryInbox {
    /// The next line; `None` once both sides have ended.
    pub(super) async fn next(&mut self) -> Option<Told> {
        tokio::select! {
            biased;
            Some(says) = self.hub.recv() => Some(Told::Hub(says)),
            Some(line) = self.client.recv() => Some(Told::Client(Box::new(line))),
            else => None,
        }
    }

    fn try_next(&mut self) -> Option<Told> {
        let hub = self.hub.try_recv().ok().map(Told::Hub);
        hub.or_else(|| self.client.try_recv().ok().map(|line| Told::Client(Box::new(line))))
    }
}

/// Who is watched, and where the hub's lines go.
#[derive(Debug)]
pub(super) struct StoryFeed {
    /// Who.
    pub(super) watched: Watched,
    /// Takes the lines.
    pub(super) lines: mpsc::Sender<HubLine<HubStoryLine>>,
}

/// Lines of one side so far.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    told: u64,
    /// Left out by the side itself.
    left_out_there: u64,
    /// Left out here.
    left_out_here: u64,
}

impl Tally {
    /// Whether one more line may be told.
    const fn admits(&mut self) -> bool {
        let fits = self.told < STORY_LINES_MAX;
        if fits {
            self.told += 1;
        } else {
            self.left_out_here += 1;
        }
        fits
    }

    const fn left_out(self) -> u64 {
        self.left_out_there + self.left_out_here
    }
}

/// Whose story is told, and how far it is.
#[derive(Debug)]
pub(super) struct StoryState {
    watched: Option<Watched>,
    telling: HubTelling,
    time: HubTime,
    hub: Tally,
    client: Tally,
    /// Connections that the hub opened and whose socket is not gone.
    open: u64,
}

impl StoryState {
    /// A story that begins, or none.
    pub(super) fn new(watched: Option<Watched>, control: Control, time: HubTime) -> Self {
        let telling = match control {
            Control::Offered => HubTelling::Told,
            Control::Absent => HubTelling::NotOffered,
        };
        let (hub, client) = (Tally::default(), Tally::default());
        Self { watched, telling, time, hub, client, open: 0 }
    }

    /// Whether every connection that the hub told of is over, or the hub tells nothing (more).
    pub(super) fn hub_is_done(&self) -> bool {
        self.open == 0 || self.telling != HubTelling::Told
    }

    /// A line as an event; `None` when it is no line, or one too many.
    fn event(&mut self, told: Told) -> Option<Event> {
        let (at_ns, line) = match told {
            Told::Hub(HubLine::Broken(why)) => {
                self.telling = HubTelling::BrokeOff { why };
                return None;
            }
            Told::Hub(HubLine::Entry(line)) => {
                self.hub.left_out_there = line.left_out;
                match line.step {
                    HubStep::Opened => self.open += 1,
                    HubStep::Gone { .. } => self.open = self.open.saturating_sub(1),
                    _ => {}
                }
                let at_ns = self.time.in_run(line.at_ns);
                (at_ns, StoryLine { attempt: line.attempt, side: StorySide::Hub(line.step) })
            }
            Told::Client(line) => {
                self.client.left_out_there = line.left_out;
                let side = StorySide::Client(line.step);
                (line.at_ns, StoryLine { attempt: line.attempt, side })
            }
        };
        self.tally(&line.side)
            .admits()
            .then(|| Event { at_ns, kind: EventKind::Story(Box::new(line)) })
    }

    const fn tally(&mut self, side: &StorySide) -> &mut Tally {
        match side {
            StorySide::Hub(_) => &mut self.hub,
            StorySide::Client(_) => &mut self.client,
        }
    }
}

impl Dispatcher {
    /// Takes in a line. Where the events' queue is half full it is left out: a story must not cost
    /// the run an event that counts.
    pub(super) fn take_story(&mut self, told: Told) {
        let Some(event) = self.story.event(told) else { return };
        let queue = &self.events.queue;
        if queue.capacity() < queue.max_capacity() / 2 {
            if let EventKind::Story(line) = &event.kind {
                self.story.tally(&line.side).left_out_here += 1;
            }
            return;
        }
        self.emit_event(event);
    }

    /// Takes in what is there already.
    pub(super) fn take_stories(&mut self) {
        while let Some(told) = self.inbox.story.try_next() {
            self.take_story(told);
        }
    }

    /// Says that the story is over, and what is missing of it.
    pub(super) fn end_story(&mut self) {
        self.take_stories();
        let story = &self.story;
        let Some(Watched { population, index }) = story.watched.clone() else { return };
        let end = StoryEnd {
            population,
            index,
            hub: story.telling.clone(),
            hub_left_out: story.hub.left_out(),
            client_left_out: story.client.left_out(),
        };
        self.emit(EventKind::StoryEnded(Box::new(end)));
    }
}

/// The mailboxes of a story: what comes in, and the ends that the sides hold. Of a run without one
/// nobody holds them.
pub(super) struct StoryLinks {
    /// The dispatcher's end.
    pub(super) inbox: StoryInbox,
    /// The hub's end.
    pub(super) feed: Option<StoryFeed>,
    /// The client's end.
    pub(super) client: Option<(WatchedClient, mpsc::Sender<ClientStoryLine>)>,
}

impl StoryLinks {
    /// Mailboxes for the story of `client`.
    pub(super) fn new(plan: &Plan, client: Option<WatchedClient>) -> Self {
        let (hub_sender, hub) = mpsc::channel(HUB_STORY_MAX);
        let (client_sender, lines) = mpsc::channel(CLIENT_STORY_MAX);
        let inbox = StoryInbox { hub, client: lines };
        let of_plan = |who: WatchedClient| {
            let population = plan.populations.get(usize::from(who.population))?;
            Some(Watched { population: population.name.clone(), index: who.index })
        };
        let feed = client.and_then(of_plan).map(|watched| StoryFeed { watched, lines: hub_sender });
        Self { inbox, feed, client: client.map(|who| (who, client_sender)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ClientStep;
    use crate::protocol::AttemptId;
    use crate::protocol::control::HubWire;

    fn attempt() -> AttemptId {
        AttemptId { population: "a".into(), index: 0, attempt: 0 }
    }

    fn state() -> StoryState {
        let time = HubTime { epoch_unix_ns: 1_000, ahead_ns: 10 };
        let watched = Watched { population: "a".into(), index: 0 };
        StoryState::new(Some(watched), Control::Offered, time)
    }

    fn by_hub(at_ns: u64, step: HubStep) -> Told {
        let line = HubStoryLine { at_ns, attempt: attempt(), step, left_out: 0 };
        Told::Hub(HubLine::Entry(line))
    }

    fn by_client(left_out: u64) -> Told {
        let (attempt, step) = (attempt(), ClientStep::PingRead);
        Told::Client(Box::new(ClientStoryLine { at_ns: 7, attempt, step, left_out }))
    }

    #[test]
    fn times_of_the_hub_become_times_of_the_run() {
        let mut state = state();
        let at = |event: Option<Event>| event.map(|event| event.at_ns);
        assert_eq!(at(state.event(by_hub(1_510, HubStep::Opened))), Some(500));
        assert_eq!(at(state.event(by_client(0))), Some(7));
    }

    #[test]
    fn the_hub_is_done_when_the_sockets_it_told_of_are_gone_or_it_tells_no_more() {
        let mut state = state();
        assert!(state.hub_is_done());
        state.event(by_hub(1, HubStep::Opened));
        assert!(!state.hub_is_done());
        state.event(by_hub(2, HubStep::Gone { wire: HubWire::HubAbort, written_bytes: 1 }));
        assert!(state.hub_is_done());
        state.event(by_hub(3, HubStep::Opened));
        assert_eq!(state.event(Told::Hub(HubLine::Broken("why".into()))), None);
        assert!(state.hub_is_done());
        assert_eq!(state.telling, HubTelling::BrokeOff { why: "why".into() });
    }

    #[test]
    fn each_side_has_its_limit_and_what_is_past_it_is_counted() {
        let mut state = state();
        assert!((0..STORY_LINES_MAX).all(|_| state.event(by_client(4)).is_some()));
        assert_eq!(state.event(by_client(5)), None);
        assert_eq!(state.client.left_out(), 6);
        assert!(state.event(by_hub(1, HubStep::Opened)).is_some(), "the other side has its own");
    }
}
