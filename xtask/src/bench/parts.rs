//! Parts by themselves: header, tar, index, pairing.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::data::Bench;
use super::local::text;
use super::measure;
use super::record::Book;

/// How long a variant converts one document again and again.
const HEADER_SECONDS: &str = "1.5";
/// A real header, of the repository's test data.
const DOCUMENT: &str = "testdata/sample/sample.json";
/// The Per-frame Functional Groups Sequence, and how many items it gets.
const ITEMS_TAG: &str = "52009230";
const ITEMS: usize = 2;
const SIZES: &[u64] = &[1_000_000, 10_000_000];

/// A header as single-frame images have it.
pub(crate) fn header(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    converted(bench, book, "header", &bench.context.root.join(DOCUMENT))
}

/// A header as enhanced multi-frame images have it: of some 48 kB, most of it in items.
pub(crate) fn large_header(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    let document = fs::read(bench.context.root.join(DOCUMENT)).context("read the document")?;
    let mut header: Value = serde_json::from_slice(&document).context("read the document")?;
    let item = header.clone();
    header[ITEMS_TAG] = json!({"vr": "SQ", "Value": vec![item; ITEMS]});
    let large = bench.work().join("header-48k.json");
    fs::write(&large, header.to_string()).context("write the large document")?;
    converted(bench, book, "large-header", &large)
}

fn converted(
    bench: &Bench<'_>,
    book: &mut Book,
    name: &'static str,
    document: &Path,
) -> Result<()> {
    let document = text(document)?;
    for repeat in bench.repeats() {
        for variant in ["ours", "dicom-rs"] {
            let words = ["header", variant, document, HEADER_SECONDS];
            book.add(name, variant, repeat, measure::json(&mut bench.peers(&words))?);
        }
        let mut pydicom = bench.python("header.py")?;
        let row = measure::json(pydicom.args([document, HEADER_SECONDS]))?;
        book.add(name, "pydicom", repeat, row);
    }
    Ok(())
}

/// Headers are small: their archives have the most members a byte.
pub(crate) fn tar(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    let data = bench.synth(10_000, &[])?;
    let archive = bench.work().join("members.tar");
    join_archives(&data.join("metadata"), &archive)?;
    for repeat in bench.repeats() {
        for variant in ["ours", "tar-crate"] {
            let words = ["tar", variant, text(&archive)?];
            book.add("tar", variant, repeat, measure::json(&mut bench.peers(&words))?);
        }
    }
    fs::remove_file(&archive).context("remove the archive")
}

/// Makes one archive of several: all their bytes but the zero blocks at their ends.
fn join_archives(folder: &Path, to: &Path) -> Result<()> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .context("list the archives")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let mut whole = Vec::new();
    for file in files {
        let bytes = fs::read(file).context("read an archive")?;
        let blocks = bytes.chunks_exact(512);
        let zeros = blocks.rev().take_while(|block| block.iter().all(|&byte| byte == 0)).count();
        whole.extend_from_slice(&bytes[..bytes.len() - zeros * 512]);
    }
    whole.extend_from_slice(&[0; 1024]);
    fs::write(to, whole).context("write the joined archive")
}

pub(crate) fn index(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    for &size in SIZES {
        for repeat in bench.repeats() {
            let measured = bench_json(bench, "index", size)?;
            book.add("index", &size.to_string(), repeat, measured);
        }
    }
    Ok(())
}

/// The sizes of every day, or the one that was asked for, once.
pub(crate) fn pairing(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    if let Some(pairs) = bench.options.pairs {
        let measured = bench_json(bench, "pairing", pairs)?;
        book.add("pairing", &pairs.to_string(), 1, measured);
        return Ok(());
    }
    for &size in SIZES {
        for repeat in bench.repeats() {
            let measured = bench_json(bench, "pairing", size)?;
            book.add("pairing", &size.to_string(), repeat, measured);
        }
    }
    Ok(())
}

fn bench_json(bench: &Bench<'_>, mode: &str, pairs: u64) -> Result<Value> {
    let mut row = measure::json(&mut bench.pairing(&[mode, "--pairs", &pairs.to_string()]))?;
    let peak = row["memory_peak_bytes"].clone();
    row["rss_bytes"] = peak;
    row["instances"] = json!(pairs);
    Ok(row)
}
