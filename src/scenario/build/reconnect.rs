//! `reconnect`: what clients do after an end that they did not want.

use std::time::Duration;

use super::super::file::{AfterFile, PolicyName, ReconnectFile};
use super::super::plan::{FirstAttempt, Jitter, Reconnect, ReconnectAfter, ReconnectPolicy};
use super::super::problem::Problem;
use super::super::units::{Count, First};
use super::population::exactly_one;
use super::{At, Context};

/// Attempts of the Python client after a drop: one at once and three retries, then it stops
/// (client protocols, 6.1).
const PY_SDK_ATTEMPTS: u32 = 4;

pub(super) fn reconnect(context: &Context<'_>, at: Option<&At<ReconnectFile>>) -> Reconnect {
    let never = Reconnect {
        policy: ReconnectPolicy::None,
        after: ReconnectAfter::Drop,
        first: FirstAttempt::Within(Duration::ZERO),
        attempts: None,
    };
    let Some(at) = at else { return never };
    // What was bad was meant to be a policy: nothing else is wrong for want of one.
    let otherwise = named(PolicyName::JsSdk);
    let Some(file) = at.get() else { return otherwise };
    let forms = [
        ("none", file.none.as_ref().map(|at| at.place)),
        ("fixed", file.fixed.as_ref().map(|at| at.place)),
        ("exponential", file.exponential.as_ref().map(|at| at.place)),
        ("like", file.like.as_ref().map(|at| at.place)),
    ];
    let Some(form) = exactly_one(context, at.place, &at.path, &forms) else { return otherwise };
    if form == "none" {
        let first = file.first.as_ref().map(|at| at.place);
        let bound = first
            .or(file.attempts.as_ref().map(|at| at.place))
            .or(file.after.as_ref().map(|at| at.place));
        if let Some(place) = bound {
            context.push(
                Problem::new(place, format!("`{}` bounds attempts, but there are none", at.path))
                    .label("expected nothing beside `none`"),
            );
        }
        return never;
    }
    let attempts = file.attempts.as_ref().and_then(|at| {
        let &Count(attempts) = at.get()?;
        if attempts == 0 {
            context.push(
                Problem::new(at.place, format!("`{}` cannot be 0", at.path))
                    .label("expected at least 1")
                    .help("for no attempt at all: reconnect = { none = {} }"),
            );
        }
        Some(attempts)
    });
    let like = file.like.as_ref().and_then(At::get).map(|name| named(*name));
    Reconnect {
        policy: match &like {
            Some(like) => like.policy.clone(),
            None => policy(context, file).unwrap_or(otherwise.policy),
        },
        after: match file.after.as_ref().and_then(At::get) {
            Some(AfterFile::Any) => ReconnectAfter::Any,
            Some(AfterFile::Drop) | None => ReconnectAfter::Drop,
        },
        first: match file.first.as_ref().and_then(At::get) {
            Some(First::AfterDelay) => FirstAttempt::AfterDelay,
            Some(&First::Within(window)) => FirstAttempt::Within(window),
            None => like.as_ref().map_or(FirstAttempt::Within(Duration::ZERO), |like| like.first),
        },
        attempts: attempts.or(like.and_then(|like| like.attempts)),
    }
}

fn policy(context: &Context<'_>, file: &ReconnectFile) -> Option<ReconnectPolicy> {
    if let Some(fixed) = &file.fixed {
        return Some(ReconnectPolicy::Fixed { every: context.positive(&fixed.get()?.every)? });
    }
    let exponential = file.exponential.as_ref()?.get()?;
    let base = context.positive(&exponential.base)?;
    let cap = context.positive(&exponential.cap)?;
    if cap < base {
        context.push(
            Problem::new(exponential.cap.place, "the largest delay is below the first")
                .label(format!("expected at least {base:?}"))
                .also(exponential.base.place, "the first delay"),
        );
    }
    let jitter = exponential.jitter.as_ref().and_then(At::get).copied().unwrap_or(Jitter::Full);
    Some(ReconnectPolicy::Exponential { base, cap, jitter })
}

/// The policies that have names.
fn named(name: PolicyName) -> Reconnect {
    let exponential = |base, cap, jitter| ReconnectPolicy::Exponential {
        base: Duration::from_millis(base),
        cap: Duration::from_millis(cap),
        jitter,
    };
    let (policy, first, attempts) = match name {
        PolicyName::JsSdk => {
            (ReconnectPolicy::Fixed { every: Duration::from_secs(1) }, Duration::ZERO, None)
        }
        PolicyName::PySdk => {
            (exponential(800, 120_000, Jitter::None), Duration::ZERO, Some(PY_SDK_ATTEMPTS))
        }
        PolicyName::NetSdk => (exponential(1_000, 5_000, Jitter::None), Duration::ZERO, None),
        PolicyName::FullJitter => {
            (exponential(1_000, 30_000, Jitter::Full), Duration::from_secs(5), None)
        }
    };
    let first = FirstAttempt::Within(first);
    Reconnect { policy, after: ReconnectAfter::Drop, first, attempts }
}
