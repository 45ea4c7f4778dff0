//! Tests of the writer and the reader, against each other and against bytes written by hand.

use bytes::Bytes;
use dcmjoin_model::{
    ByteRange, PayloadKind, PixelDescription, Reason, TransferSyntax, Uid, Warnings,
};
use proptest::prelude::*;

use super::elements::{put_long, put_long_header, put_short};
use super::write::assemble_within;
use super::{
    IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, OffsetTable, Part10, ReadError,
    assemble, read,
};
use crate::header::Header;
use crate::payload::tests::build::{grey, grey_frames, items, j2k, jpeg};
use crate::payload::{PayloadLimits, PixelValue, Pixels, recognise};

/// A header with one element before and one behind the pixel data.
fn header(pixels: PixelDescription) -> Header {
    let uid = Uid::parse("2.25.7").unwrap();
    let sop_class = Uid::parse("1.2.840.10008.5.1.4.1.1.7").unwrap();
    let mut data_set = Vec::new();
    put_short(&mut data_set, (0x0008, 0x0016), *b"UI", sop_class.as_str().as_bytes());
    put_short(&mut data_set, (0x0008, 0x0018), *b"UI", uid.as_str().as_bytes());
    if let Some(frames) = pixels.number_of_frames {
        put_short(&mut data_set, (0x0028, 0x0008), *b"IS", frames.to_string().as_bytes());
    }
    for (element, value) in [(0x0010, pixels.rows), (0x0011, pixels.columns)] {
        let value = value.unwrap_or(0) as u16;
        put_short(&mut data_set, (0x0028, element), *b"US", &value.to_le_bytes());
    }
    if let Some(bits) = pixels.bits_allocated {
        put_short(&mut data_set, (0x0028, 0x0100), *b"US", &bits.to_le_bytes());
    }
    let pixel_data_at = data_set.len();
    put_long(&mut data_set, (0xfffc, 0xfffc), *b"OB", &[0; 4]);
    Header {
        uid,
        sop_class,
        study: None,
        series: None,
        transfer_syntax: None,
        pixels,
        inline_pixels: None,
        float_pixels: false,
        data_set: data_set.into(),
        pixel_data_at,
        warnings: Warnings::default(),
    }
}

fn native(value: &[u8]) -> Pixels {
    Pixels {
        kind: PayloadKind::Native,
        transfer_syntax: TransferSyntax::ExplicitVrLittleEndian,
        value: PixelValue::Native(Bytes::copy_from_slice(value)),
        warnings: Warnings::default(),
    }
}

fn encapsulated(frames: &[&[&[u8]]]) -> Pixels {
    let frame = |frame: &&[&[u8]]| frame.iter().map(|part| Bytes::copy_from_slice(part)).collect();
    Pixels {
        kind: PayloadKind::Encapsulated,
        transfer_syntax: TransferSyntax::JpegBaseline,
        value: PixelValue::Encapsulated(frames.iter().map(frame).collect()),
        warnings: Warnings::default(),
    }
}

fn bytes_of(file: &Part10) -> Vec<u8> {
    let bytes = file.segments.concat();
    assert_eq!(bytes.len() as u64, file.len);
    assert_eq!(file.len % 2, 0, "every element is of an even length");
    bytes
}

fn at(bytes: &[u8], range: ByteRange) -> &[u8] {
    &bytes[range.start as usize..range.end as usize]
}

