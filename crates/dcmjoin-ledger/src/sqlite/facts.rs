//! Facts: one row each once they are taken in ([`super::arrival`]); a pair gets its row with its second half, and loses
//! it when it is done.

use async_trait::async_trait;
use dcmjoin_model::{Half, SopInstanceUid};
use rusqlite::{Row, params};

use super::arrival;
use super::names::Names;
use super::reader::Reader;
use super::{NOW, Sqlite, failed, millis, unsigned};
use crate::binding::StoreId;
use crate::campaign::CampaignName;
use crate::error::Error;
use crate::facts::{
    Assignment, Capabilities, Dedup, Durable, FACTS_MAX, Fact, FactDepth, FactLog, FactReader,
    Fencing, Pairing, Until, few_enough,
};

/// The columns of a fact, in the order in which [`fact`] reads them.
pub(super) const COLUMNS: &str =
    "fingerprint, uid, half, archive, offset, version, length, digest, crc32c";
/// Instances lie one after the other.
const DEPTH: &str = "
SELECT ifnull(sum(facts), 0), ifnull(sum(facts) FILTER (WHERE least = greatest), 0) FROM (
    SELECT count(*) AS facts, min(half) AS least, max(half) AS greatest FROM fact
    WHERE campaign = ?1 GROUP BY fingerprint, uid)";

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
        facts.sort_unstable_by_key(|fact| fact.fingerprint);
        self.change(move |change| arrival::append(change, campaign.as_str(), &facts)).await
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
        let (campaign, after, max) = (campaign.clone(), after.cloned(), max.min(FACTS_MAX));
        let waited = match until {
            Until::Now => 0,
            Until::Waited(time) => millis(time),
        };
        self.take_in_all().await?;
        self.change(move |change| {
            let mut query = change.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM fact
                 WHERE campaign = ?1 AND (?2 IS NULL OR (fingerprint, uid) >= (?2, ?3))
                 AND came <= {NOW} - ?4 AND NOT EXISTS (
                     SELECT 1 FROM fact other
                     WHERE other.campaign = ?1 AND other.fingerprint = fact.fingerprint
                     AND other.uid = fact.uid AND other.half <> fact.half)
                 ORDER BY fingerprint, uid, half, archive, offset"
            ))?;
            let mut rows = query.query(params![
                campaign.as_str(),
                after.as_ref().map(|fact| fact.fingerprint.to_be_bytes()),
                after.as_ref().map(|fact| fact.uid.as_str()),
                waited,
            ])?;
            // Archives come in the order of their numbers: those of one instance are put in their own.
            let (mut unpaired, mut sorted) = (Vec::<Fact>::new(), 0);
            let mut names = Names::of(change);
            while let Some(row) = rows.next()? {
                let fact = fact(row, &mut names)?;
                if unpaired.last().is_some_and(|last| last.uid != fact.uid) {
                    unpaired[sorted..].sort_by(|one, other| place(one).cmp(&place(other)));
                    sorted = unpaired.len();
                    if sorted >= max {
                        break;
                    }
                }
                if after.as_ref().is_none_or(|after| place(&fact) > place(after)) {
                    unpaired.push(fact);
                }
            }
            unpaired[sorted..].sort_by(|one, other| place(one).cmp(&place(other)));
            unpaired.truncate(max);
            Ok(unpaired)
        })
        .await
    }

    async fn depth(&self, campaign: &CampaignName) -> Result<FactDepth, Error> {
        let campaign = campaign.clone();
        self.take_in_all().await?;
        self.change(move |change| {
            let (facts, open) = change.query_row(DEPTH, [campaign.as_str()], |row| {
                Ok((unsigned(row.get(0)?), unsigned(row.get(1)?)))
            })?;
            let sql = "SELECT count(*) FROM pair WHERE campaign = ?1";
            let pairs = change.query_row(sql, [campaign.as_str()], |row| row.get(0))?;
            Ok(FactDepth { facts, open, pairs: unsigned(pairs) })
        })
        .await
    }

    async fn has_pairs(&self, campaign: &CampaignName) -> Result<bool, Error> {
        let campaign = campaign.clone();
        self.change(move |change| {
            let sql = "SELECT EXISTS (SELECT 1 FROM arrival WHERE campaign = ?1)
                OR EXISTS (SELECT 1 FROM pair WHERE campaign = ?1)";
            Ok(change.prepare_cached(sql)?.query_row([campaign.as_str()], |row| row.get(0))?)
        })
        .await
    }

    async fn forget(&self, campaign: &CampaignName) -> Result<(), Error> {
        let campaign = campaign.clone();
        self.change(move |change| {
            for table in ["pair", "fact", "arrival", "name"] {
                let sql = format!("DELETE FROM {table} WHERE campaign = ?1");
                change.execute(&sql, [campaign.as_str()])?;
            }
            Ok(())
        })
        .await
    }
}

/// Returns the fact of a row with [`COLUMNS`].
pub(super) fn fact(row: &Row<'_>, names: &mut Names<'_>) -> Result<Fact, Error> {
    let half: i64 = row.get(2)?;
    let version: Option<i64> = row.get(5)?;
    let version = version.map(|version| names.name(version)).transpose()?;
    Ok(Fact {
        fingerprint: u128::from_be_bytes(row.get(0)?),
        uid: SopInstanceUid::parse(row.get_ref(1)?.as_str().unwrap_or_default())
            .map_err(|error| failed(&error))?,
        half: if half == Half::Metadata as i64 { Half::Metadata } else { Half::Image },
        archive: names.name(row.get(3)?)?.to_string(),
        offset: unsigned(row.get(4)?),
        version: version.map(|version| version.to_string()),
        length: unsigned(row.get(6)?),
        digest: u128::from_be_bytes(row.get(7)?),
        crc32c: row.get(8)?,
    })
}

fn place(fact: &Fact) -> (u128, &str, Half, &str, u64) {
    (fact.fingerprint, fact.uid.as_str(), fact.half, &fact.archive, fact.offset)
}
