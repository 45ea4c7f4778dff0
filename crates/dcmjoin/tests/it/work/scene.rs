//! A place with archives, a task store and a fact log, and workers that share them.

use std::collections::BTreeMap;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use dcmjoin_testkit::{Access, SeaweedFs, program};
use serde_json::Value;

use crate::archive::{Place, dcmjoin, files, reasons};

pub(crate) type Objects = BTreeMap<String, Vec<u8>>;

/// How long anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// A place with a task store, and where its sources and outputs are.
pub(crate) struct Scene {
    pub(crate) place: Place,
    server: Option<SeaweedFs>,
    tasks: String,
    facts: Option<String>,
    /// More of `work add`.
    adding: Vec<String>,
}

impl Scene {
    pub(crate) fn folders() -> Self {
        Self::of(Place::new(), None)
    }

    pub(crate) fn of(place: Place, server: Option<SeaweedFs>) -> Self {
        let tasks = place.text("tasks.db");
        Self { place, server, tasks, facts: None, adding: Vec::new() }
    }

    /// The same with tasks and facts elsewhere: a file or a URL.
    pub(crate) fn sharing(mut self, tasks: Option<&str>, facts: Option<&str>) -> Self {
        self.tasks = tasks.map_or(self.tasks, str::to_owned);
        self.facts = facts.map(str::to_owned);
        self
    }

    /// The same with raw objects: below the output, or elsewhere.
    pub(crate) fn raw(mut self, place: Option<&str>) -> Self {
        self.adding.push("--raw".to_owned());
        self.adding.extend(place.map(str::to_owned));
        self
    }

    /// The same with a rule by which halves are given up.
    pub(crate) fn giving_up(mut self, rule: &str) -> Self {
        self.adding.extend(["--give-up".to_owned(), rule.to_owned()]);
        self
    }

    /// The sources of the place, copied to a server.
    pub(crate) fn buckets(place: Place) -> Self {
        let server = SeaweedFs::start().unwrap();
        let source = server.admin().create_bucket("source").unwrap();
        server.admin().create_bucket("target").unwrap();
        for side in ["metadata", "images"] {
            for (name, body) in files(&place.path(side), "") {
                source.put(&format!("{side}/{name}"), body).unwrap();
            }
        }
        Self::of(place, Some(server))
    }

    pub(crate) fn source(&self, side: &str) -> String {
        match &self.server {
            Some(_) => format!("s3://source/{side}"),
            None => self.place.text(side),
        }
    }

    pub(crate) fn output(&self, name: &str) -> String {
        match &self.server {
            Some(_) => format!("s3://target/{name}"),
            None => self.place.text(name),
        }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_dcmjoin"));
        command.args(args).arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(admin) = self.server.as_ref().map(SeaweedFs::admin) {
            Access::apply(&admin, &mut command);
        }
        command
    }

    pub(crate) fn with_tasks(&self, args: &[&str]) -> Command {
        let mut command = self.command(&[args, &["--tasks", &self.tasks]].concat());
        if let (Some(facts), "work") = (&self.facts, args[0]) {
            command.args(["--facts", facts]);
        }
        command
    }

    pub(crate) fn add(&self, sides: &[&str]) -> u64 {
        let mut command = self.with_tasks(&["work", "add", "--output", &self.output("out")]);
        command.args(&self.adding);
        self.name(&mut command, sides);
        told(&command.output().unwrap())["added"].as_u64().unwrap()
    }

    fn name(&self, command: &mut Command, sides: &[&str]) {
        for side in sides {
            let option = if side.starts_with("metadata") { "--metadata" } else { "--images" };
            command.args([option, &self.source(side)]);
        }
    }

    pub(crate) fn whole(&self) -> Value {
        self.whole_of(&["metadata", "images"])
    }

    pub(crate) fn whole_of(&self, sides: &[&str]) -> Value {
        self.run(sides, "whole")
    }

    /// One run over sides, to an output.
    pub(crate) fn run(&self, sides: &[&str], output: &str) -> Value {
        let mut command = self.command(&["run", "--output", &self.output(output)]);
        self.name(&mut command, sides);
        told(&command.output().unwrap())
    }

    pub(crate) fn instances(&self, output: &str) -> Objects {
        let mut all = self.objects(output);
        all.retain(|key, _| !key.starts_with("_dcmjoin"));
        all
    }

