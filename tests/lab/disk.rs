//! A small disk of a test's own, which can be filled: a file system in memory, mounted where nobody else sees it.

use super::namespace::in_a_namespace;
use super::process::{output_of, require};
use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The disk; unmounted when dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts it at a folder, which is made if it is not there.
    pub fn mount(at: &Path, kib: u32) -> Self {
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(at)
            .expect("make a folder");
        let options = format!("size={kib}k,mode=0700");
        let mut mount = Command::new(require("mount", "mount"));
        output_of(mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at));
        Self(at.to_owned())
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Fills it to the last octet.
    pub fn fill(&self) {
        let mut file = File::create(self.ballast()).expect("make a file");
        let error = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }

    /// Makes room again.
    pub fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("remove a file");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new(require("umount", "mount"))
            .arg("--lazy")
            .arg(&self.0)
            .status();
    }
}

/// Runs the test of this name with mounts of its own, where this machine lets it make them.
pub fn in_mounts_of_its_own(test: &str, body: impl FnOnce()) {
    in_a_namespace("--mount", test, body);
}
