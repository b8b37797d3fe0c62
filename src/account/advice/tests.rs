//! Each row of the table, by what servers were seen to say.

use super::*;
use Class::{Doubtful, Login, Passing};
use With::{Password, Token};

/// What they say, as it was seen.
const AT_LOGIN: &[(&str, With, Class, &str)] = &[
    (
        "[ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)",
        Password,
        Login,
        APP_PASSWORD,
    ),
    (
        "[AUTHENTICATIONFAILED] Please use an app-specific password",
        Password,
        Login,
        APP_PASSWORD,
    ),
    (
        "[AUTHENTICATIONFAILED] Generate an app password to sign in",
        Password,
        Login,
        APP_PASSWORD,
    ),
    (
        "[ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page",
        Password,
        Login,
        IMAP_OFF,
    ),
    (
        "[ALERT] IMAP access is disabled for your domain. Please contact your domain administrator (Failure)",
        Token,
        Login,
        IMAP_OFF,
    ),
    (
        "You are yet to enable IMAP for your account. Please contact your administrator",
        Password,
        Login,
        IMAP_OFF,
    ),
    (
        "[WEBALERT https://accounts.google.com/signin/continue?sarp=1] Web login required.",
        Password,
        Login,
        WEB_LOGIN,
    ),
    (
        "[ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)",
        Password,
        Login,
        WEB_LOGIN,
    ),
    (
        "AUTHENTICATE failed. Basic Authentication is disabled.",
        Password,
        Login,
        NO_PASSWORDS,
    ),
    (
        "[AUTHENTICATIONFAILED] LogonDenied-BasicAuthBlocked-<ex>",
        Password,
        Login,
        NO_PASSWORDS,
    ),
    (
        "[AUTHENTICATIONFAILED] Authentication failed.",
        Token,
        Login,
        TOKEN_REFUSED,
    ),
    ("[EXPIRED] Token has expired", Token, Login, TOKEN_REFUSED),
    (
        "(no reason given) {\"status\":\"invalid_token\"}",
        Token,
        Login,
        TOKEN_REFUSED,
    ),
    (
        "no {\"status\":\"insufficient_scope\",\"scope\":\"mail\"}",
        Token,
        Login,
        TOKEN_REFUSED,
    ),
    (
        "SASL failed {\"status\":\"400\",\"schemes\":\"Bearer\",\"scope\":\"https://mail.google.com/\"}",
        Token,
        Login,
        TOKEN_REFUSED,
    ),
    (
        "[AUTHENTICATIONFAILED] Invalid credentials (Failure)",
        Password,
        Login,
        PERHAPS_APP_PASSWORD,
    ),
    (
        "[ALERT] Invalid credentials (Failure)",
        Password,
        Login,
        PERHAPS_APP_PASSWORD,
    ),
    (
        "[ALERT] Invalid credentials (Failure)",
        Token,
        Login,
        TOKEN_REFUSED,
    ),
    (
        "[AUTHENTICATIONFAILED] Authentication failed.",
        Password,
        Login,
        PASSWORD_REFUSED,
    ),
    (
        "[AUTHENTICATIONFAILED] Wrong password. Please try again.",
        Password,
        Login,
        PASSWORD_REFUSED,
    ),
    ("[LIMIT] LOGIN Rate limit hit", Password, Passing, THROTTLED),
    (
        "Temporary authentication failure (rate-limit)",
        Password,
        Passing,
        THROTTLED,
    ),
    ("[THROTTLED] slow down", Token, Passing, THROTTLED),
    (
        "Request is throttled. Suggested Backoff Time: 92415 milliseconds",
        Token,
        Passing,
        THROTTLED,
    ),
    (
        "[ALERT] Too many simultaneous connections. (Failure)",
        Password,
        Passing,
        TOO_MANY,
    ),
    (
        "Too many concurrent connections to this mailbox",
        Password,
        Passing,
        TOO_MANY,
    ),
    (
        "[LIMIT] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
        Password,
        Passing,
        TOO_MANY,
    ),
    (
        "User is authenticated but not connected.",
        Token,
        Passing,
        TOO_MANY,
    ),
    ("[INUSE] Mailbox in use", Password, Passing, TOO_MANY),
    (
        "[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)",
        Password,
        Passing,
        OVER_QUOTA,
    ),
    (
        "[UNAVAILABLE] Temporary authentication failure.",
        Password,
        Passing,
        LATER,
    ),
    ("[SERVERBUG] Internal error", Password, Passing, LATER),
    (
        "Server busy, try again in a minute",
        Password,
        Passing,
        LATER,
    ),
    ("LOGIN failed.", Password, Doubtful, PERHAPS_MICROSOFT),
    (
        "AUTHENTICATE failed.",
        Password,
        Doubtful,
        PERHAPS_MICROSOFT,
    ),
    ("AUTHENTICATE failed.", Token, Doubtful, PERHAPS_NOT_ALLOWED),
    ("", Password, Doubtful, PASSWORD_REFUSED),
    ("no", Token, Doubtful, TOKEN_REFUSED),
];

#[test]
fn what_a_mail_server_means_at_login() {
    for &(said, with, class, advice) in AT_LOGIN {
        let meant = at_login(said, with);
        assert_eq!(
            (meant.class, meant.pattern),
            (class, advice),
            "{said} with {with:?}"
        );
    }
}

