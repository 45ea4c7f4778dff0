//! Sends records, and waits until the brokers have them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dcmjoin_ledger::Error;
use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;

use crate::log::{OUTAGE_MAX, Shared, broke, failed};
use crate::message::Item;

/// The client's queue is full for so long at most, while brokers take what is in it.
const FULL_MAX: Duration = Duration::from_secs(60);
const FULL_AGAIN: Duration = Duration::from_millis(5);

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

/// A producer whose records come once each and in order. One that lost its way, since a broker did,
/// is never right again, and another takes its place.
pub(crate) struct Appender {
    shared: Arc<Shared>,
    producer: Mutex<Producer>,
}

type Producer = Arc<ThreadedProducer<Deliveries>>;

impl Appender {
    pub(crate) fn new(shared: Arc<Shared>) -> Result<Self, Error> {
        let producer = Mutex::new(Self::producer(&shared)?);
        Ok(Self { shared, producer })
    }

    fn producer(shared: &Shared) -> Result<Producer, Error> {
        let mut config = shared.config();
        config.set("enable.idempotence", "true").set("acks", "all");
        // A record has many facts: there is little to wait for.
        config.set("compression.type", "lz4").set("linger.ms", "1");
        config.set("message.timeout.ms", OUTAGE_MAX.as_millis().to_string());
        // The bound of what waits to be sent.
        config.set("queue.buffering.max.messages", "200000");
        config.set("queue.buffering.max.kbytes", "65536");
        let made = config.create_with_context(Deliveries).map_err(|error| broke(&error))?;
        Ok(Arc::new(made))
    }

    fn sound(&self) -> Result<Producer, Error> {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if producer.client().fatal_error().is_some() {
            *producer = Self::producer(&self.shared)?;
        }
        Ok(Arc::clone(&producer))
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
        let producer = self.sound()?;
        for item in items {
            send(&producer, topic, &item, &batch).await?;
        }
        batch.count_down();
        // Each delivery is told of, at the latest when its time is over.
        batch.told.notified().await;
        if batch.has_failed.load(Ordering::Acquire) {
            return Err(failed("the brokers did not take all of an append"));
        }
        Ok(())
    }
}

async fn send(
    producer: &Producer,
    topic: &str,
    item: &Item,
    batch: &Arc<Batch>,
) -> Result<(), Error> {
    let until = Instant::now() + FULL_MAX;
    loop {
        let record = BaseRecord::with_opaque_to(topic, Arc::clone(batch));
        let record = record.partition(i32::from(item.partition)).key(&item.key);
        let record = match &item.value {
            Some(value) => record.payload(value),
            None => record,
        };
        batch.left.fetch_add(1, Ordering::AcqRel);
        let Err((error, _)) = producer.send(record) else { return Ok(()) };
        batch.left.fetch_sub(1, Ordering::AcqRel);
        let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
        if error != full || Instant::now() > until {
            return Err(broke(&error));
        }
        tokio::time::sleep(FULL_AGAIN).await;
    }
}
