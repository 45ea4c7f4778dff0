//! A database as a store, and its connections.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dcmjoin_ledger::Error;
use dcmjoin_ledger::tasks::LEASE;
use dcmjoin_postgres_tls::Tls;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};

use crate::schema;

/// How long a server that is away is waited for: a restart, or the change to another one.
pub const OUTAGE_MAX: Duration = Duration::from_secs(45);
/// As long is waited for a server that was not there yet: its address may be wrong.
const FIRST_MAX: Duration = Duration::from_secs(2);
/// Connections of one store: a worker's scans append at the same time.
const CONNECTIONS_MAX: usize = 8;
/// Between two tries to connect.
const TRY_AFTER: Duration = Duration::from_millis(250);
/// The longest a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// The server ends a statement that takes longer: the longest is the count of a large campaign.
const STATEMENT_MAX: &str = "SET statement_timeout = '10min'";
/// All statements here are many small look-ups: compiling one takes longer than carrying it out.
const COMPILE: &str = "SET jit = off";
/// For the same reason no table is read from its start to its end: one that grows has no counts yet,
/// and the server would take it for small. Nor is a list made of the few rows of a look-up.
const LOOK_UP: &str = "SET enable_seqscan = off; SET enable_bitmapscan = off";

/// Tasks and facts in a database.
#[derive(Clone)]
pub struct Postgres {
    connections: Arc<Connections>,
    pub(crate) lease: Duration,
}

struct Connections {
    config: Config,
    idle: Mutex<Vec<Client>>,
    permits: Semaphore,
}

impl std::fmt::Debug for Postgres {
    /// A connection's settings hold its password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Postgres")
    }
}

/// A connection for one call. One whose call did not end well is not used again.
pub(crate) struct Link<'a> {
    pub(crate) client: Client,
    home: &'a Connections,
    _permit: SemaphorePermit<'a>,
}

impl Link<'_> {
    /// Lets the next call have the connection.
    pub(crate) fn give_back(self) {
        self.home.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.client);
    }
}

impl Postgres {
    /// Opens `postgres://user@host/database`; makes the tables where there are none, in a schema of
    /// their own. `?sslmode=require` lets only TLS serve; the default uses it where the server offers it.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the URL is none, or the tables are of a form that this program does
    /// not know; [`Error::Store`] where the server is away, or refuses.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::open_with(url, None).await
    }

    /// Opens a database with a password that its URL need not name.
    ///
    /// # Errors
    /// As [`Postgres::open`].
    pub async fn open_with(url: &str, password: Option<&str>) -> Result<Self, Error> {
        // The URL holds a password: it is not told.
        let mut config: Config = url.parse().map_err(|_| {
            Error::Invalid("expected postgres://user@host/database for the store".to_owned())
        })?;
        if let (None, Some(password)) = (config.get_password(), password) {
            config.password(password);
        }
        config.connect_timeout(CONNECT_MAX);
        if config.get_application_name().is_none() {
            config.application_name("dcmjoin");
        }
        let idle = Mutex::new(Vec::new());
        let permits = Semaphore::new(CONNECTIONS_MAX);
        let connections = Arc::new(Connections { config, idle, permits });
        let store = Self { connections, lease: LEASE };
        let mut client = store.connections.connect(FIRST_MAX).await?;
        schema::make(&mut client).await?;
        Ok(store)
    }

    /// Sets for how long readers hold partitions without being heard of.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Returns a connection, waiting for one that is free.
    pub(crate) async fn link(&self) -> Result<Link<'_>, Error> {
        let home = &*self.connections;
        let permit = home.permits.acquire().await.map_err(|_| failed("the store is closed"))?;
        let client = match home.idle_client() {
            Some(client) => client,
            None => home.connect(OUTAGE_MAX).await?,
        };
        Ok(Link { client, home, _permit: permit })
    }
}

impl Connections {
    fn idle_client(&self) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|client| !client.is_closed());
        idle.pop()
    }

    async fn connect(&self, outage_max: Duration) -> Result<Client, Error> {
        let until = Instant::now() + outage_max;
        loop {
            let error = match self.try_connect().await {
                Ok(client) => return Ok(client),
                Err(error) => error,
            };
            if !is_outage(&error) || Instant::now() > until {
                return Err(words(&error));
            }
            tokio::time::sleep(TRY_AFTER).await;
        }
    }

    async fn try_connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(Tls).await?;
        // Who asks next sees that it is closed.
        tokio::spawn(async move { drop(connection.await) });
        client.batch_execute(STATEMENT_MAX).await?;
        client.batch_execute(COMPILE).await?;
        client.batch_execute(LOOK_UP).await?;
        client.batch_execute(schema::USE).await?;
        Ok(client)
    }
}

/// Returns whether a server that cannot be reached now may be there a little later.
fn is_outage(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(state) => [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::TOO_MANY_CONNECTIONS,
        ]
        .contains(state),
        // Without a code the server gave no answer; settings that make no sense have no such cause.
        None => error.is_closed() || cause_is_io(error),
    }
}

fn cause_is_io(error: &tokio_postgres::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
pub(crate) fn failed(detail: impl ToString) -> Error {
    Error::Store { store: "postgres", detail: detail.to_string() }
}

/// Returns an error without what the server quotes of rows.
pub(crate) fn words(error: &tokio_postgres::Error) -> Error {
    let Some(refusal) = error.as_db_error() else {
        return match std::error::Error::source(error) {
            Some(cause) => failed(format!("{error}: {cause}")),
            None => failed(error),
        };
    };
    let code = refusal.code().code();
    let said = match code.get(..2) {
        // Data and integrity: the message may hold values.
        Some("22" | "23") => "a value is refused",
        _ => refusal.message(),
    };
    failed(format!("{said} ({code})"))
}
