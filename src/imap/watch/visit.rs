//! What a watch does on one connection.

use std::future::Future;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::mailbox::{AccountMailbox, Mailbox};
use super::places::{Gap, Place, Position};
use super::plan::{Next, Searched};
use super::{Event, Look, Stopped, Watch};
use crate::account::Account;
use crate::imap::condition::{Action, State};
use crate::imap::error::Error;
use crate::imap::fetch::{Found, Message};
use crate::imap::guard::Violation;
use crate::imap::idle::Idling;
use crate::imap::session::{Session, Wire};
use crate::keychain::Keychain;
use crate::ledger::Origin;
use crate::news::Whence;

/// The number of the first folder, which is idled in.
const FIRST: usize = 0;

/// Why a connection is left that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nobody listens any more.
    Stopped,
    /// The machine slept, and the connection is probably dead.
    Slept,
}

/// Why a visit comes to its end.
enum End {
    Ended(Ended),
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Stopped> for End {
    fn from(_: Stopped) -> Self {
        Self::Ended(Ended::Stopped)
    }
}

impl<M: Mailbox> Watch<M> {
    /// Connects, and watches until the connection fails or is to be left.
    pub(super) async fn visit(&mut self) -> Result<Ended, Error> {
        let mut session = tokio::select! {
            session = Box::pin(self.mailbox.log_in()) => session?,
            () = self.events.closed() => return Ok(Ended::Stopped),
        };
        session.may_search = self.may_search;
        let now = self.now();
        self.plan.logged_in(now);
        let mut idling = None;
        let end = match self.attend(&mut session, &mut idling).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        self.show_heard(session.heard());
        let (commands, octets) = session.traffic();
        tracing::debug!(commands, octets, "connection ends");
        match end {
            End::Failed(error) => {
                self.may_search &= !matches!(error, Error::Guard(Violation::LineTooLong(_)));
                Err(error)
            }
            End::Ended(ended) => {
                if ended == Ended::Stopped {
                    Box::pin(session.logout(idling)).await;
                }
                Ok(ended)
            }
        }
    }

    async fn attend<S: Wire>(
        &mut self,
        session: &mut Session<S>,
        idling: &mut Option<Idling>,
    ) -> Result<std::convert::Infallible, End> {
        self.show(State::Searching, None);
        Box::pin(self.catch_up(session, FIRST)).await?;
        Box::pin(self.serve(session)).await?;
        let mut is_armed = false;
        loop {
            if session.folder.announced {
                self.plan.announced();
            }
            if std::mem::take(&mut session.folder.is_doubted) {
                self.plan.doubt();
            }
            let now = self.now();
            match self.plan.next(now) {
                Next::Leave => return Err(End::Ended(Ended::Slept)),
                Next::Wait { idle, until } => {
                    let begins = idle && idling.is_none();
                    if begins {
                        *idling = Box::pin(self.idle(session)).await?;
                        if idling.is_none() {
                            continue;
                        }
                    }
                    if !is_armed {
                        is_armed = true;
                        self.say(Event::Armed {
                            cursor: self.cursor(),
                            idle,
                        })
                        .await?;
                    }
                    // What was announced before the confirmation is searched for at once.
                    if !(begins && session.folder.announced) {
                        self.wait(session, idling.is_some(), until).await?;
                    }
                }
                Next::Search { reopen: false } => {
                    if idling.is_none() && !session.folder.announced {
                        Box::pin(session.look_around()).await?;
                    }
                    Box::pin(self.search(session, idling.take(), false)).await?;
                    Box::pin(self.serve(session)).await?;
                }
                Next::Search { reopen: true } => {
                    Box::pin(session.end(idling.take())).await?;
                    let has_new = Box::pin(self.catch_up(session, FIRST)).await?;
                    Box::pin(self.search(session, None, has_new)).await?;
                    Box::pin(self.serve(session)).await?;
                }
                Next::Sweep(other) => {
                    Box::pin(session.end(idling.take())).await?;
                    Box::pin(self.sweep(session, other)).await?;
                }
                Next::SweepJunk => {
                    Box::pin(session.end(idling.take())).await?;
                    Box::pin(self.sweep_junk(session)).await?;
                }
            }
        }
    }

