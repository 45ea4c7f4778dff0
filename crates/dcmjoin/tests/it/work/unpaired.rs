//! Halves without partner: they wait, are given up by a rule, are listed, and pair all the same when they can.

use std::time::Duration;

use dcmjoin_testkit::{ClickHouse, Database};
use serde_json::Value;

use super::scene::{Scene, told};
use crate::archive::{header, image};

#[test]
fn halves_are_given_up_by_the_rule_and_pair_after_that() {
    given_up_and_paired(Scene::folders());
}

#[test]
fn the_rule_holds_with_facts_on_postgres() {
    let database = Database::create().unwrap();
    given_up_and_paired(Scene::folders().sharing(Some(database.url()), None));
}

#[test]
fn the_rule_holds_with_facts_on_clickhouse() {
    let server = ClickHouse::start().unwrap();
    let url = server.url().replace("http://", "clickhouse://");
    given_up_and_paired(Scene::folders().sharing(None, Some(&url)));
}

#[cfg(feature = "kafka")]
#[test]
fn the_rule_holds_with_facts_on_kafka() {
    let server = dcmjoin_testkit::Kafka::start().unwrap();
    let url = format!("kafka://{}/unpaired", server.bootstrap());
    given_up_and_paired(Scene::folders().sharing(None, Some(&url)));
}

/// UID, attempts, whether it is given up.
type Half = (String, Option<u64>, bool);

