//! Handlers that do not let the hub in, are slow, or dead.

use std::cell::Cell;
use std::time::Duration;

use squall::protocol::Subprotocol;
use squall::protocol::control::EventFailure;
use squall::protocol::webhook::SystemEvent;

use super::kit::{Reply, World, handler, settings, taking, world};

async fn status(world: &World) -> u16 {
    let claims = world.claims("u");
    match world.try_client(&claims, Subprotocol::Simple, "").await {
        Ok(client) => {
            client.leave().await;
            101
        }
        Err((status, _)) => status,
    }
}

fn allowing(lines: &'static [&'static str]) -> impl Fn(&super::kit::Asked) -> Reply {
    move |_| {
        let lines = lines.iter();
        lines.fold(Reply::status(200), |reply, line| {
            reply.header(&format!("WebHook-Allowed-Origin: {line}"))
        })
    }
}

#[test]
fn only_a_handler_that_allows_this_hub_gets_events() {
    for (lines, lets_in) in [
        (&["*"][..], true),
        (&["HUB"], true),
        (&["hub:8080"], true),
        (&["x", "hub"], true),
        (&["x, hub"], false),
        (&["hub:81"], false),
        (&[], false),
    ] {
        world(taking(&[SystemEvent::Connect]), async |world, app| {
            app.does(allowing(lines));
            assert_eq!(status(world).await, if lets_in { 101 } else { 500 }, "{lines:?}");
            let failed = world.failed().await;
            if lets_in {
                assert_eq!(failed, []);
            } else {
                let name = "AbuseProtectionResponseMissingAllowedOrigin".to_owned();
                let message = format!(
                    "Abuse protection for 'http://app/api/validate' missing allowed origins: {}.",
                    lines.join(",")
                );
                assert_eq!(failed, [(name, message)]);
                assert_eq!(app.story(), ["OPTIONS"], "no event was sent");
            }
        });
    }
}

#[test]
fn the_origin_can_be_set() {
    let mut settings = taking(&[SystemEvent::Connect]);
    settings.events.origin = Some("my.hub".into());
    world(settings, async |world, app| {
        app.does(allowing(&["my.hub"]));
        assert_eq!(status(world).await, 101);
        let asked = app.asked();
        assert!(asked.iter().all(|asked| asked.header("webhook-request-origin") == "my.hub"));
    });
}

#[test]
fn a_status_that_is_no_success_is_a_bad_validation_and_404_is_asked_again_with_get() {
    world(taking(&[SystemEvent::Connect]), async |world, app| {
        app.does(|_| Reply::status(401));
        assert_eq!(status(world).await, 500);
        let name = "AbuseProtectionResponseInvalidStatusCode".to_owned();
        let message = "Abuse protection for 'http://app/api/validate' failed: 401.".to_owned();
        assert_eq!(world.failed().await, [(name, message)]);
        assert_eq!(app.story(), ["OPTIONS"]);
        assert_eq!(world.failures().await[0]["category"], "ConnectivityLogs");
    });
    world(taking(&[SystemEvent::Connect]), async |world, app| {
        app.does(|asked| match asked.line() {
            line if line.starts_with("OPTIONS") => Reply::status(404),
            _ => Reply::welcome(),
        });
        assert_eq!(status(world).await, 101);
        let asked = app.asked();
        assert_eq!(asked[1].line(), "GET /api/validate?code=SECRET");
        assert_eq!(
            asked[0].head.split_once('\n').unwrap().1,
            asked[1].head.split_once('\n').unwrap().1
        );
    });
}

#[test]
fn a_good_validation_lasts_a_minute_and_is_then_asked_for_beside_the_events() {
    world(taking(&[SystemEvent::Connect]), async |world, app| {
        let asked = |app: &super::kit::Handler| {
            app.story().iter().filter(|name| *name == "OPTIONS").count()
        };
        assert_eq!(status(world).await, 101);
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!((status(world).await, asked(app)), (101, 1));
        // It turns bad: the event that finds out still goes.
        app.does(|asked| match asked.event() {
            "" => Reply::status(403),
            _ => Reply::status(200),
        });
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!((status(world).await, asked(app)), (101, 2));
        assert_eq!((status(world).await, asked(app)), (500, 2));
        let counters = world.counters().await.webhooks;
        assert_eq!((counters.validations_good, counters.validations_bad), (1, 1));
    });
}

#[test]
fn a_bad_validation_is_asked_for_again_after_one_second_then_two_up_to_a_minute() {
    world(taking(&[SystemEvent::Connect]), async |world, app| {
        app.does(|_| Reply::status(403));
        for _ in 0..3_000 {
            assert_eq!(status(world).await, 500);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let at: Vec<u64> = app.asked().iter().map(|asked| asked.at.as_secs()).collect();
        let waits: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        app.does(|_| Reply::welcome());
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(status(world).await, 500, "the last answer counts until the next is there");
        assert_eq!(status(world).await, 101);
    });
}

#[test]
fn first_events_at_once_share_one_validation() {
    world(taking(&[SystemEvent::Connect]), async |world, app| {
        app.does(|asked| match asked.event() {
            "" => Reply::welcome().after(Duration::from_secs(2)),
            _ => Reply::status(200),
        });
        let all = futures::future::join_all((0..50).map(|_| status(world))).await;
        assert!(all.iter().all(|&status| status == 101), "{all:?}");
        let story = app.story();
        assert_eq!(story.iter().filter(|name| *name == "OPTIONS").count(), 1);
        assert_eq!(story.len(), 51);
    });
}

#[test]
fn whoever_waits_first_for_a_validation_may_give_up() {
    world(taking(&[SystemEvent::Connect]), async |world, app| {
        app.does(|asked| match asked.event() {
            "" => Reply::welcome().after(Duration::from_secs(2)),
            _ => Reply::status(200),
        });
        let first = tokio::time::timeout(Duration::from_secs(1), status(world));
        let second = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            status(world).await
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.is_err(), second), (true, 101));
    });
}

