//! Whom a hub calls, and what it tells nobody.

use std::rc::Rc;

use serde_json::Value;
use squall::net::Listener;
use squall::protocol::Subprotocol;
use squall::protocol::control::{LEDGER_PATH, STORY_PATH, TRACE_PATH};
use squall::protocol::webhook::SystemEvent;

use super::kit::{Asked, Handler, Reply, World, handler, settings, world};
use crate::kit::PRIMARY;

/// Statuses that name another place, and others that may.
const MOVED: [u16; 9] = [200, 201, 300, 301, 302, 303, 307, 308, 401];

/// A handler at a host that no setting names.
fn at(world: &World, host: &str) -> Handler {
    Handler::start(Listener::Links(world.network.listen(host, Default::default()).unwrap()))
}

fn away(status: u16) -> Reply {
    Reply::status(status)
        .header("Location: http://elsewhere/api/x")
        .header("Content-Location: http://elsewhere/")
        .header("Refresh: 0; url=http://elsewhere/")
        .header("Link: <http://elsewhere/>; rel=preload")
        .header("Alt-Svc: http/1.1=\"elsewhere:80\"")
        .header("WebHook-Allowed-Origin: http://elsewhere")
}

#[test]
fn only_hosts_of_the_settings_are_called_wherever_an_answer_points() {
    for status in MOVED {
        for is_validation in [true, false] {
            world(settings(), async |world, app| {
                let elsewhere = at(world, "elsewhere");
                app.does(move |asked| match asked.head.starts_with("OPTIONS") {
                    is if is == is_validation => away(status),
                    true => Reply::welcome(),
                    false => Reply::status(204),
                });
                let claims = world.claims("u");
                // A client may say whatever it likes, too.
                let more = "&host=elsewhere&url=http://elsewhere/&event=elsewhere";
                if let Ok(mut client) = world.try_client(&claims, Subprotocol::Simple, more).await {
                    client.say("http://elsewhere/").await;
                    client.leave().await;
                }
                assert!(!app.asked().is_empty(), "the hub asks somebody");
                assert!(elsewhere.asked().is_empty(), "{status}: {:?}", elsewhere.asked());
            });
        }
    }
}

#[test]
fn cookies_of_one_handler_do_not_go_to_another() {
    let mut settings = settings();
    settings.events.handlers = vec![
        handler("http://app/{event}", "", &[SystemEvent::Connect]),
        handler("http://second/{event}", "*", &[]),
    ];
    world(settings, async |world, app| {
        let second = at(world, "second");
        app.answers(|_| {
            Reply::status(204)
                .header("Set-Cookie: session=COOKIE")
                .header("Set-Cookie: wide=COOKIE; Domain=second")
        });
        second.answers(|_| Reply::status(200).body("text/plain", b"ok"));
        let mut client = world.simple("u").await;
        client.say("hello").await;
        assert_eq!(client.text().await, "ok");
        assert_eq!(second.asked()[1].header("cookie"), "");
        client.leave().await;
    });
}

/// How each step of a connection's life may go wrong, as a script.
type Trouble = (&'static str, Rc<dyn Fn(&Asked) -> Reply>);

fn troubles() -> Vec<Trouble> {
    let secret_words = || Reply::status(401).body("text/plain", b"bad key");
    vec![
        ("nothing", Rc::new(|asked: &Asked| friendly(asked))),
        ("validation refused", Rc::new(|_: &Asked| Reply::status(401))),
        ("validation broken off", Rc::new(|_: &Asked| Reply::HangUp)),
        ("no origin", Rc::new(|_: &Asked| Reply::status(200))),
        (
            "event refused",
            Rc::new(move |asked: &Asked| match asked.event() {
                "" => Reply::welcome(),
                _ => secret_words(),
            }),
        ),
        (
            "event broken off",
            Rc::new(|asked: &Asked| match asked.event() {
                "" => Reply::welcome(),
                _ => Reply::HangUp,
            }),
        ),
        (
            "user event not understood",
            Rc::new(|asked: &Asked| match asked.event() {
                "message" => Reply::status(200).body("image/png", b"x"),
                _ => friendly(asked),
            }),
        ),
    ]
}

fn friendly(asked: &Asked) -> Reply {
    match asked.event() {
        "" => Reply::welcome(),
        "connect" => Reply::status(204)
            .header("ce-connectionState: STATE")
            .header("Set-Cookie: session=COOKIE"),
        _ => Reply::status(204),
    }
}

#[test]
fn signatures_tokens_and_keys_of_urls_are_in_nothing_that_the_hub_tells() {
    for (name, trouble) in troubles() {
        world(settings(), async |world, app| {
            app.does(move |asked| trouble(asked));
            let claims = world.claims("u");
            let path = world.path(&claims, "");
            let token = path.split_once("access_token=").unwrap().1;
            if let Ok(mut client) = world.try_client(&claims, Subprotocol::Simple, "").await {
                client.say("hello").await;
                client.leave().await;
            }
            let mut told = serde_json::to_string(&world.counters().await).unwrap();
            for path in [LEDGER_PATH, TRACE_PATH, STORY_PATH] {
                let lines: Vec<Value> = world.lines(path).await;
                told += &serde_json::to_string(&lines).unwrap();
            }
            assert!(told.contains("operationName"), "the log says something: {told}");
            let signatures = app.asked();
            let signatures = signatures.iter().map(|asked| asked.header("ce-signature"));
            let signatures: Vec<_> =
                signatures.flat_map(|of| of.split(',')).filter(|one| !one.is_empty()).collect();
            let others = ["SECRET", "code=", "sha256", "COOKIE", "STATE", PRIMARY, token];
            for secret in signatures.into_iter().chain(others) {
                assert!(!told.contains(secret), "{name}: {secret} in {told}");
            }
        });
    }
}
