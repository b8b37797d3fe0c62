//! A throwaway certificate authority, made by the `openssl` program and kept in memory.

use super::process::{output_of, require};
use native_tls::{Protocol, TlsAcceptor};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// A certificate and its private key, both PEM (the key as PKCS #8).
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Identity {
    /// A TLS server that shows this certificate.
    pub fn acceptor(&self) -> TlsAcceptor {
        let identity =
            native_tls::Identity::from_pkcs8(self.certificate.as_bytes(), self.key.as_bytes());
        TlsAcceptor::builder(identity.expect("the lab's certificate"))
            .min_protocol_version(Some(Protocol::Tlsv12))
            .build()
            .expect("a TLS server")
    }
}

/// An authority and the server certificates it signed.
pub struct Ca {
    /// The authority's own certificate: what goes into `ca_file`.
    pub certificate: String,
    /// For `localhost` and 127.0.0.1.
    pub localhost: Identity,
    /// For `imap.elsewhere.example`, and not for the host it is served on.
    pub elsewhere: Identity,
    /// For `localhost`, but its last day was yesterday.
    pub expired: Identity,
    /// For every `*.salesforce.com` and `*.my.salesforce.com`.
    pub salesforce: Identity,
}

impl Ca {
    /// The one authority of this test binary.
    pub fn shared() -> &'static Self {
        static CA: OnceLock<Ca> = OnceLock::new();
        CA.get_or_init(|| Self::new("fetch-token test lab"))
    }

    /// An authority of one's own, for instance one that the server's certificate does not come from.
    pub fn new(name: &str) -> Self {
        let openssl = require("openssl", "openssl");
        let folder = tempfile::tempdir().expect("a temp directory");
        let folder = folder.path();
        let run = |arguments: &[&str]| {
            output_of(Command::new(&openssl).args(arguments).current_dir(folder));
        };
        let read =
            |file: &str| fs::read_to_string(folder.join(file)).expect("a file openssl wrote");
        let new_key = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ];

        let subject = format!("/CN={name} CA");
        let mut request = vec!["req", "-x509"];
        request.extend(new_key);
        request.extend([
            "-days", "30", "-subj", &subject, "-keyout", "ca.key", "-out", "ca.pem",
        ]);
        request.extend(["-addext", "basicConstraints=critical,CA:TRUE"]);
        request.extend(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
        run(&request);

        let sign = |host: &str, names: &str, days: &str| {
            let subject = format!("/CN={host}");
            let mut request = vec!["req"];
            request.extend(new_key);
            request.extend([
                "-subj",
                &subject,
                "-keyout",
                "server.key",
                "-out",
                "server.csr",
            ]);
            run(&request);
            let extensions = format!(
                "subjectAltName={names}\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n"
            );
            fs::write(folder.join("extensions"), extensions).expect("write the extensions");
            run(&[
                "x509",
                "-req",
                "-in",
                "server.csr",
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-days",
                days,
                "-extfile",
                "extensions",
                "-out",
                "server.pem",
            ]);
            Identity {
                certificate: read("server.pem"),
                key: read("server.key"),
            }
        };
        Self {
            localhost: sign("localhost", "DNS:localhost,IP:127.0.0.1", "30"),
            elsewhere: sign("imap.elsewhere.example", "DNS:imap.elsewhere.example", "30"),
            expired: sign("localhost", "DNS:localhost,IP:127.0.0.1", "-1"),
            salesforce: sign(
                "login.salesforce.com",
                "DNS:*.salesforce.com,DNS:*.my.salesforce.com",
                "30",
            ),
            certificate: read("ca.pem"),
        }
    }

    /// Writes the authority's certificate into a file, for `ca_file`.
    pub fn write_to(&self, file: &Path) {
        fs::write(file, &self.certificate).expect("write the authority's certificate");
    }
}
