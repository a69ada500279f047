//! A workload file: its grammar, as types, and what it means.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Tier;
use super::scenario::NotRun;
use super::table::unit_steps;
use super::workload::{
    Asked, Growth, Inbound, Jitter, LiveTrace, Need, OwnMessages, Profile, Reconnect, Retry,
    Revision, Slack, Target, Traffic, UnitList, Upstream, Workload,
};
use crate::scenario::reading::{self, At, Count, Factor, Flag, Lasting, Named, Problem, Problems};
use crate::scenario::reading::{Rate, Share, Size};
use crate::scenario::{ScenarioErrors, Source};

/// Bytes of a live trace record when the file says `"on"`: Squall's own, no source states it.
const RECORD_BYTES: u64 = 1_024;

/// Largest message of a client (documented: 1 MB).
pub const MESSAGE_BYTES_MAX: u64 = 1_024 * 1_024;

/// Kinds of traffic in one workload.
const TRAFFIC_MAX: usize = 100;

/// Messages a second of one kind of traffic, far above what any resource carries.
const MESSAGES_MAX: f64 = 1e12;

/// Largest share of the connections that may count and serve nobody: each of them once.
const SLACK_MAX: f64 = 1.0;

/// Largest growth a month: eleven times the load after a month.
const GROWTH_MAX: f64 = 10.0;

/// A Squall workload: who is connected, what is sent to whom, how the day goes and what the
/// resource must offer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Squall workload")]
struct WorkloadFile {
    /// One line for people; the file's name when left out.
    title: Option<At<String>>,
    /// Clients connected at once in the busiest hour.
    connections: At<Count>,
    /// What is sent in the busiest hour, by name.
    traffic: Option<At<Named<TrafficFile>>>,
    /// Hours a day of that load, with none in the others. Default 24. Not beside `profile`.
    hours: Option<At<Factor>>,
    /// Load of each hour of the day (UTC), 24 shares of the busiest hour.
    profile: Option<At<Vec<At<Share>>>>,
    /// What a month adds to the load: `"0%"` to `"1000%"`. Default 0 %.
    growth: Option<At<Share>>,
    /// Connections that count and serve nobody.
    slack: Option<At<SlackFile>>,
    /// How clients come back after a drop. Default: at once, then every second.
    reconnect: Option<At<ReconnectFile>>,
    /// The application server.
    upstream: Option<At<UpstreamFile>>,
    /// Whether somebody watches with the live trace tool: `"off"`, `"on"`, or `{ record = "1KiB" }`
    /// for the bytes of a record. Default off.
    live_trace: Option<At<LiveTraceFile>>,
    /// What the resource must offer besides capacity.
    needs: Option<At<Vec<At<Need>>>>,
    /// Tier of a resource to look at, beside the recommended one.
    tier: Option<At<Tier>>,
    /// Its units.
    units: Option<At<Count>>,
    /// Revision of the figures for small groups. Default `newest`, which is stricter.
    revision: Option<At<Revision>>,
    /// Which unit counts can be bought. Default `newest`.
    unit_list: Option<At<UnitList>>,
    /// How the inbound figures of big groups and REST broadcasts are read. Default `conditions`.
    inbound: Option<At<Inbound>>,
}

/// One kind of message.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TrafficFile {
    /// To whom.
    to: At<TargetFile>,
    /// Who sends at once. Default: by REST 1, to `everyone` 1, to groups everybody in one, to the
    /// upstream everybody connected.
    senders: Option<At<Count>>,
    /// Of each sender.
    rate: At<Rate>,
    /// Payload of a message.
    size: At<Size>,
    /// Whether senders to groups do not get their own messages. Default false.
    no_echo: Option<At<bool>>,
}

/// To whom messages go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum TargetFile {
    /// From members of groups to their group.
    Groups(Box<At<GroupsFile>>),
    /// From a client to a group that every connection is in.
    Everyone,
    /// From a client to the upstream, whose answer goes back to it.
    Upstream,
    /// From a server by REST to one user.
    RestToUser,
    /// From a server by REST to every connection.
    RestBroadcast,
}

/// Groups of one size.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GroupsFile {
    /// Groups.
    count: At<Count>,
    /// Members of each.
    members: At<Count>,
}

