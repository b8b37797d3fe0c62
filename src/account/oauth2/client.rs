//! A registered client and what it asks an authorization server for (RFC 6749).

use std::time::Duration;

use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AccessToken, AuthType, ClientId, EndpointNotSet, EndpointSet, ErrorResponse, RefreshToken,
    RequestTokenError, RevocationUrl, Scope, StandardErrorResponse, StandardRevocableToken,
    TokenResponse,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::http;
use super::provider::{Endpoints, Provider};
use super::secret::ClientSecret;
use crate::keychain::Keychain;

/// How long an access token is believed in whose lifetime is not told.
const LIFETIME: Duration = Duration::from_mins(5);

/// A client as it was registered with a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Client {
    /// Its name there.
    pub id: String,
    /// Where its secret comes from; a public client has none (RFC 6749 §2.1).
    pub secret: Option<ClientSecret>,
    /// Where it gets its tokens.
    pub endpoints: Endpoints,
    /// What it asks for.
    pub scopes: Vec<String>,
}

/// What an authorization server grants.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Opens the mailbox, for a while.
    pub access: SecretString,
    /// How long, from when it was granted.
    pub lifetime: Duration,
    /// Gets the next one. Where a refresh brings none, the old one goes on (RFC 6749 §6).
    pub refresh: Option<SecretString>,
}

/// The library's client, ready to ask for tokens.
pub(super) type Ready = oauth2::Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// A token endpoint's answer (RFC 6749 §5.1), taken a little wider than it is written.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Answer {
    access_token: AccessToken,
    token_type: BasicTokenType,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    refresh_token: Option<RefreshToken>,
}

/// A number, or text that holds one, as some servers write it.
fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(u64),
        Text(String),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Option::<Seconds>::deserialize(deserializer)? {
        Some(Seconds::Number(number)) => Some(number),
        Some(Seconds::Text(text)) => text.parse().ok(),
        Some(Seconds::Other(_)) | None => None,
    })
}

impl TokenResponse for Answer {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

impl Client {
    /// One that was registered with a provider that is known; `tenant` is the organization at Microsoft. The error says
    /// what is wrong with it.
    pub fn of_provider(
        provider: &Provider,
        tenant: Option<&str>,
        id: String,
        secret: Option<ClientSecret>,
    ) -> Result<Self, String> {
        let scopes = provider.scopes().iter();
        Ok(Self {
            id,
            secret,
            endpoints: provider.endpoints(tenant)?,
            scopes: scopes.map(|&scope| scope.to_owned()).collect(),
        })
    }

    /// The authorization server's host.
    pub(super) fn host(&self) -> String {
        let url = self.endpoints.token.url();
        url.host_str().unwrap_or_default().to_owned()
    }

    /// With its secret, ready to ask.
    pub(super) async fn ready(&self, keychain: &Keychain) -> Result<Ready, Error> {
        let auth_type = if self.endpoints.ways.has_secret_in_body {
            AuthType::RequestBody
        } else {
            AuthType::BasicAuth
        };
        let client = oauth2::Client::new(ClientId::new(self.id.clone()))
            .set_auth_type(auth_type)
            .set_token_uri(self.endpoints.token.clone());
        Ok(match &self.secret {
            None => client,
            Some(secret) => {
                let secret = secret.ask(&self.id, keychain).await?;
                client
                    .set_client_secret(oauth2::ClientSecret::new(secret.expose_secret().to_owned()))
            }
        })
    }

    /// Gets another access token (RFC 6749 §6).
    pub(super) async fn refresh(
        &self,
        address: &str,
        keychain: &Keychain,
        token: &SecretString,
    ) -> Result<Grant, Error> {
        let client = self.ready(keychain).await?;
        let token = RefreshToken::new(token.expose_secret().to_owned());
        let answer = client
            .exchange_refresh_token(&token)
            .request_async(&http::send)
            .await;
        answer
            .map_err(|error| self.explain(error, address))
            .and_then(|answer| self.grant(answer))
    }

    /// Takes a refresh token back, and with it what was granted (RFC 7009 §2.1).
    pub(super) async fn revoke(
        &self,
        at: &RevocationUrl,
        address: &str,
        keychain: &Keychain,
        token: &SecretString,
    ) -> Result<(), Error> {
        let client = self.ready(keychain).await?.set_revocation_url(at.clone());
        let token = RefreshToken::new(token.expose_secret().to_owned());
        let request = client
            .revoke_token(token.into())
            .map_err(|_| Error::NoEndpoint("a revocation by https (`revocation_url`)"))?;
        let answer = request.request_async(&http::send).await;
        answer.map_err(|error| self.explain(error, address))
    }

