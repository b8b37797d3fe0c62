//! Keychains that people have, in the states that they are in: no hang, no loss, and a sentence that says what to do.
//!
//! `docs/keychains.md` has the table; each row of it is a test here or in `failures.rs`, `outages.rs` and `stores.rs`.
//! GNOME Keyring is always among the providers; with the feature `keychain-tests` so are `KeePassXC` and `KWallet`, and
//! prompts are shown on a display.
#![cfg(target_os = "linux")]

mod lab;

use lab::{
    Desk, Home, Options, Program, Provider, SERVICE, SecretService, Stage, USERNAME, each_provider,
    patient, random_token, sentence,
};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Of another username than [`USERNAME`].
const OTHER: &str = "other@acme.example";

#[test]
fn in_an_open_keychain_a_token_is_stored_read_replaced_and_forgotten() {
    each_provider("open", |provider| {
        let desk = Desk::of(provider);
        desk.get(USERNAME).expect_code(8);
        for minutes in [9, 5] {
            let token = desk.store(USERNAME, minutes);
            desk.holds_alone(USERNAME, &token);
        }
        let newest = desk.store(USERNAME, 1);
        // Nothing is written for an older mail.
        desk.take(USERNAME, &random_token(), 3).expect_code(0);
        desk.holds_alone(USERNAME, &newest);
        desk.program().run(["forget", USERNAME]).expect_code(0);
        desk.get(USERNAME).expect_code(8);
        assert_eq!(desk.keychain.lookup(SERVICE, USERNAME), None);
        "stored, read, replaced by a newer one alone, forgotten".to_owned()
    });
}

#[test]
fn doctor_says_which_program_answers() {
    each_provider("`doctor`", |provider| {
        let desk = Desk::of(provider);
        let home = Home::new();
        home.write_config("[keychain]\nstore = \"secret-service\"\n");
        let output = desk.program().at_home(&home).run(["doctor"]);
        let program = provider.program();
        let name = program.file_name().expect("a file").to_string_lossy();
        let words = format!("Secret Service ({name}) wrote, gave back and deleted an item in ");
        let said = output.stdout();
        assert!(said.contains(&words), "{}", output.transcript());
        format!("“Secret Service ({name}) wrote, gave back and deleted an item”")
    });
}

/// A second, as the Secret Service counts: what is modified in the next one is newer.
fn next_second() {
    std::thread::sleep(Duration::from_millis(1_100));
}

/// What another program must do with our item, and we with its. Whether it can replace an item of its own is its affair.
fn shares_with(
    provider: Provider,
    can_replace: bool,
    theirs: impl Fn(&Desk, &str),
    read: impl Fn(&Desk) -> Option<String>,
) -> String {
    // With KWallet it has another key once in 256, and what it wrote cannot be read then.
    let put = |desk: &Desk, token: &str| {
        theirs(desk, token);
        if provider == Provider::KWallet && desk.get(USERNAME).stdout().trim_end() != token {
            theirs(desk, token);
        }
        desk.holds(USERNAME, token);
    };
    let desk = Desk::of(provider);
    let by_them = random_token();
    put(&desk, &by_them);
    let ours = desk.store(USERNAME, 9);
    desk.holds_alone(USERNAME, &ours);
    assert_eq!(read(&desk), Some(ours));
    let mut items = "not tried".to_owned();
    if can_replace {
        next_second();
        let again = random_token();
        put(&desk, &again);
        items = desk.keychain.items(SERVICE, USERNAME).len().to_string();
        let newer = desk.store(USERNAME, 5);
        desk.holds_alone(USERNAME, &newer);
        assert_eq!(read(&desk), Some(newer));
    }

    // The other way round: ours was there first.
    let desk = Desk::of(provider);
    let ours = desk.store(USERNAME, 9);
    assert_eq!(read(&desk), Some(ours));
    next_second();
    put(&desk, &by_them);
    let beside = desk.keychain.items(SERVICE, USERNAME).len();
    let newer = desk.store(USERNAME, 5);
    desk.holds_alone(USERNAME, &newer);
    assert_eq!(read(&desk), Some(newer));
    format!(
        "each reads the other's; its write over its own leaves {items}, over ours {beside}, our next one 1"
    )
}

