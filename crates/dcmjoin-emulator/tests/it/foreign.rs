//! Clients and servers that others wrote: boto3 and aws-cli ask the emulator, and its answers are
//! held against those of `MiniStack` and moto.
//!
//! `answers.json` has what AWS documents of each call, and what the others answer instead where
//! they differ. `docs/emulator.md` explains each difference.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use dcmjoin_emulator::{Body, Options, Route, Shape, StorageClass, Target};
use dcmjoin_testkit::{Python, StandIn};
use serde_json::Value;

use super::*;

const CALLS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../dcmjoin-testkit/python/emulator_calls.py");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/emulator.md");

type Answers = BTreeMap<String, Value>;

fn known() -> BTreeMap<String, Answers> {
    serde_json::from_str(include_str!("answers.json")).unwrap()
}

/// Asks a server all calls of the table.
fn answers(kind: &str, endpoint: &str) -> Answers {
    let output = Python::find().unwrap().command().args([CALLS, kind, endpoint]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| serde_json::from_str::<(String, Value)>(line).unwrap();
    text.lines().map(line).collect()
}

/// Holds answers against the documented ones, but for the differences that are known.
#[track_caller]
fn compare(kind: &str, answers: &Answers) {
    let known = known();
    let mut expected = known["documented"].clone();
    expected.extend(known.get(kind).cloned().unwrap_or_default());
    let names: BTreeSet<&String> = expected.keys().chain(answers.keys()).collect();
    let other = names.into_iter().filter(|name| expected.get(*name) != answers.get(*name));
    let other: Vec<String> = other
        .map(|name| format!("{name}: {:?}, not {:?}", answers.get(name), expected.get(name)))
        .collect();
    assert!(other.is_empty(), "{kind}:\n{}", other.join("\n"));
}

#[test]
fn the_emulator_answers_boto3_as_documented() {
    let scene = Scene::new();
    compare("emulator", &answers("emulator", &scene.emulator.endpoint()));
}

#[test]
fn ministack_differs_where_it_is_known_to() {
    let server = StandIn::ministack().unwrap();
    compare("ministack", &answers("ministack", &server.endpoint()));
}

#[test]
fn moto_differs_where_it_is_known_to() {
    let server = StandIn::moto().unwrap();
    compare("moto", &answers("moto", &server.endpoint()));
}

#[test]
fn every_difference_is_explained() {
    let known = known();
    let servers = ["ministack", "moto"];
    let differing: BTreeSet<&str> =
        servers.iter().flat_map(|kind| known[*kind].keys()).map(String::as_str).collect();
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (_, table) = page.split_once("## Checked by others").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let explained: BTreeSet<&str> =
        rows.filter_map(|row| row.split_once("` |")).map(|(name, _)| name).collect();
    assert_eq!(explained, differing);
}

/// Sends a restore's events to a queue of another server, and returns their types as they come.
fn forwarded_to(server: &StandIn) -> BTreeSet<String> {
    let host = server.endpoint().replace("http://", "");
    let client = dcmjoin_testkit::Access::new(&host, "test-key", "test-secret");
    let sqs = |name: &str, input: &Value| -> Value {
        let target = format!("AmazonSQS.{name}");
        let headers =
            [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        let body = input.to_string();
        let body = body.as_bytes();
        let (method, service) = ("POST", "sqs");
        let ask = Ask { method, headers: &headers, body, service, ..Ask::default() };
        serde_json::from_slice(&client.send(&ask).unwrap().body).unwrap()
    };
    let queue = sqs("CreateQueue", &serde_json::json!({"QueueName": "restores"}));
    let url = queue["QueueUrl"].as_str().unwrap().replace("localhost", "127.0.0.1");
    let scene = Scene::archived();
    let target = Target::External(url.clone());
    let route = Route { target, ..Route::to_queue(Shape::EventBridge, "") };
    scene.emulator.storage().add_route("archive", route).unwrap();
    scene.restore("a.tar", "Expedited", 1);
    scene.advance(5 * MINUTE);
    let mut types = BTreeSet::new();
    let mut looks = 0;
    while types.len() < 2 {
        let input = serde_json::json!({"QueueUrl": url, "WaitTimeSeconds": 2});
        for message in sqs("ReceiveMessage", &input)["Messages"].as_array().into_iter().flatten() {
            let event: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
            types.insert(event["detail-type"].as_str().unwrap().to_owned());
        }
        looks += 1;
        assert!(looks < 30, "{types:?}, and no more");
    }
    types
}

#[test]
fn other_servers_queues_take_the_events() {
    let expect = ["Object Restore Completed", "Object Restore Initiated"];
    for server in [StandIn::ministack().unwrap(), StandIn::moto().unwrap()] {
        assert_eq!(forwarded_to(&server).into_iter().collect::<Vec<_>>(), expect);
    }
}

/// The `aws` command, with a scene's credentials.
struct Cli<'a> {
    scene: &'a Scene,
    python: Python,
}

impl Cli<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.python.command();
        command.args(["-m", "awscli", "--region", "us-east-1", "--output", "json"]);
        command.args(arguments).envs(self.scene.client.env());
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_MAX_ATTEMPTS", "1");
        command
    }

    fn run(&self, arguments: &[&str]) -> Value {
        let endpoint = self.scene.emulator.endpoint();
        let output = self.command(arguments).args(["--endpoint-url", &endpoint]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    fn fails(&self, arguments: &[&str]) -> String {
        let endpoint = self.scene.emulator.endpoint();
        let output = self.command(arguments).args(["--endpoint-url", &endpoint]).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// S3 Control's host begins with the account's number, which no resolver knows: the emulator
    /// stands as the proxy for it.
    fn control(&self, arguments: &[&str]) -> Value {
        let mut command = self.command(&["s3control"]);
        command.args(arguments).args(["--account-id", "111122223333"]);
        command.args(["--endpoint-url", "http://s3-control.test"]);
        command.env_remove("AWS_ENDPOINT_URL").env("HTTP_PROXY", self.scene.emulator.endpoint());
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn aws_cli_restores_and_reads() {
    let scene = Scene::with(Options::default());
    let length = 20 << 20;
    scene.put("a.tar", Body::Generated { length, seed: 5 }, StorageClass::Glacier);
    scene.emulator.queues().create("events");
    let route = Route::to_queue(Shape::EventBridge, "events");
    scene.emulator.storage().add_route("archive", route).unwrap();
    let cli = Cli { scene: &scene, python: Python::find().unwrap() };
    let object = ["--bucket", "archive", "--key", "a.tar"];
    let api = |call: &'static str| [["s3api", call].as_slice(), &object].concat();
    let restore = [
        api("restore-object").as_slice(),
        &["--restore-request", "Days=3,GlacierJobParameters={Tier=Standard}"],
    ]
    .concat();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.tar").display().to_string();
    let copy =
        ["s3", "cp", "s3://archive/a.tar", &file, "--force-glacier-transfer", "--no-progress"];

    assert!(cli.fails(&copy).contains("InvalidObjectState"));
    cli.run(&restore);
    assert!(cli.fails(&restore).contains("RestoreAlreadyInProgress"));
    scene.advance(5 * HOUR);
    let head = cli.run(&api("head-object"));
    assert!(head["Restore"].as_str().unwrap().contains("Sat, 14 Mar 2026"));
    assert_eq!(head["StorageClass"], "GLACIER");
    let list = ["s3api", "list-objects-v2", "--bucket", "archive"];
    let list =
        cli.run(&[list.as_slice(), &["--optional-object-attributes", "RestoreStatus"]].concat());
    assert_eq!(list["Contents"][0]["RestoreStatus"]["IsRestoreInProgress"], false);
    // In several ranges at once.
    cli.run(&copy);
    let body = Body::Generated { length, seed: 5 };
    assert!(std::fs::read(&file).unwrap() == body.read(0..length).unwrap());
    // And back, in several parts.
    cli.run(&["s3", "cp", &file, "s3://archive/copy.tar", "--no-progress"]);
    let copied = cli.run(&["s3api", "head-object", "--bucket", "archive", "--key", "copy.tar"]);
    assert_eq!(copied["ContentLength"], length);

    let url = cli.run(&["sqs", "get-queue-url", "--queue-name", "events"]);
    let url = url["QueueUrl"].as_str().unwrap();
    let receive = ["sqs", "receive-message", "--queue-url", url, "--max-number-of-messages", "10"];
    let received = cli.run(&receive);
    assert_eq!(received["Messages"].as_array().unwrap().len(), 2);
}

#[test]
fn aws_cli_runs_a_batch_job() {
    let scene = Scene::archived();
    scene.emulator.storage().create_bucket("reports").unwrap();
    let cli = Cli { scene: &scene, python: Python::find().unwrap() };
    scene
        .emulator
        .storage()
        .put("reports", "m.csv", "archive,a.tar\n", StorageClass::Standard)
        .unwrap();
    let head = cli.run(&["s3api", "head-object", "--bucket", "reports", "--key", "m.csv"]);
    let manifest = serde_json::json!({
        "Spec": {"Format": "S3BatchOperations_CSV_20180820", "Fields": ["Bucket", "Key"]},
        "Location": {"ObjectArn": "arn:aws:s3:::reports/m.csv", "ETag": head["ETag"]},
    });
    let operation = serde_json::json!({
        "S3InitiateRestoreObject": {"ExpirationInDays": 2, "GlacierJobTier": "STANDARD"},
    });
    let report = serde_json::json!({
        "Bucket": "arn:aws:s3:::reports", "Prefix": "out", "Format": "Report_CSV_20180820",
        "Enabled": true, "ReportScope": "AllTasks",
    });
    let created = cli.control(&[
        "create-job",
        "--no-confirmation-required",
        "--operation",
        &operation.to_string(),
        "--report",
        &report.to_string(),
        "--manifest",
        &manifest.to_string(),
        "--priority",
        "10",
        "--role-arn",
        "arn:aws:iam::111122223333:role/batch",
        "--client-request-token",
        "once",
    ]);
    let id = created["JobId"].as_str().unwrap();
    scene.advance(3 * MINUTE);
    let job = cli.control(&["describe-job", "--job-id", id]);
    assert_eq!(job["Job"]["Status"], "Complete");
    assert_eq!(job["Job"]["ProgressSummary"]["NumberOfTasksSucceeded"], 1);
    let jobs = cli.control(&["list-jobs"]);
    assert_eq!(jobs["Jobs"][0]["JobId"], id);
    refused(&scene.get("a.tar"), 403, "InvalidObjectState");
    scene.advance(5 * HOUR);
    assert_eq!(scene.get("a.tar").status, 200);
}
