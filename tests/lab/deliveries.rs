//! What was delivered, and the oracle: *every token mail delivered is in the keychain in the end, the newest per
//! username last, nothing else is; and none is announced as new twice.*

use super::dovecot::{Dovecot, User};
use super::mail::{TokenMail, random_token};
use super::resident::{Event, Fate, tally};
use super::secret_service::SecretService;
use super::stage::SERVICE;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Every mail that was delivered, in order.
#[derive(Default)]
pub struct Deliveries(Vec<Delivery>);

struct Delivery {
    at: Timestamp,
    account: &'static str,
    /// A mailbox that only we deliver to numbers our mails from 1 on.
    uid: u32,
    username: String,
    token: String,
}

impl Deliveries {
    /// Delivers one more, to a mailbox that nobody else delivers to, for one of its few usernames.
    pub fn deliver(&mut self, dovecot: &Dovecot, user: User, username: &str) {
        let token = random_token();
        let mail = TokenMail::english(username, &token).to(user.name).bytes();
        let staged = dovecot.inbox(user).stage(&mail);
        let before = self.0.iter().filter(|other| other.account == user.name);
        let uid = u32::try_from(before.count() + 1).expect("a few mails");
        let at = Timestamp::now();
        staged.deliver();
        self.0.push(Delivery {
            at,
            account: user.name,
            uid,
            username: username.to_owned(),
            token,
        });
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The newest token of each username: what is to be in the keychain.
    pub fn newest(&self) -> BTreeMap<String, String> {
        let pairs = self.0.iter();
        pairs
            .map(|mail| (mail.username.clone(), mail.token.clone()))
            .collect()
    }

    /// Username and token of each, in order.
    pub fn in_order(&self) -> Vec<(&str, &str)> {
        let mails = self.0.iter();
        mails
            .map(|mail| (mail.username.as_str(), mail.token.as_str()))
            .collect()
    }

    /// What became of a mail, in the order it became of it.
    fn fates<'a>(mail: &'a Delivery, events: &'a [Event]) -> impl Iterator<Item = &'a Event> {
        events
            .iter()
            .filter(|event| (event.account.as_str(), event.uid) == (mail.account, mail.uid))
    }

    /// Those of which nothing final was said yet.
    pub fn open(&self, events: &[Event]) -> usize {
        let is_open = |mail: &&Delivery| {
            let mut fates = Self::fates(mail, events);
            fates.all(|event| event.fate == Fate::Pending)
        };
        self.0.iter().filter(is_open).count()
    }

    /// From delivery to the line that says that the token is stored, which is written after it was read back from the
    /// keychain; for those that a later one outdid, to the line that says so.
    pub fn latencies(&self, events: &[Event]) -> Latencies {
        let mut all: Vec<_> = self
            .0
            .iter()
            .filter_map(|mail| {
                let done = Self::fates(mail, events).find(|event| event.fate != Fate::Pending)?;
                Duration::try_from(done.at.duration_since(mail.at)).ok()
            })
            .collect();
        all.sort_unstable();
        Latencies(all)
    }

    /// What one of several daemons must have said, which do not talk to each other: none is lost or told as new twice.
    #[track_caller]
    pub fn judge_one_of_a_fleet(&self, events: &[Event]) {
        for mail in &self.0 {
            let fates: Vec<_> = Self::fates(mail, events).collect();
            let said = |fate: Fate| fates.iter().filter(|event| event.fate == fate).count();
            let name = format!("mail {} of {}, {fates:#?}", mail.uid, mail.account);
            assert!(said(Fate::Stored) <= 1, "announced as new twice: {name}");
            assert_eq!(said(Fate::Refused), 0, "refused: {name}");
            let is_done = fates.iter().any(|event| event.fate != Fate::Pending);
            assert!(is_done, "lost: {name}");
        }
        println!("{:?}", tally(events.iter().map(|event| event.fate)));
    }

    /// The oracle.
    #[track_caller]
    pub fn judge(&self, events: &[Event], keychain: &SecretService) {
        for mail in &self.0 {
            let fates: Vec<_> = Self::fates(mail, events).collect();
            let said = |fate: Fate| fates.iter().filter(|event| event.fate == fate).count();
            let name = format!("mail {} of {}, {fates:#?}", mail.uid, mail.account);
            assert!(said(Fate::Stored) <= 1, "announced as new twice: {name}");
            assert_eq!(said(Fate::Refused), 0, "refused: {name}");
            let is_stored = said(Fate::Stored) + said(Fate::Already) > 0;
            let is_outdone = said(Fate::Outdone) + said(Fate::Superseded) > 0;
            assert!(is_stored || is_outdone, "lost: {name}");
            let named = fates.iter().filter_map(|event| event.username.as_ref());
            for named in named {
                assert_eq!(*named, mail.username, "another mail: {name}");
            }
            let is_last = !self
                .0
                .iter()
                .any(|other| other.username == mail.username && other.uid > mail.uid);
            assert!(is_stored || !is_last, "the newest is not stored: {name}");
        }
        let strange = events.iter().find(|event| {
            let is_it = |mail: &Delivery| (mail.account, mail.uid) == (&event.account, event.uid);
            !self.0.iter().any(is_it)
        });
        assert_eq!(strange, None, "nobody delivered this");
        assert_eq!(kept(keychain), self.newest(), "what is in the keychain");
        println!(
            "{} mails, none lost, none announced as new twice: {:?}",
            self.0.len(),
            tally(events.iter().map(|event| event.fate))
        );
    }
}

/// What is in the keychain, as another program reads it.
pub fn kept(keychain: &SecretService) -> BTreeMap<String, String> {
    let names = keychain.usernames(SERVICE).into_iter();
    names
        .map(|name| {
            let token = keychain.lookup(SERVICE, &name).unwrap_or_default();
            (name, token)
        })
        .collect()
}

/// How long each took, sorted.
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// What so many of a thousand stay within.
    pub fn permille(&self, permille: usize) -> Duration {
        let rank = (self.0.len() * permille).div_ceil(1000).max(1);
        self.0[rank - 1]
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "p50 {:.0?}, p99 {:.0?}, worst {:.0?} of {}",
            self.permille(500),
            self.permille(990),
            self.permille(1000),
            self.0.len()
        )
    }
}