#[test]
fn pitfall_35_file_meta_is_built_fresh() {
    let header = header(grey());
    let file = assemble(&header, Some(&native(&[7; 24]))).unwrap();
    let bytes = bytes_of(&file);
    assert_eq!(bytes[..128], [0; 128]);
    assert_eq!(&bytes[128..140], b"DICM\x02\0\0\0UL\x04\0");
    let group = u32::from_le_bytes(bytes[140..144].try_into().unwrap()) as usize;
    assert_eq!(&bytes[144..158], b"\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01");
    assert_eq!(&bytes[144 + group..148 + group], b"\x08\0\x16\0", "the data set follows");
    let summary = read(&bytes).unwrap();
    assert_eq!(summary.meta_sop_class, summary.sop_class);
    assert_eq!(summary.meta_uid, summary.uid);
    assert_eq!(summary.meta_uid.as_ref(), Some(&header.uid));
    assert_eq!(summary.transfer_syntax, Some(TransferSyntax::ExplicitVrLittleEndian));
    assert_eq!(summary.implementation_class.unwrap().as_str(), IMPLEMENTATION_CLASS_UID);
    assert_eq!(summary.implementation_version.as_deref(), Some(IMPLEMENTATION_VERSION_NAME));
    assert!(IMPLEMENTATION_CLASS_UID.len() <= 64 && IMPLEMENTATION_VERSION_NAME.len() <= 16);
    assert_eq!(summary.out_of_order, 0);
}

#[test]
fn pitfall_36_the_same_input_gives_the_same_bytes() {
    let file = || bytes_of(&assemble(&header(grey()), Some(&native(&[7; 24]))).unwrap());
    assert_eq!(file(), file());
}

#[test]
fn pitfall_34_elements_behind_the_pixel_data_stay_behind() {
    for pixels in [native(&[7; 24]), encapsulated(&[&[&[1, 2]]])] {
        let bytes = bytes_of(&assemble(&header(grey()), Some(&pixels)).unwrap());
        let summary = read(&bytes).unwrap();
        assert_eq!((summary.elements, summary.out_of_order), (7, 0));
        assert!(bytes.ends_with(b"\xfc\xff\xfc\xffOB\0\0\x04\0\0\0\0\0\0\0"));
    }
}

#[test]
fn pitfall_39_the_vr_of_native_pixels() {
    let check = |bits: u16, value: &[u8], vr: [u8; 2]| {
        let header = header(PixelDescription { bits_allocated: Some(bits), ..grey() });
        let file = assemble(&header, Some(&native(value))).unwrap();
        let bytes = bytes_of(&file);
        let found = read(&bytes).unwrap().pixel_data.unwrap();
        assert_eq!((found.vr, found.kind), (Some(vr), PayloadKind::Native));
        assert_eq!(Some(found.value), file.pixel_data);
        let padded = [value, &[0][..value.len() % 2]].concat();
        assert_eq!(at(&bytes, found.value), padded);
    };
    check(1, &[5; 3], *b"OB");
    check(8, &[7; 24], *b"OB");
    check(8, &[7; 9], *b"OB");
    check(12, &[7; 36], *b"OW");
    check(16, &[7; 48], *b"OW");
    check(32, &[7; 96], *b"OW");
}

#[test]
fn pitfall_45_fragments_are_even_and_the_offset_table_is_filled() {
    let header = header(grey_frames(3));
    let pixels = encapsulated(&[&[&[1, 2, 3]], &[&[4, 5]], &[&[6]]]);
    let file = assemble(&header, Some(&pixels)).unwrap();
    let bytes = bytes_of(&file);
    let found = read(&bytes).unwrap().pixel_data.unwrap();
    assert_eq!(found.vr, Some(*b"OB"));
    assert_eq!(found.offset_table, OffsetTable::Basic { entries: 3, consistent: true });
    let value = at(&bytes, file.pixel_data.unwrap());
    let expected = [
        &b"\xfe\xff\0\xe0\x0c\0\0\0\0\0\0\0\x0c\0\0\0\x16\0\0\0"[..],
        b"\xfe\xff\0\xe0\x04\0\0\0\x01\x02\x03\0\xfe\xff\0\xe0\x02\0\0\0\x04\x05",
        b"\xfe\xff\0\xe0\x02\0\0\0\x06\0\xfe\xff\xdd\xe0\0\0\0\0",
    ];
    assert_eq!(value, expected.concat());
    let frames: Vec<_> = file.frames.iter().map(|&range| at(&bytes, range)).collect();
    assert_eq!(frames, [&[1, 2, 3][..], &[4, 5], &[6]]);
}

