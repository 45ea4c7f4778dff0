//! `dcmjoin`: turns a cold archive of headers and pixels back into DICOM.
//!
//! Arguments, configuration, wiring. What the program does is in `dcmjoin-pipeline`.

mod cli;
mod commands;
mod exit;
mod part;
mod summary;
mod text;
mod watch;

use std::process::ExitCode;

use clap::Parser;
use dcmjoin_index::bound_arenas;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::{Cli, Command};
use crate::exit::Exit;

fn main() -> ExitCode {
    bound_arenas();
    let cli = Cli::parse();
    telemetry(&cli);
    let done = match cli.command {
        Command::Run(args) => commands::run::run(args, &cli.output),
        Command::Get(args) => commands::get::run(args, &cli.output),
        Command::Inspect(args) => commands::inspect::run(&args, &cli.output),
        Command::Work(args) => commands::work::run(args, &cli.output),
        Command::DeadLetters(args) => commands::dead_letters::run(&args, &cli.output),
        Command::Catalog(args) => commands::catalog::run(args, &cli.output),
        Command::Plan(args) => commands::plan::run(&args, &cli.output),
        Command::Synth(args) => commands::synth::run(&args, &cli.output),
        Command::Demo(args) => commands::demo::run(&args, &cli.output),
        #[cfg(feature = "cloud")]
        Command::Campaign(args) => commands::campaign::run(args, &cli.output),
        #[cfg(feature = "cloud")]
        Command::Orchestrate(args) => commands::orchestrate::run(&args, &cli.output),
        #[cfg(feature = "cloud")]
        Command::Rehearse(args) => commands::rehearse::run(&args, &cli.output),
        Command::Completions(args) => commands::completions::run(&args),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            text::error(&error);
            Exit::of(&error).into()
        }
    }
}

/// Log lines go to standard error; none of them names a UID, a key or a value. Only this program's own:
/// libraries log what they talk about, URLs and answers too.
fn telemetry(cli: &Cli) {
    let own = Targets::new().with_target("dcmjoin", cli.output.log);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry();
    match cli.output.log_json {
        true => registry.with(lines.json().with_filter(own)).init(),
        false => registry.with(lines.with_target(false).with_filter(own)).init(),
    }
}
