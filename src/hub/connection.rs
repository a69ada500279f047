//! One accepted connection as the rest of the hub sees it. (Its bytes are moved by its
//! [`pump`](super::pump).)

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Waker;

use bytes::Bytes;
use tokio::time::Instant;

use super::acks::AckHistory;
use super::close::End;
use super::queue::{FrameKind, OutboundQueue};
use super::story::OpenPings;
use super::webhook::Dialogue;
use crate::net::Stream;
use crate::protocol::AttemptId;

/// Open order of connections, counted from 0 over the hub's life.
pub type Serial = u64;

/// What a connection speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `json.webpubsub.azure.v1`.
    Json,
    /// Simple client: every data frame is a `message` event.
    SimpleEvents,
    /// Simple client with `webpubsub_mode=sendToGroup`: every data frame is published.
    SimplePublish {
        /// To this group.
        group: String,
    },
}

/// Who connects, from the upgrade request and its token.
#[derive(Debug)]
pub struct Identity {
    /// Hub name, lower-case.
    pub hub_name: Rc<str>,
    /// `sub` of the token.
    pub user_id: Option<Rc<str>>,
    /// Roles of the token.
    pub roles: Box<[String]>,
    /// Join key of the ledger.
    pub attempt: Option<AttemptId>,
    /// Address of the peer.
    pub peer: SocketAddr,
    /// What it speaks.
    pub mode: Mode,
    /// Its events so far; `None` on a hub without event handlers.
    pub dialogue: Option<Rc<Dialogue>>,
}

/// One accepted connection, from the decision to send 101 until its socket is gone.
#[derive(Debug)]
pub struct Connection {
    pub serial: Serial,
    pub id: Rc<str>,
    pub hub_name: Rc<str>,
    pub user_id: Option<Rc<str>>,
    pub roles: Box<[String]>,
    pub attempt: Option<AttemptId>,
    pub peer: SocketAddr,
    pub mode: Mode,
    /// Its events; `None` on a hub without event handlers.
    pub dialogue: Option<Rc<Dialogue>>,
    /// Which timeline it belongs to; the ledger of a later one does not know it.
    pub timeline: u64,
    pub opened: Instant,
    /// There when its story is told.
    pub open_pings: Option<Box<OpenPings>>,

    /// Its socket, from the 101 on; taken when it goes.
    pub stream: RefCell<Option<Stream>>,
    /// Groups it is in, sorted; kept by [`Tables`](super::tables::Tables).
    pub groups: RefCell<Vec<Rc<str>>>,
    pub queue: RefCell<OutboundQueue>,
    pub acks: RefCell<AckHistory>,
    waker: RefCell<Option<Waker>>,

    /// Last sign of life by the rule in force; the open itself at first.
    pub last_life: Cell<Instant>,
    pub last_pong: Cell<Option<Instant>>,
    /// When silence becomes a PingTimeout.
    pub silent_until: Cell<Instant>,
    /// When the next ping is due.
    pub next_ping: Cell<Instant>,
    /// A ping has come due at this instant, and the pump has not looked yet.
    pub ping_due: Cell<Option<Instant>>,

    pub delivered: Cell<u64>,
    pub written_bytes: Cell<u64>,
    pub received: Cell<u64>,

    /// The decided end; the first cause wins.
    pub end: RefCell<Option<Box<End>>>,
    /// The client has sent a close frame.
    pub client_closed: Cell<bool>,
}

impl Connection {
    /// A connection that opens now.
    pub fn new(
        serial: Serial,
        id: Rc<str>,
        identity: Identity,
        timeline: u64,
        now: Instant,
        keep_alive: crate::protocol::settings::KeepAlive,
        open_pings: Option<Box<OpenPings>>,
    ) -> Self {
        let Identity { hub_name, user_id, roles, attempt, peer, mode, dialogue } = identity;
        Self {
            serial,
            id,
            hub_name,
            user_id,
            roles,
            attempt,
            peer,
            mode,
            dialogue,
            timeline,
            opened: now,
            open_pings,
            stream: RefCell::new(None),
            groups: RefCell::default(),
            queue: RefCell::default(),
            acks: RefCell::default(),
            waker: RefCell::default(),
            last_life: Cell::new(now),
            last_pong: Cell::new(None),
            silent_until: Cell::new(now + keep_alive.timeout),
            next_ping: Cell::new(now + keep_alive.interval),
            ping_due: Cell::new(None),
            delivered: Cell::new(0),
            written_bytes: Cell::new(0),
            received: Cell::new(0),
            end: RefCell::new(None),
            client_closed: Cell::new(false),
        }
    }

    /// Whether its end is decided.
    pub fn is_ended(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Puts a frame into its queue and wakes its pump when that could be asleep (a pump with
    /// something in its queue is awake or waits for the socket to take more).
    pub fn enqueue(&self, frame: Bytes, kind: FrameKind) {
        let mut queue = self.queue.borrow_mut();
        let was_empty = queue.is_empty();
        queue.push(frame, kind);
        drop(queue);
        if was_empty {
            self.wake();
        }
    }

    /// Whether its frames wait for the end of a user event, and nothing more of it is to be read.
    pub fn is_unread(&self) -> bool {
        self.dialogue.as_ref().is_some_and(|dialogue| dialogue.is_full()) && !self.is_ended()
    }

    /// Whether the client's close frame waits for the end of a user event.
    pub fn holds_close(&self) -> bool {
        self.dialogue.as_ref().is_some_and(|dialogue| dialogue.holds_close())
    }

    /// Has the pump look again.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// The pump's waker.
    pub fn set_waker(&self, waker: &Waker) {
        let mut kept = self.waker.borrow_mut();
        match kept.as_ref() {
            Some(known) if known.will_wake(waker) => {}
            _ => *kept = Some(waker.clone()),
        }
    }
}
