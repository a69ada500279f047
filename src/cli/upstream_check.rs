//! `squall upstream check`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use http::HeaderValue;
use serde::Serialize;
use tokio::task::LocalSet;

use super::interrupt::Interrupts;
use super::target::{CONNECTS_PER_SECOND_MAX, DURATION_MAX, MESSAGES_MAX, owns, secret};
use super::{CliError, Exit, print, say};
use crate::handler_check::{
    self, BadSignature, CheckName, CheckOptions, Expected, Finding, Load, Outcome, SignedBy, Told,
};
use crate::net::{Clock, Dialling};
use crate::protocol::connection_string::DEVELOPMENT_KEY;
use crate::protocol::rest::is_hub_name;
use crate::protocol::token::AccessKeys;
use crate::protocol::webhook::answer::without_port;
use crate::protocol::webhook::{EventName, SystemEvent, UrlTemplate};
use crate::protocol::{ConnectionString, Endpoint};
use crate::report::handler_check::Detail;
use crate::report::{self, words};
use crate::scenario::{parse_duration, parse_rate};
use crate::secret::{MASK, Redactor, Secret};

/// Events per second on loopback, at most.
const LOCAL_RATE_MAX: u64 = 1_000;
/// Longest time of one request: what the service is said to give an event (service-side facts,
/// 2.6).
const TIMEOUT_MAX: Duration = Duration::from_secs(100);
/// Origin where no hub is named: the emulators'.
const LOCAL_ORIGIN: &str = "localhost";

/// Arguments of `squall upstream check`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct CheckArguments {
    /// URL template of the event handler, with {hub} and {event} as in the hub's settings; better
    /// in SQUALL_URL than typed if a key stands in it
    #[arg(env = "SQUALL_URL", value_name = "URL", hide_env_values = true, value_parser = secret)]
    url: Secret,
    /// The hub whose events are sent, for their signatures and origin; better in
    /// SQUALL_CONNECTION_STRING than typed [default: localhost with the development key]
    #[arg(
        long, env = "SQUALL_CONNECTION_STRING", value_name = "STRING", hide_env_values = true,
        value_parser = secret
    )]
    connection_string: Option<Secret>,
    /// Name of the hub
    #[arg(long, env = "SQUALL_HUB", value_name = "HUB", default_value = "chat")]
    hub: String,
    /// System events that the handler gets; an empty text is none
    #[arg(
        long,
        env = "SQUALL_SYSTEM_EVENTS",
        value_name = "NAMES",
        default_value = "connect,connected,disconnected"
    )]
    system_events: String,
    /// Name of the user events
    #[arg(long, env = "SQUALL_EVENT", value_name = "NAME", default_value = "message")]
    event: String,
    /// Host that the events say they come from [default: the connection string's]
    #[arg(long, env = "SQUALL_ORIGIN", value_name = "HOST")]
    origin: Option<String>,
    /// User id of the clients; an empty one is nobody
    #[arg(long, env = "SQUALL_USER", value_name = "ID", default_value = "squall")]
    user: String,
    /// Whether the handler is to let this user in
    #[arg(long, env = "SQUALL_EXPECT_CONNECT", value_enum, default_value = "accept")]
    expect_connect: ExpectConnect,
    /// Fail when an event with a forged signature, or with none, is taken [default: warn]
    #[arg(long, env = "SQUALL_REQUIRE_SIGNATURE_CHECK", value_parser = FalseyValueParser::new())]
    require_signature_check: bool,
    /// User events per unit of time for the latency
    #[arg(
        long, env = "SQUALL_RATE", value_name = "RATE", default_value = "10/s",
        value_parser = parse_rate
    )]
    rate: f64,
    /// For how long
    #[arg(
        long = "for", env = "SQUALL_FOR", value_name = "DURATION", default_value = "3s",
        value_parser = parse_duration
    )]
    lasting: Duration,
    /// Fail when 1 of 100 events takes longer, from its planned instant
    #[arg(long, env = "SQUALL_MAX_P99", value_name = "DURATION", value_parser = parse_duration)]
    max_p99: Option<Duration>,
    /// How long one request may take
    #[arg(
        long, env = "SQUALL_TIMEOUT", value_name = "DURATION", default_value = "10s",
        value_parser = parse_duration
    )]
    timeout: Duration,
    /// PEM file with certificates to trust besides the system's
    #[arg(long, env = "SQUALL_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Says that a handler that is not on loopback is yours to load; names its host
    #[arg(long, env = "SQUALL_I_OWN_THIS_TARGET", value_name = "HOST")]
    i_own_this_target: Option<String>,
    /// Show requests and answers of every check, also of one that passed
    #[arg(long, short, env = "SQUALL_VERBOSE", value_parser = FalseyValueParser::new())]
    verbose: bool,
    /// Print one JSON document at the end
    #[arg(long, env = "SQUALL_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
}

