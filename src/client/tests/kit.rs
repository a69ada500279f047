//! A plan of one population, a shard, and a server that says what the test tells it to.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Instant, timeout};

use crate::client::{Credentials, EndSink, LIMITS, Limits, Shard, ShardCounts, VirtualClient};
use crate::event::ClientEnd;
use crate::measure::{LatencyKind, LatencySet, StreamBook};
use crate::net::{Clock, Connector, Pacer};
use crate::protocol::connection_string::DEVELOPMENT_KEY;
use crate::protocol::settings::SocketBuffers;
use crate::protocol::{Endpoint, HubSettings, Subprotocol};
use crate::scenario::Plan;
use crate::scenario::plan::{
    Arrival, ArrivalSchedule, Behaviour, FirstAttempt, Population, Reconnect, ReconnectAfter,
    ReconnectPolicy, Requires, Scaling, Shaping, TimedBehaviour, TokenPolicy, UserPolicy,
};
use crate::secret::Secret;
use crate::ws::frame::{close_payload, server_frame};
use crate::ws::reader::Next;
use crate::ws::{FrameReader, Opcode, ReadEvent, Role};

/// Nothing in these tests may take longer.
pub const LONG: Duration = Duration::from_secs(20);
pub const MS: Duration = Duration::from_millis(1);

/// Limits that a test can wait for; only where something is to run into them.
pub const SHORT: Limits = Limits {
    connect: Duration::from_millis(300),
    handshake: Duration::from_millis(300),
    parting: Duration::from_millis(300),
};

/// Runs a test on one thread, bounded.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, bounded(test))
}

pub async fn bounded<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG, future).await.expect("in time")
}

/// A steady population `p` of two in group `room`, that never reconnects.
pub fn population(protocol: Subprotocol) -> Population {
    Population {
        name: "p".into(),
        count: 2,
        scaling: Scaling::Proportional,
        arrival: Arrival::Open { start: Duration::ZERO, schedule: ArrivalSchedule::Burst },
        protocol,
        groups: vec![0],
        rooms: Vec::new(),
        user: UserPolicy::PerClient,
        behaviours: Vec::new(),
        buffers: SocketBuffers::default(),
        shaping: Shaping::default(),
        reconnect: Reconnect {
            policy: ReconnectPolicy::None,
            after: ReconnectAfter::Drop,
            first: FirstAttempt::Within(Duration::ZERO),
            attempts: None,
        },
        lifetime: None,
        churn: None,
        token: TokenPolicy::Minted { lifetime: Duration::from_secs(3_600) },
    }
}

/// The same with a behaviour, from the open on.
pub fn behaving(protocol: Subprotocol, behaviour: Behaviour) -> Population {
    let behaviours = vec![TimedBehaviour { behaviour, from: Duration::ZERO, until: None }];
    Population { behaviours, ..population(protocol) }
}

pub fn plan(population: Population) -> Plan {
    Plan {
        name: "test".into(),
        title: "test".into(),
        seed: 7,
        duration: Duration::from_secs(10),
        settle: Duration::ZERO,
        grace: LONG,
        hub: HubSettings::ci(),
        hub_name: "hub".into(),
        upstream: None,
        requires: Requires::default(),
        populations: vec![population],
        groups: vec!["room".into()],
        traffic: Vec::new(),
        streams: 0,
        faults: Vec::new(),
        expectations: Vec::new(),
        server_side: crate::scenario::plan::ServerSide::default(),
        thresholds: Vec::new(),
        search: None,
        hash: String::new(),
    }
}

/// A shard, a listening port and the ends of attempts.
pub struct World {
    pub shard: Rc<Shard>,
    pub listener: TcpListener,
    pub ends: mpsc::Receiver<ClientEnd>,
}

impl World {
    pub async fn new(plan: Plan) -> Self {
        let key = Credentials::Key(Secret::new(DEVELOPMENT_KEY));
        Self::with(plan, key).await
    }