    /// What was granted, where it can be used.
    pub(super) fn grant(&self, answer: Answer) -> Result<Grant, Error> {
        let misbehaves = |what| {
            Err(Error::Misbehaves {
                host: self.host(),
                what,
            })
        };
        // RFC 6749 §5.1: of the type the case does not count.
        if !answer.token_type.as_ref().eq_ignore_ascii_case("bearer") {
            return misbehaves("it gives a token that is no bearer token");
        }
        let lifetime = answer.expires_in().unwrap_or(LIFETIME);
        let access = SecretString::from(answer.access_token.into_secret());
        if !is_token(access.expose_secret()) {
            return misbehaves("it gives an access token with characters that cannot be sent");
        }
        let refresh = answer.refresh_token.map(RefreshToken::into_secret);
        let refresh = refresh.map(SecretString::from);
        Ok(Grant {
            access,
            lifetime,
            refresh: refresh.filter(|token| !token.expose_secret().is_empty()),
        })
    }

    /// The library's error, without the answer that some of its variants hold.
    pub(super) fn explain<T>(
        &self,
        error: RequestTokenError<Error, StandardErrorResponse<T>>,
        address: &str,
    ) -> Error
    where
        T: oauth2::ErrorResponseType,
        StandardErrorResponse<T>: ErrorResponse,
    {
        let host = self.host();
        match error {
            RequestTokenError::Request(error) => error,
            RequestTokenError::ServerResponse(refusal) => {
                let code = code_of(refusal.error());
                let description = refusal.error_description().map(String::as_str);
                Error::refused(&host, address, &code, description)
            }
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Error::Misbehaves {
                host,
                what: "its answer is none of an authorization server. Check the URLs in `oauth2`",
            },
        }
    }
}

/// The code as the server wrote it.
fn code_of<T: Serialize>(code: &T) -> String {
    let code = serde_json::to_value(code).ok();
    let code = code.as_ref().and_then(serde_json::Value::as_str);
    code.unwrap_or_default().to_owned()
}

/// Whether this can stand in a login: `b64token` of RFC 6750 §2.1.
pub(super) fn is_token(text: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    !text.is_empty() && text.chars().all(is_fit)
}

#[cfg(test)]
mod tests {
    use super::{Answer, LIFETIME, is_token};
    use oauth2::TokenResponse as _;
    use std::time::Duration;

    #[test]
    fn answers_are_taken_as_servers_write_them() {
        for (answer, lifetime) in [
            (
                r#"{"access_token":"a","token_type":"Bearer","expires_in":3599,"scope":"x y","id_token":"z"}"#,
                Some(3599),
            ),
            (
                r#"{"access_token":"a","token_type":"bearer","expires_in":"3600"}"#,
                Some(3600),
            ),
            (
                r#"{"access_token":"a","token_type":"bearer","expires_in":null,"refresh_token":null}"#,
                None,
            ),
            (
                r#"{"access_token":"a","token_type":"bearer","expires_in":-5}"#,
                None,
            ),
            (r#"{"access_token":"a","token_type":"bearer"}"#, None),
        ] {
            let read: Answer = serde_json::from_str(answer).expect(answer);
            assert_eq!(
                read.expires_in(),
                lifetime.map(Duration::from_secs),
                "{answer}"
            );
        }
        assert_eq!(LIFETIME.as_secs(), 300);
    }

    #[test]
    fn no_answer_shows_its_tokens() {
        let answer =
            r#"{"access_token":"geheim1","token_type":"bearer","refresh_token":"geheim2"}"#;
        let read: Answer = serde_json::from_str(answer).expect("an answer");
        assert!(!format!("{read:?}").contains("geheim"));
    }

    #[test]
    fn a_token_cannot_hold_what_ends_it_in_a_login() {
        assert!(is_token("ya29.a0Af_B-y~+/=="));
        for text in ["", "a b", "a\u{1}b", "a\r\nb", "\u{e4}"] {
            assert!(!is_token(text), "{text:?}");
        }
    }
}
