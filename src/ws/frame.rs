//! Frame headers, printing frames, close payloads.

use bytes::Bytes;

use crate::protocol::CloseCode;

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

/// Payload of a close frame, as it stood on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Code; `None` for an empty payload.
    pub code: Option<CloseCode>,
    /// Reason, lossily decoded when it is not UTF-8.
    pub reason: String,
}

/// A whole unmasked frame, as a server sends it: encoded once, shared by every receiver.
#[must_use]
pub fn server_frame(_opcode: Opcode, _payload: &[u8]) -> Bytes {
    unimplemented!()
}

/// Appends a whole masked frame, as a client sends it.
pub fn client_frame(_opcode: Opcode, _payload: &[u8], _mask: [u8; 4], _out: &mut Vec<u8>) {
    unimplemented!()
}

/// Payload of a close frame; the reason is cut to 123 bytes at a character's edge.
#[must_use]
pub fn close_payload(_code: Option<CloseCode>, _reason: &str) -> Vec<u8> {
    unimplemented!()
}
