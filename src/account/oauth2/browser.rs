//! Logging in in a browser of this machine: an authorization code with PKCE (RFC 7636), which comes back to a loopback
//! port (RFC 8252 §7.3).

use std::time::Duration;

use oauth2::{AuthorizationCode, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope};
use tokio::time::timeout;

use super::client::{Client, Grant};
use super::error::Error;
use super::http;
use super::loopback::{Answer, Loopback};
use crate::keychain::Keychain;

/// How long a person is waited for.
const PERSON: Duration = Duration::from_mins(15);

impl Client {
    /// Whether [`Client::by_browser`] can be used.
    #[must_use]
    pub fn offers_browser(&self) -> bool {
        self.endpoints.authorization.is_some()
    }

    /// Lets `show` show a page to the person, to be opened in a browser on this machine, and waits until that person
    /// agreed or refused there.
    pub async fn by_browser(
        &self,
        address: &str,
        keychain: &Keychain,
        show: impl FnOnce(&str),
    ) -> Result<Grant, Error> {
        let page = self.endpoints.authorization.clone();
        let page = page.ok_or(Error::NoEndpoint("the login in a browser (`auth_url`)"))?;
        let loopback = Loopback::open()
            .await
            .map_err(|error| Error::Loopback(error.to_string()))?;
        let back = format!(
            "http://{}:{}",
            self.endpoints.ways.loopback,
            loopback.port()
        );
        let back = RedirectUrl::new(back).map_err(|error| Error::Loopback(error.to_string()))?;
        let client = self
            .ready(keychain)
            .await?
            .set_auth_uri(page)
            .set_redirect_uri(back);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(self.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge)
            // OpenID Connect Core §3.1.2.1; who does not know it ignores it.
            .add_extra_param("login_hint", address);
        for &(name, value) in self.endpoints.ways.parameters {
            request = request.add_extra_param(name, value);
        }
        let (page, state) = request.url();
        show(page.as_str());
        let answer = timeout(PERSON, loopback.answer(state.secret()))
            .await
            .map_err(|_| Error::Unanswered {
                address: address.to_owned(),
                after: PERSON,
            })?;
        let code = match answer {
            Answer::Code(code) => code,
            Answer::Refusal { error, description } => {
                let description = description.as_deref();
                return Err(Error::refused(&self.host(), address, &error, description));
            }
        };
        client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(verifier)
            .request_async(&http::send)
            .await
            .map_err(|error| self.explain(error, address))
            .and_then(|answer| self.grant(answer))
    }
}
