//! The step *pair*: a UID to its header.

use dcmjoin_formats::header::Header;
use dcmjoin_index::{Fingerprint, HeaderStore, PairingIndex, Slot};
use dcmjoin_model::SopInstanceUid;

use crate::error::RunError;
use crate::record::{Head, Origin, Record};

/// The sealed headers of a run.
#[derive(Debug)]
pub struct Headers {
    /// Which there are.
    pub index: PairingIndex,
    /// Where they lie.
    pub store: HeaderStore,
    /// Of all of them, whatever their order.
    pub digest: u128,
}

/// A header that was found.
#[derive(Debug)]
pub struct Paired {
    /// Its number in the index.
    pub slot: Slot,
    /// The header.
    pub header: Header,
    /// Where it came from.
    pub origin: Origin,
}

/// A header that was found, and not decoded.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Its number in the index.
    pub slot: Slot,
    /// Where it came from.
    pub origin: Origin,
}

impl Headers {
    /// Returns what is known of the header of an instance, as [`Self::find`] does.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn look(&self, uid: &SopInstanceUid) -> Result<Option<Known>, RunError> {
        for slot in self.index.probe(Fingerprint::of(uid))? {
            let head = Head::read(&self.store, self.index.place(slot)?)?;
            if head.uid == *uid {
                return Ok(Some(Known { slot, origin: head.origin }));
            }
        }
        Ok(None)
    }

    /// Returns the header of an instance, or `None` where it has none. The fingerprint leads to
    /// candidates, the UIDs decide.
    ///
    /// # Errors
    /// [`RunError::Index`] where the store cannot be read or is damaged.
    pub fn find(&self, uid: &SopInstanceUid) -> Result<Option<Paired>, RunError> {
        for slot in self.index.probe(Fingerprint::of(uid))? {
            let paired = self.at(slot)?;
            if paired.header.uid == *uid {
                return Ok(Some(paired));
            }
        }
        Ok(None)
    }

    /// Returns the header of a slot.
    ///
    /// # Errors
    /// [`RunError::Index`] where the store cannot be read or is damaged.
    pub fn at(&self, slot: Slot) -> Result<Paired, RunError> {
        match Record::read(&self.store, self.index.place(slot)?)? {
            Record::Header(header, origin) => Ok(Paired { slot, header: *header, origin }),
            Record::Bare(_) => {
                Err(RunError::Internal("a slot leads to a record without header".to_owned()))
            }
        }
    }
}
