//! The roles: which instances are whole, and what is amiss with the others.
//!
//! Special instances are drawn from those with pixels, at random, each for one role only, so what a
//! correct run must report follows by counting.

use dcmjoin_model::{Half, Reason};
use serde::{Deserialize, Serialize};

use crate::options::Shares;
use crate::plan::{Instance, Plan};
use crate::random::{Random, Use};
use crate::recipe::{Codec, Form};

/// What an instance is in the data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Whole: both halves, or a header that needs no other.
    Plain,
    /// One half only.
    Unpaired(Half),
    /// Whole, and one half again with the same bytes.
    Duplicate(Half),
    /// Whole, and one half again with other bytes.
    Conflict(Half),
    /// Not a file.
    Broken(Fault),
}

/// What is wrong with a broken instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The header ends in the middle.
    HeaderCutShort,
    /// The header's (0008,0018) is not the UID that its member is named after.
    HeaderMisnamed,
    /// The header has no (0008,0018).
    HeaderWithoutUid,
    /// The header has no (0008,0016).
    HeaderWithoutSopClass,
    /// The header has a `BulkDataURI` that leads nowhere.
    HeaderWithBulkDataUri,
    /// The last row of native pixels is missing.
    PayloadShort,
    /// The payload has one frame fewer than the header says.
    PayloadMissingFrame,
    /// The payload has no bytes.
    PayloadEmpty,
    /// The header has twice the payload's rows.
    PayloadOfOtherSize,
}

impl Fault {
    /// All faults, in the order in which they are handed out.
    pub const ALL: [Self; 9] = [
        Self::HeaderCutShort,
        Self::PayloadShort,
        Self::HeaderMisnamed,
        Self::PayloadMissingFrame,
        Self::HeaderWithoutSopClass,
        Self::HeaderWithBulkDataUri,
        Self::PayloadEmpty,
        Self::HeaderWithoutUid,
        Self::PayloadOfOtherSize,
    ];

    /// Returns the reason that a correct run gives for it.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::HeaderCutShort => Reason::JsonSyntax,
            Self::HeaderMisnamed => Reason::UidMismatch,
            Self::HeaderWithoutUid => Reason::UidMissing,
            Self::HeaderWithoutSopClass => Reason::SopClassMissing,
            Self::HeaderWithBulkDataUri => Reason::BulkDataMissing,
            Self::PayloadShort => Reason::PayloadLength,
            Self::PayloadMissingFrame => Reason::FrameCount,
            Self::PayloadEmpty => Reason::PayloadEmpty,
            Self::PayloadOfOtherSize => Reason::GeometryMismatch,
        }
    }

    /// Returns the half where the fault shows: the header by itself, or the payload beside it.
    #[must_use]
    pub const fn half(self) -> Half {
        match self {
            Self::HeaderCutShort
            | Self::HeaderMisnamed
            | Self::HeaderWithoutUid
            | Self::HeaderWithoutSopClass
            | Self::HeaderWithBulkDataUri => Half::Metadata,
            Self::PayloadShort
            | Self::PayloadMissingFrame
            | Self::PayloadEmpty
            | Self::PayloadOfOtherSize => Half::Image,
        }
    }

    /// Returns the half whose bytes are not what they should be.
    pub(crate) const fn spoils(self) -> Half {
        match self {
            Self::PayloadOfOtherSize => Half::Metadata,
            other => other.half(),
        }
    }

    /// Returns true where an instance can have this fault.
    fn suits(self, instance: &Instance<'_>) -> bool {
        let form = instance.spec().form;
        match self {
            Self::PayloadShort => form == Form::Native && instance.geometry().bits_allocated == 16,
            Self::PayloadMissingFrame => matches!(form, Form::Joined(_)),
            Self::PayloadOfOtherSize => matches!(form, Form::Bare(Codec::Jpeg2000)),
            _ => true,
        }
    }
}

/// The roles of all instances that are not [`Role::Plain`], by instance.
#[derive(Debug, Default)]
pub(crate) struct Roles(Vec<(u32, Role)>);

