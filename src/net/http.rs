//! A small HTTP/1.1 caller over [`super::Stream`]: one kept-alive connection, one request at a
//! time, every call bounded in time. For REST, the control API and, later, webhooks.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use super::Connector;
use super::connect::Dial;

/// A request. Header values may hold tokens and are never logged.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// Method.
    pub method: http::Method,
    /// Path and query, percent-encoded.
    pub path_and_query: String,
    /// Headers besides `Content-Length`. Without a `Host` the endpoint's is sent.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Body.
    pub body: Bytes,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// Status.
    pub status: http::StatusCode,
    /// Headers.
    pub headers: http::HeaderMap,
    /// Body, at most [`ANSWER_BYTES_MAX`].
    pub body: Bytes,
}

/// Largest body read into memory.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longest line of an answer read line by line.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] super::ConnectError),
    /// No whole answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection broke, or the answer is not HTTP.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The request cannot be put on the wire: path or host is not valid in HTTP.
    #[error("not a valid HTTP request: {0}")]
    BadRequest(String),
    /// The body, or a line of it, is longer than what is read into memory.
    #[error("an answer of more than {limit} bytes")]
    TooLarge {
        /// Limit in bytes.
        limit: usize,
    },
}

/// Calls one endpoint. Must be used inside a `LocalSet`.
#[derive(Debug)]
pub struct HttpCaller {
    connector: Connector,
    kept: Option<Exchange>,
}

impl HttpCaller {
    /// A caller without a connection yet.
    #[must_use]
    pub const fn new(connector: Connector) -> Self {
        Self { connector, kept: None }
    }

    /// Calls, over the kept connection where it still lives. A call on a kept connection that turns
    /// out dead is made once more on a new one, if it never left or its method is idempotent: a
    /// message must not be published twice (RFC 9110, section 9.2.2).
    pub async fn call(
        &mut self,
        request: HttpRequest,
        within: Duration,
    ) -> Result<HttpAnswer, HttpError> {
        tokio::time::timeout(within, self.exchange(&request))
            .await
            .unwrap_or(Err(HttpError::TimedOut(within)))
    }

    /// Calls on a connection of its own and hands out the body line by line as it comes. `within`
    /// bounds the time to the head of the answer; how long to wait for a line is the reader's
    /// choice.
    pub async fn lines(
        &self,
        request: HttpRequest,
        within: Duration,
    ) -> Result<(http::StatusCode, Lines), HttpError> {
        let open = async {
            let mut link = Exchange::open(&self.connector).await?;
            let answer = link.send(self.on_the_wire(&request)?).await.map_err(Unanswered::error)?;
            Ok((answer.status(), Lines::new(answer.into_body(), link)))
        };
        tokio::time::timeout(within, open).await.unwrap_or(Err(HttpError::TimedOut(within)))
    }

    async fn exchange(&mut self, request: &HttpRequest) -> Result<HttpAnswer, HttpError> {
        // Taken out for as long as a call is under way: if that is given up, so is the connection.
        if let Some(link) = self.kept.take().filter(|link| !link.sender.is_closed()) {
            match self.exchange_over(link, request).await {
                Err(failed) if failed.may_repeat(&request.method) => {}
                result => return result.map_err(Unanswered::error),
            }
        }
        let link = Exchange::open(&self.connector).await?;
        self.exchange_over(link, request).await.map_err(Unanswered::error)
    }

