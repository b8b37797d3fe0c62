//! Those who watch: fetch-token, the floor, and what people use instead; each with a mailbox, a home and a line of its
//! own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::floor;
use crate::lab::{
    Ca, Dovecot, Home, Program, Running, SecretService, User, account, keys, require,
};
use crate::link::Link;

/// Tokens go to so many usernames by turns. One for each mail would let the keychain grow, and its writes with it.
const USERNAMES: usize = 3;

/// The longest that one may run.
const RUN: Duration = Duration::from_mins(20);

/// How long one may take to start.
const START: Duration = Duration::from_mins(1);

/// How often to look whether it has: a small part of the time between two deliveries.
const LOOK: Duration = Duration::from_millis(2);

/// What Dovecot says when it begins to wait for a client that idles.
const IDLING: &str = "+ idling";

/// A poller gets a mail in every so many rounds only: it polls every five seconds.
const POLLED: usize = 8;

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Floor,
    ImapTools,
    Imapflow,
    Imapfilter,
    Fetchmail,
    Getmail,
    Poller,
}

pub(crate) const ALL: [Kind; 8] = [
    Kind::Ours,
    Kind::Floor,
    Kind::ImapTools,
    Kind::Imapflow,
    Kind::Imapfilter,
    Kind::Fetchmail,
    Kind::Getmail,
    Kind::Poller,
];

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "fetch-token",
            Self::Floor => "the floor",
            Self::ImapTools => "imap_tools",
            Self::Imapflow => "imapflow",
            Self::Imapfilter => "imapfilter",
            Self::Fetchmail => "fetchmail",
            Self::Getmail => "getmail",
            Self::Poller => "5 s poller",
        }
    }

    /// Whether it is what people use instead, for whose faults the bench does not stop.
    pub(crate) fn is_peer(self) -> bool {
        !matches!(self, Self::Ours | Self::Floor)
    }

    /// Whose mailbox it watches.
    pub(crate) fn user(self) -> User {
        let name = match self {
            Self::Ours => "ours@acme.example",
            Self::Floor => "floor@acme.example",
            Self::ImapTools => "imap-tools@acme.example",
            Self::Imapflow => "imapflow@acme.example",
            Self::Imapfilter => "imapfilter@acme.example",
            Self::Fetchmail => "fetchmail@acme.example",
            Self::Getmail => "getmail@acme.example",
            Self::Poller => "poller@acme.example",
        };
        User {
            name,
            password: "Lab.Mailbox.Passw0rd-1f3a",
        }
    }

    /// Whether a mail is delivered to it in this round.
    pub(crate) fn takes_part(self, round: usize) -> bool {
        self != Self::Poller || round.is_multiple_of(POLLED)
    }

    fn usernames(self) -> Vec<String> {
        let (name, _) = self.user().name.split_once('@').expect("an address");
        (0..USERNAMES)
            .map(|number| format!("etl-{number}@{name}.example"))
            .collect()
    }
}

/// One that runs.
pub(crate) struct Contestant {
    pub(crate) kind: Kind,
    pub(crate) link: Link,
    place: Place,
    running: Running,
    home: Home,
}

impl Contestant {
    /// Starts it on a line of this delay, and waits until it waits for mail.
    pub(crate) fn start(
        kind: Kind,
        dovecot: &Dovecot,
        keychain: &SecretService,
        delay: Duration,
    ) -> Self {
        let home = Home::new();
        let link = Link::before(dovecot.imap_port(), &Ca::shared().localhost, delay);
        let place = Place {
            port: link.port(),
            user: kind.user(),
            password: home.write_private("mailbox-password", kind.user().password),
            ca: dovecot.ca_file(),
            usernames: kind.usernames(),
        };
        let running = launch(kind, &place, keychain, &home);
        let contestant = Self {
            kind,
            link,
            place,
            running,
            home,
        };
        contestant.rest();
        contestant
    }

