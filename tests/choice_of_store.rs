//! Which store is taken, that none is left unasked, and how tokens move from one to another.
#![cfg(target_os = "linux")]

mod lab;

use jiff::{SignedDuration, Timestamp};
use lab::{
    Dovecot, Home, INTEGRATION, Output, Program, SERVICE, SecretService, TokenMail, USERNAME, keys,
    random_token, require,
};
use std::path::PathBuf;

const MAILBOX: &str = "fetch-token-mailbox";

/// An account that nobody watches: mails come from files.
const ACCOUNT: &str = "[[account]]\naddress = \"a@b.example\"\nhost = \"h\"\nusernames = [\"*\"]\naddresses = [\"*\"]\n";

/// What the configuration says of an encrypted file beside it.
const FILE: &str = "[keychain.file]\npath = \"all.age\"\nidentity = \"key.txt\"\n";

/// A machine with a message bus, on which a Secret Service may come and go.
struct Machine {
    bus: SecretService,
}

impl Machine {
    fn with(bus: SecretService) -> Self {
        let machine = Self { bus };
        machine.home().write_private("keys.json", &keys());
        machine.choose("auto");
        machine
    }

    fn home(&self) -> &Home {
        self.bus.home()
    }

    /// The store that the configuration names; the file is described in any case.
    fn choose(&self, store: &str) {
        self.home()
            .write_config(&format!("{ACCOUNT}[keychain]\nstore = \"{store}\"\n{FILE}"));
    }

    fn program(&self) -> Program {
        Program::new(env!("CARGO_BIN_EXE_fetch-token")).with_keychain(&self.bus)
    }

    fn file(&self) -> PathBuf {
        self.home().config_file().with_file_name("all.age")
    }

    fn file_name(&self) -> String {
        format!("file {}", self.file().display())
    }

    /// Puts a mail of some minutes ago through the intake; gives its token.
    fn take(&self, username: &str, minutes: i64) -> (String, Output) {
        self.take_by(&self.program(), username, minutes)
    }

    fn take_by(&self, program: &Program, username: &str, minutes: i64) -> (String, Output) {
        let (token, words) = self.mail(username, minutes);
        (token, program.run(words))
    }

    /// Writes a mail of some minutes ago; gives its token, and the words that store it.
    fn mail(&self, username: &str, minutes: i64) -> (String, Vec<String>) {
        let token = random_token();
        let date = Timestamp::now() - SignedDuration::from_mins(minutes);
        let mail = TokenMail::english(username, &token).date(date).bytes();
        let path = |name: &str| self.home().path().join(name);
        std::fs::write(path("mail.eml"), mail).expect("write the mail");
        let (keys, mail) = (path("keys.json"), path("mail.eml"));
        let words = ["--dkim-keys".to_owned(), keys.display().to_string()];
        let more = ["extract", "--store"].map(str::to_owned);
        let words = words.into_iter().chain(more);
        (token, words.chain([mail.display().to_string()]).collect())
    }

    fn get(&self, username: &str) -> String {
        let output = self.program().run(["get", username]).expect_code(0);
        output.stdout().trim_end().to_owned()
    }

    /// The usernames and stores that `list` shows.
    fn listed(&self) -> Vec<(String, String)> {
        let output = self.program().run(["--json", "list"]).expect_code(0);
        let lines = output.stdout();
        let lines = lines.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let text = |name: &str| line[name].as_str().expect("text").to_owned();
            (text("username"), text("store"))
        });
        lines.collect()
    }
}

