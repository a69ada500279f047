//! What a reader that does not read lets a writer write, and that a writer goes on afterwards.

use std::cell::Cell;
use std::pin::Pin;

use proptest::prelude::*;
use tokio::io::AsyncWrite as _;

use super::*;
use crate::net::link::pipe::capacities;
use crate::predict::absorption;

/// Receive buffer of the client, send buffer of the hub, bytes: as measured (`predict::kernel`).
const MEASURED: [(Option<u32>, Option<u32>, usize); 8] = [
    (None, None, 4_229_120),
    (Some(4_096), None, 2_992_128),
    (Some(65_536), None, 4_270_592),
    (Some(4_096), Some(4_096), 14_336),
    (Some(4_096), Some(16_384), 32_768),
    (Some(4_096), Some(65_536), 102_400),
    (Some(16_384), Some(16_384), 57_344),
    (Some(65_536), Some(65_536), 265_114),
];

const fn receive(bytes: Option<u32>) -> SocketBuffers {
    SocketBuffers { send: None, receive: bytes }
}

const fn send(bytes: Option<u32>) -> SocketBuffers {
    SocketBuffers { send: bytes, receive: None }
}

#[test]
fn a_reader_that_does_not_read_absorbs_what_was_measured() {
    paused(async {
        let network = Network::start();
        for (to, from, absorbed) in MEASURED {
            let buffers = [receive(to), send(from)];
            let [mut client, mut hub] = links(&network, buffers, route(Shaping::default())).await;
            assert_eq!(fill(&mut hub), absorbed, "{to:?} {from:?}");

            let writer = tokio::task::spawn_local(async move {
                hub.write_all(&vec![1; 2 * absorbed]).await.unwrap();
            });
            assert_eq!(drain(&mut client).await, (3 * absorbed, Ok(())), "{to:?} {from:?}");
            writer.await.unwrap();
        }
    });
}

#[test]
fn so_it_does_when_the_sizes_are_set_on_an_open_link_or_the_wire_is_long() {
    paused(async {
        let network = Network::start();
        for (to, from, absorbed) in MEASURED {
            let [client, mut hub] = ideal(&network).await;
            client.set_buffers(receive(to)).unwrap();
            hub.set_buffers(send(from)).unwrap();
            assert_eq!(fill(&mut hub), absorbed, "{to:?} {from:?}");

            let buffers = [receive(to), send(from)];
            let [_client, mut hub] = links(&network, buffers, route(delayed(ms(20)))).await;
            let mut written = 0;
            // What is under way counts at the writer until it has arrived.
            for _ in 0..100 {
                written += fill(&mut hub);
                tokio::time::sleep(ms(20)).await;
            }
            assert_eq!(written, absorbed, "{to:?} {from:?}, over a long wire");
        }
    });
}

#[test]
fn smaller_buffers_keep_what_is_in_them_and_take_no_more() {
    paused(async {
        let network = Network::start();
        let [mut client, mut hub] = ideal(&network).await;
        let full = fill(&mut hub);
        hub.set_buffers(send(Some(4_096))).unwrap();
        client.set_buffers(receive(Some(4_096))).unwrap();
        assert_eq!(fill(&mut hub), 0);
        let mut read = vec![0; full - 14_335];
        client.read_exact(&mut read).await.unwrap();
        assert_eq!(fill(&mut hub), 1, "once there is room for one byte");
        drop(hub);
        assert_eq!(drain(&mut client).await, (14_336, Ok(())));
    });
}

#[test]
fn a_waiting_writer_is_woken_once_a_third_of_its_buffer_is_free() {
    paused(async {
        let network = Network::start();
        let buffers = [receive(Some(4_096)), send(Some(4_096))];
        let [mut client, mut hub] = links(&network, buffers, route(Shaping::default())).await;
        fill(&mut hub);
        let polls = Rc::new(Cell::new(0));
        let counted = Rc::clone(&polls);
        let writer = tokio::task::spawn_local(async move {
            poll_fn(|cx| {
                counted.set(counted.get() + 1);
                Pin::new(&mut hub).poll_write(cx, &[1; 10_000])
            })
            .await
        });
        // 14,336 bytes less a receive buffer of 8,192.
        let third = 6_144 / 3;
        tokio::task::yield_now().await;
        client.read_exact(&mut vec![0; third - 1]).await.unwrap();
        tokio::time::sleep(ms(1)).await;
        assert_eq!(polls.get(), 1);
        client.read_exact(&mut [0]).await.unwrap();
        assert_eq!(writer.await.unwrap().unwrap(), third);
        assert_eq!(polls.get(), 2);
    });
}

