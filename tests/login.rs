//! `fetch-token login` and `logout`: a newcomer's way from an address to a mailbox that is watched, and back.
#![cfg(target_os = "linux")]

mod lab;

use fetch_token::account::discovery::{Places, Source, answering, find};
use fetch_token::imap::{Endpoint, Tls};
use lab::{
    AuthorizationServer, Certificate, Daemon, Dns, Dovecot, INTEGRATION, Mood, Options, Output,
    Program, SERVICE, Screen, Scripted, SecretService, Stage, TokenMail, USERNAME, User, Web,
    eventually, in_a_network_of_its_own, keys, random_token,
};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MAILBOX: &str = "fetch-token-mailbox";

/// A newcomer: an empty home, a keychain, and a mailbox somewhere.
struct Newcomer {
    keychain: SecretService,
    dovecot: Dovecot,
    keys: PathBuf,
}

impl Newcomer {
    fn new() -> Self {
        Self::at(Dovecot::start_default())
    }

    fn at(dovecot: Dovecot) -> Self {
        let keychain = SecretService::start();
        let keys = keychain.home().write_private("keys.json", &keys());
        Self {
            keychain,
            dovecot,
            keys,
        }
    }

    fn program(&self) -> Program {
        Program::new(env!("CARGO_BIN_EXE_fetch-token")).with_keychain(&self.keychain)
    }

    /// `login` of the mailbox with these words more, and the password on standard input.
    fn login(&self, more: &str, password: &str) -> Output {
        let line = format!(
            "login {} --dkim-keys {} --password-stdin {more}",
            INTEGRATION.name,
            self.keys.display()
        );
        let words: Vec<_> = line.split_whitespace().collect();
        self.program()
            .run_with_input(words, format!("{password}\n").as_bytes())
    }

    /// The words that name the server.
    fn server(&self) -> String {
        format!(
            "--host localhost --port {} {}",
            self.dovecot.imaps_port(),
            self.authority()
        )
    }

    fn authority(&self) -> String {
        format!("--ca-file {}", self.dovecot.ca_file().display())
    }

    fn config(&self) -> Option<String> {
        std::fs::read_to_string(self.keychain.home().config_file()).ok()
    }

    fn password(&self) -> Option<String> {
        self.keychain.lookup(MAILBOX, INTEGRATION.name)
    }

    /// Delivers a token mail for this username, and gives its token.
    fn deliver(&self, username: &str) -> String {
        let token = random_token();
        let mail = TokenMail::english(username, &token).to(INTEGRATION.name);
        self.dovecot.deliver(INTEGRATION, &mail.bytes());
        token
    }

    #[track_caller]
    fn expect_nothing_kept(&self, config: Option<&str>) {
        assert_eq!(self.config().as_deref(), config);
        assert_eq!(self.password(), None);
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o777
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_str(output.stdout().trim())
        .unwrap_or_else(|_| panic!("{}", output.transcript()))
}

#[test]
fn what_login_writes_is_what_wait_works_with_and_logout_takes_it_all_away() {
    let newcomer = Newcomer::new();
    let told = newcomer
        .login(
            &format!("{} --username {USERNAME} --json", newcomer.server()),
            INTEGRATION.password,
        )
        .expect_code(0);
    let event = json(&told);
    assert_eq!(event["event"], "logged-in");
    assert_eq!(event["account"], INTEGRATION.name);
    assert_eq!(event["idle"], true);
    assert_eq!(event["usernames"], serde_json::json!([USERNAME]));
    assert_eq!(event["daemon"], "absent");
    let file = newcomer.keychain.home().config_file();
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().expect("a directory")), 0o700);
    assert_eq!(newcomer.password().as_deref(), Some(INTEGRATION.password));

    let token = newcomer.deliver(USERNAME);
    let keys = newcomer.keys.to_str().expect("UTF-8");
    newcomer
        .program()
        .run(["wait", "--timeout", "20s", "--dkim-keys", keys])
        .expect_code(0);
    let stored = || newcomer.keychain.lookup(SERVICE, USERNAME);
    assert_eq!(stored(), Some(token.clone()));

    let told = newcomer
        .program()
        .run(["logout", INTEGRATION.name, "--json"])
        .expect_code(0);
    assert_eq!(json(&told)["secret"], true);
    newcomer.expect_nothing_kept(None);
    assert_eq!(stored(), Some(token), "tokens stay");
    newcomer
        .program()
        .run(["logout", INTEGRATION.name])
        .expect_code(2);
    let secret = INTEGRATION.password.as_bytes();
    let left = newcomer.keychain.home().files_containing(secret);
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[test]
fn a_configuration_that_is_there_keeps_every_octet() {
    let newcomer = Newcomer::new();
    let before = "# mine, since 2019\n\n[[account]]   # the other\naddress = \"other@b.example\"\nhost='imap.b.example'\n\
                  usernames = [\n  \"*\",  # all\n]\n\n[sender] # as it is\ndomains = [ \"salesforce.com\" ]\n# end\n";
    newcomer.keychain.home().write_config(before);
    let words = format!("{} --username *@acme.example", newcomer.server());
    newcomer.login(&words, INTEGRATION.password).expect_code(0);
    let with = newcomer.config().expect("a configuration");
    assert!(with.starts_with(before), "{with}");
    // Once more is a question, and this one is answered.
    newcomer.login(&words, INTEGRATION.password).expect_code(2);
    let other = words.replace("*@acme.example", "*@c.example --yes");
    newcomer.login(&other, INTEGRATION.password).expect_code(0);
    let replaced = with.replace("*@acme.example", "*@c.example");
    assert_eq!(newcomer.config(), Some(replaced));
    newcomer
        .program()
        .run(["logout", "Integration@Acme.Example"])
        .expect_code(0);
    newcomer.expect_nothing_kept(Some(before));
}

