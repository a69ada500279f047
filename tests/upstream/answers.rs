//! What is answered, in both worlds.

use http::{Method, StatusCode};
use squall::net::http::{HttpError, HttpRequest};
use squall::protocol::control::{COUNTERS_PATH, TIMELINE_PATH};
use squall::protocol::webhook::counts::{SignatureCounts, ValidationCounts};
use squall::protocol::webhook::{ConnectAnswer, SystemEvent, allows_origin, texts};
use squall::upstream::{Notice, RequestEnd};

use super::kit::*;

#[test]
fn a_server_without_a_script_is_healthy() {
    everywhere("", async |upstream| {
        for method in [Method::OPTIONS, Method::GET] {
            let answer = upstream.ask(validation(method)).await.unwrap();
            assert_eq!(answer.status, StatusCode::OK);
            assert!(allows_origin(&answer.headers, ORIGIN));
            assert_eq!(header(&answer, "webhook-allowed-origin"), ORIGIN);
        }
        for event in SystemEvent::ALL.map(system).into_iter().chain([user("chat")]) {
            let answer = upstream.event(event, "c1").await;
            assert_eq!((answer.status, text(&answer)), (StatusCode::NO_CONTENT, ""));
        }
        let counts = upstream.counts().await;
        assert_eq!(counts.requests.len(), 5);
        assert_eq!(counts.validations, ValidationCounts { granted: 2, denied: 0 });
        assert_eq!(counts.signatures, SignatureCounts { good: 4, ..SignatureCounts::default() });
    });
}

#[test]
fn what_no_hub_asks_is_not_handled() {
    everywhere("[[rules]]\nanswer = { status = 503 }", async |upstream| {
        let mut without_version = validation(Method::OPTIONS);
        without_version.headers.pop();
        let mut without_origin = validation(Method::OPTIONS);
        without_origin.headers.remove(0);
        let mut unknown = post(&head(user("chat"), "c1"), "");
        unknown.headers.retain(|(name, _)| name != "ce-type");
        let put = HttpRequest { method: Method::PUT, ..unknown.clone() };
        for (request, status) in
            [(without_version, 404), (without_origin, 400), (unknown, 404), (put, 404)]
        {
            assert_eq!(upstream.ask(request).await.unwrap().status, status);
        }
        let counts = upstream.counts().await;
        assert_eq!((counts.of_strangers, counts.requests.len()), (4, 0));
    });
}

#[test]
fn the_first_rule_that_takes_a_request_answers_it() {
    let script = r#"
        [[rules]]
        on = ["connect"]
        hub = "OTHER"
        answer = { status = 401 }
        [[rules]]
        on = ["connect", "chat"]
        answer = { status = 500, body = "boom", headers = { Retry-After = "3" } }
        [[rules]]
        on = ["*", "validate"]
        answer = { status = 418 }
    "#;
    everywhere(script, async |upstream| {
        let boom = upstream.event(connect(), "c1").await;
        assert_eq!((boom.status.as_u16(), text(&boom)), (500, "boom"));
        assert_eq!(header(&boom, "retry-after"), "3");
        assert_eq!(header(&boom, "content-type"), "text/plain; charset=utf-8");
        let mut elsewhere = head(connect(), "c1");
        elsewhere.hub = "other".into();
        assert_eq!(upstream.ask(post(&elsewhere, "")).await.unwrap().status, 401);
        assert_eq!(upstream.status(user("CHAT")).await, 500);
        assert_eq!(upstream.status(user("other")).await, 418);
        assert_eq!(upstream.ask(validation(Method::OPTIONS)).await.unwrap().status, 418);
        assert_eq!(upstream.status(system(SystemEvent::Connected)).await, 204, "no rule");
        assert_eq!(upstream.counts_of("chat").await.answered, [(500, 1)].into());
    });
}

