//! The mails: as other people's are, and as Salesforce's token mail is, growing in one dimension.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::lab::Signer;

/// Where the account's mail goes.
pub(crate) const ADDRESS: &str = "integration@acme.example";
/// The domain that signs.
pub(crate) const DOMAIN: &str = "salesforce.com";
/// The Date of every mail: they are judged an hour later.
const DATE: &str = "Tue, 24 Nov 2026 09:00:00 +0000 (GMT)";
/// Made up, as every token here.
const TOKEN: &str = "Zk3Qv8Lm2Xc7Rb5Nt9Wp4Hy1D";
/// A mail of this size is what most people get: some text, or a small newsletter.
pub(crate) const USUAL: usize = 8 << 10;

/// A mail, and what it is called in a table.
pub(crate) struct Mail {
    pub(crate) name: &'static str,
    pub(crate) raw: Vec<u8>,
}

/// Mails that are none, each of [`USUAL`] octets and of a kind that people get every day.
pub(crate) fn others() -> Vec<Mail> {
    let mail = |name, from, fields: &str, body: &dyn Fn(usize) -> String| Mail {
        name,
        raw: of_size(USUAL, |filling| {
            format!("{}{fields}\r\n{}", head(from), body(filling))
        }),
    };
    let person = "Jo Doe <jo@acme.example>";
    let shop = "Example Shop <news@shop.example>";
    let salesforce = "Salesforce <noreply@salesforce.com>";
    vec![
        mail("a person's, text", person, TEXT, &letter),
        mail(
            "a person's, text and HTML",
            person,
            ALTERNATIVE,
            &|filling| {
                let text = quoted_printable(&letter(filling / 3));
                let html = quoted_printable(&html(filling * 2 / 3));
                alternative("quoted-printable", &text, &html)
            },
        ),
        mail(
            "a newsletter, text and HTML",
            shop,
            ALTERNATIVE,
            &|filling| {
                let text = quoted_printable(&prose(filling / 3));
                let html = quoted_printable(&html(filling * 2 / 3));
                alternative("quoted-printable", &text, &html)
            },
        ),
        mail("a newsletter, in base64", shop, ALTERNATIVE, &|filling| {
            let text = base64(prose(filling / 4).as_bytes());
            let html = base64(html(filling / 2).as_bytes());
            alternative("base64", &text, &html)
        }),
        mail("a letter with a PDF", person, MIXED, &|filling| {
            let attached = base64(&noise(filling * 3 / 4));
            format!(
                "--outer\r\n{TEXT}\r\n{}\r\n--outer\r\nContent-Type: application/pdf; name=\"offer.pdf\"\r\n\
                 Content-Disposition: attachment; filename=\"offer.pdf\"\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{attached}\r\n--outer--\r\n",
                letter(600)
            )
        }),
        mail(
            "Salesforce's, no token",
            salesforce,
            ALTERNATIVE,
            &|filling| {
                let text = quoted_printable(&prose(filling / 3));
                let html = quoted_printable(&html(filling * 2 / 3));
                alternative("quoted-printable", &text, &html)
            },
        ),
    ]
}

/// The token mail as it is known, and with HTML beside its text.
pub(crate) fn token_mails(signer: &Signer) -> Vec<Mail> {
    let html = format!(
        "<html><head><title>Salesforce</title><style>p {{ margin: 0 }}</style></head><body><p>We've sent you a \
         new Salesforce security token.</p><p>Username: {ADDRESS}<br>Security token (case-sensitive): \
         {TOKEN}</p><p>For more information, see <a href=\"https://help.salesforce.com/\">Salesforce \
         Help</a>.</p></body></html>"
    );
    let both = alternative(
        "quoted-printable",
        &quoted_printable(&claim()),
        &quoted_printable(&html),
    );
    vec![
        Mail {
            name: "token mail, text",
            raw: signed(signer, TEXT, &claim()),
        },
        Mail {
            name: "token mail, text and HTML",
            raw: signed(signer, ALTERNATIVE, &both),
        },
    ]
}

/// A direction in which a mail grows.
pub(crate) struct Dimension {
    pub(crate) name: &'static str,
    /// What is counted, from the least to the most that is judged at all.
    pub(crate) counts: &'static [usize],
    /// A mail with so many.
    make: fn(&Signer, usize, &str) -> Vec<u8>,
}

impl Dimension {
    /// A mail with so many that claims to be a token mail, or claims nothing.
    pub(crate) fn mail(&self, signer: &Signer, count: usize, claims: bool) -> Vec<u8> {
        if claims {
            (self.make)(signer, count, &claim())
        } else {
            (self.make)(signer, count, "Nothing to see here.\r\n")
        }
    }
}

