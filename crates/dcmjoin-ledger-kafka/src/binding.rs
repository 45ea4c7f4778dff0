//! Which task store the facts are of: the first record of a topic with one partition.
//!
//! Whoever finds no record appends its own id and looks again. All see the same first record; none has the
//! key of another, so that compaction keeps it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dcmjoin_ledger::Error;
use dcmjoin_ledger::binding::StoreId;

use crate::follower::Follower;
use crate::log::{Kafka, OUTAGE_MAX, blocking, end_beside, failed};
use crate::message::Item;

/// The key says all; a record without a value would forget it.
const IS_STORE: &[u8] = b"store";
const PARTITION: u16 = 0;
/// Ids that are looked at: those who come at the same moment, and each has one.
const WAIT: Duration = Duration::from_millis(200);

pub(crate) async fn bind(log: &Kafka, store: &StoreId) -> Result<(), Error> {
    let shared = log.shared.clone();
    let follower = blocking(move || Follower::new(&shared, &shared.store())).await?;
    // Of a topic that was made just now it would be asked in vain, and for long.
    let (mut found, mut follower) = match log.has_begun {
        true => (None, follower),
        false => first_if_any(follower).await?,
    };
    if found.is_none() {
        let key = store.as_str().as_bytes().to_vec();
        let item = Item { partition: PARTITION, key, value: Some(IS_STORE.to_vec()) };
        log.append_to(&log.shared.store(), item).await?;
        (found, follower) = first(follower).await?;
    }
    end_beside(follower);
    store.check(&found.ok_or_else(|| failed("a record is not there yet"))?)
}

async fn first_if_any(mut follower: Follower) -> Result<(Option<String>, Follower), Error> {
    blocking(move || match follower.is_empty(i32::from(PARTITION)) {
        true => Ok((None, follower)),
        false => Ok((read_first(&mut follower)?, follower)),
    })
    .await
}

async fn first(mut follower: Follower) -> Result<(Option<String>, Follower), Error> {
    blocking(move || Ok((read_first(&mut follower)?, follower))).await
}

fn read_first(follower: &mut Follower) -> Result<Option<String>, Error> {
    follower.assign([i32::from(PARTITION)], &BTreeMap::new())?;
    let until = Instant::now() + OUTAGE_MAX;
    loop {
        // Records of a partition come in its order.
        let mut first = None;
        follower.read(1, WAIT, |record| {
            first = Some(String::from_utf8_lossy(record.key).into_owned());
        })?;
        if first.is_some() {
            return Ok(first);
        }
        if !follower.ended().is_empty() {
            return Ok(None);
        }
        if Instant::now() > until {
            return Err(failed("the brokers do not answer"));
        }
    }
}
