//! A campaign on a machine whose role gives the keys: nothing in the environment, no `~/.aws`.

use std::process::Command;
use std::time::Duration;

use dcmjoin_emulator::{Access, KeyPair, Options};
use dcmjoin_testkit::StandIn;

use super::{Bench, IMAGES, talk};

/// moto's word for a machine's keys.
const OF_THE_MACHINE: [&str; 3] = ["test-key", "test-secret-key", "test-session-token"];

#[test]
fn a_campaign_runs_by_the_role_of_its_machine() {
    let machine = StandIn::moto().unwrap();
    let [id, secret, token] = OF_THE_MACHINE;
    let ends = (std::time::SystemTime::now() + Duration::from_secs(3600)).into();
    let pairs = vec![KeyPair::session(id, secret, token, ends)];
    let bench = Bench::with(Options { access: Access::Keys(pairs), ..Options::default() });
    let ledger = bench.path("campaign.db");
    let by_role = |command: &mut Command| {
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command.env("HOME", bench.folder.path()).env("AWS_METADATA_ENDPOINT", machine.endpoint());
        command.output().unwrap()
    };
    let created = by_role(&mut bench.creating(&ledger));
    assert!(created.status.success(), "{}", talk(&created));
    let started = by_role(&mut bench.campaign(&ledger, &["start", "--wait-secs", "1"]));
    assert!(started.status.success(), "{}", talk(&started));
    bench.check(&ledger, "campaign", IMAGES + 1);
}
