//! The tar parser on any bytes: no panic, the same members however the stream is cut, ranges in
//! order and within the stream, content that is the stream's own.
#![no_main]

use bytes::Bytes;
use dcmjoin_formats::tar::{Member, TarEnd, TarError, TarEvent, TarLimits, TarParser};
use libfuzzer_sys::fuzz_target;

const LIMITS: TarLimits =
    TarLimits { members_max: 50, name_bytes_max: 300, extension_bytes_max: 4096 };

/// A member, what was given of its content, whether its end was.
type Seen = (Member, Vec<u8>, bool);
type Outcome = (Vec<Seen>, Result<TarEnd, TarError>);

fuzz_target!(|input: &[u8]| {
    // The first byte says how the stream is cut, and whether checksums are made right.
    let Some((&mode, archive)) = input.split_first() else { return };
    let (cut, sealed) = (mode >> 1, mode & 1 == 1);
    let sealed = sealed.then(|| seal(archive));
    let archive = sealed.as_deref().unwrap_or(archive);
    let whole = parse(archive, archive.len().max(1));
    check(archive, &whole);
    assert_eq!(parse(archive, 1 + usize::from(cut)), whole);
    assert_eq!(parse(archive, 1 + usize::from(cut) * 23), whole);
    check_jumps(archive, 1 + usize::from(cut), &whole);
});

/// Makes every block pass for a header: a mutation hardly ever gets past the checksum by itself.
fn seal(archive: &[u8]) -> Vec<u8> {
    let mut archive = archive.to_vec();
    for block in archive.chunks_exact_mut(512).filter(|block| block[0] != 0) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    archive
}

fn parse(archive: &[u8], chunk: usize) -> Outcome {
    let mut parser = TarParser::new(LIMITS);
    let mut members = Vec::new();
    'archive: for chunk in archive.chunks(chunk) {
        parser.feed(Bytes::copy_from_slice(chunk));
        loop {
            match parser.next_event() {
                Ok(Some(event)) => collect(&mut members, event),
                Ok(None) => break,
                Err(_) => break 'archive,
            }
        }
    }
    (members, parser.finish())
}

fn collect(members: &mut Vec<Seen>, event: TarEvent) {
    match event {
        TarEvent::Member(member) => {
            assert!(members.last().is_none_or(|last| last.2), "a member before the last one's end");
            members.push((member, Vec::new(), false));
        }
        TarEvent::Data(bytes) => {
            let last = members.last_mut().expect("content has a member");
            assert!(!bytes.is_empty() && !last.2);
            last.1.extend(bytes);
        }
        TarEvent::End => members.last_mut().expect("an end has a member").2 = true,
    }
}

fn check(archive: &[u8], (members, end): &Outcome) {
    let mut from = 512;
    for (index, (member, content, whole)) in members.iter().enumerate() {
        assert_eq!(member.index, index as u64);
        assert!(member.range.start >= from && member.range.start <= member.range.end);
        assert!(member.name.len() <= 3 * LIMITS.name_bytes_max, "each byte is U+FFFD at most");
        assert!(!whole || member.range.end <= archive.len() as u64);
        from = member.range.end.saturating_add(512);
        let start = member.range.start as usize;
        if member.kind.has_data() {
            assert_eq!(&archive[start..start + content.len()], content);
            assert!(!whole || content.len() as u64 == member.range.len());
        } else {
            assert!(content.is_empty());
        }
    }
    if let Ok(end) = end {
        assert_eq!(end.members, members.len() as u64);
        assert!(end.trailing_bytes <= archive.len() as u64);
        assert!(members.iter().all(|(_, _, whole)| *whole));
    }
}

/// Reads again by ranges, with every content skipped: the same members and the same end.
fn check_jumps(archive: &[u8], range: usize, (expect, expect_end): &Outcome) {
    let mut parser = TarParser::new(LIMITS);
    let mut members = Vec::new();
    'archive: loop {
        let at = parser.jump(archive.len() as u64) as usize;
        let end = archive.len().min(at + range);
        parser.feed(Bytes::copy_from_slice(&archive[at..end]));
        loop {
            match parser.next_event() {
                Ok(Some(event)) => collect(&mut members, event),
                Ok(None) => break,
                Err(_) => break 'archive,
            }
            parser.skip_member();
            assert!(parser.wanted_from() >= end as u64);
        }
        if at == end {
            break;
        }
    }
    assert_eq!(&parser.finish(), expect_end);
    assert_eq!(members.len(), expect.len());
    for (skipped, expect) in members.iter().zip(expect) {
        assert_eq!((&skipped.0, skipped.2), (&expect.0, expect.2));
    }
}
