//! The Debian package in a Debian that has nothing else: what it installs works, and goes without a trace.
#![cfg(all(target_os = "linux", feature = "package-tests"))]

mod lab;

use lab::{Home, require};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What apt, dpkg and man keep for themselves, and what is no file of the system's.
const OF_NO_PACKAGE: [&str; 8] = [
    "dev",
    "proc",
    "tmp",
    "root",
    "var/cache",
    "var/log",
    "var/lib/apt",
    "var/lib/dpkg",
];

/// The package, built by `scripts/package` of the program that the tests run.
fn package() -> PathBuf {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/package"));
    command.arg("--debug");
    // What cargo says to a test of the package it tests is no news to build scripts, which would all run again.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_")
            && name != "CARGO_TARGET_DIR"
            && name != "CARGO_HOME"
        {
            command.env_remove(name);
        }
    }
    PathBuf::from(said(&mut command).trim_end())
}

/// What a program prints; it has to end with 0.
fn said(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let [printed, told] =
        [output.stdout, output.stderr].map(|output| String::from_utf8_lossy(&output).into_owned());
    assert!(output.status.success(), "{command:?}: {printed}{told}");
    printed
}

/// Only root may install, in its own Debian as well.
fn as_root(program: &str) -> Command {
    if rustix::process::getuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new(require("sudo", "sudo"));
    command.arg("--non-interactive").arg(program);
    command
}

/// A Debian of its own, as debootstrap made it, taken away in the end. Nothing is mounted in it.
struct Debian {
    root: PathBuf,
}

impl Debian {
    fn new() -> Self {
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/debian-root/system");
        assert!(
            original.exists(),
            "there is no Debian in {}: scripts/install-parts --debian unpacks one",
            original.display()
        );
        let root =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("debian-{}", std::process::id()));
        said(as_root("cp").arg("-a").arg(&original).arg(&root));
        Self { root }
    }

    /// Runs a line of shell there.
    fn run(&self, line: &str) -> String {
        said(self.shell(&[]).arg(line))
    }

    /// The same as somebody who is nobody.
    fn run_as_nobody(&self, line: &str) -> String {
        said(self.shell(&["--userspec=nobody:nogroup"]).arg(line))
    }

    fn shell(&self, options: &[&str]) -> Command {
        let mut command = as_root("chroot");
        command.args(options).arg(&self.root);
        command.args([
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL=C.UTF-8",
        ]);
        command.args([
            "DEBIAN_FRONTEND=noninteractive",
            "HOME=/nonexistent",
            "sh",
            "-ec",
        ]);
        command
    }

    /// Every file, folder and link, with its kind and mode, and where it leads or how large it is.
    fn files(&self) -> BTreeSet<String> {
        let mut find = as_root("find");
        find.arg(&self.root).args(["-xdev", "("]);
        for (place, folder) in OF_NO_PACKAGE.iter().enumerate() {
            if place > 0 {
                find.arg("-o");
            }
            find.arg("-path").arg(self.root.join(folder));
        }
        // A folder's size says what was in it once.
        find.args([")", "-prune", "-o", "-type", "d", "-printf", "%P %y %m\n"]);
        find.args(["-o", "-printf", "%P %y %m %l %s\n"]);
        said(&mut find).lines().map(str::to_owned).collect()
    }

    fn has(&self, file: &str) -> bool {
        self.root.join(file).exists()
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = as_root("rm").arg("-rf").arg(&self.root).status();
    }
}

