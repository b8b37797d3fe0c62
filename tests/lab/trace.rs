//! What a program asks of the system: its calls, written down by `strace`.

use super::command::{Output, Program};
use super::process::require;
use regex::Regex;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

/// How much of each string is written down, in octets: a whole message of D-Bus.
const STRING: &str = "4096";

/// The calls of a program and of all that it starts, in their order.
pub struct Trace {
    calls: Vec<Call>,
}

/// A call, as it begins.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// Its arguments, as strace writes them.
    pub arguments: String,
}

impl Trace {
    /// Runs a program to its end.
    pub fn of<A: AsRef<OsStr>>(
        program: &Program,
        arguments: impl IntoIterator<Item = A>,
    ) -> (Output, Self) {
        let file = tempfile::NamedTempFile::new().expect("a temp file");
        let strace = require("strace", "strace");
        let mut command = vec![strace.into_os_string()];
        command.extend(["-f", "-s", STRING, "-o"].map(OsString::from));
        command.extend([file.path().into(), "--".into(), program.path().into()]);
        command.extend(arguments.into_iter().map(|it| it.as_ref().to_owned()));
        if !rustix::process::geteuid().is_root() {
            // Our program lets nobody of its own user read its memory, where the names of files are.
            let privileged = require("unshare", "util-linux").into_os_string();
            let options = ["--user", "--map-current-user", "--keep-caps", "--"];
            command.splice(
                ..0,
                [privileged].into_iter().chain(options.map(OsString::from)),
            );
        }
        let output = program.instead(&command[0]).run(&command[1..]);
        let text = fs::read(file.path()).expect("what strace wrote");
        let trace = Self::parse(&String::from_utf8_lossy(&text));
        assert!(!trace.calls.is_empty(), "{}", output.transcript());
        (output, trace)
    }

    /// Each line is a process's number and a call, or how one went on that another interrupted, or a signal or an end.
    fn parse(text: &str) -> Self {
        let begun = text.lines().filter_map(|line| {
            let (_, what) = line.split_once(' ')?;
            let (name, arguments) = what.trim_start().split_once('(')?;
            let is_name = name
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'_');
            is_name.then(|| Call {
                name: name.to_owned(),
                arguments: arguments.to_owned(),
            })
        });
        Self {
            calls: begun.collect(),
        }
    }

    /// All of them.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Those from this one on.
    pub fn since(&self, is_first: impl Fn(&Call) -> bool) -> &[Call] {
        let first = self.calls.iter().position(is_first);
        &self.calls[first.expect("the first call")..]
    }

    /// Those of one of these names.
    pub fn named(&self, names: &[&str]) -> Vec<&Call> {
        let calls = self.calls.iter();
        calls
            .filter(|call| names.contains(&call.name.as_str()))
            .collect()
    }

    /// How many threads and processes were started besides the first.
    pub fn started(&self) -> usize {
        self.named(&["clone", "clone3", "fork", "vfork"]).len()
    }

    /// The files that were opened, or would have been if they were there; without shared libraries and where the system
    /// says which there are.
    pub fn files(&self) -> Vec<&str> {
        let opened = self.named(&["open", "openat", "openat2", "creat"]);
        let paths = opened
            .into_iter()
            .filter_map(|call| call.arguments.split('"').nth(1));
        paths.filter(|path| !is_library(path)).collect()
    }

    /// What was called on the message bus, in its order: the members of the messages sent (D-Bus specification, "Message
    /// Format": field 3 of the header, a string).
    pub fn bus_calls(&self) -> Vec<String> {
        let member = Regex::new(r"\\3\\1s\\0(?:\\\d+|\\[tnvfr])\\0\\0\\0([A-Za-z]+)\\0");
        let member = member.expect("an expression");
        let sent = self.named(&["sendmsg", "sendto", "write", "writev"]);
        let members = sent.iter().flat_map(|call| {
            let found = member.captures_iter(&call.arguments);
            found.map(|found| found[1].to_owned())
        });
        members.collect()
    }
}

/// `libc.so.6` and the like, and the list of them.
fn is_library(path: &str) -> bool {
    let name = Path::new(path).file_name().and_then(OsStr::to_str);
    let is_shared = |name: &str| name.split('.').skip(1).any(|part| part == "so");
    path == "/etc/ld.so.cache" || name.is_some_and(is_shared)
}
