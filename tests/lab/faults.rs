//! A proxy before a mail server that breaks connections as networks do: at an octet, at a command, or when told.
//!
//! It passes octets on as they are, TLS untouched. What happens to a connection is written in its [`Plan`]; what
//! happens to all that are open now is told by [`Faults::now`]. All of it runs in one thread that sleeps until a
//! socket or the test wakes it.

mod link;
mod plan;

pub use link::Traffic;
pub use plan::{Direction, End, Fault, Place, Plan};

use super::dovecot::free_port;
use super::process::eventually;
use link::Link;
use socket2::SockRef;
use std::collections::VecDeque;
use std::net::TcpListener as Listener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The name of the proxy's thread, for whoever wants to know what it costs.
pub const THREAD: &str = "lab-faults";

/// How long the proxy's thread may take to do what it is told.
const PROMPT: Duration = Duration::from_secs(5);

/// The proxy. Dropped, it closes everything and ends its thread.
pub struct Faults {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: u16,
    plans: Mutex<Plans>,
    links: Mutex<Vec<Arc<Link>>>,
    /// What the proxy is to be; the thread follows.
    wanted: watch::Sender<Door>,
    /// What it is.
    door: watch::Sender<Door>,
}

#[derive(Default)]
struct Plans {
    next: VecDeque<Plan>,
    rest: Plan,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    Closed,
    Gone,
}

impl Faults {
    /// Begins to listen on loopback, before whatever listens on `upstream`. Every connection is clean until a plan
    /// says otherwise.
    pub fn before(upstream: u16) -> Self {
        let (port, listener) = listen();
        let shared = Arc::new(Shared {
            upstream,
            plans: Mutex::default(),
            links: Mutex::default(),
            wanted: watch::channel(Door::Open).0,
            door: watch::channel(Door::Open).0,
        });
        let served = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                runtime.block_on(serve(&served, port, listener));
                // The runtime goes, and with it every connection.
            })
            .expect("a thread");
        Self {
            port,
            shared,
            thread: Some(thread),
        }
    }

    /// Where the program is to connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The plan of the next connection that has none yet: called twice, it is for the next two.
    pub fn next(&self, plan: Plan) {
        held(&self.shared.plans).next.push_back(plan);
    }

    /// The plan of every connection after those that [`Self::next`] plans.
    pub fn rest(&self, plan: Plan) {
        held(&self.shared.plans).rest = plan;
    }

    /// Lets this happen at once to every connection that is open.
    pub fn now(&self, fault: Fault) {
        for link in held(&self.shared.links).iter() {
            link.suffer(fault);
        }
    }

    /// Ends every stall, loss, delay and slowness of the connections that are open. What was held goes on its way;
    /// what was lost stays lost.
    pub fn release(&self) {
        for link in held(&self.shared.links).iter() {
            link.release();
        }
    }

    /// Refuses new connections from now on, as a host without a server does.
    pub fn refuse(&self) {
        self.turn(Door::Closed);
    }

    /// Takes new connections again.
    pub fn accept(&self) {
        self.turn(Door::Open);
    }

    fn turn(&self, door: Door) {
        self.shared.wanted.send_replace(door);
        eventually(
            "the proxy's door",
            PROMPT,
            || (*self.shared.door.borrow() == door).then_some(()),
            String::new,
        );
    }

    /// Every connection so far, in the order they came.
    pub fn connections(&self) -> Vec<Traffic> {
        let links = held(&self.shared.links);
        links.iter().map(|link| link.traffic()).collect()
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.shared.wanted.send_replace(Door::Gone);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A port that can be given up and taken again: not one of those that outgoing connections get.
fn listen() -> (u16, Listener) {
    loop {
        let port = free_port();
        if let Ok(listener) = Listener::bind(("127.0.0.1", port)) {
            return (port, listener);
        }
    }
}

async fn serve(shared: &Arc<Shared>, port: u16, mut listener: Listener) {
    let mut wanted = shared.wanted.subscribe();
    loop {
        listener
            .set_nonblocking(true)
            .expect("a listener that does not block");
        let open = TcpListener::from_std(listener).expect("a listener");
        shared.door.send_replace(Door::Open);
        loop {
            tokio::select! {
                _ = wanted.wait_for(|&door| door != Door::Open) => break,
                accepted = open.accept() => if let Ok((client, _)) = accepted {
                    take(shared, client);
                },
            }
        }
        drop(open);
        shared.door.send_replace(Door::Closed);
        let next = wanted.wait_for(|&door| door != Door::Closed).await;
        if next.is_ok_and(|door| *door == Door::Gone) {
            return;
        }
        listener = Listener::bind(("127.0.0.1", port)).expect("the same port again");
    }
}

fn take(shared: &Arc<Shared>, client: TcpStream) {
    let plan = {
        let mut plans = held(&shared.plans);
        plans.next.pop_front().unwrap_or_else(|| plans.rest.clone())
    };
    let link = Arc::new(Link::new(plan));
    held(&shared.links).push(Arc::clone(&link));
    let upstream = shared.upstream;
    tokio::spawn(async move {
        connect(&link, client, upstream).await;
        link.end();
    });
}

async fn connect(link: &Link, client: TcpStream, upstream: u16) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await else {
        return reset(&client);
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    link.relay(client, server).await;
}

/// Makes the end of this stream a reset: what closes last closes so.
fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
