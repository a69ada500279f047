//! When things are answered: exact on a paused clock.

use std::time::Duration;

use futures::future::join_all;
use http::Method;
use squall::net::http::{HttpCaller, HttpError};
use squall::net::{ConnectError, Dial};
use tokio::io::AsyncReadExt as _;

use super::kit::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_rule_holds_in_its_window_and_the_timeline_can_begin_anew() {
    let script = r#"
        [[rules]]
        on = ["connect"]
        from = "2s"
        until = "4s"
        answer = { status = 500 }
    "#;
    virtually(script, async |upstream| {
        for _ in 0..2 {
            for (at, status) in [(0, 204), (1_999, 204), (2_000, 500), (3_999, 500), (4_000, 204)] {
                upstream.until(ms(at)).await;
                assert_eq!(upstream.status(connect()).await, status, "{at} ms");
            }
            let counts = upstream.counts_of("connect").await;
            assert_eq!(counts.answered, [(204, 3), (500, 2)].into());
            upstream.begin().await;
            assert_eq!(upstream.counts_of("connect").await.received, 0);
        }
    });
}

#[test]
fn a_request_under_way_when_a_timeline_begins_counts_for_neither() {
    virtually("[[rules]]\nanswer = { delay = \"2s\" }", async |upstream| {
        let before = upstream.event(connect(), "c1");
        let after = async {
            upstream.until(seconds(1)).await;
            upstream.begin().await;
            upstream.event(connect(), "c2").await
        };
        let look = async {
            upstream.until(ms(2_500)).await;
            let counts = upstream.counts_of("connect").await;
            (counts.received, counts.in_flight)
        };
        let (before, after, seen) = tokio::join!(before, after, look);
        assert_eq!((before.status.as_u16(), after.status.as_u16()), (204, 204));
        assert_eq!(seen, (1, 1));
    });
}

#[test]
fn the_first_so_many_are_those_that_come_while_the_rule_holds() {
    let script = r#"
        [[rules]]
        on = ["connect"]
        from = "1s"
        first = 3
        answer = { status = 500 }
    "#;
    virtually(script, async |upstream| {
        for _ in 0..2 {
            assert_eq!(upstream.status(connect()).await, 204);
            upstream.until(seconds(1)).await;
            let mut statuses = Vec::new();
            for _ in 0..5 {
                statuses.push(upstream.status(connect()).await);
                assert_eq!(upstream.status(user("chat")).await, 204, "no connect");
            }
            assert_eq!(statuses, [500, 500, 500, 204, 204]);
            upstream.begin().await;
        }
    });
}

/// Statuses of a hundred events under a rule of chance.
fn drawn(seed: u64) -> Vec<u16> {
    let script = "[[rules]]\non = [\"*\"]\nprobability = \"30%\"\nanswer = { status = 500 }";
    let mut statuses = Vec::new();
    virtually_with(seed, script, async |upstream| {
        for _ in 0..100 {
            statuses.push(upstream.status(user("chat")).await);
        }
        upstream.begin().await;
        let mut again = Vec::new();
        for _ in 0..100 {
            again.push(upstream.status(user("chat")).await);
        }
        assert_eq!(again, statuses, "a timeline draws anew");
    });
    statuses
}

#[test]
fn a_chance_follows_the_seed() {
    let (first, again, other) = (drawn(1), drawn(1), drawn(2));
    assert_eq!(first, again);
    assert_ne!(first, other);
    for statuses in [first, other] {
        let failed = statuses.iter().filter(|status| **status == 500).count();
        assert!((15..=45).contains(&failed), "{failed} of 100");
    }
}

