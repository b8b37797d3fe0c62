//! A home directory of a test's own, with the XDG folders and nothing of the person who runs the tests.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub struct Home {
    folder: TempDir,
}

impl Home {
    pub fn new() -> Self {
        let home = Self {
            folder: tempfile::Builder::new()
                .prefix("fetch-token-home-")
                .tempdir()
                .expect("a temp directory"),
        };
        for folder in ["config", "state", "data", "cache", "runtime"] {
            DirBuilder::new()
                .mode(0o700)
                .create(home.path().join(folder))
                .expect("make a folder of the test's home");
        }
        home
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `$XDG_CONFIG_HOME/fetch-token/config.toml`, where the program looks by itself.
    pub fn config_file(&self) -> PathBuf {
        self.path().join("config/fetch-token/config.toml")
    }

    /// `$XDG_STATE_HOME/fetch-token`: the ledger and the cursors.
    pub fn state_folder(&self) -> PathBuf {
        self.path().join("state/fetch-token")
    }

    pub fn runtime_folder(&self) -> PathBuf {
        self.path().join("runtime")
    }

    /// Writes the configuration, readable by its owner only, as the program wants it.
    pub fn write_config(&self, text: &str) -> PathBuf {
        let file = self.config_file();
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(file.parent().expect("a parent"))
            .expect("make the configuration's folder");
        write_private(&file, text);
        file
    }

    /// Writes a file that only its owner can read, such as the mailbox's password.
    pub fn write_private(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path().join(name);
        write_private(&file, text);
        file
    }

    /// What tells a child that this is its home.
    pub fn env(&self) -> Vec<(OsString, OsString)> {
        let home = ("HOME".into(), self.path().into());
        let folders = [
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "runtime"),
        ]
        .map(|(name, folder)| (name.into(), self.path().join(folder).into_os_string()));
        std::iter::once(home).chain(folders).collect()
    }

    /// Every file under the home that contains these bytes: for proving that a secret is in none.
    pub fn files_containing(&self, needle: &[u8]) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    let bytes = fs::read(entry.path()).unwrap_or_default();
                    if bytes.windows(needle.len()).any(|window| window == needle) {
                        found.push(entry.path());
                    }
                }
            }
        }
        found
    }
}

fn write_private(file: &Path, text: &str) {
    let _ = fs::remove_file(file);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
