//! `[keychain]`: where tokens are stored.

mod encrypted;

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use crate::keychain::command::{self, Commands, Sign};
use crate::keychain::{Choice, Named, Settings};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Entry {
    store: Option<Spanned<Store>>,
    file: Option<Spanned<encrypted::Entry>>,
}

impl Entry {
    /// Checks what the types cannot say; paths are relative to the file `config`.
    pub(super) fn check(self, config: &Path) -> Result<Settings, (Range<usize>, String)> {
        let file = self.file.map(|entry| encrypted::check(entry, config));
        let file = file.transpose()?;
        let Some(store) = self.store else {
            return Ok(Settings {
                store: Choice::Auto,
                file,
            });
        };
        let span = store.span();
        let store = match store.into_inner() {
            Store::Named(name) => Choice::named(&name)
                .map_err(|error| (span.clone(), format!("{error}. {}", known())))?,
            Store::Command(command) => command.check(span.clone())?,
        };
        if store == Choice::Named(Named::File) && file.is_none() {
            return Err((span, encrypted::WANTED.to_owned()));
        }
        Ok(Settings { store, file })
    }
}

/// What can be written as a store.
fn known() -> String {
    let names: Vec<_> = Choice::names().map(|name| format!("\"{name}\"")).collect();
    format!(
        "Here a store is {} or {{ command = {{ write = [...], read = [...] }} }}",
        names.join(", ")
    )
}

#[derive(Debug)]
enum Store {
    Named(String),
    Command(Box<Command>),
}

impl<'de> Deserialize<'de> for Store {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StoreVisitor)
    }
}

/// Reads a name or `{ command = {...} }`. None of its errors repeats what stands there.
struct StoreVisitor;

impl<'de> Visitor<'de> for StoreVisitor {
    type Value = Store;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&known())
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Store, E> {
        Ok(Store::Named(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Store, A::Error> {
        let mut command = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "command" {
                return Err(serde::de::Error::unknown_field(&key, &["command"]));
            }
            command = Some(map.next_value()?);
        }
        let command = command.ok_or_else(|| serde::de::Error::missing_field("command"))?;
        Ok(Store::Command(command))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    name: Option<Spanned<String>>,
    write: Spanned<Vec<String>>,
    read: Spanned<Vec<String>>,
    delete: Option<Spanned<Vec<String>>>,
    stamp: Option<Spanned<Vec<String>>>,
    absent: Option<Spanned<Failure>>,
    conflict: Option<Spanned<Failure>>,
    deadline: Option<Spanned<String>>,
}

impl Command {
    fn check(self, span: Range<usize>) -> Result<Choice, (Range<usize>, String)> {
        fn at<T>(value: Option<&Spanned<T>>) -> Option<Range<usize>> {
            value.map(Spanned::span)
        }
        let places = [
            ("name", at(self.name.as_ref())),
            ("write", Some(self.write.span())),
            ("read", Some(self.read.span())),
            ("delete", at(self.delete.as_ref())),
            ("stamp", at(self.stamp.as_ref())),
            ("conflict", at(self.conflict.as_ref())),
            ("deadline", at(self.deadline.as_ref())),
        ];
        let deadline = self.deadline.map(|deadline| {
            let what = "a deadline is a number of seconds, for example \"30s\"";
            humantime::parse_duration(deadline.get_ref())
                .map_err(|_| (deadline.span(), what.to_owned()))
        });
        let settings = command::Settings::check(Commands {
            name: self.name.map(Spanned::into_inner),
            write: self.write.into_inner(),
            read: self.read.into_inner(),
            delete: self.delete.map(Spanned::into_inner),
            stamp: self.stamp.map(Spanned::into_inner),
            absent: sign(self.absent)?,
            conflict: sign(self.conflict)?,
            deadline: deadline.transpose()?,
        });
        match settings {
            Ok(settings) => Ok(Choice::Command(Arc::new(settings))),
            Err(wrong) => {
                let place = places.into_iter().find(|(key, _)| *key == wrong.key);
                let place = place.and_then(|(_, place)| place);
                Err((place.unwrap_or(span), wrong.what))
            }
        }
    }
}

/// An exit status, or words on standard error.
#[derive(Debug)]
enum Failure {
    Status(i64),
    Words(Vec<String>),
}

impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FailureVisitor)
    }
}

struct FailureVisitor;

/// What the visitor wants.
const FAILURE: &str = "an exit status from 1 to 255, or words that the command prints on standard error, or a list of \
                       such words";

