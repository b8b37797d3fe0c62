//! Which server it is.

use std::time::Duration;

use tokio::time::Instant;

use crate::account::discovery::{self, Places, Secret, Server, Source, autoconfig};
use crate::cli::LoginArgs;
use crate::commands::{Exit, Failure, House};
use crate::config::Discovery;
use crate::imap::Endpoint;

/// How long it is looked for at most, for the spinner.
const LONGEST: Duration = Duration::from_secs(20);

/// The server that the command line names, else the one that is found; a doubtful one only where a person agrees.
pub(super) async fn find(
    house: &House,
    args: &LoginArgs,
    discovery: &Discovery,
) -> Result<Server, Failure> {
    if let Some(host) = &args.host {
        return Ok(Server {
            host: host.clone(),
            port: args.port.unwrap_or(args.tls.port()),
            tls: args.tls,
            user: None,
            secret: Secret::Password,
            first: "",
            source: Source::Told,
        });
    }
    let mut places = Places {
        resolver: discovery.resolver,
        autoconfig: discovery.autoconfig.clone(),
        authorities: Vec::new(),
    };
    if let Some(file) = &args.ca_file {
        places.authorities = Endpoint::authorities_from(file).map_err(|error| {
            let message = format!(
                "the authority in {} cannot be used: {error}",
                file.display()
            );
            Failure::new(Exit::Usage, message)
        })?;
    }
    if args.ispdb {
        places.autoconfig.push(autoconfig::ISPDB.to_owned());
    }
    let what = format!("looking for the server of {}", args.address.domain);
    house.announcer.spin(&what, Instant::now() + LONGEST);
    let found = discovery::find(&args.address, &places).await;
    house.announcer.stop_spinning();
    let server = found.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    house.announcer.say(&format!(
        "Found {} port {}, {} ({}).",
        server.host,
        server.port,
        match server.tls {
            crate::imap::Tls::Implicit => "TLS",
            crate::imap::Tls::StartTls => "STARTTLS",
        },
        server.source
    ));
    if !server.first.is_empty() {
        house.announcer.say(&format!("{}.", server.first));
    }
    if let Some(words) = advice(server.secret).filter(|_| args.oauth.is_none()) {
        house.announcer.say(&words);
    }
    if server.is_doubtful(&args.address) {
        let question = format!(
            "{} lies outside {}, and DNS can be forged. Send the login there?",
            server.host, args.address.domain
        );
        let otherwise = "name the server with --host, or agree with --yes";
        house
            .announcer
            .confirm(&question, args.yes, otherwise)
            .await?;
    }
    Ok(server)
}

/// What a person has to have at hand.
fn advice(secret: Secret) -> Option<String> {
    const CLIENT: &str =
        "`--oauth PROVIDER --client-id ID` (docs/providers.md says how to get one)";
    match secret {
        Secret::Password => None,
        Secret::AppPassword(page) => Some(format!(
            "It wants an app password, not the account's own: make one at {page}."
        )),
        Secret::OAuth2 {
            app_password: Some(page),
            ..
        } => Some(format!(
            "It takes no account's own password: make an app password at {page}, or log in with OAuth 2.0 by {CLIENT}."
        )),
        Secret::OAuth2 {
            app_password: None, ..
        } => Some(format!(
            "It takes no passwords: log in with OAuth 2.0 by {CLIENT}."
        )),
    }
}
