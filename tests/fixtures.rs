//! Every mail in `fixtures/` is judged as the `.json` beside it says. See `fixtures/README.md`.

use std::collections::BTreeSet;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::thread;

use fetch_token::mail::{Judgement, Policy, Recipients, UsernameGlobs, Verdict, judge};
use serde::Deserialize;

/// What `extract --json` says of the mail, without `schema` and `file`, and what only the test needs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// What this mail shows, and where it comes from.
    note: String,
    verdict: String,
    reason: Option<String>,
    username: Option<String>,
    sender: Sender,
    date: Option<String>,
    message_id: Option<String>,
    /// The token in the mail, whether or not it is accepted.
    token: Option<String>,
    /// The tokens in the mail where there are several, or where the one is not whole.
    #[serde(default)]
    tokens: Vec<String>,
    #[serde(default)]
    warnings: Vec<String>,
    policy: Option<Configured>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Sender {
    from: Option<String>,
    proof: Option<String>,
    domain: Option<String>,
}

/// What differs from `Policy::any()`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configured {
    from: Option<Vec<String>>,
    recipients: Option<Vec<String>>,
    usernames: Option<Vec<String>>,
}

struct Fixture {
    name: String,
    raw: Vec<u8>,
    expected: Expected,
    policy: Policy,
}

impl Fixture {
    fn read(eml: &Path) -> Result<Self, String> {
        let json = eml.with_extension("json");
        let raw = fs::read(eml).map_err(|error| format!("cannot be read: {error}"))?;
        let text = fs::read_to_string(&json).map_err(|error| format!("no .json: {error}"))?;
        let expected: Expected =
            serde_json::from_str(&text).map_err(|error| format!("bad .json: {error}"))?;
        let policy = policy(expected.policy.as_ref()).map_err(|error| error.to_string())?;
        Ok(Self {
            name: name(eml),
            raw,
            expected,
            policy,
        })
    }

    /// All tokens in the mail.
    fn tokens(&self) -> impl Iterator<Item = &String> {
        self.expected.token.iter().chain(&self.expected.tokens)
    }

    /// How the judgement differs from what is expected.
    fn differences(&self) -> Vec<String> {
        let expected = &self.expected;
        let judgement = judge(&self.raw, &self.policy);
        let facts = &judgement.facts;
        let (token, warnings) = match &judgement.verdict {
            Verdict::Token(mail) => (
                Some(mail.token.expose().to_owned()),
                mail.warnings
                    .iter()
                    .map(|warning| warning.word().to_owned())
                    .collect(),
            ),
            _ => (None, Vec::new()),
        };
        let accepted = expected
            .token
            .clone()
            .filter(|_| expected.verdict == "token");
        let sender = Sender {
            from: facts.from.clone(),
            proof: None,
            domain: None,
        };
        let mut differences = Vec::new();
        let mut compare = |what: &str, expected: String, found: String| {
            if expected != found {
                differences.push(format!("{what}: expected {expected}, found {found}"));
            }
        };
        let date = facts.date.map(|date| date.to_string());
        let reason = judgement.verdict.reason().map(str::to_owned);
        compare(
            "verdict",
            expected.verdict.clone(),
            judgement.verdict.word().to_owned(),
        );
        compare(
            "reason",
            format!("{:?}", expected.reason),
            format!("{reason:?}"),
        );
        compare(
            "username",
            format!("{:?}", expected.username),
            format!("{:?}", facts.username),
        );
        compare(
            "sender",
            format!("{:?}", expected.sender),
            format!("{sender:?}"),
        );
        compare("date", format!("{:?}", expected.date), format!("{date:?}"));
        compare(
            "message_id",
            format!("{:?}", expected.message_id),
            format!("{:?}", facts.message_id),
        );
        compare("token", format!("{accepted:?}"), format!("{token:?}"));
        compare(
            "warnings",
            format!("{:?}", expected.warnings),
            format!("{warnings:?}"),
        );
        if self
            .tokens()
            .any(|token| words_about(&judgement).contains(token))
        {
            differences.push("a token is in what is printed".to_owned());
        }
        if expected.note.is_empty() {
            differences.push("no note".to_owned());
        }
        differences
    }
}

/// Everything that can be printed about a judgement without asking for the token.
fn words_about(judgement: &Judgement) -> String {
    let sentence = match &judgement.verdict {
        Verdict::Refused(refusal) => refusal.to_string(),
        Verdict::Token(mail) => format!("{} {:?}", mail.identity, mail.warnings),
        Verdict::NotATokenMail(_) => String::new(),
    };
    format!("{judgement:?} {judgement:#?} {sentence}")
}

fn policy(configured: Option<&Configured>) -> Result<Policy, fetch_token::mail::GlobError> {
    let mut policy = Policy::any();
    if let Some(configured) = configured {
        if let Some(from) = &configured.from {
            policy.from.clone_from(from);
        }
        if let Some(recipients) = &configured.recipients {
            policy.recipients = Recipients::of(recipients)?;
        }
        if let Some(usernames) = &configured.usernames {
            policy.usernames = UsernameGlobs::of(usernames)?;
        }
    }
    Ok(policy)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// `english/plain-24`.
fn name(path: &Path) -> String {
    let name = path.strip_prefix(root()).unwrap_or(path);
    name.with_extension("").display().to_string()
}

/// The files of each kind with this extension.
fn files(extension: &str) -> BTreeSet<PathBuf> {
    let kinds = fs::read_dir(root()).expect("fixtures/ can be read");
    kinds
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .flat_map(|kind| fs::read_dir(kind).expect("a kind can be read"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}

fn fixtures() -> Vec<Fixture> {
    files("eml")
        .iter()
        .map(|eml| Fixture::read(eml).unwrap_or_else(|error| panic!("{}: {error}", name(eml))))
        .collect()
}

#[test]
fn every_mail_has_its_expectation_and_every_expectation_its_mail() {
    let names = |extension| -> BTreeSet<String> {
        files(extension).iter().map(|path| name(path)).collect()
    };
    let (mails, expectations) = (names("eml"), names("json"));
    let lone: Vec<_> = mails.symmetric_difference(&expectations).collect();
    assert!(lone.is_empty(), "without its .eml or .json: {lone:?}");
    assert!(mails.len() >= 40, "only {} fixtures", mails.len());
}

#[test]
fn every_mail_is_judged_as_expected() {
    let failures: Vec<String> = fixtures()
        .iter()
        .flat_map(|fixture| {
            let name = &fixture.name;
            let note = &fixture.expected.note;
            fixture
                .differences()
                .into_iter()
                .map(move |difference| format!("{name} ({note})\n    {difference}"))
        })
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// A mail that was cut anywhere yields the whole token or none, and a judgement in any case.
#[test]
fn a_cut_mail_never_yields_a_cut_token() {
    let fixtures = fixtures();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = fixtures.len().div_ceil(workers);
    thread::scope(|scope| {
        for fixtures in fixtures.chunks(share) {
            scope.spawn(|| fixtures.iter().for_each(cut_everywhere));
        }
    });
}

fn cut_everywhere(fixture: &Fixture) {
    for end in 0..fixture.raw.len() {
        let cut = &fixture.raw[..end];
        let judged = panic::catch_unwind(|| judge(cut, &fixture.policy));
        let judgement = judged.unwrap_or_else(|_| panic!("{} cut at {end} panics", fixture.name));
        if let Verdict::Token(mail) = &judgement.verdict {
            assert!(
                fixture.tokens().any(|token| token == mail.token.expose()),
                "{} cut at {end} yields {}",
                fixture.name,
                mail.token.expose()
            );
        }
    }
}