#[test]
fn secret_tool_and_we_read_and_replace_each_others_tokens_and_leave_one_item() {
    each_provider("`secret-tool store`", |provider| {
        // With KeePassXC 2.7.4, secret-tool 0.20.5 waits for ever where it would replace an item: here it makes another.
        let asks = provider == Provider::KeePassXc;
        shares_with(
            provider,
            !asks,
            |desk, token| {
                let attributes = ["service", SERVICE, "username", USERNAME, "by", "hand"];
                let number = if asks { 6 } else { 4 };
                desk.keychain.store_with(&attributes[..number], token);
            },
            |desk| desk.keychain.lookup(SERVICE, USERNAME),
        )
    });
}

/// The `keyring` crate's store, as its command line drives it: `set -p` and `password`.
#[test]
fn the_keyring_crate_and_we_read_and_replace_each_others_tokens_and_leave_one_item() {
    let peer = lab::rust_example("keyring-peer");
    each_provider("the `keyring` crate", |provider| {
        let run = |desk: &Desk, verb: &str, input: &str| {
            let program = Program::new(&peer).with_keychain(&desk.keychain);
            patient(|| program.run_with_input([verb, SERVICE, USERNAME], input.as_bytes()))
        };
        shares_with(
            provider,
            true,
            |desk, token| {
                run(desk, "set", token).expect_code(0);
            },
            |desk| Some(run(desk, "get", "").expect_code(0).stdout()),
        )
    });
}

/// The `keyring` crate's own command line, which `scripts/install-parts --keychains` installs.
#[cfg(feature = "keychain-tests")]
#[test]
fn the_keyring_crates_command_line_and_we_read_and_replace_each_others_tokens() {
    let peer =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/keyring-cli");
    assert!(
        peer.exists(),
        "scripts/install-parts --keychains installs it"
    );
    each_provider("`keyring-cli`", |provider| {
        let run = |desk: &Desk, words: &[&str]| {
            let program = Program::new(&peer).with_keychain(&desk.keychain);
            let item = ["-m", "secret-service", "-s", SERVICE, "-u", USERNAME];
            patient(|| program.run(item.iter().chain(words))).expect_code(0)
        };
        shares_with(
            provider,
            true,
            |desk, token| {
                run(desk, &["set", "-p", token]);
            },
            |desk| {
                let said = run(desk, &["password"]).stdout();
                let password = said.trim_end().rsplit_once(" is '")?.1;
                Some(password.strip_suffix('\'')?.to_owned())
            },
        )
    });
}

/// What `scripts/install-consumers` installs.
mod installed {
    use super::{Desk, Program, Provider, SERVICE, USERNAME, each_provider, patient, shares_with};
    use std::path::Path;

    const SET: &str = "import keyring, sys; keyring.set_password(*sys.argv[1:], sys.stdin.read())";
    const GET: &str = "import keyring, sys; print(keyring.get_password(*sys.argv[1:]), end='')";

    #[test]
    fn python_keyring_and_we_read_and_replace_each_others_tokens_and_leave_one_item() {
        let python =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/consumers/python/bin/python");
        assert!(
            python.exists(),
            "scripts/install-consumers installs {}",
            python.display()
        );
        each_provider("Python's `keyring`", |provider| {
            let run = |desk: &Desk, code: &str, input: &str| {
                let program = Program::new(&python).with_keychain(&desk.keychain);
                let arguments = ["-c", code, SERVICE, USERNAME];
                patient(|| program.run_with_input(arguments, input.as_bytes()))
            };
            // With KeePassXC 2.7.4, keyring 25.7.0 waits for ever where it would replace an item.
            shares_with(
                provider,
                provider != Provider::KeePassXc,
                |desk, token| {
                    run(desk, SET, token).expect_code(0);
                },
                |desk| Some(run(desk, GET, "").expect_code(0).stdout()),
            )
        });
    }
}