    async fn exchange_over(
        &mut self,
        mut link: Exchange,
        request: &HttpRequest,
    ) -> Result<HttpAnswer, Unanswered> {
        let request = self.on_the_wire(request).map_err(Unanswered::Final)?;
        let (head, body) = link.send(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| {
            Unanswered::Final(if error.is::<LengthLimitError>() {
                HttpError::TooLarge { limit: ANSWER_BYTES_MAX }
            } else {
                HttpError::Broken(error.to_string())
            })
        })?;
        self.kept = Some(link);
        Ok(HttpAnswer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    fn on_the_wire(&self, request: &HttpRequest) -> Result<http::Request<Full<Bytes>>, HttpError> {
        let mut wire = http::Request::builder()
            .method(request.method.clone())
            .uri(&request.path_and_query)
            .body(Full::new(request.body.clone()))
            .map_err(|error| HttpError::BadRequest(error.to_string()))?;
        let headers = wire.headers_mut();
        headers.extend(request.headers.iter().cloned());
        if !headers.contains_key(http::header::HOST) {
            let host = self.connector.endpoint().authority().parse().map_err(
                |error: http::header::InvalidHeaderValue| HttpError::BadRequest(error.to_string()),
            )?;
            headers.insert(http::header::HOST, host);
        }
        Ok(wire)
    }
}

/// Why a request on a connection has no answer.
enum Unanswered {
    /// It never left.
    Unsent(String),
    /// It may have been carried out.
    Sent(String),
    /// Another connection would not help.
    Final(HttpError),
}

impl Unanswered {
    fn may_repeat(&self, method: &http::Method) -> bool {
        match self {
            Self::Unsent(_) => true,
            Self::Sent(_) => method.is_idempotent(),
            Self::Final(_) => false,
        }
    }

    fn error(self) -> HttpError {
        match self {
            Self::Unsent(why) | Self::Sent(why) => HttpError::Broken(why),
            Self::Final(error) => error,
        }
    }
}

/// A connection, and the task that drives it. Dropping it closes the connection.
struct Exchange {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("closed", &self.sender.is_closed()).finish_non_exhaustive()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Exchange {
    async fn open(connector: &Connector) -> Result<Self, HttpError> {
        let stream = connector.connect(Dial::default()).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| HttpError::Broken(error.to_string()))?;
        let driver = tokio::task::spawn_local(async move {
            // Whoever waits for the answer is told of the error too.
            let _ = connection.await;
        });
        Ok(Self { sender, driver })
    }

    async fn send(
        &mut self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, Unanswered> {
        self.sender.ready().await.map_err(|error| Unanswered::Unsent(error.to_string()))?;
        self.sender.try_send_request(request).await.map_err(|mut failed| {
            let why = failed.error().to_string();
            if failed.take_message().is_some() {
                Unanswered::Unsent(why)
            } else {
                Unanswered::Sent(why)
            }
        })
    }
}

/// Lines of an answer that goes on. Dropping it closes its connection.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    /// Bytes of the line under way, and perhaps of later ones.
    buffer: BytesMut,
    /// Bytes at the start of `buffer` known to hold no end of line.
    searched: usize,
    body_state: BodyState,
    _link: Exchange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyState {
    Open,
    Ended,
}

impl Lines {
    fn new(body: Incoming, link: Exchange) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            searched: 0,
            body_state: BodyState::Open,
            _link: link,
        }
    }

    /// The next line without its end (`\n` or `\r\n`), at most [`LINE_BYTES_MAX`] long; `None` at
    /// the end of the body. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            let found = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n');
            if let Some(at) = found {
                let line = self.buffer.split_to(self.searched + at + 1);
                self.searched = 0;
                return Ok(Some(without_end(&line.freeze())));
            }
            self.searched = self.buffer.len();
            if self.searched > LINE_BYTES_MAX {
                return Err(HttpError::TooLarge { limit: LINE_BYTES_MAX });
            }
            if self.body_state == BodyState::Ended {
                self.searched = 0;
                let rest = self.buffer.split().freeze();
                return Ok(Some(rest).filter(|rest| !rest.is_empty()));
            }
            match self.body.frame().await {
                None => self.body_state = BodyState::Ended,
                Some(Err(error)) => return Err(HttpError::Broken(error.to_string())),
                // Trailers say nothing here.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

fn without_end(line: &Bytes) -> Bytes {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    line.slice(..text.len())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::net::testing::{bounded, listener, local};
    use crate::protocol::Scheme;

    const WITHIN: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(200);

    async fn caller() -> (TcpListener, HttpCaller) {
        let (listener, endpoint) = listener(Scheme::Http).await;
        (listener, HttpCaller::new(Connector::new(endpoint, None).await.unwrap()))
    }

    fn request(method: http::Method, path: &str, body: &'static str) -> HttpRequest {
        HttpRequest {
            method,
            path_and_query: path.to_owned(),
            headers: vec![(
                http::header::AUTHORIZATION,
                http::HeaderValue::from_static("Bearer t"),
            )],
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    fn get() -> HttpRequest {
        request(http::Method::GET, "/ok?x=1", "")
    }

    /// Reads one request whose body ends with `last`.
    async fn read_request(stream: &mut TcpStream, last: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(last.as_bytes()) {
            assert!(stream.read_buf(&mut text).await.unwrap() > 0, "{text:?}");
        }
        String::from_utf8(text).unwrap()
    }

    async fn answer(stream: &mut TcpStream, body: &str) {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(text.as_bytes()).await.unwrap();
    }

    #[test]
    fn calls_share_one_connection_and_say_what_they_should() {
        local(async {
            let (listener, mut caller) = caller().await;
            let host = format!("host: {}", listener.local_addr().unwrap());
            let server = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let first = read_request(&mut stream, "\r\n\r\n").await.to_ascii_lowercase();
                answer(&mut stream, "one").await;
                let second = read_request(&mut stream, "hello").await.to_ascii_lowercase();
                answer(&mut stream, "two").await;
                (first, second)
            };
            let client = async {
                let one = caller.call(get(), WITHIN).await.unwrap();
                let post = request(http::Method::POST, "/say", "hello");
                (one, caller.call(post, WITHIN).await.unwrap())
            };
            let ((first, second), (one, two)) = tokio::join!(server, client);
            assert!(first.starts_with("get /ok?x=1 http/1.1\r\n"), "{first}");
            assert!(first.contains(&host) && first.contains("authorization: bearer t"), "{first}");
            assert!(second.contains("content-length: 5\r\n"), "{second}");
            assert_eq!(
                (one.status.as_u16(), &one.body[..], &two.body[..]),
                (200, &b"one"[..], &b"two"[..])
            );
        });
    }

    #[test]
    fn a_kept_connection_that_was_closed_is_replaced() {
        local(async {
            let (listener, mut caller) = caller().await;
            let server = async {
                for _ in 0..2 {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    read_request(&mut stream, "\r\n\r\n").await;
                    answer(&mut stream, "ok").await;
                }
            };
            let client = async {
                for _ in 0..2 {
                    caller.call(get(), WITHIN).await.unwrap();
                }
            };
            tokio::join!(server, client);
        });
    }

    /// Answers one call, then dies over the next one on the same connection; answers one more.
    async fn dies_over_the_second(listener: TcpListener, last: &str) -> &'static str {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream, "\r\n\r\n").await;
        answer(&mut stream, "first").await;
        read_request(&mut stream, last).await;
        drop(stream);
        let Ok(again) = tokio::time::timeout(SHORT, listener.accept()).await else {
            return "not repeated";
        };
        let (mut stream, _) = again.unwrap();
        read_request(&mut stream, last).await;
        answer(&mut stream, "second").await;
        "repeated"
    }

    #[test]
    fn what_may_have_been_done_is_repeated_only_if_idempotent() {
        local(async {
            let (listener, mut calling) = caller().await;
            let client = async {
                calling.call(get(), WITHIN).await.unwrap();
                calling.call(request(http::Method::PUT, "/p", "body"), WITHIN).await
            };
            let (server, result) = tokio::join!(dies_over_the_second(listener, "body"), client);
            assert_eq!((server, &result.unwrap().body[..]), ("repeated", &b"second"[..]));

            let (listener, mut calling) = caller().await;
            let client = async {
                calling.call(get(), WITHIN).await.unwrap();
                calling.call(request(http::Method::POST, "/p", "body"), WITHIN).await
            };
            let (server, result) = tokio::join!(dies_over_the_second(listener, "body"), client);
            assert_eq!(server, "not repeated");
            assert!(matches!(result, Err(HttpError::Broken(_))), "{result:?}");
        });
    }

    #[test]
    fn a_call_without_an_answer_ends_in_time_with_its_connection() {
        local(async {
            let (listener, mut caller) = caller().await;
            let server = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await
            };
            let (closed, result) =
                tokio::join!(bounded(server), async { caller.call(get(), SHORT).await });
            closed.unwrap();
            assert!(matches!(result, Err(HttpError::TimedOut(SHORT))), "{result:?}");
        });
    }

    #[test]
    fn what_cannot_be_asked_or_reached_is_an_error() {
        local(async {
            let (listener, mut caller) = caller().await;
            let bad = request(http::Method::GET, "/with space\r\n", "");
            let server = async { listener.accept().await.unwrap() };
            let (_stream, result) = tokio::join!(server, caller.call(bad, WITHIN));
            assert!(matches!(result, Err(HttpError::BadRequest(_))), "{result:?}");

            drop(listener);
            let result = caller.call(get(), WITHIN).await;
            assert!(matches!(result, Err(HttpError::Connect(_))), "{result:?}");
        });
    }

    #[test]
    fn an_answer_past_the_limit_is_not_read_into_memory() {
        local(async {
            let (listener, mut caller) = caller().await;
            let server = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                read_request(&mut stream, "\r\n\r\n").await;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 40);
                stream.write_all(head.as_bytes()).await.unwrap();
                // Fails once the caller gives up.
                while stream.write_all(&[b' '; 1 << 16]).await.is_ok() {}
            };
            let ((), result) = tokio::join!(server, async {
                let result = caller.call(get(), WITHIN).await;
                drop(caller);
                result
            });
            let limit = ANSWER_BYTES_MAX;
            assert!(
                matches!(result, Err(HttpError::TooLarge { limit: at }) if at == limit),
                "{result:?}"
            );
        });
    }

