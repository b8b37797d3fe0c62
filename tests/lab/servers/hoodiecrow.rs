//! hoodiecrow, a server in JavaScript that was made for testing clients, with its mailbox in memory.

use super::super::dovecot::{User, free_port};
use super::super::process::{kept, require, spawn_kept};
use super::{Children, MailServer};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use tempfile::TempDir;

/// Its own command listens on every interface. Reads from a file: the package's folder, the port, the options.
const MAIN: &str = r#"
const { package, port, options } = JSON.parse(require("fs").readFileSync("start.json", "utf8"));
require(package)(options).listen(port, "127.0.0.1");
"#;

struct Server {
    // Ended before its folder is removed.
    _children: Children,
    folder: TempDir,
    user: User,
    port: u16,
}

pub(super) fn start(user: User) -> Box<dyn MailServer> {
    let folder = tempfile::Builder::new()
        .prefix("fetch-token-hoodiecrow-")
        .tempdir()
        .expect("a temp directory");
    let path = folder.path();
    super::write_certificates(path);
    let port = free_port();
    let read = |name: &str| fs::read_to_string(path.join(name)).expect("a certificate");
    let start = json!({
        "package": super::part("node_modules/hoodiecrow-imap"),
        "port": port,
        "options": {
            "plugins": [
                "ID", "ENABLE", "STARTTLS", "AUTH-PLAIN", "IDLE", "UNSELECT", "UIDPLUS", "MOVE",
                "SPECIAL-USE", "CREATE-SPECIAL-USE", "NAMESPACE",
            ],
            "users": { user.name: { "password": user.password } },
            "storage": { "INBOX": {}, "": {} },
            "credentials": { "key": read("server.key"), "cert": read("server.pem") },
        },
    });
    fs::write(path.join("start.json"), start.to_string()).expect("write its options");
    let output = File::create(path.join("log")).expect("make an output file");
    let mut command = kept(&require("node", "nodejs"), None);
    command
        .args(["-e", MAIN])
        .current_dir(path)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("the same file"))
        .stderr(output);
    let mut server = spawn_kept(command).expect("start hoodiecrow");
    super::wait_for_greeting(port, &mut server, || {
        fs::read_to_string(path.join("log")).unwrap_or_default()
    });
    Box::new(Server {
        _children: Children(vec![server]),
        folder,
        user,
        port,
    })
}

impl MailServer for Server {
    fn version(&self) -> String {
        let file = super::part("node_modules/hoodiecrow-imap").join("package.json");
        let text = fs::read_to_string(file).expect("its package.json");
        let package: Value = serde_json::from_str(&text).expect("JSON");
        package["version"].as_str().expect("a version").to_owned()
    }

    fn user(&self) -> User {
        self.user
    }

    fn plain_port(&self) -> u16 {
        self.port
    }

    fn secure(&self) -> (u16, &'static str) {
        (self.port, "starttls")
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}
