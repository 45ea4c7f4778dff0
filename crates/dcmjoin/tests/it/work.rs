//! Workers that share a task store, some of them killed: what they leave is what one run leaves.

mod clickhouse;
#[cfg(feature = "kafka")]
mod kafka;
mod postgres;
mod raw;
mod scene;
mod unpaired;

use serde_json::Value;

use self::scene::{
    Scene, same_objects, synthetic, terminate, told, two_of_three_are_killed,
    two_of_three_assembling_are_killed, until,
};
use crate::archive::{Place, header, image};

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
fn killed_assembling_workers_change_nothing() {
    two_of_three_assembling_are_killed(&Scene::folders());
}

#[test]
fn late_headers_are_paired_before_the_campaign_is_closed() {
    late_headers(&Scene::folders());
}

fn late_headers(scene: &Scene) {
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
    one_archive_is_gone(&scene, &|given_up| {
        let tasks = rusqlite::Connection::open(scene.place.path("tasks.db")).unwrap();
        assert_eq!(tasks.execute(given_up, []).unwrap(), 1);
    });
}

/// `sql` changes one row of the task store.
fn one_archive_is_gone(scene: &Scene, sql: &dyn Fn(&str)) {
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
    sql("UPDATE task SET state = 'dead', attempts = 5 WHERE failure = 'archive_gone'");
    let list = scene.with_tasks(&["dead-letters", "list"]).output().unwrap();
    let letter: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!((&letter["code"], &letter["stage"]), (&"archive_gone".into(), &"images".into()));
    let id = letter["id"].as_i64().unwrap().to_string();
    let shown = told(&scene.with_tasks(&["dead-letters", "show", &id]).output().unwrap());
    assert_eq!(shown, letter);
    let retried = told(&scene.with_tasks(&["dead-letters", "retry", &id]).output().unwrap());
    assert_eq!(retried["retried"], 1);
    sql(&format!("UPDATE task SET state = 'dead' WHERE id = {id}"));
    let dropped = told(&scene.with_tasks(&["dead-letters", "drop", "--all"]).output().unwrap());
    assert_eq!(dropped["dropped"], 1);
    let closed = told(&scene.with_tasks(&["work", "all"]).output().unwrap());
    assert_eq!(closed["reports"][0]["complete"], true, "{closed:#}");
}
