//! One start of one program, until the server has confirmed that it announces new mail.

use super::lab::{Carried, Daemon, Program, Running, Stage, USERNAME, Wire};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Who starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contestant {
    /// `fetch-token wait --from CURSOR`.
    From,
    /// `fetch-token run`, which tries the keychain meanwhile.
    Run,
    /// `fetch-token daemon`, which has watched before.
    Daemon,
    ImapTools,
    Imapflow,
}

impl Contestant {
    pub(crate) const ALL: [Self; 5] = [
        Self::From,
        Self::Run,
        Self::Daemon,
        Self::ImapTools,
        Self::Imapflow,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::From => "`fetch-token wait --from`",
            Self::Run => "`fetch-token run`",
            Self::Daemon => "`fetch-token daemon`",
            Self::ImapTools => "Python, imap_tools",
            Self::Imapflow => "Node, imapflow",
        }
    }
}

/// What a start cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) carried: Carried,
    /// From the process's start to the last octet of the confirmation.
    pub(crate) took: Duration,
}

/// Where everybody starts.
pub(crate) struct Track {
    stage: Stage,
    cursor: String,
}

/// What a program says within a millisecond on loopback is the last of it after this.
const SILENCE: Duration = Duration::from_millis(100);

impl Track {
    /// A mailbox with nothing new, and a daemon that knows it.
    pub(crate) fn new(stage: Stage) -> Self {
        let cursor = stage.program().run(["arm"]).expect_code(0).stdout();
        Daemon::start(&stage).stop();
        Self {
            cursor: cursor.trim().to_owned(),
            stage,
        }
    }

    pub(crate) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// One start over a line on which each octet takes `delay`.
    pub(crate) fn time(&self, contestant: Contestant, delay: Duration) -> Cost {
        let wire = Wire::before(self.stage.dovecot.imaps_port(), delay);
        self.reach(wire.port());
        let begin = Instant::now();
        let _running = self.start(contestant, wire.port());
        // Nothing but the confirmation may still be on its way.
        let carried = wire.settled(SILENCE + 2 * delay);
        let heard = carried.heard.expect("a confirmation");
        Cost {
            carried,
            took: heard - begin,
        }
    }

    /// Whoever starts ours from now on connects there.
    pub(crate) fn reach(&self, port: u16) {
        self.stage.configure_behind(port);
    }

    /// Starts a program, and waits until it says that it idles, or is about to.
    pub(crate) fn start(&self, contestant: Contestant, port: u16) -> Running {
        let port = port.to_string();
        let ours = self.stage.program().env("RUST_LOG", "info");
        let ca_file = self.stage.dovecot.ca_file();
        let user = self.stage.user.name;
        let password_file = &self.stage.password_file;
        let peer = |file: &str| Path::new("benches/peers").join(file);
        let (running, words) = match contestant {
            Contestant::From => (
                ours.spawn(["-v", "wait", USERNAME, "--from", &self.cursor]),
                "the server announces new mail",
            ),
            Contestant::Run => (
                ours.spawn(["-v", "run", USERNAME, "--", "sleep", "1"]),
                "the server announces new mail",
            ),
            Contestant::Daemon => (ours.spawn(["daemon"]), "watching"),
            Contestant::ImapTools => {
                let python = Program::new(peers("python/bin/python"));
                let mut arguments = vec![peer("cold_imap_tools.py")];
                arguments.extend(["localhost", &port].map(PathBuf::from));
                arguments.extend([ca_file, user.into(), password_file.clone()]);
                (python.spawn(arguments), "idling")
            }
            Contestant::Imapflow => {
                let node = Program::new("node")
                    .env("NODE_PATH", peers("node/node_modules"))
                    .env("NODE_EXTRA_CA_CERTS", ca_file);
                let mut arguments = vec![peer("cold_imapflow.cjs")];
                arguments.extend(["localhost", &port, user].map(PathBuf::from));
                arguments.push(password_file.clone());
                (node.spawn(arguments), "idling")
            }
        };
        running.stderr_line(words);
        running
    }
}

/// What `scripts/install-peers` installed.
fn peers(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/peers")
        .join(name);
    assert!(
        path.exists(),
        "{} is not there: scripts/install-peers installs it",
        path.display()
    );
    path
}
