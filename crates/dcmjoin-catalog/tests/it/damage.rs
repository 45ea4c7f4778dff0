//! Files that are cut, flipped or of another kind: refused, or read as they were written.

use std::sync::LazyLock;

use bytes::Bytes;
use dcmjoin_catalog::{Error, Reader, Row};
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::samples::{file, row, uid};

const ROWS: u64 = 300;

static FILE: LazyLock<Bytes> = LazyLock::new(|| file((0..ROWS).map(row)));

/// Reads all that can be read; fails where anything differs from what was written.
fn read_or_refuse(damaged: Vec<u8>) -> Result<(), Error> {
    let reader = Reader::open(Bytes::from(damaged))?;
    let rows = reader.rows().collect::<Result<Vec<_>, _>>();
    let found = (0..ROWS).step_by(29).map(|n| Ok((n, reader.find(&uid(n))?)));
    let found = found.collect::<Result<Vec<_>, Error>>();
    if let Ok(found) = &found {
        for (n, found) in found {
            let expected: Vec<Row> =
                Some(row(*n)).filter(|row| row.uid.is_some()).into_iter().collect();
            assert_eq!(*found, expected, "silently wrong look-up of row {n}");
        }
    }
    assert_eq!(rows?, (0..ROWS).map(row).collect::<Vec<_>>(), "silently wrong rows");
    found?;
    Ok(())
}

#[test]
fn each_flipped_byte_is_noticed() {
    read_or_refuse(FILE.to_vec()).unwrap();
    // The mark at the head is not looked at: it says nothing of the rows.
    for at in 4..FILE.len() {
        // Each byte would take half a minute; the footer is seen whole, of the rest a part.
        if at % 37 == 0 || at + 600 > FILE.len() {
            let mut damaged = FILE.to_vec();
            damaged[at] ^= 1 << (at % 8);
            assert!(read_or_refuse(damaged).is_err(), "byte {at} of {}", FILE.len());
        }
    }
}

#[test]
fn a_file_that_is_cut_is_refused_with_numbers() {
    for length in 0..FILE.len() {
        let error = Reader::open(FILE.slice(..length)).unwrap_err();
        let named =
            matches!(error, Error::Truncated { .. } | Error::Unfinished { .. } | Error::Foreign(_));
        assert!(named, "{length} bytes: {error}");
    }
    let error = Reader::open(FILE.slice(..5)).unwrap_err().to_string();
    assert_eq!(error, "catalogue file is cut short: expected at least 12 bytes, got 5");
}

#[test]
fn other_files_are_refused() {
    for other in [&b"{\"archive\": 1, \"rows\": 2}"[..], b"PAR1\x00\x00\x00\x00PAR1", &[0; 4096]] {
        assert!(matches!(Reader::open(Bytes::from_static(other)), Err(Error::Foreign(_))));
    }
}

#[test]
fn errors_quote_no_uid() {
    for at in (4..FILE.len()).step_by(101) {
        let mut damaged = FILE.to_vec();
        damaged[at] = damaged[at].wrapping_add(1);
        let error = read_or_refuse(damaged).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("2.25."), "{text}");
    }
}

/// Where the seal's list of pieces stands in a file, and where its footer begins.
fn pieces_place(file: &[u8]) -> (usize, usize) {
    let key = b"[{\"rows\":[";
    let pieces = file.windows(key.len()).rposition(|window| window == key).unwrap();
    let length = file[file.len() - 8..].first_chunk::<4>().copied().map(u32::from_le_bytes);
    (pieces, file.len() - 8 - length.unwrap() as usize)
}

/// Makes the seal fit bytes that were changed, as somebody might who means harm.
fn sealed_again(mut file: Vec<u8>) -> Option<Vec<u8>> {
    let (pieces, footer) = pieces_place(&FILE);
    let mut json = serde_json::Deserializer::from_slice(&FILE[pieces..]).into_iter();
    let groups: Vec<serde_json::Value> = json.next()?.ok()?;
    for piece in groups.iter().flat_map(|group| [&group["rows"], &group["bloom"]]) {
        let range = piece[0].as_u64()? as usize..piece[1].as_u64()? as usize;
        let (old, new) = (piece[2].as_str()?, format!("{:016x}", xxh3_64(&file[range])));
        let at = FILE[pieces..].windows(16).position(|window| window == old.as_bytes())?;
        file[pieces + at..][..16].copy_from_slice(new.as_bytes());
    }
    let mark = b"dcmjoin.footer_xxh3\x18\x10";
    let at = file.windows(mark.len()).rposition(|window| window == mark)? + mark.len();
    file[at..][..16].copy_from_slice(&[b'0'; 16]);
    let checksum = format!("{:016x}", xxh3_64(&file[footer..]));
    file[at..][..16].copy_from_slice(checksum.as_bytes());
    Some(file)
}

#[test]
fn sealing_again_changes_nothing_of_a_whole_file() {
    assert!(sealed_again(FILE.to_vec()).unwrap() == *FILE);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_forged_file_is_never_a_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        in_footer in any::<bool>(),
    ) {
        let (_, footer) = pieces_place(&FILE);
        let mut forged = FILE.to_vec();
        for (at, value) in flips {
            let at = if in_footer { footer + at.index(FILE.len() - 8 - footer) } else { at.index(footer) };
            forged[at] = value;
        }
        if let Some(forged) = sealed_again(forged)
            && let Ok(reader) = Reader::open(Bytes::from(forged))
        {
            // What it says is the forger's; that it says anything or refuses is the test.
            let _ = reader.rows().count();
            let _ = reader.find(&uid(29));
        }
    }
    #[test]
    fn damage_is_never_a_panic_nor_a_wrong_row(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        moved in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1_usize..64)),
    ) {
        let mut damaged = FILE.to_vec();
        if let Some((from, to, length)) = moved {
            let end = FILE.len() - length;
            let (from, to) = (from.index(end), to.index(end));
            damaged.copy_within(from..from + length, to);
        }
        for (at, value) in flips {
            let at = at.index(damaged.len());
            damaged[at] = value;
        }
        if let Some(cut) = cut {
            damaged.truncate(cut.index(FILE.len()));
        }
        // Refusing is fine; the assertions of the reading are the test.
        let _ = read_or_refuse(damaged);
    }

    #[test]
    fn chance_is_no_file(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(Reader::open(Bytes::from(bytes)).is_err());
    }
}
