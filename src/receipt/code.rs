//! What became of a mail with a verification code: for whoever asked for one, and for nobody else.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::daemon::protocol::Begin;
use crate::imap::Cursor;
use crate::ledger::Origin;
use crate::mail::{Code, CodeMail, Facts, Kind as _, Proof, Verdict};

/// How much earlier than a cursor the Date of a mail may be that came after it: the clock that dates the mail is not the
/// one that dates the cursor.
const SKEW: SignedDuration = SignedDuration::from_mins(1);

/// What became of a mail with a verification code. It is told over a channel of its own: no hook, log or ledger sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeReceipt {
    /// What became of it.
    pub event: CodeEvent,
    /// The code, where it counts.
    pub code: Option<Code>,
    /// A stable word for why, where it was refused or waits.
    pub reason: Option<String>,
    /// A sentence for why, where it was refused or waits.
    pub sentence: Option<String>,
    /// The username it names; absent where it names none, and then the code is for whoever asked.
    pub username: Option<String>,
    /// Where it lies; absent for a file.
    pub origin: Option<Origin>,
    /// What its Date says.
    pub date: Option<Timestamp>,
    /// Its Message-ID.
    pub message_id: Option<String>,
    /// What its From says.
    pub from: Option<String>,
    /// What proves its sender.
    pub proof: Option<Proof>,
    /// What a person should look at, although it counts.
    pub warnings: Vec<String>,
    /// When this became of it.
    pub at: Timestamp,
}

/// What became of a mail with a code, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeEvent {
    /// It passed every check.
    Code,
    /// It claims to bring a code and failed a check.
    Refused,
    /// Its sender cannot be proved yet.
    Pending,
}

impl CodeEvent {
    /// The word that scripts know.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Code => CodeMail::RULES.words().value,
            Self::Refused => "refused",
            Self::Pending => "pending",
        }
    }
}

impl CodeReceipt {
    /// For a mail that was judged; `None` where it makes no claim.
    #[must_use]
    pub fn of(facts: Facts, verdict: Verdict<CodeMail>, origin: Option<&Origin>) -> Option<Self> {
        let mut receipt = Self {
            event: CodeEvent::Code,
            code: None,
            reason: verdict.reason().map(str::to_owned),
            sentence: None,
            username: facts.username,
            origin: origin.cloned(),
            date: facts.date,
            message_id: facts.message_id,
            from: facts.from,
            proof: facts.proof,
            warnings: Vec::new(),
            at: Timestamp::now(),
        };
        match verdict {
            Verdict::NoClaim(_) => return None,
            Verdict::Accepted(mail) => {
                receipt.username = mail.username;
                receipt.date = Some(mail.date);
                receipt.warnings = mail.warnings.iter().map(ToString::to_string).collect();
                receipt.code = Some(mail.code);
            }
            Verdict::Refused(refusal) => {
                receipt.event = CodeEvent::Refused;
                receipt.sentence = Some(refusal.sentence::<CodeMail>().to_string());
            }
            Verdict::Pending(pending) => {
                receipt.event = CodeEvent::Pending;
                receipt.sentence = Some(pending.to_string());
            }
        }
        Some(receipt)
    }

    /// The same for one who began there.
    #[must_use]
    pub fn for_one_from(self, begin: &Begin) -> Self {
        match begin {
            Begin::From(cursor) => self.after(cursor),
            Begin::Within(_) | Begin::Now => self,
        }
    }

    /// The same for one who asked for what comes after a cursor. Of a mail that comes after it and was written before
    /// it, late or seen again, the code is dead: whoever took the cursor has had another one sent since.
    fn after(mut self, cursor: &Cursor) -> Self {
        if let (CodeEvent::Code, Some(date)) = (self.event, self.date)
            && date < cursor.taken - SKEW
        {
            self.event = CodeEvent::Refused;
            self.code = None;
            self.warnings.clear();
            self.reason = Some("before-cursor".to_owned());
            self.sentence = Some(format!(
                "its Date ({date}) is before the cursor ({}), so its code is not the one asked for; {}",
                cursor.taken,
                CodeMail::RULES.words().again
            ));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{CodeEvent, CodeReceipt};
    use crate::imap::Cursor;
    use crate::mail::Code;
    use jiff::{SignedDuration, Timestamp};

    fn receipt(date: Timestamp) -> CodeReceipt {
        CodeReceipt {
            event: CodeEvent::Code,
            code: Some(Code::try_from("012345".to_owned()).expect("six digits")),
            reason: None,
            sentence: None,
            username: None,
            origin: None,
            date: Some(date),
            message_id: None,
            from: None,
            proof: None,
            warnings: Vec::new(),
            at: date,
        }
    }

    #[test]
    fn a_code_from_before_the_cursor_is_refused_and_two_clocks_may_differ_by_a_minute() {
        let taken: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
        let cursor = Cursor {
            account: "a@b.example".to_owned(),
            folder: "INBOX".to_owned(),
            uid_validity: 1,
            uid_next: 1,
            taken,
        };
        for (seconds, counts) in [(1, true), (-60, true), (-61, false), (-600, false)] {
            let date = taken + SignedDuration::from_secs(seconds);
            let receipt = receipt(date).after(&cursor);
            assert_eq!(receipt.code.is_some(), counts, "{seconds}");
            let reason = (!counts).then_some("before-cursor");
            assert_eq!(receipt.reason.as_deref(), reason, "{seconds}");
        }
    }

    #[test]
    fn the_code_is_in_the_json_for_who_asked_and_in_nothing_printed() {
        let receipt = receipt(Timestamp::UNIX_EPOCH);
        assert!(!format!("{receipt:?} {receipt:#?}").contains("012345"));
        let json = serde_json::to_string(&receipt).expect("JSON");
        assert!(
            json.starts_with(r#"{"event":"code","code":"012345","#),
            "{json}"
        );
        let read: CodeReceipt = serde_json::from_str(&json).expect("the same");
        assert_eq!(read, receipt);
    }

    #[test]
    fn what_is_no_code_is_not_read_as_one() {
        for word in ["12345", "1234567", "12345x", "１２３４５６", ""] {
            Code::try_from(word.to_owned()).expect_err(word);
        }
    }
}
