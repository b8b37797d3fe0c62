//! What the user allows.

use std::sync::Arc;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// The From addresses that Salesforce is known to send tokens from.
pub const DEFAULT_FROM: [&str; 3] = [
    "support@salesforce.com",
    "noreply@salesforce.com",
    "info@salesforcedevs.com",
];

/// The domains whose signatures prove that a mail is Salesforce's.
pub const DEFAULT_DOMAINS: [&str; 2] = ["salesforce.com", "salesforcedevs.com"];

/// Which senders, recipients and usernames are allowed. The proof of the sender is always demanded.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The From addresses that may send tokens; compared without ASCII case.
    pub from: Vec<String>,
    /// The domains whose signatures count; compared without ASCII case.
    pub domains: Vec<String>,
    /// The authserv-id of the user's own provider, if its word on DKIM counts (RFC 8601, section 2.5).
    pub trusted_authserv_id: Option<String>,
    /// Whom a mail must be addressed to.
    pub recipients: Recipients,
    /// Whose tokens may come.
    pub usernames: UsernameGlobs,
}

impl Policy {
    /// The policy without a configuration: the default senders, any recipient, any username.
    #[must_use]
    pub fn any() -> Self {
        Self {
            from: DEFAULT_FROM.map(str::to_owned).to_vec(),
            domains: DEFAULT_DOMAINS.map(str::to_owned).to_vec(),
            trusted_authserv_id: None,
            recipients: Recipients::Any,
            usernames: UsernameGlobs::any(),
        }
    }

    pub(super) fn lists(&self, from: &str) -> bool {
        self.from
            .iter()
            .any(|listed| listed.eq_ignore_ascii_case(from))
    }

    pub(super) fn counts(&self, domain: &str) -> bool {
        self.domains
            .iter()
            .any(|listed| listed.eq_ignore_ascii_case(domain))
    }
}

/// Whom a mail must be addressed to.
#[derive(Clone, Debug, PartialEq)]
pub enum Recipients {
    /// Anybody.
    Any,
    /// One of these addresses.
    Of(AddressGlobs),
}

impl Recipients {
    /// An account's address and its aliases; aliases may be globs.
    pub fn of(addresses: &[String]) -> Result<Self, GlobError> {
        Globs::of(addresses).map(|globs| Self::Of(AddressGlobs(globs)))
    }

    /// Whether the address is one of these, without case. A plus-tag counts: `a+tag@d` is `a@d` (RFC 5233 practice).
    #[must_use]
    pub fn admits(&self, address: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Of(AddressGlobs(globs)) => {
                globs.admit(address)
                    || untagged(address).is_some_and(|address| globs.admit(&address))
            }
        }
    }
}

fn untagged(address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    let (mailbox, _tag) = local.split_once('+')?;
    Some(format!("{mailbox}@{domain}"))
}

/// The compiled globs of [`Recipients::Of`].
#[derive(Clone, Debug, PartialEq)]
pub struct AddressGlobs(Globs);

/// Which usernames' tokens may come; compared without ASCII case. Clones share what was compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct UsernameGlobs(Option<Arc<Globs>>);

impl UsernameGlobs {
    /// Every username, as `["*"]` says in the configuration.
    #[must_use]
    pub fn any() -> Self {
        Self(None)
    }

    /// Compiles the configured globs; `*` stands for any characters, `/` and `@` among them.
    pub fn of(patterns: &[String]) -> Result<Self, GlobError> {
        Globs::of(patterns).map(|globs| Self(Some(Arc::new(globs))))
    }

    /// Whether the username is allowed.
    #[must_use]
    pub fn admits(&self, username: &str) -> bool {
        self.0.as_ref().is_none_or(|globs| globs.admit(username))
    }
}

/// A configured pattern is not a glob.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a pattern: {message}")]
pub struct GlobError {
    /// The pattern as configured.
    pub pattern: String,
    /// What is wrong with it.
    pub message: String,
}

/// Globs as the user wrote them, and compiled.
#[derive(Clone, Debug)]
struct Globs {
    patterns: Vec<String>,
    /// Those in which more stands than the very characters, if any: compiled, one takes some KiB, and most accounts
    /// have none.
    set: Option<GlobSet>,
}

/// What means something in a glob.
const MEANINGFUL: &[char] = &['*', '?', '[', ']', '{', '}', '\\'];

/// What was written the same matches the same.
impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Globs {
    fn of(patterns: &[String]) -> Result<Self, GlobError> {
        let mut set = GlobSetBuilder::new();
        let mut is_needed = false;
        for pattern in patterns
            .iter()
            .filter(|pattern| pattern.contains(MEANINGFUL))
        {
            is_needed = true;
            let glob = GlobBuilder::new(pattern)
                .literal_separator(false)
                .case_insensitive(true)
                .build()
                .map_err(|error| GlobError {
                    pattern: pattern.clone(),
                    message: error.kind().to_string(),
                })?;
            set.add(glob);
        }
        let set = set.build().map_err(|error| GlobError {
            pattern: patterns.join(", "),
            message: error.kind().to_string(),
        })?;
        Ok(Self {
            patterns: patterns.to_vec(),
            set: is_needed.then_some(set),
        })
    }

    /// One of them is this text, or matches it.
    fn admit(&self, text: &str) -> bool {
        let is_one = self
            .patterns
            .iter()
            .any(|pattern| pattern.eq_ignore_ascii_case(text) && !pattern.contains(MEANINGFUL));
        is_one || self.set.as_ref().is_some_and(|set| set.is_match(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_star_is_any_characters() {
        let globs = UsernameGlobs::of(&words(&["*@acme.example.*"])).expect("globs");
        assert!(globs.admits("Integration/EU@ACME.example.uat"));
        assert!(!globs.admits("integration@acme.example"));
        assert!(
            UsernameGlobs::of(&words(&["*"]))
                .expect("globs")
                .admits("a/b@c")
        );
    }

    #[test]
    fn no_pattern_allows_nobody() {
        assert!(!UsernameGlobs::of(&[]).expect("globs").admits("a@b.example"));
    }

    #[test]
    fn a_plus_tag_of_an_address_is_that_address() {
        let recipients = Recipients::of(&words(&["ops@acme.example"])).expect("globs");
        assert!(recipients.admits("OPS@acme.example"));
        assert!(recipients.admits("ops+sf+eu@acme.example"));
        assert!(!recipients.admits("devops@acme.example"));
        assert!(!recipients.admits("ops@acme.example.invalid"));
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = UsernameGlobs::of(&words(&["[a@b"])).expect_err("unclosed class");
        assert_eq!(error.pattern, "[a@b");
        assert!(!error.message.is_empty());
    }
}
