//! One test a pitfall of `docs/pitfalls.md`, by its number.

use dcmjoin_model::{PayloadKind, PixelDescription, Reason, TransferSyntax as Ts, WarningCode};

use super::build::{
    J2k, Jpeg, colour, grey, grey_frames, item, items, j2k, jp2_box, jp2_head, jpeg, rle,
};
use super::{codes, frames, native, pixels_of, reason_of};

fn lossy(header: PixelDescription) -> PixelDescription {
    PixelDescription { lossy: true, ..header }
}

#[test]
fn pitfall_37_deflated_concerns_the_data_set_and_not_the_pixels() {
    let got = pixels_of(&[7; 24], &grey(), Some(Ts::DeflatedExplicitVrLittleEndian));
    assert_eq!((native(&got), codes(&got)), (&[7; 24][..], vec![]));
    assert_eq!(got.transfer_syntax, Ts::ExplicitVrLittleEndian);
}

#[test]
fn pitfall_38_native_size_is_that_of_the_geometry() {
    assert_eq!(native(&pixels_of(&[7; 24], &grey(), None)), [7; 24]);
    for length in [0, 18, 23, 26, 30, 48] {
        let reason = if length == 0 { Reason::PayloadEmpty } else { Reason::PayloadLength };
        assert_eq!(reason_of(&vec![7; length], &grey(), None), reason, "{length} bytes");
    }
    // Two frames, and a header that says nothing of frames.
    let unsaid = PixelDescription { number_of_frames: None, ..grey() };
    assert_eq!(reason_of(&[7; 48], &unsaid, None), Reason::PayloadLength);
}

#[test]
fn pitfall_38_one_byte_of_padding_is_allowed() {
    let odd = PixelDescription { rows: Some(3), columns: Some(3), ..grey() };
    let padded = [&[7; 9][..], &[0]].concat();
    let got = pixels_of(&padded, &odd, None);
    assert_eq!((native(&got), codes(&got)), (&[7; 9][..], vec![]));
    assert_eq!(native(&pixels_of(&padded[..9], &odd, None)), [7; 9]);
    let got = pixels_of(&[7; 10], &odd, None);
    assert_eq!((native(&got), codes(&got)), (&[7; 9][..], vec![WarningCode::PayloadPadding]));
    let got = pixels_of(&[&[7; 24][..], &[0]].concat(), &grey(), None);
    assert_eq!((native(&got), codes(&got)), (&[7; 24][..], vec![WarningCode::PayloadPadding]));
    assert_eq!(reason_of(&[7; 25], &grey(), None), Reason::PayloadLength);
}

#[test]
fn pitfall_38_packed_bits_and_shared_chrominance() {
    let bits =
        |bits, frames| PixelDescription { bits_allocated: Some(bits), ..grey_frames(frames) };
    let three = PixelDescription { rows: Some(3), columns: Some(3), ..bits(1, 3) };
    assert_eq!(native(&pixels_of(&[1; 4], &three, None)), [1; 4], "27 bits over all frames");
    assert_eq!(native(&pixels_of(&[1; 36], &bits(12, 1), None)), [1; 36]);
    assert_eq!(native(&pixels_of(&[1; 48], &colour("YBR_FULL_422"), None)), [1; 48]);
    assert_eq!(reason_of(&[1; 72], &colour("YBR_FULL_422"), None), Reason::PayloadLength);
}

#[test]
fn pitfall_38_big_endian_samples_are_swapped() {
    let claimed = Some(Ts::ExplicitVrBigEndian);
    let check = |bits: u16, payload: &[u8], expect: &[u8]| {
        let columns = Some(u32::try_from(payload.len()).unwrap() * 8 / u32::from(bits));
        let header =
            PixelDescription { rows: Some(1), columns, bits_allocated: Some(bits), ..grey() };
        let got = pixels_of(payload, &header, claimed);
        assert_eq!((native(&got), codes(&got)), (expect, vec![WarningCode::PayloadSwapped]));
        assert_eq!(got.transfer_syntax, Ts::ExplicitVrLittleEndian);
    };
    check(16, &[1, 2, 3, 4], &[2, 1, 4, 3]);
    check(32, &[1, 2, 3, 4], &[4, 3, 2, 1]);
    check(64, &[1, 2, 3, 4, 5, 6, 7, 8], &[8, 7, 6, 5, 4, 3, 2, 1]);
}

