//! How things are worded for people: numbers, durations, what a client saw, what a client does,
//! what went wrong. One place, so that the terminal, the files and `squall check` say the same.

use std::time::Duration;

use super::run_file::{MachineFacts, TargetPlace};
use crate::event::{
    ClientObservation, CloseFirst, ConnectFailure, HandshakeFailure, HowEnded, Warning, World,
};
use crate::measure::{LatencyKind, Stage};
use crate::predict;
use crate::protocol::control::HubWire;
use crate::protocol::{CloseCategory, CloseCode};
use crate::scenario::Plan;
use crate::scenario::plan::{
    Arrival, ArrivalSchedule, Behaviour, Destination, Fault, FirstAttempt, Jitter, PopulationIndex,
    Quantity, Reconnect, ReconnectPolicy, Reply, Senders, Shaping, TimedBehaviour, Traffic, Vanish,
};
use crate::verdict::Outcome;

/// Characters of a peer's text that a report shows; the files keep all of it.
const PEER_TEXT_MAX: usize = 48;

/// A world, as the command line spells it.
#[must_use]
pub const fn world(world: World) -> &'static str {
    match world {
        World::Sockets => "sockets",
        World::Virtual => "virtual",
    }
}

/// `12,345`.
#[must_use]
pub fn number(value: u64) -> String {
    predict::words::count(value)
}

/// `= 10`, `8 to 12`, `at least 8`, `at most 5`.
#[must_use]
pub fn quantity(value: Quantity) -> String {
    predict::words::quantity(value)
}

/// `1 client`, `2 clients`.
#[must_use]
pub fn counted(value: u64, noun: &str) -> String {
    predict::words::counted(value, noun)
}

/// `12.5 %`, or `-` of nothing.
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    // Tenths of a percent, rounded half up; 128 bits, so that no count overflows.
    let tenths = (u128::from(part) * 2_000 + u128::from(whole)) / (2 * u128::from(whole));
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// A share of 1 as `0.5 %`.
#[must_use]
pub fn percent(value: f64) -> String {
    format!("{} %", trim_zeros(&format!("{:.2}", value * 100.0)))
}

/// Three significant digits: `812 µs`, `4.25 ms`, `12.4 s`, `2 min 5 s`.
#[must_use]
pub fn micros(value: u64) -> String {
    match value {
        0..1_000 => format!("{value} µs"),
        1_000..1_000_000 => format!("{} ms", significant(value, 1_000)),
        1_000_000..120_000_000 => format!("{} s", significant(value, 1_000_000)),
        _ => {
            let seconds = value / 1_000_000;
            match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
                (0, minutes, 0) => format!("{minutes} min"),
                (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
                (hours, 0, _) => format!("{hours} h"),
                (hours, minutes, _) => format!("{hours} h {minutes} min"),
            }
        }
    }
}

/// A measured time as [`micros`]. The virtual world's clock moves by whole milliseconds, so that
/// less than one is no figure there: `< 1 ms`.
#[must_use]
pub fn micros_in(world: World, value: u64) -> String {
    match world {
        World::Virtual if value < 1_000 => predict::words::BELOW_TICK.to_owned(),
        World::Virtual | World::Sockets => micros(value),
    }
}

/// A duration as [`micros`], without zeros that say nothing: `3 s`, `4.25 s`.
#[must_use]
pub fn duration(value: Duration) -> String {
    let micros_whole = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
    if micros_whole == 0 {
        return "0 s".to_owned();
    }
    let text = micros(micros_whole);
    match text.split_once(' ') {
        Some((figure, unit)) if figure.contains('.') => format!("{} {unit}", trim_zeros(figure)),
        _ => text,
    }
}

/// `value / unit` with three significant digits, rounded half up; `value` is below 1,000 units
/// except for the last step, where more digits stand before the point.
fn significant(value: u64, unit: u64) -> String {
    let (scale, places) = match value / unit {
        0..10 => (100, 2),
        10..100 => (10, 1),
        _ => (1, 0),
    };
    let scaled = (value * scale + unit / 2) / unit;
    match places {
        0 => scaled.to_string(),
        _ => format!("{}.{:0places$}", scaled / scale, scaled % scale),
    }
}

