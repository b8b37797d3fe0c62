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
    meaning: "Where secrets are stored.",
    keys: &[
        Key {
            name: "store",
            example: "\"auto\"",
            value: "\"auto\", \"file\", the name of a store of this platform (\"secret-service\" and \"keyutils\" on Linux, \
                    \"macos\", \"windows\"), or a table",
            absent: Absent::Value("\"auto\""),
            meaning: "\"auto\" is the platform's own keychain and, where none answers, the encrypted file, if [keychain.file] \
                      is there; no token goes from one to the other by itself. \"keyutils\" does not outlive the session. What \
                      mailboxes are logged in to with lies in the same store, but for a table.",
        },
        Key {
            name: "file",
            example: "{ identity = \"secrets.key\" }",
            value: "a table",
            absent: Absent::Words("no such store"),
            meaning: "The encrypted file, for where there is no keychain.",
        },
    ],
};

pub(super) const FILE: Table = Table {
    path: "keychain.file",
    heading: "[keychain.file]",
    meaning: "The encrypted file (age), and what opens it: identity or passphrase.",
    keys: &[
        Key {
            name: "path",
            example: "\"secrets.age\"",
            value: "a path, relative to the configuration file",
            absent: Absent::Words("secrets.age in the state directory"),
            meaning: "Where it lies.",
        },
        Key {
            name: "identity",
            example: "\"secrets.key\"",
            value: "a path, relative to the configuration file, or a table",
            absent: Absent::Words("a passphrase"),
            meaning: "An age identity (X25519) that opens it, in a file that is yours alone. With the first secret it is made \
                      where neither it nor the encrypted file is there.",
        },
        Key {
            name: "passphrase",
            example: "\"prompt\"",
            value: "\"prompt\" or a table",
            absent: Absent::Words("an identity"),
            meaning: "A passphrase that opens it. \"prompt\" asks for it on the terminal.",
        },
    ],
};

pub(super) const IDENTITY: Table = Table {
    path: "keychain.file.identity",
    heading: "identity = { ... }",
    meaning: "In [keychain.file]: an identity that the service manager hands over.",
    keys: &[Key {
        name: "credential",
        example: "\"fetch-token.key\"",
        value: "a credential's name",
        absent: Absent::Refused,
        meaning: "A file in the directory that systemd names in CREDENTIALS_DIRECTORY.",
    }],
};

pub(super) const PASSPHRASE: Table = Table {
    path: "keychain.file.passphrase",
    heading: "passphrase = { ... }",
    meaning: "In [keychain.file]: a passphrase that a program prints.",
    keys: &[Key {
        name: "command",
        example: "[\"pass\", \"show\", \"fetch-token\"]",
        value: "a list of a program and its arguments; no shell reads it",
        absent: Absent::Refused,
        meaning: "Prints the passphrase on its first line.",
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
