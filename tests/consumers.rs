//! Programs that use a stored token, run from `examples/consumers` as they are, up to the calls that Salesforce would
//! answer. A stand-in answers those, and lets nobody in who does not send the password followed by the token.
//!
//! The tests in [`installed`] need what `scripts/install-consumers` installs.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Daemon, Program, Stage, USERNAME, eventually, random_token};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/consumers")
}

/// A stage whose keychain holds a token that came by mail.
fn with_token() -> (Stage, String) {
    let stage = Stage::new();
    let token = stage.deliver_token(USERNAME);
    stage
        .program()
        .run(["wait", USERNAME, "--timeout", "20s"])
        .expect_code(0);
    (stage, token)
}

/// A program at the keychain's home, with the built `fetch-token` first on its PATH, then what is in `folders`.
fn consumer(stage: &Stage, program: PathBuf, folders: &[PathBuf]) -> Program {
    let own = Path::new(env!("CARGO_BIN_EXE_fetch-token"));
    let system = std::env::var_os("PATH").expect("a PATH");
    let path = std::iter::once(own.parent().expect("a folder").to_owned())
        .chain(folders.iter().cloned())
        .chain(std::env::split_paths(&system));
    Program::new(program)
        .with_keychain(&stage.keychain)
        .env("PATH", std::env::join_paths(path).expect("a PATH"))
}

/// A stage whose daemon keeps the token of [`USERNAME`] in an .env file.
fn with_env_file(begin: &str) -> (Stage, PathBuf) {
    let stage = Stage::new();
    let file = stage.keychain.home().path().join("job.env");
    std::fs::write(&file, begin).expect("write the .env file");
    let hook = folder().join("write-env.sh");
    stage.configure(&format!(
        "[[hook]]\non = \"stored\"\nstdin = \"token\"\ncommand = [\"{}\", \"{USERNAME}\", \"{}\"]",
        hook.display(),
        file.display()
    ));
    (stage, file)
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).expect("the .env file")
}

fn becomes(file: &Path, text: &str, daemon: &Daemon) {
    eventually(
        "the .env file",
        Duration::from_secs(20),
        || (read(file) == text).then_some(()),
        || format!("{}\n{}", read(file), daemon.log()),
    );
}

#[test]
fn a_hook_keeps_an_env_file_that_its_owner_alone_can_read() {
    // The last line has no end.
    let (stage, file) = with_env_file("A=1\nSALESFORCE_SECURITY_TOKEN=old\nB=\"2 3\"");
    let daemon = Daemon::start(&stage);
    let token = stage.deliver_token(USERNAME);
    let others = "A=1\nB=\"2 3\"\n";
    becomes(
        &file,
        &format!("{others}SALESFORCE_SECURITY_TOKEN={token}\n"),
        &daemon,
    );
    let mode = file.metadata().expect("the .env file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // Another username's token is not for this file, and the next of this one takes the old one's place.
    stage.deliver_token("other@acme.example");
    daemon.wait_for("is done", 2);
    let token = stage.deliver_token(USERNAME);
    becomes(
        &file,
        &format!("{others}SALESFORCE_SECURITY_TOKEN={token}\n"),
        &daemon,
    );
    daemon.wait_for("is done", 3);
    let home = stage.keychain.home().path();
    let rests: Vec<_> = std::fs::read_dir(home)
        .expect("the home")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("job.env."))
        .collect();
    assert!(rests.is_empty(), "{rests:?}");
    assert!(!daemon.stop().transcript().contains(&token));
}

#[test]
fn the_env_file_stays_as_it_is_where_the_hook_is_given_no_token() {
    let (stage, file) = with_env_file("SALESFORCE_SECURITY_TOKEN=old\n");
    let hook =
        consumer(&stage, folder().join("write-env.sh"), &[]).env("FETCH_TOKEN_USERNAME", USERNAME);
    let file_name = file.to_str().expect("a path");
    for input in ["", "two\nlines", "$(id)", "a b"] {
        let output = hook
            .run_with_input([USERNAME, file_name], input.as_bytes())
            .expect_code(1);
        assert!(output.stderr().contains("stays as it is"), "{input:?}");
        assert_eq!(read(&file), "SALESFORCE_SECURITY_TOKEN=old\n");
    }
    let token = random_token();
    hook.run_with_input([USERNAME, file_name], token.as_bytes())
        .expect_code(0);
    assert_eq!(read(&file), format!("SALESFORCE_SECURITY_TOKEN={token}\n"));
}

