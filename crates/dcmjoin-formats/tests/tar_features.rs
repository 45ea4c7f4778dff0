//! What the tar parser makes of each feature and each kind of damage, case by case.

#![allow(clippy::unwrap_used, reason = "tests")]

mod tar_support;

use bytes::Bytes;
use dcmjoin_formats::tar::{MemberKind, Part, TarEnd, TarError, TarLimits, TarParser};
use tar_support::{
    Archive, BLOCK, GNU, Header, Listing, USTAR, V7, base_256, file, octal, parse, parse_chunks,
    pax_record, pax_records,
};

/// Checks names, kinds and contents of a whole archive; `None` stands for content that is not given.
#[track_caller]
fn check(archive: &Archive, expect: &[(&str, MemberKind, Option<&[u8]>)]) -> TarEnd {
    let listing = parse(&archive.0);
    let end = listing.end.clone().unwrap();
    let got: Vec<_> = listing
        .members
        .iter()
        .map(|seen| {
            let (range, kind) = (seen.member.range, seen.member.kind);
            if kind.has_data() {
                let stored = &archive.0[range.start as usize..range.end as usize];
                assert_eq!(stored, seen.data, "the range holds the content");
            }
            assert!(seen.whole);
            (seen.member.name.as_str(), kind, kind.has_data().then_some(&seen.data[..]))
        })
        .collect();
    assert_eq!(got, expect);
    assert_eq!(end.members, expect.len() as u64);
    end
}

/// Checks that the archive is refused with these words after `good` members.
#[track_caller]
fn check_refused(archive: &Archive, good: usize, words: &str) {
    let listing = parse(&archive.0);
    let error = listing.end.unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
    assert_eq!(listing.members.len(), good);
}

use MemberKind::{File, Folder, Link, Other, Sparse, Special};

const NEXT: (&str, MemberKind, Option<&[u8]>) = ("next", File, Some(b"ok"));

#[test]
fn plain_members_of_all_formats() {
    for magic in [V7, USTAR, GNU] {
        for flag in *b"0\x007" {
            let header = file("./a/b.json", 3).magic(magic).flag(flag);
            let archive =
                Archive::new().header(&header).content(b"abc").member("next", b"ok").end();
            let end = check(&archive, &[("./a/b.json", File, Some(b"abc")), NEXT]);
            let expect = TarEnd { members: 2, archives: 1, end_marker: true, trailing_bytes: 0 };
            assert_eq!(end, expect);
        }
    }
}

#[test]
fn the_ustar_prefix_belongs_to_the_name_in_ustar_alone() {
    let header = file("b", 0).prefix("a");
    check(&Archive::new().header(&header).end(), &[("a/b", File, Some(b""))]);
    check(&Archive::new().header(&header.clone().magic(GNU)).end(), &[("b", File, Some(b""))]);
    check(&Archive::new().header(&header.magic(V7)).end(), &[("b", File, Some(b""))]);
    let full = Header { name: vec![b'n'; 100], prefix: vec![b'p'; 155], ..file("", 0) };
    let name = format!("{}/{}", "p".repeat(155), "n".repeat(100));
    check(&Archive::new().header(&full).end(), &[(&name, File, Some(b""))]);
}

#[test]
fn names_are_kept_as_they_are() {
    for name in ["/etc/passwd", "../../up", ".", "a\nb", "C:\\x", ""] {
        check(&Archive::new().member(name, b"x").end(), &[(name, File, Some(b"x"))]);
    }
    let header = Header { name: b"\xff\xfe.json".to_vec(), ..file("", 0) };
    check(&Archive::new().header(&header).end(), &[("\u{fffd}\u{fffd}.json", File, Some(b""))]);
}

#[test]
fn a_file_whose_name_ends_in_a_slash_is_a_folder() {
    for flag in *b"\x0007" {
        let header = file("a/", 2).magic(V7).flag(flag);
        let archive = Archive::new().header(&header).content(b"no").member("next", b"ok").end();
        check(&archive, &[("a/", Folder, None), NEXT]);
    }
}

