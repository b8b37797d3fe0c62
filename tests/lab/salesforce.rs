//! A stand-in for Salesforce's login and reset pages: Node, HTTPS on two loopback ports, mails by SMTP.

use super::ca::Ca;
use super::command::{Program, Running};
use super::mta::Mta;
use super::process::require;
use super::signer::{SELECTOR, Signer};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the pages are to be.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    pub code: Code,
    /// Whether there is the menu that leads to the settings.
    pub has_menu: bool,
    /// Whether the button is answered by an error, and resets nothing.
    pub button_fails: bool,
}

/// What follows username and password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// No question: the browser is known.
    NotAsked,
    /// The question, and a mail with the answer.
    Mailed,
    /// The question, and a mail with another answer than the page wants.
    AnotherMailed,
    /// The question, and no mail.
    NotMailed,
}

impl Code {
    /// The stand-in's word for it.
    fn word(self) -> &'static str {
        match self {
            Self::NotAsked => "not-asked",
            Self::Mailed => "mailed",
            Self::AnotherMailed => "another-mailed",
            Self::NotMailed => "not-mailed",
        }
    }
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            code: Code::Mailed,
            has_menu: true,
            button_fails: false,
        }
    }
}

/// One user of the stand-in.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    pub username: &'a str,
    pub password: &'a str,
    /// Where mail to him goes.
    pub address: &'a str,
}

/// It runs; ended when it is dropped.
pub struct Salesforce {
    running: Running,
    instance: String,
    key_hash: String,
}

impl Salesforce {
    /// Starts it and waits until it listens; its mails go there.
    pub fn start(pages: Pages, person: Person<'_>, mta: &Mta) -> Self {
        let folder = npm_folder(
            "tests/lab/stand_in",
            &["server.mjs", "pages.mjs", "post.mjs"],
        );
        let ca = Ca::shared();
        let config = json!({
            "code": pages.code.word(),
            "has_menu": pages.has_menu,
            "button_fails": pages.button_fails,
            "user": {"username": person.username, "password": person.password, "address": person.address},
            "smtp_port": mta.port(),
            "dkim": {"selector": SELECTOR, "private_key": Signer::shared().private_key()},
            "tls": {"cert": ca.localhost.certificate, "key": ca.localhost.key},
        });
        let running = Program::new(require("node", "nodejs"))
            .deadline(Duration::from_mins(10))
            .spawn_told([folder.join("server.mjs")], &format!("{config}\n"));
        let listening: Value =
            serde_json::from_str(&running.stdout_line("listening")).expect("a line of JSON");
        let word = |name: &str| listening[name].as_str().expect("a word").to_owned();
        Self {
            instance: word("instance"),
            key_hash: word("key_hash"),
            running,
        }
    }

    /// Where one logs in: `https://acme.my.salesforce.com`.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The hash of its TLS key, by which Chromium can be told to trust it.
    pub fn key_hash(&self) -> &str {
        &self.key_hash
    }

    /// Waits until this happens for the first time.
    #[track_caller]
    pub fn wait_for(&self, event: &str) {
        self.running.stdout_line(&format!("\"event\":\"{event}\""));
    }

    /// What happened so far, in order: each with the name `event`.
    pub fn events(&self) -> Vec<Value> {
        self.running
            .stdout_so_far()
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect()
    }

    /// Only those of this name.
    pub fn events_of(&self, name: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["event"] == name);
        events
    }
}

/// A folder of the target directory with the npm packages of a folder of ours, which `scripts/install-parts --browser`
/// put there, and with these files of it.
pub fn npm_folder(of: &str, files: &[&str]) -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join(of);
    let there = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the target directory")
        .join("browser")
        .join(ours.file_name().expect("a name"));
    let read = |file: PathBuf| fs::read(file).unwrap_or_default();
    assert_eq!(
        read(there.join("package-lock.json")),
        read(ours.join("package-lock.json")),
        "the npm packages of {of} are missing or old: run scripts/install-parts --browser"
    );
    for file in files {
        // Renamed into place, for other tests may be reading it.
        let new = tempfile::NamedTempFile::new_in(&there).expect("a temp file");
        fs::copy(ours.join(file), new.path()).expect("copy a program");
        new.persist(there.join(file)).expect("put it in place");
    }
    there
}