#[test]
fn answers_in_the_shape_of_sf() {
    let (stage, token) = with_token();
    let sf_style = consumer(&stage, folder().join("sf-style.sh"), &[]);
    let answer = |arguments: &[&str], code| -> serde_json::Value {
        let output = sf_style.run(arguments).expect_code(code);
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    };
    let listed = answer(&["list"], 0);
    assert_eq!(listed["status"], 0);
    assert_eq!(listed["warnings"], serde_json::json!([]));
    assert_eq!(listed["result"][0]["username"], USERNAME);
    assert_eq!(listed["result"][0]["from"], "support@salesforce.com");
    assert!(!listed.to_string().contains(&token));

    let got = answer(&["get", USERNAME], 0);
    assert_eq!(got["status"], 0);
    assert_eq!(
        got["result"],
        serde_json::json!({"username": USERNAME, "token": token})
    );

    let missing = answer(&["get", "nobody@acme.example"], 8);
    assert_eq!(missing["status"], 8);
    assert_eq!(missing["exitCode"], 8);
    let message = missing["message"].as_str().unwrap_or_default();
    assert!(message.contains("nobody@acme.example"), "{missing}");
}

/// The programs that log in to Salesforce, as they come from `PyPI` and npm.
mod installed {
    use super::{Program, Stage, USERNAME, consumer, folder, random_token, with_token};
    use crate::lab::{ACCOUNT_NAME, Ca, Output, SERVICE, SoapLogin, require};
    use std::path::{Path, PathBuf};

    /// What a client must escape on its way through XML, and a shell must not read.
    const PASSWORD: &str = "Pa$s<&\"wör'd> 1";

