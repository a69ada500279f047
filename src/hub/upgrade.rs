//! The websocket upgrade: checks in the service's order (client-protocols facts, 1.4), then 101.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{Method, StatusCode};
use http_body_util::{Either, Full};
use percent_encoding::percent_decode_str;
use tokio::time::Instant;

use super::answer::{self, Answer};
use super::auth;
use super::close::{self, Cause, Farewell};
use super::connection::{Connection, Identity, Mode};
use super::query::Query;
use super::state::{Hub, Phase};
use super::story;
use super::trace;
use super::webhook::{self, ConnectRefusal, Decision, Dialogue};
use crate::protocol::attempt::ATTEMPT_PARAMETER;
use crate::protocol::control::{HubRefusal, LedgerEntry, UpstreamCall};
use crate::protocol::rest::{is_group_name, is_hub_name};
use crate::protocol::settings::OverLimit;
use crate::protocol::subprotocol::JSON_SUBPROTOCOL;
use crate::protocol::token::{Claims, every_claim};
use crate::protocol::webhook::{ConnectAnswer, ConnectBody, Event, SystemEvent};
use crate::protocol::{AttemptId, CloseCategory};
use crate::ws::handshake::accept_key;

/// Body of the refusal past the tier's cap (client-protocols facts, 1.5).
const COUNT_LIMIT: &str = "Connection count reaches limit.";

/// Body and log reason of the refusal of connections that come too fast; Squall's own words.
const RATE_LIMIT: &str = "Connection rate reaches limit.";

/// Content type of the hub's own texts.
const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// How a connect request was answered.
pub struct Outcome {
    /// The answer to send.
    pub answer: Answer,
    /// The connection, when the answer is 101.
    pub connection: Option<Rc<Connection>>,
}

/// How far a connect request has come.
pub enum Begun {
    /// It is answered.
    Answered(Outcome),
    /// An event handler decides.
    Undecided(Box<Candidate>),
}

/// Why a connect request is refused.
struct Refused {
    status: StatusCode,
    category: CloseCategory,
    body: Bytes,
    content_type: Option<HeaderValue>,
    /// What the log says.
    reason: String,
    /// The `connect` whose handler is the reason.
    upstream: Option<Box<UpstreamCall>>,
}

/// A connect request that has passed the hub's own checks.
pub struct Candidate {
    hub: Rc<Hub>,
    dialogue: Rc<Dialogue>,
    body: ConnectBody,
    admission: Admission,
    /// While it waits for the handler.
    is_waiting: Cell<bool>,
}

/// What is needed to let somebody in.
struct Admission {
    accept: String,
    subprotocol: Option<String>,
    hub_name: String,
    claims: Claims,
    simple_mode: Mode,
    attempt: Option<AttemptId>,
    peer: SocketAddr,
}

/// Status of a connect request whose client went away before it was answered: nothing was sent.
/// (Proxies log such requests so.)
const CLIENT_GONE: u16 = 499;

impl Refused {
    fn bad_request(body: &'static str, reason: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            category: CloseCategory::BadRequest,
            body: Bytes::from_static(body.as_bytes()),
            content_type: Some(PLAIN_TEXT),
            reason: reason.to_owned(),
            upstream: None,
        }
    }

    fn unauthorized(reason: String) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            category: CloseCategory::Unauthorized,
            body: Bytes::new(),
            content_type: None,
            reason,
            upstream: None,
        }
    }

    fn stopping() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            category: CloseCategory::ServiceTransientError,
            body: Bytes::new(),
            content_type: None,
            reason: "The hub is stopping".to_owned(),
            upstream: None,
        }
    }

    fn too_fast() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            category: CloseCategory::Throttled,
            body: Bytes::from_static(RATE_LIMIT.as_bytes()),
            content_type: Some(PLAIN_TEXT),
            reason: RATE_LIMIT.to_owned(),
            upstream: None,
        }
    }

    fn over_limit() -> Self {
        let category = CloseCategory::ConnectionCountLimitReached;
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            category,
            body: Bytes::from_static(COUNT_LIMIT.as_bytes()),
            content_type: Some(PLAIN_TEXT),
            reason: category.log_reason().to_owned(),
            upstream: None,
        }
    }

    /// A handler let nobody in, or said what cannot be done.
    fn by_handler(refusal: ConnectRefusal, call: Box<UpstreamCall>) -> Self {
        let ConnectRefusal { status, content_type, body, category, reason } = refusal;
        Self { status, category, body, content_type, reason, upstream: Some(call) }
    }
}

