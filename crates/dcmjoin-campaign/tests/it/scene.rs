//! A small archive on the emulator, and a campaign for it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use dcmjoin_campaign::aws::{Aws, Credentials, Provider};
use dcmjoin_campaign::clockwork::{Clockwork, ScanEnd};
use dcmjoin_campaign::ledger::{Ledger, Standing};
use dcmjoin_campaign::orchestrator::{Outcome, World};
use dcmjoin_campaign::scanner::LocalScanner;
use dcmjoin_campaign::{Error, Orchestrator, Spec, Sqlite, manifest};
use dcmjoin_emulator::{Body, Clock, Emulator, Options, Route, Shape, StorageClass, Time};
use dcmjoin_pipeline::{Report, RunConfig};
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::task::Policy;
use dcmjoin_synth::{Archives, Shares, SynthOptions, synthesize};

/// When the tests' clocks start.
pub(crate) const START: &str = "2026-03-10T09:30:00Z";
/// Image archives of a scene, besides one of metadata.
pub(crate) const IMAGES: u32 = 6;

/// The emulator's clock as the orchestrator's: waiting moves it.
pub(crate) struct Virtual(pub(crate) Clock);

#[async_trait]
impl Clockwork for Virtual {
    async fn wait(&self, now: Moment, wake: Option<Moment>, scan: Option<ScanEnd>) {
        if let Some(mut scan) = scan {
            // A sender that is gone has ended too.
            let _ = scan.wait_for(|ended| *ended).await;
        }
        let until = wake.unwrap_or(now.plus(600)).min(now.plus(600)).max(now.plus(1));
        self.0.advance(Duration::from_secs(now.secs_until(until)));
    }

    fn scan_counts_from(&self, begun: Moment, secs: u64) -> Option<Moment> {
        Some(begun.plus(secs))
    }
}

pub(crate) struct Scene {
    pub(crate) emulator: Emulator,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) spec: Spec,
    pub(crate) instances: u64,
    pub(crate) local: Option<fn() -> Moment>,
    pub(crate) provider: Provider,
}

pub(crate) fn key() -> Credentials {
    Credentials {
        access_key: "test-key".into(),
        secret_key: "test-secret".into(),
        session_token: None,
    }
}

/// The runner's settings of S3.
pub(crate) fn variables(endpoint: &str) -> HashMap<String, String> {
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "test-key"),
        ("AWS_SECRET_ACCESS_KEY", "test-secret"),
        ("AWS_REGION", "us-east-1"),
    ];
    variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(Options::default(), Shape::EventBridge)
    }

    pub(crate) fn with(options: Options, shape: Shape) -> Self {
        let options = Options { start: Time::parse(START).unwrap(), ..options };
        // It has a runtime of its own, which cannot be started from within another.
        let starting = std::thread::spawn(move || Emulator::start(options));
        let emulator = starting.join().unwrap().unwrap();
        let storage = emulator.storage();
        for bucket in ["archive", "output"] {
            storage.create_bucket(bucket).unwrap();
        }
        emulator.queues().create("restores");
        storage.add_route("archive", Route::to_queue(shape, "restores")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let instances = 24;
        let set = SynthOptions {
            archives: Some(Archives { metadata: 1, images: IMAGES }),
            shares: Shares::CLEAN,
            ..SynthOptions::new(instances, 7)
        };
        synthesize(&set, &folder.path().join("set"), &mut |_| {}).unwrap();
        for side in ["metadata", "images"] {
            for entry in std::fs::read_dir(folder.path().join("set").join(side)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                let body = Body::file(&path).unwrap();
                storage
                    .put("archive", &format!("{side}/{name}"), body, StorageClass::Glacier)
                    .unwrap();
            }
        }
        let spec = Spec {
            metadata: vec!["s3://archive/metadata/".into()],
            images: vec!["s3://archive/images/".into()],
            output: "s3://output/out".into(),
            region: "us-east-1".into(),
            queue: Some(format!("{}/111122223333/restores", emulator.endpoint())),
            policy: Policy::default(),
            wave_bytes: 200_000,
            waves_ahead: Some(2),
            bytes_per_sec: 10,
            restores_per_sec: 1_000,
            budget: None,
            prices: None,
            batch: None,
            keep: None,
        };
        Self { emulator, folder, spec, instances, local: None, provider: Arc::new(|| Some(key())) }
    }

    pub(crate) fn aws(&self) -> Arc<Aws> {
        let aws =
            Aws::new(Some(&self.emulator.endpoint()), "us-east-1", Arc::clone(&self.provider))
                .unwrap();
        Arc::new(match self.local {
            Some(local) => aws.with_local_time(local),
            None => aws,
        })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("campaign.db")
    }

    /// Makes the campaign's journal.
    pub(crate) async fn create(&self) -> Sqlite {
        let ledger = Sqlite::create(&self.file(), &self.spec).unwrap();
        let found = manifest::fill(&ledger, &self.aws(), &self.spec).await.unwrap();
        assert_eq!(found, u64::from(IMAGES) + 1);
        ledger
    }

    pub(crate) fn scanner(&self) -> LocalScanner {
        let variables = variables(&self.emulator.endpoint());
        let mut config = RunConfig::new(Vec::new(), Vec::new(), self.spec.output.parse().unwrap());
        config.keep = self.spec.keep.as_ref().map(|keep| keep.parse().unwrap());
        LocalScanner::new(config, Some(variables))
    }

    pub(crate) fn world(&self, ledger: Arc<dyn Ledger>) -> World {
        World {
            ledger,
            aws: self.aws(),
            scanner: Arc::new(self.scanner()),
            clockwork: Arc::new(Virtual(self.emulator.clock())),
            stop: Arc::new(AtomicBool::new(false)),
        }
    }

    pub(crate) async fn run(&self, ledger: Arc<dyn Ledger>) -> Result<Outcome, Error> {
        Orchestrator::take(self.world(ledger), "test")?.run().await
    }

    /// Makes and runs the campaign; it must end with balanced books and every instance published.
    pub(crate) async fn balances(&self) -> Standing {
        let ledger = Arc::new(self.create().await);
        let outcome = self.run(ledger.clone()).await.unwrap();
        let report = report(outcome);
        self.check(&report, &ledger.standing().unwrap())
    }

    pub(crate) fn check(&self, report: &Report, standing: &Standing) -> Standing {
        report.books().check().unwrap();
        assert_eq!(report.metadata.archives, 1);
        assert_eq!(report.images.archives, u64::from(IMAGES));
        let instances = &report.instances;
        assert_eq!(instances.published + instances.already_there, self.instances, "{instances:?}");
        standing.clone()
    }
}

pub(crate) fn report(outcome: Outcome) -> Report {
    match outcome {
        Outcome::Done(Some(report)) => *report,
        other => panic!("{other:?}"),
    }
}
