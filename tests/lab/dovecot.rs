//! A real Dovecot in a temp directory, on free loopback ports, in the foreground under its own id.

mod mischief;

use super::ca::{Ca, Identity};
use super::lmtp;
use super::maildir::Maildir;
use super::mbox::Mbox;
use super::peer::Peer;
use super::process::{self, Owner, eventually, require, require_part, spawn_kept};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// A mailbox's owner. The names are addresses, as they are at the providers.
#[derive(Clone, Copy, Debug)]
pub struct User {
    pub name: &'static str,
    pub password: &'static str,
}

pub const INTEGRATION: User = User {
    name: "integration@acme.example",
    password: "Lab.Mailbox.Passw0rd-1f3a",
};
/// A password that is not ASCII.
pub const UMLAUT: User = User {
    name: "umlaut@acme.example",
    password: "pässwörd-ключ-鍵",
};
/// A password with everything that needs quoting somewhere.
pub const QUOTES: User = User {
    name: "quotes@acme.example",
    password: r#"a "quoted" back\slash, {12} 'n %s $HOME"#,
};

/// What the server shows to whoever connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certificate {
    #[default]
    Localhost,
    Elsewhere,
    Expired,
}

/// Capability lists for [`Options::capabilities`], before and after the login. Dovecot adds `STARTTLS` and
/// `AUTH=...` itself, and goes on to understand what it does not list: the rawlog tells what was used.
/// What Dovecot cannot hide (`AUTH=PLAIN` while LOGIN works) a [`super::Front`] can.
pub mod capability {
    pub const NO_IDLE: &str = "IMAP4rev1 SASL-IR LITERAL+ UIDPLUS ESEARCH WITHIN MOVE";
    pub const NO_SASL_IR: &str = "IMAP4rev1 IDLE LITERAL+ UIDPLUS ESEARCH WITHIN MOVE";
    pub const NO_WITHIN: &str = "IMAP4rev1 SASL-IR IDLE LITERAL+ UIDPLUS ESEARCH MOVE";
    pub const BARE: &str = "IMAP4rev1";
}

/// How the server is to be.
#[derive(Clone, Debug)]
pub struct Options {
    pub users: Vec<User>,
    /// The capabilities it lists in place of its own.
    pub capabilities: Option<&'static str>,
    pub mechanisms: &'static str,
    /// Where it asks whether an access token counts (RFC 7662); needs `xoauth2` or `oauthbearer` among the mechanisms.
    pub introspection: Option<String>,
    pub certificate: Certificate,
    /// Whether it writes down what each session says and is told after the login: [`Dovecot::rawlogs`].
    pub rawlog: bool,
    /// More lines for `dovecot.conf`.
    pub settings: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            users: vec![INTEGRATION, UMLAUT, QUOTES],
            capabilities: None,
            mechanisms: "plain login",
            introspection: None,
            certificate: Certificate::Localhost,
            rawlog: false,
            settings: String::new(),
        }
    }
}

/// One session after its login, as Dovecot's rawlog has it.
#[derive(Debug)]
pub struct RawLog {
    pub from_client: String,
    pub from_server: String,
}

pub struct Dovecot {
    folder: TempDir,
    ports: [u16; 3],
    child: Option<Child>,
    users: Vec<User>,
}

const START: Duration = Duration::from_secs(10);
/// About 1.1 to 2.6 s were measured.
const STOP: Duration = Duration::from_secs(10);