#[test]
fn kinds_and_which_of_them_store_bytes() {
    // A hard link's size is that of the file it names, and a folder's is a hint: nothing follows.
    for (flag, kind) in [(b'1', Link), (b'5', Folder)] {
        let archive = Archive::new().header(&file("a", 700).flag(flag)).member("next", b"ok").end();
        check(&archive, &[("a", kind, None), NEXT]);
    }
    let kinds = [(b'2', Link), (b'3', Special), (b'4', Special), (b'6', Special), (b'D', Folder)];
    for (flag, kind) in kinds {
        let header = file("a", 700).flag(flag);
        let archive = Archive::new().header(&header).content(&[7; 700]).member("next", b"ok").end();
        check(&archive, &[("a", kind, None), NEXT]);
    }
    for flag in *b"VMNAZ8" {
        let header = file("a", 3).flag(flag);
        let archive = Archive::new().header(&header).content(b"abc").member("next", b"ok").end();
        check(&archive, &[("a", Other, Some(b"abc")), NEXT]);
    }
}

#[test]
fn a_hard_link_stores_what_its_pax_size_says() {
    let link = file("a", 0).flag(b'1');
    let archive = Archive::new().pax(&[("size", "3")]).header(&link).content(b"abc");
    check(&archive.member("next", b"ok").end(), &[("a", Link, None), NEXT]);
}

#[test]
fn gnu_long_names_and_links() {
    let name = "long/".repeat(60) + "name";
    let archive = Archive::new()
        .extension(b'K', b"target\0")
        .long_name(&name)
        .member("cut", b"abc")
        .member("next", b"ok")
        .end();
    check(&archive, &[(&name, File, Some(b"abc")), NEXT]);
    let twice = Archive::new().long_name("first").long_name("second").member("cut", b"").end();
    check(&twice, &[("second", File, Some(b""))]);
}

#[test]
fn signed_checksums_and_their_spellings() {
    let mut header = Header { name: "\u{e4}\u{f6}.json".into(), ..file("", 0) };
    header.checksum_signed = true;
    check(&Archive::new().header(&header).end(), &[("äö.json", File, Some(b""))]);
    for spelling in ["{sum:06o}\0 ", "{sum:07o}\0", "{sum:6o}  ", "{sum:o}\0"] {
        let mut block = file("a", 0).block();
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        let text = match spelling {
            "{sum:06o}\0 " => format!("{sum:06o}\0 "),
            "{sum:07o}\0" => format!("{sum:07o}\0"),
            "{sum:6o}  " => format!("{sum:6o}  "),
            _ => format!("{sum:o}\0"),
        };
        block[148..148 + text.len()].copy_from_slice(text.as_bytes());
        check(&Archive::new().bytes(&block).end(), &[("a", File, Some(b""))]);
    }
}

#[test]
fn sizes_in_base_256() {
    let header = file("a", 0).size(base_256(3)).magic(GNU);
    let archive = Archive::new().header(&header).content(b"abc").member("next", b"ok").end();
    check(&archive, &[("a", File, Some(b"abc")), NEXT]);
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let negative = vec![0xff; 12];
    let huge = [&[0x80][..], &[0xff; 11]].concat();
    for field in [negative, huge, b"00000001k00\0".to_vec(), b"            ".to_vec()] {
        let archive = Archive::new().member("ok", b"ok").header(&file("bad", 0).size(field)).end();
        check_refused(&archive, 1, "damaged tar at byte 1024: expected an octal or base-256 size");
    }
}

#[test]
fn pax_path_and_size_go_before_the_headers() {
    let archive = Archive::new()
        .pax(&[("path", "long.json"), ("size", "3"), ("mtime", "1.5"), ("SCHILY.xattr.x", "a=b\n")])
        .header(&file("cut", 0))
        .content(b"abc")
        .member("next", b"ok")
        .end();
    check(&archive, &[("long.json", File, Some(b"abc")), NEXT]);
    let nonzero = Archive::new().pax(&[("size", "3")]).header(&file("a", 2000)).content(b"abc");
    check(&nonzero.member("next", b"ok").end(), &[("a", File, Some(b"abc")), NEXT]);
}

#[test]
fn solaris_extended_headers_are_pax() {
    let archive = Archive::new().extension(b'X', &pax_records(&[("path", "b")])).member("a", b"");
    check(&archive.end(), &[("b", File, Some(b""))]);
}

#[test]
fn pax_records_are_for_the_next_member_and_not_for_extensions_between() {
    // GHSA-3pv8-6f4r-ffg2: the size must not be taken for that of the long name.
    let name = "n".repeat(150);
    for archive in [
        Archive::new().pax(&[("size", "700")]).long_name(&name),
        Archive::new().long_name(&name).pax(&[("size", "700")]),
        Archive::new().pax(&[("size", "700")]).global(&[("comment", "c")]).long_name(&name),
    ] {
        let archive = archive.header(&file("cut", 0)).content(&[b'd'; 700]);
        let archive = archive.member("next", b"ok").end();
        check(&archive, &[(&name, File, Some(&[b'd'; 700])), NEXT]);
    }
}