    async fn serve_chunks(listener: TcpListener, chunks: &[&[u8]]) {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        for chunk in chunks {
            let size = format!("{:x}\r\n", chunk.len());
            stream.write_all(&[size.as_bytes(), chunk, b"\r\n"].concat()).await.unwrap();
            tokio::task::yield_now().await;
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    }

    #[test]
    fn lines_come_whole_however_they_were_cut() {
        local(async {
            let (listener, caller) = caller().await;
            let chunks: &[&[u8]] = &[b"one\ntw", b"o\r\n", b"\nfo", b"ur\nlast"];
            let client = async {
                let (status, mut lines) = caller.lines(get(), WITHIN).await.unwrap();
                let mut all = Vec::new();
                while let Some(line) = lines.next().await.unwrap() {
                    all.push(String::from_utf8(line.to_vec()).unwrap());
                }
                assert!(lines.next().await.unwrap().is_none(), "the end stays the end");
                (status.as_u16(), all)
            };
            let ((), (status, all)) = tokio::join!(serve_chunks(listener, chunks), client);
            assert_eq!(
                (status, all),
                (200, ["one", "two", "", "four", "last"].map(String::from).to_vec())
            );
        });
    }

    #[test]
    fn a_line_past_the_limit_is_an_error() {
        local(async {
            let (listener, caller) = caller().await;
            let long = vec![b'x'; LINE_BYTES_MAX + 1];
            let chunks: &[&[u8]] = &[b"fine\n", &long];
            let client = async {
                let (_, mut lines) = caller.lines(get(), WITHIN).await.unwrap();
                assert_eq!(lines.next().await.unwrap().as_deref(), Some(&b"fine"[..]));
                lines.next().await
            };
            let ((), result) = tokio::join!(serve_chunks(listener, chunks), client);
            assert!(matches!(result, Err(HttpError::TooLarge { limit: LINE_BYTES_MAX })));
        });
    }

    #[test]
    fn dropping_the_lines_closes_their_connection() {
        local(async {
            let (listener, caller) = caller().await;
            let server = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                read_request(&mut stream, "\r\n\r\n").await;
                let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na\n\r\n";
                stream.write_all(head).await.unwrap();
                stream.read(&mut [0; 8]).await
            };
            let client = async {
                let (_, mut lines) = caller.lines(get(), WITHIN).await.unwrap();
                assert_eq!(lines.next().await.unwrap().as_deref(), Some(&b"a"[..]));
            };
            let (closed, ()) = tokio::join!(bounded(server), client);
            assert_eq!(closed.unwrap(), 0);
        });
    }
}
