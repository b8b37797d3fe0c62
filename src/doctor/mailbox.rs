//! One account's links, in the order in which a watch comes by them, each by the code that a watch uses.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout};

use super::certificate::Leaf;
use super::check::{Check, Link, Trouble, Verdict, counted, took};
use super::test_mail;
use crate::account::Account;
use crate::imap::connect::{Secured, leaf};
use crate::imap::error::{Error, ServerText};
use crate::imap::session::Session;
use crate::imap::{Credentials, Tls};
use crate::keychain::Keychain;

/// How long one account may take, whatever its server does.
const ALL: Duration = Duration::from_secs(50);

/// A test mail is not begun later than this: what is put into a mailbox has to be taken out again in time.
const LATEST: Duration = Duration::from_secs(25);

/// How far the server's clock and ours may differ: a mail's Date may be as far ahead (see the ledger).
const CLOCKS: SignedDuration = SignedDuration::from_mins(10);

/// The links, in their order where TLS begins at once.
pub const LINKS: [Link; 11] = [
    Link::Name,
    Link::Tcp,
    Link::Tls,
    Link::Greeting,
    Link::Capabilities,
    Link::Login,
    Link::Folders,
    Link::Junk,
    Link::Idle,
    Link::TestMail,
    Link::Clock,
];

/// Walks from the host's name to its clock, as far as it gets.
pub async fn walk(account: &Account, keychain: &Keychain, sends_test: bool) -> Vec<Check> {
    let mut walk = Walk {
        account,
        keychain,
        sends_test,
        begin: Instant::now(),
        at: Link::Name,
        checks: Vec::new(),
    };
    let broken = match timeout(ALL, walk.go()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(walk.failed(&error)),
        Err(_) => Some(walk.too_slow()),
    };
    let mut checks = walk.checks;
    // A certificate that is refused has been described already.
    checks.extend(broken.filter(|broken| checks.iter().all(|check| check.link != broken.link)));
    let mut links = LINKS;
    if account.endpoint.tls == Tls::StartTls {
        // The greeting comes before TLS.
        links.swap(2, 3);
    }
    for link in links {
        if !checks.iter().any(|check| check.link == link) {
            checks.push(Check::not_tried(link));
        }
    }
    for check in &mut checks {
        check.account = Some(account.address.clone());
    }
    checks
}

struct Walk<'a> {
    account: &'a Account,
    keychain: &'a Keychain,
    sends_test: bool,
    begin: Instant,
    /// The link that is being tried.
    at: Link,
    checks: Vec<Check>,
}

