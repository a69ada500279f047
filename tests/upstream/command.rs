//! `squall upstream` as a user meets it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use assert_cmd::assert::OutputAssertExt as _;
use predicates::prelude::*;
use predicates::str::contains;
use rustix::process::{Pid, Signal, kill_process};
use squall::net::Connector;
use squall::net::http::{HttpAnswer, HttpCaller, HttpRequest};
use squall::protocol::Endpoint;
use squall::protocol::webhook::{EventHead, UrlTemplate};
use tokio::task::LocalSet;

use super::common::squall;
use super::kit::*;

/// May never be seen anywhere.
const KEY: &str = "n0b0dy-may-ever-see-this-key-0123456789";

/// A server with piped output, and its first line.
fn start(folder: &tempfile::TempDir, arguments: &[&str]) -> (Child, String) {
    let mut process = squall(folder.path())
        .args(["upstream", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (process, line.trim_end().to_owned())
}

/// Interrupts it; what it said on standard error.
fn stop(process: Child) -> String {
    let id = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    kill_process(id, Signal::INT).unwrap();
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stderr).unwrap()
}

fn ask(endpoint: &Endpoint, requests: Vec<HttpRequest>) -> Vec<HttpAnswer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let connector = Connector::new(endpoint.clone(), None).await.unwrap();
        let mut caller = HttpCaller::new(connector);
        let mut answers = Vec::new();
        for request in requests {
            answers.push(caller.call(request, std::time::Duration::from_secs(20)).await.unwrap());
        }
        answers
    })
}

/// An event signed with no key that counts.
fn unsigned(mut head: EventHead) -> EventHead {
    head.signature = "sha256=0123456789abcdef".into();
    head
}

#[test]
fn its_first_line_is_the_url_template_and_an_interrupt_shows_what_it_saw() {
    let folder = tempfile::tempdir().unwrap();
    let script = "key = \"${env:CODE}\"\n[[rules]]\non = [\"chat\"]\nanswer = { status = 503 }";
    fs::write(folder.path().join("app.toml"), script).unwrap();
    let mut command = squall(folder.path());
    command
        .args(["upstream", "--listen", "127.0.0.1:0", "--script", "app.toml", "--verbose"])
        .env("CODE", KEY)
        .env("SQUALL_CONNECTION_STRING", format!("Endpoint=http://hub.example;AccessKey={KEY}x;"));
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let template = UrlTemplate::parse(line.trim_end()).unwrap();
    assert!(template.as_str().ends_with("/api/webpubsub/hubs/{hub}/{event}"), "{line}");

    let keyed = |mut request: HttpRequest, event: &str| {
        request.path_and_query =
            format!("{}?code={KEY}", template.fill("squall", event).path_and_query);
        request
    };
    let requests = vec![
        validation(http::Method::OPTIONS),
        keyed(validation(http::Method::OPTIONS), "validate"),
        keyed(post(&unsigned(head(connect(), "c-1")), ""), "connect"),
        keyed(post(&unsigned(head(user("chat"), "c-2")), "hello"), "chat"),
    ];
    let statuses: Vec<_> =
        ask(template.endpoint(), requests).iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses, [401, 200, 204, 503]);

    let told = stop(process);
    assert!(!told.contains(KEY) && !told.contains("sha256"), "{told}");
    for part in [
        "1 rule of app.toml",
        "asks for a key",
        "connect         c-1",
        "validations: 1 granted · 1 denied",
        "signatures: 2 bad",
        "503 × 1",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
}

#[test]
fn it_echoes_when_told_to_and_is_quiet_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let (process, line) = start(&folder, &["--echo"]);
    let endpoint = UrlTemplate::parse(&line).unwrap().endpoint().clone();
    let answers = ask(&endpoint, vec![post(&head(user("chat"), "c-1"), "hello")]);
    assert_eq!(text(&answers[0]), "hello");
    let told = stop(process);
    assert!(!told.contains("c-1"), "{told}");
    assert!(told.contains("200 × 1"), "{told}");

    let (process, _) = start(&folder, &[]);
    assert!(stop(process).contains("no request of a hub came"));
}

#[test]
fn a_scenario_is_a_script_too() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = "duration = \"9s\"\n[populations.a]\ncount = 1\narrival = { burst = {} }\n\
                    [upstream]\nverify = \"reject\"\ndown = [{ from = \"8s\" }]\n";
    fs::write(folder.path().join("mine.toml"), scenario).unwrap();
    let (process, line) = start(&folder, &["--script", "mine.toml"]);
    let endpoint = UrlTemplate::parse(&line).unwrap().endpoint().clone();
    let answers = ask(&endpoint, vec![post(&unsigned(head(connect(), "c-1")), "")]);
    assert_eq!(answers[0].status, 500);
    let told = stop(process);
    assert!(told.contains("down 1 time") && told.contains("rejected when bad"), "{told}");
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_listens() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.toml"), "[[rules]]\nanswer = { status = 99 }").unwrap();
    let upstream = |arguments: &[&str]| {
        let mut command = squall(folder.path());
        command.arg("upstream").args(arguments).env("SQUALL_LISTEN", "127.0.0.1:0");
        command.assert().code(2).stdout("")
    };
    upstream(&["--script", "bad.toml"])
        .stderr(contains("bad.toml:2:21").and(contains("expected 200 to 599")));
    upstream(&["--script", "missing.toml"]).stderr(contains("missing.toml"));
    upstream(&["--script", "bad.toml", "--echo"]).stderr(contains("--echo"));
    let string = format!("Endpoint=http://{KEY}/x;AccessKey={KEY}");
    upstream(&["--connection-string", &string])
        .stderr(contains("--connection-string").and(contains(KEY).not()));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    upstream(&["--listen", &address]).stderr(contains(address.as_str()));
}
