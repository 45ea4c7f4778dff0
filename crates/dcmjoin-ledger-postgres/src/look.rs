//! What has arrived in partitions, and the pairs that come of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use dcmjoin_ledger::facts::{Fact, Pair};
use dcmjoin_ledger::{CampaignName, Error};
use dcmjoin_model::Half;
use tokio_postgres::{Client, Row};

use crate::facts::bare;
use crate::schema::table_of;
use crate::session::{failed, words};
use crate::values::Wide;

/// Arrivals of one read: each has at most a hundred fingerprints.
pub(crate) const ARRIVALS_A_READ: u32 = 128;
/// Names that a reader remembers: archives of some campaigns.
const NAMES_MAX: usize = 100_000;

/// One partition after the other, each in the order of its index, until there are enough.
const ARRIVALS: &str = "
SELECT came.* FROM unnest($1::int2[]) held (partition) CROSS JOIN LATERAL (
    SELECT partition, id, campaign, fingerprints FROM arrival
    WHERE arrival.partition = held.partition AND id NOT IN (SELECT unnest($2::int8[]))
    ORDER BY id LIMIT $3) came
LIMIT $3";
/// Looked up one by one, in the order of the index (`OFFSET 0` keeps the server from anything else).
const FACTS: &str = "
SELECT f.half, f.fingerprint, f.archive, f.version, f.at, f.length, f.crc32c, f.digest, f.uid
FROM unnest($2::uuid[]) came (fingerprint) CROSS JOIN LATERAL (
    SELECT * FROM TABLE fact WHERE campaign = $1 AND fact.fingerprint = came.fingerprint
    OFFSET 0) f";
const DONE: &str = "
SELECT d.fingerprint, d.uid FROM unnest($2::uuid[]) came (fingerprint) CROSS JOIN LATERAL (
    SELECT * FROM done WHERE campaign = $1 AND done.fingerprint = came.fingerprint OFFSET 0) d";
const NAMES: &str = "SELECT id, name FROM name WHERE id = ANY ($1)";

/// Some fingerprints of a campaign in a partition.
pub(crate) struct Arrival {
    pub(crate) partition: i16,
    pub(crate) id: i64,
    campaign: i32,
    fingerprints: Vec<Wide>,
}

/// Returns arrivals of partitions that are not among those seen.
pub(crate) async fn arrivals(
    client: &Client,
    partitions: &[i16],
    seen: &[i64],
) -> Result<Vec<Arrival>, Error> {
    let most = i64::from(ARRIVALS_A_READ);
    let found = client.query(ARRIVALS, &[&partitions, &seen, &most]).await;
    let arrival = |row: &Row| Arrival {
        partition: row.get(0),
        id: row.get(1),
        campaign: row.get(2),
        fingerprints: row.get(3),
    };
    Ok(found.map_err(|error| words(&error))?.iter().map(arrival).collect())
}

/// Returns the pairs of arrivals, each with the number of an arrival that has it as its receipt.
pub(crate) async fn pairs(
    client: &Client,
    names: &mut Names,
    arrivals: &[Arrival],
) -> Result<Vec<Pair>, Error> {
    let mut wanted: BTreeMap<(i32, u16), BTreeMap<Wide, i64>> = BTreeMap::new();
    for arrival in arrivals {
        let prints = wanted.entry((arrival.campaign, table_of(arrival.partition))).or_default();
        prints.extend(arrival.fingerprints.iter().map(|&print| (print, arrival.id)));
    }
    let mut all = Vec::new();
    for ((campaign, table), prints) in wanted {
        let sql = FACTS.replace("TABLE", &format!("fact_{table}"));
        let keys: Vec<Wide> = prints.keys().copied().collect();
        let rows = client.query(&sql, &[&campaign, &keys]).await.map_err(|error| words(&error))?;
        names.learn(client, campaign, &rows).await?;
        let mut pairs = Vec::new();
        for rows in rows.chunk_by(|one, next| print(one) == print(next)) {
            if rows.iter().any(|row| half(row) != half(&rows[0])) {
                pair(names, campaign, prints[&print(&rows[0])], rows, &mut pairs)?;
            }
        }
        let done = done(client, campaign, &pairs).await?;
        pairs.retain(|Pair { metadata, .. }| {
            done.is_empty()
                || !done.contains(&(metadata.fingerprint, metadata.uid.as_str().to_owned()))
        });
        all.append(&mut pairs);
    }
    Ok(all)
}

