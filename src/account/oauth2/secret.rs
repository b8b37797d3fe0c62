//! A client's secret, where its registration has one.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::error::Error;
use crate::asked;
use crate::keychain::{self, Keychain};

/// Where a client's secret comes from.
#[derive(Debug, Clone)]
pub enum ClientSecret {
    /// From the keychain: service [`keychain::CLIENT_SERVICE`], account the client's id.
    Keychain,
    /// The first line that this command prints. An argument list, no shell.
    Command(Vec<String>),
    /// It stands in the configuration, since it is none: whoever has the program has it (RFC 8252 §8.5).
    Public(SecretString),
}

impl PartialEq for ClientSecret {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Keychain, Self::Keychain) => true,
            (Self::Command(one), Self::Command(another)) => one == another,
            (Self::Public(one), Self::Public(another)) => {
                one.expose_secret() == another.expose_secret()
            }
            _ => false,
        }
    }
}

impl ClientSecret {
    /// Gets it, for the client with this id.
    pub(super) async fn ask(&self, id: &str, keychain: &Keychain) -> Result<SecretString, Error> {
        match self {
            Self::Keychain => match keychain.get(keychain::CLIENT_SERVICE, id).await {
                Ok(Some(secret)) => Ok(secret),
                Ok(None) => Err(Error::Secret(format!(
                    "the keychain ({}) holds no secret of the client {id}. Store it under service \"{}\" and account \
                     \"{id}\"{}",
                    keychain.name_for_passwords(),
                    keychain::CLIENT_SERVICE,
                    keychain.by_hand(keychain::CLIENT_SERVICE, id)
                ))),
                Err(error) => Err(Error::Keychain(error)),
            },
            Self::Command(command) => asked::by_command(command, "client_secret command")
                .await
                .map_err(Error::Secret),
            Self::Public(secret) => Ok(secret.clone()),
        }
    }
}

impl<'de> Deserialize<'de> for ClientSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

/// None of its errors repeats what stands there: it may be a secret.
struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = ClientSecret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "\"keychain\", { command = [\"PROGRAM\", \"ARGUMENT\", ...] } or { public = \"...\" }",
        )
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<ClientSecret, E> {
        match word {
            "keychain" => Ok(ClientSecret::Keychain),
            _ => Err(E::custom(
                "write \"keychain\" or { command = [...] }. Where the secret is none, as with Google's desktop \
                 clients: { public = \"...\" }",
            )),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ClientSecret, A::Error> {
        const WANTED: &str =
            "this must be { command = [\"PROGRAM\", \"ARGUMENT\", ...] } or { public = \"...\" }";
        let wanted = |_| A::Error::custom(WANTED);
        let mut secret = None;
        while let Some(key) = map.next_key::<String>()? {
            if secret.is_some() {
                return Err(A::Error::custom(WANTED));
            }
            secret = Some(match key.as_str() {
                "command" => {
                    ClientSecret::Command(map.next_value::<Vec<String>>().map_err(wanted)?)
                }
                "public" => {
                    let secret = map.next_value::<String>().map_err(wanted)?;
                    ClientSecret::Public(SecretString::from(secret))
                }
                _ => return Err(A::Error::unknown_field(&key, &["command", "public"])),
            });
        }
        match secret {
            None => Err(A::Error::custom(WANTED)),
            Some(ClientSecret::Command(command)) if command.is_empty() => {
                Err(A::Error::custom(WANTED))
            }
            Some(secret) => Ok(secret),
        }
    }
}
