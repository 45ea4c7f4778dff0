//! Tasks and facts in one `SQLite` file: for workers of one machine, without a server.
//!
//! Write-ahead log, synchronous: what is acknowledged is on the device. Each call is one short
//! transaction; writers wait for each other for at most `BUSY`. Times are the machine's clock
//! in milliseconds since 1970.

mod arrival;
mod facts;
mod form;
mod names;
mod reader;
mod tasks;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::Error;
use crate::tasks::LEASE;

/// How long a writer waits for another one.
const BUSY: Duration = Duration::from_secs(30);
/// Milliseconds since 1970, by the machine's clock.
const NOW: &str = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";

/// Pages that were changed stay in memory up to 64 MiB, and in the log as long.
const SETTINGS: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA cache_size = -65536;
PRAGMA wal_autocheckpoint = 16384;
PRAGMA journal_size_limit = 134217728;
";

/// Tasks and facts in a file.
#[derive(Debug, Clone)]
pub struct Sqlite {
    connection: Arc<Mutex<Connection>>,
    lease: Duration,
}

impl Sqlite {
    /// Opens a file; makes it where there is none.
    ///
    /// # Errors
    /// [`Error::Store`] where it cannot be opened; [`Error::Invalid`] where it is of a form that this
    /// program does not know.
    pub fn open(file: &Path) -> Result<Self, Error> {
        let mut connection = Connection::open(file)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(SETTINGS)?;
        let change = begin(&mut connection)?;
        form::make(&change, &file.display().to_string())?;
        change.commit()?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), lease: LEASE })
    }

    /// Sets for how long readers hold partitions without being heard of.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Does one change, whole or not at all, beside the runtime's other work.
    async fn change<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, Error> + Send + 'static,
    {
        let connection = Arc::clone(&self.connection);
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let change = begin(&mut connection)?;
            let done = work(&change)?;
            change.commit()?;
            Ok(done)
        });
        done.await.map_err(|_| failed(&"a task panicked"))?
    }
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, Error> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

fn failed(detail: &impl ToString) -> Error {
    Error::Store { store: "sqlite", detail: detail.to_string() }
}

impl From<rusqlite::Error> for Error {
    /// Statements and codes only: bound values are not in the library's words.
    fn from(error: rusqlite::Error) -> Self {
        failed(&error)
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn limit(max: usize, most: usize) -> i64 {
    i64::try_from(max.min(most)).unwrap_or(i64::MAX)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
