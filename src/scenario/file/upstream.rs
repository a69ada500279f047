//! The grammar of `[upstream]`, and of a file of its own for `squall upstream`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::at::{At, Named};
use super::super::plan::{KeyOf, Verify};
use super::super::units::{Count, Lasting, Share, Size, Span};
use super::population::EmptyFile;

/// The application server behind the hub's event handlers, and how it answers or misanswers. Where
/// no rule takes a request it is healthy: it grants validations, and answers events with 204.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct UpstreamFile {
    /// What becomes of an event whose signature or origin is missing or wrong. Default `ignore`.
    pub verify: Option<At<Verify>>,
    /// Whose access keys signatures are verified with. Default `hub`: those of the hub whose events
    /// come.
    pub access_key: Option<At<KeyOf>>,
    /// Every request whose query lacks `code=` with this value is answered with 401. Default: no
    /// key is asked for.
    pub key: Option<At<String>>,
    /// It sleeps until the first request. Default: it is awake.
    pub cold_start: Option<At<ColdStartFile>>,
    /// When nobody listens. Default: never.
    pub down: Option<At<Vec<At<DownFile>>>>,
    /// The first rule that takes a request answers it.
    pub rules: Option<At<Vec<At<RuleFile>>>>,
}

/// A file with the section alone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct UpstreamAlone {
    pub upstream: At<UpstreamFile>,
}

/// A server that sleeps until somebody asks for something.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct ColdStartFile {
    /// How long its first answer takes; requests that come meanwhile wait for it too.
    pub lasting: At<Lasting>,
    /// It falls asleep again once nothing was asked for so long. Default: never.
    pub after_idle: Option<At<Lasting>>,
}

/// A window in which nobody listens: connections are refused, and open ones are reset.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct DownFile {
    /// Since when. Default 0 s.
    pub from: Option<At<Lasting>>,
    /// Until when. Default: the end.
    pub until: Option<At<Lasting>>,
}

/// Which requests get which answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct RuleFile {
    /// `validate`, `connect`, `connected`, `disconnected`, names of user events, or `*` for every
    /// user event. A user event of one of the first names is `user:connect`. Default: every
    /// request.
    pub on: Option<At<Vec<At<String>>>>,
    /// Only of this hub. A validation does not name its hub. Default: of any.
    pub hub: Option<At<String>>,
    /// Since when. Default 0 s.
    pub from: Option<At<Lasting>>,
    /// Until when. Default: the end.
    pub until: Option<At<Lasting>>,
    /// Only the first so many of these requests. Default: all.
    pub first: Option<At<Count>>,
    /// Only this share of these requests, drawn from the seed. Default: all.
    pub probability: Option<At<Share>>,
    /// What they get.
    pub answer: At<AnswerFile>,
}

/// An answer, or none. At most one of the bodies stands in it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct AnswerFile {
    /// HTTP status. Default: 200 for a validation, else 200 with a body and 204 without.
    pub status: Option<At<Count>>,
    /// How long it takes, or a range to draw from: `"50ms..2s"`. Default: no time.
    pub delay: Option<At<Span>>,
    /// A body of text.
    pub body: Option<At<String>>,
    /// A body of JSON, as a text.
    pub json: Option<At<String>>,
    /// The body that answers `connect`.
    pub connect: Option<At<GrantFile>>,
    /// What was sent, back to its sender: for user events.
    pub echo: Option<At<EmptyFile>>,
    /// A body of JSON that breaks off.
    pub malformed: Option<At<EmptyFile>>,
    /// A body of so many bytes; the service takes at most 16 MiB.
    pub oversize: Option<At<Size>>,
    /// Type of the body. Default: what it is.
    pub content_type: Option<At<String>>,
    /// Further headers.
    pub headers: Option<At<Named<String>>>,
    /// New state of the connection (`ce-connectionState`).
    pub state: Option<At<String>>,
    /// Which origins an answer to a validation allows. Default `asked`.
    pub origin: Option<At<OriginFile>>,
    /// Sends the asker to another URL, with status 307 if no other is set.
    pub redirect: Option<At<String>>,
    /// No answer: the connection is reset.
    pub reset: Option<At<EmptyFile>>,
    /// No answer: the connection ends in order.
    pub close: Option<At<EmptyFile>>,
}

/// What an answer to `connect` grants.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct GrantFile {
    /// Takes the place of the token's user id.
    pub user: Option<At<String>>,
    /// Take the place of the token's groups, if there are any.
    pub groups: Option<At<Vec<At<String>>>>,
    /// Take the place of the token's roles, also when there are none.
    pub roles: Option<At<Vec<At<String>>>>,
    /// The subprotocol to speak.
    pub subprotocol: Option<At<String>>,
}

/// Which origins an answer to a validation allows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum OriginFile {
    /// The one that asks.
    Asked,
    /// `*`.
    Any,
    /// The header is not there.
    Missing,
    /// Somebody else's.
    Wrong,
    /// These, a header line each, as the contract wants it.
    Lines(At<Vec<At<String>>>),
    /// These, in one line with commas between, which no hub takes apart.
    List(At<Vec<At<String>>>),
}
