//! `fetch-token doctor`: every link of the chain, and what to do about a broken one.

use serde_json::{Map, Value, json};

use super::announce::object;
use super::{Exit, Failure, House};
use crate::cli::DoctorArgs;
use crate::config;
use crate::doctor::{Check, Doctor, Trouble};

pub(super) async fn doctor(house: &House, args: DoctorArgs) -> Result<Exit, Failure> {
    let checks = checks(house, args.account, args.send_test, false).await?;
    let mut last = None;
    for check in &checks {
        if last != Some(&check.account) {
            heading(house, check, last.is_none());
            last = Some(&check.account);
        }
        house.announcer.result(&lines(check), described(check));
    }
    let first = checks.iter().find_map(Check::trouble);
    Ok(first.map_or(Exit::Done, exit))
}

/// Tries what is to be tried.
pub(super) async fn checks(
    house: &House,
    account: Option<String>,
    sends_test: bool,
    is_offline: bool,
) -> Result<Vec<Check>, Failure> {
    let doctor = Doctor {
        file: house.config_file()?,
        state: config::state_directory()?,
        runtime: config::runtime_directory()?,
        units: config::directories()?.config_dir().parent().map(Into::into),
        keychain: house.keychain.clone(),
        dkim_keys: house.global.dkim_keys.clone(),
        account,
        sends_test,
        is_offline,
    };
    Ok(doctor.examine().await?)
}

/// Whose links follow; programs read it in each object.
fn heading(house: &House, check: &Check, is_first: bool) {
    if house.announcer.speaks_json() {
        return;
    }
    let whose = check.account.as_deref().unwrap_or("this machine");
    let blank = if is_first { "" } else { "\n" };
    house
        .announcer
        .result(&format!("{blank}{whose}"), Map::new());
}

/// The widest link's name and its distance from the next column.
const NAMES: usize = 20;

/// How a check is shown: what was measured, and below it what to do.
fn lines(check: &Check) -> String {
    let mut text = format!(
        "  {} {:<NAMES$}{}",
        check.verdict.sign(),
        check.link.word(),
        check.measured
    );
    for (number, line) in check
        .advice
        .iter()
        .flat_map(|advice| advice.lines().enumerate())
    {
        let arrow = if number == 0 { "→ " } else { "  " };
        text.push_str(format!("\n    {:<NAMES$}{arrow}{line}", "").trim_end());
    }
    text
}

pub(super) fn described(check: &Check) -> Map<String, Value> {
    object(json!({
        "event": "check",
        "check": check.link.word(),
        "account": check.account,
        "verdict": check.verdict.word(),
        "exit": check.trouble().map(|trouble| exit(trouble).code()),
        "measured": check.measured,
        "advice": check.advice,
        "facts": check.facts,
    }))
}

fn exit(trouble: Trouble) -> Exit {
    match trouble {
        Trouble::Unexpected => Exit::Unexpected,
        Trouble::Configuration => Exit::Usage,
        Trouble::Mailbox => Exit::Mailbox,
        Trouble::Login => Exit::Login,
        Trouble::Keychain => Exit::Keychain,
        Trouble::Pending => Exit::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::lines;
    use crate::doctor::{Check, Link, Trouble};

    #[test]
    fn a_broken_link_is_shown_with_what_to_do_below_it() {
        let sentence = "localhost port 1 cannot be reached. Check `port`";
        let shown = lines(&Check::broken(Link::Tcp, Trouble::Mailbox, sentence));
        let expected = "  ✗ tcp                 localhost port 1 cannot be reached\n                        → Check `port`";
        assert_eq!(shown, expected);
    }
}
