//! The emulator's own calls, for programs that are not in its process: the clock and the ledger.
//!
//! They stand below `/_emulator/`, which no bucket can be named, and are not signed: who reaches
//! the loopback may move the clock.

use std::time::Duration;

use http::{Method, Response, StatusCode, Uri};
use s3s::Body;
use serde_json::{Value, json};

use crate::front::plain;
use crate::ledger::Ledger;
use crate::world::{Shared, World};

const PREFIX: &str = "/_emulator/";

pub(crate) fn is_mine(uri: &Uri) -> bool {
    uri.path().starts_with(PREFIX)
}

/// Answers `GET clock`, `POST clock?advance=SECONDS`, `POST clock?next` and `GET ledger`.
pub(crate) fn answer(shared: &Shared, method: &Method, uri: &Uri) -> Response<Body> {
    let world = &mut shared.enter();
    let query = uri.query().unwrap_or_default();
    let value = match (method, uri.path().trim_start_matches(PREFIX)) {
        (&Method::GET, "clock") => Some(clock(world)),
        (&Method::POST, "clock") => move_clock(world, query).then(|| clock(world)),
        (&Method::GET, "ledger") => {
            let now = world.now;
            Some(ledger(&world.book.read(now)))
        }
        _ => None,
    };
    match value {
        Some(value) => plain(StatusCode::OK, "application/json", value.to_string()),
        None => plain(StatusCode::BAD_REQUEST, "application/json", "{}".into()),
    }
}

fn clock(world: &mut World) -> Value {
    json!({
        "now": world.now.rfc3339_millis(),
        "next": world.next_due().map(crate::time::Time::rfc3339_millis),
        "factor": world.ticker.factor(),
    })
}

fn move_clock(world: &mut World, query: &str) -> bool {
    if query == "next" {
        let due = world.next_due();
        let wait = due.map(|due| due.since(world.now));
        world.advance(wait.unwrap_or_default());
        return true;
    }
    let seconds = query.strip_prefix("advance=").and_then(|text| text.parse().ok());
    if let Some(seconds) = seconds {
        world.advance(Duration::from_secs(seconds));
    }
    seconds.is_some()
}

fn ledger(ledger: &Ledger) -> Value {
    let requests = ledger.requests.iter().map(|(kind, count)| (format!("{kind:?}"), *count));
    let refused = ledger.refused.iter().map(|(status, count)| (status.to_string(), *count));
    let retrieved = ledger.retrieved.iter().map(|(tier, retrieved)| {
        (tier.name(), json!({"requests": retrieved.requests, "bytes": retrieved.bytes}))
    });
    let text = |pairs: &mut dyn Iterator<Item = (String, u64)>| {
        pairs.map(|(name, count)| (name, json!(count))).collect::<serde_json::Map<_, _>>()
    };
    json!({
        "requests": text(&mut requests.into_iter()),
        "refused": text(&mut refused.into_iter()),
        "retrieved": retrieved.collect::<std::collections::BTreeMap<_, _>>(),
        "bytes_read": ledger.bytes_read,
        "bytes_written": ledger.bytes_written,
        "copy_gib_hours": ledger.copy_gib_hours(),
        "batch_jobs": ledger.batch_jobs,
        "batch_tasks": ledger.batch_tasks,
        "events": ledger.events,
        "faults": ledger.faults,
    })
}
