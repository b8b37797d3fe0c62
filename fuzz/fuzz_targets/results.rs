//! Any octets as the value of an Authentication-Results field above a genuine mail: no panic, and nothing but a
//! whole `dkim=pass` of the trusted provider proves anything.
#![no_main]

use fetch_token::mail::{Policy, Unasked, Verdict, judge};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

const MAIL: &[u8] = include_bytes!("../../fixtures/genuine/rsa-2048.eml");

fuzz_target!(|value: &[u8]| {
    let policy = Policy {
        trusted_authserv_id: Some("mx.acme.example".to_owned()),
        ..Policy::any()
    };
    let raw = [b"Authentication-Results: ", value, b"\r\n", MAIL].concat();
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
    if let Verdict::Accepted(_) = judge(&raw, &policy, &Unasked, now).verdict {
        let value = String::from_utf8_lossy(value).to_ascii_lowercase();
        assert!(value.contains("dkim") && value.contains("pass") && value.contains("mx.acme.example"));
    }
});
