//! `[hub]`: a profile, and what the file changes in it.

use super::super::file::{DropsFile, HubFile, KeepAliveFile, LimitsFile, Profile, WireFormFile};
use super::super::plan::{Arrival, Population};
use super::super::problem::{Place, Problem, closest, one_of};
use super::super::units::{Buffer, Count, Size, Units};
use super::{Arguments, At, Context, Overrides, Problems, Roster, throughput, webhook};
use crate::protocol::HubSettings;
use crate::protocol::settings::{DropForms, KeepAlive, Tier, WireForm};

/// The settings of a scenario's hub.
pub(super) fn settings(
    context: &Context<'_>,
    file: Option<&At<HubFile>>,
    populations: &[Option<Population>],
    overrides: &Overrides,
    arguments: &Arguments,
) -> HubSettings {
    let nothing = HubFile::default();
    let written = file.and_then(At::get).unwrap_or(&nothing);
    let profile = overrides
        .profile
        .as_deref()
        .and_then(|name| profile(context, name, arguments.profile))
        .or_else(|| written.profile.as_ref().and_then(|at| at.value));
    let mut settings = start(profile);
    apply(context, written, &mut settings);

    let peak = peak(populations);
    let tier_place = written.tier.as_ref().map(|at| at.place);
    let whole = file.map_or(Place::file(0, 0), |at| at.place);
    settings.units = match written.units.as_ref().map(|at| (at.get(), at.place)) {
        Some((Some(&Units::Fixed(units)), place)) => {
            check_units(context, settings.tier, units, place);
            units
        }
        Some((None, _)) => 1,
        Some((Some(Units::Auto), place)) => {
            fewest(context, settings.tier, peak, tier_place.unwrap_or(place))
        }
        None => fewest(context, settings.tier, peak, tier_place.unwrap_or(whole)),
    };
    settings
}

/// The settings of a hub that knows no clients: one unit when the file does not say.
pub(in crate::scenario) fn settings_alone(file: &HubFile, problems: &Problems) -> HubSettings {
    let roster = Roster::default();
    let context = Context { problems, duration: None, roster, groups: Vec::new() };
    let mut settings = start(file.profile.as_ref().and_then(|at| at.value));
    apply(&context, file, &mut settings);
    settings.units = 1;
    if let Some(at) = &file.units {
        match at.get() {
            Some(&Units::Fixed(units)) => {
                check_units(&context, settings.tier, units, at.place);
                settings.units = units;
            }
            Some(Units::Auto) => context.push(
                Problem::new(at.place, "`units` cannot be \"auto\" here")
                    .label("expected a number: a hub alone does not know who will come"),
            ),
            None => {}
        }
    }
    settings
}

fn start(profile: Option<Profile>) -> HubSettings {
    match profile.unwrap_or_default() {
        Profile::Ci => HubSettings::ci(),
        Profile::Real => HubSettings::real(),
    }
}

fn profile(context: &Context<'_>, name: &str, place: Option<Place>) -> Option<Profile> {
    let found = Profile::ALL.into_iter().find(|profile| profile.name() == name);
    if found.is_none() {
        let names = Profile::ALL.map(Profile::name).into_iter();
        let help = closest(name, names.clone()).map(|close| format!("did you mean `{close}`?"));
        context.push(
            Problem::new(place.unwrap_or(Place::file(0, 0)), format!("no profile `{name}`"))
                .label(format!("expected {}", one_of(names)))
                .maybe_help(help),
        );
    }
    found
}

/// Clients connected at once, at most; closed arrivals count their slots.
fn peak(populations: &[Option<Population>]) -> u64 {
    let at_once = |population: &Population| match population.arrival {
        Arrival::Open { .. } => u64::from(population.count),
        Arrival::Closed { slots, .. } => u64::from(slots.min(population.count)),
    };
    populations.iter().flatten().map(at_once).sum()
}

fn fewest(context: &Context<'_>, tier: Tier, peak: u64, place: Place) -> u32 {
    tier.units_for(peak).unwrap_or_else(|| {
        let most = tier.unit_steps().last().copied().unwrap_or(1);
        let cap = u64::from(most) * u64::from(tier.connections_per_unit());
        let larger = match tier {
            Tier::Free => {
                "take tier \"standard\"; or, if the refusals are the point, say `units = 1`"
            }
            Tier::Standard => "take tier \"premium\"",
            Tier::Premium => "use fewer clients",
        };
        context.push(
            Problem::new(place, format!("{peak} clients are more than this tier can hold"))
                .label(format!(
                    "at most {most} unit{}, {cap} connections",
                    if most == 1 { "" } else { "s" }
                ))
                .help(larger),
        );
        1
    })
}

/// Checks that so many units of a tier can be bought.
pub(super) fn check_units(context: &Context<'_>, tier: Tier, units: u32, place: Place) {
    let steps = tier.unit_steps();
    if steps.contains(&units) {
        return;
    }
    let below = steps.iter().rev().find(|&&step| step < units);
    let above = steps.iter().find(|&&step| step > units);
    let near: Vec<String> = below.into_iter().chain(above).map(u32::to_string).collect();
    let expected = match tier {
        Tier::Free => "expected 1, the only one",
        Tier::Standard => "expected 1 to 10, or a multiple of 10 up to 100",
        Tier::Premium => "expected 1 to 10, a multiple of 10 up to 100, or of 100 up to 1000",
    };
    context.push(
        Problem::new(place, format!("the {} tier has no step of {units} units", tier_name(tier)))
            .label(expected)
            .help(format!("nearest: {}", near.join(" or "))),
    );
}

fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Free => "free",
        Tier::Standard => "standard",
        Tier::Premium => "premium",
    }
}

