//! The mail servers that the program is run against beside Dovecot: each started from a temp directory, on loopback.
//!
//! `scripts/install-parts --servers` unpacks them into `target/servers`; nothing of them is installed.

mod courier;
mod cyrus;
mod dovecot;
mod hoodiecrow;
mod pymap;
mod table;

use super::ca::Ca;
use super::dovecot::{User, account, greets};
use super::peer::{Peer, quoted};
use super::process::{self, eventually, output_of, require, spawn_kept};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub use table::{Cell, Table};

/// Longest time from a server's start to its greeting: pymap takes some seconds on a busy machine.
const START: Duration = Duration::from_secs(30);

/// Longest time from the signal to a server's end.
const STOP: Duration = Duration::from_secs(10);

/// A server with one mailbox; ended, with its processes, when it is dropped.
pub trait MailServer {
    /// What it says of its version.
    fn version(&self) -> String;

    fn user(&self) -> User;

    /// Where it speaks plain text.
    fn plain_port(&self) -> u16;

    /// Where the program connects: the port, and `tls` of the configuration.
    fn secure(&self) -> (u16, &'static str);

    /// The authority that signed its certificate.
    fn ca_file(&self) -> PathBuf;

    /// Everything it said.
    fn log(&self) -> String;

    /// Delivers into INBOX as mail gets there.
    fn deliver(&self, mail: &[u8]) {
        self.peer().append("INBOX", None, mail);
    }

    /// How a folder of the top is called here.
    fn folder(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Makes a folder, named as on the wire, to be used as RFC 6154 says (`"\\Junk"`); the server's words where it
    /// refuses.
    fn make_folder(&self, wire: &str, for_use: Option<&str>) -> Result<(), String> {
        let for_use = for_use.map_or_else(String::new, |word| format!(" (USE ({word}))"));
        let mut peer = self.peer();
        peer.attempt(&format!("CREATE {}{for_use}", quoted(wire)))
            .map(|_| ())
    }

    /// An independent IMAP client, logged in.
    fn peer(&self) -> Peer {
        Peer::connect(self.plain_port(), self.user())
    }

    /// Whether it takes the password by LOGIN, quoted by hand; its words where it does not.
    fn takes_login(&self) -> Result<(), String> {
        Peer::log_in_quoted(self.plain_port(), self.user())
    }

    /// The `[[account]]` of the configuration.
    fn account(&self, password_file: &Path) -> String {
        let (port, tls) = self.secure();
        account(self.user(), port, tls, &self.ca_file(), password_file)
    }
}

/// A server of one process that keeps its mailboxes in memory, and begins in plain text.
struct InMemory {
    // Ended before its folder is removed.
    children: Children,
    folder: TempDir,
    user: User,
    port: u16,
    version: String,
}

impl InMemory {
    /// A folder with the certificates, for its name's process.
    fn folder(name: &str) -> TempDir {
        let folder = tempfile::Builder::new()
            .prefix(&format!("fetch-token-{name}-"))
            .tempdir()
            .expect("a temp directory");
        write_certificates(folder.path());
        folder
    }

    /// Starts it in that folder, and waits until it greets.
    fn launch(
        mut command: Command,
        folder: TempDir,
        user: User,
        port: u16,
        version: String,
    ) -> Box<dyn MailServer> {
        let output = File::create(folder.path().join("log")).expect("make an output file");
        command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("the same file"))
            .stderr(output);
        let server = spawn_kept(command).expect("start the server");
        let mut server = Self {
            children: Children(vec![server]),
            folder,
            user,
            port,
            version,
        };
        let log = server.folder.path().join("log");
        wait_for_greeting(port, &mut server.children.0[0], || {
            fs::read_to_string(&log).unwrap_or_default()
        });
        Box::new(server)
    }
}

impl MailServer for InMemory {
    fn version(&self) -> String {
        self.version.clone()
    }

    fn user(&self) -> User {
        self.user
    }

    fn plain_port(&self) -> u16 {
        self.port
    }

    fn secure(&self) -> (u16, &'static str) {
        (self.port, "starttls")
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// How a server is started for a user.
pub type Start = fn(User) -> Box<dyn MailServer>;

/// All of them.
pub const SERVERS: [(&str, Start); 5] = [
    ("Dovecot", dovecot::start),
    ("Cyrus", cyrus::start),
    ("Courier", courier::start),
    ("pymap", pymap::start),
    ("hoodiecrow", hoodiecrow::start),
];

/// A part of a server that `scripts/install-parts --servers` puts there.
fn part(name: &str) -> PathBuf {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/servers")).join(name);
    assert!(
        path.exists(),
        "{} is not there: scripts/install-parts --servers unpacks it",
        path.display()
    );
    path
}

/// A copy of what was unpacked, so that whoever the server runs as can read it.
fn copy(from: &Path, to: &Path) {
    output_of(
        Command::new(require("cp", "coreutils"))
            .arg("-a")
            .arg(from)
            .arg(to),
    );
}

/// Writes the lab's certificate, its key and the authority into a folder.
fn write_certificates(folder: &Path) {
    let ca = Ca::shared();
    ca.write_to(&folder.join("ca.pem"));
    let both = format!("{}{}", ca.localhost.key, ca.localhost.certificate);
    for (name, text) in [
        ("server.pem", &ca.localhost.certificate),
        ("server.key", &ca.localhost.key),
        ("both.pem", &both),
    ] {
        fs::write(folder.join(name), text).expect("write a certificate");
    }
}

/// Waits until a server that was started greets.
fn wait_for_greeting(port: u16, child: &mut Child, log: impl Fn() -> String) {
    let ended = eventually(
        "the server's greeting",
        START,
        || match child.try_wait() {
            Ok(Some(_)) => Some(true),
            _ if greets(port) => Some(false),
            _ => None,
        },
        &log,
    );
    assert!(!ended, "the server did not start:\n{}", log());
}

/// Children of a server, ended one after the other.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            process::end(child, STOP);
        }
    }
}
