//! The wire: everything that is said to a mail server.
//!
//! [`guard`] bounds what a server can do to us, [`session`] checks every command, [`connect`] and [`login`] open a
//! session, [`fetch`] finds and fetches mail, [`idle`] waits for it, [`watch`] keeps all that going and tells its
//! [`condition`], and a [`cursor`] names a place to go on from.

mod bearer;
pub mod condition;
pub mod connect;
pub mod cursor;
pub mod error;
pub mod fetch;
mod folders;
pub mod guard;
pub mod idle;
pub mod login;
pub mod session;
pub mod test_mail;
mod tls;
#[cfg(test)]
mod transcripts;
mod turn;
pub mod watch;

pub use bearer::Mechanism;
pub use condition::Condition;
pub use connect::{Endpoint, Tls};
pub use cursor::Cursor;
pub use error::{Class, Error};
pub use fetch::Message;
pub use login::{Credentials, Proof};
pub use tls::forget_contexts;
pub use watch::{Event, Order, Start, Temper, Watcher, fetch_one};
