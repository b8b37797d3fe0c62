//! What a person should hear of a store besides its errors, such as that a key was made. Stores do not print: the
//! commands take it from here, and a daemon logs it.

use std::sync::{Mutex, PoisonError};

/// Each once a process.
struct Notices {
    left: Vec<String>,
    said: Vec<String>,
}

static NOTICES: Mutex<Notices> = Mutex::new(Notices {
    left: Vec::new(),
    said: Vec::new(),
});

/// Leaves one, unless it was left before.
pub(super) fn leave(words: &str) {
    let mut notices = NOTICES.lock().unwrap_or_else(PoisonError::into_inner);
    if notices.said.iter().any(|said| said == words) {
        return;
    }
    tracing::warn!("{words}");
    notices.said.push(words.to_owned());
    notices.left.push(words.to_owned());
}

/// Takes those that nobody took yet.
#[must_use]
pub fn take() -> Vec<String> {
    let mut notices = NOTICES.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut notices.left)
}
