//! The course of a one-pass campaign that begins at a known time: when each wave is asked for, read
//! and gone.
//!
//! A plan knows no hour of the day and takes the mean of all; a rehearsal knows it. Waves follow the
//! orchestrator's rules: so many are on their way at the same time, in their order, and one is read
//! when its last copy is there and the one before it is read. A restore takes each time of its
//! tier's range equally likely, since AWS says no more than the range.

use crate::class::SecsRange;
use crate::moment::{DAY, Moment};
use crate::money::float;
use crate::waves::Wave;

/// Moments of a tier's range at which a copy is looked at.
const SAMPLES: u64 = 420;
/// A copy is extended so often at the most, as by `Policy::extends_max`.
const EXTENDS_MAX: u32 = 8;
/// Looks at the queue that are told apart: half a year of looks every ten minutes.
const LOOKS_MAX: usize = 26_280;
/// Up to this mean the chances of each number of messages are added up.
const MEAN_MAX: f64 = 100.0;

/// What a course follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// When the campaign begins.
    pub begin: Moment,
    /// How long a restore takes.
    pub restore: SecsRange,
    /// Bytes read a second.
    pub bytes_per_sec: u64,
    /// What is kept free at the end of a copy's life, in seconds.
    pub margin_secs: u64,
    /// Days of the copies, at least.
    pub days: u32,
    /// Waves on their way at the same time.
    pub waves_ahead: usize,
}

/// One wave on its way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leg {
    /// Which.
    pub wave: Wave,
    /// When its restores are asked for.
    pub asked: Moment,
    /// For how many days.
    pub days: u32,
    /// When its first copy is there.
    pub first: Moment,
    /// When its last copy is there, in the mean.
    pub last: Moment,
    /// When reading it begins.
    pub read_from: Moment,
    /// When it is read.
    pub read_to: Moment,
    /// How long its copies live in the mean, in seconds: up to a midnight UTC, extensions included.
    pub copy_secs: u64,
    /// Calls that extend a copy.
    pub extends: u64,
}

/// A campaign over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Course {
    /// The waves in their order.
    pub legs: Vec<Leg>,
}

impl Course {
    /// Returns the course of waves, those of metadata first.
    #[must_use]
    pub fn of(pacing: &Pacing, waves: &[Wave]) -> Self {
        let mut course = Self::default();
        for wave in waves {
            let leg = course.next(pacing, *wave);
            course.legs.push(leg);
        }
        course
    }

    /// Returns when the last wave is read.
    #[must_use]
    pub fn end(&self) -> Option<Moment> {
        self.legs.iter().map(|leg| leg.read_to).max()
    }

    /// Returns the bytes of all copies times the seconds that each is there.
    #[must_use]
    pub fn copy_byte_secs(&self) -> u128 {
        let copies = |leg: &Leg| u128::from(leg.wave.bytes) * u128::from(leg.copy_secs);
        self.legs.iter().map(copies).sum()
    }

    fn next(&self, pacing: &Pacing, wave: Wave) -> Leg {
        let ahead = pacing.waves_ahead.max(1);
        let room = self.legs.len().checked_sub(ahead).map(|at| self.legs[at].read_to);
        let asked = room.unwrap_or(pacing.begin);
        let last = asked.plus(pacing.last_secs(wave.archives));
        let before = self.legs.last().map_or(pacing.begin, |leg| leg.read_to);
        let read_from = last.max(before);
        let read_secs = wave.bytes.div_ceil(pacing.bytes_per_sec.max(1));
        let needs = read_secs.saturating_add(pacing.margin_secs);
        let days = pacing.days_for(needs.saturating_add(pacing.restore.to));
        let copies = Copies { pacing, asked, days, read_from, needs };
        let (copy_secs, extends) = copies.mean(wave.archives);
        Leg {
            wave,
            asked,
            days,
            first: asked.plus(pacing.restore.from),
            last,
            read_from,
            read_to: read_from.plus(read_secs),
            copy_secs,
            extends,
        }
    }
}

