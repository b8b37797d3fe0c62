//! What packages install besides the program says what the program does, and is taken by who is to read it.
#![cfg(target_os = "linux")]

mod lab;

use clap::{Arg, Command as Line, CommandFactory as _};
use fetch_token::cli::{Cli, EXIT_CODES};
use fetch_token::config::keys::{Absent, TABLES};
use lab::{Home, Program, require, rust_example};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The files, written once for all tests.
static FILES: LazyLock<Files> = LazyLock::new(Files::write);

struct Files {
    folder: PathBuf,
}

impl Files {
    fn write() -> Self {
        // Nothing of an earlier run is taken for one of this.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packaging");
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("remove what an earlier run wrote");
        }
        said(Command::new(rust_example("packaging-files")).arg(&folder));
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn pages(&self) -> Vec<PathBuf> {
        let pages = ["man/man1", "man/man5"].map(|section| fs::read_dir(self.path(section)));
        let pages = pages.into_iter().flat_map(|pages| pages.expect("a folder"));
        pages.map(|page| page.expect("a page").path()).collect()
    }

    /// A page as a reader sees it, with each run of blanks as one.
    fn page(&self, name: &str) -> String {
        let shown = Command::new(require("man", "man-db"))
            .args(["--no-hyphenation", "--no-justification", "-l"])
            .arg(self.path(name))
            // So wide that nothing is broken.
            .envs([("MANWIDTH", "1000"), ("LC_ALL", "C.UTF-8")])
            .output()
            .expect("run man");
        assert!(shown.status.success(), "{name}");
        let text = String::from_utf8(shown.stdout).expect("UTF-8");
        in_one_line(&text)
    }
}

