//! Real pixel data, from the test files of pydicom and wsidicom, in every form that an image member
//! may have: as `ds.PixelData` holds it, as bare codestreams, joined, and compressed. What is
//! assembled from them is read back by dcmjoin and by pydicom, and native data sets are compared
//! byte by byte with those that pydicom writes.
//!
//! `DCMJOIN_PYTHON` names a Python with pydicom, pydicom-data and wsidicom-data (`python3` where
//! it is not set). The test fails where they are missing: a skipped test proves nothing.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use dcmjoin_formats::header::Header;
use dcmjoin_formats::part10;
use dcmjoin_formats::payload::{PayloadLimits, PixelValue, Pixels, recognise};
use dcmjoin_model::{
    PayloadKind, PixelDescription, Reason, Rejection, TransferSyntax, TransferSyntax as Ts, Uid,
    WarningCode, Warnings,
};

/// Files whose pixel data is broken on purpose, or whose header is.
const BROKEN: &[(&str, Reason)] = &[
    // A sequence delimiter written over SIZ.
    ("JPEG2000-embedded-sequence-delimiter.dcm", Reason::PayloadDamaged),
    ("MR_small_padded.dcm", Reason::PayloadLength),
    ("MR_truncated.dcm", Reason::PayloadLength),
    // Fifteen frames, and no readable Number of Frames.
    ("badVR.dcm", Reason::PayloadLength),
];

/// The same pixels in big and in little endian, of 16 and of 32 bits.
const TWINS: &[(&str, &str)] = &[
    ("MR_small_bigendian.dcm", "MR_small.dcm"),
    ("rtdose_expb.dcm", "rtdose.dcm"),
    ("rtdose_expb_1frame.dcm", "rtdose_1frame.dcm"),
    ("emri_small_big_endian.dcm", "emri_small.dcm"),
    ("SC_rgb_small_odd_big_endian.dcm", "SC_rgb_small_odd.dcm"),
    ("Explicit_VR_Big_Endian-GRAYSCALE-16.raw", "Explicit_VR_Little_Endian-GRAYSCALE-16.raw"),
];

/// One line of `images.tsv`, with the files that belong to it.
struct Image {
    name: String,
    syntax: TransferSyntax,
    fragments: usize,
    value: Bytes,
    frames: Vec<Bytes>,
    /// The data set before and behind the pixel data.
    around: [Vec<u8>; 2],
    /// The data set with native pixels, by pydicom.
    whole: Option<Vec<u8>>,
    pixels: PixelDescription,
}