impl Pacing {
    /// Returns after how long the last of so many copies is there, in the mean: the greatest of `n`
    /// numbers drawn evenly from 0 to 1 is `n / (n + 1)` in the mean.
    fn last_secs(&self, archives: u64) -> u64 {
        let SecsRange { from, to } = self.restore;
        let spread = u128::from(to.saturating_sub(from)) * u128::from(archives);
        from + u64::try_from(spread / (u128::from(archives) + 1)).unwrap_or(0)
    }

    fn days_for(&self, secs: u64) -> u32 {
        u32::try_from(secs.div_ceil(DAY)).unwrap_or(u32::MAX).max(self.days)
    }
}

struct Copies<'a> {
    pacing: &'a Pacing,
    asked: Moment,
    days: u32,
    read_from: Moment,
    needs: u64,
}

impl Copies<'_> {
    /// Returns how long a copy lives in the mean, and how many calls extend those of the wave.
    fn mean(&self, archives: u64) -> (u64, u64) {
        let SecsRange { from, to } = self.pacing.restore;
        let (mut secs, mut extends) = (0, 0);
        for sample in 0..SAMPLES {
            let takes = from + to.saturating_sub(from) * (2 * sample + 1) / (2 * SAMPLES);
            let (lives, extended) = self.one(self.asked.plus(takes));
            secs += lives;
            extends += u64::from(extended);
        }
        (secs / SAMPLES, extends * archives / SAMPLES)
    }

    /// Returns how long a copy lives that is there from a moment on, and how often it is extended:
    /// as soon as it would not last for its wave if that were read now.
    fn one(&self, there: Moment) -> (u64, u32) {
        let mut until = there.plus(u64::from(self.days) * DAY).midnight_up();
        let mut extended = 0;
        while until < self.read_from.plus(self.needs) && extended < EXTENDS_MAX {
            let now = until.minus(self.needs).plus(1).max(there);
            let days = self.pacing.days_for(self.needs.max(now.secs_until(until)));
            until = now.plus(u64::from(days) * DAY).midnight_up().max(until);
            extended += 1;
        }
        (there.secs_until(until), extended)
    }
}

/// How a campaign's queue is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polling {
    /// How long the orchestrator waits between two looks at the queue, in seconds.
    pub every_secs: u64,
    /// Messages of a receipt, and of a deletion.
    pub messages_max: u64,
}

impl Course {
    /// Returns how often the queue is asked until the last wave is read: each look receives until
    /// nothing comes, and deletes what came.
    ///
    /// Three events come of an archive: *initiated* when its wave is asked for, *completed* in the
    /// tier's range, *expired* at a midnight, where that is before the end.
    #[must_use]
    pub fn queue_requests(&self, pacing: &Pacing, polling: &Polling) -> f64 {
        let Some(end) = self.end() else { return 0.0 };
        let every = polling.every_secs.max(1);
        let looks = pacing.begin.secs_until(end) / every + 1;
        let mut arrivals = vec![0.0; usize::try_from(looks).unwrap_or(0).min(LOOKS_MAX) + 1];
        let mut at = |moment: Moment, messages: f64| {
            let look = pacing.begin.secs_until(moment).div_ceil(every);
            if moment <= end
                && let Some(slot) = usize::try_from(look).ok().and_then(|at| arrivals.get_mut(at))
            {
                *slot += messages;
            }
        };
        for leg in &self.legs {
            leg.arrivals(pacing, &mut at);
        }
        let batches = arrivals.iter().map(|mean| batches(*mean, polling.messages_max));
        float(looks) + 2.0 * batches.sum::<f64>()
    }
}

impl Leg {
    fn arrivals(&self, pacing: &Pacing, at: &mut impl FnMut(Moment, f64)) {
        let archives = float(self.wave.archives);
        let each = archives / float(SAMPLES);
        at(self.asked, archives);
        let SecsRange { from, to } = pacing.restore;
        for sample in 0..SAMPLES {
            let takes = from + to.saturating_sub(from) * (2 * sample + 1) / (2 * SAMPLES);
            let there = self.asked.plus(takes);
            at(there, each);
            at(there.plus(u64::from(self.days) * DAY).midnight_up(), each);
        }
    }
}

