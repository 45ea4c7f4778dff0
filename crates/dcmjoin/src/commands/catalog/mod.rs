//! `dcmjoin catalog`: what runs learnt of their archives, for people and other engines.
//!
//! UIDs, keys and names are printed: who asks for the catalogue asks for them.

mod export;
mod files;
mod line;
mod show;
mod stats;

use crate::cli::{CatalogArgs, CatalogCommand, Talk};
use crate::exit::Exit;

/// Runs one of its commands.
pub(crate) fn run(args: CatalogArgs, talk: &Talk) -> anyhow::Result<Exit> {
    match args.command {
        CatalogCommand::Show(args) => show::run(&args, talk),
        CatalogCommand::Export(args) => export::run(&args, talk),
        CatalogCommand::Stats(args) => stats::run(&args, talk),
    }
}
