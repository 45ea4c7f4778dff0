//! Measures the fact log on one broker, beside Kafka's own producer and consumer tools.

#![expect(clippy::cast_precision_loss, reason = "rates are rounded")]

#[path = "../../dcmjoin-ledger/examples/rate/mod.rs"]
mod rate;

use dcmjoin_ledger_kafka::Kafka;

/// As long as a fact's record: key and value.
const RECORD_BYTES: &str = "200";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = dcmjoin_testkit::Kafka::start()?;
    let folder = tempfile::tempdir()?;
    let log = Kafka::open(&server.bootstrap(), "rate", folder.path()).await?;
    let pairs = rate::pairs_asked();
    rate::measure(&log, pairs).await?;
    let records = (2 * pairs).to_string();
    let server_option = format!("bootstrap.servers={}", server.bootstrap());
    let mut topic = server.tool("org.apache.kafka.tools.TopicCommand");
    topic.args(["--bootstrap-server", &server.bootstrap(), "--create", "--topic", "plain"]);
    topic.args(["--partitions", "64"]).output()?;
    let mut produce = server.tool("org.apache.kafka.tools.ProducerPerformance");
    produce.args(["--topic", "plain", "--num-records", &records, "--throughput", "-1"]);
    produce.args(["--record-size", RECORD_BYTES, "--producer-props", &server_option]);
    produce.args(["acks=all", "compression.type=lz4", "linger.ms=10", "batch.size=262144"]);
    // They run for long: compiled as Java does it by itself.
    produce.env("_JAVA_OPTIONS", "-XX:TieredStopAtLevel=4");
    last_line("producer tool", &produce.output()?.stdout);
    let mut consume = server.tool("org.apache.kafka.tools.ConsumerPerformance");
    consume.args(["--bootstrap-server", &server.bootstrap(), "--topic", "plain"]);
    consume.args(["--messages", &records, "--timeout", "60000"]);
    consume.env("_JAVA_OPTIONS", "-XX:TieredStopAtLevel=4");
    last_line("consumer tool", &consume.output()?.stdout);
    Ok(())
}

fn last_line(name: &str, output: &[u8]) {
    let text = String::from_utf8_lossy(output);
    println!("{name}: {}", text.lines().last().unwrap_or_default());
}
