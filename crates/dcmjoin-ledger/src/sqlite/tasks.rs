//! Tasks: one row each.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::{NOW, Sqlite, limit, millis, signed, unsigned};
use crate::binding::StoreId;
use crate::campaign::{Campaign, CampaignName};
use crate::error::Error;
use crate::tasks::{
    ATTEMPTS_MAX, Amount, BATCH_MAX, Claim, DeadLetter, Depth, Failure, Fate, NewTask, Stage,
    TaskStore, Wanted, fate, lease_expired,
};

#[async_trait]
impl TaskStore for Sqlite {
    async fn id(&self) -> Result<StoreId, Error> {
        self.change(|change| {
            let own: String = change.query_row("SELECT own FROM identity", [], |row| row.get(0))?;
            own.parse()
        })
        .await
    }

    async fn put_campaign(&self, campaign: &Campaign) -> Result<(), Error> {
        let campaign = campaign.clone();
        self.change(move |change| {
            change.execute(
                "INSERT INTO campaign (name, priority, settings, epoch) VALUES (?1, ?2, ?3, 1)
                 ON CONFLICT (name) DO UPDATE SET priority = ?2, settings = ?3",
                params![campaign.name.as_str(), campaign.priority, campaign.settings],
            )?;
            let id = campaign_id(change, &campaign.name)?;
            insert(change, id, &NewTask { stage: Stage::Close, url: String::new(), bytes: 0 })?;
            Ok(())
        })
        .await
    }

    async fn campaigns(&self) -> Result<Vec<Campaign>, Error> {
        self.change(|change| {
            let mut query =
                change.prepare("SELECT name, priority, settings FROM campaign ORDER BY name")?;
            let mut rows = query.query([])?;
            let mut campaigns = Vec::new();
            while let Some(row) = rows.next()? {
                let name = row.get::<_, String>(0)?.parse()?;
                campaigns.push(Campaign { name, priority: row.get(1)?, settings: row.get(2)? });
            }
            Ok(campaigns)
        })
        .await
    }

    async fn add(&self, campaign: &CampaignName, tasks: &[NewTask]) -> Result<u64, Error> {
        if tasks.len() > BATCH_MAX {
            let got = tasks.len();
            return Err(Error::Invalid(format!("expected at most {BATCH_MAX} tasks, got {got}")));
        }
        let (campaign, tasks) = (campaign.clone(), tasks.to_vec());
        self.change(move |change| {
            let id = campaign_id(change, &campaign)?;
            let (mut added, mut headers) = (0, 0);
            for task in &tasks {
                let new = insert(change, id, task)?;
                added += new;
                headers += new * u64::from(task.stage == Stage::Metadata);
            }
            if headers > 0 {
                new_epoch(change, id)?;
            }
            if added > 0 {
                reopen_close(change, id)?;
            }
            Ok(added)
        })
        .await
    }

    async fn claim(&self, wanted: &Wanted<'_>) -> Result<Vec<Claim>, Error> {
        let worker = wanted.worker.to_owned();
        let stages = wanted.stages.to_vec();
        let campaign = wanted.campaign.cloned();
        let (max, lease) = (wanted.max.min(BATCH_MAX), wanted.lease);
        self.change(move |change| {
            bury_expired(change)?;
            let mut claims = Vec::new();
            for (id, name, epoch) in open_campaigns(change, campaign.as_ref())? {
                let first = first_open(change, id)?;
                let Some(stage) = first.filter(|stage| stages.contains(stage)) else { continue };
                claims.extend(free(change, id, &name, stage, epoch, max - claims.len())?);
                if claims.len() == max {
                    break;
                }
            }
            take(change, &claims, &worker, lease)?;
            Ok(claims)
        })
        .await
    }

    async fn beat(&self, claims: &[Claim], lease: Duration) -> Result<Vec<Claim>, Error> {
        let claims = claims.to_vec();
        self.change(move |change| {
            let mut update = change.prepare_cached(&format!(
                "UPDATE task SET due = {NOW} + ?3 WHERE id = ?1 AND token = ?2 AND state = 'claimed'"
            ))?;
            let mut lost = Vec::new();
            for claim in claims {
                if update.execute(params![claim.id, claim.token, millis(lease)])? == 0 {
                    lost.push(claim);
                }
            }
            Ok(lost)
        })
        .await
    }

