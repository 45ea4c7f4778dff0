//! The Python of the checks: pydicom and its decoders, in an environment of their own.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tools;

/// The interpreter of the tests' environment.
#[derive(Debug, Clone)]
pub struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// Finds the interpreter.
    ///
    /// # Errors
    /// Where `cargo xtask tools` has not been run, and `DCMJOIN_PYTHON` is not set.
    pub fn find() -> Result<Self> {
        Ok(Self { interpreter: tools::find("DCMJOIN_PYTHON", "python")? })
    }

    /// Finds the interpreter whose environment has the engine of `ClickHouse`.
    ///
    /// # Errors
    /// Where `cargo xtask tools` has not been run, and `DCMJOIN_CLICKHOUSE` is not set.
    pub fn find_clickhouse() -> Result<Self> {
        Ok(Self { interpreter: tools::find_clickhouse()? })
    }

    /// Returns a command that runs the interpreter.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUTF8", "1");
        command
    }

    /// Runs a script given as text, and returns what it printed.
    ///
    /// # Errors
    /// Where it does not end well; the error holds what it wrote to its standard error.
    pub fn run(&self, script: &str, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Result<String> {
        let output = self.command().arg("-c").arg(script).args(args).output();
        let output = output.context("start the Python interpreter")?;
        if !output.status.success() {
            bail!(
                "script ended with {}:\n{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        String::from_utf8(output.stdout).context("read what the script printed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_a_script_with_arguments() {
        let python = Python::find().unwrap();
        let script = "import sys, pydicom; print(pydicom.__version__, sys.argv[1])";
        assert_eq!(python.run(script, ["x"]).unwrap(), "3.0.2 x\n");
    }

    #[test]
    fn shows_why_a_script_failed() {
        let error =
            Python::find().unwrap().run("raise SystemExit('no luck')", [""; 0]).unwrap_err();
        assert!(error.to_string().contains("no luck"), "{error}");
    }
}
