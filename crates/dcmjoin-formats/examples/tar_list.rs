//! Lists a tar archive as the parser sees it, to compare by hand with other readers:
//! index, kind, size as stored, name as an escaped string.
//!
//! ```sh
//! cargo run -p dcmjoin-formats --example tar_list -- archive.tar
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};

use bytes::{Bytes, BytesMut};
use dcmjoin_formats::tar::{TarEvent, TarLimits, TarParser};

const CHUNK_BYTES: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: tar_list ARCHIVE")?;
    let mut file = File::open(path)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut parser = TarParser::new(TarLimits::default());
    loop {
        let chunk = read_chunk(&mut file)?;
        if chunk.is_empty() {
            break;
        }
        parser.feed(chunk);
        if let Err(error) = list(&mut parser, &mut out) {
            out.flush()?;
            return Err(error);
        }
    }
    out.flush()?;
    eprintln!("{:?}", parser.finish()?);
    Ok(())
}

fn list(parser: &mut TarParser, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    while let Some(event) = parser.next_event()? {
        if let TarEvent::Member(member) = event {
            let (index, kind, size) = (member.index, member.kind, member.range.len());
            writeln!(out, "{index}\t{kind:?}\t{size}\t{:?}", member.name)?;
            parser.skip_member();
        }
    }
    Ok(())
}

fn read_chunk(file: &mut File) -> std::io::Result<Bytes> {
    let mut chunk = BytesMut::zeroed(CHUNK_BYTES);
    let length = file.read(&mut chunk)?;
    chunk.truncate(length);
    Ok(chunk.freeze())
}
