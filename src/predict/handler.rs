//! What the event handler of `connect` does to everybody, where the scenario's own script says so
//! for certain.

use std::time::Duration;

use http::StatusCode;

use super::{HubPlace, fault, flow, need};
use crate::protocol::CloseCategory;
use crate::protocol::control::UPSTREAM_HOST;
use crate::protocol::webhook::{
    ConnectAnswer, Event, EventHandler, RequestKind, SystemEvent, WebhookPolicy,
};
use crate::scenario::Plan;
use crate::scenario::plan::{
    AllowedOrigin, AnswerBody, AnswerDelay, AnswerWhat, Fault, HANDSHAKE_MAX, HowOften, KeyOf,
    Quantity, ReconnectPolicy, UpstreamResponse, UpstreamScript, Verify, Window,
};

/// What the event handler of `connect` does to every client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerForecast {
    /// There is none.
    NotAsked,
    /// It lets everybody in.
    LetsIn,
    /// It refuses everybody.
    Refuses(Refusal),
    /// The script leaves it open, or somebody else's server answers.
    Open,
}

/// How everybody is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status of the handshake.
    pub status: u16,
    /// The hub's word.
    pub category: CloseCategory,
    /// From the upgrade request to its answer, at least: waits between tries, and delays.
    pub from: Duration,
    /// At most, but for what the machine adds.
    pub to: Duration,
    /// Requests to the handler per attempt; none when its validation is bad.
    pub requests: u64,
}

/// What the event handler of `connect` is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HandlerLoad {
    /// Requests per call.
    pub requests: Quantity,
    /// Calls in any second, as clients arrive, at most.
    pub arriving: u64,
    /// Calls in any second, as those come back that a reload drops, at most; `None` where there is
    /// no reload, or nobody comes back.
    pub storm: Option<u64>,
}

/// What a name ends with that nobody ever has (RFC 2606).
const NOBODY: &str = ".invalid";

/// Status of a handshake whose handler failed.
const FAILED: u16 = 500;

/// What the event handler of `connect` is asked; `None` when there is none.
#[must_use]
pub fn handler_load(plan: &Plan) -> Option<HandlerLoad> {
    let most = plan.hub.events.policy.retry_after.len() as u64 + 1;
    let requests = match handler(plan) {
        HandlerForecast::NotAsked => return None,
        HandlerForecast::LetsIn => Quantity::exactly(1),
        HandlerForecast::Refuses(refusal) => Quantity::exactly(refusal.requests),
        HandlerForecast::Open => Quantity { at_least: 0, at_most: most },
    };
    let storm =
        plan.faults.iter().filter(|at| matches!(at.fault, Fault::Reload { .. })).map(|at| {
            let numbered = (0..).zip(&plan.populations);
            let back = numbered.filter(|(_, of)| of.reconnect.policy != ReconnectPolicy::None);
            let victims = back.map(|(index, of)| {
                fault::victims(plan, index, &at.fault, flow::members(of)).at_most
            });
            victims.fold(0_u64, u64::saturating_add)
        });
    let storm = storm.max().filter(|calls| *calls > 0);
    let arriving = need(plan, HubPlace::InMemory).connects_per_second;
    Some(HandlerLoad { requests, arriving, storm })
}

/// Foretells the event handler of `connect`.
#[must_use]
pub fn handler(plan: &Plan) -> HandlerForecast {
    let events = &plan.hub.events;
    let connect = Event::System(SystemEvent::Connect);
    let Some(handler) = events.handler_of(&connect) else { return HandlerForecast::NotAsked };
    let host = handler.url.endpoint().host.to_ascii_lowercase();
    let policy = &events.policy;
    if host.ends_with(NOBODY) {
        return not_validated(waits(policy));
    }
    let Some(script) = plan.upstream.as_ref().filter(|_| host == UPSTREAM_HOST) else {
        return HandlerForecast::Open;
    };
    if script.down == [Window::ALWAYS] {
        return not_validated(waits(policy));
    }
    if !script.down.is_empty() || script.cold_start.is_some() {
        return HandlerForecast::Open;
    }
    match validation(plan, script, handler) {
        Some(Validated::Yes) => connect_answer(plan, script),
        Some(Validated::No { within }) => not_validated(within),
        None => HandlerForecast::Open,
    }
}

