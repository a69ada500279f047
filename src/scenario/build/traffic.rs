//! `[traffic.NAME]`: who sends what to whom, and when.

use super::super::file::{ReplyFile, ScenarioFile, ToFile, TrafficFile};
use super::super::plan::{
    CLIENT_FRAME_HEADER_BYTES_MAX, Destination, OUTBOX_BYTES_MAX, Population, Reply, Senders,
    Traffic, UserPolicy,
};
use super::super::problem::{Place, Problem, suggestion};
use super::super::units::{Amount, Count, Rate, Size};
use super::roster::REST;
use super::{At, Context};
use crate::protocol::stamp::STAMP_BYTES;
use crate::protocol::subprotocol::{ClientFrame, Payload};
use crate::protocol::webhook::EventName;
use crate::protocol::{CloseCategory, HubSettings, Subprotocol};

/// Largest body of a REST call that the hub reads, in bytes.
const REST_BODY_BYTES_MAX: u64 = 1024 * 1024;

/// The event of a simple client's frame.
const MESSAGE: &str = "message";

/// Every traffic that could be read, and how many streams they have.
pub(super) fn all(
    context: &Context<'_>,
    file: &ScenarioFile,
    populations: &[Option<Population>],
    hub: &HubSettings,
) -> (Vec<Traffic>, u32) {
    let mut all: Vec<Traffic> = Vec::new();
    let mut streams: u32 = 0;
    for (name, at) in file.traffic.iter().filter_map(At::get).flat_map(|traffic| &traffic.0) {
        let (Some(name), Some(traffic)) = (name.get(), at.get()) else { continue };
        if let Some(mut traffic) = one(context, name, traffic, (populations, hub), file) {
            traffic.stream_base = streams;
            streams = streams.saturating_add(traffic.streams());
            all.push(traffic);
        }
    }
    (all, streams)
}

fn one(
    context: &Context<'_>,
    name: &str,
    file: &TrafficFile,
    (populations, hub): (&[Option<Population>], &HubSettings),
    whole: &ScenarioFile,
) -> Option<Traffic> {
    let from = senders(context, &file.from, populations);
    let speaks = from.as_ref().map(|from| speaks(from, populations));
    let to = file.to.get();
    let to = to.and_then(|to| destination(context, file, to, from.as_ref(), populations));
    let rate = rate(context, &file.rate);
    let oversize = oversize(context, whole, from.as_ref());
    let size = size(context, file, from.as_ref(), speaks, (hub, oversize));
    let start = context.start(file.start.as_ref());
    let until = context.until(start, file.until.as_ref());
    let may_be_acknowledged = speaks != Some(Speaks::Frames);
    let acknowledged =
        may_be_acknowledged && file.acknowledged.as_ref().is_none_or(|at| at.or(true));
    let in_flight = match speaks {
        Some(Speaks::Frames) => None,
        _ => in_flight(context, file, acknowledged),
    };
    let (from, to, speaks) = (from?, to?, speaks?);
    match speaks {
        Speaks::Rest => check_rest(context, file, &to),
        Speaks::Frames => check_frames(context, file, &to),
        Speaks::Json => {}
    }
    let no_echo = file.no_echo.as_ref().is_some_and(|at| at.or(false));
    Some(Traffic {
        name: name.to_owned(),
        from,
        to,
        rate: rate?,
        size: size?,
        start,
        until,
        acknowledged,
        in_flight,
        no_echo,
        stream_base: 0,
    })
}

/// How senders put what they send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    /// Calls of the application server.
    Rest,
    /// The JSON subprotocol.
    Json,
    /// Bare websocket frames, as simple clients do.
    Frames,
}

fn speaks(from: &Senders, populations: &[Option<Population>]) -> Speaks {
    let Senders::Clients { population, .. } = from else { return Speaks::Rest };
    let population = populations.get(usize::from(*population)).and_then(Option::as_ref);
    match population.map(|population| population.protocol) {
        Some(Subprotocol::Simple) => Speaks::Frames,
        Some(Subprotocol::Json) | None => Speaks::Json,
    }
}

