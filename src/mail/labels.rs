//! Labels and subjects, compared as people read them: the second witness beside structure.
//!
//! What each kind of mail is known to write stands with the [kind](super::kind). English and Japanese labels of the
//! username were seen verbatim in public sources; ユーザー名 is the spelling of Salesforce's newer pages.

/// Labels of the username, normalized.
const USERNAME: [&str; 3] = ["username", "ユーザ名", "ユーザー名"];
/// What a sandbox writes before the subject.
const SANDBOX: &str = "sandbox: ";

/// What begins the subject of a reply or a forward, in lower case, by mail program and language.
const REPLY_OR_FORWARD: [&str; 41] = [
    "re",
    "aw",
    "antw",
    "antwort",
    "sv",
    "vs",
    "res",
    "rif",
    "ref",
    "réf",
    "r",
    "i",
    "odp",
    "ynt",
    "bls",
    "atb",
    "回复",
    "回覆",
    "答复",
    "返信",
    "회신",
    "답장",
    "ответ",
    "отв",
    "fw",
    "fwd",
    "wg",
    "tr",
    "rv",
    "enc",
    "vb",
    "vl",
    "pd",
    "doorst",
    "ilt",
    "转发",
    "轉寄",
    "転送",
    "전달",
    "пересл",
    "пер",
];

/// Whether this label stands before the username in a known language.
pub(super) fn is_known_username_label(label: &str) -> bool {
    is_one_of(&USERNAME, label)
}

/// Whether a decoded subject is one of the known ones.
pub(super) fn is_subject_of(known: &[&str], subject: &str) -> bool {
    let subject = subject.to_lowercase();
    let subject = subject.strip_prefix(SANDBOX).unwrap_or(&subject);
    known.contains(&subject)
}

/// Whether a decoded subject is that of a reply or a forward: `Re:`, `AW[2]:`, `[EXTERNAL] Fwd:`, `Sandbox: Re:`.
pub(super) fn is_reply_or_forward(subject: &str) -> bool {
    if !subject.contains([':', '：']) {
        return false;
    }
    let mut rest: String = subject
        .chars()
        .map(half_width)
        .collect::<String>()
        .to_lowercase();
    if let Some(inner) = rest.strip_prefix(SANDBOX) {
        rest = inner.to_owned();
    }
    let mut rest = rest.trim_start();
    // A mailing list's or a filter's tag, which such programs put first.
    while let Some((_tag, inner)) = rest.strip_prefix('[').and_then(|tag| tag.split_once(']')) {
        rest = inner.trim_start();
    }
    rest.split_once(':').is_some_and(|(word, _)| {
        let word = word.split(['[', '(']).next().unwrap_or(word);
        REPLY_OR_FORWARD.contains(&word.trim_end())
    })
}

/// Whether this is one of the labels. The first character decides most, and lines without a colon are asked about too.
pub(super) fn is_one_of(known: &[&str], label: &str) -> bool {
    let first = comparable(label).next();
    known.iter().any(|known| known.chars().next() == first)
        && known.contains(&normalized(label).as_str())
}

/// Case, width and blanks do not distinguish labels, nor does a remark in brackets at the end.
fn normalized(label: &str) -> String {
    let label: String = comparable(label).collect();
    match label
        .strip_suffix(')')
        .and_then(|inner| inner.rsplit_once('('))
    {
        Some((name, _remark)) => name.to_owned(),
        None => label,
    }
}

fn comparable(label: &str) -> impl Iterator<Item = char> {
    label
        .chars()
        .map(half_width)
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
}

/// Full-width forms of ASCII (U+FF01 to U+FF5E) as ASCII, the part of NFKC that Japanese and Chinese mails need.
fn half_width(c: char) -> char {
    const OFFSET: u32 = 0xFF01 - 0x21;
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - OFFSET).unwrap_or(c),
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::kind::{CodeMail, Kind as _, TokenMail};

    fn is_known_token_label(label: &str) -> bool {
        is_one_of(TokenMail::RULES.labels, label)
    }

    fn is_known_subject(subject: &str) -> bool {
        is_subject_of(TokenMail::RULES.subjects, subject)
    }

    #[test]
    fn labels_compare_without_case_width_blanks_and_remark() {
        for label in [
            "Security token (case-sensitive)",
            "SECURITY TOKEN",
            "セキュリティトークン (大文字と小文字を区別)",
            "セキュリティトークン（大文字と小文字を区別）",
            "Ｓｅｃｕｒｉｔｙ\u{3000}ｔｏｋｅｎ",
        ] {
            assert!(is_known_token_label(label), "{label}");
        }
        for label in ["Username", "User name", "ユーザ名", "ユーザー名"] {
            assert!(is_known_username_label(label), "{label}");
        }
        assert!(!is_known_token_label("Sicherheitstoken"));
        assert!(!is_known_token_label("Verification Code"));
        for label in ["Verification Code", "検証コード", "確認 コード（6 桁）"] {
            assert!(is_one_of(CodeMail::RULES.labels, label), "{label}");
        }
    }

    #[test]
    fn subjects_are_known_with_and_without_the_sandbox_prefix() {
        assert!(is_known_subject("Your new Salesforce security token"));
        assert!(is_known_subject(
            "Sandbox: Your new Salesforce security token"
        ));
        assert!(is_known_subject(
            "salesforce.com security token confirmation"
        ));
        let of_code = "Sandbox: Verify your identity in Salesforce";
        assert!(!is_known_subject(of_code));
        assert!(is_subject_of(CodeMail::RULES.subjects, of_code));
    }

    #[test]
    fn replies_and_forwards_are_told_by_their_subject() {
        for subject in [
            "Re: x",
            "RE : x",
            "Fwd: x",
            "AW[2]: x",
            "[EXT] WG: x",
            "SV: x",
            "TR : x",
            "回复：x",
            "Sandbox: Re: x",
        ] {
            assert!(is_reply_or_forward(subject), "{subject}");
        }
        for subject in [
            "Sandbox: Your new Salesforce security token",
            "Reset: done",
            "Regarding",
            "[x",
            "",
        ] {
            assert!(!is_reply_or_forward(subject), "{subject}");
        }
    }
}
