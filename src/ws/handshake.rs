//! The opening handshake, client side; and what the server side needs to answer one.
//!
//! The future of a handshake is short-lived and boxed by its callers, so that nothing of the HTTP
//! exchange stays in a connection's memory.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::event::HandshakeFailure;
use crate::net::Stream;
use crate::protocol::Subprotocol;

/// Largest answer to an upgrade that is read, head and body.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Longest start of a refusal's body that is kept, in characters.
pub const REFUSAL_CHARS_MAX: usize = 200;

/// How long the body of a refusal may take after its head: the status is the observation, and must
/// not be lost to a body that never comes.
pub const REFUSAL_BODY_WAIT: Duration = Duration::from_secs(1);

/// Most header fields of an answer.
const HEADERS_MAX: usize = 64;

/// Bytes asked for in one read of the answer.
const READ_BYTES: usize = 1024;

/// An upgrade request.
#[derive(Clone, Debug)]
pub struct UpgradeRequest<'a> {
    /// Value of `Host`.
    pub authority: &'a str,
    /// Path and query, percent-encoded; it may hold an access token and is never logged.
    pub path_and_query: &'a str,
    /// Subprotocol asked for.
    pub subprotocol: Subprotocol,
    /// The 16 random bytes of `Sec-WebSocket-Key`, from the run's seed.
    pub key: [u8; 16],
}

/// How an upgrade went.
#[derive(Debug)]
pub enum UpgradeAnswer {
    /// 101, checked. Bytes that came behind it belong to the [`super::FrameReader`].
    Upgraded {
        /// The stream.
        stream: Stream,
        /// Bytes behind the 101.
        leftover: Bytes,
    },
    /// Another status.
    Refused {
        /// HTTP status.
        status: u16,
        /// Start of the body, at most [`REFUSAL_CHARS_MAX`] characters.
        body: String,
    },
}

