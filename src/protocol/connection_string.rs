//! `Endpoint=…;AccessKey=…;Version=1.0;` and the endpoint inside it.

use std::fmt;

use crate::secret::Secret;

/// Scheme of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain TCP: `http` and `ws`.
    Http,
    /// TLS: `https` and `wss`.
    Https,
}

/// `http(s)://host[:port]`, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme.
    pub scheme: Scheme,
    /// Host name or address as typed; an IPv6 address without its brackets.
    pub host: String,
    /// Port, when it was typed.
    pub port: Option<u16>,
}

impl Endpoint {
    /// Parses `http`, `https`, `ws` or `wss` URLs; a missing scheme means https, as in the JS SDK.
    /// Path and query are not part of an endpoint and are an error.
    pub fn parse(_text: &str) -> Result<Self, String> {
        unimplemented!()
    }

    /// The port dialled: as typed, else 80 or 443.
    #[must_use]
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }

    /// Value of the `Host` header: host, and the port when it was typed.
    #[must_use]
    pub fn authority(&self) -> String {
        unimplemented!()
    }

    /// Whether the host is `localhost` or a loopback address: the only ones loaded unasked.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        unimplemented!()
    }
}

impl fmt::Display for Endpoint {
    /// `http(s)://host[:port]`, the form that stands in audiences.
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}

/// The official emulator's well-known development key; the default of a loopback hub. (It is
/// public: Azure/azure-webpubsub `tools/emulator`.)
pub const DEVELOPMENT_KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

/// A parsed connection string. `Debug` masks the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionString {
    /// Endpoint; a separate `Port=` part is folded in.
    pub endpoint: Endpoint,
    /// Access key.
    pub access_key: Secret,
}

impl ConnectionString {
    /// Parses a connection string: names in any case and order, split on `;` then on the first `=`.
    /// The error names the part, never a value.
    pub fn parse(_text: &str) -> Result<Self, String> {
        unimplemented!()
    }

    /// The whole string with the key in it: only for `squall hub`'s first line.
    #[must_use]
    pub fn expose(&self) -> String {
        unimplemented!()
    }
}
