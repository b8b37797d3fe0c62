//! Logging in: AUTHENTICATE PLAIN (RFC 4616), LOGIN only where PLAIN is not offered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::error::{Error, ServerText};
use super::guard::Allowance;
use super::session::{COMMAND, Command, Session, Wire, quoted};

/// Who logs in, and with what.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The mailbox's address, which is its login name.
    pub user: String,
    /// The password of this login.
    pub password: SecretString,
}

impl<S: Wire> Session<S> {
    /// Logs in by the best way the server offers.
    pub async fn login(&mut self, credentials: &Credentials) -> Result<(), Error> {
        if credentials.user.contains('\0') || credentials.password.expose_secret().contains('\0') {
            return Err(Error::NoLoginMethod(
                "a login name or password with a NUL octet cannot be sent (RFC 4616)".to_owned(),
            ));
        }
        let answer = if self.offers("AUTH=PLAIN").await? {
            self.authenticate_plain(credentials).await
        } else if self.offers("LOGINDISABLED").await? {
            Err(self.no_method())
        } else {
            self.login_command(credentials).await
        };
        answer.map_err(|error| match error {
            Error::Refused { text, .. } => refusal(text),
            other => other,
        })
    }

    /// RFC 4616, with the response in the command where the server takes it there (SASL-IR, RFC 4959).
    async fn authenticate_plain(&mut self, credentials: &Credentials) -> Result<(), Error> {
        let message = Zeroizing::new(format!(
            "\0{}\0{}",
            credentials.user,
            credentials.password.expose_secret()
        ));
        let response = Zeroizing::new(STANDARD.encode(message.as_bytes()));
        let early = self.offers("SASL-IR").await?;
        let line = if early {
            format!("AUTHENTICATE PLAIN {}", response.as_str())
        } else {
            "AUTHENTICATE PLAIN".to_owned()
        };
        self.forget_capabilities();
        let sent = self
            .send(Command::new("AUTHENTICATE", line), Allowance::SHORT)
            .await?;
        // Coremail offers SASL-IR and then asks all the same: the response is sent when asked for.
        if !self.continuation(&sent, COMMAND).await? {
            return Ok(());
        }
        let line = Zeroizing::new(format!("{}\r\n", response.as_str()));
        self.write(&line, "AUTHENTICATE").await?;
        self.complete(&sent, COMMAND, |_| {}).await
    }

    async fn login_command(&mut self, credentials: &Credentials) -> Result<(), Error> {
        let password = credentials.password.expose_secret();
        let is_line = |text: &str| text.chars().all(|c| c.is_ascii() && !c.is_ascii_control());
        if !is_line(&credentials.user) || !is_line(password) {
            return Err(Error::NoLoginMethod(
                "the server takes passwords by LOGIN only, which cannot carry one with other than printable \
                 ASCII characters (RFC 3501). Set a password of ASCII characters"
                    .to_owned(),
            ));
        }
        let line = Zeroizing::new(format!(
            "LOGIN {} {}",
            quoted(&credentials.user).as_str(),
            quoted(password).as_str()
        ));
        self.forget_capabilities();
        self.run(Command::new("LOGIN", line.as_str()), Allowance::SHORT)
            .await
    }

    fn no_method(&self) -> Error {
        let offered: Vec<_> = self
            .offered()
            .filter_map(|capability| capability.strip_prefix("AUTH="))
            .collect();
        Error::NoLoginMethod(format!(
            "the server takes no password (it offers {}). OAuth 2.0 is not in this version",
            if offered.is_empty() {
                ServerText::new("").to_string()
            } else {
                ServerText::new(&offered.join(", ")).to_string()
            }
        ))
    }
}

/// What a refused login means. Servers differ more in words than in codes (RFC 5530).
fn refusal(text: ServerText) -> Error {
    const PASSING: [&str; 9] = [
        "[UNAVAILABLE]",
        "[LIMIT]",
        "[INUSE]",
        "[SERVERBUG]",
        "TOO MANY",
        "AUTHENTICATED BUT NOT CONNECTED",
        "TEMPORAR",
        "TRY AGAIN",
        "TRY LATER",
    ];
    const APP_PASSWORD: [&str; 3] = ["APPLICATION-SPECIFIC", "APP PASSWORD", "APP-SPECIFIC"];
    const NO_PASSWORDS: [&str; 3] = [
        "BASIC AUTHENTICATION IS DISABLED",
        "BASICAUTHBLOCKED",
        "LOGONDENIED",
    ];
    const WRONG: [&str; 5] = [
        "[AUTHENTICATIONFAILED]",
        "[AUTHORIZATIONFAILED]",
        "[EXPIRED]",
        "INVALID CREDENTIALS",
        "WEB LOGIN REQUIRED",
    ];
    let said = text.to_string().to_uppercase();
    let says_one_of = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // A code that says why is believed before any words: "Please try again" stands behind many of them.
    let has_code = says_one_of(&WRONG[..3]);
    if !has_code && says_one_of(&PASSING) {
        return Error::LoginUnavailable(text);
    }
    let (advice, explicit) = if says_one_of(&APP_PASSWORD) {
        (
            "Create an app password at the provider and use that instead of the account's own",
            true,
        )
    } else if says_one_of(&NO_PASSWORDS) {
        (
            "This provider takes no passwords but OAuth 2.0, which is not in this version",
            true,
        )
    } else {
        (
            "Check the address and where its password comes from (`password` in the configuration)",
            says_one_of(&WRONG),
        )
    };
    Error::LoginRefused {
        text,
        advice,
        explicit,
    }
}

#[cfg(test)]
mod tests {
    use super::{ServerText, refusal};
    use crate::imap::error::Class;

    #[test]
    fn what_a_refused_login_means() {
        use Class::{Doubtful, Login, Passing};
        for (said, class) in [
            ("[AUTHENTICATIONFAILED] Authentication failed.", Login),
            ("[ALERT] Invalid credentials (Failure)", Login),
            ("[ALERT] Application-specific password required", Login),
            (
                "AUTHENTICATE failed. Basic Authentication is disabled.",
                Login,
            ),
            ("LOGIN failed.", Doubtful),
            ("", Doubtful),
            ("[UNAVAILABLE] Temporary authentication failure.", Passing),
            ("[LIMIT] Too many connections", Passing),
            (
                "[ALERT] Too many simultaneous connections. (Failure)",
                Passing,
            ),
            ("User is authenticated but not connected.", Passing),
        ] {
            assert_eq!(refusal(ServerText::new(said)).class(), class, "{said}");
        }
    }
}