/// What a hub makes of a handler's validation.
enum Validated {
    Yes,
    /// After at most so long.
    No {
        within: Duration,
    },
}

/// The validation by the script; `None` when it leaves that open.
fn validation(plan: &Plan, script: &UpstreamScript, handler: &EventHandler) -> Option<Validated> {
    let policy = &plan.hub.events.policy;
    if let Some(key) = &script.key {
        let url = handler.url.fill_for_validation(&plan.hub_name);
        let query = url.path_and_query.split_once('?').map_or("", |(_, query)| query);
        let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
        match code {
            None => return Some(Validated::No { within: Duration::ZERO }),
            Some(code) if code == key.expose() => {}
            // Perhaps it is the same, spelt in another way.
            Some(_) => return None,
        }
    }
    let (delay, what) = first_rule(plan, script, &RequestKind::Validate)?;
    let limit = policy.validation_within;
    if delay.to >= limit {
        // What comes too late is not asked for again.
        return (delay.from >= limit).then_some(Validated::No { within: limit });
    }
    let no = |waits: Duration, asked: u32| {
        let tries = u32::try_from(policy.retry_after.len()).unwrap_or(u32::MAX).saturating_add(1);
        let answers = delay.to.saturating_mul(tries).saturating_mul(asked);
        let within = waits.saturating_add(answers).min(limit.saturating_mul(asked));
        Some(Validated::No { within })
    };
    let response = match what {
        AnswerWhat::Respond(response) => response,
        AnswerWhat::Reset | AnswerWhat::Close => return no(waits(policy), 1),
    };
    let status = StatusCode::from_u16(response.status.unwrap_or(200)).ok()?;
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        return no(waits(policy), 1);
    }
    if !status.is_success() {
        // OPTIONS, and perhaps GET.
        return no(Duration::ZERO, 2);
    }
    let host = plan.hub.events.origin.as_deref();
    let is_it = |given: &str| host.map(|host| given == "*" || given.eq_ignore_ascii_case(host));
    let is_allowed = match &response.origin {
        AllowedOrigin::Asked | AllowedOrigin::Any => true,
        AllowedOrigin::Missing | AllowedOrigin::Wrong => false,
        AllowedOrigin::Lines(hosts) => {
            hosts.iter().map(|given| is_it(given)).collect::<Option<Vec<_>>>()?.contains(&true)
        }
        AllowedOrigin::List(hosts) => is_it(&hosts.join(", "))?,
    };
    if is_allowed { Some(Validated::Yes) } else { no(Duration::ZERO, 1) }
}

/// What a script answers to requests of a kind; `None` when that depends on when they come, on how
/// many came before, or on chance.
fn first_rule(
    plan: &Plan,
    script: &UpstreamScript,
    kind: &RequestKind,
) -> Option<(AnswerDelay, AnswerWhat)> {
    for rule in &script.rules {
        let is_its_hub = match (&rule.hub, kind) {
            (None, _) => true,
            (Some(_), RequestKind::Validate) => false,
            (Some(hub), RequestKind::Event(_)) => hub.eq_ignore_ascii_case(&plan.hub_name),
        };
        let takes = rule.on.is_empty() || rule.on.iter().any(|on| on.takes(kind));
        if takes && is_its_hub {
            let always = rule.window == Window::ALWAYS && rule.how_often == HowOften::Always;
            return always.then(|| (rule.answer.delay, rule.answer.what.clone()));
        }
    }
    Some((AnswerDelay::NONE, AnswerWhat::Respond(Box::default())))
}

/// What a hub does with an answer.
enum Reaction {
    LetsIn,
    /// Refuses with this status.
    Refuses(u16),
    /// Asks again, and refuses with this status in the end.
    AsksAgain(u16),
}