impl Roles {
    /// Draws the roles.
    pub(crate) fn new(plan: &Plan, shares: &Shares) -> Self {
        let mut candidates: Vec<u32> = plan
            .instances()
            .filter(|instance| !instance.series.recipe.is_header_only())
            .map(|instance| instance.index)
            .collect();
        Random::of(plan.seed, Use::Roles, 0, 0).shuffle(&mut candidates);
        let count = |share: f64| part(plan.instances, share);

        let mut roles = break_some(plan, &mut candidates, count(shares.broken));
        let mut draw = |count: usize, role: fn(Half) -> Role, half: Option<Half>| {
            let drawn = candidates.split_off(candidates.len() - count.min(candidates.len()));
            roles.extend(drawn.into_iter().enumerate().map(|(at, index)| {
                let turn = if at % 2 == 0 { Half::Metadata } else { Half::Image };
                (index, role(half.unwrap_or(turn)))
            }));
        };
        draw(count(shares.unpaired_metadata), Role::Unpaired, Some(Half::Metadata));
        draw(count(shares.unpaired_images), Role::Unpaired, Some(Half::Image));
        draw(count(shares.duplicate), Role::Duplicate, None);
        draw(count(shares.conflict), Role::Conflict, None);
        roles.sort_unstable_by_key(|&(index, _)| index);
        Self(roles)
    }

    /// Returns the role of an instance.
    pub(crate) fn of(&self, index: u32) -> Role {
        self.0
            .binary_search_by_key(&index, |&(special, _)| special)
            .map_or(Role::Plain, |at| self.0[at].1)
    }

    /// Returns the instances that are not plain, in the plan's order.
    pub(crate) fn special(&self) -> impl Iterator<Item = (u32, Role)> + '_ {
        self.0.iter().copied()
    }
}

/// Returns a share of the instances, rounded.
#[expect(clippy::cast_sign_loss, reason = "shares are checked to be positive")]
fn part(instances: u32, share: f64) -> usize {
    (f64::from(instances) * share).round() as usize
}

/// Hands out the faults in rotation, and takes the instances they fall on from the candidates.
/// A fault that no candidate suits is left out.
fn break_some(plan: &Plan, candidates: &mut Vec<u32>, count: usize) -> Vec<(u32, Role)> {
    let mut broken: Vec<(u32, Role)> = Vec::with_capacity(count);
    let mut taken = vec![false; candidates.len()];
    // Where each fault's search goes on, so that the searches together stay linear.
    let mut from = [0; Fault::ALL.len()];
    let mut without_match = 0;
    for turn in (0..Fault::ALL.len()).cycle() {
        if broken.len() == count || without_match == Fault::ALL.len() {
            break;
        }
        let fault = Fault::ALL[turn];
        let found = (from[turn]..candidates.len())
            .find(|&at| !taken[at] && fault.suits(&plan.instance(candidates[at])));
        from[turn] = found.map_or(candidates.len(), |at| at + 1);
        without_match = if found.is_some() { 0 } else { without_match + 1 };
        if let Some(at) = found {
            taken[at] = true;
            broken.push((candidates[at], Role::Broken(fault)));
        }
    }
    let mut at = 0;
    candidates.retain(|_| {
        at += 1;
        !taken[at - 1]
    });
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::SynthOptions;

    fn roles(instances: u64, shares: Shares) -> Vec<(u32, Role)> {
        let options = SynthOptions { shares, ..SynthOptions::new(instances, 5) };
        Roles::new(&Plan::new(&options), &shares).0
    }

    #[test]
    fn every_share_is_met_and_nobody_has_two_roles() {
        let special = roles(2_000, Shares::default());
        assert_eq!(special.len(), 50);
        assert!(special.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for fault in Fault::ALL {
            assert!(special.iter().any(|&(_, role)| role == Role::Broken(fault)), "{fault:?}");
        }
    }

    #[test]
    fn a_clean_set_has_no_special_instances() {
        assert!(roles(500, Shares::CLEAN).is_empty());
    }

    #[test]
    fn a_set_that_runs_out_of_candidates_still_ends() {
        let special = roles(40, Shares { broken: 1.0, ..Shares::CLEAN });
        assert_eq!(special.len(), 40);
    }
}
