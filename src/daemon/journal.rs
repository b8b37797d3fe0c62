//! One line in the log for each thing worth knowing.

use std::time::Duration;

use tracing::{info, warn};

use crate::news::News;
use crate::receipt::{Event, Receipt};

/// Writes the log of one account.
#[derive(Debug)]
pub(super) struct Journal {
    account: String,
    /// The last trouble, so that the same is not written every few seconds.
    trouble: Option<String>,
}

impl Journal {
    pub(super) fn of(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            trouble: None,
        }
    }

    pub(super) fn news(&mut self, news: &News) {
        let account = self.account.as_str();
        match news {
            News::Armed { cursor, idle } => {
                let again = self.trouble.take().is_some();
                info!(account, folder = cursor.folder, idle, again, "watching");
            }
            News::Receipt(receipt) => self.receipt(receipt),
            News::Gone(origin) => {
                info!(
                    account,
                    folder = origin.folder,
                    uid = origin.uid,
                    "a mail that waited is gone"
                );
            }
            News::Trouble {
                sentence, again_in, ..
            } => self.trouble(sentence, *again_in),
            News::Failed { sentence, .. } => self.trouble(sentence, Duration::ZERO),
        }
    }

    /// It cannot be watched for now.
    pub(super) fn trouble(&mut self, sentence: &str, again_in: Duration) {
        if self.trouble.as_deref() != Some(sentence) {
            let again_in = again_in.as_secs_f64().ceil();
            warn!(account = self.account, why = sentence, again_in, "trouble");
            self.trouble = Some(sentence.to_owned());
        }
    }

    /// What stands in a mail whose sender is not proved may be anything: it is written escaped.
    fn receipt(&self, receipt: &Receipt) {
        let account = self.account.as_str();
        let username = receipt.username.as_deref().unwrap_or_default();
        let uid = receipt.origin.as_ref().map(|origin| origin.uid);
        let why = receipt.sentence.as_deref().unwrap_or_default();
        let reason = receipt.reason.as_deref().unwrap_or_default();
        match receipt.event {
            Event::Stored => info!(account, ?username, uid, "stored"),
            Event::Refused => warn!(account, ?username, uid, reason, ?why, "refused"),
            Event::PendingJudgement | Event::PendingStorage => {
                warn!(account, ?username, uid, reason, ?why, "pending");
            }
            Event::Already | Event::Outdone | Event::Seen => {
                tracing::debug!(account, uid, event = receipt.event.word(), "taken in");
            }
        }
    }
}
