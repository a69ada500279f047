//! HTTP answers, and their one body type.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};

use super::asked::Asked;
use crate::protocol::webhook::answer::ALLOWED_ORIGIN;
use crate::protocol::webhook::request::STATE;
use crate::protocol::webhook::{ConnectAnswer, allows_origin};
use crate::scenario::plan::{AllowedOrigin, AnswerBody, ConnectGrant, UpstreamResponse};

/// An answer.
pub type Answer = Response<AnswerBytes>;

/// JSON that breaks off.
const MALFORMED: &str = r#"{"userId":"#;
/// An origin that is nobody's: the name is reserved (RFC 2606).
const NOBODYS_ORIGIN: &str = "wrong.invalid";
/// Bytes of a long body that are handed out at once.
const CHUNK: &[u8] = &[0; 64 * 1024];

/// A body: bytes, or so many zeros.
#[derive(Debug)]
pub enum AnswerBytes {
    /// These.
    Whole(Bytes),
    /// So many are left.
    Zeros(u64),
}

impl Body for AnswerBytes {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match self.get_mut() {
            Self::Whole(bytes) => std::mem::take(bytes),
            Self::Zeros(left) => {
                let size = CHUNK.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= size as u64;
                Bytes::from_static(&CHUNK[..size])
            }
        };
        Poll::Ready((!next.is_empty()).then(|| Ok(Frame::data(next))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

impl AnswerBytes {
    fn left(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Zeros(left) => *left,
        }
    }
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(AnswerBytes::Whole(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

/// An answer with a body.
pub fn with_body(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(AnswerBytes::Whole(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// An answer of text.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    with_body(status, "text/plain; charset=utf-8", text.into())
}

/// An answer of JSON.
pub fn json(value: &impl serde::Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => with_body(StatusCode::OK, "application/json; charset=utf-8", body.into()),
        Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The answer of a script to a request with this body.
pub fn scripted(response: &UpstreamResponse, asked: &Asked, body: &Bytes) -> Answer {
    let (own_type, bytes) = body_of(response, asked, body);
    let status = response.status.unwrap_or(match asked {
        Asked::Validation(_) => 200,
        Asked::Event(_) if bytes.left() > 0 => 200,
        Asked::Event(_) => 204,
    });
    let mut answer = Response::new(bytes);
    // What a plan holds is valid in HTTP; whatever is not is left out.
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let headers = answer.headers_mut();
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.append(name, value);
        }
    };
    if let Some(content_type) = response.content_type.as_deref().or(own_type) {
        put(CONTENT_TYPE, content_type);
    }
    match asked {
        Asked::Validation(origin) => {
            for line in origins(&response.origin, origin) {
                put(ALLOWED_ORIGIN, &line);
            }
        }
        Asked::Event(_) => {
            if let Some(state) = &response.state {
                put(STATE, state);
            }
        }
    }
    for (name, value) in &response.headers {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            put(name, value);
        }
    }
    answer
}

/// The body, and the content type that goes with it.
fn body_of<'a>(
    response: &UpstreamResponse,
    asked: &'a Asked,
    body: &Bytes,
) -> (Option<&'a str>, AnswerBytes) {
    const JSON: &str = "application/json; charset=utf-8";
    let whole = |text: &str| AnswerBytes::Whole(Bytes::copy_from_slice(text.as_bytes()));
    match &response.body {
        AnswerBody::Empty => (None, whole("")),
        AnswerBody::Text(text) => (Some("text/plain; charset=utf-8"), whole(text)),
        AnswerBody::Json(text) => (Some(JSON), whole(text)),
        AnswerBody::Connect(grant) => {
            let text = serde_json::to_string(&connect_answer(grant)).unwrap_or_default();
            (Some(JSON), whole(&text))
        }
        AnswerBody::Echo => {
            let content_type = match asked {
                Asked::Event(head) => Some(head.content_type.as_str()),
                Asked::Validation(_) => None,
            };
            let content_type = content_type.filter(|known| !known.is_empty() && !body.is_empty());
            (content_type, AnswerBytes::Whole(body.clone()))
        }
        AnswerBody::Malformed => (Some(JSON), whole(MALFORMED)),
        AnswerBody::Oversize(bytes) => {
            (Some("application/octet-stream"), AnswerBytes::Zeros(*bytes))
        }
    }
}

fn connect_answer(grant: &ConnectGrant) -> ConnectAnswer {
    let ConnectGrant { user, groups, roles, subprotocol } = grant.clone();
    ConnectAnswer { user_id: user, groups, roles, subprotocol }
}

/// The lines of `WebHook-Allowed-Origin`.
fn origins(allowed: &AllowedOrigin, asked: &str) -> Vec<String> {
    match allowed {
        AllowedOrigin::Asked => vec![asked.to_owned()],
        AllowedOrigin::Any => vec!["*".to_owned()],
        AllowedOrigin::Missing => Vec::new(),
        AllowedOrigin::Wrong => vec![NOBODYS_ORIGIN.to_owned()],
        AllowedOrigin::Lines(hosts) => hosts.clone(),
        AllowedOrigin::List(hosts) => vec![hosts.join(", ")],
    }
}

/// Whether an answer to a validation lets the origin send events.
pub fn grants(answer: &Answer, origin: &str) -> bool {
    answer.status().is_success() && allows_origin(answer.headers(), origin)
}
