//! A worker's place in the group: which partitions are its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dcmjoin_ledger::Error;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer as _, ConsumerContext, ConsumerGroupMetadata, Rebalance,
};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use crate::log::{OUTAGE_MAX, Shared, broke, failed};

/// Events that are taken at one look.
const EVENTS_MAX: usize = 100;
/// Brokers refuse groups whose members may be silent for less than this, as they are shipped.
const SESSION_MIN: Duration = Duration::from_secs(6);

/// Remembers what was taken away, also where it was given again at once.
#[derive(Default)]
struct Losses(Mutex<BTreeSet<i32>>);

impl ClientContext for Losses {}

impl ConsumerContext for Losses {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lost.extend(list.elements().iter().map(TopicPartitionListElem::partition));
        }
    }

    /// Facts are read by another client, from where the worker's state has them.
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            // Where it fails, records come that nobody looks at.
            let _ = consumer.pause(list);
        }
    }
}

/// A member of the group.
pub(crate) struct Member {
    consumer: BaseConsumer<Losses>,
}

impl Member {
    pub(crate) fn join(shared: &Shared, lease: Duration) -> Result<Self, Error> {
        let lease = lease.max(SESSION_MIN);
        let mut config = shared.config();
        config.set("group.id", shared.group()).set("enable.auto.commit", "false");
        config.set("partition.assignment.strategy", "cooperative-sticky");
        config.set("session.timeout.ms", lease.as_millis().to_string());
        config.set("max.poll.interval.ms", lease.as_millis().to_string());
        config.set("heartbeat.interval.ms", (lease / 6).as_millis().to_string());
        let made = config.create_with_context(Losses::default());
        let consumer: BaseConsumer<Losses> = made.map_err(|error| broke(&error))?;
        consumer.subscribe(&[&shared.halves()]).map_err(|error| broke(&error))?;
        Ok(Self { consumer })
    }

    /// Says that the worker is alive, and returns what it lost since the last time.
    pub(crate) fn look(&self) -> BTreeSet<i32> {
        for _ in 0..EVENTS_MAX {
            // Errors are brokers that are away and places that are lost: the client joins again.
            if self.consumer.poll(Duration::ZERO).is_none() {
                break;
            }
        }
        let mut lost = self.consumer.context().0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *lost)
    }

    pub(crate) fn partitions(&self) -> Result<BTreeSet<i32>, Error> {
        let list = self.consumer.assignment().map_err(|error| broke(&error))?;
        Ok(list.elements().iter().map(TopicPartitionListElem::partition).collect())
    }

    /// Returns up to where the group has told of its partitions.
    pub(crate) fn told(&self) -> Result<BTreeMap<i32, i64>, Error> {
        let told = self.consumer.committed(OUTAGE_MAX).map_err(|error| broke(&error))?;
        let known = told.elements().into_iter().filter_map(|told| match told.offset() {
            Offset::Offset(next) => Some((told.partition(), next)),
            _ => None,
        });
        Ok(known.collect())
    }

    /// Tells up to where partitions are settled. Where the group finds its order just then, it is told again later.
    pub(crate) fn tell(&self, list: &TopicPartitionList) -> bool {
        self.consumer.commit(list, CommitMode::Sync).is_ok()
    }

    /// Returns the member's place in the present generation, which the broker compares.
    pub(crate) fn metadata(&self) -> Result<ConsumerGroupMetadata, Error> {
        self.consumer.group_metadata().ok_or_else(|| failed("not in the group"))
    }
}
