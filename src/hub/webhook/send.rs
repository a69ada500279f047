//! One event sent to its handler, repeated as the policy says, counted and logged (service-side
//! facts, 2.3 and 2.6).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use tokio::time::Instant;

use super::super::state::Hub;
use super::super::{tally, trace};
use super::dialogue::Dialogue;
use super::entry::{self, Tries, Whose};
use super::{dialled, validation};
use crate::net::http::{HttpAnswer, HttpError, HttpRequest};
use crate::protocol::control::{EventCounters, EventFailure, UpstreamCall};
use crate::protocol::resource_log::utc_seconds;
use crate::protocol::webhook::request::STATE;
use crate::protocol::webhook::{
    BadAnswer, Event, EventHandler, EventHead, NotAscii, WebhookFailure, WebhookPolicy, WebhookUrl,
    sign_event, texts,
};

/// What is sent.
#[derive(Debug)]
pub struct Outgoing {
    /// Which event.
    pub event: Event,
    /// Its number.
    pub id: u64,
    /// Content type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
}

/// What a handler answered that took an event.
#[derive(Debug)]
pub struct Heard<T> {
    /// State to keep, when it names one; an empty one too.
    pub state: Option<String>,
    /// What its body says.
    pub said: T,
}

/// An event that is over.
#[derive(Debug)]
pub struct Sent<T> {
    /// What the handler said, or why it said nothing.
    pub outcome: Result<Heard<T>, Failure>,
    /// The same as the ledger has it.
    pub call: UpstreamCall,
}

/// Why an event failed.
#[derive(Debug)]
pub enum Failure {
    /// The handler's validation is bad.
    NotValidated,
    /// An answer that is no success.
    Status(Box<HttpAnswer>),
    /// No answer.
    Http(HttpError),
    /// A success that cannot be understood.
    Answer(BadAnswer),
    /// It cannot be sent.
    Header(NotAscii),
}

impl Failure {
    const fn kind(&self) -> EventFailure {
        match self {
            Self::NotValidated => EventFailure::NotValidated,
            Self::Status(_) => EventFailure::Status,
            Self::Http(HttpError::TimedOut(_)) => EventFailure::TimedOut,
            Self::Http(HttpError::Connect(_) | HttpError::Broken(_)) => EventFailure::Connection,
            Self::Http(HttpError::TooLarge { .. }) | Self::Answer(_) => EventFailure::Answer,
            Self::Http(HttpError::BadRequest(_)) | Self::Header(_) => EventFailure::Header,
        }
    }
}

/// Sends an event to the handler that takes it. `read` says what the body of a success means.
pub async fn send<T>(
    hub: &Rc<Hub>,
    dialogue: &Rc<Dialogue>,
    handler: &EventHandler,
    outgoing: &Outgoing,
    read: impl FnOnce(&HttpAnswer) -> Result<T, BadAnswer>,
) -> Sent<T> {
    let counted = Counted::new(hub, dialogue, &outgoing.event);
    let answered = exchange(&counted, handler, outgoing).await;
    let outcome = answered.and_then(|answer| {
        let said = read(&answer).map_err(Failure::Answer)?;
        Ok(Heard { state: state_of(&answer.headers), said })
    });
    let call = counted.over(outcome.as_ref().err());
    Sent { outcome, call }
}

/// State that an answer names, the last one if it names several.
fn state_of(headers: &HeaderMap) -> Option<String> {
    let last = headers.get_all(STATE).iter().next_back()?;
    Some(String::from_utf8_lossy(last.as_bytes()).into_owned())
}