/// What `to` names, and what goes with it.
fn destination(
    context: &Context<'_>,
    file: &TrafficFile,
    to: &ToFile,
    from: Option<&Senders>,
    populations: &[Option<Population>],
) -> Option<Destination> {
    let ToFile { group, rooms, users, everybody, event } = to;
    let named = [
        group.as_ref().map(|at| at.place),
        rooms.as_ref().map(|at| at.place),
        users.as_ref().map(|at| at.place),
        everybody.as_ref().map(|at| at.place),
        event.as_ref().map(|at| at.place),
    ];
    let mut named = named.into_iter().flatten();
    let (first, second) = (named.next(), named.next());
    if let (Some(first), Some(second)) = (first, second) {
        context.push(
            Problem::new(second, format!("`{}` names two receivers", file.to.path))
                .label("expected one of them")
                .also(first, "the other"),
        );
        return None;
    }
    if let (Some(at), None, Some(place)) = (&file.reply, event, first) {
        context.push(
            Problem::new(at.place, "only an event handler answers")
                .label("expected nothing here: this is about events")
                .also(place, "sent to clients"),
        );
    }
    if let (Some(at), None, None, Some(place)) = (&file.no_echo, group, rooms, first) {
        context.push(
            Problem::new(at.place, "only groups send a message back to its sender")
                .label("expected nothing here: this is about groups and rooms")
                .also(place, "sent elsewhere"),
        );
    }
    if let Some(group) = group {
        return context.group(group).map(Destination::Group);
    }
    if let Some(at) = rooms {
        return own_rooms(context, file, at, from?, populations);
    }
    if let Some(users) = users {
        only_by_rest(context, file, users.place, from?);
        return self::users(context, users, populations);
    }
    if let Some(at) = everybody {
        only_by_rest(context, file, at.place, from?);
        return Some(Destination::Everybody);
    }
    let Some(event) = event else {
        context.push(
            Problem::new(file.to.place, format!("`{}` names no receiver", file.to.path))
                .label("expected { group = \"…\" }, { rooms = 10 }, { users = \"…\" },")
                .help("or { everybody = {} } or { event = \"…\" }"),
        );
        return None;
    };
    let name = EventName::parse(event.get()?);
    let name = name.map_err(|why| {
        context.push(
            Problem::new(event.place, format!("`{}` is not acceptable", event.path)).label(why),
        );
    });
    let reply = match file.reply.as_ref().and_then(At::get) {
        None | Some(ReplyFile::Any) => Reply::Any,
        Some(ReplyFile::Echo) => Reply::Echo,
    };
    Some(Destination::Event { event: name.ok()?, reply })
}

/// The rooms of that size of the senders' population.
fn own_rooms(
    context: &Context<'_>,
    file: &TrafficFile,
    at: &At<Count>,
    from: &Senders,
    populations: &[Option<Population>],
) -> Option<Destination> {
    let Senders::Clients { population, .. } = from else {
        context.push(
            Problem::new(at.place, "the application server is in no room")
                .label("expected a group, users or everybody")
                .also(file.from.place, "sent by REST"),
        );
        return None;
    };
    let &Count(members) = at.get()?;
    let senders = populations.get(usize::from(*population))?.as_ref()?;
    let found = senders.rooms.iter().find(|rooms| rooms.members == members);
    if found.is_none() {
        context.push(
            Problem::new(at.place, format!("`{}` is in no rooms of {members}", senders.name))
                .label("expected a size of rooms that the senders' population has")
                .also(file.from.place, "the senders")
                .help(format!("set populations.{}.rooms = [{members}]", senders.name)),
        );
    }
    found.copied().map(Destination::Rooms)
}

