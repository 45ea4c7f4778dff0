//! A tar archive from its first byte to its last, in reads of 1 MiB.

use std::fs::File;
use std::io::{BufReader, Read};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use dcmjoin_formats::tar::{TarEvent, TarLimits, TarParser};

use crate::Result;

const READ_BYTES: usize = 1 << 20;

pub(crate) fn run(variant: &str, archive: &str) -> Result<String> {
    let file = File::open(archive)?;
    let bytes = file.metadata()?.len();
    let began = Instant::now();
    let members = match variant {
        "ours" => ours(file)?,
        "tar-crate" => tar_crate(file)?,
        _ => return Err("expected ours or tar-crate".into()),
    };
    let seconds = began.elapsed().as_secs_f64();
    Ok(format!("{{\"seconds\": {seconds}, \"instances\": {members}, \"bytes\": {bytes}}}"))
}

fn ours(mut file: File) -> Result<u64> {
    let mut parser = TarParser::new(TarLimits::default());
    let mut members = 0;
    // A range's memory is used again once its last slice is gone, as the run's buffers are.
    let mut chunk = BytesMut::zeroed(READ_BYTES);
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            parser.finish()?;
            return Ok(members);
        }
        let whole = chunk.freeze();
        parser.feed(whole.slice(..length));
        while let Some(event) = parser.next_event()? {
            if let TarEvent::Member(_) = event {
                members += 1;
                parser.skip_member();
            }
        }
        chunk = reused(whole);
    }
}

fn reused(chunk: Bytes) -> BytesMut {
    chunk.try_into_mut().unwrap_or_else(|_| BytesMut::zeroed(READ_BYTES))
}

fn tar_crate(file: File) -> Result<u64> {
    let mut archive = tar::Archive::new(BufReader::with_capacity(READ_BYTES, file));
    let mut members = 0;
    for entry in archive.entries()? {
        entry?.path()?;
        members += 1;
    }
    Ok(members)
}
