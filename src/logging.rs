//! What may be logged: our own events, which name steps and counts, never what was said.

use std::io;
use std::panic;
use std::sync::Mutex;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Our own events' target. Those of the libraries below are never shown, whatever `RUST_LOG` says: the IMAP
/// library logs logins and mails.
const OURS: &str = "fetch_token";

/// Shows our events on standard error, at the level of `RUST_LOG` or `-v`.
pub fn start(verbose: u8) {
    let level = std::env::var("RUST_LOG")
        .ok()
        .and_then(|wanted| level_for_us(&wanted))
        .unwrap_or(match verbose {
            0 | 1 => LevelFilter::OFF,
            2 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        });
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false);
    // A second start in one process keeps the first, as it should.
    let _ = tracing_subscriber::registry()
        .with(Targets::new().with_target(OURS, level))
        .with(lines)
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
