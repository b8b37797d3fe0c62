//! A real Secret Service: gnome-keyring, or another provider, on a message bus of its own, with a home of its own.

use super::display::Display;
use super::home::Home;
use super::keychains::Provider;
use super::process::{self, eventually, output_of, require, signal, spawn_kept};
use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

pub struct SecretService {
    home: Home,
    bus: Child,
    keyring: Option<Child>,
    provider: Provider,
    /// Where its prompts are shown.
    display: Option<Display>,
    asks: bool,
}

const START: Duration = Duration::from_secs(40);
const STOP: Duration = Duration::from_secs(5);
/// What shows GNOME Keyring's prompts.
const PROMPTER: &str = "/usr/libexec/gcr-prompter";
/// How long `secret-tool` may take, in seconds.
const PATIENCE: &str = "20";

/// The service's object (Secret Service API).
const SERVICE: &str = "/org/freedesktop/secrets";

impl SecretService {
    /// A bus, and on it a keyring that is open.
    pub fn start() -> Self {
        Self::of(Provider::GnomeKeyring)
    }

    /// The same of another provider.
    pub fn of(provider: Provider) -> Self {
        let mut service = Self::bus_for(provider);
        service.start_keyring();
        service
    }

    /// A bus and nothing on it yet; [`Self::start_keyring`] adds the keyring later.
    pub fn bus_only() -> Self {
        Self::bus_for(Provider::GnomeKeyring)
    }

    /// The same for another provider.
    pub fn bus_for(provider: Provider) -> Self {
        let home = Home::new();
        let bus = start_bus(&home);
        Self {
            home,
            bus,
            keyring: None,
            provider,
            display: None,
            asks: false,
        }
    }

    /// From its next start on the provider shows its prompts here, and so does who is run with [`Self::env`].
    pub fn show_on(&mut self, display: Display) {
        if self.provider == Provider::GnomeKeyring {
            // The bus starts it when it is needed, as everywhere: it ends after some idle seconds.
            process::require_part(PROMPTER, "gcr");
            let name = "org.gnome.keyring.SystemPrompter";
            let text = format!(
                "[D-BUS Service]\nName={name}\nExec=/usr/bin/env DISPLAY={} NO_AT_BRIDGE=1 {PROMPTER}\n",
                display.name()
            );
            std::fs::write(services(&self.home).join(format!("{name}.service")), text)
                .expect("write the prompter's service");
            let object = "/org/freedesktop/DBus";
            let mut reload = Command::new(require("dbus-send", "dbus"));
            reload
                .env_clear()
                .envs(self.env())
                .args(["--session", "--print-reply", "--dest=org.freedesktop.DBus"])
                .args([object, "org.freedesktop.DBus.ReloadConfig"]);
            output_of(&mut reload);
        }
        self.display = Some(display);
    }

    /// From its next start on `KeePassXC` asks about each access, as it does where nobody told it not to.
    pub fn ask_always(&mut self) {
        self.asks = true;
    }

    pub fn display(&self) -> &Display {
        self.display.as_ref().expect("a display")
    }

    /// Starts the keyring, open, and waits until it answers. Items stored before are there again.
    pub fn start_keyring(&mut self) {
        if self.provider != Provider::KWallet {
            self.launch(true);
            self.wait_until_locked_is(false);
            return;
        }
        if !Provider::wallet(&self.home).exists() {
            // KWallet shows a wallet as a collection from its next start on.
            self.launch(true);
            self.wait_for_name();
            self.open_wallet();
            self.stop_keyring();
        }
        self.launch(true);
        self.wait_until_locked_is(true);
        // It says "locked" until its first client has it unlocked, for which nobody is asked any more.
        self.open_wallet();
    }

    /// Starts the keyring as it is after a login without a password: locked. There must be one from before.
    pub fn start_keyring_locked(&mut self) {
        self.launch(false);
        self.wait_until_locked_is(true);
    }

    /// Starts the keyring where there was none before: it has no collection to store in.
    pub fn start_keyring_without_collections(&mut self) {
        assert_eq!(self.provider, Provider::GnomeKeyring);
        self.launch(false);
        self.wait_for_name();
    }