#[test]
fn the_package_installs_with_what_it_names_works_and_goes_without_a_trace() {
    let package = package();
    let name = package.file_name().expect("a file").to_string_lossy();
    let debian = Debian::new();
    said(as_root("cp").arg(&package).arg(debian.root.join("tmp")));
    debian.run("apt-get update -qq");

    // What it depends on, and no more: dpkg would refuse the package, and the program would not start, if any was
    // missing.
    let needed = said(
        Command::new(require("dpkg-deb", "dpkg"))
            .arg("--field")
            .arg(&package)
            .arg("Depends"),
    );
    debian.run(&format!(
        "apt-get satisfy -qq --yes --no-install-recommends '{}'",
        needed.trim()
    ));
    let before = debian.files();
    debian.run(&format!("dpkg --install '/tmp/{name}'"));

    let version = debian.run_as_nobody("fetch-token --version");
    assert_eq!(
        version.trim(),
        format!("fetch-token {}", env!("CARGO_PKG_VERSION"))
    );
    judges_a_mail(&debian);
    debian.run("man -w 1 fetch-token; man -w 1 fetch-token-wait; man -w 5 fetch-token.toml");
    for file in [
        "usr/share/bash-completion/completions/fetch-token",
        "usr/share/zsh/vendor-completions/_fetch-token",
        "usr/share/fish/vendor_completions.d/fetch-token.fish",
        "usr/share/doc/fetch-token/README.md",
        "usr/share/doc/fetch-token/docs/daemon.md",
        "usr/share/doc/fetch-token/copyright",
        "usr/share/doc/fetch-token/changelog.Debian.gz",
    ] {
        assert!(debian.has(file), "{file}");
    }
    systemd_takes_the_unit(&debian);
    nothing_starts_it(&debian);

    let installed: BTreeSet<_> = debian.files().difference(&before).cloned().collect();
    let listed = debian.run("dpkg --listfiles fetch-token");
    for file in &installed {
        let path = file.split(' ').next().unwrap_or_default();
        assert!(
            listed.contains(&format!("/{path}\n")),
            "{file} is not the package's"
        );
    }

    debian.run("dpkg --purge fetch-token");
    let after = debian.files();
    let changed: Vec<_> = before.symmetric_difference(&after).collect();
    assert!(changed.is_empty(), "{changed:#?}");
    debian.run("! man -w fetch-token 2> /dev/null");
    let known = debian.run("ls /var/lib/dpkg/info; dpkg --get-selections");
    assert!(!known.contains("fetch-token"), "{known}");
}

/// The whole of it, but for a mailbox and a keychain.
fn judges_a_mail(debian: &Debian) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mail = fixtures.join("genuine/absent-fields-signed.eml");
    let tmp = debian.root.join("tmp");
    said(
        as_root("install")
            .args(["-m", "644"])
            .arg(fixtures.join("keys.json"))
            .arg(mail)
            .arg(tmp),
    );
    let verdict = debian.run_as_nobody(
        "fetch-token extract --json --dkim-keys /tmp/keys.json /tmp/absent-fields-signed.eml",
    );
    assert!(verdict.contains("\"verdict\":\"token\""), "{verdict}");
}

fn systemd_takes_the_unit(debian: &Debian) {
    let unit = debian.root.join("usr/lib/systemd/user/fetch-token.service");
    let unit = fs::read_to_string(unit).expect("read the unit");
    assert!(
        unit.contains("ExecStart=:\"/usr/bin/fetch-token\" \"daemon\"\n"),
        "{unit}"
    );
    // There is no systemd in that Debian: this one looks for the program there.
    let program = debian.root.join("usr/bin/fetch-token");
    let unit = unit.replace("/usr/bin/fetch-token", program.to_str().expect("UTF-8"));
    let home = Home::new();
    let file = home.path().join("fetch-token.service");
    fs::write(&file, unit).expect("write the unit");
    let verified = Command::new(require("systemd-analyze", "systemd"))
        .args(["verify", "--user", "--man=no"])
        .arg(&file)
        .envs(home.env())
        .output()
        .expect("run systemd-analyze");
    // It warns of what it does not know and still ends with 0, so there must be no word about this unit.
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(
        verified.status.success() && !said.contains("fetch-token"),
        "{said}"
    );
}

/// No script of the package's runs, and no link of systemd's leads to the unit.
fn nothing_starts_it(debian: &Debian) {
    let info = debian.run("ls /var/lib/dpkg/info/fetch-token.*");
    let info: Vec<_> = info
        .lines()
        .filter_map(|file| file.rsplit('.').next())
        .collect();
    assert_eq!(info, ["list", "md5sums"]);
    let links = debian.run("find /etc /usr/lib/systemd -type l -lname '*fetch-token*'");
    assert_eq!(links, "");
}
