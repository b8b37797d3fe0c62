//! Names in place of names: the same value has the same mask, so that what belongs together still does.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value;

use super::pattern::{self, Looks};
use super::public;
use crate::escape::escaped;

/// What a value is, which decides what of it stays visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// `user1@domain1`; without an `@` it is a user.
    Address,
    /// An address, or a glob of addresses: what stands for anything in it stays.
    Glob,
    /// A domain of addresses: `domain1`.
    Domain,
    /// A name of this machine's user, or one to log in with: `user1`.
    User,
    /// `imap.domain1` where the domain is known, else `host1`.
    Host,
    /// An IP address, with a port or without: `ip1:53`.
    Ip,
    /// Its scheme, its host and its port, as they are masked.
    Url,
    /// The parts that every system has stay.
    Path,
    /// A mail folder: `folder1`.
    Folder,
    /// A program: `program1`, unless many have it.
    Program,
    /// A program's argument: `argument1`.
    Argument,
    /// Anything else, under this name: `value1`.
    Other(&'static str),
}

/// Shorter values are no names of their own in prose, but parts of words.
const SHORTEST: usize = 3;

/// From this length on a value is found within a word, too.
const WITHIN_WORDS: usize = 8;

/// What stands for anything in a glob.
const METACHARACTERS: [char; 8] = ['*', '?', '[', ']', '{', '}', ',', '!'];

/// The masks of one report. What it has [learned](Mask::learn) it finds wherever it stands; what it has not, it finds by its
/// looks.
#[derive(Debug, Default)]
pub struct Mask {
    /// How many masks of each name there are.
    counts: BTreeMap<&'static str, usize>,
    /// The masks, by their names and what they stand for, in lower case.
    masks: BTreeMap<(&'static str, String), String>,
    /// What is found wherever it stands, and its mask.
    known: BTreeMap<String, String>,
    /// The domains that were given masks of their own, in lower case.
    domains: Vec<String>,
    /// The user's home.
    home: Option<String>,
    /// What finds all that is known; made anew after something was learned.
    finder: Option<(AhoCorasick, Vec<String>)>,
}

impl Mask {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns where the user is at home; it is `~` from then on.
    pub fn learn_home(&mut self, home: &str) {
        let home = home.trim_end_matches(['/', '\\']);
        if home.len() >= SHORTEST {
            self.home = Some(home.to_owned());
            self.know(home, "~");
        }
    }

    /// Learns values, so that they are found wherever they stand. Domains come first, for hosts lie in them.
    pub fn learn(&mut self, values: impl IntoIterator<Item = (What, String)>) {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by_key(|(what, _)| *what);
        for (what, value) in values {
            let mask = self.value(what, &value);
            if mask != value {
                self.know(&value, &mask);
            }
            if let (What::Address | What::Glob, Some((local, domain))) =
                (what, value.rsplit_once('@'))
            {
                for (what, part) in [(What::User, local), (What::Domain, domain)] {
                    if !part.contains(METACHARACTERS) {
                        let mask = self.value(what, part);
                        self.know(part, &mask);
                    }
                }
            }
        }
    }

    /// How many values of each kind are masked.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<&'static str, usize> {
        &self.counts
    }

    /// The mask of one whole value.
    pub fn value(&mut self, what: What, value: &str) -> String {
        if value.is_empty() || public::is_value(value) {
            return value.to_owned();
        }
        match what {
            What::Address | What::Glob | What::User => self.address(value),
            What::Domain => self.host(value, "domain"),
            What::Host => self.host(value, "host"),
            What::Ip => self.socket(value),
            What::Url => self.url(value),
            What::Path => self.path(value),
            What::Folder => self.numbered("folder", value),
            What::Program if value.contains(['/', '\\']) => self.path(value),
            What::Program if public::is_program(value) => value.to_owned(),
            What::Program => self.numbered("program", value),
            What::Argument => self.numbered("argument", value),
            What::Other(name) => self.numbered(name, value),
        }
    }

