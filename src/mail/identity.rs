//! Recognising a mail when it is seen again.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The same mail has the same identity in every folder, mailbox and file; two mails have two.
///
/// For a mail whose signature was verified here, SHA-256 over the signature (`b=`). Where the provider checked it
/// instead, SHA-256 over the `Date` and the body, not over the Message-ID, which a replay may change: DKIM signers may leave
/// it out of `h=`, while the signature covers Date and body. Line ends and trailing empty lines do not count, as in
/// DKIM's own body canonicalization (RFC 6376, section 3.4): transports and files change them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Identity(String);

/// The text is not the 64 lower-case hexadecimal digits of an [`Identity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mail's identity is 64 lower-case hexadecimal digits")]
pub struct NotAnIdentity;

impl Identity {
    /// That of a mail with this verified signature, in base64 without blanks.
    pub(super) fn of_signature(signature: &str) -> Self {
        Self(format!("{:x}", Sha256::digest(signature)))
    }

    pub(super) fn of(date: Timestamp, body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(date.as_second().to_be_bytes());
        let body = body.trim_ascii_end();
        for line in body.split(|&byte| byte == b'\n') {
            hash.update(line.strip_suffix(b"\r").unwrap_or(line));
            hash.update(b"\n");
        }
        Self(format!("{:x}", hash.finalize()))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Identity {
    type Err = NotAnIdentity;

    fn from_str(text: &str) -> Result<Self, NotAnIdentity> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for Identity {
    type Error = NotAnIdentity;

    fn try_from(text: String) -> Result<Self, NotAnIdentity> {
        let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if digits && text.len() == 64 {
            Ok(Self(text))
        } else {
            Err(NotAnIdentity)
        }
    }
}

impl From<Identity> for String {
    fn from(identity: Identity) -> Self {
        identity.0
    }
}
