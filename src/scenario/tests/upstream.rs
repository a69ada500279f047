//! `[upstream]`: what a file says of the application server.

use super::*;
use crate::protocol::webhook::{Event, EventName, RequestKind, SystemEvent};
use plan::{
    AllowedOrigin, AnswerBody, AnswerDelay, AnswerWhat, ColdStart, ConnectGrant, HowOften,
    UpstreamAnswer, UpstreamOn, UpstreamResponse, UpstreamRule, UpstreamScript, Verify, Window,
};

fn script(text: &str) -> UpstreamScript {
    load_upstream(&source(text), &|name| (name == "KEY").then(|| "hunter2-hunter2".to_owned()))
        .unwrap_or_else(|errors| panic!("{errors}"))
}

/// The only rule of a script whose rule has these keys.
fn rule(keys: &str) -> UpstreamRule {
    let mut rules = script(&format!("[[rules]]\n{keys}")).rules;
    assert_eq!(rules.len(), 1);
    rules.remove(0)
}

/// The answer to user events with these keys.
fn response(keys: &str) -> UpstreamResponse {
    let answer = rule(&format!("on = [\"*\"]\nanswer = {{ {keys} }}")).answer;
    let AnswerWhat::Respond(response) = answer.what else { panic!("{keys}") };
    *response
}

#[test]
fn a_section_that_says_nothing_is_a_healthy_server() {
    assert_eq!(script(""), UpstreamScript::default());
    assert_eq!(plan(&small("")).upstream, None);
    assert_eq!(plan(&small("[upstream]")).upstream, Some(UpstreamScript::default()));
    let plain = rule("answer = {}");
    assert_eq!(plain.on, []);
    assert_eq!((plain.window, plain.how_often), (Window::ALWAYS, HowOften::Always));
    assert_eq!(plain.answer.what, AnswerWhat::Respond(Box::default()));
    let echo = script("[[rules]]\non = [\"*\"]\nanswer = { echo = {} }");
    assert_eq!(echo, UpstreamScript::echo());
}

#[test]
fn a_scenario_its_section_and_the_sections_keys_say_the_same() {
    let keys = "verify = \"reject\"\ndown = [{ from = \"2s\", until = \"3s\" }]\n";
    let alone = script(keys);
    assert_eq!(alone.verify, Verify::Reject);
    assert_eq!(alone.down, [Window { from: seconds(2), until: Some(seconds(3)) }]);
    let section = format!("[upstream]\n{keys}");
    assert_eq!(script(&section), alone);
    assert_eq!(script(&small(&section)), alone);
    assert_eq!(plan(&small(&section)).upstream, Some(alone));
    let told = load_upstream(&source(&small("")), &|_| None).expect_err("no section").rendered;
    assert!(told.contains("has no `[upstream]`"), "{told}");
}

#[test]
fn a_rule_says_which_requests_it_takes_and_when() {
    let rule = rule(
        "on = [\"validate\", \"connect\", \"chat\", \"user:connect\", \"*\"]\nfrom = \"2s\"\n\
         until = \"4s\"\nfirst = 3\nanswer = { delay = \"50ms..2s\", reset = {} }",
    );
    let name = |text: &str| EventName::parse(text).unwrap();
    let event = |event| UpstreamOn::Kind(RequestKind::Event(event));
    let on = [
        UpstreamOn::Kind(RequestKind::Validate),
        event(Event::System(SystemEvent::Connect)),
        event(Event::User(name("chat"))),
        event(Event::User(name("connect"))),
        UpstreamOn::EveryUserEvent,
    ];
    assert_eq!(rule.on, on);
    assert_eq!(rule.window, Window { from: seconds(2), until: Some(seconds(4)) });
    assert_eq!(rule.how_often, HowOften::First(3));
    let delay = AnswerDelay { from: Duration::from_millis(50), to: seconds(2) };
    assert_eq!(rule.answer, UpstreamAnswer { delay, what: AnswerWhat::Reset });
}

#[test]
fn a_rule_may_be_of_one_hub_and_of_chance() {
    let rule = rule("hub = \"Chat\"\nprobability = \"30%\"\nanswer = { delay = \"7s\" }");
    assert_eq!(rule.hub.as_deref(), Some("Chat"));
    assert_eq!(rule.how_often, HowOften::Chance(0.3));
    assert_eq!(rule.answer.delay, AnswerDelay::fixed(seconds(7)));
}

