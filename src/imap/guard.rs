//! Stands between the network and the IMAP parser and bounds what a server can do to us.
//!
//! A line reaches the parser only once it is whole and judged; the octets of a literal pass through, counted.
//! What the parser is known to choke on is mended (8-bit text, doubled blanks in a capability list), dropped
//! (untagged responses nobody asked for) or ends the connection. The grammar is RFC 3501's.

use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use regex::bytes::Regex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest line by default, in octets. RFC 7162 §4 wants 8,192 of a client; a response with many flags or
/// capabilities stays far below this, and the parser's cost grows with the square of a line that never ends.
pub const LINE: usize = 64 * 1024;

/// Opening brackets a response may hold. The parser recurses on them and overflows its stack at some hundred,
/// which nothing catches; what we ask for needs four. They are counted whether quoted or not and never
/// given back, so that no trick with quotes hides one.
const BRACKETS: usize = 16;

/// How much is read from the network at once.
const CHUNK: usize = 8 * 1024;

/// What the server may send until [`Guard::allow`] is called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Octets in one line, literals not counted.
    pub line: usize,
    /// Octets in one literal.
    pub literal: usize,
    /// Octets in all.
    pub total: usize,
    /// Lines, those in literals not counted: a short one costs the parser as much as one of some thousand octets.
    pub lines: usize,
}

impl Allowance {
    /// For a command whose answer holds no literal: two full lines and some hundred short ones.
    pub const SHORT: Self = Self {
        line: LINE,
        literal: 0,
        total: 256 * 1024,
        lines: 16 * 1024,
    };
}

/// Why a connection was ended by the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A line longer than allowed.
    #[error("a line of more than {0} octets")]
    LineTooLong(usize),
    /// A literal longer than asked for (RFC 3501 §4.3).
    #[error("a literal of {announced} octets where at most {allowed} were asked for")]
    LiteralTooLong {
        /// What the server announced.
        announced: u64,
        /// What the command in progress allows.
        allowed: usize,
    },
    /// A literal outside a FETCH response.
    #[error("a literal where none was asked for")]
    UnexpectedLiteral,
    /// A FETCH response of another form than what we ask for has.
    #[error("a FETCH response that nobody asked for")]
    UnexpectedFetch,
    /// More opening brackets than any answer to us needs.
    #[error("brackets nested too deeply")]
    Nesting,
    /// More octets than any answer to the command needs.
    #[error("more than {0} octets in answer to one command")]
    TooMuch(usize),
    /// More lines than any answer to the command needs.
    #[error("more than {0} lines in answer to one command")]
    TooManyLines(usize),
    /// A value that the parser cannot hold (`INTERNALDATE NIL`).
    #[error("a message without INTERNALDATE")]
    NoInternalDate,
}

/// An IMAP stream whose reading side is bounded; writing passes through.
#[derive(Debug)]
pub struct Guard<S> {
    inner: S,
    inbox: BytesMut,
    /// Octets at the front of `inbox` that were judged and may be handed on.
    cleared: usize,
    judge: Judge,
}

impl<S> Guard<S> {
    /// Guards `inner`, which stands at the start of a line.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            inbox: BytesMut::new(),
            cleared: 0,
            judge: Judge::new(),
        }
    }

    /// Sets anew what the server may send, counted from now.
    pub fn allow(&mut self, allowance: Allowance) {
        self.judge.allowance = allowance;
        self.judge.received = 0;
        self.judge.lines = 0;
    }

    /// Lines received since [`Guard::allow`] was called last, those in literals not counted.
    pub fn lines(&self) -> usize {
        self.judge.lines
    }

    /// Octets received from the server since the connection began.
    pub fn total_received(&self) -> u64 {
        self.judge.total_received
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.cleared > 0 {
                let n = this.cleared.min(out.remaining());
                out.put_slice(&this.inbox[..n]);
                this.inbox.advance(n);
                this.cleared -= n;
                return Poll::Ready(Ok(()));
            }
            this.cleared = this.judge.clear(&mut this.inbox).map_err(refuse)?;
            if this.cleared > 0 {
                continue;
            }
            if this.inbox.is_empty() {
                // A connection that waits keeps no buffer.
                this.inbox = BytesMut::new();
            }
            let mut chunk = [0; CHUNK];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                // A line cut off by the end of the connection is no line: the reader sees the end.
                return Poll::Ready(Ok(()));
            }
            this.judge.count(read.filled().len()).map_err(refuse)?;
            this.inbox.extend_from_slice(read.filled());
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

