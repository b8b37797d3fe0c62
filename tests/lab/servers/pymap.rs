//! pymap, a server in Python, with its mailboxes in memory.

use super::super::dovecot::{User, free_port};
use super::super::process::{kept, output_of, require, spawn_kept};
use super::{Children, MailServer};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const MAIN: &str = "from pymap.main import main; main()";

struct Server {
    // Ended before its folder is removed.
    _children: Children,
    folder: TempDir,
    user: User,
    port: u16,
}

pub(super) fn start(user: User) -> Box<dyn MailServer> {
    let folder = tempfile::Builder::new()
        .prefix("fetch-token-pymap-")
        .tempdir()
        .expect("a temp directory");
    let path = folder.path();
    super::write_certificates(path);
    let port = free_port();
    let output = File::create(path.join("log")).expect("make an output file");
    let mut command = kept(&require("python3", "python3"), None);
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
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(path)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("the same file"))
        .stderr(output);
    let mut server = spawn_kept(command).expect("start pymap");
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
        let said = output_of(
            Command::new(require("python3", "python3"))
                .args([
                    "-c",
                    "import importlib.metadata as m; print(m.version('pymap'))",
                ])
                .env("PYTHONPATH", super::part("python")),
        );
        String::from_utf8_lossy(&said).trim().to_owned()
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
