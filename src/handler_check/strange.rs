//! What is forged, unknown or somebody else's (service-side facts, 2.3, 2.6 and 2.9).

use http::header::{HeaderName, HeaderValue};

use super::ask::{Asked, Question};
use super::client::{Client, put};
use super::events::{Entry, Shown, good, payload, took};
use super::fault::Fault;
use super::finding::{CheckName, Finding, Guide, LogLine, Outcome};
use super::{BadSignature, Checker, Told};
use crate::protocol::token::AccessKeys;
use crate::protocol::webhook::request::SIGNATURE;
use crate::protocol::webhook::{Event, EventName, SystemEvent, WebhookFailure, sign_event, texts};
use crate::secret::Secret;

/// A key that no hub has.
const FORGERS_KEY: &str = "the key of somebody who has none";
/// A user event that no application knows.
const UNKNOWN_EVENT: &str = "squall-unknown-event";
/// A kind of event that there is not.
const UNKNOWN_TYPE: &str = "azure.webpubsub.sys.squall-unknown";
const TYPE: HeaderName = HeaderName::from_static("ce-type");
const EVENT_NAME: HeaderName = HeaderName::from_static("ce-eventname");
/// A hub that nobody has.
const OTHER_HUB: &str = "squall_other_hub";
/// Numbers of the clients of these checks.
const FORGED: u64 = 1;
const UNSIGNED: u64 = 2;
const ELSEWHERE: u64 = 3;

/// Whether an event was taken that ought not to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Yes,
    No,
}

