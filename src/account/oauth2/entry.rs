//! `oauth2 = { ... }` in the configuration.

use std::ops::Range;

use oauth2::{AuthUrl, DeviceAuthorizationUrl, RevocationUrl, TokenUrl};
use serde::Deserialize;
use toml::Spanned;

use super::provider::{Provider, checked, standard_ways};
use super::{Client, ClientSecret, Endpoints, OAuth2};
use crate::imap::Mechanism;

/// What stands there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    command: Option<Spanned<Vec<String>>>,
    provider: Option<Provider>,
    tenant: Option<Spanned<String>>,
    client_id: Option<Spanned<String>>,
    client_secret: Option<Spanned<ClientSecret>>,
    auth_url: Option<Spanned<String>>,
    token_url: Option<Spanned<String>>,
    device_url: Option<Spanned<String>>,
    revocation_url: Option<Spanned<String>>,
    scopes: Option<Spanned<Vec<String>>>,
    method: Option<Mechanism>,
}

/// What is wrong, and where.
type Wrong = (Range<usize>, String);

impl Entry {
    /// Checks what the types cannot say; `span` is where all of it stands.
    pub(crate) fn check(self, span: Range<usize>) -> Result<OAuth2, Wrong> {
        if let Some(command) = self.command {
            let alien = [
                self.provider.as_ref().map(|_| span.clone()),
                self.tenant.as_ref().map(Spanned::span),
                self.client_id.as_ref().map(Spanned::span),
                self.client_secret.as_ref().map(Spanned::span),
                self.auth_url.as_ref().map(Spanned::span),
                self.token_url.as_ref().map(Spanned::span),
                self.device_url.as_ref().map(Spanned::span),
                self.revocation_url.as_ref().map(Spanned::span),
                self.scopes.as_ref().map(Spanned::span),
            ];
            if let Some(place) = alien.into_iter().flatten().next() {
                let what = "an access token comes from `command`, or from a client of your own, not from both";
                return Err((place, what.to_owned()));
            }
            if command.get_ref().is_empty() {
                let what = "`command` must be a list: [\"PROGRAM\", \"ARGUMENT\", ...]";
                return Err((command.span(), what.to_owned()));
            }
            return Ok(OAuth2::by_command(command.into_inner(), self.method));
        }
        let Some(id) = &self.client_id else {
            let what = "an access token comes from `command`, or from a client of your own: `provider` (or \
                        `token_url`) and `client_id`. docs/providers.md says how to register one";
            return Err((span, what.to_owned()));
        };
        let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_graphic());
        if !is_word(id.get_ref()) {
            return Err((id.span(), "a client id is one word".to_owned()));
        }
        let id = id.get_ref().clone();
        let scopes = self.scopes(&span)?;
        let endpoints = self.endpoints(&span, &scopes)?;
        let client = Client {
            id,
            secret: self.client_secret.map(Spanned::into_inner),
            endpoints,
            scopes,
        };
        Ok(OAuth2::by_client(client, self.method))
    }

    fn scopes(&self, span: &Range<usize>) -> Result<Vec<String>, Wrong> {
        match (&self.scopes, &self.provider) {
            (Some(scopes), _) => {
                // RFC 6749 §3.3.
                let is_scope = |scope: &String| {
                    let is_fit = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
                    !scope.is_empty() && scope.chars().all(is_fit)
                };
                if scopes.get_ref().is_empty() || !scopes.get_ref().iter().all(is_scope) {
                    let what =
                        "scopes are a list of words, for example [\"https://mail.google.com/\"]";
                    return Err((scopes.span(), what.to_owned()));
                }
                Ok(scopes.get_ref().clone())
            }
            (None, Some(provider)) => Ok(provider
                .scopes()
                .iter()
                .map(|&scope| scope.to_owned())
                .collect()),
            (None, None) => Err((
                span.clone(),
                "`scopes` is missing here: what has to be asked for to read mail over IMAP"
                    .to_owned(),
            )),
        }
    }

    fn endpoints(&self, span: &Range<usize>, scopes: &[String]) -> Result<Endpoints, Wrong> {
        let urls = [
            &self.auth_url,
            &self.token_url,
            &self.device_url,
            &self.revocation_url,
        ];
        if let Some(provider) = &self.provider {
            if let Some(url) = urls.into_iter().flatten().next() {
                let what = "a `provider` has its own URLs. Leave out the one or the other";
                return Err((url.span(), what.to_owned()));
            }
            return match (&self.tenant, provider) {
                (Some(tenant), Provider::Google) => {
                    Err((tenant.span(), "only Microsoft has tenants".to_owned()))
                }
                (tenant, _) => {
                    let name = tenant.as_ref().map(|tenant| tenant.get_ref().as_str());
                    let place = tenant.as_ref().map_or(span.clone(), Spanned::span);
                    provider.endpoints(name).map_err(|what| (place, what))
                }
            };
        }
        if let Some(tenant) = &self.tenant {
            return Err((tenant.span(), "only Microsoft has tenants".to_owned()));
        }
        let url = |url: &Option<Spanned<String>>| match url {
            None => Ok(None),
            Some(url) => checked(url.get_ref())
                .map(Some)
                .map_err(|what| (url.span(), what)),
        };
        let Some(token) = url(&self.token_url)? else {
            let what = "`provider` (\"google\" or \"microsoft\") or `token_url` is missing here";
            return Err((span.clone(), what.to_owned()));
        };
        let revocation = url(&self.revocation_url)?;
        if let (Some(there), Some(place)) = (&revocation, &self.revocation_url)
            && there.scheme() != "https"
        {
            // RFC 7009 §2.
            return Err((
                place.span(),
                "this must be a URL that begins with https://".to_owned(),
            ));
        }
        let endpoints = Endpoints {
            authorization: url(&self.auth_url)?.map(AuthUrl::from_url),
            token: TokenUrl::from_url(token),
            device: url(&self.device_url)?.map(DeviceAuthorizationUrl::from_url),
            revocation: revocation.map(RevocationUrl::from_url),
            ways: standard_ways(scopes),
        };
        if endpoints.authorization.is_none() && endpoints.device.is_none() {
            let what = "`auth_url` or `device_url` is missing here: nobody could log in";
            return Err((span.clone(), what.to_owned()));
        }
        Ok(endpoints)
    }
}

#[cfg(test)]
mod tests;
