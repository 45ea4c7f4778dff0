//! Workers that share a task store, some of them killed: what they leave is what one run leaves.

use std::collections::BTreeMap;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use dcmjoin_testkit::{Access, SeaweedFs, program};
use serde_json::Value;

use crate::archive::{Place, dcmjoin, files, header, image, reasons};

type Objects = BTreeMap<String, Vec<u8>>;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// A place with a task store, and where its sources and outputs are.
struct Scene {
    place: Place,
    server: Option<SeaweedFs>,
}

impl Scene {
    fn folders() -> Self {
        Self { place: Place::new(), server: None }
    }

    /// The sources of the place, copied to a server.
    fn buckets(place: Place) -> Self {
        let server = SeaweedFs::start().unwrap();
        let source = server.admin().create_bucket("source").unwrap();
        server.admin().create_bucket("target").unwrap();
        for side in ["metadata", "images"] {
            for (name, body) in files(&place.path(side), "") {
                source.put(&format!("{side}/{name}"), body).unwrap();
            }
        }
        Self { place, server: Some(server) }
    }

    fn source(&self, side: &str) -> String {
        match &self.server {
            Some(_) => format!("s3://source/{side}"),
            None => self.place.text(side),
        }
    }

    fn output(&self, name: &str) -> String {
        match &self.server {
            Some(_) => format!("s3://target/{name}"),
            None => self.place.text(name),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_dcmjoin"));
        command.args(args).arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(admin) = self.server.as_ref().map(SeaweedFs::admin) {
            Access::apply(&admin, &mut command);
        }
        command
    }

    fn json(&self, args: &[&str]) -> Value {
        told(&self.command(args).output().unwrap())
    }

    fn with_tasks(&self, args: &[&str]) -> Command {
        self.command(&[args, &["--tasks", &self.place.text("tasks.db")]].concat())
    }

    fn add(&self, sides: &[&str]) -> u64 {
        let mut command = self.with_tasks(&["work", "add", "--output", &self.output("out")]);
        for side in sides {
            let option = if side.starts_with("metadata") { "--metadata" } else { "--images" };
            command.args([option, &self.source(side)]);
        }
        told(&command.output().unwrap())["added"].as_u64().unwrap()
    }

    fn whole(&self) -> Value {
        let (metadata, images) = (self.source("metadata"), self.source("images"));
        let output = self.output("whole");
        self.json(&["run", "--metadata", &metadata, "--images", &images, "--output", &output])
    }

    fn instances(&self, output: &str) -> Objects {
        let all = match &self.server {
            None => files(&self.place.path(output), ""),
            Some(server) => {
                let target = server.admin().bucket("target");
                let prefix = format!("{output}/");
                let objects = target.objects(&prefix).unwrap().into_iter();
                objects.map(|(key, body)| (key[prefix.len()..].to_owned(), body)).collect()
            }
        };
        all.into_iter().filter(|(key, _)| !key.starts_with("_dcmjoin")).collect()
    }

    fn status(&self, stage: &str) -> Value {
        let status = told(&self.with_tasks(&["work", "status"]).output().unwrap());
        let stages = status["stages"].as_array().unwrap();
        stages.iter().find(|found| found["stage"] == stage).unwrap_or(&Value::Null).clone()
    }
}

fn told(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn until(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "it did not come to be");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn synthetic(place: &Place) {
    let out = place.text("");
    let made = dcmjoin(&[
        "synth",
        "--instances",
        "1500",
        "--metadata-archives",
        "6",
        "--image-archives",
        "20",
        "--duplicate",
        "0.03",
        "--conflict",
        "0.03",
        "--broken",
        "0.02",
        "--unpaired-images",
        "0.05",
        "--out",
        &out,
    ]);
    assert!(made.status.success());
}

fn same_books(closed: &Value, whole: &Value) {
    for part in ["metadata", "images", "ignored", "conflicts", "warnings"] {
        assert_eq!(closed[part], whole[part], "{part}");
    }
    assert_eq!(reasons(closed), reasons(whole));
    let count = |report: &Value, name: &str| report["instances"][name].as_u64().unwrap();
    let durable = |report: &Value| count(report, "published") + count(report, "already_there");
    assert_eq!(durable(closed), durable(whole));
    assert_eq!(count(closed, "pairs"), count(whole, "pairs"));
    assert_eq!(count(closed, "rejected"), count(whole, "rejected"));
}

fn same_objects(got: &Objects, expected: &Objects) {
    let differ: Vec<_> = expected
        .keys()
        .chain(got.keys())
        .filter(|key| got.get(*key) != expected.get(*key))
        .map(|key| (key, got.get(key).map(Vec::len), expected.get(key).map(Vec::len)))
        .collect();
    assert!(differ.is_empty(), "key, bytes got, bytes expected: {differ:?}");
}

/// Three workers, of which two are killed once some archives are through; the third does the rest when
/// the leases of the dead have run out, and closes.
fn two_of_three_are_killed(scene: &Scene) {
    let whole = scene.whole();
    assert_eq!(scene.add(&["metadata", "images"]), 26);
    let worker = || -> Child {
        scene.with_tasks(&["work", "all", "--archives", "2", "--lease", "3"]).spawn().unwrap()
    };
    let (mut first, mut second, third) = (worker(), worker(), worker());
    until(|| scene.status("metadata")["done"].as_u64() > Some(1));
    first.kill().unwrap();
    first.wait().unwrap();
    until(|| scene.status("images")["done"].as_u64() > Some(2));
    second.kill().unwrap();
    second.wait().unwrap();
    let done = told(&third.wait_with_output().unwrap());
    let closed = &done["reports"][0];
    same_books(closed, &whole);
    same_objects(&scene.instances("out"), &scene.instances("whole"));
    assert_eq!(closed["archives"]["known"], 26, "the closing reads no archive");
    assert_eq!(scene.status("close")["done"], 1);
}

#[test]
fn killed_workers_change_nothing_over_folders() {
    let scene = Scene::folders();
    synthetic(&scene.place);
    two_of_three_are_killed(&scene);
}

#[test]
fn killed_workers_change_nothing_over_s3() {
    let place = Place::new();
    synthetic(&place);
    two_of_three_are_killed(&Scene::buckets(place));
}

#[test]
fn late_headers_are_paired_before_the_campaign_is_closed() {
    let scene = Scene::folders();
    let place = &scene.place;
    std::fs::create_dir(place.path("metadata-late")).unwrap();
    place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    place.write("metadata-late/b.tar", &[header("2.25.2", "P")]);
    place.write("images/a.tar", &[image("2.25.1", 1), image("2.25.2", 2), image("2.25.3", 3)]);
    scene.add(&["metadata", "images"]);
    told(&scene.with_tasks(&["work", "scan"]).output().unwrap());
    assert_eq!(scene.instances("out").len(), 1);
    assert_eq!(scene.add(&["metadata-late"]), 1);
    told(&scene.with_tasks(&["work", "scan"]).output().unwrap());
    let mut assembling = scene.with_tasks(&["work", "assemble", "--wait"]).spawn().unwrap();
    until(|| scene.instances("out").len() == 2);
    terminate(&assembling);
    assert_eq!(assembling.wait().unwrap().code(), Some(130));
    let closed = told(&scene.with_tasks(&["work", "all"]).output().unwrap());
    let report = &closed["reports"][0];
    assert_eq!(report["instances"]["already_there"], 2, "{report:#}");
    assert_eq!(report["images"]["unpaired"], 1);

    // The closing is done; what comes later opens it again.
    place.write("metadata-late/c.tar", &[header("2.25.3", "P")]);
    assert_eq!(scene.add(&["metadata-late"]), 1);
    let closed = told(&scene.with_tasks(&["work", "all", "--no-facts"]).output().unwrap());
    let report = &closed["reports"][0];
    assert_eq!((&report["images"]["paired"], &report["complete"]), (&3.into(), &true.into()));
    std::fs::copy(place.path("metadata-late/b.tar"), place.path("metadata/b.tar")).unwrap();
    std::fs::copy(place.path("metadata-late/c.tar"), place.path("metadata/c.tar")).unwrap();
    scene.whole();
    same_objects(&scene.instances("out"), &scene.instances("whole"));
}

fn terminate(child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
}

#[test]
fn a_worker_that_is_asked_to_stop_gives_its_tasks_back() {
    let scene = Scene::folders();
    let place = &scene.place;
    place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    place.write("images/a.tar", &[image("2.25.1", 1)]);
    scene.add(&["metadata", "images"]);
    let mut worker = scene.with_tasks(&["work", "scan", "--wait"]).spawn().unwrap();
    until(|| scene.status("images")["done"] == 1);
    terminate(&worker);
    assert_eq!(worker.wait().unwrap().code(), Some(130));
    assert_eq!(scene.status("images")["claimed"], 0);
    assert_eq!(scene.status("close")["waiting"], 1, "nobody closed");
}

#[test]
fn an_archive_that_is_gone_waits_and_can_be_dropped() {
    let scene = Scene::folders();
    let place = &scene.place;
    place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    place.write("images/a.tar", &[image("2.25.1", 1)]);
    place.write("images/b.tar", &[image("2.25.2", 2)]);
    scene.add(&["metadata", "images"]);
    std::fs::remove_file(place.path("images/b.tar")).unwrap();
    let mut worker = scene.with_tasks(&["work", "all"]).spawn().unwrap();
    until(|| scene.status("images")["done"] == 1 && scene.status("images")["claimed"] == 0);
    terminate(&worker);
    worker.wait().unwrap();
    assert_eq!(scene.status("images")["waiting"], 1, "it is tried again later");

    // As if it had been tried as often as it may be.
    let tasks = rusqlite::Connection::open(place.path("tasks.db")).unwrap();
    let given_up = "UPDATE task SET state = 'dead', attempts = 5 WHERE failure = 'archive_gone'";
    assert_eq!(tasks.execute(given_up, []).unwrap(), 1);
    let list = scene.with_tasks(&["dead-letters", "list"]).output().unwrap();
    let letter: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!((&letter["code"], &letter["stage"]), (&"archive_gone".into(), &"images".into()));
    let id = letter["id"].as_i64().unwrap().to_string();
    let shown = told(&scene.with_tasks(&["dead-letters", "show", &id]).output().unwrap());
    assert_eq!(shown, letter);
    let retried = told(&scene.with_tasks(&["dead-letters", "retry", &id]).output().unwrap());
    assert_eq!(retried["retried"], 1);
    tasks.execute("UPDATE task SET state = 'dead' WHERE id = ?1", [&id]).unwrap();
    let dropped = told(&scene.with_tasks(&["dead-letters", "drop", "--all"]).output().unwrap());
    assert_eq!(dropped["dropped"], 1);
    let closed = told(&scene.with_tasks(&["work", "all"]).output().unwrap());
    assert_eq!(closed["reports"][0]["complete"], true, "{closed:#}");
}
