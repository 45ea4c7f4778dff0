//! `dcmjoin orchestrate`: the campaigns of a journal, by one instance or several.

use std::process::{Child, Stdio};

use dcmjoin_emulator::Tier;
use dcmjoin_testkit::Database;

use crate::campaign::{Bench, IMAGES, talk, terminate, wait_for};

fn serve(bench: &Bench, ledger: &str, args: &[&str]) -> Child {
    let args = [&["orchestrate", "--ledger", ledger, "--wait-secs", "1"], args].concat();
    let mut command = bench.command(&args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ends_well(instance: Child) -> String {
    let ended = instance.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", talk(&ended));
    talk(&ended)
}

/// Has two instances run two campaigns of one ledger.
fn share(bench: &Bench, ledger: &str) {
    for name in ["first", "second"] {
        bench.create(ledger, name, &bench.queue(name));
    }
    let of_the_first = format!("{}/111122223333/first", bench.emulator.endpoint());
    let mut third = bench.campaign(ledger, &["create", "--name", "third"]);
    third.args(["--metadata", "s3://archive/metadata/", "--images", "s3://archive/images/"]);
    third.args(["--output", "s3://output/third", "--queue", &of_the_first]);
    let refused = third.output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", talk(&refused));
    assert!(talk(&refused).contains("the queue is that of the campaign first"));
    let instances: Vec<Child> =
        (0..2).map(|_| serve(bench, ledger, &["--until-idle", "--campaigns", "1"])).collect();
    let words: Vec<String> = instances.into_iter().map(ends_well).collect();
    // One at a time each, so that neither took both while the other looked on.
    for instance in &words {
        assert!(instance.contains(": taken up"), "{words:?}");
    }
    // The second campaign finds the copies of the first one, or asks for none that runs.
    let asked = bench.emulator.ledger().retrieved(Tier::Bulk).requests;
    assert_eq!(asked, IMAGES + 1, "an archive was restored twice");
    for name in ["first", "second"] {
        bench.check(ledger, name, IMAGES + 1);
    }
    let listed = bench.campaign(ledger, &["list"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "first: done\nsecond: done\n");
}

#[test]
fn two_instances_share_the_campaigns_of_a_folder() {
    let bench = Bench::new();
    let folder = bench.path("ledger");
    std::fs::create_dir(&folder).unwrap();
    share(&bench, &folder);
}

#[test]
fn two_instances_share_the_campaigns_of_a_database() {
    let bench = Bench::new();
    let database = Database::create().unwrap();
    share(&bench, database.url());
}

#[test]
fn an_instance_drains_on_sigterm_and_another_goes_on_at_once() {
    let bench = Bench::new();
    let database = Database::create().unwrap();
    let ledger = database.url();
    bench.create(ledger, "campaign", &bench.queue("campaign"));
    // Restores do not end before it is told to stop.
    bench.emulator.clock().run(0.0);
    let first = serve(&bench, ledger, &[]);
    wait_for("restores", || bench.emulator.ledger().retrieved(Tier::Bulk).requests == IMAGES + 1);
    terminate(&first);
    let words = ends_well(first);
    assert!(words.contains("campaign: stopped"), "{words}");
    assert!(bench.status(ledger, "campaign")["holder"].is_null(), "it gave its lease back");
    bench.emulator.clock().run(1.0);
    ends_well(serve(&bench, ledger, &["--until-idle"]));
    bench.check(ledger, "campaign", IMAGES + 1);
}

#[test]
fn a_campaign_that_becomes_active_is_taken_up() {
    let bench = Bench::new();
    let ledger = bench.path("campaign.db");
    bench.create_one(&ledger);
    assert!(bench.campaign(&ledger, &["pause"]).status().unwrap().success());
    let instance = serve(&bench, &ledger, &[]);
    wait_for("look", || {
        // It is up and has found nothing to do.
        bench.status(&ledger, "campaign")["mode"] == "paused"
    });
    assert!(bench.campaign(&ledger, &["resume"]).status().unwrap().success());
    wait_for("end", || bench.status(&ledger, "campaign")["mode"] == "done");
    terminate(&instance);
    ends_well(instance);
    bench.check(&ledger, "campaign", IMAGES + 1);
}

#[test]
fn a_ledger_that_is_not_there_is_told_at_once() {
    let bench = Bench::new();
    for ledger in ["postgres://nobody@127.0.0.1:1/none?sslmode=disable", "/nowhere/campaign.db"] {
        let ended = bench.campaign(ledger, &["status"]).output();
        assert!(!ended.unwrap().status.success(), "{ledger}");
    }
}
