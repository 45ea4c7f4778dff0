//! A store that is asked again where it fails: a server that restarts does not end its workers.
//!
//! Each call that failed with [`Error::Store`] is made again for at most [`PATIENCE`]; all other
//! answers are the store's own. A call may have had its effect although its answer was lost, and
//! then has it twice: claims that nobody knows of are free after their lease, what was completed
//! already is answered with [`Error::Fenced`], and facts and tasks that are there are left alone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use crate::binding::StoreId;
use crate::campaign::{Campaign, CampaignName};
use crate::error::Error;
use crate::facts::{Capabilities, Fact, FactDepth, FactLog, FactReader, Pair, Until};
use crate::tasks::{Claim, DeadLetter, Depth, Failure, Fate, NewTask, Stage, TaskStore, Wanted};

/// For how long a store that fails is asked again: a server's restart, or the change to another.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Between two tries: the first wait; it doubles up to the last.
const WAITS: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];

/// A task store, a fact log or a reader that is asked again where it fails.
#[derive(Debug, Clone)]
pub struct Patient<T> {
    inner: T,
}

impl<T> Patient<T> {
    /// Returns a store that is asked again.
    pub fn new(inner: T) -> Self {
        Self { inner }
    }
}

/// Makes a call until it does not fail, or patience ends.
macro_rules! patiently {
    ($call:expr) => {{
        let (until, mut wait) = (Instant::now() + PATIENCE, WAITS[0]);
        loop {
            match $call.await {
                Err(error @ Error::Store { .. }) if Instant::now() + wait < until => {
                    if wait == WAITS[0] {
                        tracing::warn!(%error, "the store is asked again");
                    }
                    sleep(wait).await;
                    wait = (wait * 2).min(WAITS[1]);
                }
                answer => break answer,
            }
        }
    }};
}

#[async_trait]
impl TaskStore for Patient<Arc<dyn TaskStore>> {
    async fn id(&self) -> Result<StoreId, Error> {
        patiently!(self.inner.id())
    }

    async fn put_campaign(&self, campaign: &Campaign) -> Result<(), Error> {
        patiently!(self.inner.put_campaign(campaign))
    }

    async fn campaigns(&self) -> Result<Vec<Campaign>, Error> {
        patiently!(self.inner.campaigns())
    }

    async fn add(&self, campaign: &CampaignName, tasks: &[NewTask]) -> Result<u64, Error> {
        patiently!(self.inner.add(campaign, tasks))
    }

    async fn claim(&self, wanted: &Wanted<'_>) -> Result<Vec<Claim>, Error> {
        patiently!(self.inner.claim(wanted))
    }

    /// Not made again: the next beat comes soon, and an old one is worth less.
    async fn beat(&self, claims: &[Claim], lease: Duration) -> Result<Vec<Claim>, Error> {
        self.inner.beat(claims, lease).await
    }

    async fn complete(&self, claim: &Claim) -> Result<(), Error> {
        patiently!(self.inner.complete(claim))
    }

    async fn fail(&self, claim: &Claim, failure: &Failure) -> Result<Fate, Error> {
        patiently!(self.inner.fail(claim, failure))
    }

    async fn release(&self, claims: &[Claim]) -> Result<(), Error> {
        patiently!(self.inner.release(claims))
    }

    async fn depths(&self) -> Result<Vec<Depth>, Error> {
        patiently!(self.inner.depths())
    }

    async fn urls(
        &self,
        campaign: &CampaignName,
        stage: Stage,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<String>, Error> {
        patiently!(self.inner.urls(campaign, stage, after, max))
    }

    async fn dead(&self, after: i64, max: usize) -> Result<Vec<DeadLetter>, Error> {
        patiently!(self.inner.dead(after, max))
    }

    async fn retry(&self, ids: &[i64]) -> Result<u64, Error> {
        patiently!(self.inner.retry(ids))
    }

    async fn drop_dead(&self, ids: &[i64]) -> Result<u64, Error> {
        patiently!(self.inner.drop_dead(ids))
    }
}

#[async_trait]
impl FactLog for Patient<Arc<dyn FactLog>> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn bind(&self, store: &StoreId) -> Result<(), Error> {
        patiently!(self.inner.bind(store))
    }

