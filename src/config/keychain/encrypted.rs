//! `[keychain.file]`: the encrypted file.

use std::fmt;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use toml::Spanned;

use super::super::{beside, state_directory};
use crate::asked::{self, Typed};
use crate::keychain::file::{Key, Settings};

/// The file's name in the state directory, where no path is named.
const FILE: &str = "secrets.age";

/// What is said where a file is meant and none is described.
pub(super) const WANTED: &str = "the file needs a key. Add a table [keychain.file] with `identity = \"FILE\"`, \
                                 `identity = { credential = \"NAME\" }`, `passphrase = { command = [...] }` or \
                                 `passphrase = \"prompt\"`";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    path: Option<Spanned<PathBuf>>,
    identity: Option<Spanned<Identity>>,
    passphrase: Option<Spanned<Passphrase>>,
}

/// Checks what the types cannot say; paths are relative to the file `config`.
pub(super) fn check(
    entry: Spanned<Entry>,
    config: &Path,
) -> Result<Settings, (Range<usize>, String)> {
    let span = entry.span();
    let entry = entry.into_inner();
    let path = match entry.path {
        Some(path) if path.get_ref().file_name().is_none() => {
            return Err((
                path.span(),
                "a path ends with the name of a file".to_owned(),
            ));
        }
        Some(path) => beside(config, path.get_ref()),
        None => state_directory()
            .map_err(|error| (span.clone(), error.to_string()))?
            .join(FILE),
    };
    let key = match (entry.identity, entry.passphrase) {
        (Some(identity), None) => {
            let span = identity.span();
            match identity.into_inner() {
                Identity::File(file) if file.file_name().is_none() => {
                    return Err((span, "a path ends with the name of a file".to_owned()));
                }
                Identity::File(file) => {
                    let file = beside(config, &file);
                    if file == path {
                        return Err((span, "the key and the file are two files".to_owned()));
                    }
                    Key::Identity(file)
                }
                Identity::Credential(name) if is_name(&name) => Key::Credential(name),
                Identity::Credential(_) => {
                    return Err((span, "a credential's name is one file name".to_owned()));
                }
            }
        }
        (None, Some(passphrase)) => match passphrase.into_inner() {
            Passphrase::Prompt => Key::Prompt(Arc::new(Typed::default())),
            Passphrase::Command(command) => Key::Command(command),
        },
        (None, None) => return Err((span, WANTED.to_owned())),
        (Some(_), Some(passphrase)) => {
            return Err((
                passphrase.span(),
                "the file is opened by an `identity` or a `passphrase`, not by both".to_owned(),
            ));
        }
    };
    Ok(Settings { path, key })
}

/// Whether it names a file of one directory, and nothing above or below.
fn is_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    )
}

#[derive(Debug)]
enum Identity {
    File(PathBuf),
    Credential(String),
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdentityVisitor)
    }
}

/// Reads a path or `{ credential = "NAME" }`. None of its errors repeats what stands there: it may be a key.
struct IdentityVisitor;

impl<'de> Visitor<'de> for IdentityVisitor {
    type Value = Identity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"FILE\" or { credential = \"NAME\" }")
    }

    fn visit_str<E: serde::de::Error>(self, path: &str) -> Result<Identity, E> {
        if path.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            return Err(E::custom(
                "a key cannot stand in this file. Write it to a file of its own, which only you may read, and name that",
            ));
        }
        Ok(Identity::File(PathBuf::from(path)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Identity, A::Error> {
        let mut credential = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "credential" || credential.is_some() {
                return Err(A::Error::unknown_field(&key, &["credential"]));
            }
            credential = Some(map.next_value()?);
        }
        let credential = credential.ok_or_else(|| A::Error::missing_field("credential"))?;
        Ok(Identity::Credential(credential))
    }
}

#[derive(Debug)]
enum Passphrase {
    Prompt,
    Command(Vec<String>),
}

impl<'de> Deserialize<'de> for Passphrase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PassphraseVisitor)
    }
}