fn apply(context: &Context<'_>, file: &HubFile, settings: &mut HubSettings) {
    if let Some(tier) = file.tier.as_ref().and_then(At::get) {
        settings.tier = *tier;
    }
    if let Some(keep_alive) = file.keep_alive.as_ref().and_then(At::get) {
        apply_keep_alive(context, keep_alive, &mut settings.keep_alive);
    }
    if let Some(queue) = file.queue.as_ref().and_then(At::get) {
        if let Some(bytes) = queue.bytes.as_ref().and_then(|at| at_least_one_byte(context, at)) {
            settings.queue.bytes = bytes;
        }
        if let Some(at) = &queue.messages
            && let Some(&Count(messages)) = at.get()
        {
            if messages == 0 {
                context.push(
                    Problem::new(at.place, format!("`{}` cannot be 0", at.path))
                        .label("expected room for at least one message"),
                );
            }
            settings.queue.messages = u64::from(messages);
        }
    }
    if let Some(buffers) = file.buffers.as_ref().and_then(At::get) {
        let bytes = |at: &At<Buffer>| match at.get() {
            Some(&Buffer::Bytes(bytes)) => context.buffer(bytes, at.place, &at.path),
            _ => None,
        };
        if let Some(at) = &buffers.send {
            settings.buffers.send = bytes(at);
        }
        if let Some(at) = &buffers.receive {
            settings.buffers.receive = bytes(at);
        }
    }
    if let Some(limits) = file.limits.as_ref().and_then(At::get) {
        apply_limits(context, limits, settings);
    }
    if let Some(drops) = file.drops.as_ref().and_then(At::get) {
        apply_drops(context, drops, &mut settings.drops);
    }
    if let Some(throughput) = file.throughput.as_ref().and_then(At::get) {
        settings.throughput = Some(throughput::limits(context, throughput));
    }
    webhook::apply(context, file, &mut settings.events);
}

fn apply_keep_alive(context: &Context<'_>, file: &KeepAliveFile, settings: &mut KeepAlive) {
    if let Some(interval) = file.interval.as_ref().and_then(|at| context.positive(at)) {
        settings.interval = interval;
    }
    if let Some(timeout) = file.timeout.as_ref().and_then(|at| context.positive(at)) {
        settings.timeout = timeout;
    }
    if let Some(life) = file.life.as_ref().and_then(At::get) {
        settings.life = *life;
    }
    let place = file.timeout.as_ref().or(file.interval.as_ref()).map(|at| at.place);
    if let Some(place) = place.filter(|_| settings.timeout < settings.interval) {
        context.push(
            Problem::new(place, "the ping timeout is shorter than the ping interval")
                .label(format!("interval {:?}, timeout {:?}", settings.interval, settings.timeout))
                .help("every client would be dropped before it is asked; set both"),
        );
    }
}

fn at_least_one_byte(context: &Context<'_>, at: &At<Size>) -> Option<u64> {
    let &Size(bytes) = at.get()?;
    if bytes == 0 {
        context.push(
            Problem::new(at.place, format!("`{}` cannot be 0", at.path))
                .label("expected at least one byte"),
        );
        return None;
    }
    Some(bytes)
}

fn apply_limits(context: &Context<'_>, file: &LimitsFile, settings: &mut HubSettings) {
    let limits = &mut settings.limits;
    if let Some(bytes) = file.message.as_ref().and_then(|at| at_least_one_byte(context, at)) {
        limits.message_bytes = bytes;
    }
    if let Some(at) = &file.header
        && let Some(&Size(bytes)) = at.get()
        && let Some(bytes) = context.buffer(bytes, at.place, &at.path)
    {
        limits.header_bytes = bytes;
    }
    if let Some(handshake) = file.handshake.as_ref().and_then(|at| context.positive(at)) {
        limits.handshake = handshake;
    }
    if let Some(linger) = file.close_linger.as_ref().and_then(At::get) {
        limits.close_linger = linger.0;
    }
    if let Some(skew) = file.token_skew.as_ref().and_then(At::get) {
        limits.token_skew = skew.0;
    }
}

fn apply_drops(context: &Context<'_>, file: &DropsFile, settings: &mut DropForms) {
    let forms = [
        (&file.ping_timeout, &mut settings.ping_timeout),
        (&file.slow_client, &mut settings.slow_client),
        (&file.service_reload, &mut settings.service_reload),
    ];
    for (written, form) in forms {
        if let Some(wire) = written.as_ref().and_then(At::get) {
            *form = wire_form(context, wire);
        }
    }
    if let Some(over_limit) = file.over_limit.as_ref().and_then(At::get) {
        settings.over_limit = *over_limit;
    }
}

fn wire_form(context: &Context<'_>, file: &WireFormFile) -> WireForm {
    match file {
        WireFormFile::Abort => WireForm::Abort,
        WireFormFile::DisconnectedThenClose => WireForm::DisconnectedThenClose,
        WireFormFile::Close(frame) => {
            let Some(frame) = frame.get() else { return WireForm::Abort };
            let Count(code) = frame.code.or(Count(1001));
            // RFC 6455, 7.4.1: these stand for "no code", and are never in a frame.
            let sendable =
                (1000..=4999).contains(&code) && ![1004, 1005, 1006, 1015].contains(&code);
            if !sendable {
                context.push(
                    Problem::new(frame.code.place, format!("{code} cannot stand in a close frame"))
                        .label("expected 1000 to 4999, but not 1004, 1005, 1006 or 1015")
                        .maybe_help((code == 1006).then(|| {
                            "1006 is what a browser says of a connection without a close frame: \
                             \"abort\""
                                .to_owned()
                        })),
                );
            }
            let reason = context.reason(frame.reason.as_ref()).unwrap_or_default();
            WireForm::Close { code: u16::try_from(code).unwrap_or(1001), reason }
        }
    }
}