    async fn append(&self, campaign: &CampaignName, facts: &[Fact]) -> Result<(), Error> {
        patiently!(self.inner.append(campaign, facts))
    }

    async fn join(&self, worker: &str) -> Result<Box<dyn FactReader>, Error> {
        let reader = patiently!(self.inner.join(worker))?;
        Ok(Box::new(Patient::new(reader)))
    }

    async fn unpaired(
        &self,
        campaign: &CampaignName,
        until: Until,
        after: Option<&Fact>,
        max: usize,
    ) -> Result<Vec<Fact>, Error> {
        patiently!(self.inner.unpaired(campaign, until, after, max))
    }

    async fn depth(&self, campaign: &CampaignName) -> Result<FactDepth, Error> {
        patiently!(self.inner.depth(campaign))
    }

    async fn has_pairs(&self, campaign: &CampaignName) -> Result<bool, Error> {
        patiently!(self.inner.has_pairs(campaign))
    }

    async fn forget(&self, campaign: &CampaignName) -> Result<(), Error> {
        patiently!(self.inner.forget(campaign))
    }
}

#[async_trait]
impl FactReader for Patient<Box<dyn FactReader>> {
    async fn look(&mut self, max: usize) -> Result<Vec<Pair>, Error> {
        patiently!(self.inner.look(max))
    }

    async fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Pair>, Error> {
        patiently!(self.inner.next(max, wait))
    }

    async fn done(&mut self, pairs: &[Pair]) -> Result<(), Error> {
        patiently!(self.inner.done(pairs))
    }

    async fn again(&mut self) -> Result<(), Error> {
        patiently!(self.inner.again())
    }

    fn partitions(&self) -> Vec<u16> {
        self.inner.partitions()
    }

    /// Not made again: what is not given back is free after a lease.
    async fn leave(self: Box<Self>) -> Result<(), Error> {
        self.inner.leave().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    /// Fails so often, and then answers.
    struct Failing {
        left: AtomicU32,
        asked: AtomicU32,
    }

    impl Failing {
        fn answer(&self) -> Result<(), Error> {
            self.asked.fetch_add(1, Relaxed);
            let left = self.left.load(Relaxed);
            self.left.store(left.saturating_sub(1), Relaxed);
            match left {
                0 => Ok(()),
                _ => Err(Error::Store { store: "test", detail: "away".to_owned() }),
            }
        }

        fn times(left: u32) -> Self {
            Self { left: AtomicU32::new(left), asked: AtomicU32::new(0) }
        }
    }

    async fn ask(store: &Failing) -> Result<(), Error> {
        patiently!(async { store.answer() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_comes_back_is_asked_until_it_answers() {
        let store = Failing::times(5);
        let began = Instant::now();
        ask(&store).await.unwrap();
        assert_eq!(store.asked.load(Relaxed), 6);
        // 0.25, 0.5, 1, 2 and 4 seconds.
        assert_eq!(began.elapsed(), Duration::from_millis(7_750));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let store = Failing::times(u32::MAX);
        let began = Instant::now();
        assert!(matches!(ask(&store).await, Err(Error::Store { .. })));
        assert!(began.elapsed() <= PATIENCE && began.elapsed() > PATIENCE / 2);
    }

    #[tokio::test]
    async fn a_lost_lease_is_told_at_once() {
        let mut asked = 0;
        let answer: Result<(), Error> = patiently!(async {
            asked += 1;
            Err(Error::Fenced)
        });
        assert!(matches!(answer, Err(Error::Fenced)));
        assert_eq!(asked, 1);
    }
}
