//! The control API under `/_squall/`: only for callers from loopback with a valid token. To
//! everybody else there is no such path.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{Method, StatusCode};

use super::ControlApi;
use super::answer::{self, Answer};
use super::state::Upstream;
use crate::protocol::control::{COUNTERS_PATH, TIMELINE_PATH, TimelineStarted};
use crate::protocol::token;
use crate::protocol::webhook::counts::StartUpstream;

/// What the paths of the API begin with.
pub const PREFIX: &str = "/_squall/";
/// Tolerance of tokens, as the hub's.
const SKEW: Duration = Duration::from_mins(5);

/// Whether a request is the API's to answer.
pub fn is_offered(upstream: &Upstream, request: &Parts, peer: SocketAddr) -> bool {
    request.uri.path().starts_with(PREFIX)
        && upstream.control == ControlApi::Loopback
        && peer.ip().to_canonical().is_loopback()
        && is_signed(upstream, request)
}

fn is_signed(upstream: &Upstream, request: &Parts) -> bool {
    let text = |name| request.headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(AUTHORIZATION).and_then(|value| value.split_once(' '));
    let Some((_, token)) = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
    else {
        return false;
    };
    let base = format!("http://{}", text(HOST).unwrap_or_default());
    let path = request.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let audiences = token::rest_audiences(&base, path);
    let now = Duration::from_nanos(upstream.clock.now_ns());
    token::verify(token.trim(), &upstream.keys, &audiences, now, SKEW).is_ok()
}

/// Answers a control request.
pub fn answer(upstream: &Upstream, request: &Parts, body: &Bytes) -> Answer {
    match (&request.method, request.uri.path()) {
        (&Method::GET, COUNTERS_PATH) => answer::json(&upstream.counts()),
        (&Method::POST, TIMELINE_PATH) => match serde_json::from_slice::<StartUpstream>(body) {
            Ok(StartUpstream { run }) => {
                upstream.begin(run);
                answer::json(&TimelineStarted { now_ns: upstream.clock.now_ns() })
            }
            Err(error) => {
                let why = format!("the body is not valid: {error}");
                answer::text(StatusCode::BAD_REQUEST, why)
            }
        },
        _ => answer::empty(StatusCode::NOT_FOUND),
    }
}