/// Each up to a mail of 1 MiB, or to the limit of `src/mail/` that makes anything more `too-many-parts` or the like.
pub(crate) const DIMENSIONS: [Dimension; 8] = [
    Dimension {
        name: "size, in octets",
        counts: &[4_096, 16_384, 65_536, 131_072, 262_144, 524_288, 1_000_000],
        make: |signer, count, text| signed(signer, TEXT, &format!("{text}\r\n{}", letter(count))),
    },
    Dimension {
        name: "size of HTML, in octets",
        counts: &[16_384, 32_768, 65_536, 98_304, 131_072, 163_840, 200_000],
        make: |signer, count, text| {
            signed(
                signer,
                HTML,
                &format!("<p>{}</p>{}", lines(text), html(count)),
            )
        },
    },
    Dimension {
        name: "parts",
        counts: &[2, 4, 8, 16, 32, 48, 62],
        make: |signer, count, text| {
            let part = |text: &str| format!("--outer\r\n{TEXT}\r\n{text}\r\n");
            let parts = part(text) + &part(&prose(1_000)).repeat(count - 1);
            signed(signer, MIXED, &(parts + "--outer--\r\n"))
        },
    },
    Dimension {
        name: "header fields",
        counts: &[30, 100, 300, 1_000, 3_000, 10_000],
        make: |signer, count, text| {
            let fields = numbered(count, |number| {
                format!("X-Tag-{number}: some words that say nothing\r\n")
            });
            signed(signer, &(fields + TEXT), text)
        },
    },
    Dimension {
        name: "folds of one field",
        counts: &[30, 100, 300, 1_000, 3_000, 10_000],
        make: |signer, count, text| {
            let folds = numbered(count, |number| {
                format!(",\r\n <person-{number}@acme.example>")
            });
            signed(
                signer,
                &format!("Cc: jo@acme.example{folds}\r\n{TEXT}"),
                text,
            )
        },
    },
    Dimension {
        name: "signatures of others",
        counts: &[3, 10, 30, 100, 300, 1_000],
        make: |signer, count, text| {
            let mut mail = Vec::new();
            for number in 0..count {
                mail.extend_from_slice(
                    signature(&format!("d=host-{number}.example; s=lab")).as_bytes(),
                );
            }
            mail.extend(signed(signer, TEXT, text));
            mail
        },
    },
    Dimension {
        name: "nested parts",
        counts: &[2, 4, 8, 16, 32, 48, 60],
        make: |signer, count, text| {
            let mut body = format!("--b0\r\n{TEXT}\r\n{text}\r\n--b0--\r\n");
            for depth in 1..count {
                let inner = depth - 1;
                body = format!(
                    "--b{depth}\r\nContent-Type: multipart/mixed; boundary=b{inner}\r\n\r\n{body}\r\n--b{depth}--\r\n"
                );
            }
            let fields = format!("Content-Type: multipart/mixed; boundary=b{}\r\n", count - 1);
            signed(signer, &fields, &body)
        },
    },
    Dimension {
        name: "nested HTML elements",
        counts: &[300, 1_000, 3_000, 5_000, 7_000, 9_000, 12_000],
        make: |signer, count, text| {
            let open = "<div><b><blockquote>".repeat(count / 3);
            let close = "</blockquote></b></div>".repeat(count / 3);
            signed(
                signer,
                HTML,
                &format!("<p>{}</p>{open}x{close}", lines(text)),
            )
        },
    },
];

const TEXT: &str = "Content-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n";
const HTML: &str = "Content-Type: text/html; charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n";
const ALTERNATIVE: &str = "Content-Type: multipart/alternative; boundary=\"outer\"\r\n";
const MIXED: &str = "Content-Type: multipart/mixed; boundary=\"outer\"\r\n";

/// What a mail server of today puts above a mail that comes from elsewhere.
fn head(from: &str) -> String {
    let received = "Received: from mail-out.example (mail-out.example [192.0.2.7])\r\n\
                    \tby mx.acme.example (Postfix) with ESMTPS id 4Zk3Qv8Lm2Xc7R\r\n\
                    \tfor <integration@acme.example>; Tue, 24 Nov 2026 09:00:01 +0000 (UTC)\r\n";
    format!(
        "Return-Path: <bounce@mail-out.example>\r\n{}{}\
         Authentication-Results: mx.acme.example; dkim=pass header.d=mail-out.example;\r\n\
         \tspf=pass smtp.mailfrom=mail-out.example; dmarc=pass header.from=mail-out.example\r\n\
         From: {from}\r\nTo: {ADDRESS}\r\nSubject: =?UTF-8?Q?What_we_have_for_you_this_week?=\r\n\
         Date: {DATE}\r\nMessage-ID: <0123456789.abcdef@mail-out.example>\r\n\
         List-Unsubscribe: <https://mail-out.example/u/Zk3Qv8Lm2Xc7Rb5Nt9Wp4Hy1>\r\nMIME-Version: 1.0\r\n",
        received.repeat(3),
        signature("d=mail-out.example; s=mail2026"),
    )
}

/// A signature that nobody checks.
fn signature(tags: &str) -> String {
    format!(
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; {tags};\r\n\
         \th=From:To:Subject:Date:Message-ID; bh={};\r\n\tb={}\r\n",
        BASE64_STANDARD.encode([7; 32]),
        BASE64_STANDARD.encode([7; 256])
    )
}

