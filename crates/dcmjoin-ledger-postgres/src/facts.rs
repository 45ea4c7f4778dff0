//! Facts come by `COPY`, and with them what tells readers to look.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use dcmjoin_ledger::binding::StoreId;
use dcmjoin_ledger::facts::{
    Assignment, Capabilities, Dedup, Durable, FACTS_MAX, Fact, FactDepth, FactLog, FactReader,
    Fencing, Pairing, Until, few_enough, partition,
};
use dcmjoin_ledger::{CampaignName, Error};
use dcmjoin_model::{Half, SopInstanceUid};
use tokio::pin;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, Transaction};

use crate::binding;
use crate::reader;
use crate::session::{Postgres, failed, words};
use crate::values::{Wide, limit, seconds, signed, unsigned};

/// What is copied, and of which types.
const COLUMNS: &str =
    "campaign, half, fingerprint, archive, version, at, length, crc32c, digest, uid";
const TYPES: [Type; 10] = [
    Type::INT4,
    Type::INT2,
    Type::UUID,
    Type::INT4,
    Type::INT4,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::UUID,
    Type::TEXT,
];

/// The columns of a fact `f` with its archive `a` and version `v`, in the order in which [`fact`] reads
/// them.
const FACT: &str =
    "f.half, f.fingerprint, a.name, v.name, f.at, f.length, f.crc32c, f.digest, f.uid";
const NAMES: &str = "JOIN name a ON a.id = f.archive LEFT JOIN name v ON v.id = f.version";

const DEPTH: &str = "
WITH id AS (SELECT id FROM name WHERE name = $1), halves AS (
    SELECT count(*) AS facts, min(half) <> max(half) AS paired FROM fact
    WHERE campaign = (SELECT id FROM id) GROUP BY fingerprint, uid
)
SELECT coalesce(sum(facts), 0)::int8, coalesce(sum(facts) FILTER (WHERE NOT paired), 0)::int8,
    count(*) FILTER (WHERE paired) - (SELECT count(*) FROM done WHERE campaign = (SELECT id FROM id))
FROM halves";
const HAS_ARRIVALS: &str = "
SELECT EXISTS (SELECT FROM arrival WHERE campaign = (SELECT id FROM name WHERE name = $1))";
/// Fingerprints of one row of arrivals: it stays whole in its page.
const ARRIVAL: usize = 100;

