//! The scripted application server, over loopback and over links in memory: what it answers and
//! misanswers, when, and what it counts.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod answers;
#[cfg(unix)]
mod check;
#[cfg(unix)]
mod command;
#[path = "../common/mod.rs"]
mod common;
mod kit;
mod timeline;
