//! Calls of `RestoreObject`: asked for, answered, made again.

use super::step::Turn;
use super::{Asked, Call, Effect, Failure, Note, Purpose, State, Until};
use crate::answer::Answer;
use crate::class::Tier;

impl Call {
    pub(super) fn effect(&self) -> Effect {
        let Asked { tier, days } = self.asked;
        Effect::Request { ticket: self.ticket, purpose: self.purpose, tier, days }
    }
}

impl Turn<'_> {
    /// Makes a call.
    pub(super) fn call(&mut self, purpose: Purpose, asked: Asked) {
        self.task.ticket = self.task.ticket.wrapping_add(1);
        let (ticket, sent) = (self.task.ticket, self.setting.now);
        let call = Call { ticket, purpose, asked, sent, again: None };
        self.task.call = Some(call);
        self.effects.push(call.effect());
    }

    /// Makes a call for a restore again, after a look that contradicts the last answer.
    pub(super) fn call_anew(&mut self) {
        self.task.counts.tries += 1;
        if self.task.counts.tries >= self.setting.policy.tries_max {
            return self.fail(Failure::Contradiction);
        }
        match self.asked_for() {
            Some(asked) => self.call(Purpose::Restore, asked),
            None => self.fail(Failure::ScanTooLong),
        }
    }

    /// Returns what an extension asks for: enough for a scan that begins now, and never less than
    /// what the copy has. S3 counts the days from *now*, so that fewer would shorten it.
    pub(super) fn extension(&self, until: Until) -> Option<Asked> {
        let Until::At(until) = until else { return None };
        if !self.task.class.copy_expires() {
            return None;
        }
        let has = self.setting.now.secs_until(until);
        let days = self.setting.days_for(self.setting.scan_needs_secs().max(has))?;
        // Where the copy has gone in the meantime, this call begins a restore: not at the price of
        // Expedited.
        let tier = match self.setting.policy.tier {
            Tier::Expedited => Tier::Standard,
            tier => tier,
        };
        Some(Asked { tier, days: Some(days) })
    }

    /// Has the running restore upgraded, with the same days.
    pub(super) fn upgrade(&mut self, tier: Tier) {
        let tier = tier.within(self.task.class);
        match (self.task.state, self.task.call) {
            (State::Restoring { asked: Some(asked), .. }, None) if tier > asked.tier => {
                self.call(Purpose::Upgrade, Asked { tier, ..asked });
            }
            _ => self.note(Note::Unexpected),
        }
    }

    /// Takes the answer to a call.
    pub(super) fn answer(&mut self, ticket: u32, answer: Answer) {
        let current = |call: &Call| call.ticket == ticket && call.again.is_none();
        let Some(call) = self.task.call.filter(current) else { return self.late(answer) };
        match call.purpose {
            Purpose::Restore => self.restore_answered(&call, answer),
            Purpose::Extend => self.extend_answered(&call, answer),
            Purpose::Upgrade => self.upgrade_answered(&call, answer),
        }
    }

    /// An answer to a call that no longer counts may still have begun a restore, or set an expiry.
    fn late(&mut self, answer: Answer) {
        self.note(Note::Late);
        let did = matches!(
            answer,
            Answer::Accepted | Answer::AlreadyRestored | Answer::AlreadyInProgress
        );
        let concerns = match self.task.state {
            State::Requested { .. } | State::Restoring { .. } => true,
            State::Available { until, .. } | State::Scanning { until, .. } => {
                until != Until::Forever
            }
            _ => false,
        };
        if did && concerns {
            self.look();
        }
    }

    fn restore_answered(&mut self, call: &Call, answer: Answer) {
        match answer {
            Answer::Accepted => self.restoring(Some(call.asked), call.sent, self.setting.now),
            // Its tier and days are not known: perhaps this campaign's own call, whose answer was
            // lost.
            Answer::AlreadyInProgress => self.restoring(None, call.sent, self.setting.now),
            Answer::AlreadyRestored | Answer::NotArchived => {
                self.task.call = None;
                self.look();
            }
            Answer::NoExpeditedCapacity => self.no_capacity(call),
            Answer::NotFound => self.fail(Failure::NotFound),
            Answer::Refused => self.refused(),
            Answer::Throttled
            | Answer::ServerError
            | Answer::Lost
            | Answer::CredentialsExpired
            | Answer::AccessDenied => self.call_failed(call, answer),
        }
    }

    /// `Days` is mandatory for one class and forbidden for another: the class may be another than
    /// the manifest says. A look tells; a second refusal is final.
    fn refused(&mut self) {
        if self.task.counts.tries > 0 {
            return self.fail(Failure::RequestRefused);
        }
        self.task.counts.tries += 1;
        self.task.call = None;
        self.look();
    }

    /// Falls back to a slower tier, or tries Expedited again.
    fn no_capacity(&mut self, call: &Call) {
        let slower = self.setting.policy.fall_back.filter(|tier| *tier < call.asked.tier);
        self.call_failed(call, Answer::NoExpeditedCapacity);
        if let (Some(tier), Some(call)) = (slower, &mut self.task.call) {
            call.asked.tier = tier;
            call.again = Some(self.setting.now);
            self.call_in_time();
        }
    }

    fn extend_answered(&mut self, call: &Call, answer: Answer) {
        match answer {
            Answer::AlreadyRestored => {
                self.task.call = None;
                self.task.counts.tries = 0;
                self.copy_known_as_of_now();
                self.look();
            }
            // The copy went before the call came: this is a new restore.
            Answer::Accepted => self.extension_restores(call),
            Answer::AlreadyInProgress | Answer::NotArchived => {
                self.task.call = None;
                self.look();
            }
            Answer::NotFound if matches!(self.task.state, State::Available { .. }) => {
                self.fail(Failure::NotFound);
            }
            Answer::NotFound | Answer::Refused => self.extend_no_more(),
            Answer::Throttled
            | Answer::ServerError
            | Answer::Lost
            | Answer::CredentialsExpired
            | Answer::AccessDenied
            | Answer::NoExpeditedCapacity => self.call_failed(call, answer),
        }
    }

    /// Sightings from before now no longer count.
    fn copy_known_as_of_now(&mut self) {
        let now = self.setting.now;
        if let State::Available { as_of, .. } | State::Scanning { as_of, .. } = &mut self.task.state
        {
            *as_of = now.max(*as_of);
        }
    }

    fn extension_restores(&mut self, call: &Call) {
        let now = self.setting.now;
        self.task.counts.restores = self.task.counts.restores.saturating_add(1);
        if matches!(self.task.state, State::Scanning { .. }) {
            // What is being read may still come to its end.
            self.task.call = None;
            self.known_until(Until::At(now), now);
        } else {
            self.restoring(Some(call.asked), call.sent, now);
        }
    }

    /// Leaves the copy as it is; should it go too early, it is restored again.
    fn extend_no_more(&mut self) {
        self.task.call = None;
        self.task.counts.extends = self.setting.policy.extends_max;
    }

    fn upgrade_answered(&mut self, call: &Call, answer: Answer) {
        self.task.call = None;
        match answer {
            Answer::Accepted => {
                let now = self.setting.now;
                if let State::Restoring { since, .. } = self.task.state {
                    self.restoring(Some(call.asked), since, now);
                }
            }
            Answer::AlreadyRestored | Answer::NotArchived => self.look(),
            _ => self.note(Note::Unexpected),
        }
    }

    /// Has a call made again later, or gives it up.
    fn call_failed(&mut self, call: &Call, answer: Answer) {
        self.task.counts.tries += 1;
        let (tries, policy) = (self.task.counts.tries, self.setting.policy);
        let (limit, failure) = match answer {
            Answer::AccessDenied => {
                (policy.denied_max.min(policy.tries_max), Failure::AccessDenied)
            }
            _ => (policy.tries_max, Failure::NoAnswer),
        };
        if tries < limit {
            let again = self.setting.now.plus(policy.wait_after(tries));
            self.task.call = Some(Call { again: Some(again), ..*call });
            return;
        }
        match call.purpose {
            Purpose::Restore => self.fail(failure),
            Purpose::Extend => self.extend_no_more(),
            Purpose::Upgrade => self.task.call = None,
        }
    }

    /// Makes a call for a restore again, with its tier, and days that fit what is known by now.
    fn restore_again(&mut self, call: &Call) {
        match self.asked_for() {
            Some(asked) => {
                let tier = call.asked.tier.within(self.task.class);
                self.call(call.purpose, Asked { tier, ..asked });
            }
            None => self.fail(Failure::ScanTooLong),
        }
    }

    /// Makes a call again that is due, and gives up waiting for an answer that is overdue.
    pub(super) fn call_in_time(&mut self) {
        let (now, policy) = (self.setting.now, self.setting.policy);
        let Some(call) = self.task.call else { return };
        match (call.again, self.task.state) {
            (None, _) if call.sent.plus(policy.answer_secs_max.max(1)) <= now => {
                match call.purpose {
                    // A person may ask again.
                    Purpose::Upgrade => self.task.call = None,
                    _ => self.call_failed(&call, Answer::Lost),
                }
            }
            (Some(again), State::Available { until, .. } | State::Scanning { until, .. })
                if again <= now =>
            {
                // The days are counted from now, and a copy that has gone is not extended.
                let asked = self.extension(until).filter(|_| !until.is_past(now));
                self.task.call = None;
                if let Some(asked) = asked {
                    self.call(Purpose::Extend, asked);
                }
            }
            (Some(again), _) if again <= now => self.restore_again(&call),
            _ => {}
        }
    }
}