/// A mail from Salesforce with these fields beside the usual ones, signed.
fn signed(signer: &Signer, fields: &str, body: &str) -> Vec<u8> {
    let mail = format!(
        "Received: from mail.salesforce.example by mx.acme.example; Tue, 24 Nov 2026 09:00:01 +0000\r\n\
         Date: {DATE}\r\nFrom: Salesforce <support@{DOMAIN}>\r\nTo: {ADDRESS}\r\n\
         Message-ID: <0123456789.abcdef@sfdc.net>\r\nSubject: Your new Salesforce security token\r\n\
         MIME-Version: 1.0\r\n{fields}\r\n{body}"
    );
    signer.sign(mail.as_bytes(), DOMAIN)
}

/// The text of the token mail.
fn claim() -> String {
    format!(
        "We've sent you a new Salesforce security token because you recently changed your\r\n\
         password or requested to reset your security token.\r\n\r\nUsername: {ADDRESS}\r\n\
         Security token (case-sensitive): {TOKEN}\r\n\r\n\
         For more information on using your security token, see Salesforce Help.\r\n"
    )
}

/// Text as lines of HTML.
fn lines(text: &str) -> String {
    text.replace("\r\n", "<br>\r\n")
}

fn numbered(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect()
}

/// A mail of this size, whose filling is made as long as it takes.
fn of_size(size: usize, make: impl Fn(usize) -> String) -> Vec<u8> {
    let (mut least, mut most) = (0, size);
    while most - least > 1 {
        let filling = usize::midpoint(least, most);
        if make(filling).len() > size {
            most = filling;
        } else {
            least = filling;
        }
    }
    make(least).into_bytes()
}

/// So many octets of text, with what token mails have too: colons, addresses, long words.
fn prose(size: usize) -> String {
    repeated(PARAGRAPH, size)
}

const PARAGRAPH: &str = "Thank you for your letter, which I read with pleasure on the train this morning.\r\n\
    Could you send the figures to jo@acme.example until Friday? Then we shall have them\r\n\
    in time for the meeting: the room is booked, and coffee will be there at nine.\r\n\r\n\
    The page is https://acme.example/r/Zk3Qv8Lm2Xc7Rb5Nt9Wp4Hy1 as you asked; write to me if it\r\n\
    does not open. Everything else is as it was, and will stay so until spring.\r\n\r\n";

/// The same with signatures, in which an address stands alone below its label, as a username does.
fn letter(size: usize) -> String {
    let signature = "Phone: 555 0100\r\nMail: jo@acme.example\r\n\r\n";
    repeated(&format!("{PARAGRAPH}{signature}"), size)
}

/// So many octets of a newsletter's markup.
fn html(size: usize) -> String {
    const ROW: &str = "<tr><td style=\"padding:12px 24px;font-family:Arial,sans-serif;color:#333333\">\r\n\
        <a href=\"https://shop.example/c/Zk3Qv8Lm2Xc7Rb5Nt9Wp4Hy1D?utm_source=mail&amp;id=1\"><b>New boots</b></a>\r\n\
        <p>Warm in winter, dry in rain:&nbsp;from &euro;&nbsp;79.</p><img src=\"https://shop.example/i/1.png\" \
        width=\"120\" height=\"80\" alt=\"\"></td></tr>\r\n";
    format!("<table>{}</table>", repeated(ROW, size))
}

/// Whole pieces, as many as fit, and the start of another: all are ASCII.
fn repeated(piece: &str, size: usize) -> String {
    let mut text = piece.repeat(size / piece.len());
    text.push_str(&piece[..size % piece.len()]);
    text
}

/// Octets that compress badly, the same in each run.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        // Numerical Recipes' generator: its high octet is random enough for an attachment.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(size).collect()
}

fn alternative(encoding: &str, text: &str, html: &str) -> String {
    let part = |kind, body| {
        format!(
            "--outer\r\nContent-Type: text/{kind}; charset=UTF-8\r\n\
             Content-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n"
        )
    };
    part("plain", text) + &part("html", html) + "--outer--\r\n"
}

/// In lines of at most 76 characters (RFC 2045, section 6.7); the text is ASCII.
fn quoted_printable(text: &str) -> String {
    let mut written = String::new();
    for line in text.split("\r\n") {
        let mut length = 0;
        for c in line.chars() {
            if length > 70 {
                written.push_str("=\r\n");
                length = 0;
            }
            if c == '=' {
                written.push_str("=3D");
                length += 3;
            } else {
                written.push(c);
                length += 1;
            }
        }
        written.push_str("\r\n");
    }
    written
}

/// In lines of 76 characters (RFC 2045, section 6.8).
fn base64(octets: &[u8]) -> String {
    let mut written = String::new();
    for line in octets.chunks(57) {
        writeln!(written, "{}\r", BASE64_STANDARD.encode(line)).expect("text");
    }
    written
}
