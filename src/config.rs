//! The configuration file, and errors that point at the place in it.

mod choice;
mod discovery;
pub mod edit;
mod hook;
mod instance;
mod keychain;
pub mod keys;
mod shared;

pub use choice::NoAccount;
pub use discovery::Discovery;
pub use hook::{Hook, Input, Occasion};

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use directories::ProjectDirs;
use serde::Deserialize;
use toml::Spanned;

use crate::account::{Account, Instances, Login, Password, Typed, oauth2};
use crate::imap::{Endpoint, Tls};
use crate::keychain::Settings as Stores;
use crate::mail::{self, Policy, Recipients};
use shared::Shared;

/// What the user configured.
#[derive(Debug)]
pub struct Config {
    /// At least one, but in a [draft](Config::draft).
    pub accounts: Vec<Arc<Account>>,
    /// Where the keys that prove a sender come from; `None` is the system's DNS.
    pub keys: Option<KeysFrom>,
    /// What to run when something happens.
    pub hooks: Arc<[Hook]>,
    /// Where tokens are stored.
    pub keychain: Stores,
    /// Where servers are looked for.
    pub discovery: Discovery,
}

/// Where the keys that prove a sender come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysFrom {
    /// The DNS server at this address.
    Resolver(SocketAddr),
    /// This file, in place of DNS.
    File(PathBuf),
}

/// A place in the configuration file, and what is wrong there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no file.
    #[error(
        "there is no configuration at {}. Call `fetch-token login ADDRESS`, or write one, for example:\n\n{EXAMPLE}", .0.display()
    )]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {why}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The operating system's words.
        why: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{}:{line}:{column}: {what}", .file.display())]
    Wrong {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong and what was meant.
        what: String,
    },
    /// The platform names no place for configuration.
    #[error("no home directory is known. Name the file with --config")]
    NoHome,
}

const EXAMPLE: &str = r#"    [[account]]
    address = "integration@acme.example"
    host = "imap.acme.example"
    password = { command = ["pass", "imap/acme"] }
    usernames = ["*@acme.example"]"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    account: Vec<Spanned<Entry>>,
    #[serde(default)]
    sender: Sender,
    #[serde(default)]
    hook: Vec<hook::Entry>,
    #[serde(default)]
    keychain: keychain::Entry,
    #[serde(default)]
    discovery: discovery::Entry,
}

/// The one table that commands without a mailbox need.
#[derive(Debug, Deserialize)]
struct KeychainAlone {
    #[serde(default)]
    keychain: keychain::Entry,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    address: Spanned<String>,
    host: Spanned<String>,
    port: Option<Spanned<u16>>,
    ca_file: Option<Spanned<PathBuf>>,
    #[serde(default = "implicit")]
    tls: Tls,
    password: Option<Spanned<Password>>,
    oauth2: Option<Spanned<oauth2::Entry>>,
    user: Option<Spanned<String>>,
    addresses: Option<Spanned<Vec<String>>>,
    usernames: Spanned<Vec<String>>,
    folders: Option<Spanned<Vec<String>>>,
    #[serde(default = "yes")]
    idle: bool,
    #[serde(default = "yes")]
    sweep_junk: bool,
    trusted_authserv_id: Option<Spanned<String>>,
    instance: Option<Spanned<instance::Entry>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sender {
    from: Vec<String>,
    domains: Vec<String>,
    resolver: Option<Spanned<String>>,
    dkim_keys: Option<Spanned<PathBuf>>,
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            from: mail::DEFAULT_FROM.map(str::to_owned).to_vec(),
            domains: mail::DEFAULT_DOMAINS.map(str::to_owned).to_vec(),
            resolver: None,
            dkim_keys: None,
        }
    }
}

