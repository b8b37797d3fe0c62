//! Where providers have their endpoints, and what they want besides the standards.

use oauth2::{AuthUrl, DeviceAuthorizationUrl, RevocationUrl, TokenUrl};

use super::http::is_safe;

/// An authorization server's endpoints, and the ways of its provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoints {
    /// Where a person agrees in a browser (RFC 6749 §3.1).
    pub authorization: Option<AuthUrl>,
    /// Where tokens come from (RFC 6749 §3.2).
    pub token: TokenUrl,
    /// Where codes for people come from (RFC 8628 §3.1).
    pub device: Option<DeviceAuthorizationUrl>,
    /// Where a refresh token is taken back (RFC 7009).
    pub revocation: Option<RevocationUrl>,
    pub(super) ways: Ways,
}

/// What a provider wants besides the standards.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ways {
    /// The client's secret is sent in the request's body, not in its header.
    pub(super) has_secret_in_body: bool,
    /// More parameters of the authorization request.
    pub(super) parameters: &'static [(&'static str, &'static str)],
    /// The name of this machine in the address that the browser is sent back to.
    pub(super) loopback: &'static str,
}

/// Where a provider that is known by its name has them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Gmail and Workspace.
    Google,
    /// Microsoft 365 and Outlook.com.
    Microsoft,
}

impl Provider {
    /// The endpoints. `tenant` is the organization at Microsoft: its domain or id, `common` for any.
    pub(super) fn endpoints(&self, tenant: Option<&str>) -> Result<Endpoints, String> {
        let url = |text: String| checked(&text);
        match self {
            Self::Google => Ok(Endpoints {
                authorization: Some(AuthUrl::from_url(url(
                    "https://accounts.google.com/o/oauth2/v2/auth".to_owned(),
                )?)),
                token: TokenUrl::from_url(url("https://oauth2.googleapis.com/token".to_owned())?),
                // It gives codes for people, but none that are good for mail.
                device: None,
                revocation: Some(RevocationUrl::from_url(url(
                    "https://oauth2.googleapis.com/revoke".to_owned(),
                )?)),
                ways: Ways {
                    has_secret_in_body: true,
                    // Without these it gives no refresh token, or only the first time.
                    parameters: &[("access_type", "offline"), ("prompt", "consent")],
                    loopback: "127.0.0.1",
                },
            }),
            Self::Microsoft => {
                let tenant = tenant.unwrap_or("common");
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
                if tenant.is_empty() || !tenant.chars().all(is_name) {
                    return Err(
                        "a tenant is a domain or an id, for example \"acme.example\"".to_owned(),
                    );
                }
                let base = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0");
                Ok(Endpoints {
                    authorization: Some(AuthUrl::from_url(url(format!("{base}/authorize"))?)),
                    token: TokenUrl::from_url(url(format!("{base}/token"))?),
                    device: Some(DeviceAuthorizationUrl::from_url(url(format!(
                        "{base}/devicecode"
                    ))?)),
                    // It has none: a person takes the grant back among the apps of the account.
                    revocation: None,
                    ways: Ways {
                        has_secret_in_body: true,
                        parameters: &[],
                        // Any port is allowed for this name only.
                        loopback: "localhost",
                    },
                })
            }
        }
    }

    /// What has to be asked for to read mail over IMAP, and to stay logged in.
    pub(super) fn scopes(&self) -> &'static [&'static str] {
        match self {
            Self::Google => &["https://mail.google.com/"],
            Self::Microsoft => &[
                "https://outlook.office.com/IMAP.AccessAsUser.All",
                "offline_access",
            ],
        }
    }
}

/// The ways of any other provider: the standards.
pub(super) fn standard_ways(scopes: &[String]) -> Ways {
    let is_offline = scopes.iter().any(|scope| scope == "offline_access");
    Ways {
        // Every authorization server knows this one (RFC 6749 §2.3.1).
        has_secret_in_body: false,
        // OpenID Connect Core §11: else the scope is ignored.
        parameters: if is_offline {
            &[("prompt", "consent")]
        } else {
            &[]
        },
        // RFC 8252 §8.3.
        loopback: "127.0.0.1",
    }
}

/// A URL that secrets may be sent to.
pub(super) fn checked(text: &str) -> Result<oauth2::url::Url, String> {
    let wrong =
        || "this must be a URL that begins with https:// (or http:// on this machine)".to_owned();
    let url = oauth2::url::Url::parse(text).map_err(|_| wrong())?;
    if is_safe(&url) { Ok(url) } else { Err(wrong()) }
}