    /// How many instances an output has, while others write there.
    pub(crate) fn count(&self, output: &str) -> usize {
        match &self.server {
            None => std::fs::read_dir(self.place.path(output)).map_or(0, |found| {
                found
                    .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_file()))
                    .count()
            }),
            Some(server) => {
                let keys = server.admin().bucket("target").list(&format!("{output}/")).unwrap();
                keys.iter().filter(|key| !key.contains("_dcmjoin")).count()
            }
        }
    }

    /// All that lies below an output.
    pub(crate) fn objects(&self, output: &str) -> Objects {
        match &self.server {
            None => files(&self.place.path(output), ""),
            Some(server) => {
                let target = server.admin().bucket("target");
                let prefix = format!("{output}/");
                let objects = target.objects(&prefix).unwrap().into_iter();
                objects.map(|(key, body)| (key[prefix.len()..].to_owned(), body)).collect()
            }
        }
    }

    /// What the fact log has of the only campaign.
    fn late(&self) -> Value {
        let status = told(&self.with_tasks(&["work", "status", "--late"]).output().unwrap());
        status["late"][0].clone()
    }

    pub(crate) fn status(&self, stage: &str) -> Value {
        let status = told(&self.with_tasks(&["work", "status"]).output().unwrap());
        let stages = status["stages"].as_array().unwrap();
        stages.iter().find(|found| found["stage"] == stage).unwrap_or(&Value::Null).clone()
    }
}

pub(crate) fn told(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

pub(crate) fn until(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "it did not come to be");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const SIZE: [&str; 6] =
    ["--instances", "1500", "--metadata-archives", "6", "--image-archives", "20"];

pub(crate) fn synthetic(place: &Place) {
    let flaws = ["--duplicate", "0.03", "--conflict", "0.03", "--broken", "0.02"];
    synth(place, &[&flaws[..], &["--unpaired-images", "0.05"]].concat());
}

/// Without conflicts: which of several headers counts must not depend on which came late.
pub(crate) fn synthetic_with_late_headers(place: &Place) {
    let flaws = ["--conflict", "0", "--broken", "0", "--duplicate", "0.03"];
    synth(place, &[&flaws[..], &["--unpaired-images", "0.05"]].concat());
    std::fs::create_dir(place.path("metadata-late")).unwrap();
    for name in files(&place.path("metadata"), "").into_keys().step_by(2) {
        let (from, to) = (format!("metadata/{name}"), format!("metadata-late/{name}"));
        std::fs::rename(place.path(&from), place.path(&to)).unwrap();
    }
}

pub(crate) fn synth(place: &Place, more: &[&str]) {
    let made = dcmjoin(&[&["synth", "--out", &place.text("")], &SIZE[..], more].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

pub(crate) fn same_books(closed: &Value, whole: &Value) {
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

pub(crate) fn same_objects(got: &Objects, expected: &Objects) {
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
pub(crate) fn two_of_three_are_killed(scene: &Scene) {
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

pub(crate) fn terminate(child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
}

/// Half of the headers come when all images are through, and their pairs are published by three
/// assembling workers, of which two are killed on the way.
pub(crate) fn two_of_three_assembling_are_killed(scene: &Scene) {
    synthetic_with_late_headers(&scene.place);
    let whole = scene.whole_of(&["metadata", "metadata-late", "images"]);
    scene.add(&["metadata", "images"]);
    told(&scene.with_tasks(&["work", "scan"]).output().unwrap());
    let early = scene.instances("out").len();
    let waiting = scene.late();
    assert!(waiting["halves"].as_u64() > Some(0) && waiting["pairs"] == 0, "{waiting}");
    scene.add(&["metadata-late"]);
    told(&scene.with_tasks(&["work", "scan"]).output().unwrap());
    let paired = scene.late();
    assert!(paired["pairs"].as_u64() > Some(0), "{paired}");
    assert!(paired["halves"].as_u64() < waiting["halves"].as_u64(), "{paired}");
    let worker = || scene.with_tasks(&["work", "assemble", "--lease", "6"]).spawn().unwrap();
    let mut workers = [worker(), worker(), worker()];
    until(|| scene.instances("out").len() > early);
    for killed in &mut workers[..2] {
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    let pairs = whole["images"]["paired"].as_u64().unwrap() as usize;
    assert!(early < pairs);
    until(|| scene.instances("out").len() == pairs);
    // The killed ones may have published all of them, and said so of none.
    until(|| scene.late()["pairs"] == 0);
    terminate(&workers[2]);
    assert_eq!(workers[2].wait().unwrap().code(), Some(130));
    let closed = told(&scene.with_tasks(&["work", "all"]).output().unwrap());
    same_books(&closed["reports"][0], &whole);
    same_objects(&scene.instances("out"), &scene.instances("whole"));
}
