//! Properties: no input makes the transcoder panic, and what it writes is well-formed.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::{document, transcode};

/// Walks a data set: tags must ascend, lengths must be even and add up. Returns its elements.
fn walk(mut bytes: &[u8]) -> Result<usize, String> {
    let mut before = None;
    let mut count = 0;
    while !bytes.is_empty() {
        let short = |at: usize| bytes.get(at..at + 2).map(|b| u16::from_le_bytes([b[0], b[1]]));
        let tag = (short(0).ok_or("cut")?, short(2).ok_or("cut")?);
        if before.is_some_and(|before| before >= tag) {
            return Err(format!("{tag:04X?} after {before:04X?}"));
        }
        before = Some(tag);
        let vr = bytes.get(4..6).ok_or("cut")?;
        let is_long = matches!(
            vr,
            b"OB"
                | b"OD"
                | b"OF"
                | b"OL"
                | b"OV"
                | b"OW"
                | b"SQ"
                | b"SV"
                | b"UC"
                | b"UN"
                | b"UR"
                | b"UT"
                | b"UV"
        );
        let (start, length) = if is_long {
            (12, u32::from_le_bytes(bytes.get(8..12).ok_or("cut")?.try_into().unwrap()) as usize)
        } else {
            (8, usize::from(short(6).ok_or("cut")?))
        };
        if length % 2 == 1 {
            return Err(format!("{tag:04X?} is odd"));
        }
        let value = bytes.get(start..start + length).ok_or("value beyond its data set")?;
        count += 1;
        if vr == b"SQ" {
            count += walk_items(value)?;
        }
        bytes = &bytes[start + length..];
    }
    Ok(count)
}

fn walk_items(mut bytes: &[u8]) -> Result<usize, String> {
    let mut count = 0;
    while !bytes.is_empty() {
        if bytes.get(..4) != Some(b"\xFE\xFF\x00\xE0") {
            return Err("no item".into());
        }
        let length = u32::from_le_bytes(bytes.get(4..8).ok_or("cut")?.try_into().unwrap()) as usize;
        count += walk(bytes.get(8..8 + length).ok_or("item beyond its sequence")?)?;
        bytes = &bytes[8 + length..];
    }
    Ok(count)
}

/// Values that fit their VR.
fn plain_element() -> impl Strategy<Value = (String, usize)> {
    let text = "[a-zA-Z0-9 äö山😀\\\\\"/]{0,20}".prop_map(|text| text.replace(['\\', '"'], "\\\\"));
    prop_oneof![
        (
            prop_oneof!["LO", "LT", "UT", "SH", "UC", "ST"],
            prop::collection::vec(text.clone(), 0..4)
        )
            .prop_map(|(vr, texts)| {
                let quoted: Vec<_> = texts.iter().map(|text| format!("\"{text}\"")).collect();
                format!(r#"{{"vr":"{vr}","Value":[{}]}}"#, quoted.join(","))
            }),
        prop::collection::vec(prop::num::f64::NORMAL, 0..4)
            .prop_map(|numbers| format!(r#"{{"Value":{numbers:?},"vr":"DS"}}"#)),
        prop::collection::vec(any::<i16>(), 0..4)
            .prop_map(|numbers| format!(r#"{{"vr":"US","Value":{numbers:?}}}"#)),
        prop::collection::vec(any::<u64>(), 0..4)
            .prop_map(|numbers| format!(r#"{{"vr":"UV","Value":{numbers:?}}}"#)),
        text.prop_map(|text| format!(r#"{{"vr":"PN","Value":[{{"Ideographic":"{text}"}}]}}"#)),
        "([A-Za-z0-9+/]{4}){0,5}"
            .prop_map(|text| format!(r#"{{"vr":"OB","InlineBinary":"{text}"}}"#)),
    ]
    .prop_map(|element| (element, 1))
}

/// Data sets as members, and how many elements they have.
fn members() -> impl Strategy<Value = (String, usize)> {
    let element = plain_element().prop_recursive(4, 64, 5, |inner| {
        prop::collection::vec(data_set(inner), 0..3).prop_map(|items| {
            let count: usize = items.iter().map(|(_, count)| count).sum();
            let items: Vec<_> = items.into_iter().map(|(item, _)| format!("{{{item}}}")).collect();
            (format!(r#"{{"vr":"SQ","Value":[{}]}}"#, items.join(",")), count + 1)
        })
    });
    data_set(element)
}

fn data_set(
    element: impl Strategy<Value = (String, usize)>,
) -> impl Strategy<Value = (String, usize)> {
    // Groups without a meaning for the transcoder; elements 0001 on, so no group lengths.
    let tag =
        (0x0040_u32..0x0060, 1_u32..0x40).prop_map(|(group, number)| (group & !1) << 16 | number);
    prop::collection::hash_map(tag, element, 0..6).prop_map(|elements| {
        let count = elements.values().map(|(_, count)| count).sum();
        let members: Vec<_> =
            elements.iter().map(|(tag, (element, _))| format!("\"{tag:08x}\":{element}")).collect();
        (members.join(","), count)
    })
}

proptest! {
    #[test]
    fn never_panics_on_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = transcode(&bytes);
    }

    #[test]
    fn never_panics_on_pieces_of_json(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"00080018\"", "\"00081140\"", "\"vr\"", "\"Value\"",
                "\"InlineBinary\"", "\"BulkDataURI\"", "\"SQ\"", "\"PN\"", "\"US\"", "\"DS\"",
                "\"OW\"", "\"UN\"", "null", "NaN", "-Infinity", "1.5", "-0", "1e999", "\"é\"",
                "\"\\ud83d\"", "\"Alphabetic\"", "\"US or SS\"", "\"AAA=\"", " ", "{}", "[]",
            ]),
            0..40,
        ),
    ) {
        let _ = transcode(pieces.concat().as_bytes());
        if let Ok(header) = transcode(document(&format!("\"00080005\":{}", pieces.concat())).as_bytes()) {
            prop_assert!(walk(&header.data_set).is_ok());
        }
    }

    #[test]
    fn never_panics_on_a_changed_byte((members, _) in members(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut document = document(&members).into_bytes();
        let at = at.index(document.len());
        document[at] = byte;
        if let Ok(header) = transcode(&document) {
            prop_assert_eq!(walk(&header.data_set).err(), None);
        }
    }

    #[test]
    fn what_is_written_is_well_formed((members, count) in members()) {
        let header = transcode(document(&members).as_bytes()).unwrap();
        // (0008,0005) may have been added.
        let added = usize::try_from(header.warnings.count(dcmjoin_model::WarningCode::CharsetMissing)).unwrap();
        prop_assert_eq!(walk(&header.data_set), Ok(count + 2 + added));
        prop_assert_eq!(header.pixel_data_at, header.data_set.len());
    }

    #[test]
    fn text_comes_through_any_spelling(text in "\\PC{0,60}", wide in any::<bool>()) {
        let mut quoted = String::new();
        for unit in text.encode_utf16() {
            write!(quoted, "\\u{unit:04x}").unwrap();
        }
        if !wide {
            quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        }
        let members = format!(
            r#""00080005":{{"vr":"CS","Value":["ISO_IR 192"]}},
               "0040A160":{{"vr":"UT","Value":["{quoted}"]}}"#
        );
        let header = transcode(document(&members).as_bytes()).unwrap();
        let mut expect = text.into_bytes();
        if expect.len() % 2 == 1 {
            expect.push(b' ');
        }
        let expect = super::element(0x0040_A160, "UT", &expect);
        prop_assert!(header.data_set.ends_with(&expect));
    }
}
