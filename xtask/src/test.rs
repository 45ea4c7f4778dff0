//! `cargo xtask test`: the one test command, and the order of its steps.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::steps::{self, Context, Step, Tally, check};
use crate::{docs, proof, tidy};

/// What only some want to build, and the tests try.
const FEATURES: &str = "--features=dcmjoin/kafka";
/// How long each fuzz target runs as a part of the tests.
const FUZZ_SECONDS: &str = "20";
/// How much of what one binary says of its failures is shown again below the summary.
const FAILURE_LINES: usize = 100;

const STEPS: &[Step] = &[
    Step { name: "tools", about: "what the tests need is installed", run: tools },
    Step { name: "fmt", about: "the code is formatted", run: fmt },
    Step { name: "tidy", about: "the rules of the house hold", run: tidy::run },
    Step { name: "clippy", about: "no lint is broken", run: clippy },
    Step { name: "doc", about: "the API docs build, and their links hold", run: doc },
    Step {
        name: "deny",
        about: "licences, bans and sources, where cargo-deny is there",
        run: deny,
    },
    Step { name: "test", about: "unit, doc and integration tests", run: cargo_test },
    Step { name: "docs", about: "the commands of README.md and docs/ work", run: docs::run },
    Step { name: "proof", about: "real files, split and joined again, are right", run: run_proof },
    Step { name: "fuzz", about: "each fuzz target, for a short while", run: fuzz },
];

/// Runs the steps, or those named by `--only`.
pub(crate) fn run(context: &Context, args: &[String]) -> Result<ExitCode> {
    let mut only = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--list" => {
                for step in STEPS {
                    println!("{:<8} {}", step.name, step.about);
                }
                return Ok(ExitCode::SUCCESS);
            }
            "--only" => only.push(find(args.next().context("--only needs the name of a step")?)?),
            other => bail!("unknown argument `{other}`; known are --list and --only NAME"),
        }
    }
    let chosen = if only.is_empty() { STEPS.iter().collect() } else { only };
    Ok(steps::exit_code(steps::run_all(context, &chosen)))
}

fn find(name: &str) -> Result<&'static Step> {
    let found = STEPS.iter().find(|step| step.name == name);
    found.with_context(|| format!("no step `{name}`; --list shows them"))
}

fn tools(context: &Context) -> Result<Tally> {
    for (name, value) in context.tools()?.env() {
        println!("{name}={}", value.display());
    }
    Ok(Tally::PASSED)
}

fn fmt(context: &Context) -> Result<Tally> {
    check(&mut context.cargo(&["fmt", "--all", "--check"]))
}

fn clippy(context: &Context) -> Result<Tally> {
    check(&mut context.cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        FEATURES,
        "--",
        "-D",
        "warnings",
    ]))
}

fn doc(context: &Context) -> Result<Tally> {
    let mut command = context.cargo(&["doc", "--no-deps", "--workspace"]);
    check(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// `tidy` checks the same file's licences, bans and sources: without cargo-deny nothing is open.
fn deny(context: &Context) -> Result<Tally> {
    let there = Command::new("cargo-deny")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !there {
        println!("cargo-deny is not installed; `tidy` has checked deny.toml");
        return Ok(Tally::default());
    }
    check(&mut context.cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"]))
}

fn cargo_test(context: &Context) -> Result<Tally> {
    let mut command = context.cargo(&[
        "test",
        "--workspace",
        FEATURES,
        "--no-fail-fast",
        "--profile",
        steps::PROFILE,
    ]);
    command.envs(context.tools()?.env()).stdout(Stdio::piped());
    println!("$ {}", steps::shown(&command));
    let mut child = command.spawn().context("start `cargo test`")?;
    let mut tally = Tally::default();
    let mut failures = Failures::default();
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        let line = line.context("read the output of `cargo test`")?;
        println!("{line}");
        tally.add(counted(&line).unwrap_or_default());
        if let Some(text) = failures.read(&line) {
            context.keep_failure(text);
        }
    }
    let status = child.wait().context("wait for `cargo test`")?;
    if !status.success() && tally.failed == 0 {
        bail!("`cargo test` ended with {status}");
    }
    if tally == Tally::default() {
        bail!("`cargo test` ran no test");
    }
    Ok(tally)
}

/// Takes out of the output of `cargo test` what each failed binary says of its failures: the lines
/// from its first `failures:` to its result, the last [`FAILURE_LINES`] of them.
#[derive(Debug, Default)]
struct Failures {
    lines: Option<VecDeque<String>>,
}

impl Failures {
    /// Reads one line; returns a binary's failures after the last of them.
    fn read(&mut self, line: &str) -> Option<String> {
        if counted(line).is_some() {
            return self.lines.take().map(|lines| Vec::from(lines).join("\n"));
        }
        if line == "failures:" {
            self.lines.get_or_insert_default();
        }
        let lines = self.lines.as_mut()?;
        if lines.len() == FAILURE_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
        None
    }
}

/// Reads `test result: ok. 12 passed; 0 failed; ...`.
fn counted(line: &str) -> Option<Tally> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut numbers = counts.split("; ").map(|part| part.split(' ').next()?.parse().ok());
    Some(Tally { passed: numbers.next()??, failed: numbers.next()?? })
}

fn run_proof(context: &Context) -> Result<Tally> {
    proof::run(context, &proof::Options::default())
}

/// `fuzz/run SECONDS` runs every target for that long.
fn fuzz(context: &Context) -> Result<Tally> {
    let script = context.root.join("fuzz").join("run");
    if !script.is_file() {
        println!("no fuzz/run");
        return Ok(Tally::default());
    }
    check(Command::new(&script).arg(FUZZ_SECONDS).current_dir(&context.root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_counts_of_cargo_test() {
        let line = "test result: ok. 12 passed; 1 failed; 0 ignored; 0 measured; finished in 0.1s";
        assert_eq!(counted(line), Some(Tally { passed: 12, failed: 1 }));
        assert_eq!(counted("running 3 tests"), None);
    }

    #[test]
    fn failures_are_taken_out_of_the_output() {
        let mut failures = Failures::default();
        let passed = "test result: ok. 2 passed; 0 failed; 0 ignored";
        let failed = "test result: FAILED. 2 passed; 1 failed; 0 ignored";
        let mut told = Vec::new();
        for line in ["test a ... ok", passed, "failures:", "", "b said no", failed, "c", passed] {
            told.extend(failures.read(line));
        }
        assert_eq!(told, ["failures:\n\nb said no"]);
        for line in ["failures:".to_owned()].into_iter().chain((0..500).map(|n| n.to_string())) {
            assert_eq!(failures.read(&line), None);
        }
        let told = failures.read(failed).expect("failures");
        assert_eq!(told.lines().next(), Some("400"));
        assert_eq!(told.lines().count(), FAILURE_LINES);
    }

    #[test]
    fn steps_are_found_by_name() {
        assert!(STEPS.iter().all(|step| find(step.name).is_ok()));
        assert!(find("nothing").is_err());
    }
}