    /// Starts it again where it was.
    pub(crate) fn start_again(&mut self, keychain: &SecretService) {
        self.running = launch(self.kind, &self.place, keychain, &self.home);
        self.rest();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Whose token comes in this round.
    pub(crate) fn username(&self, round: usize) -> &str {
        &self.place.usernames[round % USERNAMES]
    }

    /// Waits until it waits for mail.
    pub(crate) fn rest(&self) {
        let begin = Instant::now();
        assert!(
            self.rests_within(START),
            "no IDLE of {}",
            self.explain(begin)
        );
    }

    /// Waits until it waits for mail, at most so long; says whether it does.
    pub(crate) fn rests_within(&self, at_most: Duration) -> bool {
        let begin = Instant::now();
        while self.kind != Kind::Poller && !self.link.rests_after(IDLING) {
            if begin.elapsed() > at_most {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }

    /// What it said, and what was said on its line.
    pub(crate) fn explain(&self, since: Instant) -> String {
        format!(
            "{} after {:.1?}\n{}\n{}\n{}",
            self.kind.name(),
            since.elapsed(),
            self.running.stdout_so_far(),
            self.running.stderr_so_far(),
            self.link.transcript()
        )
    }
}

/// Where a contestant finds its mail.
struct Place {
    port: u16,
    user: User,
    password: PathBuf,
    ca: PathBuf,
    usernames: Vec<String>,
}

impl Place {
    /// What the scripts are told.
    fn arguments(&self) -> Vec<String> {
        let Self {
            port,
            user,
            password,
            ca,
            ..
        } = self;
        vec![
            port.to_string(),
            user.name.to_owned(),
            text(password),
            text(ca),
        ]
    }
}

fn launch(kind: Kind, place: &Place, keychain: &SecretService, home: &Home) -> Running {
    let surroundings = |program: PathBuf| {
        Program::new(program)
            .with_keychain(keychain)
            .at_home(home)
            .deadline(RUN)
    };
    let python = |script: &str| {
        let mut arguments = vec![text(&peers().join(script))];
        arguments.extend(place.arguments());
        surroundings(installed().join("python/bin/python")).spawn(arguments)
    };
    match kind {
        Kind::Ours => {
            let keys = home.write_private("keys.json", &keys());
            let account = account(
                place.user,
                place.port,
                "implicit",
                &place.ca,
                &place.password,
            );
            home.write_config(&format!(
                "{account}[sender]\ndkim_keys = \"{}\"\n",
                keys.display()
            ));
            surroundings(env!("CARGO_BIN_EXE_fetch-token").into()).spawn(["daemon"])
        }
        Kind::Floor => {
            let mut arguments = vec![floor::WORD.to_owned()];
            arguments.extend(place.arguments());
            arguments.extend(place.usernames.iter().cloned());
            surroundings(std::env::current_exe().expect("this bench")).spawn(arguments)
        }
        Kind::ImapTools => python("imap_tools_idle.py"),
        Kind::Poller => python("imaplib_poller.py"),
        Kind::Imapflow => {
            let mut arguments = vec![text(&peers().join("imapflow.mjs"))];
            arguments.push(text(&installed().join("node/node_modules")));
            arguments.extend(place.arguments());
            surroundings(require("node", "nodejs")).spawn(arguments)
        }
        Kind::Imapfilter => {
            let script = text(&peers().join("imapfilter.lua"));
            surroundings(require("imapfilter", "imapfilter"))
                .env("PORT", place.port.to_string())
                .env("ADDRESS", place.user.name)
                .env("PASSWORD_FILE", &place.password)
                .spawn(["-c", &script, "-t", &text(&place.ca)])
        }
        Kind::Fetchmail => {
            let rc = home.write_private("fetchmailrc", &fetchmail(place));
            surroundings(require("fetchmail", "fetchmail")).spawn([
                "--nodetach",
                "--fetchmailrc",
                &text(&rc),
            ])
        }
        Kind::Getmail => {
            home.write_private("getmailrc", &getmail(place));
            surroundings(require("getmail", "getmail6")).spawn([
                "--getmaildir",
                &text(home.path()),
                "--idle",
                "INBOX",
            ])
        }
    }
}

fn fetchmail(place: &Place) -> String {
    let Place { port, user, ca, .. } = place;
    format!(
        "poll localhost protocol IMAP service {port}\n\
         username \"{}\" password \"{}\"\n\
         ssl sslcertck sslcertfile \"{}\" idle keep\n\
         mda \"{}\"\n",
        user.name,
        user.password,
        ca.display(),
        store_from_mail().display()
    )
}

fn getmail(place: &Place) -> String {
    let Place { port, user, ca, .. } = place;
    format!(
        "[retriever]\n\
         type = SimpleIMAPSSLRetriever\n\
         server = localhost\n\
         port = {port}\n\
         username = {}\n\
         password = {}\n\
         ca_certs = {}\n\
         [destination]\n\
         type = MDA_external\n\
         path = {}\n\
         allow_root_commands = true\n\
         [options]\n\
         read_all = false\n\
         delete = false\n",
        user.name,
        user.password,
        ca.display(),
        store_from_mail().display()
    )
}

/// The peers' scripts.
fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}

fn store_from_mail() -> PathBuf {
    peers().join("store_from_mail")
}

/// Where `scripts/install-peers` puts what they need.
fn installed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers")
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}
