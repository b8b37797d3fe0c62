//! Lists of folders, which are asked for while somebody waits: the junk folder is sought there.

use super::{Peace, Rogue, Say, Trouble, Verdict};
use std::fmt::Write as _;

fn lists(name: &str, verdict: Verdict, list: impl Into<String>) -> Rogue {
    let list = list.into();
    Rogue::but(name, verdict, move |command, tag| {
        command
            .starts_with("LIST")
            .then(|| Say::from(format!("{list}{tag} OK\r\n")))
    })
    .awaited()
}

pub(crate) fn all() -> Vec<Rogue> {
    let mut many = String::new();
    for number in 0..100_000 {
        write!(many, "* LIST () \"/\" \"folder-{number}\"\r\n").expect("a String");
    }
    let long = format!("* LIST (\\Junk) \"/\" \"{}\"\r\n", "x".repeat(60_000));
    vec![
        lists(
            "list-literal",
            Trouble("a literal where none was asked for"),
            "* LIST (\\Junk) \"/\" {4}\r\nJunk\r\n",
        ),
        lists(
            "list-100000-folders",
            Trouble("more than 262144 octets in answer to one command"),
            many,
        ),
        lists("list-long-name", Peace, long),
        lists(
            "list-control-characters",
            Peace,
            "* LIST (\\Junk) \"/\" \"a\x1b[2Jb\"\r\n* LIST (\\Junk) \"/\" \"&AAoACg-\"\r\n* LIST (\\Junk) \"/\" \"&IC4-txt\"\r\n",
        ),
        lists(
            "list-invalid-utf-7",
            Peace,
            "* LIST (\\Junk) \"/\" \"a&b\"\r\n* LIST (\\Junk) \"/\" \"&2AA-\"\r\n* LIST (\\Junk) \"/\" \"&!!-\"\r\n",
        ),
        lists(
            "list-nil-and-dots",
            Peace,
            "* LIST (\\Junk) NIL \"\"\r\n* LIST (\\Junk) \"/\" \"../../etc\"\r\n",
        ),
    ]
}
