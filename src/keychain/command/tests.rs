use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};

use super::super::store::{Item, Store as _, Terms, Written};
use super::super::{Error, Stamp, TOKEN_SERVICE};
use super::{Commands, Settings, Sign, Store};

const OLD: &str = "AbCdEfGh12345678IjKlMnOp";
const NEW: &str = "ZyXwVuTs87654321RqPoNmLk";

fn item(username: &str) -> Item {
    Item {
        service: TOKEN_SERVICE,
        account: username.to_owned(),
    }
}

fn etl() -> Item {
    item("etl@acme.example")
}

fn sh(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
}

fn store(commands: Commands) -> Store {
    Store::new(Arc::new(Settings::check(commands).expect("good commands")))
}

fn stamp(second: u32, identity: char) -> Stamp {
    let date = format!("2026-11-24T10:00:{second:02}Z");
    let identity = identity.to_string().repeat(64);
    Stamp::new(
        date.parse().expect("a time"),
        identity.parse().expect("an identity"),
        None,
    )
}

/// A file for each username, in this folder.
fn of_files(folder: &Path) -> Commands {
    let file = format!("{}/{{username}}", folder.display());
    Commands {
        write: sh(&format!("cat > '{file}'")),
        read: sh(&format!("test -e '{file}' || exit 4; cat '{file}'")),
        delete: Some(sh(&format!("test -e '{file}' || exit 4; rm '{file}'"))),
        absent: Some(Sign::Status(4)),
        ..Commands::default()
    }
}

async fn read(store: &Store) -> Result<Option<String>, Error> {
    let token = store.read(&etl()).await?;
    Ok(token.map(|token| token.expose_secret().to_owned()))
}

#[tokio::test]
async fn what_is_put_can_be_read_and_deleted() {
    let folder = tempfile::tempdir().expect("a temp directory");
    let store = store(of_files(folder.path()));
    assert_eq!(read(&store).await.expect("read"), None);
    assert!(!store.delete(&etl()).await.expect("absent"));
    let terms = Terms::IfLater(stamp(1, 'a'));
    let written = store.write(&etl(), &OLD.into(), &terms).await;
    assert_eq!(written.expect("written"), Written::Kept);
    assert_eq!(read(&store).await.expect("read").as_deref(), Some(OLD));
    let file = std::fs::read_to_string(folder.path().join("etl@acme.example"));
    assert_eq!(file.expect("a file"), OLD, "the token and nothing else");
    assert!(store.delete(&etl()).await.expect("deleted"));
    assert_eq!(read(&store).await.expect("read"), None);
}

#[tokio::test]
async fn the_token_goes_in_by_standard_input_alone_and_the_facts_by_arguments_and_environment() {
    let folder = tempfile::tempdir().expect("a temp directory");
    let out = folder.path().display();
    let mut commands = of_files(folder.path());
    commands.write = sh(&format!(
        "tee {out}/etl@acme.example > {out}/stdin; env > {out}/env; tr '\\0' '\\n' < /proc/$$/cmdline > {out}/argv"
    ));
    commands.write.extend(
        [
            "--",
            "{username}|{username:hash}",
            "{date}|{identity}",
            "{stamp}",
        ]
        .map(str::to_owned),
    );
    let store = store(commands);
    let stamp = stamp(1, 'a');
    let terms = Terms::IfLater(stamp.clone());
    let written = store.write(&etl(), &OLD.into(), &terms).await;
    assert_eq!(written.expect("written"), Written::Kept);
    let said = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("written");
    assert_eq!(said("stdin"), OLD);
    let (env, argv) = (said("env"), said("argv"));
    assert!(!env.contains(OLD) && !argv.contains(OLD));
    let identity = "a".repeat(64);
    for line in [
        "FETCH_TOKEN_USERNAME=etl@acme.example".to_owned(),
        "FETCH_TOKEN_DATE=2026-11-24T10:00:01Z".to_owned(),
        format!("FETCH_TOKEN_IDENTITY={identity}"),
        format!("FETCH_TOKEN_STAMP={stamp}"),
    ] {
        assert!(env.lines().any(|known| known == line), "{line}: {env}");
    }
    assert!(!env.contains("FETCH_TOKEN_REVISION"), "it is not known");
    let last: Vec<_> = argv.lines().rev().take(3).collect();
    assert_eq!(
        last,
        [
            stamp.to_string(),
            format!("2026-11-24T10:00:01Z|{identity}"),
            "etl@acme.example|86611b5d4c6cc47d4882614768e4b806".to_owned(),
        ]
    );
}