fn users(
    context: &Context<'_>,
    at: &At<String>,
    populations: &[Option<Population>],
) -> Option<Destination> {
    let name = at.get()?;
    let Some(index) = context.roster.0.iter().position(|member| member.name == *name) else {
        let names = context.roster.0.iter().map(|member| member.name.as_str());
        let help = suggestion(name, names).filter(|_| !at.place.hidden);
        context.push(
            Problem::new(at.place, format!("there is no population {}", at.place.show(name)))
                .label("expected the name of a population")
                .maybe_help(help),
        );
        return None;
    };
    let population = populations.get(index)?.as_ref()?;
    if population.user != UserPolicy::PerClient {
        context.push(
            Problem::new(at.place, format!("clients of `{name}` have no user id of their own"))
                .label("expected a population whose `user` is \"per-client\", the default"),
        );
        return None;
    }
    Some(Destination::Users { of: name.clone(), count: population.count })
}

fn only_by_rest(context: &Context<'_>, file: &TrafficFile, place: Place, from: &Senders) {
    if *from != Senders::Rest {
        context.push(
            Problem::new(place, "clients can send to groups and as events only")
                .label("expected { group = \"…\" }, { rooms = 10 } or { event = \"…\" }")
                .also(file.from.place, "sent by clients")
                .help("set from = \"rest\""),
        );
    }
}

/// `healthy[0]`, `healthy[0..10]`, `healthy`, `rest`.
fn senders(
    context: &Context<'_>,
    at: &At<String>,
    populations: &[Option<Population>],
) -> Option<Senders> {
    let text = at.get()?;
    if text.trim() == REST {
        return Some(Senders::Rest);
    }
    let Some((name, range)) = split(text) else {
        context.push(
            Problem::new(at.place, format!("{} does not say who sends", at.place.show(text)))
                .label("expected `healthy[0]`, `healthy[0..10]`, `healthy` or `rest`"),
        );
        return None;
    };
    let Some(index) = context.roster.0.iter().position(|member| member.name == name) else {
        let names = context.roster.0.iter().map(|member| member.name.as_str()).chain([REST]);
        let help = suggestion(name, names).filter(|_| !at.place.hidden);
        context.push(
            Problem::new(at.place, format!("there is no population {}", at.place.show(name)))
                .label("expected the name of a population, or `rest`")
                .maybe_help(help),
        );
        return None;
    };
    let member = &context.roster.0[index];
    let (first, end) = range.unwrap_or((0, member.count));
    if end <= first {
        context.push(
            Problem::new(at.place, format!("{} names no client", at.place.show(text)))
                .label("expected `[first..end]`, without `end` itself: `[0..10]` is the first ten"),
        );
        return None;
    }
    if end > member.count {
        context.push(
            Problem::new(at.place, format!("`{}` names clients that are not there", at.path))
                .label(format!("expected at most `{name}[0..{}]`", member.count))
                .also(member.count_place, member.note("clients are counted from 0")),
        );
        return None;
    }
    populations.get(index)?.as_ref()?;
    let population = u16::try_from(index).ok()?;
    Some(Senders::Clients { population, first, count: end - first })
}

type Range = (u32, u32);

/// A population's name, and the clients `first..end` if some are named.
fn split(text: &str) -> Option<(&str, Option<Range>)> {
    let text = text.trim();
    let Some((name, rest)) = text.split_once('[') else {
        return (!text.is_empty()).then_some((text, None));
    };
    let inside = rest.strip_suffix(']')?;
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let range = match inside.split_once("..") {
        Some((first, end)) => (number(first)?, number(end)?),
        None => {
            let only = number(inside)?;
            (only, only.checked_add(1)?)
        }
    };
    Some((name.trim(), Some(range)))
}

fn rate(context: &Context<'_>, at: &At<Rate>) -> Option<f64> {
    let rate = context.positive_rate(at.get()?.0, at.place, &at.path)?;
    let seconds = context.duration.unwrap_or_default().as_secs_f64();
    if rate * seconds > f64::from(u32::MAX) {
        context.push(
            Problem::new(at.place, format!("`{}` makes too many messages", at.path))
                .label(format!("expected at most {} over the whole scenario", u32::MAX)),
        );
        return None;
    }
    Some(rate)
}

