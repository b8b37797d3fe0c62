//! Places at which the tests end the process, to see that nothing is lost whatever the instant.

/// Ends the process at once where the environment names this place. Only in builds with debug assertions: what
/// users run has no such switch.
pub(crate) fn here(place: &str) {
    #[cfg(debug_assertions)]
    if std::env::var("FETCH_TOKEN_CRASH_AT").is_ok_and(|wanted| wanted == place) {
        std::process::abort();
    }
    #[cfg(not(debug_assertions))]
    let _ = place;
}

/// Panics where the environment names this place, in the same builds.
pub(crate) fn panic_here(place: &str) {
    #[cfg(debug_assertions)]
    assert!(
        std::env::var("FETCH_TOKEN_PANIC_AT").map_or(true, |wanted| wanted != place),
        "as the test wants"
    );
    #[cfg(not(debug_assertions))]
    let _ = place;
}
