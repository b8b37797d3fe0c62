//! The soak: one daemon on two accounts, a token mail about every second, a fault every few seconds, for as long as
//! `FETCH_TOKEN_SOAK_MINUTES` says (30 unless told). No token is lost, none is announced as new twice, and memory
//! stays flat. What the daemon said and what went wrong is left in `target/tmp/`.
#![cfg(all(target_os = "linux", feature = "long-tests"))]

mod lab;

use lab::{
    Deliveries, Direction, End, Fault, Faults, INTEGRATION, Memory, Options, Random, Resident,
    SecretService, Stage, UMLAUT, User, account, kept,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const LENGTH: &str = "FETCH_TOKEN_SOAK_MINUTES";

const fn millis(from: u64, to: u64) -> Range<Duration> {
    Duration::from_millis(from)..Duration::from_millis(to)
}

const BETWEEN_MAILS: Range<Duration> = millis(300, 1_700);
const BETWEEN_FAULTS: Range<Duration> = millis(1_000, 4_000);
const UNTIL_MENDED: Range<Duration> = millis(500, 5_000);

/// How long nothing goes wrong before the end.
const QUIET: Duration = Duration::from_mins(1);

/// When all must be stored at the latest, from the last fault on: a pause before connecting again is 5 min long at
/// most, and so is the time until a connection that fell silent is searched.
const WITHIN: Duration = Duration::from_mins(6);

/// How far into the soak daemons are killed; the one that runs then runs to the end, so that its memory is seen.
const KILLS_UNTIL: f64 = 0.33;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Reset,
    Close,
    Truncated,
    Stalled,
    ServerLost,
    ClientLost,
    HalfOpenThenReset,
    Slow,
    Delayed,
    Refused,
    ServerKilled,
    ServerRestarted,
    Kicked,
    KeychainLocked,
    KeychainKilled,
    KeychainFrozen,
    Frozen,
    Reloaded,
    Killed,
}

use Trouble::{
    ClientLost, Close, Delayed, Frozen, HalfOpenThenReset, KeychainFrozen, KeychainKilled,
    KeychainLocked, Kicked, Killed, Refused, Reloaded, Reset, ServerKilled, ServerLost,
    ServerRestarted, Slow, Stalled, Truncated,
};

const TROUBLES: [Trouble; 19] = [
    Reset,
    Close,
    Truncated,
    Stalled,
    ServerLost,
    ClientLost,
    HalfOpenThenReset,
    Slow,
    Delayed,
    Refused,
    ServerKilled,
    ServerRestarted,
    Kicked,
    KeychainLocked,
    KeychainKilled,
    KeychainFrozen,
    Frozen,
    Reloaded,
    Killed,
];

/// All that things go wrong with.
struct Scene {
    stage: Stage,
    faults: [Faults; 2],
    resident: Resident,
}

const USERS: [User; 2] = [INTEGRATION, UMLAUT];

impl Scene {
    fn new(length: Duration) -> Self {
        let stage = Stage::with(&Options::default(), SecretService::start());
        let faults = USERS.map(|_| Faults::before(stage.dovecot.imaps_port()));
        let mut accounts = String::new();
        for (number, (user, faults)) in USERS.iter().zip(&faults).enumerate() {
            let file = format!("password-{number}");
            let password = stage.keychain.home().write_private(&file, user.password);
            let ca = stage.dovecot.ca_file();
            let account = account(*user, faults.port(), "implicit", &ca, &password);
            writeln!(accounts, "{account}").expect("write into a String");
        }
        stage.write_config(&accounts);
        let at_most = length + QUIET + WITHIN + Duration::from_mins(5);
        let resident = Resident::start(&stage.program(), at_most);
        resident
            .daemon()
            .wait_for("\"message\":\"watching\"", USERS.len());
        Self {
            stage,
            faults,
            resident,
        }
    }