#[tokio::test]
async fn nothing_there_a_token_and_a_failure_are_told_apart() {
    let reading = |script: &str, absent| {
        let folder = Path::new("/nowhere");
        store(Commands {
            read: sh(script),
            absent,
            ..of_files(folder)
        })
    };
    let four = Some(Sign::Status(4));
    let words = Some(Sign::Words(vec!["gone".to_owned(), "not found".to_owned()]));
    for (script, absent, expected) in [
        (format!("echo {OLD}"), None, Ok(Some(OLD))),
        (format!("printf '{OLD}\\r\\n'"), None, Ok(Some(OLD))),
        ("true".to_owned(), None, Ok(None)),
        ("echo".to_owned(), None, Ok(None)),
        ("exit 4".to_owned(), four.clone(), Ok(None)),
        (
            "echo 'x: not found' >&2; exit 1".to_owned(),
            words.clone(),
            Ok(None),
        ),
        (
            "exit 5".to_owned(),
            four,
            Err("refuses: its read command \"/bin/sh\" failed (exit status: 5)"),
        ),
        (
            "echo no >&2; exit 1".to_owned(),
            words.clone(),
            Err("failed (exit status: 1): \"no\""),
        ),
        (
            "echo x: not found; exit 1".to_owned(),
            words,
            Err("failed (exit status: 1)"),
        ),
        (
            format!("echo {OLD}; echo {OLD}"),
            None,
            Err("something that is no token"),
        ),
        (
            "echo hunter2".to_owned(),
            None,
            Err("something that is no token"),
        ),
        (
            format!("printf '{OLD} '"),
            None,
            Err("something that is no token"),
        ),
        (
            "yes | head -c 100000".to_owned(),
            None,
            Err("something that is no token"),
        ),
        (
            "kill -9 $$".to_owned(),
            None,
            Err("failed (signal: 9 (SIGKILL))"),
        ),
    ] {
        let read = read(&reading(&script, absent)).await;
        match (read, expected) {
            (Ok(token), Ok(expected)) => assert_eq!(token.as_deref(), expected, "{script}"),
            (Err(error), Err(expected)) => {
                let error = error.to_string();
                assert!(error.contains(expected), "{script}: {error}");
                assert!(
                    !error.contains("hunter2") && !error.contains(OLD),
                    "{error}"
                );
            }
            (read, _) => panic!("{script}: {read:?}"),
        }
    }
    let mut commands = of_files(Path::new("/nowhere"));
    commands.read = vec!["/no/such/program".to_owned()];
    let error = read(&store(commands)).await.expect_err("no program");
    assert!(error.to_string().contains("cannot be run"), "{error}");
}

#[tokio::test]
async fn what_it_says_is_quoted_without_the_token_and_cannot_forge_a_line() {
    let folder = tempfile::tempdir().expect("a temp directory");
    let store = store(Commands {
        name: Some("Vault".to_owned()),
        write: sh("printf 'sealed\\nerror: \\033[2Jgot %s\\n' $(cat) >&2; exit 2"),
        ..of_files(folder.path())
    });
    let terms = Terms::IfLater(stamp(1, 'a'));
    let error = store.write(&etl(), &OLD.into(), &terms).await;
    assert_eq!(
        error.expect_err("refused").to_string(),
        "the keychain (command store Vault) refuses: its write command \"/bin/sh\" failed (exit status: 2): \
         \"sealed / error: \\u{1b}[2Jgot [the token]\". Unlock the store, or run the command by hand to see what is \
         wrong"
    );
}

#[tokio::test]
async fn a_command_that_hangs_is_ended_with_all_it_started_and_stops_nobody_else() {
    let folder = tempfile::tempdir().expect("a temp directory");
    let pid = folder.path().join("pid");
    let store = store(Commands {
        write: sh(&format!(
            "(sh -c 'echo $PPID' > {}; sleep 60) & wait",
            pid.display()
        )),
        deadline: Some(Duration::from_millis(300)),
        ..of_files(folder.path())
    });
    let begin = Instant::now();
    let (token, terms, item) = (OLD.into(), Terms::IfLater(stamp(1, 'a')), etl());
    let mut turns = 0;
    let mut write = store.write(&item, &token, &terms);
    let error = loop {
        tokio::select! {
            written = &mut write => break written.expect_err("it hangs"),
            () = tokio::time::sleep(Duration::from_millis(10)) => turns += 1,
        }
    };
    assert!(
        error.to_string().contains("was ended, for it took longer"),
        "{error}"
    );
    assert!(turns > 10, "the runtime goes on: {turns}");
    assert!(begin.elapsed() < Duration::from_secs(5));
    let pid = std::fs::read_to_string(pid).expect("its id");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    assert!(!stat.is_ok_and(|stat| !stat.contains(") Z ")), "it runs on");
}

