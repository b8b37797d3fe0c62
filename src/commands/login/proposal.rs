//! Whose tokens may come here: proposed from the token mails that came.

use std::sync::Arc;

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::account::Account;
use crate::cli::LoginArgs;
use crate::commands::announce::table;
use crate::commands::{Exit, Failure, House};
use crate::config::Config;
use crate::dns::KeySource;
use crate::imap::connect::Secured;
use crate::imap::session::Session;
use crate::mail::{self, UsernameGlobs, Verdict};

/// How far back it is looked.
const YEAR: SignedDuration = SignedDuration::from_hours(24 * 365);

/// Most mails from Salesforce that are looked at.
const MOST: usize = 300;

/// A username that a token mail names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposal {
    username: String,
    /// Why nothing proves that Salesforce sent one of its mails.
    doubt: Option<&'static str>,
}

/// Where nobody can be asked, the usernames must be named.
pub(super) fn ensure_possible(house: &House, args: &LoginArgs) -> Result<(), Failure> {
    UsernameGlobs::of(&args.usernames)
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    if args.usernames.is_empty() && (args.password_stdin || !house.announcer.has_terminal()) {
        let message = "nobody can be asked whose tokens may come here. Say it with --username, for example --username \
                       '*@acme.example', or '*' for any";
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(())
}

/// The usernames in the token mails of the last year; the proved ones first. What cannot be found is typed instead.
pub(super) async fn find(
    house: &House,
    config: &Config,
    account: &Arc<Account>,
    session: &mut Session<Secured>,
) -> Vec<Proposal> {
    let keys = KeySource::chosen(house.global.dkim_keys.as_deref(), config.keys.as_ref());
    let (Ok(keys), Ok(year_ago)) = (keys, Timestamp::now().checked_sub(YEAR)) else {
        return Vec::new();
    };
    let since = Offset::UTC.to_datetime(year_ago).date();
    let senders = &account.policy.from;
    let messages = match session.fetch_from(senders, since, MOST).await {
        Ok(messages) => messages,
        Err(error) => {
            house
                .announcer
                .say(&format!("Old token mails cannot be looked for: {error}."));
            return Vec::new();
        }
    };
    let mut proposals: Vec<Proposal> = Vec::new();
    // The newest first: its spelling counts.
    for message in messages.iter().rev() {
        let now = Timestamp::now();
        let mut judgement = mail::judge(&message.raw, &account.policy, &mail::Unasked, now);
        if let Verdict::Pending(pending) = &judgement.verdict {
            let keys = keys.ask(&pending.keys).await;
            judgement = mail::judge(&message.raw, &account.policy, &keys, now);
        }
        let Some(username) = judgement.facts().username else {
            continue;
        };
        let doubt = judgement.verdict.reason();
        let is_it = |known: &&mut Proposal| known.username.eq_ignore_ascii_case(&username);
        match proposals.iter_mut().find(is_it) {
            Some(known) if doubt.is_none() => known.doubt = None,
            Some(_) => {}
            None => proposals.push(Proposal { username, doubt }),
        }
    }
    proposals.sort_by_key(|proposal| proposal.doubt.is_some());
    proposals
}

/// The usernames that the command line names, else those that a person chooses.
pub(super) async fn choose(
    house: &House,
    args: &LoginArgs,
    account: &Account,
    proposals: Vec<Proposal>,
) -> Result<Vec<String>, Failure> {
    if !args.usernames.is_empty() {
        return Ok(args.usernames.clone());
    }
    let announcer = &house.announcer;
    announcer.error("");
    if proposals.is_empty() {
        announcer.error("No token mail of the last year was found there.");
    } else {
        announcer.error("Token mails of the last year there name:");
        let rows: Vec<_> = proposals
            .iter()
            .enumerate()
            .map(|(number, proposal)| {
                let word = proposal.doubt.map_or_else(
                    || "proved".to_owned(),
                    |reason| format!("not proved ({reason})"),
                );
                [format!("{}", number + 1), proposal.username.clone(), word]
            })
            .collect();
        for line in table(["", "username", "its mail"], &rows) {
            announcer.error(&format!("  {line}"));
        }
    }
    let proved: Vec<_> = proposals.iter().filter(|p| p.doubt.is_none()).collect();
    let default: Vec<String> = proved.iter().map(|p| p.username.clone()).collect();
    let glob = globs(&proposals, account).join(" ");
    announcer.error(&format!(
        "Whose tokens may come here? Type usernames, numbers of the list, or globs such as {glob};\n\
         \"all\" is the whole list, \"any\" is every username."
    ));
    loop {
        let shown = default.join(" ");
        let prompt = if shown.is_empty() {
            "Usernames: ".to_owned()
        } else {
            format!("Usernames [{shown}]: ")
        };
        let answer = announcer.ask(&prompt).await?;
        match read(&answer, &proposals, &default) {
            Ok(usernames) => return Ok(usernames),
            Err(why) => announcer.error(&why),
        }
    }
}

/// One glob for each domain of the usernames that are known, else of the mailbox.
fn globs(proposals: &[Proposal], account: &Account) -> Vec<String> {
    let names = proposals.iter().map(|proposal| proposal.username.as_str());
    let mut globs: Vec<String> = names
        .chain(proposals.is_empty().then_some(account.address.as_str()))
        .filter_map(|name| name.rsplit_once('@'))
        .map(|(_, domain)| format!("*@{}", domain.to_ascii_lowercase()))
        .collect();
    globs.sort_unstable();
    globs.dedup();
    globs
}

/// What a person typed.
fn read(answer: &str, proposals: &[Proposal], default: &[String]) -> Result<Vec<String>, String> {
    let words: Vec<_> = answer
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .collect();
    let mut usernames = Vec::new();
    for word in &words {
        match (word.to_lowercase().as_str(), word.parse::<usize>()) {
            ("all", _) => usernames.extend(proposals.iter().map(|p| globset::escape(&p.username))),
            ("any", _) => usernames.push("*".to_owned()),
            (_, Ok(number)) => {
                let proposal = number.checked_sub(1).and_then(|at| proposals.get(at));
                let proposal =
                    proposal.ok_or_else(|| format!("The list has no number {number}."))?;
                usernames.push(globset::escape(&proposal.username));
            }
            (_, Err(_)) if word.contains('@') || *word == "*" => usernames.push((*word).to_owned()),
            _ => return Err(format!("{word:?} is no username, which holds an @.")),
        }
    }
    if words.is_empty() {
        usernames.extend(default.iter().map(|username| globset::escape(username)));
    }
    UsernameGlobs::of(&usernames).map_err(|error| format!("{error}."))?;
    usernames.dedup();
    if usernames.is_empty() {
        return Err("At least one is needed.".to_owned());
    }
    Ok(usernames)
}

#[cfg(test)]
mod tests {
    use super::{Proposal, read};

    #[test]
    fn what_is_typed_names_usernames_numbers_and_globs() {
        let proposal = |username: &str, doubt| Proposal {
            username: username.to_owned(),
            doubt,
        };
        let list = [
            proposal("etl@acme.example", None),
            proposal("boss[1]@acme.example", Some("signature-expired")),
        ];
        let default = ["etl@acme.example".to_owned()];
        for (answer, expected) in [
            ("\n", Ok(vec!["etl@acme.example"])),
            (
                "all",
                Ok(vec!["etl@acme.example", "boss[[]1[]]@acme.example"]),
            ),
            ("2", Ok(vec!["boss[[]1[]]@acme.example"])),
            ("any", Ok(vec!["*"])),
            (
                "*@acme.example, me@b.example",
                Ok(vec!["*@acme.example", "me@b.example"]),
            ),
            ("3", Err("The list has no number 3.")),
            ("0", Err("The list has no number 0.")),
            ("etl", Err("\"etl\" is no username, which holds an @.")),
        ] {
            let chosen = read(answer, &list, &default);
            let expected = expected
                .map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>())
                .map_err(str::to_owned);
            assert_eq!(chosen, expected, "{answer:?}");
        }
        assert_eq!(
            read("", &list, &[]),
            Err("At least one is needed.".to_owned())
        );
    }
}
