//! Days on which the orchestrator's own machine fails it.

use std::process::Child;
use std::time::{Duration, Instant};

use dcmjoin_emulator::{Access, KeyPair, Options, Time};

use super::{Bench, IMAGES, talk, wait_for};

/// Kills at random, of one campaign.
const KILLS: u32 = 4;
/// How often a journal is looked at from outside.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// Waits until a journal was written so often, as another process sees it; false where its
/// orchestrator ended before.
fn written(ledger: &str, times: u32, orchestrator: &mut Child) -> bool {
    let journal = rusqlite::Connection::open(ledger).unwrap();
    let version = || journal.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap();
    let (mut last, mut seen): (i64, u32) = (version(), 0);
    while seen < times {
        let now = version();
        seen += u32::from(now != last);
        last = now;
        std::thread::sleep(LOOK_EVERY);
        if orchestrator.try_wait().unwrap().is_some() {
            return false;
        }
    }
    true
}

/// Runs a campaign to its end, whatever befell it before.
fn finish(bench: &Bench, ledger: &str) {
    let ran = bench.start(ledger).wait_with_output().unwrap();
    assert!(ran.status.success(), "{}", talk(&ran));
    bench.check(ledger, "campaign", IMAGES + 1);
}

#[test]
fn an_orchestrator_is_killed_after_any_number_of_writes() {
    let (mut times, mut killed) = (1, 0);
    loop {
        let bench = Bench::new();
        let ledger = bench.path("campaign.db");
        bench.create_one(&ledger);
        let mut orchestrator = bench.start(&ledger);
        let lives = written(&ledger, times, &mut orchestrator);
        orchestrator.kill().unwrap();
        orchestrator.wait().unwrap();
        finish(&bench, &ledger);
        if !lives {
            break;
        }
        killed += 1;
        // The first writes, where most happens, one by one; then ever fewer of them.
        times += 1 + times / 4;
    }
    assert!(killed > 5, "only {killed} kills before a campaign ended");
}

#[test]
fn an_orchestrator_is_killed_at_random() {
    let bench = Bench::new();
    let ledger = bench.path("campaign.db");
    bench.create_one(&ledger);
    let mut dice: u64 = 11;
    for _ in 0..KILLS {
        let mut orchestrator = bench.start(&ledger);
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_millis(dice >> 54));
        orchestrator.kill().unwrap();
        orchestrator.wait().unwrap();
    }
    finish(&bench, &ledger);
}

#[test]
fn one_of_two_orchestrators_is_refused() {
    let bench = Bench::new();
    let ledger = bench.path("campaign.db");
    bench.create_one(&ledger);
    // Restores do not end until both were there.
    bench.emulator.clock().run(0.0);
    let first = bench.start(&ledger);
    wait_for("holder", || bench.status(&ledger, "campaign")["holder"].is_string());
    let second = bench.start(&ledger).wait_with_output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(talk(&second).contains("held by another orchestrator"), "{}", talk(&second));
    bench.emulator.clock().run(1.0);
    let first = first.wait_with_output().unwrap();
    assert!(first.status.success(), "{}", talk(&first));
    bench.check(&ledger, "campaign", IMAGES + 1);
}

#[test]
fn keys_that_expire_are_read_anew_from_their_file() {
    let started = Instant::now();
    let ends: Time = (std::time::SystemTime::now() + Duration::from_secs(3)).into();
    let pairs = vec![
        KeyPair::new("test-key", "test-secret"),
        KeyPair::session("short-key", "short-secret", "token", ends),
    ];
    let bench = Bench::with(Options { access: Access::Keys(pairs), ..Options::default() });
    let (ledger, file) = (bench.path("campaign.db"), bench.path("credentials"));
    bench.create_one(&ledger);
    let short = "[default]\naws_access_key_id = short-key\naws_secret_access_key = short-secret\n\
                 aws_session_token = token\n";
    std::fs::write(&file, short).unwrap();
    // Restores wait until the keys have ended.
    bench.emulator.clock().run(0.0);
    let mut command = bench.campaign(&ledger, &["start", "--wait-secs", "1", "--log", "warn"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command.env("AWS_SHARED_CREDENTIALS_FILE", &file).env("AWS_CONFIG_FILE", "/dev/null");
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let running = command.spawn().unwrap();
    wait_for("holder", || bench.status(&ledger, "campaign")["holder"].is_string());
    bench.emulator.clock().advance_to(ends);
    // It is refused for a while, and nothing is given up.
    std::thread::sleep(Duration::from_secs(2));
    std::fs::write(
        &file,
        "[default]\naws_access_key_id = test-key\naws_secret_access_key = test-secret\n",
    )
    .unwrap();
    bench.emulator.clock().run(1.0);
    let ran = running.wait_with_output().unwrap();
    assert!(ran.status.success(), "{}", talk(&ran));
    bench.check(&ledger, "campaign", IMAGES + 1);
    assert!(started.elapsed() > Duration::from_secs(2));
}
