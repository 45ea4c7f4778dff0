//! How much a million archived objects take: `cargo run --release --example million_objects`.
//!
//! Puts them, restores them all, has 12 hours go by, lists them in pages of a thousand, and
//! prints the time of each step and the greatest memory up to its end. The count can be given.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dcmjoin_emulator::{Body, Emulator, Options, Route, Shape, StorageClass, Tier};
use dcmjoin_testkit::{Access, Ask};

fn main() -> Result<()> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse())?;
    let emulator = Emulator::start(Options::default())?;
    let storage = emulator.storage();
    storage.create_bucket("archive")?;
    emulator.queues().create("events");
    storage.add_route("archive", Route::to_queue(Shape::EventBridge, "events"))?;
    let key = |number: u64| format!("image/2026/{number:012}.tar");
    timed("put", || {
        (0..count).try_for_each(|number| {
            let body = Body::Generated { length: 1 << 30, seed: number };
            Ok(storage.put("archive", &key(number), body, StorageClass::Glacier)?)
        })
    })?;
    timed("restore", || {
        (0..count).try_for_each(|number| {
            storage.restore("archive", &key(number), Tier::Bulk, Some(3))?;
            Ok(())
        })
    })?;
    timed("12 hours", || {
        emulator.clock().advance(Duration::from_hours(12));
        Ok(())
    })?;
    timed("list", || list(&emulator))?;
    println!("events in the queue: {:?}", emulator.queues().counts("events"));
    Ok(())
}

fn timed(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    work()?;
    println!("{name}: {:.1} s; memory: {}", start.elapsed().as_secs_f64(), memory()?);
    Ok(())
}

/// Lists the bucket with the states of its restores, and checks that all are restored.
fn list(emulator: &Emulator) -> Result<()> {
    let client = Access::new(&emulator.address().to_string(), "test-key", "test-secret");
    let (mut token, mut restored) = (None::<String>, 0);
    loop {
        let mut query = vec![("list-type", "2")];
        query.extend(token.as_deref().map(|token| ("continuation-token", token)));
        let headers = &[("x-amz-optional-object-attributes", "RestoreStatus")];
        let ask = Ask { path: "/archive", query: &query, headers, ..Ask::default() };
        let page = client.send(&ask)?;
        restored += page.text().matches("<RestoreExpiryDate>").count();
        token = page.element("NextContinuationToken");
        if token.is_none() {
            println!("restored: {restored}");
            return Ok(());
        }
    }
}

fn memory() -> Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.context("no VmHWM in /proc/self/status")?.trim().to_owned())
}
