//! Steps and their effects: written down first, then carried out, then answered.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use dcmjoin_restore::answer::Answer;
use dcmjoin_restore::class::StorageClass;
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::task::{Effect, Input, Purpose, Setting, Sighting, State};
use futures::StreamExt as _;

use super::Orchestrator;
use crate::aws::From;
use crate::error::Error;
use crate::ledger::{Archive, Change};

/// Restore requests on their way at the same time.
const CALLS_MAX: usize = 32;

/// An archive and what is to be done for it.
pub(super) type Due = (Archive, Vec<Effect>);

/// A call of `RestoreObject` that is to be made.
struct Call {
    archive: Archive,
    ticket: u32,
    purpose: Purpose,
    tier: dcmjoin_restore::class::Tier,
    days: Option<u32>,
}

impl Orchestrator {
    pub(super) fn setting(&self, archive: &Archive) -> Setting<'_> {
        let wave = self.wave_bytes.get(&archive.wave).copied().unwrap_or(archive.bytes);
        Setting {
            policy: &self.spec.policy,
            now: self.world.aws.now(),
            scan_secs: self.spec.read_secs(wave),
        }
    }

    /// Takes inputs and writes down what they lead to; several of one archive in their order.
    pub(super) fn apply(&mut self, inputs: Vec<(Archive, Input)>) -> Result<Vec<Due>, Error> {
        if inputs.is_empty() {
            return Ok(Vec::new());
        }
        let mut places: HashMap<i64, usize> = HashMap::new();
        let mut due: Vec<Due> = Vec::new();
        let mut notes: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (archive, input) in inputs {
            let at = *places.entry(archive.id).or_insert_with(|| {
                due.push((archive, Vec::new()));
                due.len() - 1
            });
            let step = due[at].0.task.step(&self.setting(&due[at].0), &input);
            if let Some(note) = step.note {
                *notes.entry(note.as_str()).or_default() += 1;
            }
            due[at].0.task = step.task;
            due[at].1.extend(step.effects);
        }
        let wake = |archive: &Archive| archive.task.wake(&self.setting(archive));
        let rows: Vec<_> =
            due.iter().map(|(archive, _)| (archive.clone(), wake(archive))).collect();
        let counts: Vec<_> = notes.into_iter().collect();
        let spend = Some(&self.money.meter);
        self.write(&Change { archives: &rows, spend, counts: &counts, ..Change::default() })?;
        due.retain(|(_, effects)| !effects.is_empty());
        Ok(due)
    }

    /// Adds to what is counted, with what is spent.
    pub(super) fn count(&mut self, counts: &[(&'static str, u64)]) -> Result<(), Error> {
        self.money.count_calls(&self.world.aws);
        let counts: Vec<_> = counts.iter().copied().filter(|(_, number)| *number > 0).collect();
        let spend = Some(&self.money.meter);
        self.write(&Change { spend, counts: &counts, ..Change::default() })
    }

    pub(super) fn write(&self, change: &Change<'_>) -> Result<(), Error> {
        self.world.ledger.commit(self.lease, change)
    }

    /// Carries effects out, and those of what comes of them. Each archive has one call or look on
    /// its way, and answers lead to no more of them than the policy allows.
    pub(super) async fn carry_out(&mut self, mut due: Vec<Due>) -> Result<(), Error> {
        while !due.is_empty() {
            let (mut calls, mut looks) = (Vec::new(), Vec::new());
            for (archive, effects) in due {
                let mut look = false;
                for effect in effects {
                    match effect {
                        Effect::Request { ticket, purpose, tier, days } => {
                            let archive = archive.clone();
                            calls.push(Call { archive, ticket, purpose, tier, days });
                        }
                        Effect::Look | Effect::Forget => look = true,
                        Effect::GiveUp { failure } => {
                            tracing::warn!(
                                archive = archive.id,
                                reason = failure.code(),
                                "given up"
                            );
                        }
                        // The wait is in the journal; scans begin in waves, and a late result does
                        // not count.
                        Effect::WaitUntil { .. }
                        | Effect::Scan { .. }
                        | Effect::StopScan { .. } => {}
                    }
                }
                if look {
                    looks.push(archive);
                }
            }
            let mut inputs = self.call(calls).await?;
            inputs.extend(self.look(looks).await?);
            due = self.apply(inputs)?;
        }
        Ok(())
    }

    /// Makes calls, as fast as the token bucket and the budget allow. A call that the budget does
    /// not allow stays open in the journal, and the campaign pauses.
    async fn call(&mut self, calls: Vec<Call>) -> Result<Vec<(Archive, Input)>, Error> {
        let mut inputs = Vec::with_capacity(calls.len());
        let mut calls = calls.into_iter().peekable();
        while calls.peek().is_some() && self.paused.is_none() {
            let mut sent = Vec::new();
            for call in calls.by_ref().take(CALLS_MAX) {
                let Call { archive, purpose, tier, days, .. } = &call;
                // The copy is paid for already.
                let days = days.filter(|_| *purpose != Purpose::Upgrade);
                let costs = self.money.restore(archive.bytes, archive.task.class, *tier, days);
                match self.money.set_aside(&costs) {
                    Ok(aside) => sent.push((call, aside)),
                    Err(over) => {
                        self.paused = Some(over.to_string());
                        break;
                    }
                }
            }
            let wanted = u32::try_from(sent.len()).unwrap_or(u32::MAX);
            while let Err(wait) = self.tokens.take(self.begun.elapsed(), wanted) {
                tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
            }
            let aws = &self.world.aws;
            let answers = sent.into_iter().map(|(call, aside)| async move {
                let tier = call.tier.as_aws();
                let answer = aws.restore(&call.archive.place, tier, call.days).await;
                (call, aside, answer)
            });
            let answers: Vec<_> =
                futures::stream::iter(answers).buffer_unordered(CALLS_MAX).collect().await;
            for (call, aside, answer) in answers {
                self.money.settle(aside, answer);
                if answer == Answer::Throttled {
                    self.tokens.throttled(self.begun.elapsed());
                }
                inputs.push((call.archive, Input::Answer { ticket: call.ticket, answer }));
            }
        }
        Ok(inputs)
    }

    /// Looks at archives: in pages of the listing, or one by one where the listing does not tell.
    async fn look(&mut self, mut looks: Vec<Archive>) -> Result<Vec<(Archive, Input)>, Error> {
        let mut inputs = Vec::new();
        looks.sort_by(|a, b| a.place.cmp(&b.place));
        let (single, mut listed): (Vec<_>, Vec<_>) = looks.into_iter().partition(|archive| {
            let tiered = matches!(archive.task.class, StorageClass::IntelligentTiering(_));
            archive.place.version.is_some() || tiered
        });
        let mut doubtful = single;
        while let Some(first) = listed.first() {
            let bucket = first.place.bucket.clone();
            let Some((page, at)) = self.page_with(&bucket, &first.place.key).await else {
                break;
            };
            let end = page.last().map(|object| object.key.clone());
            let found: HashMap<_, _> =
                page.into_iter().map(|object| (object.key.clone(), object)).collect();
            let covered = |archive: &Archive| {
                archive.place.bucket == bucket
                    && end.as_ref().is_some_and(|end| archive.place.key <= *end)
            };
            // What the page does not hold though it should is gone; the next call says so.
            let (seen, mut rest): (Vec<_>, Vec<_>) = listed.into_iter().partition(covered);
            if seen.is_empty() && !rest.is_empty() {
                rest.remove(0);
            }
            for mut archive in seen {
                if let Some(object) = found.get(&archive.place.key) {
                    archive.bytes = object.bytes;
                    let sighting = Sighting { class: object.class, status: object.status, at };
                    if contradicts(&archive, &sighting) {
                        doubtful.push(archive);
                    } else {
                        inputs.push((archive, Input::Seen(sighting)));
                    }
                }
            }
            listed = rest;
        }
        for archive in doubtful {
            if let Some(sighting) = self.world.aws.head(&archive.place).await {
                inputs.push((archive, Input::Seen(sighting)));
            }
        }
        Ok(inputs)
    }

    /// Returns the page of a listing that begins just before a key.
    async fn page_with(
        &self,
        bucket: &str,
        key: &str,
    ) -> Option<(Vec<crate::listing::Listed>, Moment)> {
        let mut before = key.to_owned();
        before.pop();
        match self.world.aws.list(bucket, "", From::After(&before)).await {
            Ok((page, at)) => Some((page.objects, at)),
            Err(error) => {
                tracing::warn!(%error, "a look waits for its next time");
                None
            }
        }
    }
}

/// Returns whether a listing knows of no restore where one was asked for. The object itself is asked
/// then: some servers that speak S3 list no `RestoreStatus`.
fn contradicts(archive: &Archive, sighting: &Sighting) -> bool {
    let expected = match archive.task.state {
        State::Requested { called, .. } => called,
        State::Restoring { .. } | State::Available { .. } | State::Scanning { .. } => true,
        State::Planned | State::Done | State::Expired { .. } | State::Failed { .. } => false,
    };
    expected && sighting.status.is_none() && sighting.class.reads_at_once() == Some(false)
}
