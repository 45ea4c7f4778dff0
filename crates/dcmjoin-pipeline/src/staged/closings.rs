//! Which runs have closed a campaign: a small object in its output, `_dcmjoin/campaigns/<campaign>.json`.
//!
//! **Who writes it:** the closing, after its report; a campaign has one at a time. A closing that is repeated
//! because its worker died in between stands there twice: it looked for partners twice. Two task stores
//! that have a campaign of the same name in one output share the object, and each counts its own.

use dcmjoin_ledger::CampaignName;
use dcmjoin_ledger::binding::StoreId;
use dcmjoin_objects::{PutMode, Root};
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::report::Report;
use crate::since::Since;

/// The name and version of the form.
const SCHEMA: &str = "dcmjoin.closings/1";
/// The newest that are kept: who closes a campaign more often has given up long before.
const CLOSINGS_MAX: usize = 1_000;

/// The closings of a campaign, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Closings {
    schema: String,
    closings: Vec<Closing>,
}

/// A run that closed a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Closing {
    /// The id of its task store.
    store: String,
    pub(super) run: String,
    pub(super) finished: Since,
    /// Whether it left a commit marker: it could read all archives.
    pub(super) is_committed: bool,
}

impl Closings {
    /// Reads the closings that one task store knows of; none where there is no such object.
    pub(super) async fn read(
        output: &Root,
        campaign: &CampaignName,
        store: &StoreId,
    ) -> Result<Self, RunError> {
        let mut all = read_all(output, campaign).await?;
        all.closings.retain(|closing| closing.store == store.as_str());
        Ok(all)
    }

    /// Returns the last one.
    pub(super) fn last(&self) -> Option<&Closing> {
        self.closings.last()
    }

    /// Returns how many could read all archives, and came after a moment.
    pub(super) fn since(&self, since: Since) -> u32 {
        let after = |closing: &&Closing| closing.is_committed && closing.finished >= since;
        self.closings.iter().filter(after).count() as u32
    }
}

/// Adds a closing to those of its campaign.
pub(super) async fn closed(
    output: &Root,
    campaign: &CampaignName,
    store: &StoreId,
    report: &Report,
) -> Result<(), RunError> {
    let mut all = read_all(output, campaign).await?;
    all.closings.push(Closing {
        store: store.to_string(),
        run: report.run.clone(),
        finished: Since::now(),
        is_committed: report.archives.unreadable == 0,
    });
    let too_many = all.closings.len().saturating_sub(CLOSINGS_MAX);
    all.closings.drain(..too_many);
    let json = serde_json::to_vec_pretty(&all)
        .map_err(|error| RunError::Internal(format!("encode closings: {error}")))?;
    Ok(output.put(&key(campaign), vec![json.into()], PutMode::Replace).await?)
}

async fn read_all(output: &Root, campaign: &CampaignName) -> Result<Closings, RunError> {
    let none = || Closings { schema: SCHEMA.to_owned(), closings: Vec::new() };
    let key = key(campaign);
    let Some(object) = output.object(&key).await? else { return Ok(none()) };
    let bytes = object.read(0..object.size()).await?;
    let read: Option<Closings> = serde_json::from_slice(&bytes).ok();
    read.filter(|closings| closings.schema == SCHEMA).ok_or_else(|| RunError::Invalid {
        place: key,
        detail: format!("expected closings of the form {SCHEMA}; without it all halves wait anew"),
    })
}

fn key(campaign: &CampaignName) -> String {
    format!("_dcmjoin/campaigns/{campaign}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closings_of_one_store_that_could_read_all_are_attempts() {
        let closing = |seconds, is_committed| Closing {
            store: "0".repeat(32),
            run: format!("run-{seconds}"),
            finished: Since(seconds),
            is_committed,
        };
        let closings = Closings {
            schema: SCHEMA.to_owned(),
            closings: vec![closing(10, true), closing(20, false), closing(30, true)],
        };
        let attempts = [0, 10, 11, 30, 31].map(|seconds| closings.since(Since(seconds)));
        assert_eq!(attempts, [2, 2, 1, 1, 0]);
        assert_eq!(closings.last().unwrap().run, "run-30");
    }
}
