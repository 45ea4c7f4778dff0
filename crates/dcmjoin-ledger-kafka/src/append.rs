//! Sends records, and waits until the brokers have them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dcmjoin_ledger::Error;
use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;

use crate::log::{OUTAGE_MAX, Shared, broke, failed};

/// The client's queue is full for so long at most, while brokers take what is in it.
const FULL_MAX: Duration = Duration::from_secs(60);
const FULL_AGAIN: Duration = Duration::from_millis(5);

/// A record to be sent; without a value it forgets.
pub(crate) struct Item {
    pub(crate) partition: u16,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

/// What is left of records that were sent together.
struct Batch {
    left: AtomicUsize,
    has_failed: AtomicBool,
    told: Notify,
}

impl Batch {
    fn count_down(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.told.notify_one();
        }
    }
}

struct Deliveries;

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Batch>;

    fn delivery(&self, result: &DeliveryResult<'_>, batch: Arc<Batch>) {
        if result.is_err() {
            batch.has_failed.store(true, Ordering::Release);
        }
        batch.count_down();
    }
}

/// A producer whose records come once each and in order.
pub(crate) struct Appender {
    producer: ThreadedProducer<Deliveries>,
}

impl Appender {
    pub(crate) fn new(shared: &Shared) -> Result<Self, Error> {
        let mut config = shared.config();
        config.set("enable.idempotence", "true").set("acks", "all");
        config.set("compression.type", "lz4").set("linger.ms", "10");
        config.set("message.timeout.ms", OUTAGE_MAX.as_millis().to_string());
        // The bound of what waits to be sent.
        config.set("queue.buffering.max.messages", "200000");
        config.set("queue.buffering.max.kbytes", "65536");
        let producer = config.create_with_context(Deliveries).map_err(|error| broke(&error))?;
        Ok(Self { producer })
    }

    /// Returns when all records are on as many brokers as the topic wants.
    pub(crate) async fn append(
        &self,
        topic: &str,
        items: impl Iterator<Item = Item> + Send,
    ) -> Result<(), Error> {
        // One more than was sent, so that it is not over before all are.
        let left = AtomicUsize::new(1);
        let batch =
            Arc::new(Batch { left, has_failed: AtomicBool::new(false), told: Notify::new() });
        for item in items {
            self.send(topic, &item, &batch).await?;
        }
        batch.count_down();
        // Each delivery is told of, at the latest when its time is over.
        batch.told.notified().await;
        if batch.has_failed.load(Ordering::Acquire) {
            return Err(failed("the brokers did not take all of an append"));
        }
        Ok(())
    }

    async fn send(&self, topic: &str, item: &Item, batch: &Arc<Batch>) -> Result<(), Error> {
        let until = Instant::now() + FULL_MAX;
        loop {
            let record = BaseRecord::with_opaque_to(topic, Arc::clone(batch));
            let record = record.partition(i32::from(item.partition)).key(&item.key);
            let record = match &item.value {
                Some(value) => record.payload(value),
                None => record,
            };
            batch.left.fetch_add(1, Ordering::AcqRel);
            let Err((error, _)) = self.producer.send(record) else { return Ok(()) };
            batch.left.fetch_sub(1, Ordering::AcqRel);
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            if error != full || Instant::now() > until {
                return Err(broke(&error));
            }
            tokio::time::sleep(FULL_AGAIN).await;
        }
    }
}