async fn exchange(
    counted: &Counted<'_>,
    handler: &EventHandler,
    outgoing: &Outgoing,
) -> Result<HttpAnswer, Failure> {
    let (hub, dialogue) = (counted.hub, counted.dialogue);
    let validated = handler.url.fill_for_validation(&dialogue.hub_name);
    if !validation::is_allowed(hub, dialogue, &outgoing.event, validated).await {
        return Err(Failure::NotValidated);
    }
    let url = handler.url.fill(&dialogue.hub_name, outgoing.event.name());
    let now = Duration::from_nanos(hub.clock.now_ns());
    let cookies = dialogue.cookies.borrow().header(&url, now);
    let head = head(hub, dialogue, cookies, outgoing);
    let mut headers = head.print().map_err(Failure::Header)?;
    headers.insert(0, host_header(&url).map_err(Failure::Header)?);
    let request = HttpRequest {
        method: Method::POST,
        path_and_query: url.path_and_query.clone(),
        headers,
        body: outgoing.body.clone(),
    };
    let policy = &dialogue.events().policy;
    let answer = persist(hub, dialogue, policy, &url, &request, policy.within, |step| {
        counted.step(step);
    });
    let answer = answer.await.map_err(Failure::Http)?;
    if !answer.status.is_success() {
        return Err(Failure::Status(Box::new(answer)));
    }
    let now = Duration::from_nanos(hub.clock.now_ns());
    dialogue.cookies.borrow_mut().keep(&url, &answer.headers, now);
    Ok(answer)
}

/// Attributes of an event as it is now.
pub fn head(hub: &Hub, dialogue: &Dialogue, cookies: String, outgoing: &Outgoing) -> EventHead {
    EventHead {
        event: outgoing.event.clone(),
        hub: dialogue.hub_name.to_string(),
        connection_id: dialogue.connection_id.to_string(),
        id: outgoing.id,
        time: utc_seconds(hub.clock.now_ns()),
        user_id: dialogue.user_id().to_string(),
        subprotocol: dialogue.subprotocol().to_string(),
        state: dialogue.state().clone(),
        signature: sign_event(&hub.keys, &dialogue.connection_id),
        origin: dialogue.origin().to_owned(),
        content_type: outgoing.content_type.to_owned(),
        cookies,
    }
}

/// `Host` as the URL has it, whoever is dialled.
pub fn host_header(url: &WebhookUrl) -> Result<(HeaderName, HeaderValue), NotAscii> {
    let host = HeaderValue::from_str(&url.endpoint.authority()).map_err(|_| NotAscii(HOST))?;
    Ok((HOST, host))
}

/// A step on the way to an answer.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A request begins, for the first time or once more.
    Asked { again: Repeated },
    /// It was answered.
    Answered { status: StatusCode, after: Duration },
}

/// Whether a request is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeated {
    No,
    Yes,
}

/// Asks until there is an answer that is kept. Errors of the connection, 408 and 5xx are repeated
/// after each wait of the policy; what takes too long is not.
pub async fn persist(
    hub: &Hub,
    dialogue: &Dialogue,
    policy: &WebhookPolicy,
    url: &WebhookUrl,
    request: &HttpRequest,
    within: Duration,
    mut told: impl FnMut(Step),
) -> Result<HttpAnswer, HttpError> {
    let endpoint = dialled(url, dialogue.upstream.as_ref());
    let until = Instant::now() + within;
    let mut waits = policy.retry_after.iter();
    let mut again = Repeated::No;
    loop {
        hub.gate.passable().await;
        told(Step::Asked { again });
        let began = Instant::now();
        let left = until.saturating_duration_since(began);
        let outcome = hub.webhooks.pool.call(endpoint, request.clone(), left).await;
        hub.gate.passable().await;
        if let Ok(answer) = &outcome {
            told(Step::Answered { status: answer.status, after: began.elapsed() });
        }
        let outcome = outcome.and_then(|answer| within_bytes(answer, policy.answer_bytes));
        let Some(wait) = waits.next().filter(|_| is_repeated(&outcome)) else {
            return outcome.map_err(|error| match error {
                HttpError::TimedOut(_) => HttpError::TimedOut(within),
                other => other,
            });
        };
        let next = Instant::now() + *wait;
        hub.pacer.until(next.min(until)).await;
        if next >= until {
            return Err(HttpError::TimedOut(within));
        }
        again = Repeated::Yes;
    }
}

fn is_repeated(outcome: &Result<HttpAnswer, HttpError>) -> bool {
    match outcome {
        Ok(answer) => {
            answer.status == StatusCode::REQUEST_TIMEOUT || answer.status.is_server_error()
        }
        Err(HttpError::Connect(_) | HttpError::Broken(_)) => true,
        Err(_) => false,
    }
}

