//! What can be wrong with an answer: how it is told, where the guide has it, what to change.

use std::time::Duration;

use super::CheckOptions;
use super::finding::{Guide, LogLine};
use crate::net::http::{HttpAnswer, HttpError};
use crate::protocol::webhook::answer::allowed_origins;
use crate::protocol::webhook::{Event, WebhookFailure, WebhookUrl, allows_origin, texts};

/// Bytes of a handler's own words in a message.
const WORDS_CHARS_MAX: usize = 200;

/// What is wrong with an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// No connection: name, port or certificate.
    Unreached(String),
    /// No answer in time.
    TimedOut(Duration),
    /// The connection ended before the answer.
    Broken,
    /// A body that the service does not read.
    TooLarge {
        /// The most it reads, in bytes.
        limit: usize,
    },
    /// 404.
    NotFound,
    /// 3xx.
    Redirect(u16),
    /// 401 or 403.
    Denied(u16),
    /// Another status that is no success.
    Status(u16),
    /// The handler takes the hub for another one.
    TargetInvalid(u16),
    /// A validation without an allowed origin.
    NoOrigin,
    /// A validation whose allowed origins are others.
    OtherOrigin(Vec<String>),
    /// A validation with several origins in one line.
    OriginList(Vec<String>),
    /// An answer to `connect` that is none.
    BadConnectAnswer(String),
    /// An answer to a user event that no client can get.
    BadEventAnswer(String),
    /// A state that cannot be sent back.
    BadState,
    /// A client was let in that must not be.
    LetIn,
}

impl Fault {
    /// Whether both have one cause, so that telling one of them is enough.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Status(one), Self::Status(other)) | (Self::Denied(one), Self::Denied(other)) => {
                one == other
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// Of a request without an answer.
    pub fn of_error(error: &HttpError) -> Self {
        match error {
            HttpError::Connect(error) => Self::Unreached(error.to_string()),
            HttpError::TimedOut(within) => Self::TimedOut(*within),
            HttpError::Broken(_) | HttpError::BadRequest(_) => Self::Broken,
            HttpError::TooLarge { limit } => Self::TooLarge { limit: *limit },
        }
    }

    /// Of the status of an answer, unless it is a success.
    pub fn of_status(answer: &HttpAnswer) -> Option<Self> {
        let status = answer.status.as_u16();
        if answer.status.is_success() {
            return None;
        }
        let words = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
        Some(match status {
            _ if words.contains(&target_invalid()) => Self::TargetInvalid(status),
            404 => Self::NotFound,
            401 | 403 => Self::Denied(status),
            300..=399 => Self::Redirect(status),
            _ => Self::Status(status),
        })
    }

    /// Of the answer to a validation for one of these origins.
    pub fn of_validation(answer: &HttpAnswer, origin: &str) -> Option<Self> {
        if let Some(fault) = Self::of_status(answer) {
            return Some(fault);
        }
        if allows_origin(&answer.headers, origin) {
            return None;
        }
        let origins = allowed_origins(&answer.headers);
        Some(if origins.is_empty() {
            Self::NoOrigin
        } else if origins.iter().any(|line| line.contains(',')) {
            Self::OriginList(origins)
        } else {
            Self::OtherOrigin(origins)
        })
    }

    /// What is so, in a line.
    pub fn what(&self) -> String {
        match self {
            Self::Unreached(why) => why.clone(),
            Self::TimedOut(within) => format!("no answer within {within:?}"),
            Self::Broken => "the connection ended before an answer".to_owned(),
            Self::TooLarge { limit } => {
                format!("the answer's body is over {} MiB", limit / (1024 * 1024))
            }
            Self::NotFound => "answered 404".to_owned(),
            Self::Redirect(status) => format!("answered {status}, a redirect"),
            Self::Denied(status) | Self::Status(status) => format!("answered {status}"),
            Self::TargetInvalid(status) => {
                format!("answered {status}: the handler takes this hub for another one")
            }
            Self::NoOrigin => "no WebHook-Allowed-Origin in the answer".to_owned(),
            Self::OtherOrigin(_) => "WebHook-Allowed-Origin names another host".to_owned(),
            Self::OriginList(_) => "WebHook-Allowed-Origin is a list with commas".to_owned(),
            Self::BadConnectAnswer(why) | Self::BadEventAnswer(why) => why.clone(),
            Self::BadState => "ce-connectionState holds more than ASCII".to_owned(),
            Self::LetIn => "the client was let in, and must not be".to_owned(),
        }
    }

