//! Proof by DKIM (RFC 6376): a signature of From's own domain over everything that is read of the mail.
//!
//! mail-auth checks the signature itself. It would also pass mails that are refused here: those with `l=`, with To or
//! Subject outside `h=`, with keys for tests, with another domain's signature. So the policy comes first, and what it
//! drops costs neither DNS nor arithmetic.

use jiff::Timestamp;

use super::canonical::BodyHashes;
use super::header::{Field, Section};
use super::key::{Answer, Key, Keys};
use super::signature::{FieldsFromBottom, Signature};
use super::tag_list::TagList;
use super::unproved::Unproved;

/// Signatures of one domain that are looked at. Two are usual (RSA and Ed25519, or two keys while they change).
pub(super) const MAX_SIGNATURES: usize = 10;

/// A DKIM-Signature field of From's domain.
pub(super) struct Candidate<'a> {
    /// Its tags.
    pub(super) tags: TagList<'a>,
    /// The signature, if it meets the policy.
    pub(super) signature: Result<Signature<'a>, Unproved>,
}

/// A signature that holds, and the key it holds by.
pub(super) struct Verified<'c, 'a> {
    pub(super) signature: &'c Signature<'a>,
    pub(super) key_fingerprint: String,
}

/// Why none of the signatures proves anything.
pub(super) enum Failure {
    /// They prove nothing.
    Unproved(Unproved),
    /// DNS did not say what these names hold.
    Silent(Vec<String>),
}

/// The signatures by this domain, in their order; there is at least one. All others are dropped here.
pub(super) fn candidates<'a>(
    section: &Section<'a>,
    domain: &str,
    is_simple: bool,
) -> Result<Vec<Candidate<'a>>, Unproved> {
    let mut of_domain: Vec<(Field, TagList)> = Vec::new();
    let mut why_not = Unproved::Unsigned;
    for field in section.named("DKIM-Signature") {
        let tags = TagList::read(field.raw_value());
        let other = match tags.as_ref().map(|tags| tags.get("d")) {
            None => Unproved::SignatureMalformed { what: "tag-list" },
            Some(None) => Unproved::SignatureMalformed { what: "d" },
            Some(Some(of)) if !of.eq_ignore_ascii_case(domain) => Unproved::DomainNotAligned {
                signed_by: of.to_owned(),
                domain: domain.to_owned(),
            },
            Some(Some(_)) => {
                if of_domain.len() == MAX_SIGNATURES {
                    return Err(Unproved::TooManySignatures);
                }
                of_domain.extend(tags.map(|tags| (field, tags)));
                continue;
            }
        };
        why_not = why_not.max(other);
    }
    if of_domain.is_empty() {
        return Err(why_not);
    }
    let candidates = of_domain.into_iter().map(|(field, tags)| Candidate {
        signature: Signature::read(field, &tags, domain, is_simple),
        tags,
    });
    Ok(candidates.collect())
}

/// The first signature that holds.
pub(super) fn verify<'c, 'a>(
    candidates: &'c [Candidate<'a>],
    section: &Section<'a>,
    domain: &str,
    keys: &dyn Keys,
    now: Timestamp,
) -> Result<Verified<'c, 'a>, Failure> {
    let bodies = BodyHashes::of(section.body);
    let fields = FieldsFromBottom::of(section);
    let mut silent: Vec<String> = Vec::new();
    let mut unproved: Option<Unproved> = None;
    for candidate in candidates {
        let why = match &candidate.signature {
            Ok(signature) => match holds(signature, &bodies, &fields, domain, keys, now) {
                Ok(verified) => return Ok(verified),
                Err(Failure::Silent(names)) => {
                    silent.extend(names);
                    continue;
                }
                Err(Failure::Unproved(why)) => why,
            },
            Err(why) => why.clone(),
        };
        unproved = unproved.max(Some(why));
    }
    if silent.is_empty() {
        Err(Failure::Unproved(unproved.unwrap_or(Unproved::Unsigned)))
    } else {
        silent.sort_unstable();
        silent.dedup();
        Err(Failure::Silent(silent))
    }
}

/// The checks of one signature, from the cheapest; expiry last, so that `signature-expired` is said of signatures
/// only that are right otherwise.
fn holds<'c, 'a>(
    signature: &'c Signature<'a>,
    bodies: &BodyHashes,
    fields: &FieldsFromBottom,
    domain: &str,
    keys: &dyn Keys,
    now: Timestamp,
) -> Result<Verified<'c, 'a>, Failure> {
    let unproved = |why| Err(Failure::Unproved(why));
    if bodies.get(signature.body_form)[..] != signature.body_hash {
        return unproved(Unproved::BodyChanged);
    }
    let name = format!(
        "{}._domainkey.{}",
        signature.selector,
        domain.to_ascii_lowercase()
    );
    let records = match keys.txt(&name) {
        Answer::Records(records) => records,
        Answer::NoSuchName => Vec::new(),
        Answer::Silent => return Err(Failure::Silent(vec![name])),
    };
    let key = Key::read(&name, &records, signature.algorithm).map_err(Failure::Unproved)?;
    if key.is_strict && !signature.is_of_domain_itself {
        return unproved(Unproved::KeyMismatch { name });
    }
    if !signature.is_made_with(key.verifying.as_ref(), fields) {
        return unproved(Unproved::BadSignature { name });
    }
    if key.is_testing {
        return unproved(Unproved::KeyTesting { name });
    }
    match signature.expires {
        Some(at) if now > at => unproved(Unproved::SignatureExpired { at }),
        _ => Ok(Verified {
            signature,
            key_fingerprint: key.fingerprint,
        }),
    }
}
