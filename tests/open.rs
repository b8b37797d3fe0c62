//! `fetch-token open`: the page with the button comes up in the user's browser, and the token that it causes is stored.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Daemon, Program, Stage, USERNAME, random_token};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const INSTANCE: &str = "instance = \"https://acme.my.salesforce.com\"";
const PAGE: &str = "https://acme.my.salesforce.com/lightning/settings/personal/ResetApiToken/home";

fn home_file(stage: &Stage, name: &str) -> PathBuf {
    stage.keychain.home().path().join(name)
}

/// A browser that writes down what it is called with, and then does this.
fn browser(stage: &Stage, then: &str) -> Program {
    let calls = home_file(stage, "calls");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$#\" \"$@\" >> '{}'\necho noise\n{then}\n",
        calls.display()
    );
    let file = stage.keychain.home().write_private("browser", &script);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).expect("make it a program");
    stage.program().env("BROWSER", file)
}

/// What the browser was called with: the number of arguments, and they.
fn calls(stage: &Stage) -> String {
    fs::read_to_string(home_file(stage, "calls")).unwrap_or_default()
}

/// What a person who presses the button causes: the token, and the command that delivers its mail.
fn press(stage: &Stage) -> (String, String) {
    let token = random_token();
    let mail = stage.token_mail(USERNAME, &token).bytes();
    let staged = stage.dovecot.inbox(stage.user).stage(&mail);
    let path = |path: &Path| path.display().to_string();
    (
        token,
        format!("mv '{}' '{}'", path(&staged.from), path(&staged.to)),
    )
}

#[test]
fn the_page_with_the_button_comes_up_once_mail_is_watched_and_the_token_is_stored() {
    for with_daemon in [false, true] {
        let stage = Stage::new();
        stage.configure(INSTANCE);
        // An older reset is not what is waited for.
        stage.deliver_token(USERNAME);
        let daemon = with_daemon.then(|| Daemon::start(&stage));
        let (token, press) = press(&stage);
        let output = browser(&stage, &press)
            .run(["open", USERNAME, "--json"])
            .expect_code(0);
        assert_eq!(
            calls(&stage),
            format!("1\n{PAGE}\n"),
            "{}",
            output.transcript()
        );
        assert!(
            !output.stdout().contains("noise"),
            "{}",
            output.transcript()
        );
        assert!(!output.transcript().contains(&token));
        assert_eq!(stage.stored(USERNAME), Some(token));
        if let Some(daemon) = daemon {
            daemon.stop();
        }
    }
}

#[test]
fn each_user_has_the_page_of_his_own_org_and_the_option_names_another() {
    let stage = Stage::new();
    stage.configure(
        "instance = [\n\
         { usernames = [\"*.uat\"], url = \"https://acme--uat.sandbox.my.salesforce.com\" },\n\
         { usernames = [\"*\"], url = \"https://acme.my.salesforce.com\" },\n]",
    );
    for (arguments, host) in [
        (&[USERNAME][..], "acme--uat.sandbox.my.salesforce.com"),
        (&["me@acme.example"], "acme.my.salesforce.com"),
        (
            &[
                USERNAME,
                "--instance",
                "https://elsewhere.my.salesforce.com",
            ],
            "elsewhere.my.salesforce.com",
        ),
    ] {
        let _ = fs::remove_file(home_file(&stage, "calls"));
        let output = browser(&stage, "")
            .run([&["open", "--timeout=2s"], arguments].concat())
            .expect_code(3);
        let page = PAGE.replace("acme.my.salesforce.com", host);
        assert_eq!(
            calls(&stage),
            format!("1\n{page}\n"),
            "{}",
            output.transcript()
        );
    }
}

#[test]
fn without_a_browser_it_says_where_the_page_is_and_waits_all_the_same() {
    let no_screen: fn(&Stage) -> Program = Stage::program;
    let fails: fn(&Stage) -> Program = |stage| {
        stage
            .program()
            .env("BROWSER", "/nonexistent")
            .env("PATH", "")
    };
    for (program, words) in [
        (no_screen, "No browser can be opened here."),
        (fails, "The browser could not be opened"),
    ] {
        let stage = Stage::new();
        stage.configure(&format!("{INSTANCE}\n"));
        // `cat`, which gives the mailbox's password, is found without a PATH too.
        let config = stage.keychain.home().config_file();
        let text = fs::read_to_string(&config).expect("the configuration");
        stage
            .keychain
            .home()
            .write_config(&text.replace("[\"cat\"", "[\"/bin/cat\""));
        let running = program(&stage).spawn(["open", USERNAME]);
        running.stderr_line(PAGE);
        running.stderr_line(words);
        let token = stage.deliver_token(USERNAME);
        running.wait().expect_code(0);
        assert_eq!(stage.stored(USERNAME), Some(token));
    }
}

#[test]
fn a_browser_that_stays_open_does_not_hold_it_up() {
    let stage = Stage::new();
    stage.configure(INSTANCE);
    let (token, press) = press(&stage);
    let output = browser(&stage, &format!("{press}\nexec sleep 30 >/dev/null 2>&1"))
        .run(["open", USERNAME])
        .expect_code(0);
    assert!(
        output.elapsed < Duration::from_secs(20),
        "{:?}",
        output.elapsed
    );
    assert_eq!(stage.stored(USERNAME), Some(token));
}

#[test]
fn nobody_is_led_to_the_button_where_the_token_would_be_lost() {
    let mut stage = Stage::new();
    stage.configure(INSTANCE);
    stage.keychain.stop_keyring();
    browser(&stage, "").run(["open", USERNAME]).expect_code(6);
    assert_eq!(calls(&stage), "", "the keychain is away");
    stage.keychain.start_keyring();
    stage.dovecot.stop();
    browser(&stage, "")
        .run(["open", USERNAME, "--timeout=2s"])
        .expect_code(4);
    assert_eq!(calls(&stage), "", "the mailbox is away");
}

#[test]
fn what_is_no_org_is_refused_before_anything_is_opened() {
    let stage = Stage::new();
    let none = browser(&stage, "").run(["open", USERNAME]).expect_code(2);
    assert!(
        none.stderr()
            .contains("Add `instance = \"https://acme.my.salesforce.com\"`"),
        "{}",
        none.transcript()
    );
    for instance in [
        "http://acme.my.salesforce.com",
        "https://me:secret@acme.my.salesforce.com",
        "https://acme.my.salesforce.com/_ui/system/security/ResetApiTokenConfirm",
        "file:///etc/passwd",
        "-",
    ] {
        let refused = browser(&stage, "")
            .run(["open", USERNAME, &format!("--instance={instance}")])
            .expect_code(2);
        assert!(
            refused.stderr().contains("begins with https://"),
            "{}",
            refused.transcript()
        );
    }
    assert_eq!(calls(&stage), "");
}
