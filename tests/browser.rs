//! The whole walk, with nobody at the keyboard: `fetch-token run` starts the example that resets the token in a
//! headless Chromium, with the verification code from `fetch-token code`. Dovecot, Exim and the keychain are real;
//! Salesforce's pages are a stand-in.
#![cfg(all(target_os = "linux", feature = "browser-tests"))]

mod lab;

use lab::{
    Code, Mta, Pages, Person, Program, Running, Salesforce, Stage, USERNAME, eventually,
    npm_folder, require,
};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The user's password at Salesforce: with what a shell, a form or a trailing line end could spoil.
const PASSWORD: &str = "Sales&force \"Pässw0rd\" $1%";

/// A mailbox, a keychain, a mail transfer agent, Salesforce's pages and the reset tool.
struct Scene {
    salesforce: Salesforce,
    mta: Mta,
    stage: Stage,
    tool: PathBuf,
}

impl Scene {
    fn new(pages: Pages) -> Self {
        let stage = Stage::new();
        let mta = Mta::start(&stage.dovecot);
        let person = Person {
            username: USERNAME,
            password: PASSWORD,
            address: stage.user.name,
        };
        Self {
            salesforce: Salesforce::start(pages, person, &mta),
            mta,
            stage,
            tool: npm_folder("examples/reset-with-playwright", &["reset.mjs"]).join("reset.mjs"),
        }
    }

    /// The built program, first on the PATH for the tool that it starts.
    fn program(&self) -> Program {
        let own = Path::new(env!("CARGO_BIN_EXE_fetch-token"));
        let own = own.parent().expect("a folder").display();
        let path = std::env::var("PATH").expect("a PATH");
        self.stage
            .program()
            .env("PATH", format!("{own}:{path}"))
            .deadline(Duration::from_mins(3))
    }

    /// `fetch-token run` with the example, which gets the password by this command.
    fn run(&self, password_command: &[&str]) -> Running {
        let chromium = require("chromium", "chromium");
        let arguments = [
            "run",
            "--timeout=2m",
            USERNAME,
            "--",
            "node",
            self.tool.to_str().expect("a path"),
            "--instance",
            self.salesforce.instance(),
            "--browser",
            chromium.to_str().expect("a path"),
            &self.trust(),
            // The sandbox of Chromium refuses to work for root, who runs the tests on many machines.
            "--browser-arg=--no-sandbox",
            USERNAME,
        ];
        let end: &[&str] = if password_command.is_empty() {
            &[]
        } else {
            &["--"]
        };
        self.program()
            .spawn([&arguments[..], end, password_command].concat())
    }

    /// The stand-in's key is trusted, and no other.
    fn trust(&self) -> String {
        format!(
            "--browser-arg=--ignore-certificate-errors-spki-list={}",
            self.salesforce.key_hash()
        )
    }

    /// The password where the tool looks by itself.
    fn keep_password(&self, password: &str) {
        self.stage
            .keychain
            .store("salesforce-password", USERNAME, password);
    }

    /// The one token that the button made; the page that resets at GET was never asked for.
    #[track_caller]
    fn the_token(&self) -> String {
        let resets = self.salesforce.events_of("reset");
        assert_eq!(resets.len(), 1, "{:#?}", self.salesforce.events());
        assert_eq!(resets[0]["how"], "button");
        resets[0]["token"].as_str().expect("a token").to_owned()
    }

    /// Nothing was reset, by whatever way, and nothing is stored.
    #[track_caller]
    fn nothing_happened(&self) {
        assert_eq!(self.salesforce.events_of("reset"), Vec::<Value>::new());
        assert_eq!(self.stage.stored(USERNAME), None);
    }
}

#[test]
fn a_login_a_code_the_menu_and_the_button_put_the_token_into_the_keychain() {
    let scene = Scene::new(Pages::default());
    scene.keep_password(PASSWORD);
    let output = scene.run(&[]).wait().expect_code(0);
    let token = scene.the_token();
    assert_eq!(
        scene.stage.stored(USERNAME).as_ref(),
        Some(&token),
        "{}",
        scene.mta.log()
    );
    let seen: Vec<_> = scene.salesforce.events_of("page");
    let seen: Vec<_> = seen
        .iter()
        .filter_map(|event| event["path"].as_str())
        .collect();
    assert_eq!(
        seen,
        [
            "/lightning/page/home",
            "/lightning/settings/personal/PersonalInformation/home",
            "/lightning/settings/personal/ResetApiToken/home",
        ],
        "the way a person goes"
    );
    let code = &scene.salesforce.events_of("code-asked")[0]["code"];
    for secret in [PASSWORD, &token, code.as_str().expect("a code")] {
        assert!(
            !output.transcript().contains(secret),
            "{}",
            output.transcript()
        );
    }
    assert_eq!(
        scene.mta.log().matches(" => ").count(),
        2,
        "{}",
        scene.mta.log()
    );
}

