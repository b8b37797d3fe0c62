//! Logging in: AUTHENTICATE PLAIN (RFC 4616), LOGIN only where PLAIN is not offered; with an access token see
//! `bearer`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::bearer::{Bearer, Mechanism};
use super::error::{Class, Error, ServerText};
use super::guard::Allowance;
use super::session::{COMMAND, Command, Session, Wire, quoted};
use crate::account::advice::{self, With};

/// Who logs in, and with what.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The mailbox's address, which is its login name.
    pub user: String,
    /// What shows that it is he.
    pub proof: Proof,
}

/// What shows who logs in.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The password of this login.
    Password(SecretString),
    /// An access token (RFC 6750).
    Token {
        /// The token.
        token: SecretString,
        /// How it is sent; else by the best way the server offers.
        mechanism: Option<Mechanism>,
        /// The host connected to, as configured.
        host: String,
        /// The port connected to.
        port: u16,
    },
}

impl Proof {
    /// The password or the token.
    #[must_use]
    pub fn secret(&self) -> &SecretString {
        match self {
            Self::Password(secret) | Self::Token { token: secret, .. } => secret,
        }
    }
}

impl<S: Wire> Session<S> {
    /// Logs in by the best way the server offers.
    pub async fn login(&mut self, credentials: &Credentials) -> Result<(), Error> {
        match &credentials.proof {
            Proof::Password(password) => self.login_by_password(&credentials.user, password).await,
            Proof::Token {
                token,
                mechanism,
                host,
                port,
            } => {
                let bearer = Bearer::of(credentials, token, *mechanism, host, *port);
                self.authenticate_token(bearer).await
            }
        }
    }

    async fn login_by_password(
        &mut self,
        user: &str,
        password: &SecretString,
    ) -> Result<(), Error> {
        let password = password.expose_secret();
        if user.contains('\0') || password.contains('\0') {
            return Err(Error::NoLoginMethod(
                "a login name or password with a NUL octet cannot be sent (RFC 4616)".to_owned(),
            ));
        }
        let response = Zeroizing::new(format!("\0{user}\0{password}"));
        let response = Zeroizing::new(STANDARD.encode(response.as_bytes()));
        let answer = if self.offers("AUTH=PLAIN").await? {
            self.authenticate_plain(&response).await
        } else if self.offers("LOGINDISABLED").await? {
            Err(self.no_method())
        } else {
            self.login_command(user, password).await
        };
        answer.map_err(|error| match error {
            Error::Refused { text, .. } => {
                refusal(text.as_str(), With::Password, user, &[password, &response])
            }
            other => other,
        })
    }

    /// RFC 4616, with the response in the command where the server takes it there (SASL-IR, RFC 4959).
    async fn authenticate_plain(&mut self, response: &str) -> Result<(), Error> {
        let early = self.offers("SASL-IR").await?;
        let line = if early {
            format!("AUTHENTICATE PLAIN {response}")
        } else {
            "AUTHENTICATE PLAIN".to_owned()
        };
        self.forget_capabilities();
        let sent = self
            .send(Command::new("AUTHENTICATE", line), Allowance::SHORT)
            .await?;
        // Coremail offers SASL-IR and then asks all the same: the response is sent when asked for.
        if self.continuation(&sent, COMMAND).await?.is_none() {
            return Ok(());
        }
        let line = Zeroizing::new(format!("{response}\r\n"));
        self.write(&line, "AUTHENTICATE").await?;
        self.complete(&sent, COMMAND, |_| {}).await
    }

    async fn login_command(&mut self, user: &str, password: &str) -> Result<(), Error> {
        let is_line = |text: &str| text.chars().all(|c| c.is_ascii() && !c.is_ascii_control());
        if !is_line(user) || !is_line(password) {
            return Err(Error::NoLoginMethod(
                "the server takes passwords by LOGIN only, which cannot carry one with other than printable \
                 ASCII characters (RFC 3501). Set a password of ASCII characters"
                    .to_owned(),
            ));
        }
        let line = Zeroizing::new(format!(
            "LOGIN {} {}",
            quoted(user).as_str(),
            quoted(password).as_str()
        ));
        self.forget_capabilities();
        self.run(Command::new("LOGIN", line.as_str()), Allowance::SHORT)
            .await
    }

    fn no_method(&self) -> Error {
        Error::NoLoginMethod(format!(
            "the server takes no password (it offers {}). Set `oauth2` in the configuration (docs/providers.md)",
            self.offered_mechanisms()
        ))
    }

    /// The SASL mechanisms that the server offers, for a person.
    pub(super) fn offered_mechanisms(&self) -> ServerText {
        let offered: Vec<_> = self
            .offered()
            .filter_map(|capability| capability.strip_prefix("AUTH="))
            .collect();
        ServerText::new(&offered.join(", "))
    }
}

/// Least of a secret by which it is recognized in a server's words, in octets.
const RECOGNIZED: usize = 6;

/// What a refused login means for this user. `secrets` are what was sent: a server that repeats them is not quoted.
pub(super) fn refusal(said: &str, with: With, user: &str, secrets: &[&str]) -> Error {
    let advice = advice::at_login(said, with);
    let is_repeated = secrets.iter().any(|secret| {
        let begin = secret.get(..RECOGNIZED).unwrap_or(secret);
        !begin.is_empty() && said.contains(begin)
    });
    let text = if is_repeated {
        ServerText::new("(its words repeat what was sent)")
    } else {
        ServerText::new(said)
    };
    let sentence = advice.sentence(user);
    match advice.class {
        Class::Passing => Error::LoginUnavailable {
            text,
            advice: sentence,
        },
        class => Error::LoginRefused {
            text,
            advice: sentence,
            explicit: class == Class::Login,
        },
    }
}
