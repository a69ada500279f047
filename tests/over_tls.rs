//! The whole binary over TLS: a proxy with a certificate of its own stands before a `squall hub`, as
//! a gateway does in production. Verification is on unless the certificate is trusted by `--ca-file`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use common::{Hub, run_scenario};

const SCENARIO: &str = r#"
title = "clients over TLS"
duration = "6s"

[hub]
profile = "ci"

[populations.members]
count = 20
arrival = { rate = "50/s" }
groups = ["room"]

[traffic.chatter]
from = "members[0]"
to = { group = "room" }
rate = "10/s"
size = "4KiB"
start = "1s"
until = "2s"

[[faults]]
at = "2s"
close_connections = { population = "members", count = 5, reason = "enough" }

[expect.members]
closes = { Normal = 15, ClosedByAppServer = 5 }
"#;

/// A certificate for 127.0.0.1: what a server shows, and the text of a file to trust.
fn certificate() -> (TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (Arc::new(config).into(), made.cert.pem())
}

/// Starts a proxy that ends TLS before `hub` and returns its address. It ends with the test process.
fn tls_proxy(hub: SocketAddr, acceptor: TlsAcceptor) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((near, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut near) = acceptor.accept(near).await else { return };
                    let mut far = TcpStream::connect(hub).await.unwrap();
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
    });
    address
}

#[test]
fn a_run_over_tls_passes_when_the_certificate_is_trusted_and_is_refused_when_not() {
    let hub = Hub::start(&["--profile", "ci"]);
    let (acceptor, pem) = certificate();
    let proxy = tls_proxy(hub.address(), acceptor);
    let target = hub.connection_string_at(proxy).replace("http://", "https://");
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, pem).unwrap();

    let trusted = ["--target", target.as_str(), "--ca-file", ca_file.to_str().unwrap()];
    let run = run_scenario("tls", SCENARIO, &trusted);
    assert_eq!(run.code(), 0, "{}", run.text());

    let run = run_scenario("tls", SCENARIO, &["--target", &target]);
    assert_eq!(run.code(), 100, "{}", run.text());
    assert!(run.text().contains("--ca-file"), "{}", run.text());
    assert!(!run.folder.exists(), "a run that never began left a folder");
}
