//! Removes the raw objects of a campaign whose books are closed, and forgets its facts.
//!
//! **A second time** it removes what was left, or finds nothing. **Order:** halves, what pairs came to, the
//! mark of the closing; the facts last. A purge that is broken off leaves raw objects that nobody needs.

use dcmjoin_ledger::{CampaignName, FactLog, TaskStore};
use dcmjoin_objects::{Removed, Stores};

use super::settings::CampaignSettings;
use super::work::WorkError;
use crate::error::RunError;
use crate::raw::Raw;

/// Removes a campaign's raw objects; with `dry_run` it only counts them.
///
/// # Errors
/// [`WorkError`] where the campaign is open or keeps no raw objects, or a store fails.
pub async fn purge(
    stores: &Stores,
    tasks: &dyn TaskStore,
    facts: &dyn FactLog,
    name: &CampaignName,
    dry_run: bool,
) -> Result<Removed, WorkError> {
    let refused = |detail: String| RunError::Invalid { place: format!("campaign {name}"), detail };
    let campaigns = tasks.campaigns().await?;
    let campaign = campaigns.iter().find(|campaign| campaign.name == *name);
    let settings = match campaign {
        Some(campaign) => CampaignSettings::read(campaign)?,
        None => return Err(refused("there is none of that name".to_owned()).into()),
    };
    let Some(place) = settings.raw_place(name)? else {
        return Err(refused("it keeps no raw objects".to_owned()).into());
    };
    let open = open_tasks(tasks, name).await?;
    if open > 0 {
        let detail = format!(
            "expected one whose books are closed, got {open} open tasks; `dcmjoin work all` does them \
             and closes it"
        );
        return Err(refused(detail).into());
    }
    let raw = Raw::open(stores, &place)?;
    if !is_committed(stores, &settings, &raw).await? && raw.remove_all(true).await?.objects > 0 {
        let detail = "expected one whose books are closed, got no commit marker: its report names the archives \
                      that could not be read; `dcmjoin work add` with them, then `dcmjoin work all`";
        return Err(refused(detail.to_owned()).into());
    }
    let removed = raw.remove_all(dry_run).await?;
    if !dry_run {
        facts.forget(name).await?;
    }
    Ok(removed)
}

async fn open_tasks(tasks: &dyn TaskStore, name: &CampaignName) -> Result<u64, WorkError> {
    let depths = tasks.depths().await?;
    let ours = depths.iter().filter(|depth| depth.campaign == *name);
    Ok(ours.map(|depth| depth.waiting.tasks + depth.claimed.tasks).sum())
}

/// Returns whether the run that closed the campaign left its commit marker.
async fn is_committed(
    stores: &Stores,
    settings: &CampaignSettings,
    raw: &Raw,
) -> Result<bool, RunError> {
    let Some(run) = raw.closed().await? else { return Ok(false) };
    let output = stores.open(&settings.output.parse()?)?;
    Ok(output.object(&format!("_dcmjoin/{run}/commit.json")).await?.is_some())
}
