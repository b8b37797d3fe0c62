//! What a report shows of what somebody wrote: its structure, and nothing of whose it is.

#[path = "lab/random.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "a part of the lab that runs on every platform"
)]
mod random;

use fetch_token::report::{Configuration, Gathered, Mask, What};
use random::Random;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Every key that a configuration can have, and names in it that nobody else has.
const RICH: &str = r#"
# Klaus wrote this comment.
[[account]]
host = "imap.acme.example" # and this one
address = "klaus@acme.example"
user = "kschmidt"
port = 993
tls = "implicit"
ca_file = "/home/klaus/Acme CA.pem"
password = { command = ["pass", "imap/acme", "--secret=hunter2"] }
addresses = ["tokens-*@acme.example", "klaus+sf@acme.example"]
usernames = ["*@acme.example.uat", "klaus@acme.example"]
folders = ["INBOX", "Kunden/Müller"]
idle = true
sweep_junk = false
trusted_authserv_id = "mx.acme.example"
instance = [{ usernames = ["*.uat"], url = "https://acme--uat.sandbox.my.salesforce.com" }]

[[account]]
address = "etl@gmail.com"
host = "imap.gmail.com"
usernames = ["*"]
instance = "https://acme.my.salesforce.com"
[account.oauth2]
provider = "google"
client_id = "1234-abc.apps.example"
client_secret = { command = ["op", "read", "op://klaus/secret"] }
tenant = "acme-tenant"
scopes = ["https://mail.google.com/", "acme.read"]
auth_url = "https://login.acme.example/authorize"
token_url = "https://login.acme.example:8443/token?x=klaus"
device_url = "https://login.acme.example/"
revocation_url = "https://login.acme.example/"
method = "xoauth2"

[sender]
from = ["support@salesforce.com", "relay@acme.example"]
domains = ["salesforce.com", "acme.example"]
resolver = "192.0.2.53:5353"
dkim_keys = "keys-of-klaus.json"

[[hook]]
on = "stored"
command = ["/home/klaus/bin/deploy", "klaus", "{username}"]
stdin = "token"

[keychain.store.command]
name = "the store of klaus"
write = ["vault", "kv", "put", "secret/acme/{username}"]
read = ["acme-read", "{username}"]
delete = ["acme-delete"]
stamp = ["acme-stamp"]
absent = ["no value found"]
conflict = 3
deadline = "30s"

[discovery]
autoconfig = ["https://autoconfig.{domain}/acme/{address}"]
resolver = "127.0.0.1"
"#;

fn of(configuration: &str) -> Gathered {
    Gathered {
        configuration: Some(Ok(configuration.to_owned())),
        home: Some("/home/klaus".to_owned()),
        ..Gathered::default()
    }
}

fn configuration(text: &str) -> Configuration {
    let report = of(text).masked();
    report.configuration.expect("one").expect("TOML")
}

#[test]
fn structure_keys_choices_and_relations_stay_and_names_do_not() {
    let shown = configuration(RICH).toml;
    for line in [
        "host = \"imap.domain1\"",
        "address = \"user1@domain1\"",
        "user = \"user8\"",
        "port = 993",
        "ca_file = \"~/name1.pem\"",
        "password = { command = [\"pass\", \"argument1\", \"argument2\"] }",
        "addresses = [\"user5*@domain1\", \"user6@domain1\"]",
        "usernames = [\"*@domain3\", \"user1@domain1\"]",
        "folders = [\"INBOX\", \"folder1\"]",
        "sweep_junk = false",
        "trusted_authserv_id = \"mx.domain1\"",
        "host = \"imap.gmail.com\"",
        "provider = \"google\"",
        "client_id = \"client1\"",
        "scopes = [\"https://mail.google.com/\", \"scope1\"]",
        "from = [\"support@salesforce.com\", \"user4@domain1\"]",
        "domains = [\"salesforce.com\", \"domain1\"]",
        "resolver = \"ip1:5353\"",
        "command = [\"~/bin/name3\", \"argument5\", \"{username}\"]",
        "conflict = 3",
        "deadline = \"30s\"",
        "resolver = \"127.0.0.1\"",
    ] {
        let stands = |shown_line: &str| shown_line.trim() == line;
        assert!(shown.lines().any(stands), "{line}\n{shown}");
    }
    for name in [
        "klaus", "acme", "schmidt", "hunter2", "müller", "comment", "1234", "192.0.2",
    ] {
        assert!(!shown.to_lowercase().contains(name), "{name}\n{shown}");
    }
    assert!(!shown.contains("key1"), "a key is not known:\n{shown}");
}

