//! Dovecot, as the other tests know it, with a junk folder that it says is one.

use super::super::dovecot::{Dovecot, Options, User};
use super::super::process::{output_of, require};
use super::MailServer;
use std::path::PathBuf;
use std::process::Command;

struct Server {
    dovecot: Dovecot,
    user: User,
}

pub(super) fn start(user: User) -> Box<dyn MailServer> {
    let dovecot = Dovecot::start(&Options {
        users: vec![user],
        // Of the configuration: Dovecot takes no use with CREATE unless it has a dictionary for it.
        settings: "namespace inbox {\n mailbox Sondermüll {\n  special_use = \\Junk\n }\n}\n"
            .to_owned(),
        ..Options::default()
    });
    Box::new(Server { dovecot, user })
}

impl MailServer for Server {
    fn version(&self) -> String {
        let dovecot = require("dovecot", "dovecot-core");
        let said = output_of(Command::new(dovecot).arg("--version"));
        let said = String::from_utf8_lossy(&said).into_owned();
        said.split(' ').next().unwrap_or_default().to_owned()
    }

    fn user(&self) -> User {
        self.user
    }

    fn plain_port(&self) -> u16 {
        self.dovecot.imap_port()
    }

    fn secure(&self) -> (u16, &'static str) {
        (self.dovecot.imaps_port(), "implicit")
    }

    fn ca_file(&self) -> PathBuf {
        self.dovecot.ca_file()
    }

    fn log(&self) -> String {
        self.dovecot.log()
    }

    fn deliver(&self, mail: &[u8]) {
        self.dovecot.deliver(self.user, mail);
    }

    fn make_folder(&self, wire: &str, _for_use: Option<&str>) -> Result<(), String> {
        let mut peer = self.peer();
        peer.attempt(&format!("CREATE {}", super::quoted(wire)))
            .map(|_| ())
    }
}
