//! Facts on the real engine.

use std::time::Duration;

use dcmjoin_ledger_clickhouse::ClickHouse;

/// So short that a test can wait for it, and longer than a busy machine is silent.
const LEASE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_fact_log_does() {
    let server = dcmjoin_testkit::ClickHouse::start().unwrap();
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
}
