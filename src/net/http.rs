//! A small HTTP/1.1 caller over [`super::Stream`]: one kept-alive connection, one request at a time,
//! every call bounded in time. For REST, the control API and, later, webhooks.

use std::time::Duration;

use bytes::Bytes;

use super::Connector;

/// A request. Header values may hold tokens and are never logged.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// Method.
    pub method: http::Method,
    /// Path and query, percent-encoded.
    pub path_and_query: String,
    /// Headers besides `Host` and `Content-Length`.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Body.
    pub body: Bytes,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// Status.
    pub status: http::StatusCode,
    /// Headers.
    pub headers: http::HeaderMap,
    /// Body, at most [`ANSWER_BYTES_MAX`].
    pub body: Bytes,
}

/// Largest body read into memory.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] super::ConnectError),
    /// No whole answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection broke, or the answer is not HTTP.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Calls one endpoint.
#[derive(Debug)]
pub struct HttpCaller {
    connector: Connector,
}

impl HttpCaller {
    /// A caller without a connection yet.
    #[must_use]
    pub const fn new(connector: Connector) -> Self {
        Self { connector }
    }

    /// Calls, over the kept connection where it still lives (a call on a kept connection that turns
    /// out dead is made once more on a new one).
    pub async fn call(
        &mut self,
        _request: HttpRequest,
        _within: Duration,
    ) -> Result<HttpAnswer, HttpError> {
        let _ = &self.connector;
        unimplemented!()
    }

    /// Calls on a connection of its own and hands out the body line by line as it comes.
    pub async fn lines(
        &self,
        _request: HttpRequest,
        _within: Duration,
    ) -> Result<(http::StatusCode, Lines), HttpError> {
        unimplemented!()
    }
}

/// Lines of an answer that goes on.
#[derive(Debug)]
pub struct Lines {
    _private: (),
}

impl Lines {
    /// The next line without its end; `None` at the end of the body.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        unimplemented!()
    }
}
