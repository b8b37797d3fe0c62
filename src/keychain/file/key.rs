//! What opens the file: age identities, or a passphrase.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use age::scrypt;
use age::x25519::{Identity, Recipient};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::settings::Key;
use super::trouble::Trouble;
use crate::keychain::notices;
use crate::private;

/// Longest file of identities, in octets. `age-keygen` writes some 190 for each.
const IDENTITIES: u64 = 64 * 1024;

/// A key that is at hand.
pub(super) enum Opener {
    /// All of them open it; what is written is for all of them.
    Identities(Vec<Identity>, PathBuf),
    /// One passphrase.
    Passphrase(SecretString),
}

/// Whether a key may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Making {
    /// There is no file yet, and something is to be written to it.
    Allowed,
    /// There is a file, which a new key would not open.
    Forbidden,
}

impl Opener {
    /// The key that the settings name; `passphrase` is what was typed or printed, where they name one.
    pub(super) fn of(
        key: &Key,
        passphrase: Option<SecretString>,
        making: Making,
    ) -> Result<Self, Trouble> {
        match (key, passphrase) {
            (Key::Identity(file), _) => by_file(file, making),
            (Key::Credential(name), _) => by_credential(name),
            (Key::Command(_) | Key::Prompt(_), Some(passphrase)) => {
                Ok(Self::Passphrase(passphrase))
            }
            (Key::Command(_) | Key::Prompt(_), None) => {
                Err(Trouble::Sealed("no passphrase was given".to_owned()))
            }
        }
    }

    /// As age asks for it when it decrypts.
    pub(super) fn identities(&self) -> Vec<Box<dyn age::Identity>> {
        match self {
            Self::Identities(identities, _) => {
                let identities = identities.iter().cloned();
                identities.map(|one| Box::new(one) as _).collect()
            }
            // It bounds the work that a file may ask of us, too.
            Self::Passphrase(passphrase) => {
                vec![Box::new(scrypt::Identity::new(passphrase.clone()))]
            }
        }
    }

    /// As age asks for it when it encrypts.
    pub(super) fn recipients(&self) -> Vec<Box<dyn age::Recipient>> {
        match self {
            Self::Identities(identities, _) => {
                let recipients = identities.iter().map(Identity::to_public);
                recipients
                    .map(|one: Recipient| Box::new(one) as _)
                    .collect()
            }
            Self::Passphrase(passphrase) => {
                vec![Box::new(scrypt::Recipient::new(passphrase.clone()))]
            }
        }
    }

    /// It does not fit.
    pub(super) fn does_not_fit(&self) -> Trouble {
        Trouble::Sealed(match self {
            Self::Identities(_, file) => format!(
                "the key in {} does not open it. Name the key that it was written with in `[keychain.file]`",
                file.display()
            ),
            Self::Passphrase(_) => {
                "the passphrase does not open it. Give the one that it was written with".to_owned()
            }
        })
    }
}

fn by_file(file: &Path, making: Making) -> Result<Opener, Trouble> {
    match File::open(file) {
        Ok(opened) => {
            ensure_private(&opened, file)?;
            identities(opened, file)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && making == Making::Allowed => {
            make(file)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Trouble::Sealed(format!(
            "its key {} is not there. Put it back: without it nobody can read what was stored",
            file.display()
        ))),
        Err(error) => Err(unreadable(file, &error)),
    }
}

/// A credential has permissions of the service manager's making.
fn by_credential(name: &str) -> Result<Opener, Trouble> {
    let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
        return Err(Trouble::Sealed(format!(
            "its key is the credential {name}, and systemd has given us none. Name it in the unit: \
             LoadCredentialEncrypted={name}:FILE"
        )));
    };
    let file = Path::new(&directory).join(name);
    let opened = File::open(&file).map_err(|error| unreadable(&file, &error))?;
    identities(opened, &file)
}

fn unreadable(file: &Path, error: &io::Error) -> Trouble {
    Trouble::Sealed(format!(
        "its key {} cannot be read ({error}). Check the file, and to whom it belongs",
        file.display()
    ))
}

#[cfg(unix)]
fn ensure_private(opened: &File, file: &Path) -> Result<(), Trouble> {
    use std::os::unix::fs::MetadataExt as _;

    /// What the group and all others may do.
    const OTHERS: u32 = 0o077;

    let found = opened
        .metadata()
        .map_err(|error| unreadable(file, &error))?;
    if found.mode() & OTHERS != 0 {
        return Err(Trouble::Sealed(format!(
            "its key {} may be read or changed by others (mode {:04o}). Take that away: chmod 600 {}",
            file.display(),
            found.mode() & 0o7777,
            file.display()
        )));
    }
    Ok(())
}

/// Windows keeps what lies in a user's folders from other users.
#[cfg(not(unix))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "it can fail where there are modes"
)]
fn ensure_private(_: &File, _: &Path) -> Result<(), Trouble> {
    Ok(())
}

fn identities(opened: File, file: &Path) -> Result<Opener, Trouble> {
    let no_key = |what: &str| {
        Trouble::Sealed(format!(
            "its key {} {what}. It holds identities as `age-keygen` writes them, one a line: AGE-SECRET-KEY-1...",
            file.display()
        ))
    };
    // Of its full size from the start: a buffer that grows leaves copies behind that nobody wipes.
    let size = usize::try_from(IDENTITIES).unwrap_or(usize::MAX);
    let mut octets = Zeroizing::new(Vec::with_capacity(size + 1));
    opened
        .take(IDENTITIES + 1)
        .read_to_end(&mut octets)
        .map_err(|error| unreadable(file, &error))?;
    if octets.len() > size {
        return Err(no_key("is too long"));
    }
    let text = std::str::from_utf8(&octets).map_err(|_| no_key("is no text"))?;
    let lines = text.lines().map(str::trim);
    let found = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            line.parse::<Identity>()
                .map_err(|_| no_key("holds something that is no age identity"))
        });
    let found = found.collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() {
        return Err(no_key("holds no identity"));
    }
    Ok(Opener::Identities(found, file.to_owned()))
}

/// Makes a key, in the form of `age-keygen`.
fn make(file: &Path) -> Result<Opener, Trouble> {
    let failed = |error: io::Error| Trouble::system("written", file, &error);
    let identity = Identity::generate();
    let secret = identity.to_string();
    let head = format!(
        "# created: {}\n# public key: {}\n",
        Timestamp::now(),
        identity.to_public()
    );
    let secret = secret.expose_secret();
    let mut text = Zeroizing::new(Vec::with_capacity(head.len() + secret.len() + 1));
    text.extend_from_slice(head.as_bytes());
    text.extend_from_slice(secret.as_bytes());
    text.push(b'\n');
    private::make_directory(private::directory_of(file)).map_err(failed)?;
    match private::create(file, &text) {
        Ok(()) => {}
        // Another store of ours, which has the same key, was first.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return by_file(file, Making::Forbidden);
        }
        Err(error) => return Err(failed(error)),
    }
    notices::leave(&format!(
        "Made the key {}. Who has it and the encrypted file reads all that is stored there; who loses it, nothing. Keep a \
         copy of it where the file is not.",
        file.display()
    ));
    Ok(Opener::Identities(vec![identity], file.to_owned()))
}
