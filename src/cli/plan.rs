//! `squall plan`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::civil::Date;

use super::{CliError, Exit, consistency, print};
use crate::capacity::{self, Assumption, Basis, Flags, NotRun, Workload};
use crate::net::Clock;
use crate::protocol::resource_log;
use crate::report::capacity::{self as told, Detail, Taken};
use crate::report::{FileError, RunFile, text};
use crate::scenario::Source;

/// Largest file that is read, in bytes: a run file of many populations is far smaller.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Arguments of `squall plan`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PlanArguments {
    /// Workload: a TOML file (`squall schema workload` tells its keys); flags change the rest of
    /// it, but not what is sent
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Take the load from a recorded run, what is sent included: a run folder, or its run.json
    #[arg(long, env = "SQUALL_FROM", value_name = "RUN", conflicts_with = "file")]
    from: Option<PathBuf>,
    /// Clients connected at once in the busiest hour
    #[arg(long, env = "SQUALL_CONNECTIONS", value_name = "COUNT", allow_hyphen_values = true)]
    #[arg(required_unless_present_any = ["file", "from"])]
    connections: Option<String>,
    #[command(flatten)]
    sent: SentArguments,
    #[command(flatten)]
    load: LoadArguments,
    /// Prices: a dated TOML file, as prices/example.toml; without it the plan tells no money
    #[arg(long, env = "SQUALL_PRICES", value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Print each formula with the numbers put in
    #[arg(long, env = "SQUALL_EXPLAIN")]
    explain: bool,
    /// Print JSON instead of text (`squall schema capacity` tells its shape)
    #[arg(long, env = "SQUALL_JSON")]
    json: bool,
    /// Run the load against the embedded hub as a model of the recommended units, then raise it
    /// until that breaks: the model agreeing with itself, not a measurement of Azure
    #[arg(long, env = "SQUALL_CONSISTENCY")]
    consistency: bool,
    /// Write a page with charts as well
    #[arg(long, env = "SQUALL_HTML", value_name = "FILE")]
    html: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  squall plan --connections 20000 --groups 2000x10 --send 0.1/s --size 512 --hours 8
  squall plan --connections 5000 --to everyone --send 0.5/s --size 1KiB --prices prices.toml
  squall plan workload.toml --needs autoscale,zones --html plan.html";

/// One kind of message, told by flags.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is sent (not beside FILE or --from, which tell it)")]
struct SentArguments {
    /// Groups and the members of each: clients send to their own group
    #[arg(
        long,
        env = "SQUALL_GROUPS",
        value_name = "COUNTxMEMBERS",
        conflicts_with = "to",
        requires = "send",
        value_parser = groups,
        allow_hyphen_values = true
    )]
    groups: Option<String>,
    /// To whom else: everyone (the default), upstream, rest-to-user or rest-broadcast
    #[arg(long, env = "SQUALL_TO", value_name = "TARGET", requires = "send")]
    to: Option<String>,
    /// Messages of each sender: 0.1/s, 30/min
    #[arg(
        long,
        env = "SQUALL_SEND",
        value_name = "RATE",
        requires = "size",
        allow_hyphen_values = true
    )]
    send: Option<String>,
    /// Payload of a message: 512 (bytes), 2KiB
    #[arg(
        long,
        env = "SQUALL_SIZE",
        value_name = "SIZE",
        requires = "send",
        allow_hyphen_values = true
    )]
    size: Option<String>,
    /// Who sends at once; by default everybody in a group or to the upstream, else one
    #[arg(
        long,
        env = "SQUALL_SENDERS",
        value_name = "COUNT",
        requires = "send",
        allow_hyphen_values = true
    )]
    senders: Option<String>,
}

