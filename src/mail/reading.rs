//! What the text says: username and value by structure, labels as a second witness.
//!
//! Salesforce writes in the user's language, so the wording cannot be a condition. In every known sample a line
//! `<label>: <username>` stands above a line `<label>: <value>`, and that is what is looked for.

use std::collections::HashSet;
use std::sync::LazyLock;

use memchr::memchr2_iter;
use regex::Regex;
use zeroize::Zeroizing;

use super::kind::{Rules, Value, Warning, Whose};
use super::labels;
use super::mime::CUT;
use super::policy::UsernameGlobs;
use super::refusal::Refusal;

/// Longer labels than any known or imaginable one ("セキュリティトークン (大文字と小文字を区別)" has 26 characters) are prose.
const MAX_LABEL: usize = 80;
/// Salesforce's own limit for a username.
const MAX_USERNAME: usize = 80;
/// One text of a mail, read for one kind of value.
pub(super) struct Reading {
    rules: &'static Rules,
    finds: Vec<Find>,
    /// The different labelled values.
    values: Vec<Value>,
    /// Whether any line is quoted.
    pub(super) quoted: bool,
    /// The bytes of the non-blank lines.
    pub(super) size: usize,
}

/// A labelled value, and a username that it may belong to.
struct Find {
    username: Option<String>,
    known_label: bool,
    /// The value's place among the non-blank lines.
    at: usize,
    /// Whether the input ends in the value's line.
    cut: bool,
}

impl Reading {
    pub(super) fn of(text: &str, rules: &'static Rules) -> Self {
        let lines = lines(text);
        let mut usernames: Vec<Username> = Vec::new();
        let mut finds = Vec::new();
        let mut values = Vec::new();
        let mut seen = HashSet::new();
        for at in 0..lines.len() {
            let Some(field) = Labelled::at(&lines, at, rules) else {
                continue;
            };
            if is_username(field.value) {
                usernames.push(Username {
                    at: field.value_at,
                    name: field.value,
                    known_label: labels::is_known_username_label(field.label),
                });
                continue;
            }
            let known_label = labels::is_one_of(rules.labels, field.label);
            if (rules.is_value)(field.value, known_label) {
                if seen.insert(field.value) {
                    values.push(Value::from(field.value.to_owned()));
                }
                let find = |username: Option<&str>| Find {
                    username: username.map(str::to_owned),
                    known_label,
                    at: field.value_at,
                    cut: lines[field.value_at].cut,
                };
                match rules.whose {
                    Whose::Above(between) => {
                        let above = usernames
                            .iter()
                            .rev()
                            .take_while(|username| at - username.at <= between + 1);
                        finds.extend(above.map(|username| find(Some(username.name))));
                    }
                    Whose::Anywhere => finds.push(find(None)),
                }
            }
        }
        if let Whose::Anywhere = rules.whose {
            assign(&mut finds, &usernames);
        }
        Self {
            rules,
            finds,
            values,
            quoted: lines.iter().any(|line| line.quoted),
            size: lines.iter().map(|line| line.text.as_str().len()).sum(),
        }
    }

    /// Whether the text claims to be that of such a mail: beside a value's label and shape there is a second witness.
    pub(super) fn claims(&self, has_known_subject: impl FnOnce() -> bool) -> bool {
        let is_witnessed = |find: &Find| find.username.is_some() || find.known_label;
        self.finds.iter().any(is_witnessed) || !self.finds.is_empty() && has_known_subject()
    }

    /// The line, among the non-blank ones, that holds the first value.
    pub(super) fn first_at(&self) -> Option<usize> {
        self.finds.first().map(|find| find.at)
    }

    fn usernames(&self) -> impl Iterator<Item = &str> {
        self.finds
            .iter()
            .filter_map(|find| find.username.as_deref())
    }

    fn names_no_user_but(&self, username: &str) -> bool {
        self.usernames()
            .all(|name| name.eq_ignore_ascii_case(username))
    }

    fn different_usernames(&self) -> usize {
        let usernames: HashSet<String> = self.usernames().map(str::to_ascii_lowercase).collect();
        usernames.len()
    }
}

/// A username on a line of its own label.
struct Username<'l> {
    at: usize,
    name: &'l str,
    known_label: bool,
}

/// Says whose the values are: those whom a known label names, else those named above the first value. The names are
/// shared out, so that each stands with some value, and the work is linear.
fn assign(finds: &mut Vec<Find>, usernames: &[Username]) {
    let Some(first) = finds.first() else {
        return;
    };
    let (first_at, known_label, cut) = (first.at, first.known_label, first.cut);
    let is_label_known = usernames.iter().any(|username| username.known_label);
    let mut seen = HashSet::new();
    let mut names = usernames
        .iter()
        .filter(|username| username.known_label || !is_label_known && username.at < first_at)
        .map(|username| username.name)
        .filter(|name| seen.insert(name.to_ascii_lowercase()));
    let Some(name) = names.next() else {
        return;
    };
    for find in finds.iter_mut() {
        find.username = Some(name.to_owned());
    }
    finds.extend(names.map(|name| Find {
        username: Some(name.to_owned()),
        known_label,
        at: first_at,
        cut,
    }));
}

/// The text that says whose the value is: the other one only where this one does not.
fn naming<'r>(reading: &'r Reading, other: &'r Reading) -> &'r Reading {
    if reading.usernames().next().is_some() {
        reading
    } else {
        other
    }
}