/// Sends the request and reads the answer. The caller bounds the time.
pub async fn upgrade(
    mut stream: Stream,
    request: &UpgradeRequest<'_>,
) -> Result<UpgradeAnswer, HandshakeFailure> {
    let key = STANDARD.encode(request.key);
    let text = request_text(request, &key);
    stream.write_all(text.as_bytes()).await.map_err(|_| HandshakeFailure::Ended)?;
    stream.flush().await.map_err(|_| HandshakeFailure::Ended)?;
    let mut answer = BytesMut::new();
    let head = loop {
        read_more(&mut stream, &mut answer).await?;
        if let Some(head) = parse_head(&answer, &key, request.subprotocol)? {
            break head;
        }
        if answer.len() >= ANSWER_BYTES_MAX {
            return Err(HandshakeFailure::BadAnswer);
        }
    };
    match head {
        Head::Switched { bytes } => {
            let leftover = answer.split_off(bytes).freeze();
            Ok(UpgradeAnswer::Upgraded { stream, leftover })
        }
        Head::Refused { bytes, status, body } => {
            let mut raw = answer.split_off(bytes);
            // Without a whole body in time, what came of it is kept.
            let _ = tokio::time::timeout(REFUSAL_BODY_WAIT, async {
                while !body.is_whole(&raw) && raw.len() < ANSWER_BYTES_MAX {
                    if read_more(&mut stream, &mut raw).await.is_err() {
                        break;
                    }
                }
            })
            .await;
            let text = String::from_utf8_lossy(&body.decode(&raw)).into_owned();
            Ok(UpgradeAnswer::Refused {
                status,
                body: text.chars().take(REFUSAL_CHARS_MAX).collect(),
            })
        }
    }
}

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`; `None` when the key is not 16 bytes in base64.
#[must_use]
pub fn accept_key(key: &str) -> Option<String> {
    let raw = STANDARD.decode(key).ok()?;
    (raw.len() == 16).then(|| derive_accept_key(key.as_bytes()))
}

/// The whole request, so that it leaves in one write.
fn request_text(request: &UpgradeRequest<'_>, key: &str) -> String {
    let UpgradeRequest { authority, path_and_query, subprotocol, .. } = request;
    let mut text = format!(
        "GET {path_and_query} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
    );
    if let Some(name) = subprotocol.wire_name() {
        text.push_str("Sec-WebSocket-Protocol: ");
        text.push_str(name);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text
}

/// Appends what a read gives; the end of the stream is an error.
async fn read_more(stream: &mut Stream, into: &mut BytesMut) -> Result<(), HandshakeFailure> {
    into.reserve(READ_BYTES);
    match stream.read_buf(into).await {
        Ok(0) | Err(_) => Err(HandshakeFailure::Ended),
        Ok(_) => Ok(()),
    }
}

/// Head of an answer; `bytes` is its length.
#[derive(Debug)]
enum Head {
    Switched { bytes: usize },
    Refused { bytes: usize, status: u16, body: BodyLength },
}

fn parse_head(
    answer: &[u8],
    key: &str,
    subprotocol: Subprotocol,
) -> Result<Option<Head>, HandshakeFailure> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let bytes = match head.parse(answer) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(HandshakeFailure::BadAnswer),
    };
    let fields = Fields(head.headers);
    match head.code {
        Some(101) => {
            check_switch(&fields, key, subprotocol)?;
            Ok(Some(Head::Switched { bytes }))
        }
        // Interim answers promise another one; none of them belongs to an upgrade.
        None | Some(..200) => Err(HandshakeFailure::BadAnswer),
        Some(status) => {
            Ok(Some(Head::Refused { bytes, status, body: BodyLength::of(status, &fields) }))
        }
    }
}

/// RFC 6455, section 4.1: what a client must demand of a 101.
fn check_switch(
    fields: &Fields<'_>,
    key: &str,
    subprotocol: Subprotocol,
) -> Result<(), HandshakeFailure> {
    let accepted = fields.only("Sec-WebSocket-Accept") == Some(&derive_accept_key(key.as_bytes()));
    let switched = fields.has_token("Upgrade", "websocket")
        && fields.has_token("Connection", "upgrade")
        && fields.all("Sec-WebSocket-Extensions").next().is_none();
    if !accepted || !switched {
        return Err(HandshakeFailure::BadAnswer);
    }
    let mut echoed = fields.all("Sec-WebSocket-Protocol");
    if echoed.next() != subprotocol.wire_name() || echoed.next().is_some() {
        return Err(HandshakeFailure::Subprotocol);
    }
    Ok(())
}

/// Header fields, looked up without case.
struct Fields<'a>(&'a [httparse::Header<'a>]);

impl<'a> Fields<'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .filter_map(|field| str::from_utf8(field.value).ok())
            .map(str::trim)
    }

    /// The value of a field that stands there exactly once.
    fn only(&self, name: &str) -> Option<&'a str> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(','))
            .any(|value| value.trim().eq_ignore_ascii_case(token))
    }
}

/// Where the body of a refusal ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyLength {
    Bytes(usize),
    Chunked,
    UntilEnd,
}

impl BodyLength {
    fn of(status: u16, fields: &Fields<'_>) -> Self {
        if matches!(status, 204 | 304) {
            return Self::Bytes(0);
        }
        if fields.has_token("Transfer-Encoding", "chunked") {
            return Self::Chunked;
        }
        let length = fields.only("Content-Length").and_then(|value| value.parse().ok());
        length.map_or(Self::UntilEnd, Self::Bytes)
    }

    fn is_whole(self, raw: &[u8]) -> bool {
        match self {
            Self::Bytes(length) => raw.len() >= length,
            Self::Chunked => dechunk(raw).1 == Chunks::Whole,
            Self::UntilEnd => false,
        }
    }

    fn decode(self, raw: &[u8]) -> Vec<u8> {
        match self {
            Self::Bytes(length) => raw[..raw.len().min(length)].to_vec(),
            Self::Chunked => dechunk(raw).0,
            Self::UntilEnd => raw.to_vec(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunks {
    /// The last chunk has come, or nothing sensible can come any more.
    Whole,
    Missing,
}

/// The data of the chunks so far.
fn dechunk(raw: &[u8]) -> (Vec<u8>, Chunks) {
    let mut data = Vec::new();
    let mut rest = raw;
    loop {
        let (start, length) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(parsed)) => parsed,
            Ok(httparse::Status::Partial) => return (data, Chunks::Missing),
            Err(_) => return (data, Chunks::Whole),
        };
        if length == 0 {
            return (data, Chunks::Whole);
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        rest = &rest[start..];
        data.extend_from_slice(&rest[..rest.len().min(length)]);
        // Behind the data stands CR LF.
        let Some(behind) = rest.get(length.saturating_add(2)..) else {
            return (data, Chunks::Missing);
        };
        rest = behind;
    }
}
