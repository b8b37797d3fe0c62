//! The proof of who sent a mail: DKIM, or the word of the user's own provider about DKIM.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dkim::{self, Failure, Verified};
use super::header::Section;
use super::identity::Identity;
use super::key::Keys;
use super::policy::Policy;
use super::results;
use super::signature::Signature;
use super::unproved::Unproved;

/// How it is proved that a mail is from whom it says: what the ledger is to record, since keys are withdrawn and the
/// proof cannot be repeated for long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What the proof rests on.
    pub method: Method,
    /// The domain that signed, which is From's, in lower case.
    pub domain: String,
    /// The selector of its key (RFC 6376, section 3.1), in lower case.
    pub selector: String,
    /// The algorithm of the signature: `rsa-sha256` or `ed25519-sha256`.
    pub algorithm: String,
    /// SHA-256 of the public key (the octets of `p=`), in hexadecimal; `None` where the provider checked the signature.
    pub key_fingerprint: Option<String>,
    /// When the signature expires, if it does.
    pub expires: Option<Timestamp>,
}

/// What a proof rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A signature that was verified here (RFC 6376).
    Dkim,
    /// The provider's Authentication-Results (RFC 8601).
    AuthenticationResults,
}

impl Method {
    /// The stable word: `dkim` or `authentication-results`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Dkim => "dkim",
            Self::AuthenticationResults => "authentication-results",
        }
    }
}

/// A token mail that cannot be judged now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DNS does not say what {} holds, so the mail's signature cannot be checked; it will be tried again", keys.join(", "))]
pub struct Pending {
    /// The names whose TXT records decide and are not known: each in lower case, without a dot at its end.
    pub keys: Vec<String>,
}

impl Pending {
    /// The stable kebab-case word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        "dns"
    }
}

/// What a mail says of its sender, to be proved.
pub(super) struct Claim<'s, 'a> {
    pub(super) section: &'s Section<'a>,
    /// From's.
    pub(super) domain: &'s str,
    pub(super) date: Timestamp,
    /// Its structure can be read in one way only.
    pub(super) is_simple: bool,
}

/// Proves that the mail is from whom it says.
///
/// The provider's word comes first where it counts: it needs no DNS, and so does not make two identities of one mail
/// when DNS answers once and not the other time.
pub(super) fn prove(
    claim: &Claim,
    policy: &Policy,
    keys: &dyn Keys,
    now: Timestamp,
) -> Result<(Proof, Identity), Failure> {
    let section = claim.section;
    let domain = claim.domain.to_ascii_lowercase();
    if !policy.counts(&domain) {
        return Err(Failure::Unproved(Unproved::DomainNotListed { domain }));
    }
    let candidates =
        dkim::candidates(section, &domain, claim.is_simple).map_err(Failure::Unproved)?;
    let word = policy
        .trusted_authserv_id
        .as_deref()
        .map(|trusted| results::vouched(section, trusted, &domain, &candidates));
    if let Some(Ok(signature)) = word {
        let proof = proof(Method::AuthenticationResults, &domain, signature, None);
        return Ok((proof, Identity::of(claim.date, section.body)));
    }
    match dkim::verify(&candidates, section, &domain, keys, now) {
        Ok(Verified {
            signature,
            key_fingerprint,
        }) => {
            let proof = proof(Method::Dkim, &domain, signature, Some(key_fingerprint));
            Ok((proof, Identity::of_signature(&signature.written)))
        }
        Err(Failure::Unproved(why)) => Err(Failure::Unproved(match word {
            // What the provider's word is for; the other reasons tell more than that it gave none.
            Some(Err(no_word))
                if matches!(why, Unproved::BodyChanged | Unproved::BadSignature { .. }) =>
            {
                Unproved::Results(no_word)
            }
            _ => why,
        })),
        Err(silent) => Err(silent),
    }
}

fn proof(
    method: Method,
    domain: &str,
    signature: &Signature,
    key_fingerprint: Option<String>,
) -> Proof {
    Proof {
        method,
        domain: domain.to_owned(),
        selector: signature.selector.clone(),
        algorithm: signature.algorithm.name().to_owned(),
        key_fingerprint,
        expires: signature.expires,
    }
}
