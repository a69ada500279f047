//! The hub calls event handlers.

mod connect;
mod kit;
mod life;
mod reach;
mod stacks;
mod trouble;
mod user;
