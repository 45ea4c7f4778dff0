//! Batches given to workers, which share a task store.

use std::sync::Arc;
use std::time::Duration;

use dcmjoin_campaign::Orchestrator;
use dcmjoin_campaign::dispatch::TaskScanner;
use dcmjoin_campaign::ledger::Ledger;
use dcmjoin_campaign::orchestrator::{Outcome, World};
use dcmjoin_emulator::Kind;
use dcmjoin_ledger::tasks::{NewTask, Stage, Wanted};
use dcmjoin_ledger::{Campaign, CampaignName, Sqlite, TaskStore};
use dcmjoin_objects::{Location, Stores};
use dcmjoin_pipeline::staged::{self, CampaignSettings, Drain, WorkConfig, Worked};
use dcmjoin_pipeline::{Progress, RunConfig};
use dcmjoin_restore::spend::Purpose;
use tokio::task::JoinHandle;

use crate::scene::{IMAGES, Scene, report, variables};

fn store(scene: &Scene) -> Arc<dyn TaskStore> {
    Arc::new(Sqlite::open(&scene.folder.path().join("tasks.db")).unwrap())
}

fn name() -> CampaignName {
    "campaign".parse().unwrap()
}

fn world(scene: &Scene, ledger: Arc<dyn Ledger>, tasks: &Arc<dyn TaskStore>) -> World {
    let scanner = TaskScanner::new(scene.scanner(), Arc::clone(tasks), name());
    World { scanner: Arc::new(scanner), ..scene.world(ledger) }
}

