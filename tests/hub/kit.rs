//! Starts a hub, connects clients of both kinds, calls REST, reads the ledger.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use squall::hub::{ControlApi, HubOptions, Notice, serve};
use squall::net::http::{HttpAnswer, HttpCaller, HttpRequest, Lines};
use squall::net::{Clock, Connector, Dial, ListenOptions, Listener, Stream, TcpListener};
use squall::protocol::control::{
    CAPABILITIES_PATH, Capabilities, Counters, HubEnd, HubRefusal, LEDGER_PATH, LedgerEntry,
};
use squall::protocol::settings::SocketBuffers;
use squall::protocol::token::{AccessKeys, Claims, sign};
use squall::protocol::{CloseCode, Endpoint, HubSettings, Scheme, Subprotocol};
use squall::secret::Secret;
use squall::ws::frame::{client_frame, close_payload};
use squall::ws::handshake::{UpgradeAnswer, UpgradeRequest, upgrade};
use squall::ws::reader::Next;
use squall::ws::{FrameReader, Opcode, ReadEvent, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, LocalSet};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Both keys of the hub under test.
pub const PRIMARY: &str = "primary-key-primary-key-primary-key";
pub const SECONDARY: &str = "secondary-key-secondary-key-secondary";

/// Time for anything that must happen.
pub const LONG: Duration = Duration::from_secs(20);

/// Time in which what must not happen would have.
pub const SHORT: Duration = Duration::from_millis(150);

/// Waits for what must happen.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("in time")
}

/// Settings under which nothing ends anybody within a test: each test shrinks its own limit.
pub fn generous() -> HubSettings {
    HubSettings::real()
}

pub struct TestHub {
    pub address: SocketAddr,
    pub clock: Clock,
    notices: RefCell<mpsc::Receiver<Notice>>,
    stop: Cell<Option<oneshot::Sender<()>>>,
    serving: Option<JoinHandle<Counters>>,
}

/// Runs a test against a hub of its own, and sees that nothing is left of it afterwards.
pub fn with_hub(settings: HubSettings, test: impl AsyncFnOnce(&TestHub)) {
    with_options(settings, ControlApi::Loopback, test);
}

pub fn with_options(settings: HubSettings, control: ControlApi, test: impl AsyncFnOnce(&TestHub)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut hub = TestHub::start(settings, control);
        tokio::time::timeout(3 * LONG, test(&hub)).await.expect("the test ends");
        let counters = hub.stop().await;
        assert_nothing_left(&counters);
    });
}

pub fn assert_nothing_left(counters: &Counters) {
    let left = (counters.total_connection_count, counters.groups, counters.queue_bytes);
    assert_eq!((left, counters.tasks), ((0, 0, 0), 0), "{counters:?}");
    let closed: u64 = counters.connection_close_count.values().sum();
    assert_eq!(closed, counters.connection_open_count, "every open has its close: {counters:?}");
}

impl TestHub {
    pub fn start(settings: HubSettings, control: ControlApi) -> Self {
        let options = ListenOptions {
            address: "127.0.0.1:0".parse().unwrap(),
            buffers: SocketBuffers::default(),
        };
        let listener = TcpListener::bind(options).unwrap();
        let address = listener.local_addr().unwrap();
        let clock = Clock::system();
        let (stop, stopped) = oneshot::channel::<()>();
        let keys =
            AccessKeys { primary: Secret::new(PRIMARY), secondary: Some(Secret::new(SECONDARY)) };
        let (told, notices) = mpsc::channel(16);
        let notices = RefCell::new(notices);
        let options = HubOptions {
            listener: Listener::Tcp(listener),
            clock,
            settings,
            keys,
            control,
            seed: 7,
            dialling: squall::net::Dialling::Sockets { ca_file: None },
            deliveries: None,
            notices: Some(told),
        };
        let serving = tokio::task::spawn_local(serve(
            options,
            async {
                let _ = stopped.await;
            },
            Duration::from_secs(2),
        ));
        Self { address, clock, notices, stop: Cell::new(Some(stop)), serving: Some(serving) }
    }

    /// Asks the hub to stop.
    pub fn begin_stop(&self) {
        drop(self.stop.take());
    }

    /// Stops the hub gracefully.
    pub async fn stop(&mut self) -> Counters {
        self.begin_stop();
        soon(self.serving.take().unwrap()).await.unwrap()
    }

