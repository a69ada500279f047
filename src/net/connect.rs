//! Connecting: resolved once, buffers before the connect, TLS with verification on.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rustls::CertificateError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};

use super::Stream;
use super::budget::{descriptors_open, is_out_of_descriptors};
use super::link::{Network, Route};
use super::stream::{Tcp, set_buffers};
use crate::event::ConnectFailure;
use crate::protocol::settings::SocketBuffers;
use crate::protocol::{Endpoint, Scheme};
use crate::scenario::plan::Shaping;

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

/// How to connect.
#[derive(Debug, Default)]
pub struct Dial {
    /// Buffers of this end, in bytes as asked for.
    pub buffers: SocketBuffers,
    /// What lies between the ends. Only links in memory can be shaped; sockets leave it alone, so
    /// that a plan with shaping is refused for them before anything starts.
    pub shaping: Shaping,
    /// Draws the shaping's jitter.
    pub jitter: Option<Box<ChaCha8Rng>>,
}

/// Dials one endpoint. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Connector {
    /// Over TCP or TLS.
    Sockets(Dialler),
    /// Over a network in memory.
    Links {
        /// The world's.
        network: Network,
        /// Who is dialled.
        endpoint: Endpoint,
    },
}

impl From<Dialler> for Connector {
    fn from(dialler: Dialler) -> Self {
        Self::Sockets(dialler)
    }
}

impl Connector {
    /// Dials over sockets; see [`Dialler::new`].
    pub async fn new(endpoint: Endpoint, ca_file: Option<&Path>) -> Result<Self, ConnectError> {
        Ok(Self::Sockets(Dialler::new(endpoint, ca_file).await?))
    }

    /// The endpoint it dials.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Sockets(dialler) => &dialler.endpoint,
            Self::Links { endpoint, .. } => endpoint,
        }
    }

    /// Opens a connection. The caller bounds the time. (Over sockets see [`Dialler::connect`].)
    pub async fn connect(&self, dial: Dial) -> Result<Stream, ConnectError> {
        match self {
            Self::Sockets(dialler) => dialler.connect(dial.buffers).await,
            Self::Links { network, endpoint } => {
                let Dial { buffers, shaping, jitter } = dial;
                let route = Route { shaping, jitter };
                let link = network.dial(&endpoint.authority(), buffers, route).await;
                link.map(Stream::Link).map_err(|error| unanswered(&endpoint.host, &error))
            }
        }
    }

    /// What of this process's is held by open connections: descriptors of all kinds over sockets
    /// (`None` where that cannot be told), ends of links in memory.
    #[must_use]
    pub fn open_ends(&self) -> Option<u64> {
        match self {
            Self::Sockets(_) => descriptors_open(),
            Self::Links { network, .. } => Some(network.open_ends()),
        }
    }
}

/// Dials one endpoint over TCP or TLS. Cheap to clone, and free to move between threads.
#[derive(Clone, Debug)]
pub struct Dialler {
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

impl Dialler {
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