#[test]
fn a_validation_without_an_answer_fails_after_ten_seconds() {
    world(taking(&[SystemEvent::Connect]), async |world, app| {
        app.does(|_| Reply::welcome().after(Duration::from_secs(11)));
        let began = tokio::time::Instant::now();
        assert_eq!(status(world).await, 500);
        assert_eq!(began.elapsed().as_secs(), 10, "what takes too long is not repeated");
        let failure = &world.failures().await[0]["properties"];
        assert_eq!(failure["eventName"], "AbuseProtectionResponseFailed");
        assert_eq!(
            failure["message"],
            "Abuse protection validation for 'http://app/api/validate' failed."
        );
        assert_eq!(failure["exception"], "no answer within 10s");
    });
}

#[test]
fn a_dead_handler_costs_nine_seconds() {
    let mut settings = settings();
    settings.events.handlers = vec![handler("http://nobody/", "", &[SystemEvent::Connect])];
    world(settings, async |world, _| {
        let began = tokio::time::Instant::now();
        assert_eq!(status(world).await, 500);
        assert_eq!(began.elapsed().as_secs(), 9);
        let failure = &world.failures().await[0]["properties"];
        assert_eq!(failure["eventName"], "AbuseProtectionResponseFailed");
        let why = failure["exception"].as_str().unwrap();
        assert!(why.starts_with("cannot connect to nobody"), "{why}");
        let counters = world.counters().await.webhooks;
        assert_eq!((counters.validation_requests, counters.validations_bad), (4, 1));
        let connect = &counters.events["connect"];
        assert_eq!(connect.failed, [(EventFailure::NotValidated, 1)].into());
        assert_eq!(connect.requests, 0);
    });
}

#[test]
fn broken_connections_408_and_5xx_are_repeated_with_the_same_event() {
    for reply in [Reply::HangUp, Reply::status(408), Reply::status(500), Reply::status(599)] {
        world(taking(&[SystemEvent::Connect]), async |world, app| {
            let left = Cell::new(3);
            app.answers(move |_| {
                left.set(left.get() - 1);
                if left.get() >= 0 { reply.clone() } else { Reply::status(200) }
            });
            assert_eq!(status(world).await, 101);
            let asked = app.asked();
            let at: Vec<u64> = asked[1..].iter().map(|asked| asked.at.as_secs()).collect();
            assert_eq!(at, [0, 1, 4, 9]);
            for again in &asked[2..5] {
                assert_eq!(again.head, asked[1].head);
                assert_eq!(again.body, asked[1].body);
            }
        });
    }
}

#[test]
fn what_takes_too_long_and_429_are_not_repeated() {
    for reply in [Reply::status(429), Reply::status(200).after(Duration::from_secs(101))] {
        world(taking(&[SystemEvent::Connect]), async |world, app| {
            app.answers(move |_| reply.clone());
            assert!(status(world).await >= 429);
            assert_eq!(app.story(), ["OPTIONS", "connect"]);
        });
    }
}

#[test]
fn the_time_limit_counts_the_waits() {
    let mut settings = taking(&[SystemEvent::Connect]);
    settings.events.policy.within = Duration::from_secs(6);
    world(settings, async |world, app| {
        app.answers(|_| Reply::status(500));
        let began = tokio::time::Instant::now();
        assert_eq!(status(world).await, 500);
        assert_eq!((began.elapsed().as_secs(), app.story().len()), (6, 4));
        let counters = world.counters().await.webhooks;
        assert_eq!(counters.events["connect"].failed, [(EventFailure::TimedOut, 1)].into());
    });
}

#[test]
fn a_state_that_is_not_ascii_fails_the_next_event_without_a_request() {
    world(taking(&[]), async |world, app| {
        app.answers(|_| {
            Reply::status(200).header("ce-connectionState: \u{e4}").body("text/plain", b"ok")
        });
        let mut client = world.simple("u").await;
        client.say("1").await;
        client.text().await;
        client.say("2").await;
        client.heard().await;
        assert_eq!(app.story(), ["OPTIONS", "message"]);
        let counters = world.counters().await.webhooks;
        assert_eq!(counters.events["message"].failed, [(EventFailure::Header, 1)].into());
        client.abort();
    });
}

#[test]
fn one_seed_gives_one_story() {
    let run = || {
        let mut told = String::new();
        world(settings(), async |world, app| {
            let turn = Cell::new(0_u64);
            app.answers(move |_| {
                turn.set(turn.get() + 1);
                match turn.get() % 7 {
                    0 => Reply::status(500),
                    3 => Reply::HangUp,
                    wait => Reply::status(200).after(Duration::from_millis(wait * 13)),
                }
            });
            let clients = (0..20).map(async |n| {
                let Ok(mut client) = world
                    .try_client(&world.claims(&format!("u{n}")), Subprotocol::Simple, "")
                    .await
                else {
                    return;
                };
                client.say("x").await;
                client.leave().await;
            });
            futures::future::join_all(clients).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            let asked = app.asked();
            told = asked.iter().map(|asked| format!("{:?} {}\n", asked.at, asked.head)).collect();
            told += &serde_json::to_string(&world.counters().await).unwrap();
        });
        told
    };
    assert_eq!(run(), run());
}
