//! Providers that are known by name. A line of [`PROVIDERS`] is all there is to one.

use super::{Secret, Server, Source};
use crate::imap::Tls;

/// What is known of one.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) name: &'static str,
    /// Domains of its addresses, in lower case.
    domains: &'static [&'static str],
    /// Ends of the names of its mail exchangers (RFC 5321 §5.1), by which the domains of its customers are told.
    exchangers: &'static [&'static str],
    host: &'static str,
    tls: Tls,
    port: u16,
    secret: Secret,
    /// What a person has to do there first; empty where nothing.
    first: &'static str,
}

const TLS: (Tls, u16) = (Tls::Implicit, 993);
const ITS_OWN: Secret = Secret::Password;
const SWITCH_ON: &str = "IMAP has to be switched on in its settings first";
const GOOGLE: Secret = Secret::OAuth2 {
    provider: Some("google"),
    app_password: Some("https://myaccount.google.com/apppasswords"),
};
const MICROSOFT: Secret = Secret::OAuth2 {
    provider: Some("microsoft"),
    app_password: None,
};

const fn app(page: &'static str) -> Secret {
    Secret::AppPassword(page)
}

const fn row(
    name: &'static str,
    domains: &'static [&'static str],
    exchangers: &'static [&'static str],
    host: &'static str,
    (tls, port): (Tls, u16),
    secret: Secret,
    first: &'static str,
) -> Provider {
    Provider {
        name,
        domains,
        exchangers,
        host,
        tls,
        port,
        secret,
        first,
    }
}

/// Name, domains of its addresses, ends of its mail exchangers' names, IMAP server, what it lets in by, what comes first.
#[rustfmt::skip]
const PROVIDERS: &[Provider] = &[
    row("Gmail", &["gmail.com", "googlemail.com"], &[], "imap.gmail.com", TLS, GOOGLE, ""),
    row("Google Workspace", &[], &["aspmx.l.google.com", "googlemail.com", "smtp.google.com"], "imap.gmail.com", TLS, GOOGLE, ""),
    row("Outlook.com", &["outlook.com", "hotmail.com", "live.com", "msn.com", "outlook.de", "hotmail.de", "hotmail.co.uk", "hotmail.fr"], &[], "outlook.office365.com", TLS, MICROSOFT, SWITCH_ON),
    row("Microsoft 365", &[], &["mail.protection.outlook.com", "mx.microsoft"], "outlook.office365.com", TLS, MICROSOFT, ""),
    row("iCloud", &["icloud.com", "me.com", "mac.com"], &["mail.icloud.com"], "imap.mail.me.com", TLS, app("https://account.apple.com"), ""),
    row("Yahoo", &["yahoo.com", "yahoo.de", "yahoo.co.uk", "yahoo.fr", "ymail.com", "rocketmail.com"], &["yahoodns.net"], "imap.mail.yahoo.com", TLS, app("https://login.yahoo.com/account/security"), ""),
    row("AOL", &["aol.com", "aim.com"], &[], "imap.aol.com", TLS, app("https://login.aol.com/account/security"), ""),
    row("Fastmail", &["fastmail.com", "fastmail.fm"], &["messagingengine.com"], "imap.fastmail.com", TLS, app("https://app.fastmail.com/settings/security/apps"), ""),
    row("GMX", &["gmx.de", "gmx.net", "gmx.at", "gmx.ch"], &[], "imap.gmx.net", TLS, ITS_OWN, SWITCH_ON),
    row("GMX", &["gmx.com", "gmx.us", "gmx.co.uk"], &[], "imap.gmx.com", TLS, ITS_OWN, SWITCH_ON),
    row("WEB.DE", &["web.de"], &[], "imap.web.de", TLS, ITS_OWN, SWITCH_ON),
    row("Zoho", &["zoho.com", "zohomail.com"], &[], "imap.zoho.com", TLS, app("https://accounts.zoho.com"), SWITCH_ON),
    row("Zoho (organization)", &[], &["zoho.com"], "imappro.zoho.com", TLS, app("https://accounts.zoho.com"), SWITCH_ON),
    row("Zoho (organization, EU)", &[], &["zoho.eu"], "imappro.zoho.eu", TLS, app("https://accounts.zoho.eu"), SWITCH_ON),
    row("Proton Mail Bridge", &["proton.me", "protonmail.com", "pm.me"], &["protonmail.ch"], "127.0.0.1", (Tls::StartTls, 1143), app("Bridge's own window"), "Bridge has to run on this machine; export its TLS certificate there and name that file with --ca-file"),
    row("Yandex", &["yandex.com", "yandex.ru", "ya.ru"], &["mx.yandex.net"], "imap.yandex.com", TLS, app("https://id.yandex.com/security/app-passwords"), SWITCH_ON),
    row("mailbox.org", &["mailbox.org"], &["mailbox.org"], "imap.mailbox.org", TLS, ITS_OWN, ""),
    row("Posteo", &["posteo.de", "posteo.net", "posteo.org"], &[], "posteo.de", TLS, ITS_OWN, ""),
    row("Migadu", &[], &["migadu.com"], "imap.migadu.com", TLS, ITS_OWN, ""),
    row("IONOS", &[], &["kundenserver.de"], "imap.ionos.de", TLS, ITS_OWN, ""),
    row("STRATO", &[], &["rzone.de"], "imap.strato.de", TLS, ITS_OWN, ""),
    row("Rackspace", &[], &["emailsrvr.com"], "secure.emailsrvr.com", TLS, ITS_OWN, ""),
    row("Gandi", &[], &["mail.gandi.net"], "mail.gandi.net", TLS, ITS_OWN, ""),
];

