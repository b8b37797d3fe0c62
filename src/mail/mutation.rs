//! Mails that are nearly those of the fixtures, for tests that compare two ways to read them.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What may stand within a value, or end it, or hide it.
const PIECES: [&[u8]; 56] = [
    b"=\r\n",
    b"= \n",
    b"=",
    b"=40",
    b"=3A",
    b"=3A ",
    b"=20",
    b"=0D=0A",
    b"=0A",
    b"=1B",
    b"=3D",
    b"=26",
    b"=E2=80=8B",
    b"=AD",
    b"=00",
    b"<wbr>",
    b"<b>",
    b"</b>",
    b"<br>",
    b"<td>",
    b"<p",
    b"<a title='>'>",
    b"<!-- > -->",
    b"<",
    b">",
    b"> ",
    b"&shy;",
    b"&#8203;",
    b"&nbsp;",
    b"&nbsp",
    b"&#160;",
    b"&#64;",
    b"&#x040",
    b"&commat;",
    b"&colon;",
    b"&#58;",
    b"&#x3A;",
    b"&NewLine;",
    b"&",
    b";",
    b"@",
    b":",
    b"\xEF\xBC\x9A",
    b"\xE2\x80\x8B",
    b"\xC2\xAD",
    b"\xC2\xA0",
    b"\xAD",
    b"\xA0",
    b"\x81",
    b" ",
    b"\t",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b"\0",
    b"\x1B$B",
];

const CHARSETS: [&[u8]; 12] = [
    b"utf-8",
    b"us-ascii",
    b"iso-8859-1",
    b"windows-1252",
    b"iso-2022-jp",
    b"shift_jis",
    b"gbk",
    b"big5",
    b"euc-kr",
    b"utf-7",
    b"utf-16le",
    b"default",
];

const FIELDS: [&[u8]; 12] = [
    b"Content-Type: text/html\r\n",
    b"content-type: text/plain; charset=\"iso-8859-1\"\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"CONTENT-TRANSFER-ENCODING: Quoted-Printable\r\n",
    b"Content-Transfer-Encoding:\r\n quoted-printable\r\n",
    b"Content-Disposition: attachment\r\n",
    b"Content-Disposition: inline; filename=x\r\n",
    b"no colon\r\n fold\r\n",
    b" fold\r\n",
    b"\rX: y\r\n",
];

/// `SplitMix64`: the same numbers in every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// From 0 to less than `sides`.
    pub(super) fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(sides).expect("few sides")).expect("a side")
    }

    pub(super) fn pick<'p>(&mut self, pieces: &[&'p [u8]]) -> &'p [u8] {
        pieces[self.throw(pieces.len())]
    }

    /// A place in the mail, most often one where a value stands.
    fn place(&mut self, mail: &[u8]) -> usize {
        let at = self.throw(mail.len() + 1);
        if self.throw(4) == 0 {
            return at;
        }
        let is_value =
            |window: &[u8]| window.contains(&b'@') || window.iter().all(u8::is_ascii_alphanumeric);
        let body = body_at(mail);
        let values: Vec<usize> = mail[body..]
            .windows(18)
            .enumerate()
            .filter(|(_, window)| is_value(window))
            .map(|(at, _)| body + at)
            .collect();
        match values.len() {
            0 => at,
            many => mail.len().min(values[self.throw(many)] + self.throw(36)),
        }
    }

    /// Changes the mail in one way.
    pub(super) fn mutate(&mut self, mail: &mut Vec<u8>) {
        let at = self.place(mail);
        match self.throw(16) {
            0 => {
                if let Some(octet) = mail.get_mut(at) {
                    *octet ^= 1 << self.throw(8);
                }
            }
            1 => {
                let end = mail.len().min(at + self.throw(4));
                mail.drain(at..end);
            }
            2 => {
                let field = self.pick(&FIELDS);
                mail.splice(0..0, field.iter().copied());
            }
            3 => {
                let charset = self.pick(&CHARSETS);
                set_charset(mail, charset);
            }
            4 if self.throw(3) == 0 => encode(mail, self.throw(4), 1 + self.throw(90)),
            5 => {
                let swapped: [&[u8]; 2] = [b"text/plain", b"text/html"];
                let from = self.throw(2);
                replace(mail, swapped[from], swapped[1 - from]);
            }
            6 => mail.truncate(at.max(mail.len() / 2)),
            7..=9 => self.disguise(mail),
            10 => self.rewrite_field(mail),
            11 => wrap(mail),
            _ => {
                let piece = self.pick(&PIECES);
                mail.splice(at..at, piece.iter().copied());
            }
        }
    }

    /// Writes a colon, an at sign, a line end or another character of the body in another way.
    fn disguise(&mut self, mail: &mut Vec<u8>) {
        const COLONS: [&[u8]; 8] = [
            b"=3A",
            b"=3A ",
            b"&colon;",
            b"&#58;",
            b"&#x3A;",
            b"\xEF\xBC\x9A",
            b"=EF=BC=9A ",
            b":\xC2\xA0",
        ];
        const LINE_ENDS: [&[u8]; 4] = [b"=0A", b"=0D=0A", b"<br>", b"=\n"];
        const AT_SIGNS: [&[u8]; 5] = [b"=40", b"&#64;", b"&#x40;", b"&commat;", b"@<wbr>"];
        let body = body_at(mail);
        let sought = [b':', b'@', b'\n'].get(self.throw(4)).copied();
        // Each colon, since a label's is one among others, and a username's as well as a token's.
        let (at, is_each) = (self.place(mail), self.throw(2) == 0);
        let (colon, sign) = (self.pick(&COLONS), self.pick(&AT_SIGNS));
        let line_end = self.pick(&LINE_ENDS);
        let number = self.throw(2) == 0;
        let mut changed = mail[..body].to_vec();
        for (place, &octet) in mail.iter().enumerate().skip(body) {
            let is_meant = match sought {
                Some(sought) => sought == octet && (is_each || place >= at),
                None => place == at,
            };
            match octet {
                _ if !is_meant => changed.push(octet),
                b':' => changed.extend(colon),
                b'@' => changed.extend(sign),
                b'\n' => changed.extend(line_end),
                octet if number => changed.extend(format!("&#{octet};").into_bytes()),
                octet => changed.extend(format!("={octet:02x}").into_bytes()),
            }
        }
        *mail = changed;
        if self.throw(2) == 0 {
            mail.splice(0..0, *b"Content-Transfer-Encoding: quoted-printable\r\n");
        }
    }

    /// Writes the name of a MIME field, or what follows it, in another way.
    fn rewrite_field(&mut self, mail: &mut Vec<u8>) {
        const NAME: &[u8] = b"content-";
        const COLONS: [&[u8]; 6] = [b":", b":\r\n ", b":\n\t", b" : ", b": \r\n\t", b"\r\n : "];
        let names: Vec<usize> = mail
            .windows(NAME.len())
            .enumerate()
            .filter(|(_, window)| window.eq_ignore_ascii_case(NAME))
            .map(|(at, _)| at)
            .collect();
        if names.is_empty() {
            return;
        }
        let at = names[self.throw(names.len())];
        let end = mail[at..].iter().position(|&octet| octet == b':');
        let end = end.map_or(mail.len(), |length| at + length);
        match self.throw(3) {
            0 => mail[at..end].make_ascii_uppercase(),
            1 => mail[at..end].make_ascii_lowercase(),
            _ => {
                let colon = self.pick(&COLONS);
                mail.splice(end..mail.len().min(end + 1), colon.iter().copied());
            }
        }
    }
}

