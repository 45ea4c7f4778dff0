//! Instances of which several files lie in shards: which of them is listed.
//!
//! A shard is not written again, so a conflict is settled by the list alone: the file of the image that the
//! rule chooses lies in its archive's shard already.

use std::collections::HashMap;

use dcmjoin_index::{Fact, Outcome};
use dcmjoin_model::{Half, Reason, Rejection, SopInstanceUid};

use super::Run;
use super::close::Close;
use super::intake::lies_of;
use crate::assemble::Instance;
use crate::error::RunError;
use crate::pair::Paired;
use crate::rows::{CopyRow, Superseded};

/// Files in shards that are listed instead of others: by the archive's number and the image's first
/// byte there.
#[derive(Debug, Default)]
pub(super) struct Copies(HashMap<(u32, u64), Chosen>);

#[derive(Debug)]
struct Chosen {
    uid: SopInstanceUid,
    /// Whether no other file of the instance was listed.
    is_new: bool,
}

/// Returns whether a fact tells what its instance came to.
pub(super) fn is_listed(fact: &Fact) -> bool {
    matches!(fact.outcome, Outcome::Published | Outcome::AlreadyThere | Outcome::Rejected)
}

/// Returns what a fact's instance came to once more, where it is not listed.
pub(super) fn as_copy(fact: &Fact) -> Option<Outcome> {
    match fact.outcome {
        Outcome::CopyPublished => Some(Outcome::Published),
        Outcome::CopyThere => Some(Outcome::AlreadyThere),
        _ => None,
    }
}

impl Close<'_> {
    /// Lists the winner's file instead of the claimed one's.
    pub(super) async fn choose_copy(
        &mut self,
        paired: &Paired,
        same: &[Fact],
        claimed: &Fact,
        winner: &Fact,
        instance: &Instance,
    ) -> Result<Outcome, RunError> {
        let uid = paired.header.uid.clone();
        let is_new = claimed.outcome == Outcome::Rejected;
        if !is_new && let Ok(loser) = self.assembled(paired, claimed).await {
            self.run.warnings.subtract(&loser.warnings);
        }
        let copy = |fact: &Fact| as_copy(fact).map(|outcome| (*fact, outcome));
        let mut winners = same.iter().filter(|fact| fact.digest == winner.digest);
        let Some((copy, outcome)) = winners.find_map(copy) else {
            // Its shard could not be written: something else stands in the place.
            let detail =
                "expected the file of the chosen image in a shard, got another object there";
            let rejection = Rejection::new(Reason::OutputDiffers, detail);
            let lies = lies_of(self.run, Half::Image, winner);
            let row = self.run.rejected_instance(uid.clone(), paired.origin, Some(lies), rejection);
            if is_new {
                self.superseded.rejected.insert(uid, Some(row));
            } else {
                self.superseded.in_shards.insert(uid, None);
                self.run.rows.rejected.push(&row)?;
            }
            return Ok(Outcome::Rejected);
        };
        self.run.warnings.add(&instance.warnings);
        if is_new {
            self.superseded.rejected.insert(uid.clone(), None);
        }
        self.copies.0.insert((copy.archive, copy.offset), Chosen { uid, is_new });
        Ok(outcome)
    }
}

impl Copies {
    /// Looks up the chosen files, and lists them.
    pub(super) fn list(&self, run: &Run, superseded: &mut Superseded) -> Result<(), RunError> {
        if self.0.is_empty() {
            return Ok(());
        }
        run.rows.copies.each(|CopyRow { image, file }| {
            match self.0.get(&image) {
                Some(chosen) if chosen.is_new => run.rows.published.push(&file)?,
                Some(chosen) => {
                    superseded.in_shards.insert(chosen.uid.clone(), Some(file));
                }
                None => {}
            }
            Ok(())
        })
    }
}