fn refuse(violation: Violation) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, violation)
}

/// A quoted string (RFC 3501 §9).
const QUOTED: &str = r#""(?:[^"\\\r\n]|\\["\\])*""#;

/// An attribute of a FETCH response without literal and without nesting: a number, a string, a flat list.
const FLAT: &str = r#"[A-Z0-9.-]+ (?:[0-9]+|NIL|QUOTED|\([^()"{}\r\n]*\))"#;

/// The two sections that we ask for, whole or in part.
const SECTION: &str = r"BODY\[(?:HEADER\.FIELDS \([^()\[\]{}\r\n]*\))?\](?:<[0-9]+>)?";

/// The first line of a FETCH response, up to its literal or to its end.
///
/// The parser reads attributes that it does not know up to the next bracket, line ends included, and what is a
/// literal to us is grammar to it then. So nothing passes but the form in which both see the same literal, at most
/// one a response: the parser begins anew at each line.
static FETCH: LazyLock<Regex> =
    LazyLock::new(|| form(r"^\* [0-9]+ FETCH \((?:ITEM )*(?:SECTION \{[0-9]+\}|ITEM ?\) *)\r\n$"));

/// What may follow the literal of a FETCH response.
static FETCH_END: LazyLock<Regex> = LazyLock::new(|| form(r"^(?: ITEM)* ?\) *\r\n$"));

fn form(pattern: &str) -> Regex {
    let pattern = pattern
        .replace("ITEM", "(?:FLAT|SECTION (?:NIL|QUOTED))")
        .replace("FLAT", FLAT)
        .replace("SECTION", SECTION)
        .replace("QUOTED", QUOTED);
    Regex::new(&format!("(?i-u){pattern}")).expect("a valid pattern")
}

/// The pure half: octets in, verdict out.
#[derive(Debug)]
struct Judge {
    allowance: Allowance,
    received: usize,
    lines: usize,
    total_received: u64,
    /// How far the line at the front has been searched for its end.
    searched: usize,
    /// Octets of a literal still to come.
    literal: usize,
    /// The next line continues a FETCH response after its literal.
    continues: bool,
}

impl Judge {
    fn new() -> Self {
        Self {
            allowance: Allowance::SHORT,
            received: 0,
            lines: 0,
            total_received: 0,
            searched: 0,
            literal: 0,
            continues: false,
        }
    }

    fn count(&mut self, octets: usize) -> Result<(), Violation> {
        self.received += octets;
        self.total_received += octets as u64;
        if self.received > self.allowance.total {
            return Err(Violation::TooMuch(self.allowance.total));
        }
        Ok(())
    }

    /// How many octets at the front of `inbox` may be handed on; lines that may not are removed from it.
    fn clear(&mut self, inbox: &mut BytesMut) -> Result<usize, Violation> {
        loop {
            if self.literal > 0 {
                let n = self.literal.min(inbox.len());
                self.literal -= n;
                return Ok(n);
            }
            let Some(end) = inbox[self.searched..].iter().position(|&b| b == b'\n') else {
                self.searched = inbox.len();
                if inbox.len() > self.allowance.line {
                    return Err(Violation::LineTooLong(self.allowance.line));
                }
                return Ok(0);
            };
            let length = self.searched + end + 1;
            self.searched = 0;
            if length > self.allowance.line {
                return Err(Violation::LineTooLong(self.allowance.line));
            }
            self.lines += 1;
            if self.lines > self.allowance.lines {
                return Err(Violation::TooManyLines(self.allowance.lines));
            }
            let kept = self.judge_line(&mut inbox[..length])?;
            inbox.copy_within(..kept, length - kept);
            inbox.advance(length - kept);
            if kept > 0 {
                return Ok(kept);
            }
        }
    }

