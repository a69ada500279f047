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

use crate::event::{HandshakeFailure, REFUSAL_CHARS_MAX};
use crate::net::Stream;
use crate::protocol::Subprotocol;

/// Largest answer to an upgrade that is read, head and body.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

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

#[cfg(test)]
mod tests {
    use futures::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
    use tokio_tungstenite::tungstenite::{Message, http::HeaderValue};

    use super::*;
    use crate::net::testing::{bounded, pair};
    use crate::protocol::subprotocol::JSON_SUBPROTOCOL;
    use crate::ws::frame::{Opcode, client_frame, server_frame};
    use crate::ws::{FrameReader, Next, ReadEvent, Role};

    const REQUEST: UpgradeRequest<'_> = UpgradeRequest {
        authority: "hub.example:8080",
        path_and_query: "/client/hubs/h?access_token=secret",
        subprotocol: Subprotocol::Json,
        key: *b"the sample nonce",
    };

    /// The key of RFC 6455's example, section 1.3, and its answer.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    /// What a server does once it has answered.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum After {
        Stay,
        End,
        Reset,
    }

    /// Upgrades against a server that answers `text` however it was asked.
    async fn upgrade_against(
        text: &str,
        request: &UpgradeRequest<'_>,
        after: After,
    ) -> (Result<UpgradeAnswer, HandshakeFailure>, String) {
        let (client, mut server) = pair().await;
        let serve = async {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                server.read_buf(&mut asked).await.unwrap();
            }
            for piece in text.as_bytes().chunks(37) {
                server.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            let kept = match after {
                After::Stay => Some(server),
                After::End => None,
                After::Reset => {
                    server.abort();
                    None
                }
            };
            (String::from_utf8(asked).unwrap(), kept)
        };
        let (result, (asked, _kept)) =
            bounded(async { tokio::join!(upgrade(client, request), serve) }).await;
        (result, asked)
    }

    fn switching(fields: &[&str]) -> String {
        format!("HTTP/1.1 101 Switching Protocols\r\n{}\r\n\r\n", fields.join("\r\n"))
    }

    const UPGRADE: &str = "upgrade: WebSocket";
    const CONNECTION: &str = "Connection: keep-alive, Upgrade";
    const ACCEPTED: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    const JSON: &str = "Sec-WebSocket-Protocol: json.webpubsub.azure.v1";

    #[tokio::test]
    async fn the_request_is_what_the_rfc_demands_and_bytes_behind_the_answer_are_kept() {
        let request = UpgradeRequest { key: *b"the sample nonce", ..REQUEST };
        let text = switching(&[UPGRADE, CONNECTION, ACCEPTED, JSON]) + "\u{1}behind";
        let (result, asked) = upgrade_against(&text, &request, After::Stay).await;
        assert_eq!(
            asked,
            format!(
                "GET /client/hubs/h?access_token=secret HTTP/1.1\r\nHost: hub.example:8080\r\n\
                 Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {JSON_SUBPROTOCOL}\r\n\r\n"
            )
        );
        let Ok(UpgradeAnswer::Upgraded { mut stream, leftover }) = result else {
            panic!("{result:?}");
        };
        let mut all = leftover.to_vec();
        while all.len() < 7 {
            bounded(stream.read_buf(&mut all)).await.unwrap();
        }
        assert_eq!(all, b"\x01behind");
    }

    #[tokio::test]
    async fn answers_that_are_not_acceptable_are_told_apart() {
        let cases: [(&[&str], Result<(), HandshakeFailure>); 8] = [
            (&[UPGRADE, CONNECTION, ACCEPTED, JSON], Ok(())),
            (&[CONNECTION, ACCEPTED, JSON], Err(HandshakeFailure::BadAnswer)),
            (&[UPGRADE, ACCEPTED, JSON], Err(HandshakeFailure::BadAnswer)),
            (&[UPGRADE, CONNECTION, JSON], Err(HandshakeFailure::BadAnswer)),
            (
                &[UPGRADE, CONNECTION, "Sec-WebSocket-Accept: AAAA", JSON],
                Err(HandshakeFailure::BadAnswer),
            ),
            (
                &[
                    UPGRADE,
                    CONNECTION,
                    ACCEPTED,
                    JSON,
                    "Sec-WebSocket-Extensions: permessage-deflate",
                ],
                Err(HandshakeFailure::BadAnswer),
            ),
            (&[UPGRADE, CONNECTION, ACCEPTED], Err(HandshakeFailure::Subprotocol)),
            (
                &[UPGRADE, CONNECTION, ACCEPTED, "Sec-WebSocket-Protocol: mqtt"],
                Err(HandshakeFailure::Subprotocol),
            ),
        ];
        for (fields, wanted) in cases {
            let (result, _) = upgrade_against(&switching(fields), &REQUEST, After::Stay).await;
            assert_eq!(result.map(|_| ()), wanted, "{fields:?}");
        }
        let simple = UpgradeRequest { subprotocol: Subprotocol::Simple, ..REQUEST };
        for (fields, wanted) in [
            (&[UPGRADE, CONNECTION, ACCEPTED][..], Ok(())),
            (&[UPGRADE, CONNECTION, ACCEPTED, JSON], Err(HandshakeFailure::Subprotocol)),
        ] {
            let (result, asked) = upgrade_against(&switching(fields), &simple, After::Stay).await;
            assert_eq!(result.map(|_| ()), wanted, "{fields:?}");
            assert!(!asked.contains("Sec-WebSocket-Protocol"), "{asked}");
        }
    }

    #[tokio::test]
    async fn what_is_not_an_answer_is_told_from_no_answer() {
        let endless = format!("HTTP/1.1 101 X\r\nX: {}", "x".repeat(ANSWER_BYTES_MAX));
        for (text, after, wanted) in [
            ("SSH-2.0-OpenSSH_9.2\r\n", After::Stay, HandshakeFailure::BadAnswer),
            ("HTTP/1.1 100 Continue\r\n\r\n", After::Stay, HandshakeFailure::BadAnswer),
            (&endless, After::Stay, HandshakeFailure::BadAnswer),
            ("HTTP/1.1 101 Switching", After::End, HandshakeFailure::Ended),
            ("", After::End, HandshakeFailure::Ended),
            ("", After::Reset, HandshakeFailure::Ended),
        ] {
            let (result, _) = upgrade_against(text, &REQUEST, after).await;
            assert_eq!(result.map(|_| ()), Err(wanted), "{:.40}", text);
        }
    }

    #[tokio::test]
    async fn a_refusal_is_read_to_the_end_of_its_body_however_that_is_marked() {
        let text = "Connection count reaches limit.";
        let long = format!("Content-Length: 3000\r\n\r\n{}", "\u{e9}".repeat(1_500));
        for (rest, after, wanted) in [
            (format!("Content-Length: 31\r\n\r\n{text}behind"), After::Stay, text.to_owned()),
            (format!("Content-Length: 99\r\n\r\n{text}"), After::End, text.to_owned()),
            (format!("\r\n{text}"), After::End, text.to_owned()),
            (
                "Transfer-Encoding: chunked\r\n\r\n10\r\nConnection count\r\n\
                 F;x=1\r\n reaches limit.\r\n0\r\n\r\n"
                    .to_owned(),
                After::Stay,
                text.to_owned(),
            ),
            ("Content-Length: 0\r\n\r\n".to_owned(), After::Stay, String::new()),
            (long, After::Stay, "\u{e9}".repeat(REFUSAL_CHARS_MAX)),
        ] {
            let answer = format!("HTTP/1.1 429 Too Many Requests\r\n{rest}");
            let (result, _) = upgrade_against(&answer, &REQUEST, after).await;
            let Ok(UpgradeAnswer::Refused { status, body }) = result else {
                panic!("{result:?} for {rest}");
            };
            assert_eq!((status, body), (429, wanted), "{rest}");
        }
    }

    #[tokio::test]
    async fn a_body_that_never_comes_does_not_cost_the_status() {
        let text = "HTTP/1.1 503 Busy\r\nContent-Length: 99\r\n\r\nwait";
        let (result, _) = upgrade_against(text, &REQUEST, After::Stay).await;
        let Ok(UpgradeAnswer::Refused { status, body }) = result else { panic!("{result:?}") };
        assert_eq!((status, body.as_str()), (503, "wait"));
    }

    #[test]
    fn a_key_must_be_sixteen_bytes() {
        assert_eq!(accept_key(KEY).as_deref(), Some(ACCEPT));
        for bad in
            ["", "AAAA", "not base64 at all", "dGhlIHNhbXBsZSBub25jZTEy", "dGhlIHNhbXBsZSBub25jZQ"]
        {
            assert_eq!(accept_key(bad), None, "{bad}");
        }
    }

    /// Reads until `count` messages were seen; tells text apart by its kind.
    async fn read_texts(
        stream: &mut Stream,
        reader: &mut FrameReader,
        count: usize,
    ) -> Vec<String> {
        let mut texts = Vec::new();
        let mut chunk = [0; 4096];
        while texts.len() < count {
            let got = bounded(stream.read(&mut chunk)).await.unwrap();
            assert!(got > 0, "the stream ended early");
            reader
                .read(&mut chunk[..got], |event| {
                    if let ReadEvent::Text(text) = event {
                        texts.push(text.to_owned());
                    }
                    Next::Continue
                })
                .unwrap();
        }
        texts
    }

    #[tokio::test]
    async fn a_tungstenite_server_understands_us() {
        let (client, server) = pair().await;
        #[expect(clippy::result_large_err, reason = "tungstenite's callback is made so")]
        let echo = |_: &Request, mut response: Response| {
            let name = HeaderValue::from_static(JSON_SUBPROTOCOL);
            response.headers_mut().insert("Sec-WebSocket-Protocol", name);
            Ok(response)
        };
        let serve = async {
            let mut socket = tokio_tungstenite::accept_hdr_async(server, echo).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() {
                    socket.send(message).await.unwrap();
                }
            }
        };
        let talk = async {
            let answer = upgrade(client, &REQUEST).await.unwrap();
            let UpgradeAnswer::Upgraded { mut stream, leftover } = answer else {
                panic!("{answer:?}");
            };
            let mut out = Vec::new();
            for text in ["one", &"long ".repeat(30_000), ""] {
                client_frame(Opcode::Text, text.as_bytes(), [9, 8, 7, 6], &mut out);
            }
            let mut reader = FrameReader::new(Role::Client, 1 << 20);
            reader.feed_leftover(&leftover);
            stream.write_all(&out).await.unwrap();
            let texts = read_texts(&mut stream, &mut reader, 3).await;
            assert_eq!(texts, ["one", &"long ".repeat(30_000), ""]);
        };
        bounded(async { tokio::join!(serve, talk) }).await;
    }

    #[tokio::test]
    async fn a_tungstenite_client_understands_us() {
        let (client, mut server) = pair().await;
        let serve = async {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                server.read_buf(&mut asked).await.unwrap();
            }
            let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut request = httparse::Request::new(&mut fields);
            assert!(request.parse(&asked).unwrap().is_complete());
            let key = Fields(request.headers).only("Sec-WebSocket-Key").unwrap();
            let accept = format!("Sec-WebSocket-Accept: {}", accept_key(key).unwrap());
            let answer = switching(&[UPGRADE, "Connection: Upgrade", &accept]);
            server.write_all(answer.as_bytes()).await.unwrap();
            let mut reader = FrameReader::new(Role::Server, 1 << 20);
            for text in read_texts(&mut server, &mut reader, 3).await {
                server.write_all(&server_frame(Opcode::Text, text.as_bytes())).await.unwrap();
            }
        };
        let talk = async {
            let (mut socket, _) =
                tokio_tungstenite::client_async("ws://hub.example/", client).await.unwrap();
            for text in ["one", &"long ".repeat(30_000), ""] {
                socket.feed(Message::text(text)).await.unwrap();
            }
            socket.flush().await.unwrap();
            for text in ["one", &"long ".repeat(30_000), ""] {
                assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
            }
        };
        bounded(async { tokio::join!(serve, talk) }).await;
    }
}
