//! Folders' names on the wire, and which of them holds junk.

use async_imap::imap_proto::{MailboxDatum, NameAttribute, Response};
use base64::Engine as _;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use super::error::Error;
use super::guard::{Allowance, LINE};
use super::session::{COMMAND, Command, Session, Wire};
use crate::escape::escaped;

/// Octets of the list of a mailbox's folders: room for some thousand names.
const LISTED: usize = 256 * 1024;

/// What junk folders are called where the server does not say which it is (RFC 6154), in lower case.
const JUNK: [&str; 5] = ["junk", "spam", "junk email", "junk e-mail", "bulk mail"];

/// Longest folder name that is taken from a list, in characters. File systems, and so most servers, end at 255.
const NAME: usize = 255;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

impl<S: Wire> Session<S> {
    /// The folder that the server puts junk into: the one it says (RFC 6154 §2), else one that is called so.
    pub async fn junk_folder(&mut self) -> Result<Option<String>, Error> {
        let mut said = None;
        let mut called = None;
        let allowance = Allowance {
            line: LINE,
            literal: 0,
            total: LISTED,
            ..Allowance::SHORT
        };
        let sent = self
            .send(Command::new("LIST", r#"LIST "" "*""#), allowance)
            .await?;
        let listed = self
            .complete(&sent, COMMAND, |response| {
                let Response::MailboxData(MailboxDatum::List(list)) = response else {
                    return;
                };
                let attributes = &list.name_attributes;
                if attributes.contains(&NameAttribute::NoSelect) {
                    return;
                }
                let Some(name) = folder_name(&list.name) else {
                    return;
                };
                if attributes.contains(&NameAttribute::Junk) {
                    said.get_or_insert(name);
                } else if is_called_junk(&name, list.delimiter.as_deref()) {
                    called.get_or_insert(name);
                }
            })
            .await;
        match listed {
            Ok(()) => Ok(said.or(called)),
            Err(Error::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether a folder is called as junk folders are. Some servers keep all folders below INBOX (Courier, and Cyrus with
/// its default namespace).
fn is_called_junk(name: &str, delimiter: Option<&str>) -> bool {
    let name = name.to_lowercase();
    let below_inbox = name
        .strip_prefix("inbox")
        .zip(delimiter)
        .and_then(|(rest, delimiter)| rest.strip_prefix(delimiter));
    JUNK.contains(&below_inbox.unwrap_or(&name))
}

/// A folder's name as the wire wants it: modified UTF-7 (RFC 3501 §5.1.3), quoted.
pub(super) fn mailbox_name(folder: &str) -> String {
    fn shift(name: &mut String, run: &mut Vec<u8>) {
        if !run.is_empty() {
            name.push('&');
            name.push_str(&BASE64.encode(&run));
            name.push('-');
            run.clear();
        }
    }
    let mut name = String::new();
    let mut run = Vec::new();
    for character in folder.chars() {
        if matches!(character, ' '..='~') {
            shift(&mut name, &mut run);
            name.push(character);
            if character == '&' {
                name.push('-');
            }
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                run.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
    shift(&mut name, &mut run);
    super::session::quoted(&name).to_string()
}

/// A folder's name from the wire; `None` where it is not written as RFC 3501 §5.1.3 says, or cannot be shown.
fn folder_name(wire: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = wire;
    while let Some((plain, shifted)) = rest.split_once('&') {
        name.push_str(plain);
        let (run, after) = shifted.split_once('-')?;
        if run.is_empty() {
            name.push('&');
        } else {
            let octets = BASE64.decode(run).ok()?;
            if octets.len() % 2 != 0 {
                return None;
            }
            let units = octets
                .chunks_exact(2)
                .map(|two| u16::from_be_bytes([two[0], two[1]]));
            for character in char::decode_utf16(units) {
                name.push(character.ok()?);
            }
        }
        rest = after;
    }
    name.push_str(rest);
    let is_shown = !name.is_empty() && name == escaped(&name, NAME);
    is_shown.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{folder_name, is_called_junk, mailbox_name};

    #[test]
    fn folder_names_are_written_in_modified_utf_7_and_read_back() {
        // RFC 3501 §5.1.3 gives the third.
        for (folder, written) in [
            ("INBOX", r#""INBOX""#),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            (
                "~peter/mail/台北/日本語",
                r#""~peter/mail/&U,BTFw-/&ZeVnLIqe-""#,
            ),
            ("Entwürfe & mehr", r#""Entw&APw-rfe &- mehr""#),
        ] {
            assert_eq!(mailbox_name(folder), written);
            let bare = written[1..written.len() - 1]
                .replace("\\\"", "\"")
                .replace("\\\\", "\\");
            assert_eq!(folder_name(&bare).as_deref(), Some(folder));
        }
    }

    #[test]
    fn a_junk_folder_is_known_by_its_name_at_the_top_and_below_inbox() {
        for (name, delimiter, is_junk) in [
            ("Junk", Some("/"), true),
            ("Junk E-mail", None, true),
            ("INBOX.Spam", Some("."), true),
            ("INBOX.Junk", Some("."), true),
            ("INBOX/junk", Some("/"), true),
            ("INBOX.Junk", Some("/"), false),
            ("INBOX.Junk", None, false),
            ("Archive.Junk", Some("."), false),
            ("INBOX.Junk.2025", Some("."), false),
            ("Junkyard", Some("."), false),
        ] {
            assert_eq!(is_called_junk(name, delimiter), is_junk, "{name}");
        }
    }

    #[test]
    fn a_name_that_is_no_modified_utf_7_or_cannot_be_shown_is_none() {
        let long = "a".repeat(256);
        for wire in [
            "a&",
            "a&b",
            "&!!-",
            "&AGE-&AA-",
            "&2AA-",
            "",
            "&AAo-",
            // Turns the direction of writing.
            "&IC4-txt",
            &long,
        ] {
            assert_eq!(folder_name(wire), None, "{wire}");
        }
    }
}
