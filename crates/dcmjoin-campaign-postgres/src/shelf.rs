//! A database as a place of many journals.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use dcmjoin_campaign::files::checked_name;
use dcmjoin_campaign::ledger::{Ledger, Mode, Shelf};
use dcmjoin_campaign::{Error, Spec};
use dcmjoin_restore::spend::SpendMeter;

use crate::journal::Postgres;
use crate::rows::{get, json};
use crate::session::Session;

/// The form of the tables.
const FORM: i64 = 2;

/// One after another where two programs make the tables at the same time: the lock's number is the
/// name's first letters.
const SCHEMA: &str = "
BEGIN;
SELECT pg_advisory_xact_lock(1684237166);
CREATE TABLE IF NOT EXISTS dcmjoin_campaign_form (form BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS dcmjoin_campaign (
    id BIGSERIAL PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    spec TEXT NOT NULL, mode TEXT NOT NULL, reason TEXT, spend TEXT NOT NULL,
    epoch BIGINT NOT NULL DEFAULT 0, write BIGINT NOT NULL DEFAULT 0,
    holder TEXT, beat TIMESTAMPTZ NOT NULL DEFAULT 'epoch', made_by TEXT NOT NULL, held_by TEXT);
CREATE TABLE IF NOT EXISTS dcmjoin_archive (
    campaign BIGINT NOT NULL REFERENCES dcmjoin_campaign ON DELETE CASCADE,
    id BIGSERIAL, half TEXT NOT NULL, wave BIGINT NOT NULL,
    bucket TEXT NOT NULL, key TEXT NOT NULL, version TEXT NOT NULL, bytes BIGINT NOT NULL,
    state TEXT NOT NULL, failure TEXT, due BIGINT, open BOOLEAN NOT NULL DEFAULT false,
    task TEXT NOT NULL,
    PRIMARY KEY (campaign, id), UNIQUE (campaign, bucket, key, version)) WITH (fillfactor = 80);
CREATE INDEX IF NOT EXISTS dcmjoin_archive_wave ON dcmjoin_archive (campaign, wave, state, id)
    INCLUDE (half, bytes);
CREATE INDEX IF NOT EXISTS dcmjoin_archive_state ON dcmjoin_archive (campaign, state, id);
CREATE INDEX IF NOT EXISTS dcmjoin_archive_due ON dcmjoin_archive (campaign, due)
    WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS dcmjoin_archive_open ON dcmjoin_archive (campaign, id) WHERE open;
CREATE TABLE IF NOT EXISTS dcmjoin_tally (
    campaign BIGINT NOT NULL REFERENCES dcmjoin_campaign ON DELETE CASCADE,
    name TEXT NOT NULL, count BIGINT NOT NULL, PRIMARY KEY (campaign, name));
CREATE TABLE IF NOT EXISTS dcmjoin_job (
    campaign BIGINT NOT NULL REFERENCES dcmjoin_campaign ON DELETE CASCADE,
    token TEXT NOT NULL, job TEXT NOT NULL, PRIMARY KEY (campaign, token));
INSERT INTO dcmjoin_campaign_form SELECT 2
    WHERE NOT EXISTS (SELECT FROM dcmjoin_campaign_form);
COMMIT;
";

/// A database of campaigns.
#[derive(Debug)]
pub struct Database {
    url: String,
    session: Session,
}

impl Database {
    /// Returns a database by its URL, `postgres://user:password@host:port/database`, with the
    /// parameters of libpq that `tokio_postgres` knows, `sslmode` among them. Nothing is asked of it
    /// yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the URL is none.
    pub fn at(url: &str) -> Result<Self, Error> {
        Ok(Self { url: url.to_owned(), session: Session::new(url)? })
    }

    /// Returns whether the tables are there.
    fn has_tables(&self) -> Result<bool, Error> {
        let there = "SELECT to_regclass('dcmjoin_campaign_form') IS NOT NULL";
        if !get(&self.session.row(there, Vec::new())?, 0)? {
            return Ok(false);
        }
        let form: i64 =
            get(&self.session.row("SELECT form FROM dcmjoin_campaign_form", Vec::new())?, 0)?;
        match form == FORM {
            true => Ok(true),
            false => Err(Error::Invalid(format!(
                "the database's tables are of form {form}; this program knows form {FORM}"
            ))),
        }
    }

    fn journal(&self, id: i64) -> Result<Arc<dyn Ledger>, Error> {
        Ok(Arc::new(Postgres::new(Session::new(&self.url)?, id)))
    }
}

/// Returns a text that nobody else makes: what was written by a call whose answer was lost is
/// recognised by it.
pub(crate) fn nonce() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:x}-{:x}-{count:x}", since.as_nanos(), std::process::id())
}

impl Shelf for Database {
    fn campaigns(&self) -> Result<Vec<(String, Mode)>, Error> {
        if !self.has_tables()? {
            return Ok(Vec::new());
        }
        let all = "SELECT name, mode FROM dcmjoin_campaign ORDER BY name";
        let rows = self.session.query(all, Vec::new())?;
        rows.iter().map(|row| Ok((get(row, 0)?, get::<String>(row, 1)?.parse()?))).collect()
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Ledger>, Error> {
        let missing =
            || Error::Invalid(format!("the database has no campaign {name}; it has to be created"));
        if !self.has_tables()? {
            return Err(missing());
        }
        let found = "SELECT id FROM dcmjoin_campaign WHERE name = $1";
        let rows = self.session.query(found, vec![Box::new(name.to_owned())])?;
        self.journal(get(rows.first().ok_or_else(missing)?, 0)?)
    }

    fn create(&self, name: &str, spec: &Spec) -> Result<Arc<dyn Ledger>, Error> {
        let name = checked_name(name)?.to_owned();
        if !self.has_tables()? {
            self.session.ask(|link| {
                Box::pin(async move {
                    let made = link.client.batch_execute(SCHEMA).await;
                    if made.is_err() {
                        // What failed in a transaction leaves it open.
                        let _ = link.client.batch_execute("ROLLBACK").await;
                    }
                    made
                })
            })?;
        }
        let draft = "DELETE FROM dcmjoin_campaign WHERE name = $1 AND mode = 'draft'";
        self.session.query(draft, vec![Box::new(name.clone())])?;
        let rows = self.session.query(
            "INSERT INTO dcmjoin_campaign (name, spec, mode, spend, made_by)
             VALUES ($1, $2, 'draft', $3, $4)
             ON CONFLICT (name) DO UPDATE SET made_by = excluded.made_by
             WHERE dcmjoin_campaign.made_by = excluded.made_by RETURNING id",
            vec![
                Box::new(name.clone()),
                Box::new(json(spec)?),
                Box::new(json(&SpendMeter::new(spec.budget))?),
                Box::new(nonce()),
            ],
        )?;
        let there = || Error::Invalid(format!("the database has a campaign {name} already"));
        self.journal(get(rows.first().ok_or_else(there)?, 0)?)
    }
}
