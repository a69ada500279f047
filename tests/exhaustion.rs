//! Running out of descriptors is told apart from every other failure, and waits without spinning.
//!
//! One test, alone in its process: it lowers the process's limit of open files.
#![cfg(target_os = "linux")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use squall::event::ConnectFailure;
use squall::net::budget::is_out_of_descriptors;
use squall::net::listen::{ERROR_PAUSE, ListenOptions, TcpListener};
use squall::net::{Connector, Dial};
use squall::protocol::settings::SocketBuffers;
use squall::protocol::{Endpoint, Scheme};
use tokio::net::TcpStream;
use tokio::time::Instant;

fn limit_descriptors(current: u64) -> rustix::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit })
}

#[tokio::test]
async fn without_descriptors_both_ends_say_so_and_go_on_later() {
    let buffers = SocketBuffers::default();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = TcpListener::bind(ListenOptions { address, buffers }).unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = Endpoint {
        scheme: Scheme::Http,
        host: address.ip().to_string(),
        port: Some(address.port()),
    };
    let connector = Connector::new(endpoint, None).await.unwrap();
    let _waiting = TcpStream::connect(address).await.unwrap();

    let before = getrlimit(Resource::Nofile).current.unwrap();
    // What is open stays open; nothing new is.
    limit_descriptors(0).unwrap();
    let dialled = connector.connect(Dial { buffers, ..Dial::default() }).await;
    let first = listener.accept().await.map(|_| ());
    let start = Instant::now();
    let second = listener.accept().await.map(|_| ());
    let paused = start.elapsed();
    limit_descriptors(before).unwrap();

    let error = dialled.unwrap_err();
    assert_eq!(error.failure, ConnectFailure::DescriptorsExhausted, "{error}");
    assert!(error.to_string().contains("ulimit"), "{error}");
    for result in [first, second] {
        let error = result.unwrap_err();
        assert!(is_out_of_descriptors(&error), "{error}");
    }
    assert!(paused >= ERROR_PAUSE, "a loop over accept would spin: {paused:?}");

    // The connection is still in the queue.
    let accepted = tokio::time::timeout(Duration::from_secs(20), listener.accept()).await;
    accepted.unwrap().unwrap();
}
