//! Where campaigns are kept: a file, a folder of files, a database.

use std::path::Path;
use std::sync::Arc;

use dcmjoin_campaign::files::Files;
use dcmjoin_campaign::ledger::{Ledger, Shelf};
use dcmjoin_campaign_postgres::Database;

use crate::cli::LedgerArgs;

/// Opens what `--ledger` names.
pub(crate) fn shelf(args: &LedgerArgs) -> anyhow::Result<Box<dyn Shelf>> {
    let place = args.ledger.as_str();
    Ok(match place.starts_with("postgres://") || place.starts_with("postgresql://") {
        true => Box::new(Database::at(place)?),
        false => Box::new(Files::at(Path::new(place))),
    })
}

/// Opens the journal of one campaign.
pub(crate) fn journal(args: &LedgerArgs, name: &str) -> anyhow::Result<Arc<dyn Ledger>> {
    Ok(shelf(args)?.open(name)?)
}
