//! Chance that can be repeated: a run prints its seed, and another run takes it from the environment.

use std::ops::Range;
use std::time::Duration;

/// Where the seed comes from, if a run is to be repeated.
const SEED: &str = "FETCH_TOKEN_LAB_SEED";

/// A sequence of numbers that nobody would guess and everybody can repeat (`SplitMix64`).
pub struct Random(u64);

impl Random {
    /// A new sequence, or that of the seed in the environment.
    pub fn new() -> Self {
        let seed = std::env::var(SEED).ok().map_or_else(
            || jiff::Timestamp::now().as_microsecond().unsigned_abs(),
            |seed| {
                seed.parse()
                    .unwrap_or_else(|error| panic!("{SEED}={seed}: {error}"))
            },
        );
        println!("seed: {SEED}={seed}");
        Self(seed)
    }

    /// Another sequence, for another thread.
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("a small number");
        usize::try_from(self.next() % end).expect("a small number")
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A time between these, to the millisecond.
    pub fn within(&mut self, range: &Range<Duration>) -> Duration {
        let span = range.end.saturating_sub(range.start).as_millis();
        let span = usize::try_from(span).expect("a short time");
        let more = u64::try_from(self.below(span)).expect("a short time");
        range.start + Duration::from_millis(more)
    }
}
