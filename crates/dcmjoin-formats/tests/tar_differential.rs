//! The tar parser against GNU tar and against the tar crate.
//!
//! For lawful archives the members (name, kind, size) and their contents must be GNU tar's. For
//! damaged ones ours must be the first of GNU tar's: the parser may stop earlier, but must never list
//! what GNU tar does not. GNU tar runs with `--ignore-zeros`, since the parser reads joined archives.
//! Where the two differ on purpose is in `tar_differences.rs`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod tar_support;

use std::fs;
use std::path::{Path, PathBuf};

use tar_support::gnu::{self, check_prefix, check_same};
use tar_support::monster::{Features, Random, forge, lawful};
use tar_support::{BLOCK, parse};

/// How many seeds each test takes: 1 for the daily run, more by `TAR_DIFFERENTIAL_ROUNDS`.
fn rounds() -> u64 {
    let rounds = std::env::var("TAR_DIFFERENTIAL_ROUNDS").ok();
    rounds.map_or(1, |rounds| rounds.parse().expect("a number of rounds"))
}

fn sample(path: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/sample");
    fs::read(root.join(path)).unwrap()
}

/// Lists names and sizes by the tar crate, with contents.
fn by_tar_crate(archive: &[u8]) -> Vec<(String, u64, Vec<u8>)> {
    let mut reader = tar::Archive::new(archive);
    reader.set_ignore_zeros(true);
    let entries = reader.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            (name, entry.size(), content)
        })
        .collect()
}

#[track_caller]
fn check_tar_crate(archive: &[u8], what: &str) {
    let members = parse(archive).members.into_iter();
    let ours: Vec<_> =
        members.map(|seen| (seen.member.name, seen.member.range.len(), seen.data)).collect();
    let theirs = by_tar_crate(archive);
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!(ours == theirs, "{what}: {} {} and {} {}", ours.0, ours.1, theirs.0, theirs.1);
    }
}

#[test]
fn the_samples() {
    let mut members = 0;
    for half in ["text/text", "images/images"] {
        for number in 1..=3 {
            let path = format!("{half}{number}.tar");
            let archive = sample(&path);
            members += check_same(&archive, &path).members.len();
            check_tar_crate(&archive, &path);
        }
    }
    assert_eq!(members, 40);
}

#[test]
fn a_header_hidden_in_content_by_the_pax_size_is_not_listed() {
    let archive = sample("hostile/pax-size.tar");
    let listing = check_same(&archive, "pax-size.tar");
    assert_eq!(listing.names(), ["outer.j2c", "last.j2c"]);
    check_tar_crate(&archive, "pax-size.tar");
}

#[test]
fn lawful_monsters() {
    for seed in 0..80 * rounds() {
        check_same(&lawful(seed, Features::All), &format!("seed {seed}"));
    }
}

#[test]
fn lawful_monsters_by_the_tar_crate() {
    for seed in 0..500 * rounds() {
        check_tar_crate(&lawful(seed, Features::Common), &format!("seed {seed}"));
    }
}

#[test]
fn monsters_cut_at_every_block_and_anywhere() {
    for seed in 100_000..100_000 + 3 * rounds() {
        let random = &mut Random::new(seed);
        let archive = lawful(seed, Features::All);
        let blocks = (0..archive.len() / BLOCK).map(|block| block * BLOCK);
        // Each run of GNU tar takes milliseconds: of long archives only some blocks.
        let step = 1 + archive.len() / BLOCK / 30;
        let anywhere = (0..10).map(|_| random.below(archive.len()));
        for length in blocks.step_by(step).chain(anywhere.collect::<Vec<_>>()) {
            let cut = &archive[..length];
            let gnu = gnu::list(cut, &["--ignore-zeros"]);
            check_prefix(&parse(cut), &gnu, &format!("seed {seed} cut at {length}"));
        }
    }
}

#[test]
fn monsters_with_flipped_bits() {
    for seed in 200_000..200_000 + 80 * rounds() {
        let random = &mut Random::new(seed);
        let mut archive = lawful(seed, Features::All);
        for _ in 0..=random.below(3) {
            // Mostly where a header is likely: the start of a block.
            let block = random.below(archive.len() / BLOCK);
            let at = block * BLOCK + random.below(BLOCK);
            archive[at] ^= 1 << random.below(8);
        }
        let gnu = gnu::list(&archive, &["--ignore-zeros"]);
        check_prefix(&parse(&archive), &gnu, &format!("seed {seed}"));
    }
}

#[test]
fn monsters_with_forged_headers() {
    for seed in 300_000..300_000 + 200 * rounds() {
        let mut archive = lawful(seed, Features::All);
        forge(&mut archive, &mut Random::new(seed));
        let gnu = gnu::list(&archive, &["--ignore-zeros"]);
        check_prefix(&parse(&archive), &gnu, &format!("seed {seed}"));
    }
}

/// Makes a tree with everything that GNU tar archives in its own way.
fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let long = "deep/".repeat(40);
    fs::create_dir_all(path(&long)).unwrap();
    fs::write(path(&format!("{long}file.json")), b"deep").unwrap();
    fs::write(path(&"x".repeat(200)), b"long").unwrap();
    fs::write(path("t\u{e4}\u{f6}.json"), b"name").unwrap();
    fs::write(path("empty"), b"").unwrap();
    fs::write(path("block"), [1; 512]).unwrap();
    fs::write(path("odd"), [2; 513]).unwrap();
    fs::hard_link(path("odd"), path("other")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("odd", path("symbolic")).unwrap();
    holes(&path("few-holes"), 3);
    holes(&path("many-holes"), 60);
    holes(&path("only-hole"), 0);
    folder
}

