//! Headers and bodies of what a hub sends to an event handler (service-side facts, 2.2 to 2.5).

use std::collections::BTreeMap;

use http::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::super::subprotocol::Payload;
use super::Event;

/// Version of CloudEvents.
const SPEC_VERSION: HeaderName = HeaderName::from_static("ce-specversion");
/// Version of the hub's events. The official middleware ignores a request without it.
pub const AWPS_VERSION: HeaderName = HeaderName::from_static("ce-awpsversion");
const TYPE: HeaderName = HeaderName::from_static("ce-type");
const SOURCE: HeaderName = HeaderName::from_static("ce-source");
const ID: HeaderName = HeaderName::from_static("ce-id");
const TIME: HeaderName = HeaderName::from_static("ce-time");
const CONNECTION_ID: HeaderName = HeaderName::from_static("ce-connectionid");
const HUB: HeaderName = HeaderName::from_static("ce-hub");
const EVENT_NAME: HeaderName = HeaderName::from_static("ce-eventname");
const USER_ID: HeaderName = HeaderName::from_static("ce-userid");
const SUBPROTOCOL: HeaderName = HeaderName::from_static("ce-subprotocol");
/// Opaque text that a handler has the hub send back to it with later events.
pub const STATE: HeaderName = HeaderName::from_static("ce-connectionstate");
/// Signatures of the connection id.
pub const SIGNATURE: HeaderName = HeaderName::from_static("ce-signature");
/// Host of the hub.
pub const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
/// Both versions.
const ONE: HeaderValue = HeaderValue::from_static("1.0");
/// Content type of every system event.
pub const SYSTEM_CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// A header's value that only ASCII can carry has something else: the event is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Request headers must contain only ASCII characters: {0}")]
pub struct NotAscii(pub HeaderName);

/// Headers of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHead {
    /// Which event.
    pub event: Event,
    /// Hub name, lower-case.
    pub hub: String,
    /// Connection id.
    pub connection_id: String,
    /// Counted per connection: 0 is `connect`, whether it was sent or not.
    pub id: u64,
    /// [UTC in whole seconds](crate::protocol::resource_log::utc_seconds).
    pub time: String,
    /// User id; empty for nobody. The only value that may hold more than ASCII.
    pub user_id: String,
    /// Subprotocol agreed on; empty for none, and with `connect`.
    pub subprotocol: String,
    /// What a handler set last; empty for nothing.
    pub state: String,
    /// Value of `ce-signature`.
    pub signature: String,
    /// Host of the hub, without scheme.
    pub origin: String,
    /// Content type of the body.
    pub content_type: String,
    /// Value of `Cookie`; empty for none.
    pub cookies: String,
}

impl EventHead {
    /// Hub and connection that it comes from.
    #[must_use]
    pub fn source(&self) -> String {
        format!("/hubs/{}/client/{}", self.hub, self.connection_id)
    }

    /// The headers, in the order of the service's documentation.
    ///
    /// # Errors
    ///
    /// A value that cannot stand in a header.
    pub fn print(&self) -> Result<Vec<(HeaderName, HeaderValue)>, NotAscii> {
        let source = self.source();
        let mut headers = Vec::with_capacity(16);
        headers.push((CONTENT_TYPE, ascii(CONTENT_TYPE, &self.content_type)?));
        headers.push((REQUEST_ORIGIN, ascii(REQUEST_ORIGIN, &self.origin)?));
        headers.push((SPEC_VERSION, ONE));
        headers.push((AWPS_VERSION, ONE));
        for (name, value) in [
            (TYPE, self.event.cloud_event_type().as_str()),
            (SOURCE, &source),
            (ID, &self.id.to_string()),
            (TIME, &self.time),
            (SIGNATURE, &self.signature),
        ] {
            headers.push((name.clone(), ascii(name, value)?));
        }
        if !self.user_id.is_empty() {
            let user_id = HeaderValue::from_bytes(self.user_id.as_bytes());
            headers.push((USER_ID, user_id.map_err(|_| NotAscii(USER_ID))?));
        }
        for (name, value) in
            [(CONNECTION_ID, &self.connection_id), (HUB, &self.hub)].map(|(n, v)| (n, v.as_str()))
        {
            headers.push((name.clone(), ascii(name, value)?));
        }
        headers.push((EVENT_NAME, ascii(EVENT_NAME, self.event.name())?));
        for (name, value) in
            [(SUBPROTOCOL, &self.subprotocol), (STATE, &self.state), (COOKIE, &self.cookies)]
        {
            if !value.is_empty() {
                headers.push((name.clone(), ascii(name, value)?));
            }
        }
        Ok(headers)
    }