impl Sender {
    fn keys(&self, file: &Path) -> Result<Option<KeysFrom>, (Range<usize>, String)> {
        match (&self.resolver, &self.dkim_keys) {
            (None, None) => Ok(None),
            (Some(resolver), None) => server(resolver.get_ref()).map_or_else(
                || Err((resolver.span(), NO_SERVER.to_owned())),
                |address| Ok(Some(KeysFrom::Resolver(address))),
            ),
            // Relative to the file that names it, wherever the command is run.
            (None, Some(keys)) => Ok(Some(KeysFrom::File(beside(file, keys.get_ref())))),
            (Some(_), Some(keys)) => Err((
                keys.span(),
                "keys come from `resolver` or from `dkim_keys`, not from both".to_owned(),
            )),
        }
    }
}

const NO_SERVER: &str = "a resolver is an IP address, with a port or without: \"192.0.2.1\", \"127.0.0.1:5353\", \
                         \"[2001:db8::1]:53\"";

/// A DNS server's address; 53 is DNS's port (RFC 1035 §4.2).
fn server(text: &str) -> Option<SocketAddr> {
    let alone = |text: &str| text.parse::<IpAddr>().ok().map(|ip| (ip, 53).into());
    text.parse().ok().or_else(|| alone(text))
}

fn beside(file: &Path, path: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

fn implicit() -> Tls {
    Tls::Implicit
}

/// How to log in, by the one or the other key.
fn login(
    password: Option<Spanned<Password>>,
    oauth2: Option<Spanned<oauth2::Entry>>,
) -> Result<Login, (Range<usize>, String)> {
    match (password, oauth2) {
        (Some(password), None) => Ok(Login::Password(password.into_inner())),
        (None, None) => Ok(Login::Password(Password::Keychain(Typed::default()))),
        (None, Some(oauth2)) => {
            let span = oauth2.span();
            let oauth2 = oauth2.into_inner().check(span)?;
            Ok(Login::OAuth2(Box::new(oauth2)))
        }
        (Some(_), Some(oauth2)) => Err((
            oauth2.span(),
            "an account has a `password` or `oauth2`, not both".to_owned(),
        )),
    }
}

fn yes() -> bool {
    true
}

/// The platform's directories for this program.
pub fn directories() -> Result<ProjectDirs, Error> {
    ProjectDirs::from("", "", "fetch-token").ok_or(Error::NoHome)
}

/// Where the configuration lies unless `--config` names another place.
pub fn default_file() -> Result<PathBuf, Error> {
    Ok(directories()?.config_dir().join("config.toml"))
}

/// Where the ledger, the cursors and the locks lie.
pub fn state_directory() -> Result<PathBuf, Error> {
    let directories = directories()?;
    let state = directories
        .state_dir()
        .unwrap_or_else(|| directories.data_local_dir());
    Ok(state.to_owned())
}

/// Where the daemon's socket lies.
pub fn runtime_directory() -> Result<PathBuf, Error> {
    match directories()?.runtime_dir() {
        Some(runtime) => Ok(runtime.to_owned()),
        None => state_directory(),
    }
}

impl Config {
    /// Reads the file.
    pub fn read(file: &Path) -> Result<Self, Error> {
        Self::parse(&Self::text(file)?, file)
    }

    fn text(file: &Path) -> Result<String, Error> {
        std::fs::read_to_string(file).map_err(|why| {
            if why.kind() == std::io::ErrorKind::NotFound {
                Error::Missing(file.to_owned())
            } else {
                Error::Unreadable {
                    file: file.to_owned(),
                    why,
                }
            }
        })
    }

    /// Reads the text of a file, which errors name.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Error> {
        let config = Self::draft(text, file)?;
        if config.accounts.is_empty() {
            let what = format!("no [[account]] here. For example:\n\n{EXAMPLE}");
            return Err(place(file, text, 0, what));
        }
        Ok(config)
    }

    /// Reads a text to which the first account may be added yet.
    pub fn draft(text: &str, file: &Path) -> Result<Self, Error> {
        let wrong = |(span, what): (Range<usize>, String)| place(file, text, span.start, what);
        let parsed: File = from_toml(text, file)?;
        let keys = parsed.sender.keys(file).map_err(&wrong)?;
        let mut accounts: Vec<Arc<Account>> = Vec::new();
        let mut shared = Shared::default();
        for entry in parsed.account {
            let address = &entry.get_ref().address;
            let is_same =
                |other: &Arc<Account>| other.address.eq_ignore_ascii_case(address.get_ref());
            if accounts.iter().any(is_same) {
                let what = "an account above has this address. Make one of the two";
                return Err(wrong((address.span(), what.to_owned())));
            }
            let account =
                account(entry.into_inner(), &parsed.sender, file, &mut shared).map_err(&wrong)?;
            accounts.push(Arc::new(account));
        }
        let hooks = parsed.hook.into_iter().map(hook::Entry::check);
        Ok(Self {
            accounts,
            keys,
            hooks: hooks.collect::<Result<_, _>>().map_err(&wrong)?,
            keychain: parsed.keychain.check(file).map_err(&wrong)?,
            discovery: parsed.discovery.check().map_err(wrong)?,
        })
    }

    /// Where tokens are stored, for the commands that need no account. What is wrong elsewhere in the file keeps
    /// nobody from a token, and without a file it is the platform's own store.
    pub fn keychain(file: &Path) -> Result<Stores, Error> {
        let text = match Self::text(file) {
            Ok(text) => text,
            Err(Error::Missing(_)) => return Ok(Stores::default()),
            Err(error) => return Err(error),
        };
        let parsed: KeychainAlone = from_toml(&text, file)?;
        let settings = parsed.keychain.check(file);
        settings.map_err(|(span, what)| place(file, &text, span.start, what))
    }
}

