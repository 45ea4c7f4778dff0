//! Events and sightings: what they say of the copy, weighed against what is known.
//!
//! An event may be late, repeated or of an older restore: it moves an archive only where it is newer
//! than what is known, and where it is odd, a look is asked for. A sighting is the truth, unless an
//! answer or a sighting from after it has been taken already.

use super::step::Turn;
use super::{Event, EventKind, Look, Note, Sighting, State, Until};
use crate::moment::Moment;
use crate::status::RestoreStatus;

/// Events and answers bear times of different servers; they agree to this, in seconds.
const SKEW_SECS: u64 = 60;

impl Turn<'_> {
    pub(super) fn event(&mut self, event: Event) {
        let time = event.time;
        match event.kind {
            EventKind::Initiated => self.initiated(time),
            EventKind::Completed { expiry: Some(expiry) } => self.completed(time, expiry),
            EventKind::Completed { expiry: None } => self.completed_without_expiry(time),
            EventKind::Expired => self.expired(time),
        }
    }

    fn initiated(&mut self, time: Moment) {
        match self.task.state {
            State::Requested { since, .. } if time.plus(SKEW_SECS) >= since => {
                let asked = self.task.call.map(|call| call.asked);
                self.restoring(asked, since, self.setting.now);
            }
            State::Restoring { .. } => self.note(Note::Duplicate),
            _ => self.note(Note::Stale),
        }
    }

    fn completed(&mut self, time: Moment, expiry: Moment) {
        let until = Until::At(expiry);
        if until.is_past(self.setting.now) {
            return self.note(Note::Stale);
        }
        match self.task.state {
            State::Planned => self.enter(State::Available { until, as_of: time }),
            State::Requested { since, .. } if time.plus(SKEW_SECS) < since => {
                // A copy made for somebody else, or one that has gone: the answer to the call, or
                // a look, tells.
                self.note(Note::Stale);
                self.look();
            }
            State::Restoring { since, .. } | State::Expired { since }
                if time.plus(SKEW_SECS) < since =>
            {
                self.note(Note::Stale);
            }
            State::Requested { .. } | State::Restoring { .. } | State::Expired { .. } => {
                self.enter(State::Available { until, as_of: time });
            }
            State::Available { until: known, as_of }
            | State::Scanning { until: known, as_of, .. } => {
                self.newer_expiry(known, as_of, until, time);
            }
            State::Done | State::Failed { .. } => self.note(Note::Stale),
        }
    }

    /// Takes the expiry of an event while another is known: the later one wins, if the event is not
    /// older than what is known.
    fn newer_expiry(&mut self, known: Until, as_of: Moment, until: Until, time: Moment) {
        if until == known {
            self.note(Note::Duplicate);
        } else if time < as_of || known == Until::Forever {
            self.note(Note::Stale);
        } else if until > known {
            self.known_until(until, time);
        } else {
            self.note(Note::Stale);
            self.look();
        }
    }

    pub(super) fn known_until(&mut self, new: Until, at: Moment) {
        if let State::Available { until, as_of } | State::Scanning { until, as_of, .. } =
            &mut self.task.state
        {
            (*until, *as_of) = (new, at.max(*as_of));
        }
    }

    fn completed_without_expiry(&mut self, time: Moment) {
        match self.task.state {
            State::Requested { since, .. } | State::Restoring { since, .. }
                if time.plus(SKEW_SECS) >= since =>
            {
                if self.task.look.is_some_and(|look| look.asked) {
                    self.note(Note::Duplicate);
                } else if self.task.class.copy_expires() {
                    self.look();
                } else {
                    self.enter(State::Available { until: Until::Forever, as_of: time });
                }
            }
            _ => self.note(Note::Stale),
        }
    }

    fn expired(&mut self, time: Moment) {
        match self.task.state {
            State::Available { until: Until::At(until), .. } if time >= until => self.gone(time),
            State::Available { until: Until::At(_), as_of }
            | State::Scanning { until: Until::At(_), as_of, .. }
            | State::Restoring { since: as_of, .. }
                if time > as_of =>
            {
                // It may be another copy than is known of. A scan goes on: its reads tell.
                self.note(Note::Stale);
                self.look();
            }
            State::Expired { .. } => self.note(Note::Duplicate),
            _ => self.note(Note::Stale),
        }
    }

    pub(super) fn seen(&mut self, sighting: Sighting) {
        let Sighting { class, status, at } = sighting;
        let known = match self.task.state {
            State::Restoring { as_of, .. }
            | State::Available { as_of, .. }
            | State::Scanning { as_of, .. }
            | State::Expired { since: as_of } => as_of,
            State::Planned | State::Requested { .. } => Moment::default(),
            State::Done | State::Failed { .. } => return self.note(Note::Stale),
        };
        if at < known {
            return self.note(Note::Stale);
        }
        self.task.class = class;
        self.task.look = None;
        if class.reads_at_once() == Some(true) {
            return self.seen_readable(Until::Forever, at);
        }
        match status {
            Some(RestoreStatus::InProgress) => self.seen_in_progress(at),
            Some(RestoreStatus::Restored { expiry: Some(expiry) }) => {
                let until = Until::At(expiry);
                if until.is_past(at) {
                    self.seen_archived(at);
                } else {
                    self.seen_readable(until, at);
                }
            }
            Some(RestoreStatus::Restored { expiry: None }) if !class.copy_expires() => {
                self.seen_readable(Until::Forever, at);
            }
            None if class.reads_at_once() == Some(false) => self.seen_archived(at),
            Some(RestoreStatus::Restored { expiry: None }) | None => self.seen_nothing(),
        }
    }

    /// What was seen tells nothing: look again in time, where that is of use.
    fn seen_nothing(&mut self) {
        self.note(Note::Unexpected);
        if matches!(self.task.state, State::Requested { .. } | State::Restoring { .. }) {
            self.task.look = Some(Look { due: self.next_look(), asked: false });
        }
    }

    fn seen_readable(&mut self, until: Until, at: Moment) {
        match self.task.state {
            State::Available { .. } | State::Scanning { .. } => self.known_until(until, at),
            _ => self.enter(State::Available { until, as_of: at }),
        }
    }

    fn seen_in_progress(&mut self, at: Moment) {
        match &mut self.task.state {
            State::Restoring { as_of, .. } => {
                *as_of = at;
                self.task.look = Some(Look { due: self.next_look(), asked: false });
                self.note(Note::Duplicate);
            }
            State::Requested { since, .. } => {
                let since = *since;
                let asked = self.task.call.map(|call| call.asked);
                self.restoring(asked, since, at);
            }
            State::Planned | State::Available { .. } | State::Expired { .. } => {
                self.restoring(None, at, at);
            }
            State::Scanning { .. } => self.known_until(Until::At(at), at),
            State::Done | State::Failed { .. } => {}
        }
    }

    fn seen_archived(&mut self, at: Moment) {
        match self.task.state {
            State::Requested { since, called: false } => self.call_first(since),
            State::Requested { .. } if self.task.call.is_none() => self.call_anew(),
            State::Restoring { .. } | State::Available { .. } => self.gone(at),
            State::Scanning { .. } => self.known_until(Until::At(at), at),
            _ => self.note(Note::Duplicate),
        }
    }
}
