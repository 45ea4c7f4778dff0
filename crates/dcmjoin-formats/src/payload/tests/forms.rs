//! Forms beyond the pitfalls: compression, claims, padding, nested structures.

use std::io::Write as _;

use dcmjoin_model::{PayloadKind, PixelDescription, Reason, TransferSyntax as Ts, WarningCode};

use super::build::{J2k, Jpeg, grey, grey_frames, item, items, j2k, jpeg, rle, segment};
use super::{
    Bytes, PayloadLimits, PixelValue, codes, frames, native, pixels_of, reason_of, recognise,
};

#[test]
fn compressed_payloads_are_opened_within_limits() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&[7; 24]).unwrap();
    let gz = encoder.finish().unwrap();
    let zst = zstd::bulk::compress(&jpeg(), 1).unwrap();
    let got = pixels_of(&gz, &grey(), None);
    assert_eq!((native(&got), codes(&got)), (&[7; 24][..], vec![WarningCode::PayloadCompressed]));
    assert_eq!(frames(&pixels_of(&zst, &grey(), None)), [jpeg()]);
    let limits = PayloadLimits { decompressed_bytes_max: 23, ..PayloadLimits::default() };
    let error = recognise(gz.into(), &grey(), None, &limits).unwrap_err();
    assert_eq!(error.reason, Reason::MemberCompression);
}

#[test]
fn frames_are_slices_of_the_payload() {
    let payload = Bytes::from(items(&[&jpeg(), &jpeg()]));
    let range = payload.as_ptr_range();
    let limits = PayloadLimits::default();
    let got = recognise(payload.clone(), &grey_frames(2), None, &limits).unwrap();
    let PixelValue::Encapsulated(frames) = got.value else { panic!("native") };
    assert!(frames.iter().flatten().all(|fragment| range.contains(&fragment.as_ptr())));
}

#[test]
fn a_claim_that_the_bytes_contradict_is_noted() {
    let check = |payload: &[u8], claimed: Ts, noted: bool| {
        let got = pixels_of(payload, &PixelDescription { lossy: true, ..grey() }, Some(claimed));
        assert_eq!(codes(&got).contains(&WarningCode::TransferSyntaxDiffers), noted, "{claimed:?}");
    };
    check(&jpeg(), Ts::JpegBaseline, false);
    check(&jpeg(), Ts::JpegExtended, false);
    check(&jpeg(), Ts::Jpeg2000, true);
    check(&jpeg(), Ts::ExplicitVrLittleEndian, true);
    check(&[7; 24], Ts::ImplicitVrLittleEndian, false);
    check(&[7; 24], Ts::JpegBaseline, true);
    assert_eq!(reason_of(&[7; 20], &grey(), Some(Ts::JpegBaseline)), Reason::PayloadUnrecognised);
}

#[test]
fn frames_of_one_family_share_the_wider_syntax() {
    let near = Jpeg { ss: 2, ..Jpeg::new(0xf7) }.build();
    let exact = Jpeg::new(0xf7).build();
    let got = pixels_of(&[exact, near].concat(), &grey_frames(2), None);
    assert_eq!(got.transfer_syntax, Ts::JpegLsNearLossless);
    let mixed = [jpeg(), j2k()].concat();
    assert_eq!(reason_of(&mixed, &grey_frames(2), None), Reason::PayloadUnsupported);
}

#[test]
fn padding_between_frames_is_passed_and_trailing_bytes_left_out() {
    for stream in [j2k(), jpeg(), rle(1)] {
        let padded = [&stream[..], &[0, 0, 0], &stream, &[0]].concat();
        let got = pixels_of(&padded, &grey_frames(2), None);
        assert_eq!(frames(&got), [stream.clone(), stream.clone()]);
        assert!(!codes(&got).contains(&WarningCode::PayloadTrailing));
        for payload in [
            [&stream[..], b"more"].concat(),
            items(&[&[&stream[..], b"more"].concat()]),
            [items(&[&stream]), vec![0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0], b"more".to_vec()]
                .concat(),
        ] {
            let got = pixels_of(&payload, &grey(), None);
            assert_eq!(frames(&got), std::slice::from_ref(&stream));
            assert!(codes(&got).contains(&WarningCode::PayloadTrailing));
        }
    }
}

#[test]
fn thumbnails_in_segments_and_bit_stuffing_confuse_nothing() {
    let thumbnail = Jpeg { before: segment(0xe1, &jpeg()), ..Jpeg::new(0xc0) }.build();
    let got = pixels_of(&thumbnail.repeat(2), &grey_frames(2), None);
    assert_eq!(frames(&got), [thumbnail.clone(), thumbnail]);
    // FF and a byte below 80 is data in JPEG-LS; in JPEG it would be a reserved marker.
    let stuffed = Jpeg { data: vec![0xff, 0x7f, 0xff, 0x01, 5], ..Jpeg::new(0xf7) }.build();
    assert_eq!(frames(&pixels_of(&stuffed.repeat(2), &grey_frames(2), None)).len(), 2);
    let reserved = Jpeg { data: vec![0xff, 0x7f, 5], ..Jpeg::new(0xc0) }.build();
    assert_eq!(reason_of(&reserved, &grey(), None), Reason::PayloadDamaged);
}

