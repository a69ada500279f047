//! The hub inside this process, on a thread of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::CliError;
use crate::hub::{self, ControlApi, HubOptions};
use crate::net::{Clock, ListenOptions, Listener};
use crate::pace::{self, Purpose};
use crate::protocol::connection_string::Scheme;
use crate::protocol::token::AccessKeys;
use crate::protocol::{Endpoint, HubSettings};
use crate::secret::Secret;

/// How long the hub may take to close what is still open.
pub const DRAIN: Duration = Duration::from_secs(1);
/// Letters of a drawn access key (the least that a hub takes is 32 bytes).
const KEY_LETTERS: usize = 44;

/// A running hub.
#[derive(Debug)]
pub struct EmbeddedHub {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Its access key, drawn from the seed.
    pub key: Secret,
    stop: oneshot::Sender<()>,
    done: oneshot::Receiver<()>,
}

impl EmbeddedHub {
    /// Starts a hub with these settings on a free port of 127.0.0.1.
    pub async fn start(settings: HubSettings, clock: Clock, seed: u64) -> Result<Self, CliError> {
        let key = draw_key(seed);
        let keys = AccessKeys { primary: key.clone(), secondary: None };
        let (ready_sender, ready) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let (done_sender, done) = oneshot::channel();
        let body = move || {
            serve(settings, clock, seed, keys, ready_sender, stopped);
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
        Ok(Self { endpoint, key, stop, done })
    }

    /// Drains it and waits until its thread is done.
    pub async fn stop(self) -> Result<(), CliError> {
        let _ = self.stop.send(());
        self.done.await.map_err(|_| CliError::Internal("the hub's thread broke off".to_owned()))
    }
}

fn serve(
    settings: HubSettings,
    clock: Clock,
    seed: u64,
    keys: AccessKeys,
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
        let bound = Listener::bind(ListenOptions { address, buffers: settings.buffers })
            .and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (local, listener) = match bound {
            Ok(bound) => bound,
            Err(source) => {
                let _ = ready.send(Err(listen_error(source)));
                return;
            }
        };
        if ready.send(Ok(local)).is_err() {
            return;
        }
        let options = HubOptions {
            listener,
            clock,
            settings,
            keys,
            control: ControlApi::Loopback,
            seed,
            notices: None,
        };
        // A starter that is gone is a reason to stop as well.
        let stop = async { drop(stopped.await) };
        hub::serve(options, stop, DRAIN).await;
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
