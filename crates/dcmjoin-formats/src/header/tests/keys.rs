//! Pitfalls 17 to 22 and 25: keys, groups, documents' shapes, private elements.

use dcmjoin_model::{Reason, WarningCode::*};

use super::{check, check_rejected, document, element, item, transcode};

const PATIENT: (u32, &str, &[u8]) = (0x0010_0020, "LO", b"ID");

#[test]
fn pitfall_17_extra_members_of_an_element() {
    let with = |extra: &str| format!(r#""00100020":{{{extra},"vr":"LO","Value":["ID"]}}"#);
    check(&with(r#""privateCreator":"X""#), &[PATIENT], &[KeyExtra]);
    check(&with(r#""keyword":{"a":[1,{"b":null}],"c":[]}"#), &[PATIENT], &[KeyExtra]);
    check(&with(r#""name":[],"tag":{}"#), &[PATIENT], &[KeyExtra, KeyExtra]);
    check(r#""00100020":{"VR":"LO","value":["ID"]}"#, &[PATIENT], &[KeyForm, KeyForm]);
}

#[test]
fn pitfall_18_key_forms() {
    check(r#""0010002a":{"vr":"LO","Value":["ID"]}"#, &[(0x0010_002A, "LO", b"ID")], &[]);
    for key in ["PatientID", "(0010,0020)", "0010,0020"] {
        let members = format!(r#""{key}":{{"vr":"LO","Value":["ID"]}}"#);
        check(&members, &[PATIENT], &[KeyForm]);
    }
    check(r#""\u00300100020":{"\u0076r":"LO","Value":["ID"]}"#, &[PATIENT], &[]);
    // What no tag names may be an element that would be lost, or a remark.
    check_rejected(r#""Unheard":{"vr":"LO","Value":["SECRET"]}"#, Reason::JsonShape);
    check_rejected(r#""00100020":"SECRET""#, Reason::JsonShape);
    check_rejected(r#""PatientID":["SECRET"]"#, Reason::JsonShape);
    check(r#""@context":"x","version":1,"list":[{}]"#, &[], &[KeyExtra, KeyExtra, KeyExtra]);
}

#[test]
fn pitfall_18_duplicate_keys() {
    let twice = r#""00100020":{"vr":"LO","Value":["OLD"]},"00100020":{"vr":"LO","Value":["ID"]}"#;
    check(twice, &[PATIENT], &[KeyDuplicate]);
    let thrice = format!(r#"{twice},"(0010,0020)":{{"vr":"LO","Value":["ID"]}}"#);
    check(&thrice, &[PATIENT], &[KeyForm, KeyDuplicate, KeyDuplicate]);
    check(r#""00100020":{"vr":"LO","Value":["OLD"],"Value":["ID"]}"#, &[PATIENT], &[KeyDuplicate]);
    check_rejected(r#""00080018":{"vr":"UI","Value":["2.25.8"]}"#, Reason::UidMismatch);
    check_rejected(r#""00080018":{"vr":"UI"}"#, Reason::UidMismatch);
    let same = r#""00080018":{"vr":"UI","Value":["2.25.7"]}"#;
    check(same, &[], &[KeyDuplicate]);
}

#[test]
fn pitfall_18_unsorted_keys_are_sorted() {
    let members = r#""00200013":{"vr":"IS","Value":[1]},"00100020":{"vr":"LO","Value":["ID"]},
        "00080060":{"vr":"CS","Value":["CT"]}"#;
    let elements = [PATIENT, (0x0020_0013, "IS", b"1 "), (0x0008_0060, "CS", b"CT")];
    check(members, &elements, &[]);
    let inner = r#""00081140":{"vr":"SQ","Value":[{
        "00081155":{"vr":"UI","Value":["1.2"]},"00081150":{"vr":"UI","Value":["1.3"]}}]}"#;
    let sorted =
        item(&[element(0x0008_1150, "UI", b"1.3\0"), element(0x0008_1155, "UI", b"1.2\0")]);
    check(inner, &[(0x0008_1140, "SQ", &sorted)], &[]);
}

#[test]
fn pitfall_19_file_meta_is_a_hint() {
    let meta = r#""00020010":{"vr":"UI","Value":["1.2.840.10008.1.2.4.90"]},
        "00020003":{"vr":"UI","Value":["2.25.7"]},
        "00020102":{"vr":"OB","BulkDataURI":"x"}"#;
    let header = check(meta, &[], &[FileMetaRebuilt; 3]);
    let syntax = header.transfer_syntax.unwrap();
    assert_eq!(syntax, dcmjoin_model::TransferSyntax::Jpeg2000Lossless);
    let available = r#""00083002":{"vr":"UI","Value":["1.2.840.10008.1.2.5"]}"#;
    let uid = b"1.2.840.10008.1.2.5\0";
    let header = check(available, &[(0x0008_3002, "UI", uid)], &[]);
    assert_eq!(header.transfer_syntax, Some(dcmjoin_model::TransferSyntax::RleLossless));
}

#[test]
fn pitfall_20_groups_that_do_not_belong() {
    let members = r#""00080000":{"vr":"UL","Value":[414]},
        "00000002":{"vr":"UI","Value":["1.2.3"]},
        "00011001":{"vr":"LO","Value":["x"]},
        "00070010":{"vr":"LO","Value":["x"]},
        "FFFEE000":{"vr":"UN"},
        "FFFEE0DD":{"vr":"UN"}"#;
    check(members, &[], &[GroupDropped; 6]);
    let nested = r#""00081140":{"vr":"SQ","Value":[{"00080000":{"vr":"UL","Value":[4]},
        "00020010":{"vr":"UI","Value":["1.2"]}}]}"#;
    check(nested, &[(0x0008_1140, "SQ", &item(&[]))], &[GroupDropped; 2]);
}

#[test]
fn pitfall_20_offset_tables_are_rebuilt() {
    let members = r#""7FE00001":{"vr":"OV","BulkDataURI":"x"},"7FE00002":{"vr":"OV"}"#;
    check(members, &[], &[OffsetTableRebuilt; 2]);
}

#[test]
fn pitfall_22_empty_forms() {
    for value in ["", r#","Value":[]"#, r#","Value":[""]"#] {
        let members = format!(r#""00100020":{{"vr":"LO"{value}}}"#);
        check(&members, &[(0x0010_0020, "LO", b"")], &[]);
        let members = format!(r#""00280010":{{"vr":"US"{value}}}"#);
        let header = transcode(document(&members).as_bytes()).unwrap();
        assert!(header.data_set.ends_with(&element(0x0028_0010, "US", b"")));
    }
    let sequence = |value: &str, expect: &[u8], warnings: &[_]| {
        let members = format!(r#""00081140":{{"vr":"SQ"{value}}}"#);
        check(&members, &[(0x0008_1140, "SQ", expect)], warnings);
    };
    let empty = item(&[]);
    sequence("", b"", &[]);
    sequence(r#","Value":[]"#, b"", &[]);
    sequence(r#","Value":[{}]"#, &empty, &[]);
    sequence(r#","Value":[null]"#, &empty, &[SequenceNullItem]);
    sequence(r#","Value":[null,null]"#, &empty.repeat(2), &[SequenceNullItem; 2]);
    sequence(r#","Value":[{},null,{}]"#, &empty.repeat(3), &[SequenceNullItem]);
    sequence(r#","Value":[null,{}]"#, &empty.repeat(2), &[SequenceNullItem]);
    sequence(r#","Value":{}"#, &empty, &[ValueScalar]);
    for value in [r#"["SECRET"]"#, r#"[{},"SECRET"]"#, r#"[{"Alphabetic":"SECRET"}]"#] {
        let members = format!(r#""00081140":{{"vr":"SQ","Value":{value}}}"#);
        check_rejected(&members, Reason::JsonShape);
    }
}

#[test]
fn pitfall_25_private_creators() {
    let value = r#"{"vr":"LO","Value":["x "]}"#;
    let lone = format!(r#""00091010":{value}"#);
    check(&lone, &[(0x0009_1010, "LO", b"x ")], &[PrivateCreatorMissing]);
    let creator = r#""00090010":{"vr":"LO","Value":["ACME"]}"#;
    let elements: [(u32, &str, &[u8]); 2] =
        [(0x0009_0010, "LO", b"ACME"), (0x0009_1010, "LO", b"x ")];
    // In any order: the creator sorts before what it reserves.
    check(&format!("{lone},{creator}"), &elements, &[]);
    // Another block, another group, and a creator without a name reserve nothing.
    let blank = r#""00090010":{"vr":"LO"}"#;
    let elements: [(u32, &str, &[u8]); 2] = [(0x0009_0010, "LO", b""), elements[1]];
    check(&format!("{blank},{lone}"), &elements, &[PrivateCreatorMissing]);
    let other = format!(r#"{creator},"00091110":{value},"000B1010":{value}"#);
    let elements: [(u32, &str, &[u8]); 3] =
        [(0x0009_0010, "LO", b"ACME"), (0x0009_1110, "LO", b"x "), (0x000B_1010, "LO", b"x ")];
    check(&other, &elements, &[PrivateCreatorMissing; 2]);
}
