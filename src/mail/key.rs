//! Public keys as signers publish them in DNS (RFC 6376, section 3.6.1; RFC 8463, section 4), and how they get here.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use mail_auth::common::crypto::{Algorithm, VerifyingKey};
use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::common::verify::DomainKey;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::tag_list::{TagList, trimmed};
use super::unproved::Unproved;

/// Salesforce itself signs with 1024 bits at Google; below that, keys have been factored for a few dollars
/// (RFC 8301, section 3.2 sets the same bound).
const MIN_RSA_BITS: usize = 1024;
/// An Ed25519 key (RFC 8463, section 4.2).
const ED25519_OCTETS: usize = 32;
/// More bits take long to verify with, and no signer has them.
const MAX_RSA_BITS: usize = 8192;

/// DNS, as far as a proof needs it: what is known *now* of the TXT records of a name.
///
/// Judging asks and never waits. Whoever has not asked DNS yet answers [`Answer::Silent`], is told the names by
/// [`Verdict::Pending`](super::Verdict::Pending), asks, and has the mail judged again.
pub trait Keys {
    /// The TXT records of `name`, which is in lower case and has no dot at its end.
    fn txt(&self, name: &str) -> Answer;
}

/// What DNS says of the TXT records of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The records, each with its strings joined (RFC 6376, section 3.6.2.2); none where the name has others only.
    Records(Vec<String>),
    /// There is no such name (NXDOMAIN).
    NoSuchName,
    /// Not asked yet, no answer, or one that says nothing of the name (SERVFAIL, a timeout).
    Silent,
}

/// Knows nothing: for a first look at a mail, which costs no DNS and tells the names to ask for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unasked;

impl Keys for Unasked {
    fn txt(&self, _name: &str) -> Answer {
        Answer::Silent
    }
}

/// The answers had so far, by name in lower case.
impl<S: std::hash::BuildHasher> Keys for HashMap<String, Answer, S> {
    fn txt(&self, name: &str) -> Answer {
        self.get(name).cloned().unwrap_or(Answer::Silent)
    }
}

/// Keys from a file in place of DNS: a JSON object `{"SELECTOR._domainkey.DOMAIN": "v=DKIM1; ..."}`. A name that is
/// absent does not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<String, String>")]
pub struct KeyFile(BTreeMap<String, String>);

impl From<BTreeMap<String, String>> for KeyFile {
    fn from(records: BTreeMap<String, String>) -> Self {
        let name = |name: String| name.trim_end_matches('.').to_ascii_lowercase();
        Self(
            records
                .into_iter()
                .map(|(of, record)| (name(of), record))
                .collect(),
        )
    }
}

impl Keys for KeyFile {
    fn txt(&self, name: &str) -> Answer {
        self.0.get(name).map_or(Answer::NoSuchName, |record| {
            Answer::Records(vec![record.clone()])
        })
    }
}

/// A key that fits a signature's algorithm.
pub(super) struct Key {
    /// The key itself.
    pub(super) verifying: Box<dyn VerifyingKey + Send + Sync>,
    /// `t=y`: the signer is still trying things out.
    pub(super) is_testing: bool,
    /// `t=s`: `i=` must be of the domain itself.
    pub(super) is_strict: bool,
    /// SHA-256 of the key as published, in hexadecimal.
    pub(super) fingerprint: String,
}

impl Key {
    /// Reads the key among a name's TXT records.
    pub(super) fn read(
        name: &str,
        records: &[String],
        algorithm: Algorithm,
    ) -> Result<Self, Unproved> {
        let name = || name.to_owned();
        // A wildcard of the domain may answer as well, with SPF or whatever else is there.
        let mut keys = records.iter().filter(|record| is_key_record(record));
        let record = keys
            .next()
            .ok_or_else(|| Unproved::KeyAbsent { name: name() })?;
        let malformed = || Unproved::KeyMalformed { name: name() };
        if keys.next().is_some() {
            return Err(malformed());
        }
        let tags = TagList::read(record).ok_or_else(malformed)?;
        if tags.get("v").is_some_and(|version| version != "DKIM1") {
            return Err(malformed());
        }
        let published = tags.get_unfolded("p").ok_or_else(malformed)?;
        if published.is_empty() {
            return Err(Unproved::KeyRevoked { name: name() });
        }
        let (kind, is_ed25519) = match algorithm {
            Algorithm::Ed25519Sha256 => ("ed25519", true),
            _ => ("rsa", false),
        };
        let lists = |tag, wanted: &[&str]| {
            tags.get(tag).is_none_or(|list| {
                list.split(':')
                    .any(|item| wanted.contains(&trimmed(item).to_ascii_lowercase().as_str()))
            })
        };
        let is_kind = tags.get("k").unwrap_or("rsa").eq_ignore_ascii_case(kind);
        if !is_kind || !lists("h", &["sha256"]) || !lists("s", &["*", "email"]) {
            return Err(Unproved::KeyMismatch { name: name() });
        }
        let octets = LENIENT.decode(&published).map_err(|_| malformed())?;
        // Only what was read above: two readers of one record might not agree.
        let record = format!("k={kind}; p={}", BASE64_STANDARD.encode(&octets));
        let key = DomainKey::parse(record.as_bytes()).map_err(|_| malformed())?;
        if is_ed25519 {
            if octets.len() != ED25519_OCTETS {
                return Err(malformed());
            }
        } else {
            match key.p.public_key_bits() {
                0 => return Err(malformed()),
                bits @ ..MIN_RSA_BITS => return Err(Unproved::KeyWeak { name: name(), bits }),
                MAX_RSA_BITS.. => return Err(malformed()),
                _ => {}
            }
        }
        let flag = |flag| tags.get("t").is_some() && lists("t", &[flag]);
        Ok(Self {
            verifying: key.p,
            is_testing: flag("y"),
            is_strict: flag("s"),
            fingerprint: format!("{:x}", Sha256::digest(&octets)),
        })
    }
}

/// Some publish their keys without the padding of base64.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether a TXT record means to be a key: it says so, or says nothing of a version and names a key.
fn is_key_record(record: &str) -> bool {
    let mut tags = record.split(';').filter_map(|tag| tag.split_once('='));
    match tags.clone().find(|(name, _)| trimmed(name) == "v") {
        Some((_, version)) => trimmed(version) == "DKIM1",
        None => tags.any(|(name, _)| trimmed(name) == "p"),
    }
}