/// The rest of a workload.
#[derive(Debug, Args)]
#[command(next_help_heading = "The rest of the load (before what stands in FILE)")]
struct LoadArguments {
    /// Hours a day of that load
    #[arg(long, env = "SQUALL_HOURS", value_name = "HOURS", allow_hyphen_values = true)]
    hours: Option<String>,
    /// What a month adds to the load: 5%
    #[arg(long, env = "SQUALL_GROWTH", value_name = "SHARE", allow_hyphen_values = true)]
    growth: Option<String>,
    /// Connections that are gone and still counted: 3%
    #[arg(long, env = "SQUALL_GHOSTS", value_name = "SHARE", allow_hyphen_values = true)]
    ghosts: Option<String>,
    /// Connections that are counted twice in a reload: 5%
    #[arg(long, env = "SQUALL_OVERLAP", value_name = "SHARE", allow_hyphen_values = true)]
    overlap: Option<String>,
    /// Latency of the upstream: 100ms
    #[arg(long, env = "SQUALL_LATENCY", value_name = "DURATION", allow_hyphen_values = true)]
    latency: Option<String>,
    /// Whether somebody watches with the live trace tool: on or off
    #[arg(long, env = "SQUALL_LIVE_TRACE", value_name = "STATE")]
    live_trace: Option<String>,
    /// What the resource must offer: autoscale, zones, replicas, custom-domain
    #[arg(long, env = "SQUALL_NEEDS", value_name = "LIST")]
    needs: Option<String>,
    /// Units of a resource to look at beside the recommended one
    #[arg(long, env = "SQUALL_UNITS", value_name = "COUNT", allow_hyphen_values = true)]
    units: Option<String>,
    /// Its tier: free, standard or premium
    #[arg(long, env = "SQUALL_TIER", value_name = "TIER")]
    tier: Option<String>,
    /// Figures for small groups: newest (stricter) or older
    #[arg(long, env = "SQUALL_REVISION", value_name = "REVISION")]
    revision: Option<String>,
    /// Unit counts that can be bought: newest or older
    #[arg(long, env = "SQUALL_UNIT_LIST", value_name = "LIST")]
    unit_list: Option<String>,
    /// Inbound figures of broadcasts: conditions of the benchmark, or limits
    #[arg(long, env = "SQUALL_INBOUND", value_name = "READING")]
    inbound: Option<String>,
}

/// Checks that both parts are there; their values are read with the workload.
fn groups(text: &str) -> Result<String, String> {
    match text.split_once('x') {
        Some((count, members)) if !count.trim().is_empty() && !members.trim().is_empty() => {
            Ok(text.to_owned())
        }
        _ => Err("expected COUNTxMEMBERS, for example 2000x10".to_owned()),
    }
}

impl SentArguments {
    /// The flags that are given.
    fn given(&self) -> Vec<&'static str> {
        let all = [
            ("--groups", &self.groups),
            ("--to", &self.to),
            ("--send", &self.send),
            ("--size", &self.size),
            ("--senders", &self.senders),
        ];
        all.into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name).collect()
    }
}

/// What the load of a run rests on, and what was assumed in its place.
type Taking = Option<(Basis, Vec<Assumption>)>;

impl PlanArguments {
    /// What is sent is told once: by flags, by a file or by a run.
    fn told_once(&self) -> Result<(), CliError> {
        let given = self.sent.given().join(", ");
        let (what, instead) = match (&self.file, &self.from) {
            (Some(file), _) => {
                (file.display(), "change its `[traffic]` (keys `to`, `rate`, `size`, `senders`)")
            }
            (None, Some(run)) => (run.display(), "write a workload file"),
            (None, None) => return Ok(()),
        };
        if given.is_empty() {
            return Ok(());
        }
        Err(CliError::Usage(format!(
            "{given}: what is sent is told by {what} already; {instead}, or leave out the flags or \
             {what}"
        )))
    }

    fn flags(&self) -> Flags {
        let (sent, load) = (&self.sent, &self.load);
        // Without groups and without another target everybody gets what one client sends.
        let nobody_named = sent.groups.is_none() && sent.to.is_none() && sent.send.is_some();
        Flags {
            connections: self.connections.clone(),
            groups: sent.groups.clone(),
            to: sent.to.clone().or_else(|| nobody_named.then(|| "everyone".to_owned())),
            senders: sent.senders.clone(),
            send: sent.send.clone(),
            size: sent.size.clone(),
            hours: load.hours.clone(),
            growth: load.growth.clone(),
            ghosts: load.ghosts.clone(),
            overlap: load.overlap.clone(),
            latency: load.latency.clone(),
            live_trace: load.live_trace.clone(),
            needs: load.needs.clone(),
            tier: load.tier.clone(),
            units: load.units.clone(),
            revision: load.revision.clone(),
            unit_list: load.unit_list.clone(),
            inbound: load.inbound.clone(),
        }
    }

