//! Abuse protection: whether a handler lets this hub send it events (service-side facts, 2.2, and
//! the emulator's own way of asking again).
//!
//! The first event to a URL waits for the answer. Later ones use the last answer, good or bad; one
//! that comes after the answer's time has it asked for anew, beside the events.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::state::Hub;
use super::super::{tally, trace};
use super::dialogue::Dialogue;
use super::entry::{self, Tries};
use super::send::{Step, host_header, persist};
use super::spawn;
use crate::net::http::{HttpAnswer, HttpRequest};
use crate::protocol::webhook::answer::allowed_origins;
use crate::protocol::webhook::request::validation_headers;
use crate::protocol::webhook::{
    Event, WebhookFailure, WebhookPolicy, WebhookUrl, allows_origin, texts,
};

/// URLs whose answer is kept, at most; clients choose the hub name in them. The first in their
/// order is forgotten for a further one.
const KEPT_MAX: usize = 1_000;

/// Answers by URL and by the origin they are for.
#[derive(Debug, Default)]
pub struct Validations(RefCell<BTreeMap<(String, String), Rc<Record>>>);

/// What is known of one URL.
#[derive(Debug)]
struct Record {
    /// The last answer; none before the first.
    answer: Cell<Option<Answer>>,
    /// Told of the first answer.
    answered: Notify,
    /// When the next event has it asked for again.
    next: Cell<Instant>,
    /// Between the last answer and then.
    interval: Cell<Duration>,
    is_asking: Cell<bool>,
}

/// May events be sent?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
}

impl Validations {
    /// Forgets every answer.
    pub fn forget(&self) {
        self.0.borrow_mut().clear();
    }

    fn record(&self, url: &WebhookUrl, origin: &str) -> Rc<Record> {
        let key = (format!("{}{}", url.endpoint, url.path_and_query), origin.to_ascii_lowercase());
        let mut records = self.0.borrow_mut();
        if !records.contains_key(&key) && records.len() >= KEPT_MAX {
            records.pop_first();
        }
        let record = records.entry(key).or_insert_with(|| {
            Rc::new(Record {
                answer: Cell::new(None),
                answered: Notify::new(),
                next: Cell::new(Instant::now()),
                interval: Cell::new(Duration::ZERO),
                is_asking: Cell::new(false),
            })
        });
        Rc::clone(record)
    }
}

impl Record {
    /// Takes an answer: how long it counts.
    fn take(&self, answer: Answer, policy: &WebhookPolicy) {
        let interval = match (answer, self.answer.get()) {
            (Answer::Yes, _) => policy.validation_good_for,
            (Answer::No, None | Some(Answer::Yes)) => policy.validation_retry_first,
            (Answer::No, Some(Answer::No)) => {
                self.interval.get().saturating_mul(2).min(policy.validation_retry_max)
            }
        };
        self.interval.set(interval);
        self.answer.set(Some(answer));
        self.next.set(Instant::now() + interval);
        self.is_asking.set(false);
        self.answered.notify_waiters();
    }
}

/// Whether an event may be sent to a handler whose validation has this URL.
pub async fn is_allowed(
    hub: &Rc<Hub>,
    dialogue: &Rc<Dialogue>,
    event: &Event,
    url: WebhookUrl,
) -> bool {
    let record = hub.webhooks.validations.record(&url, dialogue.compared_origin());
    if Instant::now() >= record.next.get() && !record.is_asking.replace(true) {
        // A task of its own: whoever waits first may give up while others still wait.
        let (hub2, record) = (Rc::clone(hub), Rc::clone(&record));
        let (dialogue, event) = (Rc::clone(dialogue), event.clone());
        spawn(hub, async move {
            let answer = validate(&hub2, &dialogue, &event, &url).await;
            record.take(answer, &dialogue.events().policy);
        });
    }
    loop {
        match record.answer.get() {
            Some(answer) => return answer == Answer::Yes,
            None => record.answered.notified().await,
        }
    }
}

async fn validate(hub: &Hub, dialogue: &Dialogue, event: &Event, url: &WebhookUrl) -> Answer {
    let (began, tries) = (Instant::now(), Cell::default());
    let judged = ask(hub, dialogue, url, &tries).await;
    let tally = &hub.webhooks.tally;
    let is_told = dialogue.timeline == hub.timeline.get();
    let tell = |failure| {
        if is_told {
            entry::tell_validated(hub, url, began, failure, tries.get());
        }
    };
    let (failure, message, exception) = match judged {
        Ok(()) => {
            tally::add(&tally.validations_good, u64::from(is_told));
            tell(None);
            return Answer::Yes;
        }
        Err(Refusal::Status(status)) => (
            WebhookFailure::AbuseProtectionResponseInvalidStatusCode,
            texts::invalid_status(url, status.as_u16()),
            None,
        ),
        Err(Refusal::Origins(origins)) => (
            WebhookFailure::AbuseProtectionResponseMissingAllowedOrigin,
            texts::missing_origins(url, &origins),
            None,
        ),
        Err(Refusal::NoAnswer(why)) => (
            WebhookFailure::AbuseProtectionResponseFailed,
            texts::validation_failed(url),
            Some(why),
        ),
    };
    tally::add(&tally.validations_bad, u64::from(is_told));
    tell(Some(failure));
    trace::event_failed(hub, dialogue, event, failure, message, exception);
    Answer::No
}

/// Why no event may be sent.
enum Refusal {
    Status(StatusCode),
    Origins(Vec<String>),
    NoAnswer(String),
}

async fn ask(
    hub: &Hub,
    dialogue: &Dialogue,
    url: &WebhookUrl,
    tries: &Cell<Tries>,
) -> Result<(), Refusal> {
    let mut answer = request(hub, dialogue, url, tries, Method::OPTIONS).await?;
    if answer.status == StatusCode::NOT_FOUND {
        answer = request(hub, dialogue, url, tries, Method::GET).await?;
    }
    if !answer.status.is_success() {
        Err(Refusal::Status(answer.status))
    } else if allows_origin(&answer.headers, dialogue.compared_origin()) {
        Ok(())
    } else {
        Err(Refusal::Origins(allowed_origins(&answer.headers)))
    }
}

async fn request(
    hub: &Hub,
    dialogue: &Dialogue,
    url: &WebhookUrl,
    tries: &Cell<Tries>,
    method: Method,
) -> Result<HttpAnswer, Refusal> {
    let no_answer = |error: &dyn std::fmt::Display| Refusal::NoAnswer(error.to_string());
    let mut headers = validation_headers(dialogue.origin()).map_err(|error| no_answer(&error))?;
    headers.insert(0, host_header(url).map_err(|error| no_answer(&error))?);
    let path_and_query = url.path_and_query.clone();
    let request = HttpRequest { method, path_and_query, headers, body: Bytes::new() };
    let policy = &dialogue.events().policy;
    let within = policy.validation_within;
    let told = |step| match step {
        Step::Asked { .. } => {
            tries.set(tries.get().asked());
            if dialogue.timeline == hub.timeline.get() {
                hub.webhooks.tally.validation_request();
            }
        }
        Step::Answered { status, .. } => tries.set(tries.get().answered(status.as_u16())),
    };
    let answer = persist(hub, dialogue, policy, url, &request, within, told).await;
    answer.map_err(|error| no_answer(&error))
}
