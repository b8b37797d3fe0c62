//! The Credential Manager of Windows.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use keyring_core::api::{Credential, CredentialApi, CredentialStoreApi};
use keyring_core::{Entry, Error, Result};
use windows_native_keyring_store::Store;

use super::TOKEN_SERVICE;
use super::keyring::{Keyring, Threaded};

/// What stands between account and service in a credential's name, as Python's `keyring` has it.
const DIVIDER: &str = "@";

/// The store.
pub(super) fn store() -> Threaded {
    Threaded::new(Keyring {
        name: "Windows Credential Manager",
        advice: "Log in to a desktop session, then try again",
        may_ask: true,
        has_labels: false,
        has_attributes: false,
        open: Box::new(|| {
            let divider = HashMap::from([("divider", DIVIDER)]);
            Ok(Arc::new(Readable(Store::new_with_configuration(&divider)?)))
        }),
    })
}

/// The store, with tokens as other programs read and write them here. What only we read stays as it is: a credential holds
/// 2,560 octets, and a refresh token may want more than half of them.
#[derive(Debug)]
struct Readable(Arc<Store>);

impl CredentialStoreApi for Readable {
    fn vendor(&self) -> String {
        self.0.vendor()
    }

    fn id(&self) -> String {
        self.0.id()
    }

    fn build(
        &self,
        service: &str,
        user: &str,
        modifiers: Option<&HashMap<&str, &str>>,
    ) -> Result<Entry> {
        let entry = self.0.build(service, user, modifiers)?;
        Ok(if service == TOKEN_SERVICE {
            Entry::new_with_credential(Arc::new(Text(entry)))
        } else {
            entry
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A credential whose secret is text as Windows has it, in UTF-16.
#[derive(Debug)]
struct Text(Entry);

impl CredentialApi for Text {
    fn set_secret(&self, secret: &[u8]) -> Result<()> {
        let text = std::str::from_utf8(secret)
            .map_err(|_| Error::Invalid("secret".to_owned(), "it is no UTF-8 text".to_owned()))?;
        self.0.set_password(text)
    }

    fn get_secret(&self) -> Result<Vec<u8>> {
        self.0.get_password().map(String::into_bytes)
    }

    fn get_attributes(&self) -> Result<HashMap<String, String>> {
        self.0.get_attributes()
    }

    fn delete_credential(&self) -> Result<()> {
        self.0.delete_credential()
    }

    fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
        Ok(None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        self.0.get_specifiers()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