/// Whether a path is one that websocket clients connect to.
pub fn is_client_path(path: &str) -> bool {
    path == "/client" || path == "/client/" || path.starts_with("/client/hubs/")
}

/// Answers a connect request, unless an event handler has to be asked first.
pub fn begin(hub: &Rc<Hub>, request: &Parts, peer: SocketAddr) -> Begun {
    let query = Query::parse(request.uri.query());
    let attempt = query.first(ATTEMPT_PARAMETER).and_then(|text| text.parse::<AttemptId>().ok());
    let outcome = match connect(hub, request, &query, attempt.as_ref(), peer) {
        Ok(Begun::Undecided(candidate)) => return Begun::Undecided(candidate),
        Ok(Begun::Answered(outcome)) => outcome,
        Err(refused) => {
            let hub_name = hub_names(request, &query).into_iter().next().unwrap_or_default();
            refuse(hub, refused, attempt, &hub_name, peer)
        }
    };
    hub.tally.count_status(outcome.answer.status().as_u16());
    Begun::Answered(outcome)
}

fn refuse(
    hub: &Hub,
    refused: Refused,
    attempt: Option<AttemptId>,
    hub_name: &str,
    peer: SocketAddr,
) -> Outcome {
    let Refused { status, category, body, content_type, reason, upstream } = refused;
    let (status_told, at_ns) = (status.as_u16(), hub.clock.now_ns());
    let log_reason = reason;
    let refusal =
        HubRefusal { attempt, category, status: status_told, log_reason, at_ns, upstream };
    tell_refused(hub, refusal, hub_name, peer);
    let mut answer = answer::empty(status);
    if !body.is_empty() {
        *answer.body_mut() = Either::Left(Full::new(body));
        if let Some(content_type) = content_type {
            answer.headers_mut().insert(CONTENT_TYPE, content_type);
        }
    }
    Outcome { answer, connection: None }
}

fn tell_refused(hub: &Hub, refusal: HubRefusal, hub_name: &str, peer: SocketAddr) {
    trace::refused(hub, &refusal, hub_name, peer);
    story::refused(hub, &refusal);
    hub.ledger.push(&LedgerEntry::Refused(Box::new(refusal)));
}

