//! Why it is not proved who sent a mail: a word for scripts, a sentence for people.

use std::fmt;

use jiff::Timestamp;

use super::kind::Words;
use super::refusal::Untrusted;

/// A check of the proof that failed.
///
/// The variants stand in the order of the checks. Of several signatures that fail, the one that came furthest tells
/// most about the mail, so the greatest is the reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unproved {
    /// From's domain is not one whose signatures count.
    DomainNotListed {
        /// From's domain.
        domain: String,
    },
    /// There is no signature.
    Unsigned,
    /// There are signatures, of other domains only.
    DomainNotAligned {
        /// The first of them.
        signed_by: String,
        /// From's domain.
        domain: String,
    },
    /// More signatures of From's domain than any mail has.
    TooManySignatures,
    /// A signature that is not written as RFC 6376 says.
    SignatureMalformed {
        /// The tag that is wrong or missing; `tag-list` where the list itself is.
        what: &'static str,
    },
    /// SHA-1.
    WeakAlgorithm,
    /// An algorithm of nobody's.
    UnknownAlgorithm {
        /// `a=`
        name: String,
    },
    /// `l=`: whatever follows would be unsigned.
    BodyLength,
    /// `h=` leaves out a field that is read.
    FieldsUnsigned {
        /// The fields.
        missing: Vec<&'static str>,
    },
    /// Content-Type or Content-Transfer-Encoding is unsigned, and the mail has more parts than a text and its HTML.
    UnsignedMimeStructure,
    /// The body is not the one that was signed.
    BodyChanged,
    /// DNS has no key of this name.
    KeyAbsent {
        /// The name.
        name: String,
    },
    /// What DNS has is no key, or several.
    KeyMalformed {
        /// The name.
        name: String,
    },
    /// The key was withdrawn (`p=` is empty).
    KeyRevoked {
        /// The name.
        name: String,
    },
    /// The key is for another algorithm, another service or another identity.
    KeyMismatch {
        /// The name.
        name: String,
    },
    /// An RSA key that is too short.
    KeyWeak {
        /// The name.
        name: String,
        /// Its length.
        bits: usize,
    },
    /// The signature was not made with this key over these fields.
    BadSignature {
        /// The name of the key.
        name: String,
    },
    /// The key is marked as one for tests (`t=y`).
    KeyTesting {
        /// The name.
        name: String,
    },
    /// The signature is right, but its time is over (`x=`).
    SignatureExpired {
        /// When it expired.
        at: Timestamp,
    },
    /// The body or the signed fields changed on the way, and the provider's word does not stand in for the signature.
    Results(NoWord),
}

/// Why the provider's Authentication-Results prove nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoWord {
    /// No field bears `trusted_authserv_id`.
    Absent,
    /// The field cannot be read.
    Malformed,
    /// It says no `dkim=pass` for From's domain, or for none of the signatures in the mail.
    NoPass,
}

impl Unproved {
    /// The stable kebab-case word for scripts.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::DomainNotListed { .. } => "domain-not-listed",
            Self::Unsigned => "unsigned",
            Self::DomainNotAligned { .. } => "domain-not-aligned",
            Self::TooManySignatures => "too-many-signatures",
            Self::SignatureMalformed { .. } => "signature-malformed",
            Self::WeakAlgorithm => "weak-algorithm",
            Self::UnknownAlgorithm { .. } => "unknown-algorithm",
            Self::BodyLength => "body-length",
            Self::FieldsUnsigned { .. } => "fields-unsigned",
            Self::UnsignedMimeStructure => "unsigned-mime-structure",
            Self::BodyChanged => "body-changed",
            Self::KeyAbsent { .. } => "key-absent",
            Self::KeyMalformed { .. } => "key-malformed",
            Self::KeyRevoked { .. } => "key-revoked",
            Self::KeyMismatch { .. } => "key-mismatch",
            Self::KeyWeak { .. } => "key-weak",
            Self::BadSignature { .. } => "bad-signature",
            Self::KeyTesting { .. } => "key-testing",
            Self::SignatureExpired { .. } => "signature-expired",
            Self::Results(NoWord::Absent) => "results-absent",
            Self::Results(NoWord::Malformed) => "results-malformed",
            Self::Results(NoWord::NoPass) => "results-no-pass",
        }
    }
}