#[test]
fn what_programs_get_is_the_same() {
    let shown = configuration(RICH);
    assert_eq!(shown.json["account"][0]["address"], "user1@domain1");
    assert_eq!(shown.json["account"][0]["port"], 993);
    assert_eq!(shown.json["keychain"]["store"]["command"]["conflict"], 3);
    assert_eq!(shown.json["hook"][0]["on"], "stored");
    let again: toml::Table = shown.toml.parse().expect("TOML still");
    assert_eq!(serde_json::to_value(again).expect("JSON"), shown.json);
}

#[test]
fn what_stands_in_the_wrong_place_is_no_less_secret() {
    for line in [
        "password = \"hunter2\"",
        "password = 77553311",
        "hunter2 = true",
        "hunter2 = { host = \"hunter2\", port = 77553311 }",
        "port = \"hunter2\"",
        "idle = 77553311.5",
        "password = 1979-05-27",
        "host = [\"hunter2\", [\"hunter2\"]]",
        "command = { hunter2 = \"hunter2\" }",
    ] {
        let text = format!("[[account]]\naddress = \"a@b.example\"\n{line}\n");
        let report = of(&text).masked();
        let shown = report.markdown() + &report.json().to_string();
        for secret in ["hunter2", "77553311", "1979"] {
            assert!(!shown.contains(secret), "{line}:\n{shown}");
        }
    }
    let report = of("password = \"hunter2\nhost = klaus").masked();
    assert!(
        report
            .configuration
            .clone()
            .is_some_and(|shown| shown.is_err())
    );
    assert!(!report.markdown().contains("hunter2") && !report.markdown().contains("klaus"));
}

#[test]
fn what_nobody_has_told_of_is_known_by_its_looks_and_the_programs_own_words_stay() {
    let mut mask = Mask::new();
    mask.learn_home("/home/klaus");
    mask.learn([(What::Address, "klaus@acme.example".to_owned())]);
    for (text, shown) in [
        (
            "KLAUS@ACME.EXAMPLE and Klaus at mail.acme.example.",
            "user1@domain1 and user1 at mail.domain1.",
        ),
        (
            "it says OK “[CAPABILITY] nas7.other.example ready for klaus2”",
            "it says OK “[CAPABILITY] host1 ready for klaus2”",
        ),
        (
            "/home/klaus/.config/fetch-token/config.toml has mode 600",
            "~/.config/fetch-token/config.toml has mode 600",
        ),
        (
            "/run/user/1000/fetch-token is not there yet",
            "/run/user/1000/fetch-token is not there yet",
        ),
        ("/srv/acme data/x", "/srv/name1 data/x"),
        (
            "from 203.0.113.9 to [2001:db8::9]:993, 127.0.0.1 and ::1",
            "from ip1 to [ip2]:993, 127.0.0.1 and ::1",
        ),
        (
            "imap.gmail.com and _dmarc.salesforce.com",
            "imap.gmail.com and _dmarc.salesforce.com",
        ),
        (
            "https://klaus:x@other.example:8443/p?q=1 failed",
            "https://user2@host2:8443/page1 failed",
        ),
        ("token 5KqzP1xvbN8sWm2RtYc7LdGh!", "token secret1!"),
        (
            "../ssl/statem/statem_clnt.c:1889: (hostname mismatch)",
            "../ssl/statem/statem_clnt.c:1889: (hostname mismatch)",
        ),
        (
            "since 2026-11-24T19:22:42Z, version 0.1.0, TLS 1.3",
            "since 2026-11-24T19:22:42Z, version 0.1.0, TLS 1.3",
        ),
        (
            "org.freedesktop.secrets: see docs/providers.md",
            "org.freedesktop.secrets: see docs/providers.md",
        ),
        (
            "“IMAP4rev1 SASL-IR LOGIN-REFERRALS AUTH=PLAIN”",
            "“IMAP4rev1 SASL-IR LOGIN-REFERRALS AUTH=PLAIN”",
        ),
        (r"at C:\Users\klaus\x.toml", r"at C:\Users\name2\name3.toml"),
    ] {
        assert_eq!(mask.text(text), shown, "{text}");
    }
}

/// A word that is nobody's but this test's.
fn word(random: &mut Random) -> String {
    const LETTERS: &[char] = &[
        'b', 'd', 'f', 'g', 'k', 'l', 'p', 'q', 'v', 'w', 'x', 'z', 'ö', 'щ',
    ];
    let length = 7 + random.below(5);
    (0..length).map(|_| *random.pick(LETTERS)).collect()
}

/// Names drawn by chance, and all words that they are made of.
struct Somebody {
    random: Random,
    words: Vec<String>,
}

impl Somebody {
    fn word(&mut self) -> String {
        let word = word(&mut self.random);
        self.words.push(word.clone());
        word
    }

