//! Measures a journal: `million PLACE [ARCHIVES]`, where the place is a folder or `postgres://…`.
//!
//! Archives are added, started and claimed for a scan in pages of a thousand, as an orchestrator does.

// Counts become rates: no figure here has 52 significant bits.
#![allow(clippy::cast_precision_loss)]
#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dcmjoin_campaign::files::Files;
use dcmjoin_campaign::ledger::{Archive, Change, Lease, Ledger, Mode, Place, Select, Shelf};
use dcmjoin_campaign::{Error, Spec};
use dcmjoin_campaign_postgres::Database;
use dcmjoin_model::Half;
use dcmjoin_restore::answer::Answer;
use dcmjoin_restore::class::{StorageClass, Tier};
use dcmjoin_restore::moment::{DAY, Moment};
use dcmjoin_restore::task::{Event, EventKind, Input, Policy, Setting, Task};

const PAGE: usize = 1_000;
const WAVE: u64 = 20_000;
const NOW: Moment = Moment::from_epoch_secs(1_773_135_000);
/// Archives whose events come one by one.
const EVENTS: u64 = 50_000;
const COMPLETED: Event =
    Event { kind: EventKind::Completed { expiry: Some(NOW.plus(5 * DAY)) }, time: NOW.plus(1) };

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let place = args.next().ok_or("expected a folder, or postgres://…")?;
    let archives: u64 = args.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let shelf: Box<dyn Shelf> = match place.starts_with("postgres") {
        true => Box::new(Database::at(&place)?),
        false => Box::new(Files::at(Path::new(&place))),
    };
    let ledger = shelf.create("million", &spec())?;
    timed("add", archives, || add(&*ledger, archives))?;
    ledger.set_mode(Mode::Active, None)?;
    let lease = ledger.take("million")?;
    let waves = archives.div_ceil(WAVE);
    let mut calls = 0;
    timed("waves", 1, || ledger.waves().map(|_| ()))?;
    timed("start", archives, || each(&ledger, lease, waves, "planned", &mut |_| Input::Start))?;
    timed("answer", archives, || {
        each(&ledger, lease, waves, "requested", &mut |archive| {
            calls += 1;
            let ticket = archive.task.call.map_or(0, |call| call.ticket);
            Input::Answer { ticket, answer: Answer::Accepted }
        })
    })?;
    let some = archives.min(EVENTS);
    timed("events, found by key", some, || events(&ledger, lease, some))?;
    timed("listings", archives - some, || {
        each(&ledger, lease, waves, "restoring", &mut |_| Input::Event(COMPLETED))
    })?;
    timed("claim", archives, || {
        each(&ledger, lease, waves, "available", &mut |_| Input::ScannerFree)
    })?;
    timed("status", 1, || ledger.standing().map(|_| ()))?;
    timed("next due", 1, || ledger.next_due().map(|_| ()))?;
    println!("{calls} calls; peak memory of this process: {}", peak());
    Ok(())
}

fn spec() -> Spec {
    Spec {
        batch: None,
        keep: None,
        metadata: Vec::new(),
        images: Vec::new(),
        output: "s3://output/out".to_owned(),
        region: "us-east-1".to_owned(),
        queue: None,
        policy: Policy { tier: Tier::Bulk, ..Policy::default() },
        wave_bytes: 1 << 40,
        waves_ahead: Some(2),
        bytes_per_sec: 1_000_000_000,
        restores_per_sec: 1_000,
        budget: None,
        prices: None,
    }
}

fn timed(what: &str, rows: u64, work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    let began = Instant::now();
    work()?;
    let secs = began.elapsed().as_secs_f64();
    println!("{what}: {secs:.2} s, {:.0}/s", rows as f64 / secs);
    Ok(())
}

fn place(number: u64) -> Place {
    let key = format!("campaign/2026/images/part-{:04}/archive-{number:09}.tar", number / 1_000);
    Place { bucket: "archive-of-the-partner".to_owned(), key, version: None }
}

fn add(ledger: &dyn Ledger, archives: u64) -> Result<(), Error> {
    let mut page = Vec::with_capacity(PAGE);
    for number in 0..archives {
        let task = Task::new(StorageClass::Glacier);
        let wave = number / WAVE;
        let place = place(number);
        page.push(Archive { id: 0, half: Half::Image, wave, place, bytes: 1 << 30, task });
        if page.len() == PAGE || number + 1 == archives {
            ledger.add(&page)?;
            page.clear();
        }
    }
    Ok(())
}

fn step(archive: Archive, input: &Input) -> (Archive, Option<Moment>) {
    let policy = Policy::default();
    let setting = Setting { policy: &policy, now: NOW, scan_secs: 3_600 };
    let task = archive.task.step(&setting, input).task;
    let wake = task.wake(&setting);
    (Archive { task, ..archive }, wake)
}

/// Steps every archive of a state, wave by wave.
fn each(
    ledger: &Arc<dyn Ledger>,
    lease: Lease,
    waves: u64,
    state: &str,
    input: &mut dyn FnMut(&Archive) -> Input,
) -> Result<(), Error> {
    for wave in 0..waves {
        let mut after = 0;
        loop {
            let page = ledger.page(Select::In(wave, state), after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let mut rows = Vec::with_capacity(PAGE);
            for archive in page {
                let input = input(&archive);
                rows.push(step(archive, &input));
            }
            ledger.commit(lease, &Change { archives: &rows, ..Change::default() })?;
        }
    }
    Ok(())
}

/// Takes an event of each archive, ten a message batch, as a queue gives them.
fn events(ledger: &Arc<dyn Ledger>, lease: Lease, archives: u64) -> Result<(), Error> {
    for first in (0..archives).step_by(10) {
        let mut rows = Vec::with_capacity(10);
        for number in first..archives.min(first + 10) {
            if let Some(archive) = ledger.find(&place(number))? {
                rows.push(step(archive, &Input::Event(COMPLETED)));
            }
        }
        ledger.commit(lease, &Change { archives: &rows, ..Change::default() })?;
    }
    Ok(())
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap_or("unknown").trim().to_owned()
}
