//! The websocket upgrade: checks in the service's order (client-protocols facts, 1.4), then 101.

use std::net::SocketAddr;
use std::rc::Rc;

use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use super::answer::{self, Answer};
use super::auth;
use super::close::{self, Cause, Farewell};
use super::connection::{Connection, Identity, Mode};
use super::query::Query;
use super::state::{Hub, Phase};
use super::story;
use super::trace;
use crate::protocol::attempt::ATTEMPT_PARAMETER;
use crate::protocol::control::{HubRefusal, LedgerEntry};
use crate::protocol::rest::{is_group_name, is_hub_name};
use crate::protocol::settings::OverLimit;
use crate::protocol::subprotocol::JSON_SUBPROTOCOL;
use crate::protocol::token::Claims;
use crate::protocol::{AttemptId, CloseCategory};
use crate::ws::handshake::accept_key;

/// Body of the refusal past the tier's cap (client-protocols facts, 1.5).
const COUNT_LIMIT: &str = "Connection count reaches limit.";

/// How a connect request was answered.
pub struct Outcome {
    /// The answer to send.
    pub answer: Answer,
    /// The connection, when the answer is 101.
    pub connection: Option<Rc<Connection>>,
}

/// Why a connect request is refused.
struct Refused {
    status: StatusCode,
    category: CloseCategory,
    body: &'static str,
    /// What the log says.
    reason: String,
}

impl Refused {
    fn bad_request(body: &'static str, reason: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            category: CloseCategory::BadRequest,
            body,
            reason: reason.to_owned(),
        }
    }

    fn unauthorized(reason: String) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            category: CloseCategory::Unauthorized,
            body: "",
            reason,
        }
    }
}

/// Whether a path is one that websocket clients connect to.
pub fn is_client_path(path: &str) -> bool {
    path == "/client" || path == "/client/" || path.starts_with("/client/hubs/")
}

/// Answers a connect request.
pub fn answer(hub: &Hub, request: &Parts, peer: SocketAddr) -> Outcome {
    let query = Query::parse(request.uri.query());
    let attempt = query.first(ATTEMPT_PARAMETER).and_then(|text| text.parse::<AttemptId>().ok());
    let outcome = connect(hub, request, &query, attempt.as_ref(), peer).unwrap_or_else(|refused| {
        let hub_name = hub_names(request, &query).into_iter().next().unwrap_or_default();
        Outcome { answer: refuse(hub, refused, attempt, &hub_name, peer), connection: None }
    });
    hub.tally.count_status(outcome.answer.status().as_u16());
    outcome
}

fn refuse(
    hub: &Hub,
    refused: Refused,
    attempt: Option<AttemptId>,
    hub_name: &str,
    peer: SocketAddr,
) -> Answer {
    let refusal = HubRefusal {
        attempt,
        category: refused.category,
        status: refused.status.as_u16(),
        log_reason: refused.reason,
        at_ns: hub.clock.now_ns(),
    };
    trace::refused(hub, &refusal, hub_name, peer);
    story::refused(hub, &refusal);
    hub.ledger.push(&LedgerEntry::Refused(Box::new(refusal)));
    if refused.body.is_empty() {
        answer::empty(refused.status)
    } else {
        answer::text(refused.status, refused.body)
    }
}

fn connect(
    hub: &Hub,
    request: &Parts,
    query: &Query,
    attempt: Option<&AttemptId>,
    peer: SocketAddr,
) -> Result<Outcome, Refused> {
    let accept = websocket_accept(request)?;
    let hub_name = hub_name(request, query)?;
    let subprotocol = subprotocol(&request.headers);
    let identity = |claims: Claims, mode: Mode| Identity {
        hub_name: hub_name.as_str().into(),
        user_id: claims.user_id.map(Into::into),
        roles: claims.roles.into(),
        attempt: attempt.cloned(),
        peer,
        mode,
    };
    let switching = switching_protocols(&accept, subprotocol.as_deref());
    let accepted = |connection| Outcome { answer: switching, connection: Some(connection) };
    if query.first("awps_connection_id").is_some_and(|id| !id.is_empty()) {
        return Ok(accepted(refuse_recovery(hub, identity(Claims::default(), Mode::SimpleEvents))));
    }
    let claims = match auth::check_client(hub, request, query, &hub_name) {
        None => return Err(Refused::unauthorized("The access token is missing".to_owned())),
        Some(Err(error)) => return Err(Refused::unauthorized(error.to_string())),
        Some(Ok(claims)) => claims,
    };
    if !claims.groups.iter().all(|group| is_group_name(group)) {
        const BAD_GROUP: &str = "The token contains an invalid group name.";
        return Err(Refused::bad_request(BAD_GROUP, BAD_GROUP));
    }
    if claims.groups.len() > hub.settings().limits.groups_per_connection as usize {
        const MANY_GROUPS: &str = "The token names more groups than a connection may be in.";
        return Err(Refused::bad_request(MANY_GROUPS, MANY_GROUPS));
    }
    let mode = match subprotocol {
        Some(_) => Mode::Json,
        None => simple_mode(query)?,
    };
    let groups = claims.groups.clone();
    let identity = identity(claims, mode);
    if *hub.phase.borrow() != Phase::Serving {
        return Err(Refused {
            status: StatusCode::SERVICE_UNAVAILABLE,
            category: CloseCategory::ServiceTransientError,
            body: "",
            reason: "The hub is stopping".to_owned(),
        });
    }
    if !hub.has_place() {
        let category = CloseCategory::ConnectionCountLimitReached;
        return match hub.settings().drops.over_limit {
            OverLimit::Refuse => Err(Refused {
                status: StatusCode::TOO_MANY_REQUESTS,
                category,
                body: COUNT_LIMIT,
                reason: category.log_reason().to_owned(),
            }),
            OverLimit::AcceptThenAbort => {
                let connection = hub.newcomer(identity);
                let cause = Cause { category, farewell: Farewell::Abort };
                close::end_at_birth(hub, &connection, cause);
                Ok(accepted(connection))
            }
        };
    }
    Ok(accepted(hub.open(identity, &groups)))
}

