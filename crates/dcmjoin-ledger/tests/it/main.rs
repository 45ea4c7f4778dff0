//! What every task store must do (`task_suite`, which other stores' tests take by its path), and
//! the embedded store besides.

// `cfg(test)` holds for all of a test binary; said here, it lets helpers unwrap as tests do.
#[cfg(test)]
mod sqlite;
#[cfg(test)]
mod task_suite;
