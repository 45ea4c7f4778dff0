//! Facts are inserted as they come, and counted and listed once each.

use async_trait::async_trait;
use clickhouse::{Client, Row};
use dcmjoin_ledger::binding::StoreId;
use dcmjoin_ledger::facts::{
    Assignment, Capabilities, Dedup, Durable, FACTS_MAX, Fact, FactDepth, FactLog, FactReader,
    Fencing, Pairing, Until, few_enough, partition,
};
use dcmjoin_ledger::{CampaignName, Error};
use dcmjoin_model::{Half, SopInstanceUid};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::log::{ClickHouse, failed, words};
use crate::reader::Reader;

/// Which task store the facts are of, as the comment of a table: of those who make one at the same
/// moment, one makes it.
const STORE: &str = "
CREATE TABLE IF NOT EXISTS dcmjoin_store (id String) ENGINE = MergeTree ORDER BY id COMMENT ?";
const STORED: &str = "
SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = 'dcmjoin_store'";
const DEPTH: &str = "
SELECT sum(facts), sumIf(facts, alone), countIf(NOT alone AND NOT is_done) FROM (
    SELECT uniqExact(half, archive, offset) AS facts, uniqExact(half) = 1 AS alone,
        (fingerprint, uid) IN (SELECT fingerprint, uid FROM dcmjoin_done WHERE campaign = ?) AS is_done
    FROM dcmjoin_fact WHERE campaign = ? GROUP BY fingerprint, uid)";
const UNPAIRED: &str = "
SELECT fingerprint, uid, half, archive, offset, any(version) AS version, any(length) AS length,
    any(digest) AS digest, any(crc32c) AS crc32c
FROM dcmjoin_fact WHERE campaign = ? AND partition >= ?
AND (fingerprint, uid, half, archive, offset) > (?, ?, ?, ?, ?)
AND (fingerprint, uid) IN (
    SELECT fingerprint, uid FROM dcmjoin_fact WHERE campaign = ? AND partition >= ?
    GROUP BY fingerprint, uid HAVING uniqExact(half) = 1)
GROUP BY fingerprint, uid, half, archive, offset
HAVING min(came) <= now64(3) - toIntervalMillisecond(?)
ORDER BY fingerprint, uid, half, archive, offset LIMIT ?";
const FORGET: &str =
    "ALTER TABLE dcmjoin_fact DELETE WHERE campaign = ? SETTINGS mutations_sync = 1";
const FORGET_DONE: &str =
    "ALTER TABLE dcmjoin_done DELETE WHERE campaign = ? SETTINGS mutations_sync = 1";

#[derive(Row, Serialize)]
struct NewFact<'a> {
    partition: u16,
    campaign: &'a str,
    fingerprint: u128,
    uid: &'a str,
    half: u8,
    archive: &'a str,
    offset: u64,
    version: Option<&'a str>,
    length: u64,
    digest: u128,
    crc32c: u32,
}

/// A fact as it is listed.
#[derive(Row, Deserialize)]
struct Listed {
    fingerprint: u128,
    uid: String,
    half: u8,
    archive: String,
    offset: u64,
    version: Option<String>,
    length: u64,
    digest: u128,
    crc32c: u32,
}

