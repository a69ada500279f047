//! A link does to bytes what a socket pair does.

mod buffers;
mod endings;
mod shaping;
mod twin;
mod world;

use std::future::poll_fn;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::*;
use crate::net::Stream;
use crate::net::testing::paused;
use crate::pace::Purpose;
use crate::scenario::plan::Shaping;

/// Where the tests listen.
const HUB: &str = "hub.test";
/// Longer than anything here takes on a paused clock; there it passes at once.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn route(shaping: Shaping) -> Route {
    Route { shaping, jitter: None }
}

/// Both ends of a new connection, who dialled first; so are their buffers.
async fn links(network: &Network, buffers: [SocketBuffers; 2], route: Route) -> [Stream; 2] {
    let listener = network.listen(HUB, buffers[1]).unwrap();
    let (near, (far, _)) = tokio::join!(network.dial(HUB, buffers[0], route), listener.accept());
    [near.unwrap(), far].map(Stream::Link)
}

/// The same over an ideal wire.
async fn ideal(network: &Network) -> [Stream; 2] {
    shaped(network, Shaping::default()).await
}

/// The same over a shaped wire, with default buffers.
async fn shaped(network: &Network, shaping: Shaping) -> [Stream; 2] {
    links(network, Default::default(), route(shaping)).await
}

fn delayed(delay: Duration) -> Shaping {
    Shaping { delay, ..Shaping::default() }
}

/// Writes until nothing more is taken, and tells how much was.
fn fill(stream: &mut Stream) -> usize {
    let chunk = [1; 1_000];
    let mut written = 0;
    loop {
        match stream.try_write_vectored(&[io::IoSlice::new(&chunk)]) {
            Ok(count) => written += count,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return written;
            }
        }
    }
}

/// Reads to the end or the reset, and tells how many bytes came and which it was.
async fn drain(stream: &mut Stream) -> (usize, Result<(), io::ErrorKind>) {
    let mut bytes = Vec::new();
    let end = tokio::time::timeout(FOR_EVER, stream.read_to_end(&mut bytes)).await;
    let end = end.expect("an end or a reset");
    (bytes.len(), end.map(drop).map_err(|error| error.kind()))
}

/// Nothing comes for as long as anybody would wait.
async fn assert_nothing_comes(stream: &mut Stream) {
    let heard = tokio::time::timeout(ms(1_000_000), stream.read(&mut [0; 8])).await;
    assert!(heard.is_err(), "{heard:?}");
}

async fn hung_up(stream: &mut Stream) {
    poll_fn(|cx| stream.poll_hung_up(cx)).await;
}

const RESET: Result<(), io::ErrorKind> = Err(io::ErrorKind::ConnectionReset);
