//! What workers share, opened by where it is: a file, or the URL of a server.
//!
//! A URL may hold a password, so no error text has more of it than its scheme.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dcmjoin_ledger::{FactLog, Sqlite, TaskStore};

use crate::text::Hinted;

/// What is at a place.
pub(crate) enum Store {
    File(Sqlite),
    #[cfg(feature = "postgres")]
    Postgres(dcmjoin_ledger_postgres::Postgres),
}

impl Store {
    /// Opens a file, or a server by its URL; makes the file or the tables where there are none.
    pub(crate) async fn open(place: &str) -> anyhow::Result<Self> {
        let Some((scheme, _)) = place.split_once("://") else {
            let file = Sqlite::open(Path::new(place)).with_context(|| format!("open {place}"))?;
            return Ok(Self::File(file));
        };
        match scheme {
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => {
                let password = std::env::var("PGPASSWORD").ok();
                let opened =
                    dcmjoin_ledger_postgres::Postgres::open_with(place, password.as_deref());
                Ok(Self::Postgres(opened.await.context("open the database")?))
            }
            _ => Err(unknown(scheme).into()),
        }
    }

    /// Returns it as a task store.
    pub(crate) fn tasks(&self) -> Arc<dyn TaskStore> {
        match self {
            Self::File(file) => Arc::new(file.clone()),
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => Arc::new(database.clone()),
        }
    }

    /// Returns it as a fact log whose partitions are lost by those who are silent for a lease.
    pub(crate) fn facts(&self, lease: Duration) -> Arc<dyn FactLog> {
        match self {
            Self::File(file) => Arc::new(file.clone().with_lease(lease)),
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => Arc::new(database.clone().with_lease(lease)),
        }
    }
}

/// Opens a fact log: any store, or a server that has facts alone. What its readers know of it may
/// lie in a folder while they are open.
pub(crate) async fn facts(
    place: &str,
    lease: Duration,
    spill: &Path,
) -> anyhow::Result<Arc<dyn FactLog>> {
    // Not used where no such server is built in.
    let _ = spill;
    match place.split_once("://") {
        #[cfg(feature = "kafka")]
        Some(("kafka", _)) => {
            let address: dcmjoin_ledger_kafka::Address = place
                .parse()
                .map_err(|error: dcmjoin_ledger::Error| Hinted::new(error.to_string(), KAFKA))?;
            let password = std::env::var("KAFKA_PASSWORD").ok();
            if address.wants_password() && password.is_none() {
                let hint = "set KAFKA_PASSWORD: what stands in an address is seen by others";
                return Err(Hinted::new("the user of the brokers has no password", hint).into());
            }
            let opened = dcmjoin_ledger_kafka::Kafka::connect(address, password, spill).await;
            Ok(Arc::new(opened.context("open the topics")?.with_lease(lease)))
        }
        #[cfg(feature = "clickhouse")]
        Some(("clickhouse", _)) => {
            let password = std::env::var("CLICKHOUSE_PASSWORD").ok();
            let opened = dcmjoin_ledger_clickhouse::ClickHouse::open(place, password.as_deref());
            Ok(Arc::new(opened.await.context("open the database")?.with_lease(lease)))
        }
        _ => Ok(Store::open(place).await?.facts(lease)),
    }
}

#[cfg(feature = "kafka")]
const KAFKA: &str = "expected kafka://host:port,host:port/topic-prefix, with user@ and \
                     ?ssl.ca.location=FILE where brokers ask for them";

fn unknown(scheme: &str) -> Hinted {
    let known = match cfg!(feature = "postgres") {
        true => {
            "tasks may be in a file or postgres://user@host/database, and facts also in \
             kafka://host:port/topic-prefix or clickhouse://user@host:port/database, where the \
             program was built with them"
        }
        false => "this program was built for files alone: the feature `postgres` is off",
    };
    Hinted::new(format!("no store is opened by {scheme}://"), known)
}
