//! The REST data plane: who may call, which operation, what it answers (service-side facts, 1).

use std::rc::Rc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use serde_json::value::RawValue;

use super::answer::{self, Answer, BODY_BYTES_MAX, Refusal, read_body};
use super::auth;
use super::close::{self, Cause, Farewell};
use super::connection::{Connection, Serial};
use super::fan_out::Message;
use super::paging;
use super::query::Query;
use super::state::Hub;
use super::tally;
use super::throughput;
use crate::protocol::CloseCategory;
use crate::protocol::rest::{API_VERSIONS, Method, NoOperation, Operation};
use crate::protocol::subprotocol::{MessageFrom, Payload};
use crate::protocol::throughput::Pattern;

/// Every answer says which versions there are.
const SUPPORTED_VERSIONS: HeaderName = HeaderName::from_static("api-supported-versions");

/// Largest `messageTtlSeconds` (service-side facts, 1.2).
const MESSAGE_TTL_MAX_S: u16 = 300;

/// Answers a REST request.
pub async fn answer(hub: &Rc<Hub>, request: &Parts, body: Incoming) -> Answer {
    let call = Call { hub, request, query: Query::parse(request.uri.query()) };
    let mut answer = call.answer(body).await.unwrap_or_else(Refusal::into_answer);
    if let Ok(versions) = HeaderValue::from_str(&API_VERSIONS.join(", ")) {
        answer.headers_mut().insert(SUPPORTED_VERSIONS, versions);
    }
    answer
}

/// One request.
pub struct Call<'a> {
    pub hub: &'a Rc<Hub>,
    pub request: &'a Parts,
    pub query: Query,
}

