//! OAuth 2.0 end to end: an authorization server that is certified, a person with a browser, and a mail server that asks
//! the one whether the other's tokens count.
#![cfg(target_os = "linux")]

mod lab;

use fetch_token::account::oauth2::{Client, Error, Grant, Source};
use fetch_token::account::{Account, Login};
use fetch_token::config::Config;
use fetch_token::imap::Class;
use fetch_token::keychain::{Keychain, Settings};
use lab::{
    AuthorizationServer, Ca, Clock, Daemon, Front, Mood, Options, SecretService, Stage, USERNAME,
    eventually, free_port,
};
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use std::time::Duration;

const MAILBOX: &str = "fetch-token-mailbox";
const SOON: Duration = Duration::from_secs(20);

/// A stage whose mail server takes access tokens of an authorization server.
struct Scene {
    server: AuthorizationServer,
    stage: Stage,
}

impl Scene {
    fn new() -> Self {
        let server = AuthorizationServer::start();
        let options = Options {
            mechanisms: "plain login xoauth2 oauthbearer",
            introspection: Some(server.introspection()),
            ..Options::default()
        };
        let stage = Stage::with(&options, SecretService::start());
        let scene = Self { server, stage };
        scene.configure("");
        scene
    }

    fn address(&self) -> &'static str {
        self.stage.user.name
    }

    /// The account, with more keys in `oauth2`.
    fn configure(&self, more: &str) -> Arc<Account> {
        let dovecot = &self.stage.dovecot;
        let text = format!(
            "[[account]]\naddress = \"{}\"\nhost = \"localhost\"\nport = {}\nca_file = \"{}\"\nusernames = [\"*\"]\n{}",
            self.address(),
            dovecot.imaps_port(),
            dovecot.ca_file().display(),
            self.server.entry(more)
        );
        self.stage.write_config(&text);
        let file = self.stage.keychain.home().config_file();
        let config = Config::read(&file).expect("a configuration");
        Arc::clone(&config.accounts[0])
    }

    fn client(&self) -> Client {
        match &self.configure("").login {
            Login::OAuth2(oauth2) => match &oauth2.source {
                Source::Client(client) => Client::clone(client),
                Source::Command(_) => panic!("a client is configured"),
            },
            Login::Password(_) => panic!("OAuth 2.0 is configured"),
        }
    }

    /// A person types the code that the program shows.
    async fn by_device(&self, mood: Mood) -> Result<Grant, Error> {
        let client = self.client();
        let name = self.address();
        let show = |invitation: &fetch_token::account::oauth2::Invitation| {
            assert_eq!(invitation.page, self.server.url("/device"));
            let page = invitation
                .page_with_code
                .clone()
                .expect("a page with the code");
            assert!(page.contains(&invitation.code), "{invitation:?}");
            std::thread::spawn(move || AuthorizationServer::person(&page, name, mood));
        };
        client
            .by_device(name, &Keychain::new(&Settings::default()), show)
            .await
    }

    /// A person agrees or refuses in a browser on this machine.
    async fn by_browser(&self, mood: Mood) -> (Result<Grant, Error>, String) {
        let client = self.client();
        let name = self.address();
        let mut person = None;
        let show = |page: &str| {
            let page = page.to_owned();
            person = Some(std::thread::spawn(move || {
                AuthorizationServer::person(&page, name, mood)
            }));
        };
        let granted = client
            .by_browser(name, &Keychain::new(&Settings::default()), show)
            .await;
        let title = person.expect("it was shown").join().expect("no panic");
        (granted, title)
    }

    /// Logs in, and stores the refresh token where the program looks for it.
    fn log_in(&self) {
        let (granted, _) = run(self.by_browser(Mood::Agrees));
        self.store(&granted.expect("a grant"));
    }

    fn store(&self, grant: &Grant) {
        let refresh = grant.refresh.as_ref().expect("a refresh token");
        let keychain = &self.stage.keychain;
        keychain.store(MAILBOX, self.address(), refresh.expose_secret());
    }

    /// A token mail is found and stored by a command.
    #[track_caller]
    fn takes_a_token(&self) {
        let token = self.stage.deliver_token(USERNAME);
        let loud = self.stage.program().env("RUST_LOG", "trace");
        let output = loud.run(["-vvv", "--timeout", "30s"]).expect_code(0);
        assert_eq!(self.stage.stored(USERNAME), Some(token));
        for token in self.server.seen().issued {
            assert!(!output.transcript().contains(&token), "a token in the log");
        }
    }

    /// The token is stored in time.
    #[track_caller]
    fn is_stored(&self, daemon: &Daemon, token: &str) {
        eventually(
            "the token in the keychain",
            SOON,
            || (self.stage.stored(USERNAME).as_deref() == Some(token)).then_some(()),
            || daemon.log(),
        );
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

#[test]
fn a_login_by_a_code_typed_elsewhere_serves_both_mechanisms() {
    let scene = Scene::new();
    let grant = run(scene.by_device(Mood::Agrees)).expect("a grant");
    scene.store(&grant);
    for mechanism in ["oauthbearer", "xoauth2"] {
        scene.configure(&format!(", method = \"{mechanism}\""));
        scene.takes_a_token();
    }
    let seen = scene.server.seen();
    assert_eq!((seen.refreshed, seen.reused), (2, 0));
    let last = scene.stage.keychain.lookup(MAILBOX, scene.address());
    assert_eq!(
        last.as_ref(),
        seen.issued.last(),
        "the newest refresh token is kept"
    );
}

#[test]
fn a_login_in_a_browser_of_this_machine() {
    let scene = Scene::new();
    let (granted, title) = run(scene.by_browser(Mood::Agrees));
    assert_eq!(title, "fetch-token", "the person sees that it is done");
    scene.store(&granted.expect("a grant"));
    scene.takes_a_token();
}

#[test]
fn a_person_who_refuses_is_told_apart_from_a_server_that_does() {
    let scene = Scene::new();
    let (refused, title) = run(scene.by_browser(Mood::Refuses));
    let error = refused.expect_err("refused");
    assert_eq!(error.class(), Class::Login);
    assert!(
        error.to_string().contains("access_denied") && error.to_string().contains("did not agree"),
        "{error}"
    );
    assert_eq!(title, "fetch-token");
    let error = run(scene.by_device(Mood::Refuses)).expect_err("refused");
    assert!(error.to_string().contains("access_denied"), "{error}");
}

#[test]
fn without_a_login_the_command_to_run_is_named() {
    let scene = Scene::new();
    let output = scene
        .stage
        .program()
        .run(["--timeout", "20s"])
        .expect_code(5);
    let command = format!("fetch-token login {}", scene.address());
    assert!(
        output.stderr().contains(&command),
        "{}",
        output.transcript()
    );
}

#[test]
fn a_token_that_ends_while_the_daemon_idles_leads_to_another_login_without_a_word() {
    let scene = Scene::new();
    scene.log_in();
    scene.server.set_lifetime(5);
    let daemon = Daemon::start(&scene.stage);
    for round in 2..=3 {
        std::thread::sleep(Duration::from_secs(5));
        scene.stage.dovecot.kick(scene.stage.user);
        let token = scene.stage.deliver_token(USERNAME);
        scene.is_stored(&daemon, &token);
        daemon.wait_for(": watching", round);
    }
    let seen = scene.server.seen();
    assert_eq!((seen.refreshed, seen.reused), (3, 0));
    let home = scene.stage.keychain.home();
    let output = daemon.stop();
    assert!(!output.stderr().contains("trouble"), "{}", output.stderr());
    for token in seen.issued {
        assert!(!output.transcript().contains(&token));
        assert!(
            home.files_containing(token.as_bytes()).is_empty(),
            "a token in a file"
        );
    }
}

#[test]
fn a_token_that_the_server_calls_expired_before_its_time_is_renewed_once() {
    let scene = Scene::new();
    scene.log_in();
    let daemon = Daemon::start(&scene.stage);
    scene.server.expire_access_tokens();
    scene.stage.dovecot.kick(scene.stage.user);
    let token = scene.stage.deliver_token(USERNAME);
    scene.is_stored(&daemon, &token);
    let seen = scene.server.seen();
    assert_eq!((seen.refreshed, seen.reused), (2, 0));
    assert!(
        !daemon.log().contains("refused the login"),
        "{}",
        daemon.log()
    );
    daemon.stop();
}

#[test]
fn a_clock_that_is_wrong_by_hours_does_no_harm() {
    let scene = Scene::new();
    scene.log_in();
    let (clock, program) = Clock::of(scene.stage.program(), scene.stage.keychain.home());
    // Not back: the lab's certificate begins today.
    clock.turn("+8h");
    let daemon = Daemon::start_with(&program, 1);
    let token = scene.stage.deliver_token(USERNAME);
    scene.is_stored(&daemon, &token);
    assert_eq!(scene.server.seen().refreshed, 1);
    clock.turn("+16h");
    scene.stage.dovecot.kick(scene.stage.user);
    daemon.wait_for(": watching", 2);
    let seen = scene.server.seen();
    assert_eq!((seen.refreshed, seen.reused), (2, 0));
    daemon.stop();
}

#[test]
fn many_processes_at_once_use_no_refresh_token_twice() {
    let scene = Scene::new();
    scene.log_in();
    let daemon = Daemon::start(&scene.stage);
    let running: Vec<_> = (0..5)
        .map(|number| {
            // `--dkim-keys` keeps them from sharing the daemon's connection.
            let keys = scene
                .stage
                .keychain
                .home()
                .write_private(&format!("keys-{number}"), "{}");
            let keys = keys.display().to_string();
            scene.stage.program().spawn(["arm", "--dkim-keys", &keys])
        })
        .collect();
    for one in running {
        one.wait().expect_code(0);
    }
    let seen = scene.server.seen();
    assert_eq!((seen.refreshed, seen.reused), (6, 0));
    daemon.stop();
    scene.takes_a_token();
}

#[test]
fn a_process_killed_between_the_grant_and_the_keychain_says_what_to_do_the_next_time() {
    let scene = Scene::new();
    scene.log_in();
    let killed = scene.stage.program().env("FETCH_TOKEN_CRASH_AT", "granted");
    let output = killed.run(["--timeout", "20s"]);
    assert_eq!(output.status.code(), None, "{}", output.transcript());
    let output = scene
        .stage
        .program()
        .run(["--timeout", "20s"])
        .expect_code(5);
    let command = format!("Run `fetch-token login {}`", scene.address());
    assert!(
        output.stderr().contains(&command),
        "{}",
        output.transcript()
    );
    assert_eq!(scene.server.seen().reused, 1);
    scene.log_in();
    scene.takes_a_token();
}

#[test]
fn logout_gives_back_what_was_granted_and_goes_on_where_that_fails() {
    let scene = Scene::new();
    // RFC 7009 wants TLS, which this authorization server leaves to what stands before it.
    let front = Front::start(scene.server.port(), &Ca::shared().localhost, &[]);
    let authority = scene.stage.dovecot.ca_file();
    for (port, revoked, words) in [
        (front.port(), true, "The provider took back"),
        (
            free_port(),
            false,
            "could not be taken back: the authorization server localhost does not answer",
        ),
    ] {
        scene.log_in();
        let url = format!("https://localhost:{port}/token/revocation");
        scene.configure(&format!(", revocation_url = \"{url}\""));
        let told = scene
            .stage
            .program()
            .env("SSL_CERT_FILE", &authority)
            .run(["logout", scene.address(), "--json"])
            .expect_code(0);
        let object: serde_json::Value = serde_json::from_str(told.stdout().trim()).expect("JSON");
        assert_eq!(object["revoked"], revoked, "{}", told.transcript());
        assert_eq!(object["secret"], true);
        assert!(told.stderr().contains(words), "{}", told.transcript());
        assert_eq!(scene.stage.keychain.lookup(MAILBOX, scene.address()), None);
        assert_eq!(scene.server.seen().revoked, 1);
    }
}

#[test]
fn a_grant_that_is_taken_back_is_said_once_and_the_next_login_ends_it() {
    let scene = Scene::new();
    scene.log_in();
    let daemon = Daemon::start(&scene.stage);
    scene.server.revoke();
    scene.stage.dovecot.kick(scene.stage.user);
    let command = format!("Run `fetch-token login {}`", scene.address());
    daemon.wait_for(&command, 1);
    let output = scene
        .stage
        .program()
        .run(["--timeout", "20s"])
        .expect_code(5);
    assert!(
        output.stderr().contains(&command),
        "{}",
        output.transcript()
    );
    scene.stage.program().run(["reload"]).expect_code(0);
    let token = scene.stage.deliver_token(USERNAME);
    assert_eq!(
        daemon.log().matches(&command).count(),
        1,
        "{}",
        daemon.log()
    );
    scene.log_in();
    scene.stage.program().run(["reload"]).expect_code(0);
    scene.is_stored(&daemon, &token);
    daemon.stop();
}

#[test]
fn an_access_token_can_come_from_a_command() {
    let scene = Scene::new();
    let (granted, _) = run(scene.by_browser(Mood::Agrees));
    let access = granted.expect("a grant").access;
    let file = scene
        .stage
        .keychain
        .home()
        .write_private("access-token", access.expose_secret());
    let dovecot = &scene.stage.dovecot;
    scene.stage.write_config(&format!(
        "[[account]]\naddress = \"{}\"\nhost = \"localhost\"\nport = {}\nca_file = \"{}\"\nusernames = [\"*\"]\noauth2 = {{ \
         command = [\"cat\", \"{}\"] }}\n",
        scene.address(),
        dovecot.imaps_port(),
        dovecot.ca_file().display(),
        file.display()
    ));
    scene.takes_a_token();
    scene.server.expire_access_tokens();
    let output = scene
        .stage
        .program()
        .run(["--timeout", "20s", "nobody@acme.example"])
        .expect_code(5);
    assert!(
        output.stderr().contains("invalid_token"),
        "{}",
        output.transcript()
    );
    assert!(!output.transcript().contains(access.expose_secret()));
    assert!(
        scene.stage.keychain.usernames(MAILBOX).is_empty(),
        "nothing is stored"
    );
}