#[test]
fn a_login_that_fails_leaves_nothing_behind() {
    let newcomer = Newcomer::new();
    let before = "# nothing here yet\n";
    newcomer.keychain.home().write_config(before);
    let words = format!("{} --username *", newcomer.server());
    let refused = newcomer.login(&words, "wrong").expect_code(5);
    assert!(!refused.transcript().contains("wrong\n"));
    newcomer.expect_nothing_kept(Some(before));
    // A port where nobody is.
    let elsewhere = format!("--host localhost --port {} --username *", lab::free_port());
    newcomer
        .login(&elsewhere, INTEGRATION.password)
        .expect_code(4);
    // A server whose authority is not known.
    let untrusted = format!(
        "--host localhost --port {} --username *",
        newcomer.dovecot.imaps_port()
    );
    let told = newcomer
        .login(&untrusted, INTEGRATION.password)
        .expect_code(4);
    assert!(told.stderr().contains("ca_file"), "{}", told.stderr());
    newcomer.expect_nothing_kept(Some(before));
    // A configuration that cannot be written: its directory is a link to nowhere.
    let home = newcomer.keychain.home().path();
    std::os::unix::fs::symlink(home.join("nowhere/at/all"), home.join("link")).expect("a link");
    let file = home.join("link/config.toml");
    let unwritable = format!("{words} --config {}", file.display());
    newcomer
        .login(&unwritable, INTEGRATION.password)
        .expect_code(2);
    newcomer.expect_nothing_kept(Some(before));

    newcomer.keychain.lock();
    let locked = newcomer.login(&words, INTEGRATION.password).expect_code(6);
    assert!(locked.stderr().contains("locked"), "{}", locked.stderr());
    assert_eq!(newcomer.config().as_deref(), Some(before));
}

#[test]
fn without_a_terminal_what_is_missing_is_named_by_its_flag() {
    let newcomer = Newcomer::new();
    let server = newcomer.server();
    for (words, flag) in [
        (
            format!("login me@acme.example {server} --password-stdin"),
            "--username",
        ),
        (
            format!("login me@acme.example {server} --username *"),
            "--password-stdin",
        ),
        (
            format!("login me@acme.example {server} --username *@[ --password-stdin"),
            "*@[",
        ),
        ("login me".to_owned(), "integration@acme.example"),
        (
            format!("login me@acme.example {server} --oauth google"),
            "--client-id",
        ),
        ("login me@acme.example --port 993".to_owned(), "--host"),
    ] {
        let told = newcomer
            .program()
            .run(words.split_whitespace())
            .expect_code(2);
        assert!(told.stderr().contains(flag), "{words}: {}", told.stderr());
    }
    newcomer.expect_nothing_kept(None);
}