#[test]
fn pitfall_38_big_endian_bytes_are_bytes_or_words_for_certain_or_rejected() {
    let claimed = Some(Ts::ExplicitVrBigEndian);
    let payload: Vec<u8> = (0..24).collect();
    assert_eq!(reason_of(&payload, &grey(), claimed), Reason::ByteOrderAmbiguous);
    let said = |words| PixelDescription { pixel_data_words: Some(words), ..grey() };
    assert_eq!(native(&pixels_of(&payload, &said(false), claimed)), payload);
    let got = pixels_of(&payload, &said(true), claimed);
    assert_eq!(
        (&native(&got)[..4], codes(&got)),
        (&[1, 0, 3, 2][..], vec![WarningCode::PayloadSwapped])
    );
    // OW swaps the padding too: it stands before the last byte.
    let odd = PixelDescription { rows: Some(1), columns: Some(3), ..grey() };
    assert_eq!(native(&pixels_of(&[1, 2, 3, 0], &odd, claimed)), [1, 2, 3]);
    assert_eq!(reason_of(&[1, 2, 0, 0], &odd, claimed), Reason::ByteOrderAmbiguous);
    let got = pixels_of(&[2, 1, 0, 3], &odd, claimed);
    assert_eq!((native(&got), codes(&got)), (&[1, 2, 3][..], vec![WarningCode::PayloadSwapped]));
}

#[test]
fn pitfall_40_codestreams_by_their_bytes() {
    let check = |payload: &[u8], header: &PixelDescription, expect: Ts| {
        let got = pixels_of(payload, header, None);
        assert_eq!((got.kind, got.transfer_syntax), (PayloadKind::Codestream, expect));
        assert_eq!(frames(&got), [payload]);
    };
    let of = |sof, ss| Jpeg { ss, ..Jpeg::new(sof) }.build();
    check(&of(0xc0, 0), &grey(), Ts::JpegBaseline);
    check(&of(0xc1, 0), &grey(), Ts::JpegExtended);
    check(&of(0xc3, 1), &grey(), Ts::JpegLosslessSv1);
    check(&of(0xc3, 6), &grey(), Ts::JpegLossless);
    check(&of(0xf7, 0), &grey(), Ts::JpegLsLossless);
    check(&of(0xf7, 2), &grey(), Ts::JpegLsNearLossless);
    check(&j2k(), &grey(), Ts::Jpeg2000Lossless);
    check(&rle(1), &grey(), Ts::RleLossless);
    check(&rle(3), &colour("RGB"), Ts::RleLossless);
    assert_eq!(reason_of(&of(0xc2, 0), &grey(), None), Reason::PayloadUnsupported, "progressive");
}

#[test]
fn pitfall_40_boxes_are_taken_off() {
    let stream = j2k();
    let wide = [&1_u32.to_be_bytes()[..], b"jp2c", &(16 + stream.len() as u64).to_be_bytes()];
    let forms = [
        jp2_box(*b"jp2c", &stream),
        [wide.concat(), stream.clone()].concat(),
        [&[0; 4][..], b"jp2c", &stream].concat(),
        [jp2_box(*b"jp2c", &stream), jp2_box(*b"xml ", b"<a/>")].concat(),
    ];
    for boxes in forms {
        let whole = [jp2_head(), boxes].concat();
        for (payload, kind) in [
            (whole.clone(), PayloadKind::Codestream),
            (items(&[&whole]), PayloadKind::Encapsulated),
        ] {
            let got = pixels_of(&payload, &grey(), None);
            assert_eq!((got.kind, frames(&got)), (kind, vec![stream.clone()]));
            assert_eq!(codes(&got), [WarningCode::PayloadUnboxed]);
        }
        let got = pixels_of(&whole.repeat(2), &grey_frames(2), None);
        assert_eq!(frames(&got), [stream.clone(), stream.clone()]);
    }
}

