//! Durable state that many workers share.
//!
//! In reading order:
//!
//! - [`campaign`]: the name under which tasks and facts of one job stand;
//! - [`tasks`]: which archives are to be scanned, who scans them, what failed for good;
//! - [`facts`]: halves whose partner was not found while their archive streamed past;
//! - [`binding`]: whose facts a log has;
//! - [`sqlite`]: both in one file, for workers of one machine;
//! - [`patient`]: either, asked again where it fails;
//! - [`error`].
//!
//! **Invariants.** What is acknowledged is durable. Whoever lost a lease cannot write any more: each
//! write bears a token, and a later claim has a greater one. Time is the store's. Everything may be
//! delivered more than once; what follows from it must be the same the second time.

pub mod binding;
pub mod campaign;
pub mod error;
pub mod facts;
pub mod patient;
pub mod sqlite;
pub mod tasks;

pub use campaign::{Campaign, CampaignName};
pub use error::Error;
pub use facts::FactLog;
pub use patient::Patient;
pub use sqlite::Sqlite;
pub use tasks::TaskStore;
