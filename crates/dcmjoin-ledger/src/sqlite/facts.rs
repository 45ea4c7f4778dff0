//! Facts: one row each; a pair gets its row when the second half is appended.

use async_trait::async_trait;
use dcmjoin_model::{Half, SopInstanceUid};
use rusqlite::{Row, Transaction, params};

use super::reader::Reader;
use super::{NOW, Sqlite, failed, limit, millis, signed, unsigned};
use crate::binding::StoreId;
use crate::campaign::CampaignName;
use crate::error::Error;
use crate::facts::{
    Assignment, Capabilities, Dedup, Durable, FACTS_MAX, Fact, FactDepth, FactLog, FactReader,
    Fencing, Pairing, Until, few_enough, partition,
};

/// The columns of a fact, in the order in which [`fact`] reads them.
pub(super) const COLUMNS: &str =
    "fingerprint, uid, half, archive, offset, version, length, digest, crc32c";

#[async_trait]
impl FactLog for Sqlite {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "embedded",
            durable: Durable::Device,
            dedup: Dedup::OnAppend,
            fencing: Fencing::Refused,
            pairing: Pairing::Continuous,
            assignment: Assignment::Lease,
            is_shared: false,
        }
    }

    async fn bind(&self, store: &StoreId) -> Result<(), Error> {
        let store = store.clone();
        self.change(move |change| {
            let first = "UPDATE identity SET facts_of = ?1 WHERE facts_of IS NULL";
            change.execute(first, [store.as_str()])?;
            let sql = "SELECT facts_of FROM identity";
            let kept: String = change.query_row(sql, [], |row| row.get(0))?;
            store.check(&kept)
        })
        .await
    }

    async fn append(&self, campaign: &CampaignName, facts: &[Fact]) -> Result<(), Error> {
        few_enough(facts)?;
        let (campaign, mut facts) = (campaign.clone(), facts.to_vec());
        // In the order of the table's key: each page is changed once.
        facts.sort_unstable_by_key(|fact| fact.fingerprint);
        self.change(move |change| {
            facts.iter().try_for_each(|fact| append(change, campaign.as_str(), fact))
        })
        .await
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
        let (campaign, after) = (campaign.clone(), after.cloned());
        let waited = match until {
            Until::Now => 0,
            Until::Waited(time) => millis(time),
        };
        self.change(move |change| {
            let after = after.as_ref();
            let mut query = change.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM fact
                 WHERE campaign = ?1 AND paired = 0 AND came <= {NOW} - ?2
                 AND (?3 IS NULL OR (fingerprint, uid, half, archive, offset) > (?3, ?4, ?5, ?6, ?7))
                 ORDER BY fingerprint, uid, half, archive, offset LIMIT ?8"
            ))?;
            let mut rows = query.query(params![
                campaign.as_str(),
                waited,
                after.map(|fact| fact.fingerprint.to_be_bytes()),
                after.map(|fact| fact.uid.as_str()),
                after.map(|fact| fact.half as i64),
                after.map(|fact| fact.archive.as_str()),
                after.map(|fact| signed(fact.offset)),
                limit(max, FACTS_MAX),
            ])?;
            let mut unpaired = Vec::new();
            while let Some(row) = rows.next()? {
                unpaired.push(fact(row)?);
            }
            Ok(unpaired)
        })
        .await
    }

    async fn depth(&self, campaign: &CampaignName) -> Result<FactDepth, Error> {
        let campaign = campaign.clone();
        self.change(move |change| {
            let (facts, open) = change.query_row(
                "SELECT count(*), count(*) FILTER (WHERE paired = 0) FROM fact WHERE campaign = ?1",
                [campaign.as_str()],
                |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))),
            )?;
            let sql = "SELECT count(*) FROM pair WHERE campaign = ?1 AND done = 0";
            let pairs = change.query_row(sql, [campaign.as_str()], |row| row.get(0))?;
            Ok(FactDepth { facts, open, pairs: unsigned(pairs) })
        })
        .await
    }

    async fn has_pairs(&self, campaign: &CampaignName) -> Result<bool, Error> {
        let campaign = campaign.clone();
        self.change(move |change| {
            let sql = "SELECT EXISTS (
                SELECT 1 FROM pair INDEXED BY pair_open WHERE campaign = ?1 AND done = 0)";
            Ok(change.prepare_cached(sql)?.query_row([campaign.as_str()], |row| row.get(0))?)
        })
        .await
    }

    async fn forget(&self, campaign: &CampaignName) -> Result<(), Error> {
        let campaign = campaign.clone();
        self.change(move |change| {
            for table in ["pair", "fact"] {
                let sql = format!("DELETE FROM {table} WHERE campaign = ?1");
                change.execute(&sql, [campaign.as_str()])?;
            }
            Ok(())
        })
        .await
    }
}

fn append(change: &Transaction<'_>, campaign: &str, fact: &Fact) -> Result<(), Error> {
    let (partition, key) = (partition(fact.fingerprint), fact.fingerprint.to_be_bytes());
    let uid = fact.uid.as_str();
    let mut insert = change.prepare_cached(&format!(
        "INSERT OR IGNORE INTO fact (partition, campaign, {COLUMNS}, came, paired)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, {NOW}, 0)"
    ))?;
    let added = insert.execute(params![
        partition,
        campaign,
        key,
        uid,
        fact.half as i64,
        fact.archive,
        signed(fact.offset),
        fact.version,
        signed(fact.length),
        fact.digest.to_be_bytes(),
        fact.crc32c,
    ])?;
    if added == 0 {
        return Ok(());
    }
    let mut partner = change.prepare_cached(
        "SELECT 1 FROM fact WHERE campaign = ?1 AND fingerprint = ?2 AND uid = ?3 AND half <> ?4 LIMIT 1",
    )?;
    if !partner.exists(params![campaign, key, uid, fact.half as i64])? {
        return Ok(());
    }
    change
        .prepare_cached(
            "UPDATE fact SET paired = 1 WHERE campaign = ?1 AND fingerprint = ?2 AND uid = ?3",
        )?
        .execute(params![campaign, key, uid])?;
    change
        .prepare_cached(
            "INSERT OR IGNORE INTO pair (partition, campaign, fingerprint, uid, done)
             VALUES (?1, ?2, ?3, ?4, 0)",
        )?
        .execute(params![partition, campaign, key, uid])?;
    Ok(())
}

/// Returns the fact of a row with [`COLUMNS`].
pub(super) fn fact(row: &Row<'_>) -> Result<Fact, Error> {
    let half: i64 = row.get(2)?;
    Ok(Fact {
        fingerprint: u128::from_be_bytes(row.get(0)?),
        uid: SopInstanceUid::parse(row.get_ref(1)?.as_str().unwrap_or_default())
            .map_err(|error| failed(&error))?,
        half: if half == Half::Metadata as i64 { Half::Metadata } else { Half::Image },
        archive: row.get(3)?,
        offset: unsigned(row.get(4)?),
        version: row.get(5)?,
        length: unsigned(row.get(6)?),
        digest: u128::from_be_bytes(row.get(7)?),
        crc32c: row.get(8)?,
    })
}
