//! A hub that loses, doubles or swaps deliveries is caught, each by exactly the check that is meant
//! for it.
//!
//! The mutant is a relay between the run and a separate, healthy hub: it tampers with one message
//! frame in about a thousand on its way to the clients. Hub and generator are the shipped ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use common::{Hub, run_scenario};

/// One message frame in this many is tampered with: four of a run's 4,000 deliveries, and none of
/// the last forty, which have no successor to be swapped with.
const EVERY: u64 = 990;

const SCENARIO: &str = r#"
title = "deliveries under a tampering relay"
duration = "6s"

[hub]
profile = "ci"

[populations.members]
count = 40
arrival = { rate = "100/s" }
groups = ["room"]

[traffic.chatter]
from = "members[0]"
to = { group = "room" }
rate = "50/s"
size = "128B"
start = "1s"
until = "3s"

[expect.members]
closes = { Normal = "all" }
delivery = "complete"
"#;

#[derive(Clone, Copy, PartialEq)]
enum Mutation {
    None,
    Drop,
    Double,
    Swap,
}

/// Starts a relay to `hub` and returns its address. Its threads end with their connections.
fn tampering_relay(hub: SocketAddr, mutation: Mutation) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(AtomicU64::new(0));
    thread::spawn(move || {
        for near in listener.incoming() {
            let (Ok(near), Ok(far)) = (near, TcpStream::connect(hub)) else { return };
            let (near_in, far_out) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            let seen = Arc::clone(&seen);
            thread::spawn(move || copy(near_in, far_out));
            thread::spawn(move || tamper(far, near, mutation, &seen));
        }
    });
    address
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// Passes the hub's bytes on; behind a 101, frame by frame.
fn tamper(mut from: TcpStream, mut to: TcpStream, mutation: Mutation, seen: &AtomicU64) {
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 16 * 1024];
    let mut upgraded = false;
    let mut held: Option<Vec<u8>> = None;
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&buffer[..count]);
        if !upgraded {
            let head_end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
            let is_upgrade = bytes.starts_with(b"HTTP/1.1 101");
            let pass = match head_end {
                Some(end) if is_upgrade => end,
                None if is_upgrade => continue,
                _ => bytes.len(),
            };
            upgraded = is_upgrade;
            if to.write_all(&bytes.drain(..pass).collect::<Vec<_>>()).is_err() {
                break;
            }
        }
        while upgraded && let Some(length) = frame_length(&bytes) {
            let frame: Vec<u8> = bytes.drain(..length).collect();
            let is_message = frame.windows(16).any(|part| part == b"\"type\":\"message\"");
            let chosen = is_message
                && mutation != Mutation::None
                && (seen.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(EVERY);
            let mut out = Vec::new();
            match (chosen, mutation) {
                (true, Mutation::Drop) => {}
                (true, Mutation::Double) => out = [frame.clone(), frame].concat(),
                (true, Mutation::Swap) if held.is_none() => held = Some(frame),
                _ => {
                    out = frame;
                    if is_message && let Some(earlier) = held.take() {
                        out.extend(earlier);
                    }
                }
            }
            if to.write_all(&out).is_err() {
                return;
            }
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// Length of the whole unmasked frame at the start of `bytes`, when it is there.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let length = match *bytes.get(1)? & 0x7f {
        126 => 4 + usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        127 => {
            let long = u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?);
            10 + usize::try_from(long).ok()?
        }
        short => 2 + usize::from(short),
    };
    (bytes.len() >= length).then_some(length)
}

/// Paths of the checks that failed, under a mutation.
fn red_checks(mutation: Mutation) -> Vec<String> {
    let hub = Hub::start(&["--profile", "ci"]);
    let relay = tampering_relay(hub.address(), mutation);
    let run = run_scenario("mutant", SCENARIO, &["--target", &hub.connection_string_at(relay)]);
    run.failed_checks()
}

#[test]
fn an_honest_relay_turns_nothing_red() {
    assert_eq!(red_checks(Mutation::None), Vec::<String>::new());
}

#[test]
fn a_lost_delivery_turns_the_loss_check_red() {
    assert_eq!(red_checks(Mutation::Drop), ["expect.members.delivery.lost"]);
}

#[test]
fn a_doubled_delivery_turns_the_duplicate_check_red() {
    assert_eq!(red_checks(Mutation::Double), ["expect.members.delivery.duplicated"]);
}

#[test]
fn swapped_deliveries_turn_the_order_check_red() {
    assert_eq!(red_checks(Mutation::Swap), ["expect.members.delivery.out_of_order"]);
}
