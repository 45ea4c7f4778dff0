//! What a fact log's server does by itself, with the same rows and the same machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use dcmjoin_testkit::{ClickHouse, Kafka, Postgres};
use serde_json::{Value, json};

use super::measure;
use crate::steps::check;

/// Bytes of a fact's record of the benches, key and value.
const RECORD_BYTES: &str = "175";
/// Of a pair that is done.
const KEY_BYTES: &str = "75";
/// Compiled as Java does it by itself: the tools run for long.
const JAVA: [&str; 2] = ["_JAVA_OPTIONS", "-XX:TieredStopAtLevel=4"];

/// A server with an empty log, and its own way with the same rows.
pub(crate) trait Limit {
    /// Makes another log, empty.
    fn fresh(&mut self) -> Result<()>;
    /// Where the log is, as its example is told.
    fn place(&self) -> String;
    /// The same as the program is told.
    fn url(&self) -> String {
        self.place()
    }
    /// Takes in as many rows as are in the log, or the same ones.
    fn goes_in(&self, facts: u64) -> Result<Value>;
    /// Gives out what went in just now.
    fn comes_out(&self, facts: u64) -> Result<Value>;
    /// Takes in the keys of as many pairs, as *done* does.
    fn is_done(&self, pairs: u64) -> Result<Value>;
    /// Changes rows one by one, each durable before the next, from as many clients as claim tasks; where
    /// the server has a tool for that.
    fn changes(&self) -> Result<Option<Value>> {
        Ok(None)
    }
}

fn row(facts: u64, seconds: f64) -> Value {
    json!({"facts": facts, "seconds": seconds})
}

/// Batches into one table with the same key, by the library alone.
pub(crate) struct SqliteLimit {
    program: PathBuf,
    folder: PathBuf,
    count: u32,
}

impl SqliteLimit {
    pub(crate) fn new(program: PathBuf, folder: &Path) -> Self {
        Self { program, folder: folder.to_owned(), count: 0 }
    }

    fn plain(&self, phase: &str, facts: u64) -> Result<Value> {
        let file = self.folder.join(format!("plain-{}.db", self.count));
        let mut command = Command::new(&self.program);
        measure::json(command.arg(phase).arg(file).arg((facts / 2).to_string()))
    }
}

impl Limit for SqliteLimit {
    fn fresh(&mut self) -> Result<()> {
        for name in ["facts", "plain"] {
            for suffix in ["db", "db-wal", "db-shm"] {
                let _ =
                    fs::remove_file(self.folder.join(format!("{name}-{}.{suffix}", self.count)));
            }
        }
        self.count += 1;
        Ok(())
    }

    fn place(&self) -> String {
        self.folder.join(format!("facts-{}.db", self.count)).display().to_string()
    }

    fn goes_in(&self, facts: u64) -> Result<Value> {
        self.plain("plain-in", facts)
    }

    fn comes_out(&self, facts: u64) -> Result<Value> {
        self.plain("plain-out", facts)
    }

    fn is_done(&self, pairs: u64) -> Result<Value> {
        self.plain("plain-done", 2 * pairs)
    }
}

/// `COPY` of the same rows by psql, into one table with the same key.
pub(crate) struct PostgresLimit {
    server: Postgres,
    url: String,
    file: PathBuf,
}

impl PostgresLimit {
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let server = Postgres::start()?;
        let url = server.create_database()?;
        Ok(Self { server, url, file: folder.join("copied") })
    }

    fn psql(&self, command: &str) -> Result<f64> {
        let mut psql = self.server.program("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", command]).arg(&self.url);
        Ok(measure::run(&mut psql)?.seconds)
    }
}

impl Limit for PostgresLimit {
    fn fresh(&mut self) -> Result<()> {
        let old = self.url.rsplit('/').next().unwrap_or_default().to_owned();
        self.url = self.server.create_database()?;
        self.server.sql(&format!("DROP DATABASE {old}"))?;
        Ok(())
    }

