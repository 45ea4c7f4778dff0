//! `dcmjoin completions`: completions for a shell.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};
use crate::exit::Exit;
use crate::text;

/// Prints the completions.
pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "dcmjoin", &mut script);
    text::bytes(&script)?;
    Ok(Exit::Complete)
}
