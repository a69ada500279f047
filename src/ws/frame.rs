//! Frame headers, masks, printing frames, close payloads (RFC 6455, section 5).

use bytes::Bytes;

use crate::protocol::CloseCode;

/// Largest payload of a control frame, in bytes.
pub const CONTROL_BYTES_MAX: usize = 125;

/// Longest close reason in bytes: a control frame less the code.
pub const CLOSE_REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// Longest header: two bytes, eight of length, four of mask.
const HEADER_BYTES_MAX: usize = 14;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7F;
/// Value of the length field that says "two bytes of length follow".
const LENGTH_16: u8 = 126;
/// Value of the length field that says "eight bytes of length follow".
const LENGTH_64: u8 = 127;

/// What is wrong with the bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Reserved bits, unknown opcode, bad mask, bad control frame, bad continuation: close 1002.
    #[error("broken websocket framing: {0}")]
    Protocol(&'static str),
    /// Text or a close reason that is not UTF-8: close 1007.
    #[error("text that is not UTF-8")]
    Utf8,
    /// A message past the limit: close 1009. Raised from the header, before the payload came.
    #[error("a message of more than {limit} bytes")]
    TooLarge {
        /// Limit in bytes.
        limit: u64,
    },
}

impl FrameError {
    /// The close code that RFC 6455, section 7.4.1, has for it.
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::Protocol(_) => 1002,
            Self::Utf8 => 1007,
            Self::TooLarge { .. } => 1009,
        }
    }
}

/// Frame opcodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// Continuation of a fragmented message.
    Continuation,
    /// Text.
    Text,
    /// Binary.
    Binary,
    /// Close.
    Close,
    /// Ping.
    Ping,
    /// Pong.
    Pong,
}

impl Opcode {
    /// The four bits on the wire.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// The opcode of four bits; `None` for a reserved one.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// Whether it is a control frame: short, never fragmented, allowed between fragments.
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A parsed frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Last fragment.
    pub fin: bool,
    /// Opcode.
    pub opcode: Opcode,
    /// Mask, when the frame is masked.
    pub mask: Option<[u8; 4]>,
    /// Payload length.
    pub length: u64,
}

impl FrameHeader {
    /// Parses the header at the start of `bytes`: the header and its own length in bytes, or `None`
    /// while bytes are missing. What can be seen to be wrong is an error as soon as it is there.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        if first & RESERVED != 0 {
            return Err(FrameError::Protocol("a reserved bit is set"));
        }
        let opcode = Opcode::from_bits(first & OPCODE)
            .ok_or(FrameError::Protocol("the opcode is a reserved one"))?;
        let fin = first & FIN != 0;
        if opcode.is_control() && !fin {
            return Err(FrameError::Protocol("a control frame is fragmented"));
        }
        let Some(&second) = bytes.get(1) else {
            return Ok(None);
        };
        if opcode.is_control() && usize::from(second & LENGTH) > CONTROL_BYTES_MAX {
            return Err(FrameError::Protocol("a control frame is longer than 125 bytes"));
        }
        let Some((length, mut at)) = parse_length(bytes, second & LENGTH)? else {
            return Ok(None);
        };
        let mut mask = None;
        if second & MASKED != 0 {
            let Some(&key) = bytes.get(at..).and_then(<[u8]>::first_chunk) else {
                return Ok(None);
            };
            mask = Some(key);
            at += 4;
        }
        Ok(Some((Self { fin, opcode, mask, length }, at)))
    }

    /// The header's bytes, length in its shortest form.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(if self.fin { FIN } else { 0 } | self.opcode.bits());
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        if let Some(short) = u8::try_from(self.length).ok().filter(|&length| length < LENGTH_16) {
            out.push(masked | short);
        } else if let Ok(length) = u16::try_from(self.length) {
            out.push(masked | LENGTH_16);
            out.extend_from_slice(&length.to_be_bytes());
        } else {
            out.push(masked | LENGTH_64);
            out.extend_from_slice(&self.length.to_be_bytes());
        }
        out.extend_from_slice(self.mask.as_ref().map_or(&[], |mask| &mask[..]));
    }
}

