//! `squall upstream`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::hub::{reachable, shown};
use super::interrupt::Interrupts;
use super::target::secret;
use super::upstream_check::{self, CheckArguments};
use super::{CliError, Exit, pick, print, say};
use crate::net::{Clock, ListenOptions, Listener, TcpListener};
use crate::protocol::connection_string::{DEVELOPMENT_KEY, Scheme};
use crate::protocol::settings::SocketBuffers;
use crate::protocol::token::AccessKeys;
use crate::protocol::webhook::RequestKind;
use crate::protocol::{ConnectionString, Endpoint};
use crate::report::{self, words};
use crate::scenario::plan::{KeyOf, Verify};
use crate::scenario::{self, UpstreamScript};
use crate::secret::Secret;
use crate::upstream::{self, Begins, ControlApi, Notice, RequestEnd, RequestTold, UpstreamOptions};

/// Notices that may wait to be said.
const NOTICES_MAX: usize = 4_096;
/// Where hubs send events, behind host and port: the path of the official middleware.
const PATH: &str = "/api/webpubsub/hubs/{hub}/{event}";
/// Columns of a kind of request and of a connection id in a line about a request.
const KIND_COLUMNS: usize = 14;
const ID_COLUMNS: usize = 36;

/// Arguments of `squall upstream`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct UpstreamArguments {
    #[command(subcommand)]
    command: Option<UpstreamCommand>,
    #[command(flatten)]
    serve: ServeArguments,
}

#[derive(Debug, Subcommand)]
enum UpstreamCommand {
    /// Ask somebody's real event handler what the service would, and judge its answers
    Check(Box<CheckArguments>),
}

/// Arguments of the scripted event handler.
#[derive(Debug, Args)]
struct ServeArguments {
    /// Address to listen on; port 0 lets the system choose
    #[arg(long, env = "SQUALL_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// TOML file with the keys of a scenario's [upstream], or a scenario [default: a healthy
    /// server]
    #[arg(long, env = "SQUALL_SCRIPT", value_name = "FILE")]
    script: Option<PathBuf>,
    /// Send every user event back to whom it came from
    #[arg(
        long, env = "SQUALL_ECHO", value_parser = FalseyValueParser::new(),
        conflicts_with = "script"
    )]
    echo: bool,
    /// The hub whose events come, for their signatures and origin; better in
    /// SQUALL_CONNECTION_STRING than typed [default: any hub with the development key]
    #[arg(
        long, env = "SQUALL_CONNECTION_STRING", value_name = "STRING", hide_env_values = true,
        value_parser = secret
    )]
    connection_string: Option<Secret>,
    /// Seed of delays and chances
    #[arg(long, env = "SQUALL_SEED", value_name = "N", default_value_t = 1)]
    seed: u64,
    /// A line for every request
    #[arg(long, short, env = "SQUALL_VERBOSE", value_parser = FalseyValueParser::new())]
    verbose: bool,
}

/// Serves, or checks.
pub fn main(arguments: &UpstreamArguments) -> Result<Exit, CliError> {
    match &arguments.command {
        Some(UpstreamCommand::Check(check)) => upstream_check::main(check),
        None => serve_alone(&arguments.serve),
    }
}

/// Serves until Ctrl-C. The first line on standard output is the URL template for the hub, alone,
/// once connections are accepted; everything else goes to standard error.
fn serve_alone(arguments: &ServeArguments) -> Result<Exit, CliError> {
    let script = script(arguments)?;
    let (keys, origins) = hub(arguments.connection_string.as_ref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Internal(format!("no runtime: {error}")))?;
    LocalSet::new().block_on(&runtime, serve(arguments, script, keys, origins))
}

fn script(arguments: &ServeArguments) -> Result<UpstreamScript, CliError> {
    match &arguments.script {
        Some(path) => {
            let environment = |name: &str| std::env::var(name).ok();
            Ok(scenario::load_upstream(&pick::read(path)?, &environment)?)
        }
        None if arguments.echo => Ok(UpstreamScript::echo()),
        None => Ok(UpstreamScript::default()),
    }
}

