//! The accounts: every member of every archive ends in exactly one, and the sums must agree.
//!
//! **Law of members**, on each side:
//! `members = paired + header_only + unpaired + duplicate + rejected + ignored`.
//!
//! **Law of instances**: `pairs + header_only = published + already_there + rejected`.
//!
//! Two more follow from what the words mean, and are checked with them: a pair takes one member on
//! each side, and header-only instances have no image side.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The accounts of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Archives read, damaged ones included.
    pub archives: u64,
    /// Every entry that a tar reader lists.
    pub members: u64,
    /// Halves whose other half was found.
    pub paired: u64,
    /// Headers that are complete by themselves; always 0 on the images' side.
    pub header_only: u64,
    /// Halves whose other half was not found.
    pub unpaired: u64,
    /// The same half again, with the same bytes or (a conflict) with others.
    pub duplicate: u64,
    /// Members that cannot be a half.
    pub rejected: u64,
    /// Folders, links, members of the other side, and what was not asked for.
    pub ignored: u64,
}

/// What became of complete instances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instances {
    /// Instances with both halves.
    pub pairs: u64,
    /// Instances that are complete with their header.
    pub header_only: u64,
    /// Objects that this run wrote.
    pub published: u64,
    /// Objects that stood there already with the same bytes.
    pub already_there: u64,
    /// Instances that cannot become a valid file.
    pub rejected: u64,
}

/// Why members were ignored; the parts of [`Side::ignored`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// Folders.
    pub folders: u64,
    /// Links, devices and other members without bytes of their own.
    pub links: u64,
    /// Members that are the other side's half.
    pub other_half: u64,
    /// Members that name neither half.
    pub junk: u64,
    /// Halves that `--only` does not ask for.
    pub not_wanted: u64,
}

impl Ignored {
    /// Adds another's parts.
    pub const fn add(&mut self, other: &Self) {
        self.folders += other.folders;
        self.links += other.links;
        self.other_half += other.other_half;
        self.junk += other.junk;
        self.not_wanted += other.not_wanted;
    }

    /// Returns the sum of the parts.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.folders + self.links + self.other_half + self.junk + self.not_wanted
    }
}

/// All accounts of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// The metadata archives' side.
    pub metadata: Side,
    /// The image archives' side.
    pub images: Side,
    /// The instances.
    pub instances: Instances,
}

/// Books that do not balance: the run must fail.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the books do not balance: {law}: {left} on the left, {right} on the right")]
pub struct LawBroken {
    /// The law, as an equation.
    pub law: &'static str,
    /// The sum of its left side.
    pub left: u64,
    /// The sum of its right side.
    pub right: u64,
}

impl Side {
    const fn accounted(&self) -> u64 {
        self.paired
            + self.header_only
            + self.unpaired
            + self.duplicate
            + self.rejected
            + self.ignored
    }
}

impl Books {
    /// Checks every law.
    ///
    /// # Errors
    /// [`LawBroken`] with the first law that does not hold.
    pub fn check(&self) -> Result<(), LawBroken> {
        let Self { metadata, images, instances } = self;
        let outcomes = instances.published + instances.already_there + instances.rejected;
        let laws = [
            (
                "metadata members = paired + header_only + unpaired + duplicate + rejected + ignored",
                metadata.members,
                metadata.accounted(),
            ),
            (
                "image members = paired + header_only + unpaired + duplicate + rejected + ignored",
                images.members,
                images.accounted(),
            ),
            (
                "pairs + header_only = published + already_there + rejected",
                instances.pairs + instances.header_only,
                outcomes,
            ),
            ("pairs = paired metadata members", instances.pairs, metadata.paired),
            ("pairs = paired image members", instances.pairs, images.paired),
            (
                "header_only instances = header_only metadata members",
                instances.header_only,
                metadata.header_only,
            ),
            ("header_only image members = 0", images.header_only, 0),
        ];
        laws.into_iter()
            .find(|(_, left, right)| left != right)
            .map_or(Ok(()), |(law, left, right)| Err(LawBroken { law, left, right }))
    }

    /// Returns true when nothing was lost: no half unpaired or rejected, no instance rejected.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.metadata.unpaired == 0
            && self.images.unpaired == 0
            && self.metadata.rejected == 0
            && self.images.rejected == 0
            && self.instances.rejected == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balanced() -> Books {
        Books {
            metadata: Side {
                archives: 1,
                members: 6,
                paired: 3,
                header_only: 1,
                unpaired: 1,
                ignored: 1,
                ..Side::default()
            },
            images: Side {
                archives: 2,
                members: 5,
                paired: 3,
                duplicate: 1,
                rejected: 1,
                ..Side::default()
            },
            instances: Instances {
                pairs: 3,
                header_only: 1,
                published: 2,
                already_there: 1,
                rejected: 1,
            },
        }
    }

    #[test]
    fn balanced_books_pass() {
        assert_eq!(balanced().check(), Ok(()));
        assert!(!balanced().is_complete());
    }

    #[test]
    fn each_law_is_checked() {
        let breaks: [fn(&mut Books); 7] = [
            |books| books.metadata.members += 1,
            |books| books.images.duplicate += 1,
            |books| books.instances.published += 1,
            |books| {
                books.metadata.paired += 1;
                books.metadata.members += 1;
            },
            |books| {
                books.images.paired += 1;
                books.images.members += 1;
            },
            |books| {
                books.metadata.header_only += 1;
                books.metadata.members += 1;
            },
            |books| {
                books.images.header_only += 1;
                books.images.members += 1;
            },
        ];
        for (law, unbalance) in breaks.into_iter().enumerate() {
            let mut books = balanced();
            unbalance(&mut books);
            assert!(books.check().is_err(), "law {law}");
        }
    }
}
