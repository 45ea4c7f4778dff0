//! Facts on real brokers.

use std::time::Duration;

use dcmjoin_ledger_kafka::Kafka;
use tokio::sync::Mutex;

use crate::fact_suite::full;

/// So short that a test can wait for it, and longer than a busy machine is silent.
const LEASE: Duration = Duration::from_secs(10);
/// Bytes of a disk that holds the topics, and is full soon.
const DISK: u64 = 128 << 20;

/// Brokers are heavy: those of one test at a time.
static BROKERS: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_fact_log_does() {
    let _alone = BROKERS.lock().await;
    let server = dcmjoin_testkit::Kafka::start_on_disk(DISK).unwrap();
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
    // A broker whose only disk takes nothing ends, and whoever keeps it starts it again.
    let ballast = server.disk().unwrap().ballast();
    let disk = full::Disk {
        fill: &|| ballast.fill().unwrap(),
        free: &|| {
            ballast.free().unwrap();
            server.kill_and_restart().unwrap();
        },
        says: None,
    };
    full::a_full_disk_loses_nothing(&subject, &disk, "full").await;
}

/// The topics' own number counts, whatever an address says of those that are made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_keep_their_partitions() {
    let _alone = BROKERS.lock().await;
    let server = dcmjoin_testkit::Kafka::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let brokers = server.bootstrap();
    for (made, then) in [("?partitions=64", ""), ("?partitions=1", "?partitions=32")] {
        let prefix = format!("kafka://{brokers}/kept-{}", made.trim_start_matches("?partitions="));
        let open = async |settings: &str| {
            let address = format!("{prefix}{settings}").parse().unwrap();
            let log = Kafka::connect(address, None, folder.path()).await.unwrap();
            log.with_lease(LEASE)
        };
        let (log, other) = (open(made).await, open(then).await);
        let subject = crate::fact_suite::Subject {
            log: &log,
            other: &other,
            restart: &|| server.kill_and_restart().unwrap(),
            silence: None,
        };
        crate::fact_suite::pairs_come_in_any_order_and_the_rest_is_listed(&subject).await;
    }
}

/// Three brokers, each record on all of them, acknowledged by two; one is killed for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_a_broker_loses_nothing() {
    let _alone = BROKERS.lock().await;
    let server = dcmjoin_testkit::Kafka::start_three().unwrap();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let brokers = server.bootstrap();
    let log = Kafka::open(&brokers, "facts", one.path()).await.unwrap().with_lease(LEASE);
    let other = Kafka::open(&brokers, "facts", two.path()).await.unwrap().with_lease(LEASE);
    let silence = LEASE + Duration::from_secs(5);
    let subject = crate::fact_suite::Subject {
        log: &log,
        other: &other,
        restart: &|| server.kill(0),
        silence: Some(silence),
    };
    crate::fact_suite::a_server_that_is_killed_loses_nothing(&subject).await;
    // What is left of the cluster tells zombies as all of it does.
    crate::fact_suite::readers::a_silent_reader_is_kept_out(&subject, silence).await;
}

/// Companies' brokers ask for TLS and a user: appends, readers and *done* all go that way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secured_listener_lets_in_who_knows_the_password() {
    let _alone = BROKERS.lock().await;
    let server = dcmjoin_testkit::Kafka::start_secured().unwrap();
    let (address, password) = server.secured("facts").unwrap();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let connect = |address: &str, password: &str, folder: &std::path::Path| {
        let (address, folder) = (address.parse().unwrap(), folder.to_owned());
        let password = Some(password.to_owned());
        async move { Kafka::connect(address, password, &folder).await }
    };
    let log = connect(&address, password, one.path()).await.unwrap().with_lease(LEASE);
    let other = connect(&address, password, two.path()).await.unwrap().with_lease(LEASE);
    let subject = crate::fact_suite::Subject {
        log: &log,
        other: &other,
        restart: &|| server.kill_and_restart().unwrap(),
        silence: None,
    };
    crate::fact_suite::pairs_come_in_any_order_and_the_rest_is_listed(&subject).await;
    let (untrusted, _) = address.split_once('?').unwrap();
    for (address, password) in [(address.as_str(), "guess"), (untrusted, password)] {
        let error = connect(address, password, one.path()).await.unwrap_err().to_string();
        assert!(error.contains("KAFKA_PASSWORD"), "{error}");
        assert!(!error.contains("guess") && !error.contains(password), "{error}");
    }
}