#[tokio::test]
async fn without_a_delete_command_forgetting_says_so_and_trying_writes_nothing() {
    let folder = tempfile::tempdir().expect("a temp directory");
    let store = store(Commands {
        delete: None,
        ..of_files(folder.path())
    });
    let error = store.delete(&etl()).await.expect_err("it cannot");
    assert!(error.to_string().contains("no `delete` command"), "{error}");
    store.probe(&etl(), &OLD.into()).await.expect("it reads");
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("a folder").count(),
        0
    );
}

/// A store with check-and-set, as Vault's: every write makes a file with the next number, or fails with 3.
fn with_revisions(folder: &Path) -> Commands {
    let cd = format!("cd '{}'", folder.display());
    let last =
        format!("{cd}; n=$(ls | grep -x '[0-9]*' | sort -n | tail -n 1); test \"$n\" || exit 4");
    Commands {
        write: sh(&format!(
            "{cd}; t=$(mktemp); {{ echo \"$FETCH_TOKEN_STAMP\"; cat; }} > $t; ln $t $(({{revision}} + 1)) 2> /dev/null \
             || exit 3"
        )),
        read: sh(&format!("{last}; tail -n +2 $n")),
        stamp: Some(sh(&format!("{last}; head -n 1 $n; echo $n"))),
        absent: Some(Sign::Status(4)),
        conflict: Some(Sign::Status(3)),
        ..Commands::default()
    }
}

#[tokio::test]
async fn newer_wins_in_the_store_where_it_carries_stamps() {
    let folder = tempfile::tempdir().expect("a temp directory");
    let store = store(with_revisions(folder.path()));
    let put = async |token: &str, terms| {
        store
            .write(&etl(), &token.into(), &terms)
            .await
            .expect("no error")
    };
    let later = |stamp| Terms::IfLater(stamp);
    assert_eq!(put(OLD, later(stamp(5, 'a'))).await, Written::Kept);
    assert_eq!(put(OLD, later(stamp(5, 'a'))).await, Written::Already);
    assert_eq!(put(NEW, later(stamp(4, 'b'))).await, Written::Later);
    assert_eq!(put(NEW, later(stamp(5, 'b'))).await, Written::Tied);
    assert_eq!(read(&store).await.expect("read").as_deref(), Some(OLD));
    // The same mail, but what lies there is not its token: somebody was cut off between the two.
    assert_eq!(put(NEW, later(stamp(5, 'a'))).await, Written::Kept);
    assert_eq!(put(OLD, later(stamp(6, 'c'))).await, Written::Kept);
    // A person insists on an older one.
    assert_eq!(
        put(NEW, Terms::Anyhow(Some(stamp(1, 'd')))).await,
        Written::Kept
    );
    assert_eq!(put(OLD, later(stamp(2, 'e'))).await, Written::Kept);
    // What has no stamp may be replaced.
    std::fs::write(folder.path().join("99"), format!("\n{NEW}")).expect("write");
    assert_eq!(put(OLD, later(stamp(1, 'f'))).await, Written::Kept);
    assert!(folder.path().join("100").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_check_and_set_an_older_token_never_follows_a_newer_one() {
    let folder = tempfile::tempdir().expect("a temp directory");
    let store = Arc::new(store(with_revisions(folder.path())));
    let writers = [3, 1, 5, 2, 4, 5].map(|second| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let token = SecretString::from(format!("AbCdEfGh12345678IjKlMn{second:02}"));
            let identity = char::from_digit(second, 10).expect("a digit");
            let terms = Terms::IfLater(stamp(second, identity));
            store.write(&etl(), &token, &terms).await
        })
    });
    let mut written = Vec::new();
    for writer in writers {
        written.push(writer.await.expect("no panic").expect("no error"));
    }
    assert!(
        matches!(written[2], Written::Kept | Written::Already),
        "{written:?}"
    );
    let stamps = (1..).map_while(|revision| {
        let text = std::fs::read_to_string(folder.path().join(revision.to_string())).ok()?;
        text.lines().next().map(str::to_owned)
    });
    let stamps: Vec<_> = stamps.collect();
    assert!(stamps.is_sorted_by(|one, next| one < next), "{stamps:#?}");
    assert_eq!(stamps.last(), Some(&stamp(5, '5').to_string()));
}

#[tokio::test]
async fn a_revision_that_could_be_an_option_is_not_passed_on() {
    let folder = tempfile::tempdir().expect("a temp directory");
    for printed in ["printf '\\n-1\\n'", "echo; echo 1 2", "echo x"] {
        let store = store(Commands {
            stamp: Some(sh(printed)),
            ..with_revisions(folder.path())
        });
        let terms = Terms::IfLater(stamp(1, 'a'));
        let error = store.write(&etl(), &OLD.into(), &terms).await;
        let error = error.expect_err("no revision").to_string();
        assert!(error.contains("no revision"), "{printed}: {error}");
    }
}
