//! The store on a real server, asked what every store is asked.

// `cfg(test)` holds for all of a test binary; said here, it lets helpers unwrap as tests do.
#[cfg(test)]
#[path = "../../../dcmjoin-ledger/tests/it/fact_suite/mod.rs"]
mod fact_suite;
#[cfg(test)]
mod facts;
#[cfg(test)]
#[path = "../../../dcmjoin-ledger/tests/it/task_suite.rs"]
mod task_suite;
#[cfg(test)]
mod tasks;
