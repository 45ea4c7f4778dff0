//! One campaign's journal.
//!
//! Each method is one statement: it is done as a whole or not at all, and costs one round trip. A
//! statement that may have had its effect though its answer was lost finds what it wrote: a commit
//! by its number, a lease by its taker.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dcmjoin_campaign::job::Job;
use dcmjoin_campaign::ledger::{
    Archive, Change, LEASE_SECS, Lease, Ledger, Mode, Place, Select, Standing, WaveTally,
};
use dcmjoin_campaign::{Error, Spec};
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::spend::SpendMeter;

use crate::rows::{Columns, archive, columns, counts, get, json, parse, signed, unsigned, waves};
use crate::session::{Session, Value};
use crate::shelf::nonce;

/// Archives that are added by one statement.
const ROWS_MAX: usize = 10_000;

/// A journal in a database.
#[derive(Debug)]
pub struct Postgres {
    session: Session,
    id: i64,
    /// The number of the last commit; held while one is made, so that they follow each other.
    write: Mutex<i64>,
}

impl Postgres {
    pub(crate) fn new(session: Session, id: i64) -> Self {
        Self { session, id, write: Mutex::new(0) }
    }

    fn own(&self, more: impl IntoIterator<Item = Value>) -> Vec<Value> {
        let mut values: Vec<Value> = vec![Box::new(self.id)];
        values.extend(more);
        values
    }
}

/// The budget stays as it is: a person may have changed it since it was read.
const COMMIT: &str = "
WITH held AS (
    UPDATE dcmjoin_campaign SET beat = clock_timestamp(), write = $3,
        spend = coalesce(jsonb_set($4::text::jsonb, '{budget}',
            coalesce(spend::jsonb -> 'budget', 'null'))::text, spend)
    WHERE id = $1 AND epoch = $2 AND write < $3 RETURNING id),
changed AS (
    UPDATE dcmjoin_archive AS a SET bytes = n.bytes, state = n.state, failure = n.failure,
        due = n.due, open = n.open, task = n.task
    FROM held, unnest($5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::bigint[],
        $10::boolean[], $11::text[]) AS n (id, bytes, state, failure, due, open, task)
    WHERE a.campaign = held.id AND a.id = n.id),
counted AS (
    INSERT INTO dcmjoin_tally AS t (campaign, name, count)
    SELECT held.id, n.name, n.count FROM held, unnest($12::text[], $13::bigint[]) AS n (name, count)
    ON CONFLICT (campaign, name) DO UPDATE SET count = t.count + excluded.count),
made AS (
    INSERT INTO dcmjoin_job (campaign, token, job)
    SELECT held.id, n.token, n.job FROM held, unnest($14::text[], $15::text[]) AS n (token, job)
    ON CONFLICT (campaign, token) DO UPDATE SET job = excluded.job),
ended AS (
    DELETE FROM dcmjoin_job AS j USING held
    WHERE j.campaign = held.id AND j.token = ANY ($16::text[]))
SELECT EXISTS (SELECT FROM held),
    (SELECT write FROM dcmjoin_campaign WHERE id = $1 AND epoch = $2)";

const ADD: &str = "
INSERT INTO dcmjoin_archive (campaign, half, wave, bucket, key, version, bytes, state, task)
SELECT $1, n.half, n.wave, n.bucket, n.key, n.version, n.bytes, n.state, n.task
FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[],
    $8::text[], $9::text[])
    WITH ORDINALITY AS n (half, wave, bucket, key, version, bytes, state, task, at) ORDER BY n.at
ON CONFLICT (campaign, bucket, key, version) DO NOTHING";

/// A beat of the future is of a clock that was set back: that holder is not trusted either.
const TAKE: &str = "
WITH taken AS (
    UPDATE dcmjoin_campaign SET epoch = epoch + 1, holder = $2, held_by = $3, beat = clock_timestamp()
    WHERE id = $1 AND (holder IS NULL OR held_by = $3
        OR beat NOT BETWEEN clock_timestamp() - $4 * interval '1 second' AND clock_timestamp())
    RETURNING epoch, write)
SELECT (SELECT epoch FROM taken), (SELECT write FROM taken), holder,
    greatest(0, extract(epoch FROM clock_timestamp() - beat))::bigint
FROM dcmjoin_campaign WHERE id = $1";

const STANDING: &str = "
SELECT mode, reason, spend, holder,
    greatest(0, extract(epoch FROM clock_timestamp() - beat))::bigint
FROM dcmjoin_campaign WHERE id = $1";

const WAVES: &str = "
SELECT wave, min(half), state, count(*), sum(bytes)::bigint FROM dcmjoin_archive
WHERE campaign = $1 GROUP BY wave, state ORDER BY wave";

