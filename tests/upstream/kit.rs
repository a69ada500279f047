//! Starts a scripted application server, over loopback or over links on a paused clock, and asks it
//! what a hub would.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use squall::net::http::{HttpAnswer, HttpCaller, HttpError, HttpRequest};
use squall::net::{Clock, Connector, ListenOptions, Listener, Network, TcpListener};
use squall::protocol::control::{COUNTERS_PATH, TIMELINE_PATH, TimelineStarted};
use squall::protocol::settings::SocketBuffers;
use squall::protocol::token::{AccessKeys, Claims, sign};
use squall::protocol::webhook::counts::{RequestCounts, StartUpstream};
use squall::protocol::webhook::request::validation_headers;
use squall::protocol::webhook::{
    Event, EventHead, EventName, RequestKind, SystemEvent, UpstreamCounts, sign_event,
};
use squall::protocol::{Endpoint, Scheme};
use squall::scenario::{Source, UpstreamScript, load_upstream};
use squall::secret::Secret;
use squall::upstream::{Begins, ControlApi, Notice, UpstreamOptions, serve};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::Instant;

/// Both keys of the hub.
const PRIMARY: &str = "primary-key-primary-key-primary-key";
const SECONDARY: &str = "secondary-key-secondary-key-secondary";
/// The hub that asks.
pub const ORIGIN: &str = "hub.example:8080";
/// Time for anything that must happen.
const LONG: Duration = Duration::from_secs(120);
const SEED: u64 = 7;

pub fn keys() -> AccessKeys {
    AccessKeys { primary: Secret::new(PRIMARY), secondary: Some(Secret::new(SECONDARY)) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum World {
    Sockets,
    Virtual,
}

/// A server, and whoever asks it.
pub struct Upstream {
    pub connector: Connector,
    pub clock: Clock,
    begun: Cell<Instant>,
    notices: RefCell<mpsc::Receiver<Notice>>,
    /// Kept over the whole test, as the engine does.
    control: RefCell<Option<HttpCaller>>,
    stop: Cell<Option<oneshot::Sender<()>>>,
    serving: Cell<Option<JoinHandle<UpstreamCounts>>>,
    last: RefCell<UpstreamCounts>,
}

/// Runs a test over links on a paused clock: times are exact.
pub fn virtually(script: &str, test: impl AsyncFnOnce(&Upstream)) {
    run(World::Virtual, script, SEED, test);
}

/// Likewise, with another seed.
pub fn virtually_with(seed: u64, script: &str, test: impl AsyncFnOnce(&Upstream)) {
    run(World::Virtual, script, seed, test);
}

/// Runs a test over loopback, and once more over links.
#[allow(clippy::needless_pass_by_value, reason = "a closure at the place of the call")]
pub fn everywhere(script: &str, test: impl AsyncFn(&Upstream)) {
    for world in [World::Sockets, World::Virtual] {
        run(world, script, SEED, &test);
    }
}

fn run(world: World, script: &str, seed: u64, test: impl AsyncFnOnce(&Upstream)) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = match world {
        World::Sockets => builder.enable_all(),
        World::Virtual => builder.enable_time().start_paused(true),
    };
    LocalSet::new().block_on(&runtime.build().unwrap(), async {
        let upstream = Upstream::start(world, parsed(script), seed).await;
        test(&upstream).await;
        let counts = upstream.stop().await;
        for (kind, counts) in &counts.requests {
            let ended: u64 = counts.answered.values().sum::<u64>()
                + counts.broken_off
                + counts.abandoned
                + counts.in_flight;
            assert_eq!((counts.received, counts.in_flight), (ended, 0), "{kind}: {counts:?}");
        }
    });
}

fn parsed(script: &str) -> UpstreamScript {
    let source = Source { name: "s".into(), origin: "s.toml".into(), text: script.into() };
    load_upstream(&source, &|_| None).unwrap_or_else(|errors| panic!("{errors}"))
}

pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("in time")
}

pub fn system(event: SystemEvent) -> Event {
    Event::System(event)
}

pub fn connect() -> Event {
    system(SystemEvent::Connect)
}

pub fn user(name: &str) -> Event {
    Event::User(EventName::parse(name).unwrap())
}

/// An event of a connection, signed.
pub fn head(event: Event, connection_id: &str) -> EventHead {
    EventHead {
        event,
        hub: "squall".into(),
        connection_id: connection_id.into(),
        id: 1,
        time: "2026-01-01T00:00:00Z".into(),
        user_id: String::new(),
        subprotocol: String::new(),
        state: String::new(),
        signature: sign_event(&keys(), connection_id),
        origin: ORIGIN.into(),
        content_type: "text/plain".into(),
        cookies: String::new(),
    }
}

