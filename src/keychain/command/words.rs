//! The words of a command, with places for facts in them: `"salesforce/{username}"`.
//!
//! No shell reads them, and what stands for a fact can neither leave a folder nor be taken for an option: a username
//! is written with lower-case letters, digits and `@._+-`, the last five not at its beginning, and everything else as
//! `%XX`.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The words of a command; at least its program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words(Vec<Vec<Piece>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Fact(Fact),
}

/// What a word can have a place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    /// The Salesforce username, as far as it is harmless; usernames compare without ASCII case, so it is in lower case.
    Username,
    /// 32 hexadecimal digits that stand for the username, for stores whose names are narrow.
    UsernameHash,
    /// The mail's Date.
    Date,
    /// The mail's identity.
    Identity,
    /// The stamp to keep beside the token.
    Stamp,
    /// What the `stamp` command called the state it saw.
    Revision,
}

/// The facts of every command.
pub(super) const OF_ITEM: &[Fact] = &[Fact::Username, Fact::UsernameHash];

/// The facts of the command that writes.
pub(super) const OF_WRITE: &[Fact] = &[
    Fact::Username,
    Fact::UsernameHash,
    Fact::Date,
    Fact::Identity,
    Fact::Stamp,
    Fact::Revision,
];

impl Fact {
    fn place(self) -> &'static str {
        match self {
            Self::Username => "{username}",
            Self::UsernameHash => "{username:hash}",
            Self::Date => "{date}",
            Self::Identity => "{identity}",
            Self::Stamp => "{stamp}",
            Self::Revision => "{revision}",
        }
    }
}

/// Reads a command's words; the error says what is wrong with them.
pub(super) fn parse(words: &[String], known: &[Fact]) -> Result<Words, String> {
    if words.first().is_none_or(String::is_empty) {
        return Err("a command names a program first: [\"PROGRAM\", \"ARGUMENT\", ...]".to_owned());
    }
    // No system passes it on.
    if words.iter().any(|word| word.contains('\0')) {
        return Err("a command holds no NUL character".to_owned());
    }
    let words = words.iter().map(|word| pieces(word, known));
    let words = Words(words.collect::<Result<_, _>>()?);
    if words.0[0]
        .iter()
        .any(|piece| matches!(piece, Piece::Fact(_)))
    {
        return Err(
            "the program itself has no place for a fact, only its arguments have".to_owned(),
        );
    }
    Ok(words)
}

/// `${name}` is a shell's own affair, and so is everything in braces that is not one word, or two joined by a colon.
fn pieces(word: &str, known: &[Fact]) -> Result<Vec<Piece>, String> {
    let is_name = |text: &str| {
        let mut parts = text.split(':');
        text.matches(':').count() < 2
            && parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()))
    };
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = word;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        text.push_str(before);
        let name = from[1..].split_once('}').map(|(name, _)| name);
        let Some(name) = name.filter(|name| is_name(name) && !text.ends_with('$')) else {
            text.push('{');
            rest = &from[1..];
            continue;
        };
        let place = &from[..name.len() + 2];
        let Some(fact) = known.iter().find(|fact| fact.place() == place) else {
            let places: Vec<_> = known.iter().map(|fact| fact.place()).collect();
            return Err(format!(
                "there is no {place} here. Known are {}; braces that are no place for a fact are written with a blank, \
                 {{ {name} }}",
                places.join(", ")
            ));
        };
        pieces.push(Piece::Text(std::mem::take(&mut text)));
        pieces.push(Piece::Fact(*fact));
        rest = &from[place.len()..];
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text));
    Ok(pieces)
}

impl Words {
    /// The program, as it is written.
    pub(super) fn program(&self) -> &str {
        match self.0.first().and_then(|word| word.first()) {
            Some(Piece::Text(program)) => program,
            _ => "",
        }
    }

    /// Whether there is a place for this.
    pub(super) fn have(&self, fact: Fact) -> bool {
        self.0
            .iter()
            .flatten()
            .any(|piece| *piece == Piece::Fact(fact))
    }

