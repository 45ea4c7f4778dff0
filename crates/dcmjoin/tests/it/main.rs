//! The program as its users have it: started as a process, judged by what it writes.
//!
//! One test binary, a module for each thing that users do.

// `cfg(test)` holds for all of a test binary; said here, it lets helpers unwrap as tests do.
#[cfg(test)]
mod archive;
#[cfg(test)]
mod arguments;
#[cfg(test)]
mod books;
#[cfg(test)]
mod campaign;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod catalog_engines;
#[cfg(test)]
mod conflicts;
#[cfg(test)]
mod first;
#[cfg(test)]
mod get;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod in_shards;
#[cfg(test)]
mod inspect;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod orchestrate;
#[cfg(test)]
mod pairs;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod rehearse;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod run;
#[cfg(test)]
mod s3;
#[cfg(test)]
mod shard;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod work;
