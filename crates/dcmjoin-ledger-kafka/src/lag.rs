//! How far the workers' group is. Its offsets tell up to which fact all pairs of a partition are done
//! ([`crate::reader`]); so where it has reached the ends, there are none, and nobody need read the topics to know.

use std::time::{Duration, Instant};

use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::PARTITIONS;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use crate::log::{OUTAGE_MAX, Shared, broke};

/// The group's offsets beside the ends of the facts' topic.
pub(crate) struct Lag {
    consumer: BaseConsumer,
    topic: String,
    since: Option<Instant>,
}

impl Lag {
    pub(crate) fn open(shared: &Shared) -> Result<Self, Error> {
        let mut config = shared.config();
        config.set("group.id", shared.group()).set("enable.auto.commit", "false");
        let consumer = config.create().map_err(|error| broke(&error))?;
        Ok(Self { consumer, topic: shared.halves(), since: None })
    }

    /// Returns for how long the group has been behind, as far as this was asked; nothing where it is not.
    pub(crate) fn look(&mut self) -> Result<Option<Duration>, Error> {
        if self.is_there().map_err(|error| broke(&error))? {
            self.since = None;
            return Ok(None);
        }
        Ok(Some(self.since.get_or_insert_with(Instant::now).elapsed()))
    }

    fn is_there(&self) -> Result<bool, KafkaError> {
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition(&self.topic, i32::from(partition));
        }
        let told = self.consumer.committed_offsets(list, OUTAGE_MAX)?;
        for told in told.elements() {
            let (first, end) =
                self.consumer.fetch_watermarks(&self.topic, told.partition(), OUTAGE_MAX)?;
            let next = match told.offset() {
                Offset::Offset(next) => next,
                // Nothing was told of it yet.
                _ => first,
            };
            if next < end {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
