//! A line of the daemon's log for people: time, level, account, words.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use crate::escape::escaped;

/// Longest text of a line, in characters. Ours are shorter; what others put into them is cut before.
const TEXT: usize = 2_000;

/// How an event becomes a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// With the time and the level's name.
    Plain,
    /// For systemd's journal, which knows the time and takes the level from a prefix (`sd-daemon(3)`).
    Journal,
}

impl Line {
    /// As standard error's reader wants it.
    pub(super) fn to_stderr() -> Self {
        let named = std::env::var("JOURNAL_STREAM").ok();
        match (named, device_and_inode()) {
            (Some(named), Some(ours)) if named == ours => Self::Journal,
            // A shell that a service started inherits the variable, but not the stream.
            _ => Self::Plain,
        }
    }
}

/// Standard error, as `JOURNAL_STREAM` names it (`systemd.exec(5)`).
#[cfg(unix)]
fn device_and_inode() -> Option<String> {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;

    let stderr = std::io::stderr().as_fd().try_clone_to_owned().ok()?;
    let metadata = std::fs::File::from(stderr).metadata().ok()?;
    Some(format!("{}:{}", metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn device_and_inode() -> Option<String> {
    None
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        match self {
            Self::Plain => {
                let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
                write!(to, "{now} {level:<5} ")?;
            }
            Self::Journal => write!(to, "<{}>", severity(level))?,
        }
        let mut words = Words::default();
        event.record(&mut words);
        if let Some(account) = &words.account {
            write!(to, "{}: ", escaped(account, TEXT))?;
        }
        writeln!(to, "{}", escaped(&words.text, TEXT))
    }
}

/// syslog's numbers (RFC 5424 §6.2.1).
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// An event's fields, in one text.
#[derive(Default)]
struct Words {
    account: Option<String>,
    text: String,
}

impl Words {
    fn add(&mut self, field: &Field, value: &str) {
        match field.name() {
            "account" => self.account = Some(value.to_owned()),
            // The message comes first, whatever its place among the fields.
            "message" => self.text.insert_str(0, value),
            name => {
                // Nothing that writes into a String fails.
                let _ = write!(self.text, " {name}={value}");
            }
        }
    }
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::Line;
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt as _;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(line: Line, log: impl FnOnce()) -> String {
        let written = Written::default();
        let to = written.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(move || to.clone())
            .event_format(line);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
        let octets = written.0.lock().expect("no panic").clone();
        String::from_utf8(octets).expect("UTF-8")
    }

    #[test]
    fn a_line_is_time_level_account_words() {
        let text = written(Line::Plain, || {
            tracing::info!(account = "a@b.example", commands = 3, "the connection ends");
        });
        let (time, rest) = text.split_once(' ').expect("words");
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        assert_eq!(rest, "INFO  a@b.example: the connection ends commands=3\n");
        let text = written(Line::Journal, || tracing::warn!("words"));
        assert_eq!(text, "<4>words\n");
    }

    #[test]
    fn nothing_from_outside_forges_a_line() {
        let evil = "x\n2026-01-01T00:00:00Z INFO  root: all is well\u{1b}[2J\r\u{9b}1m\u{202e}";
        let text = written(Line::Plain, || {
            tracing::info!(account = evil, evil, "{evil}");
            tracing::info!(%evil, ?evil, "words");
        });
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            !text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'),
            "{text:?}"
        );
    }
}