/// Runs the script that goes with this test, and returns what it printed.
fn script(task: &str, folder: &Path) -> String {
    let python = std::env::var("DCMJOIN_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/payload_real.py");
    let output = Command::new(&python).arg(script).arg(task).arg(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{python} {script} {task} failed:\n{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn images(folder: &Path) -> Vec<Image> {
    script("dump", folder);
    let table = std::fs::read_to_string(folder.join("images.tsv")).unwrap();
    table.lines().enumerate().map(|(at, line)| image(folder, at, line)).collect()
}

fn image(folder: &Path, number: usize, line: &str) -> Image {
    let cells: Vec<&str> = line.split('\t').collect();
    let part = |extension: &str| folder.join(format!("{number}.{extension}"));
    let file = |extension: &str| std::fs::read(part(extension)).unwrap();
    let number_in = |cell: usize| cells[cell].parse::<u32>().ok();
    let short = |cell: usize| cells[cell].parse::<u16>().ok();
    let frames: usize = cells[3].parse().unwrap();
    Image {
        name: cells[0].into(),
        syntax: TransferSyntax::from_uid(cells[1]).unwrap(),
        fragments: cells[2].parse().unwrap(),
        value: file("value").into(),
        frames: (0..frames).map(|at| file(&format!("frame.{at}")).into()).collect(),
        around: [file("head"), file("tail")],
        whole: part("whole").exists().then(|| file("whole")),
        pixels: PixelDescription {
            number_of_frames: number_in(4),
            rows: number_in(5),
            columns: number_in(6),
            samples_per_pixel: short(7),
            bits_allocated: short(8),
            bits_stored: short(9),
            pixel_representation: short(10),
            planar_configuration: short(11),
            photometric_interpretation: (!cells[12].is_empty()).then(|| cells[12].into()),
            pixel_data_words: (!cells[14].is_empty()).then(|| cells[14] == "OW"),
            lossy: cells[13] == "01",
        },
    }
}

fn read(
    payload: Bytes,
    image: &Image,
    claimed: Option<TransferSyntax>,
) -> Result<Pixels, Rejection> {
    recognise(payload, &image.pixels, claimed, &PayloadLimits::default())
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

/// The frames are those of pydicom, without their padding and without JP2 boxes.
fn check_frames(image: &Image, got: &Pixels, times: usize) {
    let PixelValue::Encapsulated(frames) = &got.value else { panic!("{}: native", image.name) };
    assert_eq!(frames.len(), image.frames.len() * times, "{}", image.name);
    let unboxed = got.warnings.count(WarningCode::PayloadUnboxed) > 0;
    for (frame, expected) in frames.iter().zip(image.frames.iter().cycle()) {
        let whole = frame.concat();
        let at = if unboxed { find(expected, &whole[..64]) } else { 0 };
        let rest = expected[at..].strip_prefix(&whole[..]).expect(&image.name);
        let padding = unboxed || matches!(rest, [] | [0 | 0xff] | [0, 0]);
        assert!(padding, "{}: left out {rest:02x?}", image.name);
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).position(|window| window == needle).unwrap()
}

/// What is assembled is read back with the same values. Returns the file.
fn check_file(image: &Image, got: &Pixels) -> Vec<u8> {
    let uid = |text: &str| Uid::parse(text).unwrap();
    let header = Header {
        uid: uid("2.25.7"),
        sop_class: uid("1.2.840.10008.5.1.4.1.1.7"),
        study: None,
        series: None,
        transfer_syntax: None,
        pixels: image.pixels.clone(),
        inline_pixels: None,
        float_pixels: false,
        data_set: image.around.concat().into(),
        pixel_data_at: image.around[0].len(),
        warnings: Warnings::default(),
    };
    let file = part10::assemble(&header, Some(got)).unwrap();
    let bytes = file.segments.concat();
    let summary = part10::read(&bytes).unwrap();
    assert_eq!(summary.transfer_syntax, Some(got.transfer_syntax));
    assert_eq!(summary.out_of_order, 0);
    // The VR of pixel data is told apart from what the header says of pixels.
    let said = PixelDescription { pixel_data_words: None, ..image.pixels.clone() };
    assert_eq!(summary.pixels, said, "{}", image.name);
    if let Some(whole) = &image.whole {
        assert!(bytes[summary.data_set_at as usize..] == whole[..], "{}", image.name);
    }
    let pixel_data = summary.pixel_data.unwrap();
    assert_eq!(Some(pixel_data.value), file.pixel_data);
    match &got.value {
        PixelValue::Native(value) => {
            let at = pixel_data.value.start as usize;
            assert_eq!(bytes[at..at + value.len()], value[..]);
        }
        PixelValue::Encapsulated(frames) => {
            let fragments: usize = frames.iter().map(Vec::len).sum();
            assert_eq!(pixel_data.fragments.len(), fragments);
            for (range, frame) in file.frames.iter().zip(frames) {
                assert_eq!(bytes[range.start as usize..range.end as usize], frame[0][..]);
            }
        }
    }
    bytes
}

/// The claimed syntax is confirmed by the bytes; without the claim, it is one of its family.
fn check_syntax(image: &Image, claimed: &Pixels, unclaimed: &Pixels) {
    let name = &image.name;
    assert_eq!(claimed.transfer_syntax, image.syntax, "{name}");
    assert_eq!(claimed.warnings.count(WarningCode::TransferSyntaxDiffers), 0, "{name}");
    let stricter = match image.syntax {
        Ts::JpegExtended => Ts::JpegBaseline,
        Ts::JpegLossless => Ts::JpegLosslessSv1,
        Ts::JpegLsNearLossless => Ts::JpegLsLossless,
        Ts::Jpeg2000 => Ts::Jpeg2000Lossless,
        other => other,
    };
    let got = unclaimed.transfer_syntax;
    assert!(got == image.syntax || got == stricter, "{name}: {got:?}");
}

fn check_encapsulated(image: &Image) -> Vec<u8> {
    let mut kind = PayloadKind::Encapsulated;
    if image.fragments == 0 {
        kind = PayloadKind::Codestream;
    }
    let got = read(image.value.clone(), image, Some(image.syntax)).unwrap();
    assert_eq!(got.kind, kind, "{}", image.name);
    check_frames(image, &got, 1);
    let file = check_file(image, &got);
    let fragmented = image.fragments > image.frames.len();
    assert_eq!(got.warnings.count(WarningCode::FrameFragmented) > 0, fragmented, "{}", image.name);
    check_syntax(image, &got, &read(image.value.clone(), image, None).unwrap());
    let opened = read(gzip(&image.value), image, Some(image.syntax)).unwrap();
    assert_eq!((opened.kind, &opened.value), (got.kind, &got.value), "{}", image.name);
    assert_eq!(opened.warnings.count(WarningCode::PayloadCompressed), 1);
    file
}

fn check_joined(image: &mut Image) {
    let once = image.frames.concat();
    let got = read(once.clone().into(), image, Some(image.syntax)).unwrap();
    let kind = match image.frames.len() {
        1 => PayloadKind::Codestream,
        _ => PayloadKind::Codestreams,
    };
    assert_eq!(got.kind, kind, "{}", image.name);
    check_frames(image, &got, 1);
    check_file(image, &got);

    image.pixels.number_of_frames = Some(image.pixels.frames() * 3);
    let got = read(once.repeat(3).into(), image, Some(image.syntax)).expect(&image.name);
    assert_eq!(got.kind, PayloadKind::Codestreams, "{}", image.name);
    check_frames(image, &got, 3);
}

fn check_native(image: &Image) -> Vec<u8> {
    let got = read(image.value.clone(), image, Some(image.syntax)).unwrap();
    assert_eq!(got.kind, PayloadKind::Native, "{}", image.name);
    assert_eq!(got.transfer_syntax, TransferSyntax::ExplicitVrLittleEndian);
    let expected = image.pixels.native_bytes().unwrap() as usize;
    let PixelValue::Native(value) = &got.value else { panic!("{}", image.name) };
    assert_eq!(value.len(), expected, "{}", image.name);
    if image.syntax != TransferSyntax::ExplicitVrBigEndian {
        assert_eq!(value, &image.value[..expected], "{}", image.name);
    }
    let file = check_file(image, &got);
    let opened = read(gzip(&image.value), image, Some(image.syntax)).unwrap();
    assert_eq!(opened.value, got.value);
    file
}

fn check_twins(images: &[Image]) {
    let value = |name: &str| {
        let image = images.iter().find(|image| image.name == name).expect(name);
        read(image.value.clone(), image, Some(image.syntax)).unwrap().value
    };
    for (big, little) in TWINS {
        assert!(value(big) == value(little), "{big} {little}");
    }
}

#[test]
fn every_real_image_is_recognised_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let images = images(folder.path());
    assert!(images.len() > 150, "{} images", images.len());
    check_twins(&images);
    let mut files = 0;
    for (number, mut image) in images.into_iter().enumerate() {
        if let Some((_, reason)) = BROKEN.iter().find(|(name, _)| *name == image.name) {
            let error = read(image.value.clone(), &image, Some(image.syntax)).unwrap_err();
            assert_eq!(error.reason, *reason, "{}", image.name);
            continue;
        }
        let file = if image.syntax.is_encapsulated() {
            let file = check_encapsulated(&image);
            check_joined(&mut image);
            file
        } else {
            check_native(&image)
        };
        std::fs::write(folder.path().join(format!("{number}.dcm")), file).unwrap();
        files += 1;
    }
    let read_by_pydicom: usize = script("check", folder.path()).trim().parse().unwrap();
    assert_eq!(read_by_pydicom, files);
}
