//! What the tests of this layer share: socket pairs on loopback, and waits that end.

use std::future::Future;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::Stream;
use crate::protocol::{Endpoint, Scheme};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);

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

/// A listener on a port of the system's choice, and the endpoint that dials it.
pub async fn listener(scheme: Scheme) -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = Some(listener.local_addr().expect("a bound address").port());
    (listener, Endpoint { scheme, host: "127.0.0.1".to_owned(), port })
}

/// Two ends of one TCP connection.
pub async fn pair() -> (Stream, Stream) {
    let (listener, _) = listener(Scheme::Http).await;
    let address = listener.local_addr().expect("a bound address");
    let near = TcpStream::connect(address).await.expect("a listener");
    let (far, _) = listener.accept().await.expect("a connection");
    (Stream::from(near), Stream::from(far))
}