fn within_bytes(answer: HttpAnswer, bytes_max: u64) -> Result<HttpAnswer, HttpError> {
    let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    if answer.body.len() > limit { Err(HttpError::TooLarge { limit }) } else { Ok(answer) }
}

/// Counts an event from its begin to its end, even if nobody waits for that.
struct Counted<'a> {
    hub: &'a Rc<Hub>,
    dialogue: &'a Rc<Dialogue>,
    event: &'a Event,
    began: Instant,
    tries: Cell<Tries>,
    is_over: Cell<bool>,
}

impl<'a> Counted<'a> {
    fn new(hub: &'a Rc<Hub>, dialogue: &'a Rc<Dialogue>, event: &'a Event) -> Self {
        let (tries, is_over) = (Cell::default(), Cell::new(false));
        let counted = Self { hub, dialogue, event, began: Instant::now(), tries, is_over };
        tally::add(&hub.webhooks.tally.under_way, 1);
        counted.count(|of| of.begun += 1);
        counted
    }

    /// Events of an earlier timeline are not counted in this one.
    fn is_told(&self) -> bool {
        self.dialogue.timeline == self.hub.timeline.get()
    }

    fn count(&self, count: impl FnOnce(&mut EventCounters)) {
        if self.is_told() {
            self.hub.webhooks.tally.count(self.event, count);
        }
    }

    fn step(&self, step: Step) {
        match step {
            Step::Asked { again } => {
                self.tries.set(self.tries.get().asked());
                if self.is_told() {
                    self.hub.webhooks.tally.request(self.event, again);
                }
            }
            Step::Answered { status, after } => {
                self.tries.set(self.tries.get().answered(status.as_u16()));
                self.count(|of| *of.statuses.entry(status.as_u16()).or_default() += 1);
                if self.is_told() {
                    self.hub.webhooks.tally.answered(self.event, after);
                }
            }
        }
    }

    fn over(&self, failure: Option<&Failure>) -> UpstreamCall {
        self.is_over.set(true);
        let took = self.began.elapsed();
        if self.is_told() {
            self.hub.webhooks.tally.took(self.event, took);
        }
        let call = self.told(failure.map(Failure::kind), took);
        match failure {
            None => self.count(|of| of.succeeded += 1),
            Some(failure) => {
                self.count(|of| *of.failed.entry(failure.kind()).or_default() += 1);
                log(self.hub, self.dialogue, self.event, failure);
            }
        }
        call
    }

    /// Puts the event's end into the ledger.
    fn told(&self, failure: Option<EventFailure>, took: Duration) -> UpstreamCall {
        let call = entry::call(self.event, failure, self.tries.get(), took);
        if self.is_told() {
            entry::tell(self.hub, Whose::of(self.dialogue), self.began, &call);
        }
        call
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        tally::take(&self.hub.webhooks.tally.under_way, 1);
        if !self.is_over.get() {
            self.count(|of| *of.failed.entry(EventFailure::GivenUp).or_default() += 1);
            self.told(Some(EventFailure::GivenUp), self.began.elapsed());
        }
    }
}

/// A bad validation has its own record.
fn log(hub: &Hub, dialogue: &Dialogue, event: &Event, failure: &Failure) {
    let name = &dialogue.hub_name;
    let exception = match failure {
        Failure::NotValidated => return,
        Failure::Status(answer) => {
            let failure = WebhookFailure::HttpHandlerUnexpectedResponse;
            let message = texts::unexpected(name, event, answer.status.as_u16(), &answer.body);
            trace::event_failed(hub, dialogue, event, failure, message, None);
            return;
        }
        Failure::Http(error) => error.to_string(),
        Failure::Answer(error) => error.to_string(),
        Failure::Header(error) => error.to_string(),
    };
    let failure = WebhookFailure::HttpHandlerRequestFailed;
    let message = texts::sending_failed(name, event);
    trace::event_failed(hub, dialogue, event, failure, message, Some(exception));
}
