//! Everything that the emulator knows, behind one lock; and what the clock does to it.
//!
//! **Invariants.** Whoever enters finds all that was due by then done, in its order
//! ([`Shared::enter`]). A temporary copy's bytes are in the ledger from its completion to its
//! end, whatever ends it.

use std::collections::BTreeMap;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use s3s::S3Result;
use tokio::sync::Notify;

use crate::agenda::{Agenda, Ticker};
use crate::batch::Job;
use crate::body::Body;
use crate::bucket::{Bucket, Name};
use crate::class::StorageClass;
use crate::error;
use crate::event::EventKind;
use crate::fault::{Effect, EventEffect, FaultList};
use crate::ledger::Book;
use crate::object::{Object, Tag};
use crate::options::{Options, TimeKind};
use crate::queue::Queue;
use crate::random::Row;
use crate::rate::Bucket as Tokens;
use crate::request::Kind;
use crate::restore::Copy;
use crate::rule::Rule;
use crate::spool::Spool;
use crate::time::Time;

/// What happens at its time.
#[derive(Debug)]
pub(crate) enum Due {
    /// A retrieval ends.
    Restored { bucket: Name, key: Name, id: u64 },
    /// A copy goes.
    Expired { bucket: Name, key: Name, id: u64 },
    /// A batch job does its next step.
    Job { id: String },
    /// A message reaches its queue.
    Message(crate::posting::Letter),
}

/// The world, and the bells that ring when it changes.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    /// Where long uploads are kept.
    pub(crate) spool: Option<Spool>,
    /// Rings when something may be due earlier than before.
    pub(crate) moved: Notify,
    /// Rings when a queue has got a message.
    pub(crate) arrived: Notify,
    /// Rings when there are messages for other servers.
    pub(crate) mail: Notify,
}

impl Shared {
    pub(crate) fn new(options: Options) -> io::Result<Self> {
        let spool = options.spool.as_deref().map(Spool::new).transpose()?;
        let world = Mutex::new(World::new(options));
        let (moved, arrived, mail) = (Notify::new(), Notify::new(), Notify::new());
        Ok(Self { world, spool, moved, arrived, mail })
    }

    /// Enters the world as it is now.
    pub(crate) fn enter(&self) -> Inside<'_> {
        // A panic elsewhere has failed its own request; the others go on.
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle();
        Inside { shared: self, world }
    }

    /// Does what is due, and returns how long it is until the next thing, in real time.
    pub(crate) fn tick(&self) -> Option<Duration> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle();
        self.ring(&mut world);
        world.planned = world.next_due();
        let due = world.planned?;
        world.ticker.wait_for(due)
    }

    fn ring(&self, world: &mut World) {
        if std::mem::take(&mut world.arrived) {
            self.arrived.notify_waiters();
        }
        if !world.outbox.is_empty() {
            self.mail.notify_one();
        }
    }
}

/// Being inside; leaving rings the bells.
pub(crate) struct Inside<'a> {
    shared: &'a Shared,
    world: MutexGuard<'a, World>,
}

impl Deref for Inside<'_> {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Inside<'_> {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if self.world.is_due_earlier() {
            self.shared.moved.notify_one();
        }
        self.shared.ring(&mut self.world);
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) ticker: Ticker,
    /// The time of what is being done.
    pub(crate) now: Time,
    pub(crate) agenda: Agenda<Due>,
    pub(crate) buckets: BTreeMap<Name, Bucket>,
    pub(crate) queues: BTreeMap<String, Queue>,
    /// The rules of the event bus.
    pub(crate) rules: BTreeMap<String, Rule>,
    pub(crate) jobs: BTreeMap<String, Job>,
    pub(crate) book: Book,
    pub(crate) request_faults: FaultList<Effect, Kind>,
    pub(crate) event_faults: FaultList<EventEffect, EventKind>,
    pub(crate) row: Row,
    pub(crate) restore_tokens: Option<Tokens>,
    /// Bytes of objects in memory.
    pub(crate) memory_bytes: u64,
    /// Messages for other servers, until they are sent.
    pub(crate) outbox: Vec<(String, String)>,
    /// For when the keeper of the clock has set its alarm.
    pub(crate) planned: Option<Time>,
    /// A queue has got a message since somebody left.
    pub(crate) arrived: bool,
    born: Instant,
    ids: u64,
}

