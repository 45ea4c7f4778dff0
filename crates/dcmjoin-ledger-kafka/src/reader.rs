//! A worker's partitions: the group parts them; their pairs come from the worker's own state.
//!
//! **The group's offsets.** An offset tells that all pairs among the facts before it are done, whoever tells it and
//! when: a pair that is done stays so. It is told with the pairs that make it true, in one transaction, or by itself
//! where no pair was left. So the group's lag is what is still to be done, and no lag means no pairs.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::{FACTS_MAX, FactReader, Pair};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};

use crate::follower::Follower;
use crate::log::{OUTAGE_MAX, Shared, blocking, broke, end_beside};
use crate::member::Member;
use crate::message::{Item, done_to_items, pair_key};
use crate::parts::Parts;
use crate::search::Search;
use crate::state::{State, Topic};

/// How long a topic is listened to at once.
const LISTEN: Duration = Duration::from_millis(50);
/// How long a look goes on while more comes: until it has pairs, and until it has none, which is a part of the
/// shortest lease.
const CATCH_UP: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];
/// How often it looks whether the brokers have all records of a transaction.
const FLUSH_EVERY: Duration = Duration::from_millis(2);
/// How often a *done* is said again while the group finds its order.
const TRIES: usize = 20;
const TRY_AFTER: Duration = Duration::from_millis(500);

/// A worker's part.
pub(crate) struct Reader(Arc<Mutex<Part>>);

struct Part {
    shared: Arc<Shared>,
    worker: String,
    member: Member,
    halves: Follower,
    pairs: Follower,
    state: State,
    owned: BTreeSet<i32>,
    /// The group's offsets of those.
    told: BTreeMap<i32, i64>,
    /// Where it looks for pairs, and what it has given.
    search: Search,
    producer: Option<BaseProducer>,
}

impl Reader {
    pub(crate) fn open(shared: Arc<Shared>, worker: &str, lease: Duration) -> Result<Self, Error> {
        let part = Part {
            worker: worker.to_owned(),
            member: Member::join(&shared, lease)?,
            halves: Follower::new(&shared, &shared.halves())?,
            pairs: Follower::new(&shared, &shared.pairs())?,
            state: State::open(shared.folder(), shared.parts())?,
            owned: BTreeSet::new(),
            told: BTreeMap::new(),
            search: Search::new(shared.parts()),
            producer: None,
            shared,
        };
        Ok(Self(Arc::new(Mutex::new(part))))
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Part) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let part = Arc::clone(&self.0);
        blocking(move || work(&mut lock(&part))).await
    }
}

fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl FactReader for Reader {
    async fn look(&mut self, max: usize) -> Result<Vec<Pair>, Error> {
        self.with(move |part| {
            let looked = part.look(max.min(FACTS_MAX));
            if looked.is_err() {
                // What was taken in or given by then reached nobody: all is looked at again.
                part.search = Search::new(part.shared.parts());
            }
            looked
        })
        .await
    }

    async fn done(&mut self, pairs: &[Pair]) -> Result<(), Error> {
        let parts = lock(&self.0).shared.parts();
        let pairs: Vec<Done> = pairs.iter().map(|pair| Done::of(pair, parts)).collect();
        self.with(move |part| part.done(pairs)).await
    }

    async fn again(&mut self) -> Result<(), Error> {
        let mut part = lock(&self.0);
        part.search = Search::new(part.shared.parts());
        Ok(())
    }

    fn partitions(&self) -> Vec<u16> {
        let part = lock(&self.0);
        let parts = part.shared.parts();
        part.owned.iter().flat_map(|&partition| parts.held(partition)).collect()
    }

    async fn leave(self: Box<Self>) -> Result<(), Error> {
        let part = self.0;
        blocking(move || {
            let part = Arc::into_inner(part).map(Mutex::into_inner);
            let Some(Part { member, halves, pairs, producer, .. }) =
                part.map(|part| part.unwrap_or_else(PoisonError::into_inner))
            else {
                return Ok(());
            };
            end_beside((halves, pairs, producer));
            // One that is dropped tells the group.
            drop(member);
            Ok(())
        })
        .await
    }
}

