//! Reads partitions of one topic from where the state has them, and knows when it was at their ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dcmjoin_ledger::Error;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Message as _, Timestamp};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::log::{Shared, broke};

/// What is fetched ahead, for all partitions together: the client takes some 600 bytes for a record of 200.
const AHEAD_KIB: &str = "2048";
const AHEAD: &str = "20000";
/// Bytes of one answer of a broker, and of one partition in it.
const FETCH_BYTES: &str = "1048576";
const PART_BYTES: &str = "262144";

/// How long it is waited for where partitions are.
const LEADERS_MAX: Duration = Duration::from_secs(2);

/// A record, as it lies in the client's memory.
pub(crate) struct Record<'a> {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) time: i64,
}

/// A topic's partitions, followed.
pub(crate) struct Follower {
    consumer: BaseConsumer,
    topic: String,
    ended: BTreeSet<i32>,
}

impl Follower {
    pub(crate) fn new(shared: &Shared, topic: &str) -> Result<Self, Error> {
        let mut config = shared.config();
        // It is in no group; the name is wanted all the same.
        config.set("group.id", shared.group());
        config.set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        config.set("isolation.level", "read_committed").set("auto.offset.reset", "error");
        config.set("queued.max.messages.kbytes", AHEAD_KIB).set("queued.min.messages", AHEAD);
        config.set("fetch.max.bytes", FETCH_BYTES).set("fetch.message.max.bytes", PART_BYTES);
        // Where enough is fetched, it looks soon whether that is still so.
        config.set("fetch.queue.backoff.ms", "5").set("fetch.wait.max.ms", "100");
        let consumer: BaseConsumer = config.create().map_err(|error| broke(&error))?;
        // Told where partitions are, it need not find that out when it is given some, which takes a second.
        // Who does not answer now is asked again then.
        let _ = consumer.fetch_metadata(Some(topic), LEADERS_MAX);
        Ok(Self { consumer, topic: topic.to_owned(), ended: BTreeSet::new() })
    }

    /// Returns whether a partition is known to have no records: to be told that by reading it takes longer.
    pub(crate) fn is_empty(&self, partition: i32) -> bool {
        let marks = self.consumer.fetch_watermarks(&self.topic, partition, LEADERS_MAX);
        marks.is_ok_and(|(first, end)| first == end)
    }

    /// Reads these partitions from now on, each from its offset, or from its start.
    pub(crate) fn assign(
        &mut self,
        partitions: impl IntoIterator<Item = i32>,
        positions: &BTreeMap<i32, i64>,
    ) -> Result<(), Error> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            let from =
                positions.get(&partition).map_or(Offset::Beginning, |&at| Offset::Offset(at));
            list.add_partition_offset(&self.topic, partition, from)
                .map_err(|error| broke(&error))?;
        }
        self.ended.clear();
        self.consumer.assign(&list).map_err(|error| broke(&error))
    }

    /// Returns the partitions whose end was reached since they were assigned.
    pub(crate) fn ended(&self) -> &BTreeSet<i32> {
        &self.ended
    }

    /// Gives what is there, at most `max` records; where nothing is, what comes first within a time. Returns how
    /// many there were; those before an error were given.
    pub(crate) fn read(
        &mut self,
        max: usize,
        wait: Duration,
        mut give: impl FnMut(&Record<'_>),
    ) -> Result<usize, Error> {
        let (mut count, mut left) = (0, wait);
        while count < max {
            let polled = self.consumer.poll(left);
            left = Duration::ZERO;
            match polled {
                None => break,
                Some(Ok(message)) => {
                    count += 1;
                    give(&Record {
                        partition: message.partition(),
                        offset: message.offset(),
                        key: message.key().unwrap_or_default(),
                        value: message.payload(),
                        time: time(message.timestamp()),
                    });
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.ended.insert(partition);
                }
                Some(Err(error)) => pass(&error)?,
            }
        }
        Ok(count)
    }
}

fn time(timestamp: Timestamp) -> i64 {
    timestamp.to_millis().unwrap_or_default()
}

/// Lets errors pass that the client mends by itself: brokers that are away.
fn pass(error: &KafkaError) -> Result<(), Error> {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset) => {
            Err(Error::Invalid(
                "the topics are not those that the state's folder was made from; remove the folder"
                    .to_owned(),
            ))
        }
        Some(
            RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::Resolve,
        ) => Ok(()),
        _ => Err(broke(error)),
    }
}
