//! When bytes arrive over a wire that is long, narrow, uneven, or cut when idle.

use std::cell::RefCell;

use proptest::prelude::*;
use tokio::io::AsyncRead;

use super::*;

/// When each byte came, counted from `start`.
type Arrivals = Rc<RefCell<Vec<(u8, Duration)>>>;

/// A task that notes when what comes.
fn note(mut from: impl AsyncRead + Unpin + 'static, start: Instant) -> Arrivals {
    let arrivals = Arrivals::default();
    let noted = Rc::clone(&arrivals);
    tokio::task::spawn_local(async move {
        let mut chunk = [0; 4_096];
        while let Ok(count @ 1..) = from.read(&mut chunk).await {
            let now = start.elapsed();
            noted.borrow_mut().extend(chunk[..count].iter().map(|&byte| (byte, now)));
        }
    });
    arrivals
}

/// The first tick that is not before.
fn tick(time: Duration) -> Duration {
    ms(u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap())
}

/// Writes bytes 0, 1, … each at its time, both ways, and tells when each came at either end.
async fn written_at(times: &[u64], route: Route) -> [Vec<(u8, Duration)>; 2] {
    let network = Network::start();
    let ends = links(&network, Default::default(), route).await;
    let start = Instant::now();
    let [(near_in, near_out), (far_in, far_out)] = ends.map(tokio::io::split);
    let arrivals = [near_in, far_in].map(|reader| note(reader, start));
    let mut writers = [near_out, far_out];
    for (byte, &at) in (0..).zip(times) {
        tokio::time::sleep_until(start + ms(at)).await;
        for writer in &mut writers {
            writer.write_all(&[byte]).await.unwrap();
        }
    }
    tokio::time::sleep(ms(10_000)).await;
    arrivals.map(|arrivals| arrivals.take())
}

fn jittery(delay_us: u64, jitter_us: u64, seed: u64) -> Route {
    Route {
        shaping: Shaping {
            delay: Duration::from_micros(delay_us),
            jitter: Duration::from_micros(jitter_us),
            ..Shaping::default()
        },
        jitter: Some(Box::new(crate::pace::stream(seed, "clients", 0, Purpose::Link))),
    }
}

