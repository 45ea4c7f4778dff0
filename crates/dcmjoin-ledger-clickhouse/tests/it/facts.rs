//! Facts on the real engine.

use std::time::Duration;

use dcmjoin_ledger_clickhouse::ClickHouse;

use crate::fact_suite::full;

/// Bytes of a disk that holds the tables, and is full soon.
const DISK: u64 = 128 << 20;
/// So short that a test can wait for it, and longer than a busy machine is silent.
const LEASE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_fact_log_does() {
    let server = dcmjoin_testkit::ClickHouse::start_on_disk(DISK).unwrap();
    let url = server.url().replace("http://", "clickhouse://");
    let log = ClickHouse::open(&url, None).await.unwrap().with_lease(LEASE);
    let other = ClickHouse::open(&url, None).await.unwrap().with_lease(LEASE);
    let subject = crate::fact_suite::Subject {
        log: &log,
        other: &other,
        restart: &|| server.kill_and_restart().unwrap(),
        silence: Some(LEASE + Duration::from_secs(1)),
    };
    crate::fact_suite::check(&subject).await;
    let ballast = server.disk().unwrap().ballast();
    let disk = full::Disk {
        fill: &|| ballast.fill().unwrap(),
        free: &|| ballast.free().unwrap(),
        says: Some("no space left on its disk"),
    };
    full::a_full_disk_loses_nothing(&subject, &disk, "full").await;
}
