//! Against a token endpoint that is a script, and a keychain in memory.

use super::{Grant, OAuth2, Place, Until};
use crate::account::oauth2::scripted::{Answer, Scripted};
use crate::account::oauth2::{ClientSecret, Error, Provider};
use crate::imap::Class;
use crate::keychain::{Keychain, MAILBOX_SERVICE};
use jiff::{SignedDuration, Timestamp};
use keyring_core::{CredentialStore, mock};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

const ADDRESS: &str = "me@acme.example";

impl Scripted {
    fn oauth2(&self) -> OAuth2 {
        OAuth2::by_client(self.client(&Provider::Google), None)
    }
}

/// A keychain that can be made to refuse what is put into it.
struct Chest {
    place: Place,
    refuses: Arc<AtomicBool>,
    _folder: TempDir,
}

impl Chest {
    async fn with(refresh: &str) -> Self {
        let store: Arc<CredentialStore> = mock::Store::new().expect("a mock store");
        let refuses = Arc::new(AtomicBool::new(false));
        let is_refusing = Arc::clone(&refuses);
        let keychain = Keychain::of(move || {
            if is_refusing.load(Ordering::SeqCst) {
                return Err(keyring_core::Error::NoStorageAccess("locked".into()));
            }
            Ok(Arc::clone(&store))
        });
        let folder = tempfile::tempdir().expect("a temp directory");
        let chest = Self {
            place: Place {
                address: ADDRESS.to_owned(),
                keychain,
                directory: folder.path().to_owned(),
            },
            refuses,
            _folder: folder,
        };
        chest.put(refresh).await;
        chest
    }

    async fn put(&self, refresh: &str) {
        let secret = SecretString::from(refresh);
        let put = self.place.keychain.keep(MAILBOX_SERVICE, ADDRESS, &secret);
        put.await.expect("stored");
    }

    async fn stored(&self) -> String {
        let stored = self.place.keychain.get(MAILBOX_SERVICE, ADDRESS).await;
        stored
            .expect("read")
            .expect("there")
            .expose_secret()
            .to_owned()
    }
}

fn shown(token: &SecretString) -> &str {
    token.expose_secret()
}

const FIRST: Answer = (
    200,
    r#"{"access_token":"a1","token_type":"Bearer","expires_in":3600,"refresh_token":"r1"}"#,
);
const SECOND: Answer = (
    200,
    r#"{"access_token":"a2","token_type":"Bearer","expires_in":3600,"refresh_token":"r2"}"#,
);
const REVOKED: Answer = (
    400,
    r#"{"error":"invalid_grant","error_description":"grant request is invalid"}"#,
);

