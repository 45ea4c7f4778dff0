//! A program that does no more than create files: the floor of a run to a folder.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::Result;

/// Creates the files of a list, one `NAME<tab>BYTES` a line, below a folder that is there.
pub(crate) fn run(list: &str, out: &str, threads: usize) -> Result<String> {
    let list = std::fs::read_to_string(list)?;
    let files: Vec<(&str, usize)> = list
        .lines()
        .map(|line| line.split_once('\t').ok_or("expected a name, a tab and a size"))
        .map(|line| line.map(|(name, bytes)| (name, bytes.parse::<usize>())))
        .map(|line| line.map_err(Into::into).and_then(|(name, bytes)| Ok((name, bytes?))))
        .collect::<Result<_>>()?;
    let longest = files.iter().map(|&(_, bytes)| bytes).max().unwrap_or(0);
    let content: Vec<u8> = (0..longest).map(|at| (at % 251) as u8).collect();
    let next = AtomicUsize::new(0);
    let write = || -> std::io::Result<()> {
        while let Some(&(name, bytes)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            File::create_new(Path::new(out).join(name))?.write_all(&content[..bytes])?;
        }
        Ok(())
    };
    let began = Instant::now();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(write)).collect();
        writers.into_iter().try_for_each(|writer| writer.join().expect("a writer panicked"))
    })?;
    let (seconds, bytes) =
        (began.elapsed().as_secs_f64(), files.iter().map(|file| file.1).sum::<usize>());
    let count = files.len();
    Ok(format!("{{\"seconds\": {seconds}, \"instances\": {count}, \"bytes\": {bytes}}}"))
}