    /// Reads the headers of an event, as a handler does. What is wrong is said in words.
    pub fn parse(headers: &HeaderMap) -> Result<Self, String> {
        let text = |name: &HeaderName| {
            let value = headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
            String::from_utf8(value.to_vec()).map_err(|_| format!("`{name}` is not UTF-8"))
        };
        let needed = |name: &HeaderName| match text(name)? {
            value if value.is_empty() => Err(format!("`{name}` is missing")),
            value => Ok(value),
        };
        for version in [&SPEC_VERSION, &AWPS_VERSION] {
            if needed(version)? != "1.0" {
                return Err(format!("`{version}` is not 1.0"));
            }
        }
        let event = Event::of_cloud_event_type(&needed(&TYPE)?)
            .ok_or_else(|| format!("`{TYPE}` names no event"))?;
        if needed(&EVENT_NAME)? != event.name() {
            return Err(format!("`{EVENT_NAME}` is not the name in `{TYPE}`"));
        }
        let id = needed(&ID)?.parse().map_err(|_| format!("`{ID}` is not a number"))?;
        let head = Self {
            event,
            hub: needed(&HUB)?,
            connection_id: needed(&CONNECTION_ID)?,
            id,
            time: needed(&TIME)?,
            user_id: text(&USER_ID)?,
            subprotocol: text(&SUBPROTOCOL)?,
            state: text(&STATE)?,
            signature: joined(headers, &SIGNATURE),
            origin: needed(&REQUEST_ORIGIN)?,
            content_type: text(&CONTENT_TYPE)?,
            cookies: text(&COOKIE)?,
        };
        if needed(&SOURCE)? != head.source() {
            return Err(format!("`{SOURCE}` is not of this hub and connection"));
        }
        Ok(head)
    }
}

/// Every line of a header, with commas between.
fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let lines: Vec<&str> =
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    lines.join(",")
}

fn ascii(name: HeaderName, value: &str) -> Result<HeaderValue, NotAscii> {
    match HeaderValue::from_str(value) {
        Ok(header) if value.is_ascii() => Ok(header),
        _ => Err(NotAscii(name)),
    }
}

/// Headers of a validation: no cookies, no signature.
///
/// # Errors
///
/// An origin that cannot stand in a header.
pub fn validation_headers(origin: &str) -> Result<Vec<(HeaderName, HeaderValue)>, NotAscii> {
    Ok(vec![(REQUEST_ORIGIN, ascii(REQUEST_ORIGIN, origin)?), (AWPS_VERSION, ONE)])
}

/// Body of `connect`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectBody {
    /// All claims of the token.
    pub claims: BTreeMap<String, Vec<String>>,
    /// Query of the client's request, without its token.
    pub query: BTreeMap<String, Vec<String>>,
    /// Headers of the client's request, without `Authorization`.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Subprotocols that the client offers, in its order.
    pub subprotocols: Vec<String>,
    /// Certificates of the client.
    pub client_certificates: Vec<ClientCertificate>,
}

/// A certificate of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// SHA-1 of it.
    pub thumbprint: String,
    /// PEM.
    pub content: String,
}

/// Names of headers that no handler gets (service-side facts, 2.4), lower-case.
const INTERNAL: &str = "x-asrs-internal-";

impl ConnectBody {
    /// Adds a header of the client's request, unless it is the hub's own business.
    pub fn add_header(&mut self, name: &str, value: &str) {
        let lower = name.to_ascii_lowercase();
        if lower != "authorization" && !lower.starts_with(INTERNAL) {
            self.headers.entry(name.to_owned()).or_default().push(value.to_owned());
        }
    }

    /// Adds a pair of the query, unless it is the token.
    pub fn add_query(&mut self, name: &str, value: &str) {
        if !name.eq_ignore_ascii_case("access_token") {
            self.query.entry(name.to_owned()).or_default().push(value.to_owned());
        }
    }
}

/// Body of `connected`.
pub const CONNECTED_BODY: &str = "{}";

/// Body of `disconnected`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisconnectedBody {
    /// Why, for people; may be empty.
    pub reason: String,
}

