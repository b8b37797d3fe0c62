//! The reader of the file is asked what it takes, by what it says of files with one thing in them that is not known.

use super::super::{Config, File};
use super::{Absent, Key, TABLES, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A key and a word that the file has nowhere.
const UNKNOWN: &str = "no-such-word";

/// A table that the reader knows.
#[derive(Debug)]
struct Known {
    keys: BTreeSet<String>,
    /// It is one of a list of tables.
    is_listed: bool,
}

/// The tables that the reader knows, by the keys that lead to them.
type KnownTables = BTreeMap<String, Known>;

/// What the reader says of a file, before anything but its form is checked.
fn refusal(text: &str) -> Option<String> {
    let read = toml::from_str::<File>(text);
    read.err().map(|error| error.message().to_owned())
}

/// The names that the reader says it expected in place of the unknown one.
fn expected(refusal: &str, kind: &str) -> Option<BTreeSet<String>> {
    let rest = refusal.strip_prefix(&format!("unknown {kind} `{UNKNOWN}`, expected "))?;
    Some(
        rest.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect(),
    )
}

/// A file with this value at the end of these keys. Of the tables on the way, those are lists whose key says so.
fn file(keys: &[(&str, bool)], value: &str) -> String {
    let Some((&(top, is_listed), below)) = keys.split_first() else {
        return value.to_owned();
    };
    let inner = below
        .iter()
        .rev()
        .fold(value.to_owned(), |inner, &(key, is_listed)| {
            format!("{{ {key} = {} }}", listed(&inner, is_listed))
        });
    // The list's brackets stand around what the key leads to.
    format!("{top} = {}\n", listed(&inner, is_listed))
}

fn listed(value: &str, is_listed: bool) -> String {
    if is_listed {
        format!("[{value}]")
    } else {
        value.to_owned()
    }
}

/// Asks for every table below these keys.
fn explore(keys: &[(&str, bool)], known: &mut KnownTables) -> bool {
    let probe = match keys {
        [] => format!("{UNKNOWN} = 1\n"),
        _ => file(keys, &format!("{{ {UNKNOWN} = 1 }}")),
    };
    let Some(names) = refusal(&probe).and_then(|refusal| expected(&refusal, "field")) else {
        return false;
    };
    for name in &names {
        // Not as a list first: a list is also taken for a table's values in their order.
        let _ = [false, true].iter().any(|&is_listed| {
            let below = [keys, &[(name.as_str(), is_listed)]].concat();
            explore(&below, known)
        });
    }
    let path: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
    let is_listed = keys.last().is_some_and(|(_, is_listed)| *is_listed);
    known.insert(
        path.join("."),
        Known {
            keys: names,
            is_listed,
        },
    );
    true
}

fn known_tables() -> KnownTables {
    let mut known = KnownTables::new();
    assert!(explore(&[], &mut known), "the reader says what it knows");
    known
}

/// The keys of a described table without which the file is refused, as they would be written.
fn necessary(table: &Table, but: &str) -> String {
    let is_wanted = |key: &&Key| key.absent == Absent::Refused && key.name != but;
    let wanted = table.keys.iter().filter(is_wanted);
    wanted.fold(String::new(), |text, key| {
        format!("{text}{} = {}, ", key.name, key.example)
    })
}

/// A file with these keys in a table, and in the tables around it what is necessary there.
fn filled(known: &KnownTables, table: &Table, keys: &str) -> String {
    let inner = format!("{{ {} }}", keys.trim_end_matches(", "));
    let value = listed(&inner, known[table.path].is_listed);
    let Some((around, key)) = table.path.rsplit_once('.') else {
        return format!("{} = {value}\n", table.path);
    };
    let around = described(around);
    let others = necessary(around, key);
    filled(known, around, &format!("{others}{key} = {value}, "))
}

fn described(path: &str) -> &'static Table {
    let table = TABLES.into_iter().find(|table| table.path == path);
    table.unwrap_or_else(|| panic!("no table in config/keys describes `{path}`"))
}

