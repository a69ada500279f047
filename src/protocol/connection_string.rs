//! `Endpoint=…;AccessKey=…;Version=1.0;` and the endpoint inside it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

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
    /// Path and query are not part of an endpoint and are an error. A single `/` at the end is let
    /// pass. The error never repeats the text, which may hold a token.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            None => (Scheme::Https, text),
            Some((name, rest)) => match name.to_ascii_lowercase().as_str() {
                "http" | "ws" => (Scheme::Http, rest),
                "https" | "wss" => (Scheme::Https, rest),
                _ => return Err("the scheme must be http, https, ws or wss".to_owned()),
            },
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(
                "an endpoint has no path and no query: give scheme, host and port".to_owned()
            );
        }
        let (host, port) = split_authority(rest)?;
        Ok(Self { scheme, host: host.to_owned(), port })
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
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match self.port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    }

    /// Whether the host is `localhost` or a loopback address: the only ones loaded unasked.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }
}

/// Host without brackets, and the port when there is one.
fn split_authority(text: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("`]` is missing after an IPv6 address")?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err("what stands in `[…]` is not an IPv6 address".to_owned());
        }
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err("after `]` only `:port` may follow".to_owned()),
        }
    } else {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        if port.is_some_and(|port| port.contains(':')) {
            return Err("an IPv6 address stands in brackets: [::1]:8080".to_owned());
        }
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if host.is_empty() || !host.chars().all(is_host) {
            return Err("the host name is missing or has characters no host name has".to_owned());
        }
        (host, port)
    };
    let port = port.map(parse_port).transpose()?;
    Ok((host, port))
}

fn parse_port(text: &str) -> Result<u16, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port != 0 => Ok(port),
        _ => Err("the port must be a number from 1 to 65535".to_owned()),
    }
}

impl fmt::Display for Endpoint {
    /// `http(s)://host[:port]`, the form that stands in audiences.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.authority())
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
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut endpoint, mut access_key, mut port) = (None, None, None);
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) =
                part.split_once('=').ok_or("a part of the connection string has no `=`")?;
            let (slot, name) = match name.trim().to_ascii_lowercase().as_str() {
                "endpoint" => (&mut endpoint, "Endpoint"),
                "accesskey" => (&mut access_key, "AccessKey"),
                "port" => (&mut port, "Port"),
                // `Version`, and what later versions may add.
                _ => continue,
            };
            if slot.replace(value.trim()).is_some() {
                return Err(format!("`{name}` is given twice"));
            }
        }
        let endpoint = endpoint.ok_or("`Endpoint=` is missing")?;
        let mut endpoint =
            Endpoint::parse(endpoint).map_err(|error| format!("`Endpoint`: {error}"))?;
        if let Some(port) = port {
            let port = parse_port(port).map_err(|error| format!("`Port`: {error}"))?;
            if endpoint.port.is_some_and(|typed| typed != port) {
                return Err("`Endpoint` and `Port` name different ports".to_owned());
            }
            endpoint.port = Some(port);
        }
        match access_key {
            Some(key) if !key.is_empty() => Ok(Self { endpoint, access_key: Secret::new(key) }),
            _ => Err("`AccessKey=` is missing or empty".to_owned()),
        }
    }

    /// The whole string with the key in it: only for `squall hub`'s first line.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("Endpoint={};AccessKey={};Version=1.0;", self.endpoint, self.access_key.expose())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn endpoints_are_read_in_the_forms_the_sdks_take() {
        for (text, printed, dialled, loopback) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", 8080, true),
            ("ws://localhost/", "http://localhost", 80, true),
            ("WSS://LocalHost:1", "https://LocalHost:1", 1, true),
            ("contoso.webpubsub.azure.com", "https://contoso.webpubsub.azure.com", 443, false),
            ("https://[::1]:8443", "https://[::1]:8443", 8443, true),
            ("http://[::ffff:127.0.0.1]", "http://[::ffff:127.0.0.1]", 80, true),
            ("http://127.9.9.9", "http://127.9.9.9", 80, true),
            ("http://localhost.example.org", "http://localhost.example.org", 80, false),
            ("10.0.0.1:65535", "https://10.0.0.1:65535", 65535, false),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.to_string(), printed);
            assert_eq!(endpoint.port_or_default(), dialled, "{text}");
            assert_eq!(endpoint.is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_without_repeating_it() {
        for text in [
            "",
            "http://",
            "ftp://secret-host",
            "http://secret-host/path",
            "ws://secret-host?access_token=t",
            "http://user:pass@secret-host",
            "http://secret-host:0",
            "http://secret-host:65536",
            "http://secret-host:+1",
            "http://secret-host:",
            "http://::1",
            "http://[::1",
            "http://[secret-host]",
            "http://[::1]8080",
            "http://secret host",
        ] {
            let error = Endpoint::parse(text).unwrap_err();
            assert!(!error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn connection_strings_are_read_in_any_case_and_order() {
        let text = "version=1.0; ACCESSKEY = a/b+c== ;Port=8081;extra=1;endpoint=http://h/;";
        let parsed = ConnectionString::parse(text).unwrap();
        assert_eq!(parsed.endpoint.to_string(), "http://h:8081");
        assert_eq!(parsed.access_key.expose(), "a/b+c==");
        assert_eq!(parsed.expose(), "Endpoint=http://h:8081;AccessKey=a/b+c==;Version=1.0;");
        assert!(!format!("{parsed:?}").contains("a/b"));
    }

    #[test]
    fn a_bad_connection_string_names_the_part_and_never_a_value() {
        for (text, named) in [
            ("", "Endpoint"),
            ("Endpoint=http://h", "AccessKey"),
            ("AccessKey=secret1", "Endpoint"),
            ("Endpoint=http://h;AccessKey=;", "AccessKey"),
            ("Endpoint=http://h;AccessKey=secret1;AccessKey=secret2", "AccessKey"),
            ("Endpoint=http://secret/x;AccessKey=secret1", "Endpoint"),
            ("Endpoint=http://h;AccessKey=secret1;Port=secret", "Port"),
            ("Endpoint=http://h:1;AccessKey=secret1;Port=2", "Port"),
            ("secret1", "`=`"),
        ] {
            let error = ConnectionString::parse(text).unwrap_err();
            assert!(error.contains(named) && !error.contains("secret"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_exposed_is_parsed(
            tls: bool,
            host in "[a-z][a-z0-9.-]{0,20}|127\\.0\\.0\\.1|::1|2001:db8::7",
            port in proptest::option::of(1..=u16::MAX),
            key in "[A-Za-z0-9+/=]{1,60}",
        ) {
            let scheme = if tls { Scheme::Https } else { Scheme::Http };
            let endpoint = Endpoint { scheme, host, port };
            let string = ConnectionString { endpoint, access_key: Secret::new(key) };
            prop_assert_eq!(ConnectionString::parse(&string.expose()), Ok(string));
        }
    }
}
