//! Rules of an application server that no request will come to.

use std::collections::BTreeSet;

use crate::protocol::control::UPSTREAM_HOST;
use crate::protocol::webhook::{Event, RequestKind};
use crate::scenario::Plan;
use crate::scenario::plan::{Destination, UpstreamOn};

/// The rules of the plan's script that take nothing that its event handlers are asked, by their
/// place in the file, with what they wait for: a name that is misspelt, most likely.
#[must_use]
pub fn idle_rules(plan: &Plan) -> Vec<(usize, String)> {
    let Some(script) = &plan.upstream else { return Vec::new() };
    let asked = asked(plan);
    let is_idle = |on: &[UpstreamOn]| {
        let takes = |kind| on.is_empty() || on.iter().any(|on| on.takes(kind));
        !asked.iter().any(takes)
    };
    let rules = script.rules.iter().enumerate().filter(|(_, rule)| is_idle(&rule.on));
    rules.map(|(index, rule)| (index, waits_for(&rule.on))).collect()
}

/// What the scenario's own application server may be asked.
fn asked(plan: &Plan) -> Vec<RequestKind> {
    let events = &plan.hub.events;
    let is_ours = |event: &Event| {
        let handler = events.handler_of(event);
        handler.is_some_and(|it| it.url.endpoint().host.eq_ignore_ascii_case(UPSTREAM_HOST))
    };
    let of_handlers: BTreeSet<_> =
        events.handlers.iter().flat_map(|handler| &handler.system_events).collect();
    let system = of_handlers.into_iter().map(|event| Event::System(*event));
    let sent = plan.traffic.iter().filter_map(|traffic| match &traffic.to {
        Destination::Event { event, .. } => Some(Event::User(event.clone())),
        Destination::Group(_)
        | Destination::Rooms(_)
        | Destination::Users { .. }
        | Destination::Everybody => None,
    });
    let mut asked: Vec<_> = system.chain(sent).filter(is_ours).map(RequestKind::Event).collect();
    if !asked.is_empty() {
        asked.push(RequestKind::Validate);
    }
    asked
}

fn waits_for(on: &[UpstreamOn]) -> String {
    let name = |on: &UpstreamOn| match on {
        UpstreamOn::Kind(kind) => format!("`{kind}`"),
        UpstreamOn::EveryUserEvent => "user events".to_owned(),
    };
    if on.is_empty() {
        return "requests".to_owned();
    }
    on.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Overrides, Source, load};

    fn idle(rules: &str) -> Vec<(usize, String)> {
        let text = format!(
            "duration = \"9s\"\n[hub]\nprofile = \"ci\"\n[[hub.event_handlers]]\n\
             url = \"http://upstream/\"\nuser_events = \"*\"\nsystem_events = [\"connected\"]\n\
             [upstream]\nrules = [{rules}]\n\
             [populations.fleet]\ncount = 2\narrival = {{ burst = {{}} }}\n\
             [traffic.chat]\nfrom = \"fleet\"\nto = {{ event = \"chat\" }}\nrate = \"1/s\"\n\
             size = \"64B\"\n"
        );
        let source = Source { name: "mine".into(), origin: "mine.toml".into(), text };
        idle_rules(&load(&source, &Overrides::default(), &|_| None).unwrap())
    }

    #[test]
    fn a_rule_of_events_that_nobody_sends_is_idle() {
        let rule = |on: &str| format!("{{ on = [\"{on}\"], answer = {{ status = 404 }} }}");
        for on in ["chat", "CHAT", "*", "validate", "connected"] {
            assert_eq!(idle(&rule(on)), [], "{on}");
        }
        for on in ["chatt", "connect", "disconnected"] {
            assert_eq!(idle(&rule(on)), [(0, format!("`{on}`"))]);
        }
        let second = format!("{}, {}", rule("chat"), rule("chatt"));
        assert_eq!(idle(&second), [(1, "`chatt`".to_owned())]);
    }
}
