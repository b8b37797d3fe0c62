//! What a watch does next, decided from what happened and what time it is. No I/O and no clock of its own.

use std::collections::VecDeque;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Temper;
use crate::imap::error::Class;

/// How often to search while IDLE says nothing and somebody waits. Some servers announce late or never (Exchange
/// shows mails later than it announces them); below 15 s servers begin to complain.
const SEARCH_ATTENDED: Duration = Duration::from_secs(20);

/// The same while nobody waits, whatever the server says meanwhile. NATs forget a silent connection after 5 to 15
/// minutes, AOL after 5; RFC 2177's ceiling of 29 minutes lies far above.
const SEARCH: Duration = Duration::from_mins(5);

/// How often a server without IDLE is asked while somebody waits. It costs one short command on an open connection.
const POLL_ATTENDED: Duration = Duration::from_secs(5);

/// The same while nobody waits.
const POLL: Duration = Duration::from_secs(30);

/// How often the folder is opened anew when it is searched without an announcement: one that was deleted and made
/// again keeps an open session silent for ever, and only opening it shows the new UIDVALIDITY (seen at Dovecot). A
/// little less than [`SEARCH`], so that the first search opens it too: that is due five minutes after the login, and
/// the folder was opened later.
const REOPEN: Duration = Duration::from_secs(4 * 60 + 30);

/// The same where the server said NO or BAD without being asked, as it does to a session whose folder is gone.
const REOPEN_DOUBTED: Duration = Duration::from_secs(20);

/// When to look again for a mail that was announced and is not there yet (seen at Exchange).
const LATE: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// How often the other folders are searched.
const SWEEP: Duration = Duration::from_secs(30);

/// How long somebody has to wait before junk is searched for the first time: most mails come to the inbox within
/// this, and opening another folder costs round trips.
const JUNK: Duration = Duration::from_secs(10);

/// Pause before a folder that could not be searched is tried again.
const SWEEP_AGAIN: Duration = Duration::from_mins(10);

/// After so many searches of another folder that ended the connection, the first folder is watched before it is
/// tried again.
const BROKEN: u32 = 2;

/// How often the clocks are compared, to see that the machine slept.
const TICK: Duration = Duration::from_secs(30);

/// How far the wall clock may run ahead of the one that stands still in a suspended machine. After half a minute
/// of sleep a router or server may have forgotten the connection, and a new one costs less than to find out.
const SUSPENDED: SignedDuration = SignedDuration::from_secs(30);

/// First pause between attempts to connect.
const PAUSE: Duration = Duration::from_secs(1);

/// Longest pause while somebody waits.
const PAUSE_ATTENDED: Duration = Duration::from_secs(30);

/// Longest pause while nobody waits.
const PAUSE_LONGEST: Duration = Duration::from_mins(5);

/// How long a connection must have waited in peace for its end to be a new failure: a server that hangs up after
/// each announcement is not to be called every second.
const LIVED: Duration = Duration::from_secs(15);

/// Pause before a doubtful login refusal is put to the test by a second login.
const SECOND_LOGIN: Duration = Duration::from_secs(2);

/// How often a resident watch tries a password that was refused for good: an administrator may have unlocked the
/// account.
const REFUSED: Duration = Duration::from_hours(1);

/// How often it asks where the password comes from whether there is another by now.
pub(super) const ASK: Duration = Duration::from_mins(5);

/// The time in which at most so many logins are accepted or refused: providers lock accounts that log in more often.
const RATE: Duration = Duration::from_mins(2);

/// Most logins within that time.
const ACCEPTED: usize = 10;

/// Most refused logins within that time.
const REFUSALS: usize = 2;

/// After so many mails in a row that only a search found, the server's announcements are not relied on. One or two
/// may have been on their way.
const UNANNOUNCED: u32 = 3;

/// After so many announcements in a row that brought nothing, the next ones wait for the time to look again: a server
/// could keep us busy for ever.
const FRUITLESS: u32 = 5;

/// After so many connections in a row that ended soon after IDLE began, the server is polled.
const SHORT_IDLES: u32 = 2;

/// How long a server whose IDLE does not work is polled before it is tried again.
const DISTRUST: Duration = Duration::from_hours(1);

