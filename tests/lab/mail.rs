//! The mail everything is about, as Salesforce writes it, its sibling with a code, and mail that is something else.

use super::signer::Signer;
use jiff::Timestamp;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

/// Composes a token mail: `TokenMail::english(username, token).to(address).bytes()`.
#[derive(Clone, Debug)]
pub struct TokenMail {
    from: String,
    to: String,
    subject: String,
    date: Timestamp,
    message_id: String,
    extra_headers: Vec<(String, String)>,
    body: String,
}

impl TokenMail {
    /// The English mail, addressed to its username.
    pub fn english(username: &str, token: &str) -> Self {
        let body = format!(
            "We've sent you a new Salesforce security token because you recently changed your\n\
             password or requested to reset your security token.\n\
             \n\
             Username: {username}\n\
             Security token (case-sensitive): {token}\n\
             \n\
             For more information on using your security token, see Salesforce Help.\n"
        );
        Self::new(username, "Your new Salesforce security token", body)
    }

    /// The Japanese mail, UTF-8.
    pub fn japanese(username: &str, token: &str) -> Self {
        let body = format!(
            "新しい Salesforce セキュリティトークンをお送りします。\n\
             \n\
             ユーザ名: {username}\n\
             セキュリティトークン (大文字と小文字を区別): {token}\n\
             \n\
             詳細は、Salesforce ヘルプを参照してください。\n"
        );
        Self::new(username, "Salesforce の新しいセキュリティトークン", body)
    }

    /// The English mail with a verification code, which names the username or nobody.
    pub fn with_code(username: Option<&str>, code: &str) -> Self {
        let whose = username.map_or_else(String::new, |username| format!("Username: {username}\n"));
        let body = format!(
            "Somebody logged in to Salesforce with your username from a place that we do not know.\n\
             \n\
             Browser: Chrome\n\
             Operating System: Linux\n\
             {whose}\
             \n\
             To finish the login, enter this code in Salesforce.\n\
             \n\
             Verification Code: {code}\n\
             \n\
             If it was not you, tell your administrator.\n"
        );
        let subject = "Verify your identity in Salesforce";
        Self::new(username.unwrap_or_default(), subject, body).from("noreply@salesforce.com")
    }

    fn new(username: &str, subject: &str, body: String) -> Self {
        Self {
            from: "support@salesforce.com".to_owned(),
            to: username.to_owned(),
            subject: subject.to_owned(),
            date: Timestamp::now(),
            message_id: unique_id("sfdc.net"),
            extra_headers: Vec::new(),
            body,
        }
    }

    pub fn from(mut self, address: &str) -> Self {
        address.clone_into(&mut self.from);
        self
    }

    pub fn to(mut self, address: &str) -> Self {
        address.clone_into(&mut self.to);
        self
    }

    pub fn subject(mut self, subject: &str) -> Self {
        subject.clone_into(&mut self.subject);
        self
    }

    pub fn date(mut self, date: Timestamp) -> Self {
        self.date = date;
        self
    }

    pub fn message_id(mut self, message_id: &str) -> Self {
        message_id.clone_into(&mut self.message_id);
        self
    }

    /// One more header field, for instance a long one that pushes the body past the first 64 KiB.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.extra_headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The mail as it goes over the wire, signed by the domain of its From with the lab's key.
    pub fn bytes(&self) -> Vec<u8> {
        self.signed_by(Signer::shared())
    }

    /// The same, signed with another key.
    pub fn signed_by(&self, signer: &Signer) -> Vec<u8> {
        let (_, domain) = self.from.rsplit_once('@').expect("an address");
        signer.sign(&self.unsigned(), domain)
    }