#[test]
fn auto_takes_the_secret_service_where_there_is_one_and_else_the_file_and_names_it() {
    let mut machine = Machine::with(SecretService::bus_only());
    let checked = machine.program().run(["--json", "doctor"]).stdout();
    assert!(
        checked.contains(&format!("\"store\":\"{}\"", machine.file_name())),
        "{checked}"
    );
    let (first, output) = machine.take("first@acme.example", 2);
    output.expect_code(0);
    machine.bus.start_keyring();
    let (second, output) = machine.take("second@acme.example", 2);
    output.expect_code(0);
    assert_eq!(
        machine.bus.lookup(SERVICE, "second@acme.example"),
        Some(second.clone())
    );
    let stores = machine.listed();
    let expected = [
        ("first@acme.example", machine.file_name()),
        ("second@acme.example", "Secret Service".to_owned()),
    ];
    assert_eq!(
        stores,
        expected.map(|(name, store)| (name.to_owned(), store))
    );
    // Each is read from where it lies, whatever would be taken now.
    assert_eq!(machine.get("first@acme.example"), first);
    assert_eq!(machine.get("second@acme.example"), second);
    let checked = machine.program().run(["doctor"]).stdout();
    assert!(
        checked.contains("1 token lies elsewhere (the file "),
        "{checked}"
    );
    machine.bus.stop_keyring();
    assert_eq!(machine.get("first@acme.example"), first);
    machine
        .program()
        .run(["get", "second@acme.example"])
        .expect_code(6);
    machine
        .program()
        .run(["forget", "first@acme.example"])
        .expect_code(0);
    machine
        .program()
        .run(["get", "first@acme.example"])
        .expect_code(8);
}

#[test]
fn without_a_secret_service_and_without_a_file_auto_says_what_can_be_done() {
    let machine = Machine::with(SecretService::bus_only());
    machine.home().write_config(ACCOUNT);
    let (_, output) = machine.take(USERNAME, 1);
    let said = output.expect_code(6).transcript();
    assert!(
        said.contains("the keychain (Secret Service) cannot be reached"),
        "{said}"
    );
    assert!(said.contains("[keychain.file]"), "{said}");
}

