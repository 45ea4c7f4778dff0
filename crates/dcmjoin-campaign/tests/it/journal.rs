//! The journal: who may write, and what is left when an orchestrator dies at any write.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dcmjoin_campaign::job::Job;
use dcmjoin_campaign::ledger::{
    Archive, Change, Lease, Ledger, Mode, Place, Select, Standing, WaveTally,
};
use dcmjoin_campaign::orchestrator::Outcome;
use dcmjoin_campaign::{Error, Spec, Sqlite};
use dcmjoin_emulator::Tier;
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::money::Usd;

use crate::scene::{IMAGES, Scene, report};

/// Dies at one write: before it, or after it and before its effects.
pub(crate) struct Dies {
    inner: Sqlite,
    writes: AtomicUsize,
    at: usize,
    after: bool,
}

impl Dies {
    pub(crate) fn at(inner: Sqlite, at: usize, after: bool) -> Self {
        Self { inner, writes: AtomicUsize::new(0), at, after }
    }
}

impl Ledger for Dies {
    fn commit(&self, lease: Lease, change: &Change<'_>) -> Result<(), Error> {
        let dies = self.writes.fetch_add(1, Ordering::Relaxed) == self.at;
        if dies && !self.after {
            return Err(Error::Journal("dies".into()));
        }
        self.inner.commit(lease, change)?;
        if dies { Err(Error::Journal("dies".into())) } else { Ok(()) }
    }

    fn spec(&self) -> Result<Spec, Error> {
        self.inner.spec()
    }

    fn add(&self, archives: &[Archive]) -> Result<(), Error> {
        self.inner.add(archives)
    }

    fn take(&self, holder: &str) -> Result<Lease, Error> {
        self.inner.take(holder)
    }

    fn beat(&self, lease: Lease) -> Result<(), Error> {
        self.inner.beat(lease)
    }

    fn release(&self, lease: Lease) -> Result<(), Error> {
        self.inner.release(lease)
    }

    fn evict(&self, holder: &str) -> Result<(), Error> {
        self.inner.evict(holder)
    }

    fn set_mode(&self, mode: Mode, reason: Option<&str>) -> Result<(), Error> {
        self.inner.set_mode(mode, reason)
    }

    fn mode(&self) -> Result<Mode, Error> {
        self.inner.mode()
    }

    fn set_spec(&self, spec: &Spec) -> Result<(), Error> {
        self.inner.set_spec(spec)
    }

    fn set_budget(&self, budget: Option<Usd>) -> Result<(), Error> {
        self.inner.set_budget(budget)
    }

    fn budget(&self) -> Result<Option<Usd>, Error> {
        self.inner.budget()
    }

    fn jobs(&self) -> Result<Vec<Job>, Error> {
        self.inner.jobs()
    }

    fn page(&self, select: Select<'_>, after: i64, limit: usize) -> Result<Vec<Archive>, Error> {
        self.inner.page(select, after, limit)
    }

    fn find(&self, place: &Place) -> Result<Option<Archive>, Error> {
        self.inner.find(place)
    }

    fn next_due(&self) -> Result<Option<Moment>, Error> {
        self.inner.next_due()
    }

    fn waves(&self) -> Result<Vec<WaveTally>, Error> {
        self.inner.waves()
    }

    fn standing(&self) -> Result<Standing, Error> {
        self.inner.standing()
    }
}

/// Lets an orchestrator die at a write, and another one go on; returns whether there was that write.
async fn survives(at: usize, after: bool) -> bool {
    let scene = Scene::new();
    let inner = scene.create().await;
    let dying = Arc::new(Dies::at(inner, at, after));
    if let Ok(Outcome::Done(_)) = scene.run(dying.clone()).await {
        return false;
    }
    // The dead one's lease is its own to give back only here: nobody waits a minute in a test.
    let ledger = Arc::new(Sqlite::open(&scene.file()).unwrap());
    ledger.release(Lease { epoch: 1 }).unwrap();
    let report = report(scene.run(ledger.clone()).await.unwrap());
    let standing = scene.check(&report, &ledger.standing().unwrap());
    assert!(standing.failures.is_empty(), "write {at}: {:?}", standing.failures);
    let asked = scene.emulator.ledger().retrieved(Tier::Bulk).requests;
    assert_eq!(asked, u64::from(IMAGES) + 1, "write {at}: an archive was restored twice");
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_may_die_at_any_write() {
    let mut at = 0;
    // The first writes, where most happens, one by one; then ever fewer of them.
    while survives(at, at % 2 == 0).await {
        at += 1 + at / 4;
    }
    assert!(at > 20, "only {at} writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_orchestrators_acts() {
    let scene = Scene::new();
    let ledger = scene.create().await;
    let first = ledger.take("first").unwrap();
    let refused = ledger.take("second").unwrap_err();
    assert!(matches!(&refused, Error::Held { holder, .. } if holder == "first"), "{refused}");
    // The first one is taken for dead, and wakes up.
    ledger.release(first).unwrap();
    let second = ledger.take("second").unwrap();
    assert!(second.epoch > first.epoch);
    let stale = ledger.commit(first, &Change::default()).unwrap_err();
    assert!(matches!(stale, Error::Fenced), "{stale}");
    assert!(matches!(ledger.beat(first), Err(Error::Fenced)));
    ledger.commit(second, &Change::default()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_campaign_asks_for_nothing_more() {
    let scene = Scene::new();
    let ledger = Arc::new(scene.create().await);
    ledger.set_mode(Mode::Cancelled, None).unwrap();
    assert!(matches!(scene.run(ledger.clone()).await.unwrap(), Outcome::Cancelled));
    assert_eq!(ledger.standing().unwrap().failures["cancelled"], u64::from(IMAGES) + 1);
    assert_eq!(scene.emulator.ledger().retrieved(Tier::Bulk).requests, 0);
}