#[test]
fn of_several_items_the_newest_is_read_the_next_token_leaves_one_and_forgetting_leaves_none() {
    each_provider("several items", |provider| {
        let desk = Desk::of(provider);
        let more = |word: &str, token: &str| {
            let attributes = [
                "service",
                SERVICE,
                "username",
                USERNAME,
                "application",
                word,
            ];
            desk.keychain.store_with(&attributes, token);
        };
        let put_three = || {
            for word in ["one", "two"] {
                more(word, &random_token());
            }
            next_second();
            let newest = random_token();
            more("three", &newest);
            desk.holds(USERNAME, &newest);
            assert_eq!(desk.keychain.items(SERVICE, USERNAME).len(), 3);
        };
        put_three();
        let token = desk.store(USERNAME, 5);
        desk.holds_alone(USERNAME, &token);
        desk.program().run(["forget", USERNAME]).expect_code(0);
        put_three();
        desk.program().run(["forget", USERNAME]).expect_code(0);
        desk.get(USERNAME).expect_code(8);
        assert_eq!(desk.keychain.items(SERVICE, USERNAME).len(), 0);
        "the newest is read, the next token leaves 1, `forget` 0".to_owned()
    });
}

#[test]
fn a_locked_keychain_without_a_display_is_6_and_holds_what_it_held_when_it_is_open_again() {
    each_provider("locked, no display", |provider| {
        let mut desk = Desk::of(provider);
        let before = desk.store(USERNAME, 9);
        desk.keychain.stop_keyring();
        desk.keychain.start_keyring_locked();
        let said = sentence(desk.get(USERNAME));
        let newer = random_token();
        let output = desk.take(USERNAME, &newer, 5).expect_code(6);
        let pending = output.stdout();
        assert!(pending.contains("pending (keychain)"), "{pending}");
        assert!(!output.transcript().contains(&newer));
        let took = output.elapsed;
        assert!(took < Duration::from_secs(25), "{took:?}");
        desk.keychain.stop_keyring();
        desk.keychain.start_keyring();
        desk.holds_alone(USERNAME, &before);
        desk.take(USERNAME, &newer, 5).expect_code(0);
        desk.holds_alone(USERNAME, &newer);
        format!("6: {said}")
    });
}

#[test]
fn a_frozen_keychain_is_6_within_its_deadline_and_goes_on_when_it_is_thawed() {
    each_provider("frozen", |provider| {
        let desk = Desk::of(provider);
        let before = desk.store(USERNAME, 9);
        desk.keychain.freeze();
        let output = desk.get(USERNAME);
        assert!(output.elapsed < Duration::from_secs(13), "{output:?}");
        let said = sentence(output);
        assert!(said.contains("did not answer within"), "{said}");
        desk.keychain.thaw();
        desk.holds_alone(USERNAME, &before);
        // Slower than the library's own patience, which is 2 s for each answer.
        desk.keychain.freeze();
        let token = random_token();
        let installation = desk.installation();
        let running = installation
            .program
            .spawn(installation.arguments(USERNAME, &token, 5));
        std::thread::sleep(Duration::from_secs(4));
        desk.keychain.thaw();
        running.wait().expect_code(0);
        desk.holds_alone(USERNAME, &token);
        format!("6: {said}; silent for 4 s: stored all the same")
    });
}

