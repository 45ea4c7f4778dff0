//! The transitions: what each input does in each state, and what time does by itself.

use super::{
    Asked, Effect, Failure, Input, Look, Note, Purpose, ScanResult, Setting, State, Step, Task,
    Until,
};
use crate::class::Tier;
use crate::moment::Moment;

/// Takes one input, and then what time alone brings.
pub(super) fn step(task: &Task, setting: &Setting<'_>, input: &Input) -> Step {
    let mut turn = Turn { task: *task, setting, effects: Vec::new(), note: None };
    match *input {
        Input::Start => turn.start(),
        Input::Answer { ticket, answer } => turn.answer(ticket, answer),
        Input::Event(event) => turn.event(event),
        Input::Seen(sighting) => turn.seen(sighting),
        Input::Tick => {}
        Input::ScannerFree => turn.scanner_free(),
        Input::Scan { ticket, result } => turn.scanned(ticket, result),
        Input::Upgrade { tier } => turn.upgrade(tier),
        Input::Cancel => turn.cancel(),
        Input::Retry => turn.retry(),
    }
    turn.time_passes();
    turn.end(task)
}

/// One input being taken.
pub(super) struct Turn<'a> {
    pub(super) task: Task,
    pub(super) setting: &'a Setting<'a>,
    pub(super) effects: Vec<Effect>,
    pub(super) note: Option<Note>,
}

