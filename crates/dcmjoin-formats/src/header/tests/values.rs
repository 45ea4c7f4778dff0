//! Pitfalls 1 to 16: values.

use std::fmt::Write as _;

use dcmjoin_model::{Reason, WarningCode::*};

use super::{check, check_rejected, document, transcode};
use crate::header::{HeaderOptions, Transcoder};

const DS: u32 = 0x0018_0050;
const IS: u32 = 0x0018_1150;
const US: u32 = 0x0028_0010;

/// Checks one element of one VR, under a tag of a private block that has its creator.
#[track_caller]
fn check_value(vr: &str, value: &str, expect: &[u8], warnings: &[dcmjoin_model::WarningCode]) {
    let creator = r#""00090010":{"vr":"LO","Value":["TEST"]}"#;
    let members = format!(r#"{creator},"00091001":{{"Value":{value},"vr":"{vr}"}}"#);
    check(&members, &[(0x0009_0010, "LO", b"TEST"), (0x0009_1001, vr, expect)], warnings);
}

#[track_caller]
fn check_value_rejected(vr: &str, value: &str) {
    let members = format!(r#""00091001":{{"vr":"{vr}","Value":{value}}}"#);
    check_rejected(&members, Reason::ValueInvalid);
}

#[test]
fn pitfall_01_ds_token_is_kept() {
    check_value("DS", "[5.0]", b"5.0 ", &[]);
    check_value("DS", "[1e-07]", b"1e-07 ", &[]);
    check_value("DS", "[-0]", b"-0", &[]);
    check_value("DS", "[338.6716, 5, 1E5]", b"338.6716\\5\\1E5", &[]);
}

#[test]
fn pitfall_02_ds_over_16_characters_is_rounded() {
    check_value("DS", "[0.30000000000000004]", b"0.3 ", &[DecimalRounded]);
    check_value("DS", "[1.2345678901234567e-12]", b"1.2345678901e-12", &[DecimalRounded]);
    check_value("DS", r#"["0.30000000000000004"]"#, b"0.3 ", &[DecimalRounded]);
    check_value("DS", "[0.1234567890123456e999999999999]", b"", &[ValueEmptied]);
    let strict = HeaderOptions { strict_values: true, ..HeaderOptions::default() };
    let members = r#""00180050":{"vr":"DS","Value":[0.30000000000000004]}"#;
    let rejection = Transcoder::new(strict).transcode(document(members).as_bytes()).unwrap_err();
    assert_eq!(rejection.reason, Reason::ValueInvalid);
    assert_eq!(rejection.detail, "strict values: decimal_rounded");
}

#[test]
fn pitfall_03_ds_exponent_is_kept() {
    check_value("DS", "[1e20]", b"1e20", &[]);
    check_value("DS", "[1e+20]", b"1e+20 ", &[]);
}

#[test]
fn pitfall_04_nan_and_infinity_tokens() {
    let nan = f32::NAN.to_le_bytes();
    check_value("FL", "[NaN]", &nan, &[JsonNan]);
    let mut both = f64::INFINITY.to_le_bytes().to_vec();
    both.extend(f64::NEG_INFINITY.to_le_bytes());
    check_value("FD", "[Infinity, -Infinity]", &both, &[JsonNan, JsonNan]);
    check_value("FL", r#"["NaN"]"#, &nan, &[ValueTyped]);
    check_value("DS", "[NaN]", b"", &[JsonNan, ValueEmptied]);
    check_value("DS", "[1.5, Infinity]", b"1.5\\", &[JsonNan, ValueEmptied]);
    check_value("DS", r#"["NaN"]"#, b"", &[ValueEmptied]);
    check_value("IS", "[NaN]", b"", &[JsonNan, ValueEmptied]);
    check_value_rejected("US", "[NaN]");
}

#[test]
fn pitfall_05_is_with_fraction_and_large() {
    check_value("IS", "[170.0]", b"170 ", &[ValueTyped]);
    check_value("IS", "[1e3]", b"1000", &[ValueTyped]);
    check_value("IS", "[1.5]", b"", &[ValueEmptied]);
    check_value("IS", "[1, 1.5, 2]", b"1\\\\2", &[ValueEmptied]);
    check_value("IS", "[9007199254740993]", b"9007199254740993", &[TextTooLong]);
    check_value("IS", "[-2147483648]", b"-2147483648 ", &[]);
}

#[test]
fn pitfall_06_ds_and_is_strings_are_kept() {
    check_value("DS", r#"["5.000000"]"#, b"5.000000", &[]);
    check_value("IS", r#"["0170"]"#, b"0170", &[]);
    check_value("DS", r#"[" 1.5", ""]"#, b" 1.5\\ ", &[]);
    check_value("DS", r#"["abc"]"#, b"abc ", &[NumberForm]);
    check_value("IS", r#"["1.5"]"#, b"1.5 ", &[NumberForm]);
    check_value("DS", r#"["1.50            "]"#, b"1.50            ", &[]);
}

#[test]
fn pitfall_07_null_in_multi_value() {
    check_value("DS", "[0.5,null]", b"0.5\\", &[]);
    for vr in ["US", "LO", "DS", "IS", "PN", "AT", "OB"] {
        check_value(vr, "[null]", b"", &[ValueNull]);
    }
    check_value("PN", r#"[{"Alphabetic":"A"},null]"#, b"A\\", &[]);
    check_value("PN", r#"[null,{"Alphabetic":"A"}]"#, b"\\A", &[]);
    check_value("LO", r#"["a",null,"b"]"#, b"a\\\\b", &[]);
    check_value_rejected("US", "[1,null]");
    check_value_rejected("FL", "[null,1.5]");
}

#[test]
fn pitfall_08_scalar_null_and_number_in_text() {
    check_value("DS", "0.5", b"0.5 ", &[ValueScalar]);
    check_value("LO", "null", b"", &[ValueNull]);
    check_value("LO", "[5]", b"5 ", &[ValueTyped]);
    check_value("LO", "[5.10, true]", b"5.10\\true ", &[ValueTyped, ValueTyped]);
    check_value("PN", r#"{"Alphabetic":"A^B"}"#, b"A^B ", &[ValueScalar]);
    check_rejected(r#""00091001":{"vr":"LO","Value":[["SECRET"]]}"#, Reason::JsonShape);
    check_rejected(r#""00091001":{"vr":"LO","Value":[{"a":"SECRET"}]}"#, Reason::JsonShape);
}

#[test]
fn pitfall_09_integers_of_the_other_sign() {
    check_value("US", "[-2000]", &(-2000_i16).to_le_bytes(), &[ValueWrapped]);
    check_value("SS", "[40000]", &40000_u16.to_le_bytes(), &[ValueWrapped]);
    check_value("UL", "[-1]", &[0xFF; 4], &[ValueWrapped]);
    check_value("SL", "[4294967295, -1]", &[0xFF; 8], &[ValueWrapped]);
    check_value_rejected("US", "[65536]");
    check_value_rejected("SS", "[-32769]");
    check_value_rejected("UV", "[18446744073709551616]");
    // Pixel Padding Value is US or SS: Pixel Representation decides where the value shows a mistake.
    let padding = |vr: &str, representation: &str| {
        format!(
            r#""00280120":{{"vr":"{vr}","Value":[-2000]}},
               "00280103":{{"vr":"US","Value":[{representation}]}}"#
        )
    };
    let bytes = (-2000_i16).to_le_bytes();
    let signed: (u32, &str, &[u8]) = (0x0028_0103, "US", b"\x01\0");
    check(&padding("US", "1"), &[signed, (0x0028_0120, "SS", &bytes)], &[VrAmbiguous]);
    let unsigned: (u32, &str, &[u8]) = (0x0028_0103, "US", b"\0\0");
    check(&padding("US", "0"), &[unsigned, (0x0028_0120, "US", &bytes)], &[ValueWrapped]);
    check(&padding("SS", "0"), &[unsigned, (0x0028_0120, "SS", &bytes)], &[]);
}

#[test]
fn pitfall_10_us_as_string_or_float() {
    check_value("US", r#"["128"]"#, b"\x80\0", &[ValueTyped]);
    check_value("US", "[128.0]", b"\x80\0", &[ValueTyped]);
    check_value("SL", "[1e3]", &1000_i32.to_le_bytes(), &[ValueTyped]);
    check_value_rejected("US", "[1.5]");
    check_value_rejected("US", r#"["SECRET"]"#);
    check_value_rejected("US", "[true]");
}

#[test]
fn pitfall_11_64_bit_integers() {
    check_value("SV", "[-9223372036854775808]", &i64::MIN.to_le_bytes(), &[]);
    check_value("UV", "[18446744073709551615]", &u64::MAX.to_le_bytes(), &[]);
    check_value("SV", r#"["-9223372036854775808"]"#, &i64::MIN.to_le_bytes(), &[]);
    check_value("UV", r#"["18446744073709551615"]"#, &u64::MAX.to_le_bytes(), &[]);
    check_value("UV", "[9007199254740993]", &9_007_199_254_740_993_u64.to_le_bytes(), &[]);
}

#[test]
fn pitfall_12_attribute_tags() {
    check_value("AT", r#"["00181063"]"#, b"\x18\0\x63\x10", &[]);
    check_value("AT", r#"["0018106a", "7FE00010"]"#, b"\x18\0\x6A\x10\xE0\x7F\x10\0", &[]);
    check_value("AT", r#"["(0018,1063)"]"#, b"\x18\0\x63\x10", &[AttributeTagForm]);
    check_value("AT", r#"["FrameTime"]"#, b"\x18\0\x63\x10", &[AttributeTagForm]);
    check_value("AT", "[1577059]", b"\x18\0\x63\x10", &[AttributeTagForm]);
    check_value("AT", "[null]", b"", &[ValueNull]);
    check_value_rejected("AT", r#"["SECRET"]"#);
    let binary = r#""00280009":{"vr":"AT","InlineBinary":"GABjEA=="}"#;
    check(binary, &[(0x0028_0009, "AT", b"\x18\0\x63\x10")], &[]);
}

#[test]
fn pitfall_13_person_names() {
    let groups = r#"[{"Alphabetic":"Yamada^Tarou","Ideographic":"X^Y","Phonetic":"x^y"}]"#;
    check_value("PN", groups, b"Yamada^Tarou=X^Y=x^y", &[]);
    check_value("PN", r#"[{"Ideographic":"X^Y"}]"#, b"=X^Y", &[]);
    check_value("PN", r#"[{"Phonetic":"xy"}]"#, b"==xy", &[]);
    check_value("PN", r#"[{"Alphabetic":"A","Ideographic":"","Phonetic":""}]"#, b"A ", &[]);
    check_value("PN", "[{}]", b"", &[]);
    check_value("PN", r#"[{},{"Alphabetic":"A"}]"#, b"\\A", &[]);
    check_value("PN", "[{},{}]", b"\\ ", &[]);
    check_value("PN", r#"["A^B"]"#, b"A^B ", &[PersonNameForm]);
    check_value("PN", r#"["A^B",{"Alphabetic":"C"}]"#, b"A^B\\C ", &[PersonNameForm]);
    check_value("PN", r#"[{"Alphabetic":null}]"#, b"", &[ValueNull]);
    check_value("PN", r#"[{"alphabetic":"A^"}]"#, b"A^", &[KeyForm]);
    check_value("PN", r#"[{"Alphabetic":"A^","Note":1}]"#, b"A^", &[KeyExtra]);
    check_rejected(r#""00100010":{"vr":"PN","Value":[{"Alphabetic":{}}]}"#, Reason::JsonShape);
    // The ideographic group of the document's example needs a character set that has it.
    let header = transcode(
        document(r#""00100010":{"vr":"PN","Value":[{"Ideographic":"山田^太郎"}]}"#).as_bytes(),
    );
    let header = header.unwrap();
    assert!(header.data_set.ends_with("=山田^太郎".as_bytes()));
}

#[test]
fn pitfall_14_inline_binary() {
    let inline = |vr: &str, binary: &str, expect: &[u8], warnings: &[_]| {
        let members = format!(r#""00420011":{{"vr":"{vr}","InlineBinary":{binary}}}"#);
        check(&members, &[(0x0042_0011, vr, expect)], warnings);
    };
    for vr in ["OB", "OW", "OF", "OD", "OL", "OV", "UN"] {
        inline(vr, r#""AQID""#, b"\x01\x02\x03\0", &[]);
    }
    inline("LO", r#""YWJj""#, b"abc ", &[]);
    inline("UI", r#""MS4y""#, b"1.2\0", &[]);
    inline("US", r#""AQI=""#, b"\x01\x02", &[]);
    inline("OB", r#"["AQI="]"#, b"\x01\x02", &[InlineBinaryForm]);
    inline("OB", r#""AQ\nI=""#, b"\x01\x02", &[InlineBinaryForm]);
    inline("OB", r#""AQID\r\nBAUG\r\n""#, b"\x01\x02\x03\x04\x05\x06", &[InlineBinaryForm]);
    inline("OB", r#""AQI""#, b"\x01\x02", &[InlineBinaryForm]);
    inline("OB", r#""-_8=""#, b"\xFB\xFF", &[InlineBinaryForm]);
    inline("OB", r#""+\/8=""#, b"\xFB\xFF", &[]);
    inline("OB", r#""""#, b"", &[]);
    inline("OB", "null", b"", &[ValueNull]);
    for (vr, binary) in [("OB", "SECRET!!"), ("US", "AQID"), ("SQ", "AQID")] {
        let members = format!(r#""00420011":{{"vr":"{vr}","InlineBinary":"{binary}"}}"#);
        check_rejected(&members, Reason::ValueInvalid);
    }
    let both = r#""00420011":{"vr":"OB","InlineBinary":"AQI=","Value":[1]}"#;
    check_rejected(both, Reason::ValueInvalid);
}

#[test]
fn pitfall_14_words_as_numbers() {
    check_value("OW", "[1, 65535]", b"\x01\0\xFF\xFF", &[ValueTyped]);
    check_value("OB", "[1, 2, 3]", b"\x01\x02\x03\0", &[ValueTyped]);
    check_value("OD", "[0.5]", &0.5_f64.to_le_bytes(), &[ValueTyped]);
    check_value("OB", "[null]", b"", &[ValueNull]);
    check_value_rejected("OB", r#"["SECRET"]"#);
}

#[test]
fn pitfall_15_bulk_data_elsewhere() {
    for pointer in ["BulkDataURI", "DataFragment"] {
        let members = format!(r#""00420011":{{"vr":"OB","{pointer}":"http://SECRET/1"}}"#);
        check_rejected(&members, Reason::BulkDataMissing);
    }
    let fragments = r#""00420011":{"vr":"OB","DataFragment":[{"BulkDataURI":"SECRET"}]}"#;
    check_rejected(fragments, Reason::BulkDataMissing);
    let beside = r#""00420011":{"vr":"OB","BulkDataURI":"x","InlineBinary":"AQI="}"#;
    check(beside, &[(0x0042_0011, "OB", b"\x01\x02")], &[KeyExtra]);
    check(r#""00420011":{"vr":"OB","BulkDataURI":""}"#, &[(0x0042_0011, "OB", b"")], &[]);
    // The pixel data element of the root points to the other half.
    let header = check(r#""7FE00010":{"vr":"OW","BulkDataURI":"x"}"#, &[], &[]);
    assert_eq!(header.pixel_data_at, header.data_set.len());
    assert_eq!((header.inline_pixels, header.float_pixels), (None, false));
    // The float ones would end in the wrong element.
    for tag in ["7FE00008", "7FE00009"] {
        check_rejected(
            &format!(r#""{tag}":{{"vr":"OF","BulkDataURI":"x"}}"#),
            Reason::BulkDataMissing,
        );
        check(&format!(r#""{tag}":{{"vr":"OF"}}"#), &[], &[]);
    }
    // That of an icon does not.
    let icon = r#""00880200":{"vr":"SQ","Value":[{"7FE00010":{"vr":"OB","BulkDataURI":"x"}}]}"#;
    check_rejected(icon, Reason::BulkDataMissing);
}

#[test]
fn pitfall_16_vr_unknown_missing_or_ambiguous() {
    let rows: (u32, &str, &[u8]) = (US, "US", b"\0\x02");
    check(r#""00280010":{"vr":"UN","Value":[512]}"#, &[rows], &[VrUnResolved]);
    check(r#""00280010":{"vr":"ZZ","Value":[512]}"#, &[rows], &[VrUnknown]);
    check(r#""00280010":{"vr":"us","Value":[512]}"#, &[rows], &[VrUnknown]);
    check(r#""00280010":{"Value":[512]}"#, &[rows], &[VrMissing]);
    check(r#""00280010":{"vr":null,"Value":[512]}"#, &[rows], &[VrUnknown]);
    check(r#""00180050":{"Value":[5.0]}"#, &[(DS, "DS", b"5.0 ")], &[VrMissing]);
    check(r#""00181150":{}"#, &[(IS, "IS", b"")], &[VrMissing]);
    check(r#""00181150":null"#, &[(IS, "IS", b"")], &[VrMissing, ValueNull]);
}

#[test]
fn pitfall_16_private_values_without_vr() {
    let creator = r#""00090010":{"vr":"LO","Value":["TEST"]}"#;
    let private = |value: &str, vr: &str, expect: &[u8]| {
        let members = format!(r#"{creator},"00091001":{{"vr":"UN"{value}}}"#);
        let resolved = if vr == "UN" { vec![] } else { vec![VrUnResolved] };
        let elements = [(0x0009_0010, "LO", &b"TEST"[..]), (0x0009_1001, vr, expect)];
        check(&members, &elements, &resolved);
    };
    private("", "UN", b"");
    private(r#","InlineBinary":"AQI=""#, "UN", b"\x01\x02");
    private(r#","Value":["a","b"]"#, "LO", b"a\\b ");
    private(&format!(r#","Value":["{}"]"#, "x".repeat(66)), "UT", "x".repeat(66).as_bytes());
    private(r#","Value":[1,2]"#, "IS", b"1\\2 ");
    private(r#","Value":[1.5]"#, "DS", b"1.5 ");
    private(r#","Value":[{"Alphabetic":"A^"}]"#, "PN", b"A^");
    private(r#","Value":[{}]"#, "SQ", b"\xFE\xFF\0\xE0\0\0\0\0");
}

#[test]
fn pitfall_16_ambiguous_vr() {
    let check_choice = |tag: u32, vr: &str, value: &str, more: &[&str], expect: (&str, &[u8])| {
        let mut members = format!(r#""{tag:08X}":{{"vr":"{vr}",{value}}}"#);
        let mut elements = vec![(tag, expect.0, expect.1)];
        for &other in more {
            let (name, number) = other.split_once('=').unwrap();
            write!(members, r#","{name}":{{"vr":"US","Value":[{number}]}}"#).unwrap();
            let bytes: &[u8] =
                if number == "16" { b"\x10\0" } else { &[number.as_bytes()[0] - 48, 0] };
            let bytes: &'static [u8] = bytes.to_vec().leak();
            elements.push((u32::from_str_radix(name, 16).unwrap(), "US", bytes));
        }
        check(&members, &elements, &[VrAmbiguous]);
    };
    let minus = r#""Value":[-1]"#;
    check_choice(0x0028_0106, "US or SS", minus, &["00280103=1"], ("SS", b"\xFF\xFF"));
    check_choice(0x0028_0106, "US or SS", minus, &[], ("SS", b"\xFF\xFF"));
    let plus = r#""Value":[65535]"#;
    check_choice(0x0028_0106, "US or SS", plus, &["00280103=0"], ("US", b"\xFF\xFF"));
    check_choice(0x0028_0106, "US/SS", plus, &[], ("US", b"\xFF\xFF"));
    let binary = r#""InlineBinary":"AQI=""#;
    let overlay: (&str, &[u8]) = ("OW", b"\x01\x02");
    check_choice(0x6000_3000, "OB or OW", binary, &["00280100=8"], overlay);
    check_choice(0x5400_1010, "OB or OW", binary, &["54001004=8"], ("OB", b"\x01\x02"));
    check_choice(0x5400_1010, "OB or OW", binary, &["54001004=16"], ("OW", b"\x01\x02"));
    check_choice(0x0028_3006, "US or OW", binary, &[], ("OW", b"\x01\x02"));
    check_choice(0x0028_3006, "US or OW", r#""Value":[1,2]"#, &[], ("US", b"\x01\0\x02\0"));
    check_choice(0x0028_1200, "US or SS or OW", binary, &[], ("OW", b"\x01\x02"));
}

#[test]
fn pitfall_16_ambiguous_vr_in_items_looks_outwards() {
    let descriptor = r#""00283002":{"vr":"US or SS","Value":[40000,-5,16]}"#;
    let members = |inner: &str| {
        format!(
            r#""00280103":{{"vr":"US","Value":[1]}},
               "00283000":{{"vr":"SQ","Value":[{{{descriptor}{inner}}}]}}"#
        )
    };
    let data_set = |inner: &str| transcode(document(&members(inner)).as_bytes()).unwrap();
    let bytes = b"\x28\0\x02\x30SS\x06\0\x40\x9C\xFB\xFF\x10\0";
    let outer = data_set("");
    assert!(outer.data_set.windows(bytes.len()).any(|window| window == bytes));
    assert_eq!(outer.warnings.count(ValueWrapped), 0);
    let inner = data_set(r#","00280103":{"vr":"US","Value":[0]}"#);
    let bytes = b"\x28\0\x02\x30US\x06\0\x40\x9C\xFB\xFF\x10\0";
    assert!(inner.data_set.windows(bytes.len()).any(|window| window == bytes));
    assert_eq!(inner.warnings.count(ValueWrapped), 1);
}