fn trim_zeros(figure: &str) -> &str {
    if figure.contains('.') { figure.trim_end_matches('0').trim_end_matches('.') } else { figure }
}

/// `64 KiB`, `1.5 MiB`, `2,047 B`.
#[must_use]
pub fn bytes(value: u64) -> String {
    const KIB: u64 = 1024;
    let (unit, name) = match value {
        0..KIB => return format!("{value} B"),
        v if v < KIB * KIB => (KIB, "KiB"),
        v if v < KIB * KIB * KIB => (KIB * KIB, "MiB"),
        v if v < KIB * KIB * KIB * KIB => (KIB * KIB * KIB, "GiB"),
        v if v < KIB * KIB * KIB * KIB * KIB => (KIB * KIB * KIB * KIB, "TiB"),
        _ => (KIB * KIB * KIB * KIB * KIB, "PiB"),
    };
    let tenths = (value * 10 + unit / 2) / unit;
    match tenths % 10 {
        0 => format!("{} {name}", number(tenths / 10)),
        rest => format!("{}.{rest} {name}", number(tenths / 10)),
    }
}

/// `68 MiB resident with 5,000 connections open, 10.1 KiB a connection pair (client and hub)`;
/// `None` when it was not read, or with fewer connections than `open_min`.
#[must_use]
pub fn memory(machine: &MachineFacts, place: TargetPlace, open_min: u64) -> Option<String> {
    let open = machine.resident_held_open.filter(|&open| open >= open_min)?;
    let held = machine.resident_held_bytes?;
    let each = held.saturating_sub(machine.resident_before_bytes?) / open;
    let whose = match place {
        TargetPlace::Embedded => "a connection pair (client and hub)",
        TargetPlace::Loopback | TargetPlace::Remote => "a client",
    };
    Some(format!(
        "{} resident with {} connections open, {} {whose}",
        bytes(held),
        number(open),
        bytes(each),
    ))
}

/// The word of a result.
#[must_use]
pub const fn outcome(value: Outcome) -> &'static str {
    match value {
        Outcome::Pass => "PASS",
        Outcome::Undetermined => "UNDETERMINED",
        Outcome::Invalid => "INVALID",
        Outcome::Fail => "FAIL",
    }
}

/// How a run ended.
#[must_use]
pub const fn how(value: HowEnded) -> &'static str {
    match value {
        HowEnded::Decided => "every expectation decided",
        HowEnded::TimeUp => "the full duration",
        HowEnded::Interrupted => "interrupted",
        HowEnded::Aborted => "stopped by a guard",
    }
}

/// Name of a latency in tables.
#[must_use]
pub const fn latency(kind: LatencyKind) -> &'static str {
    match kind {
        LatencyKind::Connect => "connect",
        LatencyKind::Message => "message",
        LatencyKind::Acknowledgement => "acknowledgement",
        LatencyKind::Echo => "echo",
        LatencyKind::Rest => "REST",
        LatencyKind::RestClose => "REST close",
        LatencyKind::Recovery => "recovery",
        LatencyKind::SendLag => "send lag",
    }
}

/// Before or after the first misbehaviour or fault.
#[must_use]
pub const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Before => "before",
        Stage::After => "after",
    }
}

/// The hub's word for an end; `observed` tells whether the hub's side was observed at all.
#[must_use]
pub fn category(value: Option<CloseCategory>, observed: bool) -> &'static str {
    match (value, observed) {
        (Some(category), _) => category.name(),
        (None, true) => "not seen",
        (None, false) => "not observed",
    }
}

/// What a client saw of its end.
#[must_use]
pub fn observation(value: &ClientObservation) -> String {
    match value {
        ClientObservation::ConnectFailed { failure } => connect_failure(*failure).to_owned(),
        ClientObservation::Refused { status, body } => format!("HTTP {status}{}", quoted(body)),
        ClientObservation::HandshakeFailed { failure } => handshake_failure(*failure).to_owned(),
        ClientObservation::CloseFrame { code, reason, first } => {
            let frame = close(*code, reason);
            match first {
                CloseFirst::Hub => format!("close {frame}"),
                CloseFirst::Client => format!("own close, echo {frame}"),
            }
        }
        ClientObservation::Eof => "end of stream, no close frame".to_owned(),
        ClientObservation::Reset => "reset, no close frame".to_owned(),
        ClientObservation::Vanished => "vanished itself".to_owned(),
        ClientObservation::NoCloseAnswer => "own close, never answered".to_owned(),
        ClientObservation::Unaware => "nothing: unaware until the end".to_owned(),
        ClientObservation::ProtocolError { what } => format!("protocol error: {}", clipped(what)),
    }
}

