//! The hub and the application server inside this process: on threads of their own in the sockets
//! world, beside the clients in the virtual one.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt as _;
use tokio::sync::mpsc;

use super::CliError;
use super::served::{Served, Stopped};
use crate::engine::ScriptedUpstream;
use crate::hub::{self, HubOptions};
use crate::net::{Clock, Connector, Dialling, Listener, Network};
use crate::pace::{self, Purpose};
use crate::protocol::HubSettings;
use crate::protocol::settings::SocketBuffers;
use crate::protocol::token::AccessKeys;
use crate::scenario::UpstreamScript;
use crate::secret::Secret;
use crate::upstream::{self, UpstreamOptions};

/// How long the hub may take to close what is still open.
pub const DRAIN: Duration = Duration::from_secs(1);
/// Letters of a drawn access key (the least that a hub takes is 32 bytes).
const KEY_LETTERS: usize = 44;
/// Host of the hub in a virtual world.
const VIRTUAL_HUB: &str = "hub.virtual";
/// Host of the application server in a virtual world.
const VIRTUAL_UPSTREAM: &str = "upstream.virtual";

/// A running hub.
#[derive(Debug)]
pub struct EmbeddedHub {
    /// Its access key, drawn from the seed.
    pub key: Secret,
    served: Served,
}

/// What a hub starts from, wherever it runs.
#[derive(Debug)]
struct Start {
    settings: HubSettings,
    clock: Clock,
    seed: u64,
    key: Secret,
    deliveries: Option<mpsc::Sender<Bytes>>,
}

impl Start {
    async fn serve(self, listener: Listener, dialling: Dialling, stopped: Stopped) {
        let Self { settings, clock, seed, key, deliveries } = self;
        let options = HubOptions {
            listener,
            clock,
            settings,
            keys: AccessKeys { primary: key, secondary: None },
            control: hub::ControlApi::Loopback,
            seed,
            dialling,
            deliveries,
            notices: None,
        };
        hub::serve(options, stopped.asked(), DRAIN).await;
    }
}

impl EmbeddedHub {
    /// Starts a hub with these settings on a free port of 127.0.0.1, on a thread of its own. It
    /// trusts event handlers by the system's certificates and those of `ca_file`.
    pub async fn on_a_thread(
        settings: HubSettings,
        clock: Clock,
        seed: u64,
        ca_file: Option<PathBuf>,
        deliveries: Option<mpsc::Sender<Bytes>>,
    ) -> Result<Self, CliError> {
        let key = draw_key(seed);
        let buffers = settings.buffers;
        let start = Start { settings, clock, seed, key: key.clone(), deliveries };
        let serve =
            move |listener, stopped| start.serve(listener, Dialling::Sockets { ca_file }, stopped);
        let served = Served::on_a_thread("hub", buffers, serve).await?;
        Ok(Self { key, served })
    }

    /// Starts a hub with these settings on a network in memory, as a task of the current
    /// `LocalSet`.
    pub fn beside(
        network: &Network,
        settings: HubSettings,
        clock: Clock,
        seed: u64,
        deliveries: Option<mpsc::Sender<Bytes>>,
    ) -> Result<Self, CliError> {
        let key = draw_key(seed);
        let buffers = settings.buffers;
        let start = Start { settings, clock, seed, key: key.clone(), deliveries };
        let dialling = Dialling::Links(network.clone());
        let serve = |listener, stopped| start.serve(listener, dialling, stopped);
        let served = Served::beside(network.clone(), "hub", VIRTUAL_HUB, buffers, serve)?;
        Ok(Self { key, served })
    }

    /// Dials it.
    #[must_use]
    pub const fn connector(&self) -> &Connector {
        &self.served.connector
    }

    /// Drains it and waits until it is done.
    pub async fn stop(self) -> Result<(), CliError> {
        self.served.stop().await
    }
}

/// A running scripted application server.
#[derive(Debug)]
pub struct EmbeddedUpstream {
    key: Secret,
    served: Served,
}

/// What an application server starts from, wherever it runs.
#[derive(Debug)]
pub struct UpstreamStart {
    /// What it answers.
    pub script: UpstreamScript,
    /// The world's clock.
    pub clock: Clock,
    /// Seed of delays and chances.
    pub seed: u64,
    /// The hub's access key.
    pub key: Secret,
}

impl UpstreamStart {
    async fn serve(self, listener: Listener, stopped: Stopped) {
        let Self { script, clock, seed, key } = self;
        let options = UpstreamOptions {
            listener,
            script,
            clock,
            keys: AccessKeys { primary: key, secondary: None },
            // The hub is the run's own, by whatever name.
            origins: Vec::new(),
            control: upstream::ControlApi::Loopback,
            begins: upstream::Begins::WithATimeline,
            seed,
            notices: None,
        };
        // Its counts are read through its control API.
        let _ = upstream::serve(options, stopped.asked()).await;
    }
}

impl EmbeddedUpstream {
    /// Starts a server on a free port of 127.0.0.1, on a thread of its own.
    pub async fn on_a_thread(start: UpstreamStart) -> Result<Self, CliError> {
        let key = start.key.clone();
        let serve = move |listener, stopped| start.serve(listener, stopped);
        let buffers = SocketBuffers::default();
        let served = Served::on_a_thread("upstream", buffers, serve).await?;
        Ok(Self { key, served })
    }

    /// Starts a server on a network in memory, as a task of the current `LocalSet`.
    pub fn beside(network: &Network, start: UpstreamStart) -> Result<Self, CliError> {
        let key = start.key.clone();
        let serve = |listener, stopped| start.serve(listener, stopped);
        let buffers = SocketBuffers::default();
        let served = Served::beside(network.clone(), "upstream", VIRTUAL_UPSTREAM, buffers, serve)?;
        Ok(Self { key, served })
    }

    /// What a run needs to know of it.
    #[must_use]
    pub fn scripted(&self) -> ScriptedUpstream {
        ScriptedUpstream { connector: self.served.connector.clone(), key: self.key.clone() }
    }

    /// Stops it and waits until it is done.
    pub async fn stop(self) -> Result<(), CliError> {
        self.served.stop().await
    }
}

/// A key for one run. It keeps other processes from joining by mistake and is no secret: the seed
/// is known, and often the default. The hub listens on loopback only, for the run only.
fn draw_key(seed: u64) -> Secret {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut rng = pace::stream(seed, "embedded-hub", 0, Purpose::Ids);
    let letters = (0..KEY_LETTERS).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())]));
    Secret::new(letters.collect::<String>())
}
