//! What every task store and every fact log must do (`task_suite` and `fact_suite`, which other
//! stores' tests take by their path), and the embedded store besides.

// `cfg(test)` holds for all of a test binary; said here, it lets helpers unwrap as tests do.
#[cfg(test)]
mod fact_suite;
#[cfg(test)]
mod sqlite;
#[cfg(test)]
mod task_suite;
