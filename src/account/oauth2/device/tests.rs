use super::Invitation;
use crate::account::oauth2::scripted::{Answer, Scripted};
use crate::account::oauth2::{Error, Grant, Provider};
use crate::imap::Class;
use crate::keychain::{Keychain, Settings};
use secrecy::ExposeSecret as _;
use std::time::Duration;

const INVITATION: Answer = (
    200,
    r#"{"device_code":"d","user_code":"ABCD-EFGH","verification_uri":"https://acme.example/device","expires_in":900,"interval":1}"#,
);
const PENDING: Answer = (400, r#"{"error":"authorization_pending"}"#);
const GRANTED: Answer = (
    200,
    r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r"}"#,
);

async fn by_device(
    answers: &'static [Answer],
) -> (Result<Grant, Error>, Option<Invitation>, Vec<String>) {
    let server = Scripted::start(answers).await;
    let mut shown = None;
    let granted = server
        .client(&Provider::Microsoft)
        .by_device(
            "me@acme.example",
            &Keychain::new(&Settings::default()),
            |invitation| {
                shown = Some(invitation.clone());
            },
        )
        .await;
    (granted, shown, server.asked())
}

#[tokio::test]
async fn it_is_asked_again_until_somebody_agreed() {
    // Google answers so, with a status of its own.
    const PENDING_AT_GOOGLE: Answer = (428, PENDING.1);
    let (granted, shown, asked) =
        by_device(&[INVITATION, PENDING, PENDING_AT_GOOGLE, (503, ""), GRANTED]).await;
    let grant = granted.expect("a grant");
    assert_eq!(grant.access.expose_secret(), "a");
    assert_eq!(grant.refresh.expect("one").expose_secret(), "r");
    let shown = shown.expect("it was shown");
    assert_eq!(
        (shown.page.as_str(), shown.code.as_str()),
        ("https://acme.example/device", "ABCD-EFGH")
    );
    assert_eq!(shown.within, Duration::from_mins(15));
    assert_eq!(asked.len(), 5);
    assert!(
        asked[0].contains(
            "scope=https%3A%2F%2Foutlook.office.com%2FIMAP.AccessAsUser.All+offline_access"
        )
    );
    assert!(asked[1].contains("device_code=d"), "{}", asked[1]);
}

#[tokio::test]
async fn how_it_can_end_without_a_grant() {
    for (answers, words) in [
        (
            &[INVITATION, (400, r#"{"error":"expired_token"}"#)][..],
            "not confirmed in time",
        ),
        (
            &[INVITATION, (400, r#"{"error":"access_denied"}"#)],
            "did not agree",
        ),
        (
            &[
                INVITATION,
                (
                    400,
                    r#"{"error":"invalid_grant","error_description":"AADSTS65001: consent"}"#,
                ),
            ],
            "administrator",
        ),
        (
            &[(
                400,
                r#"{"error":"invalid_client","error_description":"AADSTS7000218: x"}"#,
            )],
            "public client flows",
        ),
        (
            &[(
                400,
                r#"{"error":"unauthorized_client","error_description":"AADSTS700016: x"}"#,
            )],
            "another organization",
        ),
    ] {
        let error = by_device(answers).await.0.expect_err(words);
        assert_eq!(error.class(), Class::Login);
        assert!(error.to_string().contains(words), "{error}");
    }
    let short = &[
        (
            200,
            r#"{"device_code":"d","user_code":"A","verification_uri":"https://a.example/","expires_in":2,"interval":1}"#,
        ),
        PENDING,
    ];
    let error = by_device(short).await.0.expect_err("too late");
    assert!(
        error
            .to_string()
            .contains("fetch-token login me@acme.example"),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_is_sent_to_what_is_no_page() {
    for answers in [
        &[(
            200,
            r#"{"device_code":"d","user_code":"A","verification_uri":"javascript:alert(1)","expires_in":900}"#,
        )],
        &[(
            200,
            r#"{"device_code":"d","user_code":"A","verification_uri":"http://evil.example/","expires_in":900}"#,
        )],
        &[(200, r#"{"device_code":"d","user_code":"A"}"#)],
    ] as [&'static [Answer]; 3]
    {
        let (granted, shown, _) = by_device(answers).await;
        assert!(
            matches!(granted, Err(Error::Misbehaves { .. })),
            "{granted:?}"
        );
        assert!(shown.is_none());
    }
    let escape = &[
        (
            200,
            r#"{"device_code":"d","user_code":"A\u001b[2J","verification_uri":"https://a.example/","expires_in":900}"#,
        ),
        (400, r#"{"error":"expired_token"}"#),
    ];
    let shown = by_device(escape).await.1.expect("it was shown");
    assert_eq!(shown.code, "A\\u{1b}[2J");
}
