//! The proxy of the fault lab, tested by itself: each fault does what it says, to the octet.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Direction, End, FAULTS_THREAD, Fault, Faults, Place, Plan, eventually};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use Direction::{FromClient, FromServer};

/// Longer than anything on loopback takes, short enough to wait for in vain.
const SILENCE: Duration = Duration::from_millis(200);
const LIMIT: Duration = Duration::from_secs(5);

/// A proxy before a listener of the test's own.
struct Wire {
    faults: Faults,
    listener: TcpListener,
}

impl Wire {
    fn new(plan: Plan) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let faults = Faults::before(listener.local_addr().expect("its port").port());
        faults.next(plan);
        Self { faults, listener }
    }

    /// Both ends of a new connection.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(("127.0.0.1", self.faults.port())).expect("connect");
        let (server, _) = self.listener.accept().expect("the proxy's connection");
        for stream in [&client, &server] {
            stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
        }
        (client, server)
    }
}

/// Everything up to the end, and the end: `None` is in order.
fn to_the_end(stream: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut octets = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (octets, None),
            Ok(size) => octets.extend_from_slice(&buffer[..size]),
            Err(error) => return (octets, Some(error.kind())),
        }
    }
}

fn expect(stream: &mut TcpStream, octets: &[u8]) {
    let mut buffer = vec![0; octets.len()];
    stream.read_exact(&mut buffer).expect("octets");
    assert_eq!(buffer, octets);
}

/// Neither octets nor an end come.
fn is_silent(stream: &mut TcpStream) {
    stream
        .set_read_timeout(Some(SILENCE))
        .expect("a time limit");
    let (octets, end) = to_the_end(stream);
    stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
    assert_eq!((octets, end), (Vec::new(), Some(ErrorKind::WouldBlock)));
}

#[test]
fn without_a_plan_octets_and_ends_pass_and_are_counted() {
    let wire = Wire::new(Plan::default());
    let (mut client, mut server) = wire.connect();
    let much = vec![7; 1_000_000];
    thread::scope(|scope| {
        scope.spawn(|| client.write_all(&much).expect("send"));
        expect(&mut server, &much);
    });
    server.write_all(b"answer").expect("send");
    expect(&mut client, b"answer");
    client
        .shutdown(std::net::Shutdown::Write)
        .expect("an end of one direction");
    assert_eq!(to_the_end(&mut server), (Vec::new(), None));
    server.write_all(b" and more").expect("send");
    drop(server);
    assert_eq!(to_the_end(&mut client), (b" and more".to_vec(), None));
    let over = || wire.faults.connections()[0];
    eventually("the end", LIMIT, || over().ended.then_some(()), String::new);
    assert_eq!((over().from_client, over().from_server), (1_000_000, 15));
}

#[test]
fn a_cut_comes_after_exactly_so_many_octets_in_either_direction_as_rst_or_fin() {
    for (end, kind) in [
        (End::Reset, Some(ErrorKind::ConnectionReset)),
        (End::Close, None),
    ] {
        for octets in [1, 2, 99, 100] {
            for direction in Direction::BOTH {
                let wire = Wire::new(Plan::at(Place::Octet(direction, octets), Fault::Cut(end)));
                let (mut client, mut server) = wire.connect();
                let (from, to) = match direction {
                    FromClient => (&mut client, &mut server),
                    FromServer => (&mut server, &mut client),
                };
                from.write_all(&[1; 100]).expect("send");
                let (got, how) = to_the_end(to);
                assert_eq!((got.len() as u64, how), (octets, kind), "{direction:?}");
                assert_eq!(to_the_end(from), (Vec::new(), kind), "{direction:?}");
            }
        }
    }
}

#[test]
fn a_cut_at_octet_0_comes_before_anything() {
    let wire = Wire::new(Plan::always(Fault::Cut(End::Reset)));
    let (mut client, mut server) = wire.connect();
    let reset = (Vec::new(), Some(ErrorKind::ConnectionReset));
    assert_eq!(to_the_end(&mut client), reset);
    assert_eq!(to_the_end(&mut server), reset);
}