#[test]
fn every_key_that_is_read_is_described_and_every_one_described_is_read() {
    let mut known = known_tables();
    let top = known.remove("").expect("the top of the file");
    let with_path = |path: &str, key: &str| format!("{path}.{key}");
    let described: BTreeSet<_> = TABLES
        .iter()
        .flat_map(|table| table.keys.iter().map(|key| with_path(table.path, key.name)))
        .collect();
    let read: BTreeSet<_> = known
        .iter()
        .flat_map(|(path, table)| table.keys.iter().map(|key| with_path(path, key)))
        .collect();
    let not_described: Vec<_> = read.difference(&described).collect();
    let not_read: Vec<_> = described.difference(&read).collect();
    assert!(
        not_described.is_empty(),
        "describe in config/keys: {not_described:?}"
    );
    assert!(
        not_read.is_empty(),
        "the reader takes no such key: {not_read:?}"
    );
    let paths: BTreeSet<_> = TABLES.iter().map(|table| table.path.to_owned()).collect();
    assert_eq!(paths.len(), TABLES.len(), "each table stands there once");
    let of_top: BTreeSet<_> = paths
        .into_iter()
        .filter(|path| !path.contains('.'))
        .collect();
    assert_eq!(of_top, top.keys);
}

#[test]
fn every_word_that_a_key_takes_is_named_with_it() {
    let known = known_tables();
    let mut seen = 0;
    for table in TABLES {
        for key in table.keys {
            let text = filled(&known, table, &format!("{} = \"{UNKNOWN}\"", key.name));
            let words = refusal(&text).and_then(|refusal| expected(&refusal, "variant"));
            for word in words.into_iter().flatten() {
                let quoted = format!("\"{word}\"");
                assert!(
                    key.value.contains(&quoted),
                    "{}.{}: {quoted}",
                    table.path,
                    key.name
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "the reader names the words it knows");
}

#[test]
fn every_example_is_taken() {
    let known = known_tables();
    for table in TABLES {
        for key in table.keys {
            let others = necessary(table, key.name);
            let text = filled(
                &known,
                table,
                &format!("{others}{} = {}", key.name, key.example),
            );
            assert_eq!(refusal(&text), None, "{text}");
        }
    }
}

#[test]
fn a_file_is_refused_without_a_key_exactly_where_the_description_says_so() {
    let known = known_tables();
    for table in TABLES {
        let refused = refusal(&filled(&known, table, &necessary(table, "")));
        let misses = refused.is_some_and(|refusal| refusal.starts_with("missing field"));
        assert!(!misses, "{}: more is missing", table.path);
        for key in table
            .keys
            .iter()
            .filter(|key| key.absent == Absent::Refused)
        {
            let text = filled(&known, table, &necessary(table, key.name));
            assert!(refusal(&text).is_some(), "{text}");
        }
    }
}

#[test]
fn a_value_that_counts_where_a_key_is_left_out_changes_nothing_where_it_is_written() {
    // What tables need besides, which their types cannot say.
    let beside = |path: &str| match path {
        "account.oauth2" => "provider = \"microsoft\", client_id = \"x\", ",
        _ => "",
    };
    let known = known_tables();
    let read = |table: &Table, keys: &str| {
        let keys = format!("{}{}{keys}", necessary(table, ""), beside(table.path));
        let mut text = filled(&known, table, &keys);
        if !table.path.starts_with("account") {
            text += &filled(
                &known,
                described("account"),
                &necessary(described("account"), ""),
            );
        }
        let config = Config::parse(&text, Path::new("config.toml"));
        format!(
            "{:?}",
            config.unwrap_or_else(|error| panic!("{text}{error}"))
        )
    };
    for table in TABLES {
        for key in table.keys {
            if let Absent::Value(value) = key.absent {
                let written = read(table, &format!("{} = {value}, ", key.name));
                assert_eq!(read(table, ""), written, "{}.{}", table.path, key.name);
            }
        }
    }
}
