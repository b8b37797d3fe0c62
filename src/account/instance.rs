//! Where a user's Salesforce org is.

use std::str::FromStr;

use url::Url;

use crate::mail::UsernameGlobs;

/// The page with the button that resets the token. Opening it resets nothing. The page behind the button,
/// `/_ui/system/security/ResetApiTokenConfirm`, resets as soon as it is opened, and is never named to a browser.
const RESET_PAGE: &str = "/lightning/settings/personal/ResetApiToken/home";

/// A Salesforce org's address: an https origin, such as `https://acme.my.salesforce.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance(Url);

/// A text that is no instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an instance is an org's address, for example https://acme.my.salesforce.com: it begins with https:// and ends \
     with the host or its port"
)]
pub struct NotAnInstance;

impl FromStr for Instance {
    type Err = NotAnInstance;

    /// Takes an https URL without user, password, path, query and fragment. Not even on this machine http: whoever
    /// follows the link types a password there.
    fn from_str(text: &str) -> Result<Self, NotAnInstance> {
        let url = Url::parse(text).map_err(|_| NotAnInstance)?;
        let is_origin = url.scheme() == "https"
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        is_origin.then_some(Self(url)).ok_or(NotAnInstance)
    }
}

impl Instance {
    /// The page with the button that resets the token.
    #[must_use]
    pub fn reset_page(&self) -> Url {
        let mut page = self.0.clone();
        page.set_path(RESET_PAGE);
        page
    }
}

/// The orgs of a mailbox's users: the first whose globs admit a username is its org.
#[derive(Debug, Default, PartialEq)]
pub struct Instances(Vec<(UsernameGlobs, Instance)>);

impl Instances {
    /// In the order in which they are asked.
    #[must_use]
    pub fn of(orgs: Vec<(UsernameGlobs, Instance)>) -> Self {
        Self(orgs)
    }

    /// The org of this username, if one is configured.
    #[must_use]
    pub fn instance_of(&self, username: &str) -> Option<&Instance> {
        self.0
            .iter()
            .find(|(usernames, _)| usernames.admits(username))
            .map(|(_, instance)| instance)
    }
}

#[cfg(test)]
mod tests {
    use super::Instance;

    #[test]
    fn the_page_with_the_button_is_opened() {
        for (text, page) in [
            (
                "https://acme.my.salesforce.com",
                "https://acme.my.salesforce.com/lightning/settings/personal/ResetApiToken/home",
            ),
            (
                "HTTPS://Acme--uat.sandbox.my.salesforce.com:443/",
                "https://acme--uat.sandbox.my.salesforce.com/lightning/settings/personal/ResetApiToken/home",
            ),
            (
                "https://localhost:8443",
                "https://localhost:8443/lightning/settings/personal/ResetApiToken/home",
            ),
        ] {
            let instance: Instance = text.parse().expect(text);
            assert_eq!(instance.reset_page().as_str(), page);
        }
    }

    #[test]
    fn only_an_https_origin_is_an_instance() {
        for text in [
            "",
            "acme",
            "acme.my.salesforce.com",
            "//acme.my.salesforce.com",
            "http://acme.my.salesforce.com",
            "http://localhost",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://",
            "https://user@acme.my.salesforce.com",
            "https://user:secret@acme.my.salesforce.com",
            "https://:secret@acme.my.salesforce.com",
            "https://acme.my.salesforce.com/_ui/system/security/ResetApiTokenConfirm",
            "https://acme.my.salesforce.com/?startURL=x",
            "https://acme.my.salesforce.com/#x",
            "https://acme.my.salesforce.com --no-sandbox",
        ] {
            assert!(text.parse::<Instance>().is_err(), "{text}");
        }
    }
}
