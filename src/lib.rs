//! Squall: a load and client-resilience simulator for Azure Web PubSub-style websocket hubs.
//!
//! # Layout
//!
//! A module imports its own layer's neighbours and anything below it, never upwards;
//! `tests/architecture.rs` enforces it.
//!
//! | layer | modules |
//! | --- | --- |
//! | 0 words, no I/O | [`protocol`], [`measure`], [`event`], [`secret`] |
//! | 1 meaning, no I/O | [`scenario`], [`pace`], [`predict`], [`verdict`], [`capacity`] |
//! | 2 peers, bytes between them | [`net`], [`ws`], [`hub`], [`upstream`], [`client`] |
//! | 2 likewise | [`handler_check`] |
//! | 3 running | [`engine`] |
//! | 4 telling | [`report`] |
//! | 5 outside | [`cli`] |
#![forbid(unsafe_code)]

pub mod capacity;
pub mod cli;
pub mod client;
pub mod engine;
pub mod event;
pub mod handler_check;
pub mod hub;
pub mod measure;
pub mod net;
pub mod pace;
pub mod predict;
pub mod protocol;
pub mod report;
pub mod scenario;
pub mod secret;
pub mod upstream;
pub mod verdict;
pub mod ws;