    /// Judges one line, its end included, mends it in place and says how many octets of it are left: none
    /// where it is to be dropped.
    fn judge_line(&mut self, line: &mut [u8]) -> Result<usize, Violation> {
        for octet in line.iter_mut() {
            if *octet >= 0x80 || *octet == 0 {
                *octet = b'?';
            }
        }
        let continues = std::mem::take(&mut self.continues);
        let is_fetch = continues || untagged(line).is_some_and(is_fetch);
        let literal = literal(line);
        // Also in a response that is dropped: what follows would be read as lines of the server.
        if literal.is_some() && !is_fetch {
            return Err(Violation::UnexpectedLiteral);
        }
        if !continues && !is_wanted(line) {
            return Ok(0);
        }
        if line.split(|&b| b == b'(').count() - 1 > BRACKETS {
            return Err(Violation::Nesting);
        }
        if is_fetch {
            if contains_ignoring_case(line, b"INTERNALDATE NIL") {
                return Err(Violation::NoInternalDate);
            }
            let form = if continues { &FETCH_END } else { &FETCH };
            if !form.is_match(line) {
                // Flags of an odd form, say: one line that nobody asked for, and that nobody misses.
                let is_asked_for = contains_ignoring_case(line, b"BODY[");
                return if continues || literal.is_some() || is_asked_for {
                    Err(Violation::UnexpectedFetch)
                } else {
                    Ok(0)
                };
            }
        }
        if let Some(announced) = literal {
            self.literal = usize::try_from(announced)
                .ok()
                .filter(|&n| n <= self.allowance.literal)
                .ok_or(Violation::LiteralTooLong {
                    announced,
                    allowed: self.allowance.literal,
                })?;
            self.continues = true;
        } else if !is_fetch && contains_ignoring_case(line, b"CAPABILITY ") {
            // T-Online lists its capabilities with two blanks between them.
            return Ok(squeeze_blanks(line));
        }
        Ok(line.len())
    }
}

/// What follows `* ` in an untagged response (RFC 3501 §7).
fn untagged(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"* ")
}

/// Tagged responses, continuation requests and the untagged responses that a client of ours can meet.
/// Others (METADATA, ID, ACL, vendors' own) are dropped: the parser gives up on unknown ones and panics on some.
fn is_wanted(line: &[u8]) -> bool {
    const KNOWN: [&[u8]; 10] = [
        b"OK",
        b"NO",
        b"BAD",
        b"BYE",
        b"PREAUTH",
        b"CAPABILITY",
        b"FLAGS",
        b"SEARCH",
        b"LIST",
        b"STATUS",
    ];
    let Some(rest) = untagged(line) else {
        return !line.starts_with(b"*");
    };
    let mut words = rest
        .split(|&b| matches!(b, b' ' | b'\r' | b'\n'))
        .filter(|word| !word.is_empty());
    let Some(first) = words.next() else {
        return false;
    };
    if first.iter().all(u8::is_ascii_digit) {
        return words.next().is_some_and(|second| {
            [&b"EXISTS"[..], b"RECENT", b"EXPUNGE", b"FETCH"]
                .iter()
                .any(|known| second.eq_ignore_ascii_case(known))
        });
    }
    KNOWN.iter().any(|known| first.eq_ignore_ascii_case(known))
}

