//! The encrypted file as a store: machines that have no keychain, and not even a message bus.
#![cfg(target_os = "linux")]

mod lab;

use jiff::{SignedDuration, Timestamp};
use lab::{
    Daemon, Disk, Dovecot, Home, INTEGRATION, Program, Random, Screen, TokenMail, USERNAME,
    in_mounts_of_its_own, keys, random_token, require,
};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// An account that nobody watches: mails come from files.
const ACCOUNT: &str = "[[account]]\naddress = \"a@b.example\"\nhost = \"h\"\nusernames = [\"*\"]\naddresses = [\"*\"]\n";

/// A machine without a bus, whose configuration names the file.
struct Machine {
    home: Home,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { home: Home::new() };
        machine.home.write_private("keys.json", &keys());
        machine.configure("identity = \"../../key.txt\"");
        machine
    }

    /// The file, opened by what this line says.
    fn configure(&self, key: &str) {
        self.home.write_config(&format!(
            "{ACCOUNT}[keychain]\nstore = \"file\"\n[keychain.file]\n{key}\n"
        ));
    }

    fn program(&self) -> Program {
        Program::new(env!("CARGO_BIN_EXE_fetch-token")).at_home(&self.home)
    }

    fn key(&self) -> PathBuf {
        self.home.path().join("key.txt")
    }

    fn file(&self) -> PathBuf {
        self.home.state_folder().join("secrets.age")
    }

    fn in_words(&self, words: &str) -> Vec<String> {
        let path = |name: &str| self.home.path().join(name).display().to_string();
        let words = words.split_whitespace().map(|word| match word {
            "KEYS" => path("keys.json"),
            "MAIL" => path("mail.eml"),
            word => word.to_owned(),
        });
        words.collect()
    }

    /// Puts the mail that lies there through the intake.
    fn take(&self, mail: &[u8]) -> Vec<String> {
        std::fs::write(self.home.path().join("mail.eml"), mail).expect("write the mail");
        self.in_words("--dkim-keys KEYS extract --store MAIL")
    }

    fn get(&self, username: &str) -> Option<String> {
        let output = self.program().run(["get", username]);
        match output.code() {
            0 => Some(output.stdout().trim_end().to_owned()),
            8 => None,
            _ => panic!("{}", output.transcript()),
        }
    }
}

/// A mail of some minutes ago, and its token.
fn mail_of(username: &str, minutes: i64) -> (String, Vec<u8>) {
    let token = random_token();
    let date = Timestamp::now() - SignedDuration::from_mins(minutes);
    let mail = TokenMail::english(username, &token).date(date).bytes();
    (token, mail)
}

