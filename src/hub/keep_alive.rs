//! Websocket pings and their timeout: one task, one ordered set of due times for the whole hub.
//!
//! A ping is due every interval from a connection's open. When it is, the connection's pump first
//! reads what its socket offers, then ends it if its silence has reached the timeout, else queues
//! the ping behind the data. So a drop falls in (timeout, timeout + interval] after the last sign
//! of life. The due instant decides, not the moment at which a busy hub came to look.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::close::{self, Cause};
use super::connection::{Connection, Serial};
use super::state::Hub;
use crate::protocol::CloseCategory;
use crate::protocol::settings::LifeSign;

/// A ping without payload, as it stands on the wire.
const PING: Bytes = Bytes::from_static(&[0x89, 0x00]);

/// When the next ping of every open connection is due.
#[derive(Debug, Default)]
pub struct KeepAlive {
    due: RefCell<BTreeMap<(Instant, Serial), Weak<Connection>>>,
    earlier: Notify,
}

impl KeepAlive {
    /// Takes a connection in, at its `next_ping`.
    pub fn insert(&self, connection: &Rc<Connection>) {
        let key = (connection.next_ping.get(), connection.serial);
        let mut due = self.due.borrow_mut();
        due.insert(key, Rc::downgrade(connection));
        if due.first_key_value().is_some_and(|(first, _)| *first == key) {
            self.earlier.notify_one();
        }
    }

    /// Takes a connection out.
    pub fn remove(&self, connection: &Connection) {
        self.due.borrow_mut().remove(&(connection.next_ping.get(), connection.serial));
    }

    fn first(&self) -> Option<Instant> {
        self.due.borrow().first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes out the first connection whose ping is due by `now`.
    fn pop_due(&self, now: Instant) -> Option<(Instant, Rc<Connection>)> {
        let mut due = self.due.borrow_mut();
        loop {
            let first = due.first_entry()?;
            let (at, _) = *first.key();
            if at > now {
                return None;
            }
            if let Some(connection) = first.remove().upgrade() {
                return Some((at, connection));
            }
        }
    }
}

/// Wakes the pumps whose ping is due, for as long as the hub lives.
pub async fn run(hub: Rc<Hub>) {
    loop {
        match hub.keep_alive.first() {
            None => hub.keep_alive.earlier.notified().await,
            Some(at) => {
                tokio::select! {
                    biased;
                    () = hub.pacer.until(at) => {}
                    () = hub.keep_alive.earlier.notified() => continue,
                }
            }
        }
        hub.gate.passable().await;
        let now = Instant::now();
        let interval = hub.settings().keep_alive.interval;
        while let Some((at, connection)) = hub.keep_alive.pop_due(now) {
            connection.next_ping.set(after(at, now, interval));
            hub.keep_alive.insert(&connection);
            connection.ping_due.set(Some(at));
            connection.wake();
        }
    }
}

/// The first instant past `now` of those that follow `at` every `interval`.
fn after(at: Instant, now: Instant, interval: Duration) -> Instant {
    let missed = (now - at).as_nanos() / interval.as_nanos().max(1);
    let steps = u32::try_from(missed + 1).unwrap_or(u32::MAX);
    at + interval * steps
}

/// A frame has come that may be a sign of life.
pub fn note_frame(hub: &Hub, connection: &Connection, is_pong: bool) {
    let keep_alive = hub.settings().keep_alive;
    let now = Instant::now();
    if is_pong {
        connection.last_pong.set(Some(now));
    }
    if is_pong || keep_alive.life == LifeSign::AnyFrame {
        connection.last_life.set(now);
        connection.silent_until.set(now + keep_alive.timeout);
    }
}

/// Looks at a connection whose ping was due at `due`, after its socket was read.
pub fn check(hub: &Hub, connection: &Rc<Connection>, due: Instant) {
    // Whose pongs the hub itself does not read is not silent.
    if connection.silent_until.get() < due && !connection.is_unread() {
        let settings = hub.settings();
        let cause = Cause::in_form(CloseCategory::PingTimeout, &settings.drops.ping_timeout);
        close::end(hub, connection, cause);
    } else {
        hub.send(connection, PING);
    }
}

/// A freeze of `length` is over: while the hub did not ping, nobody was silent.
pub fn forgive(hub: &Hub, length: Duration) {
    for connection in hub.tables.borrow().all() {
        forgive_one(&connection, length);
    }
}

/// The hub did not read a connection for `length`: as long it was not silent.
pub fn forgive_one(connection: &Connection, length: Duration) {
    connection.silent_until.set(connection.silent_until.get() + length);
}