const fn connect_failure(value: ConnectFailure) -> &'static str {
    match value {
        ConnectFailure::ConnectionRefused => "connection refused",
        ConnectFailure::TimedOut => "connect timed out",
        ConnectFailure::Reset => "reset while connecting",
        ConnectFailure::Tls => "TLS failed",
        ConnectFailure::DescriptorsExhausted => "out of descriptors (EMFILE)",
        ConnectFailure::PortsExhausted => "out of ports (EADDRNOTAVAIL)",
        ConnectFailure::Cancelled => "the run ended before it connected",
        ConnectFailure::Other => "connect failed",
    }
}

const fn handshake_failure(value: HandshakeFailure) -> &'static str {
    match value {
        HandshakeFailure::TimedOut => "upgrade: no whole answer in time",
        HandshakeFailure::Ended => "upgrade: the connection ended",
        HandshakeFailure::BadAnswer => "upgrade: not a websocket answer",
        HandshakeFailure::Subprotocol => "upgrade: subprotocol not echoed",
        HandshakeFailure::NoConnectedFrame => "no connected frame first",
        HandshakeFailure::Cancelled => "the run ended during the upgrade",
    }
}

/// What the hub put on the wire (or saw there) at an end.
#[must_use]
pub fn wire(value: Option<&HubWire>) -> String {
    match value {
        None => "-".to_owned(),
        Some(HubWire::HubClose { code, reason }) => format!("close {code}{}", quoted(reason)),
        Some(HubWire::ClientClose { code, reason }) => {
            format!("echo of the client's close {}", close(*code, reason))
        }
        Some(HubWire::HubAbort) => "the hub's reset".to_owned(),
        Some(HubWire::ClientEof) => "the client's end of stream".to_owned(),
        // The client's, or that of something on the way.
        Some(HubWire::ClientReset) => "a reset".to_owned(),
    }
}

/// A close frame: `1000`, `1008 "why"`, `without a code`.
#[must_use]
pub fn close(code: Option<CloseCode>, reason: &str) -> String {
    let code = code.map_or_else(|| "without a code".to_owned(), |code| code.to_string());
    format!("{code}{}", quoted(reason))
}

/// ` "text"` of a peer, or nothing where it is empty.
fn quoted(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" \"{}\"", clipped(text)) }
}

/// A peer's text on one line, not too long, without control characters.
fn clipped(text: &str) -> String {
    clipped_to(PEER_TEXT_MAX, text)
}

/// A text of others on one line of at most so many characters, without control characters.
#[must_use]
pub fn clipped_to(chars_max: usize, text: &str) -> String {
    let clean: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars_max + 1).collect();
    if clean.chars().count() > chars_max {
        let mut short: String = clean.chars().take(chars_max - 1).collect();
        short.push('…');
        short
    } else {
        clean
    }
}

/// What a reader must know, with what to do.
#[must_use]
pub fn warning(value: &Warning) -> String {
    match value {
        Warning::DescriptorsExhausted => {
            "the generator ran out of descriptors: raise the limit of open files (ulimit -n)"
                .to_owned()
        }
        Warning::PortsExhausted => "the machine ran out of ports: widen \
             net.ipv4.ip_local_port_range, or spread the load over more machines"
            .to_owned(),
        Warning::EventsLost { count } => format!(
            "{} lost: the recorder could not keep up, so the counts are not whole",
            counted(*count, "event")
        ),
        Warning::LedgerIncomplete { why } => {
            format!("the hub's side of the ledger is not whole: {why}")
        }
        Warning::NoUpstreamTimes { why } => {
            format!("how long event handlers took is not known, in full or in part: {why}")
        }
        Warning::NotWritten { what } => format!("not written: {what}"),
    }
}

