//! What an `[[account]]` holds.

use super::{Absent, Key, Table};

pub(super) const ACCOUNT: Table = Table {
    path: "account",
    heading: "[[account]]",
    meaning: "A mailbox. At least one; each has an address of its own.",
    keys: &[
        Key {
            name: "address",
            example: "\"integration@acme.example\"",
            value: "an address",
            absent: Absent::Refused,
            meaning: "The mailbox's address. A mail counts only if it is addressed to it, or to one of addresses.",
        },
        Key {
            name: "user",
            example: "\"integration\"",
            value: "a string",
            absent: Absent::Words("the address"),
            meaning: "The login name, where it is not the address.",
        },
        Key {
            name: "host",
            example: "\"imap.acme.example\"",
            value: "a host name or an IP address",
            absent: Absent::Refused,
            meaning: "The IMAP server.",
        },
        Key {
            name: "port",
            example: "993",
            value: "a number from 0 to 65535",
            absent: Absent::Words("993, or 143 with tls = \"starttls\""),
            meaning: "The IMAP server's port.",
        },
        Key {
            name: "tls",
            example: "\"starttls\"",
            value: "\"implicit\" or \"starttls\"",
            absent: Absent::Value("\"implicit\""),
            meaning: "When TLS begins: at once, or by STARTTLS, which is then mandatory. There is no plain.",
        },
        Key {
            name: "ca_file",
            example: "\"acme-ca.pem\"",
            value: "a path, relative to the configuration file",
            absent: Absent::Words("the system's authorities alone"),
            meaning: "A PEM file with certificate authorities that are trusted besides the system's.",
        },
        Key {
            name: "password",
            example: "{ command = [\"pass\", \"imap/acme\"] }",
            value: "\"keychain\", \"prompt\" or a table",
            absent: Absent::Value("\"keychain\""),
            meaning: "Where the mailbox's password comes from: the keychain (service fetch-token-mailbox, account = the \
                      address), a person at the terminal, or a command. The password itself is never written here.",
        },
        Key {
            name: "oauth2",
            example: "{ provider = \"google\", client_id = \"1234567890-abc.apps.googleusercontent.com\" }",
            value: "a table",
            absent: Absent::Words("password counts"),
            meaning: "Log in with access tokens of OAuth 2.0. In place of password.",
        },
        Key {
            name: "usernames",
            example: "[\"*@acme.example\"]",
            value: "a list of globs",
            absent: Absent::Refused,
            meaning: "The Salesforce usernames whose tokens may come to this mailbox; [\"*\"] is any.",
        },
        Key {
            name: "addresses",
            example: "[\"sf-tokens@acme.example\"]",
            value: "a list of globs",
            absent: Absent::Value("[]"),
            meaning: "Other addresses whose mail lands here: aliases and forwards.",
        },
        Key {
            name: "folders",
            example: "[\"INBOX\", \"Salesforce\"]",
            value: "a list of 1 to 20 names of folders",
            absent: Absent::Value("[\"INBOX\"]"),
            meaning: "The server announces new mail in the first; the others are searched every 30 s.",
        },
        Key {
            name: "sweep_junk",
            example: "false",
            value: "true or false",
            absent: Absent::Value("true"),
            meaning: "Whether the junk folder is searched as well, every 30 s while somebody waits.",
        },
        Key {
            name: "idle",
            example: "false",
            value: "true or false",
            absent: Absent::Value("true"),
            meaning: "Whether the server announces new mail (IDLE). With false it is asked: every 5 s while somebody \
                      waits, else every 30 s.",
        },
        Key {
            name: "trusted_authserv_id",
            example: "\"mx.acme.example\"",
            value: "one word",
            absent: Absent::Words("none is trusted"),
            meaning: "The name in your provider's Authentication-Results fields, where it breaks DKIM on the way: its \
                      dkim=pass then replaces the check of the hash.",
        },
        Key {
            name: "instance",
            example: "\"https://acme.my.salesforce.com\"",
            value: "an https URL, or a list of tables",
            absent: Absent::Words("open wants --instance"),
            meaning: "The org of the users here, for fetch-token open.",
        },
    ],
};

pub(super) const PASSWORD: Table = Table {
    path: "account.password",
    heading: "password = { ... }",
    meaning: "In an [[account]]: a command that gives the mailbox's password.",
    keys: &[Key {
        name: "command",
        example: "[\"pass\", \"imap/acme\"]",
        value: "a list of a program and its arguments; no shell reads it",
        absent: Absent::Refused,
        meaning: "Prints the password on its first line. It runs at every login and has 60 s.",
    }],
};

