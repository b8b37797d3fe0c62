//! A terminal of its own for a program, and a person who answers what it asks.

use super::command::{Output, Program};
use super::home::Home;
use super::process::require;
use super::secret_service::SecretService;
use std::fmt::Write as _;

pub struct Screen;

impl Screen {
    /// Runs the program under `script`, which gives it a terminal; each line is typed when its prompt is on the screen,
    /// for what is typed before would be shown by the terminal itself.
    pub fn run(keychain: &SecretService, arguments: &str, answers: &[(&str, &str)]) -> Output {
        let bash = Program::new(require("bash", "bash")).with_keychain(keychain);
        Self::show(keychain.home(), bash, arguments, answers)
    }

    /// The same on a machine without a message bus.
    pub fn run_at_home(home: &Home, arguments: &str, answers: &[(&str, &str)]) -> Output {
        let bash = Program::new(require("bash", "bash")).at_home(home);
        Self::show(home, bash, arguments, answers)
    }

    fn show(home: &Home, bash: Program, arguments: &str, answers: &[(&str, &str)]) -> Output {
        let folder = home.path();
        let seen = folder.join("seen");
        let _ = std::fs::remove_file(&seen);
        let mut typing = String::new();
        for (number, (prompt, line)) in answers.iter().enumerate() {
            // From a file: an argument could be seen by anybody, and this may be a password.
            let typed = home.write_private(&format!("typed-{number}"), &format!("{line}\n"));
            let _ = write!(
                typing,
                "until grep -qF -- '{prompt}' '{}' 2>/dev/null; do sleep 0.05; done; sleep 0.1; cat '{}'; ",
                seen.display(),
                typed.display()
            );
        }
        let typist = folder.join("typist");
        std::fs::write(
            &typist,
            format!(
                "({typing} sleep 1) | script -qefc '{} {arguments}' '{}'\n",
                env!("CARGO_BIN_EXE_fetch-token"),
                seen.display()
            ),
        )
        .expect("write");
        require("script", "bsdutils");
        let output = bash.env("TERM", "xterm").run([&typist]);
        for (number, _) in answers.iter().enumerate() {
            let _ = std::fs::remove_file(folder.join(format!("typed-{number}")));
        }
        output
    }
}
