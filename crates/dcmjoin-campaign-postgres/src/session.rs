//! A connection that is made again where it breaks.

use std::collections::HashMap;
use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use dcmjoin_campaign::Error;
use dcmjoin_postgres_tls::Tls;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, Statement};

/// The longest outage of the database that is waited for. A lease lasts longer (60 seconds): who
/// comes back after an outage still holds it, or is refused.
pub const OUTAGE_MAX: Duration = Duration::from_secs(45);
/// As long is waited for a database that was not there yet: its address may be wrong.
const FIRST_MAX: Duration = Duration::from_secs(2);
/// Between tries, from the first to the last.
const WAITS: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];
/// The longest a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A statement that takes longer is ended by the database, in milliseconds: a million rows are
/// counted in a tenth of it.
const STATEMENT_MAX_MS: u32 = 30_000;
/// Statements that are kept prepared; there are fewer in the code.
const PREPARED_MAX: usize = 64;

/// A value of a statement.
pub(crate) type Value = Box<dyn ToSql + Sync + Send>;

/// What is asked of a connection.
pub(crate) type Asked<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, tokio_postgres::Error>> + Send + 'a>>;

/// A connection with its prepared statements.
pub(crate) struct Link {
    pub(crate) client: Client,
    prepared: HashMap<&'static str, Statement>,
}

impl Link {
    pub(crate) async fn prepared(
        &mut self,
        sql: &'static str,
    ) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        if self.prepared.len() == PREPARED_MAX {
            self.prepared.clear();
        }
        self.prepared.insert(sql, statement.clone());
        Ok(statement)
    }
}

/// A database as callers that are not asynchronous use it.
pub(crate) struct Session {
    inner: Arc<Inner>,
    /// Taken only when it ends.
    runtime: Option<Runtime>,
}

struct Inner {
    config: Config,
    link: Mutex<Option<Link>>,
    /// Whether it was there once.
    was_there: AtomicBool,
}

impl std::fmt::Debug for Session {
    /// A connection's settings hold its password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Session {
    /// Returns a session; nothing is asked of the database yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the URL is none.
    pub(crate) fn new(url: &str) -> Result<Self, Error> {
        let mut config = Config::from_str(url).map_err(|_| {
            // The URL holds a password: it is not told.
            Error::Invalid("expected postgres://user@host/database for the ledger".to_owned())
        })?;
        config.connect_timeout(CONNECT_MAX);
        let options = config.get_options().unwrap_or_default().to_owned();
        config.options(format!("{options} -c statement_timeout={STATEMENT_MAX_MS}").trim_start());
        if config.get_application_name().is_none() {
            config.application_name("dcmjoin");
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("postgres")
            .enable_all()
            .build()
            .map_err(|error| Error::Journal(format!("no thread for it: {}", error.kind())))?;
        let inner =
            Arc::new(Inner { config, link: Mutex::new(None), was_there: AtomicBool::new(false) });
        Ok(Self { inner, runtime: Some(runtime) })
    }

    /// Asks for the rows of one statement, again where the connection breaks: the statement must have
    /// its effect once, however often it is made.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub(crate) fn query(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        let values = Arc::new(values);
        self.ask(move |link| {
            let values = Arc::clone(&values);
            Box::pin(async move {
                let statement = link.prepared(sql).await?;
                let values: Vec<&(dyn ToSql + Sync)> =
                    values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
                link.client.query(&statement, &values).await
            })
        })
    }

    /// Asks for the one row of a statement that has one.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub(crate) fn row(&self, sql: &'static str, values: Vec<Value>) -> Result<Row, Error> {
        let row = self.query(sql, values)?.pop();
        row.ok_or_else(|| Error::Journal("the campaign is gone from the database".to_owned()))
    }

    /// Asks the database, again where the connection breaks: what is asked must be the same twice.
    ///
    /// # Errors
    /// [`Error::Journal`] where the database refuses, or is away for longer than [`OUTAGE_MAX`].
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        asked: impl for<'a> Fn(&'a mut Link) -> Asked<'a, T> + Send + Sync + 'static,
    ) -> Result<T, Error> {
        let runtime = self.runtime.as_ref().expect("it is taken in drop alone");
        let (answer, answered) = sync_channel(1);
        let inner = Arc::clone(&self.inner);
        runtime.spawn(async move {
            // The caller waits for it.
            let _ = answer.send(inner.ask(asked).await);
        });
        answered.recv().unwrap_or_else(|_| Err(Error::Journal("its thread is gone".to_owned())))
    }
}

impl Inner {
    async fn ask<T>(
        &self,
        asked: impl for<'a> Fn(&'a mut Link) -> Asked<'a, T> + Sync,
    ) -> Result<T, Error> {
        let began = Instant::now();
        let mut wait = WAITS[0];
        let mut link = self.link.lock().await;
        loop {
            let error = match self.once(&mut link, &asked).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let patience = match self.was_there.load(Ordering::Relaxed) {
                true => OUTAGE_MAX,
                false => FIRST_MAX,
            };
            if !passes(&error) || began.elapsed() >= patience {
                return Err(Error::Journal(words(&error)));
            }
            tracing::warn!(reason = words(&error), "the database is asked again");
            *link = None;
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAITS[1]);
        }
    }

    async fn once<T>(
        &self,
        link: &mut Option<Link>,
        asked: &(impl for<'a> Fn(&'a mut Link) -> Asked<'a, T> + Sync),
    ) -> Result<T, tokio_postgres::Error> {
        if link.as_ref().is_none_or(|link| link.client.is_closed()) {
            *link = Some(self.connect().await?);
        }
        asked(link.as_mut().expect("it was made just now")).await
    }

    async fn connect(&self) -> Result<Link, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(Tls).await?;
        tokio::spawn(async move {
            // Who asks next sees that it is closed.
            let _ = connection.await;
        });
        self.was_there.store(true, Ordering::Relaxed);
        Ok(Link { client, prepared: HashMap::new() })
    }
}

/// Returns whether the same may succeed on another connection, or a little later.
fn passes(error: &tokio_postgres::Error) -> bool {
    let Some(state) = error.code() else {
        // No answer of the database: the connection, but not a setting that makes no sense.
        return error.is_closed() || is_io(error);
    };
    let class = state.code().get(..2).unwrap_or_default();
    class == "08"
        || [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
        ]
        .contains(state)
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    // A connection that takes too long has no cause.
    error.to_string().contains("timed out")
}

/// Returns an error without what the database quotes of rows.
fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(refusal) => {
            let table = refusal.table().map(|table| format!(" of {table}")).unwrap_or_default();
            let said = match refusal.code().code().get(..2) {
                // Integrity and data: the message may hold values.
                Some("22" | "23") => "a value is refused",
                _ => refusal.message(),
            };
            format!("PostgreSQL: {said} ({}){table}", refusal.code().code())
        }
        None => match std::error::Error::source(error) {
            Some(cause) => format!("PostgreSQL: {error}: {cause}"),
            None => format!("PostgreSQL: {error}"),
        },
    }
}
