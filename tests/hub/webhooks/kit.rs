//! A hub and its event handler over links in memory, on a clock that stands still while anybody
//! has something to do; and the handler, which does as it is told.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use squall::hub::{ControlApi, HubOptions, serve};
use squall::net::http::{HttpCaller, HttpRequest};
use squall::net::{Clock, Connector, Dial, Dialling, Listener, Network, Stream};
use squall::protocol::control::{
    COUNTERS_PATH, Counters, EventFailure, HubEnd, HubRefusal, HubValidation, LEDGER_PATH,
    LedgerEntry, TRACE_PATH, UpstreamCall, WEBHOOKS_PATH, WebhookTimes,
};
use squall::protocol::settings::SocketBuffers;
use squall::protocol::token::{AccessKeys, Claims, sign};
use squall::protocol::webhook::{EventHandler, SystemEvent, UrlTemplate, UserEventPattern};
use squall::protocol::{Endpoint, HubSettings, Scheme, Subprotocol};
use squall::secret::Secret;
use squall::ws::Opcode;
use squall::ws::handshake::{UpgradeAnswer, UpgradeRequest, upgrade};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::Instant;

use crate::kit::{PRIMARY, Raw, SECONDARY, Seen, assert_nothing_left};

/// Longer than anything in the world may take.
const WORLD_ENDS: Duration = Duration::from_secs(3_600);

/// 2026-01-01T00:00:00Z.
pub const EPOCH_NS: u64 = 1_767_225_600_000_000_000;

/// Waits for what must happen.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(WORLD_ENDS, future).await.expect("in time")
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Everything before the body, without `\r`.
    pub head: String,
    pub body: Vec<u8>,
    /// Since the world's start.
    pub at: Duration,
    /// Which connection it came on, counted from 0.
    pub connection: usize,
}

impl Asked {
    /// Method and path.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap().strip_suffix(" HTTP/1.1").unwrap()
    }

    /// Value of a header; empty without it.
    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(given, _)| *given == name).map_or("", |(_, value)| value)
    }

    pub fn event(&self) -> &str {
        self.header("ce-eventname")
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// What a handler does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers with a status, headers (`a: b`) and a body, after a while.
    With(u16, Vec<String>, Vec<u8>, Duration),
    /// Ends the connection.
    HangUp,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self::With(status, Vec::new(), Vec::new(), Duration::ZERO)
    }

    pub fn header(self, line: &str) -> Self {
        match self {
            Self::With(status, mut headers, body, after) => {
                headers.push(line.to_owned());
                Self::With(status, headers, body, after)
            }
            Self::HangUp => self,
        }
    }

    pub fn body(self, content_type: &str, bytes: &[u8]) -> Self {
        match self.header(&format!("Content-Type: {content_type}")) {
            Self::With(status, headers, _, after) => {
                Self::With(status, headers, bytes.to_vec(), after)
            }
            Self::HangUp => Self::HangUp,
        }
    }

    pub fn after(self, after: Duration) -> Self {
        match self {
            Self::With(status, headers, body, _) => Self::With(status, headers, body, after),
            Self::HangUp => self,
        }
    }

    /// Lets everybody send events.
    pub fn welcome() -> Self {
        Self::status(200).header("WebHook-Allowed-Origin: *")
    }
}

type Script = Rc<dyn Fn(&Asked) -> Reply>;

/// A scripted event handler.
#[derive(Clone)]
pub struct Handler {
    asked: Rc<RefCell<Vec<Asked>>>,
    came: Rc<Notify>,
    script: Rc<RefCell<Script>>,
    start: Instant,
}