fn in_one_line(text: &str) -> String {
    // As man writes apostrophes on a screen.
    let text = text.replace(['\u{2018}', '\u{2019}'], "'");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a program writes on both its outputs; it has to end with 0.
fn said(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// The command line, with what all commands take in each.
fn command_line() -> Line {
    let mut line = Cli::command();
    line.build();
    line
}

fn options(command: &Line) -> impl Iterator<Item = String> {
    let longs = command.get_arguments().filter_map(Arg::get_long);
    longs.map(|long| format!("--{long}"))
}

#[test]
fn every_command_has_a_page_with_every_argument_it_takes_and_its_help() {
    let program = command_line();
    let commands: Vec<_> = program.get_subcommands().collect();
    assert!(commands.len() > 15);
    let page = FILES.page("man/man1/fetch-token.1");
    for command in &commands {
        let about = command.get_about().expect("each says what it does");
        let entry = in_one_line(&format!("fetch-token-{}(1) {about}", command.get_name()));
        assert!(page.contains(&entry), "{entry}\n{page}");
    }
    for (code, meaning) in EXIT_CODES {
        assert!(page.contains(&format!(" {code} {meaning}")), "{page}");
    }
    for command in commands.into_iter().chain([&program]) {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let page = FILES.page(&format!("man/man1/{name}.1"));
        for argument in command.get_arguments() {
            let named = match argument.get_long() {
                Some(long) => format!("--{long}"),
                None => argument.get_value_names().expect("a positional")[0].to_string(),
            };
            assert!(page.contains(&named), "{name}: {named}\n{page}");
            let help = argument.get_long_help().or(argument.get_help());
            let help = in_one_line(&help.expect("each says what it is for").to_string());
            assert!(page.contains(&help), "{name}: {help}\n{page}");
        }
    }
}

#[test]
fn every_key_of_the_configuration_is_in_its_page_with_what_it_means() {
    let page = FILES.page("man/man5/fetch-token.toml.5");
    let mut rest = page.as_str();
    // In their order: two tables may have keys of one name.
    let mut find = |what: &str| {
        let what = in_one_line(what);
        let (_, after) = rest
            .split_once(&what)
            .unwrap_or_else(|| panic!("{what}\n{page}"));
        rest = after;
    };
    for table in TABLES {
        find(table.heading);
        find(table.meaning);
        for key in table.keys {
            find(&format!("{} = {}", key.name, key.example));
            find(key.meaning);
            find(key.value);
            match key.absent {
                Absent::Refused => find("It has to be there."),
                Absent::Value(what) | Absent::Words(what) => find(&format!("Left out: {what}.")),
            }
        }
    }
}

#[test]
fn groff_has_no_warning_about_any_page_and_its_name_is_found_by_apropos() {
    let pages = FILES.pages();
    assert!(pages.len() > 16);
    for page in pages {
        let warnings = said(
            Command::new(require("groff", "groff-base"))
                .args(["-ww", "-man", "-Tutf8", "-z"])
                .arg(&page),
        );
        assert_eq!(warnings, "", "{}", page.display());
        let found = said(Command::new(require("lexgrog", "man-db")).arg(&page));
        let name = page.file_stem().and_then(OsStr::to_str).expect("a name");
        let found_as = format!("\"{name} - ");
        assert!(found.contains(&found_as), "{found}");
    }
}

#[test]
fn bash_completes_every_command_every_option_and_the_words_of_one() {
    // What bash does when a person presses Tab: it calls the function that `complete -p` names.
    const PRESS_TAB: &str = r#"
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        function=$(complete -p fetch-token); function=${function#*-F }
        "${function%% *}" fetch-token "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let script = FILES.path("completions/fetch-token.bash");
    said(Command::new("bash").arg("-n").arg(&script));
    let completed = |words: &[&str]| {
        let completed = said(
            Command::new("bash")
                .args(["--norc", "-c", PRESS_TAB, "bash"])
                .arg(&script)
                .args(words),
        );
        let mut completed: Vec<_> = completed.lines().map(str::to_owned).collect();
        completed.sort();
        completed
    };
    let program = command_line();
    let commands: Vec<_> = program.get_subcommands().collect();
    let all = completed(&["fetch-token", ""]);
    for command in commands {
        let name = command.get_name();
        assert!(all.contains(&name.to_owned()), "{name}: {all:?}");
        let of_command = completed(&["fetch-token", name, "--"]);
        let mut expected: Vec<_> = options(command).collect();
        expected.sort();
        assert_eq!(of_command, expected, "{name}");
    }
    let managers = completed(&["fetch-token", "daemon", "--print-unit", ""]);
    assert_eq!(managers, ["launchd", "systemd"]);
}

#[test]
fn fish_completes_every_command_every_option_and_the_words_of_one() {
    let home = Home::new();
    let completed = |line: &str| {
        let completed = said(
            Command::new(require("fish", "fish"))
                .args(["--no-config", "-c", "source $argv[1]; complete -C $argv[2]"])
                .arg(FILES.path("completions/fetch-token.fish"))
                .arg(line)
                .envs(home.env()),
        );
        // Behind a tab it says what each is.
        let completed = completed.lines();
        let mut completed: Vec<_> = completed
            .map(|line| line.split('\t').next().unwrap_or_default().to_owned())
            .collect();
        completed.sort();
        completed
    };
    let program = command_line();
    let all = completed("fetch-token ");
    for command in program.get_subcommands() {
        let name = command.get_name();
        assert!(all.contains(&name.to_owned()), "{name}: {all:?}");
        let mut expected: Vec<_> = options(command).collect();
        expected.sort();
        let of_command = completed(&format!("fetch-token {name} --"));
        assert_eq!(of_command, expected, "{name}");
    }
    let managers = completed("fetch-token daemon --print-unit ");
    assert_eq!(managers, ["launchd", "systemd"]);
}

#[test]
fn zsh_completes_a_command_an_option_and_a_word_of_one() {
    // A person's zsh on a terminal of its own: it finds the function by its file's name, and completes at Tab.
    const PRESS_TAB: &str = r#"
        zmodload zsh/zpty
        zpty person zsh -f -i
        zpty -w person "PS1= RPS1= TERM=dumb; fpath=($1 \$fpath); autoload -Uz compinit; compinit -D -u"
        zpty -w person "print rea''dy"
        zpty -r -m person said '*ready*'
        zpty -n -w person "$2"$'\t'
        zpty -r -m person said "*$3 *"
    "#;
    let home = Home::new();
    let script = FILES.path("completions/_fetch-token");
    let folder = script.parent().expect("a folder");
    let zsh = require("zsh", "zsh");
    for (typed, completed) in [
        ("fetch-token sta", "fetch-token status"),
        ("fetch-token login --isp", "fetch-token login --ispdb"),
        (
            "fetch-token daemon --print-unit sys",
            "fetch-token daemon --print-unit systemd",
        ),
    ] {
        // Where it is not completed, zsh waits for it.
        said(
            Command::new("timeout")
                .arg("20")
                .arg(&zsh)
                .args(["-f", "-c", PRESS_TAB, "zsh"])
                .arg(folder)
                .args([typed, completed])
                .envs(home.env()),
        );
    }
    has_every_name(&script);
}

/// There is no PowerShell to run here.
#[test]
fn the_script_for_powershell_has_every_command_and_option() {
    has_every_name(&FILES.path("completions/fetch-token.ps1"));
}

fn has_every_name(script: &Path) {
    let text = fs::read_to_string(script).expect("read the script");
    for command in command_line().get_subcommands() {
        let name = command.get_name().to_owned();
        for word in options(command).chain([name]) {
            assert!(text.contains(&word), "{}: {word}", script.display());
        }
    }
}

#[test]
fn the_unit_is_the_one_that_is_printed_but_for_the_programs_place() {
    let home = Home::new();
    let output = Program::new(Path::new(env!("CARGO_BIN_EXE_fetch-token")))
        .at_home(&home)
        .run(["daemon", "--print-unit", "systemd"])
        .expect_code(0);
    let printed = output.stdout();
    let printed = printed.replace(env!("CARGO_BIN_EXE_fetch-token"), "/usr/bin/fetch-token");
    let (_, printed) = printed.split_once("\n[Unit]").expect("a unit");
    let installed = FILES.text("systemd/fetch-token.service");
    let (how, installed) = installed.split_once("\n[Unit]").expect("a unit");
    assert_eq!(installed, printed);
    assert!(how.contains("systemctl --user enable --now fetch-token"));
}

fn for_release(folder: &Path, publisher: &str, url: &str) -> Command {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [source, windows] = [
        ("source.tar.gz", "the source"),
        ("windows.zip", "a program"),
    ]
    .map(|(name, contents)| {
        let archive = folder.join(name);
        fs::write(&archive, contents).expect("write an archive");
        archive
    });
    let mut command = Command::new(manifest.join("packaging/for-release"));
    command.arg(folder.join("release"));
    command.args([publisher, "https://acme.example/fetch-token", url]);
    command
        .arg(source)
        .arg("https://acme.example/windows.zip")
        .arg(windows);
    command
}

#[test]
fn the_files_of_a_release_name_its_archives_by_their_checksums() {
    let home = Home::new();
    let url = "https://acme.example/source.tar.gz";
    said(&mut for_release(home.path(), "Acme", url));
    let folder = home.path().join("release");
    // What sha256sum says of "the source" and "a program".
    let [source, windows] = [
        "b608089734879cfb06c974d592537dd3e28086592f7f5556b82c836c8f7edb17",
        "d69ea8cda2433733c1ce02de65da8f48e6a3dbba6bb18876a2062908e54ef7cb",
    ];

    let formula = fs::read_to_string(folder.join("fetch-token.rb")).expect("a formula");
    for line in [
        format!("  url \"{url}\"\n"),
        format!("  sha256 \"{source}\"\n"),
        format!("  version \"{}\"\n", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(formula.contains(&line), "{line}{formula}");
    }

    // The keys that winget's schema 1.6.0 demands of each.
    for (name, kind, demanded) in [
        ("Acme.fetch-token.yaml", "version", &["DefaultLocale"][..]),
        (
            "Acme.fetch-token.locale.en-US.yaml",
            "defaultLocale",
            &[
                "PackageLocale",
                "Publisher",
                "PackageName",
                "License",
                "ShortDescription",
            ],
        ),
        (
            "Acme.fetch-token.installer.yaml",
            "installer",
            &["Installers"],
        ),
    ] {
        let manifest = as_json(&folder.join(name));
        assert_eq!(manifest["PackageIdentifier"], "Acme.fetch-token");
        assert_eq!(manifest["PackageVersion"], env!("CARGO_PKG_VERSION"));
        assert_eq!(manifest["ManifestVersion"], "1.6.0");
        assert_eq!(manifest["ManifestType"], kind);
        for key in demanded {
            assert!(!manifest[key].is_null(), "{name}: {key}");
        }
    }
    let installer = &as_json(&folder.join("Acme.fetch-token.installer.yaml"))["Installers"][0];
    assert_eq!(installer["Architecture"], "x64");
    assert_eq!(
        installer["InstallerUrl"],
        "https://acme.example/windows.zip"
    );
    assert_eq!(installer["InstallerSha256"], windows.to_uppercase());
    for file in fs::read_dir(&folder).expect("a folder") {
        let file = file.expect("a file").path();
        let text = fs::read_to_string(&file).expect("read it");
        // A place that nothing was filled into: its name between two @ signs.
        let is_name = |word: &str| {
            let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            !word.is_empty() && word.chars().all(fits)
        };
        let is_open = |line: &&str| line.split('@').skip(1).any(is_name);
        assert_eq!(text.lines().find(is_open), None, "{}", file.display());
    }
}

/// A YAML file, read by another reader than ours.
fn as_json(file: &Path) -> Value {
    const READ: &str =
        "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let read = said(
        Command::new(require("python3", "python3"))
            .args(["-c", READ])
            .arg(file),
    );
    serde_json::from_str(&read).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[test]
fn what_could_break_out_of_the_files_of_a_release_is_refused() {
    let home = Home::new();
    let url = "https://acme.example/source.tar.gz";
    for (publisher, url) in [
        ("Acme Inc.", url),
        ("A\"\n", url),
        ("Acme", "http://acme.example/source.tar.gz"),
        ("Acme", "https://acme.example/\"; system(\"true\"); \""),
        ("Acme", "https://acme.example/#{exit}"),
    ] {
        let output = for_release(home.path(), publisher, url)
            .output()
            .expect("run it");
        assert_eq!(output.status.code(), Some(2), "{publisher} {url}");
        assert!(!home.path().join("release").exists());
    }
}
