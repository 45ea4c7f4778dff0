//! The transcoder on any document: no panic, the same result from a used transcoder as from a new
//! one, and a data set that the Part 10 reader walks to its end, in tag order.
#![no_main]

use dcmjoin_formats::header::{Header, HeaderLimits, HeaderOptions, Transcoder};
use dcmjoin_formats::part10;
use libfuzzer_sys::fuzz_target;

fn options() -> HeaderOptions {
    let limits = HeaderLimits {
        document_bytes_max: 1 << 20,
        elements_max: 2_000,
        ..HeaderLimits::default()
    };
    HeaderOptions { limits, ..HeaderOptions::default() }
}

fuzz_target!(|document: &[u8]| {
    let mut transcoder = Transcoder::new(options());
    let first = transcoder.transcode(document);
    let again = transcoder.transcode(document);
    assert_eq!(first, again, "a transcoder remembers nothing");
    if let Ok(header) = first {
        check(&header);
    }
});

fn check(header: &Header) {
    assert!(header.pixel_data_at <= header.data_set.len());
    assert_eq!(header.data_set.len() % 2, 0, "lengths are even");
    let file = part10::assemble(header, None)
        .expect("a header of this size fits a file")
        .segments
        .concat();
    let summary = part10::read(&file).expect("what is written can be read");
    assert_eq!(summary.out_of_order, 0, "tags ascend");
    assert_eq!(summary.uid.as_ref(), Some(&header.uid));
    assert_eq!(summary.meta_uid.as_ref(), Some(&header.uid));
}