    async fn complete(&self, claim: &Claim) -> Result<(), Error> {
        let (id, token) = (claim.id, claim.token);
        self.change(move |change| {
            let sql = format!(
                "UPDATE task SET state = 'done', last = {NOW}, failure = NULL, detail = NULL
                 WHERE id = ?1 AND token = ?2 AND state = 'claimed'"
            );
            fenced(change.execute(&sql, params![id, token])?)
        })
        .await
    }

    async fn fail(&self, claim: &Claim, failure: &Failure) -> Result<Fate, Error> {
        let (claim, failure) = (claim.clone(), failure.clone());
        self.change(move |change| {
            let fate = fate(claim.attempt, failure.is_permanent);
            let (state, wait) = match fate {
                Fate::Waits(wait) => ("waiting", wait),
                Fate::Dead => ("dead", Duration::ZERO),
            };
            let sql = format!(
                "UPDATE task SET state = ?3, due = {NOW} + ?4, failure = ?5, detail = ?6,
                 permanent = ?7, worker = NULL
                 WHERE id = ?1 AND token = ?2 AND state = 'claimed'"
            );
            let Failure { code, detail, is_permanent } = failure;
            let wait = millis(wait);
            let values = params![claim.id, claim.token, state, wait, code, detail, is_permanent];
            fenced(change.execute(&sql, values)?)?;
            Ok(fate)
        })
        .await
    }

    async fn release(&self, claims: &[Claim]) -> Result<(), Error> {
        let claims = claims.to_vec();
        self.change(move |change| {
            let mut update = change.prepare_cached(
                "UPDATE task SET state = 'waiting', due = 0, attempts = attempts - 1, worker = NULL
                 WHERE id = ?1 AND token = ?2 AND state = 'claimed'",
            )?;
            for claim in claims {
                update.execute(params![claim.id, claim.token])?;
            }
            Ok(())
        })
        .await
    }

    async fn depths(&self) -> Result<Vec<Depth>, Error> {
        self.change(depths).await
    }

