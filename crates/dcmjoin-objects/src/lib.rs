//! Object stores and folders, as dcmjoin needs them: list archives, read a range of one *version*
//! of an object, write an object once.
//!
//! The stores themselves are the `object_store` crate's; this crate adds what it leaves to its
//! users: one parser for what people type ([`Location`]), errors that say what to do and never
//! quote a server's answer ([`Error`]), objects that are written piece by piece ([`Writer`]), and
//! manners: one adaptive rate for all that is asked of a store, retries within a budget, late reads
//! asked for twice, all of it counted ([`Meter`]).
//!
//! ```
//! # async fn example() -> Result<(), dcmjoin_objects::Error> {
//! let stores = dcmjoin_objects::Stores::default();
//! let root = stores.open(&"./archives".parse()?)?;
//! for object in root.list().await? {
//!     println!("{} holds {} bytes", object.url(), object.size());
//! }
//! # Ok(()) }
//! ```

mod attempts;
mod buffers;
mod bulk;
mod client;
#[cfg(feature = "cloud")]
mod cloud;
mod condition;
mod error;
#[cfg(feature = "cloud")]
mod keys;
mod location;
mod meter;
mod object;
mod pace;
#[cfg(feature = "cloud")]
mod profile;
mod retry_budget;
mod root;
mod staged;
mod stores;
mod stragglers;
mod writer;

pub use bulk::Removed;
pub use error::{Error, ErrorKind, Operation};
#[cfg(feature = "cloud")]
pub use keys::KeySource;
pub use location::Location;
pub use meter::{Meter, Requests, Retries};
pub use object::Object;
#[cfg(feature = "cloud")]
pub use profile::Keys;
pub use root::{PutMode, Root, on_waiting_thread};
pub use stores::Stores;
pub use writer::Writer;