#[test]
fn pitfall_40_what_is_not_walked_needs_a_claim() {
    let check = |payload: &[u8], claimed: Ts| {
        let got = pixels_of(payload, &grey(), Some(claimed));
        assert_eq!((got.transfer_syntax, frames(&got)), (claimed, vec![payload.to_vec()]));
        let got = pixels_of(&items(&[payload]), &grey(), Some(claimed));
        assert_eq!((got.transfer_syntax, got.kind), (claimed, PayloadKind::Encapsulated));
        for other in [None, Some(Ts::ExplicitVrLittleEndian), Some(Ts::JpegBaseline)] {
            assert_eq!(reason_of(payload, &grey(), other), Reason::PayloadUnsupported);
        }
    };
    check(&[0xff, 0x0a, 1, 2], Ts::JpegXl);
    check(b"\0\0\0\x0cJXL \r\n\x87\n", Ts::JpegXlRecompression);
    check(&[0, 0, 1, 0xb3, 9, 9], Ts::Mpeg2MainProfile);
    check(&[0, 0, 1, 0xba, 9, 9], Ts::Mpeg2HighLevel);
    check(b"\0\0\0\x18ftypmp42", Ts::Mpeg4HighProfile);
    check(&[0, 0, 0, 1, 0x67, 9], Ts::Mpeg4BdCompatible);
    check(&[0, 0, 0, 1, 0x40, 1], Ts::HevcMainProfile);
}

#[test]
fn pitfall_40_native_pixels_may_begin_like_anything() {
    let starts: [&[u8]; 10] = [
        &[0x1f, 0x8b, 8],
        &[0x28, 0xb5, 0x2f, 0xfd],
        &[0xfe, 0xff, 0, 0xe0],
        &[0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0],
        &[0xff, 0xd8, 0xff, 0xc0],
        &[0xff, 0x4f, 0xff, 0x51],
        b"\0\0\0\x0cjP  \r\n\x87\n",
        &[0xff, 0x0a],
        &[0, 0, 1, 0xb3],
        &[3, 0, 0, 0, 64, 0, 0, 0],
    ];
    let header = PixelDescription { rows: Some(100), ..grey() };
    for start in starts {
        let mut payload = vec![3; 600];
        payload[..start.len()].copy_from_slice(start);
        assert_eq!(native(&pixels_of(&payload, &header, None)), payload, "{start:02x?}");
    }
}

#[test]
fn pitfall_40_a_whole_codestream_of_the_geometry_wins_over_the_length() {
    let stream = jpeg();
    let rows = u32::try_from(stream.len()).unwrap() / 6;
    let mut as_long = Jpeg::new(0xc0);
    as_long.data.extend(vec![1; (6 * (rows as usize + 1)) - stream.len()]);
    let payload = as_long.build();
    let header = PixelDescription { rows: Some(rows + 1), ..grey() };
    // The codestream says four rows: with another geometry the length counts.
    assert_eq!(header.native_bytes(), Some(payload.len() as u64));
    assert_eq!(native(&pixels_of(&payload, &header, None)), payload);
    let mut tall = payload.clone();
    tall[2 + 2 + 2 + 2] = u8::try_from(rows + 1).unwrap();
    assert_eq!(pixels_of(&tall, &header, None).kind, PayloadKind::Codestream);
}