#[test]
fn bodies_are_those_of_the_file() {
    assert_eq!(response("body = \"boom\"").body, AnswerBody::Text("boom".into()));
    assert_eq!(response("json = '{\"a\":1}'").body, AnswerBody::Json("{\"a\":1}".into()));
    assert_eq!(response("malformed = {}").body, AnswerBody::Malformed);
    assert_eq!(response("oversize = \"17MiB\"").body, AnswerBody::Oversize(17 << 20));
    assert_eq!(response("echo = {}").body, AnswerBody::Echo);
    let keys = "status = 500, body = \"x\", content_type = \"text/xml\", state = \"s\", headers = \
                { Set-Cookie = \"a=b\" }";
    assert_eq!(
        response(keys),
        UpstreamResponse {
            status: Some(500),
            body: AnswerBody::Text("x".into()),
            content_type: Some("text/xml".into()),
            headers: vec![("set-cookie".into(), "a=b".into())],
            state: Some("s".into()),
            origin: AllowedOrigin::Asked,
        }
    );
    let redirect = response("redirect = \"http://b/\"");
    assert_eq!(redirect.status, Some(307));
    assert_eq!(redirect.headers, [("location".to_owned(), "http://b/".to_owned())]);
    let answer = rule("on = [\"connect\"]\nanswer = { connect = { user = \"a\", roles = [] } }");
    let AnswerWhat::Respond(granted) = answer.answer.what else { panic!("an answer") };
    let grant =
        ConnectGrant { user: Some("a".into()), roles: Some(Vec::new()), ..ConnectGrant::default() };
    assert_eq!(granted.body, AnswerBody::Connect(grant));
}

#[test]
fn origins_are_those_of_the_file() {
    let origin = |text: &str| {
        let rule = rule(&format!("on = [\"validate\"]\nanswer = {{ origin = {text} }}"));
        let AnswerWhat::Respond(response) = rule.answer.what else { panic!("{text}") };
        response.origin
    };
    assert_eq!(origin("\"asked\""), AllowedOrigin::Asked);
    assert_eq!(origin("\"any\""), AllowedOrigin::Any);
    assert_eq!(origin("\"missing\""), AllowedOrigin::Missing);
    assert_eq!(origin("\"wrong\""), AllowedOrigin::Wrong);
    let hosts = vec!["a".to_owned(), "b:1".to_owned()];
    assert_eq!(origin("{ lines = [\"a\", \"b:1\"] }"), AllowedOrigin::Lines(hosts.clone()));
    assert_eq!(origin("{ list = [\"a\", \"b:1\"] }"), AllowedOrigin::List(hosts));
}

#[test]
fn a_cold_start_and_a_key_may_be_asked_for_and_the_key_is_never_shown() {
    let text = "key = \"${env:KEY}\"\ncold_start = { lasting = \"3s\", after_idle = \"1m\" }";
    let script = script(text);
    let cold = ColdStart { lasting: seconds(3), after_idle: Some(seconds(60)) };
    assert_eq!(script.cold_start, Some(cold));
    assert_eq!(script.key.as_ref().map(Secret::expose), Some("hunter2-hunter2"));
    let shown = format!("{script:?}{}", serde_json::to_string(&script).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_rule_that_leaves_something_does_not_silence_the_ones_behind_it() {
    let connect = "[[rules]]\non = [\"connect\"]\nanswer = {}\n";
    for before in [
        "first = 1",
        "probability = \"50%\"",
        "until = \"4s\"",
        "from = \"1s\"",
        "hub = \"other\"",
        "on = [\"*\", \"validate\"]",
    ] {
        let text = format!("[[rules]]\n{before}\nanswer = {{}}\n{connect}");
        assert_eq!(script(&text).rules.len(), 2, "{before}");
    }
    let told = |before: &str| {
        let text = format!("[[rules]]\n{before}\nanswer = {{}}\n{connect}");
        load_upstream(&source(&text), &|_| None).expect_err(before).rendered
    };
    for before in ["", "on = [\"connected\", \"connect\"]"] {
        assert!(told(before).contains("never answers anything"), "{before}");
    }
}