#[test]
fn auto_never_leaves_the_store_that_holds_the_token_and_says_what_to_do() {
    let mut machine = Machine::with(SecretService::start());
    let (old, output) = machine.take(USERNAME, 5);
    output.expect_code(0);
    machine.bus.stop_keyring();
    let (_, output) = machine.take(USERNAME, 3);
    let said = output.expect_code(6).transcript();
    for words in [
        "lies in the Secret Service, which is not the store that is found now",
        &format!("call `fetch-token move {USERNAME} --to file`"),
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert!(!machine.file().exists(), "nothing was stored there");
    // A reset would kill the token that lies there.
    let dovecot = Dovecot::start_default();
    let password = machine
        .home()
        .write_private("password", INTEGRATION.password);
    let account = dovecot.account(INTEGRATION, &password);
    machine.home().write_config(&format!("{account}{FILE}"));
    let started = machine.home().path().join("started");
    let tool = [
        "run",
        USERNAME,
        "--",
        "touch",
        &started.display().to_string(),
    ];
    let said = machine.program().run(tool).expect_code(6).stderr();
    assert!(
        said.contains("none is moved unasked") && !started.exists(),
        "{said}"
    );

    machine.bus.start_keyring();
    machine.choose("auto");
    assert_eq!(machine.get(USERNAME), old);
    let (new, output) = machine.take(USERNAME, 1);
    output.expect_code(0);
    assert_eq!(machine.bus.lookup(SERVICE, USERNAME), Some(new));
}

#[test]
fn a_secret_service_that_is_locked_or_does_not_answer_is_there_and_no_other_is_taken() {
    let mut machine = Machine::with(SecretService::start());
    machine.bus.lock();
    let (_, output) = machine.take("new@acme.example", 3);
    let said = output.expect_code(6).transcript();
    assert!(said.contains("(Secret Service) is locked"), "{said}");
    machine.bus.unlock();
    machine.bus.freeze();
    let (_, output) = machine.take("new@acme.example", 2);
    let said = output.expect_code(6).transcript();
    assert!(said.contains("Secret Service"), "{said}");
    machine.bus.thaw();
    assert!(!machine.file().exists(), "nothing was stored there");
    for (_, store) in machine.listed() {
        assert_eq!(store, "Secret Service", "it was meant to go there");
    }
}

#[test]
fn tokens_move_to_another_store_and_back_and_a_newer_one_follows() {
    let machine = Machine::with(SecretService::start());
    let names = ["one@acme.example", "two@acme.example"];
    let tokens = names.map(|name| {
        let (token, output) = machine.take(name, 5);
        output.expect_code(0);
        token
    });
    let program = machine.program();
    program.run(["move", "--to", "kwallet"]).expect_code(2);
    let said = program
        .run(["move", "--to", "macos"])
        .expect_code(2)
        .stderr();
    assert!(said.contains("\"macos\" is a store of macOS"), "{said}");
    program.run(["move", "--to", "command"]).expect_code(2);
    program
        .run(["move", "nobody@acme.example", "--to", "file"])
        .expect_code(8);

    let moved = program
        .run(["--json", "move", names[0], "--to", "file"])
        .expect_code(0);
    let line: serde_json::Value = serde_json::from_str(moved.stdout().trim()).expect("one line");
    assert_eq!(line["event"], "moved");
    assert_eq!(line["from"], "Secret Service");
    assert_eq!(line["to"], machine.file_name());
    let said = moved.stderr();
    assert!(
        said.contains("write `[keychain] store = \"file\"`"),
        "{said}"
    );
    assert_eq!(machine.bus.usernames(SERVICE), [names[1]]);
    assert_eq!(machine.get(names[0]), tokens[0]);
    // The stamp went along: an older mail does not follow, even for one whose ledger knows nothing.
    std::fs::remove_file(machine.home().state_folder().join("ledger.json")).expect("the ledger");
    machine.choose("file");
    let (_, output) = machine.take(names[0], 9);
    output.expect_code(0);
    assert_eq!(
        machine.program().run(["get", names[0]]).stdout().trim_end(),
        tokens[0]
    );
    let (newer, output) = machine.take(names[0], 1);
    output.expect_code(0);
    let (two, output) = machine.take(names[1], 1);
    output.expect_code(0);

    let said = program
        .run(["move", "--to", "secret-service"])
        .expect_code(0)
        .stderr();
    assert!(
        said.contains("Moved the security token of one@acme.example from the file"),
        "{said}"
    );
    assert_eq!(machine.bus.lookup(SERVICE, names[0]), Some(newer.clone()));
    assert_eq!(machine.bus.lookup(SERVICE, names[1]), Some(two));
    assert_eq!(machine.get(names[0]), newer);
    let said = program
        .run(["move", "--to", "secret-service"])
        .expect_code(0)
        .stderr();
    assert!(
        said.contains("lies in the Secret Service already"),
        "{said}"
    );
}

/// Only a debug build ends where it is told to.
#[test]
#[cfg(debug_assertions)]
fn a_move_that_is_killed_between_any_two_steps_loses_nothing_and_the_next_one_tidies_up() {
    let machine = Machine::with(SecretService::start());
    for place in ["carried", "moved"] {
        let name = format!("{place}@acme.example");
        let (token, output) = machine.take(&name, 2);
        output.expect_code(0);
        let dying = machine.program().env("FETCH_TOKEN_CRASH_AT", place);
        let output = dying.run(["move", &name, "--to", "file"]);
        assert_eq!(output.status.code(), None, "{}", output.transcript());
        assert_eq!(machine.get(&name), token);
        assert_eq!(
            machine.bus.lookup(SERVICE, &name),
            Some(token.clone()),
            "a copy is left"
        );
        machine
            .program()
            .run(["move", &name, "--to", "file"])
            .expect_code(0);
        assert_eq!(machine.get(&name), token);
        assert_eq!(machine.bus.lookup(SERVICE, &name), None);
    }
    // What was left is forgotten with the token.
    let name = "moved@acme.example";
    let dying = machine.program().env("FETCH_TOKEN_CRASH_AT", "moved");
    dying.run(["move", name, "--to", "secret-service"]);
    machine.program().run(["forget", name]).expect_code(0);
    assert_eq!(machine.bus.lookup(SERVICE, name), None);
    assert_eq!(
        machine
            .program()
            .run(["move", "--to", "secret-service"])
            .code(),
        0
    );
    assert_eq!(machine.bus.lookup(SERVICE, name), None);
}

#[test]
fn a_move_to_a_store_that_refuses_leaves_all_as_it_was() {
    let mut machine = Machine::with(SecretService::bus_only());
    let (token, output) = machine.take(USERNAME, 2);
    output.expect_code(0);
    let moved = machine
        .program()
        .run(["--json", "move", "--to", "secret-service"]);
    let moved = moved.expect_code(6);
    assert!(
        moved.stdout().contains("\"event\":\"not-moved\""),
        "{}",
        moved.transcript()
    );
    assert_eq!(
        machine.listed(),
        [(USERNAME.to_owned(), machine.file_name())]
    );
    assert_eq!(machine.get(USERNAME), token);
    machine.bus.start_keyring();
    machine
        .program()
        .run(["move", "--to", "secret-service"])
        .expect_code(0);
    assert_eq!(machine.bus.lookup(SERVICE, USERNAME), Some(token));
}

/// A mailbox whose password is kept where the configuration says.
struct Mailbox<'a> {
    machine: &'a Machine,
    dovecot: Dovecot,
    keys: String,
}

