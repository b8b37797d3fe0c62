//! A line to a mail server that counts what goes over it, TLS untouched: round trips, octets, and when the server was
//! last heard. It can be as long as a line to a server far away.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What went over one connection so far, seen from the client's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    pub from_client: u64,
    pub from_server: u64,
    /// How often the client spoke after it had heard the server, or first: each waits for an answer once. Connecting
    /// TCP is one more, which is not counted.
    pub round_trips: u32,
    /// When the server was last heard.
    pub heard: Option<Instant>,
    /// Whether the client spoke last.
    client_spoke: bool,
}

impl Carried {
    fn speak(&mut self, octets: usize) {
        self.round_trips += u32::from(!self.client_spoke);
        self.client_spoke = true;
        self.from_client += octets as u64;
    }

    fn hear(&mut self, octets: usize) {
        self.client_spoke = false;
        self.from_server += octets as u64;
        self.heard = Some(Instant::now());
    }
}

/// The line. Dropped, it closes everything and ends its threads.
pub struct Wire {
    port: u16,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: u16,
    /// How long an octet is on its way.
    delay: Duration,
    stop: AtomicBool,
    connections: Mutex<Vec<Carried>>,
    streams: Mutex<Vec<TcpStream>>,
}

impl Wire {
    /// Begins to listen on loopback, before whatever listens on `upstream`. Each octet is on its way for `delay` in
    /// either direction; TCP itself connects at once.
    pub fn before(upstream: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("its port").port();
        let shared = Arc::new(Shared {
            upstream,
            delay,
            stop: AtomicBool::new(false),
            connections: Mutex::default(),
            streams: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let listener = thread::spawn(move || {
            let mut threads = Vec::new();
            for client in listener.incoming().flatten() {
                if serving.stop.load(Ordering::Relaxed) {
                    break;
                }
                threads.extend(serving.take(client));
            }
            for stream in held(&serving.streams).drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
            for thread in threads {
                let _ = thread.join();
            }
        });
        Self {
            port,
            shared,
            listener: Some(listener),
        }
    }

    /// Where the program is to connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every connection so far, in the order they came.
    pub fn connections(&self) -> Vec<Carried> {
        held(&self.shared.connections).clone()
    }

    /// The only connection, once the server has been silent on it for so long: it then waits for news, or for us.
    #[track_caller]
    pub fn settled(&self, silence: Duration) -> Carried {
        let begin = Instant::now();
        loop {
            let connections = self.connections();
            assert!(connections.len() <= 1, "{connections:?}");
            if let [carried] = connections[..]
                && !carried.client_spoke
                && carried.heard.is_some_and(|at| at.elapsed() >= silence)
            {
                return carried;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(30),
                "never silent: {connections:?}"
            );
            thread::sleep(silence / 10);
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

impl Shared {
    /// Begins to carry one connection; gives its threads, none where there is no server.
    fn take(self: &Arc<Self>, client: TcpStream) -> Vec<JoinHandle<()>> {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.upstream)) else {
            return Vec::new();
        };
        let number = {
            let mut connections = held(&self.connections);
            connections.push(Carried::default());
            connections.len() - 1
        };
        let twin = |stream: &TcpStream| {
            let _ = stream.set_nodelay(true);
            stream.try_clone().expect("a descriptor")
        };
        let (to_client, to_server) = (twin(&client), twin(&server));
        held(&self.streams).extend([twin(&client), twin(&server)]);
        let (into_up, out_of_up) = channel();
        let (into_down, out_of_down) = channel();
        let speak = self.noting(number, Carried::speak);
        let hear = self.noting(number, Carried::hear);
        let delay = self.delay;
        vec![
            thread::spawn(move || listen(client, &into_up, speak)),
            thread::spawn(move || say(&out_of_up, to_server, delay, |_| {})),
            thread::spawn(move || listen(server, &into_down, |_| {})),
            thread::spawn(move || say(&out_of_down, to_client, delay, hear)),
        ]
    }

    /// Writes down that so many octets passed the client's end.
    fn noting(
        self: &Arc<Self>,
        number: usize,
        note: fn(&mut Carried, usize),
    ) -> impl Fn(usize) + Send + 'static {
        let shared = Arc::clone(self);
        move |octets| note(&mut held(&shared.connections)[number], octets)
    }
}

/// What one end said, and when.
type Piece = (Instant, Vec<u8>);

fn listen(mut from: TcpStream, into: &Sender<Piece>, note: impl Fn(usize)) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        note(size);
        if into
            .send((Instant::now(), buffer[..size].to_vec()))
            .is_err()
        {
            return;
        }
    }
}

fn say(out_of: &Receiver<Piece>, mut to: TcpStream, delay: Duration, note: impl Fn(usize)) {
    for (said, octets) in out_of {
        thread::sleep((said + delay).saturating_duration_since(Instant::now()));
        // Before the other end has them: what it says then must count as an answer.
        note(octets.len());
        if to.write_all(&octets).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
