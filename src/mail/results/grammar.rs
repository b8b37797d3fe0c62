//! The grammar of Authentication-Results (RFC 8601, section 2.2), as octets that nobody vouches for.
//!
//! ```text
//! authserv-id [CFWS version] *( ";" method ["/" version] "=" result ["reason=" value] *( ptype "." property "=" pvalue ) )
//! ```
//!
//! Providers take liberties (`action=none` and `x-bits=2048` stand where properties do), so a statement that cannot
//! be read is passed over up to the next semicolon outside quotes and comments. It is then no `dkim=pass`.

use std::iter::Peekable;
use std::str::CharIndices;

/// What a statement says of its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// `pass`
    Pass,
    /// Anything else, and what cannot be read.
    Other,
}

/// One `resinfo`.
#[derive(Debug)]
pub(super) struct Statement {
    /// The method, in lower case.
    pub(super) method: String,
    /// What came of it.
    pub(super) outcome: Outcome,
    /// `ptype.property` in lower case, and the value without its quotes.
    properties: Vec<(String, String)>,
}

impl Statement {
    /// All values of a property.
    pub(super) fn values<'s>(&'s self, property: &str) -> impl Iterator<Item = &'s str> {
        self.properties
            .iter()
            .filter(move |(name, _)| name == property)
            .map(|(_, value)| value.as_str())
    }
}

/// A comment or a quoted string does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BreaksOff;

/// The authserv-id without its quotes, and what follows its version. `None` where there is none, or where the version
/// is not 1, the only one there is.
pub(super) fn authserv_id(value: &str) -> Option<(String, &str)> {
    let mut cursor = Cursor::new(value);
    cursor.skip_cfws().ok()?;
    let id = match cursor.quoted_string().ok()? {
        Some(quoted) if quoted.is_empty() => return None,
        Some(quoted) => quoted,
        None => cursor.word(is_token)?,
    };
    cursor.skip_cfws().ok()?;
    if let Some(version) = cursor.word(|c| c.is_ascii_digit()) {
        if version != "1" {
            return None;
        }
        cursor.skip_cfws().ok()?;
    }
    match cursor.next() {
        None => Some((id, "")),
        Some(';') => Some((id, cursor.rest())),
        Some(_) => None,
    }
}

/// The statements after the authserv-id, without `none`.
pub(super) fn statements(text: &str) -> Result<Vec<Statement>, BreaksOff> {
    let mut cursor = Cursor::new(text);
    let mut statements = Vec::new();
    loop {
        cursor.skip_cfws()?;
        let method = cursor.word(is_keyword).unwrap_or_default();
        let mut statement = Statement {
            method: method.to_ascii_lowercase(),
            outcome: Outcome::Other,
            properties: Vec::new(),
        };
        let outcome = result(&mut cursor)?;
        let is_whole = outcome.is_some() && properties(&mut cursor, &mut statement.properties)?;
        if let Some(outcome) = outcome.filter(|_| is_whole) {
            statement.outcome = outcome;
        }
        if !statement.method.is_empty() && statement.method != "none" {
            statements.push(statement);
        }
        if !cursor.skip_to_semicolon()? {
            return Ok(statements);
        }
    }
}

/// `["/" version] "=" result`; `None` where something else stands there.
fn result(cursor: &mut Cursor) -> Result<Option<Outcome>, BreaksOff> {
    cursor.skip_cfws()?;
    let mut is_version_1 = true;
    if cursor.take('/') {
        cursor.skip_cfws()?;
        is_version_1 = cursor.word(|c| c.is_ascii_digit()).as_deref() == Some("1");
        cursor.skip_cfws()?;
    }
    if !cursor.take('=') {
        return Ok(None);
    }
    cursor.skip_cfws()?;
    Ok(cursor.word(is_keyword).map(|word| {
        if is_version_1 && word.eq_ignore_ascii_case("pass") {
            Outcome::Pass
        } else {
            Outcome::Other
        }
    }))
}