fn size(
    context: &Context<'_>,
    file: &TrafficFile,
    from: Option<&Senders>,
    speaks: Option<Speaks>,
    (hub, oversize): (&HubSettings, Oversize),
) -> Option<u32> {
    let at = &file.size;
    let &Size(bytes) = at.get()?;
    if bytes < STAMP_BYTES as u64 {
        context.push(
            Problem::new(at.place, format!("`{}` is too small", at.path))
                .label(format!("expected at least {STAMP_BYTES}B"))
                .help("every message carries its number and its times, so that it can be checked"),
        );
        return None;
    }
    // Without a sender that could be read it is not known what goes around the data.
    let envelope = match speaks? {
        Speaks::Rest | Speaks::Frames => 0,
        Speaks::Json => envelope_bytes(file),
    };
    let own = own_bytes(from?);
    let hubs = (hub.limits.message_bytes, "the hub's limit, hub.limits.message,");
    let is_meant = oversize == Oversize::Meant && bytes > hubs.0;
    let (most, whose) = if hubs.0 <= own.0 && !is_meant { hubs } else { own };
    let fits = most.saturating_sub(envelope);
    if bytes > fits {
        let wrapped = match envelope {
            0 => String::new(),
            envelope => format!(", of which the frame around the data takes {envelope}"),
        };
        context.push(
            Problem::new(at.place, format!("`{}` is more than can be sent", at.path))
                .label(format!("expected at most {fits}B"))
                .help(format!("{whose} is {most} bytes{wrapped}")),
        );
        return None;
    }
    u32::try_from(bytes).ok()
}

/// Bytes of the longest JSON frame of a traffic without its data.
fn envelope_bytes(file: &TrafficFile) -> u64 {
    let acknowledged = file.acknowledged.as_ref().is_none_or(|at| at.or(true));
    // A traffic has at most this many messages, so no number of one is longer.
    let ack_id = acknowledged.then_some(u64::from(u32::MAX));
    let payload = Payload::Text(String::new());
    let to = file.to.get();
    let named = |at: &At<String>| at.get().cloned().unwrap_or_default();
    let frame = match to.and_then(|to| to.event.as_ref()) {
        Some(event) => ClientFrame::Event { event: named(event), ack_id, payload },
        None => ClientFrame::SendToGroup {
            group: to.and_then(|to| to.group.as_ref()).map(named).unwrap_or_default(),
            ack_id,
            no_echo: file.no_echo.as_ref().is_some_and(|at| at.or(false)),
            payload,
        },
    };
    frame.print().len() as u64
}

/// The limit that a message meets before it is sent, and what it is called.
fn own_bytes(from: &Senders) -> (u64, &'static str) {
    match from {
        Senders::Rest => (REST_BODY_BYTES_MAX, "the largest body of a REST call"),
        Senders::Clients { .. } => {
            let room = OUTBOX_BYTES_MAX - CLIENT_FRAME_HEADER_BYTES_MAX;
            (room as u64, "what a client holds for sending")
        }
    }
}

/// Whether messages may be larger than the hub takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Oversize {
    /// It would be a mistake.
    Mistake,
    /// Their senders are expected to be dropped for it.
    Meant,
}

fn oversize(context: &Context<'_>, whole: &ScenarioFile, from: Option<&Senders>) -> Oversize {
    let Some(&Senders::Clients { population, .. }) = from else { return Oversize::Mistake };
    let name = context.roster.0.get(usize::from(population)).map(|member| &member.name);
    let expected = whole.expect.iter().filter_map(At::get).flat_map(|file| &file.populations);
    let of_senders = expected.filter(|(of, _)| of.get() == name);
    let mut closes = of_senders.filter_map(|(_, at)| at.get()?.closes.as_ref()?.get());
    let is_listed = |(category, _): &(At<String>, At<Amount>)| {
        category.get().is_some_and(|category| category == CloseCategory::BadRequest.name())
    };
    match closes.any(|closes| closes.0.iter().any(is_listed)) {
        true => Oversize::Meant,
        false => Oversize::Mistake,
    }
}

