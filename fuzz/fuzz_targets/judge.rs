//! Any octets as a mail: no panic, no token and no code without a proof, and never both.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fetch_token::mail::{Answer, Keys, Policy, Verdict, judge, judge_code};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

/// The keys of the fixtures, so that mutated genuine mails come as far as their signatures.
struct Fixtures(BTreeMap<String, String>);

impl Keys for Fixtures {
    fn txt(&self, name: &str) -> Answer {
        match self.0.get(name) {
            Some(record) => Answer::Records(vec![record.clone()]),
            None => Answer::NoSuchName,
        }
    }
}

static KEYS: LazyLock<Fixtures> = LazyLock::new(|| {
    let text = include_str!("../../fixtures/keys.json");
    let pairs = text.split('"').skip(1).step_by(2).collect::<Vec<_>>();
    let records = pairs.chunks_exact(2);
    Fixtures(records.map(|two| (two[0].to_owned(), two[1].to_owned())).collect())
});

fuzz_target!(|raw: &[u8]| {
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
    let judgement = judge(raw, &Policy::any(), &*KEYS, now);
    if let Verdict::Accepted(mail) = &judgement.verdict {
        assert!(judgement.facts().proof.is_some());
        assert!((20..=32).contains(&mail.token.expose().len()));
        assert!(!format!("{judgement:?}").contains(mail.token.expose()));
    }
    let of_code = judge_code(raw, &Policy::any(), &*KEYS, now);
    if let Verdict::Accepted(mail) = &of_code.verdict {
        assert!(of_code.facts().proof.is_some());
        assert_eq!(mail.code.expose().len(), 6);
        assert!(!matches!(judgement.verdict, Verdict::Accepted(_)));
    }
});