/// The login name: the address, where no other is configured.
fn user(named: Option<&Spanned<String>>, address: &str) -> Result<String, (Range<usize>, String)> {
    let Some(user) = named else {
        return Ok(address.to_owned());
    };
    if user.get_ref().is_empty() || user.get_ref().contains(char::is_control) {
        let what = "a login name is not empty and holds no control characters";
        return Err((user.span(), what.to_owned()));
    }
    Ok(user.get_ref().clone())
}

/// Checks what the types cannot say.
fn account(
    entry: Entry,
    sender: &Sender,
    file: &Path,
    shared: &mut Shared,
) -> Result<Account, (Range<usize>, String)> {
    let address = entry.address.get_ref();
    if !address.contains('@') {
        return Err((
            entry.address.span(),
            "an address holds an @, for example \"integration@acme.example\"".to_owned(),
        ));
    }
    let user = user(entry.user.as_ref(), address)?;
    if entry.host.get_ref().is_empty() {
        return Err((entry.host.span(), "the host is empty".to_owned()));
    }
    let authorities = match &entry.ca_file {
        None => Vec::new(),
        Some(path) => {
            // Relative to the file that names it, wherever the command is run.
            let full = beside(file, path.get_ref());
            shared.authorities(&full).map_err(|error| {
                (
                    path.span(),
                    format!(
                        "the authority in {} cannot be used: {error}",
                        full.display()
                    ),
                )
            })?
        }
    };
    let usernames = shared
        .usernames(entry.usernames.get_ref())
        .map_err(|error| (entry.usernames.span(), error.to_string()))?;
    if entry.usernames.get_ref().is_empty() {
        return Err((
            entry.usernames.span(),
            "no username is allowed here. Write [\"*\"] for any".to_owned(),
        ));
    }
    let aliases = entry.addresses.as_ref();
    let ours: Vec<_> = std::iter::once(&globset::escape(address))
        .chain(aliases.iter().flat_map(|aliases| aliases.get_ref()))
        .cloned()
        .collect();
    let recipients = Recipients::of(&ours).map_err(|error| {
        let place = aliases.map_or_else(|| entry.address.span(), Spanned::span);
        (place, error.to_string())
    })?;
    let (folder, other_folders) = match &entry.folders {
        None => ("INBOX".to_owned(), Vec::new()),
        Some(folders) => {
            self::folders(folders.get_ref()).map_err(|what| (folders.span(), what.to_owned()))?
        }
    };
    // Compared as a whole, so blanks around it would keep it from ever matching.
    if let Some(id) = &entry.trusted_authserv_id
        && (id.get_ref().is_empty() || id.get_ref().contains(char::is_whitespace))
    {
        return Err((
            id.span(),
            "an authserv-id is one word, for example \"mx.acme.example\"".to_owned(),
        ));
    }
    let instances = match &entry.instance {
        None => Instances::default(),
        Some(instance) => instance
            .get_ref()
            .check()
            .map_err(|what| (instance.span(), what))?,
    };
    let port = entry
        .port
        .as_ref()
        .map_or(entry.tls.port(), |port| *port.get_ref());
    Ok(Account {
        endpoint: Endpoint {
            host: entry.host.into_inner(),
            port,
            tls: entry.tls,
            authorities,
        },
        user,
        address: address.clone(),
        login: login(entry.password, entry.oauth2)?,
        folder,
        other_folders,
        sweep_junk: entry.sweep_junk,
        idle: entry.idle,
        instances,
        policy: Arc::new(Policy {
            from: sender.from.clone(),
            domains: sender.domains.clone(),
            trusted_authserv_id: entry.trusted_authserv_id.map(Spanned::into_inner),
            recipients,
            usernames,
        }),
    })
}

