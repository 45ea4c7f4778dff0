//! Where the tools are that cargo does not bring.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Returns a program of the tests' Python environment: what `variable` names, or what stands in
/// the environment below the target directory that this test was built into.
pub(crate) fn find(variable: &str, program: &str) -> Result<PathBuf> {
    find_in("venv-", variable, program)
}

/// Returns the interpreter of the environment that has the engine of `ClickHouse`.
pub(crate) fn find_clickhouse() -> Result<PathBuf> {
    find_in("clickhouse-", "DCMJOIN_CLICKHOUSE", "python")
}

fn find_in(kind: &str, variable: &str, program: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable).map(PathBuf::from) {
        if !path.is_file() {
            bail!("{variable} is {}, where no file is", path.display());
        }
        return Ok(path);
    }
    match installed(kind)? {
        Some(venv) => Ok(venv.join("bin").join(program)),
        None => bail!("no {program}: run `cargo xtask tools`, or set {variable}"),
    }
}

/// Returns the folder of Kafka's libraries: what `DCMJOIN_KAFKA` names, or the one below the target
/// directory that this test was built into.
pub(crate) fn find_kafka() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("DCMJOIN_KAFKA").map(PathBuf::from) {
        if !folder.is_dir() {
            bail!("DCMJOIN_KAFKA is {}, where no folder is", folder.display());
        }
        return Ok(folder);
    }
    match installed("kafka-")? {
        Some(folder) => Ok(folder),
        None => bail!("no Kafka: run `cargo xtask tools`, or set DCMJOIN_KAFKA"),
    }
}

/// Returns the folder of `PostgreSQL`'s programs: what `DCMJOIN_POSTGRES` names, or the newest that
/// Debian's packages brought, which are not on the path, or the one on the path.
pub(crate) fn find_postgres() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("DCMJOIN_POSTGRES").map(PathBuf::from) {
        if !folder.join("initdb").is_file() {
            bail!("DCMJOIN_POSTGRES is {}, where no initdb is", folder.display());
        }
        return Ok(folder);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = packaged_postgres().into_iter().chain(std::env::split_paths(&path));
    match folders.find(|folder| folder.join("initdb").is_file()) {
        Some(folder) => Ok(folder),
        None => bail!("no PostgreSQL: run `cargo xtask tools`, or set DCMJOIN_POSTGRES"),
    }
}

/// Returns the folders of Debian's packages, the newest version first.
fn packaged_postgres() -> Vec<PathBuf> {
    let versions = Path::new("/usr/lib/postgresql").read_dir().into_iter().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            let version = folder.file_name()?.to_str()?.parse().ok()?;
            Some((version, folder.join("bin")))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// Returns the newest finished installation of a kind, below the target directory that this test
/// was built into.
fn installed(prefix: &str) -> Result<Option<PathBuf>> {
    let test = std::env::current_exe()?;
    Ok(test.ancestors().find_map(|folder| newest(&folder.join("testkit"), prefix)))
}

fn newest(folder: &Path, prefix: &str) -> Option<PathBuf> {
    let marks = folder.read_dir().ok()?.filter_map(|entry| {
        let entry = entry.ok()?;
        let folder = entry.path();
        let is_kind = entry.file_name().to_str()?.starts_with(prefix);
        let finished = folder.join("ready").metadata().ok()?.modified().ok()?;
        is_kind.then_some((finished, folder))
    });
    marks.max().map(|(_, folder)| folder)
}
