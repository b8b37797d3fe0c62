//! Every mail in `fixtures/` is judged as the `.json` beside it says. See `fixtures/README.md`.

use std::collections::BTreeSet;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::thread;

use fetch_token::mail::{
    Answer, CodeMail, Judgement, KeyFile, Keys, Kind, Policy, Recipients, UsernameGlobs, Verdict,
    Warning, judge, judge_code,
};
use jiff::Timestamp;
use serde::Deserialize;

/// The time of judging where the fixture names no other: every mail is from before.
const NOW: &str = "2026-11-24T12:00:00Z";

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
    /// The code that the mail brings.
    code: Option<String>,
    /// The codes in a mail that is not accepted.
    #[serde(default)]
    codes: Vec<String>,
    #[serde(default)]
    warnings: Vec<String>,
    policy: Option<Configured>,
    /// The time of judging.
    now: Option<Timestamp>,
    /// DNS does not answer.
    #[serde(default)]
    dns_is_silent: bool,
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
    domains: Option<Vec<String>>,
    trusted_authserv_id: Option<String>,
}

/// Where the mails lie that are judged for codes.
const CODE_KINDS: [&str; 3] = ["code/", "code-refused/", "not-a-code-mail/"];

struct Fixture {
    name: String,
    raw: Vec<u8>,
    expected: Expected,
    policy: Policy,
    keys: Dns,
}

/// `keys.json` in place of DNS.
enum Dns {
    Answers(KeyFile),
    Silent,
}

impl Keys for Dns {
    fn txt(&self, name: &str) -> Answer {
        match self {
            Self::Answers(keys) => keys.txt(name),
            Self::Silent => Answer::Silent,
        }
    }
}

impl Fixture {
    fn read(eml: &Path) -> Result<Self, String> {
        let json = eml.with_extension("json");
        let raw = fs::read(eml).map_err(|error| format!("cannot be read: {error}"))?;
        let text = fs::read_to_string(&json).map_err(|error| format!("no .json: {error}"))?;
        let expected: Expected =
            serde_json::from_str(&text).map_err(|error| format!("bad .json: {error}"))?;
        let policy = policy(expected.policy.as_ref()).map_err(|error| error.to_string())?;
        let keys = if expected.dns_is_silent {
            Dns::Silent
        } else {
            Dns::Answers(published_keys())
        };
        Ok(Self {
            name: name(eml),
            raw,
            expected,
            policy,
            keys,
        })
    }

    fn now(&self) -> Timestamp {
        self.expected
            .now
            .unwrap_or_else(|| NOW.parse().expect("a time"))
    }

    fn judge<'r>(&self, raw: &'r [u8]) -> Judgement<'r> {
        judge(raw, &self.policy, &self.keys, self.now())
    }

    fn judge_code<'r>(&self, raw: &'r [u8]) -> Judgement<'r, CodeMail> {
        judge_code(raw, &self.policy, &self.keys, self.now())
    }

    /// Whether it is a mail to be judged for a code.
    fn is_about_codes(&self) -> bool {
        CODE_KINDS.iter().any(|kind| self.is_of(kind))
    }

    /// The values in the mail, accepted or not.
    fn values(&self) -> impl Iterator<Item = &String> {
        let codes = self.expected.code.iter().chain(&self.expected.codes);
        self.tokens().chain(codes)
    }

    fn is_of(&self, kind: &str) -> bool {
        self.name.starts_with(kind)
    }

    /// All tokens in the mail.
    fn tokens(&self) -> impl Iterator<Item = &String> {
        self.expected.token.iter().chain(&self.expected.tokens)
    }

    /// How the judgement differs from what is expected.
    fn differences(&self) -> Vec<String> {
        if self.is_about_codes() {
            let judgement = self.judge_code(&self.raw);
            let value = match &judgement.verdict {
                Verdict::Accepted(mail) => Some((mail.code.expose(), &mail.warnings)),
                _ => None,
            };
            self.differences_of(&judgement, self.expected.code.as_ref(), value)
        } else {
            let judgement = self.judge(&self.raw);
            let value = match &judgement.verdict {
                Verdict::Accepted(mail) => Some((mail.token.expose(), &mail.warnings)),
                _ => None,
            };
            self.differences_of(&judgement, self.expected.token.as_ref(), value)
        }
    }

    fn differences_of<K: Kind + std::fmt::Debug>(
        &self,
        judgement: &Judgement<K>,
        value: Option<&String>,
        accepted: Option<(&str, &Vec<Warning>)>,
    ) -> Vec<String> {
        let expected = &self.expected;
        let facts = judgement.facts();
        let value = value.filter(|_| expected.verdict == K::RULES.words().value);
        let warnings: Vec<_> = accepted
            .iter()
            .flat_map(|(_, warnings)| *warnings)
            .collect();
        let warnings: Vec<_> = warnings.iter().map(|warning| warning.word()).collect();
        let sender = Sender {
            from: facts.from.clone(),
            proof: facts
                .proof
                .as_ref()
                .map(|proof| proof.method.word().to_owned()),
            domain: facts.proof.as_ref().map(|proof| proof.domain.clone()),
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
        let found = accepted.map(|(value, _)| value);
        compare("value", format!("{value:?}"), format!("{found:?}"));
        compare(
            "warnings",
            format!("{:?}", expected.warnings),
            format!("{warnings:?}"),
        );
        let words = words_about(judgement);
        if self.values().any(|value| words.contains(value)) {
            differences.push("a secret is in what is printed".to_owned());
        }
        if expected.note.is_empty() {
            differences.push("no note".to_owned());
        }
        differences
    }
}

