//! What says nothing of anybody, and so stays in a report: the program's own words, and names that millions share.

use crate::account::discovery::is_known_server;
use crate::config::keys::{TABLES, Table};
use crate::keychain::Choice;
use crate::mail::{DEFAULT_DOMAINS, DEFAULT_FROM};

/// Whether this is a key that a configuration can have. Others are masked: somebody may have put anything there.
pub(super) fn is_key(name: &str) -> bool {
    // Tables that are described by themselves alone: `account`, `hook`.
    let is_table = |table: &Table| table.path.split('.').any(|key| key == name);
    let is_in = |table: &Table| table.keys.iter().any(|key| key.name == name);
    TABLES.iter().any(|table| is_table(table) || is_in(table))
}

/// Values that the program itself knows: its choices, places for facts in commands, folders that most mailboxes have,
/// scopes and tenants that the providers name so.
const VALUES: &[&str] = &[
    "implicit",
    "starttls",
    "keychain",
    "prompt",
    "google",
    "microsoft",
    "xoauth2",
    "oauthbearer",
    "stored",
    "refused",
    "pending",
    "login-failed",
    "token",
    "{username}",
    "{username:hash}",
    "{stamp}",
    "{revision}",
    "inbox",
    "junk",
    "spam",
    "junk e-mail",
    "junk email",
    "bulk mail",
    "trash",
    "common",
    "consumers",
    "organizations",
    "*",
    "https://mail.google.com/",
    "offline_access",
    "https://outlook.office.com/IMAP.AccessAsUser.All",
];

/// Programs that many have under this name.
const PROGRAMS: &[&str] = &[
    "aws",
    "bao",
    "bash",
    "bw",
    "cat",
    "cmd",
    "cmd.exe",
    "env",
    "fetch-token",
    "gcloud",
    "gopass",
    "gpg",
    "jq",
    "kubectl",
    "notify-send",
    "op",
    "osascript",
    "pass",
    "powershell",
    "pwsh",
    "python",
    "python3",
    "secret-tool",
    "security",
    "sh",
    "systemctl",
    "tee",
    "vault",
    "zsh",
];

/// Parts of paths that systems and this program name so.
const COMPONENTS: &[&str] = &[
    "",
    "~",
    "..",
    ".",
    "bin",
    "sbin",
    "dev",
    "etc",
    "home",
    "Users",
    "lib",
    "lib64",
    "local",
    "opt",
    "proc",
    "root",
    "run",
    "share",
    "ssl",
    "certs",
    "srv",
    "sys",
    "tmp",
    "usr",
    "user",
    "var",
    "mnt",
    "private",
    "Library",
    "Application Support",
    "LaunchAgents",
    "Preferences",
    "Caches",
    "AppData",
    "Roaming",
    "Local",
    "ProgramData",
    "Program Files",
    ".config",
    ".local",
    ".cache",
    ".cargo",
    "config",
    "state",
    "data",
    "cache",
    "runtime",
    "systemd",
    "fetch-token",
    "fetch-token.exe",
    "config.toml",
    "ledger.json",
    "ledger.lock",
    "pending.json",
    "refused.json",
    "cursors.json",
    "daemon.sock",
    "daemon.lock",
    "fetch-token.service",
    "fetch-token.plist",
    "default.target.wants",
    "target",
    "debug",
    "release",
    "null",
];

/// Labels of hosts' names that many have.
const LABELS: &[&str] = &[
    "autoconfig",
    "autodiscover",
    "imap",
    "imap4",
    "imaps",
    "imap-mail",
    "localhost",
    "mail",
    "mx",
    "mx1",
    "mx2",
    "outlook",
    "pop",
    "secure",
    "smtp",
    "www",
    "_dmarc",
    "_domainkey",
    "_imap",
    "_imaps",
    "_tcp",
    "{domain}",
    "{address}",
];

/// Domains that are Salesforce's, or of a kind that is nobody's, under which the names stand that are somebody's.
const DOMAINS: &[&str] = &[
    "sandbox.my.salesforce.com",
    "develop.my.salesforce.com",
    "my.salesforce.com",
    "salesforce.com",
    "salesforcedevs.com",
    "force.com",
];

/// Where the big providers give access tokens.
const AUTHORIZATION_SERVERS: &[&str] = &[
    "accounts.google.com",
    "oauth2.googleapis.com",
    "login.microsoftonline.com",
];

/// Names of programs on a message bus and the like, which look like hosts.
const BUS: &[&str] = &["org.freedesktop", "org.gnome", "org.kde"];

/// Ends of files' names, which look like domains.
const ENDS: &[&str] = &[
    "c", "conf", "crt", "der", "eml", "exe", "json", "lock", "log", "pem", "plist", "service",
    "sh", "sock", "toml", "txt",
];

fn has(list: &[&str], word: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Whether a value of the configuration is one of the program's own words.
pub(super) fn is_value(value: &str) -> bool {
    has(VALUES, value) || Choice::names().any(|name| name == value)
}

/// Whether a value is a time, where one is wanted.
pub(super) fn is_duration(value: &str) -> bool {
    humantime::parse_duration(value).is_ok()
}

/// Whether an address is Salesforce's own.
pub(super) fn is_sender(address: &str) -> bool {
    has(&DEFAULT_FROM, address)
}

/// Whether a program is had by many under this name.
pub(super) fn is_program(name: &str) -> bool {
    has(PROGRAMS, name)
}

/// Whether a part of a path is the system's or this program's; short numbers are those of users and processes.
pub(super) fn is_component(name: &str) -> bool {
    let is_number = name.len() <= 5 && name.chars().all(|c| c.is_ascii_digit());
    is_word_of_paths(name) || is_number
}

/// The same without the numbers.
pub(super) fn is_word_of_paths(name: &str) -> bool {
    COMPONENTS.contains(&name)
}

/// The end of a file's name, with its dot, where it is a usual one.
pub(super) fn end_of(name: &str) -> Option<&str> {
    let place = name.rfind('.').filter(|&place| place > 0)?;
    has(ENDS, &name[place + 1..]).then(|| &name[place..])
}

/// Whether one label of a host's name is had by many.
pub(super) fn is_label(label: &str) -> bool {
    has(LABELS, label)
}

/// Whether a host is a provider's server, a name that Salesforce or the message bus has, or this machine as every
/// machine calls itself.
pub(super) fn is_host(host: &str) -> bool {
    let on_the_bus = |known: &&str| {
        let rest = host.strip_prefix(*known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    is_known_server(host)
        || has(&DEFAULT_DOMAINS, host)
        || has(AUTHORIZATION_SERVERS, host)
        || has(LABELS, host)
        || has(DOMAINS, host)
        || BUS.iter().any(on_the_bus)
}

/// The domain of [`DOMAINS`] that a host stands under, and what stands before it, without the dot.
pub(super) fn under_domain(host: &str) -> Option<(&str, &str)> {
    DOMAINS.iter().find_map(|domain| {
        let place = host.len().checked_sub(domain.len())?;
        let (before, end) = (host.get(..place)?, host.get(place..)?);
        let before = before.strip_suffix('.')?;
        end.eq_ignore_ascii_case(domain).then_some((before, end))
    })
}
