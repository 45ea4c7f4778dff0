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
    SELECT fingerprint, uid FROM dcmjoin_fact WHERE partition = ? AND campaign = ?
    AND (fingerprint, uid) NOT IN (
        SELECT fingerprint, uid FROM dcmjoin_done WHERE partition = ? AND campaign = ?)
    GROUP BY fingerprint, uid HAVING min(half) <> max(half) LIMIT 1)";
/// Partitions that are remembered: those of some campaigns.
const REMEMBERED_MAX: usize = 10_000;

/// Partitions of campaigns, with what was in them when all of their pairs were done.
#[derive(Debug, Default)]
pub(crate) struct Finished(Mutex<HashMap<(String, u16), (u64, i64)>>);

impl Finished {
    /// Returns whether a campaign has pairs that are not done.
    pub(crate) async fn has_pairs(&self, client: &Client, campaign: &str) -> Result<bool, Error> {
        let counts = client.query(COUNTS).bind(campaign).fetch_all::<(u16, u64, i64)>().await?;
        for (partition, count, last) in counts {
            if self.is(campaign, partition, (count, last)) {
                continue;
            }
            let query = client.query(HAS_PAIRS).bind(partition).bind(campaign);
            let found: u64 = query.bind(partition).bind(campaign).fetch_one().await?;
            if found > 0 {
                return Ok(true);
            }
            self.remember(campaign, partition, (count, last));
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