#[test]
fn a_keychain_that_is_killed_at_any_moment_of_a_write_keeps_the_old_token_or_the_new_one_alone() {
    const KILLS: u32 = 8;
    each_provider("killed while a token is stored", |provider| {
        let mut desk = Desk::of(provider);
        if provider != Provider::GnomeKeyring {
            // It writes its file some seconds after a change, and what came since is gone.
            let token = desk.store(USERNAME, 9);
            std::thread::sleep(Duration::from_secs(8));
            desk.keychain.kill_keyring();
            desk.keychain.start_keyring();
            desk.holds_alone(USERNAME, &token);
            return "what it was told 8 s before is kept".to_owned();
        }
        let begin = Instant::now();
        let mut before = desk.store(USERNAME, 59);
        let whole = begin.elapsed();
        let mut stored = 0;
        for number in 1..=KILLS {
            let token = random_token();
            let installation = desk.installation();
            let minutes = 50 - i64::from(number);
            let arguments = installation.arguments(USERNAME, &token, minutes);
            let running = installation.program.spawn(arguments.clone());
            std::thread::sleep(whole * number / KILLS);
            desk.keychain.kill_keyring();
            let code = running.wait().code();
            assert!([0, 6].contains(&code), "{code}");
            stored += u32::from(code == 0);
            desk.keychain.start_keyring();
            let output = desk.get(USERNAME);
            let read = output.stdout().trim_end().to_owned();
            let is_kept = read == token || read == before && code == 6;
            assert!(is_kept, "{code}\n{}", output.transcript());
            installation.program.run(arguments).expect_code(0);
            desk.holds_alone(USERNAME, &token);
            before = token;
        }
        format!("{KILLS} kills: stored in {stored}, 6 in the others, which the next run stored")
    });
}

#[test]
fn a_keychain_that_comes_late_gets_the_token_that_is_waited_for() {
    each_provider("absent, and there later", |provider| {
        if provider == Provider::KeePassXc {
            // Asked while it starts, it may want somebody to open the database, whom this bus has not got.
            return "not run: it wants a person".to_owned();
        }
        let keychain = SecretService::bus_for(provider);
        let mut stage = Stage::with(&Options::default(), keychain);
        let token = stage.deliver_token(USERNAME);
        let said = sentence(stage.program().run(["get", USERNAME]));
        // KWallet may take half a minute to start beside other tests.
        let program = stage.program().deadline(Duration::from_secs(150));
        let waiting = program.spawn(["wait", "--timeout", "2m"]);
        waiting.stderr_line("Cannot store the token");
        stage.keychain.start_keyring();
        waiting.wait().expect_code(0);
        assert_eq!(stage.stored(USERNAME), Some(token));
        format!("6: {said}; stored when it is there")
    });
}

#[test]
fn a_keychain_that_is_restarted_while_it_is_watched_for_gets_the_next_token() {
    each_provider("restarted", |provider| {
        let mut stage = Stage::with(&Options::default(), SecretService::of(provider));
        let daemon = lab::Daemon::start(&stage);
        let first = stage.deliver_token(USERNAME);
        daemon.wait_for(": stored", 1);
        assert_eq!(stage.stored(USERNAME), Some(first));
        stage.keychain.stop_keyring();
        stage.keychain.start_keyring();
        let second = stage.deliver_token(USERNAME);
        daemon.wait_for(": stored", 2);
        assert_eq!(stage.stored(USERNAME), Some(second));
        daemon.stop();
        "the same daemon stores before and after".to_owned()
    });
}

/// Prompts that are really shown, on a display of the test's own, and a person who types.
#[cfg(feature = "keychain-tests")]
mod prompts {
    use super::{Desk, Provider, USERNAME, lab::Display, sentence};
    use std::time::Duration;

    /// A locked keychain with a token, and a display on which it can ask.
    fn locked(provider: Provider) -> (Desk, String) {
        let mut desk = Desk::of(provider);
        let token = desk.store(USERNAME, 5);
        desk.keychain.stop_keyring();
        desk.keychain.show_on(Display::start());
        desk.keychain.start_keyring_locked();
        (desk, token)
    }