/// Everything that can be printed about a judgement without asking for its secret.
fn words_about<K: Kind + std::fmt::Debug>(judgement: &Judgement<K>) -> String {
    let sentence = match &judgement.verdict {
        Verdict::Refused(refusal) => refusal.sentence::<K>().to_string(),
        Verdict::Accepted(mail) => format!("{mail:?}"),
        Verdict::Pending(pending) => pending.to_string(),
        Verdict::NoClaim(_) => String::new(),
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
        if let Some(domains) = &configured.domains {
            policy.domains.clone_from(domains);
        }
        policy
            .trusted_authserv_id
            .clone_from(&configured.trusted_authserv_id);
    }
    Ok(policy)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn published_keys() -> KeyFile {
    let text = fs::read_to_string(root().join("keys.json")).expect("keys.json can be read");
    serde_json::from_str(&text).expect("keys.json is a key file")
}

/// `english/plain-24`.
fn name(path: &Path) -> String {
    let name = path.strip_prefix(root()).unwrap_or(path);
    let name = name.with_extension("").display().to_string();
    name.replace(std::path::MAIN_SEPARATOR, "/")
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
    assert!(mails.len() >= 300, "only {} fixtures", mails.len());
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

/// What each mail that is forged, and each that must pass although it is unusual, is judged to be.
#[test]
fn no_forged_mail_is_accepted_and_every_genuine_one_is() {
    let fixtures = fixtures();
    let mut wrong = Vec::new();
    let mut reasons: BTreeSet<&str> = BTreeSet::new();
    for (kind, is_accepted) in [("spoof/", false), ("genuine/", true)] {
        let mut count = 0;
        for fixture in fixtures.iter().filter(|fixture| fixture.is_of(kind)) {
            count += 1;
            let verdict = fixture.judge(&fixture.raw).verdict;
            let (name, word) = (&fixture.name, verdict.word());
            let reason = verdict.reason().unwrap_or("-");
            println!("{name:52} {word:17} {reason}");
            reasons.extend(verdict.reason());
            if matches!(verdict, Verdict::Accepted(_)) != is_accepted {
                wrong.push(name);
            }
        }
        println!("{kind}: {count} mails");
    }
    println!("reasons of refusal: {reasons:?}");
    assert!(wrong.is_empty(), "judged wrongly: {wrong:?}");
    let forged = fixtures.iter().filter(|fixture| fixture.is_of("spoof/"));
    assert!(forged.count() >= 60, "too few forged mails to say anything");
}

/// A mail brings a token or a code, never both, and none is taken for the other.
#[test]
fn no_token_mail_is_taken_for_a_mail_with_a_code_nor_the_other_way_round() {
    let mut wrong = Vec::new();
    for fixture in fixtures() {
        let is_token = matches!(fixture.judge(&fixture.raw).verdict, Verdict::Accepted(_));
        let is_code = matches!(
            fixture.judge_code(&fixture.raw).verdict,
            Verdict::Accepted(_)
        );
        let expected = &fixture.expected.verdict;
        let is_expected = match (is_token, is_code) {
            (false, false) => expected != "token" && expected != "code",
            (true, false) => expected == "token" || fixture.name == "not-a-code-mail/token-mail",
            (false, true) => expected == "code",
            (true, true) => false,
        };
        if !is_expected {
            wrong.push(fixture.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Whatever one octet of a proved mail is changed to, its token is the same or there is none.
#[test]
fn a_changed_octet_never_changes_the_token() {
    let each_way_to_sign = [
        "genuine/rsa-2048",
        "genuine/ed25519",
        "genuine/simple-simple",
        "genuine/google-style-alternative",
        "genuine/key-rotation-after",
    ];
    let fixtures = fixtures();
    let chosen = fixtures
        .iter()
        .filter(|fixture| each_way_to_sign.contains(&fixture.name.as_str()));
    for fixture in chosen {
        let name = &fixture.name;
        let Verdict::Accepted(genuine) = fixture.judge(&fixture.raw).verdict else {
            panic!("{name} is not accepted");
        };
        for at in 0..fixture.raw.len() {
            let mut changed = fixture.raw.clone();
            changed[at] ^= 1;
            if let Verdict::Accepted(mail) = fixture.judge(&changed).verdict {
                let (token, username) = (mail.token.expose(), &mail.username);
                assert_eq!(token, genuine.token.expose(), "{name} at {at}");
                assert_eq!(username, &genuine.username, "{name} at {at}");
                assert_eq!(mail.date, genuine.date, "{name} at {at}");
                assert_eq!(mail.identity, genuine.identity, "{name} at {at}");
            }
        }
    }
}

/// A mail that was cut anywhere yields the whole token or none, and a judgement in any case. The provider vouches for
/// each cut mail here, or its signature would be reason enough to refuse it.
#[test]
fn a_cut_mail_never_yields_a_cut_token() {
    // Those are one text in many envelopes.
    let fixtures: Vec<Fixture> = fixtures()
        .into_iter()
        .filter(|fixture| !fixture.is_of("spoof/") && !fixture.is_of("genuine/"))
        .collect();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = fixtures.len().div_ceil(workers);
    thread::scope(|scope| {
        for fixtures in fixtures.chunks(share) {
            scope.spawn(|| fixtures.iter().for_each(cut_everywhere));
        }
    });
}

fn cut_everywhere(fixture: &Fixture) {
    let domain = fixture
        .expected
        .sender
        .from
        .as_deref()
        .and_then(|from| from.split_once('@'))
        .map_or("salesforce.com", |(_, domain)| domain);
    let vouched = format!("Authentication-Results: cut.example; dkim=pass header.d={domain}\r\n");
    let policy = Policy {
        trusted_authserv_id: Some("cut.example".to_owned()),
        ..fixture.policy.clone()
    };
    let raw = [vouched.as_bytes(), &fixture.raw].concat();
    let now: Timestamp = NOW.parse().expect("a time");
    for end in vouched.len()..raw.len() {
        let cut = &raw[..end];
        let judged = panic::catch_unwind(|| judge(cut, &policy, &fixture.keys, now));
        let judgement = judged.unwrap_or_else(|_| panic!("{} cut at {end} panics", fixture.name));
        if let Verdict::Accepted(mail) = judge_code(cut, &policy, &fixture.keys, now).verdict {
            assert!(
                fixture.values().any(|code| code == mail.code.expose()),
                "{} cut at {end} yields {}",
                fixture.name,
                mail.code.expose()
            );
        }
        if let Verdict::Accepted(mail) = &judgement.verdict {
            assert!(
                fixture.tokens().any(|token| token == mail.token.expose()),
                "{} cut at {end} yields {}",
                fixture.name,
                mail.token.expose()
            );
        }
    }
}
