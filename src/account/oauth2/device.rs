//! Logging in by a code that a person types elsewhere (RFC 8628).

use std::time::Duration;

use oauth2::{DeviceAuthorizationResponse, EmptyExtraDeviceAuthorizationFields, Scope};
use tokio::time::timeout;

use super::client::{Client, Grant};
use super::error::Error;
use super::http;
use super::provider::checked;
use crate::escape::escaped;
use crate::keychain::Keychain;

/// How long a person is waited for at most, whatever the server allows.
const PERSON: Duration = Duration::from_mins(15);

/// Longest pause between two questions while the server does not answer.
const PAUSE: Duration = Duration::from_secs(30);

/// Most characters of a code. Providers use 8 or 9.
const CODE: usize = 64;

/// What a person has to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The page to open, on whatever machine.
    pub page: String,
    /// The code to type there.
    pub code: String,
    /// The same page with the code in it, where the server offers that.
    pub page_with_code: Option<String>,
    /// How long the code counts.
    pub within: Duration,
}

impl Client {
    /// Whether [`Client::by_device`] can be used.
    #[must_use]
    pub fn offers_device(&self) -> bool {
        self.endpoints.device.is_some()
    }

    /// Gets a code, lets `show` show it to the person, and waits until that person agreed or refused.
    pub async fn by_device(
        &self,
        address: &str,
        keychain: &Keychain,
        show: impl FnOnce(&Invitation),
    ) -> Result<Grant, Error> {
        let device = self.endpoints.device.clone();
        let device = device.ok_or(Error::NoEndpoint("the device login (`device_url`)"))?;
        let client = self
            .ready(keychain)
            .await?
            .set_device_authorization_url(device);
        let scopes = self.scopes.iter().cloned().map(Scope::new);
        let details: DeviceAuthorizationResponse<EmptyExtraDeviceAuthorizationFields> = client
            .exchange_device_code()
            .add_scopes(scopes)
            .request_async(&http::send)
            .await
            .map_err(|error| self.explain(error, address))?;
        let within = details.expires_in().min(PERSON);
        show(&self.invitation(&details, within)?);
        let asked = client
            .exchange_device_access_token(&details)
            .set_max_backoff_interval(PAUSE)
            .request_async(&http::send, tokio::time::sleep, Some(within));
        let unanswered = || Error::Unanswered {
            address: address.to_owned(),
            after: within,
        };
        match timeout(within, asked).await {
            Err(_) => Err(unanswered()),
            Ok(answer) => answer
                .map_err(|error| self.explain(error, address))
                .and_then(|answer| self.grant(answer)),
        }
    }

    fn invitation(
        &self,
        details: &DeviceAuthorizationResponse<EmptyExtraDeviceAuthorizationFields>,
        within: Duration,
    ) -> Result<Invitation, Error> {
        let code = escaped(details.user_code().secret(), CODE);
        // A person is sent there: to a web page, and by TLS.
        let page = checked(details.verification_uri().as_str()).map_err(|_| Error::Misbehaves {
            host: self.host(),
            what: "it names no page on which its code could be typed",
        })?;
        let with_code = details
            .verification_uri_complete()
            .and_then(|page| checked(page.secret()).ok());
        Ok(Invitation {
            page: page.into(),
            code,
            page_with_code: with_code.map(Into::into),
            within,
        })
    }
}

#[cfg(test)]
mod tests;