    #[test]
    fn a_prompt_that_is_answered_unlocks_and_the_token_is_read() {
        let provider = Provider::GnomeKeyring;
        let (desk, token) = locked(provider);
        let running = desk.program().spawn(["get", USERNAME]);
        let display = desk.keychain.display();
        display.wait_for_window(provider.prompt());
        display.types(Provider::password());
        display.presses("Return");
        assert_eq!(running.wait().expect_code(0).stdout().trim_end(), token);
        println!(
            "| {} | locked, the prompt is answered | read |",
            provider.version()
        );
    }

    #[test]
    fn a_prompt_that_is_dismissed_is_6_and_loses_nothing() {
        let provider = Provider::GnomeKeyring;
        let (mut desk, token) = locked(provider);
        let running = desk.program().spawn(["get", USERNAME]);
        let display = desk.keychain.display();
        display.wait_for_window(provider.prompt());
        display.presses("Escape");
        let output = running.wait();
        assert!(output.elapsed < Duration::from_secs(30), "{output:?}");
        let said = sentence(output);
        desk.keychain.stop_keyring();
        desk.keychain.start_keyring();
        desk.holds_alone(USERNAME, &token);
        println!(
            "| {} | locked, the prompt is dismissed | 6: {said} |",
            provider.version()
        );
    }

    #[test]
    fn a_prompt_that_is_left_open_is_6_after_its_time_and_can_still_be_answered() {
        let provider = Provider::GnomeKeyring;
        let (desk, token) = locked(provider);
        let program = desk.program().deadline(Duration::from_secs(90));
        let running = program.spawn(["get", USERNAME]);
        desk.keychain.display().wait_for_window(provider.prompt());
        let output = running.wait();
        let took = output.elapsed;
        assert!(took < Duration::from_secs(65), "{output:?}");
        let said = sentence(output);
        // GNOME Keyring leaves it open: who answers it later has unlocked the keychain.
        let display = desk.keychain.display();
        display.types(Provider::password());
        display.presses("Return");
        display.wait_for_no_window(provider.prompt());
        desk.holds(USERNAME, &token);
        println!(
            "| {} | locked, the prompt is left open | 6 after {took:.0?}: {said}; answered later, it is read |",
            provider.version()
        );
    }

    #[test]
    fn keepassxc_that_asks_about_each_access_and_gets_no_answer_is_6() {
        let provider = Provider::KeePassXc;
        let mut desk = Desk::of(provider);
        let token = desk.store(USERNAME, 9);
        desk.keychain.stop_keyring();
        desk.keychain.ask_always();
        desk.keychain.start_keyring();
        let output = desk.get(USERNAME);
        assert!(output.elapsed < Duration::from_secs(15), "{output:?}");
        let said = sentence(output);
        assert!(!said.contains(&token));
        println!(
            "| {} | asks about each access, nobody answers | 6: {said} |",
            provider.version()
        );
    }
}

#[test]
fn odd_usernames_and_secrets_are_kept_as_they_are() {
    each_provider("long and non-ASCII usernames", |provider| {
        let desk = Desk::of(provider);
        let long = format!("{}@acme.example", "very.long".repeat(110));
        let mut names = String::new();
        for username in [&long, "jürgen.müller@münchen.example", "日本@acme.example"] {
            let token = random_token();
            desk.keychain.store(SERVICE, username, &token);
            desk.holds(username, &token);
            desk.program().run(["forget", username]).expect_code(0);
            desk.get(username).expect_code(8);
            write!(names, " {}", username.chars().count()).expect("write into a String");
        }
        let token = desk.store(USERNAME, 5);
        desk.get(OTHER).expect_code(8);
        desk.holds_alone(USERNAME, &token);
        format!("read and forgotten; of{names} characters")
    });
}

