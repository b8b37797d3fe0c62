//! Verification codes: looked for only while somebody asks for one, and told only as such.

use std::collections::VecDeque;

use tokio::sync::watch;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{Sought, Told};
use crate::imap::Message;
use crate::intake::{self, Intake};
use crate::ledger::Origin;
use crate::mail::Policy;
use crate::news::Whence;
use crate::receipt::{CodeEvent, CodeReceipt};

/// Most octets that are held of mails whose sender cannot be proved yet. Where there is no room the oldest goes: of two
/// codes only the later counts.
const ROOM: usize = 4 * 1024 * 1024;

/// Looks for codes in the mails of an account.
#[derive(Debug)]
pub(super) struct Codes {
    sought: watch::Receiver<Sought>,
    held: VecDeque<Held>,
    tries: u32,
    again_at: Instant,
}

/// A mail whose sender cannot be proved yet.
struct Held {
    raw: Zeroizing<Vec<u8>>,
    origin: Origin,
    whence: Whence,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Held({:?})", self.origin)
    }
}

impl Codes {
    pub(super) fn new(sought: watch::Receiver<Sought>) -> Self {
        Self {
            sought,
            held: VecDeque::new(),
            tries: 0,
            again_at: Instant::now(),
        }
    }

    fn are_sought(&self) -> bool {
        self.sought.borrow().codes
    }

    /// What the mails say that were found together, the latest first.
    pub(super) async fn take(
        &mut self,
        mails: &[Message],
        account: &str,
        whence: Whence,
        intake: &Intake,
        policy: &Policy,
    ) -> Vec<Told> {
        // Those that wait for what their tokens need hold no code.
        if !self.are_sought() || whence == Whence::Waited {
            return Vec::new();
        }
        let mut receipts = Vec::new();
        for mail in mails {
            let origin = mail.origin(account);
            let (facts, verdict) = intake.judge_code(&mail.raw, policy).await;
            let Some(receipt) = CodeReceipt::of(facts, verdict, Some(&origin)) else {
                continue;
            };
            if receipt.event == CodeEvent::Pending {
                self.hold(Held {
                    raw: mail.raw.clone(),
                    origin,
                    whence,
                });
            }
            receipts.push(receipt);
        }
        let place = |receipt: &CodeReceipt| {
            let uid = receipt.origin.as_ref().map(|origin| origin.uid);
            (receipt.date, uid)
        };
        receipts.sort_by_key(|receipt| std::cmp::Reverse(place(receipt)));
        receipts
            .into_iter()
            .map(|receipt| Told::Code(Box::new(receipt), whence))
            .collect()
    }

    fn hold(&mut self, held: Held) {
        if self.held.is_empty() {
            self.tries = 0;
            self.again_at = Instant::now() + intake::pause(0);
        }
        self.held.push_back(held);
        let weight = |held: &VecDeque<Held>| held.iter().map(|held| held.raw.len()).sum::<usize>();
        while self.held.len() > 1 && weight(&self.held) > ROOM {
            self.held.pop_front();
        }
    }

    /// When those that wait are to be judged again.
    pub(super) fn next_at(&self) -> Option<Instant> {
        (!self.held.is_empty()).then_some(self.again_at)
    }

    /// Judges those again that wait; says what became of those that wait no longer.
    pub(super) async fn try_again(&mut self, intake: &Intake, policy: &Policy) -> Vec<Told> {
        self.tries = self.tries.saturating_add(1);
        self.again_at = Instant::now() + intake::pause(self.tries);
        let mut told = Vec::new();
        if !self.are_sought() {
            self.held.clear();
        }
        for held in std::mem::take(&mut self.held) {
            let (facts, verdict) = intake.judge_code(&held.raw, policy).await;
            match CodeReceipt::of(facts, verdict, Some(&held.origin)) {
                Some(receipt) if receipt.event == CodeEvent::Pending => self.held.push_back(held),
                Some(receipt) => told.push(Told::Code(Box::new(receipt), held.whence)),
                None => {}
            }
        }
        told
    }
}
