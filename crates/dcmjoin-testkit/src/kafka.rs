//! Apache Kafka itself: brokers of a test's own, from its libraries and the machine's Java.
//!
//! Each broker is a controller too (`KRaft`), as one process; there is no other service.

mod secured;

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use self::secured::{PASSWORD, Secured, USER};
use crate::child::{Kept, log_tail};
use crate::disk::Disk;
use crate::{ports, tools};

/// Ports can be taken between the look and the start.
const ATTEMPTS: usize = 3;
/// How many brokers a cluster has that outlives the loss of one.
const CLUSTER: usize = 3;
/// Of the servers' heaps, and of those of its tools.
const HEAP: &str = "-Xmx384m";
/// What the servers call themselves; the data of one cluster is of no use to another.
const CLUSTER_ID: &str = "ZGNtam9pbi10ZXN0a2l0LQ";

/// Running brokers with their data in a folder of their own; gone when dropped.
///
/// Topics are made by clients that ask for it, never by the mere use of a name.
#[derive(Debug)]
pub struct Kafka {
    brokers: Mutex<Vec<Option<Kept>>>,
    /// Where its data is, where it is not in the folder.
    disk: Option<Disk>,
    /// The listener for users, where there is one.
    secured: Option<Secured>,
    folder: TempDir,
    libraries: PathBuf,
    /// Of each broker: for clients, and for the other controllers.
    ports: Vec<[u16; 2]>,
}

impl Kafka {
    /// Starts one broker, and waits until it serves.
    ///
    /// # Errors
    /// Where its libraries or Java are missing, or it does not serve within five minutes; the error
    /// holds the end of its log.
    pub fn start() -> Result<Self> {
        Self::start_with(1, None, false)
    }

