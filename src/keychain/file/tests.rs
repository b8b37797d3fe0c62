use super::{Key, Settings, Store};
use crate::asked::Typed;
use crate::keychain::store::{Item, Store as _, Terms, Written};
use crate::keychain::{Error, MAILBOX_SERVICE, Stamp, TOKEN_SERVICE};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

const TOKEN: &str = "AbCdEfGh12345678IjKlMnOp";

/// What reads a command, as each platform has it.
const SHELL: [&str; 2] = if cfg!(windows) {
    ["cmd", "/c"]
} else {
    ["sh", "-c"]
};

/// The passphrase that a shell's command prints.
fn by_command(words: &[&str]) -> Key {
    let [shell, takes] = SHELL;
    let words = words.join(" ");
    Key::Command([shell, takes, &words].map(str::to_owned).to_vec())
}

fn item(account: &str) -> Item {
    Item {
        service: TOKEN_SERVICE,
        account: account.to_owned(),
    }
}

/// A file and a key that are not there yet, in folders that are not either.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temp directory");
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("state/secrets.age")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("keys/key.txt")
    }

    fn store(&self) -> Store {
        self.store_by(Key::Identity(self.key()))
    }

    fn store_by(&self, key: Key) -> Store {
        Store::new(Settings {
            path: self.file(),
            key,
        })
    }

    /// One that holds a token already.
    async fn filled() -> Self {
        let bench = Self::new();
        put(&bench.store(), "a@b.example", TOKEN).await;
        bench
    }
}

async fn write(store: &Store, account: &str, secret: &str) -> Result<Written, Error> {
    let (item, secret) = (item(account), SecretString::from(secret));
    store.write(&item, &secret, &Terms::Anyhow(None)).await
}

async fn put(store: &Store, account: &str, secret: &str) {
    let written = write(store, account, secret).await;
    assert_eq!(written.expect("written"), Written::Kept);
}

async fn get(store: &Store, account: &str) -> Result<Option<String>, Error> {
    let read = store.read(&item(account)).await?;
    Ok(read.map(|secret| secret.expose_secret().to_owned()))
}

fn stamp(second: u8, identity: char) -> Stamp {
    stamp_of(second, &identity.to_string().repeat(64))
}

fn stamp_of(second: u8, identity: &str) -> Stamp {
    Stamp::new(
        format!("2026-11-24T10:00:{second:02}Z")
            .parse()
            .expect("a time"),
        identity.parse().expect("a hash"),
        None,
    )
}

#[cfg(unix)]
fn mode(file: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    let found = std::fs::metadata(file).expect("it is there");
    found.permissions().mode() & 0o777
}

#[cfg(unix)]
fn set_mode(file: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let wanted = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(file, wanted).expect("ours");
}

#[tokio::test]
async fn what_is_written_is_read_again_replaced_and_deleted_item_by_item() {
    let bench = Bench::new();
    let store = bench.store();
    assert_eq!(get(&store, "a@b.example").await.expect("read"), None);
    assert!(!store.delete(&item("a@b.example")).await.expect("absent"));
    put(&store, "a@b.example", TOKEN).await;
    let password = SecretString::from("\"quoted\\\u{1f511} \u{7}\n");
    let mailbox = Item {
        service: MAILBOX_SERVICE,
        account: "a@b.example".to_owned(),
    };
    let kept = store.write(&mailbox, &password, &Terms::Anyhow(None)).await;
    assert_eq!(kept.expect("written"), Written::Kept);

    let again = bench.store();
    let token = get(&again, "a@b.example").await.expect("read");
    assert_eq!(token.as_deref(), Some(TOKEN));
    let read = again.read(&mailbox).await.expect("read").expect("there");
    assert_eq!(read.expose_secret(), password.expose_secret());
    put(&again, "a@b.example", "another").await;
    let token = get(&store, "a@b.example").await.expect("read");
    assert_eq!(token.as_deref(), Some("another"));
    assert!(again.delete(&item("a@b.example")).await.expect("there"));
    assert!(!again.delete(&item("a@b.example")).await.expect("absent"));
    assert!(store.read(&mailbox).await.expect("read").is_some());
}