    fn launch(&mut self, is_open: bool) {
        assert!(self.keyring.is_none(), "the keyring runs already");
        self.provider.furnish(&self.home, self.asks);
        let (arguments, input) = self.provider.arguments(&self.home, is_open);
        let output = || {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.log_file());
            Stdio::from(file.expect("the keyring's log"))
        };
        let signal = if self.provider.ends_by_term() {
            "TERM"
        } else {
            "KILL"
        };
        let mut command = process::kept_by(signal, &self.provider.program(), None);
        command
            .args(arguments)
            .env_clear()
            .envs(self.env())
            // KeePassXC starts once for each temp directory.
            .env("TMPDIR", self.home.path())
            .stdin(input)
            .stdout(output())
            .stderr(output());
        match &self.display {
            Some(display) => command.env("DISPLAY", display.name()),
            None => command.env("QT_QPA_PLATFORM", "offscreen"),
        };
        self.keyring = Some(spawn_kept(command).expect("start the keyring"));
    }

    fn log_file(&self) -> PathBuf {
        self.home.path().join("keyring.log")
    }

    fn wait_until_locked_is(&self, locked: bool) {
        eventually(
            "the keyring's default collection",
            START,
            || (self.is_locked() == Some(locked)).then_some(()),
            || fs::read_to_string(self.log_file()).unwrap_or_default(),
        );
    }

    fn wait_for_name(&self) {
        let get = "org.freedesktop.DBus.Properties.Get";
        let property = [
            "string:org.freedesktop.Secret.Service",
            "string:Collections",
        ];
        eventually(
            "the keyring's name on the bus",
            START,
            || {
                let output = self.call(SERVICE, get, &property).output();
                output.is_ok_and(|it| it.status.success()).then_some(())
            },
            || fs::read_to_string(self.log_file()).unwrap_or_default(),
        );
    }

    /// Opens the wallet as PAM does at login: with a key that is derived from the password, of 56 octets.
    fn open_wallet(&self) {
        let key: Vec<String> = Provider::password()
            .bytes()
            .cycle()
            .take(56)
            .map(|octet| octet.to_string())
            .collect();
        let key = format!("array:byte:{}", key.join(","));
        let arguments = ["string:kdewallet", &key, "int32:-1"];
        output_of(&mut self.kwallet("pamOpen", &arguments));
    }

    /// A call of `KWallet`'s own interface.
    fn kwallet(&self, method: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(require("dbus-send", "dbus"));
        command
            .env_clear()
            .envs(self.env())
            .args(["--session", "--print-reply", "--reply-timeout=2000"])
            .args(["--dest=org.kde.kwalletd5", "/modules/kwalletd5"])
            .arg(format!("org.kde.KWallet.{method}"))
            .args(arguments);
        command
    }

    /// Ends the keyring; the bus stays.
    pub fn stop_keyring(&mut self) {
        if self.keyring.is_some() && self.provider == Provider::KWallet {
            // As the session's end does: what it was told in the last seconds is in its file then.
            let mut close = self.kwallet("closeAllWallets", &[]);
            let _ = close.output();
        }
        if self.provider == Provider::KeePassXc
            && let Some(mut keyring) = self.keyring.take()
        {
            // As its menu does: it saves what it was told in the last moments.
            let _ = self.quit_keepassxc().output();
            if process::wait_for_end(&mut keyring, STOP).is_none() {
                let _ = keyring.kill();
                let _ = keyring.wait();
            }
        } else if let Some(mut keyring) = self.keyring.take() {
            process::end(&mut keyring, STOP);
        }
    }

    fn quit_keepassxc(&self) -> Command {
        let mut command = Command::new(require("dbus-send", "dbus"));
        command
            .env_clear()
            .envs(self.env())
            .args(["--session", "--print-reply", "--reply-timeout=2000"])
            .args(["--dest=org.keepassxc.KeePassXC.MainWindow", "/keepassxc"])
            .arg("org.keepassxc.KeePassXC.MainWindow.appExit");
        command
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
            SERVICE,
            "org.freedesktop.Secret.Service.Lock",
            &[&format!("array:objpath:{}", self.provider.collection())],
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
                self.provider.collection(),
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
        let ask = || self.ask(&["lookup", "service", service, "username", username]);
        let mut output = ask();
        if self.provider == Provider::KWallet && !output.status.success() {
            // Once in 256 libsecret has another key than KWallet, and reads nothing.
            output = ask();
        }
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).expect("a secret in UTF-8"))
    }

    /// Stores as somebody else would, by `secret-tool store`.
    pub fn store(&self, service: &str, username: &str, secret: &str) {
        self.store_with(&["service", service, "username", username], secret);
    }

    /// The same with these attributes: names and values by turns.
    pub fn store_with(&self, attributes: &[&str], secret: &str) {
        let output = self.tell(
            &[&["store", "--label=test lab"], attributes].concat(),
            secret,
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "secret-tool store: {said}");
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        self.tell(arguments, "")
    }

    /// Runs `secret-tool` with this on its standard input; again where `KWallet` takes only keys of the full length, and
    /// its was shorter, as one of 256 is.
    fn tell(&self, arguments: &[&str], input: &str) -> Output {
        let run = || {
            let mut command = self.secret_tool();
            command.args(arguments).stdin(Stdio::piped());
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().expect("run secret-tool");
            let mut pipe = child.stdin.take().expect("its input");
            pipe.write_all(input.as_bytes()).expect("write the secret");
            drop(pipe);
            child.wait_with_output().expect("secret-tool's end")
        };
        let output = run();
        if String::from_utf8_lossy(&output.stderr).contains("public key size is invalid") {
            return run();
        }
        output
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

    /// What `secret-tool search` says of this username's items, one after the other, without the secrets.
    pub fn items(&self, service: &str, username: &str) -> Vec<String> {
        let arguments = ["search", "--all", "--unlock"];
        let attributes = ["service", service, "username", username];
        let output = self.ask(&[&arguments[..], &attributes[..]].concat());
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        // Labels and times go to its output, attributes to its errors; both in the items' order.
        let mut items: Vec<String> = text(&output.stdout)
            .split("[/")
            .skip(1)
            .map(|item| {
                let lines = item.lines().filter(|line| !line.starts_with("secret = "));
                lines.collect::<Vec<_>>().join("\n")
            })
            .collect();
        if let [item] = &mut items[..] {
            item.push_str(&text(&output.stderr));
        }
        items
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
        let display = self.display.as_ref().map(Display::name);
        env.extend(display.map(|name| ("DISPLAY".into(), name.into())));
        env
    }

    pub fn provider(&self) -> Provider {
        self.provider
    }

    fn secret_tool(&self) -> Command {
        // It waits for ever for a provider that asks a person.
        let mut command = Command::new(require("timeout", "coreutils"));
        command
            .arg(PATIENCE)
            .arg(require("secret-tool", "libsecret-tools"))
            .env_clear()
            .envs(self.env())
            .env("LC_ALL", "C.UTF-8");
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

thread_local! {
    /// Of those that were dropped on this thread, how the last one that crashed did.
    static CRASH: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Signals by which a program dies of itself: SIGTRAP (`GLib`'s fatal errors), SIGABRT, SIGBUS, SIGFPE, SIGSEGV.
const OF_ITSELF: [i32; 5] = [5, 6, 7, 8, 11];

/// How a provider that was dropped on this thread had crashed by itself, if one had.
pub(super) fn take_crash() -> Option<String> {
    CRASH.take()
}

impl Drop for SecretService {
    fn drop(&mut self) {
        let ended = self.keyring.as_mut().and_then(|it| it.try_wait().ok()?);
        if let Some(signal) = ended.and_then(|status| status.signal())
            && OF_ITSELF.contains(&signal)
        {
            CRASH.set(Some(format!("crashed by itself (signal {signal})")));
        }
        self.stop_keyring();
        process::end(&mut self.bus, STOP);
    }
}

fn socket(home: &Home) -> PathBuf {
    home.runtime_folder().join("bus")
}

/// What the bus may start: nothing, but for what a test puts there.
fn services(home: &Home) -> PathBuf {
    home.path().join("services")
}

/// A bus that starts nothing else by itself: with the system's session configuration the first question would bring
/// up a keyring of its own.
fn start_bus(home: &Home) -> Child {
    let program = require("dbus-daemon", "dbus-daemon");
    let socket = socket(home);
    fs::create_dir(services(home)).expect("make the folder of services");
    let config = home.write_private("bus.conf", &bus_config(&socket, &services(home)));
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

fn bus_config(socket: &Path, services: &Path) -> String {
    format!(
        "<busconfig>\n\
         <type>session</type>\n\
         <listen>unix:path={}</listen>\n\
         <servicedir>{}</servicedir>\n\
         <auth>EXTERNAL</auth>\n\
         <policy context=\"default\">\n\
         <allow send_destination=\"*\" eavesdrop=\"true\"/>\n\
         <allow eavesdrop=\"true\"/>\n\
         <allow own=\"*\"/>\n\
         </policy>\n\
         </busconfig>\n",
        socket.display(),
        services.display()
    )
}
