//! A real hub on a port of its own, driven by tokio-tungstenite's client (the second opinion) where
//! everybody behaves, and by bare frames where somebody does not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod control;
mod drops;
mod kit;
mod protocol;
mod rest;
mod webhooks;