fn connect(
    hub: &Rc<Hub>,
    request: &Parts,
    query: &Query,
    attempt: Option<&AttemptId>,
    peer: SocketAddr,
) -> Result<Begun, Refused> {
    let accept = websocket_accept(request)?;
    let hub_name = hub_name(request, query)?;
    let subprotocol = subprotocol(&request.headers);
    let is_simple = subprotocol.is_none();
    let admission = |claims: Claims, simple_mode: Mode| Admission {
        accept,
        subprotocol,
        hub_name: hub_name.clone(),
        claims,
        simple_mode,
        attempt: attempt.cloned(),
        peer,
    };
    if query.first("awps_connection_id").is_some_and(|id| !id.is_empty()) {
        // Recovery calls no handler.
        let refused = admission(Claims::default(), Mode::SimpleEvents).refuse_recovery(hub);
        return Ok(Begun::Answered(refused));
    }
    let (token, claims) = match auth::check_client(hub, request, query, &hub_name) {
        None => return Err(Refused::unauthorized("The access token is missing".to_owned())),
        Some((_, Err(error))) => return Err(Refused::unauthorized(error.to_string())),
        Some((token, Ok(claims))) => (token, claims),
    };
    if !claims.groups.iter().all(|group| is_group_name(group)) {
        const BAD_GROUP: &str = "The token contains an invalid group name.";
        return Err(Refused::bad_request(BAD_GROUP, BAD_GROUP));
    }
    check_rate(hub)?;
    if claims.groups.len() > hub.settings().limits.groups_per_connection as usize {
        const MANY_GROUPS: &str = "The token names more groups than a connection may be in.";
        return Err(Refused::bad_request(MANY_GROUPS, MANY_GROUPS));
    }
    // What a client that speaks no subprotocol does; a handler may yet make one of it.
    let simple_mode = match simple_mode(query) {
        Ok(mode) => mode,
        Err(refused) if is_simple => return Err(refused),
        Err(_) => Mode::SimpleEvents,
    };
    let admission = admission(claims, simple_mode);
    if hub.settings().events.is_empty() {
        return admission.admit(hub, None, ConnectAnswer::default()).map(Begun::Answered);
    }
    let dialogue = Rc::new(Dialogue::new(
        hub,
        &hub_name,
        auth::host(request),
        admission.claims.user_id.as_deref(),
        attempt,
        peer,
    ));
    let asks = dialogue.handler_of(&Event::System(SystemEvent::Connect)).is_some();
    if !asks {
        return admission.admit(hub, Some(dialogue), ConnectAnswer::default()).map(Begun::Answered);
    }
    // The tier's cap is looked at before the handler is asked, so that a hub that is full does not
    // burden it, and once more when it has answered, since others may have taken the place. A
    // handshake under way holds no place. (In which order the service looks is unconfirmed.)
    check_serving(hub)?;
    if !hub.has_place() && hub.settings().drops.over_limit == OverLimit::Refuse {
        return Err(Refused::over_limit());
    }
    let body = connect_body(request, query, token);
    Ok(Begun::Undecided(Box::new(Candidate {
        hub: Rc::clone(hub),
        dialogue,
        body,
        admission,
        is_waiting: Cell::new(false),
    })))
}

fn check_serving(hub: &Hub) -> Result<(), Refused> {
    match *hub.phase.borrow() {
        Phase::Serving => Ok(()),
        Phase::Draining | Phase::Killed => Err(Refused::stopping()),
    }
}

/// Whether a hub with a limit of new connections may take one more now. Recoveries and requests
/// without a valid token do not count.
fn check_rate(hub: &Hub) -> Result<(), Refused> {
    let settings = hub.settings();
    match settings.throughput.as_ref().and_then(|model| model.connects) {
        Some(rate) if !hub.throughput.may_connect(rate, Instant::now()) => Err(Refused::too_fast()),
        Some(_) | None => Ok(()),
    }
}

