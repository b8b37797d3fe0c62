//! Text from outside (mails, servers, hooks), made fit to be shown in one line.

/// The text with what could forge or hide part of a line escaped, cut after so many characters.
#[must_use]
pub(crate) fn escaped(text: &str, most: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(most));
    for (count, character) in text.chars().enumerate() {
        if count == most {
            shown.push('…');
            break;
        }
        if is_unfit(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Control characters (newlines and ESC among them), line and paragraph separators, and what turns the direction of
/// writing round (Unicode UAX #9): all that a terminal or log reader obeys instead of showing it.
fn is_unfit(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_could_forge_a_line_is_escaped_and_the_rest_is_kept() {
        for (text, shown) in [
            ("etl@acme.example", "etl@acme.example"),
            ("日本語 ñ “x”", "日本語 ñ “x”"),
            ("a\nb\r\0", "a\\u{a}b\\u{d}\\u{0}"),
            ("\u{1b}[2J\u{9b}1m", "\\u{1b}[2J\\u{9b}1m"),
            ("a\u{202e}b\u{2028}c", "a\\u{202e}b\\u{2028}c"),
            ("0123456789abcdefg", "0123456789abcdef…"),
            ("0123456789abcdef", "0123456789abcdef"),
        ] {
            assert_eq!(escaped(text, 16), shown);
        }
    }
}
