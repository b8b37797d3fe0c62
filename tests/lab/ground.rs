//! Many cases side by side on one mail server: each with a home, a mailbox, a Salesforce username and a proxy of its
//! own.

use super::command::Program;
use super::dovecot::{Dovecot, Options, User, account};
use super::faults::Faults;
use super::home::Home;
use super::mail::{TokenMail, random_token};
use super::secret_service::SecretService;
use super::stage::{SERVICE, keys};
use super::subject::{Subject, Watching};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How many keychains the cases are shared out to. gnome-keyring 42 aborts once in some thousand times where two
/// dozen clients use it at once.
const KEYCHAINS: usize = 24;

/// What all cases share.
pub struct Ground {
    dovecot: Dovecot,
    keychains: Vec<SecretService>,
    users: Vec<User>,
    taken: AtomicUsize,
}

/// One of them.
pub struct Case<'a> {
    ground: &'a Ground,
    keychain: &'a SecretService,
    home: Home,
    /// Whose mailbox it is.
    pub user: User,
    /// The Salesforce username whose token is waited for.
    pub username: String,
    /// What stands between the program and the mail server.
    pub faults: Faults,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Implicit,
    StartTls,
}

impl Ground {
    /// Room for so many cases. Their names are equally long, so that sessions are octet for octet as long.
    pub fn new(cases: usize) -> Self {
        let users: Vec<_> = (0..cases)
            .map(|number| User {
                name: format!("box-{number:05}@acme.example").leak(),
                password: "Lab.Mailbox.Passw0rd-1f3a",
            })
            .collect();
        Self {
            dovecot: Dovecot::start(&Options {
                users: users.clone(),
                // A process for each connection, and two connections for a case; 100 is what it allows by itself.
                settings: "service imap-login {\n process_limit = 500\n}".to_owned(),
                ..Options::default()
            }),
            keychains: (0..cases.min(KEYCHAINS))
                .map(|_| SecretService::start())
                .collect(),
            users,
            taken: AtomicUsize::new(0),
        }
    }

    /// A case that nobody has had, configured for TLS from the start.
    pub fn case(&self) -> Case<'_> {
        self.case_by(Way::Implicit)
    }

    /// A case that nobody has had, configured for TLS in this way.
    pub fn case_by(&self, way: Way) -> Case<'_> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let user = *self.users.get(number).expect("room for another case");
        let home = Home::new();
        let (port, tls) = match way {
            Way::Implicit => (self.dovecot.imaps_port(), "implicit"),
            Way::StartTls => (self.dovecot.imap_port(), "starttls"),
        };
        let faults = Faults::before(port);
        let password = home.write_private("mailbox-password", user.password);
        let keys = home.write_private("keys.json", &keys());
        let account = account(user, faults.port(), tls, &self.dovecot.ca_file(), &password);
        home.write_config(&format!(
            "{account}[sender]\ndkim_keys = \"{}\"\n",
            keys.display()
        ));
        Case {
            ground: self,
            keychain: &self.keychains[number % self.keychains.len()],
            home,
            user,
            username: format!("etl-{number:05}@acme.example.uat"),
            faults,
        }
    }

    /// The usernames whose tokens lie in the keychains, less those that a case took away.
    pub fn left(&self) -> Vec<String> {
        let keychains = self.keychains.iter();
        keychains
            .flat_map(|keychain| keychain.usernames(SERVICE))
            .collect()
    }
}

impl Case<'_> {
    /// Delivers a token mail for the case's username and gives its token.
    pub fn deliver(&self) -> String {
        let token = random_token();
        let mail = TokenMail::english(&self.username, &token).to(self.user.name);
        self.ground.dovecot.deliver(self.user, &mail.bytes());
        token
    }

    /// The built program at home here.
    pub fn program(&self) -> Program {
        Program::new(env!("CARGO_BIN_EXE_fetch-token"))
            .with_keychain(self.keychain)
            .at_home(&self.home)
    }

    /// Begins to watch; the token must be stored after `within`.
    pub fn watch(&self, subject: Subject, within: Duration) -> Watching {
        subject.start(&self.program(), &self.username, within)
    }

    /// The token must be stored, within the time that [`Self::watch`] was given, and the program must end well. Takes
    /// the token away, so that in the end the keychain holds what nobody asked for: [`Ground::left`].
    #[track_caller]
    pub fn expect(&self, watching: Watching, token: &str) -> Duration {
        let keychain = self.keychain;
        let stored = || keychain.lookup(SERVICE, &self.username);
        let output = watching.finish(|| stored().as_deref() == Some(token));
        assert_eq!(
            stored().as_deref(),
            Some(token),
            "the stored token\n{}",
            output.transcript()
        );
        keychain.clear(SERVICE, &self.username);
        output.elapsed
    }
}

/// Does this with each item, so many at a time, and goes on when one fails: the items that failed are listed in the
/// end, and how.
pub fn each_in_parallel<T: Sync>(
    items: &[T],
    at_a_time: usize,
    name: impl Fn(&T) -> String + Sync,
    work: impl Fn(&T) + Sync,
) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_a_time.min(items.len()) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Err(told) = catch_unwind(AssertUnwindSafe(|| work(item))) else {
                        continue;
                    };
                    let words = told.downcast_ref::<String>().cloned();
                    failed
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(format!("{}: {}", name(item), words.unwrap_or_default()));
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(
        failed.is_empty(),
        "{} of {} failed:\n{}",
        failed.len(),
        items.len(),
        failed.join("\n")
    );
}