impl Handler {
    /// A handler that welcomes everybody and answers events as `script` says.
    pub fn start(listener: Listener) -> Self {
        let handler = Self {
            asked: Rc::default(),
            came: Rc::default(),
            script: Rc::new(RefCell::new(Rc::new(|_: &Asked| Reply::status(204)))),
            start: Instant::now(),
        };
        handler.answers(|_| Reply::status(204));
        let this = handler.clone();
        tokio::task::spawn_local(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::task::spawn_local(this.clone().talk(stream, connection));
            }
        });
        handler
    }

    /// How events are answered from now on; validations are welcome.
    pub fn answers(&self, script: impl Fn(&Asked) -> Reply + 'static) {
        self.does(
            move |asked| {
                if asked.head.starts_with("OPTIONS") { Reply::welcome() } else { script(asked) }
            },
        );
    }

    /// How everything is answered from now on.
    pub fn does(&self, script: impl Fn(&Asked) -> Reply + 'static) {
        *self.script.borrow_mut() = Rc::new(script);
    }

    async fn talk(self, mut stream: Stream, connection: usize) {
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let head_end = loop {
                if let Some(at) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
                    break at;
                }
                match stream.read_buf(&mut bytes).await {
                    Ok(length) if length > 0 => {}
                    _ => return,
                }
            };
            let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap().replace('\r', "");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            while bytes.len() < head_end + 4 + length {
                assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
            }
            let rest = bytes.split_off(head_end + 4 + length);
            let body = bytes[head_end + 4..].to_vec();
            bytes = rest;
            let asked = Asked { head, body, at: self.start.elapsed(), connection };
            self.asked.borrow_mut().push(asked.clone());
            self.came.notify_waiters();
            let script = Rc::clone(&self.script.borrow());
            let Reply::With(status, headers, body, after) = script(&asked) else { return };
            tokio::time::sleep(after).await;
            let mut answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
            headers.iter().for_each(|line| answer.push_str(&format!("{line}\r\n")));
            answer.push_str("\r\n");
            let mut answer = answer.into_bytes();
            answer.extend_from_slice(&body);
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }

    /// Everything asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// Methods, and the names of events, so far.
    pub fn story(&self) -> Vec<String> {
        let word = |asked: &Asked| match asked.event() {
            "" => asked.line().split(' ').next().unwrap().to_owned(),
            event => event.to_owned(),
        };
        self.asked().iter().map(word).collect()
    }

    /// Waits until so many requests have come; all of them.
    pub async fn until(&self, count: usize) -> Vec<Asked> {
        soon(async {
            loop {
                let came = self.came.notified();
                if self.asked.borrow().len() >= count {
                    return;
                }
                came.await;
            }
        })
        .await;
        self.asked()
    }
}

/// An event handler of a hub.
pub fn handler(url: &str, user_events: &str, system_events: &[SystemEvent]) -> EventHandler {
    EventHandler {
        url: UrlTemplate::parse(url).unwrap(),
        user_events: UserEventPattern::parse(user_events).unwrap(),
        system_events: system_events.iter().copied().collect(),
    }
}

/// Settings with one handler that takes everything.
pub fn settings() -> HubSettings {
    let mut settings = HubSettings::real();
    let every = handler("http://app/api/{event}?code=SECRET", "*", &SystemEvent::ALL);
    settings.events.handlers = vec![every];
    settings
}

/// Settings whose handler takes these system events and every user event.
pub fn taking(system_events: &[SystemEvent]) -> HubSettings {
    let mut settings = settings();
    settings.events.handlers[0].system_events = system_events.iter().copied().collect();
    settings
}

/// A hub with its network.
pub struct World {
    pub network: Network,
    pub clock: Clock,
    connector: Connector,
    stop: Cell<Option<oneshot::Sender<()>>>,
}

/// Runs a test in a world with a hub at `http://hub:8080` and a handler at `http://app`.
pub fn world(settings: HubSettings, test: impl AsyncFnOnce(&World, &Handler)) -> Counters {
    heard_of(1, settings, test).0
}

/// The same, and what its event listeners heard.
pub fn heard_in(
    settings: HubSettings,
    test: impl AsyncFnOnce(&World, &Handler),
) -> (Counters, Vec<Value>) {
    heard_of(1_000, settings, test)
}

/// The same with room for so many deliveries.
fn heard_of(
    room: usize,
    settings: HubSettings,
    test: impl AsyncFnOnce(&World, &Handler),
) -> (Counters, Vec<Value>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let network = Network::start();
        let app = network.listen("app", SocketBuffers::default()).unwrap();
        let handler = Handler::start(Listener::Links(app));
        let (deliveries, mut delivered) = mpsc::channel(room);
        let (world, serving) = World::start(network, settings, deliveries);
        soon(test(&world, &handler)).await;
        world.begin_stop();
        let counters = soon(serving).await.unwrap();
        assert_nothing_left(&counters);
        let mut heard = Vec::new();
        while let Ok(line) = delivered.try_recv() {
            heard.push(serde_json::from_slice(&line).unwrap());
        }
        (counters, heard)
    })
}