pub(super) const OAUTH2: Table = Table {
    path: "account.oauth2",
    heading: "[account.oauth2]",
    meaning: "In an [[account]]: where access tokens come from. Either command, or a client of your own: client_id, with \
              provider or with token_url, scopes and one of auth_url and device_url.",
    keys: &[
        Key {
            name: "command",
            example: "[\"pizauth\", \"show\", \"acme\"]",
            value: "a list of a program and its arguments; no shell reads it",
            absent: Absent::Words("a client of your own"),
            meaning: "Prints an access token on its first line. It runs at every login and has 60 s.",
        },
        Key {
            name: "provider",
            example: "\"microsoft\"",
            value: "\"google\" or \"microsoft\"",
            absent: Absent::Words("the URLs are written"),
            meaning: "Whose URLs and scopes are used.",
        },
        Key {
            name: "tenant",
            example: "\"acme.example\"",
            value: "a domain or an id",
            absent: Absent::Value("\"common\""),
            meaning: "With provider = \"microsoft\": the organization. \"consumers\" is Outlook.com.",
        },
        Key {
            name: "client_id",
            example: "\"00000000-0000-0000-0000-000000000000\"",
            value: "one word",
            absent: Absent::Words("command counts"),
            meaning: "The client that you registered with the provider.",
        },
        Key {
            name: "client_secret",
            example: "\"keychain\"",
            value: "\"keychain\" or a table",
            absent: Absent::Words("the client has none"),
            meaning: "Where the client's secret comes from. \"keychain\" is the keychain: service fetch-token-client, \
                      account = the client's id.",
        },
        Key {
            name: "auth_url",
            example: "\"https://login.acme.example/auth\"",
            value: "an https URL",
            absent: Absent::Words("no login in a browser"),
            meaning: "The authorization endpoint (RFC 6749).",
        },
        Key {
            name: "token_url",
            example: "\"https://login.acme.example/token\"",
            value: "an https URL",
            absent: Absent::Words("the provider's"),
            meaning: "The token endpoint (RFC 6749).",
        },
        Key {
            name: "device_url",
            example: "\"https://login.acme.example/device/auth\"",
            value: "an https URL",
            absent: Absent::Words("no login by a code"),
            meaning: "The device authorization endpoint (RFC 8628).",
        },
        Key {
            name: "revocation_url",
            example: "\"https://login.acme.example/revoke\"",
            value: "an https URL",
            absent: Absent::Words("logout gives nothing back"),
            meaning: "The revocation endpoint (RFC 7009): logout gives back there what was granted.",
        },
        Key {
            name: "scopes",
            example: "[\"offline_access\", \"mail\"]",
            value: "a list of words",
            absent: Absent::Words("the provider's"),
            meaning: "What is asked for: what the provider wants for reading mail over IMAP, and for a refresh token.",
        },
        Key {
            name: "method",
            example: "\"oauthbearer\"",
            value: "\"oauthbearer\" or \"xoauth2\"",
            absent: Absent::Words("what the server offers"),
            meaning: "How the access token is sent to the mail server.",
        },
    ],
};

pub(super) const CLIENT_SECRET: Table = Table {
    path: "account.oauth2.client_secret",
    heading: "client_secret = { ... }",
    meaning: "In [account.oauth2]: one of the two.",
    keys: &[
        Key {
            name: "command",
            example: "[\"pass\", \"google/client\"]",
            value: "a list of a program and its arguments; no shell reads it",
            absent: Absent::Words("public counts"),
            meaning: "Prints the secret on its first line.",
        },
        Key {
            name: "public",
            example: "\"GOCSPX-example\"",
            value: "a string",
            absent: Absent::Words("command counts"),
            meaning: "The secret itself, where it is none since whoever has the program has it, as with Google's desktop \
                      clients.",
        },
    ],
};

pub(super) const INSTANCE: Table = Table {
    path: "account.instance",
    heading: "instance = [{ ... }]",
    meaning: "In an [[account]] whose users are in several orgs: a list, of which the first that fits counts.",
    keys: &[
        Key {
            name: "usernames",
            example: "[\"*.uat\"]",
            value: "a list of globs",
            absent: Absent::Refused,
            meaning: "Whose org it is.",
        },
        Key {
            name: "url",
            example: "\"https://acme--uat.sandbox.my.salesforce.com\"",
            value: "an https URL",
            absent: Absent::Refused,
            meaning: "The org's address.",
        },
    ],
};
