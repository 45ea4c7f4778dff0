//! Stores against a real S3 server, with a proxy between them that does by script what networks
//! and stores do by chance.

// `cfg(test)` holds for all of a test binary; said here, it lets helpers unwrap as tests do.
#[cfg(test)]
mod arranged;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod manners;
#[cfg(test)]
mod writer;
