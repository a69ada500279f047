//! How whoever calls out makes its connectors: the hub its event handlers, say.

use std::path::PathBuf;

use super::link::Network;
use super::{ConnectError, Connector};
use crate::protocol::Endpoint;

/// Makes connectors to whatever endpoint is named.
#[derive(Clone, Debug)]
pub enum Dialling {
    /// Over sockets, trusting the system's certificates and those of a PEM file.
    Sockets {
        /// The PEM file.
        ca_file: Option<PathBuf>,
    },
    /// Over a network in memory.
    Links(Network),
}

impl Dialling {
    /// A connector to an endpoint; over sockets its host is resolved now.
    ///
    /// # Errors
    ///
    /// As [`Connector::new`]. A network in memory has none before the first connection.
    pub async fn connector(&self, endpoint: &Endpoint) -> Result<Connector, ConnectError> {
        match self {
            Self::Sockets { ca_file } => Connector::new(endpoint.clone(), ca_file.as_deref()).await,
            Self::Links(network) => {
                Ok(Connector::Links { network: network.clone(), endpoint: endpoint.clone() })
            }
        }
    }
}