#[test]
fn pitfall_45_beyond_4_gib_the_extended_offset_table_counts() {
    let header = header(grey_frames(3));
    let pixels = encapsulated(&[&[&[1, 2, 3]], &[&[4, 5]], &[&[6]]]);
    let last_offset = 22;
    let basic = assemble_within(&header, Some(&pixels), last_offset).unwrap();
    assert_eq!(basic, assemble(&header, Some(&pixels)).unwrap());
    let bytes = bytes_of(&assemble_within(&header, Some(&pixels), last_offset - 1).unwrap());
    let summary = read(&bytes).unwrap();
    assert_eq!((summary.elements, summary.out_of_order), (10, 0));
    let found = summary.pixel_data.unwrap();
    assert_eq!(found.offset_table, OffsetTable::Extended { entries: 3, consistent: true });
    let mut tables = Vec::new();
    put_long(&mut tables, (0x7fe0, 1), *b"OV", &[0_u64, 12, 22].map(u64::to_le_bytes).concat());
    put_long(&mut tables, (0x7fe0, 2), *b"OV", &[4_u64, 2, 2].map(u64::to_le_bytes).concat());
    put_long_header(&mut tables, (0x7fe0, 0x10), *b"OB", u32::MAX);
    tables.extend(b"\xfe\xff\0\xe0\0\0\0\0");
    assert!(bytes.windows(tables.len()).any(|window| window == tables));
}

#[test]
fn pitfall_45_extended_tables_stand_before_the_total_length() {
    let mut header = header(grey_frames(2));
    let mut data_set = header.data_set[..header.pixel_data_at].to_vec();
    put_long(&mut data_set, (0x7fe0, 3), *b"UV", &5_u64.to_le_bytes());
    header.pixel_data_at = data_set.len();
    header.data_set = data_set.into();
    let pixels = encapsulated(&[&[&[1, 2, 3]], &[&[4, 5]]]);
    for limit in [0, 100] {
        let bytes = bytes_of(&assemble_within(&header, Some(&pixels), limit).unwrap());
        assert_eq!(read(&bytes).unwrap().out_of_order, 0);
    }
}

#[test]
fn pitfall_46_frames_in_several_fragments_stay_so() {
    let header = header(grey_frames(2));
    let pixels = encapsulated(&[&[&[1, 2], &[3, 4]], &[&[5]]]);
    let file = assemble(&header, Some(&pixels)).unwrap();
    let bytes = bytes_of(&file);
    let found = read(&bytes).unwrap().pixel_data.unwrap();
    let fragments: Vec<_> = found.fragments.iter().map(|&range| at(&bytes, range)).collect();
    assert_eq!(fragments, [[1, 2], [3, 4], [5, 0]]);
    assert_eq!(found.offset_table, OffsetTable::Basic { entries: 2, consistent: true });
    assert_eq!(file.frames, [], "a frame in two pieces is no range");
    // An extended table cannot point at such frames: the values go without one.
    let bytes = bytes_of(&assemble_within(&header, Some(&pixels), 0).unwrap());
    assert_eq!(read(&bytes).unwrap().pixel_data.unwrap().offset_table, OffsetTable::Empty);
}

#[test]
fn pitfall_47_every_form_gives_the_same_file_with_an_offset_table() {
    let header = header(PixelDescription { lossy: true, ..grey_frames(2) });
    let payloads = [jpeg().repeat(2), items(&[&jpeg(), &jpeg()]), items(&[&jpeg().repeat(2)])];
    let files = payloads.map(|payload| {
        let pixels =
            recognise(payload.into(), &header.pixels, None, &PayloadLimits::default()).unwrap();
        assemble(&header, Some(&pixels)).unwrap()
    });
    assert_eq!(bytes_of(&files[0]), bytes_of(&files[1]));
    assert_eq!(bytes_of(&files[0]), bytes_of(&files[2]));
    let found = read(&bytes_of(&files[0])).unwrap().pixel_data.unwrap();
    assert_eq!(found.offset_table, OffsetTable::Basic { entries: 2, consistent: true });
    assert_eq!(found.frames.len(), 2);
}

