//! Which task store this is, and which one its facts are of.

use dcmjoin_ledger::Error;
use dcmjoin_ledger::binding::StoreId;
use tokio_postgres::Transaction;

use crate::session::{Postgres, words};

/// One row: the store's own id, and the id of the store whose facts are here.
const IDENTITY: &str = "
CREATE TABLE identity (
    own text NOT NULL, facts_of text, is_only bool NOT NULL DEFAULT true UNIQUE CHECK (is_only));
INSERT INTO identity (own)
SELECT md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text)";
const IS_THERE: &str = "SELECT to_regclass('dcmjoin_ledger.identity') IS NOT NULL";

/// Makes the table where there is none, also beside tables of the time before.
pub(crate) async fn make(change: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    if !change.query_one(IS_THERE, &[]).await?.get::<_, bool>(0) {
        change.batch_execute(IDENTITY).await?;
    }
    Ok(())
}

pub(crate) async fn own(store: &Postgres) -> Result<StoreId, Error> {
    let link = store.link().await?;
    let row = link.client.query_one("SELECT own FROM identity", &[]).await;
    let id = row.map_err(|error| words(&error))?.get::<_, &str>(0).parse();
    link.give_back();
    id
}

pub(crate) async fn bind(log: &Postgres, store: &StoreId) -> Result<(), Error> {
    let link = log.link().await?;
    let kept = async {
        let first = "UPDATE identity SET facts_of = $1 WHERE facts_of IS NULL";
        link.client.execute(first, &[&store.as_str()]).await?;
        link.client.query_one("SELECT facts_of FROM identity", &[]).await
    };
    let kept = kept.await.map_err(|error| words(&error))?;
    link.give_back();
    store.check(kept.get(0))
}
