//! A client of the daemon's socket, as docs/protocol.md describes it.

use super::home::Home;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// One that shares the watch of an account.
pub struct Talk(BufReader<UnixStream>);

impl Talk {
    /// Begins to share it, from where `begin` says: `"now"`, `{"from": CURSOR}`.
    pub fn watch(home: &Home, account: &str, begin: &Value) -> Self {
        let socket = home.runtime_folder().join("fetch-token/daemon.sock");
        let stream = UnixStream::connect(socket).expect("connect to the daemon");
        let limit = Some(Duration::from_mins(1));
        stream.set_read_timeout(limit).expect("a limit");
        let mut talk = Self(BufReader::new(stream));
        let protocol = talk.line()["protocol"].clone();
        let request = json!({"watch": {"account": account, "begin": begin}});
        talk.say(&json!({"protocol": protocol, "request": request}));
        talk
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line in time");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn say(&mut self, value: &Value) {
        writeln!(self.0.get_mut(), "{value}").expect("write to the daemon");
    }

    /// Waits until it is armed; gives the cursor.
    pub fn armed(&mut self) -> String {
        loop {
            if let Some(cursor) = self.line()["news"]["armed"]["cursor"].as_str() {
                return cursor.to_owned();
            }
        }
    }

    /// Waits for a token of this username, and looks once more whether a newer one is there: the newest receipt.
    pub fn token(&mut self, username: &str) -> Value {
        let mut newest = None;
        loop {
            let mut line = self.line();
            let receipt = line["news"]["receipt"].take();
            let is_stored = receipt["event"] == "stored" || receipt["event"] == "already";
            if is_stored && receipt["username"] == username {
                if newest.is_none() {
                    self.say(&json!("search-now"));
                }
                newest = Some(receipt);
            } else if line["news"]["armed"].is_object()
                && let Some(newest) = newest.take()
            {
                return newest;
            }
        }
    }
}
