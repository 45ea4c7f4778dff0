//! What a campaign left in a topic is forgotten: a mark in each partition says so to whoever reads it, and then each
//! of its records is ended, so that compaction gives back the space.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dcmjoin_ledger::Error;

use crate::append::Appender;
use crate::follower::Follower;
use crate::log::{OUTAGE_MAX, Shared, blocking, failed};
use crate::message::{Item, is_of, mark};

/// How long a partition is listened to at once.
const WAIT: Duration = Duration::from_millis(200);
/// Records that are read at once.
const RECORDS_MAX: usize = 2_000;

pub(crate) async fn forget(
    shared: &std::sync::Arc<Shared>,
    appender: &Appender,
    topic: &str,
    campaign: &str,
) -> Result<(), Error> {
    let all = shared.parts().all();
    appender.append(topic, all.clone().map(|partition| mark(campaign, partition))).await?;
    let mut follower = Follower::new(shared, topic)?;
    for partition in all {
        let campaign = campaign.to_owned();
        let (read, keys) = blocking(move || {
            let keys = keys(&mut follower, partition, &campaign)?;
            Ok((follower, keys))
        })
        .await?;
        follower = read;
        let ends = keys.into_iter().map(|key| Item { partition, key, value: None });
        appender.append(topic, ends).await?;
    }
    Ok(())
}

/// Returns the keys of a campaign's records in a partition, up to its present end.
fn keys(
    follower: &mut Follower,
    partition: u16,
    campaign: &str,
) -> Result<BTreeSet<Vec<u8>>, Error> {
    follower.assign([i32::from(partition)], &BTreeMap::new())?;
    let (mut keys, mut until) = (BTreeSet::new(), Instant::now() + OUTAGE_MAX);
    while !follower.ended().contains(&i32::from(partition)) {
        let count = follower.read(RECORDS_MAX, WAIT, |record| {
            if record.value.is_none() {
                keys.remove(record.key);
            } else if is_of(record.key, campaign) {
                keys.insert(record.key.to_vec());
            }
        })?;
        if count > 0 {
            until = Instant::now() + OUTAGE_MAX;
        }
        if Instant::now() > until {
            return Err(failed("the brokers do not answer"));
        }
    }
    Ok(keys)
}
