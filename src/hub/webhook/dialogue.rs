//! What the hub and the event handlers of one connection have said to each other.

use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::time::Instant;

use super::super::state::Hub;
use super::notice::Notice;
use crate::protocol::webhook::answer::without_port;
use crate::protocol::webhook::{CookieJar, Event, EventHandler, EventSettings};
use crate::protocol::{AttemptId, Endpoint, HubSettings};
use crate::ws::CloseFrame;

/// Bytes of frames that wait for the end of a user event; once there are as many, the connection is
/// not read any more until then. (What was read in one piece with the last of them comes on top.)
pub const HELD_BYTES_MAX: usize = 64 * 1024;

/// Frames that wait likewise.
pub const HELD_FRAMES_MAX: usize = 256;

/// One connection's events. It begins before the connection itself, with `connect`; settings that
/// change later do not touch it.
#[derive(Debug)]
pub struct Dialogue {
    pub connection_id: Rc<str>,
    pub hub_name: Rc<str>,
    pub peer: SocketAddr,
    pub attempt: Option<AttemptId>,
    /// Which timeline it is counted in.
    pub timeline: u64,
    /// The run's own handler.
    pub upstream: Option<Endpoint>,
    settings: Rc<HubSettings>,
    origin: Origin,
    user_id: RefCell<Rc<str>>,
    subprotocol: RefCell<Rc<str>>,
    next_id: Cell<u64>,
    pub(super) state: RefCell<String>,
    pub(super) cookies: RefCell<CookieJar>,
    pub(super) notices: RefCell<VecDeque<Notice>>,
    /// Whether a task sends the notices.
    pub(super) is_sending: Cell<bool>,
    /// Whether a user event waits for its answer.
    is_waiting: Cell<bool>,
    held: RefCell<HeldFrames>,
}

/// Host of the hub as handlers are told of it, and as what they allow is compared.
#[derive(Debug)]
struct Origin {
    told: Box<str>,
    compared: Box<str>,
}

/// A frame that waits for the end of a user event.
#[derive(Debug)]
pub enum Held {
    Text(String),
    Binary(Vec<u8>),
    Close(CloseFrame),
}

#[derive(Debug, Default)]
struct HeldFrames {
    frames: VecDeque<Held>,
    bytes: usize,
    has_close: bool,
    /// Since when the connection is not read.
    unread_since: Option<Instant>,
}

impl Held {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
            Self::Close(_) => 0,
        }
    }
}

impl Dialogue {
    /// A dialogue that begins now, for a connection to come. `host` is how the hub was reached.
    pub fn new(
        hub: &Hub,
        hub_name: &str,
        host: &str,
        user_id: Option<&str>,
        attempt: Option<&AttemptId>,
        peer: SocketAddr,
    ) -> Self {
        let settings = hub.settings();
        let origin = match &settings.events.origin {
            Some(origin) => {
                Origin { told: origin.as_str().into(), compared: origin.as_str().into() }
            }
            // The emulator leaves the port out. What handlers allow may have it.
            None => Origin { told: without_port(host).into(), compared: host.into() },
        };
        Self {
            connection_id: hub.next_connection_id(),
            hub_name: hub_name.into(),
            peer,
            attempt: attempt.cloned(),
            timeline: hub.timeline.get(),
            upstream: hub.webhooks.upstream(),
            settings,
            origin,
            user_id: RefCell::new(user_id.unwrap_or_default().into()),
            subprotocol: RefCell::new("".into()),
            next_id: Cell::new(1),
            state: RefCell::default(),
            cookies: RefCell::default(),
            notices: RefCell::default(),
            is_sending: Cell::new(false),
            is_waiting: Cell::new(false),
            held: RefCell::default(),
        }
    }

    /// Handlers and policy, as they were when it began.
    pub fn events(&self) -> &EventSettings {
        &self.settings.events
    }

    /// The handler that gets an event.
    pub fn handler_of(&self, event: &Event) -> Option<&EventHandler> {
        self.events().handler_of(event)
    }

    /// Whom the connection is for; empty for nobody.
    pub fn user_id(&self) -> Rc<str> {
        Rc::clone(&self.user_id.borrow())
    }

    /// What was agreed on; empty for nothing, and before that.
    pub fn subprotocol(&self) -> Rc<str> {
        Rc::clone(&self.subprotocol.borrow())
    }

    /// The client is let in.
    pub fn settle(&self, user_id: Option<&str>, subprotocol: Option<&str>) {
        *self.user_id.borrow_mut() = user_id.unwrap_or_default().into();
        *self.subprotocol.borrow_mut() = subprotocol.unwrap_or_default().into();
    }

    /// Host of the hub, as handlers are told.
    pub fn origin(&self) -> &str {
        &self.origin.told
    }

    /// Host of the hub, perhaps with its port, as what handlers allow is compared with.
    pub fn compared_origin(&self) -> &str {
        &self.origin.compared
    }

    /// The number of the next event behind `connect`.
    pub fn next_id(&self) -> u64 {
        self.next_id.replace(self.next_id.get() + 1)
    }

    /// What a handler set last.
    pub fn state(&self) -> Ref<'_, String> {
        self.state.borrow()
    }

    /// Whether frames must wait for the answer to a user event.
    pub const fn is_waiting(&self) -> bool {
        self.is_waiting.get()
    }

    /// A user event waits for its answer, or does so no more.
    pub fn set_waiting(&self, is_waiting: bool) {
        self.is_waiting.set(is_waiting);
    }

    /// Keeps a frame for later.
    pub fn hold(&self, frame: Held) {
        let mut held = self.held.borrow_mut();
        held.bytes += frame.bytes();
        held.has_close |= matches!(frame, Held::Close(_));
        held.frames.push_back(frame);
        let is_full = held.bytes >= HELD_BYTES_MAX || held.frames.len() >= HELD_FRAMES_MAX;
        if is_full && held.unread_since.is_none() {
            held.unread_since = Some(Instant::now());
        }
    }

    /// The next frame whose turn it is.
    pub fn next_held(&self) -> Option<Held> {
        if self.is_waiting() {
            return None;
        }
        let mut held = self.held.borrow_mut();
        let frame = held.frames.pop_front()?;
        held.bytes -= frame.bytes();
        Some(frame)
    }

    /// Whether the connection is not to be read for now.
    pub fn is_full(&self) -> bool {
        self.held.borrow().unread_since.is_some()
    }

    /// Whether the client's close frame waits.
    pub fn holds_close(&self) -> bool {
        self.held.borrow().has_close
    }

    /// Fewer frames wait: how long the connection was not read, if there is room again.
    pub fn make_room(&self) -> Option<std::time::Duration> {
        let mut held = self.held.borrow_mut();
        if held.bytes >= HELD_BYTES_MAX || held.frames.len() >= HELD_FRAMES_MAX {
            return None;
        }
        held.unread_since.take().map(|since| since.elapsed())
    }

    /// The connection has ended: what waits is thrown away.
    pub fn drop_held(&self) {
        *self.held.borrow_mut() = HeldFrames::default();
    }
}