#[test]
fn pitfall_41_htj2k_and_its_kinds() {
    let check = |stream: &J2k, claimed: Option<Ts>, expect: Ts| {
        assert_eq!(pixels_of(&stream.build(), &grey(), claimed).transfer_syntax, expect);
    };
    let ht = J2k { ht: true, ..J2k::new() };
    let tile_lengths = super::build::segment(0x55, &[0, 0, 0, 0, 0, 9]);
    let streamable = J2k { progression: 2, after: tile_lengths.clone(), ..ht.clone() };
    check(&ht, None, Ts::Htj2kLossless);
    check(&ht, Some(Ts::Htj2kLosslessRpcl), Ts::Htj2kLossless);
    check(&streamable, None, Ts::Htj2kLosslessRpcl);
    check(&streamable, Some(Ts::Htj2kLossless), Ts::Htj2kLossless);
    check(&J2k { progression: 2, ..ht.clone() }, None, Ts::Htj2kLossless);
    check(&J2k { after: tile_lengths, ..ht.clone() }, None, Ts::Htj2kLossless);
    check(&J2k { wavelet: 0, ..ht.clone() }, None, Ts::Htj2k);
    check(&ht, Some(Ts::Htj2k), Ts::Htj2k);
    check(&ht, Some(Ts::Jpeg2000Lossless), Ts::Htj2kLossless);
}

#[test]
fn pitfall_42_the_wavelet_decides_and_then_the_header() {
    let check = |stream: &J2k, lossy: bool, claimed: Option<Ts>, expect: Ts| {
        let header = PixelDescription { lossy, ..grey() };
        assert_eq!(pixels_of(&stream.build(), &header, claimed).transfer_syntax, expect);
    };
    let reversible = J2k::new();
    let irreversible = J2k { wavelet: 0, ..J2k::new() };
    check(&irreversible, true, None, Ts::Jpeg2000);
    check(&irreversible, false, Some(Ts::Jpeg2000Lossless), Ts::Jpeg2000);
    check(&reversible, false, None, Ts::Jpeg2000Lossless);
    check(&reversible, true, None, Ts::Jpeg2000);
    check(&reversible, false, Some(Ts::Jpeg2000), Ts::Jpeg2000);
    check(&reversible, true, Some(Ts::Jpeg2000Lossless), Ts::Jpeg2000Lossless);
    // COC: component 0 with 9/7, under a COD that says 5/3.
    let override_ = super::build::segment(0x53, &[0, 0, 5, 4, 4, 0, 0]);
    check(&J2k { after: override_, ..reversible }, false, None, Ts::Jpeg2000);
}

#[test]
fn pitfall_43_frames_without_eoc() {
    let open = J2k::new().open();
    let got = pixels_of(&open, &grey(), None);
    assert_eq!(
        (frames(&got), codes(&got)),
        (vec![open.clone()], vec![WarningCode::CodestreamUnterminated])
    );
    let mixed = [open.clone(), j2k(), open.clone()].concat();
    let got = pixels_of(&mixed, &grey_frames(3), None);
    assert_eq!(frames(&got), [open.clone(), j2k(), open]);
    assert_eq!(got.warnings.count(WarningCode::CodestreamUnterminated), 2);
    let open = Jpeg::new(0xc0).open();
    let got = pixels_of(&[open.clone(), jpeg(), open.clone()].concat(), &grey_frames(3), None);
    assert_eq!(frames(&got), [open.clone(), jpeg(), open]);
}