/// Content type of a user event's payload.
#[must_use]
pub const fn content_type_of(payload: &Payload) -> &'static str {
    match payload {
        Payload::Text(_) => "text/plain",
        Payload::Json(_) => "application/json",
        Payload::Binary(_) => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::resource_log::utc_seconds;
    use super::super::{EventName, SystemEvent};
    use super::*;

    fn head(event: Event) -> EventHead {
        EventHead {
            event,
            hub: "chat".into(),
            connection_id: "c1".into(),
            id: 3,
            time: utc_seconds(1_631_856_305_999_999_999),
            user_id: "J\u{f6}rg".into(),
            subprotocol: "json.webpubsub.azure.v1".into(),
            state: "abc=".into(),
            signature: "sha256=00,sha256=11".into(),
            origin: "hub.example".into(),
            content_type: "text/plain".into(),
            cookies: "a=b; c=d".into(),
        }
    }

    fn lines(head: &EventHead) -> Vec<String> {
        let print = |(name, value): &(HeaderName, HeaderValue)| {
            format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
        };
        head.print().unwrap().iter().map(print).collect()
    }

    #[test]
    fn an_event_has_the_services_headers() {
        let event = Event::User(EventName::parse("chat").unwrap());
        assert_eq!(
            lines(&head(event)),
            [
                "content-type: text/plain",
                "webhook-request-origin: hub.example",
                "ce-specversion: 1.0",
                "ce-awpsversion: 1.0",
                "ce-type: azure.webpubsub.user.chat",
                "ce-source: /hubs/chat/client/c1",
                "ce-id: 3",
                "ce-time: 2021-09-17T05:25:05Z",
                "ce-signature: sha256=00,sha256=11",
                "ce-userid: J\u{f6}rg",
                "ce-connectionid: c1",
                "ce-hub: chat",
                "ce-eventname: chat",
                "ce-subprotocol: json.webpubsub.azure.v1",
                "ce-connectionstate: abc=",
                "cookie: a=b; c=d",
            ]
        );
    }

    #[test]
    fn what_is_empty_is_not_sent() {
        let head = EventHead {
            user_id: String::new(),
            subprotocol: String::new(),
            state: String::new(),
            cookies: String::new(),
            content_type: SYSTEM_CONTENT_TYPE.into(),
            ..head(Event::System(SystemEvent::Connect))
        };
        let lines = lines(&head);
        assert_eq!(lines.len(), 12, "{lines:?}");
        assert_eq!(lines[0], "content-type: application/json; charset=utf-8");
        assert_eq!(lines[4], "ce-type: azure.webpubsub.sys.connect");
    }

    #[test]
    fn what_is_printed_is_parsed() {
        for event in [
            Event::System(SystemEvent::Disconnected),
            Event::User(EventName::parse("a.B-c_1").unwrap()),
        ] {
            let head = head(event);
            let headers: HeaderMap = head.print().unwrap().into_iter().collect();
            assert_eq!(EventHead::parse(&headers), Ok(head));
            let names: Vec<HeaderName> = headers.keys().cloned().collect();
            let optional = [USER_ID, SUBPROTOCOL, STATE, SIGNATURE, CONTENT_TYPE, COOKIE];
            for name in names.into_iter().filter(|name| !optional.contains(name)) {
                let mut without = headers.clone();
                without.remove(&name);
                assert_eq!(EventHead::parse(&without), Err(format!("`{name}` is missing")));
            }
        }
    }

    #[test]
    fn only_a_user_id_may_hold_more_than_ascii() {
        let event = Event::User(EventName::message());
        for (spoilt, name) in [
            (EventHead { state: "\u{e4}".into(), ..head(event.clone()) }, STATE),
            (EventHead { hub: "h\u{fc}b".into(), ..head(event.clone()) }, SOURCE),
            (EventHead { user_id: "a\nb".into(), ..head(event.clone()) }, USER_ID),
        ] {
            assert_eq!(spoilt.print(), Err(NotAscii(name)));
        }
    }

    #[test]
    fn a_connect_body_leaves_out_tokens() {
        let mut body = ConnectBody::default();
        for name in ["Authorization", "x-ASRS-Internal-A", "User-Agent"] {
            body.add_header(name, "v");
        }
        for (name, value) in [("Access_Token", "t"), ("a", "1"), ("a", "2")] {
            body.add_query(name, value);
        }
        body.subprotocols.push("p".into());
        assert_eq!(
            serde_json::to_string(&body).unwrap(),
            r#"{"claims":{},"query":{"a":["1","2"]},"headers":{"User-Agent":["v"]},"#.to_owned()
                + r#""subprotocols":["p"],"clientCertificates":[]}"#
        );
    }

    #[test]
    fn validations_carry_neither_cookie_nor_signature() {
        let headers = validation_headers("h:8080").unwrap();
        assert_eq!(headers.len(), 2);
        assert_eq!(
            (&headers[0].1, &headers[1].0),
            (&HeaderValue::from_static("h:8080"), &AWPS_VERSION)
        );
        validation_headers("h\u{f6}st").unwrap_err();
    }
}
