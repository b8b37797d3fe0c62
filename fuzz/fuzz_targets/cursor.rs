//! Any word as a cursor: what is read is written as the same word.
#![no_main]

use fetch_token::imap::Cursor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|word: &str| {
    if let Ok(cursor) = word.parse::<Cursor>() {
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }
});