impl<T: FnMut(Told<'_>)> Checker<'_, T> {
    /// Events of a connection that the application may not expect.
    pub(super) async fn strange_events(&mut self, client: &mut Client<'_>, shown: Shown) {
        if !shown.text {
            for check in [CheckName::Duplicate, CheckName::UnknownEvent, CheckName::UnknownType] {
                self.skipped(check, "no user event is taken anyway");
            }
            return;
        }
        self.duplicate(client).await;
        self.unknown_event(client).await;
        self.unknown_type(client).await;
    }

    /// The service tries again when an answer is lost, with the same number and body.
    async fn duplicate(&mut self, client: &mut Client<'_>) {
        let check = CheckName::Duplicate;
        let event = Event::User(self.options.event.clone());
        let question = client.user(event, payload(CheckName::Text));
        let first = self.asker.ask(&question).await;
        let second = self.asker.ask(&question).await;
        let finding = match (good(&first), good(&second)) {
            (Ok(_), Ok(_)) => {
                let what =
                    "the same ce-id twice is taken twice, as when the service lost an answer";
                Finding::new(check, Outcome::Info, what)
            }
            (Ok(_), Err(fault)) => {
                Finding::new(check, Outcome::Warn, format!("the second time: {}", fault.what()))
                    .guided(Guide::CloudEvents)
                    .changed(
                        "answer a repeated event (same ce-id of the same connection) as the first \
                         one: the service repeats one whose answer it lost, and drops the client \
                         when that fails",
                    )
            }
            (Err(fault), _) => {
                Finding::new(check, Outcome::Warn, format!("the first time: {}", fault.what()))
                    .guided(Guide::Debugging)
                    .changed("an event like those taken before fails: look into the handler's log")
            }
        };
        self.found(finding.with(first.exchange).with(second.exchange));
    }

    async fn unknown_event(&mut self, client: &mut Client<'_>) {
        let Ok(name) = EventName::parse(UNKNOWN_EVENT) else { return };
        let event = Event::User(name);
        let question = client.user(event.clone(), payload(CheckName::Text));
        let asked = self.asker.ask(&question).await;
        let what = format!("the user event `{UNKNOWN_EVENT}`");
        self.strange(CheckName::UnknownEvent, &what, &event, asked);
    }

    async fn unknown_type(&mut self, client: &mut Client<'_>) {
        let event = Event::User(self.options.event.clone());
        let mut question = client.user(event.clone(), payload(CheckName::Text));
        put(&mut question, &TYPE, Some(HeaderValue::from_static(UNKNOWN_TYPE)));
        put(&mut question, &EVENT_NAME, Some(HeaderValue::from_static("squall-unknown")));
        let asked = self.asker.ask(&question).await;
        self.strange(CheckName::UnknownType, "a ce-type that there is not", &event, asked);
    }

    /// Tells what became of what nobody expects. Only an answer that costs the client something, or
    /// none at all, is more than worth knowing.
    fn strange(&mut self, check: CheckName, what: &str, event: &Event, asked: Asked) {
        let finding = match good(&asked) {
            Ok(_) => Finding::new(check, Outcome::Info, format!("{what}: {}", took(&asked))),
            Err(fault) => {
                let what = format!("{what}: {}", fault.what());
                let outcome = match fault {
                    Fault::Status(500..) | Fault::TimedOut(_) | Fault::Broken => Outcome::Warn,
                    _ => Outcome::Info,
                };
                let mut finding = Finding::new(check, outcome, what);
                match fault {
                    Fault::NotFound if check == CheckName::UnknownEvent => {
                        let event = event_of_log(event, &self.options.hub);
                        finding = finding.guided(Guide::NotFound).changed(
                            "whoever sends such an event is dropped: let the hub's user event \
                             pattern name only what the application takes",
                        );
                        finding.log = Some(event);
                    }
                    Fault::Status(500..) => {
                        finding = finding.guided(Guide::ServerError).changed(
                            "answer what is unknown with 404 or 204; a 5xx is tried again three \
                             times",
                        );
                    }
                    Fault::TimedOut(_) | Fault::Broken => {
                        finding = finding
                            .guided(Guide::Debugging)
                            .changed("answer what is unknown too, with 404 or 204");
                    }
                    _ => {}
                }
                finding
            }
        };
        self.found(finding.with(asked.exchange));
    }

    /// Events that the handler's own hub has not sent.
    pub(super) async fn strangers(&mut self, shown: Shown) {
        if shown.entry != Entry::Granted && !shown.text {
            for check in
                [CheckName::ForgedSignature, CheckName::MissingSignature, CheckName::OtherHub]
            {
                self.skipped(check, "no event is taken even with a good signature");
            }
            return;
        }
        let forged = self.forged(shown).await;
        self.unsigned(shown, forged).await;
        self.other_hub(shown).await;
    }

    /// An event that is taken with a good signature, of a client of its own.
    fn taken(&self, client: &mut Client<'_>, shown: Shown) -> Question {
        match shown.entry {
            Entry::Granted => client.connect(),
            Entry::Unasked | Entry::Refused | Entry::Failed => {
                client.user(Event::User(self.options.event.clone()), payload(CheckName::Text))
            }
        }
    }

    async fn forged(&mut self, shown: Shown) -> Taken {
        let mut client = self.client(FORGED);
        let mut question = self.taken(&mut client, shown);
        let keys = AccessKeys { primary: Secret::new(FORGERS_KEY), secondary: None };
        let forged = sign_event(&keys, client.connection_id());
        put(&mut question, &SIGNATURE, HeaderValue::from_str(&forged).ok());
        self.bad_signature(CheckName::ForgedSignature, "a forged signature", &question, Taken::No)
            .await
    }

    async fn unsigned(&mut self, shown: Shown, forged: Taken) {
        let mut client = self.client(UNSIGNED);
        let mut question = self.taken(&mut client, shown);
        put(&mut question, &SIGNATURE, None);
        self.bad_signature(CheckName::MissingSignature, "no signature", &question, forged).await;
    }

    /// Tells whether an event with a bad signature is taken; `forged` is what became of the one
    /// before, so that the same is not told twice.
    async fn bad_signature(
        &mut self,
        check: CheckName,
        which: &str,
        question: &Question,
        forged: Taken,
    ) -> Taken {
        let asked = self.asker.ask(question).await;
        let (finding, taken) = match &asked.outcome {
            Ok(answer) if answer.status.is_success() => {
                let what = format!("an event with {which} is taken");
                let finding = match (self.options.bad_signature, forged) {
                    (BadSignature::Warns, _) => Finding::new(check, Outcome::Warn, what),
                    (BadSignature::Fails, Taken::No) => Finding::new(check, Outcome::Fail, what),
                    (BadSignature::Fails, Taken::Yes) => Finding::new(check, Outcome::Same, what),
                };
                let mut finding = finding.guided(Guide::CloudEvents).changed(
                    "anybody who knows the URL can send events in a client's name: compare \
                     ce-signature with the HMAC-SHA256 of ce-connectionId under either key, or \
                     keep the URL from others (a key in it, a private network). The Express \
                     middleware leaves that to the application",
                );
                if forged == Taken::Yes {
                    finding.what.push_str(", as one with a forged signature is");
                    finding.same_as = Some(CheckName::ForgedSignature);
                }
                (finding, Taken::Yes)
            }
            Ok(answer) => {
                let status = answer.status.as_u16();
                let what = format!("an event with {which} is refused with {status}");
                (Finding::new(check, Outcome::Pass, what), Taken::No)
            }
            Err(error) => {
                let what = format!("of an event with {which}: {}", Fault::of_error(error).what());
                let finding = Finding::new(check, Outcome::Warn, what)
                    .guided(Guide::Debugging)
                    .changed("refuse it with an answer, 401 for instance");
                (finding, Taken::No)
            }
        };
        self.found(finding.with(asked.exchange));
        taken
    }

    async fn other_hub(&mut self, shown: Shown) {
        let mut client = self.client(ELSEWHERE);
        OTHER_HUB.clone_into(&mut client.hub);
        let question = self.taken(&mut client, shown);
        let asked = self.asker.ask(&question).await;
        let event = match shown.entry {
            Entry::Granted => Event::System(SystemEvent::Connect),
            _ => Event::User(self.options.event.clone()),
        };
        self.strange(CheckName::OtherHub, &format!("the hub `{OTHER_HUB}`"), &event, asked);
    }
}

fn event_of_log(event: &Event, hub: &str) -> LogLine {
    let message = texts::unexpected_response(hub, event, 404);
    LogLine { event: WebhookFailure::HttpHandlerUnexpectedResponse.name(), message }
}
