//! A whole campaign on MiniStack: S3 with restores, a rule of EventBridge and an SQS queue that
//! others wrote, in real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dcmjoin_campaign::aws::Aws;
use dcmjoin_campaign::clockwork::{Clockwork, ScanEnd};
use dcmjoin_campaign::ledger::Ledger as _;
use dcmjoin_campaign::orchestrator::World;
use dcmjoin_campaign::scanner::LocalScanner;
use dcmjoin_campaign::{Orchestrator, Spec, Sqlite, manifest};
use dcmjoin_pipeline::RunConfig;
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::task::Policy;
use dcmjoin_synth::{Archives, Shares, SynthOptions, synthesize};
use dcmjoin_testkit::{Python, StandIn};

use crate::scene::{key, report, variables};

const IMAGES: u32 = 4;
const INSTANCES: u64 = 16;

/// Puts a folder's archives as GLACIER, has their events sent to a queue, and prints its URL.
const FILL: &str = r#"
import json, os, sys, boto3
endpoint, folder = sys.argv[1:]
make = lambda service: boto3.client(service, endpoint_url=endpoint, region_name="us-east-1",
    aws_access_key_id="test-key", aws_secret_access_key="test-secret")
s3, sqs, events = make("s3"), make("sqs"), make("events")
for bucket in ("archive", "output"):
    s3.create_bucket(Bucket=bucket)
s3.put_bucket_notification_configuration(
    Bucket="archive", NotificationConfiguration={"EventBridgeConfiguration": {}})
url = sqs.create_queue(QueueName="restores")["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": ["archive"]}},
    "detail-type": ["Object Restore Initiated", "Object Restore Completed", "Object Restore Expired"]}
events.put_rule(Name="restores", EventPattern=json.dumps(pattern))
events.put_targets(Rule="restores", Targets=[{"Id": "1", "Arn": arn}])
for side in ("metadata", "images"):
    for name in os.listdir(os.path.join(folder, side)):
        with open(os.path.join(folder, side, name), "rb") as body:
            s3.put_object(Bucket="archive", Key=f"{side}/{name}", Body=body, StorageClass="GLACIER")
print(endpoint + "/" + "/".join(url.split("/")[3:]))
"#;

/// Real time, without the waits that are polite to AWS.
struct Impatient;

#[async_trait]
impl Clockwork for Impatient {
    async fn wait(&self, _: Moment, _: Option<Moment>, _: Option<ScanEnd>) {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    fn scan_counts_from(&self, _: Moment, _: u64) -> Option<Moment> {
        None
    }
}

fn spec(queue: &str) -> Spec {
    Spec {
        metadata: vec!["s3://archive/metadata/".into()],
        images: vec!["s3://archive/images/".into()],
        output: "s3://output/out".into(),
        region: "us-east-1".into(),
        queue: Some(queue.into()),
        policy: Policy::default(),
        wave_bytes: 150_000,
        waves_ahead: Some(2),
        bytes_per_sec: 1_000_000,
        restores_per_sec: 1_000,
        budget: None,
        prices: None,
        batch: None,
        keep: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_ends_with_balanced_books_on_a_server_of_others() {
    let server = StandIn::ministack().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let set = SynthOptions {
        archives: Some(Archives { metadata: 1, images: IMAGES }),
        shares: Shares::CLEAN,
        ..SynthOptions::new(INSTANCES, 7)
    };
    synthesize(&set, &folder.path().join("set"), &mut |_| {}).unwrap();
    let args = [server.endpoint().into(), folder.path().join("set").into_os_string()];
    let queue = Python::find().unwrap().run(FILL, args).unwrap();
    let spec = spec(queue.trim());
    let aws = Aws::new(Some(&server.endpoint()), "us-east-1", Arc::new(|| Some(key()))).unwrap();
    let aws = Arc::new(aws);
    let ledger = Arc::new(Sqlite::create(&folder.path().join("campaign.db"), &spec).unwrap());
    let found = manifest::fill(ledger.as_ref(), &aws, &spec).await.unwrap();
    assert_eq!(found, u64::from(IMAGES) + 1);
    let config = RunConfig::new(Vec::new(), Vec::new(), spec.output.parse().unwrap());
    let world = World {
        ledger: ledger.clone(),
        aws: Arc::clone(&aws),
        scanner: Arc::new(LocalScanner::new(config, Some(variables(&server.endpoint())))),
        clockwork: Arc::new(Impatient),
        stop: Arc::new(AtomicBool::new(false)),
    };
    let outcome = Orchestrator::take(world, "test").unwrap().run().await.unwrap();
    let report = report(outcome);
    report.books().check().unwrap();
    assert_eq!(report.images.archives, u64::from(IMAGES));
    let instances = &report.instances;
    assert_eq!(instances.published + instances.already_there, INSTANCES, "{instances:?}");
    let standing = ledger.standing().unwrap();
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    assert!(standing.waves.len() > 2, "{:?}", standing.waves);
    let restores = aws.requests().restores.load(Ordering::Relaxed);
    assert_eq!(restores, found, "an archive was asked for twice");
}
