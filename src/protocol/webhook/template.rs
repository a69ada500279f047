//! Where events go: URL templates, names of events, and patterns of names.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::super::Endpoint;

/// Longest event name, in characters (service-side facts, 2.1).
const NAME_CHARS_MAX: usize = 128;
/// What stands in a template for the hub's name, in any case.
const HUB: &str = "{hub}";
/// What stands in a template for the event's name, in any case.
const EVENT: &str = "{event}";
/// Stands for the event in the URL of a validation.
const VALIDATE: &str = "validate";
/// What is escaped in a value: everything but the unreserved characters of RFC 3986.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Name of a user event: `[a-z][a-z0-9_.-]{0,127}` in any case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventName(String);

impl EventName {
    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut chars = text.chars();
        let starts = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
        let goes_on = chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        if starts && goes_on && text.len() <= NAME_CHARS_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "an event name starts with a letter, goes on with letters, digits, `_`, `.` and \
                 `-`, and has at most {NAME_CHARS_MAX} characters"
            ))
        }
    }

    /// The event of a simple client's frame.
    #[must_use]
    pub fn message() -> Self {
        Self("message".to_owned())
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which user events a handler takes: `*`, or names with commas between; none when empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserEventPattern(Names);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    Every,
    These(Vec<EventName>),
}

impl Default for Names {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl UserEventPattern {
    /// Parses a pattern; blanks around names do not count.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" => Ok(Self(Names::These(Vec::new()))),
            "*" => Ok(Self(Names::Every)),
            list => {
                let names = list.split(',').map(|name| EventName::parse(name.trim()));
                names.collect::<Result<_, _>>().map(Names::These).map(Self)
            }
        }
    }

    /// Whether a name is meant, in any case.
    #[must_use]
    pub fn matches(&self, name: &EventName) -> bool {
        match &self.0 {
            Names::Every => true,
            Names::These(names) => {
                names.iter().any(|known| known.as_str().eq_ignore_ascii_case(name.as_str()))
            }
        }
    }
}

/// An absolute http(s) URL in which `{hub}` and `{event}` may stand behind the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlTemplate {
    text: String,
    endpoint: Endpoint,
}

/// A filled template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrl {
    /// Scheme, host and port.
    pub endpoint: Endpoint,
    /// Path and query, escaped.
    pub path_and_query: String,
}

impl std::fmt::Display for WebhookUrl {
    /// Without the query, which may hold a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        write!(f, "{}{path}", self.endpoint)
    }
}

impl UrlTemplate {
    /// Parses a template. The error never repeats the text, which may hold a key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (authority, behind) =
            split(text).ok_or("an event handler's URL begins with http:// or https://")?;
        let lower = text.to_ascii_lowercase();
        if !lower.starts_with("http://") && !lower.starts_with("https://") {
            return Err("an event handler's URL begins with http:// or https://".to_owned());
        }
        if authority.contains('{') {
            return Err("no parameter may stand in the host of an event handler's URL".to_owned());
        }
        let endpoint = Endpoint::parse(authority)?;
        let unknown = unescaped(&fill(behind, "h", "e"));
        if unknown {
            return Err(
                "an event handler's URL may hold {hub} and {event}, and no other braces, blanks \
                 or fragment"
                    .to_owned(),
            );
        }
        Ok(Self { text: text.to_owned(), endpoint })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whom it names.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The URL of an event of a hub.
    #[must_use]
    pub fn fill(&self, hub: &str, event: &str) -> WebhookUrl {
        let behind = split(&self.text).map_or("", |(_, behind)| behind);
        let mut path_and_query = fill(behind, hub, event);
        if !path_and_query.starts_with('/') {
            path_and_query.insert(0, '/');
        }
        WebhookUrl { endpoint: self.endpoint.clone(), path_and_query }
    }

    /// The URL that is validated before the first event.
    #[must_use]
    pub fn fill_for_validation(&self, hub: &str) -> WebhookUrl {
        self.fill(hub, VALIDATE)
    }
}

