//! `fetch-token extract`: judge mails from files, and store their tokens where asked to; or judge them for codes.

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::announce::{object, sender};
use super::{Exit, Failure, House};
use crate::cli::ExtractArgs;
use crate::config::{self, Config};
use crate::intake::{Fate, Incoming, Intake, Mode, Outcome};
use crate::mail::{CodeMail, Facts, MAX_MAIL, Policy, Verdict};

pub(super) async fn extract(house: &House, args: ExtractArgs) -> Result<Exit, Failure> {
    let config = config(house)?;
    let intake = house.intake_with(config.as_ref().and_then(|config| config.keys.as_ref()))?;
    let policies = policies(config.as_ref());
    let mode = if args.store {
        Mode::Store
    } else {
        Mode::JudgeOnly
    };
    let mut worst = Exit::Done;
    for file in &args.files {
        let exit = match read(file) {
            Err(why) => {
                unreadable(house, file, &why);
                Exit::Usage
            }
            Ok(raw) if args.code => {
                let judged = judge_code(&intake, &raw, &policies).await;
                judged.map_or(Exit::Unexpected, |(facts, verdict)| {
                    report_code(house, file, &facts, &verdict, args.print)
                })
            }
            Ok(raw) => {
                let incoming = || {
                    vec![Incoming {
                        raw: &raw,
                        origin: None,
                    }]
                };
                let mut outcome = None;
                for policy in &policies {
                    outcome = intake.take(incoming(), policy, mode).await.pop();
                    // A mail that one account refuses may be another's.
                    if !matches!(&outcome, Some(outcome) if matches!(outcome.fate, Fate::Refused(_)))
                    {
                        break;
                    }
                }
                outcome.map_or(Exit::Unexpected, |outcome| {
                    report(house, file, &outcome, args.print)
                })
            }
        };
        if rank(exit) > rank(worst) {
            worst = exit;
        }
    }
    Ok(worst)
}

/// Judges a mail as one with a code. One that one account refuses may be another's.
async fn judge_code(
    intake: &Intake,
    raw: &[u8],
    policies: &[Policy],
) -> Option<(Facts, Verdict<CodeMail>)> {
    let mut judged = None;
    for policy in policies {
        let (facts, verdict) = intake.judge_code(raw, policy).await;
        let is_refused = matches!(verdict, Verdict::Refused(_));
        judged = Some((facts, verdict));
        if !is_refused {
            break;
        }
    }
    judged
}

/// The configuration; `None` where the user has none and names none.
fn config(house: &House) -> Result<Option<Config>, Failure> {
    match house.config() {
        Ok(config) => Ok(Some(config)),
        Err(_) if house.global.config.is_none() && !config::default_file()?.exists() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// What the accounts accept; anything where none is configured.
fn policies(config: Option<&Config>) -> Vec<Policy> {
    let Some(config) = config else {
        return vec![Policy::any()];
    };
    let accounts = config.accounts.iter();
    accounts
        .map(|account| Policy::clone(&account.policy))
        .collect()
}

/// Reads a mail, at most one octet more than is judged.
fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut raw = Zeroizing::new(Vec::new());
    let limit = MAX_MAIL as u64 + 1;
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut raw)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(limit).read_to_end(&mut raw))
    };
    match read {
        Err(error) => Err(format!("cannot be read ({error})")),
        Ok(0) => Err("is empty, so it is no mail".to_owned()),
        Ok(_) => Ok(raw),
    }
}

fn unreadable(house: &House, file: &Path, why: &str) {
    house
        .announcer
        .error(&format!("fetch-token: {} {why}.", file.display()));
    house.announcer.object(object(json!({
        "file": file.to_string_lossy(),
        "verdict": null,
        "reason": "unreadable",
        "username": null,
        "sender": {"from": null, "proof": null, "domain": null},
        "date": null,
        "message_id": null,
    })));
}

