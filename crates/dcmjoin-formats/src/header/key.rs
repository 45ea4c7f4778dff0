//! Element keys: `00080018` (PS3.18 F.2.2), and the other spellings that documents have.

use super::dictionary;

/// What a member name of a data set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Eight hexadecimal digits, in either case.
    Tag(u32),
    /// A keyword, or a tag with punctuation.
    OtherForm(u32),
    /// Neither.
    Unknown,
}

impl Key {
    #[inline]
    pub(super) fn parse(name: &str) -> Self {
        hexadecimal(name.as_bytes()).map_or_else(|| Self::parse_other(name), Self::Tag)
    }

    #[cold]
    fn parse_other(name: &str) -> Self {
        punctuated(name).or_else(|| dictionary::tag(name)).map_or(Self::Unknown, Self::OtherForm)
    }
}

/// Values of hexadecimal digits, 0xFF for other bytes.
const NIBBLES: [u8; 256] = {
    let mut table = [0xFF; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789ABCDEF"[digit as usize] as usize] = digit;
        table[b"0123456789abcdef"[digit as usize] as usize] = digit;
        digit += 1;
    }
    table
};

/// Reads eight hexadecimal digits.
#[inline]
pub(super) fn hexadecimal(name: &[u8]) -> Option<u32> {
    let digits: &[u8; 8] = name.try_into().ok()?;
    let mut tag = 0_u32;
    let mut seen = 0;
    for &digit in digits {
        let nibble = NIBBLES[usize::from(digit)];
        seen |= nibble;
        tag = tag << 4 | u32::from(nibble & 0x0F);
    }
    (seen & 0xF0 == 0).then_some(tag)
}

/// Reads `(0008,0018)` and `0008,0018`, with white space anywhere.
pub(super) fn punctuated(name: &str) -> Option<u32> {
    let (group, element) = name.trim().split_once(',')?;
    let group = group.strip_prefix('(').unwrap_or(group).trim();
    let element = element.strip_suffix(')').unwrap_or(element).trim();
    let mut digits = [0; 8];
    digits[..4].copy_from_slice(group.as_bytes().get(..4).filter(|_| group.len() == 4)?);
    digits[4..].copy_from_slice(element.as_bytes().get(..4).filter(|_| element.len() == 4)?);
    hexadecimal(&digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_spelling_of_a_key() {
        let check = |name: &str, expect: Key| assert_eq!(Key::parse(name), expect, "{name:?}");
        check("00100020", Key::Tag(0x0010_0020));
        check("7fe0000F", Key::Tag(0x7FE0_000F));
        check("PatientID", Key::OtherForm(0x0010_0020));
        check("(0010,0020)", Key::OtherForm(0x0010_0020));
        check("0010,0020", Key::OtherForm(0x0010_0020));
        check("( 0010 , 0020 )", Key::OtherForm(0x0010_0020));
        for name in ["", "0010002", "001000200", "0010002g", "(0010,020)", "patient", "００10,0020"]
        {
            check(name, Key::Unknown);
        }
    }
}
