//! The tables, in a schema of their own.

use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::PARTITIONS;
use tokio_postgres::Client;

use crate::binding;
use crate::session::words;

/// The form of the tables.
const FORM: i32 = 3;
/// Where the tables are looked for.
pub(crate) const USE: &str = "SET search_path TO dcmjoin_ledger, pg_temp";
/// Tables that facts are spread over, each a range of fingerprints: small indexes, and as many
/// workers that clean up after deletions.
const TABLES: u8 = 16;
/// Workers that start at the same time make the tables one after another.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7306083462)";

/// `name` holds archives' URLs and versions, and campaigns' names, so that rows of facts are
/// short. `arrival` holds the fingerprints of facts that nobody has looked at, or whose pairs are not done:
/// some in a row, since rows cost more than what is in them. `done` is what need not be given again.
const TABLES_SQL: &str = "
CREATE TABLE form (form int4 NOT NULL);
CREATE TABLE campaign (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE,
    priority int4 NOT NULL, settings text NOT NULL, epoch int8 NOT NULL);
CREATE TABLE task (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, campaign int8 NOT NULL, stage int2 NOT NULL,
    url text NOT NULL, bytes int8 NOT NULL, state text NOT NULL, token int8 NOT NULL,
    attempts int4 NOT NULL, due timestamptz NOT NULL, worker text, failure text, detail text,
    permanent bool, first timestamptz, last timestamptz,
    UNIQUE (campaign, stage, url)) WITH (fillfactor = 70);
CREATE INDEX task_open ON task (campaign, stage, id) WHERE state IN ('waiting', 'claimed');
CREATE INDEX task_waiting ON task (campaign, stage, due, id) WHERE state = 'waiting';
CREATE INDEX task_claimed ON task (due) WHERE state = 'claimed';
CREATE INDEX task_dead ON task (id) WHERE state = 'dead';
CREATE TABLE name (id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE fact (
    campaign int4 NOT NULL, half int2 NOT NULL, fingerprint uuid NOT NULL, archive int4 NOT NULL,
    version int4, at int8 NOT NULL, length int8 NOT NULL, crc32c int8 NOT NULL,
    digest uuid NOT NULL, came timestamptz NOT NULL DEFAULT now(), uid text NOT NULL,
    PRIMARY KEY (campaign, fingerprint, half, archive, at)) PARTITION BY RANGE (fingerprint);
CREATE TABLE arrival (
    partition int2 NOT NULL, id int8 GENERATED ALWAYS AS IDENTITY, campaign int4 NOT NULL,
    fingerprints uuid[] NOT NULL, PRIMARY KEY (partition, id));
CREATE TABLE done (
    campaign int4 NOT NULL, fingerprint uuid NOT NULL, uid text NOT NULL,
    PRIMARY KEY (campaign, fingerprint, uid));
CREATE TABLE holder (
    partition int2 PRIMARY KEY, worker text, token int8 NOT NULL, until timestamptz NOT NULL);
CREATE TABLE reader (worker text PRIMARY KEY, until timestamptz NOT NULL);
";

/// What makes tables of each form to those of the next, from form 1 on.
const CHANGES: [&str; FORM as usize - 1] = [TO_2, TO_3];
const TO_2: &str = "
CREATE INDEX task_waiting ON task (campaign, stage, due, id) WHERE state = 'waiting'";
/// What was paired and is not done arrives again. The limit of a row is that of [`crate::facts`].
const TO_3: &str = "
CREATE TABLE arrival (
    partition int2 NOT NULL, id int8 GENERATED ALWAYS AS IDENTITY, campaign int4 NOT NULL,
    fingerprints uuid[] NOT NULL, PRIMARY KEY (partition, id));
INSERT INTO arrival (partition, campaign, fingerprints)
SELECT partition, campaign, array_agg(fingerprint) FROM (
    SELECT *, row_number() OVER (PARTITION BY partition, campaign ORDER BY receipt) / 100 AS part
    FROM queue) parts
GROUP BY partition, campaign, part;
ALTER TABLE pair RENAME TO done;
DELETE FROM done USING queue WHERE done.campaign = queue.campaign
    AND done.fingerprint = queue.fingerprint AND done.uid = queue.uid;
DROP TABLE queue";

/// Makes the tables where there are none.
pub(crate) async fn make(client: &mut Client) -> Result<(), Error> {
    let change = client.transaction().await.map_err(|error| words(&error))?;
    let made = async {
        change.batch_execute(LOCK).await?;
        let there = change.query_one("SELECT to_regclass('dcmjoin_ledger.form') IS NOT NULL", &[]);
        if there.await?.get(0) {
            let form: i32 = change.query_one("SELECT form FROM form", &[]).await?.try_get(0)?;
            let Some(changes) = usize::try_from(form - 1).ok().and_then(|at| CHANGES.get(at..))
            else {
                return Ok(form);
            };
            for sql in changes {
                change.batch_execute(sql).await?;
            }
            change.execute("UPDATE form SET form = $1", &[&FORM]).await?;
            return Ok(FORM);
        }
        change.batch_execute("CREATE SCHEMA IF NOT EXISTS dcmjoin_ledger").await?;
        change.batch_execute(TABLES_SQL).await?;
        for table in 0..TABLES {
            change.batch_execute(&fact_table(table)).await?;
        }
        let holders = "INSERT INTO holder SELECT partition, NULL, 0, now() FROM generate_series(0, $1) partition";
        change.execute(holders, &[&(i32::from(PARTITIONS) - 1)]).await?;
        change.execute("INSERT INTO form VALUES ($1)", &[&FORM]).await?;
        Ok(FORM)
    };
    let form: i32 = made.await.map_err(|error: tokio_postgres::Error| words(&error))?;
    if form != FORM {
        return Err(Error::Invalid(format!(
            "the store's tables are of form {form}; this program reads form {FORM}"
        )));
    }
    binding::make(&change).await.map_err(|error| words(&error))?;
    change.commit().await.map_err(|error| words(&error))
}

fn fact_table(table: u8) -> String {
    let bound = |table: u8| format!("('{table:x}0000000-0000-0000-0000-000000000000')");
    let to = if table + 1 == TABLES { "(MAXVALUE)".to_owned() } else { bound(table + 1) };
    let from = bound(table);
    format!("CREATE TABLE fact_{table} PARTITION OF fact FOR VALUES FROM {from} TO {to}")
}

/// Returns the table of a partition's facts.
pub(crate) fn table_of(partition: i16) -> u16 {
    partition.cast_unsigned() * u16::from(TABLES) / PARTITIONS
}
