//! `fetch-token daemon --print-unit`: what starts the daemon at log-on.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::announce::object;
use super::{Exit, Failure, House};
use crate::cli::{LogForm, UnitKind};
use crate::daemon::unit;

/// Prints what starts this program as it was called now.
pub(super) fn print(house: &House, kind: UnitKind, log: LogForm) -> Result<Exit, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        let message = format!("where this program lies cannot be found out: {error}");
        Failure::new(Exit::Unexpected, message)
    })?;
    let files = [
        ("--config", &house.global.config),
        ("--dkim-keys", &house.global.dkim_keys),
    ];
    let mut arguments: Vec<&OsStr> = vec!["daemon".as_ref()];
    let mut whole: Vec<(&str, PathBuf)> = Vec::new();
    for (option, file) in files {
        if let Some(file) = file {
            whole.push((option, absolute(file)?));
        }
    }
    for (option, file) in &whole {
        arguments.extend([option.as_ref(), file.as_os_str()]);
    }
    if log == LogForm::Json {
        arguments.extend(["--log", "json"].map(OsStr::new));
    }
    let unit = unit::print(kind, &program, &arguments)
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let as_object = object(json!({ "event": "unit", "unit": unit }));
    house.announcer.result(unit.trim_end(), as_object);
    Ok(Exit::Done)
}

/// A service manager starts programs in a directory of its own choice.
fn absolute(file: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(file).map_err(|error| {
        let message = format!("the path {} cannot be completed: {error}", file.display());
        Failure::new(Exit::Usage, message)
    })
}
