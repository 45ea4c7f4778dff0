use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use dcmjoin_ledger::Sqlite;
use dcmjoin_ledger::binding::StoreId;
use dcmjoin_ledger::facts::{Capabilities, FactDepth, FactReader, Until};
use dcmjoin_model::{Half, SopInstanceUid};

use super::*;

/// The embedded log; remembers how many facts each append had, and fails when told to.
struct Watched {
    log: Sqlite,
    appends: Mutex<Vec<usize>>,
    is_away: AtomicBool,
    _dir: tempfile::TempDir,
}

impl Watched {
    fn new() -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let log = Sqlite::open(&dir.path().join("facts.db")).unwrap();
        Arc::new(Self { log, appends: Mutex::default(), is_away: false.into(), _dir: dir })
    }

    fn appends(&self) -> Vec<usize> {
        std::mem::take(&mut self.appends.lock().unwrap())
    }
}

#[async_trait]
impl FactLog for Watched {
    fn capabilities(&self) -> Capabilities {
        self.log.capabilities()
    }

    async fn bind(&self, store: &StoreId) -> Result<(), Error> {
        self.log.bind(store).await
    }

    async fn append(&self, campaign: &CampaignName, facts: &[Fact]) -> Result<(), Error> {
        if self.is_away.load(Relaxed) {
            return Err(Error::Store { store: "sqlite", detail: "away".to_owned() });
        }
        self.appends.lock().unwrap().push(facts.len());
        self.log.append(campaign, facts).await
    }

    async fn join(&self, worker: &str) -> Result<Box<dyn FactReader>, Error> {
        self.log.join(worker).await
    }

    async fn unpaired(
        &self,
        campaign: &CampaignName,
        until: Until,
        after: Option<&Fact>,
        max: usize,
    ) -> Result<Vec<Fact>, Error> {
        self.log.unpaired(campaign, until, after, max).await
    }

    async fn depth(&self, campaign: &CampaignName) -> Result<FactDepth, Error> {
        self.log.depth(campaign).await
    }

    async fn forget(&self, campaign: &CampaignName) -> Result<(), Error> {
        self.log.forget(campaign).await
    }
}

fn campaign(name: &str) -> CampaignName {
    name.parse().unwrap()
}

fn facts(archive: usize, count: usize) -> Vec<Fact> {
    let fact = |number| {
        let uid = SopInstanceUid::parse(&format!("2.25.{archive}.{number}")).unwrap();
        Fact {
            fingerprint: Fingerprint::of(&uid).0,
            uid,
            half: Half::Image,
            archive: format!("{archive}.tar"),
            version: None,
            offset: number as u64,
            length: 1,
            digest: 1,
            crc32c: 1,
        }
    };
    (0..count).map(fact).collect()
}

/// Gives an archive's facts as a scan does.
async fn give(appender: &Appender, of: &str, facts: Vec<Fact>) -> Result<(), WorkError> {
    let _waiting = Waiting::of(&appender.archives);
    let held = Arc::clone(&appender.held).acquire_many_owned(facts.len() as u32).await.unwrap();
    appender.append(&campaign(of), facts, held).await
}

async fn give_all<const N: usize>(
    appender: &Appender,
    given: [(&str, Vec<Fact>); N],
) -> Vec<Result<(), WorkError>> {
    let given = given.map(|(of, facts)| give(appender, of, facts));
    futures::future::join_all(given).await
}

#[tokio::test]
async fn facts_of_archives_that_wait_together_go_in_one_append() {
    let log = Watched::new();
    let appender = Appender::new(Arc::clone(&log) as Arc<dyn FactLog>);
    let given = [1, 2, 3].map(|archive| ("a", facts(archive, 100 * archive)));
    assert!(give_all(&appender, given).await.iter().all(Result::is_ok));
    assert_eq!(log.appends(), [600]);
    assert_eq!(log.depth(&campaign("a")).await.unwrap().facts, 600);
    assert_eq!(appender.waiting(), 0);
    assert_eq!(appender.held.available_permits(), HELD_FACTS);
}

#[tokio::test]
async fn an_append_is_of_one_campaign_and_no_larger_than_two_full_ones() {
    let log = Watched::new();
    let appender = Appender::new(Arc::clone(&log) as Arc<dyn FactLog>);
    let given =
        [("a", facts(1, 10)), ("a", facts(2, 10)), ("b", facts(3, 10)), ("a", facts(4, 10))];
    assert!(give_all(&appender, given).await.iter().all(Result::is_ok));
    assert_eq!(log.appends(), [20, 10, 10]);
    let full = [5, 6, 7].map(|archive| ("a", facts(archive, APPEND_FACTS - 1)));
    assert!(give_all(&appender, full).await.iter().all(Result::is_ok));
    let appends = log.appends();
    assert_eq!(appends.iter().sum::<usize>(), 3 * (APPEND_FACTS - 1));
    assert!(appends.iter().all(|&facts| facts <= HELD_FACTS), "{appends:?}");
}

#[tokio::test(start_paused = true)]
async fn facts_wait_no_longer_than_others_may_come() {
    let log = Watched::new();
    let appender = Appender::new(Arc::clone(&log) as Arc<dyn FactLog>);
    let began = Instant::now();
    // The only archive in hand, and the worker says so.
    let (given, ()) = tokio::join!(give(&appender, "a", facts(1, 10)), async {
        appender.one_more().await;
        assert_eq!(appender.waiting(), 1);
        appender.in_hand(1);
    });
    given.unwrap();
    assert!(began.elapsed() < GATHER, "{:?}", began.elapsed());
    // One of two.
    let (began, given) = (Instant::now(), give(&appender, "a", facts(2, 10)));
    let (given, ()) = tokio::join!(given, async {
        appender.one_more().await;
        appender.in_hand(2);
    });
    given.unwrap();
    assert!(began.elapsed() >= GATHER, "{:?}", began.elapsed());
    assert_eq!(log.appends(), [10, 10]);
}

#[tokio::test]
async fn a_log_that_fails_is_told_to_all_who_wait_and_may_be_asked_again() {
    let log = Watched::new();
    let appender = Appender::new(Arc::clone(&log) as Arc<dyn FactLog>);
    log.is_away.store(true, Relaxed);
    let given = || [1, 2].map(|archive| ("a", facts(archive, 100)));
    for refused in give_all(&appender, given()).await {
        assert!(matches!(refused, Err(WorkError::Ledger(Error::Store { .. }))), "{refused:?}");
    }
    log.is_away.store(false, Relaxed);
    assert!(give_all(&appender, given()).await.iter().all(Result::is_ok));
    assert_eq!(log.appends(), [200]);
}

#[tokio::test]
async fn who_does_not_wait_any_more_takes_nothing_with_it() {
    let log = Watched::new();
    let appender = Appender::new(Arc::clone(&log) as Arc<dyn FactLog>);
    let gone = tokio::time::timeout(GATHER / 10, give(&appender, "a", facts(1, 100))).await;
    assert!(gone.is_err());
    assert_eq!(appender.waiting(), 0);
    give(&appender, "a", facts(2, 100)).await.unwrap();
    assert_eq!(log.appends(), [200], "it was given, so it is appended");
    assert_eq!(appender.held.available_permits(), HELD_FACTS);
}