#[test]
fn pitfall_51_without_pixels_the_header_is_the_file() {
    let header = header(PixelDescription::default());
    let empty = Pixels { kind: PayloadKind::Empty, ..native(&[]) };
    let file = assemble(&header, None).unwrap();
    assert_eq!(file, assemble(&header, Some(&empty)).unwrap());
    let bytes = bytes_of(&file);
    assert!(bytes.ends_with(&header.data_set));
    let summary = read(&bytes).unwrap();
    assert_eq!((summary.pixel_data, file.pixel_data), (None, None));
    assert_eq!(summary.transfer_syntax, Some(TransferSyntax::ExplicitVrLittleEndian));
}

#[test]
fn native_frames_are_ranges_where_they_are_whole_bytes() {
    let ranges = |bits: u16, rows: u32, frames: u32, length: usize| {
        let pixels = PixelDescription {
            bits_allocated: Some(bits),
            rows: Some(rows),
            columns: Some(1),
            ..grey_frames(frames)
        };
        assemble(&header(pixels), Some(&native(&vec![7; length]))).unwrap().frames
    };
    let two = ranges(16, 3, 2, 12);
    assert_eq!((two[0].len(), two[1].start), (6, two[0].end));
    assert_eq!(ranges(1, 16, 2, 4).len(), 2);
    assert_eq!(ranges(1, 7, 2, 2), [], "the second frame begins inside a byte");
    assert_eq!(ranges(1, 7, 1, 1).len(), 1);
}

#[test]
fn videos_have_no_offset_table_and_no_frames() {
    let pixels = Pixels {
        transfer_syntax: TransferSyntax::Mpeg2MainProfile,
        ..encapsulated(&[&[&[0, 0, 1, 0xb3, 9]]])
    };
    let file = assemble(&header(grey_frames(50)), Some(&pixels)).unwrap();
    let found = read(&bytes_of(&file)).unwrap().pixel_data.unwrap();
    assert_eq!((found.offset_table, file.frames), (OffsetTable::Empty, vec![]));
}

#[test]
fn pixels_are_shared_and_not_copied() {
    let payload = Bytes::from(vec![7; 1 << 20]);
    let pixels = Pixels { value: PixelValue::Native(payload.clone()), ..native(&[]) };
    let file = assemble(&header(grey()), Some(&pixels)).unwrap();
    assert!(file.segments.iter().any(|segment| segment.as_ptr() == payload.as_ptr()));
}

#[test]
fn implicit_and_big_endian_data_sets_are_read() {
    let file = |syntax: TransferSyntax, data_set: &[u8]| {
        let uid = Uid::parse("2.25.7").unwrap();
        let mut bytes = super::meta::write(&uid, &uid, syntax);
        bytes.extend_from_slice(data_set);
        bytes
    };
    // (0008,1140) SQ of undefined length with an item, then (0028,0010).
    let implicit = b"\x08\0\x40\x11\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff\x08\0\x50\x11\
        \x02\0\0\x001\0\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0\x28\0\x10\0\x02\0\0\0\x04\0";
    let summary = read(&file(TransferSyntax::ImplicitVrLittleEndian, implicit)).unwrap();
    assert_eq!((summary.elements, summary.pixels.rows), (2, Some(4)));
    let big = b"\0\x28\0\x10US\0\x02\x01\x02\x7f\xe0\0\x10OW\0\0\0\0\0\x02ab";
    let summary = read(&file(TransferSyntax::ExplicitVrBigEndian, big)).unwrap();
    assert_eq!(summary.pixels.rows, Some(0x102));
    assert_eq!(summary.pixel_data.unwrap().value.len(), 2);
    let deflated = file(TransferSyntax::DeflatedExplicitVrLittleEndian, b"xx");
    assert!(matches!(read(&deflated), Err(ReadError::Deflated { .. })));
}

