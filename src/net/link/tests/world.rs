//! Dialling, the backlog, what is left when a world is gone, and HTTP over links.

use std::convert::Infallible;
use std::rc::Weak;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::task::LocalSet;

use super::*;
use crate::net::Connector;
use crate::net::Dial;
use crate::net::http::HttpCaller;
use crate::net::http::HttpRequest;
use crate::net::listen::Listener;
use crate::protocol::Endpoint;
use crate::protocol::Scheme;

const NO_BUFFERS: SocketBuffers = SocketBuffers { send: None, receive: None };

async fn dial(network: &Network, shaping: Shaping) -> io::Result<Link> {
    network.dial(HUB, NO_BUFFERS, route(shaping)).await
}

fn weak(stream: &Stream) -> Weak<Wire> {
    let Stream::Link(link) = stream else { panic!("a link") };
    Rc::downgrade(&link.wire)
}

#[test]
fn where_nobody_listens_a_dialler_is_refused_after_a_round_trip() {
    paused(async {
        let (network, start) = (Network::start(), Instant::now());
        let _other = network.listen("other.test", NO_BUFFERS).unwrap();
        for (shaping, took) in [(Shaping::default(), 0), (delayed(ms(20)), 40)] {
            let error = dial(&network, shaping).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            assert_eq!(start.elapsed(), ms(took));
        }
        let endpoint = Endpoint { scheme: Scheme::Http, host: HUB.to_owned(), port: None };
        let connector = Connector::Links { network, endpoint };
        let error = connector.connect(Dial::default()).await.unwrap_err();
        assert_eq!(error.failure, crate::event::ConnectFailure::ConnectionRefused);
    });
}

#[test]
fn connections_wait_in_the_order_in_which_they_came() {
    paused(async {
        let network = Network::start();
        let listener = network.listen(HUB, NO_BUFFERS).unwrap();
        let mut dialled = Vec::new();
        for _ in 0..5 {
            dialled.push(dial(&network, Shaping::default()).await.unwrap());
        }
        for near in &dialled {
            let (far, peer) = listener.accept().await;
            assert_eq!(peer, near.local_addr());
            assert_eq!((far.peer_addr(), far.local_addr()), (peer, near.peer_addr()));
        }
        let none = tokio::time::timeout(ms(1), listener.accept()).await;
        assert!(none.is_err());
    });
}

#[test]
fn a_full_backlog_makes_the_dialler_try_again_like_a_lost_syn() {
    paused(async {
        let network = Network::start();
        let listener = network.listen(HUB, NO_BUFFERS).unwrap();
        let mut waiting = Vec::new();
        for _ in 0..LinkListener::BACKLOG {
            waiting.push(dial(&network, Shaping::default()).await.unwrap());
        }
        let start = Instant::now();
        // After 1, 3 and 7 seconds; there is room from the fourth on.
        let (late, _) = tokio::join!(dial(&network, Shaping::default()), async {
            tokio::time::sleep(ms(4_000)).await;
            listener.accept().await
        });
        late.unwrap();
        assert_eq!(start.elapsed(), ms(7_000));
    });
}

