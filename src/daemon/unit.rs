//! What starts the daemon at log-on, to be printed and put where the service manager looks.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use crate::cli::UnitKind;

/// The label of the launchd agent, and its file's name.
pub const LAUNCHD_LABEL: &str = "fetch-token";

/// How long the daemon may say nothing to systemd before it is taken for hung, in seconds. It speaks at half of that,
/// and no step of its own takes a second.
const WATCHDOG: u32 = 60;

/// Why a unit cannot be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "the path {} cannot stand in a unit. Take one of printable characters, without quotes and backslashes", .0.escape_debug()
)]
pub struct Error(String);

/// A unit that starts `program` with these arguments.
pub fn print(kind: UnitKind, program: &Path, arguments: &[&OsStr]) -> Result<String, Error> {
    let words: Vec<&str> = std::iter::once(program.as_os_str())
        .chain(arguments.iter().copied())
        .map(word)
        .collect::<Result<_, _>>()?;
    Ok(match kind {
        UnitKind::Systemd => systemd(&words),
        UnitKind::Launchd => launchd(&words),
    })
}

/// A word as text. systemd takes no program whose path holds one of what is refused here, and XML has no way to write
/// some of it.
fn word(word: &OsStr) -> Result<&str, Error> {
    let cannot_stand =
        |c: char| c.is_control() || matches!(c, '"' | '\'' | '\\' | '\u{fffe}' | '\u{ffff}');
    word.to_str()
        .filter(|word| !word.contains(cannot_stand))
        .ok_or_else(|| Error(word.to_string_lossy().into_owned()))
}

fn systemd(words: &[&str]) -> String {
    // Quoted for blanks; `%` begins a specifier. `$` begins no variable, for the colon before the program forbids them.
    let quoted = |word: &&str| format!("\"{}\"", word.replace('%', "%%"));
    let command: Vec<_> = words.iter().map(quoted).collect();
    format!(
        "# A systemd user unit. Put it into ~/.config/systemd/user/fetch-token.service, then:
#   systemctl --user daemon-reload
#   systemctl --user enable --now fetch-token
[Unit]
Description=Stores Salesforce security tokens that come by mail
# After the keychain, where the desktop starts one; what the keychain does not take is tried again.
After=dbus.socket gnome-keyring-daemon.service
# Never give up: a daemon that is started again and again is seen in the log, one that is not is missed.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=:{}
# The configuration is read again; connections that are not concerned stay.
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=5s
# A wrong configuration (2) does not get right by starting again.
RestartPreventExitStatus=2
WatchdogSec={WATCHDOG}s
# It is ready when every account has been tried once; a server that does not answer takes its time.
TimeoutStartSec=5min
# It ends within 2 s, hooks included.
TimeoutStopSec=10s

# Hooks and password commands run under all of this, too.
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native
# Unix sockets: the keychain, syslog, our own socket. Netlink: getaddrinfo(3) asks the kernel for addresses.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
# Tokens are not written to disk by a crash.
LimitCORE=0

# Left out, on purpose:
# - MemoryDenyWriteExecute: a hook in JavaScript, Java or PHP compiles at run time, and would fail.
# - ProtectSystem, ProtectHome, PrivateTmp, ReadWritePaths and other directives that need a mount namespace: in a user
#   unit they need a user namespace as well (PrivateUsers), in which the session bus and so the keychain may refuse
#   us, and which many kernels forbid. Password commands (pass, gpg) need the home directory anyhow.
# - PrivateNetwork, IPAddressDeny: it speaks to your mail servers.
# - ProtectClock, ProtectKernel*, ProtectHostname, CapabilityBoundingSet: a user's processes have none of these powers.
# - SystemCallFilter: which calls libdbus, TLS libraries and your hooks make changes with their versions.
# Delete NoNewPrivileges where a hook or password command needs a set-uid program such as sudo; the lines after it up to
# RestrictAddressFamilies then go as well, for each of them implies it in a user unit.

[Install]
WantedBy=default.target
",
        command.join(" ")
    )
}

fn launchd(words: &[&str]) -> String {
    let mut arguments = String::new();
    for word in words {
        // Nothing that writes into a String fails.
        let _ = writeln!(arguments, "        <string>{}</string>", xml(word));
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">
<!-- A launchd agent. Put it into ~/Library/LaunchAgents/{LAUNCHD_LABEL}.plist, then:
     launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/{LAUNCHD_LABEL}.plist -->
<plist version=\"1.0\">
<dict>
    <key>Label</key>
    <string>{LAUNCHD_LABEL}</string>
    <key>ProgramArguments</key>
    <array>
{arguments}    </array>
    <key>RunAtLoad</key>
    <true/>
    <!-- Started again when it fails, not when it is told to end. -->
    <key>KeepAlive</key>
    <dict>
        <key>SuccessfulExit</key>
        <false/>
    </dict>
    <!-- A wrong configuration is tried once a minute, not all the time. -->
    <key>ThrottleInterval</key>
    <integer>60</integer>
    <key>ProcessType</key>
    <string>Background</string>
    <!-- 077: what it writes is its owner's alone. -->
    <key>Umask</key>
    <integer>63</integer>
    <!-- The login keychain belongs to the session of a person. -->
    <key>LimitLoadToSessionType</key>
    <string>Aqua</string>
</dict>
</plist>
"
    )
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::print;
    use crate::cli::UnitKind;
    use std::path::Path;

    #[test]
    fn an_odd_path_is_written_as_each_form_wants_it() {
        let program = Path::new("/opt/a b%c$d/<fetch>&token");
        let arguments = ["daemon", "--config", "/etc/%h x"].map(AsRef::as_ref);
        let unit = print(UnitKind::Systemd, program, &arguments).expect("printable");
        let line =
            "ExecStart=:\"/opt/a b%%c$d/<fetch>&token\" \"daemon\" \"--config\" \"/etc/%%h x\"\n";
        assert!(unit.contains(line), "{unit}");
        let plist = print(UnitKind::Launchd, program, &arguments).expect("printable");
        let line = "<string>/opt/a b%c$d/&lt;fetch&gt;&amp;token</string>\n";
        assert!(plist.contains(line), "{plist}");
    }

    #[test]
    fn a_path_that_no_unit_can_hold_is_refused() {
        for kind in [UnitKind::Systemd, UnitKind::Launchd] {
            for path in ["/opt/a\nUser=root/x", "/opt/\"/x", "/opt/\\/x"] {
                let error = print(kind, Path::new(path), &[])
                    .expect_err(path)
                    .to_string();
                let shown = path.escape_debug().to_string();
                assert!(error.contains(&shown), "{error}");
            }
        }
    }
}
