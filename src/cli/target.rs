//! What `--target` means, and the guard around what is not ours.
//!
//! Loopback is free. Anything else is refused unless the user names the host as their own; then the
//! load stays within caps, under names that no one else uses, and what it will use is said before
//! it begins.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::CliError;
use crate::client::Credentials;
use crate::net::http::{HttpCaller, HttpRequest};
use crate::net::{self, Clock, Connector};
use crate::predict::{self, HubPlace};
use crate::protocol::control::CAPABILITIES_PATH;
use crate::protocol::token::{self, Claims};
use crate::protocol::{ConnectionString, Endpoint};
use crate::report::run_file::TargetPlace;
use crate::report::words;
use crate::scenario::Plan;
use crate::scenario::plan::Fault;
use crate::secret::Secret;

/// Connections at once on a target that is not loopback.
pub const CONNECTIONS_MAX: u64 = 1_000;
/// Connects per second there.
pub const CONNECTS_PER_SECOND_MAX: u64 = 100;
/// Messages there, sent and delivered, over the whole command; and so many as the service counts
/// them (2 KiB each), too.
pub const MESSAGES_MAX: u64 = 20_000;
/// Running time there, over the whole command.
pub const DURATION_MAX: Duration = Duration::from_secs(600);
/// Messages a day of a Free resource (azure-docs `concept-billing-model.md`).
const FREE_MESSAGES_PER_DAY: u64 = 20_000;
/// How long the question for the control API may take.
const PROBE_WITHIN: Duration = Duration::from_secs(10);
/// Lifetime of the token it is asked with.
const PROBE_TOKEN_SECONDS: u64 = 60;

/// Where the load goes.
#[derive(Debug, Args)]
pub struct TargetArguments {
    /// Connection string, or client URL with its token; better in SQUALL_TARGET than typed
    #[arg(
        long, env = "SQUALL_TARGET", value_name = "CONNECTION_STRING|URL", hide_env_values = true,
        value_parser = secret
    )]
    pub target: Option<Secret>,
    /// PEM file with certificates of the target, or of the embedded hub's event handlers, to trust
    /// besides the system's
    #[arg(long, env = "SQUALL_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Says that a target that is not loopback is yours to load; names its host
    #[arg(long, env = "SQUALL_I_OWN_THIS_TARGET", value_name = "HOST")]
    pub i_own_this_target: Option<String>,
}

/// Wraps an argument that may hold a secret, so that nothing prints it.
///
/// Never fails: a value that is not acceptable is told later, by words that do not repeat it.
#[must_use]
pub fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// A file that holds no certificates is told before anything starts.
pub fn check_ca_file(path: Option<&Path>) -> Result<(), CliError> {
    path.map_or(Ok(()), net::check_ca_file).map_err(|error| CliError::Usage(error.to_string()))
}

/// A target as typed.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    /// Endpoint.
    pub endpoint: Endpoint,
    /// How to get in.
    pub access: Access,
    /// Whose it is.
    pub place: TargetPlace,
}

/// How to get in.
#[derive(Clone, Debug)]
pub enum Access {
    /// With the access key: tokens, REST, control.
    Key(Secret),
    /// With one client URL: its path and query. No REST.
    Url(Secret),
}

impl TargetSpec {
    /// Parses a connection string or a client URL. Errors never repeat the text.
    pub fn parse(text: &Secret) -> Result<Self, CliError> {
        let text = text.expose().trim();
        let (endpoint, access) = if text.to_ascii_lowercase().contains("endpoint=") {
            let parsed = ConnectionString::parse(text).map_err(|why| bad_target(&why))?;
            (parsed.endpoint, Access::Key(parsed.access_key))
        } else {
            client_url(text)?
        };
        let place =
            if endpoint.is_loopback() { TargetPlace::Loopback } else { TargetPlace::Remote };
        Ok(Self { endpoint, access, place })
    }

    /// Every secret in it.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        match &self.access {
            Access::Key(key) => vec![key.clone()],
            Access::Url(path) => {
                let token = query_value(path.expose(), "access_token").map(Secret::new);
                token.into_iter().chain([path.clone()]).collect()
            }
        }
    }

    /// How clients authenticate.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        match &self.access {
            Access::Key(key) => Credentials::Key(key.clone()),
            Access::Url(path) => Credentials::FixedUrl(path.clone()),
        }
    }

    /// The access key, where there is one.
    #[must_use]
    pub const fn access_key(&self) -> Option<&Secret> {
        match &self.access {
            Access::Key(key) => Some(key),
            Access::Url(_) => None,
        }
    }
}

/// Worded so that the redactor finds nothing to mask: a placeholder after `AccessKey` and a sign of
/// equality would look like a key.
fn bad_target(why: &str) -> CliError {
    CliError::Usage(format!(
        "--target: {why}. Expected a connection string (Endpoint=https://HOST, AccessKey and \
         Version=1.0, each followed by `;`) or a client URL (wss://HOST/client/hubs/HUB with its \
         access_token)"
    ))
}

