//! The hub inside this process: on a thread of its own in the sockets world, beside the clients in
//! the virtual one.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::CliError;
use crate::hub::{self, ControlApi, HubOptions};
use crate::net::{
    Clock, Connector, Dialler, Dialling, ListenOptions, Listener, Network, TcpListener,
};
use crate::pace::{self, Purpose};
use crate::protocol::connection_string::Scheme;
use crate::protocol::token::AccessKeys;
use crate::protocol::{Endpoint, HubSettings};
use crate::secret::Secret;

/// How long the hub may take to close what is still open.
pub const DRAIN: Duration = Duration::from_secs(1);
/// Letters of a drawn access key (the least that a hub takes is 32 bytes).
const KEY_LETTERS: usize = 44;
/// Host of the hub in a virtual world; there is nobody else.
const VIRTUAL_HOST: &str = "hub.virtual";

/// A running hub.
#[derive(Debug)]
pub struct EmbeddedHub {
    /// Dials it.
    pub connector: Connector,
    /// Its access key, drawn from the seed.
    pub key: Secret,
    stop: oneshot::Sender<()>,
    done: oneshot::Receiver<()>,
}

/// What a hub starts from, wherever it runs.
#[derive(Debug)]
struct Start {
    settings: HubSettings,
    clock: Clock,
    seed: u64,
    key: Secret,
}

impl Start {
    fn new(settings: HubSettings, clock: Clock, seed: u64) -> Self {
        Self { settings, clock, seed, key: draw_key(seed) }
    }

    async fn serve(self, listener: Listener, dialling: Dialling, stopped: oneshot::Receiver<()>) {
        let Self { settings, clock, seed, key } = self;
        let options = HubOptions {
            listener,
            clock,
            settings,
            keys: AccessKeys { primary: key, secondary: None },
            control: ControlApi::Loopback,
            seed,
            dialling,
            notices: None,
        };
        // A starter that is gone is a reason to stop as well.
        let stop = async { drop(stopped.await) };
        hub::serve(options, stop, DRAIN).await;
    }
}

impl EmbeddedHub {
    /// Starts a hub with these settings on a free port of 127.0.0.1, on a thread of its own.
    pub async fn on_a_thread(
        settings: HubSettings,
        clock: Clock,
        seed: u64,
    ) -> Result<Self, CliError> {
        let start = Start::new(settings, clock, seed);
        let key = start.key.clone();
        let (ready_sender, ready) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let (done_sender, done) = oneshot::channel();
        let body = move || {
            serve_on_thread(start, ready_sender, stopped);
            let _ = done_sender.send(());
        };
        thread::Builder::new()
            .name("squall-hub".to_owned())
            .spawn(body)
            .map_err(|error| CliError::Internal(format!("no thread for the hub: {error}")))?;
        let address = match ready.await {
            Ok(result) => result?,
            Err(_) => return Err(CliError::Internal("the hub's thread ended".to_owned())),
        };
        let endpoint = Endpoint {
            scheme: Scheme::Http,
            host: address.ip().to_string(),
            port: Some(address.port()),
        };
        let connector = Dialler::new(endpoint, None).await?.into();
        Ok(Self { connector, key, stop, done })
    }

    /// Starts a hub with these settings on a network in memory, as a task of the current
    /// `LocalSet`.
    pub fn beside(
        network: Network,
        settings: HubSettings,
        clock: Clock,
        seed: u64,
    ) -> Result<Self, CliError> {
        let start = Start::new(settings, clock, seed);
        let key = start.key.clone();
        let endpoint = Endpoint { scheme: Scheme::Http, host: VIRTUAL_HOST.to_owned(), port: None };
        let listener = network
            .listen(&endpoint.authority(), start.settings.buffers)
            .map_err(|error| CliError::Internal(format!("no place for the hub: {error}")))?;
        let (stop, stopped) = oneshot::channel();
        let (done_sender, done) = oneshot::channel();
        let dialled = network.clone();
        tokio::task::spawn_local(async move {
            let dialling = Dialling::Links(dialled);
            start.serve(Listener::Links(listener), dialling, stopped).await;
            let _ = done_sender.send(());
        });
        Ok(Self { connector: Connector::Links { network, endpoint }, key, stop, done })
    }

    /// Drains it and waits until it is done.
    pub async fn stop(self) -> Result<(), CliError> {
        let _ = self.stop.send(());
        self.done.await.map_err(|_| CliError::Internal("the hub broke off".to_owned()))
    }
}

fn serve_on_thread(
    start: Start,
    ready: oneshot::Sender<Result<SocketAddr, CliError>>,
    stopped: oneshot::Receiver<()>,
) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listen_error = |source| CliError::Listen { address, source };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => {
            let _ = ready.send(Err(listen_error(source)));
            return;
        }
    };
    LocalSet::new().block_on(&runtime, async {
        let options = ListenOptions { address, buffers: start.settings.buffers };
        let bound =
            TcpListener::bind(options).and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (local, listener) = match bound {
            Ok(bound) => bound,
            Err(source) => {
                let _ = ready.send(Err(listen_error(source)));
                return;
            }
        };
        if ready.send(Ok(local)).is_ok() {
            let dialling = Dialling::Sockets { ca_file: None };
            start.serve(Listener::Tcp(listener), dialling, stopped).await;
        }
    });
}

/// A key for one run. It keeps other processes from joining by mistake and is no secret: the seed
/// is known, and often the default. The hub listens on loopback only, for the run only.
fn draw_key(seed: u64) -> Secret {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut rng = pace::stream(seed, "embedded-hub", 0, Purpose::Ids);
    let letters = (0..KEY_LETTERS).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())]));
    Secret::new(letters.collect::<String>())
}