    /// Where Microsoft writes about it.
    pub const fn guide(&self, subject: &Subject<'_>) -> Guide {
        match (self, subject) {
            (Self::NoOrigin | Self::OtherOrigin(_) | Self::OriginList(_), _) => {
                Guide::MissingAllowedOrigin
            }
            (Self::Denied(401), Subject::Validation(_)) => Guide::Unauthorized,
            (_, Subject::Validation(_)) => Guide::Debugging,
            (Self::NotFound, Subject::Event(_)) => Guide::NotFound,
            (Self::TargetInvalid(_) | Self::Status(500..), Subject::Event(_)) => Guide::ServerError,
            (Self::Unreached(_) | Self::TimedOut(_) | Self::Broken, Subject::Event(_)) => {
                Guide::Debugging
            }
            (_, Subject::Event(_)) => Guide::CloudEvents,
        }
    }

    /// What the service's log says of it; nothing where that is not known. `body` is that of the
    /// answer.
    pub fn log(
        &self,
        options: &CheckOptions,
        subject: &Subject<'_>,
        body: &str,
    ) -> Option<LogLine> {
        let hub = &options.hub;
        let (event, message) = match (self, subject) {
            (Self::Unreached(_) | Self::TimedOut(_) | Self::Broken, Subject::Validation(url)) => {
                (WebhookFailure::AbuseProtectionResponseFailed, texts::validation_failed(url))
            }
            (Self::NoOrigin, Subject::Validation(url)) => (
                WebhookFailure::AbuseProtectionResponseMissingAllowedOrigin,
                texts::missing_origins(url, &[]),
            ),
            (Self::OtherOrigin(origins) | Self::OriginList(origins), Subject::Validation(url)) => (
                WebhookFailure::AbuseProtectionResponseMissingAllowedOrigin,
                texts::missing_origins(url, origins),
            ),
            (_, Subject::Validation(url)) => (
                WebhookFailure::AbuseProtectionResponseInvalidStatusCode,
                texts::invalid_status(url, self.status()?),
            ),
            (_, Subject::Event(event)) => (
                WebhookFailure::HttpHandlerUnexpectedResponse,
                texts::unexpected(hub, event, self.status()?, body.as_bytes()),
            ),
        };
        Some(LogLine { event: event.name(), message })
    }

    /// The status, where that is what is wrong.
    const fn status(&self) -> Option<u16> {
        match self {
            Self::NotFound => Some(404),
            Self::Redirect(status)
            | Self::Denied(status)
            | Self::Status(status)
            | Self::TargetInvalid(status) => Some(*status),
            Self::Unreached(_)
            | Self::TimedOut(_)
            | Self::Broken
            | Self::TooLarge { .. }
            | Self::NoOrigin
            | Self::OtherOrigin(_)
            | Self::OriginList(_)
            | Self::BadConnectAnswer(_)
            | Self::BadEventAnswer(_)
            | Self::BadState
            | Self::LetIn => None,
        }
    }

