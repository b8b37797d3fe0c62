//! OAuth 2.0: access tokens in place of passwords (RFC 6749).
//!
//! A person logs in once, by a [code typed elsewhere](Client::by_device) or [in a browser](Client::by_browser); the
//! refresh token of that [`Grant`] lies in the keychain from then on. [`OAuth2::token`] makes access tokens of it,
//! which are kept in memory alone. Nothing here prints.
//!
//! Secrets on their way to and from the authorization server pass through the libraries for HTTP and JSON, which do
//! not wipe their buffers; everything of ours does.

mod access;
mod browser;
mod client;
mod device;
mod entry;
mod error;
mod http;
mod lock;
mod loopback;
mod provider;
#[cfg(test)]
mod scripted;
mod secret;

pub use access::{OAuth2, Place, Source, settled};
pub use client::{Client, Grant};
pub use device::Invitation;
pub(crate) use entry::Entry;
pub use error::Error;
pub use provider::{Endpoints, Provider};
pub use secret::ClientSecret;
