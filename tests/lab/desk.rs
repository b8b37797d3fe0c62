//! A keychain of some provider, without a mailbox: mails come from files.

use super::command::{Output, Program};
use super::ground::each_in_parallel;
use super::home::Home;
use super::keychains::Provider;
use super::mail::{TokenMail, random_token};
use super::secret_service::{SecretService, take_crash};
use super::stage::{SERVICE, keys};
use jiff::{SignedDuration, Timestamp};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

/// A keychain, and installations of the program that store into it, each with a ledger of its own.
pub struct Desk {
    pub keychain: SecretService,
}

impl Desk {
    pub fn of(provider: Provider) -> Self {
        Self {
            keychain: SecretService::of(provider),
        }
    }

    /// What the program prints that is to store a token for this username from a mail of so many minutes ago.
    pub fn take(&self, username: &str, token: &str, minutes: i64) -> Output {
        self.installation().take(username, token, minutes)
    }

    /// The same, where it must be stored.
    #[track_caller]
    pub fn store(&self, username: &str, minutes: i64) -> String {
        let token = random_token();
        self.take(username, &token, minutes).expect_code(0);
        token
    }

    pub fn program(&self) -> Program {
        Program::new(env!("CARGO_BIN_EXE_fetch-token")).with_keychain(&self.keychain)
    }

    pub fn get(&self, username: &str) -> Output {
        self.program().run(["get", username])
    }

    #[track_caller]
    pub fn holds(&self, username: &str, token: &str) {
        let read = self.get(username).expect_code(0).stdout();
        assert_eq!(read.trim_end(), token, "{username}");
    }

    /// There is one item, it holds this token, and its label says whose it is.
    #[track_caller]
    pub fn holds_alone(&self, username: &str, token: &str) {
        self.holds(username, token);
        let lookup = self.keychain.lookup(SERVICE, username);
        assert_eq!(lookup.as_deref(), Some(token), "{username}");
        let items = self.keychain.items(SERVICE, username);
        assert_eq!(items.len(), 1, "{items:#?}");
        let label = items[0].lines().find(|line| line.starts_with("label = "));
        assert!(label.is_some_and(|it| it.contains(username)), "{items:#?}");
    }

    pub fn installation(&self) -> Installation {
        let home = Home::new();
        home.write_private("keys.json", &keys());
        Installation {
            program: self.program().at_home(&home),
            home,
        }
    }
}

/// One installation of the program.
pub struct Installation {
    home: Home,
    pub program: Program,
}

impl Installation {
    pub fn arguments(&self, username: &str, token: &str, minutes: i64) -> [std::ffi::OsString; 5] {
        let date = Timestamp::now() - SignedDuration::from_mins(minutes);
        let mail = TokenMail::english(username, token).date(date).bytes();
        let file = self.home.path().join("mail.eml");
        std::fs::write(&file, mail).expect("write the mail");
        [
            "--dkim-keys".into(),
            self.home.path().join("keys.json").into(),
            "extract".into(),
            "--store".into(),
            file.into(),
        ]
    }

    pub fn home(&self) -> &Home {
        &self.home
    }

    pub fn take(&self, username: &str, token: &str, minutes: i64) -> Output {
        self.program.run(self.arguments(username, token, minutes))
    }
}

/// Of another program with `KWallet`: it takes public keys of the full length alone, and one of 256 is shorter; of as
/// many shared secrets it makes another key than the libraries do; and it loses a session now and then.
pub fn patient(run: impl Fn() -> Output) -> Output {
    let output = run();
    let its_own = [
        "public key size is invalid",
        "UnpadError",
        "message decryption failed",
        "Can't find session",
    ];
    if its_own.iter().any(|it| output.transcript().contains(it)) {
        return run();
    }
    output
}

/// How often a case is put to a provider that crashes by itself: `KeePassXC` 2.7.4 does with many writers, the more the
/// busier the machine is. What it does with a token then is not ours to prove.
const CRASHES: u32 = 6;

/// Puts a case to every provider, side by side, and prints the row: what it gives is what happened.
pub fn each_provider(situation: &str, case: impl Fn(Provider) -> String + Sync) {
    let providers = Provider::all();
    each_in_parallel(
        providers,
        providers.len(),
        |provider| format!("{provider:?}"),
        |&provider| {
            let version = provider.version();
            let row = |happened: &str, begin: Instant| {
                let took = begin.elapsed();
                println!("| {version} | {situation} | {happened} | {took:.1?} |");
            };
            for crashes in 1.. {
                let begin = Instant::now();
                let failure = match catch_unwind(AssertUnwindSafe(|| case(provider))) {
                    Ok(happened) => return row(&happened, begin),
                    Err(failure) => failure,
                };
                match take_crash() {
                    Some(crash) if crashes < CRASHES => row(&format!("{crash}: once more"), begin),
                    _ => resume_unwind(failure),
                }
            }
        },
    );
}

/// What a run said that failed with 6: its last line.
#[track_caller]
pub fn sentence(output: Output) -> String {
    let output = output.expect_code(6);
    let said = output.stderr();
    assert!(said.contains("the keychain (Secret Service)"), "{said}");
    said.lines().last().unwrap_or_default().to_owned()
}