    /// A part that `scripts/install-consumers` installs.
    fn part(path: &str) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = root.join("target/tools/consumers").join(path);
        let script = if path.starts_with("airflow") {
            "scripts/install-consumers --all"
        } else {
            "scripts/install-consumers"
        };
        assert!(
            file.exists(),
            "{} is missing: {script} installs it",
            file.display()
        );
        file
    }

    /// A user's keychain and the Salesforce that knows the user.
    struct Org {
        stage: Stage,
        token: String,
        salesforce: SoapLogin,
    }

    impl Org {
        fn new() -> Self {
            let (stage, token) = with_token();
            stage
                .keychain
                .store("salesforce-password", USERNAME, PASSWORD);
            let identity = &Ca::shared().salesforce;
            let salesforce = SoapLogin::start(identity, USERNAME, PASSWORD, &token);
            Self {
                stage,
                token,
                salesforce,
            }
        }

        /// A consumer for whom the stand-in is Salesforce.
        fn consumer(&self, program: PathBuf, folders: &[PathBuf]) -> Program {
            let authority = self.stage.keychain.home().path().join("ca.pem");
            Ca::shared().write_to(&authority);
            consumer(&self.stage, program, folders)
                .env("HTTPS_PROXY", self.salesforce.proxy())
                .env("REQUESTS_CA_BUNDLE", &authority)
                .env("NODE_EXTRA_CA_CERTS", &authority)
        }

        /// It must have logged in once, at this host, with both secrets in no process's arguments or environment, and
        /// asked for this.
        #[track_caller]
        fn expect(&self, output: &Output, host: &str, asked: &str) {
            let logins = self.salesforce.logins();
            let [login] = &logins[..] else {
                panic!("{} logins\n{}", logins.len(), output.transcript());
            };
            assert_eq!(login.host, host);
            assert_eq!(login.username, USERNAME);
            assert_eq!(login.password, format!("{PASSWORD}{}", self.token));
            assert_eq!(login.exposed, [""; 0], "who shows the password");
            let paths = self.salesforce.asked();
            assert!(paths.iter().any(|path| path.contains(asked)), "{paths:?}");
            self.expect_silence(output);
        }

        #[track_caller]
        fn expect_silence(&self, output: &Output) {
            for secret in [PASSWORD, &self.token] {
                assert!(
                    !output.transcript().contains(secret),
                    "{}",
                    output.transcript()
                );
            }
        }

        /// After a reset that nobody told the keychain of, the old token must not do.
        #[track_caller]
        fn expect_refusal(&self, program: &Program, arguments: &[&str]) {
            let old = random_token();
            self.stage.keychain.store(SERVICE, USERNAME, &old);
            let output = program.run(arguments);
            assert_ne!(output.status.code(), Some(0), "{}", output.transcript());
            assert!(
                output.transcript().contains("INVALID_LOGIN"),
                "{}",
                output.transcript()
            );
            let logins = self.salesforce.logins();
            let last = logins.last().expect("a login");
            assert_eq!(last.password, format!("{PASSWORD}{old}"));
            self.expect_silence(&output);
        }
    }

    fn expect_account(output: &Output) {
        assert_eq!(
            output.stdout(),
            format!("001xx000003DGb2AAG {ACCOUNT_NAME}\n"),
            "{}",
            output.transcript()
        );
    }

    #[test]
    fn simple_salesforce_logs_in_with_the_keychain_alone() {
        let org = Org::new();
        let python = org.consumer(part("python/bin/python"), &[]);
        let file = folder().join("query_with_simple_salesforce.py");
        let file = file.to_str().expect("a path");
        let output = python.run([file, USERNAME, "test"]).expect_code(0);
        expect_account(&output);
        org.expect(&output, "test.salesforce.com", "/query/?q=SELECT");

        let output = python.run([file, "nobody@acme.example"]).expect_code(1);
        assert!(
            output.stderr().contains("has no salesforce-password"),
            "{}",
            output.transcript()
        );
        org.expect_refusal(&python, &[file, USERNAME]);
    }

    #[test]
    fn exec_shows_the_token_in_the_environment_of_the_program_and_nowhere_else() {
        let org = Org::new();
        let program = org.consumer(env!("CARGO_BIN_EXE_fetch-token").into(), &[]);
        let python = part("python/bin/python");
        let file = folder().join("query_with_simple_salesforce.py");
        let (python, file) = (python.to_str(), file.to_str());
        let running = program.spawn([
            "exec",
            USERNAME,
            "--",
            python.expect("a path"),
            file.expect("a path"),
            USERNAME,
        ]);
        let environment = format!("/proc/{}/environ", running.pid());
        expect_account(&running.wait().expect_code(0));
        assert_eq!(org.salesforce.logins()[0].exposed, [environment]);
    }

    #[test]
    fn jsforce_logs_in_with_the_keychain_alone() {
        let org = Org::new();
        let node = org
            .consumer(require("node", "nodejs"), &[])
            .env("NODE_PATH", part("node/node_modules"));
        let file = folder().join("query-with-jsforce.js");
        let file = file.to_str().expect("a path");
        let output = node.run([file, USERNAME]).expect_code(0);
        expect_account(&output);
        org.expect(&output, "login.salesforce.com", "/query?q=SELECT");

        let output = node.run([file, "nobody@acme.example"]).expect_code(1);
        assert!(
            output.stderr().contains("has no salesforce-password"),
            "{}",
            output.transcript()
        );
        org.expect_refusal(&node, &[file, USERNAME, "https://test.salesforce.com"]);
    }

    #[test]
    fn a_singer_tap_reads_its_configuration_from_a_pipe() {
        let org = Org::new();
        let tap = part("tap/bin/tap-salesforce");
        let folders = [tap.parent().expect("a folder").to_owned()];
        // A shell keeps a variable exported that comes so.
        let script = org
            .consumer(folder().join("tap-salesforce.sh"), &folders)
            .env("token", "another")
            .env("password", "another");
        let output = script.run([USERNAME, "--discover"]).expect_code(0);
        org.expect(
            &output,
            "login.salesforce.com",
            "/sobjects/Account/describe",
        );
        let catalog: serde_json::Value =
            serde_json::from_slice(&output.stdout).expect("a catalog in JSON");
        assert_eq!(catalog["streams"][0]["tap_stream_id"], "Account");
        let left = org
            .stage
            .keychain
            .home()
            .files_containing(org.token.as_bytes());
        assert!(left.is_empty(), "{left:?}");

        // Where there is no token the tap is not started.
        let output = script
            .run(["nobody@acme.example", "--discover"])
            .expect_code(8);
        assert_eq!(org.salesforce.logins().len(), 1, "{}", output.transcript());
        org.expect_refusal(&script, &[USERNAME, "--discover"]);
    }

    #[cfg(feature = "long-tests")]
    #[test]
    fn airflow_asks_the_keychain_for_its_connection() {
        let org = Org::new();
        let home = org.stage.keychain.home().path().join("airflow");
        let usernames = serde_json::json!({"usernames": {"salesforce_default": USERNAME}});
        let python = org
            .consumer(part("airflow/bin/python"), &[])
            .env("AIRFLOW_HOME", &home)
            .env("PYTHONPATH", folder())
            .env(
                "AIRFLOW__SECRETS__BACKEND",
                "airflow_keychain.KeychainBackend",
            )
            .env("AIRFLOW__SECRETS__BACKEND_KWARGS", usernames.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let file = folder().join("query_with_airflow.py");
        let file = file.to_str().expect("a path");
        let output = python.run([file]).expect_code(0);
        let found = format!("001xx000003DGb2AAG {ACCOUNT_NAME}\n");
        assert!(output.stdout().ends_with(&found), "{}", output.transcript());
        org.expect(&output, "login.salesforce.com", "/query/?q=SELECT");
        let left = org
            .stage
            .keychain
            .home()
            .files_containing(org.token.as_bytes());
        assert!(left.is_empty(), "{left:?}");
        org.expect_refusal(&python, &[file]);
    }
}
