//! A network of a test's own: a namespace with nothing but a loopback link, which can be taken down and up without
//! anybody else's noticing.

use super::process::{kept, output_of, require, spawn_kept};
use std::process::{Command, Stdio};

/// Says to the test binary that it runs inside.
const INSIDE: &str = "FETCH_TOKEN_LAB_NETWORK";

/// The only link there.
pub struct Link(&'static str);

impl Link {
    /// From now on nothing gets through, and nobody is told.
    pub fn down(&self) {
        self.set("down");
    }

    /// What TCP has not given up goes on.
    pub fn up(&self) {
        self.set("up");
    }

    fn set(&self, state: &str) {
        output_of(Command::new(require("ip", "iproute2")).args(["link", "set", self.0, state]));
    }
}

/// Runs a test in a network of its own, by running this test binary once more in there, for the test of this name
/// alone. Where this machine lets nobody make one, the test says so and has shown nothing.
pub fn in_a_network_of_its_own(test: &str, body: impl FnOnce(&Link)) {
    if std::env::var_os(INSIDE).is_some() {
        let link = Link("lo");
        link.up();
        return body(&link);
    }
    let is_root = output_of(Command::new(require("id", "coreutils")).arg("-u")) == b"0\n";
    let namespaces: &[&str] = if is_root {
        &["--net"]
    } else {
        &["--net", "--user", "--map-current-user", "--keep-caps"]
    };
    let unshare = require("unshare", "util-linux");
    let allowed = Command::new(&unshare)
        .args(namespaces)
        .args(["--", "true"])
        .stdin(Stdio::null())
        .output()
        .expect("run unshare");
    if !allowed.status.success() {
        let why = String::from_utf8_lossy(&allowed.stderr).into_owned();
        println!("not run: no network namespace can be made here ({why})");
        return;
    }
    let mut command = kept(&unshare, None);
    command
        .args(namespaces)
        .arg("--")
        .arg(std::env::current_exe().expect("this test binary"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null());
    let mut inside = spawn_kept(command).expect("run this test binary again");
    let status = inside.wait().expect("its end");
    assert!(status.success(), "in a network of its own: {status}");
}
