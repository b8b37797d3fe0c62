//! A glance changes no verdict and no reason: shown over mutations of all fixtures. `fuzz/` goes on from here.

use super::super::mutation::{Dice, fixtures};
use super::super::{Policy, Unasked, Verdict, at_a_glance, judge, read};
use super::Glance;

/// Whether the mail claims; panics where a glance makes a difference.
#[track_caller]
fn claims(raw: &[u8], about: &str) -> bool {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let read = read(raw, &Policy::any(), &Unasked, now).verdict;
    // Without looking who sent it, which would spare most fixtures.
    let glanced = at_a_glance(raw).map_or_else(|| read.clone(), |judgement| judgement.verdict);
    assert_eq!(
        (glanced.word(), glanced.reason()),
        (read.word(), read.reason()),
        "{about}\n{}",
        raw.escape_ascii()
    );
    !matches!(read, Verdict::NoClaim(_))
}

#[test]
fn no_mutation_of_a_fixture_is_judged_otherwise_for_a_glance() {
    /// Of a few KiB at most, since a build without optimization reads slowly.
    const LARGEST: usize = 16 << 10;
    const ROUNDS: usize = 32;
    let mut dice = Dice(1);
    let (mut judged, mut claiming) = (0, 0);
    for (path, fixture) in fixtures() {
        claims(&fixture, &path.display().to_string());
        for _ in 0..ROUNDS {
            if fixture.len() > LARGEST {
                continue;
            }
            let mut mail = fixture.clone();
            for _ in 0..=dice.throw(4) {
                dice.mutate(&mut mail);
            }
            judged += 1;
            claiming += usize::from(claims(&mail, &path.display().to_string()));
        }
    }
    assert!(claiming > judged / 3, "{claiming} of {judged} mails claim");
}

#[test]
fn most_mails_without_a_token_are_told_at_a_glance() {
    let mails = fixtures();
    let others = mails
        .iter()
        .filter(|(path, _)| path.to_string_lossy().contains("not-a-token-mail"))
        .filter(|(_, raw)| Glance::at(raw) == Glance::Innocent);
    assert!(others.count() > 0);
}

/// Found by reading: the octets of a label's end may be letters while they are encoded.
#[test]
fn a_value_below_a_colon_in_disguise_is_seen() {
    const TOKEN: &str = "Zk3Qv8Lm2Xc7Rb5Nt9Wp4Hy1D";
    for (kind, body) in [
        (
            "plain",
            format!("Username=3A a@b.example\nToken=3A {TOKEN}\n"),
        ),
        (
            "plain",
            format!("Username:=C2=A0 a=40b.example\nToken:=C2=A0 {TOKEN}\n"),
        ),
        (
            "plain",
            format!("Username: a=\n@b.exam=\nple=20\nToken: {TOKEN}\n"),
        ),
        (
            "html",
            format!("Username=3A a&#64;b.example<br>Token=3A {TOKEN}\n"),
        ),
        (
            "html",
            format!("Username: a=26commat;b.example<br>Token&colon; {TOKEN}\n"),
        ),
        (
            "html",
            format!("Username:&nbsp a&com<b></b>mat;b.example<br>Token:&nbsp {TOKEN}\n"),
        ),
    ] {
        let raw = format!(
            "From: a@b.example\nContent-Type: text/{kind}; charset=utf-8\n\
             Content-Transfer-Encoding: quoted-printable\n\n{body}"
        );
        assert!(claims(raw.as_bytes(), kind), "{raw}");
    }
}

/// Each is the furthest that the reader goes in one direction, and no fixture goes there.
#[test]
fn a_claim_at_the_edge_of_what_is_read_is_seen() {
    const TOKEN: &str = "Zk3Qv8Lm2Xc7Rb5Nt9Wp4Hy1D";
    /// Of no usual length: it counts below a known label only.
    const SHORT: &str = "Zk3Qv8Lm2Xc7Rb5Nt9Wp";
    const USER: &str = "Username: a@b.example";
    let quoted = "Content-Transfer-Encoding: quoted-printable\n";
    for (head, body) in [
        ("", format!("{USER}\nx\ny\nToken:\n{TOKEN}\n")),
        ("", format!("{USER}\n\nx\n\ny\n> \nToken:\n\n{TOKEN}\n")),
        ("", format!("{USER}\nSecurity  Token (new) : {SHORT}\n")),
        (
            "",
            format!("{USER}\n\u{FF33}ecurity token\u{FF1A}{SHORT}\n"),
        ),
        ("", format!("{USER}\nセキュリティトークン: {SHORT}\n")),
        ("", format!("{USER}\nセキュリティトークン\n{SHORT}\n")),
        (
            quoted,
            format!("{USER}\nx\n=E2=80=8B\ny\nToken:\n{TOKEN}\n"),
        ),
        (quoted, format!("{USER}\nToken=3A {TOKEN}=0Ax y\n")),
        (quoted, format!("{USER}=0D=0AToken: {TOKEN}\n")),
        (
            quoted,
            "Username: a@b.example\nToken: Zk3Qv8Lm2X=\nc7Rb5Nt9Wp4Hy1D\n".to_owned(),
        ),
        (
            "Content-Type: text/html\n",
            format!("{USER}<br>x<p>y</p><td>Token:</td>\n<td>{TOKEN}</td>"),
        ),
        (
            "Content-Type: text/html\n",
            format!("{USER}<br><b> </b><br>&shy;<br>x<br>y<br>Token:<br>{TOKEN}<br>"),
        ),
        (
            "Content-Type: text/html\n",
            format!("{USER}<br>Security token\n: {SHORT}<br>"),
        ),
        (
            "Content-Type: text/html\n",
            format!("<pre>{USER}\nToken: {TOKEN}\n</pre>"),
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n",
            format!("--b\n\n{USER}\n--b\nX: y\nX: y\nX: y\nX: y\nX: y\n\nToken: {TOKEN}\n--b--\n"),
        ),
        (
            "Content-Type: text/plain; charset=iso-2022-jp\n",
            format!("\x1b$B%f!<%6L>!'\x1b(Ba@b.example\n\x1b$B%H!<%/%s!'\x1b(B{TOKEN}\n"),
        ),
    ] {
        let raw = format!("From: a@b.example\n{head}\n{body}");
        assert!(claims(raw.as_bytes(), head), "{raw}");
    }
}

#[test]
fn what_names_a_listed_sender_is_read_in_any_case() {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let policy = Policy {
        domains: vec!["vendor.example".to_owned()],
        ..Policy::any()
    };
    let raw = b"From: robot@vendor.example\r\n\r\nno token at all\r\n";
    assert!(policy.is_named_in(super::header_section(raw)));
    assert!(!policy.is_named_in(super::header_section(
        b"From: a@b.example\r\n\r\nwrite to robot@vendor.example\r\n"
    )));
    let verdict = judge(raw, &policy, &Unasked, now).verdict;
    assert!(matches!(verdict, Verdict::NoClaim(_)));
}
