//! A whole data set, read back with the tar crate and `serde_json`: what is in it is what the truth
//! says.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use dcmjoin_model::{Half, Reason, Uid};
use dcmjoin_synth::truth::TRUTH_FILE;
use dcmjoin_synth::{
    ArchiveCompression, Archives, Mix, Recipe, Shares, SynthError, SynthOptions, Synthesis,
    synthesize,
};
use flate2::read::MultiGzDecoder;
use tempfile::TempDir;

/// A member as a reader sees it.
struct Member {
    archive: PathBuf,
    kind: tar::EntryType,
    name: String,
    bytes: Vec<u8>,
}

fn made(options: &SynthOptions) -> (TempDir, Synthesis) {
    let out = tempfile::tempdir().unwrap();
    let truth = synthesize(options, out.path(), &mut |_| {}).unwrap();
    (out, truth)
}

/// Options for a small data set with much amiss.
fn eventful(seed: u64) -> SynthOptions {
    let shares = Shares {
        unpaired_metadata: 0.02,
        unpaired_images: 0.02,
        duplicate: 0.04,
        conflict: 0.04,
        broken: 0.05,
        ..Shares::default()
    };
    SynthOptions { shares, ..SynthOptions::new(400, seed) }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn members(folder: &Path) -> Vec<Member> {
    let mut members = Vec::new();
    for archive in files(folder) {
        let mut reader = tar::Archive::new(File::open(&archive).unwrap());
        for entry in reader.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let kind = entry.header().entry_type();
            members.push(Member { archive: archive.clone(), kind, name, bytes });
        }
    }
    members
}

/// Returns the halves of a side by the UID that they are named after.
fn halves<'a>(members: &'a [Member], extension: &str) -> BTreeMap<&'a str, Vec<&'a Member>> {
    let mut halves: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for member in members {
        if let Some(uid) = member.name.strip_suffix(extension) {
            assert!(Uid::parse(uid).is_ok(), "{uid}");
            halves.entry(uid).or_default().push(member);
        }
    }
    halves
}

/// Returns the document of a header, or `None` where it is none.
fn document(bytes: &[u8]) -> Option<serde_json::Value> {
    let mut text = bytes.to_vec();
    if bytes.starts_with(&[0x1F, 0x8B]) {
        text.clear();
        MultiGzDecoder::new(bytes).read_to_end(&mut text).unwrap();
    }
    let text = text.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(&text);
    serde_json::from_slice(text).ok()
}

fn set<'a>(uids: impl IntoIterator<Item = &'a String>) -> BTreeSet<&'a str> {
    uids.into_iter().map(String::as_str).collect()
}

#[test]
fn the_archives_hold_what_the_truth_says() {
    let (out, truth) = made(&eventful(21));
    truth.books.check().unwrap();
    assert_eq!(Synthesis::read(out.path()).unwrap(), truth);
    for (folder, side) in [("metadata", truth.books.metadata), ("images", truth.books.images)] {
        let members = members(&out.path().join(folder));
        assert_eq!(members.len() as u64, side.members, "{folder}");
        let archives: BTreeSet<_> = members.iter().map(|member| &member.archive).collect();
        assert_eq!(archives.len() as u64, side.archives, "{folder}");
        let extension = if folder == "metadata" { ".json" } else { ".j2c" };
        let others = members.iter().filter(|member| !member.name.ends_with(extension));
        assert_eq!(others.count() as u64, side.ignored, "{folder}");
        let links = members.iter().filter(|member| member.kind == tar::EntryType::Symlink).count();
        assert_eq!(links, 1, "{folder}");
    }
}

#[test]
fn halves_pair_as_the_truth_says() {
    let (out, truth) = made(&eventful(22));
    let (metadata, images) =
        (members(&out.path().join("metadata")), members(&out.path().join("images")));
    let (metadata, images) = (halves(&metadata, ".json"), halves(&images, ".j2c"));
    let groups = &truth.groups;

    let rejected = groups.broken.iter().filter(|broken| broken.half == Half::Metadata);
    let rejected = set(rejected.map(|broken| &broken.uid));
    let alone: BTreeSet<&str> =
        images.keys().copied().filter(|uid| !metadata.contains_key(uid)).collect();
    assert_eq!(alone, set(&groups.unpaired_images));
    assert_eq!(
        (alone.len() + rejected.len()) as u64,
        truth.books.images.unpaired,
        "payloads of rejected headers stay alone too"
    );
    let pairs = metadata.keys().filter(|&uid| images.contains_key(uid) && !rejected.contains(uid));
    assert_eq!(pairs.count() as u64, truth.books.instances.pairs);

    for (halves, duplicate, conflict) in [
        (&metadata, &groups.duplicate_metadata, &groups.conflict_metadata),
        (&images, &groups.duplicate_images, &groups.conflict_images),
    ] {
        let twice = |same: bool| -> BTreeSet<&str> {
            let twice = halves.iter().filter(|(_, members)| members.len() == 2);
            let twice = twice.inspect(|(_, pair)| assert_ne!(pair[0].archive, pair[1].archive));
            twice
                .filter(|(_, pair)| (pair[0].bytes == pair[1].bytes) == same)
                .map(|(&uid, _)| uid)
                .collect()
        };
        assert_eq!(twice(true), set(duplicate));
        assert_eq!(twice(false), set(conflict));
    }
}