impl<'a> Mailbox<'a> {
    /// One that the configuration does not know yet.
    fn of(machine: &'a Machine) -> Self {
        let home = machine.home();
        let config = std::fs::read_to_string(home.config_file()).expect("a text");
        home.write_config(&config.replace(ACCOUNT, ""));
        Self::at(machine, Dovecot::start_default())
    }

    fn at(machine: &'a Machine, dovecot: Dovecot) -> Self {
        let keys = machine.home().path().join("keys.json");
        Self {
            machine,
            dovecot,
            keys: keys.display().to_string(),
        }
    }

    #[track_caller]
    fn login(&self) {
        let login = format!(
            "login {} --host localhost --port {} --ca-file {} --dkim-keys {} --username * --password-stdin --yes",
            INTEGRATION.name,
            self.dovecot.imaps_port(),
            self.dovecot.ca_file().display(),
            self.keys
        );
        let password = format!("{}\n", INTEGRATION.password);
        self.machine
            .program()
            .run_with_input(login.split_whitespace(), password.as_bytes())
            .expect_code(0);
    }

    fn arm(&self) -> Output {
        let line = ["--dkim-keys", &self.keys, "arm", "--timeout", "10s"];
        self.machine.program().run(line)
    }
}

#[test]
fn the_password_of_a_mailbox_goes_along_once_the_configuration_names_the_store() {
    let machine = Machine::with(SecretService::start());
    let mailbox = Mailbox::of(&machine);
    mailbox.login();
    let in_keyring = || machine.bus.lookup(MAILBOX, INTEGRATION.name);
    assert_eq!(in_keyring().as_deref(), Some(INTEGRATION.password));
    machine
        .program()
        .run(["move", "--to", "file"])
        .expect_code(0);
    assert!(in_keyring().is_some(), "it is looked for there still");

    let config = std::fs::read_to_string(machine.home().config_file()).expect("a text");
    machine
        .home()
        .write_config(&config.replace("\"auto\"", "\"file\""));
    let said = mailbox.arm().expect_code(5).stderr();
    assert!(
        said.contains(&format!(
            "the keychain ({}) holds no password",
            machine.file_name()
        )),
        "{said}"
    );
    let said = machine
        .program()
        .run(["move", "--to", "file"])
        .expect_code(0)
        .stderr();
    assert!(
        said.contains("Moved what ") && said.contains("from the Secret Service to the file"),
        "{said}"
    );
    assert_eq!(in_keyring(), None);
    mailbox.arm().expect_code(0);
}