/// Connections that count and serve nobody.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SlackFile {
    /// Gone without a word, and counted until their ping timeout: at most `"100%"`. Default 0 %.
    ghosts: Option<At<Share>>,
    /// Back already while the old connection still counts, in a reload: at most `"100%"`.
    /// Default 0 %.
    overlap: Option<At<Share>>,
}

/// How clients come back after a drop. Beside `first_within` one of `fixed` and `exponential`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReconnectFile {
    /// The first attempt comes at a random instant within this. Default 0 s: at once.
    first_within: Option<At<Lasting>>,
    /// Always the same delay after a refusal.
    fixed: Option<At<FixedFile>>,
    /// A delay that doubles.
    exponential: Option<At<ExponentialFile>>,
}

/// Always the same delay.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FixedFile {
    /// Between two attempts.
    every: At<Lasting>,
}

/// A delay that doubles.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExponentialFile {
    /// The first delay.
    base: At<Lasting>,
    /// The largest delay.
    cap: At<Lasting>,
    /// What is drawn of it. Default `full`.
    jitter: Option<At<Jitter>>,
}

/// The application server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpstreamFile {
    /// From an event's request to the end of its answer. Default 100 ms.
    latency: Option<At<Lasting>>,
    /// Whether every connect asks it (an event handler for `connect`, or a negotiate endpoint).
    /// Default true.
    on_connect: Option<At<bool>>,
}

/// Whether somebody watches with the live trace tool.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum LiveTraceFile {
    /// Nobody.
    Off,
    /// Somebody.
    On,
    /// Somebody; bytes of a record.
    Record(At<Size>),
}

/// What the command line says of a workload, each as typed; it comes before the file.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the flags of `squall plan`, which say it")]
pub struct Flags {
    pub connections: Option<String>,
    pub groups: Option<String>,
    pub to: Option<String>,
    pub senders: Option<String>,
    pub send: Option<String>,
    pub size: Option<String>,
    pub hours: Option<String>,
    pub growth: Option<String>,
    pub ghosts: Option<String>,
    pub overlap: Option<String>,
    pub latency: Option<String>,
    pub live_trace: Option<String>,
    pub needs: Option<String>,
    pub tier: Option<String>,
    pub units: Option<String>,
    pub revision: Option<String>,
    pub unit_list: Option<String>,
    pub inbound: Option<String>,
}

/// Name of the traffic that flags describe.
macro_rules! sent {
    ($($key:literal),*) => {
        &["traffic", "messages", $($key),*]
    };
}

impl Flags {
    fn list(&self) -> Vec<Flag> {
        use reading::FlagValue::{Instead, List, Number, Table, Text};
        let mut all = Vec::new();
        let mut add = |name, typed: &Option<String>, path, value| {
            all.extend(typed.clone().map(|typed| Flag { name, typed, path, value }));
        };
        add("--connections", &self.connections, &["connections"], Number);
        let groups = self.groups.clone().unwrap_or_default();
        let (count, members) = groups.split_once('x').unwrap_or((&groups, "1"));
        let keys: Vec<(&'static [&'static str], String)> = vec![
            (&["groups", "count"], count.trim().to_owned()),
            (&["groups", "members"], members.trim().to_owned()),
        ];
        add("--groups", &self.groups, sent!("to"), Table(keys));
        add("--to", &self.to, sent!("to"), Text);
        add("--senders", &self.senders, sent!("senders"), Number);
        add("--send", &self.send, sent!("rate"), Text);
        // Sizes of payloads are bytes to everybody who types one.
        let size = self.size.clone().unwrap_or_default();
        let is_bare = !size.is_empty() && size.chars().all(|c| c.is_ascii_digit());
        let size = if is_bare { Instead(format!("{size}B")) } else { Text };
        add("--size", &self.size, sent!("size"), size);
        add("--hours", &self.hours, &["hours"], Number);
        add("--growth", &self.growth, &["growth"], Text);
        add("--ghosts", &self.ghosts, &["slack", "ghosts"], Text);
        add("--overlap", &self.overlap, &["slack", "overlap"], Text);
        add("--latency", &self.latency, &["upstream", "latency"], Text);
        add("--live-trace", &self.live_trace, &["live_trace"], Text);
        add("--needs", &self.needs, &["needs"], List);
        add("--tier", &self.tier, &["tier"], Text);
        add("--units", &self.units, &["units"], Number);
        add("--revision", &self.revision, &["revision"], Text);
        add("--unit-list", &self.unit_list, &["unit_list"], Text);
        add("--inbound", &self.inbound, &["inbound"], Text);
        all
    }
}

