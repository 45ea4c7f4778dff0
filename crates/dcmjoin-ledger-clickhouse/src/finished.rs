//! Whether all pairs of a campaign are done, without reading again what was found so.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use clickhouse::Client;
use clickhouse::error::Error;

/// How many facts partitions of a campaign have, and when the last one came.
const COUNTS: &str = "
SELECT partition, count(), toInt64(toUnixTimestamp64Milli(max(came))) FROM dcmjoin_fact
WHERE campaign = ? GROUP BY partition ORDER BY partition";
const HAS_PAIRS: &str = "
SELECT count() FROM (
    SELECT fingerprint, uid FROM dcmjoin_fact WHERE partition IN ? AND campaign = ?
    AND (fingerprint, uid) NOT IN (
        SELECT fingerprint, uid FROM dcmjoin_done WHERE partition IN ? AND campaign = ?)
    GROUP BY partition, campaign, fingerprint, uid HAVING min(half) <> max(half) LIMIT 1)";
/// Facts of partitions that are looked at together, if these are several: each look takes a while whatever is in it.
const FACTS_A_LOOK: u64 = 500_000;
/// Partitions that are remembered: those of some campaigns.
const REMEMBERED_MAX: usize = 10_000;

/// Partitions of campaigns, with what was in them when all of their pairs were done.
#[derive(Debug, Default)]
pub(crate) struct Finished(Mutex<HashMap<(String, u16), (u64, i64)>>);

impl Finished {
    /// Returns whether a campaign has pairs that are not done.
    pub(crate) async fn has_pairs(&self, client: &Client, campaign: &str) -> Result<bool, Error> {
        let counts = client.query(COUNTS).bind(campaign).fetch_all::<(u16, u64, i64)>().await?;
        let is_new = |&(partition, count, last): &_| !self.is(campaign, partition, (count, last));
        let new: Vec<(u16, u64, i64)> = counts.into_iter().filter(is_new).collect();
        for some in together(&new) {
            let partitions: Vec<u16> = some.iter().map(|&(partition, ..)| partition).collect();
            let query = client.query(HAS_PAIRS).bind(&partitions).bind(campaign);
            let query = query.bind(&partitions).bind(campaign);
            let query = query.with_setting("optimize_aggregation_in_order", "1");
            let found: u64 = query.fetch_one().await?;
            if found > 0 {
                return Ok(true);
            }
            for &(partition, count, last) in some {
                self.remember(campaign, partition, (count, last));
            }
        }
        Ok(false)
    }

    fn is(&self, campaign: &str, partition: u16, facts: (u64, i64)) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(campaign.to_owned(), partition)) == Some(&facts)
    }

    fn remember(&self, campaign: &str, partition: u16, facts: (u64, i64)) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert((campaign.to_owned(), partition), facts);
    }
}

/// Parts partitions into those that are looked at together.
fn together(counts: &[(u16, u64, i64)]) -> impl Iterator<Item = &[(u16, u64, i64)]> {
    let mut facts = 0;
    counts.chunk_by(move |&(_, one, _), &(_, next, _)| {
        facts += one;
        let fits = facts + next <= FACTS_A_LOOK;
        if !fits {
            facts = 0;
        }
        fits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_looked_at_together_while_they_are_small() {
        let counts: Vec<_> = [100, 200_000, 299_900, 1, 600_000, 10, 499_990, 20]
            .into_iter()
            .zip(0..)
            .map(|(count, partition)| (partition, count, 0))
            .collect();
        let lens: Vec<usize> = together(&counts).map(<[_]>::len).collect();
        assert_eq!(lens, [3, 1, 1, 2, 1]);
        assert_eq!(together(&[]).count(), 0);
    }
}