    /// Waits for the server, for an order, or for the time.
    async fn wait<S: Wire>(
        &mut self,
        session: &mut Session<S>,
        idles: bool,
        until: Instant,
    ) -> Result<(), End> {
        let state = if idles { State::Idling } else { State::Polling };
        let search_at = self.plan.search_at().unwrap_or(until);
        self.show(state, Some((Action::Search, search_at)));
        self.show_heard(session.heard());
        tokio::select! {
            announced = announced(session, idles, until) => if announced? {
                self.plan.announced();
            },
            order = self.orders.recv() => if let Some(order) = order {
                self.obey(order);
            },
            () = self.events.closed() => return Err(Stopped.into()),
        }
        // What else was ordered meanwhile is served with the same search.
        while let Ok(order) = self.orders.try_recv() {
            self.obey(order);
        }
        Ok(())
    }

    /// Idles where the server lets us.
    async fn idle<S: Wire>(&mut self, session: &mut Session<S>) -> Result<Option<Idling>, Error> {
        if !session.offers("IDLE").await? {
            self.plan.distrust(Instant::now());
            return Ok(None);
        }
        let idling = session.idle().await;
        // Refused, unanswered, or answered beside the grammar: polled from now on, on the next connection too.
        if !matches!(
            &idling,
            Ok(Some(_)) | Err(Error::Closed { .. } | Error::Bye(_))
        ) {
            self.plan.distrust(Instant::now());
        }
        idling
    }

    /// Opens a folder and finds what came while nobody watched; says whether anything did.
    async fn catch_up<S: Wire>(
        &mut self,
        session: &mut Session<S>,
        number: usize,
    ) -> Result<bool, End> {
        let triage = triage(&self.account);
        let here = open(session, &self.places[number].folder).await?;
        let now = (self.wall)();
        let gap = self.places[number].gap(here, now);
        let found = match gap {
            Gap::None => Found::default(),
            Gap::From(uid) => session.fetch_new(uid, None, &triage).await?,
            Gap::Back(window) => session.look_back(window, now, &triage).await?,
        };
        let (uid_next, absent) = self.hand_on(session, found, Whence::Watch).await?;
        let place = &mut self.places[number];
        if matches!(gap, Gap::From(_)) {
            // As far as was seen: what the server counted and does not show yet is still to come.
            place.advance(uid_next.unwrap_or(0), now);
        } else {
            let uid_next = absent.map_or(here.uid_next, |absent| absent.min(here.uid_next));
            place.arrive(Position { uid_next, ..here }, now);
        }
        if number == FIRST {
            self.plan.opened(Instant::now());
        }
        let cursor = self.places[number].cursor(&self.account.address, now);
        self.say(Event::Moved(cursor)).await?;
        Ok(uid_next.is_some())
    }

    /// Searches the first folder, which is open, ending `idling` in the same write. `has_new`: opening it again
    /// showed new mail.
    async fn search<S: Wire>(
        &mut self,
        session: &mut Session<S>,
        idling: Option<Idling>,
        has_new: bool,
    ) -> Result<(), End> {
        let triage = triage(&self.account);
        let from = self.places[FIRST].uid_next();
        let found = if session.folder.announced {
            session.fetch_new(from, idling, &triage).await?
        } else if session.has_new(from, idling).await? {
            session.fetch_new(from, None, &triage).await?
        } else {
            Found::default()
        };
        let highest = found.highest;
        let (mut uid_next, mut absent) = self.hand_on(session, found, Whence::Watch).await?;
        let searched = Searched {
            is_new: has_new || uid_next.is_some_and(|next| next > from),
            absent,
        };
        let is_lost = self.plan.searched(searched, Instant::now());
        if absent.is_some() && self.plan.gives_up_absent() {
            tracing::warn!(
                uid = absent,
                "a mail that the server names and does not give is passed over"
            );
            absent = None;
            uid_next = highest.map(|highest| highest.saturating_add(1));
        }
        let now = (self.wall)();
        if is_lost && absent.is_none() {
            tracing::debug!("announced and not found by its number: looking back");
            let window = self.places[FIRST].unsearched(now);
            let found = session.look_back(window, now, &triage).await?;
            self.hand_on(session, found, Whence::Watch).await?;
        }
        let place = &mut self.places[FIRST];
        if place.advance(uid_next.unwrap_or(0), now) {
            let cursor = place.cursor(&self.account.address, now);
            self.say(Event::Moved(cursor)).await?;
        }
        Ok(())
    }