/// Most folders of an account: each is opened every half minute.
const FOLDERS: usize = 20;

/// The folder that is watched, and those that are searched besides.
fn folders(named: &[String]) -> Result<(String, Vec<String>), &'static str> {
    let is_name = |name: &String| !name.is_empty() && !name.chars().any(char::is_control);
    if !named.iter().all(is_name) {
        return Err("a folder's name is not empty and holds no control characters");
    }
    let mut once = named.to_vec();
    once.sort_unstable();
    once.dedup();
    if once.len() < named.len() {
        return Err("a folder is named twice");
    }
    match named.split_first() {
        Some((first, others)) if others.len() < FOLDERS => Ok((first.clone(), others.to_vec())),
        Some(_) => Err("at most 20 folders of an account are searched"),
        None => Err("no folder is named. The first is watched, the others are searched every 30 s"),
    }
}

fn from_toml<T: serde::de::DeserializeOwned>(text: &str, file: &Path) -> Result<T, Error> {
    toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        place(file, text, span.start, in_our_words(error.message()))
    })
}

fn place(file: &Path, text: &str, offset: usize, what: String) -> Error {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    Error::Wrong {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        what,
    }
}

/// The reader's message without what stands in the file (which may be a secret in the wrong place), and with what
/// was probably meant.
fn in_our_words(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let mut names = rest.split('`').skip(1).step_by(2);
        let unknown = names.next().unwrap_or_default();
        let known: Vec<_> = names.collect();
        let meant = known
            .iter()
            .map(|name| (strsim::jaro_winkler(unknown, name), name))
            // clap's own measure for options.
            .filter(|(likeness, _)| *likeness > 0.7)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        return match meant {
            Some((_, name)) => format!("unknown key `{unknown}`. Did you mean `{name}`?"),
            None => format!("unknown key `{unknown}`. Known here: {}", known.join(", ")),
        };
    }
    if let Some(name) = message.strip_prefix("missing field ") {
        return format!("the key {name} is missing here");
    }
    if (message.starts_with("unknown variant") || message.starts_with("invalid"))
        && let Some((_, expected)) = message.rsplit_once(", expected ")
    {
        return match expected {
            "u16" => "this must be a port, a number from 0 to 65535".to_owned(),
            expected => format!("this must be {expected}"),
        };
    }
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use super::Config;
    use std::path::Path;

    const GOOD: &str = r#"
