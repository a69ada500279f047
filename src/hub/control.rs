//! The control API under `/_squall/`: only for callers from loopback with a valid token. To
//! everybody else there is no such path.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::ControlApi;
use super::answer::{self, Answer, Refusal, read_body};
use super::auth;
use super::faults;
use super::log::LogBody;
use super::runs::Reader;
use super::state::Hub;
use crate::protocol::control::{
    CAPABILITIES_PATH, CONTROL_VERSION, COUNTERS_PATH, Capabilities, FAULT_PATH, HubFault,
    LEDGER_PATH, STORY_PATH, StartTimeline, TIMELINE_PATH, TRACE_PATH, TimelineStarted,
    WEBHOOKS_PATH,
};
use crate::protocol::{Endpoint, HubSettings};

/// Shortest keep-alive and handshake time: the clock's own resolution.
const TIME_MIN: Duration = Duration::from_millis(1);

/// Answers a control request.
pub async fn answer(hub: &Rc<Hub>, request: &Parts, body: Incoming, peer: SocketAddr) -> Answer {
    let is_offered = hub.control == ControlApi::Loopback && peer.ip().to_canonical().is_loopback();
    if !is_offered || !matches!(auth::check_rest(hub, request), Some(Ok(()))) {
        return answer::empty(StatusCode::NOT_FOUND);
    }
    run(hub, request, body).await.unwrap_or_else(Refusal::into_answer)
}

async fn run(hub: &Rc<Hub>, request: &Parts, body: Incoming) -> Result<Answer, Refusal> {
    let within = hub.settings().limits.handshake;
    match (&request.method, request.uri.path()) {
        (&Method::GET, CAPABILITIES_PATH) => {
            let capabilities = Capabilities {
                version: CONTROL_VERSION,
                now_ns: hub.clock.now_ns(),
                settings: HubSettings::clone(&hub.settings()),
                listen_backlog: hub.backlog,
            };
            Ok(answer::json(StatusCode::OK, &capabilities))
        }
        (&Method::GET, COUNTERS_PATH) => Ok(answer::json(StatusCode::OK, &hub.counters())),
        (&Method::GET, LEDGER_PATH) => {
            let reader = Reader::new(hub);
            Ok(answer::lines(LogBody::new(Rc::clone(&hub.ledger)).held_by(reader)))
        }
        (&Method::GET, TRACE_PATH) => Ok(answer::lines(LogBody::new(Rc::clone(&hub.trace)))),
        (&Method::GET, WEBHOOKS_PATH) => Ok(answer::json(StatusCode::OK, &hub.webhooks.times())),
        (&Method::GET, STORY_PATH) => Ok(answer::lines(LogBody::new(Rc::clone(&hub.story.log)))),
        (&Method::POST, TIMELINE_PATH) => {
            start_timeline(hub, parse(&read_body(body, within).await?)?)
        }
        (&Method::POST, FAULT_PATH) => {
            let fault: HubFault = parse(&read_body(body, within).await?)?;
            faults::begin(hub, fault)?;
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        _ => Ok(answer::empty(StatusCode::NOT_FOUND)),
    }
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request("Request", format!("the body is not valid: {error}")))
}

fn start_timeline(hub: &Hub, start: StartTimeline) -> Result<Answer, Refusal> {
    let open = hub.tally.open.get();
    if open > 0 {
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            "Request",
            format!("{open} connections of another run are open"),
        ));
    }
    check(&start.settings)?;
    let upstream = start.upstream.as_deref().map(Endpoint::parse).transpose();
    let upstream = upstream.map_err(|why| Refusal::bad_request("upstream", why))?;
    hub.start_timeline(start.run, start.settings, start.watched, upstream);
    Ok(answer::json(StatusCode::OK, &TimelineStarted { now_ns: hub.clock.now_ns() }))
}

/// Refuses settings under which a hub cannot work.
fn check(settings: &HubSettings) -> Result<(), Refusal> {
    let wrong = [
        (settings.keep_alive.interval < TIME_MIN, "keep_alive.interval"),
        (settings.keep_alive.timeout < TIME_MIN, "keep_alive.timeout"),
        (settings.limits.handshake < TIME_MIN, "limits.handshake"),
        (settings.units == 0, "units"),
    ];
    match wrong.iter().find(|(is_wrong, _)| *is_wrong) {
        Some((_, name)) => Err(Refusal::bad_request(name, format!("{name} is too small"))),
        None => Ok(()),
    }
}
