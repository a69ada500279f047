//! Ends, resets and silence, over wires with a delay.

use super::*;
use crate::net::relay::{RelayHandle, relay};

const DELAY: Duration = ms(30);
const LONG: Shaping = Shaping { delay: DELAY, jitter: ms(0), bandwidth: None, idle_cut: None };

/// A tick later than what was just written arrives.
async fn arrival() {
    tokio::time::sleep(DELAY + ms(1)).await;
}

#[test]
fn an_end_comes_behind_the_bytes_and_leaves_the_other_direction_alone() {
    paused(async {
        let network = Network::start();
        for closes in 0..2 {
            let mut ends = shaped(&network, LONG).await;
            if closes == 1 {
                ends.reverse();
            }
            let [mut near, mut far] = ends;
            let start = Instant::now();
            near.write_all(b"last").await.unwrap();
            near.shutdown().await.unwrap();
            assert_eq!(drain(&mut far).await, (4, Ok(())));
            assert_eq!(start.elapsed(), DELAY);
            let refused = near.write(b"more").await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
            far.write_all(b"back").await.unwrap();
            far.shutdown().await.unwrap();
            assert_eq!(drain(&mut near).await, (4, Ok(())));
            assert_eq!(start.elapsed(), 2 * DELAY);
        }
    });
}

#[test]
fn an_end_waits_for_bytes_that_found_no_room_also_when_the_writer_is_gone() {
    paused(async {
        let network = Network::start();
        for shaping in [Shaping::default(), LONG] {
            let [mut near, mut far] = shaped(&network, shaping).await;
            let written = fill(&mut near);
            drop(near);
            tokio::time::sleep(ms(100)).await;
            assert_eq!(drain(&mut far).await, (written, Ok(())));
        }
    });
}

