//! What an interruption leaves open, and what it does not excuse.

use super::*;
use crate::event::{DeliveryTally, HowEnded};

fn interrupted(plan: &Plan, rows: &[&[(CloseCategory, u64)]]) -> Summary {
    Summary { ended: Some(HowEnded::Interrupted), ..summary(plan, rows) }
}

#[test]
fn what_was_never_attempted_is_undetermined() {
    let plan = muted_plan();
    let mut cut = interrupted(&plan, &[&[(Normal, 50)], &[(PingTimeout, 4), (Normal, 3)]]);
    let text = "Normal 50; interrupted";
    assert_told(&plan, &cut, "expect.healthy.closes", Outcome::Undetermined, text);
    let text = "PingTimeout 4, Normal 3; interrupted";
    assert_told(&plan, &cut, "expect.muted.closes", Outcome::Undetermined, text);
    assert_eq!(judge(&plan, &cut).outcome, Outcome::Undetermined);
    cut.ended = Some(HowEnded::TimeUp);
    assert_told(&plan, &cut, "expect.healthy.closes", Outcome::Fail, "Normal 50");
}

#[test]
fn what_may_not_occur_fails_all_the_same() {
    let plan = muted_plan();
    let cut = interrupted(&plan, &[&[(Normal, 50), (SlowClient, 1)], &[(PingTimeout, 11)]]);
    let text = "Normal 50, SlowClient 1";
    assert_told(&plan, &cut, "expect.healthy.closes", Outcome::Fail, text);
    assert_told(&plan, &cut, "expect.muted.closes", Outcome::Fail, "PingTimeout 11");
}

#[test]
fn a_lost_message_fails_and_one_never_sent_does_not() {
    let mut plan = muted_plan();
    expecting(&mut plan, 0, Claim::DeliveryComplete);
    let mut cut = interrupted(&plan, &[&[(Normal, 90)], &[(PingTimeout, 10)]]);
    let path = "expect.healthy.delivery.lost";
    let text = "lost 0; no samples: no message had to arrive; interrupted";
    assert_told(&plan, &cut, path, Outcome::Undetermined, text);
    cut.populations[0].delivery =
        DeliveryTally { expected: 5, received: 4, lost: 1, ..DeliveryTally::default() };
    assert_told(&plan, &cut, path, Outcome::Fail, "lost 1 of 5");
}

#[test]
fn thresholds_fail_only_on_what_no_time_can_mend() {
    let mut plan = muted_plan();
    let opens = |operator, value| threshold(Metric::Opens, Statistic::Count, operator, value);
    plan.thresholds = vec![
        opens(Operator::GreaterOrEqual, 100.0),
        opens(Operator::Less, 50.0),
        threshold(Metric::Opens, Statistic::Rate, Operator::Less, 0.5),
    ];
    let cut = interrupted(&plan, &[&[(Normal, 50)], &[(PingTimeout, 4)]]);
    let outcomes: Vec<Outcome> = judge(&plan, &cut)
        .checks
        .iter()
        .filter(|check| check.kind == CheckKind::Threshold)
        .map(|check| check.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::Undetermined, Outcome::Fail, Outcome::Undetermined]);
}
