//! Which of several mails with a verification code is the answer: the newest that was there when it was answered.

use crate::receipt::{CodeEvent, CodeReceipt};

/// What came so far for the one who asked for a code.
#[derive(Debug, Default)]
pub(super) struct Codes {
    /// The newest, until it is given away.
    answer: Option<CodeReceipt>,
    /// The last that was refused.
    refused: Option<CodeReceipt>,
    /// Those that cannot be judged yet.
    pending: Vec<CodeReceipt>,
}

impl Codes {
    /// Takes what became of a mail; gives what is to be told of it now, never with a code. A code is held until
    /// [`Self::give`].
    pub(super) fn take(
        &mut self,
        mut receipt: CodeReceipt,
        wanted: Option<&str>,
    ) -> Option<CodeReceipt> {
        self.pending.retain(|known| known.origin != receipt.origin);
        let is_ours = match (wanted, &receipt.username) {
            (Some(wanted), Some(username)) => wanted.eq_ignore_ascii_case(username),
            // Where the mail says nothing of whose it is, it is for whoever asks.
            _ => true,
        };
        match receipt.event {
            CodeEvent::Code if is_ours => {
                if self
                    .answer
                    .as_ref()
                    .is_some_and(|known| known.date > receipt.date)
                {
                    receipt.code = None;
                    return Some(receipt);
                }
                return self.answer.replace(receipt).map(|older| CodeReceipt {
                    code: None,
                    ..older
                });
            }
            CodeEvent::Refused if is_ours => self.refused = Some(receipt.clone()),
            CodeEvent::Pending if is_ours => self.pending.push(receipt.clone()),
            CodeEvent::Code | CodeEvent::Refused | CodeEvent::Pending => {}
        }
        receipt.code = None;
        Some(receipt)
    }

    /// Whether there is an answer.
    pub(super) fn has_answer(&self) -> bool {
        self.answer.is_some()
    }

    /// Gives the answer away.
    pub(super) fn give(&mut self) -> Option<CodeReceipt> {
        self.answer.take()
    }

    /// The first that cannot be judged yet.
    pub(super) fn pending(&self) -> Option<Box<CodeReceipt>> {
        self.pending.first().cloned().map(Box::new)
    }

    /// The last that was refused.
    pub(super) fn refused(&self) -> Option<Box<CodeReceipt>> {
        self.refused.clone().map(Box::new)
    }
}

#[cfg(test)]
mod tests {
    use super::Codes;
    use crate::mail::Code;
    use crate::receipt::{CodeEvent, CodeReceipt};
    use jiff::Timestamp;

    fn receipt(code: &str, second: i64, username: Option<&str>) -> CodeReceipt {
        CodeReceipt {
            event: CodeEvent::Code,
            code: Some(Code::try_from(code.to_owned()).expect("six digits")),
            reason: None,
            sentence: None,
            username: username.map(str::to_owned),
            origin: None,
            date: Timestamp::from_second(second).ok(),
            message_id: None,
            from: None,
            proof: None,
            warnings: Vec::new(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn given(codes: &mut Codes) -> Option<String> {
        let code = codes.give()?.code?;
        Some(code.expose().to_owned())
    }

    #[test]
    fn the_newest_is_the_answer_whatever_the_order_and_no_other_is_told() {
        let mut codes = Codes::default();
        for (code, second) in [("111111", 5), ("222222", 7), ("333333", 6)] {
            let told = codes.take(receipt(code, second, None), Some("a@b.example"));
            assert!(told.is_none_or(|told| told.code.is_none()), "{code}");
        }
        assert_eq!(given(&mut codes).as_deref(), Some("222222"));
        assert_eq!(given(&mut codes), None);
    }

    #[test]
    fn one_for_another_username_is_no_answer_and_one_for_nobody_is() {
        let mut codes = Codes::default();
        let wanted = Some("a@b.example");
        let other = codes.take(receipt("111111", 9, Some("c@b.example")), wanted);
        assert_eq!(other.expect("told").code, None);
        assert!(!codes.has_answer());
        assert!(
            codes
                .take(receipt("222222", 5, Some("A@b.example")), wanted)
                .is_none()
        );
        assert_eq!(given(&mut codes).as_deref(), Some("222222"));
        assert!(codes.take(receipt("333333", 5, None), wanted).is_none());
        assert_eq!(given(&mut codes).as_deref(), Some("333333"));
    }
}
