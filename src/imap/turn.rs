//! Whose turn it is to connect: thousands of accounts begin together, and lose their server together.
//!
//! A turn lasts from the question for the password to the login, each step of which has its limit, and is never kept
//! while a connection is watched. Whoever came first is next.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Logins at one server that go on at once. Dovecot serves 100 that are not logged in yet unless it is told otherwise,
/// and not to us alone; where a login takes half a second, these are 3,800 a minute.
const OF_A_SERVER: usize = 32;

/// Logins at all servers together that go on at once. Each may want a thread that resolves a name, a process that gives
/// a password, and milliseconds for its handshake, while the limits of the others run. A server that never answers has
/// a quarter of them at most.
const OF_ALL: usize = 4 * OF_A_SERVER;

/// The turns of this process.
static TURNS: LazyLock<Turns> = LazyLock::new(|| Turns::new(OF_A_SERVER, OF_ALL));

/// Waits for a turn at this server.
pub(super) async fn at(host: &str, port: u16) -> Turn {
    TURNS.at(host, port).await
}

/// May connect now; gives the turn to the next when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _of_server: Option<OwnedSemaphorePermit>,
    _of_all: Option<OwnedSemaphorePermit>,
}

type Server = (String, u16);

#[derive(Debug)]
struct Turns {
    each: usize,
    all: Arc<Semaphore>,
    /// As long as somebody has a turn there or waits for one.
    servers: Mutex<HashMap<Server, Weak<Semaphore>>>,
}

impl Turns {
    fn new(each: usize, all: usize) -> Self {
        Self {
            each,
            all: Arc::new(Semaphore::new(all)),
            servers: Mutex::default(),
        }
    }

    async fn at(&self, host: &str, port: u16) -> Turn {
        // The server's first: those who wait for a slow one take nothing from the others.
        let of_server = self.server(host, port).acquire_owned().await;
        let of_all = Arc::clone(&self.all).acquire_owned().await;
        // Neither is ever closed.
        Turn {
            _of_server: of_server.ok(),
            _of_all: of_all.ok(),
        }
    }

    fn server(&self, host: &str, port: u16) -> Arc<Semaphore> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (host.to_ascii_lowercase(), port);
        if let Some(known) = servers.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        servers.retain(|_, server| server.strong_count() > 0);
        let server = Arc::new(Semaphore::new(self.each));
        servers.insert(key, Arc::downgrade(&server));
        server
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn a_server_meets_so_many_at_once_and_the_next_when_one_is_done() {
        let turns = Turns::new(2, 10);
        let first = turns.at("imap.acme.example", 993).await;
        let second = turns.at("IMAP.acme.example", 993).await;
        let mut third = std::pin::pin!(turns.at("imap.acme.example", 993));
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        third.await;
        drop(second);
    }

    #[tokio::test]
    async fn a_server_that_never_answers_keeps_nobody_from_another() {
        let turns = Turns::new(2, 3);
        let _hung = (
            turns.at("hung.example", 993).await,
            turns.at("hung.example", 993).await,
        );
        let mut waiting: Vec<_> = (0..5)
            .map(|_| Box::pin(turns.at("hung.example", 993)))
            .collect();
        for one in &mut waiting {
            assert!(one.as_mut().now_or_never().is_none());
        }
        let _sound = turns.at("imap.acme.example", 993).await;
    }

    #[tokio::test]
    async fn all_servers_together_have_a_limit() {
        let turns = Turns::new(2, 2);
        let first = turns.at("a.example", 993).await;
        let _second = turns.at("b.example", 993).await;
        let mut third = std::pin::pin!(turns.at("c.example", 993));
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        third.await;
    }

    #[tokio::test]
    async fn nothing_is_kept_of_servers_that_nobody_connects_to() {
        let turns = Turns::new(2, 2);
        for port in 1..100 {
            drop(turns.at("imap.acme.example", port).await);
        }
        assert_eq!(turns.servers.lock().expect("a lock").len(), 1);
    }
}
