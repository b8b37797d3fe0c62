//! Adding an account to the text of a configuration, and taking one out: every octet that belongs to something else
//! stays as it is.

use std::fmt::Write as _;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml_edit::{Array, Document, DocumentMut, InlineTable, Item, Table, value};

use crate::imap::Tls;
use crate::private;

/// What `login` found out about an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Its address.
    pub address: String,
    /// Its login name, where it is not the address.
    pub user: Option<String>,
    /// Its server's host.
    pub host: String,
    /// Its server's port.
    pub port: u16,
    /// When TLS begins.
    pub tls: Tls,
    /// Authorities trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Whose tokens may come here.
    pub usernames: Vec<String>,
    /// Its client at a provider of access tokens; without one its password lies in the keychain.
    pub client: Option<NewClient>,
}

/// A client as it was registered with a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClient {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The organization at Microsoft.
    pub tenant: Option<String>,
    /// The client's name there.
    pub id: String,
    /// Whether it has a secret, which lies in the keychain.
    pub has_secret: bool,
}

/// The text cannot be edited.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no TOML.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The accounts do not stand under `[[account]]`.
    #[error("its accounts do not stand under [[account]]. Edit it by hand")]
    Form,
}

impl NewAccount {
    /// The keys of its table that `login` knows about; `None` where one is not needed.
    fn keys(&self) -> Vec<(&'static str, Option<Item>)> {
        let port = (self.port != self.tls.port()).then(|| value(i64::from(self.port)));
        let starts = self.tls == Tls::StartTls;
        let file = self.ca_file.as_ref();
        vec![
            ("address", Some(value(&self.address))),
            ("user", self.user.as_ref().map(value)),
            ("host", Some(value(&self.host))),
            ("port", port),
            ("tls", starts.then(|| value("starttls"))),
            (
                "ca_file",
                file.map(|file| value(file.to_string_lossy().as_ref())),
            ),
            ("password", None),
            ("oauth2", self.client.as_ref().map(NewClient::value)),
            ("usernames", Some(value(Array::from_iter(&self.usernames)))),
        ]
    }
}

impl NewAccount {
    fn put_into(&self, table: &mut Table) {
        for (key, item) in self.keys() {
            match item {
                // The comment behind a value stays.
                Some(Item::Value(mut new)) => {
                    if let Some(old) = table.get(key).and_then(Item::as_value) {
                        *new.decor_mut() = old.decor().clone();
                    }
                    table.insert(key, Item::Value(new));
                }
                _ => {
                    table.remove(key);
                }
            }
        }
    }
}

impl NewClient {
    fn value(&self) -> Item {
        let mut table = InlineTable::new();
        table.insert("provider", self.provider.as_str().into());
        if let Some(tenant) = &self.tenant {
            table.insert("tenant", tenant.as_str().into());
        }
        table.insert("client_id", self.id.as_str().into());
        if self.has_secret {
            table.insert("client_secret", "keychain".into());
        }
        value(table)
    }
}

/// The text with this account: at its end, or in place of the one with the same address, whose other keys stay.
pub fn with(text: &str, account: &NewAccount) -> Result<String, Error> {
    let unreadable = |error: toml_edit::TomlError| Error::Unreadable(error.message().to_owned());
    let mut document: DocumentMut = text.parse().map_err(unreadable)?;
    if replace(&mut document, account)? {
        return Ok(document.to_string());
    }
    let mut lines = "[[account]]\n".to_owned();
    for (key, item) in account.keys() {
        if let Some(Item::Value(value)) = item {
            let _ = writeln!(lines, "{key} = {}", value.to_string().trim());
        }
    }
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut new = text.to_owned();
    if !text.is_empty() {
        if !text.ends_with('\n') {
            new.push_str(end);
        }
        new.push_str(end);
    }
    new.push_str(&lines.replace('\n', end));
    Ok(new)
}

/// Replaces the account of the same address; `false` where there is none.
fn replace(document: &mut DocumentMut, account: &NewAccount) -> Result<bool, Error> {
    let Some(item) = document.get_mut("account") else {
        return Ok(false);
    };
    let tables = item.as_array_of_tables_mut().ok_or(Error::Form)?;
    let is_it = |table: &&mut Table| has_address(table, &account.address);
    let same = tables.iter_mut().find(is_it);
    Ok(same.map(|table| account.put_into(table)).is_some())
}

/// The text without the account of this address, and without the empty line before it; `None` where it has none.
pub fn without(text: &str, address: &str) -> Result<Option<String>, Error> {
    let document =
        Document::parse(text).map_err(|error| Error::Unreadable(error.message().to_owned()))?;
    let Some(item) = document.as_table().get("account") else {
        return Ok(None);
    };
    let tables = item.as_array_of_tables().ok_or(Error::Form)?;
    let Some(table) = tables.iter().find(|table| has_address(table, address)) else {
        return Ok(None);
    };
    let Range { start, end } = extent(table).ok_or(Error::Form)?;
    let start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[end..]
        .find('\n')
        .map_or(text.len(), |newline| end + newline + 1);
    let (before, after) = (&text[..start], &text[end..]);
    let is_apart = after.is_empty() || after.starts_with(['\n', '\r']);
    let before = match before
        .strip_suffix("\r\n")
        .or_else(|| before.strip_suffix('\n'))
    {
        Some(shorter) if is_apart && (shorter.is_empty() || shorter.ends_with('\n')) => shorter,
        _ => before,
    };
    Ok(Some(format!("{before}{after}")))
}