impl World {
    fn start(
        network: Network,
        settings: HubSettings,
        deliveries: mpsc::Sender<Bytes>,
    ) -> (Self, JoinHandle<Counters>) {
        let endpoint = Endpoint { scheme: Scheme::Http, host: "hub".into(), port: Some(8080) };
        let listener = network.listen("hub:8080", SocketBuffers::default()).unwrap();
        let clock = Clock::fixed(EPOCH_NS);
        let (stop, stopped) = oneshot::channel::<()>();
        let options = HubOptions {
            listener: Listener::Links(listener),
            clock,
            settings,
            keys: AccessKeys {
                primary: Secret::new(PRIMARY),
                secondary: Some(Secret::new(SECONDARY)),
            },
            control: ControlApi::Loopback,
            seed: 7,
            dialling: Dialling::Links(network.clone()),
            deliveries: Some(deliveries),
            notices: None,
        };
        let stopped = async { drop(stopped.await) };
        let serving = tokio::task::spawn_local(serve(options, stopped, Duration::from_secs(30)));
        let connector = Connector::Links { network: network.clone(), endpoint };
        let stop = Cell::new(Some(stop));
        (Self { network, clock, connector, stop }, serving)
    }

    /// Asks the hub to stop.
    pub fn begin_stop(&self) {
        drop(self.stop.take());
    }

    pub fn claims(&self, user: &str) -> Claims {
        Claims {
            audience: "http://hub:8080/client/hubs/chat".into(),
            expires_at: self.clock.now_s() + 600,
            user_id: (!user.is_empty()).then(|| user.to_owned()),
            roles: vec!["webpubsub.joinLeaveGroup".into(), "webpubsub.sendToGroup".into()],
            ..Claims::default()
        }
    }

    /// Path and query of a client with these claims.
    pub fn path(&self, claims: &Claims, more: &str) -> String {
        Self::path_of("chat", claims, more)
    }

    fn path_of(hub: &str, claims: &Claims, more: &str) -> String {
        let token = sign(claims, &Secret::new(PRIMARY));
        format!("/client/hubs/{hub}?access_token={}{more}", token.expose())
    }

    pub async fn dial(&self) -> Stream {
        self.connector.connect(Dial::default()).await.unwrap()
    }

    /// Connects: a client, or status and body of the refusal.
    pub async fn try_client(
        &self,
        claims: &Claims,
        subprotocol: Subprotocol,
        more: &str,
    ) -> Result<Raw, (u16, String)> {
        self.try_client_of("chat", claims, subprotocol, more).await
    }

    /// The same to any hub.
    pub async fn try_client_of(
        &self,
        hub: &str,
        claims: &Claims,
        subprotocol: Subprotocol,
        more: &str,
    ) -> Result<Raw, (u16, String)> {
        let path = Self::path_of(hub, claims, more);
        let request = UpgradeRequest {
            authority: "hub:8080",
            path_and_query: &path,
            subprotocol,
            key: [7; 16],
        };
        match soon(upgrade(self.dial().await, &request)).await.unwrap() {
            UpgradeAnswer::Upgraded { stream, leftover } => Ok(Raw::new(stream, &leftover)),
            UpgradeAnswer::Refused { status, body } => Err((status, body)),
        }
    }

    /// A simple client.
    pub async fn simple(&self, user: &str) -> Raw {
        self.try_client(&self.claims(user), Subprotocol::Simple, "").await.unwrap()
    }

    /// A JSON client, and what it was told at first.
    pub async fn json(&self, user: &str) -> (Raw, Value) {
        let claims = self.claims(user);
        let mut client = self.try_client(&claims, Subprotocol::Json, "").await.unwrap();
        let connected = client.json().await;
        assert_eq!(connected["event"], "connected", "{connected}");
        (client, connected)
    }

    fn request(&self, path: &str, method: http::Method, body: Bytes) -> HttpRequest {
        let claims = Claims {
            audience: format!("http://hub:8080{path}"),
            expires_at: self.clock.now_s() + 60,
            ..Claims::default()
        };
        let token = sign(&claims, &Secret::new(PRIMARY));
        let bearer = format!("Bearer {}", token.expose()).parse().unwrap();
        HttpRequest {
            method,
            path_and_query: path.to_owned(),
            headers: vec![(http::header::AUTHORIZATION, bearer)],
            body,
        }
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        let request = self.request(path, http::Method::GET, Bytes::new());
        let mut caller = HttpCaller::new(self.connector.clone());
        serde_json::from_slice(&caller.call(request, WORLD_ENDS).await.unwrap().body).unwrap()
    }