#[test]
fn all_open_connections_can_be_cut_at_once_and_later_ones_are_clean() {
    let wire = Wire::new(Plan::default());
    let mut before = [wire.connect(), wire.connect()];
    for (client, server) in &mut before {
        client.write_all(b"x").expect("send");
        expect(server, b"x");
    }
    wire.faults.now(Fault::Cut(End::Close));
    for (client, server) in &mut before {
        assert_eq!(to_the_end(client), (Vec::new(), None));
        assert_eq!(to_the_end(server), (Vec::new(), None));
    }
    let (mut client, mut server) = wire.connect();
    client.write_all(b"clean").expect("send");
    expect(&mut server, b"clean");
    assert_eq!(wire.faults.connections().len(), 3);
}

#[test]
fn a_stall_holds_what_comes_after_an_octet_and_its_release_lets_it_go() {
    let stall = Fault::Stall(FromServer);
    let wire = Wire::new(Plan::at(Place::Octet(FromServer, 3), stall));
    let (mut client, mut server) = wire.connect();
    server.write_all(b"abcdef").expect("send");
    expect(&mut client, b"abc");
    is_silent(&mut client);
    client
        .write_all(b"the other way is open")
        .expect("send while stalled");
    expect(&mut server, b"the other way is open");
    drop(server);
    is_silent(&mut client);
    wire.faults.release();
    assert_eq!(to_the_end(&mut client), (b"def".to_vec(), None));
}

#[test]
fn a_half_open_connection_loses_one_direction_and_its_end_and_tells_nobody() {
    let wire = Wire::new(Plan::default());
    let (mut client, mut server) = wire.connect();
    server.write_all(b"heard").expect("send");
    expect(&mut client, b"heard");
    wire.faults.now(Fault::Lose(FromServer));
    server.write_all(b"lost").expect("send");
    is_silent(&mut client);
    client.write_all(b"heard too").expect("send");
    expect(&mut server, b"heard too");
    drop(server);
    is_silent(&mut client);
}

#[test]
fn a_truncated_direction_ends_in_order_and_the_other_goes_on() {
    let wire = Wire::new(Plan::at(
        Place::Octet(FromServer, 4),
        Fault::Truncate(FromServer),
    ));
    let (mut client, mut server) = wire.connect();
    server.write_all(b"whole and rest").expect("send");
    assert_eq!(to_the_end(&mut client), (b"whol".to_vec(), None));
    client.write_all(b"still here").expect("send");
    expect(&mut server, b"still here");
}

#[test]
fn a_delay_holds_each_piece_and_a_slow_direction_gives_octets_one_by_one() {
    let wire = Wire::new(Plan::always(Fault::Delay(FromServer, SILENCE)));
    let (mut client, mut server) = wire.connect();
    for _ in 0..2 {
        let begin = Instant::now();
        server.write_all(b"piece").expect("send");
        expect(&mut client, b"piece");
        let took = begin.elapsed();
        assert!(took >= SILENCE && took < 4 * SILENCE, "{took:?}");
    }

    let wire = Wire::new(Plan::always(Fault::Slow(
        FromClient,
        Duration::from_secs(1),
    )));
    let (mut client, mut server) = wire.connect();
    let begin = Instant::now();
    client.write_all(b"abc").expect("send");
    for (number, octet) in (1..).zip(b"abc") {
        expect(&mut server, &[*octet]);
        let took = begin.elapsed();
        assert!(took >= Duration::from_secs(number), "{number}: {took:?}");
    }
    server.write_all(b"the other way is quick").expect("send");
    expect(&mut client, b"the other way is quick");
}

