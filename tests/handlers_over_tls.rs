//! The whole binary with event handlers behind https: whom the hub trusts, what it says of whom it
//! does not, and that no secret comes into anything it writes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod common;

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use common::{Hub, Run, run_scenario, squall};

/// Stands in the URL's query, as a Functions key does.
const KEY_IN_URL: &str = "a-key-of-an-application";

/// An event handler behind https. It ends with the test process.
struct Handler {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Holds what to trust.
    folder: tempfile::TempDir,
}

#[derive(Clone, Debug)]
struct Asked {
    method: Method,
    /// Path and query.
    path: String,
    signature: String,
}

impl Handler {
    /// Starts one whose certificate is for these names, and which answers events with a status.
    fn start(names: &[&str], status: u16) -> Self {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let asked = Arc::default();
        let handler = Self { address, asked: Arc::clone(&asked), folder };
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            LocalSet::new().block_on(&runtime, async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::task::spawn_local(serve(
                        acceptor.clone(),
                        stream,
                        Arc::clone(&asked),
                        status,
                    ));
                }
            });
        });
        handler
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// A scenario whose hub asks it.
    fn scenario(&self) -> String {
        format!(
            r#"
title = "a handler behind https"
duration = "3s"

[hub]
profile = "ci"

[[hub.event_handlers]]
url = "https://{}/api/{{event}}?code={KEY_IN_URL}"
system_events = ["connect", "connected", "disconnected"]

[hub.webhooks]
retry_after = []

[populations.members]
count = 2
arrival = {{ burst = {{}} }}

[expect.members]
closes = {{ Normal = 2 }}
"#,
            self.address
        )
    }
}

async fn serve(
    acceptor: TlsAcceptor,
    stream: tokio::net::TcpStream,
    asked: Arc<Mutex<Vec<Asked>>>,
    status: u16,
) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(|request: Request<_>| {
        let is_validation = request.method() == Method::OPTIONS;
        let signature = request.headers().get("ce-signature");
        asked.lock().unwrap().push(Asked {
            method: request.method().clone(),
            path: request.uri().to_string(),
            signature: signature.map_or("", |value| value.to_str().unwrap()).to_owned(),
        });
        let answer = Response::builder().status(if is_validation { 200 } else { status });
        let answer = answer.header("WebHook-Allowed-Origin", "*");
        async move { Ok::<_, Infallible>(answer.body(Full::<Bytes>::default()).unwrap()) }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The log's records of one name: message and exception.
fn logged(run: &Run, event_name: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(run.folder.join("trace.ndjson")).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_name = records.filter(|record| record["properties"]["eventName"] == event_name);
    let texts = of_name.map(|record| {
        let text = |name: &str| record["properties"][name].as_str().unwrap_or("").to_owned();
        (text("message"), text("exception"))
    });
    texts.collect()
}

/// Everything a run printed and wrote.
fn everything(run: &Run) -> String {
    let files = fs::read_dir(&run.folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
    files.chain([run.text()]).collect()
}

fn holds_no_secret(text: &str, more: &[&str]) {
    for secret in [KEY_IN_URL, "code=", "sha256=", "access_token=ey"].iter().chain(more) {
        let found = text.find(secret).map(|at| {
            let from = (0..=at.saturating_sub(80)).rev().find(|&at| text.is_char_boundary(at));
            text[from.unwrap_or(0)..].chars().take(200).collect::<String>()
        });
        assert_eq!(found, None, "{secret} is told");
    }
}

fn trusting(ca_file: &Path) -> [&str; 2] {
    ["--ca-file", ca_file.to_str().unwrap()]
}

#[test]
fn a_handler_whose_authority_is_named_is_trusted() {
    let handler = Handler::start(&["127.0.0.1"], 204);
    let run = run_scenario("https", &handler.scenario(), &trusting(&handler.ca_file()));
    assert_eq!(run.code(), 0, "{}", run.text());
    let asked = handler.asked();
    let of = |method: Method| asked.iter().filter(move |asked| asked.method == method);
    assert_eq!((of(Method::OPTIONS).count(), of(Method::POST).count()), (1, 6), "{asked:?}");
    assert!(asked.iter().all(|asked| asked.path.ends_with(KEY_IN_URL)), "{asked:?}");
    let signatures: Vec<_> =
        of(Method::POST).map(|asked| asked.signature.trim_start_matches("sha256=")).collect();
    assert!(signatures.iter().all(|signature| signature.len() == 64), "{asked:?}");
    holds_no_secret(&everything(&run), &signatures);
}

#[test]
fn a_hub_of_its_own_trusts_whom_it_is_told_to() {
    let handler = Handler::start(&["127.0.0.1"], 204);
    let ca_file = handler.ca_file();
    let (trusting, doubting) = (Hub::start(&trusting(&ca_file)), Hub::start(&[]));
    for (hub, code) in [(&trusting, 0), (&doubting, 99)] {
        let target = ["--target", hub.connection_string()];
        let run = run_scenario("https", &handler.scenario(), &target);
        assert_eq!(run.code(), code, "{}", run.text());
        holds_no_secret(&everything(&run), &[]);
    }
}

#[test]
fn a_handler_that_nobody_vouches_for_gets_nothing_and_the_log_says_why() {
    let handler = Handler::start(&["127.0.0.1"], 204);
    let other = Handler::start(&["other.example"], 204);
    let wrong_name = other.ca_file();
    for (handler, arguments, why) in [
        (&handler, &[][..], "name its authority's certificate with --ca-file"),
        (&other, &trusting(&wrong_name)[..], "the server's certificate is for another host name"),
    ] {
        let run = run_scenario("https", &handler.scenario(), arguments);
        assert_eq!(run.code(), 99, "{}", run.text());
        let records = logged(&run, "AbuseProtectionResponseFailed");
        assert!(!records.is_empty(), "{}", run.text());
        for (message, exception) in records {
            let url = format!("https://{}/api/validate", handler.address);
            assert_eq!(message, format!("Abuse protection validation for '{url}' failed."));
            assert!(
                exception.starts_with("TLS failed: ") && exception.contains(why),
                "{exception}"
            );
        }
        assert!(handler.asked().is_empty(), "{:?}", handler.asked());
        holds_no_secret(&everything(&run), &[]);
    }
}

#[test]
fn what_a_handler_refuses_is_told_without_secrets() {
    let handler = Handler::start(&["127.0.0.1"], 401);
    let run = run_scenario("https", &handler.scenario(), &trusting(&handler.ca_file()));
    assert_eq!(logged(&run, "HttpHandlerUnexpectedResponse").len(), 2, "{}", run.text());
    holds_no_secret(&everything(&run), &[]);
}

#[test]
fn a_file_without_certificates_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("empty.pem"), "").unwrap();
    for command in [&["hub", "--listen", "127.0.0.1:0"][..], &["run", "drops"]] {
        let output =
            squall(folder.path()).args(command).args(["--ca-file", "empty.pem"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("cannot use empty.pem as --ca-file"), "{told}");
    }
}
