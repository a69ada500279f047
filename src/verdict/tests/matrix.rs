//! Which pairs of views are allowed.

use super::*;
use crate::event::HandshakeFailure;
use crate::protocol::settings::{OverLimit, WireForm};
use crate::scenario::plan::Vanish;

/// Whether a cell is allowed for a population of that behaviour.
fn allowed(
    behaviour: Option<Behaviour>,
    category: CloseCategory,
    (wire, observation): (Option<HubWire>, ClientObservation),
) -> bool {
    let mut plan = plan(vec![population("one", 1)]);
    if let Some(behaviour) = behaviour {
        plan.populations[0] = behaving(plan.populations[0].clone(), behaviour, ms(0));
    }
    let category = Some(category);
    is_allowed_cell(&plan, &CloseKey { population: 0, category, wire, observation })
}

fn refused(status: u16) -> (Option<HubWire>, ClientObservation) {
    (None, ClientObservation::Refused { status, body: String::new() })
}

#[test]
fn the_usual_view_of_every_category_is_allowed() {
    for category in CloseCategory::ALL {
        let cell = match category {
            Unauthorized => refused(401),
            BadRequest => refused(400),
            category => usual(category),
        };
        assert!(allowed(None, category, cell), "{category}");
    }
}

#[test]
fn cells_by_attention() {
    use ClientObservation::{Eof, NoCloseAnswer, Reset, Unaware, Vanished};
    let abort = || Some(HubWire::HubAbort);
    let closed = || Some(HubWire::HubClose { code: 1_001, reason: String::new() });
    let left = || in_order().0;
    let reset = || Some(HubWire::ClientReset);
    // Category, wire, observation; allowed to prompt, slow, stalled, black-holed clients.
    let cells = [
        (PingTimeout, abort(), Reset, [true, true, true, true]),
        (PingTimeout, abort(), Eof, [true, true, true, true]),
        (PingTimeout, abort(), Unaware, [false, false, true, true]),
        (PingTimeout, abort(), NoCloseAnswer, [false, false, true, true]),
        (PingTimeout, abort(), Vanished, [false, false, false, true]),
        (ServiceReload, closed(), Reset, [false, true, true, true]),
        (ServiceReload, closed(), Unaware, [false, false, true, true]),
        (ServiceReload, abort(), Reset, [false, true, true, true]),
        (Normal, left(), NoCloseAnswer, [false, true, true, true]),
        (Normal, left(), Unaware, [false, false, true, true]),
        (Normal, reset(), NoCloseAnswer, [true, true, true, true]),
        (Normal, reset(), Vanished, [true, true, true, true]),
        (Normal, left(), Vanished, [false, false, false, true]),
        (Normal, reset(), Unaware, [false, false, true, true]),
        (Normal, reset(), Eof, [false, false, true, true]),
        (Normal, abort(), Reset, [false, false, false, false]),
        (Unauthorized, abort(), Reset, [false, false, false, false]),
    ];
    for (category, wire, observation, expected) in cells {
        let kinds = [
            None,
            Some(Behaviour::SlowReadBytes { rate: 1.0 }),
            Some(Behaviour::Stall),
            Some(Behaviour::Vanish { how: Vanish::BlackHole }),
        ];
        let found = kinds.map(|kind| allowed(kind, category, (wire.clone(), observation.clone())));
        assert_eq!(found, expected, "{category} {wire:?} {observation:?}");
    }
}

#[test]
fn behind_a_middlebox_that_cuts_both_ends_may_see_a_reset() {
    let mut plan = plan(vec![population("one", 1)]);
    let cell = |wire, observation| CloseKey {
        population: 0,
        category: Some(Normal),
        wire: Some(wire),
        observation,
    };
    let cut = cell(HubWire::ClientReset, ClientObservation::Reset);
    let ended = cell(HubWire::ClientReset, ClientObservation::Eof);
    assert!(!is_allowed_cell(&plan, &cut), "nobody is there to reset it");
    plan.populations[0].shaping.idle_cut = Some(ms(700));
    assert!(is_allowed_cell(&plan, &cut));
    assert!(!is_allowed_cell(&plan, &ended), "it cuts, it does not end");
}

