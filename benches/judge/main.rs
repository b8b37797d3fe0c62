//! What it costs to judge a mail: one that is none, as most are, and a token mail beside the bare verification of its
//! RSA signature; how the time grows; and Python's `email` and `dkimpy` on the same mails.
//!
//! All times are processor time of the thread that judges. The contestants take turns in [`ROUNDS`] rounds.

#[path = "../../tests/lab/mod.rs"]
mod lab;
#[path = "../measure/mod.rs"]
mod measure;

mod clock;
mod growth;
mod mails;
mod python;

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::Criterion;
use fetch_token::mail::{self, Answer, Policy, Recipients, Unasked, Verdict};
use jiff::Timestamp;
use mail_auth::common::crypto::{Algorithm, RsaKey, Sha256, SigningKey as _};
use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::common::verify::DomainKey;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

use clock::ThreadTime;
use lab::Signer;
use mails::{ADDRESS, DOMAIN, Mail};
use measure::{Report, Summary, Unit};
use python::Python;

/// Each contestant is measured once in each.
const ROUNDS: usize = 5;
/// How often each mail that grows is measured.
const PASSES: usize = 7;
/// What DKIM signs of a token mail's header section, with the signature's own field.
const SIGNED: usize = 640;

/// An account as it is configured, an hour after the mails were sent.
struct Judge {
    policy: Policy,
    /// The same of somebody who expects other senders.
    strangers: Policy,
    keys: HashMap<String, Answer>,
    now: Timestamp,
}

impl Judge {
    fn new(signer: &Signer) -> Self {
        let policy = Policy {
            recipients: Recipients::of(&[ADDRESS.to_owned()]).expect("an address"),
            ..Policy::any()
        };
        let record = Answer::Records(vec![signer.record().to_owned()]);
        Self {
            strangers: Policy {
                domains: vec!["vendor.example".to_owned()],
                ..policy.clone()
            },
            policy,
            keys: HashMap::from([(Signer::name(DOMAIN), record)]),
            now: "2026-11-24T10:00:00Z".parse().expect("a time"),
        }
    }

    /// The verdict alone, before any key is asked for.
    fn unasked(&self, raw: &[u8]) -> bool {
        let judgement = mail::judge(raw, &self.policy, &Unasked, self.now);
        matches!(judgement.verdict, Verdict::Accepted(_))
    }

    /// The verdict alone, with the key at hand.
    fn of_sender(&self, raw: &[u8]) -> bool {
        let judgement = mail::judge(raw, &self.policy, &self.keys, self.now);
        matches!(judgement.verdict, Verdict::Accepted(_))
    }

    /// The verdict on a mail whose sender is nobody in particular.
    fn of_stranger(&self, raw: &[u8]) -> bool {
        let judgement = mail::judge(raw, &self.strangers, &Unasked, self.now);
        matches!(judgement.verdict, Verdict::Accepted(_))
    }

    /// All that `src/intake/` does: a first look without keys, a second with those that it lacked, and what the mail
    /// says of itself.
    fn as_taken_in(&self, raw: &[u8]) -> bool {
        let mut judgement = mail::judge(raw, &self.policy, &Unasked, self.now);
        if matches!(judgement.verdict, Verdict::Pending(_)) {
            judgement = mail::judge(raw, &self.policy, &self.keys, self.now);
        }
        black_box(judgement.facts());
        matches!(judgement.verdict, Verdict::Accepted(_))
    }
}

/// One thing that is measured.
type Contestant<'c> = Box<dyn Fn() -> bool + 'c>;

/// What a round measured, in seconds, each round in turn.
#[derive(Default)]
struct Figures(Vec<f64>);

impl Figures {
    fn summary(&self) -> Summary {
        Summary::of(self.0.iter().copied())
    }

    /// How many times as long as another one's these took, round by round.
    fn ratio(&self, other: &Self) -> Summary {
        Summary::of(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(ours, other)| ours / other),
        )
    }
}

fn main() {
    let signer = Signer::shared();
    let judge = Judge::new(signer);
    let others = mails::others();
    let tokens = mails::token_mails(signer);
    for mail in &others {
        assert!(!judge.as_taken_in(&mail.raw), "{}", mail.name);
    }
    for mail in &tokens {
        assert!(judge.as_taken_in(&mail.raw), "{}", mail.name);
    }

    let mut contestants: Vec<Contestant> = vec![bare_verification(signer)];
    for mail in others.iter().chain(&tokens) {
        contestants.push(Box::new(|| judge.of_sender(&mail.raw)));
        contestants.push(Box::new(|| judge.as_taken_in(&mail.raw)));
    }
    for mail in &tokens {
        contestants.push(Box::new(|| judge.unasked(&mail.raw)));
    }
    let mut python = Python::start(others.iter().chain(&tokens), signer.record());
    let (figures, peers) = rounds(&contestants, &mut python, &others, &tokens);
    drop(python);

    let mut report = Report::new("judge");
    let (bare, judged) = figures.split_first().expect("at least one");
    let (of_others, of_tokens) = judged.split_at(2 * others.len());
    say_of_others(&mut report, &others, of_others, &peers);
    say_of_tokens(
        &mut report,
        &tokens,
        bare,
        of_tokens,
        &peers[others.len()..],
    );
    growth::measure(&mut report, &judge, signer);
    report.write();
}

