//! Where the tar parser differs from GNU tar or from the tar crate on purpose: each case shows what
//! they do and what ours does, and says why. Everywhere else they must agree: `tar_differential.rs`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod tar_support;

use dcmjoin_formats::tar::MemberKind;
use tar_support::gnu::{self, GnuListing};
use tar_support::monster::rechecksum;
use tar_support::{Archive, BLOCK, GNU, file, octal, parse, pax_records};

fn names(listing: &GnuListing) -> Vec<&str> {
    listing.lines.iter().map(|line| line.name.as_str()).collect()
}

/// Checks what GNU tar with `--ignore-zeros` lists and what ours lists.
#[track_caller]
fn check(archive: &Archive, gnu_names: &[&str], our_names: &[&str]) {
    let gnu = gnu::list(&archive.0, &["--ignore-zeros"]);
    assert_eq!(names(&gnu), gnu_names, "GNU tar: {}", gnu.stderr);
    assert_eq!(parse(&archive.0).names(), our_names, "ours");
}

/// GNU tar stops at the first end marker unless it is told not to. Archives joined by `cat`, and by
/// GNU tar's own `--concatenate`, have several: reading on loses nothing. The price is that stale
/// members behind the marker, which very old tars left in the last record, are read as well.
#[test]
fn joined_archives_are_read_on() {
    let archive = Archive::new().member("a", b"a").end().member("b", b"b").end();
    assert_eq!(names(&gnu::list(&archive.0, &[])), ["a"]);
    check(&archive, &["a", "b"], &["a", "b"]);
}

/// GNU tar searches on for a header. What it finds may lie inside a member's content.
#[test]
fn after_damage_nothing_is_searched() {
    let smuggled = file("smuggled", 0).block();
    let mut archive =
        Archive::new().member("a", b"a").member("b", &smuggled).member("c", b"c").end();
    archive.0[2 * BLOCK] ^= 1;
    check(&archive, &["a", "smuggled", "c"], &["a"]);
    assert!(parse(&archive.0).end.is_err());
}

/// The same behind an end marker, where it is no error.
#[test]
fn after_the_end_marker_nothing_is_searched() {
    let archive = Archive::new().member("a", b"a").end().bytes(&[7; BLOCK]).member("stale", b"");
    check(&archive, &["a", "stale"], &["a"]);
    assert_eq!(parse(&archive.0).end.unwrap().trailing_bytes, 2 * BLOCK as u64);
}

/// GNU tar complains, drops the records after the fault, and goes on with the header's own size and
/// name: it may lose its place, and it lists a name that is not the member's.
#[test]
fn malformed_pax_records_are_refused() {
    let records = [b"junk\n".to_vec(), pax_records(&[("path", "long"), ("size", "3")])].concat();
    let archive = Archive::new().member("a", b"a").extension(b'x', &records).member("cut", b"abc");
    check(&archive.end(), &["a", "cut"], &["a"]);
}

/// GNU tar takes a NUL among the records for their end, others do not.
#[test]
fn pax_records_behind_a_nul_are_refused() {
    let records = [b"\0".to_vec(), pax_records(&[("path", "other")])].concat();
    let archive = Archive::new().extension(b'x', &records).member("cut", b"abc").end();
    check(&archive, &["cut"], &[]);
}

/// GNU tar takes the real size for the stored one here and loses its place: it lists what is inside.
#[test]
fn a_real_size_without_a_sparse_map_is_refused() {
    let content = [&[0; BLOCK][..], &file("smuggled", 0).block()].concat();
    let size = BLOCK.to_string();
    let archive = Archive::new().pax(&[("GNU.sparse.realsize", &size)]).member("a", &content).end();
    check(&archive, &["a", "smuggled"], &[]);
}

/// Two readers disagree where an old GNU sparse map ends when an empty entry comes before its end:
/// GNU tar stops there, others read another block. GNU tar's own archives have no such maps.
#[test]
fn an_unclear_sparse_map_is_refused() {
    let header = file("s", 0).magic(GNU).flag(b'S').extra(482, [1]).extra(483, octal(9));
    let archive = Archive::new().header(&header).member("b", b"b").end();
    check(&archive, &["s", "b"], &[]);
}

/// GNU tar's `--ignore-zeros` lets global records go over into the next archive. They were not
/// written for it: read alone, it has other names and sizes.
#[test]
fn global_records_end_with_their_archive() {
    let archive = Archive::new().global(&[("path", "all")]).member("a", b"").end().member("b", b"");
    check(&archive, &["all", "all"], &["all", "b"]);
}

/// GNU tar says nothing when an extension has no member: for it nothing is there to extract. Here it
/// means that a member was lost.
#[test]
fn an_extension_without_its_member_is_an_error() {
    for archive in [
        Archive::new().member("a", b"a").long_name("lost"),
        Archive::new().member("a", b"a").long_name("lost").end(),
    ] {
        check(&archive, &["a"], &["a"]);
        assert!(gnu::list(&archive.0, &["--ignore-zeros"]).ok);
        assert!(parse(&archive.0).end.is_err());
    }
}

