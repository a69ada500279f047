//! `connect`: the handler decides whether a client is let in, and as whom (service-side facts,
//! 2.4).

use std::rc::Rc;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::super::state::Hub;
use super::dialogue::Dialogue;
use super::send::{Failure, Outgoing, Sent, send};
use crate::net::http::HttpAnswer;
use crate::protocol::CloseCategory;
use crate::protocol::control::UpstreamCall;
use crate::protocol::webhook::request::SYSTEM_CONTENT_TYPE;
use crate::protocol::webhook::{
    ConnectAnswer, ConnectBody, Event, RefusalBody, SystemEvent, texts,
};

/// Number of a connection's first event.
const CONNECT_ID: u64 = 0;

/// What became of a `connect`.
#[derive(Debug)]
pub struct Decision {
    /// Whether and how the client is let in.
    pub decided: Result<ConnectAnswer, ConnectRefusal>,
    /// The call that it rests on.
    pub call: Box<UpstreamCall>,
}

/// The client is not let in.
#[derive(Debug)]
pub struct ConnectRefusal {
    /// What the client gets.
    pub status: StatusCode,
    /// Content type of the body.
    pub content_type: Option<HeaderValue>,
    /// The body.
    pub body: Bytes,
    /// The service's word.
    pub category: CloseCategory,
    /// What the log says.
    pub reason: String,
}

/// Asks the handler that takes `connect`; `None` when nobody does.
pub async fn decide(
    hub: &Rc<Hub>,
    dialogue: &Rc<Dialogue>,
    body: &ConnectBody,
) -> Option<Decision> {
    let event = Event::System(SystemEvent::Connect);
    let handler = dialogue.handler_of(&event)?;
    let outgoing = Outgoing {
        event,
        id: CONNECT_ID,
        content_type: SYSTEM_CONTENT_TYPE,
        body: serde_json::to_vec(body).unwrap_or_default().into(),
    };
    let read = |answer: &HttpAnswer| ConnectAnswer::parse(&answer.body);
    let Sent { outcome, call } = send(hub, dialogue, handler, &outgoing, read).await;
    let decided = match outcome {
        Ok(heard) => {
            if let Some(state) = heard.state {
                *dialogue.state.borrow_mut() = state;
            }
            Ok(heard.said)
        }
        Err(failure) => Err(refusal(dialogue, &outgoing.event, failure)),
    };
    Some(Decision { decided, call: Box::new(call) })
}

/// A 4xx reaches the client as it is; everything else is a 500.
fn refusal(dialogue: &Dialogue, event: &Event, failure: Failure) -> ConnectRefusal {
    let name = &dialogue.hub_name;
    match failure {
        Failure::Status(answer) if answer.status.is_client_error() => {
            let reason = texts::unexpected_response(name, event, answer.status.as_u16());
            let category = match answer.status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => CloseCategory::Unauthorized,
                _ => CloseCategory::SendEventFailed,
            };
            let (content_type, body) = match dialogue.events().policy.refusal_body {
                RefusalBody::Forward => {
                    (answer.headers.get(CONTENT_TYPE).cloned(), answer.body.clone())
                }
                RefusalBody::Withhold => (None, Bytes::new()),
            };
            ConnectRefusal { status: answer.status, content_type, body, category, reason }
        }
        Failure::Status(answer) => {
            let status = answer.status.as_u16();
            let reason = texts::unexpected(name, event, status, &answer.body);
            // Only a text with the handler's own words is known to reach the client.
            let words = texts::own_words(event, status, &answer.body);
            let body = words.map_or_else(String::new, |_| reason.clone());
            failed(reason, body)
        }
        Failure::NotValidated => {
            failed("The event handler's abuse protection failed".to_owned(), String::new())
        }
        Failure::Http(_) | Failure::Answer(_) | Failure::Header(_) => {
            failed(texts::sending_failed(name, event), String::new())
        }
    }
}

/// A handler's answer that cannot be carried out.
pub fn unusable(reason: &str) -> ConnectRefusal {
    failed(reason.to_owned(), String::new())
}

fn failed(reason: String, body: String) -> ConnectRefusal {
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    ConnectRefusal {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        content_type: (!body.is_empty()).then_some(content_type),
        body: body.into(),
        category: CloseCategory::SendEventFailed,
        reason,
    }
}
