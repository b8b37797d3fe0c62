//! Whatever a server says, a session neither panics nor hangs, and gives no mail that was not sent.

use super::*;
use crate::imap::Message;
use crate::imap::login::{Credentials, Proof};

const CASES: u64 = 2_000;

/// Numbers that look random and are the same at each run (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("below sides")
    }
}

/// A dialogue without fault, the server's half.
fn dialogue() -> Vec<u8> {
    let mut said = Vec::new();
    let mut say = |octets: &[u8]| said.extend_from_slice(octets);
    say(GREETING.as_bytes());
    say(b"f1 OK [CAPABILITY IMAP4rev1 IDLE WITHIN] in\r\n");
    say(b"* FLAGS (\\Seen)\r\n* 12 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 100] ok\r\nf2 OK [READ-ONLY]\r\n");
    say(b"* SEARCH 98 99\r\nf3 OK\r\n");
    say(&header(11, 98, b"From: a\r\n\r\n"));
    say(&header(12, 99, b"From: b\r\n\r\n"));
    say(b"f4 OK\r\n");
    say(&mail(11, 98, 20, b"Subject: one\r\n\r\none."));
    say(&mail(12, 99, 20, b"Subject: two\r\n\r\ntwo."));
    say(b"f5 OK\r\n+ idling\r\n* OK Still here\r\n* 13 EXISTS\r\nf6 OK\r\n");
    say(&mail(13, 100, 24, b"Subject: three\r\n\r\nthree."));
    say(b"f7 OK\r\n");
    said
}

/// The client's half: everything a watch does, on to the first error.
async fn watch(tap: Tap, found: &mut Vec<Message>) -> Result<(), Error> {
    let mut session = Session::greeted(tap).await?;
    let me = Credentials {
        user: "me".to_owned(),
        proof: Proof::Password("geheim".into()),
    };
    session.login(&me).await?;
    session.examine("INBOX").await?;
    found.extend(
        session
            .look_back(Duration::from_mins(10), jiff::Timestamp::now(), &any)
            .await?
            .messages,
    );
    let idling = session.idle().await?;
    session
        .announced(Instant::now() + Duration::from_secs(20))
        .await?;
    found.extend(session.fetch_new(100, idling, &any).await?.messages);
    Ok(())
}

/// Spoils a dialogue.
fn spoil(said: &mut Vec<u8>, dice: &mut Dice) {
    const PIECES: [&[u8]; 14] = [
        b"(",
        b")",
        b"\"",
        b"{5}\r\n",
        b"{99999}",
        b"\r\n",
        b"\n",
        b"\xff\xfe",
        b"NIL",
        b"* BYE\r\n",
        b"+ \r\n",
        b"f4 NO\r\n",
        b"[",
        b"\0",
    ];
    for _ in 0..=dice.roll(4) {
        let place = dice.roll(said.len().max(1)).min(said.len());
        let end = (place + dice.roll(30)).min(said.len());
        match dice.roll(6) {
            0 => said.truncate(place),
            1 => drop(said.drain(place..end)),
            2 => {
                let piece = PIECES[dice.roll(PIECES.len())];
                said.splice(place..place, piece.iter().copied());
            }
            3 => {
                let copy = said[place..end].to_vec();
                let to = dice.roll(said.len().max(1)).min(said.len());
                said.splice(to..to, copy);
            }
            4 => {
                for octet in &mut said[place..end] {
                    *octet = u8::try_from(dice.roll(256)).expect("an octet");
                }
            }
            _ => {
                if let Some(octet) = said.get_mut(place) {
                    *octet ^= 1 << dice.roll(8);
                }
            }
        }
    }
}

/// Runs one dialogue; gives the mails found. The server hangs up at the end, or is silent for ever.
async fn run(said: &[u8], hangs_up: bool) -> (Result<(), Error>, Vec<Message>) {
    let (tap, mut server) = wire();
    let mut found = Vec::new();
    let (result, ()) = join!(
        async {
            timeout(STEP, watch(tap, &mut found))
                .await
                .expect("the client hangs")
        },
        async {
            server.send(said).await;
            if hangs_up {
                server.hang_up().await;
            }
        }
    );
    (result, found)
}

#[tokio::test(start_paused = true)]
async fn the_dialogue_without_fault_gives_its_mails() {
    let (result, found) = run(&dialogue(), true).await;
    result.expect("no fault");
    assert_eq!(uids(&found), [98, 99, 100]);
}

#[tokio::test(start_paused = true)]
async fn spoilt_dialogues_neither_break_nor_hang_the_session_nor_make_mails_up() {
    let mut dice = Dice(0x5eed_1ab5);
    for case in 0..CASES {
        let mut said = dialogue();
        spoil(&mut said, &mut dice);
        let (result, found) = run(&said, case % 2 == 0).await;
        for message in &found {
            let raw = message.raw.as_slice();
            assert!(
                raw.is_empty() || said.windows(raw.len()).any(|sent| sent == raw),
                "case {case} ({result:?}) made up {:?} of {:?}",
                String::from_utf8_lossy(raw),
                String::from_utf8_lossy(&said)
            );
        }
        if let Err(error) = result {
            assert!(error.to_string().len() < 2_000, "case {case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn garbage_ends_the_session_with_an_error() {
    let mut dice = Dice(0xbad_5eed);
    for case in 0..200 {
        let garbage: Vec<u8> = (0..dice.roll(20_000))
            .map(|_| u8::try_from(dice.roll(256)).expect("an octet"))
            .collect();
        let (result, found) = run(&garbage, case % 2 == 0).await;
        result.expect_err("garbage is no dialogue");
        assert!(found.is_empty());
    }
}
