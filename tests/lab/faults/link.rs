//! One connection through the proxy.

use super::plan::{Direction, End, Fault, Place, Plan};
use super::reset;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// What went over one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Octets that the server got from the client.
    pub from_client: u64,
    /// Octets that the client got from the server.
    pub from_server: u64,
    /// The client's sealed TLS records among them, see [`Place::Answer`].
    pub records: u64,
    /// Faults of its plan whose place was not reached.
    pub due: usize,
    /// Whether it is over.
    pub ended: bool,
}

pub(super) struct Link(watch::Sender<State>);

#[derive(Default)]
struct State {
    lanes: [Lane; 2],
    due: Vec<(Place, Fault)>,
    records: Records,
    cut: Option<End>,
    ended: bool,
}

/// One direction.
#[derive(Clone, Copy, Default)]
struct Lane {
    passed: u64,
    stalled: bool,
    lost: bool,
    truncated: bool,
    delay: Duration,
    per_octet: Option<Duration>,
}

impl State {
    fn lane(&mut self, direction: Direction) -> &mut Lane {
        &mut self.lanes[direction as usize]
    }

    fn passed(&self, direction: Direction) -> u64 {
        self.lanes[direction as usize].passed
    }

    /// Lets happen what is due; says whether anything was.
    fn fire(&mut self) -> bool {
        let answered = self.passed(Direction::FromServer);
        for (place, _) in &mut self.due {
            if let Place::Answer { record, octets } = *place
                && record <= self.records.sealed
            {
                *place = Place::Octet(Direction::FromServer, answered + octets);
            }
        }
        let (ripe, due): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.due)
                .into_iter()
                .partition(|(place, _)| match *place {
                    Place::Octet(direction, octets) => self.passed(direction) >= octets,
                    Place::Answer { .. } => false,
                });
        self.due = due;
        for (_, fault) in &ripe {
            self.suffer(*fault);
        }
        !ripe.is_empty()
    }

    fn suffer(&mut self, fault: Fault) {
        match fault {
            Fault::Cut(end) => self.cut = Some(end),
            Fault::Stall(direction) => self.lane(direction).stalled = true,
            Fault::Lose(direction) => self.lane(direction).lost = true,
            Fault::Truncate(direction) => {
                self.lane(direction).lost = true;
                self.lane(direction).truncated = true;
            }
            Fault::Delay(direction, time) => self.lane(direction).delay = time,
            Fault::Slow(direction, time) => self.lane(direction).per_octet = Some(time),
        }
    }

    /// How many of the octets at hand may go before the next place where something happens.
    fn room(&self, direction: Direction, at_hand: usize) -> usize {
        let lane = &self.lanes[direction as usize];
        let most = if lane.per_octet.is_some() { 1 } else { at_hand };
        let next = self.due.iter().filter_map(|(place, _)| match *place {
            Place::Octet(of, octets) if of == direction => octets.checked_sub(lane.passed),
            _ => None,
        });
        next.filter_map(|octets| usize::try_from(octets).ok())
            .fold(most, usize::min)
    }
}

impl Link {
    pub(super) fn new(plan: Plan) -> Self {
        let mut state = State {
            due: plan.0,
            ..State::default()
        };
        state.fire();
        Self(watch::channel(state).0)
    }

    pub(super) fn suffer(&self, fault: Fault) {
        self.0.send_modify(|state| state.suffer(fault));
    }

    pub(super) fn release(&self) {
        self.0.send_modify(|state| {
            for lane in &mut state.lanes {
                *lane = Lane {
                    passed: lane.passed,
                    lost: lane.truncated,
                    truncated: lane.truncated,
                    ..Lane::default()
                };
            }
        });
    }

    pub(super) fn end(&self) {
        self.0.send_modify(|state| state.ended = true);
    }

    pub(super) fn traffic(&self) -> Traffic {
        let state = self.0.borrow();
        Traffic {
            from_client: state.passed(Direction::FromClient),
            from_server: state.passed(Direction::FromServer),
            records: state.records.sealed,
            due: state.due.len(),
            ended: state.ended,
        }
    }

