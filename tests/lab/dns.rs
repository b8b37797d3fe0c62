//! A DNS server on loopback that says what a test wants it to say: the truth, nothing, or a lie.

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, MX, SRV, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How the server answers.
#[derive(Clone, Debug)]
pub enum Manner {
    /// With the records it has; NXDOMAIN for other names.
    Truth,
    /// Not at all.
    Silence,
    /// With the truth, this late.
    Late(Duration),
    /// With this code and nothing else.
    Code(ResponseCode),
    /// With the truth over TCP; over UDP it says that the answer was cut off.
    Truncated,
    /// With an address where a text was asked for.
    WrongType,
}

pub struct Dns {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    manner: Manner,
    records: BTreeMap<String, String>,
    /// Records of other types than TXT.
    others: Vec<(String, RData)>,
    questions: Vec<String>,
}

impl Dns {
    /// Serves these TXT records.
    pub fn start(records: BTreeMap<String, String>) -> Self {
        let state = Arc::new(Mutex::new(State {
            manner: Manner::Truth,
            records,
            others: Vec::new(),
            questions: Vec::new(),
        }));
        // The same port for both: free for UDP is nearly always free for TCP.
        let (udp, tcp) = (0..20)
            .find_map(|_| {
                let udp = UdpSocket::bind("127.0.0.1:0").ok()?;
                let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
                Some((udp, tcp))
            })
            .expect("a port free for UDP and TCP");
        let address = udp.local_addr().expect("an address");
        let of_udp = Arc::clone(&state);
        thread::spawn(move || serve_udp(&udp, &of_udp));
        let of_tcp = Arc::clone(&state);
        thread::spawn(move || serve_tcp(&tcp, &of_tcp));
        Self { address, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn answer_in(&self, manner: Manner) {
        lock(&self.state).manner = manner;
    }

    pub fn set_record(&self, name: &str, record: &str) {
        lock(&self.state)
            .records
            .insert(name.to_owned(), record.to_owned());
    }

    /// Under this name a service is at that host and port (RFC 2782).
    pub fn set_service(&self, name: &str, host: &str, port: u16) {
        let data = RData::SRV(SRV::new(0, 1, port, absolute(host)));
        lock(&self.state).others.push((name.to_owned(), data));
    }

    /// The mail of this domain is received at that host.
    pub fn set_exchanger(&self, domain: &str, host: &str) {
        let data = RData::MX(MX::new(10, absolute(host)));
        lock(&self.state).others.push((domain.to_owned(), data));
    }

    /// The names that were asked for, each time.
    pub fn questions(&self) -> Vec<String> {
        lock(&self.state).questions.clone()
    }
}

fn absolute(host: &str) -> Name {
    Name::from_ascii(format!("{host}.")).expect("a host name")
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve_udp(socket: &UdpSocket, state: &Mutex<State>) {
    let mut buffer = [0; 4096];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
        if let Some(answer) = answer(&buffer[..length], state, true) {
            let _ = socket.send_to(&answer, peer);
        }
    }
}

fn serve_tcp(listener: &TcpListener, state: &Mutex<State>) {
    for mut stream in listener.incoming().flatten() {
        let mut length = [0; 2];
        if stream.read_exact(&mut length).is_err() {
            continue;
        }
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut question).is_err() {
            continue;
        }
        if let Some(answer) = answer(&question, state, false) {
            let length = u16::try_from(answer.len()).expect("a short answer");
            let _ = stream.write_all(&length.to_be_bytes());
            let _ = stream.write_all(&answer);
        }
    }
}

fn answer(question: &[u8], state: &Mutex<State>, over_udp: bool) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?.clone();
    let name = query
        .name()
        .to_ascii()
        .trim_end_matches('.')
        .to_ascii_lowercase();
    let (manner, record, others) = {
        let mut state = lock(state);
        state.questions.push(name.clone());
        let is_asked = |other: &&(String, RData)| {
            other.0 == name && other.1.record_type() == query.query_type()
        };
        let others: Vec<_> = state.others.iter().filter(is_asked).cloned().collect();
        let record = state.records.get(&name).cloned();
        (state.manner.clone(), record, others)
    };
    let mut reply = Message::response(question.metadata.id, OpCode::Query);
    reply.metadata.recursion_available = true;
    reply.add_query(query.clone());
    let tell_truth = |reply: &mut Message| match &record {
        Some(text) if query.query_type() == RecordType::TXT => {
            // A string holds 255 octets (RFC 1035 §3.3).
            let strings = text
                .as_bytes()
                .chunks(255)
                .map(|part| String::from_utf8_lossy(part).into_owned());
            let data = RData::TXT(TXT::new(strings.collect()));
            reply.add_answer(Record::from_rdata(query.name().clone(), 300, data));
        }
        _ if others.is_empty() => reply.metadata.response_code = ResponseCode::NXDomain,
        _ => {
            for (_, data) in &others {
                reply.add_answer(Record::from_rdata(query.name().clone(), 300, data.clone()));
            }
        }
    };
    match manner {
        Manner::Silence => return None,
        Manner::Late(delay) => {
            thread::sleep(delay);
            tell_truth(&mut reply);
        }
        Manner::Code(code) => reply.metadata.response_code = code,
        Manner::Truncated if over_udp => reply.metadata.truncation = true,
        Manner::Truth | Manner::Truncated => tell_truth(&mut reply),
        Manner::WrongType => {
            let data = RData::A(A(Ipv4Addr::LOCALHOST));
            reply.add_answer(Record::from_rdata(query.name().clone(), 300, data));
        }
    }
    reply.to_vec().ok()
}