fn has_address(table: &Table, address: &str) -> bool {
    let own = table.get("address").and_then(Item::as_str);
    own.is_some_and(|own| own.eq_ignore_ascii_case(address))
}

/// From a table's header to the end of the last value below it.
fn extent(table: &Table) -> Option<Range<usize>> {
    let own = table.span();
    let within = table.iter().filter_map(|(_, item)| match item {
        Item::Value(value) => value.span(),
        Item::Table(table) => extent(table),
        Item::ArrayOfTables(tables) => {
            let all = tables.iter().filter_map(extent);
            all.reduce(|one, other| one.start.min(other.start)..one.end.max(other.end))
        }
        Item::None => None,
    });
    own.into_iter()
        .chain(within)
        .reduce(|one, other| one.start.min(other.start)..one.end.max(other.end))
}

/// Puts the text into the file, in one step and for its owner's eyes only; makes its directory. A link stays one.
pub fn write(file: &Path, text: &str) -> io::Result<()> {
    let file = match std::fs::canonicalize(file) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => file.to_owned(),
        Err(error) => return Err(error),
    };
    private::make_directory(private::directory_of(&file))?;
    private::replace(&file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{NewAccount, NewClient, with, without};
    use crate::imap::Tls;

    fn account(address: &str) -> NewAccount {
        NewAccount {
            address: address.to_owned(),
            user: None,
            host: "imap.acme.example".to_owned(),
            port: 993,
            tls: Tls::Implicit,
            ca_file: None,
            usernames: vec!["*@acme.example".to_owned()],
            client: None,
        }
    }

    const TEXTS: [&str; 5] = [
        "",
        "# my tokens\n\n[sender]\ndomains = [ \"salesforce.com\" ]   # mine\n",
        "[[account]] # first\naddress = \"a@b.example\"\nhost = \"h\"\nusernames = [\"*\"]\n\n# hooks\n[[hook]]\non = \"stored\"\ncommand = [\"true\"]\n",
        "# win\r\n[sender]\r\ndomains = [\"salesforce.com\"]\r\n",
        "\n\n# only words\n",
    ];

    #[test]
    fn an_account_that_comes_and_goes_leaves_every_octet_as_it_was() {
        for text in TEXTS {
            let new = with(text, &account("me@acme.example")).expect("added");
            assert!(new.starts_with(text), "{new}");
            let accounts = crate::config::Config::parse(&new, "c".as_ref())
                .expect(&new)
                .accounts;
            assert_eq!(accounts.last().expect("one").address, "me@acme.example");
            let old = without(&new, "ME@acme.example").expect("read");
            assert_eq!(old.as_deref(), Some(text));
        }
    }

    #[test]
    fn an_account_is_taken_out_with_all_that_stands_below_it_and_nothing_else() {
        let table = "[[account]]\naddress = \"me@acme.example\" # mine\nhost = \"h\"\nusernames = [\n  \"*\", # any\n]\n\
                     [account.oauth2]\nprovider = \"google\"\nclient_id = \"x\" # registered\n";
        let text =
            format!("# top\n{table}\n# a hook\n[[hook]]\non = \"stored\"\ncommand = [\"true\"]\n");
        let left = without(&text, "me@acme.example").expect("read");
        assert_eq!(left, Some(text.replace(table, "")));
        assert_eq!(without(&text, "you@acme.example").expect("read"), None);
        without(
            "account = [{ address = \"me@acme.example\" }]",
            "me@acme.example",
        )
        .expect_err("another form");
    }

    #[test]
    fn an_account_that_is_there_keeps_its_place_its_comments_and_its_other_keys() {
        let text = "[[account]] # mine\naddress = \"Me@acme.example\"\nhost = \"old\" # was moved\nport = 1\npassword = \"prompt\"\n\
                    folders = [\"INBOX\", \"SF\"]\nusernames = [\"*\"]\n\n[sender]\n";
        let new = with(text, &account("me@acme.example")).expect("replaced");
        assert_eq!(
            new,
            "[[account]] # mine\naddress = \"me@acme.example\"\nhost = \"imap.acme.example\" # was moved\n\
             folders = [\"INBOX\", \"SF\"]\nusernames = [\"*@acme.example\"]\n\n[sender]\n"
        );
    }

    #[test]
    fn what_is_usual_is_not_written_and_what_is_not_is_escaped() {
        let account = NewAccount {
            user: Some("me \"quoted\"".to_owned()),
            port: 1143,
            tls: Tls::StartTls,
            ca_file: Some("/etc/ssl/my ca.pem".into()),
            client: Some(NewClient {
                provider: "microsoft".to_owned(),
                tenant: Some("acme.example".to_owned()),
                id: "1-2".to_owned(),
                has_secret: true,
            }),
            ..account("me@acme.example")
        };
        assert_eq!(
            with("", &account).expect("added"),
            "[[account]]\naddress = \"me@acme.example\"\nuser = 'me \"quoted\"'\nhost = \"imap.acme.example\"\n\
             port = 1143\ntls = \"starttls\"\nca_file = \"/etc/ssl/my ca.pem\"\noauth2 = { provider = \"microsoft\", \
             tenant = \"acme.example\", client_id = \"1-2\", client_secret = \"keychain\" }\n\
             usernames = [\"*@acme.example\"]\n"
        );
    }
}