/// Starts a worker that scans until it is asked to stop.
fn worker(
    scene: &Scene,
    tasks: &Arc<dyn TaskStore>,
    number: u32,
    drain: &Drain,
) -> JoinHandle<Worked> {
    let mut machine = RunConfig::new(Vec::new(), Vec::new(), Location::Memory);
    machine.publishing_max = 0;
    let config = WorkConfig {
        worker: format!("worker {number}"),
        stages: vec![Stage::Metadata, Stage::Images],
        assembles: false,
        campaign: None,
        waits: true,
        lease: Duration::from_secs(60),
        drain: Duration::from_secs(60),
        machine,
    };
    let stores = Arc::new(Stores::with_variables(variables(&scene.emulator.endpoint())));
    let (tasks, drain) = (Arc::clone(tasks), drain.clone());
    let progress = Arc::new(Progress::default());
    tokio::spawn(async move {
        staged::work(&stores, tasks, None, config, progress, drain).await.unwrap()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_read_what_a_campaign_restores() {
    let mut scene = Scene::new();
    scene.emulator.storage().create_bucket("kept").unwrap();
    scene.spec.keep = Some("s3://kept/copies".into());
    let (tasks, drain) = (store(&scene), Drain::default());
    let workers = [1, 2].map(|number| worker(&scene, &tasks, number, &drain));
    let ledger = Arc::new(scene.create().await);
    let orchestrator = Orchestrator::take(world(&scene, ledger.clone(), &tasks), "test").unwrap();
    let report = report(orchestrator.run().await.unwrap());
    let standing = scene.check(&report, &ledger.standing().unwrap());
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    let spent = standing.spend.by_purpose()[&Purpose::Requests];
    let asked = scene.emulator.ledger();
    let count = |kinds: &[Kind]| kinds.iter().map(|kind| asked.count(*kind)).sum::<u64>();
    // us-east-1: dollars for a request, as the emulator counted them; queues cost besides.
    let gets = count(&[Kind::Get, Kind::Head]);
    let puts = count(&[Kind::Put, Kind::UploadCreate, Kind::UploadPart, Kind::UploadComplete])
        + count(&[Kind::List]);
    #[expect(clippy::cast_precision_loss, reason = "hundreds")]
    let actual = gets as f64 * 0.4e-6 + puts as f64 * 5e-6;
    let share = spent.dollars() / actual;
    assert!((0.8..1.3).contains(&share), "{share} of {gets} GETs and {puts} PUTs");
    drain.ask();
    let mut archives = 0;
    for worker in workers {
        let worked = worker.await.unwrap();
        assert_eq!(worked.failed, 0);
        archives += worked.archives;
    }
    assert_eq!(archives, u64::from(IMAGES) + 1, "all were read by workers");
    let kept = scene.emulator.storage().keys("kept", "copies/archive/").unwrap();
    assert_eq!(kept.len(), IMAGES as usize + 1);
}

/// A task that was done before, with nothing in the catalogue: no worker takes it again.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_worker_takes_is_read_here() {
    let scene = Scene::new();
    let tasks = store(&scene);
    let settings = serde_json::to_string(&CampaignSettings::of(&RunConfig::new(
        Vec::new(),
        Vec::new(),
        scene.spec.output.parse().unwrap(),
    )));
    let settings = settings.unwrap();
    let campaign = Campaign { name: name(), priority: 7, settings };
    tasks.put_campaign(&campaign).await.unwrap();
    for (stage, side) in [(Stage::Metadata, "metadata"), (Stage::Images, "images")] {
        for key in scene.emulator.storage().keys("archive", side).unwrap() {
            let task = NewTask { stage, url: format!("s3://archive/{key}"), bytes: 1 };
            tasks.add(&name(), &[task]).await.unwrap();
            let stages = [stage];
            let wanted = Wanted {
                worker: "one that lies",
                stages: &stages,
                campaign: None,
                max: 1,
                lease: Duration::from_secs(60),
            };
            let claims = tasks.claim(&wanted).await.unwrap();
            tasks.complete(&claims[0]).await.unwrap();
        }
    }
    let ledger = Arc::new(scene.create().await);
    let orchestrator = Orchestrator::take(world(&scene, ledger.clone(), &tasks), "test").unwrap();
    let report = report(orchestrator.run().await.unwrap());
    let standing = scene.check(&report, &ledger.standing().unwrap());
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    assert_eq!(tasks.campaigns().await.unwrap(), [campaign], "its priority stays");
}

/// An orchestrator that dies, or is stopped, leaves its tasks to the workers; the next one waits
/// for them, and holds nothing against the archives.
#[tokio::test(flavor = "multi_thread")]
async fn workers_go_on_without_their_orchestrator() {
    let scene = Scene::new();
    let tasks = store(&scene);
    let ledger = Arc::new(scene.create().await);
    for _ in 0..2 {
        let orchestrator =
            Orchestrator::take(world(&scene, ledger.clone(), &tasks), "test").unwrap();
        let waits = async {
            let there = || async { tasks.depths().await.unwrap().iter().any(is_waiting) };
            while !there().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            outcome = orchestrator.run() => panic!("{outcome:?}"),
            () = waits => {}
        }
        ledger.evict("test").unwrap();
    }
    let world = world(&scene, ledger.clone(), &tasks);
    let stop = Arc::clone(&world.stop);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let stopped = Orchestrator::take(world.clone(), "test").unwrap().run().await.unwrap();
    assert!(matches!(stopped, Outcome::Stopped), "{stopped:?}");
    stop.store(false, std::sync::atomic::Ordering::Relaxed);

    let drain = Drain::default();
    let worker = worker(&scene, &tasks, 1, &drain);
    let report = report(Orchestrator::take(world, "test").unwrap().run().await.unwrap());
    let standing = scene.check(&report, &ledger.standing().unwrap());
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    drain.ask();
    assert_eq!(worker.await.unwrap().archives, u64::from(IMAGES) + 1);
    let page = ledger.page(dcmjoin_campaign::ledger::Select::State("done"), 0, 100).unwrap();
    assert!(page.iter().all(|archive| archive.task.counts.lost == 0));
}

fn is_waiting(depth: &dcmjoin_ledger::tasks::Depth) -> bool {
    depth.waiting.tasks > 0 && depth.stage != Stage::Close
}
