//! DICOM JSON to a Part 10 file in memory, on one thread: checks and file meta information
//! included, no pixels.

use std::hint::black_box;
use std::time::{Duration, Instant};

use dcmjoin_formats::header::{HeaderOptions, Transcoder};
use dcmjoin_formats::part10;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use crate::Result;

const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

pub(crate) fn run(variant: &str, document: &str, seconds: f64) -> Result<String> {
    let document = std::fs::read(document)?;
    let mut transcoder = Transcoder::new(HeaderOptions::default());
    let mut ours = || -> Result<usize> {
        let header = transcoder.transcode(black_box(&document))?;
        // The segments are what goes to the store as it stands: joining them is no part of it.
        Ok(black_box(part10::assemble(&header, None)?).len as usize)
    };
    let dicom_rs = || -> Result<usize> {
        let object: InMemDicomObject = dicom_json::from_slice(black_box(&document))?;
        let meta = FileMetaTableBuilder::new().transfer_syntax(EXPLICIT_VR_LITTLE_ENDIAN);
        let mut file = Vec::new();
        object.with_meta(meta)?.write_all(&mut file)?;
        Ok(black_box(file).len())
    };
    let (documents, took, file_bytes) = match variant {
        "ours" => repeated(seconds, &mut ours)?,
        "dicom-rs" => repeated(seconds, dicom_rs)?,
        _ => return Err("expected ours or dicom-rs".into()),
    };
    Ok(format!(
        "{{\"seconds\": {took}, \"instances\": {documents}, \"bytes\": {}, \"file_bytes\": {file_bytes}}}",
        document.len() as u64 * documents,
    ))
}

/// Does the work again and again for a time, after one turn that is not counted.
fn repeated(seconds: f64, mut work: impl FnMut() -> Result<usize>) -> Result<(u64, f64, usize)> {
    let file_bytes = work()?;
    let (began, long) = (Instant::now(), Duration::from_secs_f64(seconds));
    let mut documents = 0;
    while began.elapsed() < long {
        for _ in 0..16 {
            work()?;
        }
        documents += 16;
    }
    Ok((documents, began.elapsed().as_secs_f64(), file_bytes))
}
