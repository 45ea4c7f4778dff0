//! Pitfalls 32 to 37 and 51: what is around values.

use dcmjoin_model::{PixelDescription, Reason, WarningCode::*};

use super::{
    IDENTITY, check, check_document_rejected, check_rejected, document, element, item, transcode,
};

#[test]
fn pitfall_32_values_beyond_a_short_length_become_un() {
    let text = "x".repeat(70_000);
    let members = format!(r#""00100020":{{"vr":"LO","Value":["{text}"]}}"#);
    check(&members, &[(0x0010_0020, "UN", text.as_bytes())], &[VrOversize, TextTooLong]);

    let decimals = vec!["1.5"; 20_000];
    let members = format!(r#""00180050":{{"vr":"DS","Value":[{}]}}"#, decimals.join(","));
    let bytes = decimals.join("\\") + " ";
    check(&members, &[(0x0018_0050, "UN", bytes.as_bytes())], &[VrOversize]);

    let table = vec!["258"; 40_000].join(",");
    let members = format!(r#""00283006":{{"vr":"US","Value":[{table}]}}"#);
    check(&members, &[(0x0028_3006, "UN", &[2, 1].repeat(40_000))], &[VrOversize]);
    // Where the VR is open, words can hold them.
    let members = format!(r#""00283006":{{"vr":"US or OW","Value":[{table}]}}"#);
    check(&members, &[(0x0028_3006, "OW", &[2, 1].repeat(40_000))], &[VrAmbiguous, ValueTyped]);

    let longest = "x".repeat(65_534);
    let members = format!(r#""00100020":{{"vr":"LT","Value":["{longest}"]}}"#);
    check(&members, &[(0x0010_0020, "LT", longest.as_bytes())], &[TextTooLong]);
    let members = format!(r#""00100020":{{"vr":"LT","Value":["{longest}x"]}}"#);
    let padded = longest.clone() + "x ";
    check(&members, &[(0x0010_0020, "UN", padded.as_bytes())], &[VrOversize, TextTooLong]);
}

#[test]
fn pitfall_33_sequences_have_defined_lengths() {
    let members = r#""00081140":{"vr":"SQ","Value":[
        {"00081155":{"vr":"UI","Value":["1.2"]}},
        {"00081140":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.3"]}}]}}]}"#;
    let deep = item(&[element(0x0008_1155, "UI", b"1.3\0")]);
    let expect =
        [item(&[element(0x0008_1155, "UI", b"1.2\0")]), item(&[element(0x0008_1140, "SQ", &deep)])]
            .concat();
    check(members, &[(0x0008_1140, "SQ", &expect)], &[]);
}

#[test]
fn pitfall_34_what_follows_pixel_data() {
    let members = r#""FFFCFFFC":{"vr":"OB","InlineBinary":"AAA="},
        "FFFAFFFA":{"vr":"SQ"},
        "7FE00008":{"vr":"OF","InlineBinary":"AAAAAA=="},
        "7FE00010":{"vr":"OW","InlineBinary":"AQIDBA=="}"#;
    let elements: [(u32, &str, &[u8]); 3] =
        [(0x7FE0_0008, "OF", &[0; 4]), (0xFFFA_FFFA, "SQ", b""), (0xFFFC_FFFC, "OB", b"\0\0")];
    let header = check(members, &elements, &[PixelDataInHeader]);
    assert_eq!(header.inline_pixels.as_deref(), Some(&[1, 2, 3, 4][..]));
    assert_eq!(&header.data_set[header.pixel_data_at..][..4], b"\xFA\xFF\xFA\xFF");
}

#[test]
fn pixel_data_of_icons_stays_in_its_item() {
    let members = r#""00280100":{"vr":"US","Value":[16]},"00880200":{"vr":"SQ","Value":[{
        "00280100":{"vr":"US","Value":[8]},
        "7FE00010":{"vr":"OB or OW","InlineBinary":"AQI="}}]}"#;
    let icon =
        item(&[element(0x0028_0100, "US", b"\x08\0"), element(0x7FE0_0010, "OB", b"\x01\x02")]);
    let elements: [(u32, &str, &[u8]); 2] =
        [(0x0028_0100, "US", b"\x10\0"), (0x0088_0200, "SQ", &icon)];
    check(members, &elements, &[VrAmbiguous]);
    check_rejected(r#""7FE00010":{"vr":"OW","Value":[1,2]}"#, Reason::ValueInvalid);
}

#[test]
fn pitfall_35_identity_is_required() {
    let class = r#""00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.2"]}"#;
    let instance = r#""00080018":{"vr":"UI","Value":["2.25.7"]}"#;
    let rejected = |members: &str, reason: Reason| {
        check_document_rejected(format!("{{{members}}}").as_bytes(), reason);
    };
    rejected("", Reason::UidMissing);
    rejected(class, Reason::UidMissing);
    rejected(&format!(r#"{class},"00080018":{{"vr":"UI"}}"#), Reason::UidMissing);
    rejected(
        &format!(r#"{class},"00080018":{{"vr":"UI","Value":["SECRET"]}}"#),
        Reason::UidMissing,
    );
    rejected(
        &format!(r#"{class},"00080018":{{"vr":"UI","Value":["1.2","1.3"]}}"#),
        Reason::UidMissing,
    );
    rejected(instance, Reason::SopClassMissing);
    rejected(&format!(r#"{instance},"00080016":{{"vr":"UI"}}"#), Reason::SopClassMissing);
    let members = r#""0020000D":{"vr":"UI","Value":["1.2"]},"0020000E":{"vr":"UI","Value":["x"]}"#;
    let header = transcode(document(members).as_bytes()).unwrap();
    assert_eq!(header.study.unwrap().as_str(), "1.2");
    assert_eq!(header.series, None);
    assert_eq!(header.sop_class.as_str(), "1.2.840.10008.5.1.4.1.1.2");
}

#[test]
fn pitfall_36_irregular_uids_are_kept() {
    let check_uid = |uid: &str, warnings: &[_]| {
        let members = format!(r#""0020000D":{{"vr":"UI","Value":["{uid}"]}}"#);
        let mut bytes = uid.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        check(&members, &[(0x0020_000D, "UI", &bytes)], warnings);
    };
    check_uid("2.25.329800735698586629295641978511506172918", &[]);
    check_uid("1.2.0.10", &[]);
    check_uid(&"1".repeat(64), &[]);
    check_uid(&"1".repeat(65), &[UidTooLong]);
    check_uid("1.02.3", &[UidLeadingZero]);
    check_uid("1.00", &[UidLeadingZero]);
    for uid in ["1..2", "1.2.", ".1", "1.2a", "1.2 "] {
        check_uid(uid, &[UidForm]);
    }
    check_uid(&"1.02".repeat(20), &[UidTooLong, UidLeadingZero]);
}

#[test]
fn pitfall_37_the_deflated_syntax_is_a_hint_only() {
    let meta = r#""00020010":{"vr":"UI","Value":["1.2.840.10008.1.2.1.99"]}"#;
    let header = check(meta, &[], &[FileMetaRebuilt]);
    let syntax = dcmjoin_model::TransferSyntax::DeflatedExplicitVrLittleEndian;
    assert_eq!(header.transfer_syntax, Some(syntax));
}

#[test]
fn pitfall_51_no_pixel_data_at_all() {
    let header = check("", &[], &[]);
    assert_eq!(header.pixel_data_at, header.data_set.len());
    assert_eq!(header.inline_pixels, None);
    assert_eq!(header.pixels, PixelDescription::default());
}

#[test]
fn pitfall_51_float_pixel_data_and_single_bits() {
    let members = r#""00280100":{"vr":"US","Value":[1]},
        "7FE00009":{"vr":"OD","InlineBinary":"AAAAAAAA8D8="}"#;
    let value = 1.0_f64.to_le_bytes();
    let elements: [(u32, &str, &[u8]); 2] =
        [(0x0028_0100, "US", b"\x01\0"), (0x7FE0_0009, "OD", &value)];
    let header = check(members, &elements, &[]);
    assert_eq!(header.pixels.bits_allocated, Some(1));
    assert_eq!(header.pixel_data_at, header.data_set.len());
}

#[test]
fn the_root_describes_the_pixels() {
    let members = r#""00280002":{"vr":"US","Value":[3]},
        "00280004":{"vr":"CS","Value":["YBR_FULL_422"]},
        "00280006":{"vr":"US","Value":[0]},"00280008":{"vr":"IS","Value":["12"]},
        "00280010":{"vr":"US","Value":[512]},"00280011":{"vr":"UL","Value":[70000]},
        "00280100":{"vr":"US","Value":["16"]},"00280101":{"vr":"US","Value":[12]},
        "00280103":{"vr":"US","Value":[1]},"00282110":{"vr":"CS","Value":["01"]},
        "00880200":{"vr":"SQ","Value":[{"00280010":{"vr":"US","Value":[64]}}]},
        "7FE00010":{"vr":"OW"}"#;
    let header = transcode(document(members).as_bytes()).unwrap();
    let expect = PixelDescription {
        rows: Some(512),
        columns: Some(70_000),
        samples_per_pixel: Some(3),
        bits_allocated: Some(16),
        bits_stored: Some(12),
        pixel_representation: Some(1),
        planar_configuration: Some(0),
        number_of_frames: Some(12),
        photometric_interpretation: Some("YBR_FULL_422".into()),
        pixel_data_words: Some(true),
        lossy: true,
    };
    assert_eq!(header.pixels, expect);
    let bare = format!(r#"{{{IDENTITY},"00280010":{{"vr":"US"}},"00280004":{{"vr":"CS"}}}}"#);
    let header = transcode(bare.as_bytes()).unwrap();
    assert_eq!(header.pixels, PixelDescription::default());
}