    /// Lets it go wrong, with one of the accounts where it is about one.
    fn begin(&mut self, trouble: Trouble, which: usize) {
        use Direction::{FromClient, FromServer};
        let faults = &self.faults[which];
        let keychain = &mut self.stage.keychain;
        match trouble {
            Reset => faults.now(Fault::Cut(End::Reset)),
            Close => faults.now(Fault::Cut(End::Close)),
            Truncated => faults.now(Fault::Truncate(FromServer)),
            Stalled => faults.now(Fault::Stall(FromServer)),
            ServerLost => faults.now(Fault::Lose(FromServer)),
            ClientLost => faults.now(Fault::Lose(FromClient)),
            HalfOpenThenReset => {
                faults.now(Fault::Lose(FromServer));
                faults.now(Fault::Lose(FromClient));
            }
            Slow => faults.now(Fault::Slow(FromServer, Duration::from_millis(20))),
            Delayed => faults.now(Fault::Delay(FromServer, Duration::from_millis(700))),
            Refused => {
                faults.refuse();
                faults.now(Fault::Cut(End::Reset));
            }
            ServerKilled => self.stage.dovecot.kill(),
            ServerRestarted => self.stage.dovecot.start_again(),
            Kicked => self.stage.dovecot.kick(USERS[which]),
            KeychainLocked => keychain.lock(),
            KeychainKilled => keychain.kill_keyring(),
            KeychainFrozen => keychain.freeze(),
            Frozen => self.resident.daemon().signal("STOP"),
            Reloaded => {
                self.stage.program().run(["reload"]).expect_code(0);
            }
            Killed => self.resident.kill(),
        }
    }

    /// Mends it.
    fn mend(&mut self, trouble: Trouble, which: usize) {
        let faults = &self.faults[which];
        let keychain = &mut self.stage.keychain;
        match trouble {
            Stalled | ServerLost | ClientLost | Slow | Delayed => faults.release(),
            HalfOpenThenReset => faults.now(Fault::Cut(End::Reset)),
            Refused => faults.accept(),
            ServerKilled => self.stage.dovecot.start_again(),
            KeychainLocked => keychain.unlock(),
            KeychainKilled => keychain.start_keyring(),
            KeychainFrozen => keychain.thaw(),
            Frozen => self.resident.daemon().signal("CONT"),
            Killed => self.resident.start_again(),
            Reset | Close | Truncated | ServerRestarted | Kicked | Reloaded => {}
        }
    }
}

/// What happens when.
struct Course {
    random: Random,
    begin: Instant,
    length: Duration,
    mail_at: Instant,
    fault_at: Instant,
    broken: Option<(Trouble, usize)>,
    minute: u64,
    happened: BTreeMap<Trouble, usize>,
    /// When what went wrong, for whoever looks into a failure.
    history: String,
}

impl Course {
    fn new(length: Duration) -> Self {
        let begin = Instant::now();
        Self {
            random: Random::new(),
            begin,
            length,
            mail_at: begin,
            fault_at: begin + BETWEEN_FAULTS.end,
            broken: None,
            minute: 0,
            happened: BTreeMap::new(),
            history: String::new(),
        }
    }

    fn is_over(&self) -> bool {
        self.begin.elapsed() > self.length && self.broken.is_none()
    }

    fn trouble(&mut self) -> Trouble {
        loop {
            let trouble = *self.random.pick(&TROUBLES);
            let may_kill = self.begin.elapsed() < self.length.mul_f64(KILLS_UNTIL);
            if may_kill || trouble != Killed {
                return trouble;
            }
        }
    }

    fn note(&mut self, what: &str, trouble: Trouble, which: usize) {
        let (now, user) = (jiff::Timestamp::now(), USERS[which].name);
        writeln!(self.history, "{now} {what} {trouble:?} ({user})").expect("write into a String");
    }

