//! hoodiecrow, a server in JavaScript that was made for testing clients, with its mailbox in memory.

use super::super::dovecot::{User, free_port};
use super::super::process::{kept, require};
use super::{InMemory, MailServer};
use serde_json::{Value, json};
use std::fs;

/// Its own command listens on every interface. Reads from a file: the package's folder, the port, the options.
const MAIN: &str = r#"
const { package, port, options } = JSON.parse(require("fs").readFileSync("start.json", "utf8"));
require(package)(options).listen(port, "127.0.0.1");
"#;

pub(super) fn start(user: User) -> Box<dyn MailServer> {
    let folder = InMemory::folder("hoodiecrow");
    let path = folder.path();
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
    let mut command = kept(&require("node", "nodejs"), None);
    command.args(["-e", MAIN]);
    InMemory::launch(command, folder, user, port, version())
}

fn version() -> String {
    let file = super::part("node_modules/hoodiecrow-imap").join("package.json");
    let text = fs::read_to_string(file).expect("its package.json");
    let package: Value = serde_json::from_str(&text).expect("JSON");
    package["version"].as_str().expect("a version").to_owned()
}