#[tokio::test]
#[cfg(unix)]
async fn the_key_is_made_with_the_first_secret_and_both_files_are_for_their_owner_alone() {
    let bench = Bench::new();
    let store = bench.store();
    get(&store, "a@b.example").await.expect("read");
    assert!(!bench.key().exists(), "nothing is made by reading");
    put(&store, "a@b.example", TOKEN).await;
    assert_eq!((mode(&bench.key()), mode(&bench.file())), (0o600, 0o600));
    let folder = bench.file().parent().expect("a folder").to_owned();
    assert_eq!(mode(&folder), 0o700);
    let key = std::fs::read_to_string(bench.key()).expect("a text");
    assert!(key.contains("\nAGE-SECRET-KEY-1") && key.contains("# public key: age1"));
    let notice = format!("Made the key {}.", bench.key().display());
    let notices = crate::keychain::notices::take();
    assert!(
        notices.iter().any(|left| left.starts_with(&notice)),
        "{notices:?}"
    );
    // Nothing of it is legible, and its length does not tell whether another came.
    let octets = std::fs::read(bench.file()).expect("the file");
    for word in [TOKEN, "a@b.example", TOKEN_SERVICE, "QWJDZEVm"] {
        let found = octets
            .windows(word.len())
            .any(|part| part == word.as_bytes());
        assert!(!found, "{word}");
    }
    put(&store, "c@d.example", TOKEN).await;
    let longer = std::fs::read(bench.file()).expect("the file");
    // age puts a line of random length into the head.
    let difference = octets.len().abs_diff(longer.len());
    assert!(difference < 1024, "{difference}");
}

#[tokio::test]
#[cfg(unix)]
async fn a_key_that_others_may_read_is_not_used() {
    let bench = Bench::filled().await;
    for (found, shown) in [(0o644, "0644"), (0o640, "0640"), (0o602, "0602")] {
        set_mode(&bench.key(), found);
        let error = get(&bench.store(), "a@b.example").await.expect_err(shown);
        let said = error.to_string();
        assert!(matches!(error, Error::Sealed { .. }), "{error:?}");
        assert!(
            said.contains(&format!("(mode {shown}). Take that away: chmod 600 ")),
            "{said}"
        );
    }
    set_mode(&bench.key(), 0o400);
    assert!(
        get(&bench.store(), "a@b.example")
            .await
            .expect("read")
            .is_some()
    );
}

#[tokio::test]
async fn a_key_that_is_gone_is_asked_for_and_no_new_one_is_made_over_what_is_stored() {
    let bench = Bench::filled().await;
    let before = std::fs::read(bench.file()).expect("the file");
    std::fs::remove_file(bench.key()).expect("remove");
    let store = bench.store();
    let written = write(&store, "c@d.example", TOKEN);
    let error = written.await.expect_err("no key").to_string();
    assert!(error.contains("is not there. Put it back"), "{error}");
    assert!(!bench.key().exists());
    assert_eq!(std::fs::read(bench.file()).expect("the file"), before);
}

#[tokio::test]
async fn another_key_opens_nothing_and_changes_nothing() {
    let bench = Bench::filled().await;
    let before = std::fs::read(bench.file()).expect("the file");
    let other = Bench::filled().await;
    let by = |key| bench.store_by(key);
    let passphrase = by_command(&["echo", "wrong"]);
    for (key, words) in [
        (Key::Identity(other.key()), "does not open it. Name the key"),
        (passphrase, "the passphrase does not open it"),
    ] {
        let store = by(key);
        let error = get(&store, "a@b.example").await.expect_err("another key");
        assert!(error.to_string().contains(words), "{error}");
        let written = write(&store, "c@d.example", TOKEN);
        written.await.expect_err("another key");
        store
            .delete(&item("a@b.example"))
            .await
            .expect_err("another key");
    }
    assert_eq!(std::fs::read(bench.file()).expect("the file"), before);
}

