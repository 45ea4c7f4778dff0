//! The attempts of one request: when it may be made, and when it is tried again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::client::Client;
use crate::error::{Error, ErrorKind};

/// How often a request is tried at the most, the first time included, where the store fails.
const ATTEMPTS_MAX: u32 = 8;
/// How long a request is tried again where the store asks for fewer requests: it needs minutes to
/// grow.
const THROTTLED_MAX: Duration = Duration::from_secs(300);
/// The longest wait before the second try; it doubles with each further one.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// The longest wait between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(20);

/// The attempts of one request.
pub(crate) struct Attempts<'a> {
    client: &'a Client,
    failed: u32,
    /// Of these, the ones after which the store asked for fewer requests.
    throttled: u32,
    first_failure: Option<Instant>,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        if client.is_remote() {
            client.retry_budget.earn();
        }
        Self { client, failed: 0, throttled: 0, first_failure: None }
    }

    /// Waits until the request may be made, at first or again.
    pub(crate) async fn turn(&self) {
        self.client.turn().await;
    }

    /// Returns true where the request was made more than once.
    pub(crate) fn has_tried_again(&self) -> bool {
        self.failed > 1
    }

    /// Says that the request went well.
    pub(crate) fn done(self) {
        self.client.went_well();
    }

    /// Waits until the request may be tried again after it failed.
    ///
    /// # Errors
    /// The error itself where it will last, or where the tries or the time for them are used up.
    pub(crate) async fn after(&mut self, error: Error) -> Result<(), Error> {
        self.failed += 1;
        self.client.went_wrong(error.kind);
        let first_failure = *self.first_failure.get_or_insert_with(Instant::now);
        let at_end = if error.kind == ErrorKind::Throttled {
            self.throttled += 1;
            first_failure.elapsed() >= THROTTLED_MAX
        } else {
            self.failed - self.throttled >= ATTEMPTS_MAX
        };
        if at_end || !error.kind.is_transient() {
            return Err(error);
        }
        let Some(paid) = self.client.retry_budget.spend() else { return Err(error) };
        self.client.meter.retry(error.kind);
        tracing::debug!(failed = self.failed, kind = ?error.kind, "store request is tried again");
        self.client.wait(paid.max(backoff(self.failed))).await;
        Ok(())
    }
}

/// Returns the wait after so many failures: anything from nothing to a bound that doubles, so that
/// requests that failed together do not come back together.
fn backoff(failed: u32) -> Duration {
    let most = BACKOFF_FIRST.saturating_mul(1 << (failed - 1).min(16)).min(BACKOFF_MAX);
    // Each state is seeded anew.
    let random = RandomState::new().hash_one(failed) as u32;
    most.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::Operation;
    use crate::meter::Meter;

    /// Fails until the error is given back; returns how often it was tried again, and how long.
    async fn fail(kind: ErrorKind) -> (u64, Duration) {
        let client = Client::memory(Arc::new(Meter::default()));
        let mut attempts = Attempts::new(&client);
        let start = Instant::now();
        while attempts.after(Error::new(Operation::Read, "p", kind, "d")).await.is_ok() {}
        let requests = client.meter.requests();
        assert_eq!(requests.waited, start.elapsed());
        (requests.retries.all(), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn passing_errors_are_tried_again_to_an_end() {
        for kind in [ErrorKind::Unavailable, ErrorKind::TimedOut, ErrorKind::BadAnswer] {
            assert_eq!(fail(kind).await.0, u64::from(ATTEMPTS_MAX) - 1, "{kind:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_asked_too_much_gets_minutes() {
        let (retries, took) = fail(ErrorKind::Throttled).await;
        assert!(retries > u64::from(ATTEMPTS_MAX), "{retries}");
        assert!((THROTTLED_MAX..THROTTLED_MAX + BACKOFF_MAX).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_after_a_storm_is_tried_again() {
        let client = Client::memory(Arc::new(Meter::default()));
        let mut attempts = Attempts::new(&client);
        let error = |kind| Error::new(Operation::Read, "p", kind, "d");
        for _ in 0..ATTEMPTS_MAX {
            attempts.after(error(ErrorKind::Throttled)).await.unwrap();
        }
        attempts.after(error(ErrorKind::Unavailable)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn lasting_errors_are_not_tried_again() {
        assert_eq!(fail(ErrorKind::Denied).await, (0, Duration::ZERO));
    }

    #[test]
    fn waits_are_spread_from_nothing_to_their_bound() {
        for failed in [1, 5, 60] {
            let bound = BACKOFF_FIRST.saturating_mul(1 << (failed - 1).min(16)).min(BACKOFF_MAX);
            let waits: Vec<_> = (0..200).map(|_| backoff(failed)).collect();
            assert!(waits.iter().all(|wait| *wait <= bound));
            assert!(waits.iter().any(|wait| *wait < bound / 4));
            assert!(waits.iter().any(|wait| *wait > bound / 4 * 3));
        }
    }
}