const AFTER_HELP: &str = "\
The handler gets real events of clients that are not there (connection ids `squall-check-…`).
Exit codes: 0 nothing failed, 2 usage or a target not named as yours, 99 a check failed,
100 the handler cannot be reached, 105 interrupted.";

/// Whether the handler is to let the check's clients in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExpectConnect {
    /// A refusal is a warning
    Accept,
    /// It is to answer connect with 401 or 403
    Reject,
}

/// The document of `--json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u32,
    url: &'a str,
    hub: &'a str,
    origin: &'a str,
    outcome: Outcome,
    findings: &'a [Finding],
}

/// Version of the document.
const VERSION: u32 = 1;

/// Checks a handler; findings go to standard output as they come.
pub fn main(arguments: &CheckArguments) -> Result<Exit, CliError> {
    let options = options(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Internal(format!("no runtime: {error}")))?;
    LocalSet::new().block_on(&runtime, check(arguments, &options))
}

async fn check(arguments: &CheckArguments, options: &CheckOptions) -> Result<Exit, CliError> {
    let interrupts = Interrupts::listen("stopping")?;
    let url = shown(&options.url);
    let head = head(&url, options);
    if arguments.json {
        say(&head)
    } else {
        print(&head)
    }
    let detail = if arguments.verbose { Detail::Everything } else { Detail::Faults };
    let findings = RefCell::new(Vec::new());
    let mut tell = |told: Told<'_>| match told {
        Told::Found(finding) => {
            let text = report::handler_check::finding(finding, detail);
            if arguments.json {
                let line = text.lines().next().unwrap_or_default();
                say(&format!("{line}\n"));
            } else {
                print(&text);
            }
            findings.borrow_mut().push(finding.clone());
        }
        Told::Load { done, planned } => say(&progress(done, planned, options)),
    };
    let interrupted = tokio::select! {
        biased;
        () = interrupts.first() => true,
        () = handler_check::run(options, &mut tell) => false,
    };
    let findings = findings.into_inner();
    let outcome = handler_check::worst(&findings);
    if arguments.json {
        let document = Document {
            version: VERSION,
            url: &url,
            hub: &options.hub,
            origin: &options.origin,
            outcome,
            findings: &findings,
        };
        let text = serde_json::to_string_pretty(&document)
            .map_err(|error| CliError::Internal(format!("no JSON: {error}")))?;
        print(&format!("{text}\n"));
    } else {
        print(&report::handler_check::summary(&findings));
    }
    let is_unreached =
        |finding: &Finding| finding.check == CheckName::Reach && finding.outcome == Outcome::Fail;
    Ok(if interrupted {
        Exit::Interrupted
    } else if findings.iter().any(is_unreached) {
        Exit::Unreachable
    } else if outcome == Outcome::Fail {
        Exit::Failed
    } else {
        Exit::AsExpected
    })
}

/// What is checked, as what.
fn head(url: &str, options: &CheckOptions) -> String {
    let key = match options.signed_by {
        SignedBy::DevelopmentKey => "the development key",
        SignedBy::ConnectionString => "the connection string's key",
    };
    format!(
        "{}\n  as hub `{}` of {}, signed with {key}\n\n",
        report::text::bold(url),
        options.hub,
        options.origin
    )
}

fn progress(done: u64, planned: u64, options: &CheckOptions) -> String {
    let planned = words::counted(planned, "event");
    match done {
        0 => {
            let lasting = words::duration(options.load.lasting);
            format!("latency: {planned} over {lasting}\n")
        }
        _ => format!("latency: {} of {planned}\n", words::number(done)),
    }
}

/// The template without its query, which may hold a key.
fn shown(url: &UrlTemplate) -> String {
    match url.as_str().split_once('?') {
        Some((path, _)) => format!("{path}?{MASK}"),
        None => url.as_str().to_owned(),
    }
}

