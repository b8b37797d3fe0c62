//! Who sent a mail, to whom, and whether anybody else is speaking in it.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use mailparse::{MailHeader, parse_header};
use regex::Regex;

use super::Facts;
use super::header::{Field, Section};
use super::labels;
use super::policy::Recipients;
use super::reading::Reading;
use super::refusal::{Conversation, Refusal};

/// Each stands exactly once (RFC 5322, section 3.6 demands From and Date; Salesforce's mails have all five).
const REQUIRED: [&str; 5] = ["From", "Date", "Subject", "To", "Message-ID"];
/// Each stands at most once (RFC 2045): a second one would be a second reading of the body.
const AT_MOST_ONCE: [&str; 3] = ["MIME-Version", "Content-Type", "Content-Transfer-Encoding"];

/// The pair stands at the top of a token mail; further down somebody may be quoted.
const MAX_LINES_ABOVE: usize = 15;
/// A token mail is a few sentences; a case or a newsletter shows more.
const MAX_SHOWN: usize = 4 << 10;
/// A line of a mail (RFC 5322, section 2.1.1). Longer mailboxes and subjects are not decoded further: mailparse takes
/// quadratic time for encoded words.
const MAX_DECODED: usize = 998;

/// A header section with the right number of each field.
pub(super) struct Fields<'s, 'a> {
    section: &'s Section<'a>,
    from: Field<'a>,
    date: Field<'a>,
    subject: Field<'a>,
    to: Field<'a>,
}

impl<'s, 'a> Fields<'s, 'a> {
    /// Checks how often the fields stand.
    pub(super) fn of(section: &'s Section<'a>) -> Result<Self, Refusal> {
        for name in REQUIRED {
            if section.named(name).next().is_none() {
                return Err(Refusal::MissingField { name });
            }
        }
        for name in REQUIRED.into_iter().chain(AT_MOST_ONCE) {
            if section.named(name).nth(1).is_some() {
                return Err(Refusal::RepeatedField { name });
            }
        }
        let only = |name| section.only(name).ok_or(Refusal::MissingField { name });
        Ok(Self {
            section,
            from: only("From")?,
            date: only("Date")?,
            subject: only("Subject")?,
            to: only("To")?,
        })
    }

    /// The address in From, which must be one plain address.
    pub(super) fn from(&self) -> Result<String, Refusal> {
        let from = self.from.value();
        plain_mailbox(&from).ok_or(Refusal::FromMalformed { from })
    }

    /// The time in Date.
    pub(super) fn date(&self) -> Result<Timestamp, Refusal> {
        let date = self.date.value();
        timestamp(&date).ok_or(Refusal::DateMalformed { date })
    }

    /// The decoded subject (RFC 2047).
    pub(super) fn subject(&self) -> String {
        decoded_subject(self.subject)
    }

    /// To must name one of the recipients.
    pub(super) fn addressed_to(&self, recipients: &Recipients) -> Result<(), Refusal> {
        if matches!(recipients, Recipients::Any) {
            return Ok(());
        }
        let to: Vec<String> = mailboxes(&self.to.value())
            .filter_map(plain_mailbox)
            .collect();
        if to.iter().any(|address| recipients.admits(address)) {
            Ok(())
        } else {
            Err(Refusal::AddressedTo { to })
        }
    }

    /// Nobody but the sender may be speaking.
    pub(super) fn conversation(&self, reading: &Reading, other: &Reading) -> Result<(), Refusal> {
        let has = |name| self.section.named(name).next().is_some();
        let why = if has("In-Reply-To") || has("References") {
            Conversation::InReplyTo
        } else if labels::is_reply_or_forward(&self.subject()) {
            Conversation::Subject
        } else if reading.quoted || other.quoted {
            Conversation::Quoted
        } else if reading.first_at().is_some_and(|at| at >= MAX_LINES_ABOVE) {
            Conversation::FarDown
        } else if reading.size.max(other.size) > MAX_SHOWN {
            Conversation::LongText
        } else {
            return Ok(());
        };
        Err(Refusal::Conversation(why))
    }
}

/// The subject, decoded, where there is one.
pub(super) fn subject(section: &Section) -> Option<String> {
    section.only("Subject").map(decoded_subject)
}

fn decoded_subject(field: Field) -> String {
    let raw = field.raw();
    parse_header(&raw[..raw.len().min(MAX_DECODED)])
        .map(|(header, _)| header.get_value().trim().to_owned())
        .unwrap_or_default()
}

/// What the header says, where it says it once and plainly.
pub(super) fn facts(section: &Section) -> Facts {
    let value = |name| section.only(name).map(Field::value);
    Facts {
        from: value("From").and_then(|from| plain_mailbox(&from)),
        date: value("Date").and_then(|date| timestamp(&date)),
        message_id: value("Message-ID").filter(|id| {
            id.len() <= MAX_DECODED && !id.is_empty() && id.bytes().all(|b| b.is_ascii_graphic())
        }),
        username: None,
        proof: None,
    }
}

fn timestamp(date: &str) -> Option<Timestamp> {
    // The day of the week adds nothing to a date, so a wrong one takes nothing from it.
    DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(date)
        .ok()
}

