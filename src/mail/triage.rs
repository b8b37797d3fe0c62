//! Whether a mail is worth fetching, told from its header fields alone.

use mailparse::{MailHeader, MailHeaderMap as _};
use memchr::memmem;

use super::Policy;

/// Words that a Subject about a security token holds, in lower case.
const SUBJECT_WORDS: [&str; 3] = [
    "security token",
    "セキュリティトークン",
    "セキュリティ トークン",
];

/// How much of a header section is looked at: decoding costs the square of a field's length at worst, and a real
/// section has some thousand octets before its From and Subject.
const LOOKED_AT: usize = 16 * 1024;

impl Policy {
    /// Whether the octets name a domain whose mail counts, plainly and anywhere: a mail whose header section does is
    /// always read, however little it looks like a token mail at a glance.
    pub(super) fn is_named_in(&self, octets: &[u8]) -> bool {
        let mut domains = self.domains.iter();
        domains.any(|domain| memmem::find(octets, domain.as_bytes()).is_some())
    }

    /// Whether From names a listed sender's domain in any way, or cannot be read.
    pub(super) fn is_named_in_from(&self, header: &[u8]) -> bool {
        let header = &header[..header.len().min(LOOKED_AT)];
        mailparse::parse_headers(header).map_or(true, |(fields, _)| self.are_from_listed(&fields))
    }

    fn are_from_listed(&self, fields: &[MailHeader]) -> bool {
        fields.get_all_values("From").iter().any(|from| {
            let from = from.to_ascii_lowercase();
            self.from.iter().any(|listed| {
                let domain = listed.rsplit('@').next().unwrap_or(listed);
                from.contains(&domain.to_ascii_lowercase())
            })
        })
    }

    /// Whether a mail with this header section (or its From and Subject alone) may be a token mail: From names a
    /// listed sender's domain in any way, or Subject speaks of a token.
    ///
    /// Nothing is accepted by this; it only spares the fetching of mail from everybody else.
    #[must_use]
    pub fn is_worth_fetching(&self, header: &[u8]) -> bool {
        let header = &header[..header.len().min(LOOKED_AT)];
        let Ok((fields, _)) = mailparse::parse_headers(header) else {
            // What cannot be read is judged, so that its refusal can be told.
            return true;
        };
        self.are_from_listed(&fields)
            || fields.get_all_values("Subject").iter().any(|subject| {
                let subject = subject.to_lowercase();
                SUBJECT_WORDS.iter().any(|words| subject.contains(words))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::Policy;

    #[test]
    fn which_mails_are_fetched() {
        let policy = Policy::any();
        for (header, expected) in [
            ("From: support@salesforce.com\r\nSubject: x\r\n\r\n", true),
            ("From: \"Support\" <SUPPORT@Salesforce.COM>\r\n\r\n", true),
            ("From: a@b.example, noreply@salesforce.com\r\n\r\n", true),
            (
                "From: a@b.example\r\nSubject: Your new Salesforce\r\n security token\r\n\r\n",
                true,
            ),
            (
                "From: a@b.example\r\nSubject: =?UTF-8?B?44K744Kt44Ol44Oq44OG44Kj44OI44O844Kv44Oz?=\r\n\r\n",
                true,
            ),
            ("From: a@b.example\r\nSubject: Lunch\r\n\r\n", false),
            ("\r\n", false),
        ] {
            assert_eq!(
                policy.is_worth_fetching(header.as_bytes()),
                expected,
                "{header}"
            );
        }
    }
}
