//! Facts on a real server.

use std::time::Duration;

use dcmjoin_ledger_postgres::Postgres;

use crate::fact_suite::full;

/// Bytes of a disk that holds a cluster, and is full soon.
const DISK: u64 = 128 << 20;
/// More than what the log has in files that it uses again.
const FILL_LOG: &str = "
SELECT pg_logical_emit_message(true, 'ballast', repeat('x', 1000000)) FROM generate_series(1, 100)";
/// So short that a test can wait for it, and longer than a busy machine is silent.
const LEASE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_fact_log_does() {
    let server = dcmjoin_testkit::Postgres::start_on_disk(DISK).unwrap();
    let url = server.create_database().unwrap();
    let log = Postgres::open(&url).await.unwrap().with_lease(LEASE);
    let other = Postgres::open(&url).await.unwrap().with_lease(LEASE);
    let subject = crate::fact_suite::Subject {
        log: &log,
        other: &other,
        restart: &|| server.kill_and_restart().unwrap(),
        silence: Some(LEASE + Duration::from_secs(1)),
    };
    crate::fact_suite::check(&subject).await;
    let ballast = server.disk().unwrap().ballast();
    let tables = full::Disk {
        fill: &|| ballast.fill().unwrap(),
        free: &|| ballast.free().unwrap(),
        says: Some("No space left on device (53100)"),
    };
    full::a_full_disk_loses_nothing(&subject, &tables, "full").await;
    // Where its own log cannot grow, the server ends, and whoever keeps it starts it again.
    let log = full::Disk {
        fill: &|| {
            // A database that nobody has used cannot be used without space.
            drop(server.sql("SELECT 1"));
            ballast.fill().unwrap();
            drop(server.sql(FILL_LOG));
        },
        free: &|| {
            ballast.free().unwrap();
            server.kill_and_restart().unwrap();
        },
        says: None,
    };
    full::a_full_disk_loses_nothing(&subject, &log, "full-log").await;
    assert!(server.log().contains("PANIC"), "{}", server.log());
}