/// The answer to `connect` by the script.
fn connect_answer(plan: &Plan, script: &UpstreamScript) -> HandlerForecast {
    let policy = &plan.hub.events.policy;
    let kind = RequestKind::Event(Event::System(SystemEvent::Connect));
    let believes_nobody = script.access_key == KeyOf::AnotherHub && script.verify == Verify::Reject;
    let (delay, reaction) = if believes_nobody {
        (AnswerDelay::NONE, Some(Reaction::AsksAgain(FAILED)))
    } else {
        match first_rule(plan, script, &kind) {
            Some((delay, AnswerWhat::Respond(response))) => (delay, reaction(&response, policy)),
            Some((delay, AnswerWhat::Reset | AnswerWhat::Close)) => {
                (delay, Some(Reaction::AsksAgain(FAILED)))
            }
            None => (AnswerDelay::NONE, None),
        }
    };
    let (status, tries, waits) = match reaction {
        None => return HandlerForecast::Open,
        Some(_) if delay.from >= policy.within => {
            return refuses(FAILED, (policy.within, policy.within), 1);
        }
        Some(Reaction::LetsIn) if delay.to < policy.within => return HandlerForecast::LetsIn,
        Some(Reaction::LetsIn) => return HandlerForecast::Open,
        Some(Reaction::Refuses(status)) => (status, 1, Duration::ZERO),
        Some(Reaction::AsksAgain(status)) => {
            (status, policy.retry_after.len() as u64 + 1, waits(policy))
        }
    };
    let lasting = |delay: Duration| {
        waits.saturating_add(delay.saturating_mul(u32::try_from(tries).unwrap_or(u32::MAX)))
    };
    let (from, to) = (lasting(delay.from), lasting(delay.to));
    // Past the limit it is given up at whatever try it has come to.
    if to >= policy.within { HandlerForecast::Open } else { refuses(status, (from, to), tries) }
}

/// What a hub does with a whole answer to `connect`; `None` where that is not foretold.
fn reaction(response: &UpstreamResponse, policy: &WebhookPolicy) -> Option<Reaction> {
    let status = StatusCode::from_u16(response.status.unwrap_or(200)).ok()?;
    if status == StatusCode::REQUEST_TIMEOUT {
        return Some(Reaction::AsksAgain(status.as_u16()));
    }
    if status.is_server_error() {
        return Some(Reaction::AsksAgain(FAILED));
    }
    if !status.is_success() {
        let told = if status.is_client_error() { status.as_u16() } else { FAILED };
        return Some(Reaction::Refuses(told));
    }
    match &response.body {
        AnswerBody::Empty => Some(Reaction::LetsIn),
        AnswerBody::Text(text) | AnswerBody::Json(text) => {
            let fits = text.len() as u64 <= policy.answer_bytes;
            let is_read = fits && ConnectAnswer::parse(text.as_bytes()).is_ok();
            Some(if is_read { Reaction::LetsIn } else { Reaction::Refuses(FAILED) })
        }
        AnswerBody::Malformed | AnswerBody::Oversize(_) => Some(Reaction::Refuses(FAILED)),
        AnswerBody::Connect(_) | AnswerBody::Echo => None,
    }
}

/// All waits between tries.
fn waits(policy: &WebhookPolicy) -> Duration {
    policy.retry_after.iter().fold(Duration::ZERO, |sum, wait| sum.saturating_add(*wait))
}

/// The first to come wait for the validation, later ones know its answer.
fn not_validated(within: Duration) -> HandlerForecast {
    refuses(FAILED, (Duration::ZERO, within), 0)
}

