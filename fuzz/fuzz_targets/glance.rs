//! Any octets as a mail: a glance at them changes no verdict and no reason.
#![no_main]

use fetch_token::mail::{Policy, Unasked, judge_with_a_glance, judge_without_a_glance};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| {
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
    let policy = Policy::any();
    let glanced = judge_with_a_glance(raw, &policy, &Unasked, now).verdict;
    let read = judge_without_a_glance(raw, &policy, &Unasked, now).verdict;
    assert_eq!(glanced.word(), read.word());
    assert_eq!(glanced.reason(), read.reason());
});
