//! Tasks: one row each, claimed in batches that other workers' claims step over.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use dcmjoin_ledger::binding::StoreId;
use dcmjoin_ledger::tasks::{
    ATTEMPTS_MAX, Amount, BATCH_MAX, Claim, DeadLetter, Depth, Failure, Fate, NewTask, Stage,
    TaskStore, Wanted, fate, lease_expired,
};
use dcmjoin_ledger::{Campaign, CampaignName, Error};
use tokio_postgres::error::Error as Refusal;
use tokio_postgres::{GenericClient, Row, Transaction};

use crate::binding;
use crate::session::{Postgres, failed, words};
use crate::values::{limit, seconds, signed, unsigned};

const PUT: &str = "
INSERT INTO campaign (name, priority, settings, epoch) VALUES ($1, $2, $3, 1)
ON CONFLICT (name) DO UPDATE SET priority = excluded.priority, settings = excluded.settings
RETURNING id";
const ADD: &str = "
INSERT INTO task (campaign, stage, url, bytes, state, token, attempts, due)
SELECT $1, stage, url, bytes, 'waiting', 0, 0, '-infinity'
FROM unnest($2::int2[], $3::text[], $4::int8[]) new (stage, url, bytes)
ORDER BY stage, url ON CONFLICT DO NOTHING RETURNING stage";
const NEW_EPOCH: &str = "UPDATE campaign SET epoch = epoch + 1 WHERE id = $1";
const REOPEN_CLOSE: &str = "
UPDATE task SET state = 'waiting', due = '-infinity', attempts = 0
WHERE campaign = $1 AND stage = $2 AND state = 'done'";
/// Tasks whose workers fell silent too often. The time is the statement's, here and below: by a clock
/// that moves within it no index can be read.
const BURY: &str = "
UPDATE task SET state = 'dead', failure = $2, detail = $3, permanent = false, worker = NULL
WHERE id IN (
    SELECT id FROM task WHERE state = 'claimed' AND due <= statement_timestamp() AND attempts >= $1
    ORDER BY id FOR UPDATE SKIP LOCKED)";
/// Each campaign with the earliest stage that has an open task: no later one may be claimed.
const OPEN: &str = "
SELECT campaign.id, name, epoch, open.stage FROM campaign CROSS JOIN LATERAL (
    SELECT stage FROM task WHERE campaign = campaign.id AND state IN ('waiting', 'claimed')
    ORDER BY stage LIMIT 1) open
WHERE $1::text IS NULL OR name = $1 ORDER BY priority DESC, campaign.id";
/// First those whose worker fell silent: they were added before those that wait; then those that wait,
/// the ones that failed before after the others. Two statements, each
/// by an index of its own, so that those that others have are not looked at (`+ 0`: not by that of all
/// open ones), and `ARRAY`, so that the table is not read through while nobody has counted it.
const TAKE: [&str; 2] = [
    "UPDATE task SET token = token + 1, attempts = attempts + 1, worker = $3,
        due = clock_timestamp() + make_interval(secs => $4)
    WHERE id = ANY (ARRAY (
        SELECT id FROM task WHERE state = 'claimed' AND due <= statement_timestamp()
        AND campaign + 0 = $1::int8 AND stage + 0 = $2::int2 AND attempts < $6
        ORDER BY due, id LIMIT $5 FOR UPDATE SKIP LOCKED))
    RETURNING id, token, url, bytes, attempts",
    "UPDATE task SET state = 'claimed', token = token + 1, attempts = attempts + 1, worker = $3,
        due = clock_timestamp() + make_interval(secs => $4),
        first = coalesce(first, clock_timestamp())
    WHERE id = ANY (ARRAY (
        SELECT id FROM task WHERE campaign = $1 AND stage = $2 AND state = 'waiting'
        AND due <= statement_timestamp() AND attempts < $6
        ORDER BY due, id LIMIT $5 FOR UPDATE SKIP LOCKED))
    RETURNING id, token, url, bytes, attempts",
];
const BEAT: &str = "
UPDATE task SET due = clock_timestamp() + make_interval(secs => $3)
WHERE state = 'claimed' AND id IN (
    SELECT task.id FROM task JOIN unnest($1::int8[], $2::int8[]) claim (id, token)
    ON claim.id = task.id AND claim.token = task.token ORDER BY task.id FOR UPDATE OF task)
RETURNING id, token";
const COMPLETE: &str = "
UPDATE task SET state = 'done', last = clock_timestamp(), failure = NULL, detail = NULL
WHERE id = $1 AND token = $2 AND state = 'claimed'";
const FAIL: &str = "
UPDATE task SET state = $3, due = clock_timestamp() + make_interval(secs => $4), failure = $5,
    detail = $6, permanent = $7, worker = NULL
