//! Frames to JSON clients.

use super::json::{Field, Fields, push_payload, push_string};
use super::{AckError, AckErrorName, MessageFrom, ServerFrame};

impl ServerFrame {
    /// Parses a text frame from the hub; `Err` holds what is wrong with it. A type, event, origin
    /// or `dataType` that Squall does not know, and a message without data, are
    /// [`ServerFrame::Unknown`]: the SDKs ignore those too.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields = Fields::of(text)?;
        let kind: String = fields.required(Field::Type)?;
        match kind.as_str() {
            "system" => read_system(&fields),
            "ack" => Ok(Self::Ack {
                ack_id: fields.required(Field::AckId)?,
                result: read_ack_result(&fields)?,
            }),
            "message" => read_message(&fields),
            "pong" => Ok(Self::Pong),
            _ => Ok(Self::Unknown),
        }
    }

    /// Prints the frame with the service's key order, compact. An anonymous user is `null`.
    /// [`ServerFrame::Unknown`] has no form of its own and prints as an empty object.
    #[must_use]
    pub fn print(&self) -> String {
        let mut out = String::with_capacity(128);
        match self {
            Self::Connected { connection_id, user_id } => {
                out.push_str(r#"{"type":"system","event":"connected","userId":"#);
                push_user(&mut out, user_id.as_deref());
                out.push_str(r#","connectionId":"#);
                push_string(&mut out, connection_id);
            }
            Self::Disconnected { message } => {
                out.push_str(r#"{"type":"system","event":"disconnected","message":"#);
                push_string(&mut out, message);
            }
            Self::Ack { ack_id, result } => {
                out.push_str(r#"{"type":"ack","ackId":"#);
                out.push_str(&ack_id.to_string());
                push_ack_result(&mut out, result);
            }
            Self::Message { from, payload } => {
                push_from(&mut out, from);
                push_payload(&mut out, payload);
            }
            Self::Pong => out.push_str(r#"{"type":"pong""#),
            Self::Unknown => out.push('{'),
        }
        out.push('}');
        out
    }
}

fn read_system(fields: &Fields<'_>) -> Result<ServerFrame, String> {
    let event: String = fields.required(Field::Event)?;
    match event.as_str() {
        "connected" => Ok(ServerFrame::Connected {
            connection_id: fields.required(Field::ConnectionId)?,
            user_id: fields.optional(Field::UserId)?,
        }),
        "disconnected" => Ok(ServerFrame::Disconnected {
            message: fields.optional(Field::Message)?.unwrap_or_default(),
        }),
        _ => Ok(ServerFrame::Unknown),
    }
}

fn read_ack_result(fields: &Fields<'_>) -> Result<Result<(), AckError>, String> {
    if fields.required(Field::Success)? {
        return Ok(Ok(()));
    }
    let mut name = String::new();
    let mut message = String::new();
    if let Some(error) = fields.object(Field::Error)? {
        name = error.optional(Field::Name)?.unwrap_or_default();
        message = error.optional(Field::Message)?.unwrap_or_default();
    }
    Ok(Err(AckError { name: AckErrorName::from(name.as_str()), message }))
}

fn read_message(fields: &Fields<'_>) -> Result<ServerFrame, String> {
    let from: String = fields.required(Field::From)?;
    let from = match from.as_str() {
        "group" => MessageFrom::Group {
            group: fields.required(Field::Group)?,
            from_user_id: fields.optional(Field::FromUserId)?,
        },
        "server" => MessageFrom::Server,
        _ => return Ok(ServerFrame::Unknown),
    };
    Ok(match fields.server_payload()? {
        Some(payload) => ServerFrame::Message { from, payload },
        None => ServerFrame::Unknown,
    })
}

fn push_user(out: &mut String, user_id: Option<&str>) {
    match user_id {
        Some(user_id) => push_string(out, user_id),
        None => out.push_str("null"),
    }
}

fn push_ack_result(out: &mut String, result: &Result<(), AckError>) {
    match result {
        Ok(()) => out.push_str(r#","success":true"#),
        Err(error) => {
            out.push_str(r#","success":false,"error":{"name":"#);
            push_string(out, error.name.name());
            out.push_str(r#","message":"#);
            push_string(out, &error.message);
            out.push('}');
        }
    }
}

fn push_from(out: &mut String, from: &MessageFrom) {
    match from {
        MessageFrom::Group { group, from_user_id } => {
            out.push_str(r#"{"type":"message","from":"group","group":"#);
            push_string(out, group);
            out.push_str(r#","fromUserId":"#);
            push_user(out, from_user_id.as_deref());
            out.push(',');
        }
        MessageFrom::Server => out.push_str(r#"{"type":"message","from":"server","#),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;
    use crate::protocol::subprotocol::Payload;
    use crate::protocol::subprotocol::tests::server_frame;

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(frame in server_frame()) {
            prop_assert_eq!(ServerFrame::parse(&frame.print()), Ok(frame));
        }

        #[test]
        fn any_text_is_parsed_or_refused_without_a_panic(
            text in "\\PC{0,60}|[{}\\[\\]\":,a-z0-9 ]{0,60}",
        ) {
            let _ = ServerFrame::parse(&text);
        }
    }

    /// The shapes of client-protocols facts, 3.3, byte for byte.
    #[test]
    fn frames_print_in_the_services_shape() {
        let group = |user: Option<&str>| MessageFrom::Group {
            group: "g1".into(),
            from_user_id: user.map(Into::into),
        };
        let connected = |user: Option<&str>| ServerFrame::Connected {
            connection_id: "c".into(),
            user_id: user.map(Into::into),
        };
        let cases = [
            (
                connected(Some("u1")),
                r#"{"type":"system","event":"connected","userId":"u1","connectionId":"c"}"#,
            ),
            (
                connected(None),
                r#"{"type":"system","event":"connected","userId":null,"connectionId":"c"}"#,
            ),
            (
                ServerFrame::Disconnected { message: "so \"long\"\u{1}".into() },
                r#"{"type":"system","event":"disconnected","message":"so \"long\"\u0001"}"#,
            ),
            (
                ServerFrame::Ack { ack_id: 1, result: Ok(()) },
                r#"{"type":"ack","ackId":1,"success":true}"#,
            ),
            (
                ServerFrame::Ack {
                    ack_id: 1,
                    result: Err(AckError { name: AckErrorName::Forbidden, message: "no".into() }),
                },
                concat!(
                    r#"{"type":"ack","ackId":1,"success":false,"#,
                    r#""error":{"name":"Forbidden","message":"no"}}"#
                ),
            ),
            (
                ServerFrame::Message {
                    from: group(Some("u1")),
                    payload: Payload::Text("x".into()),
                },
                concat!(
                    r#"{"type":"message","from":"group","group":"g1","fromUserId":"u1","#,
                    r#""dataType":"text","data":"x"}"#
                ),
            ),
            (
                ServerFrame::Message {
                    from: MessageFrom::Server,
                    payload: Payload::Json(r#"{"a":1}"#.into()),
                },
                r#"{"type":"message","from":"server","dataType":"json","data":{"a":1}}"#,
            ),
            (
                ServerFrame::Message { from: group(None), payload: Payload::Binary(vec![1, 2, 3]) },
                concat!(
                    r#"{"type":"message","from":"group","group":"g1","fromUserId":null,"#,
                    r#""dataType":"binary","data":"AQID"}"#
                ),
            ),
            (ServerFrame::Pong, r#"{"type":"pong"}"#),
        ];
        for (frame, wire) in cases {
            assert_eq!(frame.print(), wire);
            assert_eq!(ServerFrame::parse(wire), Ok(frame));
        }
    }

    #[test]
    fn what_is_not_known_is_let_pass() {
        for wire in [
            r#"{"type":"streamAck","streamId":"s","expectedSequenceId":1}"#,
            r#"{"type":"system","event":"tea"}"#,
            r#"{"type":"message","from":"moon","dataType":"text","data":"x"}"#,
            r#"{"type":"message","from":"server","dataType":"protobuf","data":"AA=="}"#,
            r#"{"type":"message","from":"group","group":"g","metadata":{"a":"b"}}"#,
        ] {
            assert_eq!(ServerFrame::parse(wire), Ok(ServerFrame::Unknown), "{wire}");
        }
    }

    #[test]
    fn a_frame_without_what_it_needs_is_refused() {
        for wire in [
            "",
            "[]",
            "{}",
            r#"{"type":"system"}"#,
            r#"{"type":"system","event":"connected","userId":"u"}"#,
            r#"{"type":"ack","ackId":1}"#,
            r#"{"type":"ack","success":true}"#,
            r#"{"type":"message","from":"group","dataType":"text","data":"x"}"#,
            r#"{"type":"message","from":"server","dataType":"text","data":1}"#,
            r#"{"type":"message","from":"server","dataType":"binary","data":"?"}"#,
        ] {
            assert!(ServerFrame::parse(wire).is_err(), "{wire}");
        }
    }

    #[test]
    fn an_unknown_ack_error_keeps_its_name() {
        let frame = ServerFrame::parse(
            r#"{"type":"ack","ackId":9,"success":false,"error":{"name":"Timeout"}}"#,
        );
        let name = AckErrorName::Other("Timeout".into());
        let result = Err(AckError { name, message: String::new() });
        assert_eq!(frame, Ok(ServerFrame::Ack { ack_id: 9, result }));
    }
}
