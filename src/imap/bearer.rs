//! Logging in with an access token: OAUTHBEARER (RFC 7628), and XOAUTH2, which Google made before there was a standard.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::error::Error;
use super::guard::Allowance;
use super::login::{Credentials, refusal};
use super::session::{COMMAND, Command, Session, Wire};
use crate::account::advice::With;

/// How an access token is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// RFC 7628.
    OAuthBearer,
    /// Google's, which Microsoft knows as well.
    XOAuth2,
}

impl Mechanism {
    /// Its name (RFC 4422 §3.1).
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
        }
    }

    /// The initial response.
    fn response(self, user: &str, token: &str, host: &str, port: u16) -> Zeroizing<String> {
        Zeroizing::new(match self {
            // RFC 5801 §4: a comma and an equals sign stand for themselves nowhere else.
            Self::OAuthBearer => format!(
                "n,a={},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01",
                user.replace('=', "=3D").replace(',', "=2C")
            ),
            Self::XOAuth2 => format!("user={user}\x01auth=Bearer {token}\x01\x01"),
        })
    }

    /// What the server wants to hear after it said why it refuses: RFC 7628 §3.2.3; for XOAUTH2 nothing.
    fn acknowledgement(self) -> &'static str {
        match self {
            Self::OAuthBearer => "AQ==\r\n",
            Self::XOAuth2 => "\r\n",
        }
    }
}

/// An access token and how to send it.
pub(super) struct Bearer<'a> {
    pub(super) user: &'a str,
    pub(super) token: &'a SecretString,
    /// Else the best one that is offered.
    pub(super) mechanism: Option<Mechanism>,
    pub(super) host: &'a str,
    pub(super) port: u16,
}

impl<S: Wire> Session<S> {
    /// Logs in with an access token.
    pub(super) async fn authenticate_token(&mut self, bearer: Bearer<'_>) -> Result<(), Error> {
        let token = bearer.token.expose_secret();
        if [bearer.user, token]
            .iter()
            .any(|text| text.contains(char::is_control))
        {
            return Err(Error::NoLoginMethod(
                "a login name or access token with control characters cannot be sent (RFC 7628)"
                    .to_owned(),
            ));
        }
        let mechanism = self.mechanism(bearer.mechanism).await?;
        let response = mechanism.response(bearer.user, token, bearer.host, bearer.port);
        let response = Zeroizing::new(STANDARD.encode(response.as_bytes()));
        let mut challenge = None;
        let answer = self.say_token(mechanism, &response, &mut challenge).await;
        answer.map_err(|error| match error {
            Error::Refused { text, .. } => {
                let said = match &challenge {
                    None => text.as_str().to_owned(),
                    Some(challenge) => format!("{} {challenge}", text.as_str()).trim().to_owned(),
                };
                refusal(&said, With::Token, bearer.user, &[token, &response])
            }
            other => other,
        })
    }

    /// The mechanism to use.
    async fn mechanism(&mut self, wanted: Option<Mechanism>) -> Result<Mechanism, Error> {
        let both = [Mechanism::OAuthBearer, Mechanism::XOAuth2];
        for mechanism in wanted.map_or(both.to_vec(), |wanted| vec![wanted]) {
            if self.offers(&format!("AUTH={}", mechanism.name())).await? {
                return Ok(mechanism);
            }
        }
        let wanted = wanted.map_or("OAUTHBEARER and XOAUTH2", Mechanism::name);
        Err(Error::NoLoginMethod(format!(
            "the server takes no access token by {wanted} (it offers {}). Check `host`, or use `password`",
            self.offered_mechanisms()
        )))
    }

    /// Sends the response. Why the server refuses, where it says so in a challenge, goes into `challenge`.
    async fn say_token(
        &mut self,
        mechanism: Mechanism,
        response: &str,
        challenge: &mut Option<String>,
    ) -> Result<(), Error> {
        let early = self.offers("SASL-IR").await?;
        let line = if early {
            format!("AUTHENTICATE {} {response}", mechanism.name())
        } else {
            format!("AUTHENTICATE {}", mechanism.name())
        };
        self.forget_capabilities();
        let sent = self
            .send(Command::new("AUTHENTICATE", line), Allowance::SHORT)
            .await?;
        let Some(mut asked) = self.continuation(&sent, COMMAND).await? else {
            return Ok(());
        };
        // Who does not take it in the command asks for it, with nothing (RFC 4959 §3).
        if !early || asked.is_empty() {
            let line = Zeroizing::new(format!("{response}\r\n"));
            self.write(&line, "AUTHENTICATE").await?;
            match self.continuation(&sent, COMMAND).await? {
                None => return Ok(()),
                Some(again) => asked = again,
            }
        }
        *challenge = Some(readable(&asked));
        self.write(mechanism.acknowledgement(), "AUTHENTICATE")
            .await?;
        self.complete(&sent, COMMAND, |_| {}).await
    }
}

/// What a challenge says: JSON in base64 (RFC 7628 §3.2.2); else as it came.
fn readable(challenge: &str) -> String {
    let decoded = STANDARD.decode(challenge.trim()).ok();
    let decoded = decoded.and_then(|octets| String::from_utf8(octets).ok());
    decoded.unwrap_or_else(|| challenge.to_owned())
}

impl<'a> Bearer<'a> {
    /// Of credentials that hold a token.
    pub(super) fn of(
        credentials: &'a Credentials,
        token: &'a SecretString,
        mechanism: Option<Mechanism>,
        host: &'a str,
        port: u16,
    ) -> Self {
        Self {
            user: &credentials.user,
            token,
            mechanism,
            host,
            port,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Mechanism, readable};

    /// RFC 7628 §4.1, and the example in Google's documentation of XOAUTH2.
    #[test]
    fn initial_responses_are_those_of_the_specifications() {
        let response = Mechanism::OAuthBearer.response(
            "user@example.com",
            "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==",
            "server.example.com",
            143,
        );
        assert_eq!(
            response.as_str(),
            "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer \
             vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
        );
        let response =
            Mechanism::XOAuth2.response("someuser@example.com", "ya29.vF9dft4qmTc", "", 0);
        assert_eq!(
            response.as_str(),
            "user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc\x01\x01"
        );
    }

    #[test]
    fn a_name_cannot_end_the_header_it_stands_in() {
        let response = Mechanism::OAuthBearer.response("a,b=c@d.example", "t", "h", 1);
        assert!(response.starts_with("n,a=a=2Cb=3Dc@d.example,\x01"));
    }

    #[test]
    fn challenges_are_read_as_json_in_base64_or_as_they_come() {
        for (challenge, read) in [
            ("eyJzdGF0dXMiOiI0MDEifQ==", "{\"status\":\"401\"}"),
            ("not base64", "not base64"),
            ("/w==", "/w=="),
            ("", ""),
        ] {
            assert_eq!(readable(challenge), read);
        }
    }
}