WHERE id = $1 AND token = $2 AND state = 'claimed'";
const RELEASE: &str = "
UPDATE task SET state = 'waiting', due = '-infinity', attempts = attempts - 1, worker = NULL
WHERE state = 'claimed' AND id IN (
    SELECT task.id FROM task JOIN unnest($1::int8[], $2::int8[]) claim (id, token)
    ON claim.id = task.id AND claim.token = task.token ORDER BY task.id FOR UPDATE OF task)";
const DEPTHS: &str = "
SELECT name, stage, state, count(*), sum(bytes)::int8, extract(epoch FROM min(first))::int8,
    extract(epoch FROM max(last))::int8
FROM task JOIN campaign ON campaign.id = task.campaign
GROUP BY name, stage, state ORDER BY name COLLATE \"C\", stage";
const URLS: &str = "
SELECT url FROM task WHERE campaign = $1 AND stage = $2
AND ($3::text IS NULL OR url COLLATE \"C\" > $3) ORDER BY url COLLATE \"C\" LIMIT $4";
const DEAD: &str = "
SELECT task.id, name, stage, url, attempts, failure, detail, permanent
FROM task JOIN campaign ON campaign.id = task.campaign
WHERE state = 'dead' AND task.id > $1 ORDER BY task.id LIMIT $2";
const RETRY: &str = "
UPDATE task SET state = 'waiting', due = '-infinity', attempts = 0
WHERE state = 'dead' AND id = ANY ($1) RETURNING campaign, stage";
/// The closing is not an archive: it is never dropped.
const DROP: &str = "
DELETE FROM task WHERE state = 'dead' AND stage < 2 AND id = ANY ($1) RETURNING campaign, stage";

/// Runs statements as one transaction, and gives the connection back where they end well.
macro_rules! change {
    ($store:expr, |$change:ident| $body:block) => {{
        let mut link = $store.link().await?;
        let done = async {
            let $change = link.client.transaction().await.map_err(|error| words(&error))?;
            let done = $body;
            $change.commit().await.map_err(|error| words(&error))?;
            Ok::<_, Error>(done)
        }
        .await?;
        link.give_back();
        Ok(done)
    }};
}

#[async_trait]
impl TaskStore for Postgres {
    async fn id(&self) -> Result<StoreId, Error> {
        binding::own(self).await
    }

    async fn put_campaign(&self, campaign: &Campaign) -> Result<(), Error> {
        let Campaign { name, priority, settings } = campaign;
        change!(self, |change| {
            let row = change.query_one(PUT, &[&name.as_str(), priority, settings]).await;
            let id: i64 = row.map_err(|error| words(&error))?.get(0);
            let close = NewTask { stage: Stage::Close, url: String::new(), bytes: 0 };
            insert(&change, id, &[close]).await.map_err(|error| words(&error))?;
        })
    }

    async fn campaigns(&self) -> Result<Vec<Campaign>, Error> {
        let sql = "SELECT name, priority, settings FROM campaign ORDER BY name COLLATE \"C\"";
        let link = self.link().await?;
        let rows = link.client.query(sql, &[]).await.map_err(|error| words(&error))?;
        link.give_back();
        let campaign = |row: &Row| {
            let name = row.get::<_, &str>(0).parse()?;
            Ok(Campaign { name, priority: row.get(1), settings: row.get(2) })
        };
        rows.iter().map(campaign).collect()
    }

    async fn add(&self, campaign: &CampaignName, tasks: &[NewTask]) -> Result<u64, Error> {
        if tasks.len() > BATCH_MAX {
            let got = tasks.len();
            return Err(Error::Invalid(format!("expected at most {BATCH_MAX} tasks, got {got}")));
        }
        change!(self, |change| {
            let id = campaign_id(&change, campaign).await?;
            let added = insert(&change, id, tasks).await.map_err(|error| words(&error))?;
            let changed: Vec<_> = added.iter().map(|&stage| (id, stage)).collect();
            reopen(&change, &changed).await.map_err(|error| words(&error))?;
            added.len() as u64
        })
    }

    async fn claim(&self, wanted: &Wanted<'_>) -> Result<Vec<Claim>, Error> {
        change!(self, |change| {
            let mut claims = claim(&change, wanted).await?;
            // Those that nobody comes back for can keep the next stage closed.
            if claims.is_empty() && bury(&change).await.map_err(|error| words(&error))? > 0 {
                claims = claim(&change, wanted).await?;
            }
            claims
        })
    }

    async fn beat(&self, claims: &[Claim], lease: Duration) -> Result<Vec<Claim>, Error> {
        let (ids, tokens) = lists(claims);
        let link = self.link().await?;
        let kept = link.client.query(BEAT, &[&ids, &tokens, &seconds(lease)]).await;
        let kept = kept.map_err(|error| words(&error))?;
        link.give_back();
        let kept: BTreeSet<(i64, i64)> = kept.iter().map(|row| (row.get(0), row.get(1))).collect();
        let is_lost = |claim: &&Claim| !kept.contains(&(claim.id, claim.token));
        Ok(claims.iter().filter(is_lost).cloned().collect())
    }

    async fn complete(&self, claim: &Claim) -> Result<(), Error> {
        let link = self.link().await?;
        let changed = link.client.execute(COMPLETE, &[&claim.id, &claim.token]).await;
        let changed = changed.map_err(|error| words(&error))?;
        link.give_back();
        fenced(changed)
    }

    async fn fail(&self, claim: &Claim, failure: &Failure) -> Result<Fate, Error> {
        let fate = fate(claim.attempt, failure.is_permanent);
        let (state, wait) = match fate {
            Fate::Waits(wait) => ("waiting", wait),
            Fate::Dead => ("dead", Duration::ZERO),
        };
        let Failure { code, detail, is_permanent } = failure;
        let wait = seconds(wait);
        let link = self.link().await?;
        let changed = link
            .client
            .execute(FAIL, &[&claim.id, &claim.token, &state, &wait, code, detail, is_permanent])
            .await
            .map_err(|error| words(&error))?;
        link.give_back();
        fenced(changed).map(|()| fate)
    }

    async fn release(&self, claims: &[Claim]) -> Result<(), Error> {
        let (ids, tokens) = lists(claims);
        let link = self.link().await?;
        link.client.execute(RELEASE, &[&ids, &tokens]).await.map_err(|error| words(&error))?;
        link.give_back();
        Ok(())
    }

    async fn depths(&self) -> Result<Vec<Depth>, Error> {
        let link = self.link().await?;
        let rows = link.client.query(DEPTHS, &[]).await.map_err(|error| words(&error))?;
        link.give_back();
        let mut depths: Vec<Depth> = Vec::new();
        for row in &rows {
            add_depth(&mut depths, row)?;
        }
        Ok(depths)
    }

    async fn urls(
        &self,
        campaign: &CampaignName,
        stage: Stage,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<String>, Error> {
        let link = self.link().await?;
        let id = campaign_id(&link.client, campaign).await?;
        let most = limit(max, usize::MAX);
        let rows = link.client.query(URLS, &[&id, &stage.rank(), &after, &most]).await;
        let rows = rows.map_err(|error| words(&error))?;
        link.give_back();
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn dead(&self, after: i64, max: usize) -> Result<Vec<DeadLetter>, Error> {
        let link = self.link().await?;
        let rows = link.client.query(DEAD, &[&after, &limit(max, BATCH_MAX)]).await;
        let rows = rows.map_err(|error| words(&error))?;
        link.give_back();
        rows.iter().map(dead_letter).collect()
    }

    async fn retry(&self, ids: &[i64]) -> Result<u64, Error> {
        change!(self, |change| { each_dead(&change, RETRY, ids).await? })
    }

    async fn drop_dead(&self, ids: &[i64]) -> Result<u64, Error> {
        change!(self, |change| { each_dead(&change, DROP, ids).await? })
    }
}

async fn campaign_id(client: &impl GenericClient, name: &CampaignName) -> Result<i64, Error> {
    let sql = "SELECT id FROM campaign WHERE name = $1";
    let row = client.query_opt(sql, &[&name.as_str()]).await.map_err(|error| words(&error))?;
    let id = row.map(|row| row.get(0));
    id.ok_or_else(|| Error::Invalid(format!("there is no campaign {name}")))
}

/// Returns the stages of those that are new.
async fn insert(
    change: &Transaction<'_>,
    campaign: i64,
    tasks: &[NewTask],
) -> Result<Vec<i16>, Refusal> {
    let stages: Vec<i16> = tasks.iter().map(|task| task.stage.rank()).collect();
    let urls: Vec<&str> = tasks.iter().map(|task| task.url.as_str()).collect();
    let bytes: Vec<i64> = tasks.iter().map(|task| signed(task.bytes)).collect();
    let rows = change.query(ADD, &[&campaign, &stages, &urls, &bytes]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Lets campaigns be closed anew whose tasks changed; where headers are among them, what was made
/// of the headers before is outdated.
async fn reopen(change: &Transaction<'_>, changed: &[(i64, i16)]) -> Result<(), Refusal> {
    let campaigns: BTreeSet<i64> = changed.iter().map(|&(campaign, _)| campaign).collect();
    for campaign in campaigns {
        if changed.contains(&(campaign, Stage::Metadata.rank())) {
            change.execute(NEW_EPOCH, &[&campaign]).await?;
        }
        change.execute(REOPEN_CLOSE, &[&campaign, &Stage::Close.rank()]).await?;
    }
    Ok(())
}

async fn bury(change: &Transaction<'_>) -> Result<u64, Refusal> {
    let Failure { code, detail, .. } = lease_expired();
    change.execute(BURY, &[&attempts_max(), &code, &detail]).await
}

async fn claim(change: &Transaction<'_>, wanted: &Wanted<'_>) -> Result<Vec<Claim>, Error> {
    let max = wanted.max.min(BATCH_MAX);
    let only = wanted.campaign.map(CampaignName::as_str);
    let open = change.query(OPEN, &[&only]).await.map_err(|error| words(&error))?;
    let mut claims = Vec::new();
    for row in &open {
        let Some(stage) = Stage::of_rank(i64::from(row.get::<_, i16>(3))) else { continue };
        if claims.len() < max && wanted.stages.contains(&stage) {
            take(change, row, stage, wanted, max, &mut claims).await?;
        }
    }
    Ok(claims)
}

/// Adds tasks of an open campaign's stage, up to `max`.
async fn take(
    change: &Transaction<'_>,
    open: &Row,
    stage: Stage,
    wanted: &Wanted<'_>,
    max: usize,
    claims: &mut Vec<Claim>,
) -> Result<(), Error> {
    let (campaign, name, epoch): (i64, &str, i64) = (open.get(0), open.get(1), open.get(2));
    let campaign_name: CampaignName = name.parse()?;
    let (lease, worker) = (seconds(wanted.lease), &wanted.worker);
    for take in TAKE {
        let left = limit(max - claims.len(), BATCH_MAX);
        if left == 0 {
            break;
        }
        let rows = change
            .query(take, &[&campaign, &stage.rank(), worker, &lease, &left, &attempts_max()])
            .await
            .map_err(|error| words(&error))?;
        let first = claims.len();
        claims.extend(rows.iter().map(|row| Claim {
            id: row.get(0),
            token: row.get(1),
            campaign: campaign_name.clone(),
            stage,
            url: row.get(2),
            bytes: unsigned(row.get(3)),
            attempt: row.get::<_, i32>(4).unsigned_abs(),
            epoch,
        }));
        claims[first..].sort_unstable_by_key(|claim| claim.id);
    }
    Ok(())
}

fn attempts_max() -> i32 {
    i32::try_from(ATTEMPTS_MAX).unwrap_or(i32::MAX)
}

fn lists(claims: &[Claim]) -> (Vec<i64>, Vec<i64>) {
    claims.iter().map(|claim| (claim.id, claim.token)).unzip()
}

fn fenced(changed: u64) -> Result<(), Error> {
    if changed == 0 { Err(Error::Fenced) } else { Ok(()) }
}

async fn each_dead(change: &Transaction<'_>, sql: &str, ids: &[i64]) -> Result<u64, Error> {
    let rows = change.query(sql, &[&ids]).await.map_err(|error| words(&error))?;
    let changed: Vec<(i64, i16)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    reopen(change, &changed).await.map_err(|error| words(&error))?;
    Ok(changed.len() as u64)
}

fn dead_letter(row: &Row) -> Result<DeadLetter, Error> {
    let stage = Stage::of_rank(i64::from(row.get::<_, i16>(2)));
    Ok(DeadLetter {
        id: row.get(0),
        campaign: row.get::<_, &str>(1).parse()?,
        stage: stage.ok_or_else(|| failed("a task is of a stage that is not known"))?,
        url: row.get(3),
        attempts: row.get::<_, i32>(4).unsigned_abs(),
        failure: Failure {
            code: row.get(5),
            detail: row.get(6),
            is_permanent: row.get::<_, Option<bool>>(7).unwrap_or_default(),
        },
    })
}

fn add_depth(depths: &mut Vec<Depth>, row: &Row) -> Result<(), Error> {
    let campaign: CampaignName = row.get::<_, &str>(0).parse()?;
    let Some(stage) = Stage::of_rank(i64::from(row.get::<_, i16>(1))) else { return Ok(()) };
    if depths.last().is_none_or(|last| last.campaign != campaign || last.stage != stage) {
        let none = Amount::default();
        let (waiting, claimed, done, dead) = (none, none, none, none);
        depths.push(Depth { campaign, stage, waiting, claimed, done, dead, from_to: None });
    }
    let Some(depth) = depths.last_mut() else { return Ok(()) };
    let amount = match row.get(2) {
        "waiting" => &mut depth.waiting,
        "claimed" => &mut depth.claimed,
        "done" => &mut depth.done,
        _ => &mut depth.dead,
    };
    *amount = Amount { tasks: unsigned(row.get(3)), bytes: unsigned(row.get(4)) };
    let (first, last): (Option<i64>, Option<i64>) = (row.get(5), row.get(6));
    if let Some(first) = first.map(unsigned) {
        let last = last.map_or(first, unsigned);
        let (from, to) = depth.from_to.unwrap_or((first, last));
        depth.from_to = Some((from.min(first), to.max(last)));
    }
    Ok(())
}
