//! What a server's certificate says of itself. The TLS library decides whether it is accepted; this is for people.

use jiff::{SignedDuration, Timestamp};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::escape::escaped;

/// Most names that are shown of a certificate: some hold hundreds.
const NAMES: usize = 5;

/// Longest name that is shown in full, in characters: host names end at 253 (RFC 1035 §2.3.4).
const NAME: usize = 253;

/// Soon enough to end that somebody should know.
const SOON: SignedDuration = SignedDuration::from_hours(24 * 7);

/// A server's certificate (RFC 5280).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// The hosts it is for, escaped; the first few.
    pub(super) names: Vec<String>,
    /// How many more there are.
    pub(super) more: usize,
    /// Who signed it, escaped.
    pub(super) issuer: String,
    /// From when it counts.
    pub(super) from: Timestamp,
    /// Until when.
    pub(super) until: Timestamp,
}

impl Leaf {
    /// Reads it; `None` where it is no certificate.
    pub(super) fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let all: Vec<String> = alternatives
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                GeneralName::IPAddress(octets) => address(octets),
                _ => None,
            })
            .collect();
        let fit = |text: &String| escaped(text, NAME);
        let validity = certificate.validity();
        Some(Self {
            names: all.iter().take(NAMES).map(fit).collect(),
            more: all.len().saturating_sub(NAMES),
            issuer: escaped(&certificate.issuer().to_string(), NAME),
            from: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
            until: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
        })
    }

    /// Whole days until it ends; negative where it has.
    pub(super) fn days_left(&self, now: Timestamp) -> i64 {
        self.until.duration_since(now).as_hours().div_euclid(24)
    }

    /// Whether it ends soon.
    pub(super) fn ends_soon(&self, now: Timestamp) -> bool {
        self.until.duration_since(now) < SOON
    }

    /// All of it in a line.
    pub(super) fn words(&self, now: Timestamp) -> String {
        let quoted: Vec<_> = self.names.iter().map(|name| format!("“{name}”")).collect();
        let names = match (quoted.is_empty(), self.more) {
            (true, _) => "no host".to_owned(),
            (false, 0) => quoted.join(", "),
            (false, more) => format!("{} and {more} more", quoted.join(", ")),
        };
        let days = self.days_left(now);
        let left = if now < self.from {
            format!("begins only on {}", self.from)
        } else if now > self.until {
            format!("ended on {}", self.until)
        } else {
            format!("{days} days left")
        };
        format!("a certificate for {names} from “{}”, {left}", self.issuer)
    }
}

fn address(octets: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(octets).map(|octets| std::net::IpAddr::from(octets).to_string());
    let sixteen =
        || <[u8; 16]>::try_from(octets).map(|octets| std::net::IpAddr::from(octets).to_string());
    four.or_else(|_| sixteen()).ok()
}