/// What a handler of `connect` is told.
fn connect_body(request: &Parts, query: &Query, token: &str) -> ConnectBody {
    let mut body = ConnectBody { claims: every_claim(token), ..ConnectBody::default() };
    for (name, value) in query.pairs() {
        body.add_query(name, value);
    }
    for (name, value) in &request.headers {
        body.add_header(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
    }
    let offered = words(&request.headers, &SEC_WEBSOCKET_PROTOCOL);
    body.subprotocols = offered.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    body
}

impl Candidate {
    /// Asks the handler and does as it says.
    pub async fn decide(self: Box<Self>) -> Outcome {
        self.is_waiting.set(true);
        let decided = webhook::decide(&self.hub, &self.dialogue, &self.body).await;
        self.is_waiting.set(false);
        let outcome = match decided {
            None => self.admission.admit(
                &self.hub,
                Some(Rc::clone(&self.dialogue)),
                ConnectAnswer::default(),
            ),
            Some(Decision { decided: Ok(answer), call }) => self.admit(answer, call),
            Some(Decision { decided: Err(refusal), call }) => {
                Err(Refused::by_handler(refusal, call))
            }
        };
        let (hub, admission) = (&self.hub, &self.admission);
        let outcome = outcome.unwrap_or_else(|refused| {
            let attempt = admission.attempt.clone();
            refuse(hub, refused, attempt, &admission.hub_name, admission.peer)
        });
        hub.tally.count_status(outcome.answer.status().as_u16());
        outcome
    }

    fn admit(&self, answer: ConnectAnswer, call: Box<UpstreamCall>) -> Result<Outcome, Refused> {
        let groups_max = self.hub.settings().limits.groups_per_connection as usize;
        if answer.groups.as_ref().is_some_and(|groups| groups.len() > groups_max) {
            const MANY_GROUPS: &str = "The handler names more groups than a connection may be in";
            return Err(Refused::by_handler(webhook::unusable(MANY_GROUPS), call));
        }
        self.admission.admit(&self.hub, Some(Rc::clone(&self.dialogue)), answer)
    }
}

impl Drop for Candidate {
    /// The client went away while the handler was asked, or the hub is cut off.
    fn drop(&mut self) {
        if self.is_waiting.get() {
            let Admission { attempt, hub_name, peer, .. } = &self.admission;
            let reason = "The client went away before the event handler had answered".to_owned();
            self.hub.tally.count_status(CLIENT_GONE);
            let refusal = HubRefusal {
                attempt: attempt.clone(),
                category: CloseCategory::Normal,
                status: CLIENT_GONE,
                log_reason: reason,
                at_ns: self.hub.clock.now_ns(),
                upstream: None,
            };
            tell_refused(&self.hub, refusal, hub_name, *peer);
        }
    }
}

impl Admission {
    /// Lets the client in as the handler says and, where it says nothing, as the token does.
    fn admit(
        &self,
        hub: &Hub,
        dialogue: Option<Rc<Dialogue>>,
        answer: ConnectAnswer,
    ) -> Result<Outcome, Refused> {
        check_serving(hub)?;
        let chosen = match answer.subprotocol {
            None => self.subprotocol.clone(),
            // No client is ever told of an empty one.
            Some(name) => Some(name).filter(|name| !name.is_empty()),
        };
        let mode = match &chosen {
            Some(name) if name.eq_ignore_ascii_case(JSON_SUBPROTOCOL) => Mode::Json,
            _ => self.simple_mode.clone(),
        };
        let user_id = match answer.user_id {
            None => self.claims.user_id.clone(),
            // An empty one is nobody.
            Some(user_id) => Some(user_id).filter(|user_id| !user_id.is_empty()),
        };
        let roles = answer.roles.unwrap_or_else(|| self.claims.roles.clone());
        let groups = answer.groups.filter(|groups| !groups.is_empty());
        let groups = groups.unwrap_or_else(|| self.claims.groups.clone());
        if let Some(dialogue) = &dialogue {
            dialogue.settle(user_id.as_deref(), chosen.as_deref());
        }
        let identity = Identity {
            user_id: user_id.map(Into::into),
            roles: roles.into(),
            dialogue,
            ..self.identity(mode)
        };
        if hub.has_place() {
            return Ok(self.switch(chosen.as_deref(), hub.open(identity, &groups)));
        }
        match hub.settings().drops.over_limit {
            OverLimit::Refuse => Err(Refused::over_limit()),
            OverLimit::AcceptThenAbort => {
                let connection = hub.newcomer(identity);
                let category = CloseCategory::ConnectionCountLimitReached;
                let cause = Cause { category, farewell: Farewell::Abort, upstream: None };
                close::end_at_birth(hub, &connection, cause);
                Ok(self.switch(chosen.as_deref(), connection))
            }
        }
    }

    /// Nobody in particular, without a token's rights.
    fn identity(&self, mode: Mode) -> Identity {
        Identity {
            hub_name: self.hub_name.as_str().into(),
            user_id: None,
            roles: Box::default(),
            attempt: self.attempt.clone(),
            peer: self.peer,
            mode,
            dialogue: None,
        }
    }

    fn switch(&self, subprotocol: Option<&str>, connection: Rc<Connection>) -> Outcome {
        let answer = switching_protocols(&self.accept, subprotocol);
        Outcome { answer, connection: Some(connection) }
    }

    /// Recovery of a reliable session, which this hub does not keep: always 101, then 1008
    /// (client-protocols facts, 3.5).
    fn refuse_recovery(&self, hub: &Hub) -> Outcome {
        let connection = hub.newcomer(self.identity(Mode::SimpleEvents));
        let reason = "The connection could not be recovered.";
        let cause = Cause::close(CloseCategory::BadRequest, 1008, reason);
        close::end_at_birth(hub, &connection, cause);
        self.switch(self.subprotocol.as_deref(), connection)
    }
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
