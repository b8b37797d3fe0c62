//! What people use instead: how it fares on the mails in `fixtures/`. The README's table says these numbers.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const SCRIPT: &str = "tests/peers/regex_script.py";

/// The mails of these folders, each with the verdict beside it.
fn mails(folders: &[&str]) -> Vec<(PathBuf, Value)> {
    let mut mails = Vec::new();
    for folder in folders {
        let all = fs::read_dir(Path::new("fixtures").join(folder)).expect("a folder");
        for entry in all {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "eml") {
                let verdict = fs::read(path.with_extension("json")).expect("a verdict");
                mails.push((path, serde_json::from_slice(&verdict).expect("JSON")));
            }
        }
    }
    assert!(!mails.is_empty());
    mails
}

/// How many of these mails the script takes a token from, and from how many the right one.
fn taken(mails: &[(PathBuf, Value)]) -> (usize, usize) {
    let output = Command::new("python3")
        .arg(SCRIPT)
        .args(mails.iter().map(|(path, _)| path))
        .output()
        .expect("python3");
    assert!(output.status.success(), "{output:?}");
    let output = String::from_utf8(output.stdout).expect("UTF-8");
    let tokens: Vec<_> = output.lines().collect();
    assert_eq!(tokens.len(), mails.len());
    let is_right = |(token, (_, verdict)): &(&&str, &(PathBuf, Value))| verdict["token"] == **token;
    let right = tokens.iter().zip(mails).filter(is_right).count();
    let taken = tokens.iter().filter(|token| !token.is_empty()).count();
    (taken, right)
}

#[test]
fn the_readme_says_how_a_script_with_a_regular_expression_fares() {
    let readme = fs::read_to_string("README.md").expect("the README");
    let forged = mails(&["spoof"]);
    let (taken_from_forged, _) = taken(&forged);
    let other_forms = mails(&["html", "japanese", "by-structure"]);
    let (_, right) = taken(&other_forms);
    for said in [
        format!("takes {taken_from_forged} of {}", forged.len()),
        format!("finds {right} of {}", other_forms.len()),
    ] {
        println!("{SCRIPT} {said}");
        assert!(readme.contains(&said), "the README does not say {said:?}");
    }
}
