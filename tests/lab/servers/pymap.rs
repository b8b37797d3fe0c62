//! pymap, a server in Python, with its mailboxes in memory.

use super::super::dovecot::{User, free_port};
use super::super::process::{kept, output_of, require};
use super::{InMemory, MailServer};
use std::process::Command;

const MAIN: &str = "from pymap.main import main; main()";

const VERSION: &str = "import importlib.metadata as m; print(m.version('pymap'))";

pub(super) fn start(user: User) -> Box<dyn MailServer> {
    let folder = InMemory::folder("pymap");
    let port = free_port();
    let python = require("python3", "python3");
    let mut command = kept(&python, None);
    command
        .args([
            "-c",
            MAIN,
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ])
        .args(["--cert", "server.pem", "--key", "server.key", "dict"])
        .args(["--demo-user", user.name, "--demo-password", user.password])
        .env("PYTHONPATH", super::part("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let said = output_of(
        Command::new(python)
            .args(["-c", VERSION])
            .env("PYTHONPATH", super::part("python")),
    );
    let version = String::from_utf8_lossy(&said).trim().to_owned();
    InMemory::launch(command, folder, user, port, version)
}
