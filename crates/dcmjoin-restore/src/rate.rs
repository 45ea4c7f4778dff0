//! How many restore requests are made a second: a token bucket that slows down where S3 says so.
//!
//! Time is passed in, as the duration since any fixed point of a clock that is never set back.

use std::time::Duration;

/// Restore requests that S3 takes from an account in a region, a second (S3 User Guide, "Archive
/// retrieval options").
pub const RESTORE_REQUESTS_PER_SECOND: u32 = 1_000;

/// The unit in which tokens are counted, so that no part of one is lost to rounding.
const NANOS: u128 = 1_000_000_000;
/// How slow a bucket becomes at the most: a hundredth of its rate.
const SLOWEST: u32 = 100;
/// After how many tokens without throttling a slowed bucket becomes a tenth of its rate faster.
const FASTER_AFTER: u32 = 1_000;

/// A token bucket: at most `burst` at once, and `per_second` in the long run.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    /// The rate that was asked for, a second.
    per_second: u32,
    /// The rate at present, a second: less after throttling.
    current: u32,
    burst: u32,
    /// In billionths of a token.
    tokens: u128,
    filled: Duration,
    taken: u32,
}

impl TokenBucket {
    /// Returns a full bucket. A rate or burst of 0 is taken as 1.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let (per_second, burst) = (per_second.max(1), burst.max(1));
        let tokens = u128::from(burst) * NANOS;
        Self { per_second, current: per_second, burst, tokens, filled: Duration::ZERO, taken: 0 }
    }

    /// Takes so many tokens, or tells how long to wait before trying again. More than the burst is
    /// taken as soon as the bucket is full, and paid for by those that come after.
    ///
    /// # Errors
    /// The wait, where there are not enough tokens.
    pub fn take(&mut self, now: Duration, tokens: u32) -> Result<(), Duration> {
        self.fill(now);
        let wanted = u128::from(tokens.min(self.burst)) * NANOS;
        if self.tokens < wanted {
            let nanos = (wanted - self.tokens).div_ceil(u128::from(self.current));
            return Err(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        }
        self.tokens -= wanted;
        self.taken = self.taken.saturating_add(tokens);
        if self.taken >= FASTER_AFTER {
            self.taken = 0;
            self.current = (self.current + self.per_second.div_ceil(10)).min(self.per_second);
        }
        Ok(())
    }

    /// Halves the rate: S3 has answered that requests come too fast.
    pub fn throttled(&mut self, now: Duration) {
        self.fill(now);
        self.current = (self.current / 2).max((self.per_second / SLOWEST).max(1));
        self.tokens = 0;
        self.taken = 0;
    }

    /// Returns the rate at present, a second.
    #[must_use]
    pub fn rate(&self) -> u32 {
        self.current
    }

    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.filled);
        self.filled = self.filled.max(now);
        let more = passed.as_nanos().saturating_mul(u128::from(self.current));
        self.tokens = self.tokens.saturating_add(more).min(u128::from(self.burst) * NANOS);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_burst_then_the_rate() {
        let mut bucket = TokenBucket::new(1_000, 100);
        assert_eq!(bucket.take(Duration::ZERO, 100), Ok(()));
        assert_eq!(bucket.take(Duration::ZERO, 1), Err(MS));
        assert_eq!(bucket.take(MS, 1), Ok(()));
        assert_eq!(bucket.take(MS, 1), Err(MS));
    }

    #[test]
    fn throttling_halves_the_rate_and_success_brings_it_back() {
        let mut bucket = TokenBucket::new(1_000, 1_000);
        let mut now = Duration::ZERO;
        bucket.throttled(now);
        bucket.throttled(now);
        assert_eq!(bucket.rate(), 250);
        for _ in 0..20 {
            bucket.throttled(now);
        }
        assert_eq!(bucket.rate(), 10);
        for _ in 0..100_000 {
            while let Err(wait) = bucket.take(now, 1) {
                now += wait;
            }
        }
        assert_eq!(bucket.rate(), 1_000);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut bucket = TokenBucket::new(10, 1);
        assert_eq!(bucket.take(Duration::from_secs(5), 1), Ok(()));
        assert!(bucket.take(Duration::from_secs(1), 1).is_err());
        assert!(bucket.take(Duration::from_secs(5), 1).is_err());
    }

    proptest! {
        #[test]
        fn no_more_than_burst_and_rate(
            waits in prop::collection::vec(0u64..5_000_000, 1..300),
            rate in 1u32..5_000,
            burst in 1u32..50,
        ) {
            let mut bucket = TokenBucket::new(rate, burst);
            let (mut now, mut taken) = (Duration::ZERO, 0u128);
            for wait in waits {
                now += Duration::from_nanos(wait);
                taken += u128::from(bucket.take(now, 1).is_ok());
            }
            let allowed = u128::from(burst) * NANOS + now.as_nanos() * u128::from(rate);
            prop_assert!(taken * NANOS <= allowed, "{taken} in {now:?}");
        }

        #[test]
        fn the_wait_that_is_told_is_enough(rate in 1u32..5_000, tokens in 1u32..100) {
            let mut bucket = TokenBucket::new(rate, 100);
            bucket.take(Duration::ZERO, 100).unwrap();
            let wait = bucket.take(Duration::ZERO, tokens).unwrap_err();
            prop_assert!(bucket.take(wait, tokens).is_ok());
        }
    }
}