    /// Hands on what was found, fetching the rest of it on the way. Gives the UID up to which everything was handed
    /// on, and the first mail that the server named and did not give, which that UID does not pass.
    async fn hand_on<S: Wire>(
        &mut self,
        session: &mut Session<S>,
        mut found: Found,
        whence: Whence,
    ) -> Result<(Option<u32>, Option<u32>), End> {
        let triage = triage(&self.account);
        loop {
            let mails = std::mem::take(&mut found.messages);
            if !mails.is_empty() {
                self.say(Event::Mail { mails, whence }).await?;
            }
            if found.rest.is_empty() || !session.fetch_more(&mut found, &triage).await? {
                break;
            }
        }
        let absent = found.absent.first().copied();
        let after = found.highest.map(|highest| highest.saturating_add(1));
        Ok((absent.or(after), absent))
    }

    /// Fetches what waits, looks back for those who asked for it, and tells who ordered the search before this that it
    /// is done.
    async fn serve<S: Wire>(&mut self, session: &mut Session<S>) -> Result<(), End> {
        self.fetch_pending(session).await?;
        while let Some(look) = self.looks.pop_front() {
            if let Err(end) = self.look(session, &look).await {
                // Somebody waits for its end; the next connection makes it again.
                self.looks.push_front(look);
                return Err(end);
            }
        }
        self.return_to_first(session).await?;
        while let Some(look) = self.searches.pop() {
            let cursor = self.cursor();
            self.say(Event::Looked { look, cursor }).await?;
        }
        Ok(())
    }

    async fn return_to_first<S: Wire>(&mut self, session: &mut Session<S>) -> Result<(), End> {
        if session.folder.name == self.places[FIRST].folder {
            return Ok(());
        }
        self.catch_up(session, FIRST).await?;
        Ok(())
    }

    /// Fetches the pending mails again, and tells which are gone.
    async fn fetch_pending<S: Wire>(&mut self, session: &mut Session<S>) -> Result<(), End> {
        while let Some(folder) = self.pending.first().map(|origin| origin.folder.clone()) {
            let (here, elsewhere): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending)
                .into_iter()
                .partition(|origin| origin.folder == folder);
            self.pending = elsewhere;
            let fetched = self.fetch_waiting(session, &folder, &here).await;
            if fetched.is_err() {
                self.pending.extend(here);
            }
            fetched?;
        }
        Ok(())
    }