/// Whom a call is about.
#[derive(Clone, Copy, Debug)]
enum Whom<'a> {
    Everybody,
    Group(&'a str),
    User(&'a str),
    Connection(&'a str),
}

impl Call<'_> {
    async fn answer(&self, body: Incoming) -> Result<Answer, Refusal> {
        let path = self.request.uri.path();
        let operation = method(&self.request.method)
            .ok_or(NoOperation::MethodNotAllowed)
            .and_then(|method| Operation::route(method, path))
            .map_err(no_operation)?;
        if operation == Operation::GetServiceStatus {
            return Ok(answer::empty(StatusCode::OK));
        }
        match auth::check_rest(self.hub, self.request) {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(unauthorized(error.to_string())),
            None => return Err(unauthorized("the access token is missing".to_owned())),
        }
        self.check_version()?;
        self.run(&operation, body).await
    }

    fn check_version(&self) -> Result<(), Refusal> {
        let mut versions = self.query.all("api-version");
        match (versions.next(), versions.next()) {
            (None, _) => Ok(()),
            (Some(version), None) if API_VERSIONS.contains(&version) => Ok(()),
            _ => Err(Refusal::bad_request(
                "api-version",
                format!("api-version must be one of {}", API_VERSIONS.join(", ")),
            )),
        }
    }

    async fn run(&self, operation: &Operation, body: Incoming) -> Result<Answer, Refusal> {
        use Operation as Op;
        match operation {
            Op::SendToAll { hub } => self.send(hub, Whom::Everybody, body).await,
            Op::SendToGroup { hub, group } => self.send(hub, Whom::Group(group), body).await,
            Op::SendToUser { hub, user_id } => self.send(hub, Whom::User(user_id), body).await,
            Op::SendToConnection { hub, connection_id } => {
                self.send(hub, Whom::Connection(connection_id), body).await
            }
            Op::CloseAllConnections { hub } => Ok(self.close(hub, Whom::Everybody)),
            Op::CloseGroupConnections { hub, group } => Ok(self.close(hub, Whom::Group(group))),
            Op::CloseUserConnections { hub, user_id } => Ok(self.close(hub, Whom::User(user_id))),
            Op::CloseConnection { hub, connection_id } => {
                Ok(self.close(hub, Whom::Connection(connection_id)))
            }
            Op::ConnectionExists { hub, connection_id } => {
                Ok(self.exists(hub, Whom::Connection(connection_id)))
            }
            Op::GroupExists { hub, group } => Ok(self.exists(hub, Whom::Group(group))),
            Op::UserExists { hub, user_id } => Ok(self.exists(hub, Whom::User(user_id))),
            Op::AddConnectionToGroup { hub, group, connection_id } => {
                self.join(hub, Whom::Connection(connection_id), group)
            }
            Op::AddUserToGroup { hub, user_id, group } => {
                self.join(hub, Whom::User(user_id), group)
            }
            Op::RemoveConnectionFromGroup { hub, group, connection_id } => {
                Ok(self.leave(hub, Whom::Connection(connection_id), Some(group)))
            }
            Op::RemoveConnectionFromAllGroups { hub, connection_id } => {
                Ok(self.leave(hub, Whom::Connection(connection_id), None))
            }
            Op::RemoveUserFromGroup { hub, user_id, group } => {
                Ok(self.leave(hub, Whom::User(user_id), Some(group)))
            }
            Op::RemoveUserFromAllGroups { hub, user_id } => {
                Ok(self.leave(hub, Whom::User(user_id), None))
            }
            Op::ListConnectionsInGroup { hub, group } => paging::list_group(self, hub, group),
            Op::GetServiceStatus => Ok(answer::empty(StatusCode::OK)),
            Op::AddConnectionsToGroups { .. }
            | Op::RemoveConnectionsFromGroups { .. }
            | Op::GrantPermission { .. }
            | Op::RevokePermission { .. }
            | Op::CheckPermission { .. }
            | Op::GenerateClientToken { .. } => Err(Refusal::new(
                StatusCode::NOT_IMPLEMENTED,
                "Request",
                format!("this hub does not offer {} yet", operation.name()),
            )),
        }
    }

    fn find(&self, hub_name: &str, whom: Whom<'_>) -> Vec<Rc<Connection>> {
        let tables = self.hub.tables.borrow();
        match whom {
            Whom::Everybody => tables.of_hub(hub_name).cloned().collect(),
            Whom::Group(group) => tables.of_group(hub_name, group).cloned().collect(),
            Whom::User(user) => tables.of_user(hub_name, user).cloned().collect(),
            Whom::Connection(id) => tables.by_id(hub_name, id).into_iter().cloned().collect(),
        }
    }

    /// Connections that the query's `excluded` parameters name.
    fn excluded(&self, hub_name: &str) -> Vec<Serial> {
        let tables = self.hub.tables.borrow();
        let excluded = self.query.all("excluded").filter_map(|id| tables.by_id(hub_name, id));
        excluded.map(|connection| connection.serial).collect()
    }

    async fn send(
        &self,
        hub_name: &str,
        whom: Whom<'_>,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        if self.query.first("filter").is_some() {
            let message = "this hub does not support filters yet; leave the parameter out";
            return Err(Refusal::bad_request("filter", message));
        }
        self.check_message_ttl()?;
        let kind = body_kind(&self.request.headers)?;
        let body = read_body(body, self.hub.settings().limits.handshake).await?;
        tally::add(&self.hub.tally.inbound, body.len() as u64);
        let message = Message::new(MessageFrom::Server, payload(kind, body)?);
        let excluded = match whom {
            Whom::Everybody | Whom::Group(_) => self.excluded(hub_name),
            Whom::User(_) | Whom::Connection(_) => Vec::new(),
        };
        let receivers = self.find(hub_name, whom);
        let pattern = match whom {
            Whom::Everybody => Pattern::RestBroadcast,
            Whom::Group(_) => throughput::pattern_of_group(self.hub, receivers.len()),
            Whom::User(_) | Whom::Connection(_) => Pattern::RestToUser,
        };
        match throughput::deliver(self.hub, pattern, message, &excluded, receivers) {
            Ok(()) => Ok(answer::empty(StatusCode::ACCEPTED)),
            Err(overloaded) => {
                Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Request", overloaded.to_string()))
            }
        }
    }

    /// Checked for its range only: messages are dropped with their connection, not by age.
    fn check_message_ttl(&self) -> Result<(), Refusal> {
        const NAME: &str = "messageTtlSeconds";
        let Some(text) = self.query.first(NAME) else { return Ok(()) };
        match text.parse::<u16>() {
            Ok(seconds) if seconds <= MESSAGE_TTL_MAX_S => Ok(()),
            _ => Err(Refusal::bad_request(
                NAME,
                format!("{NAME} must be a whole number from 0 to {MESSAGE_TTL_MAX_S}"),
            )),
        }
    }

    fn close(&self, hub_name: &str, whom: Whom<'_>) -> Answer {
        let category = CloseCategory::ClosedByAppServer;
        let reason = self.query.first("reason").unwrap_or(category.log_reason());
        let excluded = match whom {
            Whom::Connection(_) => Vec::new(),
            Whom::Everybody | Whom::Group(_) | Whom::User(_) => self.excluded(hub_name),
        };
        for connection in self.find(hub_name, whom) {
            if !excluded.contains(&connection.serial) {
                let farewell = Farewell::DisconnectedThenClose { message: reason.to_owned() };
                close::end(self.hub, &connection, Cause { category, farewell, upstream: None });
            }
        }
        answer::empty(StatusCode::NO_CONTENT)
    }

    fn exists(&self, hub_name: &str, whom: Whom<'_>) -> Answer {
        answer::empty(match self.find(hub_name, whom).is_empty() {
            true => StatusCode::NOT_FOUND,
            false => StatusCode::OK,
        })
    }

    fn join(&self, hub_name: &str, whom: Whom<'_>, group: &str) -> Result<Answer, Refusal> {
        let found = self.find(hub_name, whom);
        if found.is_empty() {
            let message = "no such connection or user is connected";
            return Err(Refusal::new(StatusCode::NOT_FOUND, "Request", message));
        }
        let max = self.hub.settings().limits.groups_per_connection;
        for connection in found {
            let joined = self.hub.tables.borrow_mut().join(&connection, group, max);
            joined.map_err(|full| Refusal::bad_request("group", full.to_string()))?;
        }
        Ok(answer::empty(StatusCode::OK))
    }

    /// Takes connections out of one group, or of all.
    fn leave(&self, hub_name: &str, whom: Whom<'_>, group: Option<&str>) -> Answer {
        for connection in self.find(hub_name, whom) {
            let mut tables = self.hub.tables.borrow_mut();
            match group {
                Some(group) => tables.leave(&connection, group),
                None => tables.leave_all(&connection),
            }
        }
        answer::empty(StatusCode::NO_CONTENT)
    }
}

