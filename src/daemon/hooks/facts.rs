//! What a hook is told: facts in its environment, never a token.

use jiff::Timestamp;

use crate::config::Occasion;
use crate::escape::escaped;
use crate::ledger::{Entry, Record};
use crate::receipt::Receipt;

/// Most characters of a fact. Salesforce's usernames have at most 80, addresses at most 254 octets (RFC 5321).
const FACT: usize = 200;

/// Most characters of a sentence, which says what happened and then what to do.
const SENTENCE: usize = 500;

/// What is known of the mail or login that a hook runs for. Made fit for an environment: whoever can send mail can
/// write some of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    username: Option<String>,
    folder: Option<String>,
    uid: Option<u32>,
    date: Option<Timestamp>,
    from: Option<String>,
    message_id: Option<String>,
    reason: Option<String>,
    sentence: Option<String>,
    store: Option<String>,
}

impl Facts {
    /// Of a token that was stored.
    pub(super) fn of_record(record: &Record) -> Self {
        Self {
            username: Some(fact(&record.username)),
            folder: record.origin.as_ref().map(|origin| fact(&origin.folder)),
            uid: record.origin.as_ref().map(|origin| origin.uid),
            date: Some(record.date),
            from: record.from.as_deref().map(fact),
            message_id: record.message_id.as_deref().map(fact),
            store: Some(fact(&record.store)),
            ..Self::default()
        }
    }

    /// Of a mail whose token was not stored, as the ledger has it.
    pub(super) fn of_entry(entry: &Entry) -> Self {
        Self {
            username: entry.username.as_deref().map(fact),
            folder: Some(fact(&entry.origin.folder)),
            uid: Some(entry.origin.uid),
            date: entry.date,
            from: entry.from.as_deref().map(fact),
            reason: Some(fact(&entry.reason)),
            sentence: Some(escaped(&entry.sentence, SENTENCE)),
            ..Self::default()
        }
    }

    /// Of a mail whose token was not stored, as it was told.
    pub(super) fn of_receipt(receipt: &Receipt) -> Self {
        Self {
            username: receipt.username.as_deref().map(fact),
            folder: receipt.origin.as_ref().map(|origin| fact(&origin.folder)),
            uid: receipt.origin.as_ref().map(|origin| origin.uid),
            date: receipt.date,
            from: receipt.from.as_deref().map(fact),
            message_id: receipt.message_id.as_deref().map(fact),
            reason: receipt.reason.as_deref().map(fact),
            sentence: receipt.sentence.as_deref().map(|s| escaped(s, SENTENCE)),
            store: None,
        }
    }

    /// Of a login that failed.
    pub(super) fn of_login(reason: &str, sentence: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            sentence: Some(escaped(sentence, SENTENCE)),
            ..Self::default()
        }
    }

    /// The variables, all of them: one without a value is to be taken from the environment, lest an inherited one be
    /// taken for a fact.
    pub(super) fn variables(
        &self,
        on: Occasion,
        account: &str,
        count: usize,
    ) -> [(&'static str, Option<String>); 12] {
        [
            ("FETCH_TOKEN_EVENT", Some(on.word().to_owned())),
            ("FETCH_TOKEN_ACCOUNT", Some(fact(account))),
            ("FETCH_TOKEN_COUNT", Some(count.to_string())),
            ("FETCH_TOKEN_USERNAME", self.username.clone()),
            ("FETCH_TOKEN_FOLDER", self.folder.clone()),
            ("FETCH_TOKEN_UID", self.uid.map(|uid| uid.to_string())),
            ("FETCH_TOKEN_DATE", self.date.map(|date| date.to_string())),
            ("FETCH_TOKEN_FROM", self.from.clone()),
            ("FETCH_TOKEN_MESSAGE_ID", self.message_id.clone()),
            ("FETCH_TOKEN_REASON", self.reason.clone()),
            ("FETCH_TOKEN_SENTENCE", self.sentence.clone()),
            ("FETCH_TOKEN_STORE", self.store.clone()),
        ]
    }
}

fn fact(text: &str) -> String {
    escaped(text, FACT)
}

#[cfg(test)]
mod tests {
    use super::Facts;
    use crate::config::Occasion;
    use crate::ledger::{Entry, Origin};
    use jiff::Timestamp;

    #[test]
    fn what_a_stranger_wrote_is_escaped_and_capped() {
        let entry = Entry {
            origin: Origin {
                account: "a@b.example".to_owned(),
                folder: "INBOX".to_owned(),
                uid_validity: 1,
                uid: 7,
            },
            seen: Timestamp::now(),
            date: None,
            from: Some("\u{1b}]0;x\u{7}\nFETCH_TOKEN_EVENT=stored\0".to_owned()),
            username: Some("u".repeat(5_000)),
            proof: None,
            reason: "unsigned".to_owned(),
            sentence: "s".repeat(5_000),
            hooked: false,
        };
        let variables = Facts::of_entry(&entry).variables(Occasion::Refused, "a@b.example", 3);
        let value = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.expect("listed").1.clone()
        };
        assert_eq!(
            value("FETCH_TOKEN_FROM").as_deref(),
            Some("\\u{1b}]0;x\\u{7}\\u{a}FETCH_TOKEN_EVENT=stored\\u{0}")
        );
        let length = |name| value(name).map(|value| value.chars().count());
        assert_eq!(length("FETCH_TOKEN_USERNAME"), Some(201));
        assert_eq!(length("FETCH_TOKEN_SENTENCE"), Some(501));
        assert_eq!(value("FETCH_TOKEN_COUNT").as_deref(), Some("3"));
        assert_eq!(value("FETCH_TOKEN_DATE"), None);
    }
}