/// Returns those of the pairs that are done.
async fn done(
    client: &Client,
    campaign: i32,
    pairs: &[Pair],
) -> Result<HashSet<(u128, String)>, Error> {
    let keys: Vec<Wide> = pairs.iter().map(|pair| Wide(pair.metadata.fingerprint)).collect();
    let rows = client.query(DONE, &[&campaign, &keys]).await.map_err(|error| words(&error))?;
    Ok(rows.iter().map(|row| (row.get::<_, Wide>(0).0, row.get(1))).collect())
}

fn half(row: &Row) -> i16 {
    row.get(0)
}

fn print(row: &Row) -> Wide {
    row.get(1)
}

/// Adds the pairs of a fingerprint: nearly always one. Of several facts of a half, the one with the
/// smallest digest is taken.
fn pair(
    names: &Names,
    campaign: i32,
    receipt: i64,
    rows: &[Row],
    pairs: &mut Vec<Pair>,
) -> Result<(), Error> {
    let mut instances: Vec<[Option<Fact>; 2]> = Vec::with_capacity(1);
    let place = |fact: &Fact| (fact.digest, fact.archive.clone(), fact.offset);
    for row in rows {
        let fact = names.fact(row)?;
        let is_same = |halves: &&mut [Option<Fact>; 2]| {
            halves.iter().flatten().any(|other| other.uid == fact.uid)
        };
        let at = usize::from(fact.half == Half::Image);
        match instances.iter_mut().find(is_same) {
            Some(halves) => {
                if halves[at].as_ref().is_none_or(|first| place(&fact) < place(first)) {
                    halves[at] = Some(fact);
                }
            }
            None if at == 0 => instances.push([Some(fact), None]),
            None => instances.push([None, Some(fact)]),
        }
    }
    for halves in instances {
        if let [Some(metadata), Some(image)] = halves {
            pairs.push(Pair { campaign: names.campaign(campaign)?, metadata, image, receipt });
        }
    }
    Ok(())
}

/// Names by their numbers, as far as they were needed.
#[derive(Default)]
pub(crate) struct Names(HashMap<i32, Arc<str>>);

impl Names {
    async fn learn(&mut self, client: &Client, campaign: i32, rows: &[Row]) -> Result<(), Error> {
        let of_row = |row: &Row| [row.get(2), row.get::<_, Option<i32>>(3).unwrap_or(campaign)];
        let mut wanted: HashSet<i32> = rows.iter().flat_map(of_row).collect();
        wanted.insert(campaign);
        if self.0.len() + wanted.len() > NAMES_MAX {
            self.0.clear();
        }
        wanted.retain(|id| !self.0.contains_key(id));
        if wanted.is_empty() {
            return Ok(());
        }
        let wanted: Vec<i32> = wanted.into_iter().collect();
        let found = client.query(NAMES, &[&wanted]).await.map_err(|error| words(&error))?;
        self.0.extend(found.iter().map(|row| (row.get(0), row.get::<_, &str>(1).into())));
        Ok(())
    }

    fn name(&self, id: i32) -> Result<&str, Error> {
        self.0.get(&id).map(|name| &**name).ok_or_else(|| failed("a fact lacks a name"))
    }

    fn campaign(&self, id: i32) -> Result<CampaignName, Error> {
        self.name(id)?.parse()
    }

    fn fact(&self, row: &Row) -> Result<Fact, Error> {
        let version: Option<i32> = row.get(3);
        let version = version.map(|id| self.name(id).map(str::to_owned)).transpose()?;
        Ok(Fact { archive: self.name(row.get(2))?.to_owned(), version, ..bare(row)? })
    }
}