/// `N FETCH (`: the one response in which we ask for literals.
fn is_fetch(rest: &[u8]) -> bool {
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    digits > 0
        && rest[digits..]
            .get(..7)
            .is_some_and(|word| word.eq_ignore_ascii_case(b" FETCH "))
}

/// The length announced at the end of a line (`{N}`, RFC 3501 §4.3; `{N+}`, RFC 7888, is no server's to send,
/// but read as one so that it cannot hide). Values beyond 64 bits are the largest there is.
fn literal(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.strip_suffix(b"}")?;
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let digits = line.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (before, digits) = line.split_at(line.len() - digits);
    if digits.is_empty() || !before.ends_with(b"{") {
        return None;
    }
    Some(digits.iter().fold(0u64, |n, digit| {
        n.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    }))
}

/// `needle` in upper case.
fn contains_ignoring_case(line: &[u8], needle: &[u8]) -> bool {
    line.windows(needle.len())
        .any(|window| window.eq_ignore_ascii_case(needle))
}

/// Makes one blank of several, and none before the line's end; says how long the line is now.
fn squeeze_blanks(line: &mut [u8]) -> usize {
    let mut to = 0;
    for from in 0..line.len() {
        let octet = line[from];
        if octet == b' ' && to > 0 && line[to - 1] == b' ' {
            continue;
        }
        if octet == b'\r' && to > 0 && line[to - 1] == b' ' {
            to -= 1;
        }
        line[to] = octet;
        to += 1;
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    const WITH_LITERALS: Allowance = Allowance {
        line: 1000,
        literal: 100,
        total: 4000,
        lines: 10_000,
    };

    /// What reaches the parser of what a server sends, however the network cuts it up, and how it ends.
    fn pass(sent: &[u8]) -> (Vec<u8>, Option<Violation>) {
        let outcomes: Vec<_> = [1, 7, sent.len().max(1)]
            .into_iter()
            .map(|chunk| pass_in_chunks(sent, chunk))
            .collect();
        assert!(
            outcomes.windows(2).all(|two| two[0].1 == two[1].1),
            "the verdict depends on how the network cuts the octets up"
        );
        outcomes.into_iter().next().expect("three runs")
    }

    fn pass_in_chunks(sent: &[u8], chunk: usize) -> (Vec<u8>, Option<Violation>) {
        let mut passed = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut guard = Guard::new(Chunks { rest: sent, chunk });
            guard.allow(WITH_LITERALS);
            match guard.read_to_end(&mut passed).await {
                Ok(_) => (passed, None),
                Err(error) => {
                    let violation = error
                        .get_ref()
                        .and_then(|inner| inner.downcast_ref::<Violation>());
                    (passed, violation.copied())
                }
            }
        })
    }

    /// A reader that gives `chunk` octets at a time.
    #[derive(Debug)]
    struct Chunks<'a> {
        rest: &'a [u8],
        chunk: usize,
    }

    impl AsyncRead for Chunks<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            out: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let n = self.chunk.min(self.rest.len()).min(out.remaining());
            out.put_slice(&self.rest[..n]);
            self.rest = &self.rest[n..];
            Poll::Ready(Ok(()))
        }
    }

    fn passes(sent: &[u8], expected: &[u8]) {
        let (passed, violation) = pass(sent);
        assert_eq!(
            (String::from_utf8_lossy(&passed), violation),
            (String::from_utf8_lossy(expected), None)
        );
    }

    fn is_refused(sent: &[u8], expected: Violation) {
        assert_eq!(
            pass(sent).1,
            Some(expected),
            "{}",
            String::from_utf8_lossy(sent)
        );
    }

    #[test]
    fn ordinary_answers_pass_unchanged() {
        let answers = b"* OK ready\r\n* 3 EXISTS\r\n* FLAGS (\\Seen)\r\n+ idling\r\na1 OK done\r\n* SEARCH 1 2\r\n";
        passes(answers, answers);
    }

    #[test]
    fn a_literal_passes_unchanged_whatever_is_in_it() {
        let answer = b"* 1 FETCH (UID 5 BODY[] {11}\r\n\xff\0((\r\n{9}\r\n)\r\na1 OK\r\n";
        passes(answer, answer);
    }

    #[test]
    fn eight_bit_text_outside_literals_becomes_question_marks() {
        passes("* OK [ALERT]\u{e9}\r\n".as_bytes(), b"* OK [ALERT]??\r\n");
    }

    #[test]
    fn untagged_responses_nobody_asked_for_are_dropped() {
        passes(
            b"* METADATA \"\" (/shared/x \"y\")\r\n* ID (\"name\" NIL)\r\n* XFOO\r\n* 2 XBAR\r\n* \r\n* 1 EXISTS\r\n",
            b"* 1 EXISTS\r\n",
        );
    }

    #[test]
    fn doubled_blanks_in_a_capability_list_are_mended() {
        passes(
            b"* CAPABILITY IMAP4rev1  IDLE \r\n* OK [CAPABILITY IMAP4rev1  SASL-IR] hello  you\r\n",
            b"* CAPABILITY IMAP4rev1 IDLE\r\n* OK [CAPABILITY IMAP4rev1 SASL-IR] hello you\r\n",
        );
    }

    #[test]
    fn a_line_without_end_is_refused_at_its_limit() {
        is_refused(&[b'a'; 1001], Violation::LineTooLong(1000));
        let mut line = vec![b'a'; 2000];
        line.extend_from_slice(b"\r\n");
        is_refused(&line, Violation::LineTooLong(1000));
    }

    #[test]
    fn a_literal_longer_than_asked_for_is_refused_when_announced() {
        for (announced, text) in [
            (101, "101"),
            (530_000_000, "530000000"),
            (530_000_000, "0530000000"),
            (u64::MAX, "99999999999999999999999999"),
        ] {
            is_refused(
                format!("* 1 FETCH (BODY[] {{{text}}}\r\nabc").as_bytes(),
                Violation::LiteralTooLong {
                    announced,
                    allowed: 100,
                },
            );
        }
    }

    #[test]
    fn a_literal_is_accepted_in_fetch_only() {
        for line in [
            "* OK [BADCHARSET ({5}",
            "* LIST () \"/\" {5}",
            "a1 OK see {5}",
            "+ {5}",
            "* OK {5+}",
        ] {
            is_refused(
                format!("{line}\r\nabcde\r\n").as_bytes(),
                Violation::UnexpectedLiteral,
            );
        }
    }

    #[test]
    fn nesting_is_refused_also_across_literals_and_inside_quotes() {
        let deep = format!("* 1 FETCH (BODYSTRUCTURE {}", "(".repeat(400));
        is_refused(format!("{deep}\r\n").as_bytes(), Violation::Nesting);
        is_refused(
            format!("* 1 FETCH (X \"{}\"\r\n", "(".repeat(16)).as_bytes(),
            Violation::Nesting,
        );
        is_refused(
            format!(
                "* 1 FETCH (BODY[] {{1}}\r\nx BODY[TEXT] ({}\r\n",
                "(".repeat(9)
            )
            .as_bytes(),
            Violation::UnexpectedFetch,
        );
    }

    #[test]
    fn a_message_without_internaldate_is_refused() {
        is_refused(
            b"* 1 FETCH (UID 1 internaldate nil)\r\n",
            Violation::NoInternalDate,
        );
    }

    #[test]
    fn a_flood_is_refused_at_the_commands_total() {
        is_refused(&b"* 1 EXISTS\r\n".repeat(400), Violation::TooMuch(4000));
    }

    #[test]
    fn a_line_cut_off_by_the_end_is_not_handed_on() {
        passes(b"* 1 EXISTS\r\na1 O", b"* 1 EXISTS\r\n");
    }
}