/// ring's verification through mail-auth, as `src/mail/` has it done: the key is in DER, the octets are hashed too.
fn bare_verification(signer: &Signer) -> Contestant<'static> {
    let der = PrivateKeyDer::from_pem_slice(signer.private_key().as_bytes()).expect("PEM");
    let private = RsaKey::<Sha256>::from_key_der(der).expect("an RSA key");
    let octets = [b'x'; SIGNED];
    let signature = private.sign(&octets[..]).expect("signed");
    let public = DomainKey::parse(signer.record().as_bytes()).expect("a key record");
    Box::new(move || {
        public
            .p
            .verify_bytes(black_box(&octets), &signature, Algorithm::RsaSha256)
            .is_ok()
    })
}

/// Measures each contestant, and Python on each mail, once in each round; whoever begins a round ends the next one.
fn rounds(
    contestants: &[Contestant],
    python: &mut Python,
    others: &[Mail],
    tokens: &[Mail],
) -> (Vec<Figures>, Vec<Figures>) {
    // Out of the way of what an earlier run left, which criterion would compare with.
    let folder = tempfile::tempdir().expect("a temp directory");
    let mut criterion = Criterion::default()
        .with_measurement(ThreadTime)
        .output_directory(folder.path())
        .without_plots()
        .nresamples(1_001)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(150));
    let mut figures: Vec<Figures> = contestants.iter().map(|_| Figures::default()).collect();
    let mails = others.len() + tokens.len();
    let mut peers: Vec<Figures> = (0..mails).map(|_| Figures::default()).collect();
    for round in 0..ROUNDS {
        for turn in 0..contestants.len() {
            let number = (turn + round) % contestants.len();
            let name = format!("contestant-{number}-round-{round}");
            criterion.bench_function(&name, |bencher| bencher.iter(&contestants[number]));
            figures[number].0.push(median(&folder.path().join(name)));
        }
        for (number, mail) in others.iter().chain(tokens).enumerate() {
            let (brings, seconds) = python.judge(mail);
            assert_eq!(brings, number >= others.len(), "{}", mail.name);
            peers[number].0.push(seconds);
        }
    }
    (figures, peers)
}

/// The median of what criterion measured, in seconds.
fn median(folder: &Path) -> f64 {
    let file = folder.join("new/estimates.json");
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let estimates: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let nanoseconds = estimates["median"]["point_estimate"].as_f64();
    nanoseconds.expect("criterion's estimate") * 1e-9
}

fn say_of_others(report: &mut Report, mails: &[Mail], figures: &[Figures], peers: &[Figures]) {
    report.say(format!(
        "Mails that are none, of {} each. *Verdict*: `mail::judge`, which tells most mail at a glance, unless its header \
         section names a Salesforce domain: then it is read. *Taken in*: that, and what the mail says of itself, as every \
         mail is that comes while somebody waits. Python parses and searches the text; it checks no signature here, nor \
         do we.",
        Unit::Octets.show(f64::from(u32::try_from(mails::USUAL).expect("small")))
    ));
    let rows: Vec<Vec<String>> = mails
        .iter()
        .zip(figures.chunks_exact(2))
        .zip(peers)
        .map(|((mail, ours), python)| {
            vec![
                mail.name.to_owned(),
                ours[0].summary().show(Unit::Seconds),
                ours[1].summary().show(Unit::Seconds),
                python.summary().show(Unit::Seconds),
                python.ratio(&ours[1]).show(Unit::Times),
            ]
        })
        .collect();
    let columns = ["Mail", "verdict", "taken in", "Python", "Python / taken in"];
    report.table(&columns, &rows);
}

fn say_of_tokens(
    report: &mut Report,
    mails: &[Mail],
    bare: &Figures,
    figures: &[Figures],
    peers: &[Figures],
) {
    report.say(format!(
        "Token mails, signed with RSA-2048. The bare verification of such a signature takes {} (ring, through \
         mail-auth). *Verdict*: all checks with the key at hand. *First look*: without it, which tells which key to ask \
         DNS for. *Taken in*: both, and what the mail says of itself. Python parses, searches the text and has `dkimpy` \
         check the signature, with the key at hand.",
        bare.summary().show(Unit::Seconds)
    ));
    let (judged, first_looks) = figures.split_at(2 * mails.len());
    let rows: Vec<Vec<String>> = mails
        .iter()
        .zip(judged.chunks_exact(2))
        .zip(first_looks)
        .zip(peers)
        .map(|(((mail, ours), first), python)| {
            vec![
                mail.name.to_owned(),
                ours[0].summary().show(Unit::Seconds),
                ours[0].ratio(bare).show(Unit::Times),
                first.summary().show(Unit::Seconds),
                ours[1].summary().show(Unit::Seconds),
                ours[1].ratio(bare).show(Unit::Times),
                python.summary().show(Unit::Seconds),
                python.ratio(&ours[1]).show(Unit::Times),
            ]
        })
        .collect();
    report.table(
        &[
            "Mail",
            "verdict",
            "verdict / bare",
            "first look",
            "taken in",
            "taken in / bare",
            "Python",
            "Python / taken in",
        ],
        &rows,
    );
}