    fn place(&self) -> String {
        self.url.clone()
    }

    fn goes_in(&self, facts: u64) -> Result<Value> {
        let file = self.file.display();
        // In the order in which they came.
        let all = "SELECT * FROM dcmjoin_ledger.fact ORDER BY came, fingerprint, half";
        self.psql(&format!("\\copy ({all}) TO '{file}' BINARY"))?;
        self.psql("CREATE TABLE plain (LIKE dcmjoin_ledger.fact INCLUDING ALL)")?;
        Ok(row(facts, self.psql(&format!("\\copy plain FROM '{file}' BINARY"))?))
    }

    fn comes_out(&self, facts: u64) -> Result<Value> {
        let file = self.file.display();
        Ok(row(facts, self.psql(&format!("\\copy plain TO '{file}' BINARY"))?))
    }

    fn is_done(&self, pairs: u64) -> Result<Value> {
        let file = self.file.display();
        self.psql(&format!("\\copy dcmjoin_ledger.done TO '{file}' BINARY"))?;
        self.psql("CREATE TABLE plain_done (LIKE dcmjoin_ledger.done INCLUDING ALL)")?;
        Ok(row(pairs, self.psql(&format!("\\copy plain_done FROM '{file}' BINARY"))?))
    }

    fn changes(&self) -> Result<Option<Value>> {
        let make = "CREATE TABLE row AS SELECT id, 0 AS n FROM generate_series(1, 20000) id";
        self.psql(&format!("{make}; ALTER TABLE row ADD PRIMARY KEY (id)"))?;
        let script = self.file.with_extension("sql");
        let change = "\\set id random(1, 20000)\nUPDATE row SET n = n + 1 WHERE id = :id;\n";
        fs::write(&script, change).context("write a script")?;
        let mut pgbench = self.server.program("pgbench");
        pgbench.args(["--no-vacuum", "--client=8", "--jobs=2", "--time=5", "--file"]);
        let said = measure::run(pgbench.arg(&script).arg(&self.url))?.output;
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate = rate.and_then(|rest| rest.split(' ').next()).context("the tool's rate")?;
        Ok(Some(json!({"changes_per_second": rate.parse::<f64>()?})))
    }
}

/// Kafka's own producer and consumer tools, with records as long.
pub(crate) struct KafkaLimit {
    server: Kafka,
    count: u32,
}

impl KafkaLimit {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self { server: Kafka::start()?, count: 0 })
    }

    fn topics(&self, words: &[&str]) -> Result<()> {
        let mut command = self.server.tool("org.apache.kafka.tools.TopicCommand");
        command.args(["--bootstrap-server", &self.server.bootstrap()]);
        check(command.args(words).stdout(std::process::Stdio::null()))?;
        Ok(())
    }

    fn plain(&self) -> String {
        format!("plain-{}", self.count)
    }

    fn produce(&self, topic: &str, records: u64, bytes: &str) -> Result<Value> {
        self.topics(&["--create", "--topic", topic, "--partitions", "16"])?;
        let mut produce = self.server.tool("org.apache.kafka.tools.ProducerPerformance");
        produce.args(["--topic", topic, "--num-records", &records.to_string()]);
        produce.args(["--throughput", "-1", "--record-size", bytes, "--producer-props"]);
        produce.arg(format!("bootstrap.servers={}", self.server.bootstrap()));
        produce.args(["acks=all", "compression.type=lz4", "linger.ms=10", "batch.size=262144"]);
        let said = measure::run(produce.env(JAVA[0], JAVA[1]))?.output;
        // `N records sent, R records/sec (…), …`
        let rate = said.lines().last().and_then(|line| line.split(", ").nth(1)?.split(' ').next());
        let rate: f64 = rate.context("the producer tool's rate")?.parse()?;
        Ok(row(records, records as f64 / rate))
    }
}

