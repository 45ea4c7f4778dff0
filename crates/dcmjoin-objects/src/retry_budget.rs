//! How many requests may be tried again: a share of those that are made.
//!
//! Without it a store that fails under load gets several times the load from retries. Retries are
//! paid for: each new request brings [`SHARE`] of one, and time brings [`FLOOR_PER_SECOND`], so that
//! a run that waits for a few last requests gets on. Who finds nothing left waits for it; nothing
//! fails for it before the wait would be [`WAIT_MAX`].
//!
//! **Law:** within `t` seconds and `n` new requests there are at most
//! `STORED_MAX + SHARE * n + FLOOR_PER_SECOND * t` retries.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Retries that a new request pays for.
pub(crate) const SHARE: f64 = 0.1;
/// Retries that time pays for, a second.
pub(crate) const FLOOR_PER_SECOND: f64 = 5.0;
/// Retries that can be saved up; as many are there at the start.
pub(crate) const STORED_MAX: f64 = 10.0;
/// The longest wait for a retry that is not paid for yet.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// The retries that are left for one store.
#[derive(Debug)]
pub(crate) struct RetryBudget(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Below zero where retries wait that time has to pay for.
    left: f64,
    looked: Instant,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Mutex::new(State { left: STORED_MAX, looked: Instant::now() }))
    }
}

impl RetryBudget {
    /// Hears of a new request.
    pub(crate) fn earn(&self) {
        let mut state = self.lock();
        state.left = (state.left + SHARE).min(STORED_MAX);
    }

    /// Takes a retry; returns how long to wait for it, or `None` where that would be too long.
    pub(crate) fn spend(&self) -> Option<Duration> {
        let now = Instant::now();
        let mut state = self.lock();
        let passed = (now - state.looked).as_secs_f64();
        state.looked = now;
        state.left = (state.left + passed * FLOOR_PER_SECOND).min(STORED_MAX);
        let wait = Duration::from_secs_f64((1.0 - state.left).max(0.0) / FLOOR_PER_SECOND);
        if wait > WAIT_MAX {
            return None;
        }
        state.left -= 1.0;
        Some(wait)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn retries_are_a_share_of_requests_and_a_trickle() {
        let budget = RetryBudget::default();
        let start = Instant::now();
        let (mut requests, mut retries) = (0.0, 0.0);
        for _ in 0..2_000 {
            budget.earn();
            requests += 1.0;
            sleep(budget.spend().unwrap()).await;
            retries += 1.0;
            let time = start.elapsed().as_secs_f64();
            let law = STORED_MAX + SHARE * requests + FLOOR_PER_SECOND * time;
            assert!(retries <= law + 0.01, "{retries} of {requests} in {time} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_saved_has_an_end() {
        let budget = RetryBudget::default();
        (0..1_000_000).for_each(|_| budget.earn());
        sleep(Duration::from_secs(1_000_000)).await;
        let free = (1..100).take_while(|_| budget.spend() == Some(Duration::ZERO)).last();
        assert!(f64::from(free.unwrap()) <= STORED_MAX, "{free:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn waits_have_an_end() {
        let budget = RetryBudget::default();
        let last = (1..10_000).take_while(|_| budget.spend().is_some()).last();
        let most = STORED_MAX + 1.0 + FLOOR_PER_SECOND * WAIT_MAX.as_secs_f64();
        assert!(f64::from(last.unwrap()) <= most, "{last:?}");
        sleep(Duration::from_secs(1)).await;
        assert!(budget.spend().is_some());
    }
}