    pub fn now_s(&self) -> u64 {
        self.clock.now_ns() / 1_000_000_000
    }

    /// Claims that let a client do everything.
    pub fn claims(&self, user: &str) -> Claims {
        Claims {
            audience: format!("http://{}/client/hubs/chat", self.address),
            expires_at: self.now_s() + 600,
            user_id: (!user.is_empty()).then(|| user.to_owned()),
            roles: vec!["webpubsub.joinLeaveGroup".into(), "webpubsub.sendToGroup".into()],
            ..Claims::default()
        }
    }

    /// Path and query of a connect with these claims and more parameters (`&a=b`).
    pub fn client_path(&self, claims: &Claims, more: &str) -> String {
        let token = sign(claims, &Secret::new(PRIMARY));
        format!("/client/hubs/chat?access_token={}{more}", token.expose())
    }

    /// A well-behaved client of the JSON subprotocol, by tokio-tungstenite; its connection id.
    pub async fn json(&self, user: &str) -> (Client, String) {
        let population = user.replace(['/', ' '], "-");
        let path = self.client_path(&self.claims(user), &format!("&squall={population}.0.0"));
        let mut client = self.connect(&path, Some("json.webpubsub.azure.v1")).await;
        let connected = client.json().await;
        assert_eq!(connected["event"], "connected", "{connected}");
        let id = connected["connectionId"].as_str().unwrap().to_owned();
        (client, id)
    }