#[tokio::test]
async fn a_file_that_is_cut_changed_or_anothers_is_an_error_and_is_left_alone() {
    let bench = Bench::filled().await;
    let sound = std::fs::read(bench.file()).expect("the file");
    let store = bench.store();
    let mut flipped = sound.clone();
    *flipped.last_mut().expect("octets") ^= 1;
    let mut longer = sound.clone();
    longer.push(0);
    let key = std::fs::read_to_string(bench.key()).expect("the key");
    let key: age::x25519::Identity = key.lines().last().expect("a line").parse().expect("a key");
    let anothers =
        age::encrypt(&key.to_public(), b"{\"schema\":1,\"users\":[]}").expect("encrypted");
    let later = age::encrypt(&key.to_public(), b"{\"schema\":2,\"items\":[]}").expect("encrypted");
    let mut damaged = vec![
        (Vec::new(), "cut short"),
        (b"a text\n".to_vec(), "no age file"),
        (flipped, "cut short or changed"),
        (longer, "cut short or changed"),
        (anothers, "not written by fetch-token"),
        (later, "a later version"),
    ];
    for part in 1..20 {
        damaged.push((sound[..sound.len() * part / 20].to_vec(), "cut short"));
    }
    for end in [5, 30, 100, 150, 180] {
        damaged.push((sound[..end].to_vec(), ""));
    }
    for (octets, words) in damaged {
        std::fs::write(bench.file(), &octets).expect("write");
        let error = get(&store, "a@b.example").await.expect_err(words);
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        let said = error.to_string();
        assert!(
            said.contains(words) && said.contains("Nothing was changed"),
            "{said}"
        );
        assert!(!said.contains(TOKEN), "{said}");
        let written = write(&store, "c@d.example", TOKEN);
        written.await.expect_err(words);
        assert_eq!(std::fs::read(bench.file()).expect("the file"), octets);
    }
    std::fs::write(bench.file(), &sound).expect("write");
    assert!(get(&store, "a@b.example").await.expect("read").is_some());
}

#[tokio::test]
async fn what_is_no_age_identity_is_no_key() {
    let bench = Bench::filled().await;
    let sound = std::fs::read_to_string(bench.key()).expect("the key");
    for (text, words) in [
        ("# nothing\n\n".to_owned(), "holds no identity"),
        (
            "ssh-ed25519 AAAA\n".to_owned(),
            "holds something that is no age identity",
        ),
        (
            format!("{sound}AGE-SECRET-KEY-1QQQ\n"),
            "holds something that is no age identity",
        ),
        ("#".repeat(70_000), "is too long"),
    ] {
        std::fs::write(bench.key(), &text).expect("write");
        let error = get(&bench.store(), "a@b.example").await.expect_err(words);
        let said = error.to_string();
        assert!(
            said.contains(words) && said.contains("age-keygen"),
            "{said}"
        );
        assert!(!said.contains("QQQ") && !said.contains("AAAA"), "{said}");
    }
}

#[tokio::test]
async fn several_keys_open_it_each_so_that_one_can_be_replaced_by_another() {
    let bench = Bench::filled().await;
    let old = std::fs::read_to_string(bench.key()).expect("the key");
    let new = Bench::filled().await;
    let new = std::fs::read_to_string(new.key()).expect("the key");
    std::fs::write(bench.key(), format!("{old}{new}")).expect("write");
    put(&bench.store(), "c@d.example", TOKEN).await;
    for key in [&old, &new] {
        std::fs::write(bench.key(), key).expect("write");
        let token = get(&bench.store(), "a@b.example").await.expect("read");
        assert_eq!(token.as_deref(), Some(TOKEN));
    }
}

