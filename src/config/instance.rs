//! `instance` of an account: one org for all its users, or a list.

use serde::Deserialize;

use crate::account::Instances;
use crate::mail::UsernameGlobs;

/// As it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "an instance is a URL, or a list of { usernames = [\"*@acme.example\"], url = \"https://acme.my.salesforce.com\" }"
)]
pub(super) enum Entry {
    /// The org of every user.
    One(String),
    /// The first that admits a username is its org.
    Several(Vec<Org>),
}

/// One of several.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Org {
    usernames: Vec<String>,
    url: String,
}

impl Entry {
    /// Checks what the types cannot say.
    pub(super) fn check(&self) -> Result<Instances, String> {
        let orgs = match self {
            Self::One(url) => vec![(UsernameGlobs::any(), url)],
            Self::Several(orgs) => orgs
                .iter()
                .map(|org| Ok((UsernameGlobs::of(&org.usernames)?, &org.url)))
                .collect::<Result<_, crate::mail::GlobError>>()
                .map_err(|error| error.to_string())?,
        };
        orgs.into_iter()
            .map(|(usernames, url)| Ok((usernames, url.parse()?)))
            .collect::<Result<_, crate::account::NotAnInstance>>()
            .map(Instances::of)
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;

    fn read(instance: &str) -> Result<Config, String> {
        let text = format!(
            "[[account]]\naddress = \"integration@acme.example\"\nhost = \"imap.acme.example\"\n\
             usernames = [\"*\"]\n{instance}\n"
        );
        Config::parse(&text, Path::new("config.toml")).map_err(|error| error.to_string())
    }

    fn org(config: &Config, username: &str) -> Option<String> {
        let instance = config.accounts[0].instances.instance_of(username)?;
        Some(instance.reset_page().host_str()?.to_owned())
    }

    #[test]
    fn a_mailbox_serves_no_org_one_or_several() {
        let config = read("").expect("no instance");
        assert_eq!(org(&config, "me@acme.example"), None);

        let config = read("instance = \"https://acme.my.salesforce.com\"").expect("one");
        let acme = Some("acme.my.salesforce.com".to_owned());
        assert_eq!(org(&config, "me@acme.example"), acme);

        let config = read(
            "instance = [\n\
             { usernames = [\"*.UAT\"], url = \"https://acme--uat.sandbox.my.salesforce.com\" },\n\
             { usernames = [\"*@acme.example\", \"*.uat\"], url = \"https://acme.my.salesforce.com\" },\n]",
        )
        .expect("several");
        assert_eq!(org(&config, "me@acme.example"), acme);
        assert_eq!(
            org(&config, "me@acme.example.uat").as_deref(),
            Some("acme--uat.sandbox.my.salesforce.com"),
            "the first that admits it"
        );
        assert_eq!(org(&config, "me@elsewhere.example"), None);
    }

    #[test]
    fn errors_name_the_place_and_what_was_meant() {
        for (line, expected) in [
            (
                "instance = \"http://acme.my.salesforce.com\"",
                "begins with https://",
            ),
            (
                "instance = \"https://me:secret@acme.my.salesforce.com\"",
                "an org's address",
            ),
            ("instance = 5", "an instance is a URL, or a list of"),
            (
                "instance = [{ url = \"https://acme.my.salesforce.com\" }]",
                "an instance is a URL, or a list of",
            ),
            (
                "instance = [{ usernames = [\"[\"], url = \"https://acme.my.salesforce.com\" }]",
                "`[` is not a pattern",
            ),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.starts_with("config.toml:5:12: "), "{error}");
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
