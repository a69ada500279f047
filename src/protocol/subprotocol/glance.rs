//! The fast path of a load client: what it needs of a frame, without allocating.

/// What a load client needs from a frame, without allocating: the fast path for messages and
/// acknowledgements. Falls back to [`super::ServerFrame::parse`] for anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Glance<'a> {
    /// A text message: its `data` as it stands between the quotes (no escapes inside).
    Text(&'a [u8]),
    /// An acknowledgement that succeeded.
    AckOk(u64),
    /// Anything else: parse it whole.
    Other,
}

/// Looks at a text frame from the hub. Never wrong, sometimes [`Glance::Other`]: only frames
/// exactly as [`super::ServerFrame::print`] prints them, with nothing but unescaped ASCII in their
/// strings, are understood.
#[must_use]
pub fn glance(text: &[u8]) -> Glance<'_> {
    text_data(text)
        .map(Glance::Text)
        .or_else(|| ack_id(text).map(Glance::AckOk))
        .unwrap_or(Glance::Other)
}

fn text_data(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(br#"{"type":"message","from":""#)?;
    let rest = if let Some(rest) = rest.strip_prefix(br#"group","group":""#) {
        let rest = after_string(rest)?.strip_prefix(br#","fromUserId":"#)?;
        match rest.strip_prefix(b"null") {
            Some(rest) => rest,
            None => after_string(rest.strip_prefix(b"\"")?)?,
        }
    } else {
        rest.strip_prefix(br#"server""#)?
    };
    let data = rest.strip_prefix(br#","dataType":"text","data":""#)?.strip_suffix(br#""}"#)?;
    // No early end, so that it is done many bytes at a time.
    data.iter().fold(true, |plain, &byte| plain & is_plain(byte)).then_some(data)
}

/// What follows the string whose inside begins here.
fn after_string(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|&byte| !is_plain(byte))?;
    text[end..].strip_prefix(b"\"")
}

/// Whether a byte stands for itself in a JSON string.
const fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte < 0x80 && byte != b'"' && byte != b'\\'
}

fn ack_id(text: &[u8]) -> Option<u64> {
    let rest = text.strip_prefix(br#"{"type":"ack","ackId":"#)?;
    let digits = rest.strip_suffix(br#","success":true}"#)?;
    let has_leading_zero = digits.len() > 1 && digits[0] == b'0';
    if digits.is_empty() || has_leading_zero {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::subprotocol::tests::server_frame;
    use crate::protocol::subprotocol::{MessageFrom, Payload, ServerFrame};

    /// What [`glance`] says of a text must be what the parser says of it.
    fn agrees(text: &str) -> bool {
        match (glance(text.as_bytes()), ServerFrame::parse(text)) {
            (Glance::Other, _) => true,
            (Glance::AckOk(seen), Ok(ServerFrame::Ack { ack_id, result: Ok(()) })) => {
                seen == ack_id
            }
            (Glance::Text(seen), Ok(ServerFrame::Message { payload: Payload::Text(data), .. })) => {
                seen == data.as_bytes()
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_parser_on_frames(frame in server_frame()) {
            prop_assert!(agrees(&frame.print()));
        }

        #[test]
        fn it_agrees_with_the_parser_on_broken_frames(
            frame in server_frame(),
            at in any::<proptest::sample::Index>(),
            put in "\\PC|[\"\\\\,}0-9\n]",
            cut in 0_usize..3,
        ) {
            let mut text: Vec<char> = frame.print().chars().collect();
            let at = at.index(text.len());
            text.splice(at..(at + cut).min(text.len()), put.chars());
            let text: String = text.into_iter().collect();
            prop_assert!(agrees(&text), "{text}");
        }

        #[test]
        fn plain_frames_are_seen_at_once(
            data in "[ !#-\\[\\]-~]{0,200}", group in "[a-z]{1,9}", ack_id: u64,
            user in proptest::option::of("[a-z0-9-]{1,9}"),
        ) {
            let payload = Payload::Text(data.clone());
            for from in [MessageFrom::Group { group, from_user_id: user }, MessageFrom::Server] {
                let wire = ServerFrame::Message { from, payload: payload.clone() }.print();
                prop_assert_eq!(glance(wire.as_bytes()), Glance::Text(data.as_bytes()));
            }
            let wire = ServerFrame::Ack { ack_id, result: Ok(()) }.print();
            prop_assert_eq!(glance(wire.as_bytes()), Glance::AckOk(ack_id));
        }
    }

    #[test]
    fn other_forms_of_the_same_frames_are_left_to_the_parser() {
        for wire in [
            r#"{"type": "ack","ackId":1,"success":true}"#,
            r#"{"type":"ack","ackId":01,"success":true}"#,
            r#"{"type":"ack","ackId":18446744073709551616,"success":true}"#,
            r#"{"type":"ack","ackId":,"success":true}"#,
            r#"{"type":"ack","ackId":1,"success":false}"#,
            r#"{"type":"message","from":"server","dataType":"text","data":"\u0041"}"#,
            r#"{"type":"message","from":"server","dataType":"text","data":"a","x":"b"}"#,
            r#"{"type":"message","from":"server","dataType":"json","data":"a"}"#,
            r#"{"type":"message","from":"server","dataType":"text","data":"é"}"#,
        ] {
            assert_eq!(glance(wire.as_bytes()), Glance::Other, "{wire}");
        }
    }
}
