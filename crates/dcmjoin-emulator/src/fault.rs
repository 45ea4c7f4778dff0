//! Faults on demand: which requests or events they meet, and what they do to them.

use std::fmt;
use std::time::Duration;

use crate::body::Body;
use crate::event::EventKind;
use crate::random::{Row, fraction};
use crate::request::Kind;
use crate::time::Time;

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Effect {
    /// 503 `SlowDown`.
    SlowDown,
    /// 500 `InternalError`.
    InternalError,
    /// 403 `AccessDenied`.
    AccessDenied,
    /// 400 `ExpiredToken`.
    ExpiredToken,
    /// 503 `GlacierExpeditedRetrievalNotAvailable`, for restores of the tier Expedited only.
    NoExpeditedCapacity,
    /// 202, and the retrieval never ends.
    NeverRestores,
    /// The connection closes without an answer.
    Drop,
    /// The connection closes after so many bytes of the body.
    CutBody {
        /// How many bytes come.
        after: u64,
    },
    /// The body is shorter than was asked for, and `Content-Length` says so; `Content-Range` not.
    ShortBody {
        /// How many bytes are missing at its end.
        by: u64,
    },
    /// A range is answered with the bytes, and the `Content-Range`, of one further on.
    WrongRange {
        /// How much further.
        by: u64,
    },
    /// A range is answered with 200 and the whole object.
    IgnoreRange,
    /// One bit of the body is another.
    FlipBit {
        /// Of which byte of the answer.
        at: u64,
    },
    /// The object's restored copy goes after so many bytes of the body: the connection closes,
    /// and further requests find it archived. An `Expired` event is sent.
    ExpireCopy {
        /// How many bytes come.
        after: u64,
    },
    /// A batch job asks for the object's restore twice, as its at-least-once promise allows.
    RepeatTask,
    /// Before the request is served, somebody else overwrites the object; its class and its
    /// restored copy stay as they are.
    Overwrite(Body),
}

impl Effect {
    /// Returns true where the effect can be had by requests of a kind.
    pub(crate) const fn fits(&self, kind: Kind) -> bool {
        match self {
            Self::SlowDown
            | Self::InternalError
            | Self::AccessDenied
            | Self::ExpiredToken
            | Self::Drop => true,
            Self::NoExpeditedCapacity | Self::NeverRestores => matches!(kind, Kind::Restore),
            Self::RepeatTask => false,
            Self::Overwrite(_) => matches!(kind, Kind::Get | Kind::Head),
            Self::CutBody { .. }
            | Self::ShortBody { .. }
            | Self::WrongRange { .. }
            | Self::IgnoreRange
            | Self::FlipBit { .. }
            | Self::ExpireCopy { .. } => matches!(kind, Kind::Get),
        }
    }

    /// Returns true where the effect can be had by a batch job's work on an object.
    pub(crate) const fn fits_task(&self) -> bool {
        matches!(self, Self::AccessDenied | Self::NeverRestores | Self::RepeatTask)
    }

    /// Returns a name for the ledger.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SlowDown => "slow_down",
            Self::InternalError => "internal_error",
            Self::AccessDenied => "access_denied",
            Self::ExpiredToken => "expired_token",
            Self::NoExpeditedCapacity => "no_expedited_capacity",
            Self::NeverRestores => "never_restores",
            Self::Drop => "drop",
            Self::CutBody { .. } => "cut_body",
            Self::ShortBody { .. } => "short_body",
            Self::WrongRange { .. } => "wrong_range",
            Self::IgnoreRange => "ignore_range",
            Self::FlipBit { .. } => "flip_bit",
            Self::ExpireCopy { .. } => "expire_copy",
            Self::RepeatTask => "repeat_task",
            Self::Overwrite(_) => "overwrite",
        }
    }
}

/// What happens to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventEffect {
    /// It is not sent.
    Lose,
    /// It is sent more often: at once, and so many times again within a time. Every other copy
    /// has an id of its own, as events have that are made anew.
    Duplicate {
        /// How often again.
        times: u32,
        /// Within which time.
        within: Duration,
    },
    /// It comes later, by a time that is drawn for each event: so events change places.
    Delay {
        /// At least.
        least: Duration,
        /// At most.
        most: Duration,
    },
}

impl EventEffect {
    /// Returns a name for the ledger.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Lose => "event_lost",
            Self::Duplicate { .. } => "event_duplicated",
            Self::Delay { .. } => "event_delayed",
        }
    }
}

/// Which keys a fault meets.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Keys {
    /// All.
    #[default]
    Any,
    /// This one.
    Is(String),
    /// Those that start so.
    Start(String),
    /// Those that end so.
    End(String),
}

impl Keys {
    fn take(&self, key: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Is(name) => key == name,
            Self::Start(start) => key.starts_with(start.as_str()),
            Self::End(end) => key.ends_with(end.as_str()),
        }
    }
}