#[test]
fn broken_files_are_told_by_place_expected_and_got() {
    let bytes = bytes_of(&assemble(&header(grey()), Some(&native(&[7; 24]))).unwrap());
    assert_eq!(read(&bytes[..131]), Err(ReadError::Prefix));
    let cut = bytes.len() - 20;
    let pixel_data_at = cut as u64 - 20;
    let error = read(&bytes[..cut]).unwrap_err();
    assert_eq!(error, ReadError::Short { offset: pixel_data_at, expected: 24, got: 20 });
    assert_eq!(error.to_string(), format!("expected 24 bytes at byte {pixel_data_at}, got 20"));
    let mut wrong = bytes.clone();
    wrong[140] += 2;
    assert!(matches!(read(&wrong), Err(ReadError::GroupLength { .. })));
    let encapsulated = encapsulated(&[&[&[1, 2]]]);
    let bytes = bytes_of(&assemble(&header(grey()), Some(&encapsulated)).unwrap());
    assert!(matches!(read(&bytes[..bytes.len() - 24]), Err(ReadError::Short { .. })));
}

#[test]
fn lengths_that_32_bits_do_not_hold_are_rejected() {
    assert_eq!(super::write::fitting(0xffff_fffe, "x").unwrap(), 0xffff_fffe);
    for length in [0xffff_ffff, 1 << 32, u64::MAX] {
        let error = super::write::fitting(length, "x").unwrap_err();
        assert_eq!(error.reason, Reason::DataSetTooLarge);
    }
}

proptest! {
    #[test]
    fn what_is_assembled_is_read_back(
        frames in proptest::collection::vec(
            proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 1..4),
            1..6,
        ),
        limit in 0_u64..200,
    ) {
        let frames: Vec<Vec<Bytes>> = frames
            .into_iter()
            .map(|frame| frame.into_iter().map(Bytes::from).collect())
            .collect();
        let count = u32::try_from(frames.len()).unwrap();
        let pixels = Pixels {
            value: PixelValue::Encapsulated(frames.clone()),
            ..encapsulated(&[])
        };
        let file = assemble_within(&header(grey_frames(count)), Some(&pixels), limit).unwrap();
        let bytes = bytes_of(&file);
        let summary = read(&bytes).unwrap();
        prop_assert_eq!(summary.out_of_order, 0);
        prop_assert_eq!(summary.pixels.number_of_frames, Some(count));
        let found = summary.pixel_data.unwrap();
        prop_assert_eq!(Some(found.value), file.pixel_data);
        prop_assert_eq!(found.fragments.len(), frames.iter().flatten().count());
        for (&range, fragment) in found.fragments.iter().zip(frames.iter().flatten()) {
            let (kept, padding) = at(&bytes, range).split_at(fragment.len());
            prop_assert_eq!(kept, &fragment[..]);
            prop_assert_eq!(padding, &[0][..fragment.len() % 2]);
        }
        let consistent = match found.offset_table {
            OffsetTable::Basic { consistent, .. } | OffsetTable::Extended { consistent, .. } => consistent,
            OffsetTable::Empty => frames.iter().any(|frame| frame.len() > 1),
        };
        prop_assert!(consistent);
    }

    #[test]
    fn reading_arbitrary_data_sets_does_not_panic(
        data_set in proptest::collection::vec(any::<u8>(), 0..200),
        syntax in proptest::sample::select(TransferSyntax::ALL),
    ) {
        let uid = Uid::parse("2.25.7").unwrap();
        let mut bytes = super::meta::write(&uid, &uid, syntax);
        bytes.extend(data_set);
        let _ = read(&bytes);
    }

    #[test]
    fn reading_damaged_files_does_not_panic(
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let pixels = encapsulated(&[&[&j2k()], &[&[4, 5]]]);
        let file = assemble_within(&header(grey_frames(2)), Some(&pixels), 0).unwrap();
        let mut bytes = bytes_of(&file);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = read(&bytes);
        let _ = read(&bytes[..cut.index(bytes.len())]);
    }
}