    /// Passes octets on until both directions ended or the connection is cut.
    pub(super) async fn relay(&self, mut client: TcpStream, mut server: TcpStream) {
        let mut state = self.0.subscribe();
        let cut = {
            let (mut from_client, mut to_client) = client.split();
            let (mut from_server, mut to_server) = server.split();
            let both = async {
                tokio::join!(
                    self.pump(Direction::FromClient, &mut from_client, &mut to_server),
                    self.pump(Direction::FromServer, &mut from_server, &mut to_client),
                )
            };
            tokio::select! {
                biased;
                cut = state.wait_for(|state| state.cut.is_some()) => cut.ok().and_then(|state| state.cut),
                _ = both => None,
            }
        };
        match cut {
            Some(End::Reset) => [&client, &server].into_iter().for_each(reset),
            Some(End::Close) => {
                tokio::join!(leave(&mut client), leave(&mut server));
            }
            None => {}
        }
    }

    /// One direction, to its end.
    async fn pump(
        &self,
        direction: Direction,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) {
        let mut changes = self.0.subscribe();
        let mut buffer = vec![0; 16 * 1024];
        let mut open = true;
        loop {
            let lane = self.at_the_gate(direction).await;
            if lane.truncated && open {
                open = false;
                let _ = to.shutdown().await;
            }
            let size = tokio::select! {
                biased;
                _ = changes.changed() => continue,
                read = from.read(&mut buffer) => read.unwrap_or(0),
            };
            if size == 0 {
                let lane = self.at_the_gate(direction).await;
                if open && !lane.lost {
                    let _ = to.shutdown().await;
                }
                return;
            }
            if self.forward(direction, &buffer[..size], to).await.is_err() {
                return;
            }
        }
    }

    /// Waits while the direction is stalled, and for ever once the connection is cut.
    async fn at_the_gate(&self, direction: Direction) -> Lane {
        let mut state = self.0.subscribe();
        let state = state
            .wait_for(|state| !state.lanes[direction as usize].stalled && state.cut.is_none())
            .await;
        state.map_or_else(|_| Lane::default(), |state| state.lanes[direction as usize])
    }

    /// Sends what came in one piece, as far and as fast as the faults let it.
    async fn forward(
        &self,
        direction: Direction,
        mut octets: &[u8],
        to: &mut (impl AsyncWrite + Unpin),
    ) -> std::io::Result<()> {
        let delay = self.at_the_gate(direction).await.delay;
        sleep(delay).await;
        while !octets.is_empty() {
            let lane = self.at_the_gate(direction).await;
            if lane.lost {
                return Ok(());
            }
            if let Some(time) = lane.per_octet {
                sleep(time).await;
            }
            let room = self.0.borrow().room(direction, octets.len());
            let (now, later) = octets.split_at(room);
            if direction == Direction::FromClient {
                // Before the server gets the record: what is to happen to its answer must be in force.
                self.0.send_if_modified(|state| {
                    state.records.read(now);
                    state.fire()
                });
            }
            to.write_all(now).await?;
            self.0.send_if_modified(|state| {
                state.lane(direction).passed += now.len() as u64;
                state.fire()
            });
            octets = later;
        }
        Ok(())
    }
}

/// Ends a stream in order. What the other side still says is taken for a moment: octets that nobody reads would
/// make a reset of the end.
async fn leave(stream: &mut TcpStream) {
    let _ = stream.shutdown().await;
    let mut nobody = tokio::io::sink();
    let moment = Duration::from_secs(1);
    let _ = timeout(moment, tokio::io::copy(stream, &mut nobody)).await;
}

/// Counts TLS records of the type "application data" (RFC 8446 §5.1), each when its last octet has come.
#[derive(Default)]
struct Records {
    sealed: u64,
    header: Vec<u8>,
    left: usize,
}

impl Records {
    const APPLICATION_DATA: u8 = 23;

    fn read(&mut self, octets: &[u8]) {
        for &octet in octets {
            if self.header.len() < 5 {
                self.header.push(octet);
                if let [_, _, _, high, low] = self.header[..] {
                    self.left = usize::from(u16::from_be_bytes([high, low]));
                }
            } else {
                self.left -= 1;
            }
            if self.header.len() == 5 && self.left == 0 {
                self.sealed += u64::from(self.header[0] == Self::APPLICATION_DATA);
                self.header.clear();
            }
        }
    }
}