#[test]
fn a_refusing_proxy_refuses_and_takes_connections_again_when_told() {
    let wire = Wire::new(Plan::default());
    let (mut client, mut server) = wire.connect();
    wire.faults.refuse();
    let refused = TcpStream::connect(("127.0.0.1", wire.faults.port()));
    assert_eq!(
        refused.expect_err("nobody listens").kind(),
        ErrorKind::ConnectionRefused
    );
    client.write_all(b"open ones go on").expect("send");
    expect(&mut server, b"open ones go on");
    wire.faults.accept();
    let (mut client, mut server) = wire.connect();
    client.write_all(b"x").expect("send");
    expect(&mut server, b"x");
}

#[test]
fn each_connection_has_its_own_plan_and_the_rest_has_another() {
    let wire = Wire::new(Plan::at(
        Place::Octet(FromClient, 1),
        Fault::Cut(End::Close),
    ));
    wire.faults.next(Plan::default());
    wire.faults.rest(Plan::at(
        Place::Octet(FromClient, 2),
        Fault::Cut(End::Close),
    ));
    for passed in [1, 4, 2, 2] {
        let (mut client, mut server) = wire.connect();
        client.write_all(b"four").expect("send");
        client
            .shutdown(std::net::Shutdown::Write)
            .or_else(|error| match error.kind() {
                ErrorKind::NotConnected => Ok(()),
                _ => Err(error),
            })
            .expect("an end");
        assert_eq!(to_the_end(&mut server).0.len(), passed);
    }
    let due: Vec<_> = wire.faults.connections().iter().map(|c| c.due).collect();
    assert_eq!(due, [0, 0, 0, 0]);
}

#[test]
fn a_fault_can_wait_for_the_answer_to_the_clients_nth_sealed_record() {
    const HELLO: &[u8] = b"\x16\x03\x01\x00\x02ab";
    const SEALED: &[u8] = b"\x17\x03\x03\x00\x03abc";
    let stall = Fault::Stall(FromServer);
    let wire = Wire::new(Plan::at(
        Place::Answer {
            record: 2,
            octets: 2,
        },
        stall,
    ));
    let (mut client, mut server) = wire.connect();
    for record in [HELLO, SEALED] {
        client.write_all(record).expect("send");
        expect(&mut server, record);
        server.write_all(b"whole").expect("send");
        expect(&mut client, b"whole");
    }
    // A record that comes in pieces counts when it is whole.
    client.write_all(&SEALED[..6]).expect("send");
    expect(&mut server, &SEALED[..6]);
    assert_eq!(wire.faults.connections()[0].records, 1);
    client.write_all(&SEALED[6..]).expect("send");
    expect(&mut server, &SEALED[6..]);
    server.write_all(b"whole").expect("send");
    expect(&mut client, b"wh");
    is_silent(&mut client);
    let traffic = wire.faults.connections()[0];
    assert_eq!((traffic.records, traffic.from_server), (2, 12));
}

#[test]
fn the_proxy_costs_nothing_while_nothing_moves_and_ends_at_once() {
    let wire = Wire::new(Plan::always(Fault::Stall(FromServer)));
    let open: Vec<_> = (0..20).map(|_| wire.connect()).collect();
    for (client, server) in &open {
        (&*client).write_all(b"x").expect("send");
        (&*server).write_all(b"x").expect("send");
    }
    let before = proxy_ticks();
    thread::sleep(Duration::from_secs(1));
    // A hundredth of a second each; other tests of this binary run proxies of their own meanwhile.
    let spent = proxy_ticks().saturating_sub(before);
    assert!(spent <= 20, "{spent} ticks in a second");
    let begin = Instant::now();
    drop(wire);
    assert!(begin.elapsed() < Duration::from_secs(1));
}

/// The processor time of all proxies of this process so far, in clock ticks.
fn proxy_ticks() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("this process's threads");
    let stats = tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok())
        .filter(|stat| stat.contains(&format!("({FAULTS_THREAD})")));
    stats
        .map(|stat| {
            let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
            // utime and stime, fields 14 and 15 of proc(5), counted from the state, field 3.
            [fields[11], fields[12]]
                .iter()
                .map(|ticks| ticks.parse::<u64>().expect("a number"))
                .sum::<u64>()
        })
        .sum()
}
