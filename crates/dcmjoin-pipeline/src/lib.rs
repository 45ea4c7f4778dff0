//! The steps, and the runner that drives them in one process.
//!
//! The way of the data: [`manifest`] → [`scan`] → [`pair`] → [`assemble`] → [`publish`], then
//! [`settle`] for what was found twice. A step is a plain function without loops over archives,
//! retries or scheduling; [`local`] holds those, and [`staged`] drives the same for many workers.
//!
//! [`keep`] copies archives while they stream past, [`raw`] their halves one by one.
//!
//! What a run says of itself: [`rows`] while it goes, [`report`] at its end.

pub mod assemble;
pub mod budget;
pub mod catalog;
pub mod config;
pub mod error;
pub mod header_pack;
pub mod keep;
pub mod layout;
pub mod local;
pub mod lock;
pub mod manifest;
pub mod member;
pub mod pair;
pub mod progress;
pub mod publish;
pub mod raw;
pub mod record;
pub mod report;
pub mod rows;
pub mod scan;
pub mod settle;
pub mod shards;
pub mod since;
pub mod source;
pub mod staged;

pub use config::{First, IfExists, Limits, Publish, RunConfig, Strategy};
pub use error::RunError;
pub use layout::Layout;
pub use progress::Progress;
pub use report::Report;