#[async_trait]
impl FactLog for ClickHouse {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "clickhouse",
            durable: Durable::Server,
            dedup: Dedup::OnRead,
            fencing: Fencing::Harmless,
            pairing: Pairing::Join,
            assignment: Assignment::Rule,
            is_shared: true,
        }
    }

    async fn bind(&self, store: &StoreId) -> Result<(), Error> {
        let make = self.client.query(STORE).bind(store.as_str());
        make.execute().await.map_err(|error| words(&error))?;
        let kept = self.client.query(STORED).fetch_one::<String>().await;
        store.check(&kept.map_err(|error| words(&error))?)
    }

    async fn append(&self, campaign: &CampaignName, facts: &[Fact]) -> Result<(), Error> {
        few_enough(facts)?;
        if facts.is_empty() {
            return Ok(());
        }
        let mut rows: Vec<NewFact<'_>> = facts.iter().map(|fact| row(campaign, fact)).collect();
        rows.sort_unstable_by(|one, other| key(one).cmp(&key(other)));
        rows.dedup_by(|one, other| key(one) == key(other));
        insert(&self.client, campaign, &rows).await.map_err(|error| words(&error))
    }

    async fn join(&self, worker: &str) -> Result<Box<dyn FactReader>, Error> {
        Ok(Box::new(Reader::new(self.clone(), worker)))
    }

    async fn unpaired(
        &self,
        campaign: &CampaignName,
        until: Until,
        after: Option<&Fact>,
        max: usize,
    ) -> Result<Vec<Fact>, Error> {
        let waited = match until {
            Until::Now => 0,
            Until::Waited(time) => u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        };
        // Before the first: no UID is empty.
        let after = after.map_or((0, "", 0, "", 0), place);
        let from = partition(after.0);
        let rows = self
            .client
            .query(UNPAIRED)
            .bind(campaign.as_str())
            .bind(from)
            .bind(after.0)
            .bind(after.1)
            .bind(after.2)
            .bind(after.3)
            .bind(after.4)
            .bind(campaign.as_str())
            .bind(from)
            .bind(waited)
            .bind(max.min(FACTS_MAX))
            .fetch_all::<Listed>()
            .await
            .map_err(|error| words(&error))?;
        rows.into_iter().map(listed).collect()
    }

    async fn depth(&self, campaign: &CampaignName) -> Result<FactDepth, Error> {
        let query = self.client.query(DEPTH).bind(campaign.as_str()).bind(campaign.as_str());
        let counts = query.fetch_one::<(u64, u64, u64)>().await;
        let (facts, open, pairs) = counts.map_err(|error| words(&error))?;
        Ok(FactDepth { facts, open, pairs })
    }

    async fn has_pairs(&self, campaign: &CampaignName) -> Result<bool, Error> {
        let asked = self.finished.has_pairs(&self.client, campaign.as_str()).await;
        asked.map_err(|error| words(&error))
    }

    async fn forget(&self, campaign: &CampaignName) -> Result<(), Error> {
        let statements = ["INSERT INTO dcmjoin_forgotten VALUES (?)", FORGET, FORGET_DONE];
        for statement in statements {
            let query = self.client.query(statement).bind(campaign.as_str());
            query.execute().await.map_err(|error| words(&error))?;
        }
        Ok(())
    }
}

/// Inserts rows unless they were inserted just so.
async fn insert(
    client: &Client,
    campaign: &CampaignName,
    rows: &[NewFact<'_>],
) -> Result<(), clickhouse::error::Error> {
    let sql = "SELECT count() FROM dcmjoin_forgotten WHERE campaign = ?";
    let forgotten: u64 = client.query(sql).bind(campaign.as_str()).fetch_one().await?;
    let insert = client.insert::<NewFact<'_>>("dcmjoin_fact").await?;
    let mut insert = insert.with_setting("insert_deduplication_token", token(forgotten, rows));
    for row in rows {
        insert.write(row).await?;
    }
    insert.end().await
}

/// Names an insert by all that is in it.
fn token(forgotten: u64, rows: &[NewFact<'_>]) -> String {
    let mut hash = Xxh3::new();
    hash.update(&forgotten.to_le_bytes());
    for row in rows {
        for text in [row.campaign, row.uid, row.archive, row.version.unwrap_or_default()] {
            hash.update(text.as_bytes());
            hash.update(&[0, u8::from(row.version.is_some()), row.half]);
        }
        for number in [row.fingerprint, row.digest] {
            hash.update(&number.to_le_bytes());
        }
        for number in [row.offset, row.length, u64::from(row.crc32c)] {
            hash.update(&number.to_le_bytes());
        }
    }
    format!("{:032x}", hash.digest128())
}

fn row<'a>(campaign: &'a CampaignName, fact: &'a Fact) -> NewFact<'a> {
    NewFact {
        partition: partition(fact.fingerprint),
        campaign: campaign.as_str(),
        fingerprint: fact.fingerprint,
        uid: fact.uid.as_str(),
        half: fact.half as u8,
        archive: &fact.archive,
        offset: fact.offset,
        version: fact.version.as_deref(),
        length: fact.length,
        digest: fact.digest,
        crc32c: fact.crc32c,
    }
}

/// Returns what makes a fact the same as another, in the table's order.
fn key<'a>(row: &NewFact<'a>) -> (u128, &'a str, u8, &'a str, u64) {
    (row.fingerprint, row.uid, row.half, row.archive, row.offset)
}

fn place(fact: &Fact) -> (u128, &str, u8, &str, u64) {
    (fact.fingerprint, fact.uid.as_str(), fact.half as u8, &fact.archive, fact.offset)
}

fn listed(row: Listed) -> Result<Fact, Error> {
    Ok(Fact {
        fingerprint: row.fingerprint,
        uid: uid(&row.uid)?,
        half: half(row.half),
        archive: row.archive,
        version: row.version,
        offset: row.offset,
        length: row.length,
        digest: row.digest,
        crc32c: row.crc32c,
    })
}

pub(crate) fn uid(text: &str) -> Result<SopInstanceUid, Error> {
    SopInstanceUid::parse(text).map_err(|_| failed("a row holds no UID"))
}

pub(crate) fn half(number: u8) -> Half {
    if number == Half::Metadata as u8 { Half::Metadata } else { Half::Image }
}
