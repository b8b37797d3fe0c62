//! The keys that prove a sender: whether the resolver that is asked for them answers.

use tokio::time::Instant;

use super::check::{Check, Link, Trouble, took};
use crate::dns::{self, KeySource};
use crate::imap::error::ServerText;
use crate::mail::Answer;

/// A name that has a TXT record as long as Salesforce sends mail. The names of its keys come with its mails.
const NAME: &str = "_dmarc.salesforce.com";

pub(super) async fn look_up(keys: Result<KeySource, dns::Error>) -> Check {
    let keys = match keys {
        Ok(KeySource::File(_)) => {
            let measured = "keys come from a file, in place of DNS";
            return Check::not_asked(Link::Keys, measured);
        }
        Ok(keys) => keys,
        Err(error) => return Check::broken(Link::Keys, Trouble::Configuration, &error.to_string()),
    };
    let begin = Instant::now();
    let answers = keys.ask(&[NAME.to_owned()]).await;
    let time = took(begin.elapsed());
    match answers.get(NAME) {
        Some(Answer::Records(records)) => {
            let said = records.iter().find_map(|record| policy(record));
            let said = said.unwrap_or_else(|| "no DMARC policy".to_owned());
            let measured = format!("DNS says of {NAME}: {said} ({time})");
            Check::sound(Link::Keys, measured).with("records", records.len())
        }
        Some(Answer::NoSuchName) => {
            let sentence = format!(
                "DNS says that {NAME} does not exist ({time}), which it does: the resolver does not tell the truth \
                 about names outside. Set `resolver` to one that does"
            );
            Check::broken(Link::Keys, Trouble::Pending, &sentence)
        }
        Some(Answer::Silent) | None => {
            let sentence = format!(
                "DNS does not answer for {NAME} (waited {time}), so that no sender can be proved and token mails wait. \
                 Check the network and the system's resolver, or set `resolver`"
            );
            Check::broken(Link::Keys, Trouble::Pending, &sentence)
        }
    }
}

/// The `p=` of a DMARC record (RFC 7489 §6.3).
fn policy(record: &str) -> Option<String> {
    let mut tags = record.split(';').map(str::trim);
    if tags.next()? != "v=DMARC1" {
        return None;
    }
    let policy = tags.find(|tag| tag.starts_with("p="))?;
    Some(ServerText::new(policy).to_string())
}

#[cfg(test)]
mod tests {
    use super::policy;

    #[test]
    fn a_policy_is_read_from_a_dmarc_record_only() {
        assert_eq!(
            policy("v=DMARC1; p=reject; pct=100").as_deref(),
            Some("“p=reject”")
        );
        assert_eq!(policy("v=spf1 p=reject"), None);
        assert_eq!(policy(""), None);
    }
}
