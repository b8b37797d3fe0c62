//! What the file holds, and how it is encrypted: age's format, version 1 (<https://c2sp.org/age>), around a JSON text.

use std::io::{self, Read as _, Write as _};

use age::{DecryptError, Decryptor, Encryptor};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::key::Opener;
use super::trouble::Trouble;
use crate::keychain::Stamp;
use crate::keychain::store::Item;

/// The text's form.
const SCHEMA: u32 = 1;

/// Most octets of plain text: 16 MiB hold some 50,000 secrets, and a file that is larger is none of ours.
const MOST: usize = 16 * 1024 * 1024;

/// Most octets of a file: what age adds is 16 octets a chunk, and a header of some hundred for each key.
pub(super) const MOST_ENCRYPTED: usize = MOST + MOST / 1024;

/// Of so many octets age makes one chunk.
const CHUNK: usize = 64 * 1024;

/// The text's length is a multiple of this, so that the file's length does not tell what came or went.
const STEP: usize = 4 * 1024;

/// All secrets.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    schema: u32,
    items: Vec<Kept>,
}

/// One of them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    service: String,
    account: String,
    /// In base64: what needs no escapes is read and written without copies that nobody wipes.
    secret: Zeroizing<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stamp: Option<String>,
}

impl Kept {
    pub(super) fn secret(&self) -> Result<SecretString, Trouble> {
        let damaged = || Trouble::Damaged("a secret in it cannot be read".to_owned());
        let mut octets = Zeroizing::new(vec![0; base64::decoded_len_estimate(self.secret.len())]);
        let size = STANDARD
            .decode_slice(self.secret.as_bytes(), &mut octets)
            .map_err(|_| damaged())?;
        let text = std::str::from_utf8(&octets[..size]).map_err(|_| damaged())?;
        Ok(SecretString::from(text))
    }

    pub(super) fn is(&self, secret: &SecretString) -> bool {
        *self.secret == *encoded(secret)
    }

    /// From which mail it is; what others wrote into the file may have none.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.stamp.as_deref()?.parse().ok()
    }
}

fn encoded(secret: &SecretString) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(secret.expose_secret()))
}

impl Content {
    pub(super) fn empty() -> Self {
        Self {
            schema: SCHEMA,
            items: Vec::new(),
        }
    }

    pub(super) fn find(&self, item: &Item) -> Option<&Kept> {
        self.items.iter().find(|kept| is_of(kept, item))
    }

    pub(super) fn put(&mut self, item: &Item, secret: &SecretString, stamp: Option<&Stamp>) {
        self.remove(item);
        self.items.push(Kept {
            service: item.service.to_owned(),
            account: item.account.clone(),
            secret: encoded(secret),
            stamp: stamp.map(Stamp::to_string),
        });
    }

    /// `false` where there was none.
    pub(super) fn remove(&mut self, item: &Item) -> bool {
        let before = self.items.len();
        self.items.retain(|kept| !is_of(kept, item));
        self.items.len() < before
    }

    /// Decrypts it.
    pub(super) fn open(octets: &[u8], opener: &Opener) -> Result<Self, Trouble> {
        let damaged = |what: &str| Trouble::Damaged(what.to_owned());
        let decryptor = Decryptor::new_buffered(octets).map_err(|error| not_ours(&error))?;
        let identities = opener.identities();
        let identities = identities.iter().map(|one| &**one);
        let mut reader = decryptor.decrypt(identities).map_err(|error| match error {
            DecryptError::ExcessiveWork { .. } => Trouble::Sealed(
                "its passphrase was made to take much longer than this machine has. Read it where it was written"
                    .to_owned(),
            ),
            DecryptError::InvalidHeader | DecryptError::Io(_) => not_ours(&error),
            _ => opener.does_not_fit(),
        })?;
        // The plain text is shorter, so this never grows.
        let mut plain = Zeroizing::new(Vec::with_capacity(octets.len()));
        reader
            .read_to_end(&mut plain)
            .map_err(|_| damaged("it was cut short or changed"))?;
        let content: Self = serde_json::from_slice(&plain).map_err(|_| {
            // The reader's words may quote a secret.
            damaged("it was not written by fetch-token, or by a later version")
        })?;
        if content.schema != SCHEMA {
            return Err(damaged("it was written by a later version of fetch-token"));
        }
        Ok(content)
    }

    /// Encrypts it.
    pub(super) fn seal(&self, opener: &Opener) -> Result<Vec<u8>, Trouble> {
        let failed = |_| Trouble::Damaged("its content cannot be written".to_owned());
        let mut size = Counted(0);
        serde_json::to_writer(&mut size, self).map_err(failed)?;
        if size.0 > MOST - CHUNK {
            return Err(Trouble::Damaged("it is full".to_owned()));
        }
        // age's writer does not wipe its buffer of one chunk. Blanks behind the text are made to fill it after the text
        // has.
        let last = size.0.min(CHUNK).next_multiple_of(STEP);
        let padded = size.0.next_multiple_of(CHUNK) + last;
        let mut plain = Zeroizing::new(Vec::with_capacity(padded));
        serde_json::to_writer(&mut *plain, self).map_err(failed)?;
        plain.resize(padded, b' ');

        let refused = |_| Trouble::Damaged("it cannot be encrypted for this key".to_owned());
        let recipients = opener.recipients();
        let recipients = recipients.iter().map(|one| &**one);
        let encryptor = Encryptor::with_recipients(recipients)
            .map_err(|_| Trouble::Damaged("it cannot be encrypted for this key".to_owned()))?;
        let mut octets = Vec::with_capacity(padded + STEP);
        let mut writer = encryptor.wrap_output(&mut octets).map_err(refused)?;
        writer.write_all(&plain).map_err(refused)?;
        writer.finish().map_err(refused)?;
        Ok(octets)
    }
}

fn is_of(kept: &Kept, item: &Item) -> bool {
    kept.service == item.service && kept.account == item.account
}

/// What is said of a file whose beginning is not that of an age file.
fn not_ours(error: &DecryptError) -> Trouble {
    Trouble::Damaged(match error {
        DecryptError::Io(why) if why.kind() == io::ErrorKind::UnexpectedEof => {
            "it was cut short".to_owned()
        }
        _ => "it is no age file".to_owned(),
    })
}

/// How much would be written.
struct Counted(usize);

impl io::Write for Counted {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0 += octets.len();
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