#[test]
fn jpeg_cut_short_in_its_headers_or_scans_is_damage() {
    let whole = jpeg();
    for cut in [3, 4, 10, 22, 23] {
        assert_eq!(reason_of(&whole[..cut], &grey(), None), Reason::PayloadDamaged, "{cut}");
    }
    let headless = [&[0xff, 0xd8][..], &segment(0xfe, b"no frame"), &[0xff, 0xd9]].concat();
    assert_eq!(reason_of(&headless, &grey(), None), Reason::PayloadDamaged);
    // Three components, and a scan of one.
    let mut three = Jpeg { samples: 3, ..Jpeg::new(0xc0) }.build();
    let frame_bytes = 2 + 4 + 6 + 9;
    let scan = segment(0xda, &[1, 1, 0, 0, 63, 0]);
    three.truncate(frame_bytes);
    three.extend(scan.iter().chain(&[1, 2, 3, 0xff, 0xd9]));
    let header = super::build::colour("YBR_FULL");
    assert_eq!(reason_of(&three, &header, None), Reason::PayloadDamaged);
}

#[test]
fn lines_may_be_told_behind_the_scan() {
    let mut stream = Jpeg::new(0xc0).open();
    stream[7..9].copy_from_slice(&[0, 0]);
    stream.extend(segment(0xdc, &[0, 4]));
    stream.extend([0xff, 0xd9]);
    assert_eq!(frames(&pixels_of(&stream, &grey(), None)), [stream]);
}

#[test]
fn j2k_without_all_its_tiles_is_damage() {
    let mut stream = j2k();
    // XTsiz 3: two tiles across.
    stream[2 + 4 + 2 + 16 + 3] = 3;
    assert_eq!(reason_of(&stream, &grey(), None), Reason::PayloadDamaged);
    let tiled = [
        J2k::new().open(),
        segment(0x90, &[0, 1, 0, 0, 0, 15, 0, 1]),
        vec![0xff, 0x93, 7, 0xff, 0xd9],
    ];
    let mut tiled = tiled.concat();
    tiled[2 + 4 + 2 + 16 + 3] = 3;
    assert_eq!(frames(&pixels_of(&tiled, &grey(), None)), [tiled]);
}

#[test]
fn rle_segments_must_decode_to_whole_planes() {
    let good = rle(1);
    assert_eq!(reason_of(&good[..65], &grey(), None), Reason::PayloadDamaged);
    let mut short = good.clone();
    short[64] = 240;
    assert_eq!(reason_of(&short, &grey(), None), Reason::PayloadDamaged);
    let mut long = good.clone();
    long[64] = 230;
    assert_eq!(reason_of(&long, &grey(), None), Reason::GeometryMismatch);
    let colour = super::build::colour("RGB");
    assert_eq!(reason_of(&good, &colour, None), Reason::GeometryMismatch, "one plane of three");
    let mut descending = rle(3);
    descending[8] = 64;
    assert_eq!(reason_of(&descending, &colour, None), Reason::PayloadDamaged);
}

#[test]
fn offset_tables_that_do_not_fit_are_rebuilt() {
    let stream = [jpeg(), vec![0]].concat();
    let fragments = [item(&stream), item(&stream)].concat();
    let offset = u32::try_from(8 + stream.len()).unwrap();
    let table = |second: u32| item(&[0_u32, second].map(u32::to_le_bytes).concat());
    let rebuilt = |table: Vec<u8>| {
        let got = pixels_of(&[table, fragments.clone()].concat(), &grey_frames(2), None);
        assert_eq!(frames(&got), [jpeg(), jpeg()]);
        codes(&got).contains(&WarningCode::OffsetTableRebuilt)
    };
    assert!(!rebuilt(table(offset)));
    assert!(rebuilt(table(offset + 1)));
    assert!(rebuilt(item(&[0; 4])));
}

#[test]
fn fragments_of_something_else_are_unrecognised() {
    assert_eq!(reason_of(&items(&[b"hello!"]), &grey(), None), Reason::PayloadUnrecognised);
}

#[test]
fn videos_in_fragments_are_kept_without_a_count_of_frames() {
    let value = items(&[&[0, 0, 1, 0xb3, 1, 2], &[3, 4]]);
    let got = pixels_of(&value, &grey_frames(100), Some(Ts::Mpeg2MainProfile));
    assert_eq!(got.kind, PayloadKind::Encapsulated);
    assert_eq!(frames(&got), [[0, 0, 1, 0xb3, 1, 2, 3, 4]]);
}

#[test]
fn limits_hold() {
    let check = |limits: PayloadLimits, payload: Vec<u8>, reason: Reason| {
        let error = recognise(payload.into(), &grey_frames(3), None, &limits).unwrap_err();
        assert_eq!(error.reason, reason);
    };
    let frames = PayloadLimits { frames_max: 2, ..PayloadLimits::default() };
    check(frames.clone(), jpeg().repeat(3), Reason::FrameCount);
    check(frames, vec![7; 72], Reason::FrameCount);
    let fragments = PayloadLimits { fragments_max: 3, ..PayloadLimits::default() };
    check(fragments, items(&[&jpeg(), &jpeg(), &jpeg()]), Reason::PayloadDamaged);
}