    async fn urls(
        &self,
        campaign: &CampaignName,
        stage: Stage,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<String>, Error> {
        let (campaign, after) = (campaign.clone(), after.map(str::to_owned));
        self.change(move |change| {
            let id = campaign_id(change, &campaign)?;
            let mut query = change.prepare_cached(
                "SELECT url FROM task WHERE campaign = ?1 AND stage = ?2 AND (?3 IS NULL OR url > ?3)
                 ORDER BY url LIMIT ?4",
            )?;
            let most = limit(max, usize::MAX);
            let rows = query.query_map(params![id, stage.rank(), after, most], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn dead(&self, after: i64, max: usize) -> Result<Vec<DeadLetter>, Error> {
        self.change(move |change| {
            let mut query = change.prepare_cached(
                "SELECT task.id, name, stage, url, attempts, failure, detail, permanent
                 FROM task JOIN campaign ON campaign.id = task.campaign
                 WHERE state = 'dead' AND task.id > ?1 ORDER BY task.id LIMIT ?2",
            )?;
            let mut rows = query.query(params![after, limit(max, BATCH_MAX)])?;
            let mut letters = Vec::new();
            while let Some(row) = rows.next()? {
                letters.push(dead_letter(row)?);
            }
            Ok(letters)
        })
        .await
    }

    async fn retry(&self, ids: &[i64]) -> Result<u64, Error> {
        let ids = ids.to_vec();
        let sql = "UPDATE task SET state = 'waiting', due = 0, attempts = 0
                   WHERE id = ?1 AND state = 'dead' RETURNING campaign, stage";
        self.change(move |change| each_dead(change, sql, &ids)).await
    }

    async fn drop_dead(&self, ids: &[i64]) -> Result<u64, Error> {
        let ids = ids.to_vec();
        let sql = "DELETE FROM task WHERE id = ?1 AND state = 'dead' AND stage < 2
                   RETURNING campaign, stage";
        self.change(move |change| each_dead(change, sql, &ids)).await
    }
}

fn campaign_id(change: &Transaction<'_>, name: &CampaignName) -> Result<i64, Error> {
    let sql = "SELECT id FROM campaign WHERE name = ?1";
    let id = change.query_row(sql, [name.as_str()], |row| row.get(0)).optional()?;
    id.ok_or_else(|| Error::Invalid(format!("there is no campaign {name}")))
}

fn insert(change: &Transaction<'_>, campaign: i64, task: &NewTask) -> Result<u64, Error> {
    let mut insert = change.prepare_cached(
        "INSERT OR IGNORE INTO task (campaign, stage, url, bytes, state, token, attempts, due)
         VALUES (?1, ?2, ?3, ?4, 'waiting', 0, 0, 0)",
    )?;
    let values = params![campaign, task.stage.rank(), task.url, signed(task.bytes)];
    Ok(insert.execute(values)? as u64)
}

fn new_epoch(change: &Transaction<'_>, campaign: i64) -> Result<(), Error> {
    change.execute("UPDATE campaign SET epoch = epoch + 1 WHERE id = ?1", [campaign])?;
    Ok(())
}

fn reopen_close(change: &Transaction<'_>, campaign: i64) -> Result<(), Error> {
    change.execute(
        "UPDATE task SET state = 'waiting', due = 0, attempts = 0
         WHERE campaign = ?1 AND stage = ?2 AND state = 'done'",
        params![campaign, Stage::Close.rank()],
    )?;
    Ok(())
}

/// Buries tasks whose workers fell silent too often.
fn bury_expired(change: &Transaction<'_>) -> Result<(), Error> {
    let failure = lease_expired();
    let sql = format!(
        "UPDATE task SET state = 'dead', failure = ?2, detail = ?3, permanent = 0, worker = NULL
         WHERE state = 'claimed' AND due <= {NOW} AND attempts >= ?1"
    );
    change.execute(&sql, params![ATTEMPTS_MAX, failure.code, failure.detail])?;
    Ok(())
}

type Open = (i64, CampaignName, i64);

fn open_campaigns(
    change: &Transaction<'_>,
    only: Option<&CampaignName>,
) -> Result<Vec<Open>, Error> {
    let mut query = change.prepare_cached(
        "SELECT id, name, epoch FROM campaign WHERE ?1 IS NULL OR name = ?1
         ORDER BY priority DESC, id",
    )?;
    let mut rows = query.query([only.map(CampaignName::as_str)])?;
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        open.push((row.get(0)?, row.get::<_, String>(1)?.parse()?, row.get(2)?));
    }
    Ok(open)
}

/// Returns the earliest stage of a campaign with an open task: no later one may be claimed.
fn first_open(change: &Transaction<'_>, campaign: i64) -> Result<Option<Stage>, Error> {
    let mut query = change.prepare_cached(
        "SELECT min(stage) FROM task WHERE campaign = ?1 AND state IN ('waiting', 'claimed')",
    )?;
    let rank: Option<i64> = query.query_row([campaign], |row| row.get(0))?;
    Ok(rank.and_then(Stage::of_rank))
}

/// Returns tasks that may be claimed, as they will be.
fn free(
    change: &Transaction<'_>,
    campaign: i64,
    name: &CampaignName,
    stage: Stage,
    epoch: i64,
    max: usize,
) -> Result<Vec<Claim>, Error> {
    let mut query = change.prepare_cached(&format!(
        "SELECT id, token, url, bytes, attempts FROM task
         WHERE campaign = ?1 AND stage = ?2 AND state IN ('waiting', 'claimed') AND due <= {NOW}
         ORDER BY id LIMIT ?3"
    ))?;
    let rows = query.query_map(params![campaign, stage.rank(), limit(max, BATCH_MAX)], |row| {
        Ok(Claim {
            id: row.get(0)?,
            token: row.get::<_, i64>(1)? + 1,
            campaign: name.clone(),
            stage,
            url: row.get(2)?,
            bytes: unsigned(row.get(3)?),
            attempt: row.get::<_, u32>(4)? + 1,
            epoch,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn take(
    change: &Transaction<'_>,
    claims: &[Claim],
    worker: &str,
    lease: Duration,
) -> Result<(), Error> {
    let mut update = change.prepare_cached(&format!(
        "UPDATE task SET state = 'claimed', token = ?2, attempts = ?3, worker = ?4,
         due = {NOW} + ?5, first = coalesce(first, {NOW}) WHERE id = ?1"
    ))?;
    for claim in claims {
        let lease = millis(lease);
        update.execute(params![claim.id, claim.token, claim.attempt, worker, lease])?;
    }
    Ok(())
}

fn fenced(changed: usize) -> Result<(), Error> {
    if changed == 0 { Err(Error::Fenced) } else { Ok(()) }
}

/// Changes dead letters one by one; the campaigns that they are of may be closed anew.
fn each_dead(change: &Transaction<'_>, sql: &str, ids: &[i64]) -> Result<u64, Error> {
    let mut changed = 0;
    for id in ids {
        let mut query = change.prepare_cached(sql)?;
        let found: Option<(i64, i64)> =
            query.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((campaign, stage)) = found else { continue };
        changed += 1;
        if stage == i64::from(Stage::Metadata.rank()) {
            new_epoch(change, campaign)?;
        }
        reopen_close(change, campaign)?;
    }
    Ok(changed)
}

fn dead_letter(row: &Row<'_>) -> Result<DeadLetter, Error> {
    let unknown = || Error::Invalid("a task is of a stage that is not known".to_owned());
    Ok(DeadLetter {
        id: row.get(0)?,
        campaign: row.get::<_, String>(1)?.parse()?,
        stage: Stage::of_rank(row.get(2)?).ok_or_else(unknown)?,
        url: row.get(3)?,
        attempts: row.get(4)?,
        failure: Failure {
            code: row.get(5)?,
            detail: row.get(6)?,
            is_permanent: row.get::<_, Option<bool>>(7)?.unwrap_or_default(),
        },
    })
}

fn depths(change: &Transaction<'_>) -> Result<Vec<Depth>, Error> {
    let mut query = change.prepare_cached(
        "SELECT name, stage, state, count(*), sum(bytes), min(first), max(last)
         FROM task JOIN campaign ON campaign.id = task.campaign
         GROUP BY name, stage, state ORDER BY name, stage",
    )?;
    let mut rows = query.query([])?;
    let mut depths: Vec<Depth> = Vec::new();
    while let Some(row) = rows.next()? {
        let campaign: CampaignName = row.get::<_, String>(0)?.parse()?;
        let Some(stage) = Stage::of_rank(row.get(1)?) else { continue };
        if depths.last().is_none_or(|last| last.campaign != campaign || last.stage != stage) {
            let none = Amount::default();
            let (waiting, claimed, done, dead) = (none, none, none, none);
            depths.push(Depth { campaign, stage, waiting, claimed, done, dead, from_to: None });
        }
        let Some(depth) = depths.last_mut() else { continue };
        let amount = match row.get_ref(2)?.as_str().unwrap_or_default() {
            "waiting" => &mut depth.waiting,
            "claimed" => &mut depth.claimed,
            "done" => &mut depth.done,
            _ => &mut depth.dead,
        };
        *amount = Amount { tasks: unsigned(row.get(3)?), bytes: unsigned(row.get(4)?) };
        let seconds = |at: Option<i64>| at.map(|at| unsigned(at) / 1_000);
        let (first, last) = (seconds(row.get(5)?), seconds(row.get(6)?));
        depth.from_to = match (depth.from_to, first) {
            (None, None) => None,
            (None, Some(first)) => Some((first, last.unwrap_or(first))),
            (Some((from, to)), first) => {
                Some((from.min(first.unwrap_or(from)), to.max(last.unwrap_or(to))))
            }
        };
    }
    Ok(depths)
}