macro_rules! page {
    ($clause:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM dcmjoin_archive WHERE campaign = $1 AND id > $2 AND ",
            $clause,
            " ORDER BY id LIMIT $3"
        )
    };
}

impl Ledger for Postgres {
    fn spec(&self) -> Result<Spec, Error> {
        let row =
            self.session.row("SELECT spec FROM dcmjoin_campaign WHERE id = $1", self.own([]))?;
        parse(&get::<String>(&row, 0)?)
    }

    fn set_spec(&self, spec: &Spec) -> Result<(), Error> {
        let values: [Value; 1] = [Box::new(json(spec)?)];
        let sql = "UPDATE dcmjoin_campaign SET spec = $2 WHERE id = $1";
        self.session.query(sql, self.own(values))?;
        Ok(())
    }

    fn add(&self, archives: &[Archive]) -> Result<(), Error> {
        for some in archives.chunks(ROWS_MAX) {
            let mut rows = Columns::default();
            for archive in some {
                rows.push(archive, None)?;
                rows.push_place(archive);
            }
            let values: [Value; 8] = [
                Box::new(rows.half),
                Box::new(rows.wave),
                Box::new(rows.bucket),
                Box::new(rows.key),
                Box::new(rows.version),
                Box::new(rows.bytes),
                Box::new(rows.state),
                Box::new(rows.task),
            ];
            self.session.query(ADD, self.own(values))?;
        }
        Ok(())
    }

    fn take(&self, holder: &str) -> Result<Lease, Error> {
        let nonce = nonce();
        let lease = Duration::from_secs(LEASE_SECS).as_secs_f64();
        let values: [Value; 3] = [Box::new(holder.to_owned()), Box::new(nonce), Box::new(lease)];
        let row = self.session.row(TAKE, self.own(values))?;
        let taken: (Option<i64>, Option<i64>) = (get(&row, 0)?, get(&row, 1)?);
        let (Some(epoch), Some(last)) = taken else {
            let holder: Option<String> = get(&row, 2)?;
            return Err(Error::Held {
                holder: holder.unwrap_or_default(),
                seconds: unsigned(get(&row, 3)?),
            });
        };
        *self.write.lock().unwrap_or_else(PoisonError::into_inner) = last;
        Ok(Lease { epoch })
    }

    fn beat(&self, lease: Lease) -> Result<(), Error> {
        let rows = self.session.query(
            "UPDATE dcmjoin_campaign SET beat = clock_timestamp()
             WHERE id = $1 AND epoch = $2 RETURNING id",
            self.own([Box::new(lease.epoch) as Value]),
        )?;
        if rows.len() == 1 { Ok(()) } else { Err(Error::Fenced) }
    }

    fn release(&self, lease: Lease) -> Result<(), Error> {
        self.session.query(
            "UPDATE dcmjoin_campaign SET holder = NULL WHERE id = $1 AND epoch = $2",
            self.own([Box::new(lease.epoch) as Value]),
        )?;
        Ok(())
    }

    fn evict(&self, holder: &str) -> Result<(), Error> {
        self.session.query(
            "UPDATE dcmjoin_campaign SET holder = NULL WHERE id = $1 AND holder = $2",
            self.own([Box::new(holder.to_owned()) as Value]),
        )?;
        Ok(())
    }

