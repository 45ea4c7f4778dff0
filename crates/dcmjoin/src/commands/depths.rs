//! How many tasks of a stage stand where, how fast they go, and how long the rest takes.

use dcmjoin_ledger::tasks::Depth;
use serde_json::{Value, json};

use crate::text;

/// Bytes a second so far, and the seconds that the rest takes at that pace.
type Pace = Option<(f64, f64)>;

#[expect(clippy::cast_precision_loss, reason = "a forecast for people")]
fn pace(depth: &Depth) -> Pace {
    let (from, to) = depth.from_to?;
    let bytes_per_sec = depth.done.bytes as f64 / to.saturating_sub(from).max(1) as f64;
    let left = (depth.waiting.bytes + depth.claimed.bytes) as f64;
    (bytes_per_sec > 0.0).then_some((bytes_per_sec, left / bytes_per_sec))
}

/// Returns a depth for machines.
pub(crate) fn as_json(depth: &Depth) -> Value {
    let pace = pace(depth);
    json!({
        "campaign": depth.campaign.as_str(),
        "stage": depth.stage.as_str(),
        "waiting": depth.waiting.tasks,
        "claimed": depth.claimed.tasks,
        "done": depth.done.tasks,
        "dead": depth.dead.tasks,
        "bytes_left": depth.waiting.bytes + depth.claimed.bytes,
        "bytes_done": depth.done.bytes,
        "bytes_per_sec": pace.map(|(rate, _)| rate),
        "seconds_left": pace.map(|(_, left)| left),
    })
}

/// Returns a depth for people.
pub(crate) fn in_words(depth: &Depth) -> String {
    let mut words = format!("{} {}:", depth.campaign, depth.stage.as_str());
    let amounts = [
        ("waiting", depth.waiting),
        ("claimed", depth.claimed),
        ("done", depth.done),
        ("dead", depth.dead),
    ];
    for (word, amount) in amounts {
        if amount.tasks > 0 {
            let size = text::size(amount.bytes);
            words.push_str(&format!(" {} {word} ({size})", text::count(amount.tasks)));
        }
    }
    if let Some((rate, left)) = pace(depth)
        && left > 0.0
    {
        #[expect(clippy::cast_sign_loss, reason = "a rate is not negative")]
        let rate = text::size(rate as u64);
        words.push_str(&format!(", {rate}/s, {} left", text::duration(left)));
    }
    words.push('\n');
    words
}
