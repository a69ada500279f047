//! The hub calls event handlers.

mod connect;
mod kit;
mod life;
mod trouble;
mod user;
