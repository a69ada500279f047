//! Whether somebody's event handler answers as the service needs: it is asked what the service
//! asks, and every answer is judged (service-side facts, section 2).
//!
//! | what | where |
//! | --- | --- |
//! | one check after the other, each told as soon as it is made | here |
//! | what a check finds | `finding` |
//! | what can be wrong, where the guide has it, what to change | `fault` |
//! | requests sent and kept, without secrets | `ask` |
//! | one connection's events: numbers, state, cookies | `client` |
//! | abuse protection | `validation` |
//! | the events of a connection's life | `events` |
//! | what is forged, unknown or somebody else's | `strange` |
//! | events at a rate | `load` |
//!
//! Nothing is repeated as the service repeats it, so that an answer is told as it is; only a
//! connection that broke is tried once more.

mod ask;
mod client;
mod events;
mod fault;
mod finding;
mod load;
mod strange;
mod validation;

use std::collections::BTreeSet;
use std::time::Duration;

pub use finding::{CheckName, Exchange, Finding, Guide, LatencyFigures, LogLine, Outcome, Reply};
pub use load::Load;

use ask::Asker;
use client::Client;
use fault::{Fault, Subject};

use crate::net::{Clock, Dial, Dialling};
use crate::protocol::token::AccessKeys;
use crate::protocol::webhook::{EventName, SystemEvent, UrlTemplate};
use crate::secret::Redactor;

/// What a check needs to know.
#[derive(Debug)]
pub struct CheckOptions {
    /// The handler.
    pub url: UrlTemplate,
    /// How it is reached.
    pub dialling: Dialling,
    /// The world's clock.
    pub clock: Clock,
    /// Keys of the hub.
    pub keys: AccessKeys,
    /// Where they come from.
    pub signed_by: SignedBy,
    /// Hub name, lower-case.
    pub hub: String,
    /// System events that the handler gets.
    pub system_events: BTreeSet<SystemEvent>,
    /// Name of the user events.
    pub event: EventName,
    /// Value of `WebHook-Request-Origin`: the hub's host, without its port.
    pub origin: String,
    /// The same with its port, if it has one of its own.
    pub origin_with_port: Option<String>,
    /// User id of the clients; empty for nobody.
    pub user_id: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// Whether the handler is to let the check's clients in.
    pub expected: Expected,
    /// What it means that an event with a bad signature is taken.
    pub bad_signature: BadSignature,
    /// Events at a rate.
    pub load: Load,
    /// Knows every secret: the key, and what stands in the URL.
    pub redactor: Redactor,
}

/// Where the hub's key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedBy {
    /// Nobody named one: it is the emulators' well-known one.
    DevelopmentKey,
    /// A connection string.
    ConnectionString,
}

impl SignedBy {
    /// What to do about a key that the handler does not take.
    const fn advice(self) -> &'static str {
        match self {
            Self::DevelopmentKey => {
                "This check signed with the emulators' development key: give it the resource's \
                 connection string with --connection-string"
            }
            Self::ConnectionString => "This check signed with the key of --connection-string",
        }
    }
}

/// Whether the handler is to let the check's clients in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is.
    Accept,
    /// It is to refuse them with 401 or 403.
    Reject,
}

/// What it means that an event with a forged signature, or with none, is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSignature {
    /// A warning. The official Express middleware takes them (service-side facts, 2.9).
    Warns,
    /// A failure.
    Fails,
}

/// What is told while checks are made.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// A check is over.
    Found(&'a Finding),
    /// Events at a rate begin, or go on.
    Load {
        /// So many were answered.
        done: u64,
        /// Of so many.
        planned: u64,
    },
}

/// Makes the checks, and tells each finding as it comes. Runs inside a `LocalSet`. Dropping the
/// future ends it at once.
pub async fn run(options: &CheckOptions, tell: &mut impl FnMut(Told<'_>)) {
    let mut checker = Checker {
        options,
        asker: Asker::new(options),
        faults: Vec::new(),
        signature_told: false,
        tell,
    };
    checker.url();
    if checker.reach().await {
        checker.validate().await;
        checker.live().await;
    }
}

/// Whether all of this is as the service needs it.
#[must_use]
pub fn worst<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Outcome {
    findings.into_iter().map(|finding| finding.outcome).max().unwrap_or(Outcome::Pass)
}

/// Values in the query of a URL that may be secrets: `code`, and whatever is long enough for one.
/// As they stand there, and decoded.
#[must_use]
pub fn secrets_of(url: &UrlTemplate) -> BTreeSet<String> {
    const LONG: usize = 8;
    let Some((_, query)) = url.as_str().split_once('?') else { return BTreeSet::new() };
    let mut found = BTreeSet::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        if name.eq_ignore_ascii_case("code") || value.len() >= LONG {
            let decoded = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
            found.insert(decoded.into_owned());
            found.insert(value.to_owned());
        }
    }
    found
}

