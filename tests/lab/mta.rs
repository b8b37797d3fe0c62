//! A real mail transfer agent, Exim, in a temp directory on a free loopback port: SMTP in, LMTP to Dovecot out.

use super::dovecot::{Dovecot, free_port};
use super::process::{self, Owner, eventually, require, spawn_kept};
use std::fs::{self, File};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub struct Mta {
    folder: TempDir,
    port: u16,
    child: Child,
}

const START: Duration = Duration::from_secs(10);
const STOP: Duration = Duration::from_secs(5);

impl Mta {
    /// Starts it and waits until it takes connections; whatever it is given goes to this server.
    pub fn start(dovecot: &Dovecot) -> Self {
        let exim = require("exim4", "exim4-daemon-light");
        let folder = tempfile::Builder::new()
            .prefix("fetch-token-exim-")
            .tempdir()
            .expect("a temp directory");
        let owner = Owner::get();
        owner.take(folder.path());
        for name in ["spool", "log"] {
            fs::create_dir(folder.path().join(name)).expect("make a folder");
            owner.take(&folder.path().join(name));
        }
        let port = free_port();
        let config = folder.path().join("exim.conf");
        fs::write(&config, configuration(&folder, port, dovecot.lmtp_port()))
            .expect("write exim.conf");
        // Given another configuration by somebody else than root, Exim gives up the rights of its set-uid bit.
        let mut command = process::kept(&exim, Some(owner));
        command
            .arg("-C")
            .arg(&config)
            .arg("-bdf")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log/stderr")).expect("make an output file"));
        let mut mta = Self {
            child: spawn_kept(command).expect("start Exim"),
            folder,
            port,
        };
        eventually(
            "Exim's port",
            START,
            || {
                let ended = mta.child.try_wait().expect("Exim's state");
                assert!(ended.is_none(), "Exim did not start:\n{}", log(&mta.folder));
                TcpStream::connect(("127.0.0.1", port)).ok()
            },
            || log(&mta.folder),
        );
        mta
    }

    /// Where it takes mail.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it did with each mail.
    pub fn log(&self) -> String {
        log(&self.folder)
    }
}

impl Drop for Mta {
    fn drop(&mut self) {
        process::end(&mut self.child, STOP);
    }
}

fn log(folder: &TempDir) -> String {
    ["stderr", "main", "reject", "panic"]
        .map(|name| fs::read_to_string(folder.path().join("log").join(name)).unwrap_or_default())
        .concat()
}

fn configuration(folder: &TempDir, port: u16, lmtp_port: u16) -> String {
    let Owner { user, group, .. } = Owner::get();
    let folder = folder.path().display();
    format!(
        "primary_hostname = mta.salesforce.example\n\
         spool_directory = {folder}/spool\n\
         log_file_path = {folder}/log/%s\n\
         local_interfaces = 127.0.0.1\n\
         daemon_smtp_ports = {port}\n\
         exim_user = {user}\n\
         exim_group = {group}\n\
         deliver_drop_privilege = true\n\
         never_users =\n\
         keep_environment =\n\
         tls_advertise_hosts =\n\
         rfc1413_query_timeout = 0s\n\
         acl_smtp_rcpt = take\n\
         begin acl\n\
         take:\n\
         \x20 accept control = dkim_disable_verify\n\
         begin routers\n\
         to_dovecot:\n\
         \x20 driver = manualroute\n\
         \x20 route_list = * 127.0.0.1\n\
         \x20 self = send\n\
         \x20 transport = lmtp_to_dovecot\n\
         begin transports\n\
         lmtp_to_dovecot:\n\
         \x20 driver = smtp\n\
         \x20 protocol = lmtp\n\
         \x20 port = {lmtp_port}\n\
         \x20 allow_localhost\n\
         \x20 hosts_avoid_tls = *\n\
         begin retry\n\
         * * F,1h,1s\n"
    )
}