/// How often a mail that the server names and does not give is asked for before it is passed over.
const ABSENT: u32 = 6;

/// Two clocks: one that stands still while the machine sleeps, and one that does not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) ticking: Instant,
    pub(super) wall: Timestamp,
}

/// What to do on an open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait for the server.
    Wait {
        /// By IDLE; else without a word.
        idle: bool,
        /// Until then at most.
        until: Instant,
    },
    /// Search the first folder.
    Search {
        /// Open it anew before.
        reopen: bool,
    },
    /// Search the other folder with this number.
    Sweep(usize),
    /// Search the junk folder.
    SweepJunk,
    /// Connect anew: the machine slept.
    Leave,
}

/// What to do after a connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Connect again at this time.
    Again(Instant),
    /// The login was refused for good. Log in again at this time, or when the password is another.
    Refused(Instant),
    /// Stop.
    End,
}

/// What a search of the first folder came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Searched {
    /// There were new mails.
    pub(super) is_new: bool,
    /// The lowest UID of a mail that the server named and did not give.
    pub(super) absent: Option<u32>,
}

/// Whether the server's announcements (IDLE) are relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announcements {
    /// The configuration says no.
    Unwanted,
    /// Yes.
    Heard,
    /// Not until then.
    Distrusted(Instant),
}

/// What decides what a watch does next.
#[derive(Debug)]
pub(super) struct Plan {
    temper: Temper,
    /// Somebody waits.
    is_attended: bool,
    /// The configuration lets us look into junk.
    may_sweep_junk: bool,
    /// For each other folder: how often in a row a search of it did not come to an end.
    broken_sweeps: Vec<u32>,
    announcements: Announcements,
    /// Mails in a row that the server did not announce.
    unannounced: u32,
    /// Connections in a row that ended soon after IDLE began.
    short_idles: u32,
    /// Times of the last logins.
    accepted: VecDeque<Instant>,
    refused: VecDeque<Instant>,
    /// A login was refused without a clear word. Stays said through other trouble, else a server that alternates is
    /// asked with a wrong password for ever.
    is_doubted: bool,
    pauses: ExponentialBackoff,
    on: Option<On>,
}

/// What is known while a connection lasts.
#[derive(Debug)]
struct On {
    clocks: Now,
    /// When everything was searched and the first wait began.
    armed_at: Option<Instant>,
    opened_at: Instant,
    /// The server complained since.
    is_doubted: bool,
    search_at: Instant,
    announced: bool,
    ordered: bool,
    late: Option<usize>,
    /// Announcements in a row that brought nothing.
    fruitless: u32,
    /// The lowest mail that the server names and does not give, and how often it was asked for.
    absent: Option<(u32, u32)>,
    sweeps: Vec<Instant>,
    junk_at: Option<Instant>,
}

impl Plan {
    pub(super) fn new(temper: Temper, may_idle: bool, others: usize, may_sweep_junk: bool) -> Self {
        Self {
            temper,
            is_attended: temper == Temper::Waiting,
            may_sweep_junk,
            broken_sweeps: vec![0; others],
            announcements: if may_idle {
                Announcements::Heard
            } else {
                Announcements::Unwanted
            },
            unannounced: 0,
            short_idles: 0,
            accepted: VecDeque::new(),
            refused: VecDeque::new(),
            is_doubted: false,
            pauses: pauses(),
            on: None,
        }
    }

    /// The server let us in.
    pub(super) fn logged_in(&mut self, now: Now) {
        let at = now.ticking;
        remember(&mut self.accepted, at, ACCEPTED);
        self.refused.clear();
        self.is_doubted = false;
        self.on = Some(On {
            clocks: now,
            armed_at: None,
            opened_at: at,
            is_doubted: false,
            search_at: at + self.period(at),
            announced: false,
            ordered: false,
            late: None,
            fruitless: 0,
            absent: None,
            // Searched before anything is said to be watched; but one that broke the connection again and again does
            // not keep the others from being watched.
            sweeps: self
                .broken_sweeps
                .iter()
                .map(|&broken| {
                    if broken < BROKEN {
                        at
                    } else {
                        at + SWEEP_AGAIN
                    }
                })
                .collect(),
            junk_at: None,
        });
        self.plan_junk(at);
    }