#[test]
fn an_authority_in_use_is_refused_until_its_listener_is_gone() {
    paused(async {
        let network = Network::start();
        let listener = network.listen(HUB, NO_BUFFERS).unwrap();
        let again = network.listen(HUB, NO_BUFFERS).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
        let mut waiting = Stream::Link(dial(&network, Shaping::default()).await.unwrap());
        drop(listener);
        assert_eq!(drain(&mut waiting).await, (0, RESET), "whoever waited is reset");
        let refused = dial(&network, Shaping::default()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        network.listen(HUB, NO_BUFFERS).unwrap();
    });
}

#[test]
fn the_listeners_buffers_are_those_of_connections_that_come_later() {
    paused(async {
        let network = Network::start();
        let listener = Listener::Links(network.listen(HUB, NO_BUFFERS).unwrap());
        let small = Some(4_096);
        listener.set_buffers(SocketBuffers { send: small, receive: None }).unwrap();
        let buffers = SocketBuffers { send: None, receive: small };
        let _client = network.dial(HUB, buffers, route(Shaping::default())).await.unwrap();
        let (mut hub, _) = listener.accept().await.unwrap();
        assert_eq!(fill(&mut hub), 14_336);
    });
}

#[test]
fn what_is_held_is_counted_and_nothing_is_left_when_it_is_dropped() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap();
    let mut set = LocalSet::new();
    let wires = set.block_on(&runtime, async {
        let network = Network::start();
        let mut wires = Vec::new();
        let narrow = Shaping { bandwidth: Some(1_000.0), ..delayed(ms(50)) };
        let cut = Shaping { idle_cut: Some(ms(500_000)), ..Shaping::default() };
        for shaping in [Shaping::default(), narrow, cut] {
            let mut ends = shaped(&network, shaping).await;
            assert_eq!(network.open_ends(), 2);
            for end in &mut ends {
                end.write_all(&[1; 10_000]).await.unwrap();
            }
            let [near, far] = ends;
            wires.push(weak(&near));
            drop(near);
            assert_eq!(network.open_ends(), 1);
            drop(far);
            assert_eq!(network.open_ends(), 0);
        }
        // Held by a backlog, by a dialler that gives up, and by a silenced relay.
        let listener = network.listen(HUB, NO_BUFFERS).unwrap();
        let early = tokio::time::timeout(ms(70), dial(&network, narrow)).await;
        assert!(early.is_err());
        assert_eq!(network.open_ends(), 1);
        drop(listener);
        assert_eq!(network.open_ends(), 0);
        let [near, _] = ideal(&network).await;
        wires.push(weak(&near));
        let (near, handle) = crate::net::relay::relay(near, None).await.unwrap();
        handle.silence();
        drop(near);
        assert_eq!(network.open_ends(), 0);
        wires
    });
    for wire in wires {
        assert!(wire.upgrade().is_none());
    }
    // Only the network's own task could still run.
    let over = async { tokio::time::timeout(ms(1_000), &mut set).await };
    runtime.block_on(over).expect("the task ends with the network");
}

#[test]
fn tasks_that_wait_on_their_own_links_do_not_keep_a_dropped_world_alive() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let set = LocalSet::new();
    let wires = set.block_on(&runtime.unwrap(), async {
        let network = Network::start();
        let [mut writing, mut watching] = ideal(&network).await;
        let [mut reading, silent] = shaped(&network, delayed(ms(5))).await;
        let wires = [weak(&writing), weak(&reading)];
        let accepting = network.listen(HUB, NO_BUFFERS).unwrap();
        tokio::task::spawn_local(async move { accepting.accept().await });
        tokio::task::spawn_local(async move { hung_up(&mut watching).await });
        tokio::task::spawn_local(async move { writing.write_all(&vec![1; 5_000_000]).await });
        tokio::task::spawn_local(async move {
            let _held = (silent, network);
            reading.read(&mut [0]).await
        });
        tokio::time::sleep(ms(100)).await;
        wires
    });
    assert!(wires.iter().all(|wire| wire.strong_count() > 0), "they wait");
    drop(set);
    assert!(wires.iter().all(|wire| wire.upgrade().is_none()));
}

#[test]
fn http_goes_over_links() {
    paused(async {
        let network = Network::start();
        let listener = network.listen(HUB, SocketBuffers { send: Some(4_096), receive: None });
        let listener = listener.unwrap();
        tokio::task::spawn_local(async move {
            let answer = |request: hyper::Request<hyper::body::Incoming>| async move {
                let body = request.uri().path().repeat(50_000);
                Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::from(body))))
            };
            // All calls on one connection.
            let (link, _) = listener.accept().await;
            hyper::server::conn::http1::Builder::new()
                .serve_connection(
                    TokioIo::new(Stream::Link(link)),
                    hyper::service::service_fn(answer),
                )
                .await
        });
        let endpoint = Endpoint { scheme: Scheme::Http, host: HUB.to_owned(), port: None };
        let mut caller = HttpCaller::new(Connector::Links { network: network.clone(), endpoint });
        for path in ["/one", "/another"] {
            let request = HttpRequest {
                method: http::Method::GET,
                path_and_query: path.to_owned(),
                headers: Vec::new(),
                body: Bytes::new(),
            };
            let answer = caller.call(request, ms(1_000)).await.unwrap();
            assert_eq!(answer.status, 200);
            assert!(answer.body == path.repeat(50_000), "{} bytes", answer.body.len());
        }
        assert_eq!(network.open_ends(), 2);
        drop(caller);
        tokio::time::sleep(ms(1)).await;
        assert_eq!(network.open_ends(), 0);
    });
}