#[test]
fn answers_take_their_time_side_by_side() {
    virtually("[[rules]]\non = [\"connect\"]\nanswer = { delay = \"1500ms\" }", async |upstream| {
        let many = join_all((0..50).map(|client| {
            let id = format!("c{client}");
            async move { upstream.event(connect(), &id).await.status.as_u16() }
        }));
        assert_eq!(many.await, vec![204; 50]);
        assert_eq!(upstream.elapsed(), ms(1_500));
        assert_eq!(upstream.status(user("chat")).await, 204);
        assert_eq!(upstream.elapsed(), ms(1_500), "others are not delayed");
        upstream.status(connect()).await;
        let counts = upstream.counts().await;
        assert_eq!(counts.in_flight_peak, 50);
        let connects = upstream.counts_of("connect").await;
        assert_eq!((connects.received, connects.connections), (51, 50), "c1 came twice");
        assert_eq!((connects.in_flight_peak, connects.per_second_peak), (50, 50));
    });
}

#[test]
fn the_peak_of_a_second_counts_from_the_start_of_the_timeline() {
    virtually("", async |upstream| {
        for at in [0, 900, 999, 1_000, 1_999, 5_000, 5_100, 5_200, 5_999] {
            upstream.until(ms(at)).await;
            upstream.status(connect()).await;
        }
        assert_eq!(upstream.counts_of("connect").await.per_second_peak, 4);
    });
}

/// How long each of thirty answers took that are drawn from a range.
fn delays(seed: u64) -> Vec<Duration> {
    let mut taken = Vec::new();
    virtually_with(seed, "[[rules]]\nanswer = { delay = \"50ms..2s\" }", async |upstream| {
        for _ in 0..30 {
            let before = upstream.elapsed();
            upstream.status(connect()).await;
            taken.push(upstream.elapsed() - before);
        }
    });
    taken
}

#[test]
fn a_range_of_delays_is_drawn_from_the_seed() {
    let taken = delays(1);
    assert_eq!(taken, delays(1));
    assert_ne!(taken, delays(2));
    assert!(taken.iter().all(|delay| (ms(50)..=ms(2_001)).contains(delay)), "{taken:?}");
    let (least, most) = (taken.iter().min().unwrap(), taken.iter().max().unwrap());
    assert!(*least < ms(500) && *most > ms(1_500), "{taken:?}");
}

#[test]
fn the_first_request_wakes_a_cold_server_and_others_wait_for_it_too() {
    let script = r#"
        cold_start = { lasting = "3s", after_idle = "1m" }
        [[rules]]
        on = ["chat"]
        answer = { delay = "100ms" }
    "#;
    virtually(script, async |upstream| {
        upstream.until(seconds(1)).await;
        let later = async {
            upstream.until(seconds(3)).await;
            upstream.status(user("chat")).await;
            upstream.elapsed()
        };
        let first = async {
            upstream.ask(validation(Method::OPTIONS)).await.unwrap();
            upstream.elapsed()
        };
        assert_eq!(tokio::join!(first, later), (seconds(4), ms(4_100)));
        upstream.status(connect()).await;
        assert_eq!(upstream.elapsed(), ms(4_100), "it is awake");
        upstream.until(ms(64_099)).await;
        upstream.status(connect()).await;
        assert_eq!(upstream.elapsed(), ms(64_099), "not idle for a minute yet");
        upstream.until(ms(64_099) + seconds(60)).await;
        upstream.status(connect()).await;
        assert_eq!(upstream.elapsed(), ms(64_099) + seconds(63), "asleep again");
    });
}