#[test]
fn a_server_that_takes_no_password_is_not_sent_one() {
    let newcomer = Newcomer::new();
    for (offers, words) in [
        ("LOGINDISABLED AUTH=XOAUTH2", "--oauth"),
        (
            "LOGINDISABLED AUTH=GSSAPI",
            "neither passwords nor access tokens",
        ),
    ] {
        let server = Scripted::tls("* OK ready\r\n", move |_, _, tag| {
            format!("* CAPABILITY IMAP4rev1 {offers}\r\n{tag} OK done\r\n")
        });
        let at = format!(
            "--host localhost --port {} {} --username *",
            server.port(),
            newcomer.authority()
        );
        let told = newcomer.login(&at, INTEGRATION.password).expect_code(5);
        assert!(told.stderr().contains(words), "{}", told.stderr());
        assert_eq!(server.commands(0), ["CAPABILITY", "LOGOUT"]);
        assert_eq!(server.connections(), 1);
    }
    newcomer.expect_nothing_kept(None);
}

#[test]
fn a_person_is_asked_for_the_password_and_chooses_among_the_usernames_that_were_found() {
    let newcomer = Newcomer::new();
    newcomer.deliver(USERNAME);
    newcomer.deliver(USERNAME);
    let forged = TokenMail::english("boss@evil.example", &random_token()).to(INTEGRATION.name);
    newcomer.dovecot.deliver(INTEGRATION, &forged.unsigned());
    let arguments = format!(
        "login {} {} --dkim-keys {}",
        INTEGRATION.name,
        newcomer.server(),
        newcomer.keys.display()
    );
    let output = Screen::run(
        &newcomer.keychain,
        &arguments,
        &[
            ("Password of integration@acme.example", INTEGRATION.password),
            ("Usernames [", ""),
        ],
    )
    .expect_code(0);
    let seen = output.stdout();
    assert!(!seen.contains(INTEGRATION.password), "{seen}");
    let line = |name: &str| {
        let line = seen.lines().find(|line| line.contains(name));
        line.unwrap_or_else(|| panic!("{name}: {seen}")).to_owned()
    };
    let proved = line(&format!("1  {USERNAME}"));
    assert!(proved.trim_end().ends_with("  proved"), "{proved}");
    assert!(
        line("2  boss@evil.example").contains("not proved (unsigned)"),
        "{seen}"
    );
    let config = newcomer.config().expect("a configuration");
    assert!(
        config.ends_with(&format!("usernames = [\"{USERNAME}\"]\n")),
        "{config}"
    );
    // Again: what is configured stays, and only the password is asked for.
    newcomer.keychain.clear(MAILBOX, INTEGRATION.name);
    let again = Screen::run(
        &newcomer.keychain,
        &format!("login {}", INTEGRATION.name),
        &[("Password of integration@acme.example", INTEGRATION.password)],
    )
    .expect_code(0);
    assert!(
        again.stdout().contains("stays as it was"),
        "{}",
        again.stdout()
    );
    assert_eq!(newcomer.config(), Some(config));
    assert_eq!(newcomer.password().as_deref(), Some(INTEGRATION.password));
}

#[test]
fn the_domain_itself_says_where_its_server_is() {
    let newcomer = Newcomer::new();
    let port = newcomer.dovecot.imap_port();
    let web = Web::start(format!(
        "<?xml version=\"1.0\"?>\n<clientConfig version=\"1.1\"><emailProvider id=\"acme.example\">\
         <incomingServer type=\"pop3\"><hostname>localhost</hostname><port>995</port><socketType>SSL</socketType></incomingServer>\
         <incomingServer type=\"imap\"><hostname>localhost</hostname><port>{port}</port><socketType>STARTTLS</socketType>\
         <username>%EMAILADDRESS%</username><authentication>password-cleartext</authentication></incomingServer>\
         </emailProvider></clientConfig>"
    ));
    let dns = Dns::start(BTreeMap::new());
    let before = format!(
        "[discovery]\nresolver = \"{}\"\nautoconfig = [\"https://localhost:{}/mail/config-v1.1.xml?emailaddress={{address}}\"]\n",
        dns.address(),
        web.port()
    );
    newcomer.keychain.home().write_config(&before);
    let words = format!("{} --username *", newcomer.authority());
    let told = newcomer.login(&words, INTEGRATION.password).expect_code(0);
    assert!(
        told.stderr().contains("as localhost describes it"),
        "{}",
        told.stderr()
    );
    assert_eq!(
        web.asked(),
        ["GET /mail/config-v1.1.xml?emailaddress=integration%40acme.example HTTP/1.1"]
    );
    let config = newcomer.config().expect("a configuration");
    assert!(
        config.contains(&format!("port = {port}\ntls = \"starttls\"\n")),
        "{config}"
    );
}

