//! Clients against small scripted servers on loopback: each behaviour proves the healthy path
//! first, each observation is seen for real.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod behaviours;
mod endings;
mod kit;
mod publishing;
mod steady;
mod tls;
