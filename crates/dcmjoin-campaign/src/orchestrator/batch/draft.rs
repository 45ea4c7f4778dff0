//! Jobs in the making: calls of a wave, put into manifests by what they share.

use std::collections::BTreeMap;

use dcmjoin_restore::class::Tier;
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::spend;
use dcmjoin_restore::task::{Effect, Input, Purpose};

use super::super::effects::Due;
use super::super::{Orchestrator, PAGE};
use super::Running;
use crate::error::Error;
use crate::job::Job;
use crate::ledger::{Archive, Change, Place, Select};
use crate::sign::encode_path;
use crate::spec::Batch;

/// The longest manifest, in bytes; what does not fit goes into another job.
const MANIFEST_BYTES_MAX: usize = 48 << 20;

/// What all keys of a job share.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    bucket: String,
    tier: Tier,
    days: Option<u32>,
    versions: bool,
}

/// A job in the making.
#[derive(Default)]
struct Draft {
    manifest: String,
    keys: Vec<(i64, u32)>,
    costs: BTreeMap<spend::Purpose, Usd>,
}

impl Orchestrator {
    /// Asks for the restores of a wave's archives in a state.
    pub(in super::super) async fn start_by_batch(
        &mut self,
        batch: &Batch,
        wave: u64,
        state: &str,
    ) -> Result<(), Error> {
        let mut drafts: BTreeMap<Kind, Draft> = BTreeMap::new();
        let (mut after, mut drafted) = (0, Usd::ZERO);
        while self.paused.is_none() {
            let page = self.world.ledger.page(Select::In(wave, state), after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let mut inputs = Vec::with_capacity(page.len());
            for archive in page {
                if !self.draws_on_budget(&archive, &mut drafted) {
                    break;
                }
                inputs.push((archive, Input::Start));
            }
            let due = self.apply(inputs)?;
            let rest = self.draft(&mut drafts, due);
            self.carry_out(rest).await?;
            let full: Vec<Kind> = drafts
                .iter()
                .filter(|(_, draft)| draft.manifest.len() >= MANIFEST_BYTES_MAX)
                .map(|(kind, _)| kind.clone())
                .collect();
            for kind in full {
                if let Some(draft) = drafts.remove(&kind) {
                    self.begin_job(batch, &kind, draft).await?;
                }
            }
        }
        for (kind, draft) in drafts {
            self.begin_job(batch, &kind, draft).await?;
        }
        self.count(&[])
    }

    /// Returns whether the budget allows an archive's restore beside those that were drafted; the
    /// campaign pauses where it does not.
    fn draws_on_budget(&mut self, archive: &Archive, drafted: &mut Usd) -> bool {
        let policy = &self.spec.policy;
        let tier = policy.tier.within(archive.task.class);
        let costs = self.money.restore(archive.bytes, archive.task.class, tier, Some(policy.days));
        let sum = *drafted + costs.iter().map(|(_, usd)| *usd).sum();
        let affords = self.money.affords(&[(spend::Purpose::Retrieval, sum)]);
        if affords {
            *drafted = sum;
        } else {
            self.paused = Some("the budget does not allow another restore".to_owned());
        }
        affords
    }

    /// Puts calls into jobs; returns what is to be done otherwise. Expedited has no jobs.
    fn draft(&mut self, drafts: &mut BTreeMap<Kind, Draft>, due: Vec<Due>) -> Vec<Due> {
        let mut rest = Vec::new();
        for (archive, effects) in due {
            let mut left = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Request { ticket, purpose: Purpose::Restore, tier, days }
                        if tier != Tier::Expedited =>
                    {
                        let kind = Kind {
                            bucket: archive.place.bucket.clone(),
                            tier,
                            days,
                            versions: archive.place.version.is_some(),
                        };
                        let costs =
                            self.money.restore(archive.bytes, archive.task.class, tier, days);
                        let draft = drafts.entry(kind).or_default();
                        draft.add(&archive, ticket, &costs);
                    }
                    other => left.push(other),
                }
            }
            if !left.is_empty() {
                rest.push((archive, left));
            }
        }
        rest
    }

    /// Pays for a job, puts its manifest, writes it down, and has it made; its keys are asked for
    /// one by one where that fails.
    async fn begin_job(&mut self, batch: &Batch, kind: &Kind, draft: Draft) -> Result<(), Error> {
        let Draft { manifest, keys, costs } = draft;
        let count = keys.len();
        let mut costs: Vec<_> = costs.into_iter().collect();
        costs.push((spend::Purpose::Requests, self.money.job(count as u64)));
        if let Err(over) = self.money.pay(&costs) {
            // The calls stay open in the journal, as those that the budget does not allow.
            self.paused = Some(over.to_string());
            return Ok(());
        }
        self.jobs_made += 1;
        let now = self.world.aws.now();
        // The time parts campaigns that share a folder.
        let token = format!("{}-{}-{}", now.epoch_secs(), self.lease.epoch, self.jobs_made);
        let key = format!("{}/manifests/{token}.csv", batch.prefix);
        let place = Place { bucket: batch.bucket.clone(), key, version: None };
        let tag = match self.world.aws.put(&place, manifest.into_bytes()).await {
            Ok(tag) => tag,
            Err(error) => {
                tracing::warn!(%error, keys = count, "no batch job: keys are asked for one by one");
                self.money.take_back(costs);
                return self.answer_rest(keys).await;
            }
        };
        let job = Job {
            token,
            id: None,
            tier: kind.tier,
            days: kind.days,
            versions: kind.versions,
            manifest: place.key,
            tag,
            begun: now,
            costs,
            keys,
        };
        let (jobs, spend) = ([job], Some(&self.money.meter));
        self.write(&Change { jobs: &jobs, spend, ..Change::default() })?;
        let [job] = jobs;
        tracing::info!(keys = count, "a batch job begins");
        self.create_job(batch, Running { job, looked: now }).await
    }
}

impl Draft {
    fn add(&mut self, archive: &Archive, ticket: u32, costs: &[(spend::Purpose, Usd)]) {
        let Place { bucket, key, version } = &archive.place;
        self.manifest.push_str(&format!("{bucket},{}", encode_path(key)));
        if let Some(version) = version {
            self.manifest.push_str(&format!(",{version}"));
        }
        self.manifest.push('\n');
        self.keys.push((archive.id, ticket));
        for (purpose, usd) in costs {
            let sum = self.costs.entry(*purpose).or_insert(Usd::ZERO);
            *sum += *usd;
        }
    }
}
