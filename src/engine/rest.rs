//! Calls signed with the access key: the REST data plane and the control API.
//!
//! A token is signed for each call, for the URL as it is called, query included (service-side
//! facts, 1.6; both official SDKs do the same).

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::net::http::{HttpAnswer, HttpCaller, HttpError, HttpRequest, Lines};
use crate::net::{Clock, Connector};
use crate::protocol::rest::{API_VERSIONS, Operation};
use crate::protocol::token::{self, Claims};
use crate::secret::Secret;

/// How long a token of a call is valid, beyond the time the call may take.
const TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// Characters of an error's body that are passed on.
const ERROR_BODY_CHARS: usize = 200;

/// Why a call did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// There is no access key to sign with.
    #[error("it needs the access key, and only a fixed URL was given")]
    NoKey,
    /// No whole answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The token cannot stand in a header.
    #[error("the access token cannot be sent as a header")]
    Header,
    /// An answer that says no.
    #[error("{method} {path} was answered {status}{body}")]
    Status {
        /// Method called.
        method: Method,
        /// Path called, without its query.
        path: String,
        /// Status answered.
        status: StatusCode,
        /// `: ` and the start of the body, or nothing.
        body: String,
    },
    /// An answer that is not understood.
    #[error("the answer of {path} is not understood: {why}")]
    Answer {
        /// Path called.
        path: &'static str,
        /// What the parser says.
        why: String,
    },
}

/// Body of a call.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// None.
    Empty,
    /// `text/plain`.
    Text(Vec<u8>),
    /// `application/json`.
    Json(Vec<u8>),
}

/// Calls one endpoint with signed requests, one at a time.
#[derive(Debug)]
pub(super) struct SignedCaller {
    caller: HttpCaller,
    endpoint: String,
    key: Secret,
    clock: Clock,
    within: Duration,
}

impl SignedCaller {
    /// A caller without a connection yet. Each call may take `within`.
    pub(super) fn new(
        connector: &Connector,
        key: Option<&Secret>,
        clock: Clock,
        within: Duration,
    ) -> Result<Self, CallError> {
        Ok(Self {
            caller: HttpCaller::new(connector.clone()),
            endpoint: connector.endpoint().to_string(),
            key: key.cloned().ok_or(CallError::NoKey)?,
            clock,
            within,
        })
    }

    /// Calls an operation of the data plane; `query` holds names and values besides `api-version`.
    pub(super) async fn operation(
        &mut self,
        operation: &Operation,
        query: &[(&str, &str)],
        body: Body,
    ) -> Result<HttpAnswer, CallError> {
        let (method, path) = operation.request();
        let mut target = format!("{path}?api-version={}", API_VERSIONS[API_VERSIONS.len() - 1]);
        for (name, value) in query {
            target.push('&');
            target.push_str(name);
            target.push('=');
            target.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        self.call(method_of(method), target, body).await
    }

    /// GET of the control API.
    pub(super) async fn get<T: serde::de::DeserializeOwned>(
        &mut self,
        path: &'static str,
    ) -> Result<T, CallError> {
        let answer = self.call(Method::GET, path.to_owned(), Body::Empty).await?;
        parse(path, &answer)
    }

    /// POST of the control API; the caller reads the answer, if there is one to read.
    pub(super) async fn post(
        &mut self,
        path: &'static str,
        body: &impl serde::Serialize,
    ) -> Result<HttpAnswer, CallError> {
        let json = serde_json::to_vec(body)
            .map_err(|error| CallError::Answer { path, why: error.to_string() })?;
        self.call(Method::POST, path.to_owned(), Body::Json(json)).await
    }

    /// Opens a stream of lines on a connection of its own.
    pub(super) async fn lines(&self, path: &'static str) -> Result<Lines, CallError> {
        let request = self.request(Method::GET, path.to_owned(), Body::Empty)?;
        let (status, lines) = self.caller.lines(request, self.within).await?;
        if status.is_success() {
            return Ok(lines);
        }
        let (path, body) = (path.to_owned(), String::new());
        Err(CallError::Status { method: Method::GET, path, status, body })
    }

    async fn call(
        &mut self,
        method: Method,
        path_and_query: String,
        body: Body,
    ) -> Result<HttpAnswer, CallError> {
        let path = path_and_query.split('?').next().unwrap_or_default().to_owned();
        let request = self.request(method.clone(), path_and_query, body)?;
        let answer = self.caller.call(request, self.within).await?;
        let status = answer.status;
        if status.is_success() {
            return Ok(answer);
        }
        Err(CallError::Status { method, path, status, body: start_of(&answer.body) })
    }

    fn request(
        &self,
        method: Method,
        path_and_query: String,
        body: Body,
    ) -> Result<HttpRequest, CallError> {
        let now = Duration::from_nanos(self.clock.now_ns()).as_secs();
        let claims = Claims {
            audience: format!("{}{path_and_query}", self.endpoint),
            expires_at: now + (self.within + TOKEN_LIFETIME).as_secs(),
            issued_at: Some(now),
            ..Claims::default()
        };
        let token = token::sign(&claims, &self.key);
        let bearer = format!("Bearer {}", token.expose());
        let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| CallError::Header)?;
        bearer.set_sensitive(true);
        let mut headers = vec![(AUTHORIZATION, bearer)];
        let (content_type, body) = match body {
            Body::Empty => (None, Bytes::new()),
            Body::Text(text) => (Some("text/plain"), text.into()),
            Body::Json(json) => (Some("application/json"), json.into()),
        };
        headers.extend(content_type.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind))));
        Ok(HttpRequest { method, path_and_query, headers, body })
    }
}

/// Parses a JSON answer of the control API.
pub(super) fn parse<T: serde::de::DeserializeOwned>(
    path: &'static str,
    answer: &HttpAnswer,
) -> Result<T, CallError> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| CallError::Answer { path, why: error.to_string() })
}

fn method_of(method: crate::protocol::rest::Method) -> Method {
    use crate::protocol::rest::Method as Rest;
    match method {
        Rest::Get => Method::GET,
        Rest::Head => Method::HEAD,
        Rest::Post => Method::POST,
        Rest::Put => Method::PUT,
        Rest::Delete => Method::DELETE,
    }
}

fn start_of(body: &Bytes) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    std::iter::once(": ")
        .chain(std::iter::once(text))
        .flat_map(str::chars)
        .take(ERROR_BODY_CHARS)
        .collect()
}