#[test]
fn pitfall_43_tile_parts_of_unknown_length_and_broken_ones() {
    let open_part =
        J2k { part_length: Some(0), data: vec![9, 0xff, 0x91, 0, 4, 0xff, 0xd9, 5], ..J2k::new() };
    let stream = open_part.build();
    let got = pixels_of(&stream.repeat(2), &grey_frames(2), None);
    assert_eq!(frames(&got), [stream.clone(), stream]);
    let past = J2k { part_length: Some(1000), ..J2k::new() };
    assert_eq!(reason_of(&past.build(), &grey(), None), Reason::PayloadDamaged);
    let short = J2k { part_length: Some(13), ..J2k::new() };
    assert_eq!(reason_of(&short.build(), &grey(), None), Reason::PayloadDamaged);
    let whole = j2k();
    for cut in [4, 20, 44, 60, whole.len() - 3] {
        assert_eq!(reason_of(&whole[..cut], &colour("RGB"), None), Reason::PayloadDamaged, "{cut}");
    }
}

#[test]
fn pitfall_44_codestreams_are_as_many_as_frames() {
    for stream in [j2k(), jpeg(), rle(1)] {
        let three = stream.repeat(3);
        for got in [three.clone(), items(&[&stream, &stream, &stream]), items(&[&three])] {
            assert_eq!(frames(&pixels_of(&got, &grey_frames(3), None)).len(), 3);
            for expected in [1, 2, 4] {
                assert_eq!(reason_of(&got, &grey_frames(expected), None), Reason::FrameCount);
            }
        }
    }
}

#[test]
fn pitfall_45_encapsulated_twice_is_damage() {
    let inner = items(&[&jpeg()]);
    assert_eq!(reason_of(&items(&[&inner]), &grey(), None), Reason::PayloadDamaged);
}

#[test]
fn pitfall_45_delimiter_and_offset_table_are_optional() {
    let stream = [jpeg(), vec![0]].concat();
    let delimiter = [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];
    let bare = items(&[&stream]);
    let with_table = [item(&[0; 4]), item(&stream)].concat();
    let without_table = item(&stream);
    for value in [bare, with_table, without_table] {
        for end in [&[][..], &delimiter] {
            let got = pixels_of(&[&value[..], end].concat(), &lossy(grey()), None);
            assert_eq!((frames(&got), codes(&got)), (vec![jpeg()], vec![]));
        }
    }
}

#[test]
fn pitfall_46_frames_in_several_fragments() {
    let stream = [jpeg(), vec![0]].concat();
    let (head, tail) = stream.split_at(20);
    let table = [0_u32, 8 + 20 + 8 + tail.len() as u32].map(u32::to_le_bytes).concat();
    let fragments = [item(head), item(tail), item(head), item(tail)].concat();
    for first in [item(&[]), item(&table)] {
        let got = pixels_of(&[first, fragments.clone()].concat(), &lossy(grey_frames(2)), None);
        assert_eq!(frames(&got), [jpeg(), jpeg()]);
        assert_eq!(codes(&got), [WarningCode::FrameFragmented]);
        assert_eq!(got.warnings.count(WarningCode::FrameFragmented), 2);
    }
    let got = pixels_of(&items(&[head, tail]), &lossy(grey()), None);
    assert_eq!(frames(&got), [jpeg()]);
    // Fragments of an odd length cannot be padded within a frame: they become one.
    let got = pixels_of(&items(&[&stream[..19], &stream[19..]]), &lossy(grey()), None);
    assert_eq!((frames(&got), codes(&got)), (vec![jpeg()], vec![]));
    let wrong = [item(&[1, 0, 0, 0, 2, 0, 0, 0]), fragments].concat();
    let got = pixels_of(&wrong, &lossy(grey_frames(2)), None);
    assert_eq!(codes(&got), [WarningCode::FrameFragmented, WarningCode::OffsetTableRebuilt]);
}

