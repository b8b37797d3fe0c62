//! A display that nobody looks at, and a person before it who presses keys: `Xvfb` and `xdotool`.

use super::process::{self, eventually, require, spawn_kept};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const START: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(5);

pub struct Display {
    server: Child,
    name: String,
    /// Where the server writes which number it took.
    _folder: tempfile::TempDir,
}

impl Display {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temp directory");
        let number = folder.path().join("number");
        let mut command = process::kept(&require("Xvfb", "xvfb"), None);
        command
            .args([
                "-displayfd",
                "1",
                "-nolisten",
                "tcp",
                "-noreset",
                "-screen",
                "0",
            ])
            .arg("800x600x24")
            .stdin(Stdio::null())
            .stdout(File::create(&number).expect("make its file"))
            .stderr(Stdio::null());
        let server = spawn_kept(command).expect("start Xvfb");
        let name = eventually(
            "the display",
            START,
            || {
                let text = std::fs::read_to_string(&number).ok()?;
                let number = text.strip_suffix('\n')?;
                Some(format!(":{number}"))
            },
            String::new,
        );
        Self {
            server,
            name,
            _folder: folder,
        }
    }

    /// As `DISPLAY` has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until a window with this in its title is shown.
    pub fn wait_for_window(&self, title: &str) {
        eventually(
            &format!("a window “{title}”"),
            START,
            || self.has_window(title).then_some(()),
            || self.titles(),
        );
    }

    /// Waits until no such window is shown any more.
    pub fn wait_for_no_window(&self, title: &str) {
        eventually(
            &format!("no window “{title}”"),
            START,
            || (!self.has_window(title)).then_some(()),
            String::new,
        );
    }

    /// Whether such a window is shown.
    pub fn has_window(&self, title: &str) -> bool {
        let arguments = ["search", "--onlyvisible", "--name", title];
        self.xdotool(&arguments).status.success()
    }

    /// The titles of all windows.
    fn titles(&self) -> String {
        let found = self.xdotool(&["search", "--name", "", "getwindowname", "%@"]);
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        text(&found.stdout) + &text(&found.stderr)
    }

    /// Types this.
    pub fn types(&self, text: &str) {
        self.xdotool(&["type", "--delay", "2", text]);
    }

    /// Presses a key: "Return", "Escape".
    pub fn presses(&self, key: &str) {
        self.xdotool(&["key", key]);
    }

    fn xdotool(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(require("xdotool", "xdotool"))
            .args(arguments)
            .env("DISPLAY", &self.name)
            .stdin(Stdio::null())
            .output()
            .expect("run xdotool")
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        process::end(&mut self.server, STOP);
    }
}
