//! A link does to bytes what a socket pair does.

mod twin;

use super::*;
use crate::net::Stream;
use crate::scenario::plan::Shaping;

/// Where the tests listen.
const HUB: &str = "hub.test";

const fn route(shaping: Shaping) -> Route {
    Route { shaping, jitter: None }
}

/// Both ends of a new connection, who dialled first.
async fn links(network: &Network, buffers: SocketBuffers, route: Route) -> (Link, Link) {
    let listener = network.listen(HUB, SocketBuffers::default()).unwrap();
    let (near, (far, _)) = tokio::join!(network.dial(HUB, buffers, route), listener.accept());
    (near.unwrap(), far)
}

/// The same over an ideal wire, as streams.
async fn ideal(network: &Network) -> (Stream, Stream) {
    let (near, far) = links(network, SocketBuffers::default(), route(Shaping::default())).await;
    (Stream::Link(near), Stream::Link(far))
}
