//! The daemon: every account attended all the time, in one process in the foreground.
//!
//! A [`supervisor`] has a keeper for each account, which may fail alone, and tells the service manager how things
//! stand. What happens runs [`hooks`]. A unit that [`unit::print`] writes starts it. There is one daemon a user: it
//! holds the [`lock`]. Others talk to it over a [`socket`] in its
//! [`protocol`], as a [`client`] each: they share the watch of an account, whose connection there is one of.

mod board;
pub mod client;
mod clients;
#[cfg(unix)]
mod descriptors;
pub mod hooks;
mod journal;
mod keeper;
mod lines;
pub mod lock;
mod notify;
pub mod protocol;
mod server;
mod signals;
pub mod socket;
pub mod supervisor;
pub mod unit;

pub use client::Client;
pub use lock::Lock;
pub use supervisor::{Source, Supervisor};