/// Parses a workload file, changed by flags; without a file, flags alone, with an empty text.
/// `environment` looks up `${env:NAME}`; no error shows what it gave.
///
/// # Errors
///
/// Everything that is wrong with it, rendered.
pub fn load(
    source: &Source,
    flags: &Flags,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Workload, ScenarioErrors> {
    reading::read(source, &flags.list(), environment, |file: &WorkloadFile, problems| {
        Meaning { file, problems }.workload(&source.name)
    })
}

/// Tells where in the same file or flags it stands why a workload cannot be run; `None` when the
/// place is not found.
#[must_use]
pub fn not_run(
    source: &Source,
    flags: &Flags,
    environment: &dyn Fn(&str) -> Option<String>,
    why: &NotRun,
) -> Option<ScenarioErrors> {
    let read = |file: &WorkloadFile, problems: &Problems| {
        let kinds = file.traffic.as_ref().and_then(At::get).map_or(&[][..], |named| &named.0);
        let of = |wanted: &String| {
            let mut kinds = kinds.iter().filter(|(name, _)| name.get() == Some(wanted));
            kinds.next().and_then(|(_, kind)| kind.get())
        };
        let place = match why {
            NotRun::TooLarge { .. } => Some(file.connections.place),
            NotRun::TooManyGroups { traffic } => of(traffic).map(|kind| kind.to.place),
            NotRun::MessageTooLarge { traffic } => of(traffic).map(|kind| kind.size.place),
        };
        if let Some(place) = place {
            let title = "--consistency cannot run this load";
            problems.push(Problem::new(place, title).label(why.to_string()));
        }
    };
    reading::read(source, &flags.list(), environment, read).err()
}

/// The JSON Schema of a workload file (draft 2020-12), for editors.
#[must_use]
pub fn workload_schema() -> serde_json::Value {
    reading::schema_of::<WorkloadFile>()
}

/// Makes sense of a file. What could not be read has been reported, and any value will do for it.
struct Meaning<'a> {
    file: &'a WorkloadFile,
    problems: &'a Problems,
}

fn count(at: &At<Count>) -> Option<u64> {
    at.get().map(|Count(count)| u64::from(*count))
}

fn given<T: Copy>(at: Option<&At<T>>, otherwise: T) -> T {
    at.map_or(otherwise, |at| at.or(otherwise))
}