    /// Starts one broker that has another listener too: over TLS, for a user with a password.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_secured() -> Result<Self> {
        Self::start_with(1, None, true)
    }

    /// Starts one broker whose data is on a disk of so many bytes.
    ///
    /// # Errors
    /// As [`Self::start`] and [`Disk::new`].
    pub fn start_on_disk(bytes: u64) -> Result<Self> {
        Self::start_with(1, Some(bytes), false)
    }

    /// Starts three brokers: each partition is on all of them, and a write is acknowledged when two
    /// have it.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_three() -> Result<Self> {
        Self::start_with(CLUSTER, None, false)
    }

    fn start_with(count: usize, disk: Option<u64>, is_secured: bool) -> Result<Self> {
        let libraries = tools::find_kafka()?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::attempt(&libraries, count, disk, is_secured) {
                Ok(kafka) => return Ok(kafka),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no attempt was made")?.context("start Kafka"))
    }

    fn attempt(
        libraries: &Path,
        count: usize,
        disk: Option<u64>,
        is_secured: bool,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dcmjoin-kafka-").tempdir()?;
        let secured = match is_secured {
            true => Some(Secured::new(folder.path(), ports::with_twins::<1>()?[0])?),
            false => None,
        };
        let kafka = Self {
            brokers: Mutex::new((0..count).map(|_| None).collect()),
            disk: disk.map(Disk::new).transpose()?,
            secured,
            folder,
            libraries: libraries.to_owned(),
            ports: (0..count).map(|_| ports::with_twins()).collect::<Result<_>>()?,
        };
        for broker in 0..count {
            fs::write(kafka.properties(broker), kafka.settings(broker))
                .context("write a broker's settings")?;
            let mut format = kafka.tool("kafka.tools.StorageTool");
            format.args(["format", "-t", CLUSTER_ID, "-c"]).arg(kafka.properties(broker));
            if kafka.secured.is_some() {
                format.args(["--add-scram", &Secured::user()]);
            }
            let output = kafka.inside(format).output().context("start Java")?;
            if !output.status.success() {
                let words = String::from_utf8_lossy(&output.stderr);
                bail!("the storage tool ended with {}:\n{words}", output.status);
            }
        }
        {
            let mut brokers = kafka.lock();
            for (broker, slot) in brokers.iter_mut().enumerate() {
                *slot = Some(kafka.serve(broker)?);
            }
            kafka.wait_for_all(&brokers)?;
        }
        Ok(kafka)
    }

    /// Returns the disk that its data is on, where it is on one of its own.
    #[must_use]
    pub fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// Returns a command whose process sees the brokers' data.
    fn inside(&self, command: Command) -> Command {
        match &self.disk {
            Some(disk) => disk.enter(&command),
            None => command,
        }
    }

    /// Returns the addresses that clients are told, as `127.0.0.1:PORT` parted by commas.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let addresses = self.ports.iter().map(|[client, _]| format!("127.0.0.1:{client}"));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Returns the address of the listener for users, as `dcmjoin` takes it, and the password; of one that
    /// was started with [`Self::start_secured`].
    #[must_use]
    pub fn secured(&self, prefix: &str) -> Option<(String, &'static str)> {
        let secured = self.secured.as_ref()?;
        let (brokers, certificate) = (secured.bootstrap(), secured.certificate.display());
        let address = format!("kafka://{USER}@{brokers}/{prefix}?ssl.ca.location={certificate}");
        Some((address, PASSWORD))
    }

    /// Returns a command for one of Kafka's own tools, by the name of its class; it starts sooner
    /// than it would as shipped, and is slower at long work.
    #[must_use]
    pub fn tool(&self, class: &str) -> Command {
        self.java(class, &["-XX:TieredStopAtLevel=1"])
    }

    fn java(&self, class: &str, options: &[&str]) -> Command {
        let mut path = OsString::from(&self.libraries);
        path.push("/*");
        let mut command = Command::new("java");
        command.args([HEAP, "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]);
        command.args(options).arg("-cp").arg(path).arg(class);
        command
    }

    /// Kills a broker with SIGKILL; brokers are counted from 0.
    pub fn kill(&self, broker: usize) {
        self.lock()[broker] = None;
    }

    /// Starts a broker that was killed, and waits until it has all that it missed: then another can
    /// be killed.
    ///
    /// # Errors
    /// Where it does not serve within five minutes, or stays behind for as long.
    pub fn revive(&self, broker: usize) -> Result<()> {
        let mut brokers = self.lock();
        brokers[broker] = Some(self.serve(broker)?);
        self.wait_for_all(&brokers)?;
        let revived = brokers[broker].as_ref().context("the broker is there")?;
        revived.wait_until(|| self.is_in_sync()).with_context(|| log_tail(&self.log_path(broker)))
    }

    fn is_in_sync(&self) -> bool {
        let mut topics = self.tool("org.apache.kafka.tools.TopicCommand");
        topics.args(["--bootstrap-server", &self.bootstrap(), "--describe"]);
        let output = topics.arg("--under-replicated-partitions").output();
        output.is_ok_and(|output| output.status.success() && output.stdout.is_empty())
    }

    /// Stops all brokers as an operator does, and starts them again.
    ///
    /// # Errors
    /// Where one does not end, or does not serve within five minutes.
    pub fn restart(&self) -> Result<()> {
        let mut brokers = self.lock();
        for broker in brokers.iter_mut().filter_map(Option::take) {
            broker.stop()?;
        }
        for (broker, slot) in brokers.iter_mut().enumerate() {
            *slot = Some(self.serve(broker)?);
        }
        self.wait_for_all(&brokers)
    }

    /// Kills all brokers with SIGKILL, and starts them again.
    ///
    /// # Errors
    /// Where one does not serve within five minutes.
    pub fn kill_and_restart(&self) -> Result<()> {
        let mut brokers = self.lock();
        brokers.iter_mut().for_each(|broker| drop(broker.take()));
        for (broker, slot) in brokers.iter_mut().enumerate() {
            *slot = Some(self.serve(broker)?);
        }
        self.wait_for_all(&brokers)
    }

    fn serve(&self, broker: usize) -> Result<Kept> {
        let mut command = self.java("kafka.Kafka", &[]);
        command.arg(self.properties(broker));
        let log = fs::File::options().create(true).append(true).open(self.log_path(broker))?;
        Kept::start(&self.inside(command), Stdio::from(log))
    }

    /// Waits until each running broker has heard of all that run.
    fn wait_for_all(&self, brokers: &[Option<Kept>]) -> Result<()> {
        let running = brokers.iter().flatten().count();
        for (broker, server) in brokers.iter().enumerate() {
            let Some(server) = server else { continue };
            let [port, _] = self.ports[broker];
            server
                .wait_until(|| brokers_known(port).is_ok_and(|known| known == running))
                .with_context(|| log_tail(&self.log_path(broker)))?;
        }
        Ok(())
    }

    fn settings(&self, broker: usize) -> String {
        let [client, controller] = self.ports[broker];
        let voters = self.ports.iter().enumerate();
        let voters = voters.map(|(at, [_, port])| format!("{}@127.0.0.1:{port}", at + 1));
        let voters = voters.collect::<Vec<_>>().join(",");
        let copies = self.ports.len();
        let acknowledged = copies.min(2);
        let folder = self.disk.as_ref().map(Disk::place);
        let folder = folder.unwrap_or_else(|| self.folder.path().to_owned());
        let data = folder.join(format!("data-{broker}"));
        let listener = self.secured.as_ref().map(Secured::listener).unwrap_or_default();
        let security = self.secured.as_ref().map(Secured::settings).unwrap_or_default();
        format!(
            "process.roles=broker,controller\n\
             node.id={id}\n\
             controller.quorum.voters={voters}\n\
             listeners=PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}{listener}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{client}{listener}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,\
             SECURED:SASL_SSL\n\
             log.dirs={data}\n\
             auto.create.topics.enable=false\n\
             default.replication.factor={copies}\n\
             min.insync.replicas={acknowledged}\n\
             offsets.topic.replication.factor={copies}\n\
             offsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor={copies}\n\
             transaction.state.log.min.isr={acknowledged}\n\
             transaction.state.log.num.partitions=4\n\
             group.initial.rebalance.delay.ms=0\n\
             group.min.session.timeout.ms=1000\n\
             broker.session.timeout.ms=6000\n\
             {security}",
            id = broker + 1,
            data = data.display(),
        )
    }

    fn properties(&self, broker: usize) -> PathBuf {
        self.folder.path().join(format!("broker-{broker}.properties"))
    }

    fn log_path(&self, broker: usize) -> PathBuf {
        self.folder.path().join(format!("broker-{broker}.log"))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Kept>>> {
        self.brokers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks a broker which brokers there are (`Metadata`, version 1, without topics), and returns their
/// number.
fn brokers_known(port: u16) -> std::io::Result<usize> {
    const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xFF, 0xFF, 0, 0, 0, 0];
    /// Before the count of the brokers: length, and the number that the request bore.
    const BEFORE: usize = 8;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(&REQUEST)?;
    let mut answer = [0; BEFORE + 4];
    stream.read_exact(&mut answer)?;
    let count = [answer[8], answer[9], answer[10], answer[11]];
    Ok(u32::from_be_bytes(count) as usize)
}

#[cfg(test)]
mod tests;
