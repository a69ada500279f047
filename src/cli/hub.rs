//! `squall hub`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::deliveries::DeliveryFile;
use super::interrupt::Interrupts;
use super::target::{self, secret};
use super::{CliError, Exit, embedded, pick, print, say};
use crate::hub::{self, ControlApi, HubOptions, Notice};
use crate::net::{Clock, Dialling, ListenOptions, Listener, TcpListener};
use crate::protocol::connection_string::{DEVELOPMENT_KEY, Scheme};
use crate::protocol::settings::{LifeSign, Tier};
use crate::protocol::token::AccessKeys;
use crate::protocol::webhook::EventSettings;
use crate::protocol::{ConnectionString, Endpoint, HubSettings};
use crate::report::words;
use crate::scenario;
use crate::secret::Secret;

/// Bytes of an access key, at least (as in the official emulator).
const KEY_BYTES_MIN: usize = 32;

/// Notices of the hub that may wait to be said.
const NOTICES_MAX: usize = 64;

/// Characters that are shown of what somebody else named.
const NAME_MAX: usize = 80;

/// Arguments of `squall hub`.
#[derive(Debug, Args)]
pub struct HubArguments {
    /// Address to listen on; port 0 lets the system choose
    #[arg(long, env = "SQUALL_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Pricing tier, whose connection limit holds
    #[arg(long, env = "SQUALL_TIER", value_enum)]
    tier: Option<TierArgument>,
    /// Units of the tier
    #[arg(long, env = "SQUALL_UNITS", value_name = "N")]
    units: Option<u32>,
    /// TOML file with the keys of a scenario's [hub]
    #[arg(long, env = "SQUALL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Settings to start from, where no file says otherwise [default: real]
    #[arg(long, env = "SQUALL_PROFILE", value_enum, conflicts_with = "config")]
    profile: Option<ProfileArgument>,
    /// Access key, at least 32 bytes; better in SQUALL_ACCESS_KEY than typed
    #[arg(
        long, env = "SQUALL_ACCESS_KEY", value_name = "KEY", hide_env_values = true,
        value_parser = secret
    )]
    access_key: Option<Secret>,
    /// File for what event listeners hear of, one line of JSON each; it must not exist
    #[arg(long, env = "SQUALL_EVENT_LISTENER_FILE", value_name = "FILE")]
    event_listener_file: Option<PathBuf>,
    /// PEM file with certificates of event handlers to trust besides the system's
    #[arg(long, env = "SQUALL_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// `--tier`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum TierArgument {
    /// 20 connections
    Free,
    /// 1,000 connections per unit
    Standard,
    /// 1,000 connections per unit
    Premium,
}

/// `--profile`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileArgument {
    /// Strict and quick: ping 1 s, timeout 3 s, queue 64 KiB
    Ci,
    /// The service's timings, where they are known
    Real,
}

/// Serves until Ctrl-C. The first line on standard output is the connection string, alone, once
/// connections are accepted; everything else goes to standard error.
pub fn main(arguments: HubArguments) -> Result<Exit, CliError> {
    let settings = settings(&arguments)?;
    let key = access_key(arguments.listen, arguments.access_key)?;
    target::check_ca_file(arguments.ca_file.as_deref())?;
    let dialling = Dialling::Sockets { ca_file: arguments.ca_file };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Internal(format!("no runtime: {error}")))?;
    let file = arguments.event_listener_file.as_deref().map(DeliveryFile::create).transpose()?;
    let (deliveries, file) = file.unzip();
    let writer = file.map(DeliveryFile::write_on_a_thread).transpose()?;
    let local = LocalSet::new();
    let kept = arguments.event_listener_file.as_deref();
    let served = serve(arguments.listen, settings, key, dialling, deliveries, kept);
    let exit = local.block_on(&runtime, served);
    // With its tasks everybody who delivers is gone, and so the writer ends.
    drop(local);
    if let Some(Ok(Err(error))) = writer.map(JoinHandle::join) {
        return Err(error.into());
    }
    exit
}

async fn serve(
    address: SocketAddr,
    settings: HubSettings,
    key: Secret,
    dialling: Dialling,
    deliveries: Option<mpsc::Sender<Bytes>>,
    kept: Option<&Path>,
) -> Result<Exit, CliError> {
    let clock = Clock::system();
    let interrupts = Interrupts::listen("draining: open connections are closed with 1001")?;
    let bound = TcpListener::bind(ListenOptions { address, buffers: settings.buffers })
        .and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (local, listener) = bound.map_err(|source| CliError::Listen { address, source })?;
    say(&summary(local, &settings, listener.backlog(), kept));
    let endpoint = Endpoint {
        scheme: Scheme::Http,
        host: reachable(local.ip()).to_string(),
        port: Some(local.port()),
    };
    let connection_string = ConnectionString { endpoint, access_key: key.clone() };
    // The system queues connections from the bind on, so from here on they are accepted.
    print(&format!("{}\n", connection_string.expose()));
    let (notices, told) = mpsc::channel(NOTICES_MAX);
    tokio::task::spawn_local(say_notices(told, settings.events.handlers.len()));
    let options = HubOptions {
        listener: Listener::Tcp(listener),
        clock,
        settings,
        keys: AccessKeys { primary: key, secondary: None },
        control: ControlApi::Loopback,
        seed: clock.now_ns(),
        dialling,
        deliveries,
        notices: Some(notices),
    };
    tokio::select! {
        biased;
        counters = hub::serve(options, interrupts.first(), embedded::DRAIN) => {
            let opened = words::counted(counters.connection_open_count, "connection");
            say(&format!("stopped; {opened} opened since the start or the last run's start\n"));
        }
        () = interrupts.over() => {}
    }
    Ok(Exit::AsExpected)
}

