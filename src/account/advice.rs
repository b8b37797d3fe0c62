//! What a refusal means and what to do about it: the words of mail servers and authorization servers, in one table.
//!
//! Codes (RFC 5530, RFC 6749 §5.2, RFC 8628 §3.5) are few and not all use them, so words are looked at as well. Each
//! row says where its words were seen.

use crate::imap::Class;

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// Whether trying again makes sense.
    pub class: Class,
    /// What to do, with `ADDRESS` where the mailbox's address belongs.
    pattern: &'static str,
}

impl Advice {
    /// What to do, for the mailbox with this address.
    #[must_use]
    pub fn sentence(&self, address: &str) -> String {
        self.pattern.replace("ADDRESS", address)
    }
}

/// What somebody logs in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum With {
    /// A password.
    Password,
    /// An access token of OAuth 2.0.
    Token,
}

/// A row of the table: the first whose words are said, and that is about this way to log in, counts.
struct Row {
    /// In upper case; one of them is enough.
    says: &'static [&'static str],
    with: Option<With>,
    class: Class,
    advice: &'static str,
}

const fn row(says: &'static [&'static str], class: Class, advice: &'static str) -> Row {
    Row {
        says,
        with: None,
        class,
        advice,
    }
}

const fn only(with: With, row: &Row) -> Row {
    Row {
        says: row.says,
        with: Some(with),
        class: row.class,
        advice: row.advice,
    }
}

const APP_PASSWORD: &str =
    "Create an app password at the provider, and use that instead of the account's own";
const IMAP_OFF: &str = "IMAP is switched off for this mailbox. Switch it on in the provider's settings, or ask its \
                        administrator to";
const WEB_LOGIN: &str =
    "Log in once in a web browser and confirm what the provider asks there, then try again";
const NO_PASSWORDS: &str = "This provider takes no passwords. Set `oauth2` in the configuration (docs/providers.md), \
                            then run `fetch-token login ADDRESS`";
const TOKEN_REFUSED: &str = "The access token is for another mailbox, or not for IMAP. Check `scopes`, then run \
                             `fetch-token login ADDRESS` as the mailbox's owner";
const PASSWORD_REFUSED: &str =
    "Check the address and where its password comes from (`password` in the configuration)";
const PERHAPS_APP_PASSWORD: &str = "Check the address and its password. Google, Yahoo, AOL, iCloud and Zoho take an \
                                    app password, not the account's own";
const PERHAPS_MICROSOFT: &str = "Check the address and its password. Microsoft says this where passwords are switched \
                                 off: set `oauth2` in the configuration then (docs/providers.md)";
const PERHAPS_NOT_ALLOWED: &str = "Microsoft says this where the access token lacks IMAP.AccessAsUser.All or is \
                                   another user's, and where IMAP is switched off for the mailbox. Run `fetch-token \
                                   login ADDRESS` as its owner, or ask its administrator";
const TOO_MANY: &str = "Other programs hold too many connections to this mailbox: end some. Where that is not so, IMAP \
                        may be switched off for it";
const THROTTLED: &str = "The provider slows down: it is tried again later, less often";
const OVER_QUOTA: &str = "The mailbox is full, or too much was fetched from it. Make room, or wait";
const LATER: &str = "It is tried again later";

