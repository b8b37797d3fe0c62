//! Why the file does not do it.

use std::io;
use std::path::{Path, PathBuf};

use crate::keychain::Error;

/// Why the file does not do it.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The key is not there, must not be used, or does not fit. The sentence says what to do.
    Sealed(String),
    /// The operating system refuses.
    System {
        /// read, written, locked.
        action: &'static str,
        /// The file in question.
        file: PathBuf,
        /// The system's words.
        why: String,
    },
    /// It is no file of ours, or not all of it.
    Damaged(String),
    /// What was written is not what is read.
    NotKept,
}

impl Trouble {
    pub(super) fn system(action: &'static str, file: &Path, why: &io::Error) -> Self {
        Self::System {
            action,
            file: file.to_owned(),
            why: why.to_string(),
        }
    }

    /// As others know it; `store` is the store's name.
    pub(super) fn named(self, store: &str) -> Error {
        let store = store.to_owned();
        match self {
            Self::Sealed(why) => Error::Sealed { store, why },
            Self::System { action, file, why } => Error::Unavailable {
                store,
                why: format!("{} cannot be {action} ({why})", file.display()),
                advice: "Check that its directory is there and yours, and that the disk has room",
            },
            Self::Damaged(why) => Error::Refused {
                store,
                why: format!(
                    "{why}. Nothing was changed. Put a sound copy in its place, or move it away to begin with an empty \
                     one"
                ),
            },
            Self::NotKept => Error::NotKept { store },
        }
    }
}