impl Unproved {
    /// Says what happened, then what to do, in the words of a kind of mail.
    pub(super) fn tell(&self, f: &mut fmt::Formatter<'_>, words: &Words) -> fmt::Result {
        let Words { again, believe, .. } = words;
        match self {
            Self::DomainNotListed { domain } => write!(
                f,
                "signatures of {} do not count; add it to `domains` of [sender] if it is Salesforce's",
                Untrusted(domain)
            ),
            Self::Unsigned => write!(
                f,
                "the mail bears no DKIM signature, as all of Salesforce's do; delete the mail, or {again} if you did expect one"
            ),
            Self::DomainNotAligned { signed_by, domain } => write!(
                f,
                "the mail says it is from {} and is signed by {}, who may send in nobody else's name; delete the mail, or {again} if you did expect one",
                Untrusted(domain),
                Untrusted(signed_by)
            ),
            Self::TooManySignatures => write!(
                f,
                "the mail bears more than {} signatures of one domain, which no mail does; delete the mail, or {again} if you did expect one",
                super::dkim::MAX_SIGNATURES
            ),
            Self::SignatureMalformed { what } => write!(
                f,
                "the signature is not written as signatures are (at `{what}`); delete the mail, or {again} if you did expect one"
            ),
            Self::WeakAlgorithm => write!(
                f,
                "the signature is made with SHA-1, which can be forged; delete the mail, or {again} if you did expect one"
            ),
            Self::UnknownAlgorithm { name } => write!(
                f,
                "the signature is made in an unknown way ({}); look for a newer fetch-token",
                Untrusted(name)
            ),
            Self::BodyLength => write!(
                f,
                "the signature covers the beginning of the text only (l=), so anybody may have added to it; delete the mail, or {again} if you did expect one"
            ),
            Self::FieldsUnsigned { missing } => write!(
                f,
                "the signature does not cover {}, so anybody may have changed it; delete the mail, or {again} if you did expect one",
                missing.join(", ")
            ),
            Self::UnsignedMimeStructure => write!(
                f,
                "the signature does not cover how the parts of the mail are to be read, and there is more than a text and its HTML; delete the mail, or {again} if you did expect one"
            ),
            Self::BodyChanged => write!(
                f,
                "the text is not the one that was signed. If your provider rewrites links or adds footers, set `trusted_authserv_id` of the account; else delete the mail, or {again} if you did expect one"
            ),
            Self::KeyAbsent { name } => {
                write!(
                    f,
                    "DNS has no key {}. Salesforce may be changing its keys: {again} if you did expect one",
                    Untrusted(name)
                )
            }
            Self::KeyMalformed { name } => write!(
                f,
                "what DNS has at {} is not one key. Salesforce may be changing its keys: {again} if you did expect one",
                Untrusted(name)
            ),
            Self::KeyRevoked { name } => {
                write!(
                    f,
                    "the key {} was withdrawn. Salesforce may be changing its keys: {again} if you did expect one",
                    Untrusted(name)
                )
            }
            Self::KeyMismatch { name } => write!(
                f,
                "the key {} is not for signatures like this one; delete the mail, or {again} if you did expect one",
                Untrusted(name)
            ),
            Self::KeyWeak { name, bits } => write!(
                f,
                "the key {} has {bits} bits, so few that it can be broken; delete the mail, or {again} if you did expect one",
                Untrusted(name)
            ),
            Self::BadSignature { name } => write!(
                f,
                "the signature does not match the mail and the key {}. If your provider changes subjects or addresses, set `trusted_authserv_id` of the account; else delete the mail, or {again} if you did expect one",
                Untrusted(name)
            ),
            Self::KeyTesting { name } => write!(
                f,
                "the key {} is marked as one for tests, which prove nothing; delete the mail, or {again} if you did expect one",
                Untrusted(name)
            ),
            Self::SignatureExpired { at } => write!(
                f,
                "the signature is right but was good until {at} only, so the mail may be an old one sent again; look whether you know it, and {believe}{again}"
            ),
            Self::Results(why) => write!(
                f,
                "the mail was changed after it was signed, and {why}; delete the mail, or {again} if you did expect one"
            ),
        }
    }
}

impl fmt::Display for NoWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => {
                "no Authentication-Results field bears the account's `trusted_authserv_id` (check its spelling)"
            }
            Self::Malformed => "the provider's Authentication-Results field cannot be read",
            Self::NoPass => "the provider did not find the signature of From's domain right either",
        })
    }
}