impl Part {
    /// Returns pairs that are known, or takes in what has come.
    fn look(&mut self, max: usize) -> Result<Vec<Pair>, Error> {
        self.own()?;
        let known = self.found(max)?;
        if !known.is_empty() {
            return Ok(known);
        }
        let [soon, until] = CATCH_UP.map(|time| Instant::now() + time);
        // Where something has come, there is more to do than to wait.
        let mut is_quiet = false;
        loop {
            self.own()?;
            let [for_facts, for_done] = match is_quiet {
                false => [Duration::ZERO; 2],
                true if self.lacks(&self.halves) || !self.lacks(&self.pairs) => {
                    [LISTEN, Duration::ZERO]
                }
                true => [Duration::ZERO, LISTEN],
            };
            let state = &mut self.state;
            let facts = state.follow(Topic::Halves, &mut self.halves, for_facts)?;
            self.search.note(facts.new);
            let done = state.follow(Topic::Pairs, &mut self.pairs, for_done)?;
            if Instant::now() >= soon {
                let found = self.found(max)?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
            let has_waited = std::mem::replace(&mut is_quiet, facts.records + done.records == 0);
            let has_all = !self.lacks(&self.halves) && !self.lacks(&self.pairs);
            if (is_quiet && has_waited && has_all) || Instant::now() >= until {
                let found = self.found(max)?;
                if found.is_empty() {
                    self.tell()?;
                }
                return Ok(found);
            }
        }
    }

    /// Learns which partitions are this worker's, and follows just those.
    fn own(&mut self) -> Result<(), Error> {
        let lost = self.member.look();
        let owned = self.member.partitions()?;
        if lost.is_empty() && owned == self.owned {
            return Ok(());
        }
        self.told = self.member.told()?;
        self.search.keep(|partition| owned.contains(&partition) && !lost.contains(&partition));
        for (topic, follower) in
            [(Topic::Halves, &mut self.halves), (Topic::Pairs, &mut self.pairs)]
        {
            follower.assign(owned.iter().copied(), self.state.positions(topic))?;
        }
        self.owned = owned;
        Ok(())
    }

    /// Tells what is settled, where that is more than the group knows.
    fn tell(&mut self) -> Result<(), Error> {
        let mut settled = self.settled(&[]);
        settled.retain(|partition, next| self.told.get(partition).is_none_or(|told| told < next));
        if settled.is_empty() {
            return Ok(());
        }
        let list = self.list(&settled).map_err(|error| broke(&error))?;
        if self.member.tell(&list) {
            self.told.extend(settled);
        }
        Ok(())
    }

    /// Returns the partitions that have no pairs left once these are done, each with the offset of the first fact
    /// that was not looked at.
    fn settled(&self, done: &[Done]) -> BTreeMap<i32, i64> {
        let done: HashSet<&[u8]> = done.iter().map(|pair| pair.key.as_slice()).collect();
        let settled = self.search.settled(&done);
        let mut positions = self.state.positions(Topic::Halves).clone();
        positions
            .retain(|partition, _| settled.contains(partition) && self.owned.contains(partition));
        positions
    }

    fn list(&self, offsets: &BTreeMap<i32, i64>) -> Result<TopicPartitionList, KafkaError> {
        let (mut list, topic) = (TopicPartitionList::new(), self.shared.halves());
        for (&partition, &next) in offsets {
            list.add_partition_offset(&topic, partition, Offset::Offset(next))?;
        }
        Ok(list)
    }

    /// Returns pairs of partitions that were read to their ends: before, what is done may not be known.
    fn found(&mut self, max: usize) -> Result<Vec<Pair>, Error> {
        let ended: BTreeSet<i32> = &(&self.owned & self.halves.ended()) & self.pairs.ended();
        self.search.find(&self.state, &ended, max)
    }

    /// Returns whether a topic was not read to the ends of all of this worker's partitions.
    fn lacks(&self, topic: &Follower) -> bool {
        !self.owned.is_subset(topic.ended())
    }

    fn done(&mut self, pairs: Vec<Done>) -> Result<(), Error> {
        if pairs.is_empty() {
            return Ok(());
        }
        for attempt in 1..=TRIES {
            self.own()?;
            if pairs.iter().any(|pair| !self.owned.contains(&pair.partition)) {
                return Err(Error::Fenced);
            }
            let offsets = self.offsets(&pairs);
            match self.say_done(&pairs, &offsets) {
                Ok(()) => {
                    self.told.extend(offsets);
                    break;
                }
                Err(error) => {
                    let is_moving = is_moving(&error);
                    self.drop_transaction(&error);
                    if !is_moving {
                        return Err(broke(&error));
                    }
                    if attempt == TRIES {
                        return Err(Error::Fenced);
                    }
                    std::thread::sleep(TRY_AFTER);
                }
            }
        }
        let keys: Vec<Vec<u8>> = pairs.into_iter().map(|pair| pair.key).collect();
        self.state.done(&keys)?;
        self.search.forget(&keys);
        Ok(())
    }

    /// One transaction: pairs in records, and what is settled with them.
    fn say_done(&mut self, pairs: &[Done], offsets: &BTreeMap<i32, i64>) -> Result<(), KafkaError> {
        let metadata = self.member.metadata().map_err(|_| moving())?;
        let offsets = self.list(offsets)?;
        let (topic, parts) = (self.shared.pairs(), self.shared.parts());
        let producer = self.producer()?;
        producer.begin_transaction()?;
        for item in done_to_items(parts, pairs.iter().map(|pair| pair.key.as_slice())) {
            send(producer, &topic, &item)?;
        }
        producer.send_offsets_to_transaction(&offsets, &metadata, OUTAGE_MAX)?;
        // The client's own flush, which the commit begins with, looks no more often than each 100 ms.
        let until = Instant::now() + OUTAGE_MAX;
        while producer.in_flight_count() > 0 && Instant::now() < until {
            // The client's own wait spins through its last millisecond.
            producer.poll(Duration::ZERO);
            std::thread::sleep(FLUSH_EVERY);
        }
        producer.commit_transaction(OUTAGE_MAX)
    }

    /// Returns the offsets of these pairs' partitions: where one is not settled with them, what was told before. The broker
    /// compares the generation only with offsets.
    fn offsets(&self, pairs: &[Done]) -> BTreeMap<i32, i64> {
        let settled = self.settled(pairs);
        let next = |partition: i32| {
            let next = settled.get(&partition).or_else(|| self.told.get(&partition));
            (partition, next.copied().unwrap_or_default())
        };
        pairs.iter().map(|pair| next(pair.partition)).collect()
    }

    /// Returns the producer; a new one ends what another of the same worker left open.
    fn producer(&mut self) -> Result<&BaseProducer, KafkaError> {
        if self.producer.is_none() {
            let mut config = self.shared.config();
            let id = format!("{}-{}", self.shared.group(), self.worker);
            config.set("transactional.id", id).set("compression.type", "lz4");
            config.set("transaction.timeout.ms", OUTAGE_MAX.as_millis().to_string());
            let producer: BaseProducer = config.create()?;
            producer.init_transactions(OUTAGE_MAX)?;
            self.producer = Some(producer);
        }
        Ok(self.producer.as_ref().expect("it was made just now"))
    }

    fn drop_transaction(&mut self, error: &KafkaError) {
        let Some(producer) = self.producer.take() else { return };
        let is_fatal = matches!(error, KafkaError::Transaction(error) if error.is_fatal());
        if !is_fatal && producer.abort_transaction(OUTAGE_MAX).is_ok() {
            self.producer = Some(producer);
        }
    }
}

/// A pair that is done, as its record has it.
struct Done {
    partition: i32,
    key: Vec<u8>,
}

impl Done {
    fn of(pair: &Pair, parts: Parts) -> Self {
        let fact = &pair.metadata;
        let key = pair_key(pair.campaign.as_str(), fact.fingerprint, fact.uid.as_str());
        Self { partition: i32::from(parts.of(fact.fingerprint)), key }
    }
}

fn send(producer: &BaseProducer, topic: &str, item: &Item) -> Result<(), KafkaError> {
    let until = Instant::now() + OUTAGE_MAX;
    loop {
        let value = item.value.as_deref().unwrap_or_default();
        let record = BaseRecord::to(topic).partition(i32::from(item.partition));
        let record = record.key(&item.key).payload(value);
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(Code::QueueFull), _)) if Instant::now() < until => {
                producer.poll(LISTEN);
            }
            Err((error, _)) => return Err(error),
        }
    }
}

fn moving() -> KafkaError {
    KafkaError::Global(Code::RebalanceInProgress)
}

/// Returns whether the group is finding its order, or this worker is no longer in it.
fn is_moving(error: &KafkaError) -> bool {
    let code = match error {
        KafkaError::Transaction(error) => Some(error.code()),
        error => error.rdkafka_error_code(),
    };
    matches!(
        code,
        Some(
            Code::IllegalGeneration
                | Code::UnknownMemberId
                | Code::RebalanceInProgress
                | Code::FencedInstanceId
                | Code::ProducerFenced
                | Code::InvalidProducerEpoch
                | Code::Fenced
        )
    )
}