/// Makes the checks.
struct Checker<'a, T> {
    options: &'a CheckOptions,
    asker: Asker<'a>,
    /// What was wrong, and where first.
    faults: Vec<(CheckName, Fault)>,
    /// Whether anything was told of a good signature.
    signature_told: bool,
    tell: &'a mut T,
}

/// The path of Azure Functions' extension, which needs no parameter (a function knows its hub).
const FUNCTIONS_PATH: &str = "/runtime/webhooks/webpubsub";

impl<'a, T: FnMut(Told<'_>)> Checker<'a, T> {
    /// Tells a finding, without secrets and without what could move a terminal's cursor.
    fn found(&mut self, mut finding: Finding) {
        let clean = |text: &mut String| {
            *text = self.options.redactor.redact(text).replace(char::is_control, " ");
        };
        clean(&mut finding.what);
        finding.change.iter_mut().for_each(clean);
        finding.log.iter_mut().for_each(|log| clean(&mut log.message));
        (self.tell)(Told::Found(&finding));
    }

    /// Tells what is wrong, or that it is wrong in a way told before.
    fn failed(
        &mut self,
        check: CheckName,
        fault: Fault,
        subject: &Subject<'_>,
        exchanges: Vec<Exchange>,
    ) {
        let earlier = self.faults.iter().find(|(_, known)| known.is_same(&fault));
        let mut finding = match earlier {
            Some((first, _)) => {
                let what = format!("{}, as `{}`", fault.what(), first.name());
                let mut finding = Finding::new(check, Outcome::Same, what);
                finding.same_as = Some(*first);
                finding
            }
            None => {
                let mut finding = Finding::new(check, Outcome::Fail, fault.what())
                    .guided(fault.guide(subject))
                    .changed(fault.change(self.options, subject));
                let body = exchanges.last().map_or("", |last| last.reply.body());
                finding.log = fault.log(self.options, subject, body);
                finding
            }
        };
        finding.exchanges = exchanges;
        self.faults.push((check, fault));
        self.found(finding);
    }

    fn skipped(&mut self, check: CheckName, why: impl Into<String>) {
        self.found(Finding::new(check, Outcome::Skip, why));
    }

    fn url(&mut self) {
        let options = self.options;
        let filled = options.url.fill(&options.hub, options.event.as_str());
        let template = options.url.as_str().split('?').next().unwrap_or_default();
        let lower = template.to_ascii_lowercase();
        let is_fixed = !lower.contains("{hub}") && !lower.contains("{event}");
        let what = format!("`{}` goes to {filled}", options.event.as_str());
        let finding = if is_fixed && !lower.ends_with(FUNCTIONS_PATH) {
            Finding::new(CheckName::Url, Outcome::Warn, format!("{what}, as does every event"))
                .guided(Guide::CloudEvents)
                .changed(
                    "the URL has no {hub} and no {event}: that is fine for one hub whose events \
                     are told apart by ce-type; otherwise put them into the path",
                )
        } else {
            Finding::new(CheckName::Url, Outcome::Pass, what)
        };
        self.found(finding);
    }

    /// Whether there is a connection.
    async fn reach(&mut self) -> bool {
        let options = self.options;
        let endpoint = options.url.endpoint();
        let began = tokio::time::Instant::now();
        let connect = async {
            let connector = options.dialling.connector(endpoint).await?;
            connector.connect(Dial::default()).await.map(drop)
        };
        let fault = match tokio::time::timeout(options.timeout, connect).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Fault::Unreached(error.to_string())),
            Err(_) => Some(Fault::Unreached(format!(
                "cannot connect to {} within {:?}",
                endpoint.authority(),
                options.timeout
            ))),
        };
        let Some(fault) = fault else {
            let took = shown_time(began.elapsed());
            let what = format!("{} took a connection in {took}", endpoint.authority());
            self.found(Finding::new(CheckName::Reach, Outcome::Pass, what));
            return true;
        };
        let url = options.url.fill_for_validation(&options.hub);
        let subject = Subject::Validation(&url);
        let mut finding = Finding::new(CheckName::Reach, Outcome::Fail, fault.what())
            .guided(fault.guide(&subject))
            .changed(fault.change(options, &subject));
        finding.log = fault.log(options, &subject, "");
        self.found(finding);
        false
    }

    /// The next of the check's clients.
    fn client(&self, number: u64) -> Client<'a> {
        Client::new(self.options, number)
    }
}

/// `1.5 ms`.
fn shown_time(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1_000.0)
}