#[test]
fn with_auto_the_password_of_a_mailbox_is_found_where_it_was_put_whatever_comes_or_goes() {
    let mut machine = Machine::with(SecretService::bus_only());
    // Nobody is there but the file; later a Secret Service comes, and the password stays where it is.
    let mailbox = Mailbox::of(&machine);
    mailbox.login();
    mailbox.arm().expect_code(0);
    let Mailbox { dovecot, .. } = mailbox;
    machine.bus.start_keyring();
    let mailbox = Mailbox::at(&machine, dovecot);
    mailbox.arm().expect_code(0);
    mailbox.login();
    assert_eq!(machine.bus.lookup(MAILBOX, INTEGRATION.name), None);
    // One that lies in the Secret Service is not there while that is not: that is no wrong login, and may pass.
    std::fs::remove_file(machine.file()).expect("the file");
    mailbox.login();
    assert!(machine.bus.lookup(MAILBOX, INTEGRATION.name).is_some());
    let Mailbox { dovecot, .. } = mailbox;
    machine.bus.stop_keyring();
    let mailbox = Mailbox::at(&machine, dovecot);
    let said = mailbox.arm().expect_code(6).stderr();
    assert!(
        said.contains("(Secret Service) cannot be reached") && said.contains("does not hold"),
        "{said}"
    );
}

/// Runs a shell script in a session keyring of its own.
fn in_session(machine: &Machine, script: &str) -> Output {
    Program::new(require("keyctl", "keyutils"))
        .with_keychain(&machine.bus)
        .env("FT", env!("CARGO_BIN_EXE_fetch-token"))
        .run(["session", "-", "sh", "-ec", script])
}

#[test]
fn the_kernel_keyring_keeps_a_token_for_its_session_and_says_that_it_is_not_for_long() {
    let machine = Machine::with(SecretService::bus_only());
    machine.choose("keyutils");
    let (token, words) = machine.mail(USERNAME, 2);
    let script = format!(
        "\"$FT\" {}; \"$FT\" get {USERNAME}; keyctl print %user:keyring:{USERNAME}@{SERVICE}; \"$FT\" list; \
         \"$FT\" forget {USERNAME}; ! keyctl search @s user keyring:{USERNAME}@{SERVICE}",
        words.join(" ")
    );
    let output = in_session(&machine, &script).expect_code(0);
    let printed = output.stdout();
    let tokens = printed.lines().filter(|line| *line == token).count();
    assert_eq!(tokens, 2, "{printed}");
    assert!(printed.contains("kernel keyring"), "{printed}");
    let said = output.stderr();
    let warning = "The kernel keyring keeps nothing over a reboot";
    assert_eq!(said.matches(warning).count(), 1, "{said}");
}

#[test]
fn without_a_session_keyring_the_kernel_is_left_no_key_and_a_token_can_move_out_of_it() {
    let machine = Machine::with(SecretService::bus_only());
    machine.choose("keyutils");
    let keys = || {
        let keys = std::fs::read_to_string("/proc/keys").expect("the kernel's keys");
        keys.matches("user      keyring:").count()
    };
    let before = keys();
    let (_, output) = machine.take(USERNAME, 3);
    let said = output.expect_code(6).transcript();
    assert!(
        said.contains("no session keyring of its own. Start it by `keyctl session - "),
        "{said}"
    );
    assert_eq!(keys(), before);

    let (token, words) = machine.mail(USERNAME, 2);
    let script = format!("\"$FT\" {}; \"$FT\" move --to file", words.join(" "));
    in_session(&machine, &script).expect_code(0);
    assert_eq!(machine.get(USERNAME), token);
}

#[test]
fn a_ledger_from_before_stores_had_names_means_the_platforms_own() {
    let machine = Machine::with(SecretService::start());
    let (token, output) = machine.take(USERNAME, 2);
    output.expect_code(0);
    let file = machine.home().state_folder().join("ledger.json");
    let text = std::fs::read_to_string(&file).expect("the ledger");
    let mut ledger: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let record = &mut ledger["records"][USERNAME];
    assert_eq!(record["store"], "Secret Service");
    record.as_object_mut().expect("a record").remove("store");
    std::fs::write(&file, ledger.to_string()).expect("write");
    assert_eq!(machine.get(USERNAME), token);
    assert_eq!(
        machine.listed(),
        [(USERNAME.to_owned(), "Secret Service".to_owned())]
    );
}