#[tokio::test]
async fn newer_wins_by_the_stamp_that_lies_beside() {
    let bench = Bench::new();
    let (store, user) = (bench.store(), item("a@b.example"));
    let stamped = async |secret: &str, stamp: Stamp| {
        let secret = SecretString::from(secret);
        let written = store.write(&user, &secret, &Terms::IfLater(stamp)).await;
        written.expect("no error")
    };
    assert_eq!(stamped("first", stamp(5, 'a')).await, Written::Kept);
    assert_eq!(stamped("older", stamp(4, 'b')).await, Written::Later);
    assert_eq!(stamped("first", stamp(5, 'a')).await, Written::Already);
    assert_eq!(stamped("tied", stamp(5, 'b')).await, Written::Tied);
    assert_eq!(stamped("newer", stamp(6, 'b')).await, Written::Kept);
    // The same mail's token was changed by somebody: it is put right.
    put(&store, "a@b.example", "by hand").await;
    assert_eq!(
        stamped("older", stamp(4, 'b')).await,
        Written::Kept,
        "no stamp"
    );
    let token = get(&store, "a@b.example").await.expect("read");
    assert_eq!(token.as_deref(), Some("older"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_writers_none_is_lost_and_the_newest_wins() {
    const WRITERS: u8 = 50;
    let bench = Arc::new(Bench::new());
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        // Not in their order, each with a handle of its own, as another process has.
        let second = u8::try_from(u16::from(number) * 7 % u16::from(WRITERS)).expect("small");
        let identity = format!("{second:064x}");
        let (shared, alone) = (bench.store(), bench.store());
        writers.push(tokio::spawn(async move {
            let secret = SecretString::from(format!("token{second}"));
            let terms = Terms::IfLater(stamp_of(second, &identity));
            shared
                .write(&item("shared@b.example"), &secret, &terms)
                .await
        }));
        writers.push(tokio::spawn(async move {
            let secret = SecretString::from(format!("token{second}"));
            let user = item(&format!("user{second}@b.example"));
            alone.write(&user, &secret, &Terms::Anyhow(None)).await
        }));
    }
    for writer in writers {
        let written = writer.await.expect("no panic").expect("no error");
        assert!(
            matches!(written, Written::Kept | Written::Later),
            "{written:?}"
        );
    }
    let store = bench.store();
    let newest = get(&store, "shared@b.example").await.expect("read");
    assert_eq!(newest, Some(format!("token{}", WRITERS - 1)));
    for number in 0..WRITERS {
        let token = get(&store, &format!("user{number}@b.example")).await;
        assert_eq!(token.expect("read"), Some(format!("token{number}")));
    }
}

#[tokio::test]
async fn a_passphrase_is_what_a_command_prints() {
    let bench = Bench::new();
    let by = |word: &str| bench.store_by(by_command(&["echo", word]));
    put(&by("sesame"), "a@b.example", TOKEN).await;
    let token = get(&by("sesame"), "a@b.example").await.expect("read");
    assert_eq!(token.as_deref(), Some(TOKEN));
    let failing = bench.store_by(by_command(&["exit", "1"]));
    let error = get(&failing, "a@b.example")
        .await
        .expect_err("no passphrase");
    assert!(
        error
            .to_string()
            .contains(&format!("the passphrase command \"{}\" failed", SHELL[0])),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_is_asked_where_nobody_sits() {
    let bench = Bench::new();
    let store = bench.store_by(Key::Prompt(Arc::new(Typed::default())));
    // Nothing is stored, so nothing needs to be opened.
    assert_eq!(get(&store, "a@b.example").await.expect("read"), None);
    let written = write(&store, "a@b.example", TOKEN);
    let error = written.await.expect_err("no terminal").to_string();
    assert!(
        error.contains("there is no terminal to ask for its passphrase on"),
        "{error}"
    );
    assert!(!bench.file().exists());
}

#[tokio::test]
async fn who_holds_the_file_for_long_is_an_error_that_says_so_and_readers_do_not_wait() {
    let bench = Bench::filled().await;
    let lock = std::fs::File::open(bench.file().with_extension("age.lock")).expect("a lock");
    lock.lock().expect("free");
    tokio::time::pause();
    let store = bench.store();
    let written = write(&store, "a@b.example", "another");
    let error = written.await.expect_err("held").to_string();
    assert!(
        error.contains("another process has held it for 30 s"),
        "{error}"
    );
    tokio::time::resume();
    let token = get(&store, "a@b.example").await.expect("read");
    assert_eq!(token.as_deref(), Some(TOKEN));
}

#[tokio::test]
async fn a_place_that_cannot_be_written_to_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().expect("a temp directory");
    std::fs::write(folder.path().join("state"), "in the way").expect("write");
    let store = Store::new(Settings {
        path: folder.path().join("state/secrets.age"),
        key: Key::Identity(folder.path().join("key.txt")),
    });
    let written = write(&store, "a@b.example", TOKEN);
    let error = written.await.expect_err("no room");
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    let said = error.to_string();
    assert!(
        said.contains("state/secrets.age") && said.contains("Check that its directory"),
        "{said}"
    );
}
