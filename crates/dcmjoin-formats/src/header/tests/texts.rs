//! Pitfalls 23, 24 and 26 to 31: text and character sets.

use dcmjoin_model::WarningCode::{self, *};

use super::{check, element, item};

const NAME: u32 = 0x0010_0020;

/// Checks a LO under a declared character set, and what the declaration is afterwards.
#[track_caller]
fn check_text(declared: &str, text: &str, expect: (&str, &[u8]), warnings: &[WarningCode]) {
    let members = format!(
        r#""00080005":{{"vr":"CS","Value":{declared}}},
           "00100020":{{"vr":"LO","Value":["{text}"]}}"#
    );
    let charset = expect.0.as_bytes();
    check(&members, &[(0x0008_0005, "CS", charset), (NAME, "LO", expect.1)], warnings);
}

#[test]
fn pitfall_23_backslash_in_text() {
    let value = |vr: &str| format!(r#""00100020":{{"vr":"{vr}","Value":["a\\b "]}}"#);
    for vr in ["LO", "SH", "UC", "CS", "PN"] {
        let mut warnings = vec![TextBackslash];
        if vr == "PN" {
            warnings.insert(0, PersonNameForm);
        }
        check(&value(vr), &[(NAME, vr, b"a\\b ")], &warnings);
    }
    for vr in ["LT", "ST", "UT", "UR"] {
        check(&value(vr), &[(NAME, vr, b"a\\b ")], &[]);
    }
    let two = r#""00100020":{"vr":"LT","Value":["a","bc"]}"#;
    check(two, &[(NAME, "LT", b"a\\bc")], &[TextBackslash]);
}

#[test]
fn pitfall_24_padding_and_lengths() {
    let check_one = |vr: &str, text: &str, expect: &[u8], warnings: &[WarningCode]| {
        let members = format!(r#""00100020":{{"vr":"{vr}","Value":["{text}"]}}"#);
        check(&members, &[(NAME, vr, expect)], warnings);
    };
    check_one("LO", "ab  ", b"ab  ", &[]);
    check_one("LO", " a", b" a", &[]);
    check_one("LO", "a", b"a ", &[]);
    check_one("UI", "1.2", b"1.2\0", &[]);
    check_one("UI", r"1.2\u0000", b"1.2\0", &[]);
    check_one("LO", r"ab\u0000\n\/\t", b"ab\0\n/\t", &[]);
    let long = "x".repeat(66);
    for (vr, allowed) in [("SH", 16), ("LO", 64), ("CS", 16), ("AE", 16), ("TM", 14), ("DT", 26)] {
        check_one(vr, &long[..allowed], &long.as_bytes()[..allowed], &[]);
        check_one(vr, &long, long.as_bytes(), &[TextTooLong]);
    }
    check_one("UT", &long, long.as_bytes(), &[]);
    let name = format!(r#""00100020":{{"vr":"PN","Value":[{{"Alphabetic":"{long}"}}]}}"#);
    check(&name, &[(NAME, "PN", long.as_bytes())], &[TextTooLong]);
}

#[test]
fn pitfall_24_lengths_count_characters() {
    let text = "é".repeat(64);
    check_text(r#"["ISO_IR 192"]"#, &text, ("ISO_IR 192", text.as_bytes()), &[]);
}

#[test]
fn pitfall_26_single_byte_character_set() {
    check_text(r#"["ISO_IR 100"]"#, "café", ("ISO_IR 100", b"caf\xE9"), &[]);
    check_text(r#"["ISO_IR 100"]"#, r"caf\u00e9", ("ISO_IR 100", b"caf\xE9"), &[]);
    check_text(r#"["ISO_IR 144"]"#, "Люкceд", ("ISO_IR 144", b"\xBB\xEE\xDAce\xD4"), &[]);
    check_text(r#"["ISO_IR 192"]"#, "山é ", ("ISO_IR 192", "山é ".as_bytes()), &[]);
    check_text(r#"["GB18030"]"#, "王", ("GB18030 ", b"\xCD\xF5"), &[]);
}

#[test]
fn pitfall_27_unencodable_text_switches_to_utf_8() {
    let utf8 = "山 ".as_bytes();
    let expect = ("ISO_IR 192", utf8);
    check_text(r#"["ISO_IR 100"]"#, "山 ", expect, &[CharsetSwitched]);
    check_text(r#"["ISO_IR 6"]"#, "山 ", expect, &[CharsetSwitched]);
    check_text(r#"["ISO_IR 999"]"#, "山 ", expect, &[CharsetSwitched]);
    check_text(r#"["GB18030"]"#, "乗 ", ("ISO_IR 192", "乗 ".as_bytes()), &[CharsetSwitched]);
    // The same text without a character outside ASCII reads the same in any set.
    check_text(r#"["ISO_IR 999"]"#, "ab", ("ISO_IR 999", b"ab"), &[]);
    let mut text = "a€b".to_owned();
    check_text(r#"["ISO_IR 100"]"#, &text, ("ISO_IR 192", b"a\xE2\x82\xACb "), &[CharsetSwitched]);
    text.push('\u{85}');
    let bytes = b"a\xE2\x82\xACb\xC2\x85 ";
    check_text(r#"["ISO_IR 100"]"#, &text, ("ISO_IR 192", bytes), &[CharsetSwitched]);
}

#[test]
fn pitfall_28_no_character_set() {
    let members = r#""00100020":{"vr":"LO","Value":["é"]}"#;
    let elements: [(u32, &str, &[u8]); 2] =
        [(0x0008_0005, "CS", b"ISO_IR 192"), (NAME, "LO", "é".as_bytes())];
    check(members, &elements, &[CharsetMissing]);
    let empty = format!(r#""00080005":{{"vr":"CS"}},{members}"#);
    check(&empty, &elements, &[CharsetMissing]);
}

#[test]
fn pitfall_29_code_extensions() {
    let yamada = "=山田^太郎".as_bytes();
    let member = r#""00100020":{"vr":"PN","Value":[{"Ideographic":"山田^太郎"}]}"#;
    for declared in [
        r#"[null,"ISO 2022 IR 87"]"#,
        r#"["","ISO 2022 IR 87"]"#,
        r#"["ISO 2022 IR 13","ISO 2022 IR 87"]"#,
        r#"["","ISO 2022 IR 149"]"#,
    ] {
        let members = format!(r#""00080005":{{"vr":"CS","Value":{declared}}},{member}"#);
        let elements: [(u32, &str, &[u8]); 2] =
            [(0x0008_0005, "CS", b"ISO_IR 192"), (NAME, "PN", yamada)];
        check(&members, &elements, &[CharsetSwitched]);
    }
    // Text in the first of the sets needs no escape.
    let both = r#"["ISO 2022 IR 13","ISO 2022 IR 87"]"#;
    let terms = "ISO 2022 IR 13\\ISO 2022 IR 87 ";
    check_text(both, "ﾔﾏ", (terms, b"\xD4\xCF"), &[]);
    check_text(both, "ab", (terms, b"ab"), &[]);
}

/// A sequence with one item that has a declaration and a text, between two texts of the root.
fn nested(root: &str, inner: &str) -> String {
    format!(
        r#"{root}"00081140":{{"vr":"SQ","Value":[{{{inner}"00084000":{{"vr":"LT","Value":["é"]}}}}]}},
           "00084000":{{"vr":"LT","Value":["é"]}}"#
    )
}

const LATIN: &str = r#""00080005":{"vr":"CS","Value":["ISO_IR 100"]},"#;
const UTF8: &str = r#""00080005":{"vr":"CS","Value":["ISO_IR 192"]},"#;

#[test]
fn pitfall_30_character_set_of_an_item_stays_in_it() {
    let inner = item(&[
        element(0x0008_0005, "CS", b"ISO_IR 192"),
        element(0x0008_4000, "LT", "é".as_bytes()),
    ]);
    let elements: [(u32, &str, &[u8]); 3] = [
        (0x0008_0005, "CS", b"ISO_IR 100"),
        (0x0008_1140, "SQ", &inner),
        (0x0008_4000, "LT", b"\xE9 "),
    ];
    check(&nested(LATIN, UTF8), &elements, &[]);
    // An item without one has its parent's.
    let inner = item(&[element(0x0008_4000, "LT", b"\xE9 ")]);
    let elements: [(u32, &str, &[u8]); 3] = [elements[0], (0x0008_1140, "SQ", &inner), elements[2]];
    check(&nested(LATIN, ""), &elements, &[]);
}

#[test]
fn pitfall_31_a_switch_takes_items_along() {
    let utf8 = element(0x0008_4000, "LT", "é".as_bytes());
    let inner = item(&[element(0x0008_0005, "CS", b"ISO_IR 192"), utf8]);
    let elements: [(u32, &str, &[u8]); 3] = [
        (0x0008_0005, "CS", b"ISO_IR 192"),
        (0x0008_1140, "SQ", &inner),
        (0x0008_4000, "LT", "é".as_bytes()),
    ];
    check(&nested("", LATIN), &elements, &[CharsetMissing, CharsetSwitched]);
    let chinese = r#""00080005":{"vr":"CS","Value":["GB18030"]},"#;
    let members = nested(LATIN, chinese) + r#","00100020":{"vr":"LO","Value":["山 "]}"#;
    let with_name: Vec<_> = elements.into_iter().chain([(NAME, "LO", "山 ".as_bytes())]).collect();
    check(&members, &with_name, &[CharsetSwitched; 2]);
}

#[test]
fn text_outside_ascii_in_other_vrs_is_kept_and_noted() {
    let members = r#""00080005":{"vr":"CS","Value":["ISO_IR 100"]},
        "00180015":{"vr":"CS","Value":["SCHÄDEL"]}"#;
    let elements: [(u32, &str, &[u8]); 2] =
        [(0x0008_0005, "CS", b"ISO_IR 100"), (0x0018_0015, "CS", b"SCH\xC4DEL ")];
    check(members, &elements, &[TextNotAscii]);
}
