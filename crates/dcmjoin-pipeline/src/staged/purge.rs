//! Removes the raw objects of a campaign whose books are closed, and forgets its facts.
//!
//! **A second time** it removes what was left, or finds nothing. **Order:** halves, what pairs came to; the
//! facts last. A purge that is broken off leaves raw objects that nobody needs.

use dcmjoin_ledger::tasks::Stage;
use dcmjoin_ledger::{CampaignName, FactLog, TaskStore};
use dcmjoin_objects::{Removed, Stores};

use super::closings::Closings;
use super::give_up::GiveUp;
use super::settings::{CampaignSettings, open_tasks};
use super::unpaired::unpaired;
use super::work::WorkError;
use crate::error::RunError;
use crate::raw::Raw;

/// Removes a campaign's raw objects; with `dry_run` it only counts them. The rule, where one is given, stands for
/// the campaign's.
///
/// # Errors
/// [`WorkError`] where the campaign is open, keeps no raw objects or has halves that wait, or a store fails.
pub async fn purge(
    stores: &Stores,
    tasks: &dyn TaskStore,
    facts: &dyn FactLog,
    name: &CampaignName,
    rule: Option<GiveUp>,
    dry_run: bool,
) -> Result<Removed, WorkError> {
    let refused = |detail: String| RunError::Invalid { place: format!("campaign {name}"), detail };
    let settings = CampaignSettings::find(tasks, name).await?;
    let Some(place) = settings.raw_place(name)? else {
        return Err(refused("it keeps no raw objects".to_owned()).into());
    };
    let open = open_tasks(tasks, name, &Stage::ALL).await?;
    if open > 0 {
        let detail = format!(
            "expected one whose books are closed, got {open} open tasks; `dcmjoin work all` does them \
             and closes it"
        );
        return Err(refused(detail).into());
    }
    let raw = Raw::open(stores, &place)?;
    if let Some(detail) = refusal(stores, tasks, name, &settings, rule).await?
        && raw.remove_all(true).await?.objects > 0
    {
        return Err(refused(detail).into());
    }
    let removed = raw.remove_all(dry_run).await?;
    if !dry_run {
        facts.forget(name).await?;
    }
    Ok(removed)
}

/// Returns why what is there must stay.
async fn refusal(
    stores: &Stores,
    tasks: &dyn TaskStore,
    name: &CampaignName,
    settings: &CampaignSettings,
    rule: Option<GiveUp>,
) -> Result<Option<String>, WorkError> {
    if !is_committed(stores, tasks, name, settings).await? {
        let detail = "expected one whose books are closed, got no commit marker: its report names the archives \
                      that could not be read; `dcmjoin work add` with them, then `dcmjoin work all`";
        return Ok(Some(detail.to_owned()));
    }
    let list = unpaired(stores, tasks, name, rule, |_| Ok(())).await?;
    let (waiting, rule) = (list.count.waiting, list.rule);
    Ok((waiting > 0).then(|| {
        format!(
            "expected no half that waits for its partner, got {waiting} by the rule {rule}; \
             `--give-up watermark` removes their raw objects all the same"
        )
    }))
}

/// Returns whether the run that closed the campaign last left its commit marker.
async fn is_committed(
    stores: &Stores,
    tasks: &dyn TaskStore,
    name: &CampaignName,
    settings: &CampaignSettings,
) -> Result<bool, WorkError> {
    let output = stores.open(&settings.output.parse()?)?;
    let closings = Closings::read(&output, name, &tasks.id().await?).await?;
    let Some(last) = closings.last().filter(|last| last.is_committed) else { return Ok(false) };
    Ok(output.object(&format!("_dcmjoin/{}/commit.json", last.run)).await?.is_some())
}
