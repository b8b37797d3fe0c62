//! Every key of the configuration file, for people: the manual page `fetch-token.toml(5)` is made from these tables.
//!
//! The tests ask the reader of the file which keys, words and tables it takes, and compare: a key that is read and
//! not described here fails them, and so does one that is described and not read.

mod account;
mod tables;

/// The tables, in the order in which they are described.
pub const TABLES: [&Table; 14] = [
    &account::ACCOUNT,
    &account::PASSWORD,
    &account::OAUTH2,
    &account::CLIENT_SECRET,
    &account::INSTANCE,
    &tables::SENDER,
    &tables::DISCOVERY,
    &tables::KEYCHAIN,
    &tables::STORE,
    &tables::COMMAND,
    &tables::FILE,
    &tables::IDENTITY,
    &tables::PASSPHRASE,
    &tables::HOOK,
];

/// A table of the file.
#[derive(Debug)]
pub struct Table {
    /// The keys that lead to it from the top of the file, with dots between them: `account.oauth2`.
    pub path: &'static str,
    /// How it is written: `[[account]]`, or `password = { ... }`.
    pub heading: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// What it may hold.
    pub keys: &'static [Key],
}

/// A key of a table.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// A value that it takes, in TOML.
    pub example: &'static str,
    /// What it takes, in words; where it takes certain words only, each of them.
    pub value: &'static str,
    /// What counts where it is left out.
    pub absent: Absent,
    /// What it says.
    pub meaning: &'static str,
}

/// What counts where a key is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// Nothing: the file is refused.
    Refused,
    /// As if this stood there, in TOML.
    Value(&'static str),
    /// This, in words.
    Words(&'static str),
}

#[cfg(test)]
mod tests;
