//! What event handlers answer, and what it means (service-side facts, 2.2, 2.4 and 2.5).

use http::header::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};

use super::super::rest::is_group_name;
use super::super::subprotocol::Payload;

/// Whom a handler lets send it events.
pub const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");

/// Why a success of a handler is none after all. Never holds what it answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAnswer(pub String);

/// What a handler decided about a connection. What it leaves out is as the token says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectAnswer {
    /// The user, even an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Groups to join, in place of the token's unless there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Roles in place of the token's, even none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// The subprotocol; one that the hub does not speak makes the client a simple one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subprotocol: Option<String>,
}

impl ConnectAnswer {
    /// Reads the body of a success, whatever its content type. An empty one and `null` decide
    /// nothing.
    ///
    /// # Errors
    ///
    /// A body that is not such an object, or that names no group's name.
    pub fn parse(body: &[u8]) -> Result<Self, BadAnswer> {
        let body = body.trim_ascii();
        let answer = match body.first() {
            None => Self::default(),
            // Of an array the fields would be read in their order.
            Some(b'[') => {
                return Err(BadAnswer("the answer to connect is not a JSON object".to_owned()));
            }
            Some(_) => serde_json::from_slice::<Option<Self>>(body)
                .map_err(|error| {
                    // The error's own text may repeat what was answered.
                    let (line, column) = (error.line(), error.column());
                    BadAnswer(format!(
                        "the answer to connect is not what one may be, at line {line} column \
                         {column}"
                    ))
                })?
                .unwrap_or_default(),
        };
        if answer.groups.iter().flatten().all(|group| is_group_name(group)) {
            Ok(answer)
        } else {
            Err(BadAnswer("the answer to connect has an invalid group name".to_owned()))
        }
    }
}

/// What goes back to the client after a user event was handled; `None` for nothing.
///
/// # Errors
///
/// A body of a content type that no message has, or that is not what its content type says.
pub fn user_event_answer(
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Option<Payload>, BadAnswer> {
    if body.is_empty() {
        return Ok(None);
    }
    let bad = |what: &str| BadAnswer(format!("the answer to the event {what}"));
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    let text =
        || String::from_utf8(body.to_vec()).map_err(|_| bad("is of a text type and is not UTF-8"));
    match essence.trim().to_ascii_lowercase().as_str() {
        "text/plain" => Ok(Some(Payload::Text(text()?))),
        "application/json" => {
            let text = text()?;
            // It stands in the client's frame as it is, so it must be whole.
            match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
                Ok(_) => Ok(Some(Payload::Json(text))),
                Err(_) => Err(bad("is of a JSON type and is not JSON")),
            }
        }
        "application/octet-stream" | "" => Ok(Some(Payload::Binary(body.to_vec()))),
        _ => Err(bad("has a content type that no message has")),
    }
}

/// Whether a handler's answer to a validation lets this origin (a host, with or without port) send
/// it events. Each line is compared whole: several origins must stand on several lines.
#[must_use]
pub fn allows_origin(headers: &HeaderMap, origin: &str) -> bool {
    let host = without_port(origin);
    allowed_origins(headers).iter().any(|allowed| {
        let allowed = allowed.trim();
        allowed == "*" || allowed.eq_ignore_ascii_case(origin) || allowed.eq_ignore_ascii_case(host)
    })
}

/// Every line of the origins a handler allows.
#[must_use]
pub fn allowed_origins(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(&ALLOWED_ORIGIN).iter();
    lines.map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned()).collect()
}

/// A host without its port.
#[must_use]
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            // The last part of a bare IPv6 address is no port.
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_answer_to_connect_decides_what_it_names_and_nothing_else() {
        for nothing in ["", " \n", "null", "{}", r#"{"userId":null,"groups":null,"more":1}"#] {
            assert_eq!(ConnectAnswer::parse(nothing.as_bytes()), Ok(ConnectAnswer::default()));
        }
        let text = r#"{"userId":"","groups":["g"],"roles":[],"subprotocol":"p"}"#;
        let answer = ConnectAnswer {
            user_id: Some(String::new()),
            groups: Some(vec!["g".into()]),
            roles: Some(Vec::new()),
            subprotocol: Some("p".into()),
        };
        assert_eq!(ConnectAnswer::parse(text.as_bytes()).as_ref(), Ok(&answer));
        assert_eq!(serde_json::to_string(&answer).unwrap(), text);
        for bad in ["x", "[]", "7", r#"{"userId":7}"#, r#"{"groups":[""]}"#, r#"{"roles":"a"}"#] {
            let said = ConnectAnswer::parse(bad.as_bytes()).unwrap_err().to_string();
            assert!(!said.contains(bad) || bad == "x", "{said}");
        }
    }

    #[test]
    fn an_answer_to_an_event_is_read_by_its_content_type() {
        let read = |content_type: Option<&str>, body: &[u8]| user_event_answer(content_type, body);
        assert_eq!(read(Some("image/png"), b""), Ok(None));
        assert_eq!(
            read(Some("text/plain; charset=utf-8"), b"hi"),
            Ok(Some(Payload::Text("hi".into())))
        );
        assert_eq!(
            read(Some("Application/JSON"), b"{ \"a\":1}"),
            Ok(Some(Payload::Json("{ \"a\":1}".into())))
        );
        for content_type in [None, Some(""), Some("application/octet-stream")] {
            assert_eq!(read(content_type, &[0xff]), Ok(Some(Payload::Binary(vec![0xff]))));
        }
        for (content_type, body) in
            [("image/png", &b"x"[..]), ("application/json", b"{"), ("text/plain", &[0xff])]
        {
            read(Some(content_type), body).unwrap_err();
        }
    }

    #[test]
    fn an_origin_is_allowed_by_a_line_of_its_own() {
        let allows = |lines: &[&str], origin: &str| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(ALLOWED_ORIGIN, HeaderValue::from_str(line).unwrap());
            }
            allows_origin(&headers, origin)
        };
        for lines in [&["*"][..], &["hub.example"], &["HUB.example:8080"], &["x", "hub.example"]] {
            assert!(allows(lines, "hub.example:8080"), "{lines:?}");
        }
        for lines in
            [&[][..], &["x, hub.example"], &["hub.example,*"], &["hub.example:81"], &["hub"], &[""]]
        {
            assert!(!allows(lines, "hub.example:8080"), "{lines:?}");
        }
        assert!(allows(&["[::1]"], "[::1]:80"));
        assert!(!allows(&["fe80:"], "fe80::1"));
    }
}
