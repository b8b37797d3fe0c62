//! A real Secret Service: gnome-keyring on a message bus of its own, with a home of its own.

use super::home::Home;
use super::process::{self, eventually, output_of, require, signal, spawn_kept};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub struct SecretService {
    home: Home,
    bus: Child,
    keyring: Option<Child>,
}

const START: Duration = Duration::from_secs(10);
const STOP: Duration = Duration::from_secs(5);
const COLLECTION: &str = "/org/freedesktop/secrets/collection/login";
/// What gnome-keyring opens the login keyring with.
const MASTER_PASSWORD: &str = "the lab's login password";

impl SecretService {
    /// A bus, and on it a keyring that is open.
    pub fn start() -> Self {
        let mut service = Self::bus_only();
        service.start_keyring();
        service
    }

    /// A bus and nothing on it yet; [`Self::start_keyring`] adds the keyring later.
    pub fn bus_only() -> Self {
        let home = Home::new();
        let bus = start_bus(&home);
        Self {
            home,
            bus,
            keyring: None,
        }
    }

    /// Starts the keyring, open, and waits until it answers. Items stored before are there again.
    pub fn start_keyring(&mut self) {
        assert!(self.keyring.is_none(), "the keyring runs already");
        let password = self.home.write_private("master-password", MASTER_PASSWORD);
        let input = File::open(&password).expect("open the master password");
        self.launch(&["--unlock"], Stdio::from(input), false);
    }

    /// Starts the keyring as it is after a login without a password: locked. There must be one from before.
    pub fn start_keyring_locked(&mut self) {
        assert!(self.keyring.is_none(), "the keyring runs already");
        self.launch(&[], Stdio::null(), true);
    }

    fn launch(&mut self, arguments: &[&str], input: Stdio, locked: bool) {
        let program = require("gnome-keyring-daemon", "gnome-keyring");
        let log = self.home.path().join("keyring.log");
        let output = || {
            let file = OpenOptions::new().create(true).append(true).open(&log);
            Stdio::from(file.expect("the keyring's log"))
        };
        let mut command = process::kept(&program, None);
        command
            .args(arguments)
            .args(["--components=secrets", "--foreground"])
            .env_clear()
            .envs(self.env())
            .stdin(input)
            .stdout(output())
            .stderr(output());
        self.keyring = Some(spawn_kept(command).expect("start gnome-keyring-daemon"));
        eventually(
            "gnome-keyring's login collection",
            START,
            || (self.is_locked() == Some(locked)).then_some(()),
            || fs::read_to_string(&log).unwrap_or_default(),
        );
    }

    /// Ends the keyring; the bus stays.
    pub fn stop_keyring(&mut self) {
        if let Some(mut keyring) = self.keyring.take() {
            process::end(&mut keyring, STOP);
        }
    }

    /// Ends the keyring as a crash would; the bus stays, and what was stored is there again after a start.
    pub fn kill_keyring(&mut self) {
        let mut keyring = self.keyring.take().expect("the keyring runs");
        keyring.kill().expect("kill the keyring");
        keyring.wait().expect("its end");
    }

    /// The keyring's process.
    pub fn pid(&self) -> u32 {
        self.keyring.as_ref().expect("the keyring runs").id()
    }

    /// Locks the login keyring. Nobody is there to open it again but [`Self::unlock`].
    pub fn lock(&self) {
        output_of(&mut self.call(
            "/org/freedesktop/secrets",
            "org.freedesktop.Secret.Service.Lock",
            &[&format!("array:objpath:{COLLECTION}")],
        ));
        assert_eq!(self.is_locked(), Some(true), "the keyring did not lock");
    }

    /// Opens it again, by a new keyring process with the password.
    pub fn unlock(&mut self) {
        self.stop_keyring();
        self.start_keyring();
    }

    /// Whether the login keyring is locked; nothing where there is none.
    pub fn is_locked(&self) -> Option<bool> {
        let output = self
            .call(
                COLLECTION,
                "org.freedesktop.DBus.Properties.Get",
                &["string:org.freedesktop.Secret.Collection", "string:Locked"],
            )
            .stdin(Stdio::null())
            .output()
            .expect("run dbus-send");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        match answer.rsplit_once("boolean ") {
            Some((_, value)) if output.status.success() => Some(value.trim() == "true"),
            _ => None,
        }
    }

    /// Stops the keyring's process in its tracks: it holds its name on the bus and answers nothing.
    pub fn freeze(&self) {
        signal(self.pid(), "STOP");
    }

