//! Sends what the service would, and keeps what was sent and what came back, without secrets.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, header};
use tokio::time::Instant;

use super::CheckOptions;
use super::finding::{Exchange, Reply};
use crate::net::Pool;
use crate::net::http::{HttpAnswer, HttpError, HttpRequest};
use crate::protocol::webhook::WebhookUrl;
use crate::protocol::webhook::answer::ALLOWED_ORIGIN;
use crate::protocol::webhook::request::{SIGNATURE, STATE};
use crate::secret::MASK;

/// Characters of a body or of a header's value that are kept, at most.
const SHOWN_CHARS_MAX: usize = 200;

/// Headers of an answer that say something here.
const TELLING: [HeaderName; 11] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::LOCATION,
    header::ALLOW,
    header::WWW_AUTHENTICATE,
    header::RETRY_AFTER,
    header::SERVER,
    header::VIA,
    header::SET_COOKIE,
    ALLOWED_ORIGIN,
    STATE,
];

/// A request whole.
#[derive(Clone, Debug)]
pub struct Question {
    pub method: Method,
    pub url: WebhookUrl,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
}

/// What became of it.
#[derive(Debug)]
pub struct Asked {
    pub exchange: Exchange,
    pub outcome: Result<HttpAnswer, HttpError>,
}

/// Asks over kept connections.
#[derive(Debug)]
pub struct Asker<'a> {
    options: &'a CheckOptions,
    pool: Pool,
}

impl<'a> Asker<'a> {
    pub fn new(options: &'a CheckOptions) -> Self {
        Self { options, pool: Pool::new(options.dialling.clone()) }
    }

    /// Asks. A request whose connection broke is sent once more, on a new one: a kept connection
    /// may end at any time, and the service tries again too.
    pub async fn ask(&self, question: &Question) -> Asked {
        let began = Instant::now();
        let mut outcome = self.call(question).await;
        if matches!(outcome, Err(HttpError::Broken(_))) {
            outcome = self.call(question).await;
        }
        let exchange = self.exchange(question, &outcome, began.elapsed());
        Asked { exchange, outcome }
    }

    /// Asks once, and keeps nothing.
    pub async fn call(&self, question: &Question) -> Result<HttpAnswer, HttpError> {
        let request = HttpRequest {
            method: question.method.clone(),
            path_and_query: question.url.path_and_query.clone(),
            headers: question.headers.clone(),
            body: question.body.clone(),
        };
        self.pool.call(&question.url.endpoint, request, self.options.timeout).await
    }

    fn exchange(
        &self,
        question: &Question,
        outcome: &Result<HttpAnswer, HttpError>,
        took: Duration,
    ) -> Exchange {
        let redactor = &self.options.redactor;
        let shown = |text: &str| shown(&redactor.redact(text));
        let value = |name: &HeaderName, value: &HeaderValue| {
            if *name == SIGNATURE {
                format!("sha256={MASK}")
            } else if [header::COOKIE, header::SET_COOKIE].contains(name) {
                MASK.to_owned()
            } else {
                shown(&String::from_utf8_lossy(value.as_bytes()))
            }
        };
        let pair = |(name, of): &(HeaderName, HeaderValue)| (name.to_string(), value(name, of));
        let reply = match outcome {
            Ok(answer) => Reply::Answer {
                status: answer.status.as_u16(),
                headers: telling(&answer.headers, value),
                body: shown(&String::from_utf8_lossy(start_of(&answer.body))),
                body_bytes: answer.body.len() as u64,
            },
            Err(error) => Reply::Nothing(shown(&error.to_string())),
        };
        Exchange {
            method: question.method.to_string(),
            url: shown_url(&question.url),
            headers: question.headers.iter().map(pair).collect(),
            body: shown(&String::from_utf8_lossy(start_of(&question.body))),
            reply,
            took,
        }
    }
}

/// A URL whose query, which may hold a key, is hidden.
pub fn shown_url(url: &WebhookUrl) -> String {
    let query = if url.path_and_query.contains('?') { format!("?{MASK}") } else { String::new() };
    format!("{url}{query}")
}

fn telling(
    headers: &HeaderMap,
    value: impl Fn(&HeaderName, &HeaderValue) -> String,
) -> Vec<(String, String)> {
    let of = |name: &HeaderName| {
        let lines = headers.get_all(name).iter();
        lines.map(|line| (name.to_string(), value(name, line))).collect::<Vec<_>>()
    };
    TELLING.iter().flat_map(of).collect()
}

/// As many bytes as could be shown, so that no more is decoded. Redaction needs the whole of a
/// secret, which is far shorter than the rest.
fn start_of(body: &[u8]) -> &[u8] {
    &body[..body.len().min(64 * SHOWN_CHARS_MAX)]
}

/// The start of a text, without what could move a terminal's cursor.
fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut out: String = text.chars().take(SHOWN_CHARS_MAX).map(plain).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}
