//! Delivery as one mail server hands a mail to another (RFC 2033).

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Delivers by LMTP; returns when the server has taken the mail. What it refuses fails the test, with the words of
/// `explain`.
pub(super) fn deliver(port: u16, recipient: &str, mail: &[u8], explain: impl Fn() -> String) {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("connect to LMTP");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("set a time limit");
    let mut answers = BufReader::new(&stream);
    let mut expect = |code: &str| {
        loop {
            let mut line = String::new();
            answers.read_line(&mut line).expect("an answer by LMTP");
            assert!(
                line.starts_with(code),
                "LMTP: expected {code}, got {line:?}\n{}",
                explain()
            );
            if line.as_bytes().get(3) != Some(&b'-') {
                return;
            }
        }
    };
    let say = |bytes: &[u8]| (&stream).write_all(bytes).expect("speak LMTP");
    expect("220");
    say(b"LHLO lab.example\r\n");
    expect("250");
    say(b"MAIL FROM:<support@salesforce.com>\r\n");
    expect("250");
    say(format!("RCPT TO:<{recipient}>\r\n").as_bytes());
    expect("250");
    say(b"DATA\r\n");
    expect("354");
    for line in mail.split_inclusive(|&byte| byte == b'\n') {
        if line.starts_with(b".") {
            say(b".");
        }
        say(line);
    }
    say(b".\r\n");
    expect("250");
    say(b"QUIT\r\n");
}