[[account]]
address = "integration@acme.example"
host = "imap.acme.example"
usernames = ["*@acme.example"]
"#;

    fn error(text: &str) -> String {
        Config::parse(text, Path::new("config.toml"))
            .expect_err(text)
            .to_string()
    }

    #[test]
    fn five_lines_are_enough() {
        let config = Config::parse(GOOD, Path::new("config.toml")).expect("valid");
        let account = &config.accounts[0];
        assert_eq!(account.endpoint.port, 993);
        assert_eq!(account.folder, "INBOX");
        assert!(account.idle);
    }

    #[test]
    fn errors_name_the_place_and_what_was_meant() {
        let cases = [
            (
                GOOD.replace("host", "hots"),
                "config.toml:4:1: unknown key `hots`. Did you mean `host`?",
            ),
            (
                GOOD.replace("host = \"imap.acme.example\"\n", ""),
                "config.toml:2:1: the key `host` is missing here",
            ),
            (
                format!("{GOOD}port = \"imaps\"\n"),
                "config.toml:6:8: this must be a port, a number from 0 to 65535",
            ),
            (
                format!("{GOOD}tls = \"none\"\n"),
                "config.toml:6:7: this must be `implicit` or `starttls`",
            ),
            (
                GOOD.replace("integration@acme", "integration.acme"),
                "config.toml:3:11: an address holds an @, for example \"integration@acme.example\"",
            ),
            (
                format!("{GOOD}folders = [\"INBOX\", \"INBOX\"]\n"),
                "config.toml:6:11: a folder is named twice",
            ),
            (
                format!(
                    "{GOOD}{}",
                    GOOD.replace("integration@acme", "Integration@Acme")
                ),
                "config.toml:8:11: an account above has this address. Make one of the two",
            ),
            (
                format!("{GOOD}trusted_authserv_id = \" \"\n"),
                "config.toml:6:23: an authserv-id is one word, for example \"mx.acme.example\"",
            ),
            (
                format!("{GOOD}[sender]\nresolver = \"dns.acme.example\"\n"),
                "config.toml:7:12: a resolver is an IP address, with a port or without: \"192.0.2.1\", \
                 \"127.0.0.1:5353\", \"[2001:db8::1]:53\"",
            ),
            (
                format!("{GOOD}user = \"\"\n"),
                "config.toml:6:8: a login name is not empty and holds no control characters",
            ),
            (
                format!("{GOOD}[discovery]\nautoconfig = [\"http://autoconfig.acme.example/\"]\n"),
                "config.toml:7:14: these are URLs that begin with https://, in which {domain} and {address} stand for \
                 those of the mailbox",
            ),
            (
                format!("{GOOD}[sender]\nform = []\n"),
                "config.toml:7:1: unknown key `form`. Did you mean `from`?",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(error(&text), expected);
        }
        assert!(error("").starts_with("config.toml:1:1: no [[account]] here"));
    }

    #[test]
    fn no_error_repeats_a_password_that_stands_in_the_file() {
        for line in [
            "password = \"hunter2secret\"",
            "password = hunter2secret",
            "password = [\"hunter2secret\"]",
            "password = { command = \"hunter2secret\" }",
            "password = { comand = [\"hunter2secret\"] }",
            "password = \"hunter2secret",
            "passwort = \"hunter2secret\"",
            "idle = \"hunter2secret\"",
            "folders = \"hunter2secret\"",
            "tls = \"hunter2secret\"",
            "ca_file = 5 hunter2secret",
            "hunter2secret",
        ] {
            let text = error(&format!("{GOOD}{line}\n"));
            let text = text.replace("unknown key `hunter2secret`", "");
            assert!(!text.contains("hunter2"), "{line}: {text}");
            assert!(text.starts_with("config.toml:"), "{line}: {text}");
        }
    }
}
