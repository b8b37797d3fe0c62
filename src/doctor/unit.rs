//! What starts the daemon at log-on, as far as files tell.

use std::path::{Path, PathBuf};

use super::check::{Check, Link, Trouble};
use super::shown;
use crate::daemon::unit::LAUNCHD_LABEL;

/// The unit's name, as `daemon --print-unit systemd` tells to call it.
const UNIT: &str = "fetch-token.service";

/// What a program's line begins with in the unit that we print.
const STARTS: &str = "ExecStart=";

/// Looks for a systemd user unit or a launchd agent; `configuration` is the directory of the user's configuration.
pub(super) fn installed(configuration: Option<&Path>) -> Check {
    if cfg!(target_os = "macos") {
        // ~/Library/LaunchAgents, beside ~/Library/Application Support.
        let library = configuration.and_then(Path::parent);
        return launchd(library.map(|library| library.join("LaunchAgents")));
    }
    if cfg!(windows) {
        return Check::not_asked(Link::Unit, "not looked for on this platform");
    }
    let users = configuration.map(|directory| directory.join("systemd/user"));
    let systems = [
        "/etc/systemd/user",
        "/usr/local/lib/systemd/user",
        "/usr/lib/systemd/user",
    ];
    let places: Vec<PathBuf> = users
        .into_iter()
        .chain(systems.map(PathBuf::from))
        .collect();
    let found = places.iter().map(|place| place.join(UNIT));
    let Some(unit) = found
        .into_iter()
        .find(|unit| unit.symlink_metadata().is_ok())
    else {
        return Check::not_asked(
            Link::Unit,
            "no systemd user unit; `fetch-token daemon --print-unit systemd` prints one",
        );
    };
    let Some(program) = std::fs::read_to_string(&unit)
        .ok()
        .as_deref()
        .and_then(program)
    else {
        let sentence = format!(
            "{} cannot be read, is masked or starts nothing. Make it anew by `fetch-token daemon --print-unit systemd`",
            shown(&unit)
        );
        return Check::broken(Link::Unit, Trouble::Configuration, &sentence);
    };
    if !program.is_file() {
        let sentence = format!(
            "{} starts {}, which is not there. Make it anew by `fetch-token daemon --print-unit systemd`",
            shown(&unit),
            shown(&program)
        );
        return Check::broken(Link::Unit, Trouble::Configuration, &sentence);
    }
    let wanted = |place: &PathBuf| {
        let link = place.join("default.target.wants").join(UNIT);
        link.symlink_metadata().is_ok()
    };
    let is_enabled = places.iter().any(wanted);
    let check = Check::sound(
        Link::Unit,
        format!(
            "{}, {}",
            shown(&unit),
            if is_enabled {
                "enabled"
            } else {
                "not enabled: nothing starts it at log-on"
            }
        ),
    )
    .with("unit", shown(&unit))
    .with("enabled", is_enabled);
    if is_enabled {
        return check;
    }
    check.advise("systemctl --user enable --now fetch-token")
}

/// launchd starts what lies in its directory at log-on.
fn launchd(directory: Option<PathBuf>) -> Check {
    let agent = directory.map(|directory| directory.join(format!("{LAUNCHD_LABEL}.plist")));
    match agent.filter(|agent| agent.is_file()) {
        Some(agent) => Check::sound(Link::Unit, shown(&agent)).with("unit", shown(&agent)),
        None => Check::not_asked(
            Link::Unit,
            "no launchd agent; `fetch-token daemon --print-unit launchd` prints one",
        ),
    }
}

/// The program that a unit starts, quoted as we quote it or bare.
fn program(unit: &str) -> Option<PathBuf> {
    let line = unit.lines().find_map(|line| line.strip_prefix(STARTS))?;
    let line = line.trim_start_matches([':', '-', '@', '+', '!']);
    let word = match line.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => line.split_whitespace().next()?,
    };
    (!word.is_empty()).then(|| PathBuf::from(word.replace("%%", "%")))
}

#[cfg(test)]
mod tests {
    use super::program;
    use crate::cli::UnitKind;
    use crate::daemon::unit::print;
    use std::path::Path;

    #[test]
    fn the_program_of_a_unit_is_found_as_we_print_it_and_as_people_write_it() {
        let odd = Path::new("/opt/a b%c/fetch-token");
        let unit = print(UnitKind::Systemd, odd, &["daemon".as_ref()]).expect("printable");
        assert_eq!(program(&unit).as_deref(), Some(odd));
        let bare = "[Service]\nExecStart=/usr/bin/fetch-token daemon\n";
        assert_eq!(
            program(bare).as_deref(),
            Some(Path::new("/usr/bin/fetch-token"))
        );
        assert_eq!(program("[Service]\n"), None);
    }
}
