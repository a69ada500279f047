//! The scripted application server, over loopback and over links in memory: what it answers and
//! misanswers, when, and what it counts.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod answers;
mod kit;
mod timeline;