fn listed(scene: &Scene, args: &[&str]) -> Vec<Value> {
    let listed = scene.with_tasks(&[&["work", "unpaired"], args].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert!(listed.status.success(), "{said}");
    let text = String::from_utf8(listed.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn halves(scene: &Scene, args: &[&str]) -> Vec<Half> {
    let half = |row: &Value| {
        let uid = row["uid"].as_str().unwrap().to_owned();
        (uid, row["attempts"].as_u64(), row["given_up"].as_bool().unwrap())
    };
    let mut halves: Vec<Half> = listed(scene, args).iter().map(half).collect();
    halves.sort();
    halves
}

fn half(uid: &str, attempts: impl Into<Option<u64>>, is_given_up: bool) -> Half {
    (uid.to_owned(), attempts.into(), is_given_up)
}

fn refused(scene: &Scene, args: &[&str]) -> String {
    let refused = scene.with_tasks(&[&["work"], args].concat()).output().unwrap();
    assert!(!refused.status.success());
    String::from_utf8_lossy(&refused.stderr).into_owned()
}

fn closed(scene: &Scene) -> Value {
    told(&scene.with_tasks(&["work", "all"]).output().unwrap())["reports"][0].clone()
}

fn given_up_and_paired(scene: Scene) {
    let scene = scene.raw(None).giving_up("attempts=2");
    let place = &scene.place;
    for late in ["metadata-late", "images-late"] {
        std::fs::create_dir(place.path(late)).unwrap();
    }
    place.write("metadata/a.tar", &[header("2.25.1", "P"), header("2.25.4", "P")]);
    place.write("images/a.tar", &[image("2.25.1", 1), image("2.25.2", 2)]);
    scene.add(&["metadata", "images"]);
    assert!(refused(&scene, &["unpaired"]).contains("--from facts"));

    // While archives are open the log tells who waits.
    told(&scene.with_tasks(&["work", "scan"]).output().unwrap());
    assert!(refused(&scene, &["unpaired", "--from", "facts"]).contains("closings count"));
    let waiting = |rule| halves(&scene, &["--from", "facts", "--all", "--give-up", rule]);
    let both = |over| vec![half("2.25.2", None, over), half("2.25.4", None, over)];
    assert_eq!(waiting("age=0s"), both(true));
    assert_eq!(waiting("age=1d"), both(false));
    assert_eq!(waiting("watermark"), both(true), "no archive is open");
    assert!(halves(&scene, &["--from", "facts", "--give-up", "age=1d"]).is_empty());

    // One closing is one attempt.
    closed(&scene);
    assert!(halves(&scene, &[]).is_empty());
    let first = listed(&scene, &["--all"]);
    assert_eq!(halves(&scene, &["--all"]), [half("2.25.2", 1, false), half("2.25.4", 1, false)]);
    assert!(refused(&scene, &["purge"]).contains("got 2 by the rule attempts=2"));

    // What came since has a second less, and one attempt less.
    std::thread::sleep(Duration::from_millis(1100));
    place.write("images-late/b.tar", &[image("2.25.3", 3)]);
    scene.add(&["images-late"]);
    assert!(halves(&scene, &["--give-up", "watermark"]).is_empty(), "an archive is open");
    closed(&scene);
    let given_up = listed(&scene, &[]);
    assert_eq!(halves(&scene, &[]), [half("2.25.2", 2, true), half("2.25.4", 2, true)]);
    for row in &first {
        let now = given_up.iter().find(|now| now["uid"] == row["uid"]).unwrap();
        assert_eq!((&now["since"], &now["archive"]), (&row["since"], &row["archive"]));
    }
    let all = listed(&scene, &["--all"]);
    let third = all.iter().find(|row| row["uid"] == "2.25.3").unwrap();
    assert!(third["since"].as_str() > first[0]["since"].as_str(), "{all:?}");
    assert!(refused(&scene, &["purge"]).contains("got 1 by the rule attempts=2"));

    // A half that was given up pairs as any other.
    place.write("metadata-late/b.tar", &[header("2.25.2", "P")]);
    scene.add(&["metadata-late"]);
    let report = closed(&scene);
    assert_eq!(
        (&report["images"]["paired"], &report["images"]["unpaired"]),
        (&2.into(), &1.into())
    );
    assert_eq!(halves(&scene, &[]), [half("2.25.3", 2, true), half("2.25.4", 3, true)]);
    assert_eq!(halves(&scene, &["--give-up", "age=1d", "--all"]).len(), 2);
    assert!(halves(&scene, &["--give-up", "age=1d"]).is_empty());
    assert!(scene.instances("out").contains_key("2.25.2.dcm"));

    // All that is left is given up, so its raw objects may go.
    let removed = told(&scene.with_tasks(&["work", "purge"]).output().unwrap());
    assert!(removed["objects"].as_u64() >= Some(6), "{removed}");
}

#[test]
fn rows_that_are_not_those_of_the_closing_are_refused() {
    let scene = Scene::folders();
    scene.place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    scene.place.write("images/a.tar", &[image("2.25.2", 2)]);
    scene.add(&["metadata", "images"]);
    let run = closed(&scene)["run"].as_str().unwrap().to_owned();
    assert_eq!(halves(&scene, &[]), [half("2.25.1", 1, true), half("2.25.2", 1, true)]);
    let rows = scene.place.path(&format!("out/_dcmjoin/{run}/unpaired.jsonl"));
    let text = std::fs::read_to_string(&rows).unwrap();
    for (damaged, said) in [
        (text.replace("2.25.2", "2.25.9"), "CRC-32"),
        (text.replace('{', "["), "a half a line"),
        (text.trim_end().to_owned(), "CRC-32"),
    ] {
        std::fs::write(&rows, damaged).unwrap();
        let got = refused(&scene, &["unpaired"]);
        assert!(got.contains(said) && got.contains("unpaired.jsonl"), "{got}");
    }
    std::fs::remove_file(&rows).unwrap();
    assert!(refused(&scene, &["unpaired"]).contains("no such object"));
}

/// A closing that could not read all archives does not close the books, whatever the one before did.
#[test]
fn raw_objects_stay_where_the_last_closing_left_no_marker() {
    let scene = Scene::folders().raw(None);
    let place = &scene.place;
    place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    place.write("images/a.tar", &[image("2.25.1", 1), image("2.25.2", 2)]);
    scene.add(&["metadata", "images"]);
    closed(&scene);
    let file = place.path("out/_dcmjoin/campaigns/default.json");
    let mut closings: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let mut second = closings["closings"][0].clone();
    assert_eq!(second["is_committed"], true);
    second["is_committed"] = false.into();
    closings["closings"].as_array_mut().unwrap().push(second);
    std::fs::write(&file, closings.to_string()).unwrap();
    assert!(refused(&scene, &["purge"]).contains("no commit marker"));
    assert_eq!(halves(&scene, &[]), [half("2.25.2", 1, true)], "it did not look everywhere");

    // Those of another store are none of this one's.
    for closing in closings["closings"].as_array_mut().unwrap() {
        closing["store"] = "0".repeat(32).into();
    }
    std::fs::write(&file, closings.to_string()).unwrap();
    assert!(refused(&scene, &["unpaired"]).contains("none of its closings"));
    std::fs::write(&file, "{").unwrap();
    let said = refused(&scene, &["unpaired"]);
    assert!(said.contains("dcmjoin.closings/1") && said.contains("default.json"), "{said}");
}
