//! Tests of the transcoder as a whole. `pitfall_NN_…` are the rows of `docs/pitfalls.md`.

mod documents;
mod keys;
mod properties;
mod structure;
mod texts;
mod values;

use dcmjoin_model::{Reason, WarningCode};

use super::{Header, HeaderOptions, Transcoder};

/// The two elements without which no document is accepted.
const IDENTITY: &str = r#""00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.2"]},
    "00080018":{"vr":"UI","Value":["2.25.7"]}"#;

fn transcode(document: &[u8]) -> Result<Header, dcmjoin_model::Rejection> {
    Transcoder::new(HeaderOptions::default()).transcode(document)
}

/// Returns a document with the identity and more members.
fn document(members: &str) -> String {
    let comma = if members.trim().is_empty() { "" } else { "," };
    format!("{{{IDENTITY}{comma}{members}}}")
}

/// Returns an element in Explicit VR Little Endian; the value must have an even length.
fn element(tag: u32, vr: &str, value: &[u8]) -> Vec<u8> {
    assert_eq!(value.len() % 2, 0, "test value of {tag:08X}");
    let mut out = Vec::new();
    out.extend(((tag >> 16) as u16).to_le_bytes());
    out.extend((tag as u16).to_le_bytes());
    out.extend(vr.as_bytes());
    let is_long = matches!(
        vr,
        "OB" | "OD" | "OF" | "OL" | "OV" | "OW" | "SQ" | "SV" | "UC" | "UN" | "UR" | "UT" | "UV"
    );
    if is_long {
        out.extend([0, 0]);
        out.extend((value.len() as u32).to_le_bytes());
    } else {
        out.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
    }
    out.extend(value);
    out
}

/// Returns an item with a defined length.
fn item(elements: &[Vec<u8>]) -> Vec<u8> {
    let content = elements.concat();
    let mut out = vec![0xFE, 0xFF, 0x00, 0xE0];
    out.extend((content.len() as u32).to_le_bytes());
    out.extend(content);
    out
}

fn codes(header: &Header) -> Vec<WarningCode> {
    let repeat = |(code, count): (WarningCode, u32)| std::iter::repeat_n(code, count as usize);
    header.warnings.iter().flat_map(repeat).collect()
}

/// Checks that a document with these members gives the identity and these elements, and notes
/// these warnings, in the order of their declaration and each as often as it was noted.
#[track_caller]
fn check(members: &str, elements: &[(u32, &str, &[u8])], warnings: &[WarningCode]) -> Header {
    check_document(document(members).as_bytes(), elements, warnings)
}

#[track_caller]
fn check_document(
    document: &[u8],
    elements: &[(u32, &str, &[u8])],
    warnings: &[WarningCode],
) -> Header {
    let header = transcode(document).unwrap();
    let mut expect = vec![
        (0x0008_0016, element(0x0008_0016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0")),
        (0x0008_0018, element(0x0008_0018, "UI", b"2.25.7")),
    ];
    for &(tag, vr, value) in elements {
        expect.retain(|&(known, _)| known != tag);
        expect.push((tag, element(tag, vr, value)));
    }
    expect.sort_by_key(|&(tag, _)| tag);
    let expect: Vec<u8> = expect.into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert_eq!(header.data_set.escape_ascii().to_string(), expect.escape_ascii().to_string());
    assert_eq!(codes(&header), warnings);
    header
}

/// Checks that a document with these members is rejected, and that the detail quotes no value.
#[track_caller]
fn check_rejected(members: &str, reason: Reason) {
    check_document_rejected(document(members).as_bytes(), reason);
}

#[track_caller]
fn check_document_rejected(document: &[u8], reason: Reason) {
    let rejection = transcode(document).unwrap_err();
    assert_eq!(rejection.reason, reason, "{}", rejection.detail);
    assert!(!rejection.detail.contains("SECRET"), "{}", rejection.detail);
}
