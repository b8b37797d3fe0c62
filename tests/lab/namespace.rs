//! A test in a namespace of its own, so that nobody else notices what it does to links or mounts.

use super::process::{kept, output_of, require, spawn_kept};
use std::process::{Command, Stdio};

/// Says to the test binary that it runs inside.
const INSIDE: &str = "FETCH_TOKEN_LAB_INSIDE";

/// Runs a test in a namespace of this kind (an option of `unshare`), by running this test binary once more in there,
/// for the test of this name alone. Where this machine lets nobody make one, the test says so and has shown nothing.
pub(super) fn in_a_namespace(kind: &str, test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let is_root = output_of(Command::new(require("id", "coreutils")).arg("-u")) == b"0\n";
    let mut namespaces = vec![kind];
    if !is_root {
        namespaces.extend(["--user", "--map-current-user", "--keep-caps"]);
    }
    let unshare = require("unshare", "util-linux");
    let allowed = Command::new(&unshare)
        .args(&namespaces)
        .args(["--", "true"])
        .stdin(Stdio::null())
        .output()
        .expect("run unshare");
    if !allowed.status.success() {
        let why = String::from_utf8_lossy(&allowed.stderr).into_owned();
        println!("not run: no namespace can be made here by {kind} ({why})");
        return;
    }
    let mut command = kept(&unshare, None);
    command
        .args(&namespaces)
        .arg("--")
        .arg(std::env::current_exe().expect("this test binary"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null());
    let mut inside = spawn_kept(command).expect("run this test binary again");
    let status = inside.wait().expect("its end");
    assert!(status.success(), "in a namespace of its own: {status}");
}
