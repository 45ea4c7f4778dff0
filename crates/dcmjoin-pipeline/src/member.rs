//! What a member is, by its name alone: names are data, never paths.

use dcmjoin_model::{Half, SopInstanceUid};

/// Extensions of metadata members, lower case.
const METADATA_EXTENSIONS: [&str; 2] = ["json", "dcmjson"];
/// Extensions of image members, lower case. They say which half it is and nothing of the form of
/// the payload: partners call native pixels `.j2c`.
const IMAGE_EXTENSIONS: [&str; 16] = [
    "j2c", "j2k", "jpc", "jp2", "jph", "jhc", "jpg", "jpeg", "jls", "rle", "jxl", "raw", "bin",
    "pix", "pixels", "mp4",
];
/// Extensions of compression, which stand behind the half's.
const COMPRESSION_EXTENSIONS: [&str; 4] = ["gz", "gzip", "zst", "zstd"];

/// What a name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// This side's half of the instance.
    Half(SopInstanceUid),
    /// A member of the other side.
    OtherHalf,
    /// Neither half.
    Junk,
    /// A half by its extension, and no UID in its name.
    NotUid,
}

/// Returns what a member's name says, on the side whose archives hold `half`.
#[must_use]
pub fn role(name: &str, half: Half) -> Role {
    let base = name.rsplit('/').next().unwrap_or(name);
    // The resource forks that macOS adds have the names of their files.
    if base.starts_with("._") {
        return Role::Junk;
    }
    let numbers = base.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (stem, extensions) = match base[..numbers].strip_suffix('.') {
        Some(stem) if numbers < base.len() => (stem, &base[numbers..]),
        _ if numbers == base.len() => (base, ""),
        _ => ("", base.split_once('.').map_or("", |(_, extensions)| extensions)),
    };
    match (SopInstanceUid::parse(stem), half_of(extensions)) {
        (_, Some(named)) if named != half => Role::OtherHalf,
        (Ok(uid), _) => Role::Half(uid),
        (Err(_), Some(_)) => Role::NotUid,
        (Err(_), None) => Role::Junk,
    }
}

fn half_of(extensions: &str) -> Option<Half> {
    let lower = extensions.to_ascii_lowercase();
    let mut parts = lower.rsplit('.').skip_while(|part| COMPRESSION_EXTENSIONS.contains(part));
    let extension = parts.next()?;
    if METADATA_EXTENSIONS.contains(&extension) {
        Some(Half::Metadata)
    } else if IMAGE_EXTENSIONS.contains(&extension) {
        Some(Half::Image)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_member_is() {
        let uid = |text: &str| Role::Half(SopInstanceUid::parse(text).unwrap());
        for (name, half, expected) in [
            ("1.2.3.json", Half::Metadata, uid("1.2.3")),
            ("./a/b/1.2.3.JSON.gz", Half::Metadata, uid("1.2.3")),
            ("1.2.3.j2c", Half::Image, uid("1.2.3")),
            ("1.2.3", Half::Image, uid("1.2.3")),
            ("1.2.3.xyz", Half::Image, uid("1.2.3")),
            ("1.2.3.gz", Half::Metadata, uid("1.2.3")),
            ("../../1.2.3.j2c", Half::Image, uid("1.2.3")),
            ("1.2.3.j2c", Half::Metadata, Role::OtherHalf),
            ("1.2.3.json", Half::Image, Role::OtherHalf),
            ("index.json", Half::Image, Role::OtherHalf),
            ("index.json", Half::Metadata, Role::NotUid),
            ("1..2.json", Half::Metadata, Role::NotUid),
            ("1.2.3_2.json", Half::Metadata, Role::NotUid),
            ("scan.j2c", Half::Image, Role::NotUid),
            ("README.txt", Half::Image, Role::Junk),
            ("._1.2.3.json", Half::Metadata, Role::Junk),
            (".DS_Store", Half::Image, Role::Junk),
            ("", Half::Image, Role::Junk),
            ("é.json", Half::Metadata, Role::NotUid),
        ] {
            assert_eq!(role(name, half), expected, "{name} among {half} archives");
        }
    }
}
