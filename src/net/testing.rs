//! What the tests of this layer share: socket pairs on loopback, and waits that end.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::LocalSet;

use super::Stream;
use super::stream::set_buffers;
use crate::protocol::settings::SocketBuffers;
use crate::protocol::{Endpoint, Scheme};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// The same on a paused clock, where it passes at once when everybody waits.
const PAUSED_LONG: Duration = Duration::from_hours(365 * 24);

/// The future's output; a wait without end is a failure.
pub async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("within the time of a test")
}

/// Long enough for what is under way on loopback to arrive.
pub async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Runs a test inside a `LocalSet`, bounded.
pub fn local<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), bounded(test))
}

/// Runs a test on a paused clock inside a `LocalSet`, bounded.
pub fn paused<T>(test: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let test = async {
        tokio::time::timeout(PAUSED_LONG, test).await.expect("every wait comes to an end")
    };
    LocalSet::new().block_on(&runtime.expect("a runtime"), test)
}

/// A listener on a port of the system's choice, and the endpoint that dials it.
pub async fn listener(scheme: Scheme) -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = Some(listener.local_addr().expect("a bound address").port());
    (listener, Endpoint { scheme, host: "127.0.0.1".to_owned(), port })
}

/// Two ends of one TCP connection.
pub async fn pair() -> (Stream, Stream) {
    pair_with(SocketBuffers::default()).await
}

/// Two ends of one TCP connection, both with such buffers from the start.
pub async fn pair_with(buffers: SocketBuffers) -> (Stream, Stream) {
    let [listening, dialling] = [(); 2].map(|()| {
        let socket = TcpSocket::new_v4().expect("a socket");
        set_buffers(&SockRef::from(&socket), buffers).expect("sizes the system takes");
        socket
    });
    listening.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
    let listener = listening.listen(1).expect("a listener");
    let address = listener.local_addr().expect("a bound address");
    let near = dialling.connect(address).await.expect("a listener");
    let (far, _) = listener.accept().await.expect("a connection");
    (Stream::from(near), Stream::from(far))
}