/// The payload length and where it ends in the header; `None` while bytes of it are missing.
fn parse_length(bytes: &[u8], field: u8) -> Result<Option<(u64, usize)>, FrameError> {
    const NOT_SHORTEST: FrameError = FrameError::Protocol("the length is not in its shortest form");
    match field {
        LENGTH_16 => {
            let Some(&raw) = bytes.get(2..).and_then(<[u8]>::first_chunk) else {
                return Ok(None);
            };
            let length = u64::from(u16::from_be_bytes(raw));
            if length < u64::from(LENGTH_16) { Err(NOT_SHORTEST) } else { Ok(Some((length, 4))) }
        }
        LENGTH_64 => {
            let Some(&raw) = bytes.get(2..).and_then(<[u8]>::first_chunk) else {
                return Ok(None);
            };
            let length = u64::from_be_bytes(raw);
            if length <= u64::from(u16::MAX) {
                Err(NOT_SHORTEST)
            } else if length > i64::MAX.unsigned_abs() {
                Err(FrameError::Protocol("the length's highest bit is set"))
            } else {
                Ok(Some((length, 10)))
            }
        }
        short => Ok(Some((u64::from(short), 2))),
    }
}

/// Masks or unmasks in place: the mask repeated over the bytes, eight at a time.
pub fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        if let Some(word) = word.first_chunk_mut::<8>() {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Payload of a close frame, as it stood on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Code, whether or not RFC 6455 allows it on the wire; `None` for an empty payload.
    pub code: Option<CloseCode>,
    /// Reason.
    pub reason: String,
}

impl CloseFrame {
    /// Bytes of its payload.
    #[must_use]
    pub const fn payload_bytes(&self) -> usize {
        match self.code {
            Some(_) => 2 + self.reason.len(),
            None => 0,
        }
    }

    /// Reads a close frame's payload. One byte alone is broken framing; a reason that is not UTF-8
    /// is an error of its own.
    pub fn parse(payload: &[u8]) -> Result<Self, FrameError> {
        match payload {
            [] => Ok(Self { code: None, reason: String::new() }),
            [_] => Err(FrameError::Protocol("a close frame holds half a code")),
            [high, low, reason @ ..] => Ok(Self {
                code: Some(u16::from_be_bytes([*high, *low])),
                reason: str::from_utf8(reason).map_err(|_| FrameError::Utf8)?.to_owned(),
            }),
        }
    }
}

/// A whole unmasked frame, as a server sends it: encoded once, shared by every receiver.
#[must_use]
pub fn server_frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(HEADER_BYTES_MAX - 4 + payload.len());
    FrameHeader { fin: true, opcode, mask: None, length: payload.len() as u64 }.write(&mut out);
    out.extend_from_slice(payload);
    Bytes::from(out)
}

/// Appends a whole masked frame, as a client sends it.
pub fn client_frame(opcode: Opcode, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    out.reserve(HEADER_BYTES_MAX + payload.len());
    let length = payload.len() as u64;
    FrameHeader { fin: true, opcode, mask: Some(mask), length }.write(out);
    let start = out.len();
    out.extend_from_slice(payload);
    apply_mask(&mut out[start..], mask);
}