#[test]
fn a_machine_without_any_bus_logs_in_stores_gives_runs_restarts_and_forgets_by_the_file() {
    let machine = Machine::new();
    let config = std::fs::read_to_string(machine.home.config_file()).expect("a text");
    machine.home.write_config(&config.replace(ACCOUNT, ""));
    let dovecot = Dovecot::start_default();
    let line = format!(
        "login {} --host localhost --port {} --ca-file {} --dkim-keys KEYS --username * --password-stdin",
        INTEGRATION.name,
        dovecot.imaps_port(),
        dovecot.ca_file().display()
    );
    let password = format!("{}\n", INTEGRATION.password);
    let output = machine
        .program()
        .run_with_input(machine.in_words(&line), password.as_bytes())
        .expect_code(0);
    let said = output.stderr();
    assert!(
        said.contains("Made the key ") && machine.key().exists(),
        "{said}"
    );
    let deliver = || {
        let token = random_token();
        let mail = TokenMail::english(USERNAME, &token).to(INTEGRATION.name);
        dovecot.deliver(INTEGRATION, &mail.bytes());
        token
    };

    let token = deliver();
    let wait = machine.in_words(&format!("--dkim-keys KEYS wait {USERNAME}"));
    let said = machine.program().run(wait).expect_code(0).stderr();
    let place = format!("in the file {}", machine.file().display());
    assert!(said.contains(&place), "{said}");
    assert_eq!(machine.get(USERNAME), Some(token.clone()));
    let script = "printf %s \"$SALESFORCE_SECURITY_TOKEN\"";
    let ran = machine
        .program()
        .run(["exec", USERNAME, "--", "sh", "-c", script])
        .expect_code(0);
    assert_eq!(ran.stdout(), token);
    let listed = machine.program().run(["list"]).expect_code(0).stdout();
    assert!(
        listed.contains(&format!("file {}", machine.file().display())),
        "{listed}"
    );

    // The password of the mailbox is read from there, too, by each daemon anew.
    let daemon_line = machine.in_words("--dkim-keys KEYS daemon");
    for _ in 0..2 {
        let words: [&str; 3] = [&daemon_line[0], &daemon_line[1], &daemon_line[2]];
        let daemon = Daemon::with(&machine.program(), words);
        daemon.wait_for("watching", 1);
        let token = deliver();
        daemon.wait_for(": stored", 1);
        assert_eq!(machine.get(USERNAME), Some(token.clone()));
        daemon.stop();
        for secret in [token.as_str(), INTEGRATION.password] {
            let found = machine.home.files_containing(secret.as_bytes());
            assert_eq!(found, [] as [PathBuf; 0], "{secret}");
        }
    }
    machine.program().run(["forget", USERNAME]).expect_code(0);
    assert_eq!(machine.get(USERNAME), None);
    let output = machine.program().run(["logout", INTEGRATION.name]);
    output.expect_code(0);
    let all = opened(&machine);
    assert_eq!(all["items"], serde_json::json!([]), "{all}");
}