#[test]
fn pitfall_48_colour_is_noted_and_geometry_rejected() {
    let differs = |stream: &J2k, photometric: &str| {
        let got = pixels_of(&stream.build(), &colour(photometric), None);
        codes(&got).contains(&WarningCode::PhotometricDiffers)
    };
    let plain = J2k { samples: 3, ..J2k::new() };
    let reversible = J2k { transform: 1, ..plain.clone() };
    let irreversible = J2k { wavelet: 0, ..reversible.clone() };
    for (stream, right) in [(&plain, "RGB"), (&reversible, "YBR_RCT"), (&irreversible, "YBR_ICT")] {
        for photometric in ["RGB", "YBR_RCT", "YBR_ICT"] {
            assert_eq!(differs(stream, photometric), photometric != right, "{right} {photometric}");
        }
    }
    let adobe = |transform| {
        super::build::segment(0xee, &[b"Adobe\0\x64\0\0\0\0", &[transform][..]].concat())
    };
    let jpeg = |transform| Jpeg { samples: 3, before: adobe(transform), ..Jpeg::new(0xc0) }.build();
    let noted = |payload: &[u8], photometric| {
        codes(&pixels_of(payload, &colour(photometric), None))
            .contains(&WarningCode::PhotometricDiffers)
    };
    assert!(noted(&jpeg(1), "RGB") && !noted(&jpeg(1), "YBR_FULL_422"));
    assert!(noted(&jpeg(0), "YBR_FULL") && !noted(&jpeg(0), "RGB"));

    assert_eq!(reason_of(&plain.build(), &grey(), None), Reason::GeometryMismatch);
    let wide = PixelDescription { columns: Some(7), ..grey() };
    for stream in [j2k(), self::jpeg(), rle(1)] {
        let reason = reason_of(&stream, &wide, None);
        assert!(matches!(reason, Reason::GeometryMismatch | Reason::PayloadDamaged), "{reason}");
    }
}

#[test]
fn pitfall_49_depth_and_sign_are_noted_and_the_header_kept() {
    let check = |depth: u8, header: &PixelDescription, expect: &[WarningCode]| {
        let stream = J2k { depth, ..J2k::new() }.build();
        assert_eq!(codes(&pixels_of(&stream, header, None)), expect);
    };
    let signed = PixelDescription { pixel_representation: Some(1), ..grey() };
    check(7, &grey(), &[]);
    check(0x87, &signed, &[]);
    check(7, &signed, &[WarningCode::PixelDepthDiffers]);
    check(11, &grey(), &[WarningCode::PixelDepthDiffers]);
}

#[test]
fn pitfall_50_missing_attributes_are_noted_or_rejected() {
    let planar = PixelDescription { planar_configuration: None, ..colour("RGB") };
    assert_eq!(codes(&pixels_of(&[1; 72], &planar, None)), [WarningCode::PlanarMissing]);
    assert_eq!(codes(&pixels_of(&jpeg(), &grey(), None)), [WarningCode::LossyUndeclared]);
    let declared = PixelDescription { lossy: true, ..grey() };
    assert_eq!(codes(&pixels_of(&jpeg(), &declared, None)), []);
    let no_rows = PixelDescription { rows: None, ..grey() };
    for payload in [jpeg(), j2k(), rle(1), vec![1; 24], items(&[&jpeg()])] {
        assert_eq!(reason_of(&payload, &no_rows, None), Reason::GeometryMissing);
    }
}

#[test]
fn pitfall_51_an_empty_payload_is_for_headers_without_pixels() {
    let got = pixels_of(&[], &PixelDescription::default(), None);
    assert_eq!((got.kind, got.transfer_syntax), (PayloadKind::Empty, Ts::ExplicitVrLittleEndian));
    assert_eq!(reason_of(&[], &grey(), None), Reason::PayloadEmpty);
}

#[test]
fn pitfall_51_single_bit_segmentations_are_native() {
    let bits = PixelDescription { bits_allocated: Some(1), bits_stored: Some(1), ..grey_frames(3) };
    assert_eq!(native(&pixels_of(&[5; 9], &bits, None)), [5; 9]);
}

#[test]
fn pitfall_52_a_zero_byte_member_is_a_rejection_of_its_own() {
    assert_eq!(reason_of(&[], &grey(), Some(Ts::JpegBaseline)), Reason::PayloadEmpty);
}
