//! What happens to mail servers: they crash, and their administrators change things.

use super::{Certificate, Dovecot, User, identity};
use crate::lab::process::{eventually, require};
use std::fs;
use std::net::TcpListener;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

impl Dovecot {
    /// Ends the server by SIGKILL, with all its sessions, as a crash of the machine would; the mailboxes stay.
    pub fn kill(&mut self) {
        let mut master = self.child.take().expect("Dovecot runs");
        let children = children(master.id());
        master.kill().expect("kill Dovecot");
        master.wait().expect("Dovecot's end");
        end_sessions(&children);
        let port = self.imap_port();
        eventually(
            "a free port",
            Duration::from_secs(5),
            || TcpListener::bind(("127.0.0.1", port)).ok(),
            || "somebody still listens".to_owned(),
        );
    }

    /// Ends every session of a user, if there is one, with a BYE, as an administrator's `doveadm kick` does.
    pub fn kick(&self, user: User) {
        const NOBODY_IS_THERE: i32 = 68;
        let status = self.doveadm(&["kick", user.name]);
        assert!(
            status.success() || status.code() == Some(NOBODY_IS_THERE),
            "doveadm kick ended with {status}"
        );
    }

    /// Starts the server again with another certificate.
    pub fn start_again_as(&mut self, certificate: Certificate) {
        self.stop();
        let identity = identity(certificate);
        fs::write(self.path("server.pem"), &identity.certificate).expect("write a certificate");
        fs::write(self.path("server.key"), &identity.key).expect("write its key");
        self.start_again();
    }

    /// Gives a user another password; when this returns, logins need it.
    pub fn set_password(&self, user: User, new: &str) {
        use base64::Engine as _;
        let file = self.path("passwords");
        let text = fs::read_to_string(&file).expect("read the passwords");
        let password = base64::prelude::BASE64_STANDARD.encode(new);
        let changed: String = text
            .lines()
            .map(|line| {
                if line.starts_with(&format!("{}:", user.name)) {
                    format!("{}:{{PLAIN.b64}}{password}::::::\n", user.name)
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
        // Dovecot reads the file again when its time or size changed; the time counts in seconds.
        let temporary = self.path("passwords.new");
        fs::write(&temporary, changed).expect("write the passwords");
        let before = fs::metadata(&file).and_then(|data| data.modified());
        let later = before.expect("the passwords' time") + Duration::from_secs(2);
        fs::File::options()
            .write(true)
            .open(&temporary)
            .and_then(|file| file.set_modified(later))
            .expect("set the passwords' time");
        fs::rename(&temporary, &file).expect("put the passwords in place");
        // It looks once a second at most.
        eventually(
            "the new password",
            Duration::from_secs(5),
            || {
                let status = self.doveadm(&["auth", "test", user.name, new]);
                status.success().then_some(())
            },
            || self.log(),
        );
    }

    fn doveadm(&self, arguments: &[&str]) -> ExitStatus {
        Command::new(require("doveadm", "dovecot-core"))
            .arg("-c")
            .arg(self.path("dovecot.conf"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("run doveadm")
    }
}

/// The server's processes, sessions among them.
pub(super) fn children(master: u32) -> Vec<String> {
    fs::read_to_string(format!("/proc/{master}/task/{master}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// Ends what outlived the master: a session in IDLE goes on without one, and its client would notice nothing.
pub(super) fn end_sessions(children: &[String]) {
    for child in children {
        // Most have ended by themselves.
        let _ = Command::new("/bin/sh")
            .args(["-c", "kill -s KILL \"$1\"", "sh", child])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