/// Makes the mail the only part of another.
fn wrap(mail: &mut Vec<u8>) {
    let top = b"Content-Type: multipart/mixed; boundary=\"=_w\"\r\n";
    let head = mail[..body_at(mail)].to_vec();
    let part = [
        top.as_slice(),
        &head,
        b"--=_w\r\n",
        mail,
        b"\r\n--=_w--\r\n",
    ]
    .concat();
    *mail = part;
}

fn body_at(mail: &[u8]) -> usize {
    let empty = mail.windows(2).position(|two| two == b"\n\n");
    let empty_crlf = mail.windows(4).position(|four| four == b"\r\n\r\n");
    let ends = [empty.map(|at| at + 2), empty_crlf.map(|at| at + 4)];
    ends.into_iter().flatten().min().unwrap_or(0)
}

fn replace(mail: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    if let Some(at) = mail.windows(from.len()).position(|window| window == from) {
        mail.splice(at..at + from.len(), to.iter().copied());
    }
}

fn set_charset(mail: &mut Vec<u8>, charset: &[u8]) {
    const NAME: &[u8] = b"charset=";
    let at = mail.windows(NAME.len()).position(|window| window == NAME);
    if let Some(at) = at.map(|at| at + NAME.len()) {
        let end = mail[at..]
            .iter()
            .position(|octet| matches!(octet, b';' | b'\r' | b'\n'))
            .map_or(mail.len(), |length| at + length);
        mail.splice(at..end, charset.iter().copied());
    } else {
        let field = [b"Content-Type: text/plain; charset=", charset, b"\r\n"].concat();
        mail.splice(0..0, field);
    }
}

/// Writes the body in another way, in lines of so many octets.
fn encode(mail: &mut Vec<u8>, way: usize, width: usize) {
    let body = mail.split_off(body_at(mail));
    let (name, encoded): (&[u8], Vec<u8>) = match way {
        0 => (b"base64", STANDARD.encode(&body).into_bytes()),
        1 => (
            b"BASE64",
            STANDARD
                .encode(&body)
                .as_bytes()
                .chunks(width)
                .flat_map(|line| [line, b"\r\n"].concat())
                .collect(),
        ),
        2 => (
            b"quoted-printable",
            body.iter()
                .flat_map(|octet| match octet {
                    b'\n' => b"\n".to_vec(),
                    octet => format!("={octet:02X}").into_bytes(),
                })
                .collect(),
        ),
        _ => (
            b"quoted-printable",
            body.chunks(width)
                .flat_map(|chunk| [chunk, b"=\r\n"].concat())
                .collect(),
        ),
    };
    let field = [b"Content-Transfer-Encoding: ", name, b"\r\n"].concat();
    mail.splice(0..0, field);
    mail.extend(encoded);
}

/// Every fixture that is a mail, with its path.
pub(super) fn fixtures() -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let kinds = fs::read_dir(root).expect("fixtures").flatten();
    let mut mails: Vec<_> = kinds
        .filter(|kind| kind.path().is_dir())
        .flat_map(|kind| fs::read_dir(kind.path()).expect("a kind").flatten())
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .map(|path| (path.clone(), fs::read(path).expect("a mail")))
        .collect();
    mails.sort();
    mails
}
