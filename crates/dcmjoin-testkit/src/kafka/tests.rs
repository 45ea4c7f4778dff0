//! The promises of the brokers that tests build on.

use super::*;

const PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";
const CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";

fn create_topic(kafka: &Kafka) {
    let mut topics = kafka.tool("org.apache.kafka.tools.TopicCommand");
    topics.args(["--bootstrap-server", &kafka.bootstrap(), "--create", "--topic", "facts"]);
    assert!(topics.output().unwrap().status.success());
}

fn produce(kafka: &Kafka, lines: &str) {
    let mut produce = kafka.tool(PRODUCER);
    produce.args(["--bootstrap-server", &kafka.bootstrap(), "--topic", "facts", "--sync"]);
    produce.args(["--request-timeout-ms", "60000", "--message-send-max-retries", "100"]);
    let mut child = produce.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn consume(kafka: &Kafka, count: usize) -> String {
    let mut consume = kafka.tool(CONSUMER);
    consume.args(["--bootstrap-server", &kafka.bootstrap(), "--topic", "facts"]);
    consume.args(["--from-beginning", "--timeout-ms", "60000"]);
    let output = consume.args(["--max-messages", &count.to_string()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_acknowledged_outlives_the_broker() {
    let kafka = Kafka::start().unwrap();
    create_topic(&kafka);
    produce(&kafka, "one\n");
    kafka.kill_and_restart().unwrap();
    produce(&kafka, "two\n");
    kafka.restart().unwrap();
    assert_eq!(consume(&kafka, 2), "one\ntwo\n");
    let folder = kafka.folder.path().to_owned();
    let [port, _] = kafka.ports[0];
    drop(kafka);
    assert!(brokers_known(port).is_err());
    assert!(!folder.exists());
}

#[test]
fn three_brokers_outlive_the_loss_of_one() {
    let kafka = Kafka::start_three().unwrap();
    create_topic(&kafka);
    produce(&kafka, "one\n");
    kafka.kill(0);
    produce(&kafka, "two\n");
    kafka.revive(0).unwrap();
    kafka.kill(1);
    assert_eq!(consume(&kafka, 2), "one\ntwo\n");
}