    /// Where the workload is told, and what of it was taken from a run.
    fn told(&self) -> Result<(Source, Taking), CliError> {
        self.told_once()?;
        if let Some(path) = &self.file {
            return Ok((source_of(path)?, None));
        }
        let Some(run) = &self.from else {
            let source = Source {
                name: "the workload of the command line".to_owned(),
                origin: "command line".to_owned(),
                text: String::new(),
            };
            return Ok((source, None));
        };
        let Taken { text, basis, notes } = taken(run)?;
        let name = run.display().to_string();
        let origin = format!("the load of {name}");
        Ok((Source { name, origin, text }, Some((basis, notes))))
    }

    fn workload(&self, source: &Source, taken: Taking) -> Result<Workload, CliError> {
        let workload = capacity::load(source, &self.flags(), &environment)?;
        Ok(match taken {
            Some((basis, taken)) => Workload { basis, taken, ..workload },
            None => workload,
        })
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Prints what a workload comes to.
pub fn main(arguments: &PlanArguments) -> Result<Exit, CliError> {
    let (source, taken) = arguments.told()?;
    let workload = arguments.workload(&source, taken)?;
    let prices = match &arguments.prices {
        Some(path) => {
            let today = today()?;
            Some((capacity::load_prices(&source_of(path)?, today)?, today))
        }
        None => None,
    };
    let dated = prices.as_ref().map(|(prices, today)| (prices, *today));
    let mut estimate = capacity::estimate(&workload, dated);
    let detail = if arguments.explain { Detail::Formulas } else { Detail::Results };
    // What is known at once is told before the runs.
    if !arguments.json {
        print(&told::text(&workload, &estimate, detail));
    }
    if arguments.consistency {
        let refused = |why: &NotRun| {
            let told = capacity::not_run(&source, &arguments.flags(), &environment, why);
            told.map_or_else(|| CliError::Usage(format!("--consistency: {why}")), CliError::from)
        };
        let consistency = consistency::main(&workload, &refused)?;
        if !arguments.json {
            print(&told::consistency(&consistency));
        }
        estimate.consistency = Some(consistency);
    }
    if arguments.json {
        let json = serde_json::to_string_pretty(&estimate);
        print(&format!("{}\n", json.map_err(|error| CliError::Internal(error.to_string()))?));
    }
    if let Some(path) = &arguments.html {
        let page = told::html(&workload, &estimate, detail);
        fs::write(path, page).map_err(|source| FileError::Io { path: path.clone(), source })?;
        if !arguments.json {
            print(&format!("\n{}", text::aside("page:", &path.display().to_string())));
        }
    }
    match &estimate.consistency {
        Some(consistency) if !consistency.agrees => Ok(Exit::Failed),
        _ => Ok(Exit::AsExpected),
    }
}

/// Today (UTC) by the system's clock.
fn today() -> Result<Date, CliError> {
    let now = resource_log::utc(Clock::system().now_ns());
    let date = now.split('T').next().and_then(|date| date.parse().ok());
    date.ok_or_else(|| CliError::Internal(format!("the clock shows {now}")))
}

fn source_of(path: &Path) -> Result<Source, CliError> {
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Ok(Source {
        name: name.unwrap_or_default(),
        origin: path.display().to_string(),
        text: read(path)?,
    })
}

fn read(path: &Path) -> Result<String, CliError> {
    let failed = |source| CliError::Read { path: path.display().to_string(), source };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        return Err(failed(ErrorKind::FileTooLarge.into()));
    }
    fs::read_to_string(path).map_err(failed)
}

/// The load of a run folder, or of its run.json.
fn taken(run: &Path) -> Result<Taken, CliError> {
    let path = if run.is_dir() { run.join("run.json") } else { run.to_owned() };
    let whole: RunFile = serde_json::from_str(&read(&path)?).map_err(|error| {
        CliError::Usage(format!(
            "{} is no run.json of this version of Squall: {error}",
            path.display()
        ))
    })?;
    told::workload_of(&whole)
        .map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))
}