#[test]
fn bodies_are_what_the_script_says() {
    let script = r#"
        [[rules]]
        on = ["connect"]
        answer = { connect = { user = "a", groups = ["g"], roles = [] }, state = "s1" }
        [[rules]]
        on = ["echo"]
        answer = { echo = {} }
        [[rules]]
        on = ["json"]
        answer = { json = '{"a":1}' }
        [[rules]]
        on = ["bad"]
        answer = { malformed = {} }
        [[rules]]
        on = ["big"]
        answer = { oversize = "200001B" }
        [[rules]]
        on = ["typed"]
        answer = { body = "<a/>", content_type = "text/xml" }
        [[rules]]
        on = ["moved"]
        answer = { redirect = "http://elsewhere/" }
    "#;
    everywhere(script, async |upstream| {
        let granted = upstream.event(connect(), "c1").await;
        assert_eq!(
            (granted.status.as_u16(), header(&granted, "ce-connectionState").as_str()),
            (200, "s1")
        );
        let expected = ConnectAnswer {
            user_id: Some("a".into()),
            groups: Some(vec!["g".into()]),
            roles: Some(Vec::new()),
            subprotocol: None,
        };
        assert_eq!(ConnectAnswer::parse(&granted.body), Ok(expected));

        let echo = upstream.event(user("echo"), "c1").await;
        assert_eq!((header(&echo, "content-type").as_str(), text(&echo)), ("text/plain", "hello"));
        let nothing = upstream.ask(post(&head(user("echo"), "c1"), "")).await.unwrap();
        assert_eq!(nothing.status, StatusCode::NO_CONTENT);

        assert_eq!(text(&upstream.event(user("json"), "c1").await), "{\"a\":1}");
        let bad = upstream.event(user("bad"), "c1").await;
        assert_eq!(bad.status, StatusCode::OK);
        assert!(serde_json::from_slice::<serde_json::Value>(&bad.body).is_err());
        assert!(ConnectAnswer::parse(&bad.body).is_err());
        let big = upstream.event(user("big"), "c1").await;
        assert_eq!((big.body.len(), header(&big, "content-length").as_str()), (200_001, "200001"));
        let typed = upstream.event(user("typed"), "c1").await;
        assert_eq!((header(&typed, "content-type").as_str(), text(&typed)), ("text/xml", "<a/>"));
        let moved = upstream.event(user("moved"), "c1").await;
        assert_eq!(
            (moved.status.as_u16(), header(&moved, "location").as_str()),
            (307, "http://elsewhere/")
        );
    });
}

#[test]
fn a_validation_is_answered_with_the_origins_of_the_script() {
    for (origin, lines, granted) in [
        ("\"asked\"", ORIGIN, true),
        ("\"any\"", "*", true),
        ("\"missing\"", "", false),
        ("\"wrong\"", "wrong.invalid", false),
        ("{ lines = [\"a\", \"hub.example\"] }", "a | hub.example", true),
        ("{ lines = [\"a\"] }", "a", false),
        ("{ list = [\"a\", \"hub.example\"] }", "a, hub.example", false),
    ] {
        let script = format!("[[rules]]\non = [\"validate\"]\nanswer = {{ origin = {origin} }}");
        everywhere(&script, async |upstream| {
            let answer = upstream.ask(validation(Method::OPTIONS)).await.unwrap();
            assert_eq!(header(&answer, "webhook-allowed-origin"), lines, "{origin}");
            assert_eq!(allows_origin(&answer.headers, ORIGIN), granted, "{origin}");
            let counted = upstream.counts().await.validations;
            let expected =
                ValidationCounts { granted: u64::from(granted), denied: u64::from(!granted) };
            assert_eq!(counted, expected, "{origin}");
        });
    }
}

#[test]
fn a_failed_status_denies_whatever_the_origin() {
    everywhere("[[rules]]\non = [\"validate\"]\nanswer = { status = 404 }", async |upstream| {
        let answer = upstream.ask(validation(Method::OPTIONS)).await.unwrap();
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(upstream.counts().await.validations.denied, 1);
    });
}

#[test]
fn without_the_key_in_the_query_everything_is_401() {
    everywhere("key = \"o p/en\"", async |upstream| {
        let with = |query: &str, mut request: HttpRequest| {
            request.path_and_query.push_str(query);
            request
        };
        for request in [validation(Method::OPTIONS), post(&head(connect(), "c1"), "")] {
            for query in ["", "?code=", "?code=o%20p%2Fenx", "?x=o%20p%2Fen"] {
                let answer = upstream.ask(with(query, request.clone())).await.unwrap();
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{query}");
            }
            let answer = upstream.ask(with("?a=b&code=o%20p%2Fen", request)).await.unwrap();
            assert!(answer.status.is_success());
        }
        let counts = upstream.counts().await;
        assert_eq!(counts.validations, ValidationCounts { granted: 1, denied: 4 });
        assert_eq!(counts.signatures.good, 1, "no signature is looked at before the key");
    });
}

#[test]
fn signatures_and_origins_are_counted_and_rejected_where_the_script_says_so() {
    let spoilt = || {
        let good = head(connect(), "c1");
        let mut of_another = good.clone();
        of_another.connection_id = "c2".into();
        let mut missing = good.clone();
        missing.signature.clear();
        let mut elsewhere = good.clone();
        elsewhere.origin = "other.example".into();
        let mut without_port = good.clone();
        without_port.origin = "HUB.example".into();
        [
            (good, true),
            (without_port, true),
            (of_another, false),
            (missing, false),
            (elsewhere, false),
        ]
    };
    let expected = SignatureCounts { good: 3, bad: 1, missing: 1 };
    everywhere("", async |upstream| {
        for (head, _) in spoilt() {
            assert_eq!(upstream.ask(post(&head, "")).await.unwrap().status, 204);
        }
        assert_eq!(upstream.counts().await.signatures, expected);
    });
    everywhere("verify = \"reject\"", async |upstream| {
        for (head, is_good) in spoilt() {
            let answer = upstream.ask(post(&head, "")).await.unwrap();
            let (status, body) = if is_good { (204, "") } else { (500, texts::TARGET_INVALID) };
            assert_eq!((answer.status.as_u16(), text(&answer)), (status, body), "{head:?}");
        }
        assert_eq!(upstream.counts().await.signatures, expected);
        let validation = upstream.ask(validation(Method::OPTIONS)).await.unwrap();
        assert_eq!(validation.status, StatusCode::OK, "a validation has no signature");
    });
}