/// A client that has no answer in time gives up, and sees no status.
fn refuses(status: u16, (from, to): (Duration, Duration), requests: u64) -> HandlerForecast {
    if to >= HANDSHAKE_MAX {
        return HandlerForecast::Open;
    }
    let category = match status {
        401 | 403 => CloseCategory::Unauthorized,
        _ => CloseCategory::SendEventFailed,
    };
    HandlerForecast::Refuses(Refusal { status, category, from, to, requests })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::predict::conflicts;
    use crate::scenario::{Overrides, Source, load};

    /// Ten clients, and a handler of `connect` with this script.
    fn plan(script: &str, more: &str) -> Plan {
        let text = format!(
            "duration = \"30s\"\n[hub]\nprofile = \"ci\"\n[[hub.event_handlers]]\n\
             url = \"http://upstream/\"\nsystem_events = [\"connect\"]\n[upstream]\n{script}\n\
             [populations.fleet]\ncount = 10\narrival = {{ burst = {{}} }}\n{more}"
        );
        let source = Source { name: "mine".into(), origin: "mine.toml".into(), text };
        load(&source, &Overrides::default(), &|_| None).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn what_a_script_does_to_everybody_is_foretold_and_nothing_else() {
        let refused = |status, from, to, requests| {
            let category = CloseCategory::SendEventFailed;
            let (from, to) = (Duration::from_millis(from), Duration::from_millis(to));
            HandlerForecast::Refuses(Refusal { status, category, from, to, requests })
        };
        let connect =
            |answer: &str| format!("rules = [{{ on = [\"connect\"], answer = {answer} }}]");
        let validate =
            |answer: &str| format!("rules = [{{ on = [\"validate\"], answer = {answer} }}]");
        for (script, told) in [
            (String::new(), HandlerForecast::LetsIn),
            (connect("{ status = 404 }"), refused(404, 0, 0, 1)),
            (connect("{ status = 404, delay = \"1s..2s\" }"), refused(404, 1_000, 2_000, 1)),
            (connect("{ status = 503 }"), refused(500, 9_000, 9_000, 4)),
            (connect("{ status = 302 }"), refused(500, 0, 0, 1)),
            (connect("{ reset = {} }"), refused(500, 9_000, 9_000, 4)),
            (connect("{ malformed = {} }"), refused(500, 0, 0, 1)),
            (connect("{ json = '{\"userId\":\"a\"}' }"), HandlerForecast::LetsIn),
            (connect("{ status = 503, delay = \"1s\" }"), HandlerForecast::Open),
            ("verify = \"reject\"".to_owned(), HandlerForecast::LetsIn),
            (
                "verify = \"reject\"\naccess_key = \"another-hub\"".to_owned(),
                refused(500, 9_000, 9_000, 4),
            ),
            (validate("{ origin = \"missing\" }"), refused(500, 0, 0, 0)),
            (validate("{ origin = { list = [\"a\", \"b\"] } }"), HandlerForecast::Open),
            (validate("{ status = 401 }"), refused(500, 0, 0, 0)),
            ("key = \"k\"".to_owned(), refused(500, 0, 0, 0)),
            ("down = [{}]".to_owned(), refused(500, 0, 9_000, 0)),
            ("down = [{ from = \"1s\" }]".to_owned(), HandlerForecast::Open),
            ("cold_start = { lasting = \"1s\" }".to_owned(), HandlerForecast::Open),
            (
                "rules = [{ first = 3, answer = { status = 500 } }]".to_owned(),
                HandlerForecast::Open,
            ),
        ] {
            assert_eq!(handler(&plan(&script, "")), told, "{script}");
        }
    }

    #[test]
    fn demands_that_a_refusing_handler_rules_out_are_conflicts() {
        let script = "rules = [{ on = [\"connect\"], answer = { status = 503 } }]";
        let told = |more: &str| -> Vec<String> {
            conflicts(&plan(script, more)).into_iter().map(|conflict| conflict.path).collect()
        };
        let good = "[expect.fleet]\ncloses = { SendEventFailed = \"all\" }\n\
                    refused = { 500 = \"all\" }\n[expect_upstream.connect]\ncalls = \"all\"\n\
                    requests = \"400%\"\nreceived = \"400%\"\n";
        assert_eq!(told(good), Vec::<String>::new());
        let bad = "[expect.fleet]\ncloses = { Normal = \"all\" }\nopens = \"all\"\n\
                   refused = { 503 = \"all\" }\n[expect_upstream]\nconnect = \"all\"\n";
        assert_eq!(
            told(bad),
            [
                "expect.fleet.closes",
                "expect.fleet.refused",
                "expect.fleet.refused",
                "expect.fleet.opens",
                "expect_upstream.connect",
            ]
        );
    }
}