    /// The words, with what `value` says in their places.
    pub(super) fn with(&self, value: impl Fn(Fact) -> String) -> Vec<String> {
        let word = |pieces: &Vec<Piece>| {
            let pieces = pieces.iter().map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Fact(fact) => value(*fact),
            });
            pieces.collect()
        };
        self.0.iter().map(word).collect()
    }
}

/// The username, so that it is neither a path nor an option nor anything to a shell.
pub(super) fn harmless(username: &str) -> String {
    let mut word = String::new();
    for octet in username.to_ascii_lowercase().bytes() {
        let is_kept = octet.is_ascii_alphanumeric()
            || !word.is_empty() && matches!(octet, b'@' | b'.' | b'_' | b'+' | b'-');
        if is_kept {
            word.push(char::from(octet));
        } else {
            write!(word, "%{octet:02X}").expect("write into a String");
        }
    }
    word
}

/// 32 hexadecimal digits that stand for the username: the beginning of SHA-256 of it in lower case.
pub(super) fn hash(username: &str) -> String {
    let mut digits = format!("{:x}", Sha256::digest(username.to_ascii_lowercase()));
    digits.truncate(32);
    digits
}

#[cfg(test)]
mod tests {
    use super::{Fact, OF_ITEM, OF_WRITE, harmless, hash, parse};

    fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
        words.map(str::to_owned).to_vec()
    }

    #[test]
    fn a_username_is_neither_a_path_nor_an_option_nor_anything_to_a_shell() {
        for (username, word) in [
            ("etl@acme.example.uat", "etl@acme.example.uat"),
            ("ETL@Acme.example", "etl@acme.example"),
            ("o'neill+x_y-z@a.b", "o%27neill+x_y-z@a.b"),
            ("../../etc/passwd@a", "%2E.%2F..%2Fetc%2Fpasswd@a"),
            ("a/../b@c", "a%2F..%2Fb@c"),
            ("--force@a", "%2D-force@a"),
            ("100%@a", "100%25@a"),
            ("a b;$(id)`x`\n@a", "a%20b%3B%24%28id%29%60x%60%0A@a"),
            ("ü@a", "%C3%BC@a"),
        ] {
            assert_eq!(harmless(username), word, "{username}");
        }
        assert_eq!(hash("ETL@acme.example"), hash("etl@acme.example"));
        assert_eq!(hash("etl@acme.example").len(), 32);
    }

    #[test]
    fn facts_stand_in_their_places_and_other_braces_stay() {
        let command = words([
            "sh",
            "-c",
            "x=${username} awk '{ print }' {\"a\":1} {} {Username}",
            "sf/{username}/{username:hash}",
            "-cas={revision}",
        ]);
        let parsed = parse(&command, OF_WRITE).expect("good");
        assert_eq!(parsed.program(), "sh");
        assert!(parsed.have(Fact::Revision) && !parsed.have(Fact::Stamp));
        let filled = parsed.with(|fact| format!("<{fact:?}>"));
        assert_eq!(
            filled[2..],
            [
                "x=${username} awk '{ print }' {\"a\":1} {} {Username}",
                "sf/<Username>/<UsernameHash>",
                "-cas=<Revision>"
            ]
        );
    }

    #[test]
    fn what_was_mistyped_is_an_error() {
        for (command, facts, expected) in [
            (
                words(["a", "{usernam}"]),
                OF_ITEM,
                "there is no {usernam} here. Known are {username}, ",
            ),
            (words(["a", "{stamp}"]), OF_ITEM, "there is no {stamp} here"),
            (
                words(["a", "{username:path}"]),
                OF_WRITE,
                "there is no {username:path} here",
            ),
            (words(["{username}"]), OF_ITEM, "the program itself"),
            (words([""]), OF_ITEM, "a command names a program first"),
            (Vec::new(), OF_ITEM, "a command names a program first"),
            (words(["a", "b\0"]), OF_ITEM, "a command holds no NUL"),
        ] {
            let error = parse(&command, facts).expect_err("bad");
            assert!(error.starts_with(expected), "{command:?}: {error}");
        }
    }
}
