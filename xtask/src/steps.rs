//! Steps of the test command: each has a name and gives a tally; all are run, then summed up.

use std::cell::{OnceCell, RefCell};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::paths;
use crate::tools::Tools;

/// How many checks passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0 };

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// What every step knows.
pub(crate) struct Context {
    /// The root of the repository.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
    tools: OnceCell<Result<Tools, String>>,
    failures: RefCell<Vec<String>>,
}

impl Context {
    pub(crate) fn new() -> Result<Self> {
        let root = paths::root()?;
        let target = paths::target(&root)?;
        Ok(Self { root, target, tools: OnceCell::new(), failures: RefCell::default() })
    }

    /// Returns the tools, installing at the first call what is missing.
    pub(crate) fn tools(&self) -> Result<&Tools> {
        self.tools
            .get_or_init(|| Tools::install(self).map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow!("the tests' tools are not there: {error}"))
    }

    /// Keeps what a failed check said, to be shown again below the summary: a log's end is what
    /// people see first, and sometimes all that is kept of it.
    pub(crate) fn keep_failure(&self, text: String) {
        self.failures.borrow_mut().push(text);
    }

    /// Returns a cargo command at the root, with the same target directory.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        command.args(args).current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// Builds the program as tests have it, and returns its path.
    pub(crate) fn binary(&self) -> Result<PathBuf> {
        check(&mut self.cargo(&["build", "--profile", PROFILE, "--package", "dcmjoin"]))?;
        Ok(self.target.join(PROFILE).join("dcmjoin"))
    }
}

/// Optimised as a release is, and with the checks of a debug build: one build for all steps.
pub(crate) const PROFILE: &str = "ci";

/// One step of the test command.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Context) -> Result<Tally>,
}

struct Outcome {
    name: &'static str,
    tally: Tally,
    error: Option<String>,
    took: Duration,
}

/// Runs all steps, also after a failure, and prints the summary last.
pub(crate) fn run_all(context: &Context, steps: &[&Step]) -> Tally {
    let mut outcomes = Vec::new();
    for step in steps {
        println!("\n=== {}: {}", step.name, step.about);
        let began = Instant::now();
        let (tally, error) = match (step.run)(context) {
            Ok(tally) => (tally, None),
            Err(error) => (Tally { passed: 0, failed: 1 }, Some(format!("{error:#}"))),
        };
        let took = began.elapsed();
        if let Some(error) = &error {
            println!("error: {error}");
        }
        println!("--- {}: {} in {:.1} s", step.name, verdict(tally), took.as_secs_f64());
        outcomes.push(Outcome { name: step.name, tally, error, took });
    }
    let total = summarise(&outcomes);
    for failure in context.failures.borrow().iter() {
        println!("\n{failure}");
    }
    total
}

fn verdict(tally: Tally) -> &'static str {
    if tally.failed == 0 { "ok" } else { "FAILED" }
}

fn summarise(outcomes: &[Outcome]) -> Tally {
    let mut total = Tally::default();
    println!("\n=== summary");
    for outcome in outcomes {
        total.add(outcome.tally);
        let Tally { passed, failed } = outcome.tally;
        let seconds = outcome.took.as_secs_f64();
        let verdict = verdict(outcome.tally);
        println!(
            "{:<10} {verdict:<6} {passed:>6} passed {failed:>4} failed {seconds:>8.1} s",
            outcome.name
        );
        if let Some(error) = &outcome.error {
            println!("           {}", error.lines().next().unwrap_or_default());
        }
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    total
}

pub(crate) fn exit_code(tally: Tally) -> ExitCode {
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a command, showing its line and its output; anything but success is an error.
pub(crate) fn check(command: &mut Command) -> Result<Tally> {
    let line = shown(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(Tally::PASSED)
}

/// Returns a command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