/// Prints one mail's verdict; gives its exit code.
fn report(house: &House, file: &Path, outcome: &Outcome, print: bool) -> Exit {
    let facts = &outcome.facts;
    let name = file.display();
    let (verdict, reason, text, exit) = match &outcome.fate {
        Fate::Judged(mail) | Fate::Outdone(mail) => (
            "token",
            None,
            format!("{name}: a token for {}", mail.username),
            Exit::Done,
        ),
        Fate::Stored(mail) => (
            "token",
            None,
            format!("{name}: a token for {}, stored", mail.username),
            Exit::Done,
        ),
        Fate::Already(mail) => (
            "token",
            None,
            format!("{name}: a token for {}, stored already", mail.username),
            Exit::Done,
        ),
        Fate::NotATokenMail(why) => (
            "not-a-token-mail",
            Some(why.reason()),
            format!("{name}: no token mail"),
            Exit::Done,
        ),
        Fate::Refused(refused) => (
            "refused",
            Some(refused.reason),
            format!("{name}: refused ({}): {}", refused.reason, refused.sentence),
            Exit::Refused,
        ),
        Fate::Pending(pending) => (
            "pending",
            Some(pending.why.reason()),
            format!(
                "{name}: pending ({}): {}",
                pending.why.reason(),
                pending.why
            ),
            Failure::from_obstacle(&pending.why).exit,
        ),
    };
    let mut described = describe(file, verdict, reason, facts);
    let mail = match &outcome.fate {
        Fate::Judged(mail) | Fate::Outdone(mail) | Fate::Stored(mail) | Fate::Already(mail) => {
            Some(mail)
        }
        _ => None,
    };
    for warning in mail.iter().flat_map(|mail| &mail.warnings) {
        house.announcer.say(&format!("{name}: warning: {warning}."));
    }
    let token = mail.filter(|_| print).map(|mail| mail.token.expose());
    if let Some(token) = token {
        described.insert("token".to_owned(), Value::from(token));
    }
    match token {
        Some(token) => house
            .announcer
            .result(&format!("{text}\n{token}"), described),
        None => house.announcer.result(&text, described),
    }
    exit
}

/// Prints what became of a mail that was judged as one with a code; gives its exit code.
fn report_code(
    house: &House,
    file: &Path,
    facts: &Facts,
    verdict: &Verdict<CodeMail>,
    print: bool,
) -> Exit {
    let name = file.display();
    let reason = verdict.reason();
    let why = reason.unwrap_or_default();
    let (text, exit) = match verdict {
        Verdict::Accepted(mail) => {
            for warning in &mail.warnings {
                house.announcer.say(&format!("{name}: warning: {warning}."));
            }
            let whose = mail.username.as_deref().unwrap_or("whoever asked for it");
            (format!("{name}: a code for {whose}"), Exit::Done)
        }
        Verdict::NoClaim(_) => (format!("{name}: no mail with a code"), Exit::Done),
        Verdict::Refused(refusal) => {
            let sentence = refusal.sentence::<CodeMail>();
            (
                format!("{name}: refused ({why}): {sentence}"),
                Exit::Refused,
            )
        }
        Verdict::Pending(pending) => (format!("{name}: pending ({why}): {pending}"), Exit::Pending),
    };
    let mut described = describe(file, verdict.word(), reason, facts);
    match verdict {
        Verdict::Accepted(mail) if print => {
            let code = mail.code.expose();
            described.insert("code".to_owned(), Value::from(code));
            house
                .announcer
                .result(&format!("{text}\n{code}"), described);
        }
        _ => house.announcer.result(&text, described),
    }
    exit
}

/// A verdict as an object.
fn describe(file: &Path, verdict: &str, reason: Option<&str>, facts: &Facts) -> Map<String, Value> {
    object(json!({
        "file": file.to_string_lossy(),
        "verdict": verdict,
        "reason": reason,
        "username": facts.username,
        "sender": sender(facts.from.as_deref(), facts.proof.as_ref()),
        "date": facts.date.map(|date| date.to_string()),
        "message_id": facts.message_id,
    }))
}

/// How bad an input's exit code is, for the command's own: 1, 2, 6, 7, 9, 0 from the worst.
fn rank(exit: Exit) -> u8 {
    match exit {
        Exit::Done => 0,
        Exit::Pending => 1,
        Exit::Refused => 2,
        Exit::Keychain => 3,
        Exit::Usage => 4,
        _ => 5,
    }
}
