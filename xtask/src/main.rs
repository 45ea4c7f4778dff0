//! Tasks of the repository, as `cargo xtask TASK`.
//!
//! Reading order: [`mod@test`] lists the steps of the one test command; [`steps`] runs them and sums
//! up; [`tools`] installs what they need; [`tidy`], [`docs`] and [`proof`] are steps that are more
//! than a command line. [`mod@bench`] measures, and is no step of the tests.

mod bench;
mod docs;
mod paths;
mod proof;
mod steps;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
Usage: cargo xtask TASK

  test [--list] [--only NAME]...   install what the tests need, then run every check
  tidy                             check the rules of the house that no compiler checks
  docs                             run the commands of README.md and docs/ as they stand there
  proof [--update] [--bin FILE]    split real DICOM files, join them again, compare; --update
                                   writes docs/proof.md instead of comparing with it
  bench [--list] [NAME]... [--repeats N] [--pairs N] [--work DIR] [--out DIR]
                                   measure, against others; rows and tables to docs/benchmarks
  tools                            install what the tests need, and print where it is
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let (task, rest) = match args.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", args),
    };
    let context = steps::Context::new()?;
    match task {
        "test" => test::run(&context, rest),
        "tidy" => Ok(steps::exit_code(tidy::run(&context)?)),
        "docs" => Ok(steps::exit_code(docs::run(&context)?)),
        "proof" => Ok(steps::exit_code(proof::run(&context, &proof::Options::parse(rest)?)?)),
        "bench" => bench::run(&context, rest),
        "tools" => {
            for (name, value) in context.tools()?.env() {
                println!("{name}={}", value.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("no task `{other}`\n\n{USAGE}"),
    }
}