#[test]
fn headers_are_documents_named_after_their_instance_but_for_the_broken_ones() {
    let (out, truth) = made(&eventful(23));
    let members = members(&out.path().join("metadata"));
    let reasons: BTreeMap<&str, Reason> =
        truth.groups.broken.iter().map(|broken| (broken.uid.as_str(), broken.reason)).collect();
    for (uid, headers) in halves(&members, ".json") {
        for header in headers {
            let reason = reasons.get(uid).copied();
            let Some(document) = document(&header.bytes) else {
                assert_eq!(reason, Some(Reason::JsonSyntax), "{uid}");
                continue;
            };
            assert_ne!(reason, Some(Reason::JsonSyntax), "{uid}");
            let named = document["00080018"]["Value"][0].as_str();
            match reason {
                Some(Reason::UidMissing) => assert_eq!(named, None),
                Some(Reason::UidMismatch) => assert_ne!(named, Some(uid)),
                _ => assert_eq!(named, Some(uid)),
            }
            let class = document["00080016"]["Value"][0].is_string();
            assert_eq!(class, reason != Some(Reason::SopClassMissing), "{uid}");
        }
    }
}

#[test]
fn the_same_options_give_the_same_bytes() {
    let options = SynthOptions {
        compress: Some(ArchiveCompression::Gz),
        archives: Some(Archives { metadata: 3, images: 4 }),
        ..SynthOptions::new(60, 24)
    };
    let bytes = |options: &SynthOptions| -> Vec<(String, Vec<u8>)> {
        let (out, _) = made(options);
        let archives = ["metadata", "images"].map(|folder| files(&out.path().join(folder)));
        let mut all: Vec<PathBuf> = archives.into_iter().flatten().collect();
        assert_eq!(all.len(), 7);
        all.push(out.path().join(TRUTH_FILE));
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        all.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
    };
    let first = bytes(&options);
    assert_eq!(first, bytes(&options));
    let other = bytes(&SynthOptions { seed: 25, ..options });
    assert!(first.iter().zip(&other).all(|(a, b)| a.0 == b.0 && a.1 != b.1));
}

#[test]
fn compressed_archives_hold_the_same_tar() {
    let tars = |compress| {
        let options = SynthOptions { compress, ..SynthOptions::new(40, 26) };
        let (out, _) = made(&options);
        let plain = |path: &PathBuf| {
            let file = File::open(path).unwrap();
            let mut bytes = Vec::new();
            match compress {
                None => Box::new(file) as Box<dyn Read>,
                Some(ArchiveCompression::Gz) => Box::new(MultiGzDecoder::new(file)),
                Some(ArchiveCompression::Zst) => Box::new(zstd::Decoder::new(file).unwrap()),
            }
            .read_to_end(&mut bytes)
            .unwrap();
            bytes
        };
        files(&out.path().join("images")).iter().map(plain).collect::<Vec<_>>()
    };
    let plain = tars(None);
    assert_eq!(tars(Some(ArchiveCompression::Gz)), plain);
    assert_eq!(tars(Some(ArchiveCompression::Zst)), plain);
}

#[test]
fn a_clean_set_of_one_recipe_has_nothing_else() {
    let options = SynthOptions {
        shares: Shares::CLEAN,
        mix: Mix::of(&[(Recipe::MrRle, 1.0)]),
        ..SynthOptions::new(50, 27)
    };
    let (_, truth) = made(&options);
    assert!(truth.books.is_complete());
    assert_eq!(truth.recipes.len(), 1);
    assert_eq!(truth.books.instances.published, 50);
}

#[test]
fn a_folder_in_use_and_impossible_options_are_refused() {
    let options = SynthOptions::new(5, 1);
    let (out, _) = made(&options);
    let again = synthesize(&options, out.path(), &mut |_| {});
    assert!(matches!(again, Err(SynthError::NotEmpty(_))));
    let none = SynthOptions { archives: Some(Archives { metadata: 1, images: 0 }), ..options };
    let other = tempfile::tempdir().unwrap();
    let refused = synthesize(&none, other.path(), &mut |_| {});
    assert!(matches!(refused, Err(SynthError::Options(_))));
}