/// What a mail server says at login, and to the first commands after it.
const LOGIN: [Row; 21] = {
    use Class::{Doubtful, Login, Passing};
    use With::{Password, Token};
    [
        // Gmail; iCloud ("app-specific password"); Yahoo and AOL ("app password").
        row(
            &[
                "APPLICATION-SPECIFIC PASSWORD",
                "APP-SPECIFIC",
                "APP PASSWORD",
            ],
            Login,
            APP_PASSWORD,
        ),
        // Gmail for a mailbox; Gmail for a domain; Zoho.
        row(
            &[
                "NOT ENABLED FOR IMAP USE",
                "IMAP ACCESS IS DISABLED",
                "YET TO ENABLE IMAP",
            ],
            Login,
            IMAP_OFF,
        ),
        // Gmail, in two responses one after the other.
        row(
            &["[WEBALERT", "WEB LOGIN REQUIRED", "VIA YOUR WEB BROWSER"],
            Login,
            WEB_LOGIN,
        ),
        // Exchange Online; Outlook.com ("LogonDenied-BasicAuthBlocked").
        row(
            &[
                "BASIC AUTHENTICATION IS DISABLED",
                "BASICAUTHBLOCKED",
                "LOGONDENIED",
            ],
            Login,
            NO_PASSWORDS,
        ),
        // A code that says why is believed before words: "Please try again" stands behind many of them. RFC 7628
        // §3.2.2's words come in the challenge before.
        only(
            Token,
            &row(
                &[
                    "[AUTHENTICATIONFAILED]",
                    "[AUTHORIZATIONFAILED]",
                    "[EXPIRED]",
                ],
                Login,
                TOKEN_REFUSED,
            ),
        ),
        only(
            Token,
            &row(
                &["INVALID_TOKEN", "INSUFFICIENT_SCOPE"],
                Login,
                TOKEN_REFUSED,
            ),
        ),
        // Gmail with a wrong password, and with the account's own where it wants another.
        only(
            Password,
            &row(&["INVALID CREDENTIALS"], Login, PERHAPS_APP_PASSWORD),
        ),
        only(Token, &row(&["INVALID CREDENTIALS"], Login, TOKEN_REFUSED)),
        row(
            &[
                "[AUTHENTICATIONFAILED]",
                "[AUTHORIZATIONFAILED]",
                "[EXPIRED]",
            ],
            Login,
            PASSWORD_REFUSED,
        ),
        // Yahoo ("[LIMIT] LOGIN Rate limit hit"), Mailu; RFC 5530 has no code for it.
        row(
            &["RATE LIMIT", "RATE-LIMIT", "[THROTTLED]", "IS THROTTLED"],
            Passing,
            THROTTLED,
        ),
        // Gmail; T-Online ("Too many concurrent connections"); Dovecot.
        row(
            &[
                "TOO MANY SIMULTANEOUS CONNECTIONS",
                "TOO MANY CONCURRENT CONNECTIONS",
                "MAXIMUM NUMBER OF CONNECTIONS",
            ],
            Passing,
            TOO_MANY,
        ),
        // Exchange Online, after a login that it called good.
        row(&["AUTHENTICATED BUT NOT CONNECTED"], Passing, TOO_MANY),
        row(&["[LIMIT]", "[INUSE]"], Passing, TOO_MANY),
        // RFC 5530 §3 and Gmail ("Account exceeded command or bandwidth limits").
        row(&["[OVERQUOTA]", "BANDWIDTH LIMITS"], Passing, OVER_QUOTA),
        row(&["[UNAVAILABLE]", "[SERVERBUG]"], Passing, LATER),
        row(
            &["TOO MANY", "TEMPORAR", "TRY AGAIN", "TRY LATER"],
            Passing,
            LATER,
        ),
        // Exchange Online, whatever is wrong.
        only(
            Password,
            &row(
                &["LOGIN FAILED.", "AUTHENTICATE FAILED."],
                Doubtful,
                PERHAPS_MICROSOFT,
            ),
        ),
        only(
            Token,
            &row(&["AUTHENTICATE FAILED."], Doubtful, PERHAPS_NOT_ALLOWED),
        ),
        // Gmail's challenge to a token it does not take: status 400, the scope it wants.
        only(Token, &row(&["\"STATUS\":\"4"], Login, TOKEN_REFUSED)),
        only(Token, &row(&[""], Doubtful, TOKEN_REFUSED)),
        row(&[""], Doubtful, PASSWORD_REFUSED),
    ]
};

/// What these words of a mail server mean to one who logs in.
#[must_use]
pub fn at_login(said: &str, with: With) -> Advice {
    let said = said.to_uppercase();
    find(&LOGIN, |row| {
        row.with.is_none_or(|wanted| wanted == with)
            && row.says.iter().any(|words| said.contains(words))
    })
}

/// Said to one who was let in, about the whole session and not about the folder he asked for.
const OF_SESSION: [&str; 3] = [
    "AUTHENTICATED BUT NOT CONNECTED",
    "IS THROTTLED",
    "BANDWIDTH LIMITS",
];

/// What to do where a mail server refuses a folder for a reason that concerns the whole session.
#[must_use]
pub fn of_session(said: &str) -> Option<Advice> {
    let upper = said.to_uppercase();
    let is_said = OF_SESSION.iter().any(|words| upper.contains(words));
    is_said.then(|| at_login(said, With::Token))
}

/// The first row that counts. The last one of a table says what is to be done where none does.
fn find(table: &[Row], counts: impl Fn(&Row) -> bool) -> Advice {
    let (last, others) = table.split_last().expect("a table has rows");
    let row = others.iter().find(|row| counts(row)).unwrap_or(last);
    Advice {
        class: row.class,
        pattern: row.advice,
    }
}

const CONSENT: &str = "Run `fetch-token login ADDRESS` and agree to what the page asks; where it asks for an \
                       administrator, he has to agree first";
const POLICY: &str =
    "The organization's rules forbid this client. Ask its administrator to allow the client id";
const TENANT: &str = "The client is registered in another organization than the mailbox's. Check `tenant` and \
                      `client_id` (docs/providers.md)";