#[test]
fn the_name_of_pax_records_goes_before_a_long_name() {
    let archive = Archive::new().pax(&[("path", "pax")]).long_name("gnu").member("cut", b"").end();
    check(&archive, &[("pax", File, Some(b""))]);
    let global = Archive::new().global(&[("path", "global")]).long_name("gnu").member("cut", b"");
    let global = global.pax(&[("path", "pax")]).member("cut", b"").end();
    check(&global, &[("global", File, Some(b"")), ("pax", File, Some(b""))]);
}

#[test]
fn the_last_of_two_extended_headers_counts_as_a_whole() {
    let archive = Archive::new().pax(&[("size", "700"), ("path", "x")]).pax(&[("path", "y")]);
    check(&archive.member("cut", b"abc").end(), &[("y", File, Some(b"abc"))]);
}

#[test]
fn global_records_hold_until_the_next_or_the_end_marker() {
    let archive = Archive::new()
        .global(&[("size", "3")])
        .header(&file("a", 0))
        .content(b"abc")
        .pax(&[("size", "4")])
        .header(&file("b", 0))
        .content(b"abcd")
        .global(&[("comment", "c")])
        .member("c", b"abcde")
        .global(&[("path", "same")])
        .member("d", b"")
        .end()
        .member("e", b"e")
        .end();
    let end = check(
        &archive,
        &[
            ("a", File, Some(b"abc")),
            ("b", File, Some(b"abcd")),
            ("c", File, Some(b"abcde")),
            ("same", File, Some(b"")),
            ("e", File, Some(b"e")),
        ],
    );
    assert_eq!(end.archives, 2);
}

#[test]
fn malformed_pax_records_are_refused_at_their_header() {
    for content in ["9 path=ab\n", "junk", "13 size=12ab\n", "99 size=1\n"] {
        for flag in *b"xgX" {
            let archive = Archive::new().member("ok", b"ok").extension(flag, content.as_bytes());
            let archive = archive.member("a", b"").end();
            check_refused(&archive, 1, "damaged tar at byte 1024: expected a");
        }
    }
}

#[test]
fn old_gnu_sparse_members_are_passed_over_with_their_maps() {
    let entry = |offset: u64, length: u64| [octal(offset), octal(length)].concat();
    let header = |entries: usize, extended: u8| {
        let map: Vec<u8> = (0..entries as u64).flat_map(|i| entry(i * 100, 10)).collect();
        let header = file("s", 1024).magic(GNU).flag(b'S');
        header.extra(386, map).extra(482, [extended]).extra(483, octal(100_000))
    };
    let short = Archive::new().header(&header(3, 0)).content(&[7; 1024]);
    check(&short.member("next", b"ok").end(), &[("s", Sparse, None), NEXT]);

    let mut full: Vec<u8> = (4..25).flat_map(|i| entry(i * 100, 10)).collect();
    full.push(1);
    let last = entry(90_000, 10);
    let long = Archive::new().header(&header(4, 1)).content(&full).content(&last);
    let start = long.0.len() as u64;
    let long = long.content(&[7; 1024]).member("next", b"ok").end();
    check(&long, &[("s", Sparse, None), NEXT]);
    assert_eq!(parse(&long.0).members[0].member.range.start, start);

    let unclear = Archive::new().header(&header(3, 1)).content(&full);
    check_refused(&unclear, 0, "a full sparse map before its next block");
    let beyond = header(3, 0).extra(483, octal(50));
    check_refused(&Archive::new().header(&beyond), 0, "a sparse map within the file's real size");
    let cut = Archive::new().header(&header(4, 1)).bytes(&full[..100]);
    check_refused(&cut, 0, "expected 512 bytes of extension at byte 512, got 100");
}

#[test]
fn sparse_members_of_other_formats_are_passed_over() {
    let pax: [&[(&str, &str)]; 2] = [
        &[("GNU.sparse.numblocks", "1"), ("GNU.sparse.map", "0,3"), ("GNU.sparse.name", "s")],
        &[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "s")],
    ];
    for records in pax {
        let archive = Archive::new().pax(records).member("cut", b"1\n0\n3\n").member("next", b"ok");
        check(&archive.end(), &[("s", Sparse, None), NEXT]);
    }
    let star =
        Archive::new().header(&file("s", 3).flag(b'S')).content(b"abc").member("next", b"ok");
    check(&star.end(), &[("s", Sparse, None), NEXT]);
}

