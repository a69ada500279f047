//! `connected` and `disconnected`: nobody waits for them, and one connection's come in their order
//! (service-side facts, 2.4).

use std::rc::Rc;

use bytes::Bytes;

use super::super::state::Hub;
use super::super::{tally, trace};
use super::dialogue::Dialogue;
use super::entry::{self, Whose};
use super::listeners;
use super::send::{Outgoing, send};
use super::spawn;
use crate::protocol::control::EventFailure;
use crate::protocol::webhook::request::{CONNECTED_BODY, SYSTEM_CONTENT_TYPE};
use crate::protocol::webhook::{DisconnectedBody, Event, SystemEvent, WebhookFailure, texts};

/// Events under way at once, user events and `connect` among them: past it nobody is told of a
/// connection's begin or end. (Those others are bounded by the connections and handshakes.)
pub const UNDER_WAY_MAX: u64 = 20_000;

/// An event that waits to be sent.
#[derive(Debug)]
pub struct Notice(Outgoing);

/// The client is in.
pub fn connected(hub: &Rc<Hub>, dialogue: &Rc<Dialogue>) {
    let body = Bytes::from_static(CONNECTED_BODY.as_bytes());
    tell(hub, dialogue, SystemEvent::Connected, body);
}

/// The connection has ended; `reason` may be empty.
pub fn disconnected(hub: &Rc<Hub>, dialogue: &Rc<Dialogue>, reason: &str) {
    let body = serde_json::to_vec(&DisconnectedBody { reason: reason.to_owned() });
    tell(hub, dialogue, SystemEvent::Disconnected, body.unwrap_or_default().into());
}

fn tell(hub: &Rc<Hub>, dialogue: &Rc<Dialogue>, event: SystemEvent, body: Bytes) {
    let event = Event::System(event);
    let has_handler = dialogue.handler_of(&event).is_some();
    if !has_handler && !listeners::is_heard(dialogue, &event) {
        return;
    }
    let (id, content_type) = (dialogue.next_id(), SYSTEM_CONTENT_TYPE);
    let outgoing = Outgoing { event, id, content_type, body };
    listeners::deliver(hub, dialogue, &outgoing);
    if !has_handler {
        return;
    }
    let event = &outgoing.event;
    let under_way = hub.webhooks.tally.under_way.get();
    if under_way >= UNDER_WAY_MAX {
        entry::unsent(hub, Whose::of(dialogue), event, EventFailure::Lost);
        let message = texts::sending_failed(&dialogue.hub_name, event);
        let why = Some(format!("{under_way} events are under way"));
        trace::event_failed(hub, dialogue, event, WebhookFailure::EventLost, message, why);
        return;
    }
    tally::add(&hub.webhooks.tally.under_way, 1);
    dialogue.notices.borrow_mut().push_back(Notice(outgoing));
    if !dialogue.is_sending.replace(true) {
        spawn(hub, send_all(Rc::clone(hub), Rc::clone(dialogue)));
    }
}

async fn send_all(hub: Rc<Hub>, dialogue: Rc<Dialogue>) {
    loop {
        let next = dialogue.notices.borrow_mut().pop_front();
        let Some(Notice(outgoing)) = next else { break };
        // From here on it is counted as one that is being sent.
        tally::take(&hub.webhooks.tally.under_way, 1);
        if let Some(handler) = dialogue.handler_of(&outgoing.event) {
            // Whatever is answered: nobody waits for it, and it is counted and logged.
            let _ = send(&hub, &dialogue, handler, &outgoing, |_| Ok(())).await;
        }
    }
    dialogue.is_sending.set(false);
}