    /// A well-behaved client of the JSON subprotocol that has joined a group.
    pub async fn member(&self, user: &str, group: &str) -> (Client, String) {
        let (mut client, id) = self.json(user).await;
        client.say(&format!(r#"{{"type":"joinGroup","group":"{group}","ackId":1}}"#)).await;
        assert_eq!(client.json().await["success"], true);
        (client, id)
    }

    /// A well-behaved client by tokio-tungstenite.
    pub async fn connect(&self, path: &str, subprotocol: Option<&'static str>) -> Client {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        if let Some(name) = subprotocol {
            request.headers_mut().insert("Sec-WebSocket-Protocol", name.parse().unwrap());
        }
        let (socket, answer) =
            soon(tokio_tungstenite::client_async(request, stream)).await.unwrap();
        let echoed = answer.headers().get("Sec-WebSocket-Protocol");
        assert_eq!(echoed.map(|value| value.to_str().unwrap()), subprotocol);
        Client { socket }
    }

    /// A client by bare frames, which does nothing of itself.
    pub async fn raw(&self, path: &str, subprotocol: Subprotocol, buffers: SocketBuffers) -> Raw {
        let stream =
            self.connector().await.connect(Dial { buffers, ..Dial::default() }).await.unwrap();
        let authority = self.address.to_string();
        let request = UpgradeRequest {
            authority: &authority,
            path_and_query: path,
            subprotocol,
            key: [7; 16],
        };
        match soon(upgrade(stream, &request)).await.unwrap() {
            UpgradeAnswer::Upgraded { stream, leftover } => Raw::new(stream, &leftover),
            UpgradeAnswer::Refused { status, body } => panic!("refused {status} {body}"),
        }
    }

    /// A JSON client by bare frames that has joined a group by its token.
    pub async fn raw_member(&self, user: &str, group: &str, buffers: SocketBuffers) -> Raw {
        let claims = Claims { groups: vec![group.into()], ..self.claims(user) };
        let path = self.client_path(&claims, &format!("&squall={user}.0.0"));
        self.raw(&path, Subprotocol::Json, buffers).await
    }

    /// What a connect is answered with that is not upgraded: status and body.
    pub async fn refused(&self, path: &str) -> (u16, String) {
        let stream = self.connector().await.connect(Dial::default()).await.unwrap();
        let authority = self.address.to_string();
        let request = UpgradeRequest {
            authority: &authority,
            path_and_query: path,
            subprotocol: Subprotocol::Json,
            key: [7; 16],
        };
        match soon(upgrade(stream, &request)).await.unwrap() {
            UpgradeAnswer::Refused { status, body } => (status, body),
            UpgradeAnswer::Upgraded { .. } => panic!("upgraded"),
        }
    }

    async fn connector(&self) -> Connector {
        let endpoint = Endpoint {
            scheme: Scheme::Http,
            host: self.address.ip().to_string(),
            port: Some(self.address.port()),
        };
        Connector::new(endpoint, None).await.unwrap()
    }

    fn request(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> HttpRequest {
        let claims = Claims {
            audience: format!("http://{}{path}", self.address),
            expires_at: self.now_s() + 60,
            ..Claims::default()
        };
        let token = sign(&claims, &Secret::new(SECONDARY));
        let mut headers = vec![(
            http::header::AUTHORIZATION,
            format!("Bearer {}", token.expose()).parse().unwrap(),
        )];
        if !content_type.is_empty() {
            headers.push((http::header::CONTENT_TYPE, content_type.parse().unwrap()));
        }
        HttpRequest {
            method: method.parse().unwrap(),
            path_and_query: path.to_owned(),
            headers,
            body: Bytes::copy_from_slice(body),
        }
    }

    /// A signed call with a body.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> HttpAnswer {
        let request = self.request(method, path, content_type, body);
        self.call_as(request).await
    }

    /// A call as it is.
    pub async fn call_as(&self, request: HttpRequest) -> HttpAnswer {
        HttpCaller::new(self.connector().await).call(request, LONG).await.unwrap()
    }

    /// Status of a signed call without a body.
    pub async fn status(&self, method: &str, path: &str) -> u16 {
        self.call(method, path, "", b"").await.status.as_u16()
    }

    /// Posts JSON to the control API.
    pub async fn post(&self, path: &str, body: &impl serde::Serialize) -> u16 {
        let body = serde_json::to_vec(body).unwrap();
        self.call("POST", path, "application/json", &body).await.status.as_u16()
    }

    pub async fn counters(&self) -> Counters {
        let answer = self.call("GET", "/_squall/counters", "", b"").await;
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// What the hub has told since the last time it was asked.
    pub fn told(&self) -> Vec<Notice> {
        let mut notices = self.notices.borrow_mut();
        std::iter::from_fn(|| notices.try_recv().ok()).collect()
    }

    /// The settings in force.
    pub async fn settings(&self) -> HubSettings {
        let answer = self.call("GET", CAPABILITIES_PATH, "", b"").await;
        serde_json::from_slice::<Capabilities>(&answer.body).unwrap().settings
    }

    /// Waits until these settings are in force.
    pub async fn settings_become(&self, settings: &HubSettings) {
        soon(async {
            while self.settings().await != *settings {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// Lines of a stream of the control API, from the start of the timeline.
    pub async fn lines(&self, path: &str) -> Lines {
        let caller = HttpCaller::new(self.connector().await);
        let (status, lines) = caller.lines(self.request("GET", path, "", b""), LONG).await.unwrap();
        assert_eq!(status, 200);
        lines
    }

    /// The first `count` halves of rows in the ledger, in order.
    pub async fn ledger(&self, count: usize) -> Vec<LedgerEntry> {
        let mut lines = self.lines(LEDGER_PATH).await;
        let mut entries = Vec::new();
        while entries.len() < count {
            let line = soon(lines.next()).await.unwrap().expect("the ledger goes on");
            let entry = serde_json::from_slice(&line).unwrap();
            if matches!(entry, LedgerEntry::Ended(_) | LedgerEntry::Refused(_)) {
                entries.push(entry);
            }
        }
        entries
    }

    /// The first `count` ends of the ledger, sorted by attempt; it holds nothing else yet.
    pub async fn ends(&self, count: usize) -> Vec<HubEnd> {
        let mut ends: Vec<_> = self
            .ledger(count)
            .await
            .into_iter()
            .map(|entry| match entry {
                LedgerEntry::Ended(end) => *end,
                other => panic!("{other:?}"),
            })
            .collect();
        ends.sort_by(|a, b| a.attempt.cmp(&b.attempt));
        ends
    }

    /// The first `count` refusals of the ledger; it holds nothing else yet.
    pub async fn refusals(&self, count: usize) -> Vec<HubRefusal> {
        let entries = self.ledger(count).await;
        let refusal = |entry| match entry {
            LedgerEntry::Refused(refusal) => *refusal,
            other => panic!("{other:?}"),
        };
        entries.into_iter().map(refusal).collect()
    }
}

/// A client that behaves: it answers pings and closes as it is read.
pub struct Client {
    pub socket: WebSocketStream<TcpStream>,
}

impl Client {
    /// Sends a text frame.
    pub async fn say(&mut self, text: &str) {
        soon(self.socket.send(Message::text(text))).await.unwrap();
    }

    /// The next frame of data or close.
    pub async fn next(&mut self) -> Message {
        loop {
            match soon(self.socket.next()).await.expect("not ended").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    /// The next frame, which is text.
    pub async fn text(&mut self) -> String {
        match self.next().await {
            Message::Text(text) => text.to_string(),
            other => panic!("expected text, got {other:?}"),
        }
    }

    /// The next frame, which is JSON.
    pub async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// Answers pings and reads frames until the hub closes; the close code and reason, and the
    /// texts before it.
    pub async fn closed(&mut self) -> (Option<(CloseCode, String)>, Vec<String>) {
        let mut texts = Vec::new();
        loop {
            match self.next().await {
                Message::Text(text) => texts.push(text.to_string()),
                Message::Close(frame) => {
                    let end = soon(self.socket.next()).await;
                    assert!(end.is_none(), "the stream ends behind the close: {end:?}");
                    let frame = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                    return (frame, texts);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads (and so answers pings) for a while in which nothing comes.
    pub async fn hears_nothing(&mut self, lasting: Duration) {
        let heard = tokio::time::timeout(lasting, self.next()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    /// Closes with 1000 and waits for the end.
    pub async fn leave(mut self) {
        soon(self.socket.close(None)).await.unwrap();
        while let Some(Ok(_)) = soon(self.socket.next()).await {}
    }
}

/// What a client by bare frames reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseCode>, String),
    Eof,
    Reset,
}

/// A client that does only what it is told.
pub struct Raw {
    stream: Option<Stream>,
    reader: FrameReader,
    events: Vec<Seen>,
}

impl Raw {
    /// An upgraded client, and the bytes that came behind the hub's answer.
    pub fn new(stream: Stream, leftover: &Bytes) -> Self {
        let mut reader = FrameReader::new(Role::Client, 1 << 24);
        reader.feed_leftover(leftover);
        Self { stream: Some(stream), reader, events: Vec::new() }
    }

    /// Sends one frame.
    pub async fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        client_frame(opcode, payload, [1, 2, 3, 4], &mut frame);
        self.send_bytes(&frame).await;
    }

    /// Sends bytes as they are. (A hub that is gone takes nothing: that is for the test to see.)
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = soon(self.stream.as_mut().unwrap().write_all(bytes)).await;
    }

    /// Sends a close frame.
    pub async fn send_close(&mut self, code: Option<CloseCode>, reason: &str) {
        self.send(Opcode::Close, &close_payload(code, reason)).await;
    }

    /// The next thing the hub did.
    pub async fn next(&mut self) -> Seen {
        soon(self.read_next()).await
    }

    /// What the hub did within a time, without answering any of it.
    pub async fn watch(&mut self, lasting: Duration) -> Vec<Seen> {
        let mut seen = Vec::new();
        let _ = tokio::time::timeout(lasting, async {
            loop {
                let next = self.read_next().await;
                let is_end = matches!(next, Seen::Eof | Seen::Reset);
                seen.push(next);
                if is_end {
                    return;
                }
            }
        })
        .await;
        seen
    }

    pub async fn read_next(&mut self) -> Seen {
        let mut fresh = [0; 4096];
        let mut length = 0;
        loop {
            let events = &mut self.events;
            let outcome = self.reader.read(&mut fresh[..length], |event| {
                events.push(match event {
                    ReadEvent::Text(text) => Seen::Text(text.to_owned()),
                    ReadEvent::Binary(bytes) => Seen::Binary(bytes.to_vec()),
                    ReadEvent::Ping(bytes) => Seen::Ping(bytes.to_vec()),
                    ReadEvent::Pong(bytes) => Seen::Pong(bytes.to_vec()),
                    ReadEvent::Close(frame) => Seen::Close(frame.code, frame.reason),
                });
                Next::Continue
            });
            outcome.unwrap();
            if !self.events.is_empty() {
                return self.events.remove(0);
            }
            length = match self.stream.as_mut().unwrap().read(&mut fresh).await {
                Ok(0) => return Seen::Eof,
                Ok(length) => length,
                Err(_) => return Seen::Reset,
            };
        }
    }

    /// Ends the connection with a reset.
    pub fn abort(&mut self) {
        self.stream.take().unwrap().abort();
    }

    /// Ends the client's direction. (The hub may have ended the connection before.)
    pub async fn end(&mut self) {
        let _ = self.stream.as_mut().unwrap().shutdown().await;
    }
}