    /// The next thing that happens.
    fn step(&mut self, scene: &mut Scene, deliveries: &mut Deliveries) {
        let next = self.mail_at.min(self.fault_at);
        thread::sleep(next.saturating_duration_since(Instant::now()));
        if self.mail_at <= self.fault_at {
            let which = self.random.below(USERS.len());
            let username = format!("soak-{which}-{}@acme.example", self.random.below(4));
            deliveries.deliver(&scene.stage.dovecot, USERS[which], &username);
            self.mail_at = Instant::now() + self.random.within(&BETWEEN_MAILS);
        } else if let Some((trouble, which)) = self.broken.take() {
            scene.mend(trouble, which);
            self.note("mended:", trouble, which);
            self.fault_at = Instant::now() + self.random.within(&BETWEEN_FAULTS);
        } else {
            let (trouble, which) = (self.trouble(), self.random.below(USERS.len()));
            self.note("begins:", trouble, which);
            scene.begin(trouble, which);
            *self.happened.entry(trouble).or_default() += 1;
            self.broken = Some((trouble, which));
            self.fault_at = Instant::now() + self.random.within(&UNTIL_MENDED);
        }
    }

    /// A line a minute.
    fn report(&mut self, scene: &Scene, deliveries: &Deliveries) {
        let minute = self.begin.elapsed().as_secs() / 60;
        if minute > self.minute && self.broken.is_none_or(|(trouble, _)| trouble != Killed) {
            self.minute = minute;
            println!(
                "{minute:>3} min: {} mails, {} faults, {}",
                deliveries.count(),
                self.happened.values().sum::<usize>(),
                scene.resident.memory()
            );
        }
    }
}

#[test]
fn a_daemon_among_faults_for_half_an_hour_loses_nothing_and_does_not_grow() {
    let minutes = std::env::var(LENGTH).map_or(30.0, |text| text.parse().expect(LENGTH));
    let length = Duration::from_secs_f64(minutes * 60.0);
    let mut scene = Scene::new(length);
    let mut deliveries = Deliveries::default();
    let mut course = Course::new(length);
    let at_start = scene.resident.memory();
    let mut in_the_middle: Option<Memory> = None;
    while !course.is_over() {
        course.step(&mut scene, &mut deliveries);
        course.report(&scene, &deliveries);
        if in_the_middle.is_none() && course.begin.elapsed() > length / 2 {
            in_the_middle = Some(scene.resident.memory());
        }
    }
    println!("faults: {:?}", course.happened);

    let quiet = Instant::now();
    let newest = deliveries.newest();
    let is_settled = |scene: &Scene| {
        deliveries.open(&scene.resident.events()) == 0 && kept(&scene.stage.keychain) == newest
    };
    let mut settled = None;
    while quiet.elapsed() < QUIET || (settled.is_none() && quiet.elapsed() < WITHIN) {
        if settled.is_none() && is_settled(&scene) {
            settled = Some(quiet.elapsed());
        }
        thread::sleep(Duration::from_secs(1));
    }
    let in_the_middle = in_the_middle.expect("a middle");
    let at_the_end = scene.resident.memory();
    println!(
        "all stored {:.1?} after the last fault",
        settled.unwrap_or_default()
    );
    println!("start:  {at_start}\nmiddle: {in_the_middle}\nend:    {at_the_end}");
    scene.resident.stop();
    let events = scene.resident.events();
    println!(
        "latency, faults included: {}",
        deliveries.latencies(&events)
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, text) in [
        ("soak-daemon.log", &scene.resident.log()),
        ("soak-faults.log", &course.history),
    ] {
        std::fs::write(folder.join(name), text).expect("write what happened");
    }
    deliveries.judge(&events, &scene.stage.keychain);
    assert!(
        at_the_end.resident < in_the_middle.resident + 4 * 1024 && at_the_end.peak < 64 * 1024,
        "it grows: {in_the_middle}, then {at_the_end}"
    );
}
