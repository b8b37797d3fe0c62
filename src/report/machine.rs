//! What this program and this machine are.

use std::path::PathBuf;

use serde_json::{Value, json};

/// The variables that change where things lie and whom the program asks. Only whether they are set is told.
const VARIABLES: [&str; 10] = [
    "CREDENTIALS_DIRECTORY",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "RUST_LOG",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "WAYLAND_DISPLAY",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
];

/// The program, as it was built.
#[must_use]
pub fn program() -> Value {
    let features = [
        ("long-tests", cfg!(feature = "long-tests")),
        ("browser-tests", cfg!(feature = "browser-tests")),
        ("interop-tests", cfg!(feature = "interop-tests")),
        ("keychain-tests", cfg!(feature = "keychain-tests")),
    ];
    let features: Vec<_> = features
        .into_iter()
        .filter(|(_, is_on)| *is_on)
        .map(|(name, _)| name)
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "rust": env!("CARGO_PKG_RUST_VERSION"),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "features": features,
        "stores": crate::keychain::Choice::names().collect::<Vec<_>>(),
        "protocol": crate::daemon::protocol::VERSION,
    })
}

/// The machine.
#[must_use]
pub fn machine() -> Value {
    let set: Vec<_> = VARIABLES
        .into_iter()
        .filter(|name| std::env::var_os(name).is_some())
        .collect();
    json!({
        "os": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "distribution": distribution(),
        "kernel": line("/proc/sys/kernel/osrelease"),
        "tls": tls(),
        "libc": libc(),
        "terminal": std::io::IsTerminal::is_terminal(&std::io::stderr()),
        "variables": set,
    })
}

/// The names of this machine and of its user.
#[must_use]
pub fn names() -> Vec<(super::What, String)> {
    let users = ["USER", "LOGNAME", "USERNAME"].map(std::env::var);
    // Every system has a root.
    let users = users.into_iter().flatten().filter(|name| name != "root");
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    let users = users.map(|name| (super::What::User, name));
    let first = host.split('.').next().unwrap_or_default().to_owned();
    let hosts = [host, first].map(|name| (super::What::Host, name));
    users.chain(hosts).collect()
}

/// The user's home.
#[must_use]
pub fn home() -> Option<PathBuf> {
    directories::BaseDirs::new().map(|directories| directories.home_dir().to_owned())
}

fn line(file: &str) -> Option<String> {
    std::fs::read_to_string(file)
        .ok()
        .map(|text| text.trim().to_owned())
}

/// What os-release(5) calls the distribution.
fn distribution() -> Option<String> {
    let text = line("/etc/os-release")?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

#[cfg(not(any(windows, target_vendor = "apple")))]
fn tls() -> String {
    openssl::version::version().to_owned()
}

/// It is part of the system, and has no version of its own.
#[cfg(any(windows, target_vendor = "apple"))]
fn tls() -> String {
    if cfg!(windows) {
        "SChannel"
    } else {
        "Secure Transport"
    }
    .to_owned()
}

/// What the C library that this process runs with says of itself in its own file: there is no safe call for it.
#[cfg(target_os = "linux")]
fn libc() -> Option<String> {
    const BANNER: &[u8] = b"GNU C Library ";
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let mapped = maps
        .lines()
        .filter_map(|line| line.find('/').map(|place| &line[place..]));
    let file = mapped.into_iter().find(|file| {
        let name = file.rsplit('/').next().unwrap_or_default();
        name.starts_with("libc.so") || name.starts_with("libc-") || name.starts_with("ld-musl")
    })?;
    if file.contains("ld-musl") {
        return Some("musl".to_owned());
    }
    let octets = std::fs::read(file).ok()?;
    let from = memchr::memmem::find(&octets, BANNER)?;
    let banner = octets[from..].split(|&octet| octet == b'\n').next()?;
    Some(
        String::from_utf8_lossy(banner)
            .trim_end_matches('.')
            .to_owned(),
    )
}

#[cfg(not(target_os = "linux"))]
fn libc() -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::{machine, program};

    #[test]
    fn the_libraries_that_a_bug_may_lie_in_are_named() {
        assert_eq!(program()["version"], env!("CARGO_PKG_VERSION"));
        let machine = machine();
        let text = |name: &str| machine[name].as_str().unwrap_or_default().to_owned();
        assert!(
            !text("tls").is_empty() && !text("os").is_empty(),
            "{machine}"
        );
        if cfg!(all(target_os = "linux", target_env = "gnu")) {
            assert!(text("tls").starts_with("OpenSSL "), "{machine}");
            assert!(
                text("libc").contains("stable release version 2."),
                "{machine}"
            );
        }
    }
}
