//! HTTP answers: their one body type, the contract's error body, and request bodies read with
//! bounds.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::log::LogBody;
use crate::protocol::rest::ErrorDetail;

/// An answer.
pub type Answer = Response<Either<Full<Bytes>, LogBody>>;

/// Bytes of a request's body at most: 1 MiB, as in Microsoft's emulator (service-side facts, 1.3).
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Header with the error's code (service-side facts, 1.5).
const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// An answer with a body.
pub fn with_body(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Either::Left(Full::default()));
    *answer.status_mut() = status;
    answer
}

/// An answer of JSON.
pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => with_body(status, "application/json; charset=utf-8", body.into()),
        Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// An answer of lines of JSON that go on.
pub fn lines(body: LogBody) -> Answer {
    let mut answer = Response::new(Either::Right(body));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    answer
}

/// A refusal of the REST plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: StatusCode,
    /// The contract's error.
    pub error: ErrorDetail,
}

impl Refusal {
    /// A refusal; `target` names the parameter at fault, `Request` when nothing more precise.
    pub fn new(status: StatusCode, target: &str, message: impl Into<String>) -> Self {
        let code = match status {
            StatusCode::UNAUTHORIZED => "Error.Unauthorized",
            StatusCode::NOT_FOUND => "Error.NotFound",
            StatusCode::METHOD_NOT_ALLOWED => "Error.MethodNotAllowed",
            StatusCode::REQUEST_TIMEOUT => "Error.RequestTimeout",
            StatusCode::PAYLOAD_TOO_LARGE => "Error.PayloadTooLarge",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "Error.UnsupportedMediaType",
            StatusCode::NOT_IMPLEMENTED => "Error.NotImplemented",
            _ => "Error.BadRequest",
        };
        let error = ErrorDetail {
            code: code.to_owned(),
            message: message.into(),
            target: target.to_owned(),
            details: Vec::new(),
        };
        Self { status, error }
    }

    /// Status 400.
    pub fn bad_request(target: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, target, message)
    }

    /// The answer.
    pub fn into_answer(self) -> Answer {
        let mut answer = json(self.status, &self.error);
        if let Ok(code) = HeaderValue::from_str(&self.error.code) {
            answer.headers_mut().insert(ERROR_CODE, code);
        }
        answer
    }
}

/// Reads a request's body, at most [`BODY_BYTES_MAX`] and not longer than `within`.
pub async fn read_body(body: Incoming, within: Duration) -> Result<Bytes, Refusal> {
    let read = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(within, read).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Request",
            format!("the body is larger than {BODY_BYTES_MAX} bytes"),
        )),
        Ok(Err(_)) => Err(Refusal::bad_request("Request", "the body is not whole")),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "Request",
            format!("the body did not come within {within:?}"),
        )),
    }
}
