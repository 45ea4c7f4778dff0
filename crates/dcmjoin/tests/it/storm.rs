//! A run from bucket to bucket, with a proxy between it and the server that spoils answers.

use std::process::Output;
use std::time::Instant;

use dcmjoin_testkit::{Bucket, Fault, FaultProxy, SeaweedFs};
use serde_json::Value;

use crate::s3::{Objects, files, instances, run, succeed, synthetic, text, upload};

/// A server with the synthetic halves in bucket `source`, an empty bucket `target`, a proxy, and
/// the instances that a run over folders makes of the same halves.
struct Arranged {
    server: SeaweedFs,
    proxy: FaultProxy,
    target: Bucket,
    expected: Objects,
}

fn arranged() -> Arranged {
    let data = synthetic();
    let at = |name: &str| data.path().join(name).to_str().unwrap().to_owned();
    succeed(&mut run(&at("metadata"), &at("images"), &at("joined")));
    let expected = instances(files(&data.path().join("joined")));
    let server = SeaweedFs::start().unwrap();
    upload(data.path(), &server.admin().create_bucket("source").unwrap());
    let target = server.admin().create_bucket("target").unwrap();
    let proxy = FaultProxy::start(&server.admin()).unwrap();
    Arranged { server, proxy, target, expected }
}

impl Arranged {
    /// Runs from bucket to bucket by way of the proxy.
    fn run(&self) -> Output {
        let mut command = run("s3://source/in/metadata", "s3://source/in/images", "s3://target");
        self.proxy.access(&self.server.admin()).apply(&mut command).output().unwrap()
    }

    /// Asserts that the run lost nothing, and returns its report.
    fn assert_whole(&self, output: &Output) -> Value {
        assert!(output.status.success(), "{:?}: {}", output.status, text(output));
        let found = self.target.objects("").unwrap();
        let report = found.iter().find(|(key, _)| key.ends_with("/report.json")).unwrap().1;
        let report: Value = serde_json::from_slice(report).unwrap();
        assert!(found.keys().any(|key| key.ends_with("/commit.json")), "not committed");
        let found = instances(found);
        assert!(found.keys().eq(self.expected.keys()), "other objects");
        assert!(found == self.expected, "other bytes under the same keys");
        let books = &report["instances"];
        assert_eq!(books["published"], self.expected.len());
        assert_eq!(books["already_there"], 0, "its own writes were taken for others'");
        assert_eq!(books["rejected"], 0);
        assert_eq!(report["archives"]["unreadable"], 0);
        report
    }

    fn faults(&self, fault: Fault) -> usize {
        self.proxy.seen().iter().filter(|seen| seen.fault == Some(fault)).count()
    }
}

#[test]
fn a_run_weathers_a_storm() {
    let arranged = arranged();
    let proxy = &arranged.proxy;
    proxy.on("GET", "/source").take(4).does(Fault::SlowDown);
    proxy.on("GET", ".tar").take(3).does(Fault::Cut(5_000));
    proxy.on("PUT", "lock.json").take(1).does(Fault::Lost);
    proxy.on("PUT", ".dcm").skip(30).take(25).does(Fault::SlowDown);
    proxy.on("PUT", ".dcm").take(4).does(Fault::Lost);
    let start = Instant::now();
    let output = arranged.run();
    let took = start.elapsed();
    let report = arranged.assert_whole(&output);

    let requests = &report["requests"];
    let count = |name: &str| requests[name].as_u64().unwrap();
    let cause = |name: &str| requests["retries_by_cause"][name].as_u64().unwrap();
    assert_eq!(cause("throttled") as usize, arranged.faults(Fault::SlowDown));
    assert_eq!(count("throttled"), cause("throttled"));
    assert_eq!(cause("bad_answer"), 3);
    assert!(cause("unavailable") >= 5, "{requests}");
    assert_eq!(count("retries"), cause("throttled") + 3 + cause("unavailable"));
    assert!(requests["waited_seconds"].as_f64().unwrap() > 0.0);

    // The law of the retry budget, for each of two buckets.
    let made = arranged.proxy.seen().len() as u64;
    let most = 20 + made / 10 + 2 * 5 * (took.as_secs() + 1);
    assert!(count("retries") <= most, "{requests}, at most {most} retries were allowed");
}

#[test]
fn an_archive_whose_copy_goes_away_is_told_and_found_by_the_next_run() {
    let arranged = arranged();
    arranged.proxy.on("GET", "/source/in/images/").take(1).does(Fault::Archived);
    let output = arranged.run();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let keys = arranged.target.list("").unwrap();
    assert!(!keys.iter().any(|key| key.ends_with("commit.json")), "committed with a loss");

    let output = arranged.run();
    assert!(output.status.success(), "{}", text(&output));
    let found = instances(arranged.target.objects("").unwrap());
    assert!(found == arranged.expected, "other objects than of a run without faults");
}
