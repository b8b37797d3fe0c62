//! The configuration with its structure, its keys and its choices, and nothing else of what the user wrote.

use serde_json::Value as Json;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::mask::{Mask, What};
use super::public;

/// A configuration that is masked.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// As it stands in the file, without comments.
    pub toml: String,
    /// The same for programs.
    pub json: Json,
}

/// Where a value stands, which says what it is.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    /// Below a key that a configuration can have.
    Key(&'a str),
    /// Below one that nobody knows.
    Unknown,
}

impl Place<'_> {
    /// What a text there is; `number` is its place in a list.
    fn what(self, number: usize) -> What {
        let Self::Key(key) = self else {
            return What::Other("value");
        };
        match key {
            "address" | "from" => What::Address,
            "addresses" | "usernames" => What::Glob,
            "user" => What::User,
            "domains" => What::Domain,
            "host" | "trusted_authserv_id" => What::Host,
            "resolver" => What::Ip,
            "auth_url" | "autoconfig" | "device_url" | "instance" | "revocation_url"
            | "token_url" | "url" => What::Url,
            "ca_file" | "dkim_keys" => What::Path,
            "folders" => What::Folder,
            "command" | "delete" | "read" | "stamp" | "write" if number == 0 => What::Program,
            "command" | "delete" | "read" | "stamp" | "write" => What::Argument,
            "client_id" => What::Other("client"),
            "tenant" => What::Other("tenant"),
            "scopes" => What::Other("scope"),
            "absent" | "conflict" => What::Other("words"),
            "name" => What::Other("name"),
            _ => What::Other("value"),
        }
    }

    /// Whether a text there is no name, but a measure.
    fn takes(self, text: &str) -> bool {
        matches!(self, Self::Key("deadline")) && public::is_duration(text)
    }

    /// Whether a number there is no secret.
    fn takes_numbers(self) -> bool {
        matches!(self, Self::Key("port" | "absent" | "conflict"))
    }
}

/// Everything that the configuration names, for a [`Mask`] to learn. `None` where it is no TOML.
#[must_use]
pub(super) fn names(text: &str) -> Option<Vec<(What, String)>> {
    let document: DocumentMut = text.parse().ok()?;
    let mut names = Vec::new();
    collect(document.as_item(), Place::Key(""), 0, &mut names);
    Some(names)
}

fn collect(item: &Item, place: Place, number: usize, names: &mut Vec<(What, String)>) {
    if let Some(table) = item.as_table_like() {
        for (key, item) in table.iter() {
            let place = below(place, key);
            if matches!(place, Place::Unknown) {
                names.push((What::Other("key"), key.to_owned()));
            }
            collect(item, place, 0, names);
        }
    } else if let Some(tables) = item.as_array_of_tables() {
        for table in tables {
            collect(&Item::Table(table.clone()), place, 0, names);
        }
    } else if let Some(list) = item.as_array() {
        for (number, value) in list.iter().enumerate() {
            collect(&Item::Value(value.clone()), place, number, names);
        }
    } else if let Some(text) = item.as_str() {
        if !place.takes(text) {
            names.push((place.what(number), text.to_owned()));
        }
    } else if let Some(value) = item.as_value()
        && !stays(value, place)
    {
        names.push((What::Other("value"), plain(value)));
    }
}

/// What stands below an unknown key is unknown, whatever its own keys.
fn below<'a>(place: Place, key: &'a str) -> Place<'a> {
    match place {
        Place::Key(_) if public::is_key(key) => Place::Key(key),
        _ => Place::Unknown,
    }
}

fn stays(value: &Value, place: Place) -> bool {
    match value {
        Value::Boolean(_) => true,
        Value::Integer(_) => place.takes_numbers(),
        _ => false,
    }
}

/// A value that is no text, without what stands around it.
fn plain(value: &Value) -> String {
    let mut value = value.clone();
    value.decor_mut().clear();
    value.to_string().trim().to_owned()
}

/// The configuration, masked. `None` where it is no TOML.
pub(super) fn masked(text: &str, mask: &mut Mask) -> Option<Configuration> {
    let document: DocumentMut = text.parse().ok()?;
    let mut masked = DocumentMut::new();
    fill(
        masked.as_table_mut(),
        document.as_table(),
        Place::Key(""),
        mask,
    );
    Some(Configuration {
        toml: masked.to_string().trim().to_owned(),
        json: json(masked.as_item()),
    })
}

fn fill(into: &mut dyn TableLike, from: &dyn TableLike, place: Place, mask: &mut Mask) {
    for (key, item) in from.iter() {
        let place = below(place, key);
        let key = match place {
            Place::Key(key) => key.to_owned(),
            Place::Unknown => mask.value(What::Other("key"), key),
        };
        into.insert(&key, masked_item(item, place, mask));
    }
}

fn masked_item(item: &Item, place: Place, mask: &mut Mask) -> Item {
    match item {
        Item::None => Item::None,
        Item::Value(value) => Item::Value(masked_value(value, place, 0, mask)),
        Item::Table(table) => Item::Table(masked_table(table, place, mask)),
        Item::ArrayOfTables(tables) => {
            let tables = tables.iter().map(|table| masked_table(table, place, mask));
            Item::ArrayOfTables(tables.collect::<ArrayOfTables>())
        }
    }
}

fn masked_table(table: &Table, place: Place, mask: &mut Mask) -> Table {
    let mut masked = Table::new();
    masked.set_implicit(table.is_implicit());
    fill(&mut masked, table, place, mask);
    masked
}

fn masked_value(value: &Value, place: Place, number: usize, mask: &mut Mask) -> Value {
    match value {
        Value::String(text) if place.takes(text.value()) => text.value().into(),
        Value::String(text) => mask.value(place.what(number), text.value()).into(),
        Value::Array(list) => {
            let values = list.iter().enumerate();
            let values = values.map(|(number, value)| masked_value(value, place, number, mask));
            Value::Array(values.collect::<Array>())
        }
        Value::InlineTable(table) => {
            let mut masked = InlineTable::new();
            fill(&mut masked, table, place, mask);
            Value::InlineTable(masked)
        }
        Value::Boolean(yes) => (*yes.value()).into(),
        Value::Integer(number) if place.takes_numbers() => (*number.value()).into(),
        Value::Integer(_) | Value::Float(_) | Value::Datetime(_) => {
            mask.value(What::Other("value"), &plain(value)).into()
        }
    }
}

/// A masked item, in which there are no values but texts, numbers and yes or no.
fn json(item: &Item) -> Json {
    if let Some(table) = item.as_table_like() {
        let members = table.iter();
        return members
            .map(|(key, item)| (key.to_owned(), json(item)))
            .collect::<serde_json::Map<_, _>>()
            .into();
    }
    if let Some(tables) = item.as_array_of_tables() {
        return tables
            .iter()
            .map(|table| json(&Item::Table(table.clone())))
            .collect();
    }
    if let Some(list) = item.as_array() {
        return list
            .iter()
            .map(|value| json(&Item::Value(value.clone())))
            .collect();
    }
    if let Some(text) = item.as_str() {
        return text.into();
    }
    item.as_bool()
        .map(Json::from)
        .or_else(|| item.as_integer().map(Json::from))
        .unwrap_or_default()
}
