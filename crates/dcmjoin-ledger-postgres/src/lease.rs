//! Leases of partitions: a worker holds at most its share of them.

use std::collections::{BTreeMap, BTreeSet};

use dcmjoin_ledger::facts::PARTITIONS;
use tokio_postgres::{Client, Transaction};

use crate::values::limit;

/// Readers part the partitions one after another.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7306083463)";
const COME: &str = "
INSERT INTO reader VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (worker) DO UPDATE SET until = excluded.until";
/// As many as every other one that was heard of.
const SHARE: &str = "
SELECT greatest(count(*), 1) FROM reader WHERE until > clock_timestamp()";
const KEEP: &str = "
UPDATE holder SET until = clock_timestamp() + make_interval(secs => $2)
FROM unnest($3::int2[], $4::int8[]) held (partition, token)
WHERE holder.partition = held.partition AND holder.token = held.token AND holder.worker = $1
RETURNING holder.partition, holder.token";
const TAKE: &str = "
UPDATE holder SET worker = $1, token = token + 1,
    until = clock_timestamp() + make_interval(secs => $2)
WHERE partition IN (
    SELECT partition FROM holder WHERE worker IS NULL OR until <= clock_timestamp()
    ORDER BY partition LIMIT $3)
RETURNING partition, token";
const GIVE_BACK: &str = "
UPDATE holder SET worker = NULL FROM unnest($1::int2[], $2::int8[]) held (partition, token)
WHERE holder.partition = held.partition AND holder.token = held.token";
const LEAVE: &str = "DELETE FROM reader WHERE worker = $1";
/// Held until the transaction ends: nobody takes one of them meanwhile.
const FENCE: &str = "
SELECT 1 FROM holder JOIN unnest($1::int2[], $2::int8[]) held (partition, token)
ON holder.partition = held.partition AND holder.token = held.token
WHERE holder.worker = $3 FOR SHARE OF holder";

/// Partitions, each with the token of its lease.
pub(crate) type Held = BTreeMap<i16, i64>;

/// Beats, gives back what is above this worker's share, and takes what is free up to it.
pub(crate) async fn hold(
    client: &mut Client,
    worker: &str,
    lease: f64,
    held: &Held,
) -> Result<Held, tokio_postgres::Error> {
    let change = client.transaction().await?;
    change.execute(LOCK, &[]).await?;
    change.execute(COME, &[&worker, &lease]).await?;
    let readers: i64 = change.query_one(SHARE, &[]).await?.get(0);
    let share = usize::from(PARTITIONS).div_ceil(readers.unsigned_abs() as usize);
    let (partitions, tokens) = lists(held);
    let kept = change.query(KEEP, &[&worker, &lease, &partitions, &tokens]).await?;
    let mut kept: Held = kept.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut surplus = Held::new();
    while kept.len() > share {
        surplus.extend(kept.pop_last());
    }
    if !surplus.is_empty() {
        give_back(&change, &surplus).await?;
    }
    if kept.len() < share {
        let free = limit(share - kept.len(), usize::MAX);
        let taken = change.query(TAKE, &[&worker, &lease, &free]).await?;
        kept.extend(taken.iter().map(|row| (row.get::<_, i16>(0), row.get::<_, i64>(1))));
    }
    change.commit().await?;
    Ok(kept)
}

/// Gives all back.
pub(crate) async fn leave(
    client: &mut Client,
    worker: &str,
    held: &Held,
) -> Result<(), tokio_postgres::Error> {
    let change = client.transaction().await?;
    change.execute(LOCK, &[]).await?;
    change.execute(LEAVE, &[&worker]).await?;
    give_back(&change, held).await?;
    change.commit().await
}

/// Returns whether a worker still holds some of its partitions; while the transaction goes on, nobody takes
/// them.
pub(crate) async fn fence(
    change: &Transaction<'_>,
    worker: &str,
    held: &Held,
    some: &BTreeSet<i16>,
) -> Result<bool, tokio_postgres::Error> {
    let some = held.iter().filter(|(partition, _)| some.contains(partition));
    let (partitions, tokens): (Vec<i16>, Vec<i64>) = some.unzip();
    let fenced = change.query(FENCE, &[&partitions, &tokens, &worker]).await?;
    Ok(fenced.len() == partitions.len())
}

async fn give_back(change: &Transaction<'_>, held: &Held) -> Result<u64, tokio_postgres::Error> {
    let (partitions, tokens) = lists(held);
    change.execute(GIVE_BACK, &[&partitions, &tokens]).await
}

fn lists(held: &Held) -> (Vec<i16>, Vec<i64>) {
    held.iter().map(|(&partition, &token)| (partition, token)).unzip()
}
