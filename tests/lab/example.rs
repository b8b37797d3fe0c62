//! The programs of `examples/`.

use super::process::output_of;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// Builds an example in Rust, as it is now, and gives its program: `cargo test --test NAME` builds none.
pub fn rust_example(name: &str) -> PathBuf {
    // One build at a time: the others would wait for its lock all the same.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--offline", "--locked", "--quiet"])
        // What the compiler says goes to people, on standard error: only then does a failure name its cause.
        .args(["--message-format", "json-render-diagnostics"])
        .args(["--features", &features_of_this_run(), "--example", name])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    // What cargo says to a test of the package it tests is no news to build scripts, which would all run again.
    for (name, _) in std::env::vars_os() {
        let is_of_package = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
        ]
        .iter()
        .any(|of_package| name.to_string_lossy().starts_with(of_package));
        if is_of_package {
            cargo.env_remove(name);
        }
    }
    let said = output_of(&mut cargo);
    let said = String::from_utf8(said).expect("UTF-8");
    let program = said.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == name;
        let program = message["executable"].as_str().filter(|_| is_it)?;
        Some(PathBuf::from(program))
    });
    program.unwrap_or_else(|| panic!("cargo names no program for {name}:\n{said}"))
}

/// The features this test was built with: with them the package is built already, with others all of it once more.
fn features_of_this_run() -> String {
    [
        ("long-tests", cfg!(feature = "long-tests")),
        ("browser-tests", cfg!(feature = "browser-tests")),
        ("interop-tests", cfg!(feature = "interop-tests")),
        ("package-tests", cfg!(feature = "package-tests")),
        ("keychain-tests", cfg!(feature = "keychain-tests")),
    ]
    .iter()
    .filter_map(|(feature, is_on)| is_on.then_some(*feature))
    .collect::<Vec<_>>()
    .join(",")
}