#[test]
fn dns_names_the_server_and_a_person_agrees_to_one_outside_the_domain() {
    let newcomer = Newcomer::new();
    let dns = Dns::start(BTreeMap::new());
    dns.set_service(
        "_imaps._tcp.acme.example",
        "localhost",
        newcomer.dovecot.imaps_port(),
    );
    let before = format!(
        "[discovery]\nresolver = \"{}\"\nautoconfig = []\n",
        dns.address()
    );
    newcomer.keychain.home().write_config(&before);
    let words = format!("{} --username *", newcomer.authority());
    let told = newcomer.login(&words, INTEGRATION.password).expect_code(2);
    assert!(
        told.stderr()
            .contains("localhost lies outside acme.example")
            && told.stderr().contains("--yes"),
        "{}",
        told.stderr()
    );
    newcomer.expect_nothing_kept(Some(&before));
    newcomer
        .login(&format!("{words} --yes"), INTEGRATION.password)
        .expect_code(0);
    assert_eq!(newcomer.password().as_deref(), Some(INTEGRATION.password));
}

#[tokio::test]
async fn who_receives_a_domains_mail_counts_before_its_srv_records() {
    let dns = Dns::start(BTreeMap::new());
    let places = Places {
        resolver: Some(dns.address()),
        ..Places::default()
    };
    dns.set_exchanger("hosted.example", "alt1.aspmx.l.google.com");
    dns.set_service("_imaps._tcp.hosted.example", "imap.hosted.example", 993);
    dns.set_service("_imaps._tcp.own.example", "", 0);
    dns.set_service("_imap._tcp.own.example", "mail.own.example", 1143);
    let hosted = "me@hosted.example".parse().expect("an address");
    let found = find(&hosted, &places).await.expect("found");
    assert_eq!(found.host, "imap.gmail.com");
    assert_eq!(found.source, Source::Exchanger("Google Workspace"));
    let own = "me@Own.Example".parse().expect("an address");
    let found = find(&own, &places).await.expect("found");
    assert_eq!(
        (
            found.host.as_str(),
            found.port,
            found.tls,
            found.source.clone()
        ),
        ("mail.own.example", 1143, Tls::StartTls, Source::Srv)
    );
    assert!(!found.is_doubtful(&own));
}