/// The properties up to the semicolon; `false` where something else stands among them.
fn properties(cursor: &mut Cursor, found: &mut Vec<(String, String)>) -> Result<bool, BreaksOff> {
    loop {
        let had_gap = cursor.skip_cfws()?;
        if matches!(cursor.peek(), None | Some(';')) {
            return Ok(true);
        }
        let Some(mut name) = cursor.word(is_keyword).filter(|_| had_gap) else {
            return Ok(false);
        };
        cursor.skip_cfws()?;
        let is_property = cursor.take('.');
        if is_property {
            cursor.skip_cfws()?;
            let Some(property) = cursor.word(is_keyword) else {
                return Ok(false);
            };
            name = format!("{name}.{property}");
            cursor.skip_cfws()?;
        }
        if !cursor.take('=') {
            return Ok(false);
        }
        cursor.skip_cfws()?;
        let value = cursor.value()?;
        if value.is_empty() {
            return Ok(false);
        }
        if is_property {
            found.push((name.to_ascii_lowercase(), value));
        }
    }
}

/// `Keyword` of RFC 5321, section 4.1.2, and the underscores that some write.
fn is_keyword(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// `token` of RFC 2045, section 5.1.
fn is_token(c: char) -> bool {
    c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(c)
}

/// Where the reading is.
struct Cursor<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            chars: text.char_indices().peekable(),
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|&(_, c)| c)
    }

    fn next(&mut self) -> Option<char> {
        self.chars.next().map(|(_, c)| c)
    }

    fn take(&mut self, wanted: char) -> bool {
        self.chars.next_if(|&(_, c)| c == wanted).is_some()
    }

    fn rest(&mut self) -> &'a str {
        let at = self.chars.peek().map_or(self.text.len(), |&(at, _)| at);
        &self.text[at..]
    }

    /// A run of such characters, if there is one.
    fn word(&mut self, is_part: impl Fn(char) -> bool) -> Option<String> {
        let mut word = String::new();
        while let Some((_, c)) = self.chars.next_if(|&(_, c)| is_part(c)) {
            word.push(c);
        }
        (!word.is_empty()).then_some(word)
    }

    /// Blanks, folds and comments, which nest (RFC 5322, section 3.2.2); whether there were any.
    fn skip_cfws(&mut self) -> Result<bool, BreaksOff> {
        let mut depth = 0_usize;
        let mut skipped = false;
        while let Some(c) = self.peek() {
            match c {
                '(' => depth += 1,
                ')' if depth > 0 => depth -= 1,
                '\\' if depth > 0 => {
                    self.next();
                    self.peek().ok_or(BreaksOff)?;
                }
                _ if depth > 0 || is_blank(c) => {}
                _ => break,
            }
            self.next();
            skipped = true;
        }
        if depth == 0 {
            Ok(skipped)
        } else {
            Err(BreaksOff)
        }
    }

    /// A quoted string (RFC 5322, section 3.2.4), if one begins here.
    fn quoted_string(&mut self) -> Result<Option<String>, BreaksOff> {
        if !self.take('"') {
            return Ok(None);
        }
        let mut content = String::new();
        loop {
            match self.next().ok_or(BreaksOff)? {
                '"' => return Ok(Some(content)),
                '\\' => content.push(self.next().ok_or(BreaksOff)?),
                c => content.push(c),
            }
        }
    }

    /// `pvalue`: quoted strings and other characters up to a blank, a comment or a semicolon. (`header.b` is base64,
    /// whose signs no `token` may hold, and is seldom quoted.)
    fn value(&mut self) -> Result<String, BreaksOff> {
        let is_part = |c: char| c.is_ascii_graphic() && !"();\"".contains(c);
        let mut value = String::new();
        loop {
            if let Some(quoted) = self.quoted_string()? {
                value.push_str(&quoted);
            } else if let Some(word) = self.word(is_part) {
                value.push_str(&word);
            } else {
                return Ok(value);
            }
        }
    }

    /// Passes over the next semicolon outside quotes and comments; whether there was one.
    fn skip_to_semicolon(&mut self) -> Result<bool, BreaksOff> {
        loop {
            self.skip_cfws()?;
            if self.quoted_string()?.is_none() {
                match self.next() {
                    None => return Ok(false),
                    Some(';') => return Ok(true),
                    Some(_) => {}
                }
            }
        }
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<(String, Vec<Statement>)> {
        let (id, rest) = authserv_id(value)?;
        Some((id, statements(rest).ok()?))
    }

    /// `method outcome ptype.property=value,...` of each statement.
    fn shown(value: &str) -> Vec<String> {
        let (_, statements) = read(value).expect("a readable field");
        let shown = |statement: &Statement| {
            let properties = statement.properties.iter();
            let properties: Vec<_> = properties.map(|(n, v)| format!("{n}={v}")).collect();
            let Statement {
                method, outcome, ..
            } = statement;
            format!("{method} {outcome:?} {}", properties.join(","))
        };
        statements.iter().map(shown).collect()
    }

    #[test]
    fn the_examples_of_rfc_8601_are_read() {
        // Appendix B.2 to B.7.
        assert!(shown("example.org 1; none").is_empty());
        assert_eq!(
            shown("example.com;\r\n\tspf=pass smtp.mailfrom=example.net"),
            ["spf Pass smtp.mailfrom=example.net"]
        );
        assert_eq!(
            shown(
                "example.com;\r\n auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n spf=pass smtp.mailfrom=example.net"
            ),
            [
                "auth Pass smtp.auth=sender@example.net",
                "spf Pass smtp.mailfrom=example.net"
            ]
        );
        assert_eq!(
            shown(
                "example.com;\r\n dkim=pass reason=\"good signature\"\r\n header.i=@mail-router.example.net;\r\n dkim=fail reason=\"bad signature\"\r\n header.i=@newyork.example.com"
            ),
            [
                "dkim Pass header.i=@mail-router.example.net",
                "dkim Other header.i=@newyork.example.com"
            ]
        );
        assert_eq!(
            shown(
                "foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n policy (A dot can go here) . (like that) expired\r\n (this surprised me) = (as I wasn't expecting it) 1362471462"
            ),
            ["dkim Other policy.expired=1362471462"]
        );
    }

    #[test]
    fn a_value_keeps_what_is_quoted_and_ends_where_it_is_not() {
        for (value, expected) in [
            ("header.d=a.example(b)", "header.d=a.example"),
            ("header.d=\"a.example\"", "header.d=a.example"),
            ("header.i=\"x;\\\"y\"@a.example", "header.i=x;\"y@a.example"),
            ("header.b=AbC+/d==", "header.b=AbC+/d=="),
            ("HEADER.D=A.example", "header.d=A.example"),
            ("x-bits=2048 header.d=a.example", "header.d=a.example"),
        ] {
            assert_eq!(
                shown(&format!("id; dkim=pass {value}")),
                [format!("dkim Pass {expected}")],
                "{value}"
            );
        }
    }

    #[test]
    fn a_statement_that_cannot_be_read_is_no_pass_and_ends_at_its_semicolon() {
        for statement in [
            "dkim=pass header.d",
            "dkim=pass header.d=",
            "dkim=pass header.=a.example",
            "dkim=pass /header.d=a.example",
            "dkim=passheader.d=a.example@",
            "dkim=pass\"header.d=a.example\"",
            "dkim=\"pass\" header.d=a.example",
            "dkim=pass, header.d=a.example",
            "dkim pass header.d=a.example",
            "dkim/x=pass header.d=a.example",
            "dkim/1=",
            "dkim",
            ") dkim=pass",
        ] {
            let (_, statements) = read(&format!("id; {statement}; spf=pass")).expect(statement);
            let (last, others) = statements.split_last().expect("spf");
            assert_eq!((last.method.as_str(), last.outcome), ("spf", Outcome::Pass));
            assert!(
                others.iter().all(|other| other.outcome == Outcome::Other),
                "{statement}: {others:?}"
            );
        }
    }

    #[test]
    fn what_does_not_end_is_no_field() {
        for value in ["id; x=pass (a (b)", "id; x=pass \"a", "id; (\\", "id; \"\\"] {
            let (_, rest) = authserv_id(value).expect("an authserv-id");
            assert_eq!(statements(rest).err(), Some(BreaksOff), "{value}");
        }
        for value in [
            "",
            ";",
            "\"\"; none",
            "(id",
            "\"id",
            "id 2; none",
            "id x; none",
            "id=1",
        ] {
            assert!(authserv_id(value).is_none(), "{value}");
        }
    }
}