#[test]
fn a_secret_that_is_no_text_is_6_and_the_next_token_replaces_it() {
    let peer = lab::rust_example("keyring-peer");
    each_provider("a secret that is not UTF-8", |provider| {
        let desk = Desk::of(provider);
        let program = Program::new(&peer).with_keychain(&desk.keychain);
        let arguments = ["set", SERVICE, USERNAME];
        let output = patient(|| program.run_with_input(arguments, b"\xff\xfe\x00\x01"));
        output.expect_code(0);
        let said = sentence(desk.get(USERNAME));
        assert!(
            said.contains("is no UTF-8 text. Let the next token"),
            "{said}"
        );
        let token = desk.store(USERNAME, 5);
        desk.holds_alone(USERNAME, &token);
        format!("6: {said}; the next token replaces it")
    });
}

#[test]
fn a_hundred_that_write_at_once_leave_the_newest_token_of_each_username() {
    each_provider("many writers at once", |provider| {
        let desk = Desk::of(provider);
        let all = match provider {
            Provider::GnomeKeyring => 100,
            Provider::KWallet => 30,
            // More crash it: see docs/keychains.md.
            Provider::KeePassXc => 10,
        };
        let mut writers = Vec::new();
        for number in 0..all {
            let username = if number % 2 == 0 {
                USERNAME.to_owned()
            } else {
                format!("etl-{number}@acme.example")
            };
            // In no order.
            let minutes = 1 + number * 37 % 101;
            writers.push((username, minutes, random_token(), desk.installation()));
        }
        let running: Vec<_> = writers
            .iter()
            .map(|(username, minutes, token, installation)| {
                let arguments = installation.arguments(username, token, *minutes);
                installation.program.spawn(arguments)
            })
            .collect();
        let begin = Instant::now();
        for running in running {
            running.wait().expect_code(0);
        }
        let took = begin.elapsed();
        let newest = writers
            .iter()
            .filter(|(username, ..)| username == USERNAME)
            .min_by_key(|(_, minutes, ..)| *minutes);
        let (_, _, token, _) = newest.expect("some");
        desk.holds_alone(USERNAME, token);
        for (username, _, token, _) in &writers {
            if username != USERNAME {
                assert_eq!(
                    desk.keychain.lookup(SERVICE, username).as_ref(),
                    Some(token)
                );
            }
        }
        format!(
            "{all}, half of them of one username: its newest token, one item; and all others, in {took:.1?}"
        )
    });
}

#[test]
fn without_a_bus_or_with_a_wrong_address_it_is_6_at_once() {
    let home = Home::new();
    let program = Program::new(env!("CARGO_BIN_EXE_fetch-token")).at_home(&home);
    let nowhere = program.clone().env(
        "DBUS_SESSION_BUS_ADDRESS",
        "unix:path=/nonexistent/fetch-token/bus",
    );
    for (situation, program) in [("no bus", program), ("wrong bus address", nowhere)] {
        let output = program.run(["get", USERNAME]);
        assert!(output.elapsed < Duration::from_secs(2), "{output:?}");
        let said = sentence(output);
        let advice = "Start GNOME Keyring, KWallet or KeePassXC in the same session";
        assert!(said.contains(advice), "{said}");
        println!("| any | {situation} | 6: {said} |");
    }
}

/// A second collection of GNOME Keyring's, beside the login keyring: open, as it is where its password is empty.
fn open_collection(keychain: &SecretService, items: &[(&str, &str)]) {
    let mut text = "[keyring]\ndisplay-name=Second\nctime=0\nmtime=0\nlock-on-idle=false\n\
                    lock-after=false\n"
        .to_owned();
    for (number, (username, secret)) in items.iter().enumerate() {
        let number = number + 1;
        write!(
            text,
            "\n[{number}]\nitem-type=0\ndisplay-name=by hand\nsecret={secret}\nmtime=1\nctime=1\n\
             \n[{number}:attribute0]\nname=service\ntype=string\nvalue={SERVICE}\n\
             \n[{number}:attribute1]\nname=username\ntype=string\nvalue={username}\n"
        )
        .expect("write into a String");
    }
    let folder = keychain.home().path().join("data/keyrings");
    std::fs::create_dir_all(&folder).expect("make the keyrings' folder");
    std::fs::write(folder.join("second.keyring"), text).expect("write the collection");
}