    /// Posts to the control API; the status.
    pub async fn post(&self, path: &str, body: &impl serde::Serialize) -> u16 {
        let body = serde_json::to_vec(body).unwrap().into();
        let request = self.request(path, http::Method::POST, body);
        let mut caller = HttpCaller::new(self.connector.clone());
        caller.call(request, WORLD_ENDS).await.unwrap().status.as_u16()
    }

    pub async fn counters(&self) -> Counters {
        self.get(COUNTERS_PATH).await
    }

    pub async fn times(&self) -> WebhookTimes {
        self.get(WEBHOOKS_PATH).await
    }

    /// The lines of a stream so far.
    pub async fn lines(&self, path: &str) -> Vec<Value> {
        let request = self.request(path, http::Method::GET, Bytes::new());
        let caller = HttpCaller::new(self.connector.clone());
        let (_, mut lines) = caller.lines(request, WORLD_ENDS).await.unwrap();
        let mut found = Vec::new();
        let a_while = Duration::from_millis(10);
        while let Ok(Ok(Some(line))) = tokio::time::timeout(a_while, lines.next()).await {
            found.push(serde_json::from_slice(&line).unwrap());
        }
        found
    }

    /// Records of failed events so far.
    pub async fn failures(&self) -> Vec<Value> {
        let mut records = self.lines(TRACE_PATH).await;
        records.retain(|record| record["properties"].get("eventName").is_some());
        records
    }

    /// Names and messages of failed events so far.
    pub async fn failed(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let failures = self.failures().await;
        let properties = failures.iter().map(|record| &record["properties"]);
        properties.map(|of| (text(&of["eventName"]), text(&of["message"]))).collect()
    }

    pub async fn ledger(&self) -> Vec<LedgerEntry> {
        let lines = self.lines(LEDGER_PATH).await;
        lines.into_iter().map(|line| serde_json::from_value(line).unwrap()).collect()
    }

    /// The ledger's only refusal.
    pub async fn refusal(&self) -> HubRefusal {
        let entries = self.ledger().await.into_iter().filter_map(|entry| match entry {
            LedgerEntry::Refused(refusal) => Some(*refusal),
            LedgerEntry::Ended(end) => panic!("{end:?}"),
            LedgerEntry::Called(_) | LedgerEntry::Validated(_) => None,
        });
        let refusals: Vec<_> = entries.collect();
        <[_; 1]>::try_from(refusals).map(|[refusal]| refusal).unwrap()
    }

    /// The ledger's only end.
    pub async fn end(&self) -> HubEnd {
        let entries = self.ledger().await.into_iter().filter_map(|entry| match entry {
            LedgerEntry::Ended(end) => Some(*end),
            LedgerEntry::Refused(refusal) => panic!("{refusal:?}"),
            LedgerEntry::Called(_) | LedgerEntry::Validated(_) => None,
        });
        let ends: Vec<_> = entries.collect();
        <[_; 1]>::try_from(ends).map(|[end]| end).unwrap()
    }

    /// Events that are over, as the ledger has them: name, status, failure, tries.
    pub async fn calls(&self) -> Vec<(String, Option<u16>, Option<EventFailure>, u32)> {
        let entries = self.ledger().await.into_iter().filter_map(|entry| match entry {
            LedgerEntry::Called(called) => {
                let UpstreamCall { event, status, failure, tries, .. } = called.call;
                Some((event.to_string(), status, failure, tries))
            }
            _ => None,
        });
        entries.collect()
    }

    /// Validations that are over, as the ledger has them.
    pub async fn validations(&self) -> Vec<HubValidation> {
        let entries = self.ledger().await.into_iter().filter_map(|entry| match entry {
            LedgerEntry::Validated(validation) => Some(*validation),
            _ => None,
        });
        entries.collect()
    }
}

impl Raw {
    pub async fn say(&mut self, text: &str) {
        self.send(Opcode::Text, text.as_bytes()).await;
    }

    /// The next frame but pings, however long it takes.
    pub async fn heard(&mut self) -> Seen {
        loop {
            match soon(self.read_next()).await {
                Seen::Ping(payload) => self.send(Opcode::Pong, &payload).await,
                seen => return seen,
            }
        }
    }

    pub async fn text(&mut self) -> String {
        match self.heard().await {
            Seen::Text(text) => text,
            other => panic!("expected text, got {other:?}"),
        }
    }

    pub async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// Closes with 1000, and reads to the end.
    pub async fn leave(mut self) {
        self.send_close(Some(1000), "").await;
        while !matches!(self.heard().await, Seen::Eof | Seen::Reset) {}
    }
}