/// What lies between clients and hub: `a link of 40 ms to 50 ms and 128 KiB/s, cut after 60 s of
/// silence`; `None` for an ideal link.
#[must_use]
pub fn shaping(value: &Shaping) -> Option<String> {
    let Shaping { delay, jitter, bandwidth, idle_cut } = *value;
    let mut of = Vec::new();
    match (delay.is_zero(), jitter.is_zero()) {
        (true, true) => {}
        (_, true) => of.push(duration(delay)),
        (_, false) => of.push(format!("{} to {}", duration(delay), duration(delay + jitter))),
    }
    of.extend(bandwidth.map(|rate| format!("{}/s", bytes(whole(rate)))));
    let cut = idle_cut.map(|idle| format!("cut after {} of silence", duration(idle)));
    let link = match of.as_slice() {
        [] if cut.is_none() => return None,
        [] => "a link".to_owned(),
        of => format!("a link of {}", of.join(" and ")),
    };
    Some(cut.map_or_else(|| link.clone(), |cut| format!("{link}, {cut}")))
}

/// Departures per second of each client: `1 % a minute leave and return`.
#[must_use]
pub fn churn(rate: f64) -> String {
    format!("{} a minute leave and return", percent(rate * 60.0))
}

/// What a population's clients do, shortly.
#[must_use]
pub fn behaviours(list: &[TimedBehaviour]) -> String {
    if list.is_empty() {
        return "steady".to_owned();
    }
    list.iter().map(timed_behaviour).collect::<Vec<_>>().join("; ")
}

fn timed_behaviour(timed: &TimedBehaviour) -> String {
    let what = match &timed.behaviour {
        Behaviour::SuppressPong => "answer no ping".to_owned(),
        Behaviour::DelayPong { by } => format!("answer pings {} late", duration(*by)),
        Behaviour::LosePong { probability } => {
            format!("leave {} of pings unanswered", percent(*probability))
        }
        Behaviour::AppPing { every } => format!("send a ping message every {}", duration(*every)),
        Behaviour::SlowReadBytes { rate } => {
            format!("read at most {} a second", bytes(whole(*rate)))
        }
        Behaviour::SlowReadMessages { rate } => format!("read at most {rate} messages a second"),
        Behaviour::Stall => "read nothing".to_owned(),
        Behaviour::Vanish { how: Vanish::Reset } => "vanish with a reset".to_owned(),
        Behaviour::Vanish { how: Vanish::Fin } => "vanish without a close frame (FIN)".to_owned(),
        Behaviour::Vanish { how: Vanish::BlackHole } => "vanish silently (black hole)".to_owned(),
    };
    match (timed.from.is_zero(), timed.until) {
        (true, None) => what,
        (false, None) => format!("{what} from {}", duration(timed.from)),
        (_, Some(until)) => {
            format!("{what} from {} until {}", duration(timed.from), duration(until))
        }
    }
}

/// How a population arrives.
#[must_use]
pub fn arrival(value: &Arrival) -> String {
    let (start, how) = match value {
        Arrival::Open { start, schedule } => (start, schedule_words(schedule)),
        Arrival::Closed { start, slots } => {
            (start, format!("{} at a time", number(u64::from(*slots))))
        }
    };
    if start.is_zero() { how } else { format!("{how}, from {}", duration(*start)) }
}

fn schedule_words(schedule: &ArrivalSchedule) -> String {
    match schedule {
        ArrivalSchedule::Burst => "all at once".to_owned(),
        ArrivalSchedule::Constant { rate } => per_second(*rate),
        ArrivalSchedule::Poisson { rate } => {
            format!("{} on average (Poisson)", per_second(*rate))
        }
        ArrivalSchedule::Stages(stages) => stages
            .iter()
            .map(|stage| {
                let (from, to) = (per_second(stage.from), per_second(stage.to));
                format!("{from} to {to} in {}", duration(stage.lasting))
            })
            .collect::<Vec<_>>()
            .join(", then "),
    }
}

/// `50/s`, `2.78/s`: a rate to three significant digits, as `-n` makes any.
fn per_second(rate: f64) -> String {
    format!("{}/s", rate_digits(rate))
}