/// GNU tar fails where the last block is not filled up. The content is all there.
#[test]
fn missing_padding_at_the_end_is_no_error() {
    let mut archive = Archive::new().member("a", b"a");
    archive.0.truncate(BLOCK + 1);
    check(&archive, &["a"], &["a"]);
    assert!(!gnu::list(&archive.0, &[]).ok);
    assert!(parse(&archive.0).end.is_ok());
}

/// Test versions of GNU tar wrote base-64 numbers for two weeks of August 1999; GNU tar still reads
/// them. They are not in any standard, and a sign there is far likelier damage.
#[test]
fn base_64_sizes_are_refused() {
    let archive = Archive::new().member("a", b"a").header(&file("b", 0).size("+D")).content(b"abc");
    check(&archive.end(), &["a", "b"], &["a"]);
}

/// GNU tar takes a long name up to its NUL, even beyond the size that its header states; the tar
/// crate takes as many bytes as stated.
#[test]
fn a_long_name_beyond_its_size_is_refused() {
    let header = file("././@LongLink", 4).flag(b'L').magic(GNU);
    let archive = Archive::new().header(&header).content(b"long name").member("cut", b"").end();
    check(&archive, &["long name"], &[]);
    assert_eq!(by_tar_crate(&archive), ["long"]);
    // Without a NUL of its own, but with one behind it, all agree.
    let archive = Archive::new().header(&header).content(b"long").member("cut", b"").end();
    check(&archive, &["long"], &["long"]);
    assert_eq!(by_tar_crate(&archive), ["long"]);
}

/// GNU tar has no limits.
#[test]
fn names_beyond_the_limit_are_refused() {
    let name = "n".repeat(5000);
    let archive = Archive::new().long_name(&name).member("cut", b"").end();
    check(&archive, &[&name], &[]);
}

/// GNU tar lists a label that global records give as if it were a member. Nothing stands in the
/// archive for it.
#[test]
fn a_volume_label_in_global_records_is_no_member() {
    let archive = Archive::new().global(&[("GNU.volume.label", "tape")]);
    let archive = archive.pax(&[("comment", "c")]).member("a", b"a").end();
    check(&archive, &["tape", "a"], &["a"]);
}

fn by_tar_crate(archive: &Archive) -> Vec<String> {
    let mut reader = tar::Archive::new(&archive.0[..]);
    let entries = reader.entries().unwrap().map_while(Result::ok);
    entries.map(|entry| String::from_utf8_lossy(&entry.path_bytes()).into_owned()).collect()
}

/// The tar crate gives global headers as members and does not apply them.
#[test]
fn the_tar_crate_does_not_apply_global_records() {
    let archive = Archive::new().global(&[("size", "512")]).header(&file("a", 0));
    let archive = archive.header(&file("smuggled", 0)).member("b", b"b").end();
    check(&archive, &["a", "b"], &["a", "b"]);
    assert_eq!(by_tar_crate(&archive), ["./extension", "a", "smuggled", "b"]);
}

/// The tar crate lets a GNU long name go before the path of pax records.
#[test]
fn the_tar_crate_lets_a_long_name_go_first() {
    let archive = Archive::new().long_name("gnu").pax(&[("path", "pax")]).member("cut", b"").end();
    check(&archive, &["pax"], &["pax"]);
    assert_eq!(by_tar_crate(&archive), ["gnu"]);
}

/// The tar crate passes over as much as a folder's or a hard link's size says, where GNU tar and ours
/// know that nothing is stored.
#[test]
fn the_tar_crate_takes_the_size_of_folders_and_hard_links_at_its_word() {
    for flag in *b"51" {
        let archive = Archive::new().header(&file("a", 512).flag(flag)).member("b", b"").end();
        check(&archive, &["a", "b"], &["a", "b"]);
        assert_eq!(by_tar_crate(&archive), ["a"], "{}", char::from(flag));
    }
}

/// The tar crate gives the stored bytes of a pax sparse member for its content, map and all.
#[test]
fn the_tar_crate_does_not_see_pax_sparse_members() {
    let sparse =
        [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "3")];
    let archive = Archive::new().pax(&sparse).member("s", &[b'0'; 512]).member("b", b"").end();
    assert_eq!(parse(&archive.0).members[0].member.kind, MemberKind::Sparse);
    assert_eq!(by_tar_crate(&archive), ["s", "b"]);
}

/// No difference: signed checksums are lawful for GNU tar too, and the tar crate refuses them.
#[test]
fn the_tar_crate_refuses_signed_checksums() {
    let mut header = file("\u{e4}", 0);
    header.checksum_signed = true;
    let archive = Archive::new().header(&header).end();
    check(&archive, &["\u{e4}"], &["\u{e4}"]);
    assert!(by_tar_crate(&archive).is_empty());
    let mut unsigned = archive.0.clone();
    rechecksum(&mut unsigned[..BLOCK]);
    assert_eq!(by_tar_crate(&Archive(unsigned)), ["\u{e4}"]);
}
