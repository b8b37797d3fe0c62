//! The floor: a client that does what cannot be left out, and nothing else. It knows the next mail's UID, asks for it
//! in the write that ends IDLE, believes what it gets, and writes the secret over an open connection to an item that it
//! knows. It looks for nothing, checks nothing, remembers nothing, and reads nothing back.
//!
//! A process of its own, so that what it uses can be counted: this bench, started with [`WORD`].

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use dbus_secret_service::{EncryptionType, Item, SecretService};
use native_tls::{Certificate, TlsConnector, TlsStream};

use crate::lab::SERVICE;

/// The first argument by which the bench becomes the floor. The others: port, address, password file, CA file, and the
/// usernames whose tokens will come.
pub(crate) const WORD: &str = "floor";

/// How a secret is stored.
const CONTENT_TYPE: &str = "text/plain";

/// Watches until the server hangs up.
pub(crate) fn run(arguments: &[String]) {
    let [port, address, password_file, ca_file, usernames @ ..] = arguments else {
        panic!("floor PORT ADDRESS PASSWORD-FILE CA-FILE USERNAME...");
    };
    let keychain = SecretService::connect(EncryptionType::Dh).expect("the Secret Service");
    let items: HashMap<&str, Item<'_>> = usernames
        .iter()
        .map(|username| (username.as_str(), item(&keychain, username)))
        .collect();
    let password = fs::read_to_string(password_file).expect("the password file");
    let mut wire = Wire::connect(port.parse().expect("a port"), ca_file);
    wire.say(&format!("l LOGIN \"{address}\" \"{password}\"\r\n"));
    wire.until(|line| line.starts_with("l OK"));
    wire.say("e EXAMINE INBOX\r\n");
    wire.until(|line| line.starts_with("e OK"));
    loop {
        wire.say("i IDLE\r\n");
        let exists = wire.until(|line| line.ends_with(" EXISTS\r\n"));
        // A new mailbox in which nothing was deleted: UIDs count as numbers do.
        let uid = exists.split(' ').nth(1).expect("a number");
        wire.say(&format!("DONE\r\nf UID FETCH {uid} BODY.PEEK[]\r\n"));
        let username = wire.field("Username: ");
        let token = wire.field("Security token (case-sensitive): ");
        items[username.as_str()]
            .set_secret(token.as_bytes(), CONTENT_TYPE)
            .expect("stored");
        wire.until(|line| line.starts_with("f OK"));
    }
}

fn item<'a>(keychain: &'a SecretService, username: &str) -> Item<'a> {
    let collection = keychain.get_default_collection().expect("a collection");
    let attributes = HashMap::from([("service", SERVICE), ("username", username)]);
    let made = collection.create_item(username, attributes, b"none yet", true, CONTENT_TYPE);
    Item::new(keychain, made.expect("an item").path)
}

struct Wire(BufReader<TlsStream<TcpStream>>);

impl Wire {
    fn connect(port: u16, ca_file: &str) -> Self {
        let authority = fs::read(ca_file).expect("the authority's certificate");
        let authority = Certificate::from_pem(&authority).expect("PEM");
        let connector = TlsConnector::builder()
            .add_root_certificate(authority)
            .build()
            .expect("a TLS client");
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
        stream.set_nodelay(true).expect("no delay");
        let stream = connector.connect("localhost", stream).expect("TLS");
        Self(BufReader::new(stream))
    }

    fn say(&mut self, words: &str) {
        let stream = self.0.get_mut();
        stream.write_all(words.as_bytes()).expect("written");
    }

    /// The first line of which this holds.
    fn until(&mut self, holds: impl Fn(&str) -> bool) -> String {
        let mut line = String::new();
        while !holds(&line) {
            line.clear();
            let size = self.0.read_line(&mut line).expect("a line");
            assert!(size > 0, "the server hung up");
        }
        line
    }

    /// What stands behind these words, on the first line that begins with them.
    fn field(&mut self, label: &str) -> String {
        let line = self.until(|line| line.starts_with(label));
        line[label.len()..].trim_end().to_owned()
    }
}
