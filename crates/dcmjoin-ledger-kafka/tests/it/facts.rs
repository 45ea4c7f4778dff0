//! Facts on real brokers.

use std::time::Duration;

use dcmjoin_ledger_kafka::Kafka;

/// So short that a test can wait for it, and longer than a busy machine is silent.
const LEASE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_fact_log_does() {
    let server = dcmjoin_testkit::Kafka::start().unwrap();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let brokers = server.bootstrap();
    let log = Kafka::open(&brokers, "facts", one.path()).await.unwrap().with_lease(LEASE);
    let other = Kafka::open(&brokers, "facts", two.path()).await.unwrap().with_lease(LEASE);
    let subject = crate::fact_suite::Subject {
        log: &log,
        other: &other,
        restart: &|| server.kill_and_restart().unwrap(),
        silence: Some(LEASE + Duration::from_secs(5)),
    };
    crate::fact_suite::check(&subject).await;
}
