//! Tag lists, `tag=value; tag=value` (RFC 6376, section 3.2): DKIM signatures and key records are written so.

/// RFC 6376 names 13 tags; whoever writes more than a few beside them has something else in mind.
const MAX_TAGS: usize = 32;

/// The tags of one signature or key record.
pub(super) struct TagList<'a> {
    tags: Vec<Tag<'a>>,
}

#[derive(Clone, Copy)]
struct Tag<'a> {
    name: &'a str,
    /// Everything between `=` and `;`.
    value: &'a str,
    /// Where the value begins in the text.
    at: usize,
}

impl<'a> TagList<'a> {
    /// Reads the list strictly: what two parsers might read differently is no list. A tag that stands twice, an
    /// empty tag, and octets that no value may hold make all of it invalid.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let mut tags: Vec<Tag<'a>> = Vec::new();
        let mut at = 0;
        let mut segments = text.split(';').peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            if is_last && trimmed(segment).is_empty() {
                break;
            }
            let (name, value) = segment.split_once('=')?;
            let tag = Tag {
                name: trimmed(name),
                value,
                at: at + name.len() + 1,
            };
            let repeats = tags.iter().any(|other| other.name == tag.name);
            if repeats || tags.len() == MAX_TAGS || !is_name(tag.name) || !is_value(tag.value) {
                return None;
            }
            tags.push(tag);
            at += segment.len() + 1;
        }
        Some(Self { tags })
    }

    /// The value of a tag, without the blanks around it. Names are case-sensitive.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.tag(name).map(|tag| trimmed(tag.value))
    }

    /// The value of a tag without any blanks: base64 may be folded anywhere.
    pub(super) fn get_unfolded(&self, name: &str) -> Option<String> {
        let value = self.tag(name)?.value;
        // A value holds no other whitespace (see `is_value`).
        let mut unfolded = String::with_capacity(value.len());
        unfolded.extend(value.split_ascii_whitespace());
        Some(unfolded)
    }

    /// The text with the value of this tag, and the blanks around the value, taken out.
    pub(super) fn without_value_of(&self, name: &str, text: &str) -> String {
        match self.tag(name) {
            Some(tag) => [&text[..tag.at], &text[tag.at + tag.value.len()..]].concat(),
            None => text.to_owned(),
        }
    }

    fn tag(&self, name: &str) -> Option<Tag<'a>> {
        self.tags.iter().copied().find(|tag| tag.name == name)
    }
}

/// `FWS` of RFC 6376, section 2.8, once it is clear that every line end is followed by a blank.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Without the blanks around it.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(is_blank)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_value(value: &str) -> bool {
    // Without stopping, so that many octets are looked at at a time.
    value.bytes().fold(true, |is_value, byte| {
        is_value & matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_with_blanks_and_folds_around_them() {
        let text = " v=1; d = example.org ;\r\n\tb=AAA\r\n BBB ; x=";
        let list = TagList::read(text).expect("a list");
        assert_eq!(list.get("v"), Some("1"));
        assert_eq!(list.get("d"), Some("example.org"));
        assert_eq!(list.get("x"), Some(""));
        assert_eq!(list.get("D"), None);
        assert_eq!(list.get_unfolded("b").as_deref(), Some("AAABBB"));
        assert_eq!(
            list.without_value_of("b", text),
            " v=1; d = example.org ;\r\n\tb=; x="
        );
        assert!(TagList::read("v=1; d=example.org;\r\n").is_some());
    }

    #[test]
    fn what_parsers_read_differently_is_no_list() {
        let many: Vec<_> = (0..=MAX_TAGS).map(|n| format!("t{n}=;")).collect();
        let many = many.concat();
        for text in [
            "v=1; d=a.example; d=b.example",
            "v=1;; d=a.example",
            "; v=1",
            "v=1; d",
            "v=1; =x",
            "v=1; 1d=x",
            "v=1; d d=x",
            "v=1; d=a\0.example",
            "v=1; d=\u{e4}.example",
            "v=1; d=a\u{7f}.example",
            many.as_str(),
        ] {
            assert!(TagList::read(text).is_none(), "{text:?}");
        }
    }
}
