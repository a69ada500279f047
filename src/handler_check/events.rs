//! The events of a connection's life (service-side facts, 2.4 and 2.5).

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::header::{CONTENT_TYPE, HeaderValue};

use super::ask::{Asked, Question};
use super::client::{Client, SUBPROTOCOL, state_of};
use super::fault::{Fault, Subject};
use super::finding::{CheckName, Finding, Guide, Outcome};
use super::{Checker, Expected, Told, shown_time};
use crate::net::http::HttpAnswer;
use crate::protocol::subprotocol::Payload;
use crate::protocol::webhook::{ConnectAnswer, Event, SystemEvent, user_event_answer};

/// What user events carry.
const TEXT: &str = "squall upstream check";
const JSON: &str = r#"{"from":"squall upstream check"}"#;
/// No text of any encoding.
const BINARY: [u8; 4] = [0x00, 0xff, 0x80, 0x7f];

/// Whether the check's client got in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The handler let it in.
    Granted,
    /// Nobody asks the handler.
    Unasked,
    /// The handler refused it.
    Refused,
    /// The handler failed.
    Failed,
}

/// What a client's events have shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Of `connect`.
    pub entry: Entry,
    /// Whether a user event of text was taken.
    pub text: bool,
}

impl<T: FnMut(Told<'_>)> Checker<'_, T> {
    /// A connection from its start to its end, and what could be sent besides.
    pub(super) async fn live(&mut self) {
        let mut client = self.client(0);
        let entry = self.connect(&mut client).await;
        let mut shown = Shown { entry, text: false };
        if entry == Entry::Refused {
            for check in [
                CheckName::Connected,
                CheckName::Text,
                CheckName::Json,
                CheckName::Binary,
                CheckName::State,
                CheckName::Duplicate,
                CheckName::UnknownEvent,
                CheckName::UnknownType,
                CheckName::Disconnected,
            ] {
                self.skipped(check, "the client was not let in");
            }
        } else {
            self.connected(&mut client).await;
            shown.text = self.user(&mut client, CheckName::Text).await;
            self.user(&mut client, CheckName::Json).await;
            self.user(&mut client, CheckName::Binary).await;
            self.state(&client, shown);
            self.strange_events(&mut client, shown).await;
            self.disconnected(&mut client).await;
        }
        self.strangers(shown).await;
        self.load(shown).await;
    }

    /// What an event with a good signature tells of the handler's key. Said once.
    fn signed(&mut self, event: &Event, asked: &Asked) {
        if std::mem::replace(&mut self.signature_told, true) {
            return;
        }
        let check = CheckName::Signature;
        match &asked.outcome {
            Ok(answer) if answer.status.is_success() => {
                let what = format!("`{}` with a good signature is taken", event.name());
                let finding = Finding::new(check, Outcome::Pass, what);
                self.found(finding.with(asked.exchange.clone()));
            }
            Ok(answer) => match Fault::of_status(answer) {
                Some(fault @ Fault::TargetInvalid(_)) => {
                    self.failed(check, fault, &Subject::Event(event), vec![asked.exchange.clone()]);
                }
                _ => self.skipped(check, "no answer tells whether the handler takes the key"),
            },
            Err(_) => self.skipped(check, "no answer tells whether the handler takes the key"),
        }
    }

    async fn connect(&mut self, client: &mut Client<'_>) -> Entry {
        let check = CheckName::Connect;
        if !self.gets(check, SystemEvent::Connect) {
            return Entry::Unasked;
        }
        let event = Event::System(SystemEvent::Connect);
        let question = client.connect();
        let asked = self.asker.ask(&question).await;
        self.signed(&event, &asked);
        let answer = match good(&asked) {
            Ok(answer) => answer,
            Err(fault @ Fault::Denied(status)) => {
                // A key that is missing denies the validation as well.
                if self.faults.iter().any(|(_, known)| known.is_same(&fault)) {
                    self.failed(check, fault, &Subject::Event(&event), vec![asked.exchange]);
                    return Entry::Failed;
                }
                self.refused_client(status, &asked);
                return Entry::Refused;
            }
            Err(fault) => {
                self.failed(check, fault, &Subject::Event(&event), vec![asked.exchange]);
                return Entry::Failed;
            }
        };
        let read = match self.options.expected {
            Expected::Reject => Err(Fault::LetIn),
            Expected::Accept => read_connect(answer),
        };
        match read {
            Ok(decided) => {
                client.keep(&question.url, &answer.headers);
                let finding = adopt(client, &decided, &asked);
                self.found(finding.with(asked.exchange));
                Entry::Granted
            }
            Err(fault) => {
                self.failed(check, fault, &Subject::Event(&event), vec![asked.exchange]);
                Entry::Failed
            }
        }
    }

    fn refused_client(&mut self, status: u16, asked: &Asked) {
        let what = format!("refuses the client with {status}");
        let finding = match self.options.expected {
            Expected::Reject => Finding::new(CheckName::Connect, Outcome::Pass, what),
            Expected::Accept => Finding::new(CheckName::Connect, Outcome::Warn, what)
                .guided(Guide::CloudEvents)
                .changed(
                    "the client's handshake gets that status. If it is not to come in, say so with \
                     --expect-connect reject; else name a client who is with --user, or let it in",
                ),
        };
        self.found(finding.with(asked.exchange.clone()));
    }

    async fn connected(&mut self, client: &mut Client<'_>) {
        if self.gets(CheckName::Connected, SystemEvent::Connected) {
            let question = client.connected();
            self.notice(client, CheckName::Connected, SystemEvent::Connected, &question).await;
        }
    }

    async fn disconnected(&mut self, client: &mut Client<'_>) {
        if self.gets(CheckName::Disconnected, SystemEvent::Disconnected) {
            let question = client.disconnected();
            let event = SystemEvent::Disconnected;
            self.notice(client, CheckName::Disconnected, event, &question).await;
        }
    }

    /// Whether the handler gets a system event.
    fn gets(&mut self, check: CheckName, event: SystemEvent) -> bool {
        let gets = self.options.system_events.contains(&event);
        if !gets {
            self.skipped(check, "not among --system-events");
        }
        gets
    }

    /// An event whose answer nobody waits for.
    async fn notice(
        &mut self,
        client: &mut Client<'_>,
        check: CheckName,
        event: SystemEvent,
        question: &Question,
    ) {
        let asked = self.asker.ask(question).await;
        let answer = match good(&asked) {
            Ok(answer) => answer,
            Err(fault) => {
                let event = Event::System(event);
                self.failed(check, fault, &Subject::Event(&event), vec![asked.exchange]);
                return;
            }
        };
        client.keep(&question.url, &answer.headers);
        let finding = if state_of(&answer.headers).is_some() {
            Finding::new(check, Outcome::Warn, "its answer sets ce-connectionState, which is lost")
                .guided(Guide::CloudEvents)
                .changed("set the state in the answer to connect or to a user event: only those do")
        } else {
            Finding::new(check, Outcome::Pass, took(&asked))
        };
        self.found(finding.with(asked.exchange));
    }

    /// A user event; whether it was taken.
    async fn user(&mut self, client: &mut Client<'_>, check: CheckName) -> bool {
        let event = Event::User(self.options.event.clone());
        let question = client.user(event.clone(), payload(check));
        let asked = self.asker.ask(&question).await;
        self.signed(&event, &asked);
        let judged = good(&asked).and_then(|answer| {
            let content_type = answer.headers.get(CONTENT_TYPE);
            let content_type = content_type.map(|of| String::from_utf8_lossy(of.as_bytes()));
            let back = user_event_answer(content_type.as_deref(), &answer.body)
                .map_err(|error| Fault::BadEventAnswer(error.to_string()))?;
            Ok((answer, back, state_text(answer)?))
        });
        match judged {
            Ok((answer, back, state)) => {
                client.keep(&question.url, &answer.headers);
                if let Some(state) = state {
                    client.state = state;
                }
                let back = match back {
                    None => "sends nothing back",
                    Some(Payload::Text(_)) => "sends text back",
                    Some(Payload::Json(_)) => "sends JSON back",
                    Some(Payload::Binary(_)) => "sends bytes back",
                };
                let what = format!("{}; {back}", took(&asked));
                self.found(Finding::new(check, Outcome::Pass, what).with(asked.exchange));
                true
            }
            Err(fault) => {
                self.failed(check, fault, &Subject::Event(&event), vec![asked.exchange]);
                false
            }
        }
    }

    /// The state went back to the handler with every event since it was set; what became of that
    /// was told there.
    fn state(&mut self, client: &Client<'_>, shown: Shown) {
        let check = CheckName::State;
        if client.state.is_empty() {
            self.skipped(check, "no answer sets ce-connectionState");
        } else if !shown.text {
            self.skipped(check, "no user event was taken that carried it");
        } else {
            let what = format!(
                "{} of {} bytes, taken back with later events",
                form(&client.state),
                client.state.len()
            );
            self.found(Finding::new(check, Outcome::Pass, what));
        }
    }
}

/// A success, or what is wrong.
pub fn good(asked: &Asked) -> Result<&HttpAnswer, Fault> {
    let answer = asked.outcome.as_ref().map_err(Fault::of_error)?;
    Fault::of_status(answer).map_or(Ok(answer), Err)
}

/// `answered 204 in 1.2 ms`.
pub fn took(asked: &Asked) -> String {
    let status = asked.outcome.as_ref().map_or(0, |answer| answer.status.as_u16());
    format!("answered {status} in {}", shown_time(asked.exchange.took))
}

/// What a check's user event carries.
pub fn payload(check: CheckName) -> Payload {
    match check {
        CheckName::Json => Payload::Json(JSON.to_owned()),
        CheckName::Binary => Payload::Binary(BINARY.to_vec()),
        _ => Payload::Text(TEXT.to_owned()),
    }
}

/// What the handler decided, and the state that it set.
struct Decided {
    answer: ConnectAnswer,
    state: Option<String>,
}

fn read_connect(answer: &HttpAnswer) -> Result<Decided, Fault> {
    let read = ConnectAnswer::parse(&answer.body);
    let read = read.map_err(|error| Fault::BadConnectAnswer(error.to_string()))?;
    let bad = |name: &str| {
        Err(Fault::BadConnectAnswer(format!("the {name} in the answer cannot stand in a header")))
    };
    let user_id = read.user_id.as_deref().unwrap_or_default();
    if HeaderValue::from_bytes(user_id.as_bytes()).is_err() {
        return bad("userId");
    }
    let subprotocol = read.subprotocol.as_deref().unwrap_or_default();
    if !subprotocol.is_ascii() || HeaderValue::from_str(subprotocol).is_err() {
        return bad("subprotocol");
    }
    Ok(Decided { answer: read, state: state_text(answer)? })
}

/// What the hub keeps for later events.
fn state_text(answer: &HttpAnswer) -> Result<Option<String>, Fault> {
    let Some(state) = state_of(&answer.headers) else { return Ok(None) };
    match state.to_str() {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(Fault::BadState),
    }
}

/// The client is as the handler says.
fn adopt(client: &mut Client<'_>, decided: &Decided, asked: &Asked) -> Finding {
    let Decided { answer, state } = decided;
    let mut words = Vec::new();
    if let Some(user_id) = &answer.user_id {
        client.user_id.clone_from(user_id);
        words.push("user");
    }
    if answer.groups.is_some() {
        words.push("groups");
    }
    if answer.roles.is_some() {
        words.push("roles");
    }
    if let Some(state) = state {
        client.state.clone_from(state);
        words.push("state");
    }
    if let Some(subprotocol) = &answer.subprotocol {
        client.subprotocol.clone_from(subprotocol);
        words.push("subprotocol");
        if subprotocol != SUBPROTOCOL {
            return Finding::new(
                CheckName::Connect,
                Outcome::Warn,
                format!("lets the client in with `{subprotocol}`, which it did not offer"),
            )
            .guided(Guide::CloudEvents)
            .changed(
                "answer with one of the subprotocols in the request, or leave the key out: a \
                 client ends a handshake that names another",
            );
        }
    }
    let sets = if words.is_empty() {
        "decides nothing more".to_owned()
    } else {
        format!("sets {}", words.join(", "))
    };
    Finding::new(CheckName::Connect, Outcome::Pass, format!("{}; {sets}", took(asked)))
}

/// What a state is. The official middleware writes base64 of JSON (service-side facts, 2.9).
fn form(state: &str) -> &'static str {
    let decoded =
        BASE64_STANDARD.decode(state).or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(state.trim_end()));
    match decoded {
        Ok(bytes) if serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok() => {
            "base64 of JSON"
        }
        _ => "opaque text",
    }
}
