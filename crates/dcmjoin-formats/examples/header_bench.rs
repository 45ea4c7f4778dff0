//! Measures how long the transcoder takes for one document.
//!
//!     cargo run --release -p dcmjoin-formats --example header_bench -- header.json [runs]
//!
//! Prints the median of the runs, and the best; each run repeats the document for about 10 ms, so
//! that the clock's own time does not count.

use std::hint::black_box;
use std::time::{Duration, Instant};

use dcmjoin_formats::header::{HeaderOptions, Transcoder};

#[expect(clippy::print_stdout, reason = "a tool for people")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: header_bench FILE [RUNS]")?;
    let runs: usize = arguments.next().map_or(Ok(101), |runs| runs.parse())?;
    let document = std::fs::read(&path)?;

    let mut transcoder = Transcoder::new(HeaderOptions::default());
    let data_set_bytes = transcoder.transcode(&document)?.data_set.len();
    let repeats = repeats_in(Duration::from_millis(10), || transcode(&mut transcoder, &document));
    let mut times: Vec<f64> = (0..runs.max(1))
        .map(|_| {
            let start = Instant::now();
            for _ in 0..repeats {
                transcode(&mut transcoder, &document);
            }
            start.elapsed().as_secs_f64() * 1e6 / f64::from(repeats)
        })
        .collect();
    times.sort_by(f64::total_cmp);

    let (best, median) = (times[0], times[times.len() / 2]);
    println!("document {} bytes, data set {data_set_bytes} bytes", document.len());
    println!("median {median:.2} us/document, best {best:.2} us, {runs} runs of {repeats}");
    Ok(())
}

fn transcode(transcoder: &mut Transcoder, document: &[u8]) {
    let header = transcoder.transcode(black_box(document));
    black_box(header.is_ok());
}

/// Returns how often `work` can be done in a time, at least once.
fn repeats_in(time: Duration, mut work: impl FnMut()) -> u32 {
    let start = Instant::now();
    let mut repeats = 0;
    while start.elapsed() < time {
        work();
        repeats += 1;
    }
    repeats.max(1)
}