impl World {
    fn new(options: Options) -> Self {
        let (start, seed) = (options.start, options.seed);
        Self {
            ticker: Ticker::new(start, options.factor),
            now: start,
            agenda: Agenda::new(),
            buckets: BTreeMap::new(),
            queues: BTreeMap::new(),
            rules: BTreeMap::new(),
            jobs: BTreeMap::new(),
            book: Book::new(start),
            request_faults: FaultList::new(seed ^ 1),
            event_faults: FaultList::new(seed ^ 2),
            row: Row::new(seed ^ 3),
            restore_tokens: options.restore_rate.map(|rate| Tokens::new(rate.per_second)),
            memory_bytes: 0,
            outbox: Vec::new(),
            planned: None,
            arrived: false,
            born: Instant::now(),
            ids: 0,
            options,
        }
    }

    /// Does what is due, each thing at its own time.
    pub(crate) fn settle(&mut self) {
        let target = self.ticker.now();
        while let Some((due, what)) = self.agenda.take(target) {
            // A thing put down late, for a time that has gone by, is done now.
            self.now = self.now.max(due);
            self.happen(due, what);
        }
        self.now = self.now.max(target);
        let now = self.time_of(self.options.queue_time);
        for queue in self.queues.values_mut() {
            self.arrived |= queue.settle(now);
        }
    }

    /// Returns true where the clock runs, and its keeper would sleep too long.
    fn is_due_earlier(&mut self) -> bool {
        if self.ticker.factor() <= 0.0 {
            return false;
        }
        match (self.next_due(), self.planned) {
            (Some(due), Some(planned)) => due < planned,
            (due, None) => due.is_some(),
            (None, Some(_)) => false,
        }
    }

    /// Returns false for what was put down, and is not to happen any more.
    fn is_live(&self, due: Time, what: &Due) -> bool {
        let (Due::Restored { bucket, key, id } | Due::Expired { bucket, key, id }) = what else {
            return true;
        };
        let object = self.buckets.get(bucket).and_then(|bucket| bucket.by_id(key, *id));
        match (what, object.and_then(Object::copy)) {
            (Due::Restored { .. }, Some(Copy::Running { completes, .. })) => completes == Some(due),
            (Due::Expired { .. }, Some(Copy::Available { expiry })) => expiry == due,
            _ => false,
        }
    }

    fn happen(&mut self, due: Time, what: Due) {
        match what {
            Due::Restored { bucket, key, id } => self.restored(due, &bucket, &key, id),
            Due::Expired { bucket, key, id } => self.copy_expired(due, &bucket, &key, id),
            Due::Job { id } => self.step_job(&id),
            Due::Message(letter) => self.put_in_queue(letter),
        }
    }

    /// Returns when something happens next, of the agenda or in a queue.
    pub(crate) fn next_due(&mut self) -> Option<Time> {
        while self.agenda.peek().is_some_and(|(due, what)| !self.is_live(due, what)) {
            self.agenda.drop_next();
        }
        let queues = match self.options.queue_time {
            TimeKind::Virtual => self.queues.values().filter_map(Queue::next_due).min(),
            TimeKind::Real => None,
        };
        self.agenda.next_due().into_iter().chain(queues).min()
    }