    /// Opens a connection: `TCP_NODELAY`, buffers set before connect, TLS handshake done. The
    /// caller bounds the time.
    ///
    /// The host's addresses are tried in order; of several failures the first is told, since the
    /// later ones may only say that this machine has no IPv6. Running out of descriptors ends the
    /// attempt at once: another address would not help.
    pub async fn connect(&self, buffers: SocketBuffers) -> Result<Stream, ConnectError> {
        let mut first = None;
        for &address in &*self.addresses {
            match connect_tcp(address, buffers).await {
                Ok(tcp) => {
                    return match &self.tls {
                        None => Ok(Stream::from(tcp)),
                        Some(tls) => tls.shake_hands(tcp).await,
                    };
                }
                Err(error) if is_out_of_descriptors(&error) => {
                    return Err(connect_error(address, &error));
                }
                Err(error) => {
                    first.get_or_insert_with(|| connect_error(address, &error));
                }
            }
        }
        let host = &self.endpoint.host;
        Err(first.unwrap_or_else(|| ConnectError::other(format!("`{host}` has no address"))))
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
    set_buffers(&SockRef::from(&socket), buffers)?;
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

/// Names the kind of a failed TCP connect, and what to do.
fn connect_error(address: SocketAddr, error: &io::Error) -> ConnectError {
    unanswered(&address.to_string(), error)
}

/// The same, for whoever was dialled.
fn unanswered(whom: &str, error: &io::Error) -> ConnectError {
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
            (ConnectFailure::ConnectionRefused, "; is the server running, and on this port?")
        }
        io::ErrorKind::ConnectionReset => (ConnectFailure::Reset, ""),
        io::ErrorKind::TimedOut => {
            (ConnectFailure::TimedOut, "; check the address and any firewall between")
        }
        _ => (ConnectFailure::Other, ""),
    };
    ConnectError { failure, detail: format!("cannot connect to {whom}: {error}{remedy}") }
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
    let detail = match tls {
        Some(rustls::Error::InvalidCertificate(why)) => certificate_words(why),
        Some(rustls::Error::InvalidMessage(_)) => {
            format!("{error}; does the server speak TLS on this port?")
        }
        _ => error.to_string(),
    };
    let failure = match error.kind() {
        io::ErrorKind::ConnectionReset => ConnectFailure::Reset,
        io::ErrorKind::TimedOut => ConnectFailure::TimedOut,
        _ => ConnectFailure::Tls,
    };
    ConnectError { failure, detail: format!("TLS failed: {detail}") }
}

/// What is wrong with a server's certificate, and what to do.
fn certificate_words(why: &CertificateError) -> String {
    let told = match why {
        CertificateError::UnknownIssuer => {
            "nobody that this machine trusts has issued the server's certificate; if it is your \
             own, name its authority's certificate with --ca-file"
        }
        CertificateError::BadSignature => {
            "the server's certificate was not signed with the key of the authority it names; name \
             the authority that issued it with --ca-file"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another host name; use the name it was issued \
             for, or issue one for this name"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired; renew it, and check this machine's clock"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet; check the clocks of both machines"
        }
        // The verifier has no variant of its own for this; its text is all there is to go by.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the server shows an authority's certificate (CA:TRUE) as its own; issue it a server \
             certificate without CA:TRUE, signed by that authority, and name the authority with \
             --ca-file"
        }
        other => return format!("the server's certificate is not acceptable: {other}"),
    };
    told.to_owned()
}

