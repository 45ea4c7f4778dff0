//! The clock, and what is to happen on it.
//!
//! **Invariant.** Things happen in the order of their time; of the same time, in the order they
//! were put down. Nothing happens because somebody looked.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use crate::time::Time;

/// A clock that stands, is moved by hand, or runs faster than the wall's.
#[derive(Debug, Clone)]
pub(crate) struct Ticker {
    base: Time,
    since: Instant,
    /// Virtual seconds a real second; zero for a clock that stands.
    factor: f64,
}

impl Ticker {
    pub(crate) fn new(base: Time, factor: f64) -> Self {
        Self { base, since: Instant::now(), factor }
    }

    pub(crate) fn now(&self) -> Time {
        self.base + self.since.elapsed().mul_f64(self.factor)
    }

    pub(crate) const fn factor(&self) -> f64 {
        self.factor
    }

    pub(crate) fn set_factor(&mut self, factor: f64) {
        *self = Self::new(self.now(), factor);
    }

    /// Moves the clock forwards; it is never set back.
    pub(crate) fn move_to(&mut self, time: Time) {
        *self = Self::new(self.now().max(time), self.factor);
    }

    /// Returns how long to wait for a time in real time; `None` where the clock stands.
    pub(crate) fn wait_for(&self, time: Time) -> Option<Duration> {
        let wait = time.since(self.now());
        (self.factor > 0.0).then(|| wait.div_f64(self.factor))
    }
}

/// Something that happens at its time.
#[derive(Debug)]
struct Entry<T> {
    due: Time,
    number: u64,
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.number) == (other.due, other.number)
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

/// What is to happen, by time.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    entries: BinaryHeap<Reverse<Entry<T>>>,
    count: u64,
}

impl<T> Agenda<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: BinaryHeap::new(), count: 0 }
    }

    pub(crate) fn add(&mut self, due: Time, what: T) {
        self.entries.push(Reverse(Entry { due, number: self.count, what }));
        self.count += 1;
    }

    /// Returns when the next thing happens.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.entries.peek().map(|Reverse(entry)| entry.due)
    }

    /// Returns the next thing, and when it happens.
    pub(crate) fn peek(&self) -> Option<(Time, &T)> {
        self.entries.peek().map(|Reverse(entry)| (entry.due, &entry.what))
    }

    /// Takes the next thing off, and does nothing.
    pub(crate) fn drop_next(&mut self) {
        self.entries.pop();
    }

    /// Takes the next thing that is due by a time.
    pub(crate) fn take(&mut self, until: Time) -> Option<(Time, T)> {
        if self.next_due()? > until {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| (entry.due, entry.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_by_time_and_then_in_their_order() {
        let at = Time::from_millis;
        let mut agenda = Agenda::new();
        agenda.add(at(5), "b");
        agenda.add(at(1), "a");
        agenda.add(at(5), "c");
        agenda.add(at(9), "d");
        assert_eq!(agenda.next_due(), Some(at(1)));
        let taken: Vec<_> = std::iter::from_fn(|| agenda.take(at(5))).collect();
        assert_eq!(taken, [(at(1), "a"), (at(5), "b"), (at(5), "c")]);
        assert_eq!(agenda.next_due(), Some(at(9)));
    }

    #[test]
    fn a_standing_clock_moves_by_hand_alone() {
        let start = Time::from_millis(1000);
        let mut ticker = Ticker::new(start, 0.0);
        assert_eq!(ticker.now(), start);
        ticker.move_to(start + Duration::from_secs(5));
        assert_eq!(ticker.now(), Time::from_millis(6000));
        ticker.move_to(start);
        assert_eq!(ticker.now(), Time::from_millis(6000));
        assert_eq!(ticker.wait_for(Time::from_millis(9000)), None);
    }
}