#[test]
fn without_the_menu_the_page_is_opened_itself_and_a_known_browser_is_asked_for_no_code() {
    let scene = Scene::new(Pages {
        code: Code::NotAsked,
        has_menu: false,
        ..Pages::default()
    });
    let password = scene
        .stage
        .keychain
        .home()
        .write_private("password", PASSWORD);
    let output = scene
        .run(&["cat", password.to_str().expect("a path")])
        .wait()
        .expect_code(0);
    assert!(
        output.stderr().contains("the menu is not as expected"),
        "{}",
        output.transcript()
    );
    assert_eq!(scene.stage.stored(USERNAME), Some(scene.the_token()));
}

#[test]
fn a_wrong_password_ends_it_with_the_tools_own_status() {
    let scene = Scene::new(Pages::default());
    scene.keep_password("not the password");
    let output = scene.run(&[]).wait().expect_code(20);
    assert!(
        output
            .stderr()
            .contains("username and password were refused; nothing was reset"),
        "{}",
        output.transcript()
    );
    assert_eq!(scene.salesforce.events_of("login-refused").len(), 1);
    scene.nothing_happened();
}

#[test]
fn a_code_that_is_refused_ends_it_with_the_tools_own_status() {
    let scene = Scene::new(Pages {
        code: Code::AnotherMailed,
        ..Pages::default()
    });
    scene.keep_password(PASSWORD);
    let output = scene.run(&[]).wait().expect_code(21);
    assert!(
        output
            .stderr()
            .contains("the verification code was refused; nothing was reset"),
        "{}",
        output.transcript()
    );
    assert_eq!(scene.salesforce.events_of("code-refused").len(), 1);
    scene.nothing_happened();
}

#[test]
fn a_button_that_is_answered_by_an_error_ends_it_with_the_tools_own_status() {
    let scene = Scene::new(Pages {
        code: Code::NotAsked,
        button_fails: true,
        ..Pages::default()
    });
    scene.keep_password(PASSWORD);
    let output = scene.run(&[]).wait().expect_code(22);
    assert!(
        output
            .stderr()
            .contains("the button was pressed, and Salesforce did not confirm it (500)"),
        "{}",
        output.transcript()
    );
    scene.nothing_happened();
}

#[test]
fn while_the_code_is_waited_for_the_password_is_in_no_argument_and_no_environment_and_a_signal_ends_all()
 {
    let scene = Scene::new(Pages {
        code: Code::NotMailed,
        ..Pages::default()
    });
    scene.keep_password(PASSWORD);
    let running = scene.run(&[]);
    running.stderr_line("asked for a verification code");
    let home = scene.stage.keychain.home().path().display().to_string();
    let is_mine = |process: &Process| {
        let names = ["chromium", "reset.mjs", "fetch-token\0code"];
        process.environment.contains(&home)
            && names.iter().any(|name| process.arguments.contains(name))
    };
    assert!(
        processes()
            .iter()
            .filter(|process| is_mine(process))
            .count()
            > 3,
        "fetch-token, node and several of Chromium"
    );
    for process in processes() {
        for text in [&process.arguments, &process.environment] {
            assert!(!text.contains(PASSWORD), "{}", process.arguments);
        }
    }
    running.signal("TERM");
    let output = running.wait();
    assert_eq!(
        output.status.code(),
        Some(128 + 15),
        "{}",
        output.transcript()
    );
    eventually(
        "the end of the tool and its browser",
        Duration::from_secs(10),
        || {
            processes()
                .iter()
                .all(|process| !is_mine(process))
                .then_some(())
        },
        || {
            format!(
                "{:#?}",
                processes().into_iter().filter(is_mine).collect::<Vec<_>>()
            )
        },
    );
    scene.nothing_happened();
}

/// What others on this machine can see of a process, or at least its owner can.
#[derive(Debug)]
struct Process {
    arguments: String,
    environment: String,
}

fn processes() -> Vec<Process> {
    let text =
        |path: PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    fs::read_dir("/proc")
        .expect("processes")
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .bytes()
                .all(|byte| byte.is_ascii_digit())
        })
        .map(|entry| Process {
            arguments: text(entry.path().join("cmdline")),
            environment: text(entry.path().join("environ")),
        })
        .collect()
}
