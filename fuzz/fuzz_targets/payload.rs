//! The recogniser on any payload under any geometry: no panic, as many frames as the header says,
//! and a file that is read back with the same pixels.
#![no_main]

use bytes::Bytes;
use dcmjoin_formats::header::{Header, Transcoder};
use dcmjoin_formats::part10;
use dcmjoin_formats::payload::{self, PayloadLimits, PixelValue, Pixels};
use dcmjoin_model::{PixelDescription, TransferSyntax};
use libfuzzer_sys::fuzz_target;

const DOCUMENT: &[u8] = br#"{"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.7"]},
    "00080018":{"vr":"UI","Value":["2.25.1"]}}"#;

fuzz_target!(|input: &[u8]| {
    let Some((&[rows, columns, depth, frames, claim], payload)) = input.split_first_chunk::<5>()
    else {
        return;
    };
    let pixels = geometry(rows, columns, depth, frames);
    let claimed = TransferSyntax::ALL.get(usize::from(claim)).copied();
    let limits =
        PayloadLimits { frames_max: 1_000, fragments_max: 1_000, decompressed_bytes_max: 1 << 20 };
    let payload = Bytes::copy_from_slice(payload);
    let _ = payload::look(&payload, &limits);
    if let Ok(found) = payload::recognise(payload, &pixels, claimed, &limits) {
        check(pixels, &found);
    }
});

fn geometry(rows: u8, columns: u8, depth: u8, frames: u8) -> PixelDescription {
    let bits = [1, 8, 12, 16, 32][usize::from(depth & 7) % 5];
    let colours = ["MONOCHROME2", "RGB", "YBR_FULL_422", "YBR_RCT"];
    let colour = usize::from(depth >> 3) % colours.len();
    PixelDescription {
        rows: Some(u32::from(rows)),
        columns: Some(u32::from(columns)),
        samples_per_pixel: Some(if colour == 0 { 1 } else { 3 }),
        bits_allocated: Some(bits),
        bits_stored: Some(bits),
        number_of_frames: (frames > 0).then_some(u32::from(frames)),
        photometric_interpretation: Some(colours[colour].to_owned()),
        ..PixelDescription::default()
    }
}

fn check(pixels: PixelDescription, found: &Pixels) {
    let expected = pixels.frames() as usize;
    let header = Header {
        pixels,
        ..Transcoder::default().transcode(DOCUMENT).expect("the document is lawful")
    };
    let file = part10::assemble(&header, Some(found))
        .expect("payloads of this size fit")
        .segments
        .concat();
    let data = part10::read(&file).expect("what is written can be read").pixel_data;
    match &found.value {
        PixelValue::Native(bytes) if bytes.is_empty() => {}
        PixelValue::Native(bytes) => {
            let value = data.expect("pixels were written").value;
            let written = &file[value.start as usize..value.end as usize];
            assert!(written.starts_with(bytes) && written.len() - bytes.len() < 2);
        }
        PixelValue::Encapsulated(frames) => {
            let fragments: usize = frames.iter().map(Vec::len).sum();
            assert_eq!(data.expect("pixels were written").fragments.len(), fragments);
            assert!(is_video(found.transfer_syntax) || frames.len() == expected);
        }
    }
}

/// Frames of video are inside one stream.
fn is_video(syntax: TransferSyntax) -> bool {
    use TransferSyntax as Syntax;
    matches!(
        syntax,
        Syntax::Mpeg2MainProfile
            | Syntax::Mpeg2HighLevel
            | Syntax::Mpeg4HighProfile
            | Syntax::Mpeg4BdCompatible
            | Syntax::HevcMainProfile
            | Syntax::HevcMain10Profile
    )
}