    fn commit(&self, lease: Lease, change: &Change<'_>) -> Result<(), Error> {
        let mut rows = Columns::default();
        for (archive, due) in change.archives {
            rows.push(archive, *due)?;
        }
        let (names, numbers): (Vec<&'static str>, Vec<i64>) =
            change.counts.iter().map(|(name, number)| (*name, signed(*number))).unzip();
        let mut write = self.write.lock().unwrap_or_else(PoisonError::into_inner);
        *write += 1;
        let token = |job: &Job| Ok((job.token.clone(), json(job)?));
        let jobs = change.jobs.iter().map(token).collect::<Result<Vec<_>, Error>>()?;
        let (tokens, jobs): (Vec<String>, Vec<String>) = jobs.into_iter().unzip();
        let ended: Vec<String> = change.ended.iter().map(|token| (*token).to_owned()).collect();
        let values: [Value; 15] = [
            Box::new(lease.epoch),
            Box::new(*write),
            Box::new(change.spend.map(json).transpose()?),
            Box::new(rows.id),
            Box::new(rows.bytes),
            Box::new(rows.state),
            Box::new(rows.failure),
            Box::new(rows.due),
            Box::new(rows.open),
            Box::new(rows.task),
            Box::new(names),
            Box::new(numbers),
            Box::new(tokens),
            Box::new(jobs),
            Box::new(ended),
        ];
        let row = self.session.row(COMMIT, self.own(values))?;
        // A commit that had its effect before its answer was lost finds its own number.
        let (held, last): (bool, Option<i64>) = (get(&row, 0)?, get(&row, 1)?);
        if held || last == Some(*write) { Ok(()) } else { Err(Error::Fenced) }
    }

    fn set_mode(&self, mode: Mode, reason: Option<&str>) -> Result<(), Error> {
        let values: [Value; 2] = [Box::new(mode.as_str()), Box::new(reason.map(str::to_owned))];
        self.session.query(
            "UPDATE dcmjoin_campaign SET mode = $2, reason = $3 WHERE id = $1",
            self.own(values),
        )?;
        Ok(())
    }

    fn mode(&self) -> Result<Mode, Error> {
        let row =
            self.session.row("SELECT mode FROM dcmjoin_campaign WHERE id = $1", self.own([]))?;
        get::<String>(&row, 0)?.parse()
    }

    fn set_budget(&self, budget: Option<Usd>) -> Result<(), Error> {
        let values: [Value; 1] = [Box::new(json(&budget)?)];
        self.session.query(
            "UPDATE dcmjoin_campaign
             SET spend = jsonb_set(spend::jsonb, '{budget}', $2::text::jsonb)::text WHERE id = $1",
            self.own(values),
        )?;
        Ok(())
    }

    fn budget(&self) -> Result<Option<Usd>, Error> {
        let row =
            self.session.row("SELECT spend FROM dcmjoin_campaign WHERE id = $1", self.own([]))?;
        Ok(parse::<SpendMeter>(&get::<String>(&row, 0)?)?.budget())
    }

    fn jobs(&self) -> Result<Vec<Job>, Error> {
        let sql = "SELECT job FROM dcmjoin_job WHERE campaign = $1 ORDER BY token";
        let rows = self.session.query(sql, self.own([]))?;
        rows.iter().map(|row| parse(&get::<String>(row, 0)?)).collect()
    }

    fn page(&self, select: Select<'_>, after: i64, limit: usize) -> Result<Vec<Archive>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut values = self.own([Box::new(after) as Value, Box::new(limit)]);
        let sql = match select {
            Select::Due(moment) => {
                values.push(Box::new(signed(moment.epoch_secs())));
                page!("due <= $4")
            }
            Select::Open => page!("open"),
            Select::In(wave, state) => {
                values.push(Box::new(signed(wave)));
                values.push(Box::new(state.to_owned()));
                page!("wave = $4 AND state = $5")
            }
            Select::State(state) => {
                values.push(Box::new(state.to_owned()));
                page!("state = $4")
            }
            Select::Half(half) => {
                values.push(Box::new(half.as_str()));
                page!("half = $4")
            }
        };
        self.session.query(sql, values)?.iter().map(archive).collect()
    }

    fn find(&self, place: &Place) -> Result<Option<Archive>, Error> {
        // An event names the version also where the campaign asked for the current one.
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM dcmjoin_archive WHERE campaign = $1 AND bucket = $2 AND key = $3
              AND version IN ($4, '') ORDER BY version DESC LIMIT 1"
        );
        let Place { bucket, key, version } = place.clone();
        let values: [Value; 3] =
            [Box::new(bucket), Box::new(key), Box::new(version.unwrap_or_default())];
        let rows = self.session.query(sql, self.own(values))?;
        rows.first().map(archive).transpose()
    }

    fn next_due(&self) -> Result<Option<Moment>, Error> {
        let sql = "SELECT min(due) FROM dcmjoin_archive WHERE campaign = $1 AND due IS NOT NULL";
        let due: Option<i64> = get(&self.session.row(sql, self.own([]))?, 0)?;
        Ok(due.map(|secs| Moment::from_epoch_secs(unsigned(secs))))
    }

    fn waves(&self) -> Result<Vec<WaveTally>, Error> {
        waves(&self.session.query(WAVES, self.own([]))?)
    }

    fn standing(&self) -> Result<Standing, Error> {
        let row = self.session.row(STANDING, self.own([]))?;
        let holder: Option<String> = get(&row, 3)?;
        let silent = unsigned(get(&row, 4)?);
        let failures = self.session.query(
            "SELECT failure, count(*) FROM dcmjoin_archive
             WHERE campaign = $1 AND state = 'failed' GROUP BY failure",
            self.own([]),
        )?;
        let tally = "SELECT name, count FROM dcmjoin_tally WHERE campaign = $1";
        Ok(Standing {
            mode: get::<String>(&row, 0)?.parse()?,
            reason: get(&row, 1)?,
            spend: parse(&get::<String>(&row, 2)?)?,
            holder: holder.map(|holder| (holder, silent)),
            waves: self.waves()?,
            failures: counts(&failures)?,
            counts: counts(&self.session.query(tally, self.own([]))?)?,
        })
    }
}