#[test]
fn close_frames_carry_the_same_code_and_reason() {
    let wire = |code, reason: &str| Some(HubWire::HubClose { code, reason: reason.into() });
    let cases = [
        (wire(1_001, ""), frame(Some(1_001), "", CloseFirst::Hub), true),
        (wire(1_001, ""), frame(Some(1_001), "", CloseFirst::Client), true),
        (wire(1_001, ""), frame(Some(1_000), "", CloseFirst::Client), false),
        (wire(1_001, ""), frame(Some(1_001), "else", CloseFirst::Hub), false),
        (wire(1_001, ""), frame(None, "", CloseFirst::Hub), false),
        (wire(1_002, ""), frame(Some(1_002), "", CloseFirst::Hub), false),
    ];
    for (wire, observation, expected) in cases {
        let found = allowed(None, ServiceReload, (wire.clone(), observation.clone()));
        assert_eq!(found, expected, "{wire:?} {observation:?}");
    }
    let echo = |code| (in_order().0, frame(code, "", CloseFirst::Client));
    assert!(allowed(None, Normal, echo(Some(1_000))));
    assert!(!allowed(None, Normal, echo(Some(1_001))));
    assert!(!allowed(None, Normal, (in_order().0, frame(Some(1_000), "", CloseFirst::Hub))));
    // It crossed a drop that was decided and not written.
    assert!(allowed(None, ServiceReload, echo(Some(1_000))));
}

#[test]
fn wire_forms_follow_the_settings() {
    let mut plan = plan(vec![population("one", 1)]);
    let closed = HubWire::HubClose { code: 1_008, reason: "slow".into() };
    let seen = frame(Some(1_008), "slow", CloseFirst::Hub);
    let cell = |category, wire: &HubWire, observation: &ClientObservation| CloseKey {
        population: 0,
        category: Some(category),
        wire: Some(wire.clone()),
        observation: observation.clone(),
    };
    let slow = cell(SlowClient, &closed, &seen);
    let aborted = cell(SlowClient, &HubWire::HubAbort, &ClientObservation::Reset);
    assert!(!is_allowed_cell(&plan, &slow) && is_allowed_cell(&plan, &aborted));
    plan.hub.drops.slow_client = WireForm::Close { code: 1_008, reason: "slow".into() };
    assert!(is_allowed_cell(&plan, &slow) && !is_allowed_cell(&plan, &aborted));
    let over = cell(ConnectionCountLimitReached, &HubWire::HubAbort, &ClientObservation::Reset);
    assert!(!is_allowed_cell(&plan, &over));
    plan.hub.drops.over_limit = OverLimit::AcceptThenAbort;
    assert!(is_allowed_cell(&plan, &over));
    let unread = ClientObservation::HandshakeFailed { failure: HandshakeFailure::Ended };
    let early = cell(ConnectionCountLimitReached, &HubWire::HubAbort, &unread);
    assert!(is_allowed_cell(&plan, &early));
}

#[test]
fn refusals_have_the_status_of_their_category() {
    for (category, status, expected) in [
        (ConnectionCountLimitReached, 429, true),
        (ConnectionCountLimitReached, 503, false),
        (Unauthorized, 401, true),
        (Unauthorized, 400, false),
        (BadRequest, 400, true),
        (BadRequest, 401, false),
        (Normal, 429, false),
        (PingTimeout, 408, false),
    ] {
        assert_eq!(allowed(None, category, refused(status)), expected, "{category} {status}");
    }
}

#[test]
fn who_leaves_before_the_answer_may_have_ended_it() {
    let failure = HandshakeFailure::Cancelled;
    let left = (None, ClientObservation::HandshakeFailed { failure });
    assert!(allowed(None, Normal, left.clone()));
    assert!(!allowed(None, PingTimeout, left));
}