/// Sees that a file named with `--ca-file` holds certificates, before anything rests on it.
///
/// # Errors
///
/// It cannot be read, holds none, or holds one that cannot be trusted.
pub fn check_ca_file(path: &Path) -> Result<(), ConnectError> {
    roots(Some(path)).map(drop)
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{IoSlice, Write};
    use std::pin::Pin;

    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::net::testing::{bounded, listener};

    /// A server that speaks TLS, and the file to trust it by.
    struct TlsServer {
        listener: TcpListener,
        acceptor: tokio_rustls::TlsAcceptor,
        endpoint: Endpoint,
        ca_file: tempfile::NamedTempFile,
    }

    impl TlsServer {
        async fn start() -> Self {
            let names = vec!["127.0.0.1".to_owned()];
            Self::with(rcgen::CertificateParams::new(names).unwrap()).await
        }

        async fn with(params: rcgen::CertificateParams) -> Self {
            let key = rcgen::KeyPair::generate().unwrap();
            let made = params.self_signed(&key).unwrap();
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![made.der().clone()], key)
                .unwrap();
            let mut ca_file = tempfile::NamedTempFile::new().unwrap();
            ca_file.write_all(made.pem().as_bytes()).unwrap();
            let (listener, endpoint) = listener(Scheme::Https).await;
            Self { listener, acceptor: Arc::new(config).into(), endpoint, ca_file }
        }

        async fn connector(&self) -> Dialler {
            Dialler::new(self.endpoint.clone(), Some(self.ca_file.path())).await.unwrap()
        }

        async fn accept(&self) -> io::Result<Stream> {
            let (tcp, _) = self.listener.accept().await?;
            let tls = self.acceptor.accept(Tcp::from(tcp)).await?;
            Ok(Stream::Tls(Box::new(tls.into())))
        }

        async fn pair(&self) -> (Stream, Stream) {
            let connector = self.connector().await;
            let (client, server) = bounded(async {
                tokio::join!(connector.connect(SocketBuffers::default()), self.accept())
            })
            .await;
            (client.unwrap(), server.unwrap())
        }
    }

    #[tokio::test]
    async fn a_plain_connection_has_its_buffers_before_it_connects() {
        let (listener, endpoint) = listener(Scheme::Http).await;
        let connector = Dialler::new(endpoint, None).await.unwrap();
        let buffers = SocketBuffers { send: Some(8192), receive: Some(4096) };
        let stream = bounded(connector.connect(buffers)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        let Stream::Tcp(tcp) = &stream else { panic!("plain TCP") };
        let socket = SockRef::from(tcp.tcp_stream());
        assert!(tcp.tcp_stream().nodelay().unwrap());
        assert!((8192..=16_384).contains(&socket.send_buffer_size().unwrap()));
        assert!((4096..=8192).contains(&socket.recv_buffer_size().unwrap()));
    }

    #[tokio::test]
    async fn localhost_needs_no_name_service_and_falls_back() {
        let both = resolve("LocalHost", 7).await.unwrap();
        assert_eq!(both, ["127.0.0.1:7".parse().unwrap(), "[::1]:7".parse().unwrap()]);
        assert_eq!(resolve("::1", 9).await.unwrap(), ["[::1]:9".parse().unwrap()]);

        let (listener, endpoint) = listener(Scheme::Http).await;
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let addresses = [nobody, listener.local_addr().unwrap()].into();
        let connector = Dialler { endpoint, addresses, tls: None };
        bounded(connector.connect(SocketBuffers::default())).await.unwrap();

        // The second one cannot be dialled from here, which is no news about ports.
        let addresses = [nobody, "[2001:db8::1]:9".parse().unwrap()].into();
        let connector = Dialler { addresses, ..connector };
        let error = bounded(connector.connect(SocketBuffers::default())).await.unwrap_err();
        assert_eq!(error.failure, ConnectFailure::ConnectionRefused, "{error}");
    }

    #[tokio::test]
    async fn a_failed_connect_names_its_kind_and_a_remedy() {
        let (listener, endpoint) = listener(Scheme::Http).await;
        drop(listener);
        let connector = Dialler::new(endpoint, None).await.unwrap();
        let error = bounded(connector.connect(SocketBuffers::default())).await.unwrap_err();
        assert_eq!(error.failure, ConnectFailure::ConnectionRefused);
        assert!(error.to_string().contains("is the server running"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn errors_of_the_system_are_told_apart() {
        let address = "127.0.0.1:80".parse().unwrap();
        for (errno, failure) in [
            (24, ConnectFailure::DescriptorsExhausted),
            (23, ConnectFailure::DescriptorsExhausted),
            (99, ConnectFailure::PortsExhausted),
            (104, ConnectFailure::Reset),
            (110, ConnectFailure::TimedOut),
            (111, ConnectFailure::ConnectionRefused),
            (13, ConnectFailure::Other),
        ] {
            let error = connect_error(address, &io::Error::from_raw_os_error(errno));
            assert_eq!(error.failure, failure, "{error}");
            assert!(error.detail.contains("127.0.0.1:80"), "{error}");
        }
    }

    #[tokio::test]
    async fn tls_carries_bytes_ends_and_resets() {
        let server = TlsServer::start().await;
        let (mut client, mut hub) = server.pair().await;
        bounded(async {
            client.write_all(b"ping").await.unwrap();
            client.flush().await.unwrap();
            let mut got = [0; 4];
            hub.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"ping");
            hub.shutdown().await.unwrap();
            assert_eq!(client.read(&mut got).await.unwrap(), 0);
        })
        .await;

        let (mut client, hub) = server.pair().await;
        hub.abort();
        let error = bounded(client.read(&mut [0; 4])).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn an_end_without_tls_farewell_is_an_end() {
        let server = TlsServer::start().await;
        let (mut client, hub) = server.pair().await;
        drop(hub);
        assert_eq!(bounded(client.read(&mut [0; 4])).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn tls_takes_bytes_until_both_it_and_the_socket_are_full() {
        let server = TlsServer::start().await;
        let (mut client, mut hub) = server.pair().await;
        assert!(!client.has_unsent());
        let mut sent = 0;
        let error = loop {
            match client.try_write_vectored(&[IoSlice::new(&[1; 5000]), IoSlice::new(&[2; 5000])]) {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(client.has_unsent());
        let mut got = Vec::new();
        let (ended, read) = bounded(async {
            tokio::join!(
                async {
                    poll_fn(|cx| Pin::new(&mut client).poll_flush(cx)).await?;
                    assert!(!client.has_unsent());
                    client.shutdown().await
                },
                hub.read_to_end(&mut got)
            )
        })
        .await;
        ended.unwrap();
        read.unwrap();
        assert_eq!(got.len(), sent);
    }

    #[tokio::test]
    async fn a_stalled_tls_client_sees_a_reset_without_reading() {
        let server = TlsServer::start().await;
        let (mut client, mut hub) = server.pair().await;
        hub.write_all(&[0; 10_000]).await.unwrap();
        hub.flush().await.unwrap();
        let (seen, ()) = bounded(async {
            tokio::join!(poll_fn(|cx| client.poll_hung_up(cx)), async {
                crate::net::testing::pause().await;
                hub.abort();
            })
        })
        .await;
        assert_eq!(seen, ());
    }

    #[tokio::test]
    async fn an_unknown_authority_is_refused_with_the_flag_to_use() {
        let (server, other) = (TlsServer::start().await, TlsServer::start().await);
        let endpoint = server.endpoint.clone();
        let connector = Dialler::new(endpoint, Some(other.ca_file.path())).await.unwrap();
        let (error, _) = bounded(async {
            tokio::join!(connector.connect(SocketBuffers::default()), server.accept())
        })
        .await;
        let error = error.unwrap_err();
        assert_eq!(error.failure, ConnectFailure::Tls);
        assert!(error.to_string().contains("--ca-file"), "{error}");
    }

    #[tokio::test]
    async fn a_bad_certificate_is_told_in_words_with_what_to_do() {
        let names = || vec!["127.0.0.1".to_owned()];
        let mut authority = rcgen::CertificateParams::new(names()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let mut old = rcgen::CertificateParams::new(names()).unwrap();
        old.not_after = rcgen::date_time_ymd(2001, 2, 3);
        let mut young = rcgen::CertificateParams::new(names()).unwrap();
        young.not_before = rcgen::date_time_ymd(3000, 2, 3);
        let other = rcgen::CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
        for (params, wanted) in [
            (authority, "without CA:TRUE"),
            (old, "has expired"),
            (young, "not valid yet"),
            (other, "another host name"),
        ] {
            let server = TlsServer::with(params).await;
            let connector = server.connector().await;
            let (error, _) = bounded(async {
                tokio::join!(connector.connect(SocketBuffers::default()), server.accept())
            })
            .await;
            let error = error.unwrap_err();
            assert_eq!(error.failure, ConnectFailure::Tls);
            let told = error.to_string();
            assert!(told.contains(wanted) && !told.contains("OtherError"), "{told}");
        }
    }

    #[tokio::test]
    async fn plain_text_on_a_tls_port_is_named() {
        let server = TlsServer::start().await;
        let connector = server.connector().await;
        let plain = async {
            let (mut tcp, _) = server.listener.accept().await.unwrap();
            tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            tcp
        };
        let (error, _tcp) =
            bounded(async { tokio::join!(connector.connect(SocketBuffers::default()), plain) })
                .await;
        let error = error.unwrap_err();
        assert_eq!(error.failure, ConnectFailure::Tls);
        assert!(error.to_string().contains("speak TLS"), "{error}");
    }

    #[tokio::test]
    async fn a_bad_ca_file_is_named_with_what_it_must_hold() {
        let (_listener, endpoint) = listener(Scheme::Https).await;
        let empty = tempfile::NamedTempFile::new().unwrap();
        let missing = std::path::PathBuf::from("no-such-folder/ca.pem");
        for path in [empty.path(), &missing] {
            let error = Dialler::new(endpoint.clone(), Some(path)).await.unwrap_err().to_string();
            let name = path.display().to_string();
            assert!(error.contains(&name) && error.contains("PEM"), "{error}");
        }
    }
}
