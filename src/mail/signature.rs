//! One DKIM-Signature field (RFC 6376, section 3.5), and what it must say to count here, whatever its key says.

use std::borrow::Cow;
use std::cmp::Ordering;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use mail_auth::common::crypto::{Algorithm, VerifyingKey};
use mail_auth::dkim::Canonicalization;
use memchr::memchr_iter;

use super::header::{Field, Section};
use super::tag_list::{TagList, trimmed};
use super::unproved::Unproved;

/// What is read of a mail must be signed. (Message-ID is told, but decides nothing.)
const MUST_BE_SIGNED: [&str; 4] = ["From", "To", "Subject", "Date"];
/// The fields that say how the body is to be read. Google signs for part of salesforce.com and leaves them out.
const MIME_STRUCTURE: [&str; 2] = ["Content-Type", "Content-Transfer-Encoding"];
/// Decimal digits of a time (RFC 6376, section 3.5); they reach beyond the year 9999.
const MAX_TIME_DIGITS: usize = 12;

/// A signature that meets the policy, as far as that can be told without its key.
pub(super) struct Signature<'a> {
    field: Field<'a>,
    /// The value of the field without the value of `b=`.
    unsigned_value: String,
    /// `s=`, in lower case.
    pub(super) selector: String,
    /// `a=`
    pub(super) algorithm: Algorithm,
    /// `b=` as written, without blanks.
    pub(super) written: String,
    octets: Vec<u8>,
    /// `bh=`
    pub(super) body_hash: Vec<u8>,
    header_form: Canonicalization,
    /// The second half of `c=`.
    pub(super) body_form: Canonicalization,
    signed: Vec<String>,
    /// `x=`
    pub(super) expires: Option<Timestamp>,
    /// The domain of `i=` is `d=` itself and no domain below it.
    pub(super) is_of_domain_itself: bool,
}

impl<'a> Signature<'a> {
    /// Reads and checks a signature by `domain`. `is_simple` says that the mail's structure cannot be read in two
    /// ways (see [`Shown`](super::mime::Shown)).
    pub(super) fn read(
        field: Field<'a>,
        tags: &TagList<'a>,
        domain: &str,
        is_simple: bool,
    ) -> Result<Self, Unproved> {
        let malformed = |what| Unproved::SignatureMalformed { what };
        let tag = |name| tags.get(name).ok_or(malformed(name));
        if tag("v")? != "1" {
            return Err(malformed("v"));
        }
        let algorithm = algorithm(tag("a")?)?;
        if tags.get("l").is_some() {
            return Err(Unproved::BodyLength);
        }
        let signed: Vec<String> = tag("h")?
            .split(':')
            .map(|name| trimmed(name).to_ascii_lowercase())
            .collect();
        if !signed.iter().all(|name| is_field_name(name)) {
            return Err(malformed("h"));
        }
        let covers = |name: &&str| {
            signed
                .iter()
                .any(|signed| signed.eq_ignore_ascii_case(name))
        };
        let missing: Vec<&'static str> = MUST_BE_SIGNED
            .into_iter()
            .filter(|name| !covers(name))
            .collect();
        if !missing.is_empty() {
            return Err(Unproved::FieldsUnsigned { missing });
        }
        if !is_simple && !MIME_STRUCTURE.iter().all(covers) {
            return Err(Unproved::UnsignedMimeStructure);
        }
        let selector = tag("s")?.to_ascii_lowercase();
        if !is_domain_name(&selector) {
            return Err(malformed("s"));
        }
        let (header_form, body_form) = forms(tags.get("c")).ok_or(malformed("c"))?;
        if !tags.get("q").is_none_or(asks_dns) {
            return Err(malformed("q"));
        }
        let is_of_domain_itself = match tags.get("i") {
            None => true,
            Some(agent) => is_of_domain_itself(agent, domain).ok_or(malformed("i"))?,
        };
        let expires = expiry(tags).map_err(malformed)?;
        // Strict base64: another spelling of the same octets would be another identity of the same mail.
        let octets = |name| {
            let written = tags.get_unfolded(name).ok_or(malformed(name))?;
            let octets = BASE64_STANDARD.decode(&written);
            match octets {
                Ok(octets) if !octets.is_empty() => Ok((written, octets)),
                _ => Err(malformed(name)),
            }
        };
        let (written, made) = octets("b")?;
        let (_, body_hash) = octets("bh")?;
        Ok(Self {
            field,
            unsigned_value: tags.without_value_of("b", field.raw_value()),
            selector,
            algorithm,
            written,
            octets: made,
            body_hash,
            header_form,
            body_form,
            signed,
            expires,
            is_of_domain_itself,
        })
    }

    /// Whether the key's owner made this signature over these fields (RFC 6376, section 3.7).
    pub(super) fn is_made_with(&self, key: &dyn VerifyingKey, fields: &FieldsFromBottom) -> bool {
        let mut hashed = fields.chosen(&self.signed, self.field);
        // The field itself comes last, without `b=` and without its line end.
        let own = with_crlf(self.unsigned_value.as_bytes());
        let own = own.strip_suffix(b"\r\n").unwrap_or(&own);
        hashed.push((self.field.name(), Cow::Borrowed(own)));
        let mut hashed = hashed.iter().map(|(name, value)| (*name, &**value));
        key.verify(&mut hashed, &self.octets, self.header_form, self.algorithm)
            .is_ok()
    }
}