fn client_url(text: &str) -> Result<(Endpoint, Access), CliError> {
    let authority_start = text
        .find("://")
        .map(|at| at + 3)
        .ok_or_else(|| bad_target("neither a connection string nor a URL"))?;
    let path_start = text[authority_start..].find(['/', '?']).map(|at| at + authority_start);
    let path = path_start.map_or("", |at| &text[at..]);
    let endpoint = Endpoint::parse(&text[..path_start.unwrap_or(text.len())])
        .map_err(|why| bad_target(&why))?;
    if !path.starts_with("/client") {
        return Err(bad_target("an endpoint alone lets nobody in"));
    }
    Ok((endpoint, Access::Url(Secret::new(path))))
}

/// Value of a query parameter, as it stands.
fn query_value(path_and_query: &str, name: &str) -> Option<String> {
    let (_, query) = path_and_query.split_once('?')?;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

/// Refuses what is not loopback unless its host is named, and what the scenarios need and the
/// target cannot give.
pub fn guard(spec: &TargetSpec, owned: Option<&str>, plans: &[Plan]) -> Result<(), CliError> {
    let remote = spec.place == TargetPlace::Remote;
    for plan in plans {
        if plan.requires.access_key && spec.access_key().is_none() {
            return Err(CliError::Refused {
                why: format!("{} needs the access key, and a client URL has none", plan.name),
                hint: "give a connection string".to_owned(),
            });
        }
        if plan.requires.control && (remote || spec.access_key().is_none()) {
            return Err(CliError::Refused {
                why: format!(
                    "{} needs a hub that does as it is told, which this is not",
                    plan.name
                ),
                hint: "run it without --target, or against `squall hub` with its connection string"
                    .to_owned(),
            });
        }
    }
    if !remote {
        return Ok(());
    }
    owns(&spec.endpoint, owned)?;
    let host = &spec.endpoint.host;
    let closes_all = |plan: &&Plan| {
        plan.faults.iter().any(|fault| matches!(fault.fault, Fault::CloseAll { .. }))
    };
    if let Some(plan) = plans.iter().find(closes_all) {
        return Err(CliError::Refused {
            why: format!("{} closes everybody in a hub, which is refused on {host}", plan.name),
            hint: "close a population, a group or a user instead".to_owned(),
        });
    }
    Ok(())
}

/// Refuses an endpoint that is not loopback unless its host is named as the user's own.
pub fn owns(endpoint: &Endpoint, named: Option<&str>) -> Result<(), CliError> {
    let host = &endpoint.host;
    match named {
        _ if endpoint.is_loopback() => Ok(()),
        Some(named) if named.eq_ignore_ascii_case(host) => Ok(()),
        Some(named) => Err(CliError::Refused {
            why: format!("--i-own-this-target names {named}, but the target is {host}"),
            hint: "name the very host of the target, if it is yours".to_owned(),
        }),
        None => Err(CliError::Refused {
            why: format!("{host} is not loopback: Squall loads only what you say is yours"),
            hint: format!("if it is yours to load: --i-own-this-target {host}"),
        }),
    }
}

/// What a whole command uses of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Connections at once, at most.
    pub connections: u64,
    /// Connects per second, at most.
    pub connects_per_second: u64,
    /// Messages, sent and delivered, in all.
    pub messages: u64,
    /// Messages as the service counts them: 2 KiB of outbound traffic each.
    pub billed_messages: u64,
    /// Running time, in all.
    pub duration: Duration,
}

impl Usage {
    /// Sum over the scenarios, each run `repeat` times, one after the other.
    #[must_use]
    pub fn of(plans: &[Plan], repeat: u32) -> Self {
        let mut usage = Self::default();
        for plan in plans {
            let need = predict::need(plan, HubPlace::Elsewhere);
            let times = |count: u64| count.saturating_mul(u64::from(repeat));
            usage.connections = usage.connections.max(need.connections_peak);
            usage.connects_per_second = usage.connects_per_second.max(need.connects_per_second);
            let messages = need.messages_in.saturating_add(need.messages_out);
            usage.messages = usage.messages.saturating_add(times(messages));
            usage.billed_messages =
                usage.billed_messages.saturating_add(times(need.billed_messages));
            usage.duration = usage.duration.saturating_add(plan.duration.saturating_mul(repeat));
        }
        usage
    }

    /// Refuses what is past a cap.
    pub fn within_caps(&self) -> Result<(), CliError> {
        let seconds = self.duration.as_secs();
        let caps = [
            ("connections at once", self.connections, CONNECTIONS_MAX),
            ("connects per second", self.connects_per_second, CONNECTS_PER_SECOND_MAX),
            ("messages", self.messages, MESSAGES_MAX),
            ("messages of 2 KiB", self.billed_messages, MESSAGES_MAX),
            ("seconds", seconds, DURATION_MAX.as_secs()),
        ];
        for (what, used, cap) in caps {
            if used > cap {
                let [used, cap] = [used, cap].map(words::number);
                return Err(CliError::Refused {
                    why: format!("{used} {what} are past the cap of {cap} on a remote target"),
                    hint: "use fewer clients (-n), slower arrivals, or less traffic (--set)"
                        .to_owned(),
                });
            }
        }
        Ok(())
    }