impl Dovecot {
    /// Starts the server and waits until it greets.
    pub fn start(options: &Options) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("fetch-token-dovecot-")
            .tempdir()
            .expect("a temp directory");
        let mut server = Self {
            folder,
            ports: [0; 3],
            child: None,
            users: options.users.clone(),
        };
        server.lay_out(options);
        // Between finding a free port and Dovecot's taking it somebody else may have taken it.
        for attempt in 1..=3 {
            server.ports = [(); 3].map(|()| free_port());
            server.write_config(options);
            match server.launch() {
                Ok(()) => return server,
                Err(log) if attempt < 3 && log.contains("Address already in use") => {}
                Err(log) => panic!("Dovecot did not start:\n{log}"),
            }
        }
        unreachable!("the last attempt returned or panicked");
    }

    /// As most tests want it.
    pub fn start_default() -> Self {
        Self::start(&Options::default())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn lay_out(&self, options: &Options) {
        let owner = Owner::get();
        owner.take(self.folder.path());
        for name in ["run", "state", "mail", "log", "rawlog"] {
            fs::create_dir(self.path(name)).expect("make a folder");
            owner.take(&self.path(name));
        }
        let Identity { certificate, key } = identity(options.certificate);
        Ca::shared().write_to(&self.path("ca.pem"));
        for (name, text) in [("server.pem", certificate), ("server.key", key)] {
            fs::write(self.path(name), text).expect("write a certificate");
        }
        let mut passwords = String::new();
        for user in &options.users {
            use base64::Engine as _;
            let password = base64::prelude::BASE64_STANDARD.encode(user.password);
            writeln!(passwords, "{}:{{PLAIN.b64}}{password}::::::", user.name)
                .expect("write into a String");
            let home = self.path("mail").join(user.name);
            fs::create_dir(&home).expect("make a mailbox");
            owner.take(&home);
            Maildir::at(&home.join("Maildir"));
        }
        fs::write(self.path("passwords"), passwords).expect("write the passwords");
    }

    fn write_config(&self, options: &Options) {
        let Owner { user, group, .. } = Owner::get();
        let [imap, imaps, lmtp] = self.ports;
        let folder = self.folder.path().display();
        let mechanisms = options.mechanisms;
        let mut settings = options.settings.clone();
        if let Some(capabilities) = options.capabilities {
            writeln!(settings, "imap_capability = {capabilities}").expect("write into a String");
        }
        if options.rawlog {
            writeln!(settings, "rawlog_dir = {folder}/rawlog").expect("write into a String");
        }
        if let Some(url) = &options.introspection {
            let oauth2 = format!(
                "introspection_mode = post\n\
                 introspection_url = {url}\n\
                 force_introspection = yes\n\
                 username_attribute = sub\n\
                 active_attribute = active\n\
                 active_value = true\n\
                 scope = mail\n\
                 timeout_msecs = 5000\n"
            );
            fs::write(self.path("oauth2.conf.ext"), oauth2).expect("write oauth2.conf.ext");
            write!(
                settings,
                "passdb {{\n driver = oauth2\n mechanisms = xoauth2 oauthbearer\n args = \
                 {folder}/oauth2.conf.ext\n}}\n"
            )
            .expect("write into a String");
        }
        let text = format!(
            "base_dir = {folder}/run\n\
             state_dir = {folder}/state\n\
             log_path = {folder}/log/dovecot.log\n\
             protocols = imap lmtp\n\
             listen = 127.0.0.1\n\
             default_internal_user = {user}\n\
             default_internal_group = {group}\n\
             default_login_user = {user}\n\
             first_valid_uid = 1\n\
             first_valid_gid = 1\n\
             ssl = yes\n\
             ssl_cert = <{folder}/server.pem\n\
             ssl_key = <{folder}/server.key\n\
             ssl_min_protocol = TLSv1.2\n\
             disable_plaintext_auth = no\n\
             auth_mechanisms = {mechanisms}\n\
             auth_failure_delay = 0\n\
             mail_location = maildir:~/Maildir\n\
             mail_fsync = never\n\
             mail_max_userip_connections = 200\n\
             {settings}\n\
             namespace inbox {{\n inbox = yes\n separator = /\n}}\n\
             passdb {{\n driver = passwd-file\n args = {folder}/passwords\n}}\n\
             userdb {{\n driver = static\n args = uid={user} gid={group} home={folder}/mail/%u allow_all_users=yes\n}}\n\
             service anvil {{\n chroot =\n unix_listener anvil-auth-penalty {{\n  mode = 0\n }}\n}}\n\
             service stats {{\n chroot =\n}}\n\
             service imap-login {{\n chroot =\n\
             inet_listener imap {{\n  port = {imap}\n }}\n\
             inet_listener imaps {{\n  port = {imaps}\n  ssl = yes\n }}\n}}\n\
             service lmtp {{\n inet_listener lmtp {{\n  address = 127.0.0.1\n  port = {lmtp}\n }}\n}}\n"
        );
        fs::write(self.path("dovecot.conf"), text).expect("write dovecot.conf");
    }

    /// Starts the process and waits for the greeting; the log if there was none.
    fn launch(&mut self) -> Result<(), String> {
        require_part("/usr/lib/dovecot/imap", "dovecot-imapd");
        let dovecot = require("dovecot", "dovecot-core");
        let output = |name: &str| File::create(self.path(name)).expect("make an output file");
        let mut command = process::kept(&dovecot, Some(Owner::get()));
        command
            .args(["-F", "-c"])
            .arg(self.path("dovecot.conf"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"));
        let mut child = spawn_kept(command).expect("start Dovecot");
        let imap = self.imap_port();
        let ended = eventually(
            "Dovecot's greeting",
            START,
            || match child.try_wait() {
                Ok(Some(_)) => Some(true),
                _ if greets(imap) => Some(false),
                _ => None,
            },
            || self.log(),
        );
        self.child = Some(child);
        if ended {
            self.child = None;
            return Err(self.log());
        }
        Ok(())
    }

    /// The host name that stands in its certificate.
    #[expect(clippy::unused_self, reason = "reads as what it is: the server's host")]
    pub fn host(&self) -> &'static str {
        "localhost"
    }

    /// Plain text, with STARTTLS.
    pub fn imap_port(&self) -> u16 {
        self.ports[0]
    }

    /// Implicit TLS.
    pub fn imaps_port(&self) -> u16 {
        self.ports[1]
    }

    pub fn lmtp_port(&self) -> u16 {
        self.ports[2]
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("Dovecot runs").id()
    }

    /// The authority that signed its certificate, for `ca_file`.
    pub fn ca_file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Everything it said.
    pub fn log(&self) -> String {
        ["stdout", "stderr", "log/dovecot.log"]
            .map(|name| fs::read_to_string(self.path(name)).unwrap_or_default())
            .concat()
    }

    /// What each session said and was told after its login, oldest first; needs [`Options::rawlog`].
    pub fn rawlogs(&self) -> Vec<RawLog> {
        let mut starts: Vec<PathBuf> = fs::read_dir(self.path("rawlog"))
            .expect("read the rawlog folder")
            .map(|entry| entry.expect("a rawlog").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "in"))
            .collect();
        starts.sort_by_key(|path| fs::metadata(path).and_then(|data| data.created()).ok());
        let read =
            |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        starts
            .iter()
            .map(|path| RawLog {
                from_client: read(path),
                from_server: read(&path.with_extension("out")),
            })
            .collect()
    }

    /// The user's INBOX, to deliver into.
    pub fn inbox(&self, user: User) -> Maildir {
        assert!(
            self.users.iter().any(|known| known.name == user.name),
            "{} is not a user of this server",
            user.name
        );
        Maildir::at(&self.path("mail").join(user.name).join("Maildir"))
    }

    /// The user's INBOX in one file, where the settings say [`Mbox::SETTINGS`].
    pub fn mbox(&self, user: User) -> Mbox {
        Mbox::at(&self.path("mail").join(user.name))
    }

    /// Delivers into the user's INBOX by renaming a file: there when this returns.
    pub fn deliver(&self, user: User, mail: &[u8]) {
        self.inbox(user).deliver(mail);
    }

    /// Delivers by LMTP, as a mail server does; returns when Dovecot has taken the mail.
    pub fn deliver_by_lmtp(&self, user: User, mail: &[u8]) {
        require_part("/usr/lib/dovecot/lmtp", "dovecot-lmtpd");
        lmtp::deliver(self.lmtp_port(), user.name, mail, || self.log());
    }

    /// An independent IMAP client, logged in.
    pub fn peer(&self, user: User) -> Peer {
        Peer::connect(self.imap_port(), user)
    }

    /// An `[[account]]` of the configuration for this user over implicit TLS. The password comes from
    /// `password_file`; more keys can be written below it.
    pub fn account(&self, user: User, password_file: &Path) -> String {
        account(
            user,
            self.imaps_port(),
            "implicit",
            &self.ca_file(),
            password_file,
        )
    }

    /// The same over STARTTLS.
    pub fn account_by_starttls(&self, user: User, password_file: &Path) -> String {
        account(
            user,
            self.imap_port(),
            "starttls",
            &self.ca_file(),
            password_file,
        )
    }

    /// Ends the server and its sessions; the mailboxes stay.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let sessions = mischief::children(child.id());
            process::end(&mut child, STOP);
            mischief::end_sessions(&sessions);
        }
    }

    /// Starts it again on the same ports, with the same mailboxes.
    pub fn start_again(&mut self) {
        self.stop();
        if let Err(log) = self.launch() {
            panic!("Dovecot did not start again:\n{log}");
        }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An `[[account]]` for whatever listens on this port.
pub fn account(user: User, port: u16, tls: &str, ca_file: &Path, password_file: &Path) -> String {
    format!(
        "[[account]]\n\
         address = \"{}\"\n\
         host = \"localhost\"\n\
         port = {port}\n\
         tls = \"{tls}\"\n\
         ca_file = \"{}\"\n\
         password = {{ command = [\"cat\", \"{}\"] }}\n\
         usernames = [\"*\"]\n",
        user.name,
        ca_file.display(),
        password_file.display()
    )
}

fn identity(certificate: Certificate) -> &'static Identity {
    let ca = Ca::shared();
    match certificate {
        Certificate::Localhost => &ca.localhost,
        Certificate::Elsewhere => &ca.elsewhere,
        Certificate::Expired => &ca.expired,
    }
}

/// Whether an IMAP server greets there.
pub(super) fn greets(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).is_ok() && line.starts_with("* OK")
}

/// A loopback port that nobody listens on, outside the range that the kernel gives to outgoing connections, and
/// never the same one twice in a test binary.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 997).expect("below 997") * 12;
    loop {
        let port = 20_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
