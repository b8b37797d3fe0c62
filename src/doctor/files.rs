//! The configuration, and whom files and directories belong to.

use std::fs::Metadata;
use std::path::Path;

use super::check::{Check, Link, Trouble, counted};
use super::shown;
use crate::config::{Config, Error};

/// What was read of the configuration.
pub(super) fn configuration(config: &Result<Config, Error>, file: &Path) -> Check {
    match config {
        Ok(config) => {
            let accounts = config.accounts.len();
            let measured = format!("{}, {}", shown(file), counted(accounts, "account"));
            Check::sound(Link::Configuration, measured)
                .with("file", shown(file))
                .with("accounts", accounts)
        }
        Err(error) => Check::broken(
            Link::Configuration,
            Trouble::Configuration,
            &error.to_string(),
        )
        .with("file", shown(file)),
    }
}

/// Who may read the configuration, where there is one.
pub(super) fn configuration_file(file: &Path) -> Option<Check> {
    let found = std::fs::metadata(file).ok()?;
    Some(closed(Link::ConfigurationFile, file, &found, "600"))
}

/// Who may enter a directory. Each is made when it is first needed.
pub(super) fn directory(link: Link, directory: &Path) -> Check {
    match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => closed(link, directory, &found, "700"),
        Ok(_) => {
            let sentence = format!("{} is no directory. Move it away", shown(directory));
            Check::broken(link, Trouble::Configuration, &sentence)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let measured = format!("{} is not there yet", shown(directory));
            Check::not_asked(link, measured)
        }
        Err(error) => {
            let sentence = format!("{} cannot be looked at: {error}", shown(directory));
            Check::broken(link, Trouble::Configuration, &sentence)
        }
    }
}

/// What a mode grants the group and others.
#[cfg(unix)]
const OTHERS: u32 = 0o077;

/// Whether something belongs to us and is closed to all others.
#[cfg(unix)]
fn closed(link: Link, path: &Path, found: &Metadata, wanted: &str) -> Check {
    use std::os::unix::fs::MetadataExt as _;
    let mode = found.mode() & 0o777;
    let measured = format!("{} has mode {mode:03o}", shown(path));
    let check = if found.uid() != rustix::process::geteuid().as_raw() {
        let sentence = format!(
            "{} belongs to user {}. Make it your own: chown \"$USER\" \"{}\"",
            shown(path),
            found.uid(),
            shown(path)
        );
        Check::broken(link, Trouble::Configuration, &sentence)
    } else if mode & OTHERS == 0 {
        Check::sound(link, measured)
    } else {
        let sentence = format!(
            "{measured}, so that others can look into it. Close it: chmod {wanted} \"{}\"",
            shown(path)
        );
        Check::broken(link, Trouble::Configuration, &sentence)
    };
    check.with("mode", format!("{mode:03o}"))
}

/// Windows gives a user's folders to him alone.
#[cfg(not(unix))]
fn closed(link: Link, path: &Path, _: &Metadata, _: &str) -> Check {
    Check::not_asked(link, format!("{}: this platform has no modes", shown(path)))
}
