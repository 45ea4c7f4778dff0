//! An honest service with one object, and a driver that carries effects out: the fair environment
//! in which every archive must come to its end. Events may be lost altogether.

use dcmjoin_restore::answer::Answer;
use dcmjoin_restore::class::{StorageClass, Tier};
use dcmjoin_restore::moment::{DAY, HOUR, Moment};
use dcmjoin_restore::status::RestoreStatus;
use dcmjoin_restore::task::{
    Effect, Event, EventKind, Input, Policy, ScanResult, Sighting, State, Step, Task,
};

use crate::inputs::{SCAN_SECS, setting};

/// More turns than any life needs: five days of looking once an hour, for each restore.
const TURNS_MAX: usize = 2_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copy {
    None,
    Restoring { ready: Moment, tier: Tier, days: Option<u32> },
    There { until: Moment },
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    pub(crate) class: StorageClass,
    pub(crate) copy: Copy,
}

impl World {
    fn request(&mut self, now: Moment, tier: Tier, days: Option<u32>) -> Answer {
        if days.is_some() != self.class.copy_expires() {
            return Answer::Refused;
        }
        if self.readable_without_copy() {
            return Answer::NotArchived;
        }
        match &mut self.copy {
            Copy::None => {
                let ready = now.plus(tier.takes(self.class).to);
                self.copy = Copy::Restoring { ready, tier, days };
                Answer::Accepted
            }
            Copy::Restoring { tier: running, days: asked, ready }
                if tier > *running && *asked == days =>
            {
                (*running, *ready) = (tier, now.plus(tier.takes(self.class).to));
                Answer::Accepted
            }
            Copy::Restoring { .. } => Answer::AlreadyInProgress,
            Copy::There { until } => {
                *until = now.plus(u64::from(days.unwrap_or(1)) * DAY).midnight_up();
                Answer::AlreadyRestored
            }
        }
    }

    fn readable_without_copy(&self) -> bool {
        self.class.reads_at_once() == Some(true)
    }

    /// Returns the event of what happened until now.
    fn advance(&mut self, now: Moment) -> Option<Event> {
        match self.copy {
            Copy::Restoring { ready, days, .. } if ready <= now => {
                let Some(days) = days else {
                    self.class = self.class.with_archive_status(None);
                    self.copy = Copy::None;
                    return Some(Event {
                        kind: EventKind::Completed { expiry: None },
                        time: ready,
                    });
                };
                let until = ready.plus(u64::from(days) * DAY).midnight_up();
                self.copy = Copy::There { until };
                let kind = EventKind::Completed { expiry: Some(until) };
                Some(Event { kind, time: ready })
            }
            Copy::There { until } if until <= now => {
                self.copy = Copy::None;
                Some(Event { kind: EventKind::Expired, time: until })
            }
            _ => None,
        }
    }

    fn sight(&self, now: Moment) -> Sighting {
        let status = match self.copy {
            Copy::None => None,
            Copy::Restoring { .. } => Some(RestoreStatus::InProgress),
            Copy::There { until } => Some(RestoreStatus::Restored { expiry: Some(until) }),
        };
        Sighting { class: self.class, status, at: now }
    }

    fn readable(&self) -> bool {
        self.readable_without_copy() || matches!(self.copy, Copy::There { .. })
    }
}

/// A driver that carries out what an archive asks for, one thing after another.
#[derive(Debug, Clone)]
pub(crate) struct Driver<'a> {
    pub(crate) task: Task,
    pub(crate) world: World,
    pub(crate) now: Moment,
    pub(crate) policy: &'a Policy,
    /// Whether events come; without them, looks must do.
    pub(crate) events: bool,
    /// Whether copies go while they are read.
    pub(crate) copy_goes: bool,
    /// All that the archive was, and when.
    pub(crate) life: Vec<(Task, Moment)>,
    scan: Option<(u32, Moment)>,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(
        task: Task,
        world: World,
        now: Moment,
        policy: &'a Policy,
        events: bool,
    ) -> Self {
        Self { task, world, now, policy, events, copy_goes: false, life: Vec::new(), scan: None }
    }

    /// Goes on until the archive's end, from a restart.
    pub(crate) fn run(mut self) -> Self {
        let mut effects = self.task.resume(&setting(self.policy, self.now));
        if let State::Scanning { scan: ticket, .. } = self.task.state {
            effects.extend(self.feed(&Input::Scan { ticket, result: ScanResult::Lost }));
        }
        for _ in 0..TURNS_MAX {
            if self.task.state.is_final() {
                return self;
            }
            effects = self.turn(effects);
        }
        panic!("no end: {:?} in {:?}", self.task, self.world);
    }

    fn turn(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let mut next = Vec::new();
        for effect in effects {
            next.extend(self.carry_out(effect));
        }
        if !next.iter().any(|effect| matches!(effect, Effect::Request { .. } | Effect::Look)) {
            next.extend(match self.task.state {
                State::Planned | State::Expired { .. } => self.feed(&Input::Start),
                State::Available { .. } => self.feed(&Input::ScannerFree),
                _ => Vec::new(),
            });
        }
        if next.is_empty() || next.iter().all(|effect| matches!(effect, Effect::WaitUntil { .. })) {
            next.extend(self.wait());
        }
        next
    }

    fn carry_out(&mut self, effect: Effect) -> Vec<Effect> {
        match effect {
            Effect::Request { ticket, tier, days, .. } => {
                let answer = self.world.request(self.now, tier, days);
                self.feed(&Input::Answer { ticket, answer })
            }
            Effect::Look | Effect::Forget => {
                let sighting = self.world.sight(self.now);
                self.feed(&Input::Seen(sighting))
            }
            Effect::Scan { ticket, .. } => {
                self.scan = Some((ticket, self.now.plus(SCAN_SECS)));
                Vec::new()
            }
            Effect::StopScan { .. } => {
                self.scan = None;
                Vec::new()
            }
            Effect::WaitUntil { .. } | Effect::GiveUp { .. } => Vec::new(),
        }
    }

    /// Lets time pass to when something is due.
    fn wait(&mut self) -> Vec<Effect> {
        let wake = self.task.wake(&setting(self.policy, self.now));
        let scan = self.scan.map(|(_, end)| end);
        let next = [wake, scan].into_iter().flatten().min();
        self.now = next.unwrap_or(self.now.plus(HOUR)).max(self.now.plus(1));
        let mut effects = Vec::new();
        while let Some(event) = self.world.advance(self.now) {
            if self.events {
                effects.extend(self.feed(&Input::Event(event)));
            }
        }
        if let Some((ticket, end)) = self.scan
            && end <= self.now
        {
            self.scan = None;
            if self.copy_goes {
                self.world.copy = Copy::None;
            }
            let result = match self.world.readable() {
                true => ScanResult::Done,
                false => ScanResult::CopyGone,
            };
            effects.extend(self.feed(&Input::Scan { ticket, result }));
        }
        effects.extend(self.feed(&Input::Tick));
        effects
    }

    fn feed(&mut self, input: &Input) -> Vec<Effect> {
        let Step { task, effects, .. } = self.task.step(&setting(self.policy, self.now), input);
        self.task = task;
        self.life.push((task, self.now));
        effects
    }
}
