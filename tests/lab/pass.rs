//! A real password store: `pass`, with a key of `GnuPG`'s that is made for it and has a passphrase.

use super::command::Program;
use super::home::Home;
use super::process::require;
use std::ffi::OsString;
use std::process::{Command, Stdio};

const PASSPHRASE: &str = "the lab's passphrase";
const KEY: &str = "store@lab.example";

pub struct Pass {
    home: Home,
}

impl Pass {
    /// An empty store, unlocked.
    pub fn new() -> Self {
        for (program, package) in [("gpg", "gnupg"), ("gpg-agent", "gnupg"), ("pass", "pass")] {
            require(program, package);
        }
        let pass = Self { home: Home::new() };
        // Nobody is there to be asked: what the agent does not know is refused.
        pass.home
            .write_private("gpg-agent.conf", "pinentry-program /bin/false\n");
        pass.gpg(&[
            "--quick-generate-key",
            KEY,
            "future-default",
            "default",
            "never",
        ]);
        pass.run("pass", &["init", KEY]);
        pass.unlock();
        pass
    }

    /// What a child needs to find this store.
    pub fn env(&self) -> [(OsString, OsString); 2] {
        let home = self.home.path();
        [
            ("GNUPGHOME".into(), home.into()),
            ("PASSWORD_STORE_DIR".into(), home.join("store").into()),
        ]
    }

    /// The program with this store in its surroundings.
    pub fn beside(&self, program: Program) -> Program {
        let with = |program: Program, (name, value)| program.env(name, value);
        self.env().into_iter().fold(program, with)
    }

    /// Ends the agent, and with it what it knows: the store can be written, and not read.
    pub fn lock(&self) {
        self.run("gpgconf", &["--kill", "gpg-agent"]);
    }

    /// Lets the agent know the passphrase.
    pub fn unlock(&self) {
        let text = self.home.write_private("text", "something");
        let encrypted = self.home.path().join("text.gpg");
        let _ = std::fs::remove_file(&encrypted);
        let text = text.to_str().expect("UTF-8");
        self.gpg(&["--encrypt", "--recipient", KEY, text]);
        self.gpg(&["--decrypt", encrypted.to_str().expect("UTF-8")]);
    }

    /// What `pass show` prints.
    pub fn show(&self, name: &str) -> Option<String> {
        let output = self.command("pass").args(["show", name]).output();
        let output = output.expect("run pass");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        output.status.success().then_some(text)
    }

    fn gpg(&self, arguments: &[&str]) {
        let passphrase = [
            "--batch",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            PASSPHRASE,
        ];
        self.run("gpg", &[&passphrase, arguments].concat());
    }

    #[track_caller]
    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program).args(arguments).output();
        let output = output.expect("run it");
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {output:?}"
        );
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        command
            .envs(self.home.env())
            .envs(self.env())
            .stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.lock();
    }
}
