//! Instances without image half, on their way to the output.

use std::sync::Arc;

use dcmjoin_index::{Fingerprint, Outcome};
use dcmjoin_model::{Rejection, SopInstanceUid, Warnings};
use tokio::task::JoinSet;

use super::{Run, joined};
use crate::assemble;
use crate::error::RunError;
use crate::pair::{Headers, Paired};
use crate::publish::Published;
use crate::record::Origin;
use crate::shards::{Settled, Shards};

/// Publishes header-only instances: several at once, or one after the other into shards.
pub(super) struct HeaderOnly {
    run: Arc<Run>,
    way: Way,
}

enum Way {
    Apart(JoinSet<Result<Outcome, RunError>>),
    InShards(Box<Shards<Note>>),
}

/// What is to be told of an instance once its shard is whole.
struct Note {
    uid: SopInstanceUid,
    origin: Origin,
    warnings: Warnings,
}

impl HeaderOnly {
    pub(super) fn begin(run: &Arc<Run>, headers: &Headers) -> Result<Self, RunError> {
        let way = match run.in_shards() {
            true => run.shards(headers, &name(headers)?).map(Box::new).map(Way::InShards),
            false => None,
        };
        let way = way.unwrap_or_else(|| Way::Apart(JoinSet::new()));
        Ok(Self { run: Arc::clone(run), way })
    }

    /// Publishes an instance; returns what others came to meanwhile.
    pub(super) async fn publish(&mut self, paired: Paired) -> Result<Vec<Outcome>, RunError> {
        let run = &self.run;
        let instance = assemble::header_only(&paired.header, &run.config.limits.payload);
        match &mut self.way {
            Way::Apart(tasks) => {
                let mut outcomes = Vec::new();
                if tasks.len() >= run.config.publishing_max {
                    outcomes.extend(joined(tasks.join_next().await)?);
                }
                let run = Arc::clone(run);
                tasks.spawn(async move {
                    run.publish(&paired, None, instance).await.map(|ended| ended.outcome)
                });
                Ok(outcomes)
            }
            Way::InShards(shards) => {
                let Paired { header, origin, .. } = paired;
                match instance {
                    Ok(instance) => {
                        let (uid, warnings) = (header.uid, instance.warnings.clone());
                        let note = Note { uid: uid.clone(), origin, warnings };
                        let settled = shards.add(&uid, &instance, note).await?;
                        shards.flush().await?;
                        told(run, settled)
                    }
                    Err(rejection) => {
                        rejected(run, header.uid, origin, rejection).map(|outcome| vec![outcome])
                    }
                }
            }
        }
    }

    /// Waits for the rest.
    pub(super) async fn join(self) -> Result<Vec<Outcome>, RunError> {
        match self.way {
            Way::Apart(mut tasks) => {
                let mut outcomes = Vec::new();
                while let Some(outcome) = joined(tasks.join_next().await)? {
                    outcomes.push(outcome);
                }
                Ok(outcomes)
            }
            Way::InShards(mut shards) => told(&self.run, shards.finish().await?),
        }
    }
}

fn told(run: &Run, settled: Vec<Settled<Note>>) -> Result<Vec<Outcome>, RunError> {
    let one = |Settled { note, published }: Settled<Note>| match published {
        Published::Durable(outcome, file) => {
            run.in_output(&file, &note.warnings)?;
            Ok(outcome)
        }
        Published::Rejected(rejection) => rejected(run, note.uid, note.origin, rejection),
    };
    settled.into_iter().map(one).collect()
}

fn rejected(
    run: &Run,
    uid: SopInstanceUid,
    origin: Origin,
    rejection: Rejection,
) -> Result<Outcome, RunError> {
    run.reject(uid, origin, None, rejection)?;
    Ok(Outcome::Rejected)
}

/// Returns the name of their shards: another set of instances has another one.
fn name(headers: &Headers) -> Result<String, RunError> {
    let mut all = 0_u128;
    for slot in headers.index.unclaimed() {
        let paired = headers.at(slot?)?;
        if assemble::is_header_only(&paired.header) {
            all = all.wrapping_add(Fingerprint::of(&paired.header.uid).0);
        }
    }
    Ok(format!("header-only-{:016x}", all >> 64))
}
