//! `instance` of an account: one org for all its users, or a list.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::account::Instances;
use crate::mail::UsernameGlobs;

/// As it stands in the file.
#[derive(Debug)]
pub(super) enum Entry {
    /// The org of every user.
    One(String),
    /// The first that admits a username is its org.
    Several(Vec<Org>),
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a URL, or a list of { usernames = [\"*@acme.example\"], url = \"https://acme.my.salesforce.com\" }",
        )
    }

    fn visit_str<E: serde::de::Error>(self, url: &str) -> Result<Entry, E> {
        Ok(Entry::One(url.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entry, A::Error> {
        let mut orgs = Vec::new();
        while let Some(org) = list.next_element()? {
            orgs.push(org);
        }
        Ok(Entry::Several(orgs))
    }
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
                "5:12: an instance is an org's address, for example https://acme.my.salesforce.com: it begins with \
                 https:// and ends with the host or its port",
            ),
            (
                "instance = \"https://me:secret@acme.my.salesforce.com\"",
                "5:12: an instance is an org's address, for example https://acme.my.salesforce.com: it begins with \
                 https:// and ends with the host or its port",
            ),
            (
                "instance = 5",
                "5:12: this must be a URL, or a list of { usernames = [\"*@acme.example\"], url = \
                 \"https://acme.my.salesforce.com\" }",
            ),
            (
                "instance = [{ url = \"https://acme.my.salesforce.com\" }]",
                "5:13: the key `usernames` is missing here",
            ),
            (
                "instance = [{ user = [\"*\"], url = \"https://acme.my.salesforce.com\" }]",
                "5:15: unknown key `user`. Did you mean `usernames`?",
            ),
            (
                "instance = [{ usernames = [\"[\"], url = \"https://acme.my.salesforce.com\" }]",
                "5:12: `[` is not a pattern",
            ),
        ] {
            let error = read(line).expect_err(line);
            let expected = format!("config.toml:{expected}");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}
