//! What may be logged: our own events, which name steps and counts, never what was said.

mod line;

use std::io;
use std::panic;
use std::sync::Mutex;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::{Global, LogForm};
use line::Line;

/// Our own events' target. Those of the libraries below are never shown, whatever `RUST_LOG` says: the IMAP
/// library logs logins and mails.
const OURS: &str = "fetch_token";

/// Shows our events on standard error, at the level of `RUST_LOG` or `-v`: none without either, for commands speak to
/// people in their own words.
pub fn start(global: &Global) {
    let level = match global.verbose {
        0 | 1 => LevelFilter::OFF,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false);
    show(level, lines);
}

/// Shows the events of a daemon on standard error, a line each: what is worth knowing, and more with `-v`.
pub fn start_daemon(global: &Global, form: LogForm) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::INFO,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match form {
        LogForm::Human => show(level, lines.event_format(Line::to_stderr())),
        LogForm::Json => show(
            level,
            lines
                .json()
                .flatten_event(true)
                .with_target(false)
                .with_current_span(false)
                .with_span_list(false),
        ),
    }
}

fn show(level: LevelFilter, lines: impl Layer<Registry> + Send + Sync) {
    let level = std::env::var("RUST_LOG")
        .ok()
        .and_then(|wanted| level_for_us(&wanted))
        .unwrap_or(level);
    // A second start in one process keeps the first, as it should.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(Targets::new().with_target(OURS, level)))
        .try_init();
}

/// The level that a `RUST_LOG` directive gives our target.
fn level_for_us(wanted: &str) -> Option<LevelFilter> {
    let targets: Targets = wanted.parse().ok()?;
    [
        Level::TRACE,
        Level::DEBUG,
        Level::INFO,
        Level::WARN,
        Level::ERROR,
    ]
    .into_iter()
    .find(|level| targets.would_enable(OURS, level))
    .map(LevelFilter::from_level)
}

/// Where this process panicked last.
static PANICKED: Mutex<Option<String>> = Mutex::new(None);

/// Keeps a panic's text from being printed: it may quote a mail. Its place is kept for [`last_panic`].
pub fn hide_panic_texts() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        tracing::debug!(place, "panicked");
        if let Ok(mut panicked) = PANICKED.lock() {
            *panicked = place;
        }
    }));
}

/// The place in the source of the last panic.
#[must_use]
pub fn last_panic() -> String {
    PANICKED
        .lock()
        .ok()
        .and_then(|place| place.clone())
        .unwrap_or_else(|| "an unknown place".to_owned())
}
