//! Makes data sets that look like a partner's archive, from a seed, with nothing real in them.
//!
//! The data set is two folders of tars: `metadata/m00000.tar` and so on with
//! `<SOP Instance UID>.json` members, `images/i00000.tar` and so on with `<SOP Instance UID>.j2c`
//! members, in unrelated orders. A share of the instances lacks a half, comes twice, or is broken;
//! `truth.json` beside the folders says which, and what the books of a correct run are.
//!
//! ```
//! use dcmjoin_synth::{SynthOptions, synthesize};
//!
//! let out = tempfile::tempdir()?;
//! let truth = synthesize(&SynthOptions::new(20, 7), out.path(), &mut |_| {})?;
//! truth.books.check()?;
//! assert!(out.path().join("metadata/m00000.tar").exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The same options give the same bytes on every machine. Memory grows by a few bytes a member:
//! headers and pixels are made when their turn comes and forgotten.
//!
//! In reading order:
//!
//! - [`options`]: what to make;
//! - `recipe`: the kinds of series; `plan`: which series there are; `roles`: what is amiss with
//!   whom; `layout`: which member is in which archive; [`truth`]: what follows for a run's report;
//! - `header`: an instance to its DICOM JSON document;
//! - `phantom`: the pictures; `payload`: pictures to the bytes of image members;
//! - `archive`: members to a tar; [`mod@synthesize`]: all of it.

mod archive;
mod error;
mod header;
mod layout;
pub mod options;
mod payload;
mod phantom;
mod plan;
mod random;
mod recipe;
mod roles;
pub mod synthesize;
pub mod truth;
mod uids;

pub use error::SynthError;
pub use options::{ArchiveCompression, Archives, Mix, Shares, SynthOptions};
pub use recipe::{Preset, Recipe};
pub use roles::Fault;
pub use synthesize::{Progress, synthesize};
pub use truth::{Broken, Groups, Synthesis};