/// What was typed, checked.
fn options(arguments: &CheckArguments) -> Result<CheckOptions, CliError> {
    let usage = |what: &str, why: String| CliError::Usage(format!("{what}: {why}"));
    let url = UrlTemplate::parse(arguments.url.expose()).map_err(|why| usage("URL", why))?;
    owns(url.endpoint(), arguments.i_own_this_target.as_deref())?;
    let (key, signed_by, named) = match &arguments.connection_string {
        Some(given) => {
            let parsed = ConnectionString::parse(given.expose())
                .map_err(|why| usage("--connection-string", why))?;
            (parsed.access_key, SignedBy::ConnectionString, parsed.endpoint.authority())
        }
        None => (Secret::new(DEVELOPMENT_KEY), SignedBy::DevelopmentKey, LOCAL_ORIGIN.to_owned()),
    };
    let authority = match &arguments.origin {
        Some(origin) => origin_of(origin).map_err(|why| usage("--origin", why))?,
        None => named,
    };
    let origin = without_port(&authority).to_owned();
    let origin_with_port = (origin != authority).then_some(authority);
    let hub = hub_of(&arguments.hub).map_err(|why| usage("--hub", why))?;
    let event = EventName::parse(&arguments.event).map_err(|why| usage("--event", why))?;
    if HeaderValue::from_bytes(arguments.user.as_bytes()).is_err() {
        return Err(usage("--user", "a user id has no control characters".to_owned()));
    }
    let load =
        Load { rate: arguments.rate, lasting: arguments.lasting, p99_max: arguments.max_p99 };
    within_caps(&load, url.endpoint())?;
    if arguments.timeout.is_zero() || arguments.timeout > TIMEOUT_MAX {
        return Err(usage("--timeout", "expected more than 0 s and at most 100 s".to_owned()));
    }
    let secrets = handler_check::secrets_of(&url).into_iter().map(Secret::new);
    let redactor = Redactor::new(secrets.chain([key.clone()]).collect());
    Ok(CheckOptions {
        url,
        dialling: Dialling::Sockets { ca_file: arguments.ca_file.clone() },
        clock: Clock::system(),
        keys: AccessKeys { primary: key, secondary: None },
        signed_by,
        hub,
        system_events: system_events(&arguments.system_events)
            .map_err(|why| usage("--system-events", why))?,
        event,
        origin,
        origin_with_port,
        user_id: arguments.user.clone(),
        timeout: arguments.timeout,
        expected: match arguments.expect_connect {
            ExpectConnect::Accept => Expected::Accept,
            ExpectConnect::Reject => Expected::Reject,
        },
        bad_signature: if arguments.require_signature_check {
            BadSignature::Fails
        } else {
            BadSignature::Warns
        },
        load,
        redactor,
    })
}

/// A host, perhaps with its port.
fn origin_of(text: &str) -> Result<String, String> {
    if text.contains("://") {
        return Err("expected a host, without http:// or https://".to_owned());
    }
    Endpoint::parse(text).map(|endpoint| endpoint.authority())
}

/// A hub's name in lower case, as events have it.
fn hub_of(text: &str) -> Result<String, String> {
    if is_hub_name(text) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a hub's name starts with a letter and goes on with letters, digits and `_`".to_owned())
    }
}

fn system_events(text: &str) -> Result<BTreeSet<SystemEvent>, String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let event = |name: &str| {
        SystemEvent::of_name(&name.to_ascii_lowercase()).ok_or_else(|| {
            "expected connect, connected and disconnected, with commas between".into()
        })
    };
    names.map(event).collect()
}

/// Refuses a load that is past a cap.
fn within_caps(load: &Load, endpoint: &Endpoint) -> Result<(), CliError> {
    let rate_max = if endpoint.is_loopback() { LOCAL_RATE_MAX } else { CONNECTS_PER_SECOND_MAX };
    let usage = |what: &str| Err(CliError::Usage(what.to_owned()));
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let is_rate = load.rate > 0.0 && load.rate <= rate_max as f64;
    if !is_rate {
        let rate_max = words::number(rate_max);
        return usage(&format!("--rate: expected more than 0 and at most {rate_max}/s here"));
    }
    if load.lasting > DURATION_MAX {
        return usage(&format!("--for: expected at most {}", words::duration(DURATION_MAX)));
    }
    let events = load.planned();
    if events > MESSAGES_MAX && !endpoint.is_loopback() {
        let [events, most] = [events, MESSAGES_MAX].map(words::number);
        return usage(&format!("--for: {events} events are past the cap of {most} on a host"));
    }
    Ok(())
}