#[tokio::test]
async fn a_silent_dns_server_keeps_nobody_waiting_for_long() {
    let dns = Dns::start(BTreeMap::new());
    dns.answer_in(lab::Manner::Silence);
    let places = Places {
        resolver: Some(dns.address()),
        ..Places::default()
    };
    let begin = Instant::now();
    let address = "me@nowhere.invalid".parse().expect("an address");
    let error = find(&address, &places).await.expect_err("nothing there");
    assert!(error.to_string().contains("--host"), "{error}");
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn a_guessed_server_counts_only_with_a_right_certificate() {
    let right = Dovecot::start_default();
    let wrong = Dovecot::start(&Options {
        certificate: Certificate::Elsewhere,
        ..Options::default()
    });
    let authorities = Endpoint::authorities_from(&right.ca_file()).expect("the lab's authority");
    let endpoint = |port, tls| Endpoint {
        host: "localhost".to_owned(),
        port,
        tls,
        authorities: authorities.clone(),
    };
    let all = [
        endpoint(lab::free_port(), Tls::Implicit),
        endpoint(wrong.imaps_port(), Tls::Implicit),
        endpoint(right.imap_port(), Tls::StartTls),
        endpoint(right.imaps_port(), Tls::Implicit),
    ];
    let found = answering(&all).await.expect("a server");
    assert_eq!((found.port, found.tls), (right.imap_port(), Tls::StartTls));
    assert!(answering(&all[..2]).await.is_none());
}

/// In a network of its own the ports are free under which servers are looked for.
#[test]
fn a_server_under_a_usual_name_is_logged_in_to_only_with_a_right_certificate() {
    in_a_network_of_its_own(
        "a_server_under_a_usual_name_is_logged_in_to_only_with_a_right_certificate",
        |link| {
            link.opens_the_usual_ports();
            let user = User {
                name: "integration@localhost",
                ..INTEGRATION
            };
            let dns = Dns::start(BTreeMap::new());
            let before = format!(
                "[discovery]\nresolver = \"{}\"\nautoconfig = []\n",
                dns.address()
            );
            let listeners = "inet_listener usual {\n port = 143\n }\n inet_listener usual_tls {\n port = 993\n ssl = yes\n }";
            for (certificate, code, words) in [
                (
                    Certificate::Elsewhere,
                    2,
                    "no server with a right certificate answers under a usual name",
                ),
                (
                    Certificate::Localhost,
                    0,
                    "Found localhost port 993, TLS (a usual name, and its certificate is right)",
                ),
            ] {
                let newcomer = Newcomer::at(Dovecot::start(&Options {
                    users: vec![user],
                    certificate,
                    settings: format!("service imap-login {{\n {listeners}\n}}\n"),
                    ..Options::default()
                }));
                newcomer.keychain.home().write_config(&before);
                let line = format!(
                    "login {} --username * --password-stdin {}",
                    user.name,
                    newcomer.authority()
                );
                let told = newcomer
                    .program()
                    .run_with_input(
                        line.split_whitespace(),
                        format!("{}\n", user.password).as_bytes(),
                    )
                    .expect_code(code);
                assert!(told.stderr().contains(words), "{}", told.transcript());
                let kept = newcomer.keychain.lookup(MAILBOX, user.name);
                if code == 0 {
                    assert_eq!(kept.as_deref(), Some(user.password));
                    let config = newcomer.config().expect("a configuration");
                    assert!(config.contains("host = \"localhost\"\n"), "{config}");
                } else {
                    assert_eq!(kept, None);
                    assert_eq!(newcomer.config().as_deref(), Some(before.as_str()));
                }
            }
        },
    );
}

#[test]
fn a_daemon_that_runs_watches_the_new_account_and_leaves_it_again() {
    let stage = Stage::new();
    let daemon = Daemon::start(&stage);
    let file = stage.keychain.home().config_file();
    let before = std::fs::read_to_string(&file).expect("read");
    let words = format!(
        "login {} --host localhost --port {} --ca-file {} --username * --password-stdin --json",
        lab::UMLAUT.name,
        stage.dovecot.imaps_port(),
        stage.dovecot.ca_file().display()
    );
    let told = stage
        .program()
        .run_with_input(
            words.split_whitespace(),
            format!("{}\n", lab::UMLAUT.password).as_bytes(),
        )
        .expect_code(0);
    assert_eq!(json(&told)["daemon"], "reloaded");
    daemon.wait_for("watching", 2);
    let told = stage
        .program()
        .run(["logout", lab::UMLAUT.name, "--json"])
        .expect_code(0);
    assert_eq!(json(&told)["daemon"], "reloaded");
    assert_eq!(std::fs::read_to_string(&file).expect("read"), before);
    daemon.stop();
}

#[test]
fn a_person_agrees_in_a_browser_or_types_a_code_and_the_refresh_token_is_kept() {
    let server = AuthorizationServer::start();
    let newcomer = Newcomer::at(Dovecot::start(&Options {
        mechanisms: "plain login xoauth2 oauthbearer",
        introspection: Some(server.introspection()),
        ..Options::default()
    }));
    let before = format!(
        "# by hand\n[[account]]\naddress = \"{}\"\nhost = \"localhost\"\nport = {}\nca_file = \"{}\"\nusernames = [\"*\"]\n{}",
        INTEGRATION.name,
        newcomer.dovecot.imaps_port(),
        newcomer.dovecot.ca_file().display(),
        server.entry("")
    );
    newcomer.keychain.home().write_config(&before);
    let mut last = None;
    for (more, marker) in [(None, "/auth?"), (Some("--device"), "/device")] {
        let words = ["login", INTEGRATION.name].into_iter().chain(more);
        let running = newcomer.program().spawn(words);
        let page = eventually(
            "the page to open",
            Duration::from_secs(20),
            || page(&running.stderr_so_far(), marker),
            || running.stderr_so_far(),
        );
        AuthorizationServer::person(&page, INTEGRATION.name, Mood::Agrees);
        running.wait().expect_code(0);
        let kept = newcomer.password();
        assert!(kept.is_some() && kept != last, "another refresh token");
        last = kept;
    }
    assert_eq!(newcomer.config(), Some(before));
    let token = newcomer.deliver(USERNAME);
    let keys = newcomer.keys.to_str().expect("UTF-8");
    newcomer
        .program()
        .run(["wait", "--timeout", "20s", "--dkim-keys", keys])
        .expect_code(0);
    assert_eq!(newcomer.keychain.lookup(SERVICE, USERNAME), Some(token));
}

/// The page that a person is shown, with the code in it where it is one to type.
fn page(shown: &str, marker: &str) -> Option<String> {
    let words: Vec<_> = shown.split_whitespace().collect();
    let page = words
        .iter()
        .find(|word| word.starts_with("http") && word.contains(marker))?;
    match words.iter().position(|word| *word == "code") {
        Some(at) => Some(format!("{page}?user_code={}", words.get(at + 1)?)),
        None => Some((*page).to_owned()),
    }
}
