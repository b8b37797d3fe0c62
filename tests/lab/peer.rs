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
    pub uid_next: u32,
    /// UID and flags, in the mailbox's order; the flags sorted, `\Recent` among them.
    pub messages: Vec<(u32, Vec<String>)>,
}

impl Peer {
    /// Connects in plain text on loopback and logs in by AUTHENTICATE PLAIN.
    pub(super) fn connect(port: u16, user: User) -> Self {
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
        let response =
            base64::prelude::BASE64_STANDARD.encode(format!("\0{}\0{}", user.name, user.password));
        peer.command(&format!("AUTHENTICATE PLAIN {response}"));
        peer
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
        self.serial += 1;
        let tag = format!("p{}", self.serial);
        self.stream
            .get_mut()
            .write_all(format!("{tag} {command}\r\n").as_bytes())
            .expect("send a command");
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            if let Some(status) = line.strip_prefix(&format!("{tag} ")) {
                assert!(status.starts_with("OK"), "{command}: {status}");
                return lines;
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
        let opened = self.command(&format!("EXAMINE \"{folder}\""));
        let number = |code: &str| -> u32 {
            opened
                .iter()
                .find_map(|line| line.split_once(&format!("[{code} ")))
                .and_then(|(_, rest)| rest.split(']').next())
                .and_then(|digits| digits.parse().ok())
                .unwrap_or_else(|| panic!("no {code} in {opened:?}"))
        };
        let (uid_validity, uid_next) = (number("UIDVALIDITY"), number("UIDNEXT"));
        let mut messages = Vec::new();
        if !opened.iter().any(|line| line == "* 0 EXISTS") {
            for line in self.command("FETCH 1:* (UID FLAGS)") {
                if line.contains(" FETCH (") {
                    messages.push(uid_and_flags(&line));
                }
            }
        }
        self.command("UNSELECT");
        MailboxState {
            uid_validity,
            uid_next,
            messages,
        }
    }

    /// The mail with this UID, as the server serves it.
    pub fn mail(&mut self, folder: &str, uid: u32) -> String {
        self.command(&format!("EXAMINE \"{folder}\""));
        let lines = self.command(&format!("UID FETCH {uid} BODY.PEEK[]"));
        let place = lines
            .iter()
            .position(|line| line.contains(" FETCH ("))
            .unwrap_or_else(|| panic!("no mail with UID {uid} in {folder}"));
        self.command("UNSELECT");
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
