//! When a secret could be read back: a monitor of the message bus sees each write's answer, whoever wrote, and reads
//! what was written at once.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dbus::Path;
use dbus::blocking::{Connection, Proxy};
use dbus::channel::{Channel, MatchingReceiver as _};
use dbus::message::{MatchRule, Message, MessageType};

const SERVICE: &str = "org.freedesktop.secrets";
const SERVICE_PATH: &str = "/org/freedesktop/secrets";
const SERVICE_INTERFACE: &str = "org.freedesktop.Secret.Service";
const ITEM_INTERFACE: &str = "org.freedesktop.Secret.Item";

/// For one call: the service is healthy.
const ANSWER: Duration = Duration::from_secs(10);

/// A secret in transfer (Secret Service API, "Secret"): session, parameters, value, content type.
type Secret = (Path<'static>, Vec<u8>, Vec<u8>, String);

/// The observer. It ends with the process.
pub(crate) struct ReadBack(Arc<Seen>);

#[derive(Default)]
struct Seen {
    secrets: Mutex<HashMap<String, Instant>>,
    more: Condvar,
}

impl ReadBack {
    /// Begins to observe the Secret Service on the bus of this address.
    pub(crate) fn start(bus: &str) -> Self {
        let seen = Arc::new(Seen::default());
        let ours = Arc::clone(&seen);
        let bus = bus.to_owned();
        thread::spawn(move || observe(&bus, &ours));
        Self(seen)
    }

    /// When this secret was first read; `None` where it is not within `at_most`.
    pub(crate) fn when(&self, secret: &str, at_most: Duration) -> Option<Instant> {
        let secrets = self
            .0
            .secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (secrets, _) = self
            .0
            .more
            .wait_timeout_while(secrets, at_most, |secrets| !secrets.contains_key(secret))
            .unwrap_or_else(PoisonError::into_inner);
        secrets.get(secret).copied()
    }
}

fn connect(bus: &str) -> Connection {
    let mut channel = Channel::open_private(bus).expect("the message bus");
    channel.register().expect("a name on the bus");
    channel.into()
}

/// Writes of which the answer is not there yet, by who wrote and the call's number; and the item, where the call names
/// it.
type Writes = HashMap<(String, u32), Option<Path<'static>>>;

fn observe(bus: &str, seen: &Arc<Seen>) {
    let monitor = connect(bus);
    // Bus, object, deadline; the rules: writes of secrets, and answers.
    let rules = [
        MatchRule::new_method_call().with_member("SetSecret"),
        MatchRule::new_method_call().with_member("CreateItem"),
        MatchRule::new().with_type(MessageType::MethodReturn),
    ];
    let rules: Vec<String> = rules.iter().map(MatchRule::match_str).collect();
    let bus_itself = monitor.with_proxy("org.freedesktop.DBus", "/org/freedesktop/DBus", ANSWER);
    let become_monitor: Result<(), _> = bus_itself.method_call(
        "org.freedesktop.DBus.Monitoring",
        "BecomeMonitor",
        (rules, 0_u32),
    );
    become_monitor.expect("a bus that can be monitored");
    let reader = connect(bus);
    let session = open_session(&reader);
    let mut writes = Writes::new();
    let seen = Arc::clone(seen);
    monitor.start_receive(
        MatchRule::new(),
        Box::new(move |message, _| {
            if let Some(item) = written(&message, &mut writes)
                && let Some(secret) = read(&reader, item, &session)
            {
                let mut secrets = seen.secrets.lock().unwrap_or_else(PoisonError::into_inner);
                secrets.entry(secret).or_insert_with(Instant::now);
                seen.more.notify_all();
            }
            true
        }),
    );
    // Ends where the bus does.
    while monitor.process(ANSWER).is_ok() {}
}

/// The item that was written, where this is the answer to a write.
fn written(message: &Message, writes: &mut Writes) -> Option<Path<'static>> {
    match message.msg_type() {
        MessageType::MethodCall => {
            let item = (message.member().as_deref() == Some("SetSecret"))
                .then(|| message.path().map(Path::into_static))
                .flatten();
            let key = (message.sender()?.to_string(), message.get_serial()?);
            writes.insert(key, item);
            None
        }
        MessageType::MethodReturn => {
            let key = (
                message.destination()?.to_string(),
                message.get_reply_serial()?,
            );
            let item = writes.remove(&key)?;
            item.or_else(|| message.get1())
        }
        _ => None,
    }
}

fn service(reader: &Connection) -> Proxy<'_, &Connection> {
    reader.with_proxy(SERVICE, SERVICE_PATH, ANSWER)
}

/// A session in which secrets are not encrypted: the bus is a lab's own.
fn open_session(reader: &Connection) -> Path<'static> {
    let plain = dbus::arg::Variant("");
    let opened: (dbus::arg::Variant<String>, Path<'static>) = service(reader)
        .method_call(SERVICE_INTERFACE, "OpenSession", ("plain", plain))
        .expect("a session with the Secret Service");
    opened.1
}

/// The secret of an item; `None` where the item is gone.
fn read(reader: &Connection, item: Path<'static>, session: &Path<'static>) -> Option<String> {
    let item = reader.with_proxy(SERVICE, item, ANSWER);
    let read: Result<(Secret,), _> =
        item.method_call(ITEM_INTERFACE, "GetSecret", (session.clone(),));
    String::from_utf8(read.ok()?.0.2).ok()
}