    /// What to do now, on an open connection.
    pub(super) fn next(&mut self, now: Now) -> Next {
        let at = now.ticking;
        let idle = self.idles(at);
        let Some(on) = &mut self.on else {
            return Next::Leave;
        };
        let slept = now.wall.duration_since(on.clocks.wall)
            - SignedDuration::try_from(at - on.clocks.ticking).unwrap_or(SignedDuration::MAX);
        on.clocks = now;
        if slept > SUSPENDED {
            return Next::Leave;
        }
        let is_heard = on.announced && on.fruitless < FRUITLESS;
        if is_heard || on.ordered || at >= on.search_at {
            let open_for = at - on.opened_at;
            // A session to which mail is announced is not silent, and the mail is not to wait.
            let is_old = open_for >= REOPEN && !is_heard;
            let reopen = is_old || (on.is_doubted && open_for >= REOPEN_DOUBTED);
            return Next::Search { reopen };
        }
        if let Some(other) = on.sweeps.iter().position(|&due| at >= due) {
            return Next::Sweep(other);
        }
        if on.junk_at.is_some_and(|due| at >= due) {
            return Next::SweepJunk;
        }
        on.armed_at.get_or_insert(at);
        let due = on.sweeps.iter().copied().chain(on.junk_at);
        let until = due.fold(on.search_at, Instant::min).min(tick(now));
        Next::Wait { idle, until }
    }

    /// When the folder is searched next, unless the server says something first.
    pub(super) fn search_at(&self) -> Option<Instant> {
        self.on.as_ref().map(|on| on.search_at)
    }

    /// The server announced mail.
    pub(super) fn announced(&mut self) {
        if let Some(on) = &mut self.on {
            on.announced = true;
        }
    }

    /// The first folder was opened.
    pub(super) fn opened(&mut self, at: Instant) {
        if let Some(on) = &mut self.on {
            on.opened_at = at;
            on.is_doubted = false;
        }
    }

    /// The server complained without being asked.
    pub(super) fn doubt(&mut self) {
        if let Some(on) = &mut self.on
            && !on.is_doubted
        {
            on.is_doubted = true;
            on.search_at = on.search_at.min(on.opened_at + REOPEN_DOUBTED);
        }
    }

    /// Somebody wants a search now.
    pub(super) fn order_search(&mut self) {
        if let Some(on) = &mut self.on {
            on.ordered = true;
        }
    }

    /// Whether somebody waits.
    pub(super) fn attend(&mut self, is_attended: bool, at: Instant) {
        if self.temper == Temper::Waiting || self.is_attended == is_attended {
            return;
        }
        self.is_attended = is_attended;
        let period = self.period(at);
        if let Some(on) = &mut self.on {
            on.search_at = on.search_at.min(at + period);
            on.junk_at = None;
        }
        self.plan_junk(at);
    }

    /// The first folder was searched. Says whether a mail that was announced is still not found although it was
    /// looked for again and again: its UID may lie below what the server said.
    pub(super) fn searched(&mut self, searched: Searched, at: Instant) -> bool {
        let idle = self.idles(at);
        let period = self.period(at);
        let Some(on) = &mut self.on else { return false };
        let was_announced = std::mem::take(&mut on.announced);
        let was_ordered = std::mem::take(&mut on.ordered);
        if searched.is_new && was_announced {
            self.unannounced = 0;
        } else if searched.is_new
            && idle
            && on.armed_at.is_some()
            && !was_ordered
            && on.late.is_none()
        {
            self.unannounced += 1;
        }
        on.fruitless = if searched.is_new {
            0
        } else {
            on.fruitless.saturating_add(u32::from(was_announced))
        };
        let misses = (was_announced && !searched.is_new) || searched.absent.is_some();
        on.late = match on.late {
            _ if was_announced && misses => Some(0),
            None if misses => Some(0),
            _ if searched.is_new && !misses => None,
            late => late.map(|late| late + 1),
        };
        let soon = on.late.and_then(|late| LATE.get(late)).copied();
        let is_lost = on.late.is_some() && soon.is_none() && searched.absent.is_none();
        if soon.is_none() {
            on.late = None;
        }
        on.search_at = at + soon.unwrap_or(period).min(period);
        on.absent = searched.absent.map(|uid| match on.absent {
            Some((known, times)) if known == uid => (uid, times + 1),
            _ => (uid, 1),
        });
        if self.unannounced >= UNANNOUNCED {
            self.distrust(at);
        }
        is_lost
    }