impl Meaning<'_> {
    fn workload(&self, name: &str) -> Workload {
        let file = self.file;
        let title = file.title.as_ref().and_then(At::get).map_or(name, String::as_str);
        let connections = count(&file.connections).unwrap_or(u64::from(u32::MAX));
        if connections == 0 {
            self.refuse(&file.connections, "nobody is connected", "expected at least 1");
        }
        let needs = file.needs.as_ref().and_then(At::get).map_or(&[][..], Vec::as_slice);
        let share = |at: Option<&At<Share>>, most: f64, why: &str| {
            let Share(share) = given(at, Share(0.0));
            if let Some(at) = at.filter(|_| share > most) {
                self.refuse(at, why, format!("expected \"0%\" to \"{:.0}%\"", most * 100.0));
            }
            share
        };
        let slack = file.slack.as_ref().and_then(At::get);
        let unit_list = given(file.unit_list.as_ref(), UnitList::default());
        Workload {
            connections,
            traffic: self.traffic(connections),
            profile: self.profile(),
            slack: Slack {
                ghosts: share(
                    slack.and_then(|slack| slack.ghosts.as_ref()),
                    SLACK_MAX,
                    "more ghosts than connections",
                ),
                overlap: share(
                    slack.and_then(|slack| slack.overlap.as_ref()),
                    SLACK_MAX,
                    "a connection is counted twice at most",
                ),
            },
            growth: Growth {
                per_month: share(file.growth.as_ref(), GROWTH_MAX, "no load grows that fast"),
            },
            reconnect: self.reconnect(),
            upstream: self.upstream(),
            live_trace: match file.live_trace.as_ref().and_then(At::get) {
                None | Some(LiveTraceFile::Off) => LiveTrace::Off,
                Some(LiveTraceFile::On) => LiveTrace::On { record: RECORD_BYTES },
                Some(LiveTraceFile::Record(size)) => LiveTrace::On { record: size.or(Size(1)).0 },
            },
            needs: needs.iter().filter_map(|need| need.value).collect(),
            revision: given(file.revision.as_ref(), Revision::default()),
            unit_list,
            inbound: given(file.inbound.as_ref(), Inbound::default()),
            held: self.held(unit_list),
            ..Workload::idle(title, connections)
        }
    }

    fn refuse<T>(&self, at: &At<T>, title: impl Into<String>, label: impl Into<String>) {
        self.problems.push(Problem::new(at.place, title).label(label));
    }

    fn traffic(&self, connections: u64) -> Vec<Traffic> {
        let Some(at) = &self.file.traffic else { return Vec::new() };
        let Some(named) = at.get() else { return Vec::new() };
        if named.0.len() > TRAFFIC_MAX {
            self.refuse(at, "too many kinds of traffic", format!("at most {TRAFFIC_MAX}"));
        }
        let each = named.0.iter().filter_map(|(name, traffic)| Some((name.get()?, traffic.get()?)));
        each.filter_map(|(name, file)| self.one(name, file, connections)).collect()
    }

    fn one(&self, name: &str, file: &TrafficFile, connections: u64) -> Option<Traffic> {
        let target = self.target(&file.to, connections)?;
        let (Rate(rate), Size(size)) = (file.rate.value?, file.size.value?);
        if rate <= 0.0 {
            self.refuse(&file.rate, "nothing is sent", "expected a rate above 0, or no traffic");
        }
        if size == 0 {
            self.refuse(&file.size, "a message needs a payload", "expected at least \"1B\"");
        }
        if size > MESSAGE_BYTES_MAX {
            self.problems.push(
                Problem::new(file.size.place, "no message is that large")
                    .label("expected at most \"1MiB\", the documented limit")
                    .help("send it in parts, or send where to fetch it"),
            );
        }
        let senders = file.senders.as_ref().and_then(count).unwrap_or(match target {
            Target::Groups { count, members } => connections.min(count.saturating_mul(members)),
            Target::Everyone | Target::RestToUser | Target::RestBroadcast => 1,
            Target::Upstream => connections,
        });
        let by_clients = !matches!(target, Target::RestToUser | Target::RestBroadcast);
        if let Some(at) = &file.senders {
            if senders == 0 {
                self.refuse(at, "nobody sends", "expected at least 1");
            }
            if by_clients && senders > connections {
                self.refuse(
                    at,
                    "more clients send than are connected",
                    format!("expected at most {connections}"),
                );
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a bound")]
        if senders as f64 * rate > MESSAGES_MAX {
            self.refuse(&file.rate, "this is no rate of messages", "expected fewer than 10^12/s");
        }
        let own = match file.no_echo.as_ref().map(|at| at.or(false)) {
            Some(true) => OwnMessages::Withheld,
            Some(false) | None => OwnMessages::Delivered,
        };
        Some(Traffic { name: name.to_owned(), target, senders, rate, size, own })
    }

    fn target(&self, at: &At<TargetFile>, connections: u64) -> Option<Target> {
        Some(match at.get()? {
            TargetFile::Groups(groups) => {
                let file = groups.get()?;
                let (groups, members) = (count(&file.count)?, count(&file.members)?);
                if groups == 0 {
                    self.refuse(&file.count, "there are no groups", "expected at least 1 group");
                }
                if members == 0 {
                    self.refuse(&file.members, "the groups are empty", "expected 1 member or more");
                }
                if members > connections {
                    let label = format!("expected at most {connections}, all who are connected");
                    self.refuse(&file.members, "more members than connections", label);
                }
                Target::Groups { count: groups, members }
            }
            TargetFile::Everyone => Target::Everyone,
            TargetFile::Upstream => Target::Upstream,
            TargetFile::RestToUser => Target::RestToUser,
            TargetFile::RestBroadcast => Target::RestBroadcast,
        })
    }

    fn profile(&self) -> Profile {
        let hours = self.file.hours.as_ref();
        if let Some(at) = hours
            && !(at.or(Factor(1.0)).0 > 0.0 && at.or(Factor(1.0)).0 <= 24.0)
        {
            self.refuse(at, "a day has no such hours", "expected more than 0 and at most 24");
        }
        let Some(at) = &self.file.profile else {
            return hours.map_or_else(Profile::all_day, |at| Profile::hours(at.or(Factor(24.0)).0));
        };
        if hours.is_some() {
            self.refuse(at, "the day is told twice", "expected `profile` or `hours`, not both");
        }
        let shares = at.get().map_or(&[][..], Vec::as_slice);
        if shares.len() != 24 && at.value.is_some() {
            let label = format!("expected 24 shares, one an hour, not {}", shares.len());
            self.refuse(at, "a day has 24 hours", label);
        }
        let mut profile = [0.0; 24];
        for (hour, share) in profile.iter_mut().zip(shares) {
            *hour = share.or(Share(0.0)).0;
            if *hour > 1.0 {
                let label = "expected at most \"100%\": the busiest hour is the whole";
                self.refuse(share, "busier than the busiest hour", label);
            }
        }
        if at.value.is_some() && profile.iter().all(|share| *share <= 0.0) {
            self.refuse(at, "nobody ever comes", "expected an hour of \"100%\"");
        } else if shares.len() == 24 && profile.iter().all(|share| *share < 1.0) {
            self.refuse(at, "no hour is the busiest", "expected an hour of \"100%\"");
        }
        Profile(profile)
    }

    fn reconnect(&self) -> Reconnect {
        let default = Reconnect::default();
        let Some(at) = &self.file.reconnect else { return default };
        let Some(file) = at.get() else { return default };
        let lasting = |at: &At<Lasting>, least: &str| {
            let Lasting(duration) = at.value?;
            if duration.is_zero() {
                self.refuse(at, "without a pause clients only hammer", least);
            }
            Some(duration)
        };
        if file.fixed.is_some() && file.exponential.is_some() {
            let label = "expected `fixed` or `exponential`, not both";
            self.refuse(at, "clients have one policy", label);
        }
        let fixed = || lasting(&file.fixed.as_ref()?.get()?.every, "expected at least \"1ms\"");
        let exponential = || {
            let file = file.exponential.as_ref()?.get()?;
            let base = lasting(&file.base, "expected at least \"1ms\"")?;
            let cap = lasting(&file.cap, "expected at least the `base`")?;
            if cap < base {
                self.refuse(&file.cap, "the delay shrinks", "expected at least the `base`");
            }
            let jitter = given(file.jitter.as_ref(), Jitter::Full);
            Some(Retry::Exponential { base, cap, jitter })
        };
        let fixed = fixed().map(|every| Retry::Fixed { every });
        Reconnect {
            first_within: file
                .first_within
                .as_ref()
                .map_or(default.first_within, |at| at.or(Lasting(default.first_within)).0),
            retry: fixed.or_else(exponential).unwrap_or(default.retry),
        }
    }

    fn upstream(&self) -> Upstream {
        let default = Upstream::default();
        let Some(file) = self.file.upstream.as_ref().and_then(At::get) else { return default };
        Upstream {
            latency: given(file.latency.as_ref(), Lasting(default.latency)).0,
            asked: match given(file.on_connect.as_ref(), true) {
                true => Asked::OnConnect,
                false => Asked::Never,
            },
        }
    }

    /// The resource to look at.
    fn held(&self, list: UnitList) -> Option<(Tier, u32)> {
        let tier = given(self.file.tier.as_ref(), Tier::Standard);
        let Some(at) = &self.file.units else {
            if let Some(at) = &self.file.tier {
                self.refuse(at, "a resource has units", "expected `units` beside it");
            }
            return None;
        };
        let Count(units) = at.value?;
        let steps = unit_steps(tier, list);
        if !steps.contains(&units) {
            let below = steps.iter().rev().find(|step| **step < units);
            let above = steps.iter().find(|step| **step > units);
            let sold = match (below, above) {
                (Some(below), Some(above)) => format!("expected {below} or {above}"),
                (Some(most), None) => format!("expected at most {most}"),
                (None, Some(least)) => format!("expected at least {least}"),
                (None, None) => "expected 1".to_owned(),
            };
            let all = steps.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            self.problems.push(
                Problem::new(at.place, format!("{units} units of this tier are not sold"))
                    .label(sold)
                    .help(format!("the steps are {all}")),
            );
        }
        Some((tier, units))
    }
}
