//! A client over TLS, with tokio-tungstenite over tokio-rustls at the other end.

use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::kit::*;
use super::publishing::with_traffic;
use crate::event::ClientObservation;
use crate::net::Connector;
use crate::protocol::{Endpoint, Scheme};

/// An acceptor and a file with the certificate to trust.
fn acceptor() -> (TlsAcceptor, tempfile::NamedTempFile) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(made.cert.pem().as_bytes()).unwrap();
    (Arc::new(config).into(), file)
}

#[test]
fn a_client_over_tls_sends_all_it_holds_and_leaves_in_order() {
    run(async {
        let mut plan = with_traffic(false, None);
        plan.traffic[0].size = 64 * 1024;
        let mut world = World::new(plan).await;
        let (acceptor, ca_file) = acceptor();
        let port = Some(world.listener.local_addr().unwrap().port());
        let endpoint = Endpoint { scheme: Scheme::Https, host: "127.0.0.1".into(), port };
        let connector = Connector::new(endpoint, Some(ca_file.path())).await.unwrap();
        Rc::get_mut(&mut world.shard).unwrap().connector = connector;

        let (client, task) = world.start(0);
        let (stream, _) = world.listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        #[expect(clippy::result_large_err, reason = "tungstenite's own signature")]
        let echo = |request: &Request, mut response: Response| {
            let name = request.headers()["sec-websocket-protocol"].clone();
            response.headers_mut().insert("sec-websocket-protocol", name);
            Ok(response)
        };
        let mut server = tokio_tungstenite::accept_hdr_async(stream, echo).await.unwrap();
        let hello = r#"{"type":"system","event":"connected","connectionId":"abc"}"#;
        server.send(Message::text(hello)).await.unwrap();
        assert!(server.next().await.unwrap().unwrap().to_text().unwrap().contains("joinGroup"));

        // The hub does not read: what the socket and TLS do not take stays in the outbox.
        while world.shard.counts.not_sent.borrow().is_empty() {
            client.publish(0, Instant::now());
        }
        let sent = world.shard.counts.published.get();
        client.leave();
        for _ in 0..sent {
            let text = server.next().await.unwrap().unwrap();
            assert!(text.to_text().unwrap().len() > 64 * 1024);
        }
        assert!(matches!(server.next().await.unwrap().unwrap(), Message::Close(_)));
        assert!(server.next().await.is_none());
        task.await.unwrap();
        let end = world.end().await;
        assert!(matches!(end.observation, ClientObservation::CloseFrame { code: Some(1000), .. }));
        assert_eq!(end.sent, sent);
        world.assert_clean();
    });
}
