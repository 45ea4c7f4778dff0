//! Journals in files and in `PostgreSQL`, judged by the same laws; and what only a server can suffer.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail with it")]

mod laws;
mod outage;
mod shelves;
