//! The state machine of an archive and the plan of a campaign, judged from outside.
//!
//! - `transitions`: what each answer, event and sighting leads to, in words;
//! - `model`: all reachable states, against the invariants, and against an honest service;
//! - `random`: long random lives, for what adds up over a life;
//! - `bills`: what a plan says things cost.

// `cfg(test)` holds for all of a test binary; said here, it lets helpers unwrap as tests do.
#[cfg(test)]
mod bills;
#[cfg(test)]
mod inputs;
#[cfg(test)]
mod model;
#[cfg(test)]
mod random;
#[cfg(test)]
mod transitions;
#[cfg(test)]
mod world;
