//! A client that is not there: what the hub would know of it, and say of it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};

use super::CheckOptions;
use super::ask::Question;
use crate::protocol::resource_log::utc_seconds;
use crate::protocol::subprotocol::Payload;
use crate::protocol::webhook::request::{
    CONNECTED_BODY, STATE, SYSTEM_CONTENT_TYPE, content_type_of,
};
use crate::protocol::webhook::{
    ConnectBody, CookieJar, DisconnectedBody, Event, EventHead, SystemEvent, WebhookUrl, sign_event,
};

/// What the client offers.
pub const SUBPROTOCOL: &str = "json.webpubsub.azure.v1";
/// Number of `connect`.
const CONNECT_ID: u64 = 0;

/// A client that is not there.
#[derive(Debug)]
pub struct Client<'a> {
    options: &'a CheckOptions,
    /// Hub that it is in.
    pub hub: String,
    connection_id: String,
    next_id: u64,
    /// Agreed on.
    pub subprotocol: String,
    pub user_id: String,
    /// What the handler set last.
    pub state: String,
    cookies: CookieJar,
}

impl<'a> Client<'a> {
    /// One whose connection id no other run of the check has had.
    pub fn new(options: &'a CheckOptions, number: u64) -> Self {
        let run = options.clock.now_ns() / 1_000;
        Self {
            options,
            hub: options.hub.clone(),
            connection_id: format!("squall-check-{run:x}-{number}"),
            next_id: CONNECT_ID + 1,
            subprotocol: SUBPROTOCOL.to_owned(),
            user_id: options.user_id.clone(),
            state: String::new(),
            cookies: CookieJar::default(),
        }
    }

    /// Its connection id.
    pub fn connection_id(&self) -> &str {
        &self.connection_id
    }

    /// `connect`, with what the hub knows of a client that has a token and no more.
    pub fn connect(&self) -> Question {
        let now_s = self.options.clock.now_s();
        let mut body =
            ConnectBody { subprotocols: vec![SUBPROTOCOL.to_owned()], ..Default::default() };
        body.add_header("Host", &self.options.origin);
        let mut claims = vec![("iat", now_s.to_string()), ("exp", (now_s + 3_600).to_string())];
        if !self.options.user_id.is_empty() {
            claims.push(("sub", self.options.user_id.clone()));
        }
        body.claims = claims.into_iter().map(|(name, of)| (name.to_owned(), vec![of])).collect();
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut head = self.head(Event::System(SystemEvent::Connect), SYSTEM_CONTENT_TYPE);
        head.id = CONNECT_ID;
        head.subprotocol.clear();
        self.question(&head, body)
    }

    /// `connected`.
    pub fn connected(&mut self) -> Question {
        let head = self.next(Event::System(SystemEvent::Connected), SYSTEM_CONTENT_TYPE);
        self.question(&head, CONNECTED_BODY)
    }

    /// `disconnected`, of a client that has left.
    pub fn disconnected(&mut self) -> Question {
        let head = self.next(Event::System(SystemEvent::Disconnected), SYSTEM_CONTENT_TYPE);
        self.question(&head, serde_json::to_vec(&DisconnectedBody::default()).unwrap_or_default())
    }

    /// A user event.
    pub fn user(&mut self, event: Event, payload: Payload) -> Question {
        let head = self.next(event, content_type_of(&payload));
        match payload {
            Payload::Text(text) | Payload::Json(text) => self.question(&head, text),
            Payload::Binary(bytes) => self.question(&head, bytes),
        }
    }

    /// Keeps the cookies of a success.
    pub fn keep(&mut self, url: &WebhookUrl, headers: &HeaderMap) {
        let now = Duration::from_nanos(self.options.clock.now_ns());
        self.cookies.keep(url, headers, now);
    }

    /// Keeps the cookies of a success, and the state that it sets.
    pub fn keep_all(&mut self, url: &WebhookUrl, headers: &HeaderMap) {
        self.keep(url, headers);
        if let Some(Ok(state)) = state_of(headers).map(HeaderValue::to_str) {
            state.clone_into(&mut self.state);
        }
    }

    fn next(&mut self, event: Event, content_type: &str) -> EventHead {
        let mut head = self.head(event, content_type);
        head.id = self.next_id;
        self.next_id += 1;
        head
    }

    fn head(&self, event: Event, content_type: &str) -> EventHead {
        let options = self.options;
        let now_ns = options.clock.now_ns();
        let url = options.url.fill(&self.hub, event.name());
        EventHead {
            event,
            hub: self.hub.clone(),
            connection_id: self.connection_id.clone(),
            id: self.next_id,
            time: utc_seconds(now_ns),
            user_id: self.user_id.clone(),
            subprotocol: self.subprotocol.clone(),
            state: self.state.clone(),
            signature: sign_event(&options.keys, &self.connection_id),
            origin: options.origin.clone(),
            content_type: content_type.to_owned(),
            cookies: self.cookies.header(&url, Duration::from_nanos(now_ns)),
        }
    }

    fn question(&self, head: &EventHead, body: impl Into<Bytes>) -> Question {
        Question {
            method: Method::POST,
            url: self.options.url.fill(&self.hub, head.event.name()),
            // Only ASCII gets into a client, but for the user id, which may be anything.
            headers: head.print().unwrap_or_default(),
            body: body.into(),
        }
    }
}

/// State that an answer names, the last one if it names several.
pub fn state_of(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get_all(STATE).iter().next_back()
}

/// Replaces a header of a question, or takes it out.
pub fn put(question: &mut Question, name: &HeaderName, value: Option<HeaderValue>) {
    question.headers.retain(|(known, _)| known != name);
    if let Some(value) = value {
        question.headers.push((name.clone(), value));
    }
}
