//! What `get`, `list`, `extract` and `--help` ask of the system: counts that must not grow, and nothing that a command does
//! not need.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Call, Desk, Home, Program, Provider, Trace, USERNAME};
use std::path::Path;

/// The most calls of `get` from its first own one to its end. 118 and 119 were seen: of two threads now one comes first, now
/// the other.
const GET: usize = 124;

/// The same of `list`: 27 were seen, for it is done before it listens for signals.
const LIST: usize = 30;

/// The same of `extract`: 47 were seen.
const EXTRACT: usize = 52;

/// The same of `--help`: 42 were seen, a call for each of its lines.
const HELP: usize = 45;

/// What the loader, the C library and Rust's do before: 178 were seen with Debian 12's libraries, 6 or 7 for each of them.
const START: usize = 230;

/// What is sent to the bus for one token: itself, a key, where the item lies, and what is in it.
const BUS: [&str; 4] = ["Hello", "OpenSession", "SearchItems", "GetSecret"];

/// What the standard library looks up: where the stack ends.
const STACK: &str = "/proc/self/maps";

/// What a command looks up that waits for something: which signals were ignored before it.
const IGNORED: &str = "/proc/self/status";

/// The first thing that the program does by itself: it gives up core dumps.
fn is_first(call: &Call) -> bool {
    call.arguments.contains("RLIMIT_CORE")
}

/// Fails where there are more calls than these.
#[track_caller]
fn are_few(trace: &Trace, most: usize) {
    let own = trace.since(is_first);
    let start = trace.calls().len() - own.len();
    println!("{start} calls at the start, {} afterwards", own.len());
    assert!(own.len() <= most, "{} calls\n{own:#?}", own.len());
    assert!(start <= START, "{start} calls at the start");
}

/// Files below a folder, by their names.
fn names<'a>(files: &'a [&'a str], folder: &Path) -> Vec<&'a str> {
    let names = files.iter().map(|file| {
        let rest = Path::new(file).strip_prefix(folder);
        rest.ok().and_then(Path::to_str).unwrap_or(file)
    });
    names.collect()
}

/// Fails where a socket was made, a thread started, or a file opened but these, below this home.
#[track_caller]
fn is_alone(trace: &Trace, home: &Home, files: &[&str]) {
    assert_eq!(trace.started(), 0);
    let sockets = trace.named(&["socket", "connect", "bind", "listen"]);
    assert!(sockets.is_empty(), "{sockets:#?}");
    assert_eq!(names(&trace.files(), home.path()), files);
    never_writes(trace);
}

/// Fails where a file was opened to be written, made, renamed or taken away.
#[track_caller]
fn never_writes(trace: &Trace) {
    let opened = trace.named(&["open", "openat", "openat2", "creat"]);
    let written = opened.iter().filter(|call| {
        let words = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"];
        words.iter().any(|word| call.arguments.contains(word)) || call.name == "creat"
    });
    let changed = trace.named(&[
        "rename",
        "renameat",
        "renameat2",
        "unlink",
        "unlinkat",
        "mkdir",
        "mkdirat",
        "chmod",
        "fchmod",
        "link",
        "symlink",
    ]);
    let all: Vec<_> = written.chain(&changed).collect();
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn get_asks_the_system_for_little_and_the_bus_for_four_things() {
    let desk = Desk::of(Provider::GnomeKeyring);
    let installation = desk.installation();
    let token = lab::random_token();
    installation.take(USERNAME, &token, 1).expect_code(0);
    let (output, trace) = Trace::of(&installation.program, ["get", USERNAME]);
    assert_eq!(output.expect_code(0).stdout().trim_end(), token);

    are_few(&trace, GET);
    assert_eq!(trace.bus_calls(), BUS);
    // The one that waits for the keychain: see `keychain/thread.rs`.
    assert_eq!(trace.started(), 1);
    assert_eq!(trace.named(&["execve"]).len(), 1);
    let sockets = trace.named(&["socket"]);
    let is_local = sockets
        .iter()
        .all(|call| call.arguments.starts_with("AF_UNIX,"));
    assert!(sockets.len() == 1 && is_local, "{sockets:#?}");
    let connected = trace.named(&["connect"]);
    let bus = desk.keychain.home().runtime_folder().join("bus");
    let is_bus = connected
        .iter()
        .all(|call| call.arguments.contains(&format!("\"{}\"", bus.display())));
    assert!(connected.len() == 1 && is_bus, "{connected:#?}");
    // Whether a newer mail waits is looked up after the token was read: it may have come meanwhile.
    let files = [
        STACK,
        "config/fetch-token/config.toml",
        "state/fetch-token/ledger.json",
        IGNORED,
        "state/fetch-token/ledger.json",
        "state/fetch-token/pending.json",
        "state/fetch-token/refused.json",
    ];
    assert_eq!(names(&trace.files(), installation.home().path()), files);
    never_writes(&trace);
}

/// Runs it without a message bus.
#[track_caller]
fn traced(home: &Home, arguments: &[&str]) -> Trace {
    let program = Program::new(env!("CARGO_BIN_EXE_fetch-token")).at_home(home);
    let (output, trace) = Trace::of(&program, arguments);
    output.expect_code(0);
    trace
}

#[test]
fn list_reads_the_ledger_and_nothing_else() {
    let home = Home::new();
    let trace = traced(&home, &["list"]);
    is_alone(&trace, &home, &[STACK, "state/fetch-token/ledger.json"]);
    are_few(&trace, LIST);
}

#[test]
fn extract_reads_the_mail_the_keys_and_the_configuration() {
    let home = Home::new();
    let mail = "fixtures/genuine/rsa-2048.eml";
    let keys = "fixtures/keys.json";
    let trace = traced(&home, &["--dkim-keys", keys, "extract", mail]);
    let files = [STACK, "config/fetch-token/config.toml", keys, mail];
    is_alone(&trace, &home, &files);
    are_few(&trace, EXTRACT);
}

#[test]
fn help_reads_nothing() {
    let home = Home::new();
    let trace = traced(&home, &["--help"]);
    is_alone(&trace, &home, &[STACK]);
    are_few(&trace, HELP);
}
