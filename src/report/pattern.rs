//! What looks like something of somebody's, whoever wrote it.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// What a piece of text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looks {
    Url,
    Address,
    Path,
    Ip,
    Host,
    Secret,
}

/// What ends a word in prose: blanks, quotation marks, brackets, and what separates words.
macro_rules! within {
    () => {
        r#"[^\s"'`“”‘’«»<>()\[\]{}|,;"#
    };
}

const KINDS: [(&str, Looks); 6] = [
    ("url", Looks::Url),
    ("address", Looks::Address),
    ("path", Looks::Path),
    ("ip", Looks::Ip),
    ("host", Looks::Host),
    ("secret", Looks::Secret),
];

/// In this order where several begin at one place.
static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let url = concat!(r"[A-Za-z][A-Za-z0-9+.-]*://", within!(), "]+");
    let address = concat!(within!(), ":=@]+@", within!(), ":=@]+");
    // From the root, from a home, from a drive, or of a server.
    let path = concat!(
        r"(?:~[\w.-]*|\b[A-Za-z]:)?/",
        within!(),
        r":*?]*|(?:\b[A-Za-z]:\\|\\\\)",
        within!(),
        r":*?]+"
    );
    let ip = r"(?:[0-9A-Fa-f]{0,4}:){2,}[0-9A-Fa-f:.]*(?:%\w+)?|\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b";
    let host = r"\w(?:[\w-]*\w)?(?:\.\w(?:[\w-]*\w)?)+";
    let secret = r"[A-Za-z0-9+/_~-]{12,}={0,2}";
    let all = [url, address, path, ip, host, secret];
    let named: Vec<_> = KINDS
        .iter()
        .zip(all)
        .map(|((name, _), one)| format!("(?P<{name}>{one})"))
        .collect();
    Regex::new(&named.join("|")).ok()
});

/// The first piece from `from` on that looks like something of somebody's.
pub(super) fn first(text: &str, from: usize) -> Option<(Range<usize>, Looks)> {
    let pattern = PATTERN.as_ref()?;
    let found = pattern.captures_at(text, from)?;
    let range = found.get(0)?.range();
    let looks = KINDS.iter().find(|(name, _)| found.name(name).is_some())?.1;
    Some((range, looks))
}

/// A universally unique identifier (RFC 9562 §4) has 36 characters, 32 of them hexadecimal digits.
fn is_uuid(word: &str) -> bool {
    let hex = word.chars().filter(char::is_ascii_hexdigit).count();
    let dashes = word.chars().filter(|&c| c == '-').count();
    word.len() == 36 && hex == 32 && dashes == 4
}

/// Whether a word looks drawn by chance: a token, a key, an identifier. A Salesforce token has 24 or 25 letters and
/// digits; identifiers of sessions begin at about 12.
pub(super) fn is_secret(word: &str) -> bool {
    let digits = |run: &str| run.chars().filter(char::is_ascii_digit).count();
    let letters = |run: &str| run.chars().filter(char::is_ascii_alphabetic).count();
    let has = |run: &str, is: fn(&char) -> bool| run.chars().any(|c| is(&c));
    let is_mixed = |run: &str| {
        let inner = run.get(1..).unwrap_or_default();
        has(run, char::is_ascii_lowercase) && has(inner, char::is_ascii_uppercase)
    };
    let is_random = |run: &str| {
        (run.len() >= 12 && digits(run) >= 2 && letters(run) >= 2)
            || (run.len() >= 16 && is_mixed(run))
    };
    let mut runs = word.split(|c: char| !c.is_ascii_alphanumeric());
    runs.any(is_random)
        || is_uuid(word)
        || (word.len() >= 20 && digits(word) >= 2 && is_mixed(word))
}

#[cfg(test)]
mod tests {
    use super::{Looks, first, is_secret};

    #[test]
    fn what_looks_like_something_of_somebodys_is_found() {
        for (text, found, looks) in [
            (
                "see https://x.example/y?z=1.",
                "https://x.example/y?z=1.",
                Looks::Url,
            ),
            (
                "for <klaus+x@nas.example>:",
                "klaus+x@nas.example",
                Looks::Address,
            ),
            ("for user=klaus@nas", "klaus@nas", Looks::Address),
            ("at ~klaus/mail", "~klaus/mail", Looks::Path),
            (r"at C:\Users\klaus now", r"C:\Users\klaus", Looks::Path),
            ("from 192.0.2.7:993", "192.0.2.7", Looks::Ip),
            ("from [2001:db8::7]:993", "2001:db8::7", Looks::Ip),
            ("from fe80::1%eth0 on", "fe80::1%eth0", Looks::Ip),
            ("is müller.example.", "müller.example", Looks::Host),
            (
                "id 5KqzP1xvbN8sWm2RtYc7LdGh",
                "5KqzP1xvbN8sWm2RtYc7LdGh",
                Looks::Secret,
            ),
        ] {
            let (range, is) = first(text, 0).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((&text[range], is), (found, looks), "{text}");
        }
    }

    #[test]
    fn a_secret_is_told_from_a_long_word() {
        for secret in [
            "5KqzP1xvbN8sWm2RtYc7LdGh",
            "AbcdefGhijklmNopqrstuvwX",
            "AGludGVncmF0aW9uAExhYi5N",
            "550e8400-e29b-41d4-a716-446655440000",
            "a1mb12345678abc",
            "d2f0a9c8b7e6",
        ] {
            assert!(is_secret(secret), "{secret}");
        }
        for word in [
            "LOGIN-REFERRALS",
            "AUTHENTICATIONFAILED",
            "XAPPLEPUSHSERVICE",
            "tls_post_process_server_certificate",
            "TLS_AES_256_GCM_SHA384",
            "runtime-directory",
            "2026-11-24T19",
            "Authentication",
        ] {
            assert!(!is_secret(word), "{word}");
        }
    }
}
