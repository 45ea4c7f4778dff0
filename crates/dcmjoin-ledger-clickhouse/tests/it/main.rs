//! The log on the real engine, asked what every log is asked.

// `cfg(test)` holds for all of a test binary; said here, it lets helpers unwrap as tests do.
#[cfg(test)]
#[path = "../../../dcmjoin-ledger/tests/it/fact_suite/mod.rs"]
mod fact_suite;
#[cfg(test)]
mod facts;
