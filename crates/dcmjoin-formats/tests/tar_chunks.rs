//! How the archive arrives does not matter to the tar parser: in chunks of any size, or in ranges
//! between which it jumps.
#![allow(clippy::unwrap_used, reason = "tests")]

mod tar_support;

use bytes::Bytes;
use dcmjoin_formats::tar::{Part, TarEnd, TarError, TarEvent, TarLimits, TarParser};
use proptest::prelude::*;
use tar_support::{Archive, GNU, Listing, base_256, file, parse, parse_chunks};

#[test]
fn members_beyond_8_gib_keep_the_place() {
    const SIZE: u64 = (9 << 30) + 1;
    let gnu = Archive::new().header(&file("big", 0).size(base_256(SIZE)).magic(GNU));
    let pax = Archive::new().pax(&[("size", &SIZE.to_string())]).header(&file("big", 0));
    for archive in [gnu, pax] {
        let mut parser = TarParser::new(TarLimits::default());
        let start = archive.0.len() as u64;
        parser.feed(archive.0.into());
        let Ok(Some(TarEvent::Member(member))) = parser.next_event() else { panic!() };
        assert_eq!((member.range.start, member.range.len()), (start, SIZE));
        parser.skip_member();
        assert_eq!(parser.next_event(), Ok(None));
        let next = start + SIZE.next_multiple_of(512);
        assert_eq!(parser.wanted_from(), next);
        assert_eq!(parser.jump(u64::MAX), next);
        parser.feed(Archive::new().member("next", b"ok").end().0.into());
        assert_eq!(parser.next_event(), Ok(Some(TarEvent::End)));
        let Ok(Some(TarEvent::Member(member))) = parser.next_event() else { panic!() };
        assert_eq!((member.name.as_str(), member.range.start), ("next", next + 512));
    }
}

#[test]
fn content_is_a_slice_of_the_chunk_that_was_fed() {
    let chunk = Bytes::from(Archive::new().member("a", b"content").end().0);
    let mut parser = TarParser::new(TarLimits::default());
    parser.feed(chunk.clone());
    parser.next_event().unwrap();
    let Ok(Some(TarEvent::Data(bytes))) = parser.next_event() else { panic!() };
    assert_eq!(bytes.as_ptr(), chunk[512..].as_ptr());
}

#[test]
#[should_panic(expected = "before the last one's events were taken")]
fn a_chunk_too_soon_is_a_bug_of_the_caller() {
    let mut parser = TarParser::new(TarLimits::default());
    parser.feed(Bytes::from_static(b"a"));
    parser.feed(Bytes::from_static(b"b"));
}

/// Reads by ranges, jumping over what is skipped; returns what was seen and how many bytes were read.
fn parse_by_ranges(archive: &[u8], range: usize) -> (Listing, usize) {
    let mut parser = TarParser::new(TarLimits::default());
    let mut listing = Listing { members: Vec::new(), end: Ok(TarEnd::default()) };
    let mut read = 0;
    loop {
        let at = parser.jump(archive.len() as u64) as usize;
        let end = archive.len().min(at + range);
        read += end - at;
        parser.feed(Bytes::copy_from_slice(&archive[at..end]));
        while let Some(event) = parser.next_event().unwrap() {
            let skip = matches!(&event, TarEvent::Member(member) if member.name != "wanted");
            listing.collect(event);
            if skip {
                parser.skip_member();
            }
        }
        if at == end {
            break;
        }
    }
    listing.end = parser.finish();
    (listing, read)
}

#[test]
fn jumps_save_reading_and_miss_nothing() {
    let archive = Archive::new()
        .member("skipped", &vec![7; 100_000])
        .member("wanted", &[8; 3000])
        .member("skipped", &vec![9; 50_001])
        .end();
    for range in [1, 100, 512, 513, 4096, 1 << 20] {
        let (listing, read) = parse_by_ranges(&archive.0, range);
        assert_eq!(listing.names(), ["skipped", "wanted", "skipped"]);
        assert!(listing.members.iter().all(|seen| seen.whole));
        assert_eq!(listing.members[1].data, [8; 3000]);
        assert!(listing.members[0].data.is_empty() && listing.members[2].data.is_empty());
        assert_eq!(
            listing.end.unwrap(),
            TarEnd { members: 3, archives: 1, end_marker: true, trailing_bytes: 0 }
        );
        assert!(range > 4096 || read < 20_000, "{read} bytes read in ranges of {range}");
    }
    let unmarked = &archive.0[..archive.0.len() - 1024];
    assert!(parse_by_ranges(unmarked, 512).0.members.iter().all(|seen| seen.whole));
    let cut = &archive.0[..120_000];
    let (listing, _) = parse_by_ranges(cut, 512);
    assert!(matches!(listing.end, Err(TarError::Truncated { part: Part::Content, .. })));
    assert!(!listing.members[2].whole, "a jump does not leave the archive");
}

/// Any archive: lawful members, extensions, and now and then a damaged block.
fn any_archive() -> impl Strategy<Value = Vec<u8>> {
    let content = || prop::collection::vec(any::<u8>(), 0..1500);
    let name = || "[a-z/]{1,40}";
    let entry = prop_oneof![
        8 => (name(), content()).prop_map(|(name, content)| Archive::new().member(&name, &content).0),
        2 => (name(), content(), any::<u8>()).prop_map(|(name, content, flag)| {
            let header = file(&name, content.len() as u64).flag(flag).magic(GNU);
            Archive::new().header(&header).content(&content).0
        }),
        2 => "[a-z]{1,600}".prop_map(|name| Archive::new().long_name(&name).0),
        2 => (name(), 0..2000_u32).prop_map(|(path, size)| {
            let comment = "c".repeat(size as usize);
            Archive::new().pax(&[("path", &path), ("comment", &comment)]).0
        }),
        1 => (0..3000_u32).prop_map(|size| Archive::new().pax(&[("size", &size.to_string())]).0),
        1 => "[a-z]{1,5}".prop_map(|text| Archive::new().global(&[("comment", &text)]).0),
        1 => (0..4_usize).prop_map(|blocks| Archive::new().zeros(blocks).0),
        1 => prop::collection::vec(any::<u8>(), 0..700),
    ];
    (prop::collection::vec(entry, 0..8), 0..1024_usize).prop_map(|(entries, cut)| {
        let mut archive = entries.concat();
        archive.truncate(archive.len().saturating_sub(cut / 2 * (cut % 2)));
        archive
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn chunks_do_not_matter(
        archive in any_archive(),
        cuts in prop::collection::vec(1..1600_usize, 1..20),
    ) {
        let archive = Bytes::from(archive);
        let whole = parse_chunks(TarLimits::default(), [archive.clone()]);
        let bytewise = (0..archive.len()).map(|at| archive.slice(at..=at));
        prop_assert_eq!(&parse_chunks(TarLimits::default(), bytewise), &whole);
        let mut rest = archive;
        let mut cuts = cuts.iter().cycle();
        let chunks = std::iter::from_fn(|| {
            let at = (*cuts.next()?).min(rest.len());
            (at > 0).then(|| rest.split_to(at))
        });
        prop_assert_eq!(&parse_chunks(TarLimits::default(), chunks), &whole);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let listing = parse(&bytes);
        prop_assert!(listing.members.is_empty());
    }
}