/// Returns in how many batches messages come, in the mean, where their number is of a Poisson
/// distribution: as that of many independent archives in a short time is.
fn batches(mean: f64, most: u64) -> f64 {
    let most_f = float(most.max(1));
    // Above this the size of the last batch is as good as evenly spread.
    if mean > MEAN_MAX {
        return mean / most_f + (most_f - 1.0) / (2.0 * most_f);
    }
    let (mut chance, mut sum, mut number) = ((-mean).exp(), 0.0, 0_u64);
    let mut left = 1.0 - chance;
    // Nine digits are there long before so many.
    while left > 1e-9 && number < 1_000 {
        number += 1;
        chance *= mean / float(number);
        left -= chance;
        sum += chance * float(number.div_ceil(most.max(1)));
    }
    sum
}

#[cfg(test)]
mod tests {
    use dcmjoin_model::Half;

    use super::*;
    use crate::class::{StorageClass, Tier};
    use crate::moment::HOUR;

    fn pacing(begin: &str) -> Pacing {
        Pacing {
            begin: Moment::parse_iso(begin).unwrap(),
            restore: Tier::Bulk.takes(StorageClass::Glacier),
            bytes_per_sec: 1_000,
            margin_secs: 2 * HOUR,
            days: 2,
            waves_ahead: 2,
        }
    }

    fn wave(number: u64, half: Half, hours: u64) -> Wave {
        Wave { number, half, archives: 1_000_000, bytes: hours * HOUR * 1_000 }
    }

    #[test]
    fn one_wave_is_read_while_the_next_is_restored() {
        let waves =
            [wave(0, Half::Metadata, 1), wave(1, Half::Image, 24), wave(2, Half::Image, 24)];
        let course = Course::of(&pacing("2026-03-10T09:30:00Z"), &waves);
        let hours = |of: fn(&Leg) -> Moment| -> Vec<u64> {
            let begin = course.legs[0].asked;
            course.legs.iter().map(|leg| begin.secs_until(of(leg)).div_ceil(HOUR)).collect()
        };
        assert_eq!(hours(|leg| leg.asked), [0, 0, 13]);
        assert_eq!(hours(|leg| leg.read_from), [12, 13, 37]);
        assert_eq!(course.end(), Some(course.legs[2].read_to));
        assert_eq!(course.legs.iter().map(|leg| leg.extends).sum::<u64>(), 0);
    }

    #[test]
    fn copies_live_up_to_midnight() {
        // There from 14:30 to 21:30: 48 hours, and on to midnight 6 hours later in the mean.
        let course = Course::of(&pacing("2026-03-10T09:30:00Z"), &[wave(0, Half::Image, 1)]);
        assert_eq!(course.legs[0].copy_secs, 54 * HOUR);
        // There from 22:00 to 5:00: the two hours before midnight have an hour to it in the mean,
        // the five after it 21.5 hours.
        let course = Course::of(&pacing("2026-03-10T17:00:00Z"), &[wave(0, Half::Image, 1)]);
        let mean = (48 * 70 + 20 + 5 * 215) * HOUR / 70;
        assert!(mean.abs_diff(course.legs[0].copy_secs) < 60, "{:?}", course.legs[0]);
    }

    #[test]
    fn copies_that_wait_too_long_are_extended() {
        let tight = Pacing { days: 1, ..pacing("2026-03-10T09:30:00Z") };
        // The third wave's copies are there when the second one's reading begins, and wait for it.
        let waves = [1, 60, 1].map(|hours| wave(0, Half::Image, hours));
        let course = Course::of(&tight, &waves);
        assert_eq!(course.legs[2].extends, 1_000_000);
        assert!(course.legs[2].copy_secs > 45 * HOUR, "{:?}", course.legs[2]);
    }

    #[test]
    fn messages_come_in_batches_of_ten() {
        assert!(batches(0.0, 10) < 1e-9);
        assert!((batches(0.001, 10) - 0.001).abs() < 1e-6);
        assert!((batches(99.9, 10) - batches(100.1, 10)).abs() < 0.1);
        let pacing = pacing("2026-03-10T09:30:00Z");
        let course = Course::of(&pacing, &[wave(0, Half::Image, 1)]);
        let polling = Polling { every_secs: 600, messages_max: 10 };
        // Two messages of each of a million archives, ten at a time, received and deleted; the
        // copies go after the end.
        let asked = course.queue_requests(&pacing, &polling);
        assert!((asked - 400_000.0).abs() < 400.0, "{asked}");
    }
}
