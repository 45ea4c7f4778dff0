//! What a campaign allows its archives: tiers, days, and the limits of every retry and wait.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::class::Tier;
use crate::moment::{DAY, HOUR, Moment};

/// The rules for all archives of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// How fast archives are restored.
    pub tier: Tier,
    /// What is asked for where there is no Expedited capacity; `None` asks for Expedited again.
    pub fall_back: Option<Tier>,
    /// For how many days copies are asked for, at least.
    pub days: u32,
    /// For how many days copies may be asked for.
    pub days_max: u32,
    /// A copy must last this much longer than its scan is forecast to take, in seconds.
    pub margin_secs: u64,
    /// How often an archive may be restored.
    pub restores_max: u16,
    /// How often a call may fail before it is given up; throttling counts.
    pub tries_max: u16,
    /// How often a call may be denied before it is given up.
    pub denied_max: u16,
    /// How often a copy may be extended for each restore.
    pub extends_max: u16,
    /// How often a scan may fail.
    pub scans_max: u16,
    /// How often the worker of a scan may go away.
    pub lost_max: u16,
    /// A call without an answer for so long is made again, in seconds. Longer for Batch Operations.
    pub answer_secs_max: u64,
    /// A restore that has not begun within so many seconds is given up.
    pub requested_secs_max: u64,
    /// A restore that has not ended within so many seconds is given up.
    pub restoring_secs_max: u64,
    /// How often an object is looked at while something is unclear or overdue, in seconds.
    pub look_secs: u64,
    /// The wait after the first failure, in seconds; it doubles.
    pub wait_secs: u64,
    /// The longest wait after a failure, in seconds.
    pub wait_secs_max: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            tier: Tier::Bulk,
            fall_back: Some(Tier::Standard),
            days: 2,
            // A petabyte takes a slow machine six days; what needs a month of copies needs waves.
            days_max: 30,
            // A scan slower than its forecast by an hour or two still ends in time.
            margin_secs: 2 * HOUR,
            restores_max: 3,
            // With waits up to 15 minutes these are about four hours.
            tries_max: 24,
            denied_max: 3,
            extends_max: 8,
            scans_max: 5,
            // Machines that are taken away at any time are no archive's fault.
            lost_max: 20,
            answer_secs_max: 300,
            requested_secs_max: 2 * DAY,
            // The longest documented is 48 hours; large sets take longer.
            restoring_secs_max: 7 * DAY,
            look_secs: HOUR,
            wait_secs: 2,
            wait_secs_max: 900,
        }
    }
}

/// Rules that contradict themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("policy: {0}")]
pub struct PolicyError(&'static str);

impl Policy {
    /// Returns the rules, if they make sense.
    ///
    /// # Errors
    /// [`PolicyError`] where no archive could ever be restored by them.
    pub fn checked(self) -> Result<Self, PolicyError> {
        if self.days == 0 || self.days > self.days_max {
            return Err(PolicyError("`days` must be at least 1 and at most `days_max`"));
        }
        if [self.restores_max, self.tries_max, self.scans_max, self.lost_max].contains(&0) {
            return Err(PolicyError(
                "`restores_max`, `tries_max`, `scans_max` and `lost_max` must be at least 1",
            ));
        }
        Ok(self)
    }

    /// Returns the wait after so many failures in a row, in seconds. Drivers add jitter.
    #[must_use]
    pub fn wait_after(&self, failures: u16) -> u64 {
        let doublings = u32::from(failures.saturating_sub(1)).min(32);
        self.wait_secs.saturating_mul(1 << doublings).min(self.wait_secs_max).max(1)
    }
}

/// What holds while one input is taken.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The campaign's rules.
    pub policy: &'a Policy,
    /// The server's time.
    pub now: Moment,
    /// How long a scan of this archive is forecast to take, in seconds.
    pub scan_secs: u64,
}

impl Setting<'_> {
    /// Returns for how long a copy must last when a scan begins, in seconds.
    #[must_use]
    pub const fn scan_needs_secs(&self) -> u64 {
        self.scan_secs.saturating_add(self.policy.margin_secs)
    }

    /// Returns the days that a copy must be asked for to last so many seconds from now, at least the
    /// policy's; `None` where they are more than the policy allows.
    pub(super) fn days_for(&self, secs: u64) -> Option<u32> {
        let days = u32::try_from(secs.div_ceil(DAY)).ok()?.max(self.policy.days).max(1);
        (days <= self.policy.days_max).then_some(days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_contradict_themselves_are_refused() {
        assert!(Policy::default().checked().is_ok());
        assert!(Policy { days: 0, ..Policy::default() }.checked().is_err());
        assert!(Policy { days: 31, ..Policy::default() }.checked().is_err());
        assert!(Policy { restores_max: 0, ..Policy::default() }.checked().is_err());
        assert!(Policy { lost_max: 0, ..Policy::default() }.checked().is_err());
    }

    #[test]
    fn waits_double_up_to_their_limit() {
        let policy = Policy::default();
        assert_eq!([1, 2, 3, 10, u16::MAX].map(|n| policy.wait_after(n)), [2, 4, 8, 900, 900]);
    }
}
