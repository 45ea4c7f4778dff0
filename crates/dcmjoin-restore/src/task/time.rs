//! What time brings by itself: deadlines, calls made again, copies kept for longer, looks.

use super::step::Turn;
use super::{Failure, Purpose, Setting, State, Task, Until};
use crate::moment::Moment;

/// Returns when time next brings something.
pub(super) fn wake(task: &Task, setting: &Setting<'_>) -> Option<Moment> {
    let policy = setting.policy;
    let of_state = match task.state {
        State::Requested { since, .. } => Some(since.plus(policy.requested_secs_max)),
        State::Restoring { since, .. } => Some(since.plus(policy.restoring_secs_max)),
        State::Available { until: Until::At(until), .. } => {
            let short = until.minus(setting.scan_needs_secs()).plus(1);
            Some(if may_extend(task, setting) { short } else { until })
        }
        State::Scanning { until: Until::At(until), .. } => {
            let short = until.minus(policy.margin_secs).plus(1);
            (may_extend(task, setting) && setting.now < until).then_some(short)
        }
        _ => None,
    };
    let of_call =
        task.call.map(|call| call.again.unwrap_or(call.sent.plus(policy.answer_secs_max)));
    let of_look = task.look.map(|look| look.due);
    let of_rest = task.rest.filter(|rest| *rest > setting.now);
    [of_state, of_call, of_look, of_rest].into_iter().flatten().min()
}

/// Returns whether another call may ask for more days now: not while one is on its way, nor before
/// the outcome of the last is known.
fn may_extend(task: &Task, setting: &Setting<'_>) -> bool {
    task.counts.extends < setting.policy.extends_max
        && task.class.copy_expires()
        && task.call.is_none()
        && !task.look.is_some_and(|look| look.asked)
        && setting.days_for(setting.scan_needs_secs()).is_some()
}

impl Turn<'_> {
    /// What time brings by itself. It runs after every input, so that nothing that is due waits.
    pub(super) fn time_passes(&mut self) {
        self.deadlines();
        self.call_in_time();
        self.extend_in_time();
        let now = self.setting.now;
        if self.task.rest.is_some_and(|rest| rest <= now) {
            self.task.rest = None;
        }
        if self.task.look.is_some_and(|look| look.due <= now) {
            self.look_again();
        }
    }

    fn deadlines(&mut self) {
        let (now, policy) = (self.setting.now, self.setting.policy);
        match self.task.state {
            State::Requested { since, .. } if since.plus(policy.requested_secs_max) <= now => {
                self.fail(Failure::NoAnswer);
            }
            State::Restoring { since, .. } if since.plus(policy.restoring_secs_max) <= now => {
                self.fail(Failure::NeverRestored);
            }
            State::Available { until: Until::At(until), .. } if until <= now => self.gone(until),
            _ => {}
        }
    }

    /// Has a copy kept that does not last for a scan, or goes before the running scan ends.
    fn extend_in_time(&mut self) {
        let (now, needs) = (self.setting.now, self.setting.scan_needs_secs());
        match self.task.state {
            State::Available { until, .. } if !until.lasts(now, needs) => self.extend(until),
            State::Scanning { until, .. }
                if !until.is_past(now) && !until.lasts(now, self.setting.policy.margin_secs) =>
            {
                self.extend(until);
            }
            _ => {}
        }
    }

    /// Asks for the copy to be kept for longer, if the policy allows.
    fn extend(&mut self, until: Until) {
        if !may_extend(&self.task, self.setting) {
            return;
        }
        if let Some(asked) = self.extension(until) {
            self.task.counts.extends += 1;
            self.task.counts.tries = 0;
            self.call(Purpose::Extend, asked);
        }
    }
}