fn any_times() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(0..200_u64, 1..30).prop_map(|mut times| {
        times.sort_unstable();
        times
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn bytes_arrive_on_the_first_tick_after_the_delay(
        times in any_times(),
        delay in (1..60_000_u64).prop_map(Duration::from_micros),
    ) {
        let wanted: Vec<_> = (0..).zip(&times).map(|(b, &at)| (b, tick(ms(at) + delay))).collect();
        let both = paused(written_at(&times, route(delayed(delay))));
        prop_assert_eq!(both, [wanted.clone(), wanted]);
    }

    #[test]
    fn jitter_is_the_seeds_within_its_bounds_and_keeps_the_order(
        times in any_times(),
        delay in 0..60_000_u64,
        jitter in 1..60_000_u64,
        seed in any::<u64>(),
    ) {
        let both = paused(written_at(&times, jittery(delay, jitter, seed)));
        for arrivals in &both {
            prop_assert_eq!(arrivals.len(), times.len());
            for (place, (byte, came)) in arrivals.iter().enumerate() {
                prop_assert_eq!(usize::from(*byte), place);
                let least = ms(times[place]) + Duration::from_micros(delay);
                let most = least + Duration::from_micros(jitter);
                prop_assert!((tick(least)..=tick(most)).contains(came), "{byte}: {came:?}");
            }
        }
        prop_assert_eq!(paused(written_at(&times, jittery(delay, jitter, seed))), both);
    }

    #[test]
    fn so_many_bytes_take_what_the_bandwidth_says_in_either_direction(
        bytes in 1..300_000_usize,
        rate in 10_000.0..10_000_000.0_f64,
        delay in (0..5_000_u64).prop_map(Duration::from_micros),
    ) {
        let shaping = Shaping { bandwidth: Some(rate), delay, ..Shaping::default() };
        let late = paused(async {
            let network = Network::start();
            let mut ends = shaped(&network, shaping).await;
            let start = Instant::now();
            for end in &mut ends {
                end.write_all(&vec![0; bytes]).await.unwrap();
            }
            let arrivals = ends.map(|end| note(end, start));
            tokio::time::sleep(Duration::from_secs(100)).await;
            arrivals.map(|arrivals| {
                let arrivals = arrivals.take();
                assert_eq!(arrivals.len(), bytes);
                // At every instant: how late the last byte that came then is.
                let lasts = arrivals.chunk_by(|one, next| one.1 == next.1).scan(0, |sum, came| {
                    *sum += came.len();
                    Some((came[0].1 - delay).as_secs_f64() - *sum as f64 / rate)
                });
                lasts.fold((f64::MAX, f64::MIN), |(a, b), late| (a.min(late), b.max(late)))
            })
        });
        for (least, most) in late {
            // The nanosecond of each segment is rounded down.
            prop_assert!(least > -1e-6 && most < 0.001_001, "{least} s to {most} s late");
        }
    }

    #[test]
    fn an_idle_wire_is_cut_after_exactly_that_time(
        traffic in prop::collection::vec((0..600_u64, 0..2_usize), 0..12),
        delay in (1..9_000_u64).prop_map(Duration::from_micros),
    ) {
        let mut traffic = traffic;
        traffic.sort_unstable();
        let (cuts, wanted) = paused(cut_when_idle(&traffic, delay));
        prop_assert_eq!(cuts, [wanted; 2]);
    }
}

/// When either end of a wire that is cut after 100 ms learns of it, and when it should. Traffic is
/// when which end writes; what would come too late is not written.
async fn cut_when_idle(traffic: &[(u64, usize)], delay: Duration) -> ([Duration; 2], Duration) {
    let (network, idle) = (Network::start(), ms(100));
    let before = Instant::now();
    let ends = shaped(&network, Shaping { idle_cut: Some(idle), ..delayed(delay) }).await;
    let start = Instant::now();
    // The wire is there from half-way of the connecting on.
    let mut cut = before + tick(delay) + idle;
    let [(near_in, near_out), (far_in, far_out)] = ends.map(tokio::io::split);
    let readers = [near_in, far_in].map(|mut reader| {
        tokio::task::spawn_local(async move {
            let error = reader.read_to_end(&mut Vec::new()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            start.elapsed()
        })
    });
    let mut writers = [near_out, far_out];
    for &(at, end) in traffic {
        let at = start + ms(at);
        if at + delay > cut {
            break;
        }
        tokio::time::sleep_until(at).await;
        writers[end].write_all(b"x").await.unwrap();
        cut = at + delay + idle;
    }
    let [near, far] = readers.map(|reader| tokio::time::timeout(FOR_EVER, reader));
    let cuts = [near.await, far.await].map(|cut| cut.expect("a cut").unwrap());
    (cuts, tick(cut - start))
}

#[test]
fn another_seed_is_another_jitter() {
    let times: Vec<u64> = (0..20).map(|at| 10 * at).collect();
    let [one, other] = [1, 2].map(|seed| paused(written_at(&times, jittery(10_000, 9_000, seed))));
    assert_ne!(one, other);
}

#[test]
fn what_arrives_on_one_tick_comes_by_nanosecond_connection_and_direction() {
    paused(async {
        let (network, start) = (Network::start(), Instant::now());
        let log = Rc::new(RefCell::new(Vec::new()));
        let mut writers = Vec::new();
        let names = ["a>", "a<", "b>", "b<", "c>", "c<"];
        let mut names = names.into_iter();
        for delay_us in [900, 300, 300] {
            let [near, far] = shaped(&network, delayed(Duration::from_micros(delay_us))).await;
            let [(near_in, near_out), (far_in, far_out)] = [near, far].map(tokio::io::split);
            for (mut reader, writer) in [(far_in, near_out), (near_in, far_out)] {
                let (name, log) = (names.next().unwrap(), Rc::clone(&log));
                writers.push((name, writer));
                tokio::task::spawn_local(async move {
                    while reader.read_u8().await.is_ok() {
                        log.borrow_mut().push((start.elapsed(), name));
                    }
                });
            }
        }
        tokio::time::sleep(ms(50)).await;
        for place in [3, 0, 5, 2, 4, 1] {
            writers[place].1.write_all(b"x").await.unwrap();
        }
        let at = start.elapsed() + ms(1);
        tokio::time::sleep(ms(50)).await;
        let wanted = ["b>", "b<", "c>", "c<", "a>", "a<"].map(|name| (at, name));
        assert_eq!(*log.borrow(), wanted);
    });
}

#[test]
fn an_idle_wire_that_is_never_idle_is_never_cut_and_what_was_unread_stays() {
    paused(async {
        let network = Network::start();
        let shaping = Shaping { idle_cut: Some(ms(100)), ..Shaping::default() };
        let [mut near, mut far] = shaped(&network, shaping).await;
        for _ in 0..100 {
            tokio::time::sleep(ms(99)).await;
            far.write_all(b"x").await.unwrap();
        }
        tokio::time::sleep(ms(99)).await;
        near.write_all(b"y").await.unwrap();
        let start = Instant::now();
        hung_up(&mut near).await;
        assert_eq!(start.elapsed(), ms(100));
        assert_eq!(drain(&mut near).await, (100, RESET));
        assert_eq!(drain(&mut far).await, (1, RESET));
    });
}

#[test]
fn what_is_under_way_when_a_wire_is_cut_never_arrives() {
    paused(async {
        let network = Network::start();
        let shaping = Shaping { idle_cut: Some(ms(100)), ..delayed(ms(70)) };
        let [mut near, mut far] = shaped(&network, shaping).await;
        tokio::time::sleep(ms(20)).await;
        for end in [&mut near, &mut far] {
            end.write_all(b"too late").await.unwrap();
            end.shutdown().await.unwrap();
        }
        for end in [&mut near, &mut far] {
            assert_eq!(drain(end).await, (0, RESET));
        }
        tokio::time::sleep(ms(100)).await;
        for end in [&mut near, &mut far] {
            assert_eq!(drain(end).await, (0, Ok(())));
        }
    });
}

#[test]
fn whether_a_wire_was_idle_is_judged_to_the_nanosecond() {
    paused(async {
        let network = Network::start();
        // A byte takes a microsecond.
        let bandwidth = Some(1_000_000.0);
        let shaping = Shaping { bandwidth, idle_cut: Some(ms(100)), ..Shaping::default() };
        let [mut near, mut far] = shaped(&network, shaping).await;
        let start = Instant::now();
        near.write_all(&[1; 500]).await.unwrap();
        tokio::time::sleep_until(start + ms(100)).await;
        // Around the moment, 100.5 ms, at which the wire would have been idle for too long.
        near.write_all(&[1; 200]).await.unwrap();
        far.write_all(&[1; 800]).await.unwrap();
        tokio::time::sleep_until(start + ms(200)).await;
        // At 200.5 ms, on the tick on which 200.8 ms would be too late.
        near.write_all(&[1; 500]).await.unwrap();
        hung_up(&mut far).await;
        assert_eq!(start.elapsed(), ms(301));
    });
}
