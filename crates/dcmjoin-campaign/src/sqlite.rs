//! The journal in a `SQLite` file: write-ahead log, synchronous, one row an archive.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dcmjoin_model::Half;
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::spend::SpendMeter;
use dcmjoin_restore::task::Task;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use crate::error::Error;
use crate::job::Job;
use crate::ledger::{
    Archive, Change, LEASE_SECS, Lease, Ledger, Mode, Place, Select, Standing, Tally, WaveTally,
};
use crate::spec::Spec;

/// The form of the file (`PRAGMA user_version`).
const FORM: i64 = 2;
/// How long a writer waits for another one.
const BUSY: std::time::Duration = std::time::Duration::from_secs(10);

const SCHEMA: &str = "
CREATE TABLE campaign (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    spec TEXT NOT NULL, mode TEXT NOT NULL, reason TEXT, spend TEXT NOT NULL,
    epoch INTEGER NOT NULL, holder TEXT, beat INTEGER NOT NULL);
CREATE TABLE archive (
    id INTEGER PRIMARY KEY, half TEXT NOT NULL, wave INTEGER NOT NULL,
    bucket TEXT NOT NULL, key TEXT NOT NULL, version TEXT NOT NULL, bytes INTEGER NOT NULL,
    state TEXT NOT NULL, failure TEXT, due INTEGER, open INTEGER NOT NULL, task TEXT NOT NULL,
    UNIQUE (bucket, key, version));
CREATE INDEX archive_wave ON archive (wave, half, state, bytes);
CREATE INDEX archive_state ON archive (state);
CREATE INDEX archive_due ON archive (due) WHERE due IS NOT NULL;
CREATE INDEX archive_open ON archive (id) WHERE open = 1;
CREATE TABLE job (token TEXT PRIMARY KEY, job TEXT NOT NULL);
CREATE TABLE tally (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
";

const COLUMNS: &str = "id, half, wave, bucket, key, version, bytes, task";

/// A journal in a file.
#[derive(Debug)]
pub struct Sqlite {
    connection: Mutex<Connection>,
}

impl Sqlite {
    /// Makes a journal, as a draft.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the file is there already and holds something else than a draft.
    pub fn create(file: &Path, spec: &Spec) -> Result<Self, Error> {
        if file.exists() {
            let is_draft = Self::open(file).and_then(|ledger| ledger.mode());
            if !is_draft.is_ok_and(|mode| mode == Mode::Draft) {
                return Err(Error::Invalid(format!(
                    "{} is there already: `dcmjoin campaign status` reads it",
                    file.display()
                )));
            }
            remove(file)?;
        }
        let mut connection = connect(file)?;
        let spend = json(&SpendMeter::new(spec.budget))?;
        let change = connection.transaction()?;
        change.execute_batch(SCHEMA)?;
        change.pragma_update(None, "user_version", FORM)?;
        change.execute(
            "INSERT INTO campaign VALUES (1, ?1, 'draft', NULL, ?2, 0, NULL, 0)",
            params![json(spec)?, spend],
        )?;
        change.commit()?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Opens a journal.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is none, or it is of a form that this program does not know.
    pub fn open(file: &Path) -> Result<Self, Error> {
        if !file.is_file() {
            return Err(Error::Invalid(format!("there is no journal {}", file.display())));
        }
        let connection = connect(file)?;
        let form: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if form != FORM {
            return Err(Error::Invalid(format!(
                "{} is of form {form}; this program reads form {FORM}",
                file.display()
            )));
        }
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a journal and what `SQLite` keeps beside it.
fn remove(file: &Path) -> Result<(), Error> {
    for ending in ["-wal", "-shm", ""] {
        let mut name = file.as_os_str().to_owned();
        name.push(ending);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Journal(format!("a draft cannot be removed: {}", error.kind())));
            }
            _ => {}
        }
    }
    Ok(())
}

fn connect(file: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY)?;
    // FULL: what is acknowledged is on disk, and money may follow from it.
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    Ok(connection)
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Journal(error.to_string()))
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Journal(error.to_string()))
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, Error> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

/// Refuses a write of a holder that is none any more, and counts as its heartbeat.
fn fence(change: &Transaction<'_>, lease: Lease) -> Result<(), Error> {
    let held = change.execute(
        "UPDATE campaign SET beat = unixepoch() WHERE id = 1 AND epoch = ?1",
        [lease.epoch],
    )?;
    if held == 1 { Ok(()) } else { Err(Error::Fenced) }
}