    /// Fetches mails of one folder that wait to be judged or stored.
    async fn fetch_waiting<S: Wire>(
        &mut self,
        session: &mut Session<S>,
        folder: &str,
        origins: &[Origin],
    ) -> Result<(), End> {
        if session.folder.name != folder {
            match open(session, folder).await {
                Ok(_) => {}
                Err(Error::Folder { .. }) => {
                    return Ok(self.say(Event::Gone(origins.to_vec())).await?);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let uid_validity = session.folder.uid_validity;
        let is_here = |origin: &&Origin| origin.uid_validity == uid_validity;
        let mut rest: Vec<_> = origins
            .iter()
            .filter(is_here)
            .map(|origin| origin.uid)
            .collect();
        rest.sort_unstable();
        let mut there = Vec::new();
        while !rest.is_empty() {
            let fetched = session.fetch_some(&mut rest, &|_| true).await?;
            there.extend(fetched.messages.iter().map(|mail| mail.uid));
            // Named and not given: it stays on the list, for the next start.
            there.extend(fetched.absent);
            if !fetched.messages.is_empty() {
                self.say(Event::Mail {
                    mails: fetched.messages,
                    whence: Whence::Waited,
                })
                .await?;
            }
        }
        let gone: Vec<_> = origins
            .iter()
            .filter(|origin| !is_here(origin) || !there.contains(&origin.uid))
            .cloned()
            .collect();
        if !gone.is_empty() {
            self.say(Event::Gone(gone)).await?;
        }
        Ok(())
    }

    /// Looks back once more over all folders, for one who waits.
    async fn look<S: Wire>(&mut self, session: &mut Session<S>, look: &Look) -> Result<(), End> {
        for number in (FIRST + 1)..self.places.len() {
            if let Err(end) = self.look_in(session, look, number).await {
                self.unless_folder(end, number)?;
            }
        }
        // The first at last: what comes to it while the others are searched is found by this look, not by the watch, to
        // which its client does not listen yet.
        self.look_in(session, look, FIRST).await?;
        let look = look.number;
        let cursor = self.cursor();
        Ok(self.say(Event::Looked { look, cursor }).await?)
    }

    async fn look_in<S: Wire>(
        &mut self,
        session: &mut Session<S>,
        look: &Look,
        number: usize,
    ) -> Result<(), End> {
        if session.folder.name != self.places[number].folder {
            // What is new there is new for all who wait.
            self.catch_up(session, number).await?;
        }
        let place = look.start.place(&self.places[number].folder);
        let here = Position {
            uid_validity: session.folder.uid_validity,
            uid_next: self.places[number].uid_next(),
        };
        let now = (self.wall)();
        let triage = triage(&self.account);
        let found = match place.gap(here, now) {
            Gap::None => return Ok(()),
            Gap::From(uid) => session.fetch_new(uid, None, &triage).await?,
            Gap::Back(window) => session.look_back(window, now, &triage).await?,
        };
        self.hand_on(session, found, Whence::Look(look.number))
            .await?;
        Ok(())
    }

    /// Searches another folder, and returns to the first.
    async fn sweep<S: Wire>(&mut self, session: &mut Session<S>, other: usize) -> Result<(), End> {
        let number = FIRST + 1 + other;
        self.plan.sweeping(other);
        let well = match self.catch_up(session, number).await {
            Ok(_) => true,
            Err(end) => {
                self.unless_folder(end, number)?;
                false
            }
        };
        self.plan.swept(other, well, Instant::now());
        self.return_to_first(session).await
    }

    /// Searches the junk folder, where there is one, and returns to the first.
    async fn sweep_junk<S: Wire>(&mut self, session: &mut Session<S>) -> Result<(), End> {
        let mut well = false;
        if let Some(number) = self.junk_folder(session).await? {
            match self.catch_up(session, number).await {
                Ok(_) => well = true,
                Err(end) => self.unless_folder(end, number)?,
            }
        }
        self.plan.swept_junk(well, Instant::now());
        self.return_to_first(session).await
    }

    /// The number of the junk folder, which is asked for once.
    async fn junk_folder<S: Wire>(
        &mut self,
        session: &mut Session<S>,
    ) -> Result<Option<usize>, Error> {
        if !self.junk.is_sought {
            // Before the answer: it may end the connection, and is not worth another.
            self.junk.is_sought = true;
            let name = session.junk_folder().await?;
            let is_known = |name: &String| self.places.iter().any(|place| place.folder == *name);
            if let Some(name) = name.filter(|name| !is_known(name)) {
                self.junk.number = Some(self.places.len());
                self.places.push(Place::since(&name, self.junk.since));
            }
        }
        Ok(self.junk.number)
    }

    /// A folder that cannot be opened keeps nobody from watching the others.
    fn unless_folder(&self, end: End, number: usize) -> Result<(), End> {
        match end {
            End::Failed(error @ Error::Folder { .. }) => {
                tracing::warn!(folder = self.places[number].folder, %error, "a folder is not searched");
                Ok(())
            }
            other => Err(other),
        }
    }
}

/// Waits for an announcement, or for the time to search without one.
async fn announced<S: Wire>(
    session: &mut Session<S>,
    idles: bool,
    until: Instant,
) -> Result<bool, Error> {
    // One that was announced and is not searched for at once has to wait: announcements have brought nothing lately.
    if idles && !session.folder.announced {
        return session.announced(until).await;
    }
    sleep_until(until).await;
    Ok(false)
}

/// Which mails of an account are worth fetching.
fn triage(account: &Account) -> impl Fn(&[u8]) -> bool + Sync + use<> {
    let policy = Arc::clone(&account.policy);
    move |header| policy.is_worth_fetching(header)
}

/// Fetches one mail, where it is still there under this `UIDVALIDITY`.
pub fn fetch_one(
    account: &Arc<Account>,
    keychain: &Keychain,
    origin: &Origin,
) -> impl Future<Output = Result<Option<Message>, Error>> {
    let mut mailbox = AccountMailbox::new(Arc::clone(account), keychain.clone());
    async move {
        let mut session = mailbox.log_in().await?;
        let opened = session.examine(&origin.folder).await?;
        let mut mails = Vec::new();
        if opened.uid_validity == origin.uid_validity {
            let fetched = session.fetch_some(&mut vec![origin.uid], &|_| true).await?;
            mails = fetched.messages;
        }
        session.logout(None).await;
        Ok(mails.pop())
    }
}

/// Opens a folder; gives the place after its last mail.
async fn open<S: Wire>(session: &mut Session<S>, folder: &str) -> Result<Position, Error> {
    let opened = session.examine(folder).await?;
    let (uid_validity, uid_next) = (opened.uid_validity, opened.uid_next);
    let uid_next = match uid_next {
        Some(uid_next) => uid_next,
        None => session.uid_after_last().await?,
    };
    Ok(Position {
        uid_validity,
        uid_next,
    })
}