pub fn post(head: &EventHead, body: &str) -> HttpRequest {
    HttpRequest {
        method: Method::POST,
        path_and_query: "/api/webpubsub/hubs/squall/x".into(),
        headers: head.print().unwrap(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

pub fn validation(method: Method) -> HttpRequest {
    HttpRequest {
        method,
        path_and_query: "/api/webpubsub/hubs/squall/validate".into(),
        headers: validation_headers(ORIGIN).unwrap(),
        body: Bytes::new(),
    }
}

impl Upstream {
    async fn start(world: World, script: UpstreamScript, seed: u64) -> Self {
        let clock = Clock::system();
        let (listener, connector) = match world {
            World::Sockets => {
                let address = "127.0.0.1:0".parse().unwrap();
                let options = ListenOptions { address, buffers: SocketBuffers::default() };
                let listener = TcpListener::bind(options).unwrap();
                let port = Some(listener.local_addr().unwrap().port());
                let endpoint = Endpoint { scheme: Scheme::Http, host: "127.0.0.1".into(), port };
                (Listener::Tcp(listener), Connector::new(endpoint, None).await.unwrap())
            }
            World::Virtual => {
                let (network, host) = (Network::start(), "upstream.virtual".to_owned());
                let endpoint = Endpoint { scheme: Scheme::Http, host, port: None };
                let buffers = SocketBuffers::default();
                let listener = network.listen(&endpoint.authority(), buffers).unwrap();
                (Listener::Links(listener), Connector::Links { network, endpoint })
            }
        };
        let (notices, told) = mpsc::channel(1_024);
        let options = UpstreamOptions {
            listener,
            script,
            clock,
            keys: keys(),
            origins: vec!["hub.example".into(), ORIGIN.into()],
            control: ControlApi::Loopback,
            begins: Begins::AtOnce,
            seed,
            notices: Some(notices),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::task::spawn_local(serve(options, async {
            let _ = stopped.await;
        }));
        Self {
            control: RefCell::new(Some(HttpCaller::new(connector.clone()))),
            connector,
            clock,
            begun: Cell::new(Instant::now()),
            notices: RefCell::new(told),
            stop: Cell::new(Some(stop)),
            serving: Cell::new(Some(serving)),
            last: RefCell::default(),
        }
    }

    /// Stops it; its counts, also when it has been stopped before.
    pub async fn stop(&self) -> UpstreamCounts {
        drop(self.stop.take());
        if let Some(serving) = self.serving.take() {
            self.last.replace(soon(serving).await.unwrap());
        }
        self.last.borrow().clone()
    }

    /// Asks on a connection of its own.
    pub async fn ask(&self, request: HttpRequest) -> Result<HttpAnswer, HttpError> {
        HttpCaller::new(self.connector.clone()).call(request, LONG).await
    }

    /// The answer to an event of a connection.
    pub async fn event(&self, event: Event, connection_id: &str) -> HttpAnswer {
        self.ask(post(&head(event, connection_id), "hello")).await.unwrap()
    }

    /// The status of such an answer.
    pub async fn status(&self, event: Event) -> u16 {
        self.event(event, "c1").await.status.as_u16()
    }

    /// Since the timeline's start; exact in the virtual world.
    pub fn elapsed(&self) -> Duration {
        self.begun.get().elapsed()
    }

    /// Waits until so long after the timeline's start.
    pub async fn until(&self, at: Duration) {
        tokio::time::sleep_until(self.begun.get() + at).await;
    }

    pub fn signed(&self, method: Method, path: &str, body: impl Into<Bytes>) -> HttpRequest {
        let claims = Claims {
            audience: format!("{}{path}", self.connector.endpoint()),
            expires_at: self.clock.now_s() + 60,
            ..Claims::default()
        };
        let bearer = format!("Bearer {}", sign(&claims, &keys().primary).expose());
        HttpRequest {
            method,
            path_and_query: path.into(),
            headers: vec![(AUTHORIZATION, HeaderValue::from_str(&bearer).unwrap())],
            body: body.into(),
        }
    }

    async fn control(&self, request: HttpRequest) -> HttpAnswer {
        let mut caller = self.control.take().expect("one call at a time");
        let answer = caller.call(request, LONG).await.unwrap();
        self.control.replace(Some(caller));
        assert_eq!(answer.status, StatusCode::OK);
        answer
    }

    /// Begins the timeline anew.
    pub async fn begin(&self) {
        let body = serde_json::to_vec(&StartUpstream { run: "r1".into() }).unwrap();
        let answer = self.control(self.signed(Method::POST, TIMELINE_PATH, body)).await;
        self.begun.set(Instant::now());
        let started: TimelineStarted = serde_json::from_slice(&answer.body).unwrap();
        assert!(started.now_ns <= self.clock.now_ns());
    }

    pub async fn counts(&self) -> UpstreamCounts {
        let answer = self.control(self.signed(Method::GET, COUNTERS_PATH, "")).await;
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub async fn counts_of(&self, kind: &str) -> RequestCounts {
        self.counts().await.of(&RequestKind::parse(kind).unwrap())
    }

    /// The next thing it tells.
    pub async fn notice(&self) -> Notice {
        soon(poll_fn(|cx| self.notices.borrow_mut().poll_recv(cx))).await.expect("it is there")
    }
}

/// The text of a header; several lines with ` | ` between.
pub fn header(answer: &HttpAnswer, name: &str) -> String {
    let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
    let lines = answer.headers.get_all(name).iter();
    lines.map(|line| line.to_str().unwrap()).collect::<Vec<_>>().join(" | ")
}

/// The body as text.
pub fn text(answer: &HttpAnswer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}