    /// Whether the mail that the server names and does not give was asked for often enough.
    pub(super) fn gives_up_absent(&self) -> bool {
        let on = self.on.as_ref();
        on.and_then(|on| on.absent)
            .is_some_and(|(_, times)| times >= ABSENT)
    }

    /// Another folder is about to be searched.
    pub(super) fn sweeping(&mut self, other: usize) {
        if let Some(broken) = self.broken_sweeps.get_mut(other) {
            *broken = broken.saturating_add(1);
        }
    }

    /// Another folder was searched, or could not be.
    pub(super) fn swept(&mut self, other: usize, well: bool, at: Instant) {
        if let Some(broken) = self.broken_sweeps.get_mut(other) {
            *broken = 0;
        }
        if let Some(due) = self.on.as_mut().and_then(|on| on.sweeps.get_mut(other)) {
            *due = at + if well { SWEEP } else { SWEEP_AGAIN };
        }
    }

    /// The junk folder was searched, or could not be.
    pub(super) fn swept_junk(&mut self, well: bool, at: Instant) {
        if let Some(on) = &mut self.on {
            on.junk_at = Some(at + if well { SWEEP } else { SWEEP_AGAIN });
        }
    }

    /// The server does not idle, or not well: it is polled for a while.
    pub(super) fn distrust(&mut self, at: Instant) {
        self.unannounced = 0;
        self.short_idles = 0;
        if self.announcements != Announcements::Unwanted {
            self.announcements = Announcements::Distrusted(at + DISTRUST);
        }
        let period = self.period(at);
        if let Some(on) = &mut self.on {
            on.search_at = on.search_at.min(at + period);
        }
    }

    /// The connection, or the attempt at one, ended so.
    pub(super) fn failed(&mut self, class: Class, at: Instant) -> After {
        let armed_at = self.on.take().and_then(|on| on.armed_at);
        if armed_at.is_some_and(|armed| at - armed >= LIVED) {
            self.short_idles = 0;
            self.pauses = pauses();
        } else if armed_at.is_some() && self.idles(at) {
            self.short_idles += 1;
            if self.short_idles >= SHORT_IDLES {
                self.distrust(at);
            }
        }
        let is_refusal = matches!(class, Class::Doubtful | Class::Login);
        if is_refusal {
            remember(&mut self.refused, at, REFUSALS);
        }
        let is_final = class == Class::Login || (class == Class::Doubtful && self.is_doubted);
        self.is_doubted |= is_refusal;
        match (self.temper, class) {
            (Temper::Waiting, Class::Keychain) => After::End,
            (Temper::Waiting, _) if is_final => After::End,
            (Temper::Resident, _) if is_final => After::Refused(at + REFUSED),
            (_, Class::Doubtful) => After::Again(self.earliest(at + SECOND_LOGIN)),
            _ => {
                let longest = if self.is_attended {
                    PAUSE_ATTENDED
                } else {
                    PAUSE_LONGEST
                };
                let pause = self.pauses.next().unwrap_or(PAUSE_LONGEST).min(longest);
                After::Again(self.earliest(at + pause))
            }
        }
    }

    /// The connection ended with its access token, after it was watched on: that is no failure. When to log in again;
    /// `None` where it was not watched on yet.
    pub(super) fn lapsed(&mut self, at: Instant) -> Option<Instant> {
        let armed_at = self.on.as_ref().and_then(|on| on.armed_at)?;
        self.on = None;
        if at - armed_at >= LIVED {
            self.short_idles = 0;
            self.pauses = pauses();
        }
        Some(self.earliest(at))
    }

    /// There is another password: what was said of the old one does not count.
    pub(super) fn forget_refusals(&mut self) {
        self.refused.clear();
        self.is_doubted = false;
    }