    /// A text with everything in it masked that is known, or looks like something of somebody's.
    pub fn text(&mut self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut from = 0;
        while from < text.len() {
            let known = self.next_known(text, from);
            let looks = pattern::first(text, from);
            let (range, mask) = match (known, looks) {
                (None, None) => break,
                (Some((range, mask)), None) => (range, mask),
                (Some((range, mask)), Some((other, _)))
                    if range.start < other.start
                        || (range.start == other.start && range.end >= other.end) =>
                {
                    (range, mask)
                }
                (known, Some((mut range, looks))) => {
                    // What is known and reaches further is masked as a whole, after this.
                    if let Some((known, _)) =
                        known.filter(|(known, _)| known.start < range.end && known.end > range.end)
                    {
                        range.end = known.start;
                    }
                    let mask = self.looked(text, &range, looks);
                    (range, mask)
                }
            };
            masked.push_str(&text[from..range.start]);
            masked.push_str(&mask);
            from = range.end;
        }
        masked.push_str(&text[from.min(text.len())..]);
        masked
    }

    /// A JSON value with every text in it masked. Names of members stay: they are the program's own.
    pub fn json(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(list) => list.iter().map(|one| self.json(one)).collect(),
            Value::Object(map) => {
                let members = map.iter();
                members
                    .map(|(name, one)| (name.clone(), self.json(one)))
                    .collect()
            }
            other => other.clone(),
        }
    }

    fn know(&mut self, value: &str, mask: &str) {
        let is_ours = public::is_value(value) || public::is_word_of_paths(value);
        if value.chars().count() < SHORTEST || value == mask || is_ours {
            return;
        }
        let mut rest = value.chars();
        let first = rest.next().map(char::to_uppercase);
        // As logs and errors show it, as sentences begin with it, and as people shout it.
        let forms = [
            value.to_owned(),
            value.to_lowercase(),
            value.to_uppercase(),
            first.into_iter().flatten().chain(rest).collect(),
            value.escape_debug().to_string(),
            escaped(value, usize::MAX),
        ];
        for form in forms {
            self.known.entry(form).or_insert_with(|| mask.to_owned());
        }
        self.finder = None;
    }

    /// The first known value from `from` on, the longest where several begin there.
    fn next_known(&mut self, text: &str, from: usize) -> Option<(Range<usize>, String)> {
        if self.finder.is_none() {
            let mut builder = AhoCorasick::builder();
            builder
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::LeftmostLongest);
            let finder = builder.build(self.known.keys()).ok()?;
            self.finder = Some((finder, self.known.values().cloned().collect()));
        }
        let (finder, masks) = self.finder.as_ref()?;
        let mut at = from;
        while let Some(found) = finder.find(aho_corasick::Input::new(text).span(at..text.len())) {
            let range = found.range();
            if range.len() >= WITHIN_WORDS || stands_alone(text, &range) {
                return Some((range, masks[found.pattern().as_usize()].clone()));
            }
            at = range.start + text[range.start..].chars().next().map_or(1, char::len_utf8);
        }
        None
    }

    /// The mask of what looks like something; what only looks so is searched for what is known.
    fn looked(&mut self, text: &str, range: &Range<usize>, looks: Looks) -> String {
        let piece = &text[range.clone()];
        let before = text[..range.start].chars().next_back();
        // The end of a sentence is no part of it.
        let word = piece.trim_end_matches(['.', ':', '!', '?']);
        let end = &piece[word.len()..];
        let masked = match looks {
            Looks::Url => Some(self.url(word)),
            Looks::Address => Some(self.address(word)),
            // Within a word a slash is no root.
            Looks::Path if before.is_some_and(|c| c.is_alphanumeric() || "._-~".contains(c)) => {
                None
            }
            Looks::Path if word.len() > 1 => Some(self.path(word)),
            Looks::Ip => self.ip(word),
            // The project's own pages.
            Looks::Host if text[..range.start].ends_with("docs/") => None,
            Looks::Host => self.host_like(word),
            Looks::Secret if pattern::is_secret(word) => Some(self.numbered("secret", word)),
            Looks::Path | Looks::Secret => None,
        };
        let masked = masked.unwrap_or_else(|| self.known_in(word));
        masked + end
    }

    fn known_in(&mut self, text: &str) -> String {
        let mut masked = String::new();
        let mut from = 0;
        while let Some((range, mask)) = self.next_known(text, from) {
            masked.push_str(&text[from..range.start]);
            masked.push_str(&mask);
            from = range.end;
        }
        masked + &text[from..]
    }

    fn numbered(&mut self, name: &'static str, value: &str) -> String {
        let key = (name, value.to_lowercase());
        if let Some(mask) = self.masks.get(&key) {
            return mask.clone();
        }
        let count = self.counts.entry(name).or_default();
        *count += 1;
        let mask = format!("{name}{count}");
        self.masks.insert(key, mask.clone());
        mask
    }

    fn address(&mut self, value: &str) -> String {
        if public::is_sender(value) {
            return value.to_owned();
        }
        match value.rsplit_once('@') {
            Some((local, domain)) => {
                let local = self.pieces("user", local);
                let domain = if domain.contains(METACHARACTERS) {
                    self.pieces("domain", domain)
                } else {
                    self.host(domain, "domain")
                };
                format!("{local}@{domain}")
            }
            None => self.pieces("user", value),
        }
    }

    /// The masks of what stands between a glob's metacharacters, which stay.
    fn pieces(&mut self, name: &'static str, glob: &str) -> String {
        let mut masked = String::new();
        for piece in glob.split_inclusive(METACHARACTERS) {
            let end = piece
                .chars()
                .next_back()
                .filter(|c| METACHARACTERS.contains(c));
            let literal = piece.trim_end_matches(METACHARACTERS);
            if !literal.is_empty() {
                masked.push_str(&self.numbered(name, literal));
            }
            masked.extend(end);
        }
        masked
    }

    /// A host or domain: the part that is somebody's is masked, `name` says as what.
    fn host(&mut self, value: &str, name: &'static str) -> String {
        if let Some(rest) = value.strip_prefix("*.") {
            return format!("*.{}", self.host(rest, name));
        }
        let plain = value.trim_end_matches('.');
        let is_domain = name == "domain";
        if plain.parse::<IpAddr>().is_ok() {
            return self.ip(plain).unwrap_or_else(|| plain.to_owned());
        }
        if public::is_host(plain) && !(is_domain && plain.contains('.') && !is_salesforces(plain)) {
            return value.to_owned();
        }
        // One domain in its two spellings is one (RFC 5890 §2.3.2.1).
        let plain = idna::domain_to_ascii(plain).unwrap_or_else(|_| plain.to_lowercase());
        if let Some((before, domain)) = public::under_domain(&plain) {
            return format!("{}.{domain}", self.labels(before));
        }
        let mut known = self.domains.iter();
        let above = known.find(|domain| {
            plain
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.ends_with('.'))
        });
        if let Some(domain) = above.cloned() {
            let before = &plain[..plain.len() - domain.len() - 1];
            let domain = self.numbered("domain", &domain);
            return format!("{}.{domain}", self.labels(before));
        }
        if self.domains.contains(&plain) {
            return self.numbered("domain", &plain);
        }
        if plain.contains('{') {
            return self.labels(&plain);
        }
        if is_domain {
            self.domains.push(plain.clone());
            self.domains
                .sort_by_key(|domain| std::cmp::Reverse(domain.len()));
            let mask = self.numbered("domain", &plain);
            let (readable, _) = idna::domain_to_unicode(&plain);
            for spelling in [&plain, &readable] {
                self.know(spelling, &mask);
            }
            return mask;
        }
        self.numbered(name, &plain)
    }

    fn labels(&mut self, labels: &str) -> String {
        let masked: Vec<_> = labels
            .split('.')
            .map(|label| {
                if public::is_label(label) || label == "*" {
                    label.to_owned()
                } else {
                    self.numbered("host", label)
                }
            })
            .collect();
        masked.join(".")
    }

    /// What looks like a host: a domain, a file or a version.
    fn host_like(&mut self, word: &str) -> Option<String> {
        if let Some(end) = public::end_of(word) {
            if public::is_component(word) || end == ".c" {
                return None;
            }
            let name = &word[..word.len() - end.len()];
            return Some(self.numbered("name", name) + end);
        }
        let last = word.rsplit('.').next().unwrap_or_default();
        let is_top_level = last.chars().count() >= 2 && last.chars().all(char::is_alphabetic)
            || last.starts_with("xn--");
        is_top_level.then(|| self.host(word, "host"))
    }

    /// An IP address; this machine's own, which every machine has, stays. `None` where it is none.
    fn ip(&mut self, value: &str) -> Option<String> {
        let plain = value.split('%').next().unwrap_or_default();
        let ip: IpAddr = plain.parse().ok()?;
        if ip.is_loopback() || ip.is_unspecified() {
            return Some(plain.to_owned());
        }
        Some(self.numbered("ip", &ip.to_string()))
    }

    fn socket(&mut self, value: &str) -> String {
        if let Ok(socket) = value.parse::<SocketAddr>() {
            let ip = self.ip(&socket.ip().to_string()).unwrap_or_default();
            return format!("{ip}:{}", socket.port());
        }
        self.ip(value).unwrap_or_else(|| self.host(value, "host"))
    }

    fn url(&mut self, value: &str) -> String {
        let Some((scheme, rest)) = value.split_once("://") else {
            return self.numbered("value", value);
        };
        let place = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(place);
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (self.numbered("user", user) + "@", host),
            None => (String::new(), authority),
        };
        let is_port = |port: &str| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if is_port(port) => (host, format!(":{port}")),
            _ => (host, String::new()),
        };
        let host = match host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            Some(ip) => format!("[{}]", self.ip(ip).unwrap_or_default()),
            None => self.host(host, "host"),
        };
        let path = match path {
            "" | "/" => path.to_owned(),
            path => format!("/{}", self.numbered("page", path)),
        };
        format!("{scheme}://{user}{host}{port}{path}")
    }

    fn path(&mut self, value: &str) -> String {
        let mut rest = value;
        let mut masked = String::new();
        if let Some(home) = &self.home
            && let Some(below) = value.strip_prefix(home.as_str())
            && (below.is_empty() || below.starts_with(['/', '\\']))
        {
            rest = below;
            masked.push('~');
        }
        for piece in rest.split_inclusive(['/', '\\']) {
            let name = piece.trim_end_matches(['/', '\\']);
            let is_drive = name.len() == 2 && name.ends_with(':');
            if public::is_component(name) || is_drive {
                masked.push_str(name);
            } else if let Some(end) = public::end_of(name) {
                masked.push_str(&self.numbered("name", &name[..name.len() - end.len()]));
                masked.push_str(end);
            } else {
                masked.push_str(&self.numbered("name", name));
            }
            masked.push_str(&piece[name.len()..]);
        }
        masked
    }
}

/// Domains in addresses stay only where they are Salesforce's: a big provider's says where somebody has his mail.
fn is_salesforces(domain: &str) -> bool {
    public::under_domain(&format!("x.{domain}")).is_some()
}

/// Whether no letter or digit stands directly before or after it.
fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    let before = text[..range.start].chars().next_back();
    let after = text[range.end..].chars().next();
    ![before, after]
        .into_iter()
        .flatten()
        .any(char::is_alphanumeric)
}
