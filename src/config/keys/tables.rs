//! The tables besides `[[account]]`.

use super::{Absent, Key, Table};

pub(super) const SENDER: Table = Table {
    path: "sender",
    heading: "[sender]",
    meaning: "Whose mails count, and where the keys come from that prove it.",
    keys: &[
        Key {
            name: "from",
            example: "[\"support@salesforce.com\"]",
            value: "a list of addresses",
            absent: Absent::Value(
                "[\"support@salesforce.com\", \"noreply@salesforce.com\", \"info@salesforcedevs.com\"]",
            ),
            meaning: "The senders that token mails may come from.",
        },
        Key {
            name: "domains",
            example: "[\"salesforce.com\"]",
            value: "a list of domains",
            absent: Absent::Value("[\"salesforce.com\", \"salesforcedevs.com\"]"),
            meaning: "The domains whose DKIM signature counts.",
        },
        Key {
            name: "resolver",
            example: "\"127.0.0.1:5353\"",
            value: "an IP address, with a port or without",
            absent: Absent::Words("the system's"),
            meaning: "The DNS server that is asked for DKIM keys. Not together with dkim_keys.",
        },
        Key {
            name: "dkim_keys",
            example: "\"keys.json\"",
            value: "a path, relative to the configuration file",
            absent: Absent::Words("DNS is asked"),
            meaning: "A JSON file in place of DNS: {\"SELECTOR._domainkey.DOMAIN\": \"v=DKIM1; ...\"}.",
        },
    ],
};

pub(super) const DISCOVERY: Table = Table {
    path: "discovery",
    heading: "[discovery]",
    meaning: "Where fetch-token login looks for a mailbox's server.",
    keys: &[
        Key {
            name: "autoconfig",
            example: "[\"https://autoconfig.acme.example/{domain}.xml\"]",
            value: "a list of https URLs, in which {domain} and {address} stand for those of the mailbox",
            absent: Absent::Value(
                "[\"https://autoconfig.{domain}/mail/config-v1.1.xml?emailaddress={address}\", \
                 \"https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml\"]",
            ),
            meaning: "Where a description of a domain's servers lies.",
        },
        Key {
            name: "resolver",
            example: "\"192.0.2.1\"",
            value: "an IP address, with a port or without",
            absent: Absent::Words("the system's"),
            meaning: "The DNS server that login asks.",
        },
    ],
};

pub(super) const KEYCHAIN: Table = Table {
    path: "keychain",
    heading: "[keychain]",
    meaning: "Where tokens are stored. The mailbox's own password is not moved by it.",
    keys: &[Key {
        name: "store",
        example: "\"auto\"",
        value: "\"auto\", the name of a store of this platform (\"secret-service\", \"macos\" or \"windows\"), or a table",
        absent: Absent::Value("\"auto\""),
        meaning: "\"auto\" is the platform's own keychain.",
    }],
};

pub(super) const STORE: Table = Table {
    path: "keychain.store",
    heading: "store = { ... }",
    meaning: "In [keychain]: a store that the program does not know.",
    keys: &[Key {
        name: "command",
        example: "{ write = [\"vault-write\", \"{username}\"], read = [\"vault-read\", \"{username}\"] }",
        value: "a table",
        absent: Absent::Refused,
        meaning: "The commands that write and read it.",
    }],
};

pub(super) const COMMAND: Table = Table {
    path: "keychain.store.command",
    heading: "[keychain.store.command]",
    meaning: "A store that is used by commands. Each is a list of a program and its arguments, which no shell reads; \
              {username} and {username:hash} in an argument stand for the Salesforce username, and in write {date}, \
              {identity}, {stamp} and {revision} for what is kept beside the token.",
    keys: &[
        Key {
            name: "name",
            example: "\"OpenBao\"",
            value: "1 to 40 characters",
            absent: Absent::Words("the name of the program that writes"),
            meaning: "The store's name.",
        },
        Key {
            name: "write",
            example: "[\"pass\", \"insert\", \"--multiline\", \"--force\", \"salesforce/{username}\"]",
            value: "a command",
            absent: Absent::Refused,
            meaning: "Reads the token from its standard input and stores it, replacing what is there.",
        },
        Key {
            name: "read",
            example: "[\"pass\", \"show\", \"salesforce/{username}\"]",
            value: "a command",
            absent: Absent::Refused,
            meaning: "Prints the token alone. Printing nothing and ending with 0 means that there is none.",
        },
        Key {
            name: "delete",
            example: "[\"pass\", \"rm\", \"--force\", \"salesforce/{username}\"]",
            value: "a command",
            absent: Absent::Words("forget says that it cannot"),
            meaning: "Deletes the token.",
        },
        Key {
            name: "stamp",
            example: "[\"vault-stamp\", \"{username}\"]",
            value: "a command",
            absent: Absent::Words("who writes last wins"),
            meaning: "Prints the stamp that lies beside the token and, where there is one, a revision on the next line.",
        },
        Key {
            name: "absent",
            example: "\"is not in the password store\"",
            value: "an exit status from 1 to 255, words on standard error, or a list of such words",
            absent: Absent::Words("every failure is one"),
            meaning: "By what a failure of read, delete or stamp is known to mean that there is no token.",
        },
        Key {
            name: "conflict",
            example: "3",
            value: "an exit status from 1 to 255, words on standard error, or a list of such words",
            absent: Absent::Words("every failure is one"),
            meaning: "By what a failure of write is known to mean that another revision lies there.",
        },
        Key {
            name: "deadline",
            example: "\"10s\"",
            value: "a time from \"1s\" to \"60s\"",
            absent: Absent::Value("\"30s\""),
            meaning: "How long each command may take.",
        },
    ],
};

pub(super) const HOOK: Table = Table {
    path: "hook",
    heading: "[[hook]]",
    meaning: "A program that fetch-token daemon runs when something happens. It may run twice for the same event.",
    keys: &[
        Key {
            name: "on",
            example: "\"stored\"",
            value: "\"stored\", \"refused\", \"pending\" or \"login-failed\"",
            absent: Absent::Refused,
            meaning: "When it runs: a token was stored; a token mail was refused; one cannot be judged or stored yet; a \
                      login failed.",
        },
        Key {
            name: "command",
            example: "[\"systemctl\", \"--user\", \"restart\", \"etl\"]",
            value: "a list of a program and its arguments; no shell reads it",
            absent: Absent::Refused,
            meaning: "The program. What happened stands in its environment, in FETCH_TOKEN_EVENT, FETCH_TOKEN_ACCOUNT, \
                      FETCH_TOKEN_USERNAME and others. It has 30 s.",
        },
        Key {
            name: "stdin",
            example: "\"token\"",
            value: "\"token\"",
            absent: Absent::Words("nothing"),
            meaning: "What it reads on its standard input. Only with on = \"stored\".",
        },
    ],
};
