//! Campaigns on the emulator.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail with it")]

mod scene;
mod whole;
