//! The test lab's own tests: each real part starts, does what the other tests rely on, and stops.
#![cfg(target_os = "linux")]

mod lab;

use lab::{
    Ca, Certificate, Dovecot, Front, INTEGRATION, Options, Program, QUOTES, SecretService,
    TokenMail, UMLAUT, capability, free_port, other_mail, random_token, require,
};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

const SERVICE: &str = "salesforce-security-token";

/// What `openssl s_client` says of the server's certificate, as the host `name`, trusting only `ca_file`.
fn s_client(port: u16, name: &str, ca_file: &Path, starttls: bool) -> String {
    let mut command = Command::new(require("openssl", "openssl"));
    command
        .args([
            "s_client",
            "-connect",
            &format!("127.0.0.1:{port}"),
            "-servername",
            name,
        ])
        .args([
            "-verify_hostname",
            name,
            "-verify_return_error",
            "-no-CAfile",
            "-no-CApath",
        ])
        .arg("-CAfile")
        .arg(ca_file);
    if starttls {
        command.args(["-starttls", "imap"]);
    }
    let output = command.stdin(Stdio::null()).output().expect("run openssl");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn a_missing_program_fails_the_test_and_names_its_package() {
    let told = std::panic::catch_unwind(|| require("no-such-program", "the-package-that-has-it"));
    let told = told.expect_err("must not be found");
    let words = told.downcast_ref::<String>().expect("a message");
    assert!(words.contains("the-package-that-has-it"), "{words}");
}

#[test]
fn dovecot_speaks_tls_with_a_certificate_of_the_labs_authority() {
    let server = Dovecot::start_default();
    for (port, starttls) in [(server.imaps_port(), false), (server.imap_port(), true)] {
        let good = s_client(port, server.host(), &server.ca_file(), starttls);
        assert!(good.contains("Verify return code: 0 (ok)"), "{good}");
    }
    let other = Ca::new("somebody else");
    let folder = tempfile::tempdir().expect("a temp directory");
    let other_file = folder.path().join("other.pem");
    other.write_to(&other_file);
    let unknown = s_client(server.imaps_port(), server.host(), &other_file, false);
    assert!(unknown.contains("verify error"), "{unknown}");
}

#[test]
fn dovecot_shows_the_wrong_certificate_when_told_to() {
    for (certificate, words) in [
        (Certificate::Elsewhere, "hostname mismatch"),
        (Certificate::Expired, "certificate has expired"),
    ] {
        let server = Dovecot::start(&Options {
            certificate,
            ..Options::default()
        });
        let refused = s_client(server.imaps_port(), server.host(), &server.ca_file(), false);
        assert!(refused.contains(words), "{certificate:?}: {refused}");
    }
}

#[test]
fn every_user_logs_in_and_sees_what_was_delivered() {
    let server = Dovecot::start_default();
    for user in [INTEGRATION, UMLAUT, QUOTES] {
        let token = random_token();
        let mail = TokenMail::english("someone@acme.example.uat", &token)
            .to(user.name)
            .bytes();
        server.deliver(user, &mail);
        server.inbox(user).folder("Junk").deliver(&other_mail(1));
        // A file in `new/` gets its UID when somebody looks, a mail by LMTP at once.
        assert_eq!(server.peer(user).mailbox("INBOX").messages.len(), 1);
        server.deliver_by_lmtp(user, &TokenMail::japanese("x@acme.example", &token).bytes());

        let mut peer = server.peer(user);
        let inbox = peer.mailbox("INBOX");
        assert_eq!(inbox.messages.len(), 2, "{inbox:?}");
        assert_eq!(peer.mailbox("Junk").messages.len(), 1);
        assert_eq!(inbox, peer.mailbox("INBOX"), "looking must not change it");
        let (uid, flags) = &inbox.messages[0];
        assert!(!flags.iter().any(|flag| flag == "\\Seen"), "{flags:?}");
        assert!(
            peer.mail("INBOX", *uid).as_bytes() == mail,
            "not byte for byte"
        );

        let japanese = peer.mail("INBOX", inbox.messages[1].0);
        let body = mailparse::parse_mail(japanese.as_bytes()).and_then(|mail| mail.get_body());
        assert!(body.is_ok_and(|body| body.contains(&token)), "{japanese}");
    }
}

#[test]
fn a_filled_mailbox_has_its_mails_in_the_order_and_at_the_times_they_came() {
    let server = Dovecot::start_default();
    let now = SystemTime::now();
    let day = Duration::from_hours(24);
    let inbox = server.inbox(INTEGRATION);
    inbox.fill(500, now - 1000 * day, now - day, other_mail);
    inbox.deliver_dated(&other_mail(500), now - Duration::from_hours(1));
    inbox.deliver(&other_mail(501));

    let mut peer = server.peer(INTEGRATION);
    assert_eq!(peer.mailbox("INBOX").messages.len(), 502);
    peer.command("EXAMINE INBOX");
    let found = |lines: Vec<String>| {
        lines
            .iter()
            .find(|line| line.starts_with("* SEARCH"))
            .cloned()
    };
    assert_eq!(
        found(peer.command("UID SEARCH YOUNGER 600")).as_deref(),
        Some("* SEARCH 502")
    );
    assert_eq!(
        found(peer.command("UID SEARCH YOUNGER 7200")).as_deref(),
        Some("* SEARCH 501 502")
    );
    let subjects = peer
        .command("FETCH 1,250,500 BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
        .concat();
    for number in [0, 249, 499] {
        assert!(
            subjects.contains(&format!("number {number}\r")),
            "{subjects}"
        );
    }
}

#[test]
fn dovecot_hides_capabilities_and_writes_down_what_was_said() {
    for (list, hidden) in [
        (capability::NO_IDLE, "IDLE"),
        (capability::NO_SASL_IR, "SASL-IR"),
        (capability::NO_WITHIN, "WITHIN"),
    ] {
        let server = Dovecot::start(&Options {
            capabilities: Some(list),
            rawlog: true,
            ..Options::default()
        });
        let told = server.peer(INTEGRATION).command("CAPABILITY").concat();
        assert!(
            told.contains("IMAP4rev1") && !told.contains(hidden),
            "{told}"
        );
        let logs = server.rawlogs();
        assert!(logs[0].from_client.contains("CAPABILITY"), "{logs:?}");
        assert!(
            logs[0].from_server.contains("* CAPABILITY IMAP4rev1"),
            "{logs:?}"
        );
    }
}

#[test]
fn a_front_hides_auth_plain_while_login_goes_on_working() {
    let server = Dovecot::start_default();
    let front = Front::start(
        server.imap_port(),
        &Ca::shared().localhost,
        &["AUTH=PLAIN", "AUTH=LOGIN", "STARTTLS"],
    );
    let mut client = Command::new(require("openssl", "openssl"))
        .args([
            "s_client",
            "-quiet",
            "-verify_return_error",
            "-verify_hostname",
            "localhost",
        ])
        .args([
            "-connect",
            &format!("127.0.0.1:{}", front.port()),
            "-CAfile",
        ])
        .arg(server.ca_file())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("run openssl");
    let mut input = client.stdin.take().expect("its input");
    let login = format!(
        "a LOGIN {} {}\r\nb LOGOUT\r\n",
        INTEGRATION.name, INTEGRATION.password
    );
    std::io::Write::write_all(&mut input, login.as_bytes()).expect("write");
    let output = client.wait_with_output().expect("openssl's end");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("a OK") && said.contains("b OK"), "{said}");
    assert!(said.contains("CAPABILITY IMAP4rev1"), "{said}");
    assert!(
        !said.contains("AUTH=") && !said.contains("STARTTLS"),
        "{said}"
    );
    let talk = &front.conversations()[0];
    assert_eq!(talk.commands(), 2);
    assert_eq!(talk.from_server, output.stdout);
}

#[test]
fn dovecot_stops_and_comes_back_with_its_mail() {
    let mut server = Dovecot::start_default();
    server.deliver(INTEGRATION, &other_mail(1));
    let before = server.peer(INTEGRATION).mailbox("INBOX");
    let pid = server.pid();
    server.stop();
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(std::net::TcpStream::connect(("127.0.0.1", server.imaps_port())).is_err());
    server.start_again();
    assert_ne!(server.pid(), pid);
    assert_eq!(
        before.messages.len(),
        server.peer(INTEGRATION).mailbox("INBOX").messages.len()
    );
    assert!(
        std::net::TcpStream::connect(("127.0.0.1", free_port())).is_err(),
        "nobody listens there"
    );
}

#[test]
fn the_secret_service_stores_locks_opens_and_keeps() {
    let mut keychain = SecretService::start();
    assert_eq!(keychain.lookup(SERVICE, "u@acme.example"), None);
    keychain.store(SERVICE, "u@acme.example", "made-up");
    assert_eq!(
        keychain.lookup(SERVICE, "u@acme.example").as_deref(),
        Some("made-up")
    );
    keychain.lock();
    assert_eq!(keychain.lookup(SERVICE, "u@acme.example"), None);
    keychain.unlock();
    assert_eq!(
        keychain.lookup(SERVICE, "u@acme.example").as_deref(),
        Some("made-up")
    );
    keychain.stop_keyring();
    assert_eq!(keychain.is_locked(), None);
    keychain.start_keyring_locked();
    assert_eq!(keychain.lookup(SERVICE, "u@acme.example"), None);
}

#[test]
fn the_secret_service_comes_later_and_freezes() {
    let mut keychain = SecretService::bus_only();
    assert_eq!(
        keychain.is_locked(),
        None,
        "nothing may be started by the bus itself"
    );
    keychain.start_keyring();
    keychain.store(SERVICE, "u@acme.example", "made-up");
    keychain.freeze();
    assert_eq!(keychain.is_locked(), None, "no answer while frozen");
    keychain.thaw();
    assert_eq!(keychain.is_locked(), Some(false));
    let pids = [keychain.pid()];
    drop(keychain);
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}

#[test]
fn a_program_runs_in_a_clean_environment_and_is_heard_while_it_runs() {
    let shell = Program::new("/bin/sh").env("GREETING", "hello");
    let output = shell.run([
        "-c",
        "echo \"$GREETING\"; echo oops >&2; echo \"home=$HOME\"; exit 3",
    ]);
    assert_eq!(output.code(), 3);
    assert_eq!(output.stdout(), "hello\nhome=\n");
    assert_eq!(output.stderr(), "oops\n");
    assert_eq!(
        shell.run_with_input(["-c", "cat"], b"in and out").stdout(),
        "in and out"
    );

    let mut running = shell.spawn(["-c", "echo ready >&2; sleep 30; echo never"]);
    assert_eq!(running.stderr_line("read"), "ready");
    assert!(running.is_running());
    running.signal("TERM");
    let output = running.wait();
    assert_eq!(output.status.code(), None, "{}", output.transcript());
    assert!(output.elapsed < Duration::from_secs(20));
}

#[test]
fn a_program_that_hangs_is_killed_and_shown() {
    let told = std::panic::catch_unwind(|| {
        Program::new("/bin/sh")
            .deadline(Duration::from_millis(300))
            .run(["-c", "echo before; exec sleep 30"])
    });
    let told = told.expect_err("must fail");
    let words = told.downcast_ref::<String>().expect("a message");
    assert!(
        words.contains("killed") && words.contains("before"),
        "{words}"
    );
}