/// A second collection that is locked, and whose password nobody knows: the login keyring of somebody else, with these
/// usernames' items.
fn locked_collection(keychain: &SecretService, usernames: &[&str]) {
    let other = Desk::of(Provider::GnomeKeyring);
    for username in usernames {
        other.keychain.store(SERVICE, username, "from another one");
    }
    let folder = |keychain: &SecretService| keychain.home().path().join("data/keyrings");
    let from = folder(&other.keychain).join("login.keyring");
    std::fs::create_dir_all(folder(keychain)).expect("make the keyrings' folder");
    std::fs::copy(from, folder(keychain).join("second.keyring")).expect("copy the collection");
}

#[test]
fn an_item_in_a_second_open_collection_is_read_and_gets_the_next_token_too() {
    let mut desk = Desk {
        keychain: SecretService::bus_only(),
    };
    open_collection(
        &desk.keychain,
        &[(USERNAME, "by-hand-1"), (OTHER, "by-hand-2")],
    );
    desk.keychain.start_keyring();
    desk.holds(USERNAME, "by-hand-1");
    // In the default collection, too, since a moment ago.
    let beside = random_token();
    desk.keychain.store(SERVICE, USERNAME, &beside);
    desk.holds(USERNAME, &beside);
    let token = desk.store(USERNAME, 5);
    desk.holds(USERNAME, &token);
    let items = desk.keychain.items(SERVICE, USERNAME);
    assert_eq!(items.len(), 2, "{items:#?}");
    assert_eq!(desk.keychain.lookup(SERVICE, USERNAME), Some(token.clone()));
    // Where it is in the second one alone it stays there.
    let token = desk.store(OTHER, 5);
    desk.holds_alone(OTHER, &token);
    desk.program().run(["forget", USERNAME]).expect_code(0);
    desk.get(USERNAME).expect_code(8);
    println!(
        "| GNOME Keyring | an item in another open collection | read; gets the next token too |"
    );
}

#[test]
fn a_locked_collection_beside_the_open_default_one_holds_nothing_up() {
    let mut desk = Desk {
        keychain: SecretService::bus_only(),
    };
    locked_collection(&desk.keychain, &[USERNAME, "x@y.example"]);
    desk.keychain.start_keyring();
    // It is in the locked one alone: only a person can open that.
    let said = sentence(desk.get(USERNAME));
    for username in [OTHER, "y@y.example"] {
        desk.get(username).expect_code(8);
        let token = desk.store(username, 5);
        desk.holds_alone(username, &token);
        desk.program().run(["forget", username]).expect_code(0);
    }
    let token = desk.store(USERNAME, 5);
    desk.holds(USERNAME, &token);
    assert_eq!(desk.keychain.lookup(SERVICE, USERNAME), Some(token.clone()));
    let newer = desk.store(USERNAME, 3);
    desk.holds(USERNAME, &newer);
    println!(
        "| GNOME Keyring | a locked collection beside the open one | stored and read; in the locked one alone 6: {said} |"
    );
}

#[test]
fn without_a_default_collection_it_is_6_and_says_how_to_make_one() {
    let mut desk = Desk {
        keychain: SecretService::bus_only(),
    };
    desk.keychain.start_keyring_without_collections();
    desk.get(USERNAME).expect_code(8);
    let token = random_token();
    let output = desk.take(USERNAME, &token, 5).expect_code(6);
    let said = output.stdout();
    assert!(
        said.contains("it has no default collection. Make one"),
        "{said}"
    );
    desk.keychain.stop_keyring();
    desk.keychain.start_keyring();
    desk.take(USERNAME, &token, 5).expect_code(0);
    desk.holds_alone(USERNAME, &token);
    println!(
        "| GNOME Keyring | no default collection | {} |",
        said.trim_end()
    );
}
