//! What is said on the wire: subprotocol frames, access tokens, REST paths and bodies, close
//! reasons, resource logs and the control API, as types that parse and print. No I/O.

pub mod attempt;
pub mod close;
pub mod connection_string;
pub mod control;
pub mod resource_log;
pub mod rest;
pub mod settings;
pub mod stamp;
pub mod story;
pub mod subprotocol;
pub mod throughput;
pub mod token;
pub mod webhook;

pub use attempt::AttemptId;
pub use close::{CloseCategory, CloseCode};
pub use connection_string::{ConnectionString, Endpoint, Scheme};
pub use settings::HubSettings;
pub use subprotocol::Subprotocol;
