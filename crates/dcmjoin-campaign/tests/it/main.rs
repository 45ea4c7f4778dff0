//! Campaigns on the emulator.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail with it")]

mod answers;
mod batch;
mod clock;
mod dispatch;
mod events;
mod journal;
mod kept;
mod ministack;
mod money;
mod scene;
mod trouble;
mod versions;
mod whole;
