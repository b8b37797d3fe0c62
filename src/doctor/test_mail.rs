//! A mail to oneself: put into the watched folder by a second connection, announced on the first, and taken out again.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use tokio::time::Instant;

use super::check::{Check, Link, Trouble, took};
use crate::account::Account;
use crate::imap::Credentials;
use crate::imap::connect::Secured;
use crate::imap::error::Error;
use crate::imap::session::Session;
use crate::imap::test_mail::Removed;

/// The mail's subject.
pub(super) const SUBJECT: &str = "fetch-token doctor: a test";

/// How long the announcement may take. Dovecot takes half a second, Exchange up to some seconds.
const ANNOUNCED: Duration = Duration::from_secs(15);

/// What was proved.
pub(super) struct Proved {
    pub(super) check: Check,
    /// When the mail arrived by the server's clock and by ours.
    pub(super) arrival: Option<[Timestamp; 2]>,
}

impl From<Check> for Proved {
    fn from(check: Check) -> Self {
        Self {
            check,
            arrival: None,
        }
    }
}

/// Has `listening`, which has the watched folder open, hear of a mail that another connection puts there.
pub(super) async fn prove(
    account: &Account,
    listening: &mut Session<Secured>,
    credentials: &Credentials,
) -> Result<Proved, Error> {
    let mut writing = account.endpoint.connect().await?;
    writing.login(credentials).await?;
    let Some(idling) = listening.listen().await? else {
        return Ok(Check::not_asked(Link::TestMail, "not sent: the server refuses IDLE").into());
    };
    let now = Timestamp::now();
    let uid = match put(account, &mut writing, now).await? {
        Ok(uid) => uid,
        Err(check) => {
            listening.end(Some(idling)).await?;
            return Ok(check.into());
        }
    };
    let there = Instant::now();
    let heard = listening.hears_of(idling, uid, there + ANNOUNCED).await;
    writing.select(&account.folder).await?;
    let arrival = writing.arrival(&uid.to_string()).await;
    // Whatever was heard, the mail goes.
    let removed = writing.remove(uid).await?;
    writing.logout(None).await;
    let check = if let Some(at) = heard? {
        let time = at.duration_since(there);
        let measured = format!(
            "announced {} after it was put there; {}",
            took(time),
            how(removed)
        );
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Check::sound(Link::TestMail, measured).with("announced_ms", milliseconds)
    } else {
        let sentence = format!(
            "a new mail was not announced within {} s; {}. Set `idle = false`, so that the folder is polled",
            ANNOUNCED.as_secs(),
            how(removed)
        );
        Check::broken(Link::TestMail, Trouble::Mailbox, &sentence)
    };
    let check = match removed {
        Removed::FlaggedOnly => check.advise(format!(
            "Expunge the mail with the subject \"{SUBJECT}\" from {:?} when you expunge the others that are flagged as \
             deleted",
            account.folder
        )),
        Removed::ByUid | Removed::Alone => check,
    };
    Ok(Proved {
        check,
        arrival: arrival?.map(|theirs| [theirs, now]),
    })
}

/// Puts the mail into the watched folder. Gives its UID, or why there is none.
async fn put(
    account: &Account,
    writing: &mut Session<Secured>,
    now: Timestamp,
) -> Result<Result<u32, Check>, Error> {
    let folder = &account.folder;
    let (message_id, mail) = mail(&account.address, now);
    let uid = match writing.append(folder, &mail).await {
        Ok(Some(uid)) => return Ok(Ok(uid)),
        Ok(None) => {
            writing.select(folder).await?;
            writing.uid_of(&message_id).await?
        }
        Err(Error::Refused { text, .. }) => {
            let measured = format!("the server takes no APPEND, so nothing was proved: {text}");
            let advice =
                "Send a mail to yourself, and see whether `fetch-token -vv` tells of it at once";
            let check = Check::not_asked(Link::TestMail, measured).advise(advice);
            return Ok(Err(check));
        }
        Err(error) => return Err(error),
    };
    Ok(uid.ok_or_else(|| {
        let sentence = format!(
            "the server took a mail and does not say where it put it. Delete the mail with the subject \"{SUBJECT}\" \
             from {folder:?}"
        );
        Check::broken(Link::TestMail, Trouble::Mailbox, &sentence)
    }))
}

fn how(removed: Removed) -> &'static str {
    match removed {
        Removed::ByUid => "deleted by its UID",
        Removed::Alone => "deleted, with no other mail flagged as deleted",
        Removed::FlaggedOnly => {
            "flagged as deleted and left, for the server could only expunge it together with other mails"
        }
    }
}

/// The mail, with its Message-ID.
fn mail(address: &str, now: Timestamp) -> (String, String) {
    // A line's end in an address would begin another header field.
    let address: String = address.chars().filter(|c| !c.is_control()).collect();
    let message_id = format!(
        "<doctor-{}-{}@fetch-token.invalid>",
        std::process::id(),
        now.as_nanosecond()
    );
    let date =
        rfc2822::to_string(&now.to_zoned_datetime(jiff::tz::TimeZone::UTC)).unwrap_or_default();
    let mail = format!(
        "From: <{address}>\r\n\
         To: <{address}>\r\n\
         Subject: {SUBJECT}\r\n\
         Date: {date}\r\n\
         Message-ID: {message_id}\r\n\
         Auto-Submitted: auto-generated\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\
         \r\n\
         Put here by \"fetch-token doctor --send-test\" to see whether new mail is\r\n\
         announced. It is deleted at once; if you read this, delete it.\r\n"
    );
    (message_id, mail)
}

#[cfg(test)]
mod tests {
    use super::mail;
    use jiff::Timestamp;

    #[test]
    fn an_address_cannot_add_fields_to_the_mail() {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().expect("a time");
        let (id, text) = mail("a@b.example>\r\nBcc: <c@d.example", now);
        assert!(!text.contains("\r\nBcc"), "{text}");
        assert!(
            text.contains(&id) && text.contains("Date: Tue, 24 Nov 2026 10:00:00"),
            "{text}"
        );
        assert!(text.lines().all(|line| line.len() < 78), "{text}");
    }
}
