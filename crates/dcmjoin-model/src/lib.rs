//! The words of dcmjoin as types. No I/O, no formats, no clock.
//!
//! Every other crate knows this one, and this one knows none of them. In reading order:
//!
//! - [`uid`]: the UIDs that name instances, classes and transfer syntaxes;
//! - [`place`]: where a half lies: archive, member, byte range;
//! - [`pixels`]: what a header says of its pixels, and what a payload turned out to be;
//! - [`reason`]: why a half, a pair or an archive cannot be used (the dead letters);
//! - [`warning`]: what was repaired, kept or noted on the way, by code;
//! - [`books`]: the accounts every member ends in, and the two laws that they obey.

pub mod books;
pub mod pixels;
pub mod place;
pub mod reason;
pub mod uid;
pub mod warning;

pub use books::{Books, Ignored, Instances, LawBroken, Side};
pub use pixels::{PayloadKind, PixelDescription};
pub use place::{ByteRange, Half, MemberLocation};
pub use reason::{Reason, Rejection};
pub use uid::{SopInstanceUid, TransferSyntax, Uid, UidError};
pub use warning::{WarningCode, Warnings};