    /// What will be used, for people, before the load.
    #[must_use]
    pub fn told(&self, host: &str) -> String {
        let mut out = format!("On {host} this will use, at most:\n");
        let share = words::share(self.billed_messages, FREE_MESSAGES_PER_DAY);
        for line in [
            format!("{} at once", words::counted(self.connections, "connection")),
            format!("{} per second", words::counted(self.connects_per_second, "connect")),
            format!(
                "{} of 2 KiB: {share} of a Free day's quota of {}",
                words::counted(self.billed_messages, "message"),
                words::number(FREE_MESSAGES_PER_DAY)
            ),
            words::duration(self.duration),
        ] {
            let _ = writeln!(out, "  {line}");
        }
        out
    }
}

/// Gives hub and groups names that no one else on a remote target uses. With a client URL the hub
/// is the URL's own.
pub fn make_unique(plan: &mut Plan, clock: &Clock) {
    let suffix = format!("{:x}", clock.now_ns() / 1_000);
    plan.hub_name = format!("{}_{suffix}", plan.hub_name);
    for group in &mut plan.groups {
        *group = format!("{group}_{suffix}");
    }
}

/// Asks a loopback target whether it offers the control API.
pub async fn offers_control(
    connector: &Connector,
    key: &Secret,
    clock: &Clock,
) -> Result<bool, CliError> {
    let now_s = clock.now_ns() / 1_000_000_000;
    let claims = Claims {
        audience: format!("{}{CAPABILITIES_PATH}", connector.endpoint()),
        expires_at: now_s + PROBE_TOKEN_SECONDS,
        ..Claims::default()
    };
    let bearer = format!("Bearer {}", token::sign(&claims, key).expose());
    let mut bearer = http::HeaderValue::from_str(&bearer)
        .map_err(|_| CliError::Internal("a token is not a header value".to_owned()))?;
    bearer.set_sensitive(true);
    let request = HttpRequest {
        method: http::Method::GET,
        path_and_query: CAPABILITIES_PATH.to_owned(),
        headers: vec![(http::header::AUTHORIZATION, bearer)],
        body: bytes::Bytes::new(),
    };
    let answer = HttpCaller::new(connector.clone()).call(request, PROBE_WITHIN).await;
    let answer = answer.map_err(|error| {
        CliError::Engine(crate::engine::EngineError::Unreachable(error.to_string()))
    })?;
    match answer.status.as_u16() {
        200 => Ok(true),
        404 => Ok(false),
        status => Err(CliError::TargetRefuses(format!("HTTP {status} to a signed request"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::secret::Redactor;

    fn spec(text: &str) -> Result<TargetSpec, CliError> {
        TargetSpec::parse(&Secret::new(text))
    }

    #[test]
    fn connection_strings_and_client_urls_are_told_apart() {
        let by_key =
            spec("Endpoint=http://127.0.0.1:8080;AccessKey=abcdefgh;Version=1.0;").unwrap();
        assert!(matches!(by_key.access, Access::Key(_)));
        assert_eq!(by_key.place, TargetPlace::Loopback);
        let by_url = spec("wss://x.example/client/hubs/h?a=1&access_token=s3cr3t").unwrap();
        assert!(matches!(by_url.access, Access::Url(_)));
        assert_eq!(by_url.place, TargetPlace::Remote);
        assert_eq!(by_url.endpoint.to_string(), "https://x.example");
        assert!(by_url.secrets().contains(&Secret::new("s3cr3t")));
    }

    #[test]
    fn errors_say_what_is_expected_and_never_repeat_the_text() {
        for bad in [
            "hunter2",
            "ws://127.0.0.1:8080",
            "ftp://hunter2/client/hubs/h",
            "Endpoint=http://h;AccessKey=",
            "AccessKey=hunter2",
            "ws://127.0.0.1:1/other?access_token=hunter2",
        ] {
            let error = spec(bad).unwrap_err().to_string();
            assert!(error.contains("Endpoint=https://HOST"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
            assert_eq!(Redactor::default().redact(&error), error, "it stays legible");
        }
    }

    #[test]
    fn caps_hold_at_the_cap_and_not_past_it() {
        let at = Usage {
            connections: CONNECTIONS_MAX,
            connects_per_second: CONNECTS_PER_SECOND_MAX,
            messages: MESSAGES_MAX,
            billed_messages: MESSAGES_MAX,
            duration: DURATION_MAX,
        };
        at.within_caps().unwrap();
        for past in [
            Usage { connections: CONNECTIONS_MAX + 1, ..at },
            Usage { connects_per_second: CONNECTS_PER_SECOND_MAX + 1, ..at },
            Usage { messages: MESSAGES_MAX + 1, ..at },
            Usage { billed_messages: MESSAGES_MAX + 1, ..at },
            Usage { duration: DURATION_MAX + Duration::from_secs(1), ..at },
        ] {
            past.within_caps().unwrap_err();
        }
        assert!(at.told("h").contains("100.0 % of a Free day's quota"), "{}", at.told("h"));
    }
}
