//! The systemd user unit, for a program that a package installs.

use std::io;
use std::path::Path;

use fetch_token::cli::UnitKind;
use fetch_token::daemon::unit;

use super::File;

/// What `fetch-token daemon --print-unit systemd` prints, but for how it gets to its place: the package put it there.
pub(super) fn systemd() -> io::Result<File> {
    let program = Path::new("/usr/bin/fetch-token");
    let printed =
        unit::print(UnitKind::Systemd, program, &["daemon".as_ref()]).map_err(io::Error::other)?;
    let (_, unit) = printed
        .split_once("[Unit]")
        .ok_or_else(|| io::Error::other("the unit has no [Unit]"))?;
    let contents = format!(
        "# A systemd user unit. Once there is a configuration, each user starts it for themselves:\n\
         #   systemctl --user enable --now fetch-token\n[Unit]{unit}"
    );
    Ok(("fetch-token.service".to_owned(), contents.into_bytes()))
}
