//! The programs behind a Secret Service: the same cases are put to all of them.

use super::home::Home;
use super::process::{output_of, require};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A program behind the Secret Service. `GNOME Keyring` is among `scripts/install-parts`, the others are what
/// `scripts/install-parts --keychains` installs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    GnomeKeyring,
    KeePassXc,
    KWallet,
}

/// What the keychain is opened with.
const MASTER_PASSWORD: &str = "the lab's login password";

/// An empty database of `KeePassXC` whose only group is the Secret Service's.
const DATABASE: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<KeePassFile>
<Meta><Generator>lab</Generator><CustomData><Item><Key>FDO_SECRETS_EXPOSED_GROUP</Key>
<Value>{8942a4fb-8d80-4d04-a3d0-a08bd6fbb712}</Value></Item></CustomData></Meta>
<Root><Group><UUID>iUKk+42ATQSj0KCL1vu3Eg==</UUID><Name>Passwords</Name></Group></Root>
</KeePassFile>
"#;

/// How long `KeePassXC` takes to derive the database's key, in milliseconds; 1000 by itself.
const DERIVATION: &str = "100";

impl Provider {
    /// Those that can be had in this run.
    pub fn all() -> &'static [Self] {
        if cfg!(feature = "keychain-tests") {
            &[Self::GnomeKeyring, Self::KeePassXc, Self::KWallet]
        } else {
            &[Self::GnomeKeyring]
        }
    }

    /// Its program.
    pub fn program(self) -> PathBuf {
        match self {
            Self::GnomeKeyring => require("gnome-keyring-daemon", "gnome-keyring"),
            Self::KeePassXc => require("keepassxc", "keepassxc"),
            Self::KWallet => require("kwalletd5", "libkf5wallet-bin"),
        }
    }

    /// Its name, and the version of its Debian package: `KWallet` says its own only to a message bus.
    pub fn version(self) -> String {
        let (name, package) = match self {
            Self::GnomeKeyring => ("GNOME Keyring", "gnome-keyring"),
            Self::KeePassXc => ("KeePassXC", "keepassxc"),
            Self::KWallet => ("KWallet", "libkf5wallet-bin"),
        };
        let query = ["-W", "-f", "${source:Upstream-Version}", package];
        let output = Command::new("dpkg-query").args(query).output();
        let version = output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
        format!("{name} {}", version.unwrap_or_default())
    }

    /// The path of its default collection.
    pub fn collection(self) -> &'static str {
        match self {
            Self::GnomeKeyring => "/org/freedesktop/secrets/collection/login",
            Self::KeePassXc => "/org/freedesktop/secrets/collection/lab",
            Self::KWallet => "/org/freedesktop/secrets/collection/kdewallet",
        }
    }

    /// Whether it ends when it is told to, with everything stored: `KeePassXC` does not, without its window.
    pub(super) fn ends_by_term(self) -> bool {
        self != Self::KeePassXc
    }

    /// What it finds in its home before its first start. `asks` is whether `KeePassXC` asks about each access, as it does
    /// unless it is told not to.
    pub(super) fn furnish(self, home: &Home, asks: bool) {
        let write = |folder: &str, name: &str, text: &str| {
            let folder = home.path().join("config").join(folder);
            fs::create_dir_all(&folder).expect("make a folder");
            fs::write(folder.join(name), text).expect("write the provider's settings");
        };
        match self {
            Self::GnomeKeyring => {}
            Self::KWallet => write(
                "",
                "kwalletrc",
                "[Wallet]\nEnabled=true\nFirst Use=false\nDefault Wallet=kdewallet\nPrompt on Open=false\n\
                 [org.freedesktop.secrets]\napiEnabled=true\n",
            ),
            Self::KeePassXc => {
                write(
                    "keepassxc",
                    "keepassxc.ini",
                    &format!(
                        "[General]\nConfigVersion=2\nAutoSaveAfterEveryChange=true\n[GUI]\nCheckForUpdates=false\n\
                         [FdoSecrets]\nEnabled=true\nShowNotification=false\nConfirmAccessItem={asks}\n\
                         ConfirmDeleteItem={asks}\n"
                    ),
                );
                if !Self::database(home).exists() {
                    let xml = home.write_private("lab.xml", DATABASE);
                    let password = home.write_private(
                        "new-password",
                        &format!("{MASTER_PASSWORD}\n{MASTER_PASSWORD}\n"),
                    );
                    let input = fs::File::open(password).expect("open the password");
                    let status = Command::new(require("keepassxc-cli", "keepassxc"))
                        .args(["import", "-q", "-p", "-t", DERIVATION])
                        .args([xml, Self::database(home)])
                        .env_clear()
                        .envs(home.env())
                        .stdin(input)
                        .stdout(Stdio::null())
                        .stderr(Stdio::null())
                        .status()
                        .expect("run keepassxc-cli");
                    assert!(status.success(), "keepassxc-cli import: {status}");
                }
            }
        }
    }

    /// Its arguments and its standard input, to start open or locked.
    pub(super) fn arguments(self, home: &Home, is_open: bool) -> (Vec<String>, Stdio) {
        let password = || {
            let newline = if self == Self::KeePassXc { "\n" } else { "" };
            let file =
                home.write_private("master-password", &format!("{MASTER_PASSWORD}{newline}"));
            Stdio::from(fs::File::open(file).expect("open the master password"))
        };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let database = Self::database(home).display().to_string();
        match (self, is_open) {
            (Self::GnomeKeyring, true) => (
                words(&["--unlock", "--components=secrets", "--foreground"]),
                password(),
            ),
            (Self::GnomeKeyring, false) => (
                words(&["--components=secrets", "--foreground"]),
                Stdio::null(),
            ),
            (Self::KeePassXc, true) => (words(&["--pw-stdin", &database]), password()),
            (Self::KeePassXc, false) => (words(&[&database]), Stdio::null()),
            (Self::KWallet, _) => (Vec::new(), Stdio::null()),
        }
    }

    /// What a person types to unlock it.
    pub fn password() -> &'static str {
        MASTER_PASSWORD
    }

    /// What is in the title of the window in which it asks for that.
    pub fn prompt(self) -> &'static str {
        match self {
            Self::GnomeKeyring => "Unlock Login Keyring",
            Self::KeePassXc => "KeePassXC",
            Self::KWallet => "KDE Wallet Service",
        }
    }

    fn database(home: &Home) -> PathBuf {
        home.path().join("data/lab.kdbx")
    }

    /// The file that `KWallet` makes at the first opening.
    pub(super) fn wallet(home: &Home) -> PathBuf {
        home.path().join("data/kwalletd/kdewallet.kwl")
    }
}