    /// Returns the time of a kind: queues and rates can go by the real one.
    pub(crate) fn time_of(&self, kind: TimeKind) -> Time {
        match kind {
            TimeKind::Virtual => self.now,
            TimeKind::Real => self.options.start + self.born.elapsed(),
        }
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(crate) fn create_bucket(&mut self, name: &str) -> bool {
        if self.buckets.contains_key(name) {
            return false;
        }
        let bucket = Bucket::new(name, self.now);
        self.buckets.insert(bucket.name.clone(), bucket);
        true
    }

    pub(crate) fn bucket(&self, name: &str) -> S3Result<&Bucket> {
        self.buckets.get(name).ok_or_else(error::no_such_bucket)
    }

    pub(crate) fn bucket_mut(&mut self, name: &str) -> S3Result<&mut Bucket> {
        self.buckets.get_mut(name).ok_or_else(error::no_such_bucket)
    }

    pub(crate) fn object(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> S3Result<&Object> {
        self.bucket(bucket)?.find(key, version).map_err(error::missing)
    }

    /// Puts an object that is made of a body alone.
    pub(crate) fn put(
        &mut self,
        bucket: &str,
        key: &str,
        body: Body,
        class: StorageClass,
    ) -> S3Result<()> {
        let id = self.next_id();
        let tag = Tag::of(&body, id ^ self.options.seed.rotate_left(32));
        let object = Object::new(id, body, tag, class, self.now);
        self.put_object(bucket, key, object)
    }

    pub(crate) fn put_object(&mut self, bucket: &str, key: &str, object: Object) -> S3Result<()> {
        let bytes = object.body.memory_bytes();
        if self.memory_bytes + bytes > self.options.memory_bytes_max {
            return Err(error::internal());
        }
        let gone = self.bucket_mut(bucket)?.put(key, object);
        self.memory_bytes += bytes;
        self.forget(gone);
        Ok(())
    }

    /// Gives an object other bytes, as somebody does who overwrites it; what else it is, it stays.
    pub(crate) fn overwrite(&mut self, bucket: &str, key: &str, body: Body) {
        let Ok(object) = self.object(bucket, key, None) else { return };
        let (class, copy) = (object.class, object.copy());
        if self.put(bucket, key, body, class).is_err() {
            return;
        }
        let Ok(object) = self.object(bucket, key, None) else { return };
        let id = object.id;
        self.set_copy(bucket, key, id, copy);
        let due = match copy {
            Some(Copy::Available { expiry }) => Some((expiry, true)),
            Some(Copy::Running { completes, .. }) => completes.map(|due| (due, false)),
            None => None,
        };
        if let Some((due, available)) = due {
            let (bucket, key) = (bucket.into(), key.into());
            let what = if available {
                Due::Expired { bucket, key, id }
            } else {
                Due::Restored { bucket, key, id }
            };
            self.agenda.add(due, what);
        }
    }

    /// Settles the accounts of an object that is no more.
    pub(crate) fn forget(&mut self, gone: Option<Object>) {
        let Some(object) = gone else { return };
        self.memory_bytes = self.memory_bytes.saturating_sub(object.body.memory_bytes());
        self.book.copies(self.now, object.copy_bytes(), 0);
    }

    /// Changes the state of an object's temporary copy.
    pub(crate) fn set_copy(&mut self, bucket: &str, key: &str, id: u64, copy: Option<Copy>) {
        let bucket = self.buckets.get_mut(bucket);
        let Some(object) = bucket.and_then(|bucket| bucket.by_id_mut(key, id)) else { return };
        let before = object.copy_bytes();
        object.set_copy(copy);
        let after = object.copy_bytes();
        self.book.copies(self.now, before, after);
    }

    /// Removes an object's current version, or one that is named. Returns the marker's id, or
    /// that of what was removed, where versions are kept.
    pub(crate) fn delete(
        &mut self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> S3Result<Option<(String, bool)>> {
        use crate::bucket::Versioning;

        let versioning = self.bucket(bucket)?.versioning;
        if let Some(version) = version {
            let gone = self.bucket_mut(bucket)?.remove_version(key, version);
            let was_marker = gone.as_ref().is_some_and(|object| object.marker);
            self.forget(gone);
            return Ok(Some((version.into(), was_marker)));
        }
        if versioning == Versioning::Never {
            let gone = self.bucket_mut(bucket)?.remove(key);
            self.forget(gone);
            return Ok(None);
        }
        let id = self.next_id();
        let body = Body::from("");
        let tag = Tag::of(&body, id);
        let mut marker = Object::new(id, body, tag, StorageClass::Standard, self.now);
        marker.marker = true;
        self.put_object(bucket, key, marker)?;
        let version = self.bucket(bucket)?.by_id(key, id).map(Object::version);
        Ok(version.map(|version| (version, true)))
    }

    /// Moves the clock, and does what is due by then.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let target = self.now + duration;
        self.ticker.move_to(target);
        self.settle();
    }
}
