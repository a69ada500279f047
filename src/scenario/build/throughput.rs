//! `[hub.throughput]`.

use super::super::file::{ConnectRateFile, FlowFile, PatternFile, ThroughputFile};
use super::super::problem::Problem;
use super::super::units::{ByteRate, Count, Rate};
use super::{At, Context};
use crate::protocol::throughput::{ConnectRate, Flow, Pattern, PatternLimits, Throughput};

/// Stands for any number: a server that takes so many is never busy.
const ANY: u64 = 1_000_000_000_000_000;

/// What the hub can do per second.
pub(super) fn limits(context: &Context<'_>, file: &ThroughputFile) -> Throughput {
    let written = |pattern: Pattern| match pattern {
        Pattern::BigGroup => &file.big_group,
        Pattern::SmallGroup => &file.small_group,
        Pattern::Echo => &file.echo,
        Pattern::RestToUser => &file.rest_to_user,
        Pattern::RestBroadcast => &file.rest_broadcast,
    };
    let patterns = Pattern::ALL.into_iter().filter_map(|of| {
        let limits = written(of).as_ref().and_then(At::get)?;
        Some((of, pattern(context, limits)))
    });
    let patterns = patterns.collect();
    let connects = file.connects.as_ref().and_then(At::get);
    let mut limits = Throughput {
        connects: connects.and_then(|file| connect_rate(context, file)),
        patterns,
        ..Throughput::default()
    };
    if let Some(&Count(members)) = file.small_below.as_ref().and_then(At::get) {
        limits.small_below = members;
    }
    if let Some(waiting) = file.waiting.as_ref().and_then(|at| at_least_one(context, at)) {
        limits.waiting = waiting;
    }
    limits
}

fn connect_rate(context: &Context<'_>, file: &ConnectRateFile) -> Option<ConnectRate> {
    let &Rate(rate) = file.rate.get()?;
    let per_second = u32::try_from(whole(context, &file.rate, rate)?).unwrap_or(u32::MAX);
    let burst = file.burst.as_ref().and_then(|at| at_least_one(context, at));
    Some(ConnectRate { per_second, burst: burst.unwrap_or(per_second) })
}

fn pattern(context: &Context<'_>, file: &PatternFile) -> PatternLimits {
    let read = |at: &Option<At<FlowFile>>| match at.as_ref().and_then(At::get) {
        Some(file) => flow(context, file),
        None => Flow { messages: ANY, bytes: ANY },
    };
    PatternLimits { inbound: read(&file.inbound), outbound: read(&file.outbound) }
}

fn flow(context: &Context<'_>, file: &FlowFile) -> Flow {
    let messages = file.messages.as_ref().and_then(|at| {
        let &Rate(rate) = at.get()?;
        whole(context, at, rate)
    });
    let bytes = file.bytes.as_ref().and_then(|at| {
        let &ByteRate(rate) = at.get()?;
        whole(context, at, rate)
    });
    Flow { messages: messages.unwrap_or(ANY), bytes: bytes.unwrap_or(ANY) }
}

/// A rate of the model: a whole number per second, at least 1.
fn whole<T>(context: &Context<'_>, at: &At<T>, rate: f64) -> Option<u64> {
    let is_whole = (1.0..=ANY as f64).contains(&rate) && (rate - rate.round()).abs() < 1e-9;
    if !is_whole {
        context.push(
            Problem::new(at.place, format!("`{}` is not a whole number per second", at.path))
                .label("expected at least 1 per second, without a fraction"),
        );
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and ANY, as was just looked at"
    )]
    Some(rate.round() as u64)
}

fn at_least_one(context: &Context<'_>, at: &At<Count>) -> Option<u32> {
    let &Count(count) = at.get()?;
    if count == 0 {
        context.push(
            Problem::new(at.place, format!("`{}` cannot be 0", at.path))
                .label("expected at least 1"),
        );
        return None;
    }
    Some(count)
}
