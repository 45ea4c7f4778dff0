//! What the tests need and cargo does not bring: Debian packages, Python environments, and Kafka.
//!
//! All are looked for first, so a second run costs nothing. The folder of an installation carries a
//! hash of the file that describes it: a changed file makes a new one.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::steps::{Context, check};

/// Programs and the Debian packages that bring them.
const PROGRAMS: &[(&str, &str)] = &[
    ("cc", "gcc"),
    ("dcmdump", "dcmtk"),
    ("dcmftest", "dcmtk"),
    ("dciodvfy", "dicom3tools"),
    ("gdcmconv", "libgdcm-tools"),
    ("g++", "g++"),
    (OPENSSL, "libssl-dev"),
    ("java", "default-jre-headless"),
    ("make", "make"),
    ("mvn", "maven"),
    ("pkg-config", "pkg-config"),
    (POSTGRES, "postgresql"),
    ("setpriv", "util-linux"),
];

/// Headers, not a program: the client of Kafka is built with them.
const OPENSSL: &str = "openssl/ssl.h";

/// Debian keeps its server's programs off the path, in a folder a version.
const POSTGRES: &str = "initdb";
const POSTGRES_FOLDER: &str = "/usr/lib/postgresql";

/// Where the pinned Python packages are listed.
const REQUIREMENTS: &str = "crates/dcmjoin-testkit/python/requirements.txt";

/// And those of the engine of `ClickHouse`.
const CLICKHOUSE: &str = "crates/dcmjoin-testkit/python/clickhouse_requirements.txt";
/// Which version of Kafka the tests run.
const KAFKA: &str = "crates/dcmjoin-testkit/kafka/pom.xml";

/// Written last into a finished environment.
const READY: &str = "ready";

/// The tools that tests are told of through environment variables.
pub(crate) struct Tools {
    /// The interpreter of the environment.
    pub(crate) python: PathBuf,
    weed: PathBuf,
    kafka: PathBuf,
    clickhouse: PathBuf,
}

impl Tools {
    /// Installs what is missing.
    pub(crate) fn install(context: &Context) -> Result<Self> {
        install_packages()?;
        let bin = install(context, "venv", REQUIREMENTS, make_venv)?.join("bin");
        let kafka = install(context, "kafka", KAFKA, fetch_kafka)?;
        let engine = install(context, "clickhouse", CLICKHOUSE, make_venv)?;
        Ok(Self {
            python: bin.join("python"),
            weed: bin.join("weed"),
            kafka,
            clickhouse: engine.join("bin").join("python"),
        })
    }

    /// Returns the variables through which the tests find the tools.
    pub(crate) fn env(&self) -> [(&'static str, &Path); 4] {
        [
            ("DCMJOIN_PYTHON", &self.python),
            ("DCMJOIN_WEED", &self.weed),
            ("DCMJOIN_KAFKA", &self.kafka),
            ("DCMJOIN_CLICKHOUSE", &self.clickhouse),
        ]
    }
}

fn install_packages() -> Result<()> {
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|&(_, package)| package)
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let hint = format!("install these packages by hand: {list}");
    if !is_there("apt-get") {
        bail!("programs are missing, and there is no apt-get; {hint}");
    }
    check(&mut apt(&["update", "--quiet"])).with_context(|| hint.clone())?;
    let mut install = apt(&["install", "--quiet", "--yes", "--no-install-recommends"]);
    check(install.args(&missing)).context(hint)?;
    if missing.contains(&"postgresql") {
        stop_clusters()?;
    }
    Ok(())
}

/// Stops the clusters that the package makes and starts: tests start their own.
fn stop_clusters() -> Result<()> {
    let list = Command::new("pg_lsclusters").arg("--no-header").output();
    let list = list.context("list the package's clusters")?;
    for line in String::from_utf8_lossy(&list.stdout).lines() {
        let mut words = line.split_whitespace();
        if let (Some(version), Some(cluster), _, Some("online")) =
            (words.next(), words.next(), words.next(), words.next())
        {
            check(&mut as_root("pg_ctlcluster", &[version, cluster, "stop"]))?;
        }
    }
    Ok(())
}

/// Returns an `apt-get` command, through sudo for everybody but root.
fn apt(args: &[&str]) -> Command {
    let mut command = as_root("apt-get", args);
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
}

fn as_root(program: &str, args: &[&str]) -> Command {
    let mut command = if is_root() {
        Command::new(program)
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["--non-interactive", program]);
        sudo
    };
    command.args(args);
    command
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        || (program == POSTGRES && has_postgres())
        || (program == OPENSSL && Path::new("/usr/include").join(OPENSSL).is_file())
}

fn has_postgres() -> bool {
    let versions = Path::new(POSTGRES_FOLDER).read_dir().into_iter().flatten().flatten();
    versions.into_iter().any(|version| version.path().join("bin").join(POSTGRES).is_file())
}

/// Makes what a file describes, unless it is there; a changed file makes another.
fn install(
    context: &Context,
    kind: &str,
    file: &str,
    make: fn(&Path, &Path) -> Result<()>,
) -> Result<PathBuf> {
    let description = context.root.join(file);
    let text = fs::read(&description).with_context(|| format!("read {file}"))?;
    let folder = context.target.join("testkit").join(format!("{kind}-{:016x}", fnv1a(&text)));
    if !folder.join(READY).is_file() {
        if folder.exists() {
            fs::remove_dir_all(&folder).context("remove an unfinished installation")?;
        }
        make(&folder, &description)?;
        fs::write(folder.join(READY), b"").context("mark an installation as finished")?;
    }
    Ok(folder)
}

fn make_venv(venv: &Path, requirements: &Path) -> Result<()> {
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| OsString::from("python3"));
    check(Command::new(python).args(["-m", "venv"]).arg(venv))
        .context("Python 3.11 or newer with its venv module is needed (package python3-venv)")?;
    let mut pip = Command::new(venv.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    check(pip.arg("--requirement").arg(requirements)).context("install the Python packages")?;
    Ok(())
}

fn fetch_kafka(folder: &Path, pom: &Path) -> Result<()> {
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode", "--file"]).arg(pom);
    maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    let mut output = OsString::from("-DoutputDirectory=");
    output.push(folder);
    check(maven.arg(output).stdin(Stdio::null())).context("fetch Kafka's libraries")?;
    Ok(())
}

/// FNV-1a: a name for a file's content that stays the same over compilers.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
