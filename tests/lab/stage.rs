//! All parts together: a mailbox, a keychain, a configuration that joins them, and the program.

use super::command::Program;
use super::dns::Dns;
use super::dovecot::{Dovecot, INTEGRATION, Options, User, account};
use super::faults::Faults;
use super::mail::{TokenMail, random_token};
use super::secret_service::SecretService;
use super::signer::Signer;
use super::subject::{Subject, Watching};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The Salesforce username in most tests; it is not the mailbox's address.
pub const USERNAME: &str = "etl@acme.example.uat";

/// The service under which tokens lie in the keychain.
pub const SERVICE: &str = "salesforce-security-token";

pub struct Stage {
    pub dovecot: Dovecot,
    pub keychain: SecretService,
    pub user: User,
    pub password_file: PathBuf,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(&Options::default(), SecretService::start())
    }

    pub fn with(options: &Options, keychain: SecretService) -> Self {
        let stage = Self {
            dovecot: Dovecot::start(options),
            password_file: keychain
                .home()
                .write_private("mailbox-password", INTEGRATION.password),
            keychain,
            user: INTEGRATION,
        };
        stage.configure("");
        stage
    }

    /// A stage whose program reaches the server through a proxy.
    pub fn behind_faults() -> (Self, Faults) {
        let stage = Self::new();
        let faults = Faults::before(stage.dovecot.imaps_port());
        stage.configure_behind(faults.port());
        (stage, faults)
    }

    /// A stage whose keys are in DNS.
    pub fn with_dns() -> (Self, Dns) {
        let stage = Self::new();
        let dns = Dns::start(BTreeMap::from([(
            Signer::name("salesforce.com"),
            Signer::shared().record().to_owned(),
        )]));
        let account = stage.dovecot.account(stage.user, &stage.password_file);
        stage.keychain.home().write_config(&format!(
            "{account}[sender]\nresolver = \"{}\"\n",
            dns.address()
        ));
        (stage, dns)
    }

    /// The account, reached by implicit TLS, with more lines.
    pub fn configure(&self, lines: &str) {
        let account = self.dovecot.account(self.user, &self.password_file);
        self.write_config(&format!("{account}{lines}\n"));
    }

    /// Its account, behind a listener on this port that stands before its mail server.
    pub fn configure_behind(&self, port: u16) {
        let ca = self.dovecot.ca_file();
        let account = account(self.user, port, "implicit", &ca, &self.password_file);
        self.write_config(&account);
    }

    /// A configuration, with the lab's keys in place of DNS.
    pub fn write_config(&self, accounts: &str) {
        let keys = self.keychain.home().write_private("keys.json", &keys());
        let sender = format!("[sender]\ndkim_keys = \"{}\"\n", keys.display());
        self.keychain
            .home()
            .write_config(&format!("{accounts}{sender}"));
    }

    /// The built program at home there.
    pub fn program(&self) -> Program {
        Program::new(env!("CARGO_BIN_EXE_fetch-token")).with_keychain(&self.keychain)
    }

    /// Delivers a token mail for `username` and gives its token.
    pub fn deliver_token(&self, username: &str) -> String {
        let token = random_token();
        self.dovecot
            .deliver(self.user, &self.token_mail(username, &token).bytes());
        token
    }

    /// A token mail to this mailbox.
    pub fn token_mail(&self, username: &str, token: &str) -> TokenMail {
        TokenMail::english(username, token).to(self.user.name)
    }

    /// Begins to watch for the token of [`USERNAME`], which must be stored after `within`.
    pub fn watch(&self, subject: Subject, within: Duration) -> Watching {
        subject.start(&self.program(), USERNAME, within)
    }

    /// The token must be stored, within the time that [`Self::watch`] was given, and nothing else may be; the program
    /// must end well.
    #[track_caller]
    pub fn expect(&self, watching: Watching, token: &str) {
        let output = watching.finish(|| self.stored(USERNAME).as_deref() == Some(token));
        let stored = self.keychain.usernames(SERVICE);
        assert_eq!(stored, [USERNAME], "{}", output.transcript());
    }

    /// The stored token, as another program reads it.
    pub fn stored(&self, username: &str) -> Option<String> {
        self.keychain.lookup(SERVICE, username)
    }
}

/// The lab's keys for the domains that token mails come from, as `--dkim-keys` wants them.
pub fn keys() -> String {
    let records: BTreeMap<String, &str> = ["salesforce.com", "salesforcedevs.com"]
        .into_iter()
        .map(|domain| (Signer::name(domain), Signer::shared().record()))
        .collect();
    serde_json::to_string(&records).expect("JSON")
}