/// Scheme and authority, and what stands behind.
fn split(text: &str) -> Option<(&str, &str)> {
    let authority = text.find("://")? + 3;
    let behind = text[authority..].find(['/', '?', '#']).map_or(text.len(), |at| authority + at);
    Some(text.split_at(behind))
}

/// Puts escaped values where the parameters stand.
fn fill(behind: &str, hub: &str, event: &str) -> String {
    let mut out = String::with_capacity(behind.len());
    let mut rest = behind;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let named = |name: &str| {
            rest.get(..name.len()).is_some_and(|given| given.eq_ignore_ascii_case(name))
        };
        let (value, length) = if named(HUB) {
            (hub, HUB.len())
        } else if named(EVENT) {
            (event, EVENT.len())
        } else {
            out.push('{');
            rest = &rest[1..];
            continue;
        };
        out.extend(utf8_percent_encode(value, &ESCAPED));
        rest = &rest[length..];
    }
    out + rest
}

/// Whether something stands in a path or query that may not.
fn unescaped(path_and_query: &str) -> bool {
    let bad = |c: char| !c.is_ascii_graphic() || matches!(c, '{' | '}' | '#' | '"' | '<' | '>');
    path_and_query.chars().any(bad)
}

macro_rules! text_in_files {
    ($type:ty, $text:expr) => {
        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                Self::parse(&text)
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                let text: fn(&$type) -> String = $text;
                text(&value)
            }
        }
    };
}

text_in_files!(EventName, |name| name.0.clone());
text_in_files!(UrlTemplate, |template| template.text.clone());
text_in_files!(UserEventPattern, |pattern| match &pattern.0 {
    Names::Every => "*".to_owned(),
    Names::These(names) => names.iter().map(EventName::as_str).collect::<Vec<_>>().join(","),
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_filled_in_any_case_and_escaped() {
        let template = UrlTemplate::parse("http://h:81/api/{HUB}/x/{event}?code=a{Event}").unwrap();
        let url = template.fill("chat room", "a/b");
        assert_eq!(url.path_and_query, "/api/chat%20room/x/a%2Fb?code=aa%2Fb");
        assert_eq!(url.to_string(), "http://h:81/api/chat%20room/x/a%2Fb", "no query");
        let validated = template.fill_for_validation("h").path_and_query;
        assert_eq!(validated, "/api/h/x/validate?code=avalidate");
        assert_eq!(UrlTemplate::parse("https://h").unwrap().fill("h", "e").path_and_query, "/");
        assert_eq!(UrlTemplate::parse("https://h?a").unwrap().fill("h", "e").path_and_query, "/?a");
    }

    #[test]
    fn templates_that_lead_nowhere_are_refused_without_repeating_them() {
        for bad in [
            "",
            "secret",
            "ftp://secret/",
            "tunnel:///secret",
            "http:///secret",
            "http://{hub}/secret",
            "http://h/{secret}",
            "http://h/a secret",
            "http://h/#secret",
            "http://h:x/secret",
        ] {
            let error = UrlTemplate::parse(bad).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn patterns_are_everything_or_names_in_any_case() {
        let name = |text: &str| EventName::parse(text).unwrap();
        let pattern = UserEventPattern::parse(" Chat , join.x ").unwrap();
        assert!(pattern.matches(&name("chat")) && pattern.matches(&name("JOIN.X")));
        assert!(!pattern.matches(&name("join")));
        assert!(UserEventPattern::parse("*").unwrap().matches(&name("any")));
        assert!(!UserEventPattern::parse("").unwrap().matches(&name("any")));
        for bad in ["a,,b", "1a", "a b", "a*"] {
            UserEventPattern::parse(bad).unwrap_err();
        }
        let pattern = String::from(pattern);
        assert_eq!(pattern, "Chat,join.x");
        EventName::parse(&"a".repeat(NAME_CHARS_MAX)).unwrap();
        EventName::parse(&"a".repeat(NAME_CHARS_MAX + 1)).unwrap_err();
    }
}