    fn host(&mut self) -> String {
        format!("{}.{}.example", self.word(), self.word())
    }

    fn address(&mut self) -> String {
        format!("{}.{}@{}", self.word(), self.word(), self.host())
    }

    fn path(&mut self) -> String {
        let blank = ["", " "][self.random.below(2)];
        format!(
            "/home/{}/{}{blank}{}",
            self.word(),
            self.word(),
            self.word()
        )
    }

    fn token(&mut self) -> String {
        let letters: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
        let token: String = (0..20).map(|_| *self.random.pick(&letters)).collect();
        let token = format!("7a8b{token}");
        self.words.push(token.clone());
        token
    }

    fn ip(&mut self) -> String {
        let ip = format!(
            "198.51.{}.{}",
            100 + self.random.below(100),
            100 + self.random.below(100)
        );
        self.words.push(ip.clone());
        ip
    }

    /// A sentence about it, as programs and servers write them.
    fn sentence(&mut self, about: &str) -> String {
        let about = match self.random.below(3) {
            0 => about.to_uppercase(),
            _ => about.to_owned(),
        };
        let around = [
            (
                "the server refused the login: “NO ",
                " is unknown”. Check it",
            ),
            ("", ""),
            ("<", ">"),
            ("user=", ","),
            ("cannot be read (", "): No such file"),
            ("it shows “CN=", "”"),
            ("\"", "\" failed"),
            ("at ", ". Try again"),
            ("[", "]:993"),
        ];
        let (before, after) = *self.random.pick(&around);
        format!("{before}{about}{after}")
    }
}

#[test]
fn nothing_that_is_somebodys_is_left_wherever_it_stands() {
    let mut somebody = Somebody {
        random: Random::new(),
        words: Vec::new(),
    };
    for _ in 0..40 {
        somebody.words.clear();
        let who = &mut somebody;
        let (address, username, host) = (who.address(), who.address(), who.host());
        let (folder, path, home) = (who.word(), who.path(), format!("/home/{}", who.word()));
        let (program, argument, secret) = (who.word(), who.word(), who.token());
        let (client, tenant, name, ip) = (
            who.word(),
            who.word(),
            format!("{} {}", who.word(), who.word()),
            who.ip(),
        );
        let mut text = String::new();
        let quoted = |value: &str| toml_edit::Value::from(value).to_string();
        let lines = [
            format!(
                "[[account]]\naddress = {} # {}",
                quoted(&address),
                who.word()
            ),
            format!("host = {}\nuser = {}", quoted(&host), quoted(&name)),
            format!(
                "ca_file = {}\nfolders = [{}]",
                quoted(&path),
                quoted(&folder)
            ),
            format!(
                "usernames = [{}, {}]",
                quoted(&username),
                quoted(&format!("*@{host}"))
            ),
            format!(
                "password = {{ command = [{}, {}] }}",
                quoted(&program),
                quoted(&argument)
            ),
            format!(
                "[account.oauth2]\nclient_id = {}\ntenant = {}",
                quoted(&client),
                quoted(&tenant)
            ),
            format!("[sender]\nresolver = {}", quoted(&ip)),
            format!(
                "[[hook]]\non = \"stored\"\ncommand = [\"sh\", \"-c\", {}]",
                quoted(&secret)
            ),
            format!("[{}]\n{} = 1", quoted(&who.word()), quoted(&who.word())),
        ];
        for line in lines {
            writeln!(text, "{line}").expect("write into a String");
        }
        // Who is not in the configuration has to be known by the looks.
        let strangers = [
            who.address(),
            format!("srv.{}", who.host()),
            who.ip(),
            who.token(),
        ];
        let below = format!("{home}/{} {}", who.word(), "x");
        let named = [
            address, username, host, folder, path, program, argument, secret, client, tenant, name,
            ip, below,
        ];
        let checks: Vec<Value> = named
            .iter()
            .chain(&strangers)
            .map(|value| json!({"verdict": "broken", "check": "login", "measured": who.sentence(value), "advice": who.sentence(value), "facts": {"any": [value]}}))
            .collect();
        let gathered = Gathered {
            configuration: Some(Ok(text.clone())),
            daemon: Some(Ok(checks.clone())),
            ledger: Some(Err(who.sentence(&named[4]))),
            home: Some(home),
            checks,
            ..Gathered::default()
        };
        let report = gathered.masked();
        let shown = (report.markdown() + &report.json().to_string()).to_lowercase();
        for word in &who.words {
            let word = word.to_lowercase();
            assert!(
                !shown.contains(&word),
                "{word} is left of:\n{text}\n{gathered:#?}\n{shown}"
            );
        }
    }
}