#[test]
fn larger_buffers_wake_a_waiting_writer() {
    paused(async {
        let network = Network::start();
        let buffers = [receive(Some(4_096)), send(Some(4_096))];
        let [client, mut hub] = links(&network, buffers, route(Shaping::default())).await;
        fill(&mut hub);
        let writer = tokio::task::spawn_local(async move { hub.write(&[1; 10]).await });
        tokio::task::yield_now().await;
        client.set_buffers(receive(Some(16_384))).unwrap();
        assert_eq!(writer.await.unwrap().unwrap(), 10);
    });
}

/// A transfer, and what may get in its way.
#[derive(Clone, Debug)]
struct Transfer {
    bytes: usize,
    write: usize,
    read: usize,
    /// Between two reads.
    pause: Duration,
    shaping: Shaping,
    send: Option<u32>,
    receive: Option<u32>,
    /// New sizes for both buffers of both ends, and when.
    change: Option<(Duration, u32)>,
}

fn any_transfer() -> impl Strategy<Value = Transfer> {
    let size = || prop::option::of(1..40_000_u32);
    let shaping = (0..2_000_u64, prop::option::of(50_000.0..50_000_000.0_f64)).prop_map(
        |(delay_us, bandwidth)| Shaping {
            delay: Duration::from_micros(delay_us),
            bandwidth,
            ..Shaping::default()
        },
    );
    let pause = prop_oneof![Just(0), 0..4_u64].prop_map(ms);
    let change = prop::option::of((0..100_u64, 1..40_000_u32));
    let sizes = (1..100_000_usize, 1..50_000_usize, 100..50_000_usize);
    (sizes, pause, shaping, size(), size(), change).prop_map(
        |((bytes, write, read), pause, shaping, send, receive, change)| Transfer {
            bytes,
            write,
            read,
            pause,
            shaping,
            send,
            receive,
            change: change.map(|(at, size)| (ms(at), size)),
        },
    )
}

/// Writes all of it and reads all of it at once, and gives back whether the bytes are right.
async fn exchange(stream: Stream, transfer: Transfer) -> bool {
    let wanted: Vec<u8> = (0..=250).cycle().take(transfer.bytes).collect();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sent = wanted.clone();
    let writing = tokio::task::spawn_local(async move {
        for chunk in sent.chunks(transfer.write) {
            writer.write_all(chunk).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    });
    let (mut got, mut chunk) = (Vec::new(), vec![0; transfer.read]);
    loop {
        match reader.read(&mut chunk).await.unwrap() {
            0 => break,
            count => got.extend_from_slice(&chunk[..count]),
        }
        tokio::time::sleep(transfer.pause).await;
    }
    writing.await.unwrap();
    got == wanted
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_a_link_absorbs_is_what_is_predicted(
        to in prop::option::of(any::<u32>()),
        from in prop::option::of(any::<u32>()),
    ) {
        let (send, receive) = capacities(from, to);
        prop_assert_eq!((send + receive) as u64, *absorption(to, from).start());
        prop_assert!(send > 0 && receive > 0);
    }

    /// No wake-up is ever lost, whatever the sizes, both ways at once.
    #[test]
    fn a_writer_and_a_slow_reader_always_finish(transfer in any_transfer()) {
        let right = paused(async {
            let network = Network::start();
            let buffers = SocketBuffers { send: transfer.send, receive: transfer.receive };
            let ends = links(&network, [buffers; 2], route(transfer.shaping)).await;
            if let Some((at, size)) = transfer.change {
                let wires = ends.each_ref().map(|end| {
                    let Stream::Link(link) = end else { panic!("a link") };
                    (Rc::downgrade(&link.wire), link.side)
                });
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(at).await;
                    for (wire, side) in wires {
                        let Some(wire) = wire.upgrade() else { return };
                        wire.set_buffers(side, SocketBuffers {
                            send: Some(size),
                            receive: Some(size),
                        });
                    }
                });
            }
            let [near, far] = ends.map(|end| exchange(end, transfer.clone()));
            let both = async { tokio::join!(near, far) };
            tokio::time::timeout(FOR_EVER, both).await.expect("no wake-up is lost")
        });
        prop_assert_eq!(right, (true, true));
    }
}