#[test]
fn sparse_records_that_readers_disagree_about_are_refused() {
    let alone = Archive::new().pax(&[("GNU.sparse.realsize", "9")]).member("a", b"abc").end();
    check_refused(&alone, 0, "a sparse map or version");
    let version = pax_records(&[("GNU.sparse.major", "1")]);
    let global = Archive::new().extension(b'g', &version).member("a", b"abc").end();
    check_refused(&global, 0, "a sparse map for one member");
    let gnu = file("a", 3).magic(GNU);
    let gnu = Archive::new().extension(b'x', &version).header(&gnu).content(b"abc").end();
    check_refused(&gnu, 0, "a ustar header after GNU.sparse records");
}

#[test]
fn end_markers_of_all_lengths() {
    for (zeros, end_marker) in [(0, false), (1, true), (2, true), (19, true)] {
        let end = check(&Archive::new().member("next", b"ok").zeros(zeros), &[NEXT]);
        assert_eq!((end.end_marker, end.archives), (end_marker, 1));
    }
    let end = check(&Archive::new().member("next", b"ok").bytes(&[0; 100]), &[NEXT]);
    assert!(!end.end_marker);
}

#[test]
fn empty_archives() {
    assert_eq!(parse(b"").end.unwrap(), TarEnd::default());
    let zeros = parse(&[0; 10240]).end.unwrap();
    assert_eq!(zeros, TarEnd { end_marker: true, ..TarEnd::default() });
}

#[test]
fn joined_archives_are_read_on() {
    let one = Archive::new().member("a", b"1").end();
    let joined = one.clone().bytes(&one.0).zeros(20).bytes(&one.0);
    let member = ("a", File, Some(&b"1"[..]));
    assert_eq!(check(&joined, &[member, member, member]).archives, 3);
}

#[test]
fn garbage_after_the_end_marker_is_counted() {
    for length in [1, 511, 512, 513, 5000] {
        let garbage = vec![b'g'; length];
        let archive = Archive::new().member("next", b"ok").end().bytes(&garbage).zeros(2);
        // Not searched for headers either: they could be anything's.
        let archive = archive.member("stale", b"old");
        let end = check(&archive, &[NEXT]);
        assert_eq!(end.trailing_bytes, archive.0.len() as u64 - 2048, "{length}");
        let bytewise = archive.0.iter().map(|&byte| Bytes::copy_from_slice(&[byte]));
        assert_eq!(parse_chunks(TarLimits::default(), bytewise).end, Ok(end));
        assert!(end.end_marker);
    }
    let end = check(&Archive::new().member("next", b"ok").end().bytes(b"bye"), &[NEXT]);
    assert_eq!(end.trailing_bytes, 3);
}

#[test]
fn what_is_no_tar_is_refused() {
    let text = b"{\"00080018\":{\"vr\":\"UI\"}}".repeat(40);
    for (bytes, words) in [
        (text.clone(), "not a tar archive: expected a header at byte 0, got"),
        ([&[0x1f, 0x8b, 8][..], &text].concat(), "got a gzip stream"),
        ([&[0x28, 0xb5, 0x2f, 0xfd][..], &text].concat(), "got a Zstandard frame"),
        ([&[0; 512][..], &text].concat(), "expected a header at byte 512"),
        (vec![b' '; 1024], "no octal number in the checksum's place"),
        (b"short".to_vec(), "expected 512 bytes of header at byte 0, got 5"),
    ] {
        check_refused(&Archive(bytes), 0, words);
    }
}

#[test]
fn errors_never_quote_content() {
    let error = parse(&b"Doe^Jane".repeat(100)).end.unwrap_err();
    assert!(!error.to_string().contains("Doe"), "{error}");
    let archive = Archive::new().extension(b'x', b"22 patient=Doe^Jane!!\n").end();
    let error = parse(&archive.0).end.unwrap_err();
    assert!(!error.to_string().contains("Doe"), "{error}");
}

#[test]
fn damage_in_the_middle_stops_and_nothing_is_searched() {
    let mut bad = file("bad", 3);
    bad.checksum_off_by = 1;
    let archive = Archive::new().member("ok", b"ok").header(&bad).content(b"abc");
    let archive = archive.member("after", b"").end();
    check_refused(
        &archive,
        1,
        "damaged tar at byte 1024: expected a header with its checksum, got",
    );
}

