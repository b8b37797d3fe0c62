//! A place in a mailbox: "what arrives after this point".

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a search goes on from: the account's address, the folder, and its `UIDVALIDITY` and `UIDNEXT` (RFC 3501
/// §2.3.1.1) when the cursor was taken, and when that was.
///
/// The time is for where numbers do not help: another folder, or one that was renumbered since. Whole seconds.
///
/// Printed as one opaque word that survives shells, JSON and URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The account's address.
    pub account: String,
    /// The folder's name.
    pub folder: String,
    /// The folder's `UIDVALIDITY`.
    pub uid_validity: u32,
    /// The first UID that is still to come.
    pub uid_next: u32,
    /// When the cursor was taken.
    pub taken: Timestamp,
}

/// Begins every cursor's word, and says which form it has.
const FORM: &str = "ftc1-";

/// A word that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor. Pass the whole word that `fetch-token arm` printed")]
pub struct NotACursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = (
            &self.account,
            &self.folder,
            self.uid_validity,
            self.uid_next,
            self.taken.as_second(),
        );
        let json = serde_json::to_vec(&parts).map_err(|_| fmt::Error)?;
        write!(f, "{FORM}{}", URL_SAFE_NO_PAD.encode(json))
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(word: &str) -> Result<Self, NotACursor> {
        let encoded = word.trim().strip_prefix(FORM).ok_or(NotACursor)?;
        let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NotACursor)?;
        let (account, folder, uid_validity, uid_next, taken) =
            serde_json::from_slice(&json).map_err(|_| NotACursor)?;
        Ok(Self {
            account,
            folder,
            uid_validity,
            uid_next,
            taken: Timestamp::from_second(taken).map_err(|_| NotACursor)?,
        })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        word.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, NotACursor};
    use jiff::Timestamp;

    #[test]
    fn a_cursor_survives_its_word() {
        let cursor = Cursor {
            account: "integration@acme.example".to_owned(),
            folder: "Entwürfe \"x\"".to_owned(),
            uid_validity: u32::MAX,
            uid_next: 1,
            taken: Timestamp::from_second(1_795_528_800).expect("a time"),
        };
        let word = cursor.to_string();
        assert!(
            word.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        assert_eq!(word.parse(), Ok(cursor));
    }

    #[test]
    fn a_word_cut_short_is_no_cursor() {
        let word = Cursor {
            account: "a@b.example".to_owned(),
            folder: "INBOX".to_owned(),
            uid_validity: 7,
            uid_next: 1234,
            taken: Timestamp::UNIX_EPOCH,
        }
        .to_string();
        for end in 0..word.len() {
            assert_eq!(word[..end].parse::<Cursor>(), Err(NotACursor), "{end}");
        }
    }
}
