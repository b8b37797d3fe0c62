//! `[[hook]]`: what to run when something happens.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

/// What to run when something happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// When.
    pub on: Occasion,
    /// The program and its arguments, at least the program. No shell reads them.
    pub command: Vec<String>,
    /// What the program reads on its standard input.
    pub input: Input,
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// A token was stored.
    Stored,
    /// Token mails were refused.
    Refused,
    /// Token mails cannot be judged or stored yet.
    Pending,
    /// The mailbox's server, or where the password comes from, does not let us log in.
    LoginFailed,
}

impl Occasion {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Refused => "refused",
            Self::Pending => "pending",
            Self::LoginFailed => "login-failed",
        }
    }
}

/// What a hook's program reads on its standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nothing: it ends at once.
    Empty,
    /// The token.
    Token,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    on: Occasion,
    command: Spanned<Vec<String>>,
    stdin: Option<Spanned<Stdin>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stdin {
    Token,
}

impl Entry {
    /// Checks what the types cannot say.
    pub(super) fn check(self) -> Result<Hook, (Range<usize>, String)> {
        let command = self.command.get_ref();
        if command.first().is_none_or(String::is_empty) {
            return Err((
                self.command.span(),
                "a command names a program first: [\"PROGRAM\", \"ARGUMENT\", ...]".to_owned(),
            ));
        }
        // No system passes it on.
        if command.iter().any(|word| word.contains('\0')) {
            return Err((
                self.command.span(),
                "a command holds no NUL character".to_owned(),
            ));
        }
        let input = match &self.stdin {
            None => Input::Empty,
            Some(_) if self.on == Occasion::Stored => Input::Token,
            Some(stdin) => {
                return Err((
                    stdin.span(),
                    "only a hook on = \"stored\" has a token to read".to_owned(),
                ));
            }
        };
        Ok(Hook {
            on: self.on,
            command: self.command.into_inner(),
            input,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Error};
    use super::{Hook, Input, Occasion};
    use std::path::Path;

    /// A hook, which begins in line 6.
    fn parse(hook: &str) -> Result<Vec<Hook>, Error> {
        let account = "[[account]]\naddress = \"a@b.example\"\nhost = \"h\"\nusernames = [\"*\"]\n";
        let text = format!("{account}[[hook]]\n{hook}");
        Config::parse(&text, Path::new("c.toml")).map(|config| config.hooks.to_vec())
    }

    #[test]
    fn a_hook_is_read_as_it_is_written() {
        let hooks = parse(
            "on = \"login-failed\"\ncommand = [\"notify-send\", \"$HOME *\"]\n[[hook]]\non = \"stored\"\n\
             command = [\"up\"]\nstdin = \"token\"\n",
        );
        let expected = [
            Hook {
                on: Occasion::LoginFailed,
                command: vec!["notify-send".to_owned(), "$HOME *".to_owned()],
                input: Input::Empty,
            },
            Hook {
                on: Occasion::Stored,
                command: vec!["up".to_owned()],
                input: Input::Token,
            },
        ];
        assert_eq!(hooks.expect("valid"), expected);
    }

    #[test]
    fn errors_name_the_place_and_what_was_meant() {
        for (hook, expected) in [
            (
                "on = \"sotred\"\ncommand = [\"a\"]",
                "c.toml:6:6: this must be one of `stored`, `refused`, `pending`, `login-failed`",
            ),
            (
                "command = [\"a\"]",
                "c.toml:5:1: the key `on` is missing here",
            ),
            (
                "on = \"stored\"",
                "c.toml:5:1: the key `command` is missing here",
            ),
            (
                "on = \"stored\"\ncommand = []",
                "c.toml:7:11: a command names a program first: [\"PROGRAM\", \"ARGUMENT\", ...]",
            ),
            (
                "on = \"stored\"\ncommand = [\"\", \"a\"]",
                "c.toml:7:11: a command names a program first: [\"PROGRAM\", \"ARGUMENT\", ...]",
            ),
            (
                "on = \"stored\"\ncommand = [\"a\\u0000\"]",
                "c.toml:7:11: a command holds no NUL character",
            ),
            (
                "on = \"stored\"\ncommand = \"a b\"",
                "c.toml:7:11: this must be a sequence",
            ),
            (
                "on = \"stored\"\ncommand = [\"a\"]\nstdin = \"tokens\"",
                "c.toml:8:9: this must be `token`",
            ),
            (
                "on = \"refused\"\ncommand = [\"a\"]\nstdin = \"token\"",
                "c.toml:8:9: only a hook on = \"stored\" has a token to read",
            ),
            (
                "on = \"stored\"\ncomand = [\"a\"]",
                "c.toml:7:1: unknown key `comand`. Did you mean `command`?",
            ),
        ] {
            let error = parse(hook).expect_err(hook).to_string();
            assert_eq!(error, expected, "{hook}");
        }
    }
}
