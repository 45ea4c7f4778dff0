//! A campaign whose archives are read by workers, each a process.

use std::process::Stdio;

use dcmjoin_testkit::Postgres;

use super::{Bench, IMAGES, talk, terminate};
use crate::archive::files;

#[test]
fn workers_read_a_campaign_and_keep_its_archives() {
    let bench = Bench::new();
    let tasks = bench.path("tasks.db");
    read_by_a_worker(&bench, &tasks);
}

#[test]
fn workers_read_a_campaign_by_tasks_of_a_server() {
    let server = Postgres::start().unwrap();
    read_by_a_worker(&Bench::new(), &server.create_database().unwrap());
}

fn read_by_a_worker(bench: &Bench, tasks: &str) {
    let (ledger, kept) = (bench.path("campaign.db"), bench.path("kept"));
    let created = bench.creating(&ledger).args(["--keep-copies", &kept]).output().unwrap();
    assert!(created.status.success(), "{}", talk(&created));
    let mut worker = bench.command(&["work", "scan", "--wait", "--tasks", tasks, "--json"]);
    let worker = worker.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started =
        bench.campaign(&ledger, &["start", "--wait-secs", "1", "--tasks", tasks]).output().unwrap();
    assert!(started.status.success(), "{}", talk(&started));
    let status = bench.campaign(&ledger, &["status", "--json", "--tasks", tasks]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let work = status["work"].as_array().unwrap();
    assert_eq!((&work[1]["stage"], &work[1]["done"]), (&"images".into(), &IMAGES.into()));
    assert!(work[1]["bytes_per_sec"].as_f64() > Some(0.0), "{status:#}");
    terminate(&worker);
    let ended = worker.wait_with_output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(told["archives"], IMAGES + 1, "{told:#}");
    bench.check(&ledger, "campaign", IMAGES + 1);
    let copies = files(&bench.folder.path().join("kept/archive"), "");
    for side in ["metadata", "images"] {
        for (name, body) in files(&bench.folder.path().join("set").join(side), "") {
            assert!(copies[&format!("{side}/{name}")] == body, "{side}/{name}");
        }
    }
}
