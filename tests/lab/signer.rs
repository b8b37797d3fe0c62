//! Signs mails as Salesforce does, with a throwaway key of the test's own.

use super::process::require;
use mail_auth::common::crypto::{RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::DkimSigner;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use std::process::Command;
use std::sync::OnceLock;

/// The selector of the lab's keys.
pub const SELECTOR: &str = "lab";

/// A DKIM key pair.
pub struct Signer {
    pem: String,
    record: String,
}

impl Signer {
    /// One key for all mails of a test binary: making it takes a tenth of a second.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Signer> = OnceLock::new();
        SHARED.get_or_init(Self::new)
    }

    /// A key of its own, as after a rotation.
    pub fn new() -> Self {
        use base64::Engine as _;
        let made = Command::new(require("openssl", "openssl"))
            .args([
                "genpkey",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
            ])
            .output()
            .expect("run openssl");
        let pem = String::from_utf8(made.stdout).expect("PEM");
        let public = key(&pem).public_key();
        let public = base64::prelude::BASE64_STANDARD.encode(public);
        Self {
            pem,
            record: format!("v=DKIM1; k=rsa; p={public}"),
        }
    }

    /// Where the public key lies in DNS.
    pub fn name(domain: &str) -> String {
        format!("{SELECTOR}._domainkey.{domain}")
    }

    /// The TXT record with the public key.
    pub fn record(&self) -> &str {
        &self.record
    }

    /// The private key (PEM, PKCS #8), for a program that signs by itself.
    pub fn private_key(&self) -> &str {
        &self.pem
    }

    /// The mail with a signature of `domain` before it.
    pub fn sign(&self, mail: &[u8], domain: &str) -> Vec<u8> {
        let signature = DkimSigner::from_key(key(&self.pem))
            .domain(domain)
            .selector(SELECTOR)
            .headers([
                "From",
                "To",
                "Subject",
                "Date",
                "Message-ID",
                "MIME-Version",
                "Content-Type",
            ])
            .sign(mail)
            .expect("sign a mail");
        [signature.to_header().as_bytes(), mail].concat()
    }
}

fn key(pem: &str) -> RsaKey<Sha256> {
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    RsaKey::from_key_der(der).expect("an RSA key")
}
