//! A report for people.

use std::fmt::Write as _;

use serde_json::Value;

use super::{NOTE, Report};

/// The shortest fence of a block of code (`CommonMark` §4.5).
const FENCE: usize = 3;

pub(super) fn write(report: &Report) -> String {
    let mut text = format!("# Report of fetch-token\n\n{NOTE}\n");
    let masks: Vec<_> = report
        .masks
        .iter()
        .map(|(name, count)| format!("{count} × {name}"))
        .collect();
    if !masks.is_empty() {
        let _ = write!(text, "\nMasked: {}.\n", masks.join(", "));
    }
    section(&mut text, "Program", &facts(&report.program));
    section(&mut text, "Machine", &facts(&report.machine));
    match &report.configuration {
        None => section(&mut text, "Configuration", "none\n"),
        Some(Ok(read)) => section(&mut text, "Configuration", &block("toml", &read.toml)),
        Some(Err(why)) => section(&mut text, "Configuration", &block("", why)),
    }
    let checks: Vec<_> = report.checks.iter().map(check).collect();
    section(&mut text, "Doctor", &block("", &checks.join("\n")));
    match &report.daemon {
        None => section(&mut text, "Daemon", "none runs\n"),
        Some(Ok(accounts)) => {
            let lines: Vec<_> = accounts.iter().map(ToString::to_string).collect();
            section(&mut text, "Daemon", &block("json", &lines.join("\n")));
        }
        Some(Err(why)) => section(&mut text, "Daemon", &block("", why)),
    }
    match &report.ledger {
        None => section(&mut text, "Ledger", "none\n"),
        Some(Ok(numbers)) => section(&mut text, "Ledger", &block("json", &numbers.to_string())),
        Some(Err(why)) => section(&mut text, "Ledger", &block("", why)),
    }
    text
}

fn section(text: &mut String, title: &str, body: &str) {
    let _ = write!(text, "\n## {title}\n\n{body}");
}

fn facts(facts: &Value) -> String {
    let members = facts.as_object().into_iter().flatten();
    let lines = members
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Array(list) if list.is_empty() => "none".to_owned(),
                Value::Array(list) => list
                    .iter()
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join(", "),
                other => other.to_string(),
            };
            format!("- {name}: {value}\n")
        });
    lines.collect()
}

/// A block of code, with a fence that nothing in it ends.
fn block(language: &str, body: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for character in body.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(FENCE.max(longest + 1));
    format!("{fence}{language}\n{body}\n{fence}\n")
}

/// A check in a line, and what to do below it.
fn check(check: &Value) -> String {
    let word = |name: &str| check[name].as_str().unwrap_or_default();
    let account = match word("account") {
        "" => String::new(),
        account => format!("{account} "),
    };
    let mut line = format!(
        "{:<10}{account}{}: {}",
        word("verdict"),
        word("check"),
        word("measured")
    );
    for advice in word("advice").lines() {
        line.push_str(format!("\n            {advice}").trim_end());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::block;

    #[test]
    fn nothing_in_a_block_ends_it() {
        assert_eq!(block("toml", "a"), "```toml\na\n```\n");
        assert_eq!(block("", "a\n````\nb"), "`````\na\n````\nb\n`````\n");
    }
}