#[test]
fn a_server_that_was_set_up_for_another_hub_believes_no_signature_of_this_one() {
    let script = "access_key = \"another-hub\"\nverify = \"reject\"";
    everywhere(script, async |upstream| {
        let answer = upstream.event(connect(), "c1").await;
        assert_eq!((answer.status.as_u16(), text(&answer)), (500, texts::TARGET_INVALID));
        let bad = SignatureCounts { bad: 1, ..SignatureCounts::default() };
        assert_eq!(upstream.counts().await.signatures, bad, "its own API still knows this hub");
    });
}

#[test]
fn a_connection_is_reset_or_ended_without_an_answer() {
    let script = r#"
        [[rules]]
        on = ["cut"]
        answer = { reset = {} }
        [[rules]]
        on = ["end"]
        answer = { close = {} }
    "#;
    everywhere(script, async |upstream| {
        let mut why = Vec::new();
        for name in ["cut", "end"] {
            let broken = upstream.ask(post(&head(user(name), "c1"), "hello")).await.unwrap_err();
            let HttpError::Broken(text) = broken else { panic!("{broken}") };
            why.push(text);
            let counts = upstream.counts_of(name).await;
            assert_eq!((counts.received, counts.broken_off), (1, 1));
        }
        assert_ne!(why[0], why[1], "a reset is not an end");
        assert_eq!(upstream.status(user("other")).await, 204, "it goes on");
    });
}

#[test]
fn only_a_signed_caller_gets_the_control_api() {
    everywhere("", async |upstream| {
        let mut request = upstream.signed(Method::GET, COUNTERS_PATH, "");
        assert_eq!(upstream.ask(request.clone()).await.unwrap().status, StatusCode::OK);
        request.path_and_query = TIMELINE_PATH.into();
        request.method = Method::POST;
        assert_eq!(upstream.ask(request.clone()).await.unwrap().status, 404, "another audience");
        request.headers.clear();
        assert_eq!(upstream.ask(request).await.unwrap().status, 404);
        let garbage = upstream.signed(Method::POST, TIMELINE_PATH, "{}");
        assert_eq!(upstream.ask(garbage).await.unwrap().status, StatusCode::BAD_REQUEST);
        let unknown = upstream.signed(Method::GET, "/_squall/ledger", "");
        assert_eq!(upstream.ask(unknown).await.unwrap().status, 404);
        assert_eq!(upstream.counts().await.of_strangers, 2);
    });
}

#[test]
fn every_request_is_told_once_it_has_ended_without_its_secrets() {
    everywhere("key = \"hunter2\"\n[[rules]]\non=[\"cut\"]\nanswer={reset={}}", async |upstream| {
        let mut request = post(&head(connect(), "c7"), "");
        request.path_and_query.push_str("?code=hunter2");
        upstream.ask(request).await.unwrap();
        let mut request = post(&head(user("cut"), "c8"), "");
        request.path_and_query.push_str("?code=hunter2");
        upstream.ask(request).await.unwrap_err();
        upstream.begin().await;
        for (kind, connection_id, ended) in
            [("connect", "c7", RequestEnd::Answered(204)), ("cut", "c8", RequestEnd::BrokenOff)]
        {
            let notice = upstream.notice().await;
            let shown = format!("{notice:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("sha256"), "{shown}");
            let Notice::Request(told) = notice else { panic!("{shown}") };
            assert_eq!(told.kind.unwrap().to_string(), kind);
            assert_eq!((told.connection_id.as_str(), told.ended), (connection_id, ended));
        }
        assert_eq!(upstream.notice().await, Notice::RunBegan { run: "r1".into() });
    });
}

#[test]
fn a_body_past_the_limit_is_refused() {
    everywhere("", async |upstream| {
        let long = "x".repeat(2 * 1024 * 1024 + 1);
        let answer = upstream.ask(post(&head(user("chat"), "c1"), &long)).await;
        // The rest of the body may not find anybody who reads it.
        match answer {
            Ok(answer) => assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE),
            Err(error) => assert!(matches!(error, HttpError::Broken(_)), "{error}"),
        }
        assert_eq!(upstream.counts_of("chat").await.answered, [(413, 1)].into());
    });
}