/// Says on standard error who changes the hub's settings, and when they are back.
/// `of_start` is how many event handlers the hub has of its own.
async fn say_notices(mut told: mpsc::Receiver<Notice>, of_start: usize) {
    while let Some(notice) = told.recv().await {
        say(&match notice {
            Notice::RunBegan { run, event_handlers } => {
                let without = match event_handlers {
                    0 if of_start > 0 => ", without any event handler,",
                    _ => "",
                };
                let run = shown(&run);
                format!("run {run} begins: its settings hold{without} until it is over\n")
            }
            Notice::RunOver { run } => {
                format!("run {} is over: the settings of the start hold again\n", shown(&run))
            }
        });
    }
}

/// What somebody else named (a run, a connection), short and without anything that moves the
/// cursor.
pub(super) fn shown(run: &str) -> String {
    run.chars().filter(|letter| !letter.is_control()).take(NAME_MAX).collect()
}

/// The address that stands in the connection string: who listens on all addresses is reached on
/// loopback here, and by the machine's name from elsewhere.
pub(super) const fn reachable(bound: IpAddr) -> IpAddr {
    match bound {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        bound => bound,
    }
}

fn settings(arguments: &HubArguments) -> Result<HubSettings, CliError> {
    let mut settings = match (&arguments.config, arguments.profile) {
        (Some(path), _) => scenario::load_hub(&pick::read(path)?)?,
        (None, Some(ProfileArgument::Ci)) => HubSettings::ci(),
        (None, Some(ProfileArgument::Real) | None) => HubSettings::real(),
    };
    if let Some(tier) = arguments.tier {
        settings.tier = match tier {
            TierArgument::Free => Tier::Free,
            TierArgument::Standard => Tier::Standard,
            TierArgument::Premium => Tier::Premium,
        };
        if !settings.tier.unit_steps().contains(&settings.units) {
            settings.units = 1;
        }
    }
    if let Some(units) = arguments.units {
        settings.units = units;
    }
    let steps = settings.tier.unit_steps();
    if !steps.contains(&settings.units) {
        let steps: Vec<_> = steps.iter().map(u32::to_string).collect();
        return Err(CliError::Usage(format!(
            "the {} tier has no {}; it has {}",
            words::tier_word(settings.tier),
            words::counted(u64::from(settings.units), "unit"),
            steps.join(", ")
        )));
    }
    Ok(settings)
}

/// The key given, or the well-known development key on loopback. Anywhere else one is demanded.
fn access_key(listen: SocketAddr, given: Option<Secret>) -> Result<Secret, CliError> {
    match given {
        Some(key) if key.expose().len() < KEY_BYTES_MIN => Err(CliError::Usage(format!(
            "the access key has {} bytes; it must have at least {KEY_BYTES_MIN}",
            key.expose().len()
        ))),
        Some(key) if key.expose().contains(|c: char| c == ';' || c.is_control()) => Err(
            CliError::Usage("the access key must not hold `;` or control characters".to_owned()),
        ),
        Some(key) => Ok(key),
        None if listen.ip().is_loopback() => Ok(Secret::new(DEVELOPMENT_KEY)),
        None => Err(CliError::Refused {
            why: format!("{listen} can be reached from elsewhere and there is no access key"),
            hint: "set SQUALL_ACCESS_KEY to a key of your own, at least 32 bytes".to_owned(),
        }),
    }
}

/// Who gets events, and where those go that nobody answers.
fn events(events: &EventSettings, kept: Option<&Path>) -> String {
    let handlers = match events.handlers.len() as u64 {
        0 => "no event handlers".to_owned(),
        count => format!("events to {}", words::counted(count, "event handler")),
    };
    let listeners = match (events.listeners.len() as u64, kept) {
        (0, _) => return handlers,
        (count, Some(file)) => {
            format!("{}, into {}", words::counted(count, "event listener"), file.display())
        }
        (count, None) => format!(
            "{}: nothing is kept without --event-listener-file",
            words::counted(count, "event listener")
        ),
    };
    format!("{handlers}\n  {listeners}")
}

fn summary(local: SocketAddr, settings: &HubSettings, backlog: u32, kept: Option<&Path>) -> String {
    let life = match settings.keep_alive.life {
        LifeSign::Pong => "pongs",
        LifeSign::AnyFrame => "any frame",
    };
    format!(
        "squall hub on {local}, listen backlog {backlog}\n  \
         {}, {}: {} connections\n  \
         ping every {}, timeout {}, life is {life}\n  \
         queue of {} or {} messages per connection\n  \
         {}\n  \
         Ctrl-C drains and ends it\n",
        words::tier_word(settings.tier),
        words::counted(u64::from(settings.units), "unit"),
        words::number(settings.connection_cap()),
        words::duration(settings.keep_alive.interval),
        words::duration(settings.keep_alive.timeout),
        words::bytes(settings.queue.bytes),
        words::number(settings.queue.messages),
        events(&settings.events, kept),
    )
}
