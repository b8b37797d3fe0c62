//! Any octets as a mail whose words are believed: the extraction alone.
#![no_main]

use fetch_token::mail::believe;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| {
    if let Some(mail) = believe(raw, Timestamp::UNIX_EPOCH) {
        assert!(mail.token.expose().bytes().all(|octet| octet.is_ascii_alphanumeric()));
        assert_eq!(mail.username.matches('@').count(), 1);
    }
});
