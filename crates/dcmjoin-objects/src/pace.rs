//! One rate of requests for all that is asked of one store.
//!
//! While a store does not complain there is no limit. When it asks for fewer requests (503
//! `SlowDown`, 429), or lets them time out, the rate falls to [`CUT_TO`] of what it was; with each
//! good answer it climbs by a constant step (additive increase, multiplicative decrease). One rate
//! for reads and writes together: S3 splits its partitions by their sum.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What is left of the rate after a cut.
const CUT_TO: f64 = 0.7;
/// Answers within this time of a cut are those of requests made before it, and cut no further.
const CUT_EVERY: Duration = Duration::from_millis(500);
/// The lowest rate, in requests a second: what any store gives to a single client.
const RATE_MIN: f64 = 10.0;
/// How much the rate climbs in a second of good answers, as a share of the rate at the first cut.
const CLIMB_SHARE: f64 = 0.05;
/// The least climb in a second of good answers, in requests a second.
const CLIMB_MIN: f64 = 2.0;
/// The limit is lifted where the rate has come to so many times the rate at the first cut.
const FREE_AT: f64 = 2.0;
/// No request waits longer for its turn.
const TURN_WAIT_MAX: Duration = Duration::from_secs(60);
/// The time over which requests are counted, to know the rate where there is no limit.
const WINDOW: Duration = Duration::from_secs(1);

/// The rate of one store.
#[derive(Debug)]
pub(crate) struct Pace(Mutex<State>);

#[derive(Debug)]
struct State {
    limit: Option<Limit>,
    /// Since when requests are counted.
    window: Instant,
    /// Requests in the window, and in the one before.
    counts: [u32; 2],
}

#[derive(Debug, Clone, Copy)]
struct Limit {
    /// In requests a second.
    rate: f64,
    /// The rate at which the store complained first.
    ceiling: f64,
    /// When the next request may be made.
    next: Instant,
    last_cut: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self(Mutex::new(State { limit: None, window: Instant::now(), counts: [0; 2] }))
    }
}

impl Pace {
    /// Takes the next turn; returns how long to wait for it.
    pub(crate) fn turn(&self) -> Duration {
        let now = Instant::now();
        let mut state = self.lock();
        state.count(now);
        let Some(limit) = &mut state.limit else { return Duration::ZERO };
        let turn = limit.next.max(now);
        limit.next = turn + Duration::from_secs_f64(1.0 / limit.rate);
        (turn - now).min(TURN_WAIT_MAX)
    }

    /// Returns true while the rate is limited.
    pub(crate) fn is_limited(&self) -> bool {
        self.lock().limit.is_some()
    }

    /// Hears that the store was asked too much.
    pub(crate) fn slow_down(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        let measured = f64::from(state.counts[0].max(state.counts[1]));
        let (rate, ceiling) = match state.limit {
            Some(limit) if now - limit.last_cut < CUT_EVERY => return,
            // Who does not use the rate is not throttled for it.
            Some(limit) => (limit.rate.min(measured), limit.ceiling),
            None => (measured, measured),
        };
        let rate = (rate * CUT_TO).max(RATE_MIN);
        let next = now + Duration::from_secs_f64(1.0 / rate);
        tracing::debug!(rate, "the store asks for fewer requests");
        state.limit = Some(Limit { rate, ceiling: ceiling.max(rate), next, last_cut: now });
    }

    /// Hears of a good answer.
    pub(crate) fn went_well(&self) {
        let mut state = self.lock();
        let Some(limit) = &mut state.limit else { return };
        // At the full rate there are `rate` good answers a second.
        limit.rate += (limit.ceiling * CLIMB_SHARE).max(CLIMB_MIN) / limit.rate;
        if limit.rate >= limit.ceiling * FREE_AT {
            state.limit = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, now: Instant) {
        let passed = now - self.window;
        if passed >= WINDOW {
            let before = if passed < 2 * WINDOW { self.counts[0] } else { 0 };
            self.counts = [0, before];
            self.window = now;
        }
        self.counts[0] += 1;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    /// Makes requests one after the other, and returns how long that took.
    async fn requests(pace: &Pace, count: u32) -> Duration {
        let start = Instant::now();
        for _ in 0..count {
            sleep(pace.turn()).await;
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_no_limit_without_a_complaint() {
        let pace = Pace::default();
        assert_eq!(requests(&pace, 10_000).await, Duration::ZERO);
        pace.went_well();
        assert!(!pace.is_limited());
    }

    #[tokio::test(start_paused = true)]
    async fn a_complaint_cuts_the_rate_once() {
        let pace = Pace::default();
        requests(&pace, 100).await;
        for _ in 0..50 {
            pace.slow_down();
        }
        // 70 of 100 a second.
        let took = requests(&pace, 70).await.as_secs_f64();
        assert!((0.99..1.05).contains(&took), "{took}");
        pace.slow_down();
        let took = requests(&pace, 49).await.as_secs_f64();
        assert!((0.99..1.05).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_has_a_floor_and_waits_an_end() {
        let pace = Pace::default();
        for _ in 0..100 {
            requests(&pace, 1).await;
            pace.slow_down();
            advance(CUT_EVERY).await;
        }
        let took = requests(&pace, 10).await.as_secs_f64();
        assert!(took < 10.0 / RATE_MIN + 0.1, "{took}");
        let longest = (0..10_000).map(|_| pace.turn()).max();
        assert_eq!(longest, Some(TURN_WAIT_MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn good_answers_lift_the_limit_in_time() {
        let pace = Pace::default();
        requests(&pace, 200).await;
        pace.slow_down();
        let start = Instant::now();
        while pace.is_limited() {
            requests(&pace, 1).await;
            pace.went_well();
        }
        // From 140 to 400 a second by 10 a second each second.
        let took = start.elapsed().as_secs_f64();
        assert!((25.0..27.0).contains(&took), "{took}");
    }
}