/// Recovery of a reliable session, which this hub does not keep: always 101, then 1008
/// (client-protocols facts, 3.5).
fn refuse_recovery(hub: &Hub, identity: Identity) -> Rc<Connection> {
    let connection = hub.newcomer(identity);
    let reason = "The connection could not be recovered.";
    let cause = Cause::close(CloseCategory::BadRequest, 1008, reason);
    close::end_at_birth(hub, &connection, cause);
    connection
}

/// `Sec-WebSocket-Accept` of a request that is a websocket upgrade.
fn websocket_accept(request: &Parts) -> Result<String, Refused> {
    let headers = &request.headers;
    let is_upgrade = request.method == Method::GET
        && has_word(headers, &UPGRADE, "websocket")
        && has_word(headers, &CONNECTION, "upgrade")
        && headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    let key = headers.get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok());
    key.filter(|_| is_upgrade)
        .and_then(accept_key)
        .ok_or_else(|| Refused::bad_request("", "The request is not a websocket upgrade"))
}

/// Whether a header's comma lists hold a word, in any case.
fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    words(headers, name).any(|given| given.eq_ignore_ascii_case(word))
}

fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// Every hub name of the request, decoded and lower-case.
fn hub_names(request: &Parts, query: &Query) -> Vec<String> {
    match request.uri.path().strip_prefix("/client/hubs/") {
        Some(name) => {
            vec![percent_decode_str(name).decode_utf8_lossy().to_lowercase()]
        }
        None => query.all("hub").map(str::to_lowercase).collect(),
    }
}

fn hub_name(request: &Parts, query: &Query) -> Result<String, Refused> {
    let names = hub_names(request, query);
    match <[String; 1]>::try_from(names) {
        Ok([name]) if is_hub_name(&name) => Ok(name),
        Ok(_) => Err(Refused::bad_request("", "The hub name is invalid")),
        Err(names) if names.is_empty() => Err(Refused::bad_request("", "The hub name is missing")),
        Err(_) => Err(Refused::bad_request("", "The hub is named more than once")),
    }
}

/// The first subprotocol asked for that this hub speaks, as the client spells it.
fn subprotocol(headers: &HeaderMap) -> Option<String> {
    words(headers, &SEC_WEBSOCKET_PROTOCOL)
        .find(|name| name.eq_ignore_ascii_case(JSON_SUBPROTOCOL))
        .map(str::to_owned)
}

/// What a simple client's data frames are.
fn simple_mode(query: &Query) -> Result<Mode, Refused> {
    const BAD_MODE: &str = "Only raw sendToGroup mode is supported.";
    const BAD_GROUP: &str = "The raw sendToGroup group name is invalid.";
    match query.first("webpubsub_mode") {
        None | Some("sendEvent") => Ok(Mode::SimpleEvents),
        Some("sendToGroup") => match query.first("group") {
            Some(group) if is_group_name(group) => {
                Ok(Mode::SimplePublish { group: group.to_owned() })
            }
            _ => Err(Refused::bad_request(BAD_GROUP, BAD_GROUP)),
        },
        Some(_) => Err(Refused::bad_request(BAD_MODE, BAD_MODE)),
    }
}

fn switching_protocols(accept: &str, subprotocol: Option<&str>) -> Answer {
    let mut answer = answer::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = answer.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    for (name, value) in
        [(SEC_WEBSOCKET_ACCEPT, Some(accept)), (SEC_WEBSOCKET_PROTOCOL, subprotocol)]
    {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    answer
}
