//! `squall upstream check` against healthy handlers, and against broken ones: each names its own
//! fault, and nothing else is blamed.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Output, Stdio};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::common::squall;

/// May never be seen anywhere.
const KEY: &str = "n0b0dy-may-ever-see-this-key-0123456789";
/// May not either; in the URL.
const CODE: &str = "n0r-th1s%2Fcode";

/// A scripted handler in a process of its own; it is ended when this is dropped.
struct Handler {
    process: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Drop for Handler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Handler {
    fn start(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("app.toml"), script).unwrap();
        let mut process = squall(folder.path())
            .args(["upstream", "--listen", "127.0.0.1:0", "--script", "app.toml"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        Self { process, url: url.trim_end().to_owned(), folder }
    }

    /// Checks it, quickly.
    fn check(&self, arguments: &[&str]) -> Checked {
        self.check_at(&self.url, arguments)
    }

    fn check_at(&self, url: &str, arguments: &[&str]) -> Checked {
        let output = squall(self.folder.path())
            .args(["upstream", "check", "--json", "--rate", "50/s", "--for", "100ms", url])
            .args(arguments)
            .output()
            .unwrap();
        Checked::of(&output)
    }
}

/// What a check found.
struct Checked {
    code: i32,
    document: Value,
    text: String,
}

impl Checked {
    fn of(output: &Output) -> Self {
        let [out, err] =
            [&output.stdout, &output.stderr].map(|of| String::from_utf8(of.clone()).unwrap());
        let document = serde_json::from_str(&out).unwrap_or(Value::Null);
        Self { code: output.status.code().unwrap(), document, text: format!("{out}{err}") }
    }

    fn findings(&self) -> &[Value] {
        self.document["findings"].as_array().unwrap_or_else(|| panic!("{}", self.text))
    }

    /// Names of the checks that ended so.
    fn of_outcome(&self, outcome: &str) -> Vec<&str> {
        let of = self.findings().iter().filter(|finding| finding["outcome"] == outcome);
        of.map(|finding| finding["check"].as_str().unwrap()).collect()
    }

    #[track_caller]
    fn finding(&self, check: &str) -> &Value {
        let found = self.findings().iter().find(|finding| finding["check"] == check);
        found.unwrap_or_else(|| panic!("no {check}: {}", self.text))
    }

    /// Exactly this check fails, with these words on what is wrong and what to change.
    #[track_caller]
    fn assert_blames(&self, check: &str, what: &str, change: &str, guide: &str) {
        assert_eq!((self.code, self.of_outcome("fail")), (99, vec![check]), "{}", self.text);
        let finding = self.finding(check);
        let text = |name: &str| finding[name].as_str().unwrap().to_owned();
        assert!(text("what").contains(what), "{finding:#}");
        assert!(text("change").contains(change), "{finding:#}");
        assert!(finding["guide"]["title"].as_str().unwrap().contains(guide), "{finding:#}");
        for same in self.findings().iter().filter(|finding| finding["outcome"] == "same") {
            assert_eq!(same["same_as"], check, "{same:#}");
        }
    }
}

/// An answer of the handler to these requests.
fn rule(on: &str, answer: &str) -> String {
    format!("[[rules]]\non = [{on}]\nanswer = {{ {answer} }}\n")
}

const EVENTS: &str = r#""connect", "connected", "disconnected", "*""#;

#[test]
fn a_healthy_handler_passes_and_one_that_ignores_signatures_is_warned_of() {
    let state = "eyJ1c2VyIjoiYSJ9";
    let healthy = format!(
        "verify = \"reject\"\n{}{}",
        rule(
            r#""connect""#,
            &format!(r#"state = "{state}", connect = {{ user = "me", groups = ["g"] }}"#)
        ),
        rule(r#""message""#, "echo = {}")
    );
    let checked = Handler::start(&healthy).check(&["--require-signature-check"]);
    assert_eq!(checked.code, 0, "{}", checked.text);
    for outcome in ["fail", "warn", "same"] {
        assert!(checked.of_outcome(outcome).is_empty(), "{}", checked.text);
    }
    for (check, what) in [
        ("connect", "sets user, groups, state"),
        ("text", "sends text back"),
        ("json", "sends JSON back"),
        ("binary", "sends bytes back"),
        ("state", "base64 of JSON"),
        ("forged-signature", "refused with 500"),
        ("missing-signature", "refused with 500"),
        ("latency", "5 events, all taken"),
    ] {
        let finding = checked.finding(check);
        assert_eq!(finding["outcome"], "pass", "{finding:#}");
        assert!(finding["what"].as_str().unwrap().contains(what), "{finding:#}");
    }
    let sent = &checked.finding("text")["exchanges"][0]["headers"];
    assert!(sent.to_string().contains(state), "the state went back: {sent}");
    assert!(sent.to_string().contains(r#"["ce-userid","me"]"#), "{sent}");

    let lax = Handler::start("");
    let checked = lax.check(&[]);
    assert_eq!(checked.code, 0, "{}", checked.text);
    assert_eq!(checked.of_outcome("warn"), ["forged-signature", "missing-signature"]);
    let checked = lax.check(&["--require-signature-check"]);
    checked.assert_blames("forged-signature", "forged", "HMAC-SHA256", "CloudEvents");
}

#[test]
fn what_was_sent_and_came_back_is_shown_of_every_check_on_demand() {
    let handler = Handler::start(&rule(r#""message""#, "body = \"well heard\""));
    let check = |more: &[&str]| {
        let mut command = squall(handler.folder.path());
        command.args(["upstream", "check", "--for", "10ms", &handler.url]).args(more);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(!text.contains("sha256=0") && text.contains("sha256=***"), "{text}");
        let of = |from: &str, to: &str| {
            let (_, rest) = text.split_once(&format!("  pass  {from}")).unwrap();
            rest.split_once(&format!("  pass  {to}")).unwrap().0.to_owned()
        };
        of("text", "json")
    };
    let brief = check(&[]);
    assert_eq!(brief.lines().count(), 1, "{brief}");
    let whole = check(&["--verbose"]);
    for part in ["sent    POST ", "ce-eventname: message", "back    200 in ", "well heard"] {
        assert!(whole.contains(part), "{part}: {whole}");
    }
}

#[test]
fn a_validation_that_grants_nothing_is_told_by_why() {
    let missing = "AbuseProtectionResponseMissingAllowedOrigin";
    for (answer, what, change) in [
        (r#"origin = "missing""#, "no WebHook-Allowed-Origin", "CORS"),
        (r#"origin = "wrong""#, "another host", "it names `wrong.invalid`"),
        (r#"origin = { list = ["localhost", "b"] }"#, "a list with commas", "a header line for"),
    ] {
        let checked = Handler::start(&rule(r#""validate""#, answer)).check(&[]);
        checked.assert_blames("validation", what, change, missing);
        assert!(checked.of_outcome("same").is_empty(), "{}", checked.text);
        let log = &checked.finding("validation")["log"];
        assert_eq!(log["event"], missing);
    }
    for (answer, what, change, guide) in [
        ("status = 401", "401", "App Key", "401 Unauthorized"),
        ("status = 403", "403", "authentication", "Debug"),
        ("status = 404", "404", "nor GET", "Debug"),
        ("status = 405", "405", "method", "Debug"),
        (r#"redirect = "http://elsewhere.invalid/""#, "307", "follows no redirect", "Debug"),
        ("delay = \"60s\"", "no answer within", "at once", "Debug"),
        ("close = {}", "connection ended", "crash", "Debug"),
        ("reset = {}", "connection ended", "crash", "Debug"),
    ] {
        let handler = Handler::start(&rule(r#""validate""#, answer));
        let checked = handler.check(&["--timeout", "2s"]);
        checked.assert_blames("validation", what, change, guide);
        assert!(checked.of_outcome("same").is_empty(), "{}", checked.text);
    }
}

#[test]
fn a_get_may_grant_what_options_does_not_know() {
    let script = format!("{}first = 1\n", rule(r#""validate""#, "status = 404"));
    let checked = Handler::start(&script).check(&[]);
    assert_eq!(checked.code, 0, "{}", checked.text);
    let methods: Vec<_> = checked.finding("validation")["exchanges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|exchange| exchange["method"].as_str().unwrap())
        .collect();
    assert_eq!(methods, ["OPTIONS", "GET"]);
}

#[test]
fn a_handler_that_answers_badly_names_the_event_and_what_to_change() {
    let broken = [
        (rule(EVENTS, "status = 500"), "connect", "500", "application's log", "500 from"),
        (rule(EVENTS, "status = 404"), "connect", "404", "(--hub names another", "404 from"),
        (rule(EVENTS, "delay = \"60s\""), "connect", "no answer within", "sooner", "Debug"),
        (rule(EVENTS, "reset = {}"), "connect", "connection ended", "crash", "Debug"),
        (rule(EVENTS, r#"redirect = "/login""#), "connect", "302|307", "login page", "CloudEvents"),
        (
            rule(r#""connect""#, "malformed = {}"),
            "connect",
            "not what one may be",
            "204",
            "CloudEvents",
        ),
        (
            rule(r#""connect""#, r#"json = "[]""#),
            "connect",
            "not a JSON object",
            "204",
            "CloudEvents",
        ),
        (
            rule(r#""connected""#, "status = 503"),
            "connected",
            "503",
            "application's log",
            "500 from",
        ),
        (rule(r#""*""#, "status = 400"), "text", "400", "200 or 204", "CloudEvents"),
        (
            rule(r#""message""#, "oversize = \"17MiB\""),
            "text",
            "over 16 MiB",
            "at most",
            "CloudEvents",
        ),
        (
            rule(r#""message""#, r#"body = "x", content_type = "image/png""#),
            "text",
            "content type",
            "octet-stream",
            "CloudEvents",
        ),
        (
            rule(r#""disconnected""#, "status = 401"),
            "disconnected",
            "401",
            "only `connect`",
            "Cloud",
        ),
    ];
    for (script, check, what, change, guide) in broken {
        let checked = Handler::start(&script).check(&["--timeout", "2s"]);
        let what = if what == "302|307" { "a redirect" } else { what };
        checked.assert_blames(check, what, change, guide);
    }
}

#[test]
fn the_log_line_of_an_answer_is_the_one_that_a_hub_writes() {
    let answer = r#"status = 503, body = "overloaded""#;
    for (event, check, message) in [
        (
            "connect",
            "connect",
            "Sending message during operation handshake got unexpected response with status code \
             503. Detail: Get error from upstream: 'overloaded'",
        ),
        (
            "message",
            "text",
            "Sending message during operation hub:chat,event:message,type:user,category:messages \
             got unexpected response with status code 503.",
        ),
    ] {
        let checked = Handler::start(&rule(&format!("{event:?}"), answer)).check(&[]);
        let log = &checked.finding(check)["log"];
        assert_eq!(log["event"], "HttpHandlerUnexpectedResponse");
        assert_eq!(log["message"], message, "{log:#}");
    }
}

#[test]
fn a_handler_of_another_hub_is_told_by_its_words() {
    let handler = Handler::start("verify = \"reject\"");
    let string = format!("Endpoint=https://my.webpubsub.azure.com;AccessKey={KEY};Version=1.0;");
    let checked = handler.check(&["--connection-string", &string]);
    let words = "host must be `my.webpubsub.azure.com`";
    checked.assert_blames("signature", "takes this hub for another one", words, "500 from");
    let log = checked.finding("signature")["log"]["message"].as_str().unwrap();
    assert!(log.ends_with("'Request is denied as target server is invalid'"), "{log}");
    assert!(!checked.text.contains(KEY), "{}", checked.text);
}

#[test]
fn a_key_in_the_url_lets_in_and_is_never_shown() {
    let decoded = CODE.replace("%2F", "/");
    let script = format!(
        "key = \"{decoded}\"\n{}",
        rule(r#""message""#, &format!(r#"status = 400, body = "bad code {decoded} = {CODE}""#))
    );
    let handler = Handler::start(&script);
    let checked = handler.check(&[]);
    checked.assert_blames("validation", "401", "`?code=` and its App Key", "401 Unauthorized");
    assert!(checked.of_outcome("same").contains(&"connect"), "{}", checked.text);

    let url = format!("{}?code={CODE}", handler.url);
    let checked = handler.check_at(&url, &[]);
    checked.assert_blames("text", "400", "200 or 204", "CloudEvents");
    let shown = squall(handler.folder.path())
        .args(["upstream", "check", "--for", "10ms"])
        .env("SQUALL_URL", &url)
        .output()
        .unwrap();
    let shown = Checked::of(&shown);
    assert_eq!(shown.code, 99);
    for text in [&checked.text, &shown.text] {
        assert!(!text.contains(CODE) && !text.contains(&decoded), "{text}");
        assert!(text.contains("bad code *** = ***"), "{text}");
        assert!(!text.contains("sha256=0") && text.contains("sha256=***"), "{text}");
    }
    for line in shown.text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn who_may_not_come_in_is_a_warning_or_what_was_expected() {
    let handler = Handler::start(&rule(r#""connect""#, "status = 403"));
    let checked = handler.check(&[]);
    assert_eq!(
        (checked.code, checked.of_outcome("warn")),
        (0, vec!["connect"]),
        "{}",
        checked.text
    );
    assert_eq!(checked.finding("text")["outcome"], "skip");
    let checked = handler.check(&["--expect-connect", "reject"]);
    assert_eq!((checked.code, checked.of_outcome("warn")), (0, vec![]), "{}", checked.text);
    let checked = Handler::start("").check(&["--expect-connect", "reject"]);
    checked.assert_blames("connect", "must not be", "401 or 403", "CloudEvents");
}

#[test]
fn events_that_the_handler_does_not_get_are_not_sent() {
    let handler =
        Handler::start(&rule(r#""connect", "connected", "disconnected""#, "status = 404"));
    let checked = handler.check(&["--system-events", ""]);
    assert_eq!(checked.code, 0, "{}", checked.text);
    for check in ["connect", "connected", "disconnected"] {
        assert_eq!(checked.finding(check)["outcome"], "skip");
    }
    assert_eq!(checked.finding("signature")["outcome"], "pass");
}

#[test]
fn slow_and_failing_events_at_a_rate_fail_the_latency_alone() {
    let slow = Handler::start(&rule(r#""message""#, "delay = \"300ms\""));
    let checked = slow.check(&["--max-p99", "100ms"]);
    checked.assert_blames("latency", "p99 is over 100.0 ms", "sooner", "CloudEvents");
    assert_eq!(slow.check(&["--max-p99", "30s"]).code, 0);
    // The first four are those of other checks: text, JSON, bytes and the one sent twice.
    let script =
        format!("{}first = 5\n{}", rule(r#""message""#, ""), rule(r#""message""#, "status = 503"));
    let checked = Handler::start(&script).check(&[]);
    checked.assert_blames("latency", "503 × 5", "many at once", "500 from");
}

#[test]
fn what_cannot_be_reached_is_told_once_and_nothing_is_sent() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = taken.local_addr().unwrap();
    drop(taken);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{free}/{{hub}}/{{event}}");
    let output =
        squall(folder.path()).args(["upstream", "check", "--json", &url]).output().unwrap();
    let checked = Checked::of(&output);
    assert_eq!(
        (checked.code, checked.of_outcome("fail")),
        (100, vec!["reach"]),
        "{}",
        checked.text
    );
    let finding = checked.finding("reach");
    assert_eq!(finding["log"]["event"], "AbuseProtectionResponseFailed");
    assert!(finding["what"].as_str().unwrap().contains("refused"), "{finding:#}");
    assert_eq!(checked.findings().len(), 2, "{}", checked.text);
}

#[test]
fn what_is_not_loopback_or_cannot_be_meant_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let local = "http://127.0.0.1:9/{event}";
    let remote = format!("https://app.example/x?code={CODE}");
    for (arguments, part) in [
        (vec![remote.as_str()], "--i-own-this-target app.example"),
        (
            vec![remote.as_str(), "--i-own-this-target", "other.example"],
            "the target is app.example",
        ),
        (
            vec![remote.as_str(), "--i-own-this-target", "app.example", "--rate", "101/s"],
            "at most 100/s",
        ),
        (vec!["ftp://n0b0dy/"], "http://"),
        (vec![local, "--rate", "0/s"], "--rate"),
        (vec![local, "--rate", "10"], "rate with its unit"),
        (vec![local, "--for", "2h"], "--for"),
        (vec![local, "--timeout", "0s"], "--timeout"),
        (vec![local, "--origin", "https://a.example"], "--origin"),
        (vec![local, "--hub", "1"], "--hub"),
        (vec![local, "--event", "a b"], "--event"),
        (vec![local, "--system-events", "konnect"], "--system-events"),
        (vec![local, "--connection-string", KEY], "--connection-string"),
        (vec![], "URL"),
    ] {
        let output =
            squall(folder.path()).args(["upstream", "check"]).args(&arguments).output().unwrap();
        let checked = Checked::of(&output);
        assert_eq!(checked.code, 2, "{arguments:?}: {}", checked.text);
        assert!(checked.text.contains(part), "{arguments:?}: {}", checked.text);
        assert!(!checked.text.contains(CODE) && !checked.text.contains(KEY), "{}", checked.text);
    }
    let output =
        squall(folder.path()).args(["upstream", "--echo", "check", local]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "the server's flags are not the check's");
}

#[test]
fn an_interrupt_ends_a_check_that_waits_and_shows_what_there_is() {
    let handler = Handler::start(&rule(r#""connect""#, "delay = \"60s\""));
    let mut process = squall(handler.folder.path())
        .args(["upstream", "check", "--timeout", "60s", &handler.url])
        .env("SQUALL_CONNECTION_STRING", format!("Endpoint=http://localhost;AccessKey={KEY};"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("origin-with-port") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended");
    }
    kill_process(Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap(), Signal::INT)
        .unwrap();
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(105));
    assert!(rest.contains("3 passed"), "{rest}");
}

/// An authority, and a certificate of its for 127.0.0.1.
fn certified() -> (TlsAcceptor, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (Arc::new(config).into(), authority.pem())
}

/// Ends TLS before a server; ends itself with the test process.
fn tls_proxy(server: SocketAddr, acceptor: TlsAcceptor) -> SocketAddr {
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
                    let mut far = TcpStream::connect(server).await.unwrap();
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
    });
    address
}

#[test]
fn a_handler_over_tls_is_checked_when_its_authority_is_trusted() {
    let handler = Handler::start("");
    let address = handler.url["http://".len()..].split('/').next().unwrap().parse().unwrap();
    let (acceptor, pem) = certified();
    let proxy = tls_proxy(address, acceptor);
    let url = format!("https://{proxy}/{{hub}}/{{event}}");
    fs::write(handler.folder.path().join("ca.pem"), pem).unwrap();
    let checked = handler.check_at(&url, &["--ca-file", "ca.pem"]);
    assert_eq!(checked.code, 0, "{}", checked.text);
    let checked = handler.check_at(&url, &[]);
    assert_eq!(
        (checked.code, checked.of_outcome("fail")),
        (100, vec!["reach"]),
        "{}",
        checked.text
    );
    assert!(checked.text.contains("--ca-file"), "{}", checked.text);

    // https where nobody speaks TLS.
    let plain = format!("https://{address}/{{hub}}/{{event}}");
    let checked = handler.check_at(&plain, &["--timeout", "5s"]);
    assert_eq!(
        (checked.code, checked.of_outcome("fail")),
        (100, vec!["reach"]),
        "{}",
        checked.text
    );
}
