//! The form of the file, and how an older one becomes it.

use rusqlite::Transaction;

use crate::error::Error;

/// Of which form a file is (`PRAGMA user_version`).
pub(super) const FORM: i64 = 2;

/// The tables. Archives and versions are told by their number in `name`: they are long, and come again with
/// each of their facts.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS campaign (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, priority INTEGER NOT NULL,
    settings TEXT NOT NULL, epoch INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS task (
    id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL, stage INTEGER NOT NULL, url TEXT NOT NULL,
    bytes INTEGER NOT NULL, state TEXT NOT NULL, token INTEGER NOT NULL, attempts INTEGER NOT NULL,
    due INTEGER NOT NULL, worker TEXT, failure TEXT, detail TEXT, permanent INTEGER,
    first INTEGER, last INTEGER,
    UNIQUE (campaign, stage, url));
CREATE INDEX IF NOT EXISTS task_open ON task (campaign, stage, id) WHERE state IN ('waiting', 'claimed');
CREATE INDEX IF NOT EXISTS task_claimed ON task (due) WHERE state = 'claimed';
CREATE INDEX IF NOT EXISTS task_dead ON task (id) WHERE state = 'dead';
CREATE TABLE IF NOT EXISTS name (
    id INTEGER PRIMARY KEY, campaign TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (campaign, text));
CREATE TABLE IF NOT EXISTS arrival (
    id INTEGER PRIMARY KEY, partition INTEGER NOT NULL, campaign TEXT NOT NULL, came INTEGER NOT NULL,
    facts BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS arrival_in ON arrival (partition);
CREATE TABLE IF NOT EXISTS fact (
    campaign TEXT NOT NULL, fingerprint BLOB NOT NULL, uid TEXT NOT NULL, half INTEGER NOT NULL,
    archive INTEGER NOT NULL, offset INTEGER NOT NULL, version INTEGER, length INTEGER NOT NULL,
    digest BLOB NOT NULL, crc32c INTEGER NOT NULL, came INTEGER NOT NULL,
    PRIMARY KEY (campaign, fingerprint, uid, half, archive, offset)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pair (
    id INTEGER PRIMARY KEY AUTOINCREMENT, partition INTEGER NOT NULL, campaign TEXT NOT NULL,
    fingerprint BLOB NOT NULL, uid TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS pair_in ON pair (partition);
CREATE TABLE IF NOT EXISTS holder (
    partition INTEGER PRIMARY KEY, worker TEXT, token INTEGER NOT NULL, until INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reader (worker TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS identity (id INTEGER PRIMARY KEY, own TEXT NOT NULL, facts_of TEXT);
INSERT OR IGNORE INTO identity (id, own) VALUES (1, lower(hex(randomblob(16))));
";

/// Form 1 had names in each fact, and kept pairs that are done.
const ASIDE: &str = "
DROP INDEX IF EXISTS pair_open;
ALTER TABLE fact RENAME TO fact_before;
ALTER TABLE pair RENAME TO pair_before;
";
const MOVED: &str = "
INSERT OR IGNORE INTO name (campaign, text) SELECT DISTINCT campaign, archive FROM fact_before;
INSERT OR IGNORE INTO name (campaign, text)
    SELECT DISTINCT campaign, version FROM fact_before WHERE version IS NOT NULL;
INSERT INTO fact
    SELECT before.campaign, fingerprint, uid, half, archive.id, offset, version.id, length, digest, crc32c, came
    FROM fact_before before
    JOIN name archive ON archive.campaign = before.campaign AND archive.text = before.archive
    LEFT JOIN name version ON version.campaign = before.campaign AND version.text = before.version;
INSERT INTO pair SELECT id, partition, campaign, fingerprint, uid FROM pair_before WHERE done = 0;
DROP TABLE fact_before;
DROP TABLE pair_before;
";

/// Makes what is not there yet, and moves what an older version has left.
pub(super) fn make(change: &Transaction<'_>, file: &str) -> Result<(), Error> {
    let form: i64 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match form {
        0 | FORM => change.execute_batch(SCHEMA)?,
        1 => {
            change.execute_batch(ASIDE)?;
            change.execute_batch(SCHEMA)?;
            change.execute_batch(MOVED)?;
        }
        _ => {
            let detail = format!("{file} is of form {form}; this program reads form {FORM}");
            return Err(Error::Invalid(detail));
        }
    }
    Ok(change.pragma_update(None, "user_version", FORM)?)
}
