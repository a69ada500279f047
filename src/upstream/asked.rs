//! What a request asks: a validation or an event of a hub, or something of a stranger's.

use http::header::HeaderValue;
use http::request::Parts;
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use crate::protocol::webhook::request::{AWPS_VERSION, REQUEST_ORIGIN};
use crate::protocol::webhook::{Event, EventHead, EventName, RequestKind};
use crate::secret::Secret;

/// A hub's request.
#[derive(Clone, Debug)]
pub enum Asked {
    /// A validation: the origin that asks.
    Validation(String),
    /// An event.
    Event(Box<EventHead>),
}

impl Asked {
    /// Reads the head of a request. What is no hub's gets the status that the official middleware
    /// answers (service-side facts, 2.9), and why.
    pub fn of(request: &Parts) -> Result<Self, (StatusCode, String)> {
        match request.method {
            // GET is the hub's second try where OPTIONS is answered with 404.
            Method::OPTIONS | Method::GET => Self::validation(request),
            Method::POST => EventHead::parse(&request.headers)
                .map(|head| Self::Event(Box::new(head)))
                .map_err(|why| (StatusCode::NOT_FOUND, format!("not an event of a hub: {why}"))),
            _ => {
                let why = "a hub sends OPTIONS, GET and POST".to_owned();
                Err((StatusCode::NOT_FOUND, why))
            }
        }
    }

    fn validation(request: &Parts) -> Result<Self, (StatusCode, String)> {
        if !request.headers.contains_key(&AWPS_VERSION) {
            let why = format!("not a validation of a hub: `{AWPS_VERSION}` is missing");
            return Err((StatusCode::NOT_FOUND, why));
        }
        let origin = request.headers.get(&REQUEST_ORIGIN).map(HeaderValue::to_str);
        match origin {
            Some(Ok(origin)) if !origin.is_empty() => Ok(Self::Validation(origin.to_owned())),
            _ => Err((StatusCode::BAD_REQUEST, format!("`{REQUEST_ORIGIN}` is missing"))),
        }
    }

    /// What it is about; user events in lower case, as hubs do not tell them apart by it.
    pub fn kind(&self) -> RequestKind {
        match self {
            Self::Validation(_) => RequestKind::Validate,
            Self::Event(head) => RequestKind::Event(match &head.event {
                Event::User(name) => {
                    let lower = EventName::parse(&name.as_str().to_ascii_lowercase());
                    Event::User(lower.unwrap_or_else(|_| name.clone()))
                }
                system @ Event::System(_) => system.clone(),
            }),
        }
    }

    /// Which connection it is about; empty for a validation.
    pub fn connection_id(&self) -> &str {
        match self {
            Self::Validation(_) => "",
            Self::Event(head) => &head.connection_id,
        }
    }

    /// Whose it is; a validation does not say.
    pub fn hub(&self) -> Option<&str> {
        match self {
            Self::Validation(_) => None,
            Self::Event(head) => Some(&head.hub),
        }
    }
}

/// Whether the query carries `code=` with this value.
pub fn has_key(request: &Parts, key: &Secret) -> bool {
    let query = request.uri.query().unwrap_or_default();
    query.split('&').filter_map(|pair| pair.split_once('=')).any(|(name, value)| {
        name == "code" && *percent_decode_str(value).decode_utf8_lossy() == *key.expose()
    })
}