impl Turn<'_> {
    pub(super) fn note(&mut self, note: Note) {
        self.note = Some(note);
    }

    /// Goes to a state. Calls and looks of the state that is left no longer count.
    pub(super) fn enter(&mut self, state: State) {
        let task = &mut self.task;
        let same_copy = matches!(task.state, State::Available { .. } | State::Scanning { .. })
            && matches!(state, State::Available { .. } | State::Scanning { .. });
        if !same_copy {
            (task.call, task.look) = (None, None);
            task.counts.tries = 0;
        }
        task.rest = None;
        task.state = state;
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        if let State::Scanning { scan, .. } = self.task.state {
            self.effects.push(Effect::StopScan { ticket: scan });
        }
        self.enter(State::Failed { failure });
        self.effects.push(Effect::GiveUp { failure });
    }

    /// Has the object looked at, unless that is on its way.
    pub(super) fn look(&mut self) {
        if !self.task.look.is_some_and(|look| look.asked) {
            self.look_again();
        }
    }

    pub(super) fn look_again(&mut self) {
        let due = self.setting.now.plus(self.setting.policy.look_secs.max(1));
        self.task.look = Some(Look { due, asked: true });
        self.effects.push(Effect::Look);
    }

    pub(super) fn restoring(&mut self, asked: Option<Asked>, since: Moment, as_of: Moment) {
        self.enter(State::Restoring { asked, since, as_of });
        // Somebody else's restore may be of any tier: look as early as the fastest.
        let tier = asked.map_or(Tier::Standard, |asked| asked.tier);
        let due = since.plus(tier.takes(self.task.class).to).max(self.next_look());
        self.task.look = Some(Look { due, asked: false });
    }

    pub(super) fn next_look(&self) -> Moment {
        self.setting.now.plus(self.setting.policy.look_secs.max(1))
    }

    /// The copy has gone.
    pub(super) fn gone(&mut self, since: Moment) {
        if self.task.counts.restores >= self.setting.policy.restores_max {
            self.fail(Failure::CopyKeepsExpiring);
        } else {
            self.enter(State::Expired { since });
        }
    }

    fn start(&mut self) {
        if !matches!(self.task.state, State::Planned | State::Expired { .. }) {
            return self.note(Note::Unexpected);
        }
        if self.task.counts.restores >= self.setting.policy.restores_max {
            return self.fail(Failure::CopyKeepsExpiring);
        }
        let since = self.setting.now;
        if self.task.class.reads_at_once() == Some(true) {
            self.enter(State::Requested { since, called: false });
            return self.look();
        }
        self.call_first(since);
    }

    /// Makes the first call for a restore, and counts it.
    pub(super) fn call_first(&mut self, since: Moment) {
        let Some(asked) = self.asked_for() else { return self.fail(Failure::ScanTooLong) };
        self.enter(State::Requested { since, called: true });
        self.task.counts.restores += 1;
        self.task.counts.extends = 0;
        self.call(Purpose::Restore, asked);
    }

    /// Returns what a restore is asked for with. Its days may count from the request, so that the
    /// time it takes is added.
    pub(super) fn asked_for(&self) -> Option<Asked> {
        let (class, setting) = (self.task.class, self.setting);
        let tier = setting.policy.tier.within(class);
        if !class.copy_expires() {
            return Some(Asked { tier, days: None });
        }
        let needs = setting.scan_needs_secs();
        let with_wait = needs.saturating_add(tier.takes(class).to);
        let least = setting.days_for(needs)?;
        let days = setting.days_for(with_wait).unwrap_or(setting.policy.days_max.max(least));
        Some(Asked { tier, days: Some(days) })
    }

    fn scanner_free(&mut self) {
        let State::Available { until, as_of } = self.task.state else {
            return self.note(Note::Unexpected);
        };
        let now = self.setting.now;
        let rests = self.task.rest.is_some_and(|rest| rest > now);
        if rests || !until.lasts(now, self.setting.scan_needs_secs()) {
            return self.note(Note::NotYet);
        }
        self.task.ticket = self.task.ticket.wrapping_add(1);
        let ticket = self.task.ticket;
        self.enter(State::Scanning { until, as_of, scan: ticket });
        self.effects.push(Effect::Scan { ticket, until });
    }

    fn scanned(&mut self, ticket: u32, result: ScanResult) {
        let State::Scanning { until, as_of, scan } = self.task.state else {
            return self.note(Note::Late);
        };
        if ticket != scan {
            return self.note(Note::Late);
        }
        match result {
            ScanResult::Done => self.enter(State::Done),
            ScanResult::CopyGone => self.gone(self.setting.now),
            ScanResult::Stopped => self.enter(State::Available { until, as_of }),
            ScanResult::Overwritten => self.overwritten(),
            ScanResult::Denied => self.scan_failed(until, as_of, Failure::AccessDenied),
            ScanResult::Broke => self.scan_failed(until, as_of, Failure::ScanKeepsFailing),
            ScanResult::Lost => self.scan_lost(until, as_of),
        }
    }

    /// Nobody knows why the worker went away: it counts apart, and the archive does not rest.
    fn scan_lost(&mut self, until: Until, as_of: Moment) {
        self.task.counts.lost += 1;
        self.enter(State::Available { until, as_of });
        if self.task.counts.lost >= self.setting.policy.lost_max {
            self.fail(Failure::WorkersKeepDying);
        }
    }

    fn scan_failed(&mut self, until: Until, as_of: Moment, failure: Failure) {
        self.task.counts.scans += 1;
        self.enter(State::Available { until, as_of });
        if self.task.counts.scans >= self.setting.policy.scans_max {
            return self.fail(failure);
        }
        let wait = self.setting.policy.wait_after(self.task.counts.scans);
        self.task.rest = Some(self.setting.now.plus(wait));
    }

    fn overwritten(&mut self) {
        self.task.counts.scans += 1;
        self.effects.push(Effect::Forget);
        self.enter(State::Planned);
        if self.task.counts.scans >= self.setting.policy.scans_max {
            self.fail(Failure::KeepsChanging);
        }
    }

    fn cancel(&mut self) {
        match self.task.state.is_final() {
            true => self.note(Note::Unexpected),
            false => self.fail(Failure::Cancelled),
        }
    }

    fn retry(&mut self) {
        match self.task.state {
            State::Failed { .. } => {
                self.task.counts = super::Counts::default();
                self.enter(State::Planned);
            }
            _ => self.note(Note::Unexpected),
        }
    }

    fn end(self, before: &Task) -> Step {
        let Self { task, setting, mut effects, note } = self;
        let wake = task.wake(setting);
        if wake != before.wake(setting) {
            effects.extend(wake.map(|moment| Effect::WaitUntil { moment }));
        }
        Step { task, effects, note }
    }
}
