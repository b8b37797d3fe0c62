//! A plain IMAP client of the lab's own: it shares no code with the program under test, so that it can bear
//! witness to what the server holds.

use super::dovecot::User;
use base64::Engine as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub struct Peer {
    stream: BufReader<TcpStream>,
    serial: u32,
}

/// What a mailbox looks like from outside. Two of them are equal if nobody touched the mailbox in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxState {
    pub uid_validity: u32,
    /// `None`: the server does not tell it here (Courier).
    pub uid_next: Option<u32>,
    /// UID and flags, in the mailbox's order; the flags sorted, `\Recent` among them.
    pub messages: Vec<(u32, Vec<String>)>,
}

impl Peer {
    /// Connects in plain text on loopback and logs in by AUTHENTICATE PLAIN, in the way that every server knows.
    pub(super) fn connect(port: u16, user: User) -> Self {
        let mut peer = Self::greeted(port);
        let response =
            base64::prelude::BASE64_STANDARD.encode(format!("\0{}\0{}", user.name, user.password));
        let tag = peer.send("AUTHENTICATE PLAIN");
        peer.go_on(&format!("{response}\r\n").into_bytes());
        peer.finish(&tag)
            .unwrap_or_else(|status| panic!("AUTHENTICATE: {status}"));
        peer
    }

    /// Tries LOGIN with quoted strings (RFC 3501 §4.3); the server's words where it refuses.
    pub(super) fn log_in_quoted(port: u16, user: User) -> Result<(), String> {
        let login = format!("LOGIN {} {}", quoted(user.name), quoted(user.password));
        Self::greeted(port).attempt(&login).map(|_| ())
    }

    fn greeted(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("connect to IMAP");
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .expect("set a time limit");
        let mut peer = Self {
            stream: BufReader::new(stream),
            serial: 0,
        };
        let greeting = peer.line();
        assert!(
            greeting.starts_with("* OK"),
            "the greeting was {greeting:?}"
        );
        peer
    }

    /// Sends a command's first line; its tag.
    fn send(&mut self, command: &str) -> String {
        self.serial += 1;
        let tag = format!("p{}", self.serial);
        self.stream
            .get_mut()
            .write_all(format!("{tag} {command}\r\n").as_bytes())
            .expect("send a command");
        tag
    }

    /// Sends the rest of a command, when the server asks for it.
    fn go_on(&mut self, rest: &[u8]) {
        let line = self.line();
        assert!(line.starts_with('+'), "no continuation: {line}");
        self.stream.get_mut().write_all(rest).expect("go on");
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream
            .read_until(b'\n', &mut line)
            .expect("a line from the server");
        assert!(line.ends_with(b"\r\n"), "the server closed the connection");
        line.truncate(line.len() - 2);
        String::from_utf8_lossy(&line).into_owned()
    }

    /// One command to its end: the untagged lines, a literal's bytes following its line. Anything but OK fails the test.
    pub fn command(&mut self, command: &str) -> Vec<String> {
        self.attempt(command)
            .unwrap_or_else(|status| panic!("{command}: {status}"))
    }

    /// The same, where the server may refuse; then its words.
    pub fn attempt(&mut self, command: &str) -> Result<Vec<String>, String> {
        let tag = self.send(command);
        self.finish(&tag)
    }

    /// Puts a mail into a folder (RFC 3501 §6.3.11), as if it had arrived at this time: `"24-Nov-2026 18:00:00 +0000"`.
    pub fn append(&mut self, folder: &str, arrived: Option<&str>, mail: &[u8]) {
        let arrived = arrived.map_or_else(String::new, |date| format!("\"{date}\" "));
        let tag = self.send(&format!(
            "APPEND {} {arrived}{{{}}}",
            quoted(folder),
            mail.len()
        ));
        self.go_on(&[mail, b"\r\n"].concat());
        self.finish(&tag)
            .unwrap_or_else(|status| panic!("APPEND into {folder}: {status}"));
    }

    /// What the server says it can do, now that somebody has logged in.
    pub fn capabilities(&mut self) -> Vec<String> {
        self.command("CAPABILITY")
            .iter()
            .filter_map(|line| line.strip_prefix("* CAPABILITY "))
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect()
    }

    fn finish(&mut self, tag: &str) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            if let Some(status) = line.strip_prefix(&format!("{tag} ")) {
                return if status.starts_with("OK") {
                    Ok(lines)
                } else {
                    Err(status.to_owned())
                };
            }
            let literal = line
                .strip_suffix('}')
                .and_then(|rest| rest.rsplit_once('{'))
                .and_then(|(_, size)| size.parse().ok());
            lines.push(line);
            if let Some(size) = literal {
                let mut bytes = vec![0; size];
                self.stream.read_exact(&mut bytes).expect("a literal");
                lines.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }

    /// Everything there is to see of a folder, without touching it.
    pub fn mailbox(&mut self, folder: &str) -> MailboxState {
        let opened = self.command(&format!("EXAMINE {}", quoted(folder)));
        let number = |code: &str| -> Option<u32> {
            opened
                .iter()
                .find_map(|line| line.split_once(&format!("[{code} ")))
                .and_then(|(_, rest)| rest.split(']').next())
                .and_then(|digits| digits.parse().ok())
        };
        let uid_validity = number("UIDVALIDITY").unwrap_or_else(|| panic!("{opened:?}"));
        let uid_next = number("UIDNEXT");
        let mut messages = Vec::new();
        if !opened.iter().any(|line| line == "* 0 EXISTS") {
            for line in self.command("FETCH 1:* (UID FLAGS)") {
                if line.contains(" FETCH (") {
                    messages.push(uid_and_flags(&line));
                }
            }
        }
        self.leave();
        MailboxState {
            uid_validity,
            uid_next,
            messages,
        }
    }

    /// Leaves the folder. Not every server has UNSELECT; CLOSE expunges nothing after EXAMINE (RFC 3501 §6.4.2), and
    /// pymap and hoodiecrow refuse it then, which is as good.
    fn leave(&mut self) {
        let _ = self.attempt("CLOSE");
    }

    /// The mail with this UID, as the server serves it.
    pub fn mail(&mut self, folder: &str, uid: u32) -> String {
        self.command(&format!("EXAMINE {}", quoted(folder)));
        let lines = self.command(&format!("UID FETCH {uid} BODY.PEEK[]"));
        let place = lines
            .iter()
            .position(|line| line.contains(" FETCH ("))
            .unwrap_or_else(|| panic!("no mail with UID {uid} in {folder}"));
        self.leave();
        lines[place + 1].clone()
    }
}

fn uid_and_flags(line: &str) -> (u32, Vec<String>) {
    let after = |key: &str| line.split_once(key).map(|(_, rest)| rest);
    let uid = after("UID ")
        .and_then(|rest| rest.split([' ', ')']).next())
        .and_then(|digits| digits.parse().ok());
    let flags = after("FLAGS (").and_then(|rest| rest.split(')').next());
    let (Some(uid), Some(flags)) = (uid, flags) else {
        panic!("not what was asked for: {line}");
    };
    let mut flags: Vec<String> = flags.split_whitespace().map(str::to_owned).collect();
    flags.sort();
    (uid, flags)
}

/// A string of RFC 3501 §4.3 in its quoted form.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