#[async_trait]
impl FactLog for Postgres {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "postgres",
            durable: Durable::Server,
            dedup: Dedup::OnAppend,
            fencing: Fencing::Refused,
            pairing: Pairing::Continuous,
            assignment: Assignment::Lease,
            is_shared: true,
        }
    }

    async fn bind(&self, store: &StoreId) -> Result<(), Error> {
        binding::bind(self, store).await
    }

    async fn append(&self, campaign: &CampaignName, facts: &[Fact]) -> Result<(), Error> {
        few_enough(facts)?;
        let mut link = self.link().await?;
        let names = names(&mut link.client, campaign, facts).await?;
        let rows = rows(&names, campaign, facts)?;
        if !copy(&mut link.client, &rows).await? {
            copy_some(&mut link.client, &rows).await?;
        }
        link.give_back();
        Ok(())
    }

    async fn join(&self, worker: &str) -> Result<Box<dyn FactReader>, Error> {
        Ok(Box::new(reader::Reader::new(self.clone(), worker)))
    }

    async fn unpaired(
        &self,
        campaign: &CampaignName,
        until: Until,
        after: Option<&Fact>,
        max: usize,
    ) -> Result<Vec<Fact>, Error> {
        let waited = match until {
            Until::Now => 0.0,
            Until::Waited(time) => seconds(time),
        };
        let sql = format!(
            "SELECT {FACT} FROM fact f {NAMES}
             WHERE f.campaign = (SELECT id FROM name WHERE name = $1)
             AND f.came <= clock_timestamp() - make_interval(secs => $2)
             AND NOT EXISTS (SELECT 1 FROM fact p WHERE p.campaign = f.campaign
                 AND p.fingerprint = f.fingerprint AND p.half = 1 - f.half AND p.uid = f.uid)
             AND ($3::uuid IS NULL OR (f.fingerprint >= $3
                 AND (f.fingerprint, f.uid COLLATE \"C\", f.half, a.name COLLATE \"C\", f.at)
                     > ($3, $4, $5, $6, $7)))
             ORDER BY f.fingerprint, f.uid COLLATE \"C\", f.half, a.name COLLATE \"C\", f.at LIMIT $8"
        );
        let key = after.map(|fact| Wide(fact.fingerprint));
        let uid = after.map(|fact| fact.uid.as_str());
        let half = after.map(|fact| fact.half as i16);
        let archive = after.map(|fact| fact.archive.as_str());
        let at = after.map(|fact| signed(fact.offset));
        let max = limit(max, FACTS_MAX);
        let link = self.link().await?;
        let values: [&(dyn ToSql + Sync); 8] =
            [&campaign.as_str(), &waited, &key, &uid, &half, &archive, &at, &max];
        let found = link.client.query(&sql, &values).await.map_err(|error| words(&error))?;
        link.give_back();
        found.iter().map(fact).collect()
    }

    async fn depth(&self, campaign: &CampaignName) -> Result<FactDepth, Error> {
        let mut link = self.link().await?;
        let counted = async {
            let change = link.client.transaction().await?;
            // Here all is read.
            change.batch_execute("SET LOCAL enable_seqscan = on").await?;
            let row = change.query_one(DEPTH, &[&campaign.as_str()]).await?;
            change.commit().await.map(|()| row)
        };
        let row = counted.await.map_err(|error| words(&error))?;
        link.give_back();
        let count = |at| unsigned(row.get(at));
        Ok(FactDepth { facts: count(0), open: count(1), pairs: count(2) })
    }

    async fn has_pairs(&self, campaign: &CampaignName) -> Result<bool, Error> {
        let link = self.link().await?;
        let row = link.client.query_one(HAS_ARRIVALS, &[&campaign.as_str()]).await;
        let row = row.map_err(|error| words(&error))?;
        link.give_back();
        Ok(row.get(0))
    }

    async fn forget(&self, campaign: &CampaignName) -> Result<(), Error> {
        let mut link = self.link().await?;
        let forgotten = async {
            let change = link.client.transaction().await?;
            for table in ["arrival", "done", "fact"] {
                let sql = format!(
                    "DELETE FROM {table} WHERE campaign = (SELECT id FROM name WHERE name = $1)"
                );
                change.execute(&sql, &[&campaign.as_str()]).await?;
            }
            change.commit().await
        };
        forgotten.await.map_err(|error| words(&error))?;
        link.give_back();
        Ok(())
    }
}

/// A fact with the numbers of its names.
struct FactRow<'a> {
    campaign: i32,
    archive: i32,
    version: Option<i32>,
    fact: &'a Fact,
}

/// Returns the numbers of a batch's names; new ones get theirs.
async fn names(
    client: &mut Client,
    campaign: &CampaignName,
    facts: &[Fact],
) -> Result<HashMap<String, i32>, Error> {
    let mut texts: BTreeSet<&str> = BTreeSet::from([campaign.as_str()]);
    for fact in facts {
        texts.insert(&fact.archive);
        texts.extend(fact.version.as_deref());
    }
    // In their order: who adds the same ones meanwhile waits, but never in a ring.
    let texts: Vec<&str> = texts.into_iter().collect();
    let found = async {
        let add = "INSERT INTO name (name) SELECT * FROM unnest($1::text[]) new
                   WHERE NOT EXISTS (SELECT 1 FROM name WHERE name.name = new) ON CONFLICT DO NOTHING";
        client.execute(add, &[&texts]).await?;
        client.query("SELECT name, id FROM name WHERE name = ANY ($1)", &[&texts]).await
    };
    let found = found.await.map_err(|error| words(&error))?;
    Ok(found.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Returns the rows of a batch in the order of the table's key, each once.
fn rows<'a>(
    names: &HashMap<String, i32>,
    campaign: &CampaignName,
    facts: &'a [Fact],
) -> Result<Vec<FactRow<'a>>, Error> {
    let number = |text: &str| {
        names.get(text).copied().ok_or_else(|| failed("a name was forgotten meanwhile"))
    };
    let campaign = number(campaign.as_str())?;
    let mut rows = Vec::with_capacity(facts.len());
    for fact in facts {
        let archive = number(&fact.archive)?;
        let version = fact.version.as_deref().map(number).transpose()?;
        rows.push(FactRow { campaign, archive, version, fact });
    }
    let key = |row: &FactRow<'_>| {
        (row.fact.fingerprint, row.fact.half as i16, row.archive, row.fact.offset)
    };
    rows.sort_unstable_by_key(key);
    rows.dedup_by_key(|row| key(row));
    Ok(rows)
}