/// The fields of a mail in the order of their names, and of each name the last first: signers count from the bottom,
/// since fields are added at the top (RFC 6376, section 5.4.2).
pub(super) struct FieldsFromBottom<'a>(Vec<Field<'a>>);

impl<'a> FieldsFromBottom<'a> {
    pub(super) fn of(section: &Section<'a>) -> Self {
        let mut fields: Vec<Field> = section.fields().iter().rev().copied().collect();
        fields.sort_by(|one, other| compare(one.name(), other.name()));
        Self(fields)
    }

    /// The fields that `h=` names, in its order: for each time a name stands there, the next field of this name from
    /// the bottom, or nothing where there is none left.
    fn chosen(&self, signed: &[String], own: Field) -> Vec<(&'a [u8], Cow<'a, [u8]>)> {
        // How many fields of a name are used up, where the first of them stands.
        let mut used = vec![0; self.0.len()];
        let mut chosen = Vec::with_capacity(signed.len() + 1);
        for name in signed {
            let is_before = |field: &Field| compare(field.name(), name.as_bytes()).is_lt();
            let first = self.0.partition_point(is_before);
            let Some(used) = used.get_mut(first) else {
                continue;
            };
            let next = |used: &mut usize| {
                let field = self.0.get(first + *used)?;
                field.is_named(name).then(|| {
                    *used += 1;
                    *field
                })
            };
            let mut field = next(used);
            if field.is_some_and(|field| field.is(own)) {
                field = next(used);
            }
            chosen
                .extend(field.map(|field| (field.name(), with_crlf(field.raw_value().as_bytes()))));
        }
        chosen
    }
}

/// The order of two names in any case.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let lower = u8::to_ascii_lowercase;
    one.iter().map(lower).cmp(other.iter().map(lower))
}

/// The value with CRLF at the end of each line: it was signed so, and is kept with LF in files.
fn with_crlf(value: &[u8]) -> Cow<'_, [u8]> {
    let is_crlf = |end: usize| value[..end].ends_with(b"\r");
    if value.ends_with(b"\n") && memchr_iter(b'\n', value).all(is_crlf) {
        return Cow::Borrowed(value);
    }
    let mut lines = Vec::with_capacity(value.len() + 2);
    for line in value.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        lines.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        lines.extend_from_slice(b"\r\n");
    }
    Cow::Owned(lines)
}

/// `a=` (RFC 6376, section 3.3; RFC 8463). SHA-1 is refused as RFC 8301 demands.
fn algorithm(name: &str) -> Result<Algorithm, Unproved> {
    match Algorithm::parse(name.as_bytes()) {
        Some(Algorithm::RsaSha1) => Err(Unproved::WeakAlgorithm),
        Some(algorithm) => Ok(algorithm),
        None => Err(Unproved::UnknownAlgorithm {
            name: name.to_owned(),
        }),
    }
}

/// `c=`: header and body, each `simple` where it is not named.
fn forms(value: Option<&str>) -> Option<(Canonicalization, Canonicalization)> {
    let form = |name: &str| match name.to_ascii_lowercase().as_str() {
        "simple" => Some(Canonicalization::Simple),
        "relaxed" => Some(Canonicalization::Relaxed),
        _ => None,
    };
    let (header, body) = value
        .unwrap_or("simple")
        .split_once('/')
        .unwrap_or((value.unwrap_or("simple"), "simple"));
    Some((form(trimmed(header))?, form(trimmed(body))?))
}

/// `q=`: ways to get the key, of which DNS is the only one there is.
fn asks_dns(ways: &str) -> bool {
    ways.split(':')
        .any(|way| trimmed(way).eq_ignore_ascii_case("dns/txt"))
}

/// `i=`, which is of the signing domain or of one below it; whether it is of the domain itself.
fn is_of_domain_itself(agent: &str, domain: &str) -> Option<bool> {
    let (_, of) = agent.rsplit_once('@')?;
    let above = of.len().checked_sub(domain.len())?;
    let (below, of) = of.split_at_checked(above)?;
    (of.eq_ignore_ascii_case(domain) && (below.is_empty() || below.ends_with('.')))
        .then_some(below.is_empty())
}

/// `x=`, which must be later than `t=`; the tag that is wrong otherwise.
fn expiry(tags: &TagList) -> Result<Option<Timestamp>, &'static str> {
    let made = tags.get("t").map(|t| seconds(t).ok_or("t")).transpose()?;
    let Some(expires) = tags.get("x") else {
        return Ok(None);
    };
    match seconds(expires) {
        // Beyond what a clock can show is never.
        Some(at) if made.is_none_or(|made| made < at) => Ok(Timestamp::from_second(at).ok()),
        _ => Err("x"),
    }
}

fn seconds(digits: &str) -> Option<i64> {
    let is_time = digits.len() <= MAX_TIME_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    is_time.then(|| digits.parse().ok())?
}

/// `hdr-name`: anything that can stand before a colon.
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Labels of letters, digits, hyphens and, as many selectors have them, underscores (RFC 6376, section 3.1).
fn is_domain_name(name: &str) -> bool {
    // The bound of DNS (RFC 1035, section 2.3.4).
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}