fn half(text: &str) -> Half {
    if text == Half::Metadata.as_str() { Half::Metadata } else { Half::Image }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn archive(row: &Row<'_>) -> rusqlite::Result<(Archive, String)> {
    let version: String = row.get(5)?;
    let place = Place {
        bucket: row.get(3)?,
        key: row.get(4)?,
        version: (!version.is_empty()).then_some(version),
    };
    let archive = Archive {
        id: row.get(0)?,
        half: half(&row.get::<_, String>(1)?),
        wave: unsigned(row.get(2)?),
        place,
        bytes: unsigned(row.get(6)?),
        task: Task::new(dcmjoin_restore::class::StorageClass::Glacier),
    };
    Ok((archive, row.get(7)?))
}

fn whole((archive, task): (Archive, String)) -> Result<Archive, Error> {
    Ok(Archive { task: parse(&task)?, ..archive })
}

fn tallies(connection: &Connection) -> Result<Vec<WaveTally>, Error> {
    let mut query = connection.prepare_cached(
        "SELECT wave, half, state, count(*), sum(bytes) FROM archive
         GROUP BY wave, half, state ORDER BY wave, half",
    )?;
    let mut rows = query.query([])?;
    let mut waves: Vec<WaveTally> = Vec::new();
    while let Some(row) = rows.next()? {
        let (wave, half) = (unsigned(row.get(0)?), half(&row.get::<_, String>(1)?));
        let tally = Tally { archives: unsigned(row.get(3)?), bytes: unsigned(row.get(4)?) };
        if waves.last().is_none_or(|last| last.wave != wave) {
            waves.push(WaveTally { wave, half, states: BTreeMap::new() });
        }
        if let Some(last) = waves.last_mut() {
            last.states.insert(row.get(2)?, tally);
        }
    }
    Ok(waves)
}

fn meter(connection: &Connection) -> Result<SpendMeter, Error> {
    let text: String = connection.query_row("SELECT spend FROM campaign", [], |row| row.get(0))?;
    parse(&text)
}

fn counts(connection: &Connection, sql: &str) -> Result<BTreeMap<String, u64>, Error> {
    let mut query = connection.prepare(sql)?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

impl Ledger for Sqlite {
    fn spec(&self) -> Result<Spec, Error> {
        let text: String =
            self.lock().query_row("SELECT spec FROM campaign", [], |row| row.get(0))?;
        parse(&text)
    }

    fn set_spec(&self, spec: &Spec) -> Result<(), Error> {
        self.lock().execute("UPDATE campaign SET spec = ?1", [json(spec)?])?;
        Ok(())
    }

    fn add(&self, archives: &[Archive]) -> Result<(), Error> {
        let mut connection = self.lock();
        let change = begin(&mut connection)?;
        {
            let mut insert = change.prepare_cached(
                "INSERT OR IGNORE INTO archive
                 (half, wave, bucket, key, version, bytes, state, failure, due, open, task)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, NULL, 0, ?8)",
            )?;
            for archive in archives {
                let Archive { half, wave, place, bytes, task, .. } = archive;
                insert.execute(params![
                    half.as_str(),
                    signed(*wave),
                    place.bucket,
                    place.key,
                    place.version.as_deref().unwrap_or_default(),
                    signed(*bytes),
                    task.state.as_str(),
                    json(task)?
                ])?;
            }
        }
        Ok(change.commit()?)
    }

    fn take(&self, holder: &str) -> Result<Lease, Error> {
        let mut connection = self.lock();
        let change = begin(&mut connection)?;
        let (epoch, other, silent): (i64, Option<String>, i64) = change.query_row(
            "SELECT epoch, holder, unixepoch() - beat FROM campaign",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        // A clock that was set back makes a beat of the future: that holder is not trusted either.
        let alive = (0..signed(LEASE_SECS)).contains(&silent);
        if let Some(other) = other.filter(|_| alive) {
            return Err(Error::Held { holder: other, seconds: unsigned(silent) });
        }
        change.execute(
            "UPDATE campaign SET epoch = ?1, holder = ?2, beat = unixepoch()",
            params![epoch + 1, holder],
        )?;
        change.commit()?;
        Ok(Lease { epoch: epoch + 1 })
    }

    fn beat(&self, lease: Lease) -> Result<(), Error> {
        let mut connection = self.lock();
        let change = begin(&mut connection)?;
        fence(&change, lease)?;
        Ok(change.commit()?)
    }

    fn release(&self, lease: Lease) -> Result<(), Error> {
        self.lock().execute("UPDATE campaign SET holder = NULL WHERE epoch = ?1", [lease.epoch])?;
        Ok(())
    }

    fn evict(&self, holder: &str) -> Result<(), Error> {
        let sql = "UPDATE campaign SET holder = NULL WHERE holder = ?1";
        self.lock().execute(sql, [holder])?;
        Ok(())
    }

    fn commit(&self, lease: Lease, written: &Change<'_>) -> Result<(), Error> {
        let mut connection = self.lock();
        let change = begin(&mut connection)?;
        fence(&change, lease)?;
        {
            let mut update = change.prepare_cached(
                "UPDATE archive SET bytes = ?2, state = ?3, failure = ?4, due = ?5, open = ?6, task = ?7
                 WHERE id = ?1",
            )?;
            for (archive, due) in written.archives {
                let task = &archive.task;
                update.execute(params![
                    archive.id,
                    signed(archive.bytes),
                    task.state.as_str(),
                    archive.failure(),
                    due.map(|due| signed(due.epoch_secs())),
                    archive.is_open(),
                    json(task)?
                ])?;
            }
            let mut count = change.prepare_cached(
                "INSERT INTO tally VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
            )?;
            for (name, number) in written.counts {
                count.execute(params![name, signed(*number)])?;
            }
        }
        if let Some(spend) = written.spend {
            let mut spend = spend.clone();
            spend.set_budget(meter(&change)?.budget());
            change.execute("UPDATE campaign SET spend = ?1", [json(&spend)?])?;
        }
        for job in written.jobs {
            let sql = "INSERT OR REPLACE INTO job VALUES (?1, ?2)";
            change.execute(sql, params![job.token, json(job)?])?;
        }
        for token in written.ended {
            change.execute("DELETE FROM job WHERE token = ?1", [token])?;
        }
        Ok(change.commit()?)
    }

    fn set_mode(&self, mode: Mode, reason: Option<&str>) -> Result<(), Error> {
        self.lock().execute(
            "UPDATE campaign SET mode = ?1, reason = ?2",
            params![mode.as_str(), reason],
        )?;
        Ok(())
    }

    fn mode(&self) -> Result<Mode, Error> {
        let text: String =
            self.lock().query_row("SELECT mode FROM campaign", [], |row| row.get(0))?;
        text.parse()
    }

    fn set_budget(&self, budget: Option<Usd>) -> Result<(), Error> {
        let mut connection = self.lock();
        let change = begin(&mut connection)?;
        let mut spend = meter(&change)?;
        spend.set_budget(budget);
        change.execute("UPDATE campaign SET spend = ?1", [json(&spend)?])?;
        Ok(change.commit()?)
    }

    fn budget(&self) -> Result<Option<Usd>, Error> {
        Ok(meter(&self.lock())?.budget())
    }

    fn jobs(&self) -> Result<Vec<Job>, Error> {
        let connection = self.lock();
        let mut query = connection.prepare_cached("SELECT job FROM job ORDER BY token")?;
        let rows = query.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|row| parse(&row?)).collect()
    }

    fn page(&self, select: Select<'_>, after: i64, limit: usize) -> Result<Vec<Archive>, Error> {
        let connection = self.lock();
        let (clause, first, second) = match select {
            Select::Due(moment) => {
                ("due <= ?3 AND ?4 = ''", signed(moment.epoch_secs()), String::new())
            }
            Select::Open => ("open = 1 AND ?3 = 0 AND ?4 = ''", 0, String::new()),
            Select::In(wave, state) => ("wave = ?3 AND state = ?4", signed(wave), state.to_owned()),
            Select::State(state) => ("?3 = 0 AND state = ?4", 0, state.to_owned()),
            Select::Half(half) => ("?3 = 0 AND half = ?4", 0, half.as_str().to_owned()),
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM archive WHERE id > ?1 AND {clause} ORDER BY id LIMIT ?2"
        );
        let mut query = connection.prepare_cached(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map(params![after, limit, first, second], archive)?;
        rows.map(|row| whole(row?)).collect()
    }

    fn find(&self, place: &Place) -> Result<Option<Archive>, Error> {
        let connection = self.lock();
        // An event names the version also where the campaign asked for the current one.
        let sql = format!(
            "SELECT {COLUMNS} FROM archive
             WHERE bucket = ?1 AND key = ?2 AND version IN (?3, '') ORDER BY version DESC LIMIT 1"
        );
        let mut query = connection.prepare_cached(&sql)?;
        let version = place.version.as_deref().unwrap_or_default();
        let found =
            query.query_row(params![place.bucket, place.key, version], archive).optional()?;
        found.map(whole).transpose()
    }

    fn next_due(&self) -> Result<Option<Moment>, Error> {
        let sql = "SELECT min(due) FROM archive WHERE due IS NOT NULL";
        let due: Option<i64> = self.lock().query_row(sql, [], |row| row.get(0))?;
        Ok(due.map(|secs| Moment::from_epoch_secs(unsigned(secs))))
    }

    fn waves(&self) -> Result<Vec<WaveTally>, Error> {
        tallies(&self.lock())
    }

    fn standing(&self) -> Result<Standing, Error> {
        let connection = self.lock();
        let (word, reason, spend, holder, silent): (String, _, String, Option<String>, i64) =
            connection.query_row(
                "SELECT mode, reason, spend, holder, unixepoch() - beat FROM campaign",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
            )?;
        Ok(Standing {
            mode: word.parse()?,
            reason,
            spend: parse(&spend)?,
            holder: holder.map(|holder| (holder, unsigned(silent))),
            waves: tallies(&connection)?,
            failures: counts(
                &connection,
                "SELECT failure, count(*) FROM archive WHERE state = 'failed' GROUP BY failure",
            )?,
            counts: counts(&connection, "SELECT name, count FROM tally")?,
        })
    }
}