/// Reads `"prompt"` or `{ command = [...] }`. None of its errors repeats what stands there: it may be a passphrase.
struct PassphraseVisitor;

impl<'de> Visitor<'de> for PassphraseVisitor {
    type Value = Passphrase;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"prompt\" or { command = [\"PROGRAM\", \"ARGUMENT\", ...] }")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Passphrase, E> {
        if word == "prompt" {
            return Ok(Passphrase::Prompt);
        }
        Err(E::custom(
            "a passphrase cannot stand in this file. Write \"prompt\" or { command = [...] }",
        ))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Passphrase, A::Error> {
        asked::read_command(map).map(Passphrase::Command)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Config, Error};
    use crate::keychain::file::{Key, Settings};
    use crate::keychain::{self, Choice, Named};
    use std::path::{Path, PathBuf};

    /// A table, which begins in line 5.
    fn parse(table: &str) -> Result<keychain::Settings, Error> {
        let account = "[[account]]\naddress = \"a@b.example\"\nhost = \"h\"\nusernames = [\"*\"]\n";
        let text = format!("{account}{table}");
        Config::parse(&text, Path::new("/etc/ft/c.toml")).map(|config| config.keychain)
    }

    #[test]
    fn a_file_is_opened_by_one_key_and_paths_are_relative_to_the_configuration() {
        let settings = parse(
            "[keychain]\nstore = \"file\"\n[keychain.file]\npath = \"all.age\"\nidentity = \"/var/lib/key.txt\"\n",
        );
        let settings = settings.expect("valid");
        assert_eq!(settings.store, Choice::Named(Named::File));
        let wanted = Settings {
            path: PathBuf::from("/etc/ft/all.age"),
            key: Key::Identity(PathBuf::from("/var/lib/key.txt")),
        };
        assert_eq!(settings.file, Some(wanted));
        for (line, key) in [
            (
                "identity = { credential = \"ft-key\" }",
                Key::Credential("ft-key".to_owned()),
            ),
            (
                "passphrase = { command = [\"pass\", \"ft\"] }",
                Key::Command(vec!["pass".to_owned(), "ft".to_owned()]),
            ),
            (
                "passphrase = \"prompt\"",
                Key::Prompt(std::sync::Arc::default()),
            ),
        ] {
            let settings = parse(&format!("[keychain.file]\n{line}\n")).expect(line);
            assert_eq!(settings.store, Choice::Auto);
            let file = settings.file.expect("a file");
            assert!(file.path.ends_with("secrets.age"), "{:?}", file.path);
            assert_eq!(file.key, key);
        }
    }

    #[test]
    fn errors_name_the_place_and_never_repeat_a_key() {
        for (table, expected) in [
            (
                "[keychain]\nstore = \"file\"\n",
                "6:9: the file needs a key. Add a table [keychain.file] with",
            ),
            ("[keychain.file]\n", "5:1: the file needs a key."),
            (
                "[keychain.file]\nidentity = \"k\"\npassphrase = \"prompt\"\n",
                "7:14: the file is opened by an `identity` or a `passphrase`, not by both",
            ),
            (
                "[keychain.file]\npassphrase = \"open sesame\"\n",
                "6:14: a passphrase cannot stand in this file.",
            ),
            (
                "[keychain.file]\nidentity = \"AGE-SECRET-KEY-1QQQ\"\n",
                "6:12: a key cannot stand in this file.",
            ),
            (
                "[keychain.file]\nidentity = { credential = \"../key\" }\n",
                "6:12: a credential's name is one file name",
            ),
            (
                "[keychain.file]\npath = \"x\"\nidentity = \"x\"\n",
                "7:12: the key and the file are two files",
            ),
            (
                "[keychain.file]\nidentty = \"x\"\n",
                "6:1: unknown key `identty`. Did you mean `identity`?",
            ),
        ] {
            let error = parse(table).expect_err(table).to_string();
            assert!(error.contains(expected), "{error}");
            assert!(
                !error.contains("sesame") && !error.contains("1QQQ"),
                "{error}"
            );
        }
    }
}