#[test]
fn a_reset_travels_throws_away_what_had_not_left_and_is_seen_without_reading() {
    paused(async {
        let network = Network::start();
        let [mut near, mut far] = shaped(&network, LONG).await;
        let start = Instant::now();
        // The send buffer takes more than the window of 128 KiB lets leave.
        near.write_all(&vec![1; 200_000]).await.unwrap();
        near.abort();
        hung_up(&mut far).await;
        assert_eq!(start.elapsed(), DELAY);
        assert_eq!(drain(&mut far).await, (131_072, RESET));
        assert_eq!(drain(&mut far).await, (0, Ok(())), "told once");
        let refused = far.write(b"x").await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_reset_does_not_wait_for_bytes_that_a_narrow_wire_has_not_taken() {
    paused(async {
        let network = Network::start();
        let shaping = Shaping { bandwidth: Some(10_000.0), ..LONG };
        let [mut near, mut far] = shaped(&network, shaping).await;
        let start = Instant::now();
        near.write_all(&[1; 20_000]).await.unwrap();
        near.shutdown().await.unwrap();
        tokio::time::sleep(ms(500)).await;
        near.abort();
        hung_up(&mut far).await;
        // Segments of 1,460 bytes take 146 ms; the fourth has begun at 438 ms.
        assert_eq!(start.elapsed(), ms(584) + DELAY);
        assert_eq!(drain(&mut far).await, (4 * 1_460, RESET));
    });
}

#[test]
fn closing_over_unread_bytes_is_a_reset_that_travels() {
    paused(async {
        let network = Network::start();
        let [mut near, mut far] = shaped(&network, LONG).await;
        far.write_all(b"unread").await.unwrap();
        arrival().await;
        let start = Instant::now();
        drop(near);
        hung_up(&mut far).await;
        assert_eq!(start.elapsed(), DELAY);
        assert_eq!(drain(&mut far).await, (0, RESET));

        [near, far] = shaped(&network, LONG).await;
        far.write_all(b"under way").await.unwrap();
        let start = Instant::now();
        drop(near);
        assert_eq!(drain(&mut far).await, (0, Ok(())), "the end comes first");
        assert_eq!(start.elapsed(), DELAY);
        hung_up(&mut far).await;
        assert_eq!(start.elapsed(), 2 * DELAY, "then the answer to what came too late");
        drop(far);
    });
}

#[test]
fn writes_to_a_closed_peer_go_on_until_its_answer_is_there() {
    paused(async {
        let network = Network::start();
        let [near, mut far] = shaped(&network, LONG).await;
        drop(near);
        let start = Instant::now();
        let refused = loop {
            match far.write(b"x").await {
                Ok(_) => tokio::time::sleep(ms(7)).await,
                Err(error) => break error,
            }
        };
        assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(start.elapsed(), ms(63), "the first write after two delays");
    });
}

#[test]
fn whoever_waits_is_woken_by_a_reset() {
    paused(async {
        let network = Network::start();
        for shaping in [Shaping::default(), LONG] {
            let [mut near, far] = shaped(&network, shaping).await;
            fill(&mut near);
            tokio::time::sleep(ms(100)).await;
            fill(&mut near);
            let (mut reader, mut writer) = tokio::io::split(near);
            let reading = tokio::task::spawn_local(async move { reader.read(&mut [0]).await });
            let writing = tokio::task::spawn_local(async move { writer.write(&[0]).await });
            tokio::task::yield_now().await;
            // Unread bytes make it a reset.
            drop(far);
            let ends = async { (reading.await.unwrap(), writing.await.unwrap()) };
            let (read, written) = tokio::time::timeout(FOR_EVER, ends).await.unwrap();
            // One is told of the reset; then there is an end.
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
            assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        }
    });
}

/// Client, hub, and what silences the link between them, which has been seen to pass both ways.
async fn relayed(network: &Network, shaping: Shaping) -> (Stream, Stream, RelayHandle) {
    let [client, mut hub] = shaped(network, shaping).await;
    let (mut client, handle) = relay(client, None).await.unwrap();
    let mut got = [0; 4];
    client.write_all(b"ping").await.unwrap();
    hub.read_exact(&mut got).await.unwrap();
    hub.write_all(b"pong").await.unwrap();
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"pong");
    (client, hub, handle)
}

#[test]
fn silenced_it_passes_nothing_tells_nobody_and_resets_both_when_the_handle_is_dropped() {
    paused(async {
        let network = Network::start();
        let cut_when_idle = Shaping { idle_cut: Some(ms(200)), ..LONG };
        for shaping in [Shaping::default(), LONG, cut_when_idle] {
            let (mut client, mut hub, handle) = relayed(&network, shaping).await;
            hub.write_all(b"before").await.unwrap();
            arrival().await;
            if !shaping.is_ideal() {
                hub.write_all(b"under way").await.unwrap();
            }
            handle.silence();
            client.write_all(b"into the void").await.unwrap();
            hub.write_all(b"into the void").await.unwrap();
            let mut before = [0; 6];
            client.read_exact(&mut before).await.unwrap();
            assert_nothing_comes(&mut client).await;
            assert_nothing_comes(&mut hub).await;
            drop(handle);
            assert_eq!(drain(&mut client).await, (0, RESET));
            assert_eq!(drain(&mut hub).await, (0, RESET));
        }
    });
}

#[test]
fn neither_end_nor_reset_leaves_a_silenced_link_and_neither_makes_room() {
    paused(async {
        let network = Network::start();
        for how in [drop::<Stream>, Stream::abort] {
            for shaping in [Shaping::default(), LONG] {
                let (client, mut hub, handle) = relayed(&network, shaping).await;
                hub.write_all(b"unread").await.unwrap();
                arrival().await;
                handle.silence();
                let taken = fill(&mut hub);
                assert_eq!(taken, 4_229_120 - 131_072, "only what the send buffer takes");
                how(client);
                tokio::time::sleep(ms(1_000)).await;
                assert_eq!(fill(&mut hub), 0);
                let gone = tokio::time::timeout(ms(1_000), hung_up(&mut hub)).await;
                assert!(gone.is_err());
                drop(handle);
                assert_eq!(drain(&mut hub).await, (0, RESET));
            }
        }
    });
}

#[test]
fn a_handle_that_silenced_nothing_is_dropped_without_effect() {
    paused(async {
        let network = Network::start();
        let (mut client, mut hub, handle) = relayed(&network, LONG).await;
        drop(handle);
        client.write_all(b"still here").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(drain(&mut hub).await, (10, Ok(())));
        drop(hub);
        assert_eq!(drain(&mut client).await, (0, Ok(())));
    });
}

#[test]
fn once_both_directions_have_ended_nobody_is_reset() {
    paused(async {
        let network = Network::start();
        let cut_when_idle = Shaping { idle_cut: Some(ms(200)), ..LONG };
        for shaping in [Shaping::default(), LONG, cut_when_idle] {
            let [mut near, mut far] = shaped(&network, shaping).await;
            near.write_all(b"unread").await.unwrap();
            for end in [&mut near, &mut far] {
                end.shutdown().await.unwrap();
            }
            arrival().await;
            far.abort();
            let reset = tokio::time::timeout(ms(1_000), hung_up(&mut near)).await;
            assert!(reset.is_err());
            assert_eq!(drain(&mut near).await, (0, Ok(())));
        }
    });
}