    pub fn thaw(&self) {
        signal(self.pid(), "CONT");
    }

    /// What `secret-tool lookup` finds.
    pub fn lookup(&self, service: &str, username: &str) -> Option<String> {
        let output = self
            .secret_tool()
            .args(["lookup", "service", service, "username", username])
            .stdin(Stdio::null())
            .output()
            .expect("run secret-tool");
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).expect("a secret in UTF-8"))
    }

    /// Stores as somebody else would, by `secret-tool store`.
    pub fn store(&self, service: &str, username: &str, secret: &str) {
        let mut child = self
            .secret_tool()
            .args([
                "store",
                "--label=test lab",
                "service",
                service,
                "username",
                username,
            ])
            .stdin(Stdio::piped())
            .spawn()
            .expect("run secret-tool");
        let mut input = child.stdin.take().expect("its input");
        input
            .write_all(secret.as_bytes())
            .expect("write the secret");
        drop(input);
        let status = child.wait().expect("secret-tool's end");
        assert!(status.success(), "secret-tool store ended with {status}");
    }

    /// The usernames under which this service has secrets, as `secret-tool search` lists them.
    pub fn usernames(&self, service: &str) -> Vec<String> {
        let output = self
            .secret_tool()
            .args(["search", "--all", "service", service])
            .stdin(Stdio::null())
            .output()
            .expect("run secret-tool");
        // Secrets go to its output, attributes to its errors.
        let mut names: Vec<String> = String::from_utf8_lossy(&output.stderr)
            .lines()
            .filter_map(|line| line.strip_prefix("attribute.username = "))
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }

    /// Takes a secret away, by `secret-tool clear`.
    pub fn clear(&self, service: &str, username: &str) {
        let arguments = ["clear", "service", service, "username", username];
        output_of(self.secret_tool().args(arguments));
    }

    pub fn home(&self) -> &Home {
        &self.home
    }

    fn socket(&self) -> PathBuf {
        socket(&self.home)
    }

    /// What a child needs to find this bus and this home.
    pub fn env(&self) -> Vec<(OsString, OsString)> {
        let mut address = OsString::from("unix:path=");
        address.push(self.socket());
        let mut env = self.home.env();
        env.push(("DBUS_SESSION_BUS_ADDRESS".into(), address));
        env
    }

    fn secret_tool(&self) -> Command {
        let mut command = Command::new(require("secret-tool", "libsecret-tools"));
        command.env_clear().envs(self.env());
        command
    }

    fn call(&self, object: &str, method: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(require("dbus-send", "dbus"));
        command
            .env_clear()
            .envs(self.env())
            .args(["--session", "--print-reply", "--reply-timeout=2000"])
            .args(["--dest=org.freedesktop.secrets", object, method])
            .args(arguments);
        command
    }
}

impl Drop for SecretService {
    fn drop(&mut self) {
        self.stop_keyring();
        process::end(&mut self.bus, STOP);
    }
}

fn socket(home: &Home) -> PathBuf {
    home.runtime_folder().join("bus")
}

/// A bus that starts nothing by itself: with the system's session configuration the first question would bring
/// up a keyring of its own.
fn start_bus(home: &Home) -> Child {
    let program = require("dbus-daemon", "dbus-daemon");
    let socket = socket(home);
    let config = home.write_private("bus.conf", &bus_config(&socket));
    let log = home.path().join("bus.log");
    let mut command = process::kept(&program, None);
    command
        .arg(format!("--config-file={}", config.display()))
        .args(["--nofork", "--nopidfile", "--nosyslog"])
        .env_clear()
        .envs(home.env())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log).expect("make the bus's log"));
    let bus = spawn_kept(command).expect("start dbus-daemon");
    eventually(
        "the message bus",
        START,
        || UnixStream::connect(&socket).ok(),
        || fs::read_to_string(&log).unwrap_or_default(),
    );
    bus
}

fn bus_config(socket: &Path) -> String {
    format!(
        "<busconfig>\n\
         <type>session</type>\n\
         <listen>unix:path={}</listen>\n\
         <auth>EXTERNAL</auth>\n\
         <policy context=\"default\">\n\
         <allow send_destination=\"*\" eavesdrop=\"true\"/>\n\
         <allow eavesdrop=\"true\"/>\n\
         <allow own=\"*\"/>\n\
         </policy>\n\
         </busconfig>\n",
        socket.display()
    )
}
