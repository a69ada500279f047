//! Incremental reading of frames out of a shared scratch buffer.
//!
//! The buffer for reading belongs to the thread, not to the connection: a connection keeps bytes of
//! its own only while a frame or a fragmented message is incomplete.

use bytes::Bytes;

use super::frame::CloseFrame;

/// Which end reads: a server demands masked frames, a client unmasked ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The hub.
    Server,
    /// The client.
    Client,
}

/// One whole message or control frame, borrowed from the scratch buffer or from the reader.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadEvent<'a> {
    /// A whole text message (valid UTF-8).
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// Ping with its payload.
    Ping(&'a [u8]),
    /// Pong with its payload.
    Pong(&'a [u8]),
    /// Close.
    Close(CloseFrame),
}

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

/// Reads the frames of one direction of one connection.
#[derive(Debug)]
pub struct FrameReader {
    role: Role,
    message_bytes_max: u64,
    partial: Vec<u8>,
    message: Vec<u8>,
}

impl FrameReader {
    /// A reader; `message_bytes_max` bounds a reassembled message.
    #[must_use]
    pub fn new(role: Role, message_bytes_max: u64) -> Self {
        Self { role, message_bytes_max, partial: Vec::new(), message: Vec::new() }
    }

    /// Bytes that came with the handshake's answer, read before anything else.
    pub fn feed_leftover(&mut self, _bytes: &Bytes) {
        unimplemented!()
    }

    /// Takes freshly read bytes (unmasking in place) and calls `each` for every whole message or
    /// control frame, in order, until it answers [`Next::Stop`] (the rest is kept for the next
    /// call). An empty `fresh` goes on with what was kept.
    pub fn read(
        &mut self,
        _fresh: &mut [u8],
        _each: impl FnMut(ReadEvent<'_>) -> Next,
    ) -> Result<(), FrameError> {
        let _ = (self.role, self.message_bytes_max, &mut self.partial, &mut self.message);
        unimplemented!()
    }

    /// Bytes kept because a frame or message is incomplete (or reading was stopped).
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.partial.len() + self.message.len()
    }
}

/// Whether to go on with the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Continue,
    /// Keep the rest.
    Stop,
}
