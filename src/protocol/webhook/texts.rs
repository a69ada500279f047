//! Names and messages of failed events as the live trace tool and the resource log have them
//! (azure-docs `howto-troubleshoot-common-issues.md`; service-side facts, 2.2 and 2.10).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Event, SystemEvent, WebhookUrl};

/// Bytes of a handler's words that go into a text.
const DETAIL_BYTES_MAX: usize = 512;

/// Name of a log record about an event handler.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[allow(missing_docs, reason = "the service's own words")]
pub enum WebhookFailure {
    HttpHandlerUnexpectedResponse,
    AbuseProtectionResponseInvalidStatusCode,
    AbuseProtectionResponseMissingAllowedOrigin,
    AbuseProtectionResponseFailed,
    EventHandlerNotFound,
    /// Squall's own: there was no answer to an event, or none that could be understood. The guide
    /// has no such record.
    HttpHandlerRequestFailed,
    /// Squall's own: an event was not sent because too many are under way.
    EventLost,
}

impl WebhookFailure {
    /// The service's own spelling.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HttpHandlerUnexpectedResponse => "HttpHandlerUnexpectedResponse",
            Self::AbuseProtectionResponseInvalidStatusCode => {
                "AbuseProtectionResponseInvalidStatusCode"
            }
            Self::AbuseProtectionResponseMissingAllowedOrigin => {
                "AbuseProtectionResponseMissingAllowedOrigin"
            }
            Self::AbuseProtectionResponseFailed => "AbuseProtectionResponseFailed",
            Self::EventHandlerNotFound => "EventHandlerNotFound",
            Self::HttpHandlerRequestFailed => "HttpHandlerRequestFailed",
            Self::EventLost => "EventLost",
        }
    }
}

/// What an event was for, as messages name it:
/// `hub:chat,event:connect,type:sys,category:connections`. For `connect` a request type follows;
/// other request types are unconfirmed and left out.
#[must_use]
pub fn operation(hub: &str, event: &Event) -> String {
    let (kind, category, request) = match event {
        Event::System(SystemEvent::Connect) => ("sys", "connections", ",requestType:Connect"),
        Event::System(_) => ("sys", "connections", ""),
        Event::User(_) => ("user", "messages", ""),
    };
    format!("hub:{hub},event:{},type:{kind},category:{category}{request}", event.name())
}

/// A handler answered with a status that is no success.
#[must_use]
pub fn unexpected_response(hub: &str, event: &Event, status: u16) -> String {
    let operation = operation(hub, event);
    format!(
        "Sending message during operation {operation} got unexpected response with status code \
         {status}."
    )
}

/// There was no answer, or none that could be understood; why stands in a column of its own.
/// (Squall's own wording.)
#[must_use]
pub fn sending_failed(hub: &str, event: &Event) -> String {
    let operation = operation(hub, event);
    format!("Sending message during operation {operation} failed.")
}

/// What is said of an answer whose status is no success: with the handler's own words where they
/// are known to be told.
#[must_use]
pub fn unexpected(hub: &str, event: &Event, status: u16, body: &[u8]) -> String {
    match own_words(event, status, body) {
        Some(words) => unexpected_handshake_response(status, &words),
        None => unexpected_response(hub, event, status),
    }
}

/// A handler's own words, as far as they fit, where they are known to be told: those that it says
/// to `connect` with a status that the client does not get.
#[must_use]
pub fn own_words(event: &Event, status: u16, body: &[u8]) -> Option<String> {
    let is_told = *event == Event::System(SystemEvent::Connect) && !(400..500).contains(&status);
    let words = String::from_utf8_lossy(&body[..body.len().min(DETAIL_BYTES_MAX)]);
    let words = words.trim();
    (is_told && !words.is_empty()).then(|| words.to_owned())
}

/// The form that has a handler's own words, as they reach the client's handshake.
#[must_use]
pub fn unexpected_handshake_response(status: u16, detail: &str) -> String {
    format!(
        "Sending message during operation handshake got unexpected response with status code \
         {status}. Detail: Get error from upstream: '{detail}'"
    )
}

/// A validation was answered with a status that is no success.
#[must_use]
pub fn invalid_status(url: &WebhookUrl, status: u16) -> String {
    format!("Abuse protection for '{url}' failed: {status}.")
}

/// A validation was answered without an acceptable origin. What stands between colon and full stop
/// when there are origins is unconfirmed; here they stand with commas between.
#[must_use]
pub fn missing_origins(url: &WebhookUrl, returned: &[String]) -> String {
    format!("Abuse protection for '{url}' missing allowed origins: {}.", returned.join(","))
}

/// A validation got no answer; why stands in a column of its own.
#[must_use]
pub fn validation_failed(url: &WebhookUrl) -> String {
    format!("Abuse protection validation for '{url}' failed.")
}

/// Nobody takes an event.
#[must_use]
pub fn not_found(hub: &str, event: &Event) -> String {
    let operation = operation(hub, event);
    format!("EventHandlerNotFoundException: Upstream not found for {operation}.")
}

/// The body that some upstream stacks answer a request with whose origin or signature they do not
/// accept (the guide's 500).
pub const TARGET_INVALID: &str = "Request is denied as target server is invalid";

#[cfg(test)]
mod tests {
    use super::super::{EventName, UrlTemplate};
    use super::*;

    #[test]
    fn a_handlers_own_words_are_told_where_the_client_does_not_get_its_status() {
        let connect = Event::System(SystemEvent::Connect);
        let own = |event: &Event, status, body: &str| own_words(event, status, body.as_bytes());
        assert_eq!(own(&connect, 503, " overloaded\n").as_deref(), Some("overloaded"));
        assert_eq!(own(&connect, 302, "x").as_deref(), Some("x"));
        assert_eq!(own(&connect, 503, " \n"), None);
        assert_eq!(own(&connect, 404, "not here"), None, "the client gets it as it is");
        let message = Event::User(EventName::message());
        assert_eq!(own(&message, 503, "overloaded"), None);
        assert_eq!(
            own(&connect, 500, &"x".repeat(DETAIL_BYTES_MAX + 1)).map(|words| words.len()),
            Some(DETAIL_BYTES_MAX)
        );
        assert_eq!(
            unexpected("chat", &message, 503, b"overloaded"),
            unexpected_response("chat", &message, 503)
        );
    }

    #[test]
    fn messages_are_the_guides() {
        let connect = Event::System(SystemEvent::Connect);
        assert_eq!(
            unexpected_response("chat", &connect, 404),
            "Sending message during operation \
             hub:chat,event:connect,type:sys,category:connections,requestType:Connect got \
             unexpected response with status code 404."
        );
        assert_eq!(
            unexpected_handshake_response(500, TARGET_INVALID),
            "Sending message during operation handshake got unexpected response with status code \
             500. Detail: Get error from upstream: 'Request is denied as target server is invalid'"
        );
        let message = Event::User(EventName::message());
        assert_eq!(
            not_found("test", &message),
            "EventHandlerNotFoundException: Upstream not found for \
             hub:test,event:message,type:user,category:messages."
        );
        let url = UrlTemplate::parse("https://h.example/upstream?code=x").unwrap().fill("h", "e");
        assert_eq!(
            invalid_status(&url, 401),
            "Abuse protection for 'https://h.example/upstream' failed: 401."
        );
        assert_eq!(
            missing_origins(&url, &[]),
            "Abuse protection for 'https://h.example/upstream' missing allowed origins: ."
        );
        assert_eq!(
            validation_failed(&url),
            "Abuse protection validation for 'https://h.example/upstream' failed."
        );
    }
}