#[tokio::test]
async fn a_token_serves_many_logins_and_the_new_refresh_token_is_stored_before() {
    let server = Scripted::start(&[FIRST, SECOND]).await;
    let chest = Chest::with("r0").await;
    let oauth2 = server.oauth2();
    for _ in 0..3 {
        let token = oauth2.token(&chest.place).await.expect("a token");
        assert_eq!(shown(&token), "a1");
        assert_eq!(chest.stored().await, "r1");
    }
    assert_eq!(server.offered(), ["r0"]);
    assert!(!oauth2.has_lapsed().await);
    assert!(!format!("{oauth2:?}").contains("a1"));
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_unless_it_was_new() {
    let server = Scripted::start(&[FIRST, SECOND]).await;
    let chest = Chest::with("r0").await;
    let oauth2 = server.oauth2();
    let first = oauth2.token(&chest.place).await.expect("a token");
    let renewed = oauth2
        .renewed(&first, &chest.place)
        .await
        .expect("no failure");
    assert!(renewed.is_none(), "it was new");
    oauth2.token(&chest.place).await.expect("the same");
    let renewed = oauth2
        .renewed(&first, &chest.place)
        .await
        .expect("no failure");
    assert_eq!(renewed.as_ref().map(shown), Some("a2"));
    // Another task whose older token was refused gets the one that is there.
    let renewed = oauth2
        .renewed(&first, &chest.place)
        .await
        .expect("no failure");
    assert_eq!(renewed.as_ref().map(shown), Some("a2"));
    assert_eq!(server.offered(), ["r0", "r1"]);
}

#[tokio::test]
async fn a_keychain_that_does_not_take_the_new_refresh_token_keeps_the_access_token_from_use() {
    let server = Scripted::start(&[FIRST, SECOND]).await;
    let chest = Chest::with("r0").await;
    let oauth2 = server.oauth2();
    chest.refuses.store(true, Ordering::SeqCst);
    // As if it had been locked after the old one was read.
    oauth2.held.lock().await.unsaved = Some(Grant {
        access: "a0".into(),
        lifetime: Duration::from_hours(1),
        refresh: Some("r9".into()),
    });
    let error = oauth2.token(&chest.place).await.expect_err("not stored");
    assert_eq!(error.class(), Class::Keychain, "{error}");
    assert!(server.offered().is_empty());
    chest.refuses.store(false, Ordering::SeqCst);
    assert_eq!(chest.stored().await, "r0");
    let token = oauth2.token(&chest.place).await.expect("a token");
    assert_eq!(
        (shown(&token), chest.stored().await),
        ("a1", "r1".to_owned())
    );
    assert_eq!(server.offered(), ["r9"], "what was granted is not lost");
}

#[tokio::test]
async fn a_grant_that_is_gone_names_the_command_and_is_tried_again_after_a_new_login() {
    let server = Scripted::start(&[REVOKED, FIRST]).await;
    let chest = Chest::with("r0").await;
    let oauth2 = server.oauth2();
    let error = oauth2.token(&chest.place).await.expect_err("revoked");
    assert_eq!(error.class(), Class::Login);
    assert_eq!(
        error.to_string(),
        "the authorization server 127.0.0.1 refuses: “invalid_grant: grant request is invalid”. Run `fetch-token login \
         me@acme.example`"
    );
    assert!(!oauth2.is_another(&chest.place).await);
    chest.put("r-new").await;
    assert!(oauth2.is_another(&chest.place).await);
    oauth2.token(&chest.place).await.expect("a token");
    assert_eq!(server.offered(), ["r0", "r-new"]);
}

#[tokio::test]
async fn two_at_once_refresh_once_in_a_process_and_one_after_the_other_between_processes() {
    let server = Scripted::start(&[FIRST, SECOND]).await;
    let chest = Chest::with("r0").await;
    let (one, other) = (server.oauth2(), server.oauth2());
    let (first, same, another) = tokio::join!(
        one.token(&chest.place),
        one.token(&chest.place),
        other.token(&chest.place)
    );
    let tokens = [first, same, another].map(|token| shown(&token.expect("a token")).to_owned());
    assert_eq!(tokens[0], tokens[1]);
    assert_ne!(tokens[0], tokens[2]);
    assert_eq!(server.offered(), ["r0", "r1"], "none is used twice");
    assert_eq!(chest.stored().await, "r2");
}

#[tokio::test]
async fn who_goes_away_in_the_middle_loses_nothing() {
    let server = Scripted::start(&[FIRST]).await;
    let chest = Chest::with("r0").await;
    let oauth2 = server.oauth2();
    let soon = Duration::from_millis(1);
    assert!(
        tokio::time::timeout(soon, oauth2.token(&chest.place))
            .await
            .is_err()
    );
    super::settled(Duration::from_secs(10)).await;
    let token = oauth2.token(&chest.place).await.expect("a token");
    assert_eq!(
        (shown(&token), chest.stored().await),
        ("a1", "r1".to_owned())
    );
    assert_eq!(server.offered(), ["r0"]);
}

#[tokio::test]
async fn what_passes_is_no_refused_login() {
    for answer in [
        &[(503, "")],
        &[(200, "<html>")],
        &[(200, r#"{"access_token":"a\u0001b","token_type":"bearer"}"#)],
        &[(200, r#"{"access_token":"geheim1","token_type":"mac"}"#)],
        &[(200, r#"{"access_token":"geheim1"}"#)],
        &[(400, r#"{"error":"temporarily_unavailable"}"#)],
    ] as [&'static [Answer]; 6]
    {
        let server = Scripted::start(answer).await;
        let chest = Chest::with("r0").await;
        let error = server
            .oauth2()
            .token(&chest.place)
            .await
            .expect_err("no token");
        assert_eq!(error.class(), Class::Passing, "{answer:?}: {error}");
        assert!(
            !format!("{error} {error:?}").contains("geheim"),
            "{error:?}"
        );
        assert_eq!(chest.stored().await, "r0");
    }
}

// The command that says something else each time is every Unix's.
#[cfg(unix)]
#[tokio::test]
async fn a_command_is_asked_at_each_login() {
    let chest = Chest::with("unused").await;
    let command = |words: &[&str]| {
        OAuth2::by_command(words.iter().map(|&word| word.to_owned()).collect(), None)
    };
    let oauth2 = command(&["date", "+%N"]);
    let first = oauth2.token(&chest.place).await.expect("a token");
    let second = oauth2.token(&chest.place).await.expect("a token");
    assert_ne!(shown(&first), shown(&second));
    assert!(oauth2.is_another(&chest.place).await);
    assert!(
        oauth2
            .renewed(&second, &chest.place)
            .await
            .expect("no failure")
            .is_none()
    );
    for (words, said) in [
        (&["echo", "two words"][..], "no access token"),
        (&["true"], "printed nothing"),
        (&["false"], "failed"),
        (&["/no/such/program"], "cannot be started"),
    ] {
        let error = command(words)
            .token(&chest.place)
            .await
            .expect_err("no token");
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(error.class(), Class::Login);
    }
}

#[tokio::test]
async fn a_secret_of_the_client_goes_where_the_provider_wants_it() {
    let server = Scripted::start(&[FIRST]).await;
    let chest = Chest::with("r0").await;
    let mut client = server.client(&Provider::Google);
    client.secret = Some(ClientSecret::Public("s3cret".into()));
    let oauth2 = OAuth2::by_client(client, None);
    oauth2.token(&chest.place).await.expect("a token");
    let asked = server.asked().concat();
    assert!(asked.contains("client_secret=s3cret"), "{asked}");
    let mut client = server.client(&Provider::Google);
    client.secret = Some(ClientSecret::Keychain);
    let error = OAuth2::by_client(client, None).token(&chest.place).await;
    let error = error.expect_err("it is not there");
    assert!(
        matches!(&error, Error::Secret(what) if what.contains("fetch-token-client")),
        "{error}"
    );
}

#[test]
fn tokens_are_renewed_early_and_by_whichever_clock_gets_there_first() {
    let (ticking, wall) = (Instant::now(), Timestamp::UNIX_EPOCH);
    for (lifetime, usable) in [
        (3600, 3300),
        (600, 540),
        (10, 9),
        (0, 0),
        (u64::MAX, 86_400 - 300),
    ] {
        let until = Until::renewal(Duration::from_secs(lifetime), ticking, wall);
        let after = |seconds: u64, slept: i64| {
            let ticked = ticking + Duration::from_secs(seconds);
            let turned = i64::try_from(seconds).expect("some hours") + slept;
            until.is_past(ticked, wall + SignedDuration::from_secs(turned))
        };
        assert!(after(usable, 0), "{lifetime}");
        if usable > 0 {
            assert!(!after(usable - 1, 0), "{lifetime}");
            assert!(after(usable - 1, 1), "{lifetime}: the machine slept");
            assert!(
                after(usable, -1_000_000),
                "{lifetime}: the clock was set back"
            );
        }
    }
}

#[tokio::test]
async fn what_a_person_granted_is_stored_and_serves_the_first_login() {
    let server = Scripted::start(&[SECOND]).await;
    let chest = Chest::with("of an earlier login").await;
    let oauth2 = server.oauth2();
    let granted = |refresh: Option<&str>| Grant {
        access: "a0".into(),
        lifetime: Duration::from_hours(1),
        refresh: refresh.map(SecretString::from),
    };
    let error = oauth2.keep(granted(None), &chest.place).await;
    assert!(matches!(error, Err(Error::NoRefreshToken(_))), "{error:?}");
    let kept = oauth2.keep(granted(Some("r0")), &chest.place).await;
    kept.expect("stored");
    assert_eq!(chest.stored().await, "r0");
    let token = oauth2.token(&chest.place).await.expect("a token");
    assert_eq!(shown(&token), "a0");
    assert!(server.asked().is_empty());
}