#[test]
fn while_it_is_down_nobody_listens_and_what_was_open_is_reset() {
    let script = r#"
        cold_start = { lasting = "1s" }
        down = [{ from = "5s", until = "8s" }, { from = "10s" }]
        [[rules]]
        on = ["slow"]
        answer = { delay = "30s" }
    "#;
    virtually(script, async |upstream| {
        upstream.begin().await;
        let mut kept = HttpCaller::new(upstream.connector.clone());
        let chat = || post(&head(user("chat"), "c1"), "");
        assert_eq!(kept.call(chat(), seconds(60)).await.unwrap().status, 204);
        assert_eq!(upstream.elapsed(), seconds(1), "cold");
        let slow = upstream.ask(post(&head(user("slow"), "c2"), "")).await.unwrap_err();
        assert!(matches!(slow, HttpError::Broken(_)), "{slow}");
        assert_eq!(upstream.elapsed(), seconds(5));
        for at in [5_000, 6_000, 7_999] {
            upstream.until(ms(at)).await;
            let refused = upstream.ask(chat()).await.unwrap_err();
            assert!(matches!(refused, HttpError::Connect(ConnectError { .. })), "{refused}");
        }
        assert_eq!(upstream.counts_of("slow").await.broken_off, 1, "the control API stays");
        upstream.until(ms(8_001)).await;
        assert_eq!(
            kept.call(chat(), seconds(60)).await.unwrap().status,
            204,
            "on a new connection"
        );
        assert_eq!(upstream.elapsed(), ms(9_001), "cold again");
        upstream.until(seconds(3_600)).await;
        upstream.ask(chat()).await.unwrap_err();
        assert_eq!(upstream.counts_of("chat").await.received, 2, "also after an hour");
        upstream.begin().await;
        assert_eq!(upstream.ask(chat()).await.unwrap().status, 204, "a new timeline");
    });
}

#[test]
fn a_connection_over_which_nothing_is_asked_is_ended_in_time() {
    virtually("[[rules]]\non = [\"slow\"]\nanswer = { delay = \"10m\" }", async |upstream| {
        let mut stream = upstream.connector.connect(Dial::default()).await.unwrap();
        let mut slow = HttpCaller::new(upstream.connector.clone());
        let answer = slow.call(post(&head(user("slow"), "c1"), ""), seconds(1_000));
        let read = async {
            let read = stream.read(&mut [0; 8]).await;
            (read.unwrap(), upstream.elapsed())
        };
        let (answer, (read, at)) = tokio::join!(answer, read);
        assert_eq!((read, at), (0, seconds(130)));
        assert_eq!(answer.unwrap().status, 204, "it waits for its answer");
    });
}

#[test]
fn a_port_is_refused_and_served_again_over_loopback_too() {
    everywhere("down = [{ until = \"300ms\" }, { from = \"1m\" }]", async |upstream| {
        // The first window is open from the start; its end is waited for, however late it is seen.
        let answer = soon(async {
            loop {
                match upstream.ask(validation(Method::OPTIONS)).await {
                    Ok(answer) => break answer,
                    Err(_) => tokio::time::sleep(ms(20)).await,
                }
            }
        });
        assert_eq!(answer.await.status, 200);
        assert!(upstream.elapsed() >= ms(300));
        upstream.begin().await;
        let refused = upstream.ask(validation(Method::OPTIONS)).await.unwrap_err();
        assert!(matches!(refused, HttpError::Connect(_)), "down from the new start: {refused}");
    });
}

#[test]
fn a_hub_that_leaves_before_the_answer_is_counted_as_such() {
    everywhere("[[rules]]\non=[\"slow\"]\nanswer = { delay = \"100s\" }", async |upstream| {
        let request = post(&head(user("slow"), "c1"), "");
        let given_up = HttpCaller::new(upstream.connector.clone()).call(request, ms(100)).await;
        assert!(matches!(given_up.unwrap_err(), HttpError::TimedOut(_)));
        soon(async {
            while upstream.counts_of("slow").await.abandoned == 0 {
                tokio::time::sleep(ms(10)).await;
            }
        })
        .await;
    });
}

#[test]
fn stopping_breaks_slow_answers_off() {
    everywhere("[[rules]]\nanswer = { delay = \"100s\" }", async |upstream| {
        let asked = upstream.ask(post(&head(connect(), "c1"), ""));
        let stopped = async {
            soon(async {
                while upstream.counts_of("connect").await.in_flight == 0 {
                    tokio::time::sleep(ms(5)).await;
                }
            })
            .await;
            upstream.stop().await
        };
        let (answer, counts) = tokio::join!(asked, stopped);
        answer.unwrap_err();
        assert_eq!(counts.requests.values().next().unwrap().broken_off, 1);
    });
}