/// The keys that sign events, and the origins that are the hub's.
fn hub(given: Option<&Secret>) -> Result<(AccessKeys, Vec<String>), CliError> {
    let only = |primary| AccessKeys { primary, secondary: None };
    let Some(given) = given else {
        return Ok((only(Secret::new(DEVELOPMENT_KEY)), Vec::new()));
    };
    let parsed = ConnectionString::parse(given.expose())
        .map_err(|error| CliError::Usage(format!("--connection-string: {error}")))?;
    let mut origins = vec![parsed.endpoint.host.clone(), parsed.endpoint.authority()];
    origins.dedup();
    Ok((only(parsed.access_key), origins))
}

async fn serve(
    arguments: &ServeArguments,
    script: UpstreamScript,
    keys: AccessKeys,
    origins: Vec<String>,
) -> Result<Exit, CliError> {
    let address = arguments.listen;
    let interrupts = Interrupts::listen("stopping")?;
    let bound = TcpListener::bind(ListenOptions { address, buffers: SocketBuffers::default() })
        .and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (local, listener) = bound.map_err(|source| CliError::Listen { address, source })?;
    say(&summary(local, arguments, &script));
    let endpoint = Endpoint {
        scheme: Scheme::Http,
        host: reachable(local.ip()).to_string(),
        port: Some(local.port()),
    };
    // The system queues connections from the bind on, so from here on they are accepted.
    print(&format!("{endpoint}{PATH}\n"));
    let (notices, told) = mpsc::channel(NOTICES_MAX);
    if arguments.verbose {
        tokio::task::spawn_local(say_notices(told));
    }
    let options = UpstreamOptions {
        listener: Listener::Tcp(listener),
        script,
        clock: Clock::system(),
        keys,
        origins,
        control: ControlApi::Loopback,
        begins: Begins::AtOnce,
        seed: arguments.seed,
        notices: Some(notices),
    };
    let counts = upstream::serve(options, interrupts.first()).await;
    say(&report::upstream::render(&counts));
    Ok(Exit::AsExpected)
}

fn summary(local: SocketAddr, arguments: &ServeArguments, script: &UpstreamScript) -> String {
    let what = match &arguments.script {
        Some(path) => {
            let rules = words::counted(script.rules.len() as u64, "rule");
            let down = match script.down.len() {
                0 => String::new(),
                count => format!(", down {}", words::counted(count as u64, "time")),
            };
            format!("{rules} of {}{down}", path.display())
        }
        None if arguments.echo => "healthy; sends user events back".to_owned(),
        None => "healthy".to_owned(),
    };
    let key = match script.key {
        Some(_) => "\n  asks for a key: the URL ends with ?code= and the script's",
        None => "",
    };
    let hub = match (script.access_key, &arguments.connection_string) {
        (KeyOf::AnotherHub, _) => "another hub's key",
        (KeyOf::Hub, Some(_)) => "the connection string",
        (KeyOf::Hub, None) => "the development key",
    };
    let verify = match script.verify {
        Verify::Ignore => "counted",
        Verify::Reject => "rejected when bad",
    };
    format!(
        "squall upstream on {local}: {what}{key}\n  \
         signatures are {verify}, by {hub}\n  \
         Ctrl-C ends it and shows what it saw\n"
    )
}

async fn say_notices(mut told: mpsc::Receiver<Notice>) {
    while let Some(notice) = told.recv().await {
        say(&match notice {
            Notice::RunBegan { run } => format!("run {} begins: time is 0\n", shown(&run)),
            Notice::Request(told) => line(&told),
        });
    }
}

/// `   12.345 s  connect         c1                                    500  1.5 s`
fn line(told: &RequestTold) -> String {
    let kind = told.kind.as_ref().map_or_else(|| "(no hub's)".to_owned(), RequestKind::to_string);
    let ended = match told.ended {
        RequestEnd::Answered(status) => status.to_string(),
        RequestEnd::BrokenOff => "broken off".to_owned(),
        RequestEnd::Abandoned => "abandoned".to_owned(),
    };
    format!(
        "{:>9}.{:03} s  {kind:<KIND_COLUMNS$}  {:<ID_COLUMNS$}  {ended:<10}  {}\n",
        told.at.as_secs(),
        told.at.subsec_millis(),
        shown(&told.connection_id),
        words::duration(told.took),
    )
}