    /// The first time from `wanted` on at which a login does not come too soon after the last ones.
    pub(super) fn earliest(&self, wanted: Instant) -> Instant {
        let full = |times: &VecDeque<Instant>, most: usize| {
            let oldest = times.front().filter(|_| times.len() >= most);
            oldest.map(|&oldest| oldest + RATE)
        };
        let free = full(&self.accepted, ACCEPTED).max(full(&self.refused, REFUSALS));
        free.map_or(wanted, |free| free.max(wanted))
    }

    /// Whether mail is waited for by IDLE, where the server offers it.
    fn idles(&self, at: Instant) -> bool {
        match self.announcements {
            Announcements::Unwanted => false,
            Announcements::Heard => true,
            Announcements::Distrusted(until) => at >= until,
        }
    }

    fn period(&self, at: Instant) -> Duration {
        match (self.idles(at), self.is_attended) {
            (true, true) => SEARCH_ATTENDED,
            (true, false) => SEARCH,
            (false, true) => POLL_ATTENDED,
            (false, false) => POLL,
        }
    }

    fn plan_junk(&mut self, at: Instant) {
        if let Some(on) = &mut self.on
            && self.is_attended
            && self.may_sweep_junk
        {
            on.junk_at = Some(at + JUNK);
        }
    }
}

/// When the clocks are compared next: at the same instants for all accounts, so that thousands wake the process once.
fn tick(now: Now) -> Instant {
    let period = i64::try_from(TICK.as_millis()).unwrap_or(i64::MAX);
    let into = now.wall.as_millisecond().rem_euclid(period);
    now.ticking + TICK.saturating_sub(Duration::from_millis(into.unsigned_abs()))
}

/// Keeps the last `most` times.
fn remember(times: &mut VecDeque<Instant>, at: Instant, most: usize) {
    times.push_back(at);
    while times.len() > most {
        times.pop_front();
    }
}

/// Growing pauses with jitter, so that many clients of a server that comes back do not come at once.
fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(PAUSE)
        .with_max_delay(PAUSE_LONGEST)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use tokio::time::Instant;

    use super::{Next, Now, Plan, REOPEN_DOUBTED, SEARCH, TICK, Temper, tick};

    fn later(than: Now, by: Duration) -> Now {
        Now {
            ticking: than.ticking + by,
            wall: than.wall + by,
        }
    }

    /// A resident watch that logged in at the given time, and opened its folder so much later.
    fn watching(login: Now, opens_in: Duration) -> Plan {
        let mut plan = Plan::new(Temper::Resident, true, 0, false);
        plan.logged_in(login);
        plan.opened(login.ticking + opens_in);
        plan
    }

    #[test]
    fn only_a_search_without_an_announcement_opens_the_folder_anew() {
        let login = Now {
            ticking: Instant::now(),
            wall: Timestamp::UNIX_EPOCH,
        };
        let later = |by| later(login, by);
        let mut quiet = watching(login, Duration::from_secs(2));
        assert_eq!(quiet.next(later(SEARCH)), Next::Search { reopen: true });
        let mut heard = watching(login, Duration::ZERO);
        heard.announced();
        let next = heard.next(later(SEARCH + TICK));
        assert_eq!(next, Next::Search { reopen: false });
        // Unless the server complained: it may be of the folder that the session had.
        let mut doubted = watching(login, Duration::ZERO);
        doubted.doubt();
        doubted.announced();
        let next = doubted.next(later(REOPEN_DOUBTED));
        assert_eq!(next, Next::Search { reopen: true });
    }

    #[test]
    fn all_accounts_compare_their_clocks_at_the_same_instants() {
        let first = Now {
            ticking: Instant::now(),
            wall: Timestamp::from_millisecond(1_795_000_012_345).expect("a time"),
        };
        let later = |by| later(first, by);
        let next = tick(first);
        assert!(next > first.ticking && next <= first.ticking + TICK);
        for by in [1, 777, 7_000].map(Duration::from_millis) {
            assert_eq!(tick(later(by)), next);
        }
        let after = later(next - first.ticking);
        assert_eq!(tick(after), next + TICK);
    }
}
