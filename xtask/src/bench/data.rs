//! What benches need before they measure: built programs and data sets, made once and kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Options;
use crate::steps::{Context, check};

/// The profile of all that is measured.
pub(crate) const PROFILE: &str = "release";

/// Where a file costs no more than its bytes.
pub(crate) const TMPFS: &str = "/dev/shm";

/// Nothing amiss: every variant can do every instance.
const CLEAN: &[&str] = &[
    "--unpaired-metadata=0",
    "--unpaired-images=0",
    "--duplicate=0",
    "--conflict=0",
    "--broken=0",
    "--quiet",
];

/// What all benches share.
pub(crate) struct Bench<'a> {
    pub(crate) context: &'a Context,
    pub(crate) options: &'a Options,
    work: PathBuf,
}

impl<'a> Bench<'a> {
    /// Makes the folder for data and outputs.
    pub(crate) fn prepare(
        context: &'a Context,
        options: &'a Options,
        work: Option<PathBuf>,
    ) -> Result<Self> {
        let work = work.unwrap_or_else(|| context.target.join("bench"));
        fs::create_dir_all(&work).context("make the folder of data sets")?;
        Ok(Self { context, options, work })
    }

    /// Builds the programs that most benches need.
    pub(crate) fn build(&self) -> Result<()> {
        let context = self.context;
        let build = ["build", "--profile", PROFILE, "--package"];
        // With every fact log.
        check(&mut context.cargo(&[&build[..], &["dcmjoin", "--features", "kafka"]].concat()))?;
        let example = ["dcmjoin-index", "--example", "pairing_bench"];
        check(&mut context.cargo(&[&build[..], &example].concat()))?;
        let manifest = context.root.join("benches/peers/Cargo.toml");
        let mut peers = context.cargo(&["build", "--profile", PROFILE, "--manifest-path"]);
        check(peers.arg(manifest).env("CARGO_TARGET_DIR", context.target.join("peers")))?;
        Ok(())
    }

    pub(crate) fn work(&self) -> &Path {
        &self.work
    }

    pub(crate) fn repeats(&self) -> std::ops::RangeInclusive<u32> {
        1..=self.options.repeats
    }

    pub(crate) fn dcmjoin(&self) -> Command {
        let mut command = Command::new(self.context.target.join(PROFILE).join("dcmjoin"));
        command.args(["--quiet", "--log", "error"]).env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    pub(crate) fn peers(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.context.target.join("peers/release/dcmjoin-peers"));
        command.args(words);
        command
    }

    pub(crate) fn pairing(&self, words: &[&str]) -> Command {
        let examples = self.context.target.join(PROFILE).join("examples");
        let mut command = Command::new(examples.join("pairing_bench"));
        command.args(words).arg("--spill").arg(&self.work);
        command
    }

    pub(crate) fn python(&self, script: &str) -> Result<Command> {
        let mut command = Command::new(&self.context.tools()?.python);
        command.arg(self.context.root.join("benches/python").join(script));
        Ok(command)
    }

    /// Makes a data set, or finds it from an earlier call.
    pub(crate) fn synth(&self, instances: u64, more: &[&str]) -> Result<PathBuf> {
        let suffix: String = more.iter().map(|word| word.replace('-', "")).collect();
        let folder = self.work.join(format!("data-{instances}{suffix}"));
        // Written last by `synth`.
        if folder.join("truth.json").is_file() {
            return Ok(folder);
        }
        clear(&folder)?;
        let mut command = self.dcmjoin();
        command.args(["synth", "--instances", &instances.to_string()]).args(CLEAN).args(more);
        check(command.arg("--out").arg(&folder))?;
        Ok(folder)
    }

    /// Returns a new folder to write to, once the device has nothing left to write. On a disk
    /// nothing is removed before all is measured: ext4 creates files slowly for some time after it
    /// removed many, since it does not use their inodes again at once.
    pub(crate) fn fresh(&self) -> Result<PathBuf> {
        let outputs = self.outputs();
        if self.is_in_memory() {
            clear(&outputs)?;
        }
        fs::create_dir_all(&outputs).context("make an output folder")?;
        let folder = tempfile::Builder::new().prefix("out-").tempdir_in(&outputs);
        let folder = folder.context("make an output folder")?.keep();
        check(Command::new("sync").arg("-f").arg(&folder))?;
        Ok(folder)
    }

    fn is_in_memory(&self) -> bool {
        self.work.starts_with(TMPFS)
    }

    fn outputs(&self) -> PathBuf {
        self.work.join("outputs")
    }

    /// Removes all that was written.
    pub(crate) fn clear_outputs(&self) -> Result<()> {
        clear(&self.outputs())
    }

    /// Returns the same benches with data and outputs in another folder.
    pub(crate) fn on(&self, work: PathBuf) -> Result<Self> {
        fs::create_dir_all(&work).context("make the folder of data sets")?;
        Ok(Self { context: self.context, options: self.options, work })
    }
}

fn clear(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("clear a folder")
        }
        _ => Ok(()),
    }
}
