//! The catalogue's files, from outside.

// `cfg(test)` holds for all of a test binary; said here, it lets helpers unwrap as tests do.
#[cfg(test)]
mod damage;
#[cfg(test)]
mod files;
#[cfg(test)]
mod samples;