fn in_flight(context: &Context<'_>, file: &TrafficFile, acknowledged: bool) -> Option<u32> {
    let at = file.in_flight.as_ref()?;
    let &Count(in_flight) = at.get()?;
    if in_flight == 0 {
        context.push(
            Problem::new(at.place, format!("`{}` cannot be 0", at.path))
                .label("expected at least 1, or nothing for no bound"),
        );
    }
    if !acknowledged {
        let place = file.acknowledged.as_ref().map_or(at.place, |at| at.place);
        context.push(
            Problem::new(at.place, "`in_flight` counts messages that await acknowledgement")
                .label("expected nothing here, as there are no acknowledgements")
                .also(place, "turned off here"),
        );
    }
    Some(in_flight)
}

/// Simple clients have frames of one kind, and nothing to be acknowledged by.
fn check_frames(context: &Context<'_>, file: &TrafficFile, to: &Destination) {
    let written = file.to.get();
    let sender = file.from.get().map_or("", String::as_str);
    let name = split(sender).map_or(sender, |(name, _)| name);
    match to {
        Destination::Group(_) => {
            let place =
                written.and_then(|to| to.group.as_ref()).map_or(file.to.place, |at| at.place);
            context.push(
                Problem::new(file.from.place, format!("`{name}` cannot publish to a group"))
                    .label("simple clients have no frame for it")
                    .also(place, "the group")
                    .help(format!(
                        "set populations.{name}.protocol = \"json\", or send from `rest`, or to \
                         {{ event = \"{MESSAGE}\" }}"
                    )),
            );
        }
        Destination::Event { event, .. } if event.as_str() != MESSAGE => {
            let at = written.and_then(|to| to.event.as_ref());
            context.push(
                Problem::new(
                    at.map_or(file.to.place, |at| at.place),
                    format!("`{name}` cannot name its events"),
                )
                .label(format!("expected \"{MESSAGE}\": every frame of a simple client is that"))
                .also(file.from.place, "simple clients")
                .help(format!("or set populations.{name}.protocol = \"json\"")),
            );
        }
        Destination::Rooms(_) => {
            context.push(
                Problem::new(file.from.place, format!("`{name}` cannot publish to a group"))
                    .label("simple clients have no frame for it")
                    .help(format!("set populations.{name}.protocol = \"json\"")),
            );
        }
        // Only REST has these.
        Destination::Users { .. } | Destination::Everybody => {}
        Destination::Event { .. } => {}
    }
    let asked = file.acknowledged.as_ref().filter(|at| at.get() == Some(&true));
    let keys = [
        asked.map(|at| (at.place, &at.path)),
        file.in_flight.as_ref().map(|at| (at.place, &at.path)),
    ];
    for (place, path) in keys.into_iter().flatten() {
        context.push(
            Problem::new(place, format!("`{path}` asks for what simple clients do not get"))
                .label("expected nothing here: they have no acknowledgements")
                .also(file.from.place, "simple clients")
                .help(format!("set populations.{name}.protocol = \"json\"")),
        );
    }
}

/// REST calls have an answer, but no connection of their own.
fn check_rest(context: &Context<'_>, file: &TrafficFile, to: &Destination) {
    if let Destination::Event { .. } = to {
        let at = file.to.get().and_then(|to| to.event.as_ref());
        context.push(
            Problem::new(
                at.map_or(file.to.place, |at| at.place),
                "the application server sends no events",
            )
            .label("expected a group: events come from clients, and go to it")
            .also(file.from.place, "sent by REST"),
        );
    }
    let keys = [
        (file.acknowledged.as_ref().map(|at| (at.place, &at.path)), "a REST call has its answer"),
        (file.in_flight.as_ref().map(|at| (at.place, &at.path)), "REST calls do not wait"),
        (file.no_echo.as_ref().map(|at| (at.place, &at.path)), "REST has no connection to echo to"),
    ];
    for (found, why) in keys {
        if let Some((place, path)) = found {
            context.push(
                Problem::new(place, format!("`{path}` means nothing for traffic from `rest`"))
                    .label(why)
                    .also(file.from.place, "sent by REST"),
            );
        }
    }
}
