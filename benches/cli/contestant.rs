//! The programs that are measured.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab::{Installation, Program, SERVICE, Trace, USERNAME, require};

/// The Python of `scripts/install-peers`, which has `keyring`.
const PYTHON: &str = "target/peers/python/bin/python";

/// A genuine mail, and the keys that prove it.
const MAIL: &str = "fixtures/genuine/rsa-2048.eml";
const KEYS: &str = "fixtures/keys.json";

/// One program and its arguments.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    program: Program,
    arguments: Vec<OsString>,
}

/// All of them, `get` first. Each is run once before it is measured, and must say what it is there for.
pub(crate) fn all(installation: &Installation, token: &str) -> Vec<Contestant> {
    let ours = &installation.program;
    let of = |program: PathBuf| ours.instead(program);
    let one = |name, program: &Program, arguments: &[&str], says: &str| {
        let contestant = Contestant {
            name,
            program: program.clone(),
            arguments: arguments.iter().map(OsString::from).collect(),
        };
        contestant.says(says);
        contestant
    };
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(PYTHON);
    assert!(
        python.exists(),
        "{PYTHON}: scripts/install-peers puts it there"
    );
    vec![
        one("`fetch-token get`", ours, &["get", USERNAME], token),
        one(
            "`secret-tool lookup`",
            &of(require("secret-tool", "libsecret-tools")),
            &["lookup", "service", SERVICE, "username", USERNAME],
            token,
        ),
        one(
            "`python -m keyring get`",
            // The backend is named, which spares it a look through all packages for others.
            &of(python).env(
                "PYTHON_KEYRING_BACKEND",
                "keyring.backends.SecretService.Keyring",
            ),
            &["-m", "keyring", "get", SERVICE, USERNAME],
            token,
        ),
        one("`fetch-token list`", ours, &["list"], USERNAME),
        one(
            "`fetch-token extract MAIL`",
            ours,
            &["--dkim-keys", KEYS, "extract", MAIL],
            "a token for",
        ),
        one("`fetch-token --help`", ours, &["--help"], "Usage"),
        one(
            "`true`, for what a process costs at least",
            &of(require("true", "coreutils")),
            &[],
            "",
        ),
    ]
}

impl Contestant {
    /// Fails where it does not print these words.
    fn says(&self, words: &str) {
        let output = self.program.run(&self.arguments).expect_code(0);
        let said = output.transcript();
        assert!(said.contains(words), "{}\n{said}", self.name);
    }

    /// To be run as it is, without the threads that gather what it says.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.program.command();
        command.args(&self.arguments);
        command
    }

    /// What it asks of the system.
    pub(crate) fn trace(&self) -> Trace {
        let (output, trace) = Trace::of(&self.program, &self.arguments);
        output.expect_code(0);
        trace
    }
}