const GRANT: &str = "Run `fetch-token login ADDRESS`";
const PUBLIC_CLIENT: &str = "Switch on \"Allow public client flows\" in the client's registration, or set \
                             `client_secret`";
const CLIENT: &str =
    "Check `client_id` and `client_secret` against the registration (docs/providers.md)";
const NOT_REGISTERED: &str = "The client's registration does not allow this way to log in. Compare it with \
                              docs/providers.md";
const SCOPES: &str = "Check `scopes` against the registration (docs/providers.md)";
const DENIED: &str =
    "The person did not agree. Run `fetch-token login ADDRESS` and agree to what the page asks";
const TOO_LATE: &str = "The code was not confirmed in time. Run `fetch-token login ADDRESS` again";
const WAIT: &str = "The code is not confirmed yet";
const UNKNOWN: &str = "Run `fetch-token login ADDRESS`; where that does not help, compare the configuration with \
                       docs/providers.md";

/// What an authorization server says, as its code or in its description. `AADSTS` numbers are Microsoft Entra's
/// (its reference of error codes); it says itself that they may change, so the codes of the RFCs below count as well.
const AUTHORIZATION: [Row; 22] = {
    use Class::{Login, Passing};
    [
        // Consent missing, declined, to be given by an administrator.
        row(
            &["AADSTS65001", "AADSTS65004", "AADSTS90094", "AADSTS90095"],
            Login,
            CONSENT,
        ),
        // A guest of another tenant, no such tenant, no such client there, no such user there.
        row(
            &["AADSTS50020", "AADSTS90002", "AADSTS700016", "AADSTS50034"],
            Login,
            TENANT,
        ),
        // Expired by disuse, by age, by a new password, by the rules; a second factor is wanted.
        row(
            &[
                "AADSTS70008",
                "AADSTS700082",
                "AADSTS700084",
                "AADSTS50173",
                "AADSTS70043",
                "AADSTS50076",
                "AADSTS50078",
                "AADSTS50079",
            ],
            Login,
            GRANT,
        ),
        // Conditional access; not assigned to the client.
        row(&["AADSTS53003", "AADSTS50105"], Login, POLICY),
        // A secret is wanted because the client is not called public.
        row(&["AADSTS7000218"], Login, PUBLIC_CLIENT),
        // A wrong and an expired secret.
        row(&["AADSTS7000215", "AADSTS7000222"], Login, CLIENT),
        // The redirect is not registered.
        row(&["AADSTS50011"], Login, NOT_REGISTERED),
        // Its directory is not available; too many requests.
        row(&["AADSTS90033", "AADSTS50196"], Passing, LATER),
        // Google: Workspace rules, a client for one organization only.
        row(&["ADMIN_POLICY_ENFORCED", "ORG_INTERNAL"], Login, POLICY),
        // Google: Workspace wants a new login after some hours.
        row(&["INVALID_RAPT"], Login, GRANT),
        // Google.
        row(&["DELETED_CLIENT", "DISABLED_CLIENT"], Login, CLIENT),
        row(&["REDIRECT_URI_MISMATCH"], Login, NOT_REGISTERED),
        // OpenID Connect Core §3.1.2.6.
        row(
            &[
                "INTERACTION_REQUIRED",
                "CONSENT_REQUIRED",
                "LOGIN_REQUIRED",
                "ACCOUNT_SELECTION_REQUIRED",
            ],
            Login,
            CONSENT,
        ),
        // RFC 8628 §3.5.
        row(&["EXPIRED_TOKEN"], Login, TOO_LATE),
        row(&["AUTHORIZATION_PENDING", "SLOW_DOWN"], Passing, WAIT),
        // RFC 6749 §4.1.2.1 and §5.2.
        row(&["ACCESS_DENIED"], Login, DENIED),
        row(&["INVALID_GRANT"], Login, GRANT),
        row(&["INVALID_CLIENT"], Login, CLIENT),
        row(
            &[
                "UNAUTHORIZED_CLIENT",
                "UNSUPPORTED_GRANT_TYPE",
                "UNSUPPORTED_RESPONSE_TYPE",
            ],
            Login,
            NOT_REGISTERED,
        ),
        row(&["INVALID_SCOPE"], Login, SCOPES),
        row(&["TEMPORARILY_UNAVAILABLE", "SERVER_ERROR"], Passing, LATER),
        row(&[], Login, UNKNOWN),
    ]
};

/// What this refusal of an authorization server means. The error code and the description are its own words.
#[must_use]
pub fn at_authorization(error: &str, description: &str) -> Advice {
    let said = format!("{error} {description}").to_uppercase();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: Vec<_> = said.split(|c| !is_word(c)).collect();
    find(&AUTHORIZATION, |row| {
        row.says.iter().any(|wanted| words.contains(wanted))
    })
}

#[cfg(test)]
mod tests;
