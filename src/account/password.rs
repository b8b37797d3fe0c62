//! Where a mailbox's password comes from: the keychain, a command, or a person. Never from a file or argument.

use std::fmt;

use secrecy::SecretString;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::asked::{self, Typed};
use crate::imap;
use crate::keychain::{self, Keychain};

/// Where a mailbox's password comes from.
#[derive(Debug)]
pub enum Password {
    /// From the keychain (service [`keychain::MAILBOX_SERVICE`]), or from a person where it is not there.
    Keychain(Typed),
    /// From a person, once a process.
    Prompt(Typed),
    /// The first line that this command prints. An argument list, no shell.
    Command(Vec<String>),
}

/// The same source; what was typed is no part of it.
impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Keychain(_), Self::Keychain(_)) | (Self::Prompt(_), Self::Prompt(_)) => true,
            (Self::Command(one), Self::Command(another)) => one == another,
            _ => false,
        }
    }
}

impl Password {
    /// Gets the password. The error says what to do.
    pub(super) async fn ask(
        &self,
        address: &str,
        keychain: &Keychain,
    ) -> Result<SecretString, imap::Error> {
        let no_password = imap::Error::Password;
        match self {
            Self::Keychain(typed) => match keychain
                .get(keychain::MAILBOX_SERVICE, address)
                .await
            {
                Ok(Some(password)) => Ok(password),
                Ok(None) => typed
                    .ask(&prompt(address))
                    .await
                    .map_err(|_| no_password(not_in_keychain(address, keychain))),
                Err(error) => Err(imap::Error::Keychain(error)),
            },
            Self::Prompt(typed) => typed.ask(&prompt(address)).await.map_err(|_| {
                no_password(format!(
                    "there is no terminal to ask for the password of {address} on. Use `password = {{ command = \
                     [...] }}` or the keychain where nobody sits"
                ))
            }),
            Self::Command(command) => asked::by_command(command, "password command")
                .await
                .map_err(no_password),
        }
    }
}

fn prompt(address: &str) -> String {
    format!("Password of {address}: ")
}

fn not_in_keychain(address: &str, keychain: &Keychain) -> String {
    format!(
        "the keychain ({}) holds no password for {address}. Store it there by `fetch-token login {address}`{}, or name a \
         command with `password = {{ command = [...] }}`",
        keychain.name_for_passwords(),
        keychain.by_hand(keychain::MAILBOX_SERVICE, address)
    )
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PasswordVisitor)
    }
}

/// Reads `"keychain"`, `"prompt"` or `{ command = [...] }`. None of its errors repeats what stands there: it may
/// be a password.
struct PasswordVisitor;

impl<'de> Visitor<'de> for PasswordVisitor {
    type Value = Password;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"keychain\", \"prompt\" or { command = [\"PROGRAM\", \"ARGUMENT\", ...] }")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Password, E> {
        match word {
            "keychain" => Ok(Password::Keychain(Typed::default())),
            "prompt" => Ok(Password::Prompt(Typed::default())),
            _ => Err(E::custom(
                "a password cannot stand in this file. Write \"keychain\", \"prompt\" or { command = [...] }",
            )),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Password, A::Error> {
        asked::read_command(map).map(Password::Command)
    }
}
