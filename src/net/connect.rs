//! Connecting: resolved once, buffers before the connect, TLS with verification on.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};

use super::Stream;
use super::budget::is_out_of_descriptors;
use super::stream::{Tcp, set_buffers};
use crate::event::ConnectFailure;
use crate::protocol::settings::SocketBuffers;
use crate::protocol::{Endpoint, Scheme};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct ConnectError {
    /// Kind, for counting.
    pub failure: ConnectFailure,
    /// Text for people, without secrets.
    pub detail: String,
}

impl ConnectError {
    fn tls(detail: String) -> Self {
        Self { failure: ConnectFailure::Tls, detail }
    }

    fn other(detail: String) -> Self {
        Self { failure: ConnectFailure::Other, detail }
    }
}

/// Dials one endpoint. Cheap to clone, and free to move between threads.
#[derive(Clone, Debug)]
pub struct Connector {
    endpoint: Endpoint,
    /// At least one.
    addresses: Arc<[SocketAddr]>,
    tls: Option<Tls>,
}

#[derive(Clone, Debug)]
struct Tls {
    config: Arc<rustls::ClientConfig>,
    name: ServerName<'static>,
}

impl Connector {
    /// Resolves the host once and, for https, loads the trusted roots (the system's, and those of
    /// `ca_file` in PEM). The error says what to do.
    pub async fn new(endpoint: Endpoint, ca_file: Option<&Path>) -> Result<Self, ConnectError> {
        let addresses = resolve(&endpoint.host, endpoint.port_or_default()).await?;
        let tls = match endpoint.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(Tls::new(&endpoint.host, ca_file)?),
        };
        Ok(Self { endpoint, addresses: addresses.into(), tls })
    }

    /// The endpoint it dials.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Opens a connection: `TCP_NODELAY`, buffers set before connect, TLS handshake done. The caller
    /// bounds the time.
    ///
    /// The host's addresses are tried in order. Running out of descriptors or ports ends the
    /// attempt at once: another address would not help.
    pub async fn connect(&self, buffers: SocketBuffers) -> Result<Stream, ConnectError> {
        let mut failed = ConnectError::other(format!("{} has no address", self.endpoint.host));
        for &address in &*self.addresses {
            match connect_tcp(address, buffers).await {
                Ok(tcp) => {
                    return match &self.tls {
                        None => Ok(Stream::from(tcp)),
                        Some(tls) => tls.shake_hands(tcp).await,
                    };
                }
                Err(error) => failed = connect_error(address, &error),
            }
            if matches!(
                failed.failure,
                ConnectFailure::DescriptorsExhausted | ConnectFailure::PortsExhausted
            ) {
                break;
            }
        }
        Err(failed)
    }
}

/// Addresses of a host. Literals and `localhost` are known without asking; names are asked of the
/// system, which takes a thread of tokio's.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    if host.eq_ignore_ascii_case("localhost") {
        let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return Ok(both.map(|address| SocketAddr::new(address, port)).to_vec());
    }
    let unknown = |why: &str| {
        ConnectError::other(format!(
            "cannot resolve the host `{host}`: {why}; check the endpoint's spelling and the \
             network's name service"
        ))
    };
    let found = tokio::net::lookup_host((host, port)).await.map_err(|e| unknown(&e.to_string()))?;
    let addresses: Vec<_> = found.collect();
    if addresses.is_empty() { Err(unknown("it has no address")) } else { Ok(addresses) }
}

async fn connect_tcp(address: SocketAddr, buffers: SocketBuffers) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    set_buffers(SockRef::from(&socket), buffers)?;
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

/// Names the kind of a failed TCP connect, and what to do.
fn connect_error(address: SocketAddr, error: &io::Error) -> ConnectError {
    let (failure, remedy) = match error.kind() {
        _ if is_out_of_descriptors(error) => (
            ConnectFailure::DescriptorsExhausted,
            "; raise the limit of open files (`ulimit -n`) or lower the count of clients",
        ),
        io::ErrorKind::AddrNotAvailable => (
            ConnectFailure::PortsExhausted,
            "; widen net.ipv4.ip_local_port_range or lower the count of clients",
        ),
        io::ErrorKind::ConnectionRefused => {
            (ConnectFailure::ConnectionRefused, "; is the hub running, and on this port?")
        }
        io::ErrorKind::ConnectionReset => (ConnectFailure::Reset, ""),
        io::ErrorKind::TimedOut => {
            (ConnectFailure::TimedOut, "; check the address and any firewall between")
        }
        _ => (ConnectFailure::Other, ""),
    };
    ConnectError { failure, detail: format!("cannot connect to {address}: {error}{remedy}") }
}

impl Tls {
    fn new(host: &str, ca_file: Option<&Path>) -> Result<Self, ConnectError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            ConnectError::tls(format!("`{host}` is not a host name that a certificate can hold"))
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ConnectError::tls(format!("cannot set up TLS: {error}")))?
            .with_root_certificates(roots(ca_file)?)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), name })
    }

    async fn shake_hands(&self, tcp: TcpStream) -> Result<Stream, ConnectError> {
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&self.config));
        match connector.connect(self.name.clone(), Tcp::from(tcp)).await {
            Ok(tls) => Ok(Stream::Tls(Box::new(tls.into()))),
            Err(error) => Err(handshake_error(&error)),
        }
    }
}

fn handshake_error(error: &io::Error) -> ConnectError {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let remedy = match tls {
        Some(rustls::Error::InvalidCertificate(_)) => {
            "; if the server's certificate is your own, name its authority with --ca-file"
        }
        Some(rustls::Error::InvalidMessage(_)) => "; does the server speak TLS on this port?",
        _ => "",
    };
    let failure = match error.kind() {
        io::ErrorKind::ConnectionReset => ConnectFailure::Reset,
        io::ErrorKind::TimedOut => ConnectFailure::TimedOut,
        _ => ConnectFailure::Tls,
    };
    ConnectError { failure, detail: format!("TLS failed: {error}{remedy}") }
}

/// The system's trusted roots, and those of a PEM file.
fn roots(ca_file: Option<&Path>) -> Result<rustls::RootCertStore, ConnectError> {
    let mut store = rustls::RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(native.certs);
    if let Some(path) = ca_file {
        for certificate in read_pem(path)? {
            store.add(certificate).map_err(|error| {
                ConnectError::tls(format!(
                    "{} holds a certificate that cannot be trusted: {error}",
                    path.display()
                ))
            })?;
        }
    }
    if store.is_empty() {
        return Err(ConnectError::tls(
            "this system has no trusted certificates; install its `ca-certificates`, or name the \
             server's authority with --ca-file"
                .to_owned(),
        ));
    }
    Ok(store)
}

fn read_pem(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let bad = |why: String| {
        ConnectError::tls(format!(
            "cannot use {} as --ca-file: {why}; it must hold certificates in PEM \
             (`-----BEGIN CERTIFICATE-----`)",
            path.display()
        ))
    };
    let text = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let certificates = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(error.to_string()))?;
    if certificates.is_empty() {
        Err(bad("it holds no certificate".to_owned()))
    } else {
        Ok(certificates)
    }
}