#[test]
fn errors_stay() {
    let mut parser = TarParser::new(TarLimits::default());
    parser.feed(Bytes::from(vec![b'x'; 2048]));
    let error = parser.next_event().unwrap_err();
    assert_eq!(parser.next_event().unwrap_err(), error);
    assert_eq!(parser.finish().unwrap_err(), error);
}

#[test]
fn truncation_is_told_by_where_it_falls() {
    let whole = Archive::new().member("ok", b"ok").pax(&[("path", "p")]).member("a", &[b'x'; 700]);
    let cut = |length: usize| parse(&whole.0[..length]);
    let truncated =
        |part, offset, expected, got| Err(TarError::Truncated { part, offset, expected, got });
    // ok: 0, 512; x: 1024, 1536 (9 bytes); a: 2048, 2560 to 3260, padded to 3584.
    assert_eq!(cut(300).end, truncated(Part::Header, 0, 512, 300));
    assert_eq!(cut(512).end, truncated(Part::Content, 512, 2, 0));
    assert_eq!(cut(513).end, truncated(Part::Content, 512, 2, 1));
    assert_eq!(cut(513).names(), ["ok"], "the member that is cut was given");
    assert!(cut(514).end.is_ok(), "in the padding: nothing is lost");
    assert!(cut(1023).end.is_ok());
    assert!(cut(1024).end.is_ok());
    assert_eq!(cut(1100).end, truncated(Part::Header, 1024, 512, 76));
    assert_eq!(cut(1536).end, truncated(Part::Extension, 1536, 9, 0));
    assert_eq!(cut(1540).end, truncated(Part::Extension, 1536, 9, 4));
    for length in [1545, 1600, 2048] {
        let error = cut(length).end.unwrap_err().to_string();
        assert!(error.contains("byte 1024: expected a member after its extensions"), "{error}");
    }
    assert_eq!(cut(2560).end, truncated(Part::Content, 2560, 700, 0));
    assert_eq!(cut(3259).end, truncated(Part::Content, 2560, 700, 699));
    for length in [3259, 3260, 3300, 3583, 3584] {
        assert_eq!(cut(length).names(), ["ok", "p"]);
        assert_eq!(cut(length).members[1].whole, length >= 3260);
        assert_eq!(cut(length).end.is_ok(), length >= 3260);
    }
}

#[test]
fn an_extension_without_its_member_is_a_loss() {
    let archive = Archive::new().member("ok", b"ok").long_name("gone").end();
    check_refused(&archive, 1, "damaged tar at byte 1024: expected a member after its extensions");
    let global = Archive::new().member("next", b"ok").global(&[("comment", "c")]).end();
    check(&global, &[NEXT]);
}

#[test]
fn limits_are_kept() {
    let limits = TarLimits { members_max: 2, name_bytes_max: 10, extension_bytes_max: 30 };
    let parse = |archive: Archive| parse_chunks(limits, [Bytes::from(archive.0)]);
    let refused = |listing: Listing, what, max, got| match listing.end.unwrap_err() {
        TarError::Limit { what: w, max: m, got: g, .. } => assert_eq!((w, m, g), (what, max, got)),
        other => panic!("{other}"),
    };
    let two = Archive::new().member("a", b"").member("b", b"");
    assert!(parse(two.clone()).end.is_ok());
    refused(parse(two.member("c", b"")), "members", 2, 3);
    refused(parse(Archive::new().member("12345678901", b"")), "bytes of name", 10, 11);
    let long = Archive::new().long_name("12345678901").member("a", b"");
    refused(parse(long), "bytes of name", 10, 11);
    refused(parse(Archive::new().extension(b'x', &[0; 31])), "bytes of extension", 30, 31);
    let huge = Archive::new().header(&file("a", 0).size(base_256(1 << 62)).flag(b'L'));
    refused(parse(huge), "bytes of extension", 30, 1 << 62);
}

#[test]
fn sizes_up_to_the_largest_do_not_overflow() {
    for flag in *b"05126V" {
        let header = file("a", 0).size(base_256(i64::MAX as u64)).flag(flag);
        let listing = parse(&Archive::new().header(&header).content(&[1; 100]).0);
        assert_eq!(listing.members.len(), 1);
    }
}

#[test]
fn pax_records_hold_any_bytes() {
    let record =
        [pax_record("path", b"\xc3\xa4"), pax_record("SCHILY.xattr.a", b"\0\n=\xff")].concat();
    let archive = Archive::new().extension(b'x', &record).member("cut", b"").end();
    check(&archive, &[("ä", File, Some(b""))]);
    assert_eq!(archive.0.len() % BLOCK, 0);
}