impl fmt::Debug for Keys {
    /// Keys can tell of patients.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// A fault: an effect, and what it meets. It meets everything unless it is told otherwise.
#[derive(Debug, Clone)]
pub struct Fault<E, K> {
    effect: E,
    kinds: Vec<K>,
    keys: Keys,
    skip: u32,
    times: u32,
    chance: f64,
    from: Option<Time>,
    until: Option<Time>,
}

/// A fault of requests.
pub type RequestFault = Fault<Effect, Kind>;
/// A fault of events.
pub type EventFault = Fault<EventEffect, EventKind>;

impl<E, K: Copy + PartialEq> Fault<E, K> {
    /// Returns a fault that meets everything, always.
    #[must_use]
    pub const fn new(effect: E) -> Self {
        Self {
            effect,
            kinds: Vec::new(),
            keys: Keys::Any,
            skip: 0,
            times: u32::MAX,
            chance: 1.0,
            from: None,
            until: None,
        }
    }

    /// Meets this kind, and others that are named.
    #[must_use]
    pub fn on(mut self, kind: K) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Meets these keys only.
    #[must_use]
    pub fn keys(mut self, keys: Keys) -> Self {
        self.keys = keys;
        self
    }

    /// Passes the first ones over.
    #[must_use]
    pub const fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Meets so many, and no more.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Meets each with this chance, from 0 to 1.
    #[must_use]
    pub const fn chance(mut self, chance: f64) -> Self {
        self.chance = chance;
        self
    }

    /// Meets what comes within a time, its end excluded: a storm.
    #[must_use]
    pub const fn during(mut self, from: Time, until: Time) -> Self {
        (self.from, self.until) = (Some(from), Some(until));
        self
    }

    fn meets(&self, kind: K, key: &str, now: Time) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && self.keys.take(key)
            && self.from.is_none_or(|from| from <= now)
            && self.until.is_none_or(|until| now < until)
            && self.times > 0
    }

    /// Returns true where the fault strikes, and counts it.
    fn strikes(&mut self, row: &mut Row) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if self.chance < 1.0 && fraction(row.draw()) >= self.chance {
            return false;
        }
        self.times -= 1;
        true
    }
}

/// All faults that are set. Of several that meet the same, the first one strikes.
#[derive(Debug)]
pub(crate) struct FaultList<E, K> {
    faults: Vec<Fault<E, K>>,
    row: Row,
}

impl<E: Clone, K: Copy + PartialEq> FaultList<E, K> {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { faults: Vec::new(), row: Row::new(seed) }
    }

    pub(crate) fn add(&mut self, fault: Fault<E, K>) {
        self.faults.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    /// Returns the effect of the fault that strikes, if it is one that fits.
    pub(crate) fn strike(
        &mut self,
        kind: K,
        key: &str,
        now: Time,
        fits: impl Fn(&E) -> bool,
    ) -> Option<E> {
        let row = &mut self.row;
        let met = self.faults.iter_mut().filter(|fault| fault.meets(kind, key, now));
        let mut met = met.filter(|fault| fits(&fault.effect));
        met.find_map(|fault| fault.strikes(row).then(|| fault.effect.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(fault: RequestFault, requests: &[(Kind, &str, u64)]) -> Vec<bool> {
        let mut faults = FaultList::new(1);
        faults.add(fault);
        let strike = |&(kind, key, millis): &(Kind, &str, u64)| {
            faults.strike(kind, key, Time::from_millis(millis), |_| true).is_some()
        };
        requests.iter().map(strike).collect()
    }

    #[test]
    fn a_fault_meets_what_it_is_told_to() {
        let fault = Fault::new(Effect::SlowDown).on(Kind::Get).keys(Keys::Start("a/".into()));
        let requests = [(Kind::Get, "a/1", 0), (Kind::Head, "a/1", 0), (Kind::Get, "b/1", 0)];
        assert_eq!(struck(fault, &requests), [true, false, false]);
    }

    #[test]
    fn a_fault_is_counted() {
        let fault = Fault::new(Effect::Drop).after(1).times(2);
        let requests = [(Kind::Get, "k", 0); 5];
        assert_eq!(struck(fault, &requests), [false, true, true, false, false]);
    }

    #[test]
    fn a_storm_has_its_time() {
        let storm =
            Fault::new(Effect::SlowDown).during(Time::from_millis(10), Time::from_millis(20));
        let requests = [9, 10, 19, 20].map(|millis| (Kind::List, "", millis));
        assert_eq!(struck(storm, &requests), [false, true, true, false]);
    }

    #[test]
    fn chance_is_that_of_the_seed() {
        let fault = || Fault::new(Effect::SlowDown).chance(0.25);
        let requests = vec![(Kind::Get, "k", 0); 1000];
        let first = struck(fault(), &requests);
        assert_eq!(struck(fault(), &requests), first);
        let count = first.iter().filter(|struck| **struck).count();
        assert!((150..350).contains(&count), "{count}");
    }
}
