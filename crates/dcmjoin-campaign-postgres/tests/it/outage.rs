//! A server that is restarted or killed while journals are written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dcmjoin_campaign::ledger::{Change, Select, Shelf};
use dcmjoin_campaign_postgres::Database;
use dcmjoin_restore::moment::Moment;
use dcmjoin_testkit::Postgres;

use crate::shelves::{campaign, started};

/// Outages, while one thread commits all the time.
const OUTAGES: u32 = 4;

/// Commits until the server has gone through its outages; what was acknowledged must be there, once.
fn through_outages(outage: impl Fn(&Postgres) + Sync) {
    let server = Postgres::start().unwrap();
    let shelf = Database::at(&server.create_database().unwrap()).unwrap();
    let ledger = campaign(&shelf, "a", 3);
    let lease = ledger.take("me").unwrap();
    let mut archive = ledger.page(Select::In(1, "planned"), 0, 1).unwrap().remove(0);
    let over = AtomicBool::new(false);
    let mut commits: u64 = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..OUTAGES {
                std::thread::sleep(Duration::from_millis(300));
                outage(&server);
            }
            over.store(true, Ordering::Relaxed);
        });
        // One more after the last outage.
        while !over.load(Ordering::Relaxed) || commits == 0 {
            commits += 1;
            archive.bytes = commits;
            let rows = [(archive.clone(), None)];
            let counts = [("commits", 1)];
            let change = Change { archives: &rows, counts: &counts, ..Change::default() };
            ledger.commit(lease, &change).unwrap();
        }
    });
    let opened = shelf.open("a").unwrap();
    // A commit that was made again after its answer was lost counts once.
    assert_eq!(opened.standing().unwrap().counts["commits"], commits);
    let page = opened.page(Select::In(1, "planned"), 0, 1).unwrap();
    assert_eq!(page[0].bytes, commits);
    assert!(commits > u64::from(OUTAGES), "only {commits} commits");
    // The lease was kept throughout, and is still its holder's alone.
    ledger.beat(lease).unwrap();
    assert!(opened.take("another").is_err());
}

#[test]
fn a_server_that_is_restarted_mid_commit_loses_nothing() {
    through_outages(|server| server.restart().unwrap());
}

#[test]
fn a_server_that_is_killed_mid_commit_loses_nothing() {
    through_outages(|server| server.kill_and_restart().unwrap());
}

#[test]
fn what_a_server_refuses_is_told_without_values() {
    let server = Postgres::start().unwrap();
    let url = server.create_database().unwrap();
    let shelf = Database::at(&url).unwrap();
    let ledger = campaign(&shelf, "a", 1);
    let lease = ledger.take("me").unwrap();
    let archive = ledger.page(Select::Open, 0, 1).unwrap();
    assert!(archive.is_empty());
    let mut row = ledger.page(Select::In(1, "planned"), 0, 1).unwrap().remove(0);
    row = started(&row, Moment::from_epoch_secs(1_773_135_000)).0;
    row.id = 0;
    row.place.key = "patient-name\0".into();
    let refused = ledger.add(&[row]).unwrap_err().to_string();
    assert!(refused.contains("PostgreSQL") && !refused.contains("patient"), "{refused}");
    ledger.beat(lease).unwrap();
}