/// Copies a batch that has nothing which is there already. Returns false where it has.
async fn copy(client: &mut Client, rows: &[FactRow<'_>]) -> Result<bool, Error> {
    let copied = async {
        let change = client.transaction().await?;
        copy_to(&change, "fact", rows).await?;
        arrive(&change, rows).await?;
        change.commit().await
    };
    match copied.await {
        Ok(()) => Ok(true),
        Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(false),
        Err(error) => Err(words(&error)),
    }
}

/// Copies what of a batch is not there. All of it arrives again: an arrival says no more than that
/// somebody shall look.
async fn copy_some(client: &mut Client, rows: &[FactRow<'_>]) -> Result<(), Error> {
    let copied = async {
        let change = client.transaction().await?;
        let staging = "CREATE TEMPORARY TABLE IF NOT EXISTS staged (LIKE fact INCLUDING DEFAULTS)
                       ON COMMIT DELETE ROWS";
        change.batch_execute(staging).await?;
        copy_to(&change, "staged", rows).await?;
        let add = "INSERT INTO fact SELECT * FROM staged
                   ORDER BY campaign, fingerprint, half, archive, at ON CONFLICT DO NOTHING";
        change.execute(add, &[]).await?;
        arrive(&change, rows).await?;
        change.commit().await
    };
    copied.await.map_err(|error| words(&error))
}

async fn copy_to(
    change: &Transaction<'_>,
    table: &str,
    rows: &[FactRow<'_>],
) -> Result<(), tokio_postgres::Error> {
    let sql = format!("COPY {table} ({COLUMNS}) FROM STDIN (FORMAT binary)");
    let writer = BinaryCopyInWriter::new(change.copy_in(&sql).await?, &TYPES);
    pin!(writer);
    for FactRow { campaign, archive, version, fact } in rows {
        let values: [&(dyn ToSql + Sync); 10] = [
            campaign,
            &(fact.half as i16),
            &Wide(fact.fingerprint),
            archive,
            version,
            &signed(fact.offset),
            &signed(fact.length),
            &i64::from(fact.crc32c),
            &Wide(fact.digest),
            &fact.uid.as_str(),
        ];
        writer.as_mut().write(&values).await?;
    }
    writer.finish().await?;
    Ok(())
}

/// Tells readers of a batch, in the transaction that brings it: of two that bring a half each, the one
/// that is seen later is seen with both.
async fn arrive(
    change: &Transaction<'_>,
    rows: &[FactRow<'_>],
) -> Result<(), tokio_postgres::Error> {
    let sql = "COPY arrival (partition, campaign, fingerprints) FROM STDIN (FORMAT binary)";
    let types = [Type::INT2, Type::INT4, Type::UUID_ARRAY];
    let writer = BinaryCopyInWriter::new(change.copy_in(sql).await?, &types);
    pin!(writer);
    let place = |row: &FactRow<'_>| partition(row.fact.fingerprint).cast_signed();
    for of_one in rows.chunk_by(|one, next| place(one) == place(next)) {
        for some in of_one.chunks(ARRIVAL) {
            let mut prints: Vec<Wide> = some.iter().map(|row| Wide(row.fact.fingerprint)).collect();
            prints.dedup();
            let values: [&(dyn ToSql + Sync); 3] = [&place(&some[0]), &some[0].campaign, &prints];
            writer.as_mut().write(&values).await?;
        }
    }
    writer.finish().await?;
    Ok(())
}

/// Returns the fact of a row with the columns [`FACT`].
fn fact(row: &Row) -> Result<Fact, Error> {
    let fact = bare(row)?;
    Ok(Fact { archive: row.get(2), version: row.get(3), ..fact })
}

/// Returns the fact of a row, but for its names.
pub(crate) fn bare(row: &Row) -> Result<Fact, Error> {
    let half: i16 = row.get(0);
    let Wide(fingerprint) = row.get(1);
    let Wide(digest) = row.get(7);
    let crc32c: i64 = row.get(6);
    let uid: &str = row.get(8);
    Ok(Fact {
        fingerprint,
        uid: SopInstanceUid::parse(uid).map_err(|_| failed("a row holds no UID"))?,
        half: if half == Half::Metadata as i16 { Half::Metadata } else { Half::Image },
        archive: String::new(),
        version: None,
        offset: unsigned(row.get(4)),
        length: unsigned(row.get(5)),
        digest,
        crc32c: u32::try_from(crc32c).unwrap_or_default(),
    })
}
