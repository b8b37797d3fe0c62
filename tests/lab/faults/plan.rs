//! What is to happen to a connection, and where.

use std::time::Duration;

/// Which way octets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    FromClient,
    FromServer,
}

impl Direction {
    pub const BOTH: [Self; 2] = [Self::FromClient, Self::FromServer];
}

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// RST to both sides, as from a NAT that forgot the connection or a host that started again.
    Reset,
    /// FIN to both sides, as from a server that goes in order.
    Close,
}

/// Something that happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It ends, in both directions.
    Cut(End),
    /// Octets in this direction are held until [`super::Faults::release`]; nobody is told.
    Stall(Direction),
    /// Octets in this direction vanish, and so does its end; nobody is told: half open.
    Lose(Direction),
    /// The rest of this direction vanishes, and it ends in order (FIN); the other goes on.
    Truncate(Direction),
    /// Whatever comes in one piece in this direction is held for so long.
    Delay(Direction, Duration),
    /// One octet in this direction in so long.
    Slow(Direction, Duration),
}

/// Where in a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Once so many octets went this way; 0 is before the first.
    Octet(Direction, u64),
    /// Once the server sent so many octets after the client's n-th sealed TLS record (type "application data"); 0
    /// is before the server gets that record. In TLS 1.3 the first is the handshake's last, and each command is
    /// one more.
    Answer { record: u64, octets: u64 },
}

/// What is to happen to one connection; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Plan(pub(super) Vec<(Place, Fault)>);

impl Plan {
    /// One fault, from the connection's first moment on.
    pub fn always(fault: Fault) -> Self {
        Self::at(Place::Octet(Direction::FromClient, 0), fault)
    }

    /// One fault at this place.
    pub fn at(place: Place, fault: Fault) -> Self {
        Self::default().and(place, fault)
    }

    /// One more.
    pub fn and(mut self, place: Place, fault: Fault) -> Self {
        self.0.push((place, fault));
        self
    }
}
