//! What all workers of a campaign must know alike: kept with it, as JSON.

use dcmjoin_ledger::tasks::{BATCH_MAX, NewTask, Stage};
use dcmjoin_ledger::{Campaign, CampaignName, TaskStore};
use dcmjoin_model::Half;
use dcmjoin_objects::Stores;
use serde::{Deserialize, Serialize};

use super::give_up::GiveUp;
use super::work::WorkError;
use crate::config::{IfExists, Publish, RunConfig, Source};
use crate::error::RunError;
use crate::manifest;
use crate::raw::RawPlace;

/// The name and version of the form.
const SCHEMA: &str = "dcmjoin.work/1";

/// Settings of a campaign. What a machine may give is the worker's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignSettings {
    schema: String,
    /// Where instances go.
    pub output: String,
    /// How their keys are made.
    pub layout: String,
    /// In which form instances are published.
    #[serde(default)]
    pub publish: Publish,
    /// What happens where an object stands already.
    pub if_exists: IfExists,
    /// A value that cannot be kept as it was rejects its header.
    pub strict_values: bool,
    /// Where copies of all archives are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<String>,
    /// Where halves are copied one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// When halves without partner are given up.
    #[serde(default, skip_serializing_if = "is_default")]
    pub give_up: GiveUp,
}

fn is_default(rule: &GiveUp) -> bool {
    *rule == GiveUp::default()
}

impl CampaignSettings {
    /// Returns the settings of a configuration.
    #[must_use]
    pub fn of(config: &RunConfig) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            output: absolute(&config.output.to_string()),
            layout: config.layout.to_string(),
            publish: config.publish,
            if_exists: config.if_exists,
            strict_values: config.strict_values,
            keep: config.keep.as_ref().map(|keep| absolute(&keep.to_string())),
            raw: config.raw.as_ref().map(|raw| absolute(&raw.place.to_string())),
            give_up: GiveUp::default(),
        }
    }

    /// Reads the settings of the campaign of a name.
    ///
    /// # Errors
    /// [`WorkError`] where there is none, or as [`CampaignSettings::read`].
    pub async fn find(tasks: &dyn TaskStore, name: &CampaignName) -> Result<Self, WorkError> {
        let campaigns = tasks.campaigns().await?;
        let found = campaigns.iter().find(|campaign| campaign.name == *name);
        let none = || RunError::Invalid {
            place: format!("campaign {name}"),
            detail: "there is none of that name".to_owned(),
        };
        Ok(Self::read(found.ok_or_else(none)?)?)
    }

    /// Reads the settings of a campaign.
    ///
    /// # Errors
    /// [`RunError::Invalid`] where another release wrote them.
    pub fn read(campaign: &Campaign) -> Result<Self, RunError> {
        let read: Result<Self, _> = serde_json::from_str(&campaign.settings);
        read.ok().filter(|settings| settings.schema == SCHEMA).ok_or_else(|| RunError::Invalid {
            place: format!("campaign {}", campaign.name),
            detail: format!("expected settings of the form {SCHEMA}"),
        })
    }

    /// Returns the configuration of a worker: these settings on its machine's resources.
    ///
    /// # Errors
    /// [`RunError`] where output or layout make no sense.
    pub fn on(&self, machine: &RunConfig, name: &CampaignName) -> Result<RunConfig, RunError> {
        let mut config = RunConfig::new(Vec::new(), Vec::new(), self.output.parse()?);
        config.layout = self.layout.parse()?;
        config.publish = self.publish;
        config.if_exists = self.if_exists;
        config.strict_values = self.strict_values;
        config.keep = self.keep.as_deref().map(str::parse).transpose()?;
        config.raw = self.raw_place(name)?;
        config.archives_max = machine.archives_max;
        // Whether it goes to a store or a folder, the output tells.
        if machine.publishing_max > 0 {
            config.publishing_max = machine.publishing_max;
        }
        config.memory_bytes = machine.memory_bytes;
        config.range_bytes = machine.range_bytes;
        config.spill.clone_from(&machine.spill);
        Ok(config)
    }

    /// Returns where the campaign keeps raw objects, if it does.
    ///
    /// # Errors
    /// [`RunError`] where the place makes no sense.
    pub fn raw_place(&self, name: &CampaignName) -> Result<Option<RawPlace>, RunError> {
        let Some(place) = &self.raw else { return Ok(None) };
        Ok(Some(RawPlace { place: place.parse()?, campaign: name.to_string() }))
    }
}

/// Returns how many tasks of a campaign's stages are open.
pub(super) async fn open_tasks(
    tasks: &dyn TaskStore,
    name: &CampaignName,
    stages: &[Stage],
) -> Result<u64, WorkError> {
    let depths = tasks.depths().await?;
    let asked = depths.iter().filter(|depth| depth.campaign == *name);
    let asked = asked.filter(|depth| stages.contains(&depth.stage));
    Ok(asked.map(|depth| depth.waiting.tasks + depth.claimed.tasks).sum())
}

/// Adds the archives of both sides to a campaign, and makes it where it is new. Returns how many archives
/// are new.
///
/// # Errors
/// [`WorkError`] where the sources cannot be listed or the store fails. What was added stays; the
/// same again completes it.
pub async fn add(
    stores: &Stores,
    tasks: &dyn TaskStore,
    name: &CampaignName,
    priority: i32,
    config: &RunConfig,
    give_up: GiveUp,
) -> Result<u64, WorkError> {
    let settings = CampaignSettings { give_up, ..CampaignSettings::of(config) };
    let settings =
        serde_json::to_string(&settings).map_err(|error| RunError::Internal(error.to_string()))?;
    let mut added = 0;
    let mut sides = Vec::new();
    for (half, sources) in [(Half::Metadata, &config.metadata), (Half::Image, &config.images)] {
        sides.push((Stage::from(half), listed(stores, half, sources).await?));
    }
    tasks.put_campaign(&Campaign { name: name.clone(), priority, settings }).await?;
    for (stage, archives) in sides {
        for some in archives.chunks(BATCH_MAX) {
            let new =
                some.iter().map(|(url, bytes)| NewTask { stage, url: url.clone(), bytes: *bytes });
            added += tasks.add(name, &new.collect::<Vec<_>>()).await?;
        }
    }
    Ok(added)
}

async fn listed(
    stores: &Stores,
    half: Half,
    sources: &[Source],
) -> Result<Vec<(String, u64)>, RunError> {
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    let archives = manifest::archives(stores, half, sources).await?;
    Ok(archives.iter().map(|archive| (absolute(archive.url()), archive.size())).collect())
}

/// Returns a place as workers in other folders name it.
fn absolute(place: &str) -> String {
    match std::path::absolute(place) {
        Ok(path) if !place.contains("://") => path.display().to_string(),
        _ => place.to_owned(),
    }
}