/// The same; what is slower than one in ten seconds counts per minute: `2/min`.
fn sending(rate: f64) -> String {
    if rate < 0.1 { format!("{}/min", rate_digits(rate * 60.0)) } else { per_second(rate) }
}

fn rate_digits(rate: f64) -> String {
    let decimals = match rate {
        rate if rate >= 100.0 => 0,
        rate if rate >= 10.0 => 1,
        rate if rate >= 1.0 => 2,
        rate if rate >= 0.1 => 3,
        _ => 6,
    };
    let text = format!("{rate:.decimals$}");
    match decimals {
        0 => text,
        _ => trim_zeros(&text).to_owned(),
    }
}

/// What a population does after a drop; `None` where it does nothing.
#[must_use]
pub fn reconnect(value: &Reconnect) -> Option<String> {
    let delays = match &value.policy {
        ReconnectPolicy::None => return None,
        ReconnectPolicy::Fixed { every } => format!("every {}", duration(*every)),
        ReconnectPolicy::Exponential { base, cap, jitter } => {
            let jitter = match jitter {
                Jitter::None => "no",
                Jitter::Equal => "equal",
                Jitter::Full => "full",
            };
            format!("{} doubling to {}, {jitter} jitter", duration(*base), duration(*cap))
        }
    };
    let times = match value.first {
        FirstAttempt::Within(window) if window.is_zero() => format!("at once, then {delays}"),
        FirstAttempt::Within(window) => format!("within {}, then {delays}", duration(window)),
        FirstAttempt::AfterDelay => delays,
    };
    let bound = value
        .attempts
        .map_or_else(String::new, |n| format!(", at most {}", counted(u64::from(n), "attempt")));
    Some(format!("reconnect {times}{bound}"))
}

/// A fault of the timeline.
#[must_use]
pub fn fault(plan: &Plan, value: &Fault) -> String {
    let population = |index: PopulationIndex| {
        plan.populations.get(usize::from(index)).map_or("?", |population| population.name.as_str())
    };
    let some = |count: Option<u32>, index: PopulationIndex| match count {
        None => format!("all of {}", population(index)),
        Some(count) => format!("{count} of {}", population(index)),
    };
    match value {
        Fault::Reload { share, over } if over.is_zero() => {
            format!("the hub reloads {} of its connections", percent(*share))
        }
        Fault::Reload { share, over } => {
            format!(
                "the hub reloads {} of its connections over {}",
                percent(*share),
                duration(*over)
            )
        }
        Fault::Freeze { lasting } => format!("the hub freezes for {}", duration(*lasting)),
        Fault::Scale { tier, units } => {
            format!(
                "the hub scales to {}, {}",
                tier_word(*tier),
                counted(u64::from(*units), "unit")
            )
        }
        Fault::CloseConnections { population: index, count, .. } => {
            format!("the application closes {} by id", some(*count, *index))
        }
        Fault::CloseGroup { group, .. } => format!(
            "the application closes group {}",
            plan.groups.get(*group as usize).map_or("?", String::as_str)
        ),
        Fault::CloseUser { population: index, .. } => {
            format!("the application closes a user of {}", population(*index))
        }
        Fault::CloseAll { .. } => "the application closes everybody in the hub".to_owned(),
        Fault::Leave { population: index, count } => format!("{} leave", some(*count, *index)),
    }
}

/// The tier as in scenario files.
#[must_use]
pub const fn tier_word(tier: crate::protocol::settings::Tier) -> &'static str {
    match tier {
        crate::protocol::settings::Tier::Free => "free",
        crate::protocol::settings::Tier::Standard => "standard",
        crate::protocol::settings::Tier::Premium => "premium",
    }
}