    /// The same without a signature: CRLF line ends, quoted-printable UTF-8.
    pub fn unsigned(&self) -> Vec<u8> {
        let date = self.date;
        let mut mail = String::new();
        let mut line = |text: &str| {
            mail.push_str(text);
            mail.push_str("\r\n");
        };
        line(&format!(
            "Received: from mail.salesforce.example by mx.acme.example; {}",
            date.strftime("%a, %d %b %Y %H:%M:%S +0000")
        ));
        for (name, value) in &self.extra_headers {
            line(&format!("{name}: {value}"));
        }
        line(&format!(
            "Date: {}",
            date.strftime("%a, %d %b %Y %H:%M:%S +0000 (GMT)")
        ));
        line(&format!("From: {}", self.from));
        line(&format!("To: {}", self.to));
        line(&format!("Message-ID: {}", self.message_id));
        line(&format!("Subject: {}", encoded_words(&self.subject)));
        line("MIME-Version: 1.0");
        line("Content-Type: text/plain; charset=UTF-8");
        line("Content-Transfer-Encoding: quoted-printable");
        line("");
        mail.push_str(&quoted_printable(&self.body));
        mail.into_bytes()
    }
}

/// A made-up token: a letter first, upper and lower case and a digit, 24 or 25 characters.
pub fn random_token() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const ALL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    loop {
        let mut random = [0_u8; 26];
        File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(&mut random))
            .expect("random bytes");
        let length = 24 + usize::from(random[25] % 2);
        let pick = |from: &[u8], byte: u8| char::from(from[usize::from(byte) % from.len()]);
        let mut token = pick(LETTERS, random[0]).to_string();
        token.extend(random[1..length].iter().map(|&byte| pick(ALL, byte)));
        let has = |kind: fn(&char) -> bool| token.chars().any(|character| kind(&character));
        if has(char::is_ascii_uppercase)
            && has(char::is_ascii_lowercase)
            && has(char::is_ascii_digit)
        {
            return token;
        }
    }
}

/// Some mail that is no token mail, about a third of a kilobyte.
pub fn other_mail(number: usize) -> Vec<u8> {
    format!(
        "Date: Mon, 01 Jan 2024 08:00:00 +0000\r\n\
         From: Weekly Digest <digest@list.example>\r\n\
         To: integration@acme.example\r\n\
         Message-ID: <{number}.{}@list.example>\r\n\
         Subject: Weekly digest, number {number}\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=UTF-8\r\n\
         \r\n\
         Nothing happened this week, for the {number}th time.\r\n",
        unique_serial()
    )
    .into_bytes()
}

fn unique_serial() -> u64 {
    static SERIAL: AtomicU64 = AtomicU64::new(1);
    SERIAL.fetch_add(1, Ordering::Relaxed)
}

fn unique_id(host: &str) -> String {
    let now = Timestamp::now().as_millisecond();
    format!("<{now}.{}.{}@{host}>", std::process::id(), unique_serial())
}

/// RFC 2047 words, folded, for a subject that is not ASCII.
fn encoded_words(text: &str) -> String {
    use base64::Engine as _;
    if text.is_ascii() {
        return text.to_owned();
    }
    let characters: Vec<char> = text.chars().collect();
    characters
        .chunks(10)
        .map(|chunk| {
            let chunk: String = chunk.iter().collect();
            format!(
                "=?UTF-8?B?{}?=",
                base64::prelude::BASE64_STANDARD.encode(chunk)
            )
        })
        .collect::<Vec<_>>()
        .join("\r\n ")
}

/// Quoted-printable with soft line breaks at 76 columns.
fn quoted_printable(text: &str) -> String {
    let mut encoded = String::new();
    for line in text.lines() {
        let mut column = 0;
        let bytes = line.as_bytes();
        for (place, &byte) in bytes.iter().enumerate() {
            let last = place + 1 == bytes.len();
            let plain = (b'!'..=b'~').contains(&byte) && byte != b'=' || byte == b' ' && !last;
            let width = if plain { 1 } else { 3 };
            if column + width > 75 {
                encoded.push_str("=\r\n");
                column = 0;
            }
            if plain {
                encoded.push(char::from(byte));
            } else {
                write!(encoded, "={byte:02X}").expect("write into a String");
            }
            column += width;
        }
        encoded.push_str("\r\n");
    }
    encoded
}