/// The address of a mailbox (RFC 5322, section 3.4) in its plainest forms: `addr`, `Name <addr>`, `"Name" <addr>`.
///
/// None of what differs between parsers is accepted: no group, source route, list, comment, quoted local part,
/// domain literal or quoted pair; and no display name that poses as another address, encoded (RFC 2047) or not.
fn plain_mailbox(value: impl AsRef<str>) -> Option<String> {
    static MAILBOX: LazyLock<Regex> = LazyLock::new(|| {
        const ATOM: &str = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
        let address = format!(r"{ATOM}(?:\.{ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*");
        let name = r#""[^"\\]*"|[A-Za-z0-9!#$%&'*+/=?^_`{|}~. \t-]*"#;
        Regex::new(&format!(r"^(?:(?:{name})[ \t]*<{address}>|{address})$"))
            .expect("a valid pattern")
    });
    let value = value.as_ref().trim_matches([' ', '\t']);
    if value.len() > MAX_DECODED || !MAILBOX.is_match(value) {
        return None;
    }
    // An address holds no bracket, so the last one begins it.
    let angle = value.strip_suffix('>').and_then(|at| at.rsplit_once('<'));
    let (name, address) = angle.map_or((None, value), |(name, address)| (Some(name), address));
    let poses = name.is_some_and(|name| poses_as_address(name, address));
    (!poses).then(|| address.to_owned())
}

/// Whether a display name looks like an address, other than the one it stands beside.
fn poses_as_address(name: &str, address: &str) -> bool {
    let header = format!("Name: {name}");
    let decoded = parse_header(header.as_bytes()).map(|(header, _)| MailHeader::get_value(&header));
    let Ok(decoded) = decoded else {
        return true;
    };
    let shown = decoded.trim().trim_matches('"').trim();
    !shown.eq_ignore_ascii_case(address)
        && shown
            .chars()
            .any(|c| matches!(c, '@' | '<' | '>' | '＠' | '＜' | '＞' | '﹫') || c.is_control())
}

/// Splits an address list at the commas outside quoted strings.
fn mailboxes(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    list.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_mailboxes_are_read() {
        for (value, address) in [
            ("support@salesforce.com", "support@salesforce.com"),
            (
                "Salesforce <Support@Salesforce.com>",
                "Support@Salesforce.com",
            ),
            ("<a@b.example>", "a@b.example"),
            ("\"Salesforce, Inc.\" <a@b.example>", "a@b.example"),
            ("\"a@b.example\" <a@b.example>", "a@b.example"),
            (
                "=?UTF-8?B?44K744O844Or44K544OV44Kp44O844K5?= <a@b.example>",
                "a@b.example",
            ),
            (" \t a+b.c@d-e.example ", "a+b.c@d-e.example"),
        ] {
            assert_eq!(plain_mailbox(value).as_deref(), Some(address), "{value}");
        }
    }

    #[test]
    fn what_parsers_read_differently_is_no_plain_mailbox() {
        for value in [
            "",
            "<>",
            "noreply@salesforce.com, evil@x.example",
            "noreply@salesforce.com,",
            "<noreply@salesforce.com> <evil@x.example>",
            "noreply@salesforce.com <evil@x.example>",
            "\"noreply@salesforce.com\" <evil@x.example>",
            "\"noreply@salesforce.com\\\" <evil@x.example>\" <a@b.example>",
            "Salesforce: noreply@salesforce.com;",
            "<@a.example,@b.example:noreply@salesforce.com>",
            "<@a.example:noreply@salesforce.com>",
            "noreply@salesforce.com (x) <evil@x.example>",
            "noreply@salesforce.com (Salesforce)",
            "(c) noreply@salesforce.com",
            "noreply@ salesforce.com",
            "noreply @salesforce.com",
            "<noreply@salesforce.com",
            "noreply@salesforce.com>",
            "noreply@@salesforce.com",
            "noreply@salesforce.com@evil.example",
            "noreply@salesforce.com.",
            "\"noreply\"@salesforce.com",
            "noreply@[192.0.2.1]",
            // noreply@salesforce.com in base64, as a name and as an address
            "=?UTF-8?B?bm9yZXBseUBzYWxlc2ZvcmNlLmNvbQ==?= <evil@x.example>",
            "=?UTF-8?B?bm9yZXBseUBzYWxlc2ZvcmNlLmNvbQ==?=",
            "=?UTF-8?Q?noreply=40salesforce.com?= <evil@x.example>",
            "=?UTF-8?Q?noreply=EF=BC=A0salesforce.com?= <evil@x.example>",
        ] {
            assert_eq!(plain_mailbox(value), None, "{value}");
        }
    }

    #[test]
    fn a_list_is_split_at_its_own_commas() {
        let list = "\"Doe, Jo\" <jo@acme.example>, ops@acme.example";
        let split: Vec<_> = mailboxes(list).filter_map(plain_mailbox).collect();
        assert_eq!(split, ["jo@acme.example", "ops@acme.example"]);
    }

    #[test]
    fn dates_may_have_comments_and_obsolete_zones() {
        let expected = timestamp("Tue, 24 Nov 2026 09:00:00 +0000");
        assert!(expected.is_some());
        for date in [
            "Tue, 24 Nov 2026 09:00:00 +0000 (GMT)",
            "24 Nov 2026 10:00:00 +0100",
            "Tue, 24 Nov 2026 09:00:00 GMT",
        ] {
            assert_eq!(timestamp(date), expected, "{date}");
        }
        for date in [
            "",
            "2026-11-24T09:00:00Z",
            "yesterday",
            "Tue, 32 Nov 2026 09:00:00 +0000",
        ] {
            assert_eq!(timestamp(date), None, "{date}");
        }
    }
}