    pub async fn with(plan: Plan, credentials: Credentials) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (queue, ends) = mpsc::channel(64);
        let shard = Rc::new(Shard {
            clock: Clock::system(),
            epoch: Instant::now(),
            connector: connector(address).await,
            credentials,
            book: StreamBook::new(plan.streams as usize),
            plan: Arc::new(plan),
            pacer: Pacer::start(),
            connects: Rc::new(Semaphore::new(64)),
            latency: RefCell::new(LatencySet::default()),
            traffic: RefCell::default(),
            counts: ShardCounts::default(),
            ends: EndSink { queue, lost: Arc::new(AtomicU64::new(0)) },
            story: None,
            scratch: RefCell::new(vec![0; 64 * 1024].into()),
        });
        Self { shard, listener, ends }
    }

    /// A client that begins now.
    pub fn start(&self, index: u32) -> (Rc<VirtualClient>, JoinHandle<()>) {
        self.start_within(index, &LIMITS)
    }

    /// A client that begins now, with limits.
    pub fn start_within(
        &self,
        index: u32,
        limits: &'static Limits,
    ) -> (Rc<VirtualClient>, JoinHandle<()>) {
        let client = VirtualClient::limited(Rc::clone(&self.shard), 0, index, limits);
        let task = tokio::task::spawn_local(Rc::clone(&client).run(Instant::now()));
        (client, task)
    }

    /// The next client's connection, upgraded.
    pub async fn accept(&self) -> Peer {
        let (stream, _) = self.listener.accept().await.unwrap();
        Peer::upgrade(stream).await
    }

    /// The next client's connection, upgraded and, for JSON clients, told that it is connected.
    pub async fn welcome(&self) -> Peer {
        let mut peer = self.accept().await;
        if peer.request.contains("json.webpubsub") {
            peer.connected("c1").await;
            peer.ack_join().await;
        }
        peer
    }

    pub async fn end(&mut self) -> ClientEnd {
        self.ends.recv().await.unwrap()
    }

    /// Everything is back to nothing, and nobody has said more than was asked.
    pub fn assert_clean(&mut self) {
        let counts = &self.shard.counts;
        let left = (counts.open.get(), counts.tasks.get(), counts.unacknowledged.get());
        assert_eq!(left, (0, 0, 0), "open, tasks, unacknowledged");
        assert_eq!(self.shard.connects.available_permits(), 64);
        assert!(self.ends.try_recv().is_err(), "more ends than attempts");
        assert_eq!(self.shard.pacer.waits(), 0);
    }

    /// How many latencies of a kind were recorded.
    pub fn recorded(&self, kind: LatencyKind) -> u64 {
        let latency = self.shard.latency.borrow();
        latency.sum(kind, |_| true).map_or(0, |series| series.response.len())
    }
}

pub async fn connector(address: SocketAddr) -> Connector {
    let endpoint = Endpoint::parse(&format!("http://{address}")).unwrap();
    Connector::new(endpoint, None).await.unwrap()
}

/// A frame from the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
    /// End of stream.
    End,
    /// Reset.
    Reset,
}

/// The server's end of one connection, byte by byte.
pub struct Peer {
    pub stream: TcpStream,
    pub request: String,
    reader: FrameReader,
}

impl Peer {
    async fn upgrade(mut stream: TcpStream) -> Self {
        let request = read_request(&mut stream).await;
        let answer = switching_protocols(&request);
        stream.write_all(answer.as_bytes()).await.unwrap();
        Self { stream, request, reader: FrameReader::new(Role::Server, 1 << 20) }
    }

    pub async fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        self.stream.write_all(&server_frame(opcode, payload)).await.unwrap();
    }

    pub async fn text(&mut self, text: &str) {
        self.send(Opcode::Text, text.as_bytes()).await;
    }

    pub async fn close(&mut self, code: Option<u16>, reason: &str) {
        self.send(Opcode::Close, &close_payload(code, reason)).await;
    }

    pub async fn connected(&mut self, id: &str) {
        let frame = format!(
            r#"{{"type":"system","event":"connected","userId":null,"connectionId":"{id}"}}"#
        );
        self.text(&frame).await;
    }

    /// Reads one `joinGroup` and acknowledges it.
    pub async fn ack_join(&mut self) {
        assert_eq!(
            self.next().await,
            Frame::Text(r#"{"type":"joinGroup","group":"room","ackId":1}"#.into())
        );
        self.text(r#"{"type":"ack","ackId":1,"success":true}"#).await;
    }

    /// The next frame.
    pub async fn next(&mut self) -> Frame {
        let mut buffer = vec![0; 4_096];
        let mut fresh = 0;
        loop {
            let mut frame = None;
            let read = self.reader.read(&mut buffer[..fresh], |event| {
                frame = Some(owned(event));
                Next::Stop
            });
            read.expect("whole frames from a client");
            if let Some(frame) = frame {
                return frame;
            }
            match bounded(self.stream.read(&mut buffer)).await {
                Ok(0) => return Frame::End,
                Ok(count) => fresh = count,
                Err(_) => return Frame::Reset,
            }
        }
    }

    /// Pings and tells whether the pong of equal payload came within `within`.
    pub async fn ping(&mut self, payload: &[u8], within: Duration) -> bool {
        self.send(Opcode::Ping, payload).await;
        match timeout(within, self.next()).await {
            Ok(frame) => {
                assert_eq!(frame, Frame::Pong(payload.to_vec()));
                true
            }
            Err(_) => false,
        }
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

fn owned(event: ReadEvent<'_>) -> Frame {
    match event {
        ReadEvent::Text(text) => Frame::Text(text.to_owned()),
        ReadEvent::Binary(bytes) => Frame::Binary(bytes.to_vec()),
        ReadEvent::Ping(bytes) => Frame::Ping(bytes.to_vec()),
        ReadEvent::Pong(bytes) => Frame::Pong(bytes.to_vec()),
        ReadEvent::Close(frame) => Frame::Close(frame.code),
    }
}

/// A request's head.
pub async fn read_request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The value of a header of a request.
pub fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let lines = request.lines().filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(header, _)| header.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim())
}

pub fn switching_protocols(request: &str) -> String {
    let key = header(request, "sec-websocket-key").unwrap();
    let accept = crate::ws::handshake::accept_key(key).unwrap();
    let protocol = header(request, "sec-websocket-protocol")
        .map_or(String::new(), |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
    )
}
