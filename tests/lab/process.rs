//! Child processes: finding them, starting them so that none outlives the test, ending them by id.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

/// The path of a program the lab needs. Where it is missing the test fails and names the Debian package.
pub fn require(program: &str, debian_package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| missing(program, debian_package))
}

/// The same for a file that is not on the PATH, such as one of Dovecot's own programs.
pub(super) fn require_part(file: &str, debian_package: &str) {
    if !std::path::Path::new(file).is_file() {
        missing(file, debian_package);
    }
}

fn missing(part: &str, debian_package: &str) -> ! {
    panic!(
        "the test lab needs `{part}`, which is not on this machine: install the Debian package \
         `{debian_package}` (scripts/install-parts installs all of them)"
    )
}

/// Asks until there is an answer. At the deadline the test fails with `what` and the words of `explain`.
pub fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut ask: impl FnMut() -> Option<T>,
    explain: impl FnOnce() -> String,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            start.elapsed() < deadline,
            "{what}: not within {deadline:?}\n{}",
            explain()
        );
        thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal, named as `kill` names it ("TERM", "STOP"), to one process by its id.
pub fn signal(pid: u32, name: &str) {
    // The shell's built-in `kill`: there is no safe call for it in std, and no package to install.
    let status = Command::new("/bin/sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("run /bin/sh");
    assert!(
        status.success(),
        "signal {name} could not be sent to process {pid}: it is gone"
    );
}

/// Runs a helper program to its end and gives its standard output; anything but success fails the test.
pub(super) fn output_of(command: &mut Command) -> Vec<u8> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// A command that the kernel ends with SIGTERM when the test binary dies, however it dies (Ctrl-C, a killed CI
/// job). To be started with [`spawn_kept`].
pub(super) fn kept(program: &std::path::Path, owner: Option<&Owner>) -> Command {
    kept_by("TERM", program, owner)
}

/// The same by another signal, for a program that SIGTERM does not end.
pub(super) fn kept_by(signal: &str, program: &std::path::Path, owner: Option<&Owner>) -> Command {
    let mut command = Command::new(require("setpriv", "util-linux"));
    if let Some(owner) = owner.filter(|owner| owner.changed) {
        command.args([
            "--reuid",
            &owner.uid.to_string(),
            "--regid",
            &owner.gid.to_string(),
            "--clear-groups",
        ]);
    }
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    command
}

/// Starts a child from a thread that lives as long as the test binary: the kernel's parent-death signal counts
/// the death of the thread that started the child, and test threads end with their tests.
pub(super) fn spawn_kept(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static KEEPER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, child) = mpsc::channel();
    keeper.send((command, answer)).expect("the keeper thread");
    child.recv().expect("the keeper thread's answer")
}

/// Waits for a child to end by itself, at most so long.
pub(super) fn wait_for_end(child: &mut Child, at_most: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if start.elapsed() > at_most {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Ends a child: SIGTERM, a wait, and only if it hangs SIGKILL for it and for its own children.
pub(super) fn end(child: &mut Child, grace: Duration) {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    signal(child.id(), "TERM");
    if wait_for_end(child, grace).is_some() {
        return;
    }
    let pid = child.id();
    let children =
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let _ = child.kill();
    let _ = child.wait();
    for grandchild in children.split_whitespace().filter_map(|id| id.parse().ok()) {
        let _ = Command::new("/bin/sh")
            .args([
                "-c",
                "kill -s KILL \"$1\"",
                "sh",
                &u32::to_string(&grandchild),
            ])
            .stderr(Stdio::null())
            .status();
    }
}

/// Who the servers run as and who owns the mail: `nobody` when the tests run as root, else the user himself.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub uid: u32,
    pub gid: u32,
    pub user: String,
    pub group: String,
    /// Whether this is somebody else than who runs the tests.
    pub changed: bool,
}

impl Owner {
    pub fn get() -> &'static Self {
        static OWNER: OnceLock<Owner> = OnceLock::new();
        OWNER.get_or_init(|| {
            let id = |arguments: &[&str]| {
                let text = output_of(Command::new(require("id", "coreutils")).args(arguments));
                String::from_utf8_lossy(&text).trim().to_owned()
            };
            let changed = id(&["-u"]) == "0";
            let whom: &[&str] = if changed { &["nobody"] } else { &[] };
            let ask = |option: &str| id(&[&[option], whom].concat());
            Self {
                uid: ask("-u").parse().expect("a user id"),
                gid: ask("-g").parse().expect("a group id"),
                user: ask("-un"),
                group: ask("-gn"),
                changed,
            }
        })
    }

    /// Hands a file or folder to the owner; nothing to do where the tests run as himself.
    pub fn take(&self, path: &std::path::Path) {
        if self.changed {
            std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
                .unwrap_or_else(|error| panic!("chown {}: {error}", path.display()));
        }
    }
}