/// Payload of a close frame; the reason is cut to [`CLOSE_REASON_BYTES_MAX`] at a character's edge.
/// Without a code there is no room for a reason on the wire, and none is written.
#[must_use]
pub fn close_payload(code: Option<CloseCode>, reason: &str) -> Vec<u8> {
    let Some(code) = code else { return Vec::new() };
    let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
    let mut payload = Vec::with_capacity(2 + reason.len());
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(reason.as_bytes());
    payload
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::protocol::frame as other;

    use super::*;

    fn any_opcode() -> impl Strategy<Value = Opcode> {
        prop_oneof![
            Just(Opcode::Continuation),
            Just(Opcode::Text),
            Just(Opcode::Binary),
            Just(Opcode::Close),
            Just(Opcode::Ping),
            Just(Opcode::Pong),
        ]
    }

    fn any_header() -> impl Strategy<Value = FrameHeader> {
        let length = prop_oneof![
            0..300_u64,
            u64::from(u16::MAX) - 2..u64::from(u16::MAX) + 3,
            0..=i64::MAX.unsigned_abs()
        ];
        (any::<bool>(), any_opcode(), any::<Option<[u8; 4]>>(), length).prop_map(
            |(fin, opcode, mask, length)| {
                let control = opcode.is_control();
                let length = if control { length % 126 } else { length };
                FrameHeader { fin: fin || control, opcode, mask, length }
            },
        )
    }

    proptest! {
        #[test]
        fn a_header_reads_back_and_tungstenite_reads_the_same(header in any_header()) {
            let mut bytes = Vec::new();
            header.write(&mut bytes);
            for cut in 0..bytes.len() {
                prop_assert_eq!(FrameHeader::parse(&bytes[..cut]), Ok(None));
            }
            prop_assert_eq!(FrameHeader::parse(&bytes), Ok(Some((header, bytes.len()))));

            let mut cursor = Cursor::new(&bytes);
            let (theirs, length) = other::FrameHeader::parse(&mut cursor).unwrap().unwrap();
            prop_assert_eq!(length, header.length);
            prop_assert_eq!(theirs.is_final, header.fin);
            prop_assert_eq!(theirs.mask, header.mask);
            prop_assert_eq!(u8::from(theirs.opcode), header.opcode.bits());
            let mut printed = Vec::new();
            theirs.format(length, &mut printed).unwrap();
            prop_assert_eq!(printed, bytes);
        }

        #[test]
        fn no_bytes_break_the_parser(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = FrameHeader::parse(&bytes);
        }

        #[test]
        fn a_mask_is_the_key_repeated(
            mut bytes in prop::collection::vec(any::<u8>(), 0..70),
            mask: [u8; 4],
        ) {
            let plain = bytes.clone();
            apply_mask(&mut bytes, mask);
            for (index, (masked, plain)) in bytes.iter().zip(&plain).enumerate() {
                prop_assert_eq!(*masked, plain ^ mask[index % 4]);
            }
        }

        #[test]
        fn a_close_payload_reads_back_cut_at_a_character(code: u16, reason in "\\PC{0,80}") {
            let payload = close_payload(Some(code), &reason);
            prop_assert!(payload.len() <= CONTROL_BYTES_MAX);
            let read = CloseFrame::parse(&payload).unwrap();
            prop_assert_eq!(read.code, Some(code));
            prop_assert!(reason.starts_with(&read.reason));
            prop_assert!(read.reason == reason || read.reason.len() > CLOSE_REASON_BYTES_MAX - 4);
        }
    }

    #[test]
    fn broken_headers_are_named_as_early_as_possible() {
        let cases: [(&[u8], &str); 8] = [
            (&[0xC1], "a reserved bit is set"),
            (&[0x90], "a reserved bit is set"),
            (&[0x83], "the opcode is a reserved one"),
            (&[0x8B], "the opcode is a reserved one"),
            (&[0x09], "a control frame is fragmented"),
            (&[0x89, 126], "a control frame is longer than 125 bytes"),
            (&[0x82, 126, 0, 125], "the length is not in its shortest form"),
            (&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], "the length's highest bit is set"),
        ];
        for (bytes, what) in cases {
            assert_eq!(FrameHeader::parse(bytes), Err(FrameError::Protocol(what)), "{bytes:?}");
            assert_eq!(FrameHeader::parse(&bytes[..bytes.len() - 1]), Ok(None), "{bytes:?}");
        }
    }

    #[test]
    fn close_codes_stay_as_they_came() {
        for code in [0, 999, 1005, 1006, 1015, 2999, 4999, 65_535] {
            assert_eq!(CloseFrame::parse(&close_payload(Some(code), "")).unwrap().code, Some(code));
        }
        assert_eq!(CloseFrame::parse(&[]).unwrap().code, None);
        assert!(matches!(CloseFrame::parse(&[3]), Err(FrameError::Protocol(_))));
        assert_eq!(CloseFrame::parse(&[3, 232, 0xFF]), Err(FrameError::Utf8));
        assert!(close_payload(None, "lost").is_empty());
    }
}
