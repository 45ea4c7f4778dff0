//! Restores in the world: asked for, completed, expired.

use s3s::S3Result;

use crate::bucket::Name;
use crate::class::{AccessTier, Archive, StorageClass, Tier};
use crate::error;
use crate::event::{Event, EventKind};
use crate::object::Object;
use crate::options::TimeKind;
use crate::random;
use crate::restore::{Ask, Copy, DaysFrom, Grant, decide, expiry};
use crate::time::Time;
use crate::world::{Due, World};

/// How the emulator takes a request that it would grant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mood {
    pub(crate) no_expedited_capacity: bool,
    pub(crate) never_completes: bool,
    /// The caller keeps the account's rate itself.
    pub(crate) unmetered: bool,
}

impl World {
    /// Serves `RestoreObject`. True where the retrieval is new, or faster: 202 and not 200.
    pub(crate) fn restore(
        &mut self,
        (bucket, key, version): (&str, &str, Option<&str>),
        ask: Ask,
        mood: Mood,
    ) -> S3Result<bool> {
        if !mood.unmetered {
            self.take_restore_token()?;
        }
        let object = self.object(bucket, key, version)?;
        let grant = decide(object.class, object.copy(), ask, self.now).map_err(error::refused)?;
        let (id, length) = (object.id, object.body.length());
        if let Grant::Keep { expiry } = grant {
            self.keep(bucket, key, id, expiry);
            return Ok(false);
        }
        if ask.tier == Tier::Expedited && mood.no_expedited_capacity {
            return Err(error::no_expedited_capacity());
        }
        self.book.retrieval(ask.tier, length);
        self.start(bucket, key, id, ask, grant, mood);
        Ok(true)
    }

    fn take_restore_token(&mut self) -> S3Result<()> {
        let kind = self.options.restore_rate.map_or(TimeKind::Real, |rate| rate.time);
        let now = self.time_of(kind);
        let there = self.restore_tokens.as_mut().is_none_or(|tokens| tokens.take(now));
        if there { Ok(()) } else { Err(error::throttled()) }
    }

    fn start(&mut self, bucket: &str, key: &str, id: u64, ask: Ask, grant: Grant, mood: Mood) {
        let Some((names, object)) = self.named(bucket, key, id) else { return };
        let Some(archive) = object.class.archive() else { return };
        let words = [bucket, key, ask.tier.name(), &self.now.to_string()];
        let number = random::keyed(self.options.seed, &words);
        let mut completes = self.now + self.options.latencies.draw(archive, ask.tier, number);
        let mut requested = self.now;
        if let Some(Copy::Running { requested: first, completes: before, .. }) = object.copy() {
            requested = first;
            completes = before.map_or(completes, |before| completes.min(before));
        }
        let event = (grant == Grant::Start)
            .then(|| Event::new(EventKind::Initiated, self.now, names.clone(), object, number));
        let completes = (!mood.never_completes).then_some(completes);
        let copy = Copy::Running { tier: ask.tier, days: ask.days, requested, completes };
        self.set_copy(bucket, key, id, Some(copy));
        let (bucket, key) = names;
        if let Some(completes) = completes {
            self.agenda.add(completes, Due::Restored { bucket, key, id });
        }
        if let Some(event) = event {
            self.post(&event);
        }
    }

    /// Gives a copy that is there its new end, which can be an earlier one.
    fn keep(&mut self, bucket: &str, key: &str, id: u64, expiry: Time) {
        let Some(((bucket, key), _)) = self.named(bucket, key, id) else { return };
        self.set_copy(&bucket, &key, id, Some(Copy::Available { expiry }));
        self.agenda.add(expiry, Due::Expired { bucket, key, id });
    }

    /// A retrieval ends; nothing happens where it was made a faster one, or the object is gone.
    pub(crate) fn restored(&mut self, due: Time, bucket: &str, key: &str, id: u64) {
        let Some((names, object)) = self.named(bucket, key, id) else { return };
        let Some(Copy::Running { days, requested, completes: Some(completes), .. }) = object.copy()
        else {
            return;
        };
        if completes != due {
            return;
        }
        let number = random::keyed(self.options.seed, &[bucket, key, "done", &due.to_string()]);
        let mut event = Event::new(EventKind::Completed, due, names.clone(), object, number);
        if object.class.archive().is_some_and(Archive::moves) {
            self.activate(bucket, key, id);
        } else {
            let from = match self.options.days_from {
                DaysFrom::Completion => due,
                DaysFrom::Request => requested,
            };
            // Days that end before the retrieval does still leave a copy until midnight.
            let expiry = expiry(from, days).max(due.midnight_up());
            event.expiry = Some(expiry);
            self.set_copy(bucket, key, id, Some(Copy::Available { expiry }));
            let (bucket, key) = names;
            self.agenda.add(expiry, Due::Expired { bucket, key, id });
        }
        self.post(&event);
    }

    /// A copy goes; nothing happens where it has another end by now.
    pub(crate) fn copy_expired(&mut self, due: Time, bucket: &str, key: &str, id: u64) {
        let Some((_, object)) = self.named(bucket, key, id) else { return };
        if object.copy() == Some(Copy::Available { expiry: due }) {
            self.expire(bucket, key, id);
        }
    }

    /// Takes a copy away, now.
    pub(crate) fn expire(&mut self, bucket: &str, key: &str, id: u64) {
        let Some((names, object)) = self.named(bucket, key, id) else { return };
        if !matches!(object.copy(), Some(Copy::Available { .. })) {
            return;
        }
        let words = [bucket, key, "gone", &self.now.to_string()];
        let number = random::keyed(self.options.seed, &words);
        let event = Event::new(EventKind::Expired, self.now, names, object, number);
        self.set_copy(bucket, key, id, None);
        self.post(&event);
    }

    /// Moves an object of Intelligent-Tiering to its frequent tier, for good.
    fn activate(&mut self, bucket: &str, key: &str, id: u64) {
        self.set_copy(bucket, key, id, None);
        let bucket = self.buckets.get_mut(bucket);
        if let Some(object) = bucket.and_then(|bucket| bucket.by_id_mut(key, id)) {
            object.class = StorageClass::IntelligentTiering(AccessTier::Frequent);
        }
    }

    /// Returns an object, and the names that schedules and events share.
    fn named(&self, bucket: &str, key: &str, id: u64) -> Option<((Name, Name), &Object)> {
        let bucket = self.buckets.get(bucket)?;
        let object = bucket.by_id(key, id)?;
        Some(((bucket.name.clone(), bucket.name_of(key)?), object))
    }
}
