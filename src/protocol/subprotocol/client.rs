//! Frames from JSON clients.

use super::json::{Field, Fields, push_payload, push_string};
use super::{BadClientFrame, ClientFrame};

impl ClientFrame {
    /// Parses a text frame from a JSON client. `type` is compared without case; unknown fields are
    /// ignored; `data` follows its `dataType` (`json` when none is given) and may not be missing or
    /// `null`.
    pub fn parse(text: &str) -> Result<Self, BadClientFrame> {
        read(text).map_err(BadClientFrame::Invalid)
    }

    /// Prints the frame as the JS SDK does (key order, no white space).
    #[must_use]
    pub fn print(&self) -> String {
        let mut out = String::with_capacity(96);
        match self {
            Self::JoinGroup { group, ack_id } => {
                push_head(&mut out, "joinGroup", "group", group);
                push_ack_id(&mut out, *ack_id);
            }
            Self::LeaveGroup { group, ack_id } => {
                push_head(&mut out, "leaveGroup", "group", group);
                push_ack_id(&mut out, *ack_id);
            }
            Self::SendToGroup { group, ack_id, no_echo, payload } => {
                push_head(&mut out, "sendToGroup", "group", group);
                push_ack_id(&mut out, *ack_id);
                out.push_str(if *no_echo { r#","noEcho":true,"# } else { r#","noEcho":false,"# });
                push_payload(&mut out, payload);
            }
            Self::Event { event, ack_id, payload } => {
                push_head(&mut out, "event", "event", event);
                push_ack_id(&mut out, *ack_id);
                out.push(',');
                push_payload(&mut out, payload);
            }
            Self::Ping => out.push_str(r#"{"type":"ping""#),
            Self::SequenceAck { sequence_id } => {
                out.push_str(r#"{"type":"sequenceAck","sequenceId":"#);
                out.push_str(&sequence_id.to_string());
            }
        }
        out.push('}');
        out
    }
}

fn read(text: &str) -> Result<ClientFrame, String> {
    let fields = Fields::of(text)?;
    let kind: String = fields.required(Field::Type)?;
    match kind.to_ascii_lowercase().as_str() {
        "joingroup" => Ok(ClientFrame::JoinGroup {
            group: fields.required(Field::Group)?,
            ack_id: fields.optional(Field::AckId)?,
        }),
        "leavegroup" => Ok(ClientFrame::LeaveGroup {
            group: fields.required(Field::Group)?,
            ack_id: fields.optional(Field::AckId)?,
        }),
        "sendtogroup" => Ok(ClientFrame::SendToGroup {
            group: fields.required(Field::Group)?,
            ack_id: fields.optional(Field::AckId)?,
            no_echo: fields.optional(Field::NoEcho)?.unwrap_or(false),
            payload: fields.client_payload()?,
        }),
        "event" => Ok(ClientFrame::Event {
            event: fields.required(Field::Event)?,
            ack_id: fields.optional(Field::AckId)?,
            payload: fields.client_payload()?,
        }),
        "ping" => Ok(ClientFrame::Ping),
        "sequenceack" => {
            Ok(ClientFrame::SequenceAck { sequence_id: fields.required(Field::SequenceId)? })
        }
        _ => Err(format!("no such type: {kind:.40}")),
    }
}

fn push_head(out: &mut String, kind: &str, field: &str, value: &str) {
    out.push_str(r#"{"type":""#);
    out.push_str(kind);
    out.push_str(r#"",""#);
    out.push_str(field);
    out.push_str(r#"":"#);
    push_string(out, value);
}

fn push_ack_id(out: &mut String, ack_id: Option<u64>) {
    if let Some(ack_id) = ack_id {
        out.push_str(r#","ackId":"#);
        out.push_str(&ack_id.to_string());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;
    use crate::protocol::subprotocol::Payload;
    use crate::protocol::subprotocol::tests::{json_text, payload};

    fn frame() -> impl Strategy<Value = ClientFrame> {
        let ack_id = || proptest::option::of(any::<u64>());
        prop_oneof![
            (any::<String>(), ack_id())
                .prop_map(|(group, ack_id)| ClientFrame::JoinGroup { group, ack_id }),
            (any::<String>(), ack_id())
                .prop_map(|(group, ack_id)| ClientFrame::LeaveGroup { group, ack_id }),
            (any::<String>(), ack_id(), any::<bool>(), payload(json_text())).prop_map(
                |(group, ack_id, no_echo, payload)| ClientFrame::SendToGroup {
                    group,
                    ack_id,
                    no_echo,
                    payload
                }
            ),
            (any::<String>(), ack_id(), payload(json_text()))
                .prop_map(|(event, ack_id, payload)| ClientFrame::Event { event, ack_id, payload }),
            Just(ClientFrame::Ping),
            any::<u64>().prop_map(|sequence_id| ClientFrame::SequenceAck { sequence_id }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(frame in frame()) {
            prop_assert_eq!(ClientFrame::parse(&frame.print()), Ok(frame));
        }

        #[test]
        fn any_text_is_parsed_or_refused_without_a_panic(
            text in "\\PC{0,60}|[{}\\[\\]\":,a-z0-9 ]{0,60}",
        ) {
            let _ = ClientFrame::parse(&text);
        }
    }

    /// Frames as the official SDKs were seen to send them (client-protocols facts, 3.2).
    #[test]
    fn frames_of_the_official_sdks_are_understood() {
        let text = |text: &str| Payload::Text(text.into());
        let cases = [
            (
                r#"{"type":"joinGroup","group":"g1","ackId":1}"#,
                ClientFrame::JoinGroup { group: "g1".into(), ack_id: Some(1) },
            ),
            (
                concat!(
                    r#"{"type":"sendToGroup","group":"g1","ackId":2,"noEcho":false,"#,
                    r#""dataType":"text","data":"hi"}"#
                ),
                ClientFrame::SendToGroup {
                    group: "g1".into(),
                    ack_id: Some(2),
                    no_echo: false,
                    payload: text("hi"),
                },
            ),
            (
                concat!(
                    r#"{"type":"sendToGroup","group":"g1","noEcho":false,"#,
                    r#""dataType":"binary","data":"AQID"}"#
                ),
                ClientFrame::SendToGroup {
                    group: "g1".into(),
                    ack_id: None,
                    no_echo: false,
                    payload: Payload::Binary(vec![1, 2, 3]),
                },
            ),
            (
                r#"{"type":"event","event":"evt","ackId":4,"dataType":"text","data":"x"}"#,
                ClientFrame::Event { event: "evt".into(), ack_id: Some(4), payload: text("x") },
            ),
            (r#"{"type":"ping"}"#, ClientFrame::Ping),
        ];
        for (wire, frame) in cases {
            assert_eq!(ClientFrame::parse(wire).as_ref(), Ok(&frame), "{wire}");
            assert_eq!(frame.print(), wire);
        }
        let python = concat!(
            r#"{"type": "sendToGroup", "group": "g1", "ackId": 2, "#,
            r#""dataType": "text", "data": "hi", "noEcho": false}"#
        );
        assert_eq!(
            ClientFrame::parse(python),
            Ok(ClientFrame::SendToGroup {
                group: "g1".into(),
                ack_id: Some(2),
                no_echo: false,
                payload: text("hi"),
            })
        );
    }

    #[test]
    fn type_has_no_case_and_what_does_not_belong_is_ignored() {
        assert_eq!(
            ClientFrame::parse(r#" {"TYPE":1,"type":"PING","group":7,"ackId":"x","data":null} "#),
            Ok(ClientFrame::Ping)
        );
        assert_eq!(
            ClientFrame::parse(r#"{"type":"JOINGROUP","group":"é\u0041","ackId":null,"x":{}}"#),
            Ok(ClientFrame::JoinGroup { group: "éA".into(), ack_id: None })
        );
    }

    #[test]
    fn json_is_the_default_kind_and_stays_as_it_was_written() {
        let frame =
            ClientFrame::parse(r#"{"type":"sendToGroup","group":"g","data": {"a" : [1, 2.50]} }"#);
        let Ok(ClientFrame::SendToGroup { payload, no_echo: false, .. }) = frame else {
            panic!("{frame:?}");
        };
        assert_eq!(payload, Payload::Json(r#"{"a" : [1, 2.50]}"#.into()));
    }

    #[test]
    fn broken_frames_are_refused_with_the_field_named() {
        for (wire, named) in [
            ("", "object"),
            ("[\"ping\"]", "object"),
            ("{\"type\":\"ping\"", "EOF"),
            (r#"{"type":"ping"} x"#, "trailing"),
            (r#"{"group":"g"}"#, "`type`"),
            (r#"{"type":7}"#, "`type`"),
            (r#"{"type":"invoke"}"#, "invoke"),
            (r#"{"type":"joinGroup"}"#, "`group`"),
            (r#"{"type":"joinGroup","group":1}"#, "`group`"),
            (r#"{"type":"joinGroup","group":"g","ackId":-1}"#, "`ackId`"),
            (r#"{"type":"joinGroup","group":"g","ackId":"1"}"#, "`ackId`"),
            (r#"{"type":"sendToGroup","group":"g"}"#, "`data`"),
            (r#"{"type":"sendToGroup","group":"g","data":null}"#, "`data`"),
            (r#"{"type":"sendToGroup","group":"g","dataType":"text","data":1}"#, "string"),
            (r#"{"type":"sendToGroup","group":"g","dataType":"binary","data":"*"}"#, "base64"),
            (
                r#"{"type":"sendToGroup","group":"g","dataType":"protobuf","data":"AA=="}"#,
                "protobuf",
            ),
            (r#"{"type":"sendToGroup","group":"g","noEcho":1,"data":1}"#, "`noEcho`"),
            (r#"{"type":"event","data":1}"#, "`event`"),
            (r#"{"type":"sequenceAck"}"#, "`sequenceId`"),
        ] {
            let BadClientFrame::Invalid(why) = ClientFrame::parse(wire).unwrap_err();
            assert!(why.contains(named), "{wire}: {why}");
        }
    }
}