/// The username, where it is the only one that goes with a value in either text.
pub(super) fn only_username<'r>(reading: &'r Reading, other: &'r Reading) -> Option<&'r str> {
    let username = naming(reading, other).usernames().next()?;
    let is_only = reading.names_no_user_but(username) && other.names_no_user_but(username);
    is_only.then_some(username)
}

/// What a mail's texts agree on.
pub(super) struct Agreed {
    pub(super) username: Option<String>,
    pub(super) value: Value,
    pub(super) known_label: bool,
    pub(super) warnings: Vec<Warning>,
}

/// The one username and value of `reading`, if it is allowed and whole and `other` names no different one.
pub(super) fn agreed(
    reading: &Reading,
    other: &Reading,
    allowed: &UsernameGlobs,
) -> Result<Agreed, Refusal> {
    if reading.finds.iter().any(|find| find.cut) {
        return Err(Refusal::Truncated);
    }
    let naming = naming(reading, other);
    let username = naming.usernames().next();
    if let Some(username) = username
        && !naming.usernames().any(|name| allowed.admits(name))
    {
        return Err(Refusal::UsernameNotAllowed {
            username: username.to_owned(),
        });
    }
    let is_one = username.is_none_or(|username| naming.names_no_user_but(username));
    let ([value], true) = (reading.values.as_slice(), is_one) else {
        return Err(Refusal::Ambiguous {
            usernames: naming.different_usernames(),
            values: reading.values.len(),
        });
    };
    let names_another = username.is_some_and(|username| !other.names_no_user_but(username));
    if names_another || other.values.iter().any(|other| other != value) {
        return Err(Refusal::PartsDisagree);
    }
    let mut warnings = Vec::new();
    if !(reading.rules.is_usual)(value.expose()) {
        warnings.push(Warning::UnusualLength);
    }
    Ok(Agreed {
        username: username.map(str::to_owned),
        value: value.clone(),
        known_label: reading.finds.iter().any(|find| find.known_label),
        warnings,
    })
}

/// The non-blank lines.
fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut begin = 0;
    let ends = memchr2_iter(b'\n', b'\r', text.as_bytes());
    for end in ends.chain([text.len()]) {
        lines.extend(Line::of(&text[begin..end]));
        begin = end + 1;
    }
    lines
}

/// A non-blank line, without marks of quotation and invisible characters.
struct Line<'t> {
    text: Visible<'t>,
    quoted: bool,
    cut: bool,
}

impl<'t> Line<'t> {
    fn of(raw: &'t str) -> Option<Self> {
        let unquoted = raw.trim_start_matches(|c: char| c == '>' || c.is_whitespace());
        let text = Visible::of(unquoted);
        (!text.as_str().is_empty()).then(|| Self {
            quoted: raw.trim_start().starts_with('>'),
            cut: unquoted.ends_with(CUT),
            text,
        })
    }
}

/// A text without the invisible characters and the blanks at its ends.
enum Visible<'t> {
    /// It had none of the first, as most.
    AsItCame(&'t str),
    Rid(Zeroizing<String>),
}

impl<'t> Visible<'t> {
    fn of(text: &'t str) -> Self {
        // All invisible characters lie beyond ASCII.
        if text.is_ascii() || !text.contains(is_invisible) {
            return Self::AsItCame(text.trim());
        }
        let mut visible = Zeroizing::new(String::with_capacity(text.len()));
        visible.extend(text.split(is_invisible));
        Self::Rid(Zeroizing::new(visible.trim().to_owned()))
    }

    fn as_str(&self) -> &str {
        match self {
            Self::AsItCame(text) => text,
            Self::Rid(text) => text,
        }
    }
}

/// Characters that mark where a word may break or join, and show nothing: soft hyphen, zero-width space, non-joiner,
/// joiner, word joiner, byte order mark. And [`CUT`].
pub(super) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{200B}'..='\u{200D}' | '\u{2060}' | '\u{FEFF}' | CUT
    )
}

/// A label and its value: on the same line, or on the next (where the next table cell is rendered).
struct Labelled<'a> {
    label: &'a str,
    value: &'a str,
    value_at: usize,
}

impl<'a> Labelled<'a> {
    fn at(lines: &'a [Line<'_>], at: usize, rules: &Rules) -> Option<Self> {
        let line = lines.get(at)?.text.as_str();
        // No username or value holds a colon, so the last one ends the label.
        let (label, value) = match line.rsplit_once([':', '：']) {
            Some((label, value)) => (label.trim_end(), value.trim_start()),
            // Tables often have no colons.
            None if labels::is_one_of(rules.labels, line)
                || labels::is_known_username_label(line) =>
            {
                (line, "")
            }
            None => return None,
        };
        let is_label = label.chars().any(char::is_alphabetic)
            && label.chars().take(MAX_LABEL + 1).count() <= MAX_LABEL;
        if !is_label {
            return None;
        }
        if value.is_empty() {
            let value_at = at + 1;
            let value = lines.get(value_at)?.text.as_str();
            Some(Self {
                label,
                value,
                value_at,
            })
        } else {
            Some(Self {
                label,
                value,
                value_at: at,
            })
        }
    }
}

/// Shaped like an address, though it need not be one: `me@acme.com.uat`.
fn is_username(word: &str) -> bool {
    static WORD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"^[A-Za-z0-9_][A-Za-z0-9_.+'~!#$%&*/=?^-]*@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$",
        )
        .expect("a valid pattern")
    });
    word.len() <= MAX_USERNAME && WORD.is_match(word)
}
