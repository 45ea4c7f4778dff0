//! `dcmjoin campaign` as its users have it: processes, a journal, an emulator of Glacier whose restores
//! take a second.

mod bad_days;
mod dispatch;
mod roles;
mod tls;

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use dcmjoin_emulator::{
    Body, Emulator, Latencies, Latency, Options, Route, Shape, StorageClass, Tier,
};
use dcmjoin_testkit::program;
use serde_json::Value;
use tempfile::TempDir;

use crate::archive::{dcmjoin, files};

/// Image archives of a bench, besides one of metadata.
pub(crate) const IMAGES: u64 = 4;
const INSTANCES: usize = 24;

/// An archive in an emulated Glacier, and a place for journals.
pub(crate) struct Bench {
    pub(crate) emulator: Emulator,
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let second = Duration::from_secs(1);
        Self::with_latencies(second, second, options)
    }

    /// A bench whose restores take so long by Bulk and by Expedited.
    fn taking(bulk: Duration, expedited: Duration) -> Self {
        Self::with_latencies(bulk, expedited, Options::default())
    }

    fn with_latencies(bulk: Duration, expedited: Duration, options: Options) -> Self {
        let latency = |most: Duration| Latency { least: most / 2, most };
        let (bulk, expedited) = (latency(bulk), latency(expedited));
        let latencies = Latencies { bulk, expedited, ..Latencies::default() };
        let emulator = Emulator::start(Options { factor: 1.0, latencies, ..options }).unwrap();
        let storage = emulator.storage();
        for bucket in ["archive", "output"] {
            storage.create_bucket(bucket).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let set = folder.path().join("set");
        let (count, images) = (INSTANCES.to_string(), IMAGES.to_string());
        let made = dcmjoin(&[
            "synth",
            "--instances",
            &count,
            "--image-archives",
            &images,
            "--metadata-archives",
            "1",
            "--out",
            set.to_str().unwrap(),
        ]);
        assert!(made.status.success(), "{}", talk(&made));
        for side in ["metadata", "images"] {
            for name in files(&set.join(side), "").into_keys() {
                let body = Body::file(set.join(side).join(&name)).unwrap();
                let key = format!("{side}/{name}");
                storage.put("archive", &key, body, StorageClass::Glacier).unwrap();
            }
        }
        let bench = Self { emulator, folder };
        bench.queue("restores");
        bench
    }

    /// Makes a queue that hears of all restores, and returns its URL.
    pub(crate) fn queue(&self, name: &str) -> String {
        self.emulator.queues().create(name);
        let route = Route::to_queue(Shape::EventBridge, name);
        self.emulator.storage().add_route("archive", route).unwrap();
        format!("{}/111122223333/{name}", self.emulator.endpoint())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_dcmjoin"));
        command
            .args(args)
            .env("AWS_ENDPOINT_URL", self.emulator.endpoint())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test-key")
            .env("AWS_SECRET_ACCESS_KEY", "test-secret")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn campaign(&self, ledger: &str, args: &[&str]) -> Command {
        self.command(&[&["campaign", "--ledger", ledger], args].concat())
    }

    /// Makes a campaign whose output is its own.
    pub(crate) fn create(&self, ledger: &str, name: &str, queue: &str) {
        let output = format!("s3://output/{name}");
        let created = self
            .campaign(
                ledger,
                &[
                    "create",
                    "--name",
                    name,
                    "--metadata",
                    "s3://archive/metadata/",
                    "--images",
                    "s3://archive/images/",
                    "--output",
                    &output,
                    "--queue",
                    queue,
                    "--json",
                ],
            )
            .output()
            .unwrap();
        assert!(created.status.success(), "{}", talk(&created));
        let standing: Value = serde_json::from_slice(&created.stdout).unwrap();
        assert_eq!(standing["stages"][0]["archives"], IMAGES + 1, "to be restored");
        assert_eq!(standing["stages"][2]["of_archives"], IMAGES, "images");
        assert_eq!(standing["waves"][0]["states"]["planned"]["archives"], 1);
        assert_eq!(standing["waves"][1]["states"]["planned"]["archives"], IMAGES);
    }

    /// Returns a command that makes a campaign of the bench's own queue.
    pub(crate) fn creating(&self, ledger: &str) -> Command {
        let queue = format!("{}/111122223333/restores", self.emulator.endpoint());
        let mut command = self.campaign(ledger, &["create", "--output", "s3://output/campaign"]);
        command.args(["--metadata", "s3://archive/metadata/", "--queue", &queue]);
        command.args(["--images", "s3://archive/images/"]);
        command
    }

    /// Makes a campaign of the bench's own queue.
    pub(crate) fn create_one(&self, ledger: &str) {
        self.create(
            ledger,
            "campaign",
            &format!("{}/111122223333/restores", self.emulator.endpoint()),
        );
    }

    /// Starts an orchestrator.
    pub(crate) fn start(&self, ledger: &str) -> Child {
        let mut command = self.campaign(ledger, &["start", "--wait-secs", "1"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn status(&self, ledger: &str, name: &str) -> Value {
        let said = self.campaign(ledger, &["status", "--json", "--name", name]).output().unwrap();
        assert!(said.status.success(), "{}", talk(&said));
        serde_json::from_slice(&said.stdout).unwrap()
    }

    /// Checks that a campaign is done and everything is published, each archive restored once.
    pub(crate) fn check(&self, ledger: &str, name: &str, restores: u64) {
        let standing = self.status(ledger, name);
        assert_eq!(standing["mode"], "done", "{standing:#}");
        assert_eq!(standing["failures"], serde_json::json!({}), "{standing:#}");
        let keys = self.emulator.storage().keys("output", &format!("{name}/")).unwrap();
        let instances = keys.iter().filter(|key| !key.contains("_dcmjoin/")).count();
        assert_eq!(instances, INSTANCES);
        let markers = keys.iter().filter(|key| key.ends_with("/commit.json")).count();
        assert!(markers > 0, "the last run left no marker");
        let asked = self.emulator.ledger().retrieved(Tier::Bulk).requests;
        assert_eq!(asked, restores, "restores");
    }
}

pub(crate) fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_campaign_runs_from_create_to_done() {
    let bench = Bench::new();
    let ledger = bench.path("campaign.db");
    bench.create_one(&ledger);
    let ran = bench.start(&ledger).wait_with_output().unwrap();
    assert!(ran.status.success(), "{}", talk(&ran));
    let words = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(words.starts_with("campaign: done"), "{words}");
    bench.check(&ledger, "campaign", IMAGES + 1);

    // Again: nothing is left to do, and nothing is done.
    assert!(bench.start(&ledger).wait().unwrap().success());
    bench.check(&ledger, "campaign", IMAGES + 1);
    let resumed = bench.campaign(&ledger, &["resume"]).output().unwrap();
    assert_eq!(resumed.status.code(), Some(1));
    assert!(talk(&resumed).contains("the campaign is done"), "{}", talk(&resumed));
}

#[test]
fn a_campaign_is_paused_resumed_and_cancelled() {
    let bench = Bench::new();
    let ledger = bench.path("campaign.db");
    bench.create_one(&ledger);
    let act = |what: &str| assert!(bench.campaign(&ledger, &[what]).status().unwrap().success());
    act("pause");
    let ran = bench.start(&ledger).wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert!(talk(&ran).contains("paused: asked for"), "{}", talk(&ran));
    assert_eq!(bench.emulator.ledger().retrieved(Tier::Bulk).requests, 0);

    // A running one is paused by another process.
    act("resume");
    bench.emulator.clock().run(0.0);
    let running = bench.start(&ledger);
    wait_for("restores", || bench.emulator.ledger().retrieved(Tier::Bulk).requests == IMAGES + 1);
    act("pause");
    let ran = running.wait_with_output().unwrap();
    assert!(talk(&ran).contains("paused"), "{}", talk(&ran));
    assert_eq!(bench.status(&ledger, "campaign")["mode"], "paused");

    act("cancel");
    assert_eq!(bench.start(&ledger).wait().unwrap().code(), Some(130));
    let standing = bench.status(&ledger, "campaign");
    assert_eq!(standing["mode"], "cancelled");
    assert_eq!(standing["failures"]["cancelled"], IMAGES + 1);
    assert!(!bench.campaign(&ledger, &["resume"]).status().unwrap().success());
    assert_eq!(bench.emulator.ledger().retrieved(Tier::Bulk).requests, IMAGES + 1);
}

/// Bulk takes ten minutes here; nobody waits for it.
#[test]
fn restores_that_run_are_upgraded() {
    let (second, minutes) = (Duration::from_secs(1), Duration::from_secs(600));
    let bench = Bench::taking(minutes, second);
    let ledger = bench.path("campaign.db");
    bench.create_one(&ledger);
    let running = bench.start(&ledger);
    let asked = |tier| bench.emulator.ledger().retrieved(tier).requests;
    wait_for("restore", || asked(Tier::Bulk) > 0);
    let faster = bench.campaign(&ledger, &["resume", "--tier", "expedited"]).output().unwrap();
    assert!(faster.status.success(), "{}", talk(&faster));
    let ran = running.wait_with_output().unwrap();
    assert!(ran.status.success(), "{}", talk(&ran));
    assert_eq!(asked(Tier::Expedited), IMAGES + 1, "each was asked for once more, or at once");
    assert_eq!(bench.status(&ledger, "campaign")["mode"], "done");
}

#[test]
fn a_budget_pauses_and_a_larger_one_goes_on() {
    let bench = Bench::new();
    let ledger = bench.path("campaign.db");
    let created = bench
        .campaign(
            &ledger,
            &[
                "create",
                "--metadata",
                "s3://archive/metadata/",
                "--images",
                "s3://archive/images/",
                "--output",
                "s3://output/campaign",
                "--tier",
                "expedited",
                "--budget-usd",
                "0.025",
            ],
        )
        .output()
        .unwrap();
    assert!(created.status.success(), "{}", talk(&created));
    let ran = bench.start(&ledger).wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert!(talk(&ran).contains("budget"), "{}", talk(&ran));
    let asked = bench.emulator.ledger().retrieved(Tier::Expedited).requests;
    assert!(asked <= 2, "{asked} restores of a cent each");
    let resumed = bench.campaign(&ledger, &["resume", "--budget-usd", "1"]).status().unwrap();
    assert!(resumed.success());
    // Without a queue it is the listings that tell, an hour apart.
    let stopped = bench.start(&ledger);
    wait_for("restores", || {
        bench.emulator.ledger().retrieved(Tier::Expedited).requests == IMAGES + 1
    });
    terminate(&stopped);
    assert_eq!(stopped.wait_with_output().unwrap().status.code(), Some(130));
    assert!(bench.status(&ledger, "campaign")["spent_usd"].as_f64().unwrap() > 0.04);
}

#[test]
fn a_campaign_whose_archives_were_not_found_is_a_draft() {
    let bench = Bench::new();
    let (ledger, list) = (bench.path("campaign.db"), bench.path("list"));
    std::fs::write(&list, "s3://archive/images/i00000.tar\ns3://archive/images/none.tar\n")
        .unwrap();
    let images = format!("@{list}");
    let create = |images: &str| {
        let output = "s3://output/campaign";
        let args = ["create", "--metadata", "s3://archive/metadata/", "--output", output];
        bench.campaign(&ledger, &[&args[..], &["--images", images]].concat()).output().unwrap()
    };
    let created = create(&images);
    assert_eq!(created.status.code(), Some(1));
    assert!(talk(&created).contains("list:2"), "{}", talk(&created));
    let started = bench.start(&ledger).wait_with_output().unwrap();
    assert!(talk(&started).contains("create it again"), "{}", talk(&started));
    assert!(!bench.campaign(&ledger, &["resume"]).status().unwrap().success());
    assert!(create("s3://archive/images/").status.success());
    assert_eq!(bench.status(&ledger, "campaign")["mode"], "active");
    let again = create("s3://archive/images/");
    assert!(talk(&again).contains("is there already"), "{}", talk(&again));
}

pub(crate) fn terminate(child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
}

/// Waits until a condition holds.
pub(crate) fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(120), "no {what} within two minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
}
