//! What dcmjoin is measured against, and its own parts by themselves, in one program: each call
//! does one measurement and prints one line of JSON.
//!
//!     peers header ours|dicom-rs DOCUMENT SECONDS
//!     peers tar ours|tar-crate ARCHIVE
//!     peers files LIST OUT THREADS
//!
//! `cargo xtask bench` calls it; the whys are in docs/benchmarks.

mod files;
mod header;
mod tar_scan;

use std::error::Error;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "peers header ours|dicom-rs DOCUMENT SECONDS\n\
                     peers tar ours|tar-crate ARCHIVE\n\
                     peers files LIST OUT THREADS";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let line = match words[..] {
        ["header", variant, document, seconds] => header::run(variant, document, seconds.parse()?)?,
        ["tar", variant, archive] => tar_scan::run(variant, archive)?,
        ["files", list, out, threads] => files::run(list, out, threads.parse()?)?,
        _ => return Err(USAGE.into()),
    };
    println!("{line}");
    Ok(())
}
