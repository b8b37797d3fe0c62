//! Another program that keeps secrets in the keychain: by the `keyring` crate's own store for the Secret Service, as its
//! command line does. `set SERVICE USERNAME` takes the secret from standard input, `get SERVICE USERNAME` prints it.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use dbus_secret_service_keyring_store::Store;
    use keyring_core::api::CredentialStoreApi as _;
    use std::io::{Read as _, Write as _};

    let words: Vec<String> = std::env::args().skip(1).collect();
    let [verb, service, username] = &words[..] else {
        return Err("usage: keyring-peer set|get SERVICE USERNAME".into());
    };
    let entry = Store::new()?.build(service, username, None)?;
    if verb == "set" {
        let mut secret = Vec::new();
        std::io::stdin().read_to_end(&mut secret)?;
        entry.set_secret(&secret)?;
    } else {
        std::io::stdout().write_all(&entry.get_secret()?)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {}