/// Writes a file with this many islands of data in it.
fn holes(path: &Path, islands: u64) {
    use std::io::{Seek, SeekFrom, Write};
    let mut file = fs::File::create(path).unwrap();
    for island in 0..islands {
        file.seek(SeekFrom::Start(island * 20_000)).unwrap();
        file.write_all(b"island").unwrap();
    }
    file.set_len(islands * 20_000 + 10_000).unwrap();
}

/// Has GNU tar write an archive of the tree.
fn write(tree: &Path, archive: &Path, options: &[&str]) -> Vec<u8> {
    let archive_option = format!("--file={}", archive.display());
    let mut arguments = vec!["--create", "--sort=name", &archive_option];
    arguments.extend(options);
    arguments.push(".");
    // Formats that cannot hold a member leave it out, and complain.
    gnu::run(tree, arguments);
    fs::read(archive).unwrap()
}

/// The formats and options that GNU tar can write, by turns.
const OPTIONS: &[&[&str]] = &[
    &["--format=v7"],
    &["--format=ustar"],
    &["--format=oldgnu"],
    &["--format=gnu"],
    &["--format=posix"],
    &["--format=oldgnu", "--sparse"],
    &["--format=gnu", "--sparse"],
    &["--format=posix", "--sparse", "--sparse-version=0.0"],
    &["--format=posix", "--sparse", "--sparse-version=0.1"],
    &["--format=posix", "--sparse", "--sparse-version=1.0"],
    &["--format=gnu", "--label=volume"],
    &["--format=gnu", "--listed-incremental=/dev/null"],
    &["--format=posix", "--listed-incremental=/dev/null"],
    &["--format=posix", "--pax-option=globexthdr.name=g,comment=all"],
    &["--format=gnu", "--blocking-factor=1"],
    &["--format=gnu", "--absolute-names", "--transform=s,^\\.,/root,"],
];

#[test]
fn what_gnu_tar_writes() {
    let (tree, out) = (tree(), tempfile::tempdir().unwrap());
    for options in OPTIONS {
        let archive = write(tree.path(), &out.path().join("a.tar"), options);
        let listing = check_same(&archive, &options.join(" "));
        assert!(listing.members.len() > 9, "{options:?}");
        let sparse = listing
            .members
            .iter()
            .filter(|seen| seen.member.kind == dcmjoin_formats::tar::MemberKind::Sparse);
        assert_eq!(sparse.count() > 0, options.contains(&"--sparse"), "{options:?}");
    }
}

#[test]
fn what_gnu_tar_joins() {
    let (tree, out) = (tree(), tempfile::tempdir().unwrap());
    let path = |name: &str| out.path().join(name);
    let mut parts = Vec::new();
    for (number, options) in OPTIONS.iter().enumerate().take(5) {
        parts.push(write(tree.path(), &path(&format!("{number}.tar")), options));
    }
    let joined = parts.concat();
    assert_eq!(check_same(&joined, "joined by cat").end.unwrap().archives, 5);
    let names: Vec<_> = (1..5).map(|number| format!("{number}.tar")).collect();
    let arguments = ["--concatenate", "--file=0.tar"].map(String::from).into_iter().chain(names);
    assert!(gnu::run(out.path(), arguments).status.success());
    let joined = fs::read(path("0.tar")).unwrap();
    // GNU tar itself leaves end markers between them: who stops at the first loses members.
    let listing = check_same(&joined, "joined by tar -A");
    assert!(listing.end.unwrap().archives > 1);
    assert!(gnu::list(&joined, &[]).lines.len() < listing.members.len());
}

#[test]
fn what_gnu_tar_splits_over_volumes() {
    let (tree, out) = (tree(), tempfile::tempdir().unwrap());
    fs::write(tree.path().join("wide"), vec![9; 60_000]).unwrap();
    let volumes: Vec<PathBuf> =
        (0..12).map(|number| out.path().join(format!("{number}.tar"))).collect();
    for format in ["gnu", "posix"] {
        let mut arguments = vec![
            "--create".into(),
            "--multi-volume".into(),
            "--tape-length=20".into(),
            format!("--format={format}"),
        ];
        arguments.extend(volumes.iter().map(|volume| format!("--file={}", volume.display())));
        arguments.push("wide".into());
        gnu::run(tree.path(), arguments);
        let second = fs::read(&volumes[1]).unwrap();
        // GNU tar, given one volume, goes on by itself in the middle of a file.
        let listing = parse(&second);
        let gnu = gnu::list(&second, &["--ignore-zeros"]);
        check_prefix(&listing, &gnu, format);
        assert!(!listing.members.is_empty(), "{format}");
    }
}

#[test]
fn what_gnu_tar_writes_forged_and_cut() {
    let (tree, out) = (tree(), tempfile::tempdir().unwrap());
    for (number, options) in OPTIONS.iter().enumerate() {
        let whole = write(tree.path(), &out.path().join("a.tar"), options);
        let random = &mut Random::new(400_000 + number as u64);
        for _ in 0..4 * rounds() {
            let mut archive = whole.clone();
            forge(&mut archive, random);
            if random.one_in(3) {
                archive.truncate(random.below(whole.len()));
            }
            let gnu = gnu::list(&archive, &["--ignore-zeros"]);
            check_prefix(&parse(&archive), &gnu, &options.join(" "));
        }
    }
}
