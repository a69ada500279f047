//! The hub calls event handlers.

mod connect;
mod kit;
mod life;
mod listeners;
mod reach;
mod stacks;
mod trouble;
mod user;