/// The provider whose addresses have this domain.
pub(super) fn of_domain(domain: &str) -> Option<&'static Provider> {
    PROVIDERS
        .iter()
        .find(|provider| provider.domains.contains(&domain))
}

/// The provider that receives mail at one of these exchangers.
pub(super) fn of_exchangers(exchangers: &[String]) -> Option<&'static Provider> {
    let is_within = |host: &str, end: &str| {
        host.strip_suffix(end)
            .is_some_and(|start| start.is_empty() || start.ends_with('.'))
    };
    PROVIDERS.iter().find(|provider| {
        let mut ends = provider.exchangers.iter();
        ends.any(|end| exchangers.iter().any(|host| is_within(host, end)))
    })
}

/// Whether this is the name of a provider's IMAP server, or of one of its mail exchangers.
pub(crate) fn is_known_server(host: &str) -> bool {
    PROVIDERS.iter().any(|provider| {
        let mut names = provider.exchangers.iter().chain([&provider.host]);
        names.any(|name| name.eq_ignore_ascii_case(host))
    })
}

/// The provider whose IMAP server this is.
pub(super) fn of_host(host: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.host == host)
}

impl Provider {
    pub(super) fn server(&self, source: Source) -> Server {
        Server {
            host: self.host.to_owned(),
            port: self.port,
            tls: self.tls,
            user: None,
            secret: self.secret,
            first: self.first,
            source,
        }
    }

    pub(super) fn ways(&self) -> (Secret, &'static str) {
        (self.secret, self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::{PROVIDERS, of_domain, of_exchangers};

    #[test]
    fn a_domain_and_an_exchanger_belong_to_one_provider() {
        let all = || {
            PROVIDERS
                .iter()
                .flat_map(|provider| provider.domains.iter())
        };
        for domain in all() {
            assert_eq!(*domain, domain.to_lowercase());
            assert_eq!(
                all().filter(|other| *other == domain).count(),
                1,
                "{domain}"
            );
        }
        for provider in PROVIDERS {
            for end in provider.exchangers {
                let host = format!("mx1.{end}");
                let found = of_exchangers(&[host]).expect("a provider");
                assert_eq!(found.name, provider.name, "{end}");
            }
        }
    }

    #[test]
    fn hosted_domains_are_told_by_whole_labels_of_their_exchangers() {
        let name = |host: &str| of_exchangers(&[host.to_owned()]).map(|provider| provider.name);
        assert_eq!(name("alt1.aspmx.l.google.com"), Some("Google Workspace"));
        assert_eq!(
            name("acme-example.mail.protection.outlook.com"),
            Some("Microsoft 365")
        );
        assert_eq!(name("in1-smtp.messagingengine.com"), Some("Fastmail"));
        assert_eq!(name("mx.evilzoho.com"), None);
        assert_eq!(name("zoho.com.evil.example"), None);
        assert_eq!(of_domain("gmail.com").map(|p| p.name), Some("Gmail"));
        assert!(of_domain("acme.example").is_none());
    }
}
