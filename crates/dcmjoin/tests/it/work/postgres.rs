//! Tasks and facts in a database.

use dcmjoin_testkit::{Database, Postgres};

use super::scene::{
    Scene, same_books, same_objects, synthetic, told, two_of_three_are_killed,
    two_of_three_assembling_are_killed, until,
};
use crate::archive::header;

/// Bytes of a disk that holds the server's data, and is full soon.
const DISK: u64 = 128 << 20;

fn sharing(scene: Scene, url: &str) -> Scene {
    scene.sharing(Some(url), None)
}

#[test]
fn killed_workers_change_nothing() {
    let database = Database::create().unwrap();
    let scene = sharing(Scene::folders(), database.url());
    synthetic(&scene.place);
    two_of_three_are_killed(&scene);
    let tasks = "SELECT count(*) FROM dcmjoin_ledger.task WHERE state = 'done'";
    assert_eq!(database.sql(tasks).unwrap().trim(), "27");
}

#[test]
fn killed_workers_with_raw_objects_change_nothing() {
    let database = Database::create().unwrap();
    let scene = sharing(Scene::folders(), database.url()).raw(None);
    synthetic(&scene.place);
    super::raw::two_of_three_are_killed(&scene);
    let left =
        "SELECT (SELECT count(*) FROM dcmjoin_ledger.arrival), count(*) FROM dcmjoin_ledger.fact";
    assert_eq!(database.sql(left).unwrap().trim(), "0|0", "they are forgotten");
}

#[test]
fn killed_assembling_workers_change_nothing() {
    let database = Database::create().unwrap();
    two_of_three_assembling_are_killed(&sharing(Scene::folders(), database.url()));
    // What has no partner may still be an arrival that nobody looked at.
    let left = "SET search_path TO dcmjoin_ledger;
        SELECT count(*) FROM arrival, unnest(fingerprints) arrived (one) WHERE 2 = (
            SELECT count(DISTINCT half) FROM fact
            WHERE fact.campaign = arrival.campaign AND fact.fingerprint = arrived.one)
        AND NOT EXISTS (
            SELECT FROM done
            WHERE done.campaign = arrival.campaign AND done.fingerprint = arrived.one)";
    assert_eq!(database.sql(left).unwrap().trim(), "0");
}

#[test]
fn facts_may_be_elsewhere_than_tasks() {
    let database = Database::create().unwrap();
    let scene = Scene::folders().sharing(None, Some(database.url()));
    super::late_headers(&scene);
    let facts =
        "SELECT count(*) > 0, (SELECT count(*) FROM dcmjoin_ledger.task) FROM dcmjoin_ledger.fact";
    assert_eq!(database.sql(facts).unwrap().trim(), "t|0");

    let other = Scene::folders().sharing(None, Some(database.url()));
    other.place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    other.add(&["metadata"]);
    let refused = other.with_tasks(&["work", "all"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("another task store") && said.contains("of its own"), "{said}");
    assert!(!other.place.path("out").exists(), "nothing is begun");
}

#[test]
fn a_server_that_restarts_ends_no_worker() {
    let server = Postgres::start().unwrap();
    let scene = sharing(Scene::folders(), &server.create_database().unwrap());
    synthetic(&scene.place);
    let whole = scene.whole();
    scene.add(&["metadata", "images"]);
    let worker = || scene.with_tasks(&["work", "all", "--archives", "1"]).spawn().unwrap();
    let workers = [worker(), worker()];
    until(|| scene.status("metadata")["done"].as_u64() > Some(0));
    server.restart().unwrap();
    until(|| scene.status("images")["done"].as_u64() > Some(0));
    server.kill_and_restart().unwrap();
    let mut reports = Vec::new();
    for worker in workers {
        let ended = worker.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        reports.extend(told(&ended)["reports"].as_array().unwrap().clone());
    }
    assert_eq!(reports.len(), 1, "one of them closes");
    same_books(&reports[0], &whole);
    same_objects(&scene.instances("out"), &scene.instances("whole"));
}

/// A campaign with raw objects: each half leaves a fact.
#[test]
fn a_server_without_space_ends_no_worker() {
    let server = Postgres::start_on_disk(DISK).unwrap();
    let scene = sharing(Scene::folders().raw(None), &server.create_database().unwrap());
    synthetic(&scene.place);
    let whole = scene.whole();
    scene.add(&["metadata", "images"]);
    let worker = scene.with_tasks(&["work", "all", "--archives", "2"]).spawn().unwrap();
    until(|| scene.status("metadata")["done"].as_u64() > Some(0));
    let ballast = server.disk().unwrap().ballast();
    // Refused, and refused again when asked again.
    until(|| {
        ballast.fill().unwrap();
        server.log().matches("No space left on device").count() > 3
    });
    ballast.free().unwrap();
    // Where its own log could not grow it has ended, and its operator starts it.
    if server.sql("SELECT 1").is_err() {
        server.kill_and_restart().unwrap();
    }
    let done = told(&worker.wait_with_output().unwrap());
    same_books(&done["reports"][0], &whole);
    same_objects(&scene.instances("out"), &scene.instances("whole"));
}

#[test]
fn the_password_comes_from_the_environment_and_is_told_nowhere() {
    let server = Postgres::start().unwrap();
    let url = server.create_database().unwrap();
    server.sql("ALTER USER postgres PASSWORD 'geheim'").unwrap();
    let rule = "host all all 127.0.0.1/32 scram-sha-256";
    let file = server.sql("SHOW hba_file").unwrap();
    server.sql(&format!("COPY (SELECT '{rule}') TO '{}'", file.trim())).unwrap();
    server.sql("SELECT pg_reload_conf()").unwrap();
    let scene = sharing(Scene::folders(), &url);
    let status = |scene: &Scene, password: &str| {
        let mut command = scene.with_tasks(&["work", "status", "--log", "debug"]);
        command.env("PGPASSWORD", password).output().unwrap()
    };
    // The server reads its rules a little later.
    until(|| !status(&scene, "wrong-word").status.success());
    let refused = status(&scene, "wrong-word");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("28P01") && !said.contains("wrong-word"), "{said}");
    assert!(status(&scene, "geheim").status.success());

    // The one of the URL goes first.
    let named = |password: &str| url.replace("postgres@", &format!("postgres:{password}@"));
    let scene = sharing(Scene::folders(), &named("geheim"));
    assert!(status(&scene, "wrong-word").status.success());
    let scene = sharing(Scene::folders(), &named("wrong-word"));
    let said = String::from_utf8_lossy(&status(&scene, "geheim").stderr).into_owned();
    assert!(said.contains("28P01") && !said.contains("wrong-word"), "{said}");
}

#[test]
fn dead_letters_are_there_too() {
    let database = Database::create().unwrap();
    let scene = sharing(Scene::folders(), database.url());
    super::one_archive_is_gone(&scene, &|given_up| {
        database.sql(&format!("SET search_path TO dcmjoin_ledger; {given_up}")).unwrap();
    });
}

#[test]
fn a_store_that_nobody_knows_is_refused_without_its_words() {
    let scene = sharing(Scene::folders(), "mysql://user:geheim@host/database");
    for args in [&["work", "status"][..], &["dead-letters", "list"]] {
        let refused = scene.with_tasks(args).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("mysql://") && said.contains("postgres://"), "{said}");
        assert!(!said.contains("geheim"), "{said}");
    }
}
