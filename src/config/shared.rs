//! What many accounts say alike, read and compiled once.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use native_tls::Certificate;

use crate::imap::Endpoint;
use crate::mail::{GlobError, UsernameGlobs};

/// What accounts said so far.
#[derive(Default)]
pub(super) struct Shared {
    authorities: BTreeMap<PathBuf, Vec<Certificate>>,
    usernames: BTreeMap<Vec<String>, UsernameGlobs>,
}

impl Shared {
    /// The authorities in a file.
    pub(super) fn authorities(&mut self, file: &PathBuf) -> io::Result<Vec<Certificate>> {
        if let Some(known) = self.authorities.get(file) {
            return Ok(known.clone());
        }
        let read = Endpoint::authorities_from(file)?;
        self.authorities.insert(file.clone(), read.clone());
        Ok(read)
    }

    /// The usernames that match these patterns.
    pub(super) fn usernames(&mut self, patterns: &[String]) -> Result<UsernameGlobs, GlobError> {
        if let Some(known) = self.usernames.get(patterns) {
            return Ok(known.clone());
        }
        let compiled = UsernameGlobs::of(patterns)?;
        self.usernames.insert(patterns.to_vec(), compiled.clone());
        Ok(compiled)
    }
}