impl<'de> Visitor<'de> for FailureVisitor {
    type Value = Failure;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FAILURE)
    }

    fn visit_i64<E: serde::de::Error>(self, status: i64) -> Result<Failure, E> {
        Ok(Failure::Status(status))
    }

    fn visit_str<E: serde::de::Error>(self, words: &str) -> Result<Failure, E> {
        Ok(Failure::Words(vec![words.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Failure, A::Error> {
        let mut words = Vec::new();
        while let Some(one) = list.next_element()? {
            words.push(one);
        }
        Ok(Failure::Words(words))
    }
}

fn sign(failure: Option<Spanned<Failure>>) -> Result<Option<Sign>, (Range<usize>, String)> {
    let Some(failure) = failure else {
        return Ok(None);
    };
    let span = failure.span();
    match failure.into_inner() {
        Failure::Status(status @ 1..=255) => Ok(i32::try_from(status).ok().map(Sign::Status)),
        Failure::Words(words)
            if !words.is_empty() && words.iter().all(|one| !one.trim().is_empty()) =>
        {
            Ok(Some(Sign::Words(words)))
        }
        Failure::Status(_) | Failure::Words(_) => Err((span, format!("this must be {FAILURE}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Error};
    use crate::keychain::Choice;
    use std::path::Path;

    /// A table, which begins in line 5.
    fn parse(table: &str) -> Result<Choice, Error> {
        let account = "[[account]]\naddress = \"a@b.example\"\nhost = \"h\"\nusernames = [\"*\"]\n";
        let text = format!("{account}{table}");
        Config::parse(&text, Path::new("c.toml")).map(|config| config.keychain.store)
    }

    const COMMAND: &str = "[keychain.store.command]\nwrite = [\"put\", \"{username}\", \"{stamp}\"]\nread = [\"get\"]\n";

    #[test]
    fn without_a_word_it_is_the_platforms_own() {
        for table in ["", "[keychain]\n", "[keychain]\nstore = \"auto\"\n"] {
            assert_eq!(parse(table).expect(table), Choice::Auto);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn each_store_has_a_name_and_others_are_an_error_that_lists_them() {
        assert_ne!(
            parse("[keychain]\nstore = \"secret-service\"\n").expect("known"),
            Choice::Auto
        );
        let error = parse("[keychain]\nstore = \"kwallet\"\n").expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "c.toml:6:9: there is no such store. Here a store is \"auto\", \"secret-service\", \"keyutils\", \"file\" or { \
             command = { write = [...], read = [...] } }"
        );
        for name in ["macos", "windows"] {
            let error = parse(&format!("[keychain]\nstore = \"{name}\"\n")).expect_err(name);
            let error = error.to_string();
            assert!(
                error.contains(&format!("\"{name}\" is a store of"))
                    && error.contains("and this is another system. Here a store is \"auto\""),
                "{error}"
            );
        }
    }

    #[test]
    fn commands_are_written_as_a_table_or_in_one_line() {
        let table = parse(COMMAND).expect("valid");
        let line = parse(
            "[keychain]\nstore = { command = { write = [\"put\", \"{username}\", \"{stamp}\"], read = [\"get\"] } }\n",
        );
        assert_eq!(table, line.expect("valid"));
    }

    #[test]
    fn errors_name_the_place_and_what_was_meant() {
        for (table, expected) in [
            (
                format!("{COMMAND}reed = [\"a\"]\n"),
                "c.toml:8:1: unknown key `reed`. Did you mean `read`?",
            ),
            (
                COMMAND.replace("read = [\"get\"]\n", ""),
                "c.toml:5:1: the key `read` is missing here",
            ),
            (
                COMMAND.replace("[\"get\"]", "[]"),
                "c.toml:7:8: a command names a program first: [\"PROGRAM\", \"ARGUMENT\", ...]",
            ),
            (
                COMMAND.replace("[\"get\"]", "\"get\""),
                "c.toml:7:8: this must be a sequence",
            ),
            (
                COMMAND.replace("[\"get\"]", "[\"get\", \"{stamp}\"]"),
                "c.toml:7:8: there is no {stamp} here. Known are {username}, {username:hash}; braces that are no place \
                 for a fact are written with a blank, { stamp }",
            ),
            (
                COMMAND.replace("{stamp}", "{revision}"),
                "c.toml:6:9: {revision} is what the `stamp` command prints on its second line, and there is none",
            ),
            (
                format!("{COMMAND}conflict = 3\n"),
                "c.toml:8:12: another revision can only be met where a `stamp` command prints the one that was seen",
            ),
            (
                format!("{COMMAND}absent = 0\n"),
                "c.toml:8:10: this must be an exit status from 1 to 255, or words that the command prints on standard error, or \
                 a list of such words",
            ),
            (
                format!("{COMMAND}absent = [\"\"]\n"),
                "c.toml:8:10: this must be an exit status from 1 to 255, or words that the command prints on standard error, or \
                 a list of such words",
            ),
            (
                format!("{COMMAND}deadline = \"2m\"\n"),
                "c.toml:8:12: a deadline is at least 1 s and at most 60 s",
            ),
            (
                format!("{COMMAND}deadline = \"soon\"\n"),
                "c.toml:8:12: a deadline is a number of seconds, for example \"30s\"",
            ),
            (
                format!("{COMMAND}name = \"\"\n"),
                "c.toml:8:8: a name has 1 to 40 characters and no control characters",
            ),
            (
                "[keychain]\nstore = { comand = {} }\n".to_owned(),
                "c.toml:6:9: unknown key `comand`. Did you mean `command`?",
            ),
            (
                "[keychain]\nstor = \"auto\"\n".to_owned(),
                "c.toml:6:1: unknown key `stor`. Did you mean `store`?",
            ),
        ] {
            let error = parse(&table).expect_err(&table).to_string();
            assert_eq!(error, expected, "{table}");
        }
    }
}
