//! Mailboxes of many mails, the last of which holds a token, and who looks for it there.

use super::lab::{
    Ca, Carried, Front, INTEGRATION, Mbox, Options, Program, SecretService, Stage, User, Wire,
    account, other_mail, random_token,
};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// A mailbox, and how many mails it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) mails: usize,
    user: User,
    /// The Salesforce username of its token: one of its own, for newer tokens outdo older ones.
    username: &'static str,
}

const fn size(mails: usize, name: &'static str, username: &'static str) -> Size {
    let password = INTEGRATION.password;
    let user = User { name, password };
    Size {
        mails,
        user,
        username,
    }
}

pub(crate) const SIZES: [Size; 4] = [
    size(1_000, "thousand@acme.example", "thousand@acme.example.uat"),
    size(10_000, "ten@acme.example", "ten@acme.example.uat"),
    size(100_000, "hundred@acme.example", "hundred@acme.example.uat"),
    size(
        1_000_000,
        "million@acme.example",
        "million@acme.example.uat",
    ),
];

/// Mails of the last minutes, the token's among them.
const RECENT: usize = 21;

const YEAR: Duration = Duration::from_hours(24 * 365);

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seeker {
    Ours,
    Script,
}

impl Seeker {
    pub(crate) const ALL: [Self; 2] = [Self::Ours, Self::Script];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "`fetch-token wait --since 10m`",
            Self::Script => "Python, imaplib: `SEARCH FROM SUBJECT`",
        }
    }
}

/// What a look cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) carried: Carried,
    /// The whole process.
    pub(crate) took: Duration,
}

/// The server with all mailboxes.
pub(crate) struct Boxes {
    stage: Stage,
}

impl Boxes {
    pub(crate) fn new(sizes: &[Size]) -> Self {
        let options = Options {
            users: sizes.iter().map(|size| size.user).collect(),
            // The index of a million mails is made in more memory than Dovecot's default allows.
            settings: format!("{}default_vsz_limit = 2G\n", Mbox::SETTINGS),
            ..Options::default()
        };
        Self {
            stage: Stage::with(&options, SecretService::start()),
        }
    }

    /// Fills a mailbox and lets Dovecot make its index; says how long each took.
    pub(crate) fn fill(&self, size: Size) -> (Duration, Duration) {
        let now = SystemTime::now();
        let begin = Instant::now();
        let (oldest, newest) = (now - 5 * YEAR, now - Duration::from_hours(24));
        let span = newest.duration_since(oldest).expect("older first");
        let old = size.mails - RECENT;
        let step = span / u32::try_from(old).expect("a million at most");
        let inbox = self.stage.dovecot.mbox(size.user);
        inbox.write(size.mails, |number| {
            let left = size.mails - 1 - number;
            if left == 0 {
                let mail = self.stage.token_mail(size.username, &random_token());
                (now, mail.to(size.user.name).bytes())
            } else if number >= old {
                (
                    now - Duration::from_secs(10 * left as u64),
                    other_mail(number),
                )
            } else {
                let after = step * u32::try_from(number).expect("a million at most");
                (oldest + after, other_mail(number))
            }
        });
        let filled = begin.elapsed();
        let begin = Instant::now();
        let opened = self.stage.dovecot.peer(size.user).command("EXAMINE INBOX");
        let all = format!("* {} EXISTS", size.mails);
        assert!(opened.contains(&all), "{opened:?}");
        (filled, begin.elapsed())
    }

    /// Looks once, and must find the token.
    pub(crate) fn time(&self, size: Size, seeker: Seeker) -> Cost {
        let wire = Wire::before(self.stage.dovecot.imaps_port(), Duration::ZERO);
        let took = self.seek(size, seeker, wire.port());
        let connections = wire.connections();
        let [carried] = connections[..] else {
            panic!("{connections:?}");
        };
        Cost { carried, took }
    }

    /// What is said, where TLS ends: each command without what is secret or differs.
    pub(crate) fn commands(&self, size: Size, seeker: Seeker) -> Vec<String> {
        let plain = self.stage.dovecot.imap_port();
        let front = Front::start(plain, &Ca::shared().localhost, &[]);
        self.seek(size, seeker, front.port());
        // What a process says in the end is still on its way.
        thread::sleep(Duration::from_millis(100));
        let said = front.conversations().pop().expect("a connection");
        let words = |line: &String| -> Option<String> {
            let mut words = line.split(' ').skip(1);
            let first = words.next()?;
            match first {
                "UID" => Some(format!("{first} {}", words.next()?)),
                _ => Some(first.to_owned()),
            }
        };
        said.client_lines().iter().filter_map(words).collect()
    }

    fn seek(&self, size: Size, seeker: Seeker, port: u16) -> Duration {
        let ca_file = self.stage.dovecot.ca_file();
        let password_file = &self.stage.password_file;
        let user = size.user;
        // Dovecot may have to read each mail once.
        let patience = Duration::from_mins(5);
        match seeker {
            Seeker::Ours => {
                let config = account(user, port, "implicit", &ca_file, password_file);
                self.stage.write_config(&config);
                let program = self.stage.program().deadline(patience);
                let arguments = ["wait", size.username, "--since", "10m", "--timeout", "4m"];
                program.run(arguments).expect_code(0).elapsed
            }
            Seeker::Script => {
                let python = Program::new("/usr/bin/python3").deadline(patience);
                let port = port.to_string();
                let mut arguments = vec![Path::new("benches/peers/search_imaplib.py").into()];
                arguments.extend(["localhost", &port].map(PathBuf::from));
                arguments.extend([ca_file, user.name.into(), password_file.clone()]);
                let output = python.run(arguments).expect_code(0);
                assert_eq!(output.stdout(), "found\n", "{}", output.transcript());
                output.elapsed
            }
        }
    }
}