    /// What to change.
    pub fn change(&self, options: &CheckOptions, subject: &Subject<'_>) -> String {
        let (hub, origin) = (&options.hub, &options.origin);
        match (self, subject) {
            (Self::Unreached(_), _) => {
                "the service says AbuseProtectionResponseFailed of a URL whose host it cannot \
                 resolve, connect to or trust: correct the host and port of the URL template, open \
                 the firewall, and serve a certificate that public authorities have signed"
                    .to_owned()
            }
            (Self::TimedOut(_), Subject::Validation(_)) => {
                "answer OPTIONS at once, before anything that has to start: the service gives a \
                 validation 10 s. Keep the application awake (Always On, or a plan that does not \
                 sleep)"
                    .to_owned()
            }
            (Self::TimedOut(_), Subject::Event(event)) => format!(
                "answer `{}` sooner and do slow work after the answer: whoever sent it waits, and \
                 so does every later event of that client. (--timeout lets the check wait longer; \
                 the service's own limit is said to be 100 s)",
                event.name()
            ),
            (Self::Broken, _) => {
                "the server closed or reset the connection instead of answering: look at its log \
                 for a crash, at a proxy between for a limit, and whether http and https are mixed \
                 up. The service tries again after 1, 3 and 5 s"
                    .to_owned()
            }
            (Self::TooLarge { .. }, _) => {
                "answer with less: the service reads at most 16 MiB and fails the event otherwise"
                    .to_owned()
            }
            (Self::NotFound, Subject::Validation(_)) => format!(
                "nobody answers OPTIONS, nor GET, at this path: compare the URL template with the \
                 path that the application serves (the Express middleware's is \
                 /api/webpubsub/hubs/{hub}/), and route OPTIONS to the event handler"
            ),
            (Self::NotFound, Subject::Event(event)) => format!(
                "compare the URL template with the path that the application serves, and its hub \
                 with `{hub}` (--hub names another one). If the application is not to get `{}`, \
                 take it out of the hub's settings",
                event.name()
            ),
            (Self::Redirect(_), _) => {
                "the service follows no redirect: put the final URL into the URL template (https \
                 instead of http, the slash at the end, the host with or without www), and exempt \
                 the path from a login page"
                    .to_owned()
            }
            (Self::Denied(_), Subject::Validation(_)) => {
                "let OPTIONS through the application's authentication, which sees no token of \
                 yours in it: for a function with WebPubSubTrigger end the URL template with \
                 `?code=` and its App Key; exempt the path from App Service authentication, from a \
                 gateway's keys and from address filters"
                    .to_owned()
            }
            (Self::Denied(_), Subject::Event(_)) => {
                "only `connect` may refuse a client; let the service's POST through the \
                 application's authentication, with `?code=` and the key in the URL template where \
                 one is asked for"
                    .to_owned()
            }
            (Self::TargetInvalid(_), _) => format!(
                "give the application the connection string of the very resource that calls it: \
                 its key must be one of the two in use (a rotated one is not), and its endpoint's \
                 host must be `{origin}`. {}",
                options.signed_by.advice()
            ),
            (Self::Status(500..), _) => {
                "look into the application's log for this request. The service tries again after \
                 1, 3 and 5 s, then fails the event: `connect` answers the client with 500, a user \
                 event drops its connection"
                    .to_owned()
            }
            (Self::Status(status), Subject::Validation(_)) => format!(
                "answer OPTIONS with 200 or 204 in place of {status}, and with \
                 `WebHook-Allowed-Origin: {origin}`; the method must be allowed at this path"
            ),
            (Self::Status(status), Subject::Event(event)) => format!(
                "answer `{}` with 200 or 204 in place of {status}: any other status fails the \
                 event. If the application refuses the check's payload as none of its own, that \
                 is what its clients would meet too",
                event.name()
            ),
            (Self::NoOrigin, _) => format!(
                "answer OPTIONS with the header `WebHook-Allowed-Origin: {origin}`, or `*`. A CORS \
                 handler that answers OPTIONS first hides the event handler: exempt the path from \
                 it. The server SDKs do this by themselves"
            ),
            (Self::OtherOrigin(origins), _) => format!(
                "add `{origin}` to the origins that the application allows: it names {} (Express: \
                 allowedEndpoints: [\"https://{origin}\"])",
                quoted(origins)
            ),
            (Self::OriginList(_), _) => {
                "send a header line for each origin: the service compares every line whole and \
                 takes no list apart"
                    .to_owned()
            }
            (Self::BadConnectAnswer(_), _) => {
                "answer connect with 204 and nothing, or with a JSON object of userId (text), \
                 groups and roles (arrays of text) and subprotocol (text), all optional; otherwise \
                 the client's handshake fails with 500"
                    .to_owned()
            }
            (Self::BadEventAnswer(_), _) => {
                "answer a user event with 204 and nothing, or with a body of text/plain, \
                 application/json or application/octet-stream that is what its type says; \
                 anything else fails the event"
                    .to_owned()
            }
            (Self::BadState, _) => {
                "encode the state, as base64 for instance: a header carries ASCII, and every later \
                 event of the connection would fail"
                    .to_owned()
            }
            (Self::LetIn, _) => {
                "answer connect with 401 or 403 for a client that is not to come in".to_owned()
            }
        }
    }
}

/// What an answer is to.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A validation of this URL.
    Validation(&'a WebhookUrl),
    /// An event.
    Event(&'a Event),
}

/// The part of the guide's text by which an answer is known.
fn target_invalid() -> String {
    texts::TARGET_INVALID.trim_start_matches("Request is denied as ").to_ascii_lowercase()
}

fn quoted(list: &[String]) -> String {
    let quoted: Vec<_> = list.iter().map(|text| format!("`{text}`")).collect();
    quoted.join(", ").chars().take(WORDS_CHARS_MAX).collect()
}