/// What they say, as it was seen.
const AT_AUTHORIZATION: &[(&str, &str, Class, &str)] = &[
    (
        "invalid_grant",
        "AADSTS65001: The user or administrator has not consented to use the application",
        Login,
        CONSENT,
    ),
    (
        "access_denied",
        "AADSTS65004: User declined to consent to access the app.",
        Login,
        CONSENT,
    ),
    (
        "access_denied",
        "AADSTS90094: The grant requires admin permission.",
        Login,
        CONSENT,
    ),
    (
        "invalid_request",
        "AADSTS50020: User account from identity provider does not exist in tenant",
        Login,
        TENANT,
    ),
    (
        "invalid_request",
        "AADSTS90002: Tenant 'acme' not found.",
        Login,
        TENANT,
    ),
    (
        "unauthorized_client",
        "AADSTS700016: Application with identifier was not found in the directory",
        Login,
        TENANT,
    ),
    (
        "invalid_grant",
        "AADSTS50034: The user account does not exist in the directory.",
        Login,
        TENANT,
    ),
    (
        "invalid_grant",
        "AADSTS70008: The refresh token has expired due to inactivity.",
        Login,
        GRANT,
    ),
    (
        "invalid_grant",
        "AADSTS700082: The refresh token has expired due to inactivity.",
        Login,
        GRANT,
    ),
    (
        "invalid_grant",
        "AADSTS50173: The provided grant has expired due to it being revoked.",
        Login,
        GRANT,
    ),
    (
        "interaction_required",
        "AADSTS50076: you must use multi-factor authentication",
        Login,
        GRANT,
    ),
    (
        "access_denied",
        "AADSTS53003: Access has been blocked by Conditional Access policies.",
        Login,
        POLICY,
    ),
    (
        "invalid_grant",
        "AADSTS50105: not assigned to a role for the application",
        Login,
        POLICY,
    ),
    (
        "invalid_client",
        "AADSTS7000218: The request body must contain: 'client_assertion' or 'client_secret'.",
        Login,
        PUBLIC_CLIENT,
    ),
    (
        "invalid_client",
        "AADSTS7000215: Invalid client secret provided.",
        Login,
        CLIENT,
    ),
    (
        "invalid_client",
        "AADSTS7000222: The provided client secret keys are expired.",
        Login,
        CLIENT,
    ),
    (
        "invalid_request",
        "AADSTS50011: The redirect URI does not match",
        Login,
        NOT_REGISTERED,
    ),
    (
        "temporarily_unavailable",
        "AADSTS90033: A transient error has occurred.",
        Passing,
        LATER,
    ),
    ("admin_policy_enforced", "", Login, POLICY),
    ("org_internal", "", Login, POLICY),
    (
        "invalid_grant",
        "reauth related error (invalid_rapt)",
        Login,
        GRANT,
    ),
    (
        "invalid_grant",
        "Token has been expired or revoked.",
        Login,
        GRANT,
    ),
    (
        "deleted_client",
        "The OAuth client was deleted.",
        Login,
        CLIENT,
    ),
    ("redirect_uri_mismatch", "", Login, NOT_REGISTERED),
    ("interaction_required", "", Login, CONSENT),
    ("login_required", "", Login, CONSENT),
    ("expired_token", "", Login, TOO_LATE),
    ("authorization_pending", "", Passing, WAIT),
    ("slow_down", "", Passing, WAIT),
    (
        "access_denied",
        "End-User aborted interaction",
        Login,
        DENIED,
    ),
    ("invalid_grant", "grant request is invalid", Login, GRANT),
    (
        "invalid_client",
        "client authentication failed",
        Login,
        CLIENT,
    ),
    ("unauthorized_client", "", Login, NOT_REGISTERED),
    ("unsupported_grant_type", "", Login, NOT_REGISTERED),
    ("invalid_scope", "", Login, SCOPES),
    ("server_error", "", Passing, LATER),
    ("something_new", "", Login, UNKNOWN),
    // A number that only begins like a known one is another.
    ("something_new", "AADSTS650010: new", Login, UNKNOWN),
];

#[test]
fn what_an_authorization_server_means() {
    for &(error, description, class, advice) in AT_AUTHORIZATION {
        let meant = at_authorization(error, description);
        assert_eq!(
            (meant.class, meant.pattern),
            (class, advice),
            "{error} {description}"
        );
    }
}

#[test]
fn no_row_is_hidden_by_one_above_it() {
    for (number, row) in LOGIN.iter().enumerate() {
        let with = row.with.unwrap_or(Password);
        for words in row.says {
            let found = at_login(words, with);
            assert_eq!(found.pattern, row.advice, "row {number}: {words}");
        }
    }
    for (number, row) in AUTHORIZATION.iter().enumerate() {
        for words in row.says {
            let found = at_authorization(words, "");
            assert_eq!(found.pattern, row.advice, "row {number}: {words}");
        }
    }
}

#[test]
fn the_command_to_run_names_the_mailbox() {
    let advice = at_authorization("invalid_grant", "");
    assert_eq!(
        advice.sentence("a@b.example"),
        "Run `fetch-token login a@b.example`"
    );
}

#[test]
fn after_the_login_only_what_concerns_the_whole_session_counts() {
    for said in OF_SESSION {
        assert_eq!(
            of_session(said).map(|advice| advice.class),
            Some(Passing),
            "{said}"
        );
    }
    for said in [
        "Mailbox doesn't exist: Junk",
        "[INUSE] Mailbox is locked",
        "[UNAVAILABLE]",
    ] {
        assert_eq!(of_session(said), None, "{said}");
    }
}
