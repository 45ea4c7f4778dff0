//! The pairs of partitions, by grouped reads of as many facts as fit into memory.

use clickhouse::{Client, Row};
use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::{Fact, PARTITIONS, Pair};
use dcmjoin_model::Half;
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::facts::{half, uid};
use crate::log::{failed, words};

/// Facts of one read; there are more only where one instance has more. Two reads are in memory: one comes
/// while pairs are made of the other.
const FACTS_A_READ: u64 = 50_000;
/// What a read answers: facts of instances that have both halves and are not done, in the order of the
/// table. The server keeps the fingerprints of those, and one group at a time.
const FACTS: &str = "
SELECT campaign, fingerprint, uid, half, archive, offset, version, length, digest, crc32c
FROM dcmjoin_fact WHERE partition IN ? AND fingerprint BETWEEN ? AND ?
AND (campaign, fingerprint) IN (
    SELECT campaign, fingerprint FROM dcmjoin_fact
    WHERE partition IN ? AND fingerprint BETWEEN ? AND ?
    GROUP BY partition, campaign, fingerprint HAVING min(half) <> max(half))
AND (campaign, fingerprint, uid) NOT IN (
    SELECT campaign, fingerprint, uid FROM dcmjoin_done
    WHERE partition IN ? AND fingerprint BETWEEN ? AND ?)
ORDER BY partition, campaign, fingerprint, uid LIMIT ?";

#[derive(Row, Deserialize)]
struct FactRow {
    campaign: String,
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

/// What is read at once: partitions, and the least and greatest of the fingerprints.
type Part = (Vec<u16>, u128, u128);
/// What came of it.
type Fetched = Result<Vec<FactRow>, clickhouse::error::Error>;

/// Partitions that are read, in several reads, each with as many facts as it had at the start.
pub(crate) struct Pass {
    pub(crate) partitions: Vec<(u16, u64)>,
    left: Vec<Part>,
    /// The one that is being read, if any; ends with the pass.
    ahead: JoinSet<(Part, Fetched)>,
}

impl Pass {
    pub(crate) fn new(partitions: Vec<(u16, u64)>) -> Self {
        let (mut left, mut facts) = (Vec::<Part>::new(), u64::MAX);
        for &(partition, count) in &partitions {
            facts = facts.saturating_add(count);
            match left.last_mut() {
                Some((some, _, greatest)) if facts <= FACTS_A_READ => {
                    some.push(partition);
                    *greatest = ends(partition).1;
                }
                _ => {
                    left.extend(parts(partition, count.div_ceil(FACTS_A_READ)));
                    facts = count;
                }
            }
        }
        Self { partitions, left, ahead: JoinSet::new() }
    }

    /// Returns the pairs of the next part, or nothing where all was read. A part with more facts than
    /// expected is read again as two.
    pub(crate) async fn read(&mut self, client: &Client) -> Result<Option<Vec<Pair>>, Error> {
        if self.ahead.is_empty() {
            self.fetch_next(client);
        }
        let Some(fetched) = self.ahead.join_next().await else { return Ok(None) };
        let (part, rows) = fetched.map_err(|_| failed("a task panicked"))?;
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                self.left.push(part);
                return Err(words(&error));
            }
        };
        if rows.len() as u64 >= most(&part) {
            let (partitions, least, greatest) = part;
            let middle = least + (greatest - least) / 2;
            self.left.push((partitions.clone(), middle + 1, greatest));
            self.left.push((partitions, least, middle));
            return Ok(Some(Vec::new()));
        }
        self.fetch_next(client);
        pairs(rows).map(Some)
    }

    fn fetch_next(&mut self, client: &Client) {
        let Some(part) = self.left.pop() else { return };
        let client = client.clone();
        self.ahead.spawn(async move {
            let rows = fetched(&client, &part).await;
            (part, rows)
        });
    }
}

async fn fetched(client: &Client, part: &Part) -> Fetched {
    let (partitions, least, greatest) = part;
    let mut query = client.query(FACTS);
    for _ in 0..3 {
        query = query.bind(partitions).bind(least).bind(greatest);
    }
    let query = query.bind(most(part)).with_setting("optimize_aggregation_in_order", "1");
    query.fetch_all::<FactRow>().await
}

/// Returns how many facts a read may have.
fn most((_, least, greatest): &Part) -> u64 {
    if least == greatest { u64::MAX } else { 2 * FACTS_A_READ }
}

/// Returns the least and the greatest fingerprint of a partition.
fn ends(partition: u16) -> (u128, u128) {
    const BITS: u32 = PARTITIONS.ilog2();
    let least = u128::from(partition) << (128 - BITS);
    (least, least | (u128::MAX >> BITS))
}

/// Parts a partition's fingerprints evenly.
fn parts(partition: u16, count: u64) -> impl Iterator<Item = (Vec<u16>, u128, u128)> {
    let (count, (start, end)) = (u128::from(count.max(1)), ends(partition));
    let width = (end - start) / count;
    (0..count).map(move |at| {
        let least = start + width * at;
        (vec![partition], least, if at + 1 == count { end } else { least + width - 1 })
    })
}

/// Of several facts of a half, the one with the smallest digest is taken.
fn pairs(rows: Vec<FactRow>) -> Result<Vec<Pair>, Error> {
    let mut pairs = Vec::with_capacity(rows.len() / 2);
    let mut rows = rows.into_iter().peekable();
    while let Some(row) = rows.next() {
        let key = (row.campaign.clone(), row.fingerprint, row.uid.clone());
        let mut halves: [Option<Fact>; 2] = [None, None];
        let mut next = Some(row);
        while let Some(row) = next {
            let fact = fact(row)?;
            let first = &mut halves[usize::from(fact.half == Half::Image)];
            if first.as_ref().is_none_or(|first| place(&fact) < place(first)) {
                *first = Some(fact);
            }
            next = rows.next_if(|row| {
                (&row.campaign, row.fingerprint, &row.uid) == (&key.0, key.1, &key.2)
            });
        }
        if let [Some(metadata), Some(image)] = halves {
            // The pair's UID is enough.
            pairs.push(Pair { campaign: key.0.parse()?, metadata, image, receipt: 0 });
        }
    }
    Ok(pairs)
}

fn place(fact: &Fact) -> (u128, &str, u64) {
    (fact.digest, &fact.archive, fact.offset)
}

fn fact(row: FactRow) -> Result<Fact, Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_of_their_partitions() {
        let pass = Pass::new(vec![(3, 500), (7, 49_500), (9, 1), (63, 125_000)]);
        assert_eq!(pass.left.len(), 5);
        assert_eq!(pass.left[0], (vec![3, 7], ends(3).0, ends(7).1));
        assert_eq!(pass.left[1], (vec![9], ends(9).0, ends(9).1));
        assert_eq!(pass.left[2].1, ends(63).0);
        assert_eq!(pass.left[3].1, pass.left[2].2 + 1);
        assert_eq!(pass.left[4].1, pass.left[3].2 + 1);
        assert_eq!(pass.left[4].2, u128::MAX);
    }
}
