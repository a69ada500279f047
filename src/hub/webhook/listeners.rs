//! Event listeners hear of events before the handler does. They cannot answer, and nothing waits
//! for them: a delivery that finds no room is lost, and counted.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::state::Hub;
use super::super::tally::add;
use super::dialogue::Dialogue;
use super::send::{Outgoing, head};
use crate::protocol::webhook::{Delivery, Event};

/// Where deliveries go.
#[derive(Debug)]
pub struct Listeners {
    /// Lines of JSON without their ends; `None`: nobody keeps them.
    queue: Option<mpsc::Sender<Bytes>>,
    pub(super) deliveries: Cell<u64>,
    pub(super) lost: Cell<u64>,
}

impl Listeners {
    /// Nothing was delivered yet.
    pub const fn new(queue: Option<mpsc::Sender<Bytes>>) -> Self {
        Self { queue, deliveries: Cell::new(0), lost: Cell::new(0) }
    }

    /// Sums start at nothing.
    pub fn restart(&self) {
        self.deliveries.set(0);
        self.lost.set(0);
    }
}

/// Whether anybody hears of an event.
pub fn is_heard(dialogue: &Dialogue, event: &Event) -> bool {
    dialogue.events().listeners.iter().any(|listener| listener.takes(event))
}

/// Delivers an event to every listener that takes it.
pub fn deliver(hub: &Rc<Hub>, dialogue: &Dialogue, outgoing: &Outgoing) {
    let listeners = &hub.webhooks.listeners;
    let taking = dialogue.events().listeners.iter();
    for listener in taking.filter(|listener| listener.takes(&outgoing.event)) {
        let is_told = dialogue.timeline == hub.timeline.get();
        add(&listeners.deliveries, u64::from(is_told));
        let Some(queue) = &listeners.queue else { continue };
        let head = head(hub, dialogue, String::new(), outgoing);
        let delivery = Delivery::new(&listener.name, &head, &outgoing.body);
        let line = serde_json::to_vec(&delivery).unwrap_or_default();
        if queue.try_send(line.into()).is_err() {
            add(&listeners.lost, u64::from(is_told));
        }
    }
}
