//! How far the workers' group is. Its offsets tell up to which fact all pairs of a partition are done
//! ([`crate::reader`]); so where it has reached the ends, there are none, and nobody need read the topics to know.

use std::time::{Duration, Instant};

use dcmjoin_ledger::Error;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use crate::log::{OUTAGE_MAX, Shared, broke};
use crate::parts::Parts;

/// The group's offsets beside the ends of the facts' topic.
pub(crate) struct Lag {
    consumer: BaseConsumer,
    topic: String,
    parts: Parts,
    since: Option<Instant>,
}

impl Lag {
    pub(crate) fn open(shared: &Shared) -> Result<Self, Error> {
        let mut config = shared.config();
        config.set("group.id", shared.group()).set("enable.auto.commit", "false");
        let consumer = config.create().map_err(|error| broke(&error))?;
        Ok(Self { consumer, topic: shared.halves(), parts: shared.parts(), since: None })
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
        let told =
            self.consumer.committed_offsets(self.partitions(Offset::Invalid)?, OUTAGE_MAX)?;
        // Where an offset is asked for that has no time, brokers tell the end: all of them at once.
        let ends = self.consumer.offsets_for_times(self.partitions(Offset::End)?, OUTAGE_MAX)?;
        for end in ends.elements() {
            let Offset::Offset(end_at) = end.offset() else { return Ok(false) };
            let told = told.find_partition(&self.topic, end.partition()).map(|told| told.offset());
            let next = match told {
                Some(Offset::Offset(next)) => next,
                // Nothing was told of it yet, and something may have been compacted.
                _ if end_at > 0 => self.first(end.partition())?,
                _ => 0,
            };
            if next < end_at {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn partitions(&self, offset: Offset) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::new();
        for partition in self.parts.all() {
            list.add_partition_offset(&self.topic, i32::from(partition), offset)?;
        }
        Ok(list)
    }

    fn first(&self, partition: i32) -> Result<i64, KafkaError> {
        Ok(self.consumer.fetch_watermarks(&self.topic, partition, OUTAGE_MAX)?.0)
    }
}