impl Walk<'_> {
    async fn go(&mut self) -> Result<(), Error> {
        let mut session = self.connect().await?;
        self.at = Link::Capabilities;
        self.capabilities(&mut session).await?;
        self.at = Link::Login;
        let credentials = self.login(&mut session).await?;
        self.at = Link::Folders;
        self.folders(&mut session).await?;
        self.at = Link::Junk;
        self.junk(&mut session).await?;
        self.at = Link::Idle;
        let idles = self.idle(&mut session).await?;
        self.at = Link::TestMail;
        let arrival = self.test_mail(&mut session, &credentials, idles).await?;
        self.at = Link::Clock;
        self.clock(&mut session, arrival).await?;
        session.logout(None).await;
        Ok(())
    }

    fn failed(&self, error: &Error) -> Check {
        let check = Check::of_mailbox(self.at, error);
        match self.at {
            Link::TestMail => check.advise(self.left()),
            _ => check,
        }
    }

    fn too_slow(&self) -> Check {
        let limit = ALL.as_secs();
        let sentence = match self.at {
            Link::TestMail => format!(
                "the server is too slow: {limit} s were not enough. {}",
                self.left()
            ),
            Link::Login => format!(
                "it did not come to its end within {limit} s. Run the password command by hand, if there is one, to see \
                 whether it hangs"
            ),
            _ => format!(
                "the server is too slow: {limit} s were not enough to come to the end of this"
            ),
        };
        Check::broken(self.at, Trouble::Mailbox, &sentence)
    }

    /// What to do where a test mail could not be followed to its end.
    fn left(&self) -> String {
        format!(
            "Look whether a mail with the subject \"{}\" is left in {:?}, and delete it. Then try again",
            test_mail::SUBJECT,
            self.account.folder
        )
    }

    /// The steps that [`connect`](crate::imap::Endpoint::connect) is made of.
    async fn connect(&mut self) -> Result<Session<Secured>, Error> {
        let endpoint = &self.account.endpoint;
        let begin = Instant::now();
        let addresses = endpoint.resolve().await?;
        let ips: Vec<_> = addresses
            .iter()
            .map(|address| address.ip().to_string())
            .collect();
        let measured = format!(
            "{} is {} ({})",
            endpoint.host,
            ips.join(", "),
            took(begin.elapsed())
        );
        self.checks
            .push(Check::sound(Link::Name, measured).with("addresses", ips));

        self.at = Link::Tcp;
        let begin = Instant::now();
        let tcp = endpoint.dial(&addresses).await?;
        let peer = tcp.peer_addr().map(|peer| peer.to_string());
        let peer = peer.unwrap_or_else(|_| format!("port {}", endpoint.port));
        let measured = format!("{peer} accepts ({})", took(begin.elapsed()));
        self.checks
            .push(Check::sound(Link::Tcp, measured).with("address", peer));

        if endpoint.tls == Tls::StartTls {
            self.at = Link::Greeting;
        }
        let tcp = endpoint.start_tls(tcp).await?;
        if endpoint.tls == Tls::StartTls {
            let measured =
                "it greets, and begins TLS when asked. What it said before TLS is not kept";
            self.checks.push(Check::sound(Link::Greeting, measured));
        }

        self.at = Link::Tls;
        let begin = Instant::now();
        let secured = match endpoint.secure(tcp).await {
            Ok(secured) => secured,
            Err(error) => return Err(self.untrusted(error).await),
        };
        self.trusted(&secured, begin.elapsed()).await;

        self.at = Link::Greeting;
        let session = endpoint.greet(secured).await?;
        if endpoint.tls == Tls::Implicit {
            let said = session.heard().map(|heard| heard.line).unwrap_or_default();
            self.checks
                .push(Check::sound(Link::Greeting, format!("it says {said}")));
        }
        Ok(session)
    }

    async fn trusted(&mut self, secured: &Secured, time: Duration) {
        let now = Timestamp::now();
        let version = match self.account.endpoint.speaks_tls_1_3().await {
            Ok(true) => "TLS 1.3",
            Ok(false) => "TLS 1.2",
            Err(_) => "TLS 1.2 or 1.3",
        };
        let leaf = leaf(secured).and_then(|der| Leaf::of(&der));
        let words = leaf.as_ref().map_or_else(
            || "a certificate that only the TLS library can read".to_owned(),
            |leaf| leaf.words(now),
        );
        let measured = format!("accepted: {version}, {words} ({})", took(time));
        let mut check = Check::sound(Link::Tls, measured).with("version", version);
        if let Some(leaf) = leaf {
            check = described(check, &leaf, now);
            if leaf.ends_soon(now) {
                check =
                    check.advise("Tell the server's administrator that its certificate ends soon");
            }
        }
        self.checks.push(check);
    }

    /// What the refused certificate says goes into the check, which stands for the error from now on.
    async fn untrusted(&mut self, error: Error) -> Error {
        if !matches!(error, Error::Tls { .. }) {
            return error;
        }
        let shown = self.account.endpoint.untrusted_certificate().await;
        if let Some(leaf) = shown.and_then(|der| Leaf::of(&der)) {
            let now = Timestamp::now();
            let mut check = described(Check::of_mailbox(Link::Tls, &error), &leaf, now);
            check.measured = format!("{}. It shows {}", check.measured, leaf.words(now));
            self.checks.push(check);
        }
        error
    }

    async fn capabilities(&mut self, session: &mut Session<Secured>) -> Result<(), Error> {
        let is_imap = session.offers("IMAP4rev1").await? || session.offers("IMAP4rev2").await?;
        let check = if is_imap {
            let offered = session.offered().collect::<Vec<_>>().join(" ");
            let offered = ServerText::new(&offered).to_string();
            Check::sound(Link::Capabilities, format!("before the login: {offered}"))
        } else {
            let sentence = "it does not list IMAP4rev1 or IMAP4rev2 among what it offers. Check `host`: it may be no \
                            IMAP server";
            Check::broken(Link::Capabilities, Trouble::Mailbox, sentence)
        };
        self.checks.push(check);
        Ok(())
    }

    async fn login(&mut self, session: &mut Session<Secured>) -> Result<Credentials, Error> {
        let credentials = self.account.credentials(self.keychain).await?;
        let begin = Instant::now();
        session.login(&credentials).await?;
        let method = session.logged_in_by().unwrap_or("an unknown command");
        let measured = format!("let in by {method} ({})", took(begin.elapsed()));
        self.checks
            .push(Check::sound(Link::Login, measured).with("method", method));
        Ok(credentials)
    }

    /// The watched one last: it stays open.
    async fn folders(&mut self, session: &mut Session<Secured>) -> Result<(), Error> {
        let watched = &self.account.folder;
        let mut opened = Vec::new();
        for folder in self.account.other_folders.iter().chain([watched]) {
            let mails = session.examine(folder).await?.exists;
            opened.push(format!("{folder:?} ({})", counted(mails as usize, "mail")));
        }
        opened.rotate_right(1);
        let measured = format!("opened {}", opened.join(", "));
        self.checks
            .push(Check::sound(Link::Folders, measured).with("folders", opened));
        Ok(())
    }

    async fn junk(&mut self, session: &mut Session<Secured>) -> Result<(), Error> {
        let check = if self.account.sweep_junk {
            match session.junk_folder().await? {
                Some(folder) => {
                    let measured = format!("{folder:?} is searched while somebody waits");
                    Check::sound(Link::Junk, measured).with("folder", folder)
                }
                None => Check::not_asked(
                    Link::Junk,
                    "no folder says that it is for junk (RFC 6154) or is called so",
                ),
            }
        } else {
            Check::not_asked(Link::Junk, "not searched: `sweep_junk = false`")
        };
        self.checks.push(check);
        Ok(())
    }

    /// Gives whether the server idles.
    async fn idle(&mut self, session: &mut Session<Secured>) -> Result<bool, Error> {
        let polled = "polled instead, every 5 s while somebody waits";
        let check = if !self.account.idle {
            Check::not_asked(Link::Idle, format!("`idle = false`: {polled}"))
        } else if !session.offers("IDLE").await? {
            Check::not_asked(
                Link::Idle,
                format!("the server does not offer it: {polled}"),
            )
        } else {
            let begin = Instant::now();
            match session.idle().await? {
                None => Check::not_asked(Link::Idle, format!("the server refuses it: {polled}")),
                Some(idling) => {
                    let time = took(begin.elapsed());
                    session.end(Some(idling)).await?;
                    Check::sound(Link::Idle, format!("begun in {time}, and ended"))
                }
            }
        };
        let idles = check.verdict == Verdict::Sound;
        self.checks.push(check);
        Ok(idles)
    }

    /// Gives when the test mail arrived by the server's clock, and by ours.
    async fn test_mail(
        &mut self,
        session: &mut Session<Secured>,
        credentials: &Credentials,
        idles: bool,
    ) -> Result<Option<[Timestamp; 2]>, Error> {
        let check = if !self.sends_test {
            let measured =
                "not sent; --send-test proves by a mail to yourself that new mail is announced";
            Check::not_asked(Link::TestMail, measured)
        } else if !idles {
            Check::not_asked(Link::TestMail, "not sent: the server announces nothing")
        } else if self.begin.elapsed() > LATEST {
            let sentence =
                "not sent: the server is too slow to take it out again in time. Try again later";
            Check::broken(Link::TestMail, Trouble::Mailbox, sentence)
        } else {
            let proved = test_mail::prove(self.account, session, credentials).await?;
            self.checks.push(proved.check);
            return Ok(proved.arrival);
        };
        self.checks.push(check);
        Ok(None)
    }

    async fn clock(
        &mut self,
        session: &mut Session<Secured>,
        arrival: Option<[Timestamp; 2]>,
    ) -> Result<(), Error> {
        let check = if let Some([theirs, ours]) = arrival {
            // The server tells whole seconds.
            let seconds = theirs.duration_since(ours).as_secs();
            let measured = match seconds {
                0 => "the server's and ours agree to the second, by the test mail's arrival"
                    .to_owned(),
                _ => format!("the server's is {seconds:+} s from ours, by the test mail's arrival"),
            };
            if theirs.duration_since(ours).abs() > CLOCKS {
                Check::broken(Link::Clock, Trouble::Pending, &measured)
            } else {
                Check::sound(Link::Clock, measured)
            }
            .with("seconds", seconds)
        } else {
            last_mail(session.arrival("*").await?)
        };
        self.checks.push(check);
        Ok(())
    }
}

/// Without a test mail: the last mail cannot have arrived in the future. A clock that goes ahead is not seen by this.
fn last_mail(arrived: Option<Timestamp>) -> Check {
    let now = Timestamp::now();
    let Some(arrived) = arrived else {
        let measured = "not compared: no mail tells when it arrived. --send-test measures it";
        return Check::not_asked(Link::Clock, measured);
    };
    let age = now.duration_since(arrived);
    if age < -CLOCKS {
        let sentence = format!(
            "the last mail arrived {} min ahead of our clock, by the server's. Set this machine's clock, for example by \
             NTP",
            -age.as_mins()
        );
        return Check::broken(Link::Clock, Trouble::Pending, &sentence);
    }
    let measured = format!(
        "not behind the server's: the last mail arrived {} min ago by ours. --send-test measures it",
        age.as_mins().max(0)
    );
    Check::sound(Link::Clock, measured)
}

fn described(check: Check, leaf: &Leaf, now: Timestamp) -> Check {
    check
        .with("names", leaf.names.clone())
        .with("issuer", leaf.issuer.clone())
        .with("not_after", leaf.until.to_string())
        .with("days_left", leaf.days_left(now))
}