fn method(method: &http::Method) -> Option<Method> {
    match *method {
        http::Method::GET => Some(Method::Get),
        http::Method::HEAD => Some(Method::Head),
        http::Method::POST => Some(Method::Post),
        http::Method::PUT => Some(Method::Put),
        http::Method::DELETE => Some(Method::Delete),
        _ => None,
    }
}

fn no_operation(no: NoOperation) -> Refusal {
    match no {
        NoOperation::NotFound => Refusal::new(StatusCode::NOT_FOUND, "Request", "no such path"),
        NoOperation::MethodNotAllowed => Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "Request",
            "the path exists with other methods only",
        ),
        NoOperation::BadName(error) => Refusal { status: StatusCode::BAD_REQUEST, error },
    }
}

fn unauthorized(message: String) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "Request", message)
}

/// What a body is (service-side facts, 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyKind {
    Text,
    Json,
    Binary,
}

fn body_kind(headers: &HeaderMap) -> Result<BodyKind, Refusal> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length
        .is_some_and(|length| !length.parse().is_ok_and(|length: usize| length <= BODY_BYTES_MAX))
    {
        return Err(Refusal::bad_request("Request", "Invalid Content-Length header."));
    }
    let Some(given) = headers.get(CONTENT_TYPE) else { return Ok(BodyKind::Binary) };
    let given = given.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = given.split(';').map(str::trim);
    let kind = match parts.next().unwrap_or_default() {
        "text/plain" => BodyKind::Text,
        "application/json" => BodyKind::Json,
        "application/octet-stream" => BodyKind::Binary,
        _ => return Err(unsupported("expected text/plain, application/json or octet-stream")),
    };
    let charset = parts.find_map(|part| part.strip_prefix("charset="));
    match charset.map(|charset| charset.trim_matches('"')) {
        None | Some("utf-8" | "us-ascii") => Ok(kind),
        Some(_) => Err(unsupported("this hub takes UTF-8 only")),
    }
}

fn unsupported(message: &str) -> Refusal {
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type", message)
}

fn payload(kind: BodyKind, body: Bytes) -> Result<Payload, Refusal> {
    let not_text = |_| Refusal::bad_request("Request", "The request body is not valid UTF-8.");
    match kind {
        BodyKind::Binary => Ok(Payload::Binary(body.into())),
        BodyKind::Text => String::from_utf8(body.into()).map(Payload::Text).map_err(not_text),
        BodyKind::Json => match serde_json::from_slice::<&RawValue>(&body) {
            Ok(value) => Ok(Payload::Json(compact(value.get()))),
            Err(_) => Err(Refusal::bad_request("Request", "The request body is not a valid JSON.")),
        },
    }
}

/// Valid JSON without the white space between its tokens; numbers and strings stay as typed.
fn compact(json: &str) -> String {
    let mut is_string = false;
    let mut is_escaped = false;
    json.chars()
        .filter(|&c| {
            if is_escaped {
                is_escaped = false;
            } else if is_string && c == '\\' {
                is_escaped = true;
            } else if c == '"' {
                is_string = !is_string;
            }
            is_string || !matches!(c, ' ' | '\t' | '\r' | '\n')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_compacted_without_touching_strings_and_numbers() {
        let spaced = "{ \"a b\" : [ 1.50,\n\t2e3 ], \"q\\\" x\" : \"\\\\\" , \"t\": true }";
        assert_eq!(compact(spaced), r#"{"a b":[1.50,2e3],"q\" x":"\\","t":true}"#);
    }

    #[test]
    fn content_types_choose_the_kind() {
        let kind = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            body_kind(&headers).map_err(|refusal| refusal.status.as_u16())
        };
        assert_eq!(body_kind(&HeaderMap::new()), Ok(BodyKind::Binary));
        assert_eq!(kind("text/plain; charset=\"UTF-8\""), Ok(BodyKind::Text));
        assert_eq!(kind("Application/JSON"), Ok(BodyKind::Json));
        assert_eq!(kind("application/octet-stream"), Ok(BodyKind::Binary));
        assert_eq!(kind("text/html"), Err(415));
        assert_eq!(kind("text/plain; charset=utf-16"), Err(415));
    }
}
