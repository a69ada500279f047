//! Bytes between peers: the closed stream enum, listeners, connectors, the relay that goes silent,
//! the descriptor and port budget, and the [`Clock`].

pub mod budget;
pub mod clock;
pub mod connect;
pub mod dialling;
pub mod http;
pub mod link;
pub mod listen;
pub mod pacer;
pub mod pool;
pub mod relay;
pub mod stream;

pub use clock::Clock;
pub use connect::{ConnectError, Connector, Dial, Dialler, check_ca_file};
pub use dialling::Dialling;
pub use link::Network;
pub use listen::{ClosedListener, ListenOptions, Listener, TcpListener};
pub use pacer::{Due, Pacer};
pub use pool::Pool;
pub use stream::Stream;

#[cfg(test)]
pub(crate) mod testing;