impl Limit for KafkaLimit {
    fn fresh(&mut self) -> Result<()> {
        if self.count > 0 {
            let old = format!("(plain-{0}.*|facts-{0}[.].*)", self.count);
            self.topics(&["--delete", "--if-exists", "--topic", &old])?;
        }
        self.count += 1;
        Ok(())
    }

    fn place(&self) -> String {
        format!("{}/facts-{}", self.server.bootstrap(), self.count)
    }

    fn url(&self) -> String {
        format!("kafka://{}", self.place())
    }

    fn goes_in(&self, facts: u64) -> Result<Value> {
        self.produce(&self.plain(), facts, RECORD_BYTES)
    }

    fn is_done(&self, pairs: u64) -> Result<Value> {
        self.produce(&format!("{}-done", self.plain()), pairs, KEY_BYTES)
    }

    fn comes_out(&self, facts: u64) -> Result<Value> {
        let mut consume = self.server.tool("org.apache.kafka.tools.ConsumerPerformance");
        consume.args(["--bootstrap-server", &self.server.bootstrap(), "--topic", &self.plain()]);
        consume.args(["--messages", &facts.to_string(), "--timeout", "60000"]);
        let said = measure::run(consume.env(JAVA[0], JAVA[1]))?.output;
        // The last column is the rate without the time in which the group finds its order.
        let rate = said.lines().last().and_then(|line| line.rsplit(", ").next());
        let rate: f64 = rate.context("the consumer tool's rate")?.parse()?;
        Ok(row(facts, facts as f64 / rate))
    }
}

/// One insert of the same rows into a table that is like the log's, through the same front.
pub(crate) struct ClickHouseLimit {
    server: ClickHouse,
    file: PathBuf,
    count: u32,
}

impl ClickHouseLimit {
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        Ok(Self { server: ClickHouse::start()?, file: folder.join("rows"), count: 0 })
    }

    fn database(&self) -> String {
        format!("facts_{}", self.count)
    }

    fn ask(&self, query: &str, more: &[&str]) -> Result<f64> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--request", "POST", "--get", "--url"]);
        curl.arg(self.server.url()).arg("--data-urlencode").arg(format!("query={query}"));
        Ok(measure::run(curl.args(more))?.seconds)
    }

    /// Inserts all rows of a table at once into another one like it.
    fn insert(&self, from: &str, select: &str, to: &str) -> Result<f64> {
        let (name, file) = (self.database(), self.file.display().to_string());
        let select = select.replace("TABLE", &format!("{name}.dcmjoin_{from}"));
        self.ask(&format!("{select} FORMAT RowBinary"), &["--output", &file])?;
        self.server.sql(&format!("CREATE TABLE {name}.{to} AS {name}.dcmjoin_{from}"))?;
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--data-binary"]).arg(format!("@{file}"));
        let query = format!("INSERT%20INTO%20{name}.{to}%20FORMAT%20RowBinary");
        curl.arg(format!("{}/?query={query}", self.server.url()));
        Ok(measure::run(&mut curl)?.seconds)
    }
}

impl Limit for ClickHouseLimit {
    fn fresh(&mut self) -> Result<()> {
        self.server.sql(&format!("DROP DATABASE IF EXISTS {}", self.database()))?;
        self.count += 1;
        self.server.sql(&format!("CREATE DATABASE {}", self.database()))?;
        Ok(())
    }

    fn place(&self) -> String {
        let host = self.server.url().replace("http://", "clickhouse://");
        format!("{host}/{}", self.database())
    }

    fn goes_in(&self, facts: u64) -> Result<Value> {
        Ok(row(facts, self.insert("fact", "SELECT * FROM TABLE ORDER BY came", "plain")?))
    }

    fn comes_out(&self, facts: u64) -> Result<Value> {
        let all = format!("SELECT * FROM {}.plain FORMAT RowBinary", self.database());
        Ok(row(facts, self.ask(&all, &["--output", "/dev/null"])?))
    }

    fn is_done(&self, pairs: u64) -> Result<Value> {
        Ok(row(pairs, self.insert("done", "SELECT * FROM TABLE", "plain_done")?))
    }
}