/// What age's own program makes of the file.
fn opened(machine: &Machine) -> serde_json::Value {
    let output = Command::new(require("age", "age"))
        .args(["--decrypt", "--identity"])
        .args([machine.key(), machine.file()])
        .stdin(Stdio::null())
        .output()
        .expect("run age");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn the_program_age_opens_the_file_and_age_keygen_makes_a_key_for_it() {
    let machine = Machine::new();
    let made = Command::new(require("age-keygen", "age"))
        .arg("--output")
        .arg(machine.key())
        .status();
    assert!(made.expect("run age-keygen").success());
    let key = std::fs::read(machine.key()).expect("the key");
    let (token, mail) = mail_of(USERNAME, 1);
    machine.program().run(machine.take(&mail)).expect_code(0);
    assert_eq!(machine.get(USERNAME), Some(token.clone()));
    assert_eq!(std::fs::read(machine.key()).expect("the key"), key);
    let all = opened(&machine);
    let item = &all["items"][0];
    assert_eq!(item["service"], lab::SERVICE);
    assert_eq!(item["account"], USERNAME);
    let mut decode = Command::new("base64")
        .arg("--decode")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run base64");
    let mut input = decode.stdin.take().expect("its input");
    let secret = item["secret"].as_str().expect("text");
    std::io::Write::write_all(&mut input, secret.as_bytes()).expect("write");
    drop(input);
    let decoded = decode.wait_with_output().expect("its end");
    assert_eq!(decoded.stdout, token.as_bytes());
}

#[test]
fn a_process_killed_at_any_moment_of_storing_leaves_a_file_that_is_read() {
    const KILLS: usize = 30;
    let machine = Machine::new();
    let mut random = Random::new();
    let (first, mail) = mail_of("first@acme.example", 1);
    let begin = std::time::Instant::now();
    machine.program().run(machine.take(&mail)).expect_code(0);
    let life = Duration::from_millis(2)..begin.elapsed() + Duration::from_millis(20);
    let mut newest = None;
    let mut stored = 0;
    for number in 0..KILLS {
        let minutes = i64::try_from(KILLS - number).expect("small");
        let (token, mail) = mail_of(USERNAME, minutes);
        let running = machine.program().spawn(machine.take(&mail));
        std::thread::sleep(random.within(&life));
        running.signal("KILL");
        let _ = running.wait();
        assert_eq!(machine.get("first@acme.example"), Some(first.clone()));
        // It is this mail's token, or the one before, and nothing else.
        let now = machine.get(USERNAME);
        if now.as_ref() == Some(&token) {
            stored += 1;
            newest = Some(token);
        } else {
            assert_eq!(now, newest, "kill {number}");
        }
    }
    println!("{stored} of {KILLS} were stored before they were killed");
    let (token, mail) = mail_of(USERNAME, 0);
    machine.program().run(machine.take(&mail)).expect_code(0);
    assert_eq!(machine.get(USERNAME), Some(token));
}

#[test]
fn installations_with_ledgers_of_their_own_write_to_one_file_at_once_and_the_newest_token_stays() {
    let shared = Machine::new();
    let (_, first) = mail_of("first@acme.example", 1);
    shared.program().run(shared.take(&first)).expect_code(0);
    let mails: Vec<_> = (1..=12).map(|minutes| mail_of(USERNAME, minutes)).collect();
    let newest = mails[0].0.clone();
    let machines: Vec<_> = mails.iter().map(|_| Machine::new()).collect();
    std::thread::scope(|scope| {
        // Neither in the order of the mails nor against it.
        for (machine, (_, mail)) in machines.iter().zip(mails[5..].iter().chain(&mails[..5])) {
            let shared = &shared;
            scope.spawn(move || {
                machine.configure(&format!(
                    "path = \"{}\"\nidentity = \"{}\"",
                    shared.file().display(),
                    shared.key().display()
                ));
                machine.program().run(machine.take(mail)).expect_code(0);
            });
        }
    });
    let all = opened(&shared);
    assert_eq!(all["items"].as_array().map(Vec::len), Some(2), "{all}");
    for machine in &machines {
        assert_eq!(machine.get(USERNAME), Some(newest.clone()));
    }
}

#[test]
fn a_key_that_does_not_fit_or_that_others_may_read_is_an_error_that_names_it_and_nothing_is_lost() {
    let machine = Machine::new();
    let (token, mail) = mail_of(USERNAME, 2);
    machine.program().run(machine.take(&mail)).expect_code(0);
    let (_, newer) = mail_of(USERNAME, 1);
    let refused = |words: &str| {
        for command in [
            vec!["get".to_owned(), USERNAME.to_owned()],
            machine.take(&newer),
        ] {
            let output = machine.program().run(command).expect_code(6);
            let said = output.transcript();
            assert!(said.contains(words), "{said}");
        }
    };
    let set_mode = |mode| {
        let wanted = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(machine.key(), wanted).expect("ours");
    };
    set_mode(0o644);
    refused("Take that away: chmod 600 ");
    set_mode(0o600);
    let key = std::fs::read(machine.key()).expect("the key");
    let other = Machine::new();
    let (_, mail) = mail_of(USERNAME, 1);
    other.program().run(other.take(&mail)).expect_code(0);
    std::fs::copy(other.key(), machine.key()).expect("another key");
    refused("does not open it. Name the key that it was written with");
    std::fs::remove_file(machine.key()).expect("remove");
    refused("is not there. Put it back");
    std::fs::write(machine.key(), key).expect("the key");
    set_mode(0o600);
    assert_eq!(machine.get(USERNAME), Some(token));
}

#[test]
fn the_file_and_its_key_are_replaced_by_others_with_both_keys_at_hand_for_a_while() {
    let machine = Machine::new();
    let (token, mail) = mail_of(USERNAME, 2);
    machine.program().run(machine.take(&mail)).expect_code(0);
    let other = Machine::new();
    other.program().run(other.take(&mail)).expect_code(0);
    let read = |machine: &Machine| std::fs::read_to_string(machine.key()).expect("a key");
    let (old, new) = (read(&machine), read(&other));
    let key = machine
        .home
        .write_private("new.txt", &format!("{old}{new}"));
    machine.configure("path = \"new.age\"\nidentity = \"../../new.txt\"");
    let moved = machine.program().run(["move", "--to", "file"]);
    let said = moved.expect_code(0).stderr();
    assert!(said.contains("Moved the security token of "), "{said}");
    assert_eq!(
        opened(&machine)["items"],
        serde_json::json!([]),
        "the old file"
    );
    std::fs::write(key, new).expect("the new key alone");
    // It was written for both; the next write is for the new key alone.
    let (newer, mail) = mail_of(USERNAME, 1);
    assert_eq!(machine.get(USERNAME), Some(token));
    machine.program().run(machine.take(&mail)).expect_code(0);
    assert_eq!(machine.get(USERNAME), Some(newer));
    machine.home.write_private("new.txt", &old);
    let said = machine
        .program()
        .run(["get", USERNAME])
        .expect_code(6)
        .stderr();
    assert!(said.contains("does not open it"), "{said}");
}

#[test]
fn the_key_is_a_credential_that_the_service_manager_has_for_the_unit() {
    let machine = Machine::new();
    let (token, mail) = mail_of(USERNAME, 2);
    machine.program().run(machine.take(&mail)).expect_code(0);
    let credentials = machine.home.path().join("credentials");
    std::fs::create_dir(&credentials).expect("a folder");
    std::fs::rename(machine.key(), credentials.join("ft-key")).expect("move the key");
    machine.configure("identity = { credential = \"ft-key\" }");
    let said = machine
        .program()
        .run(["get", USERNAME])
        .expect_code(6)
        .stderr();
    assert!(
        said.contains("LoadCredentialEncrypted=ft-key:FILE"),
        "{said}"
    );
    let program = machine.program().env("CREDENTIALS_DIRECTORY", &credentials);
    let output = program.run(["get", USERNAME]).expect_code(0);
    assert_eq!(output.stdout().trim_end(), token);
}

#[test]
fn a_passphrase_is_typed_or_printed_by_a_command() {
    let machine = Machine::new();
    machine.configure("passphrase = \"prompt\"");
    let (token, mail) = mail_of(USERNAME, 2);
    let store = machine.take(&mail);
    let said = machine.program().run(&store).expect_code(6).transcript();
    assert!(
        said.contains("there is no terminal to ask for its passphrase on"),
        "{said}"
    );
    let type_in = |arguments: &str, answers: &[(&str, &str)]| {
        Screen::run_at_home(&machine.home, arguments, answers).stdout()
    };
    // A new one is typed twice.
    let (new, again) = ("New passphrase for ", "The same again.");
    let shown = type_in(
        &store.join(" "),
        &[(new, "open sesame"), (again, "open sesam")],
    );
    assert!(
        shown.contains("the two passphrases typed are not the same"),
        "{shown}"
    );
    type_in(
        &store.join(" "),
        &[(new, "open sesame"), (again, "open sesame")],
    );
    let get = format!("get {USERNAME}");
    let shown = type_in(&get, &[("Passphrase of ", "open sesame")]);
    assert!(
        shown.contains(&token) && !shown.contains("sesame"),
        "{shown}"
    );
    let shown = type_in(&get, &[("Passphrase of ", "open says me")]);
    assert!(shown.contains("the passphrase does not open it"), "{shown}");
    machine.configure("passphrase = { command = [\"echo\", \"open sesame\"] }");
    assert_eq!(machine.get(USERNAME), Some(token));
}

#[test]
fn a_full_disk_is_an_error_that_says_so_and_the_token_is_stored_once_there_is_room() {
    in_mounts_of_its_own(
        "a_full_disk_is_an_error_that_says_so_and_the_token_is_stored_once_there_is_room",
        || {
            let machine = Machine::new();
            let place = machine.home.path().join("disk");
            let disk = Disk::mount(&place, 1024);
            machine.configure(&format!(
                "path = \"{}\"\nidentity = \"../../key.txt\"",
                place.join("all.age").display()
            ));
            let (old, mail) = mail_of(USERNAME, 2);
            machine.program().run(machine.take(&mail)).expect_code(0);
            disk.fill();
            let (new, mail) = mail_of(USERNAME, 1);
            let output = machine.program().run(machine.take(&mail)).expect_code(6);
            let said = output.transcript();
            assert!(said.contains("that the disk has room"), "{said}");
            assert_eq!(machine.get(USERNAME), Some(old));
            disk.make_room();
            machine.program().run(machine.take(&mail)).expect_code(0);
            assert_eq!(machine.get(USERNAME), Some(new));
        },
    );
}