/// What a traffic does.
#[must_use]
pub fn traffic(plan: &Plan, value: &Traffic) -> String {
    let senders = match &value.from {
        Senders::Rest => "the application (REST)".to_owned(),
        Senders::Clients { population, first, count } => {
            let name =
                plan.populations.get(usize::from(*population)).map_or("?", |p| p.name.as_str());
            match count {
                1 => format!("{name}[{first}]"),
                count => format!("{name}[{first}..{}]", first + count),
            }
        }
    };
    let to = match &value.to {
        Destination::Group(group) => {
            let group = plan.groups.get(*group as usize).map_or("?", String::as_str);
            format!("to group {group}")
        }
        Destination::Rooms(rooms) => format!("to its room of {}", rooms.members),
        Destination::Users { of, count } => format!("to one after the other of {count} {of}"),
        Destination::Everybody => "to everybody".to_owned(),
        Destination::Event { event, reply: Reply::Any } => format!("as event {}", event.as_str()),
        Destination::Event { event, reply: Reply::Echo } => {
            format!("as event {}, which comes back", event.as_str())
        }
    };
    let each = if value.from.count() > 1 { " each" } else { "" };
    format!("{senders} {to}: {}{each} of {}", sending(value.rate), bytes(u64::from(value.size)))
}

/// A rate as a whole number, at least 0.
fn whole(rate: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates; a rate for people"
    )]
    let value = rate as u64;
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_shares_rounded() {
        assert_eq!(number(7), "7");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(counted(1, "client"), "1 client");
        assert_eq!(share(1, 3), "33.3 %");
        assert_eq!(share(2, 3), "66.7 %");
        assert_eq!(share(5, 5), "100.0 %");
        assert_eq!(share(0, 0), "-");
        assert_eq!(percent(0.5), "50 %");
        assert_eq!(percent(0.333), "33.3 %");
    }

    #[test]
    fn rates_keep_three_digits_and_no_noughts() {
        let texts = [50.0, 100.0 / 36.0, 0.1, 0.005, 250.0, 12.34].map(per_second);
        assert_eq!(texts, ["50/s", "2.78/s", "0.1/s", "0.005/s", "250/s", "12.3/s"]);
        assert_eq!([2.0 / 60.0, 0.1, 20.0].map(sending), ["2/min", "0.1/s", "20/s"]);
        assert_eq!(churn(0.01 / 60.0), "1 % a minute leave and return");
    }

    #[test]
    fn links_are_told_by_what_they_do() {
        let ideal = Shaping::default();
        let ms = Duration::from_millis;
        assert_eq!(shaping(&ideal), None);
        let idle_cut = Some(ms(60_000));
        let cut = Shaping { idle_cut, ..ideal };
        assert_eq!(shaping(&cut).unwrap(), "a link, cut after 60 s of silence");
        let far = Shaping { delay: ms(40), jitter: ms(10), bandwidth: Some(131_072.0), idle_cut };
        let told = "a link of 40 ms to 50 ms and 128 KiB/s, cut after 60 s of silence";
        assert_eq!(shaping(&far).unwrap(), told);
        assert_eq!(shaping(&Shaping { idle_cut: None, ..cut }), None);
    }

    #[test]
    fn durations_keep_three_digits() {
        for (us, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.00 ms"),
            (4_254, "4.25 ms"),
            (12_449, "12.4 ms"),
            (999_499, "999 ms"),
            (1_400_000, "1.40 s"),
            (119_000_000, "119 s"),
            (125_000_000, "2 min 5 s"),
            (7_200_000_000, "2 h"),
        ] {
            assert_eq!(micros(us), text, "{us}");
        }
        assert_eq!(duration(Duration::from_millis(4_250)), "4.25 s");
        assert_eq!(duration(Duration::from_secs(3)), "3 s");
        assert_eq!(duration(Duration::from_secs(100)), "100 s");
        assert_eq!(duration(Duration::ZERO), "0 s");
    }

    #[test]
    fn sizes_use_binary_units() {
        assert_eq!(bytes(50), "50 B");
        assert_eq!(bytes(65_536), "64 KiB");
        assert_eq!(bytes(1_572_864), "1.5 MiB");
    }

    #[test]
    fn a_peers_text_is_shown_clean_and_short() {
        let seen = observation(&ClientObservation::Refused { status: 429, body: "a\nb".into() });
        assert_eq!(seen, "HTTP 429 \"a b\"");
        let long = ClientObservation::ProtocolError { what: "x".repeat(500) };
        assert!(observation(&long).chars().count() < 70);
    }
}
