//! Any text as a configuration: an error with a place, or accounts.
#![no_main]

use std::path::Path;

use fetch_token::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Config::parse(text, Path::new("config.toml")) {
        Ok(config) => assert!(!config.accounts.is_empty()),
        Err(error) => assert!(error.to_string().starts_with("config.toml:")),
    }
});
