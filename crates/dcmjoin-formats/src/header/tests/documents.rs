//! Pitfall 21, and the limits: documents as a whole.

use dcmjoin_model::{Reason, WarningCode::*};

use super::{
    check, check_document, check_document_rejected, check_rejected, document, element, transcode,
};
use crate::header::{HeaderLimits, HeaderOptions, Transcoder};

#[test]
fn pitfall_21_array_of_one_data_set() {
    let array = |content: &str| format!("[{content}]");
    check_document(array(&document("")).as_bytes(), &[], &[JsonArray]);
    check_document_rejected(b"[]", Reason::JsonShape);
    check_document_rejected(b"[1]", Reason::JsonShape);
    check_document_rejected(array(&document("")).repeat(2).as_bytes(), Reason::JsonSyntax);
    let two = format!("[{0},{0}]", document(""));
    check_document_rejected(two.as_bytes(), Reason::JsonShape);
}

#[test]
fn pitfall_21_byte_order_mark() {
    let marked = format!("\u{FEFF}{}", document(""));
    check_document(marked.as_bytes(), &[], &[JsonBom]);
}

/// Returns a document with sequences inside each other.
fn nested(levels: usize) -> String {
    let open = r#""00081140":{"vr":"SQ","Value":[{"#;
    document(&format!("{}{}", open.repeat(levels), "}]}".repeat(levels)))
}

#[test]
fn pitfall_21_two_hundred_levels() {
    let header = transcode(nested(200).as_bytes()).unwrap();
    assert!(header.warnings.is_empty());
    check_document_rejected(nested(257).as_bytes(), Reason::JsonLimit);
    check_document_rejected(nested(100_000).as_bytes(), Reason::JsonLimit);
    check_document_rejected("[".repeat(100_000).as_bytes(), Reason::JsonShape);
    let extra = format!(r#""00100020":{{"vr":"LO","x":{}}}"#, "[".repeat(100_000));
    check_rejected(&extra, Reason::JsonLimit);
}

#[test]
fn the_deepest_nesting_fits_a_small_stack() {
    let limits = HeaderLimits { depth_max: u16::MAX, ..HeaderLimits::default() };
    let deepest = move || {
        let options = HeaderOptions { limits, ..HeaderOptions::default() };
        let mut transcoder = Transcoder::new(options);
        assert!(transcoder.transcode(nested(512).as_bytes()).is_ok());
        let rejection = transcoder.transcode(nested(513).as_bytes()).unwrap_err();
        assert_eq!(rejection.reason, Reason::JsonLimit);
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(deepest).unwrap().join().unwrap();
}

#[test]
fn pitfall_21_lone_surrogates() {
    let value = |text: &str| {
        format!(
            r#""00080005":{{"vr":"CS","Value":["ISO_IR 192"]}},
               "00100020":{{"vr":"LO","Value":["{text}"]}}"#
        )
    };
    let check_text = |text: &str, expect: &str, warnings: &[_]| {
        let elements: [(u32, &str, &[u8]); 2] =
            [(0x0008_0005, "CS", b"ISO_IR 192"), (0x0010_0020, "LO", expect.as_bytes())];
        check(&value(text), &elements, warnings);
    };
    check_text(r"\ud83d\ude00", "😀", &[]);
    check_text(r"\ud83d ", "\u{FFFD} ", &[JsonLoneSurrogate]);
    check_text(r"\ude00x", "\u{FFFD}x", &[JsonLoneSurrogate]);
    check_text(r"\ud83d\ud83d", "\u{FFFD}\u{FFFD}", &[JsonLoneSurrogate; 2]);
    check_text(r"\ud83d\n", "\u{FFFD}\n", &[JsonLoneSurrogate]);
}

#[test]
fn what_is_not_json_is_rejected() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "xyz",
        "{\"a\"}",
        "{\"a\":}",
        "{,}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{} {}",
        "{}x",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":-}",
        "{\"a\":+1}",
        "{\"a\":nul}",
        "{\"a\":NaNa}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"",
        "{\"a\":[1,]}",
        "{\"a\":[1 2]}",
        "{'a':1}",
        "[{}",
    ] {
        check_document_rejected(text.as_bytes(), Reason::JsonSyntax);
    }
    check_document_rejected(b"{\"a\":\"\xFF\"}", Reason::JsonSyntax);
    for text in ["null", "1", "\"x\"", "true"] {
        check_document_rejected(text.as_bytes(), Reason::JsonShape);
    }
}

#[test]
fn limits_hold() {
    let limited = |limits: HeaderLimits, document: &str| {
        let options = HeaderOptions { limits, ..HeaderOptions::default() };
        Transcoder::new(options).transcode(document.as_bytes()).map_err(|error| error.reason)
    };
    let default = HeaderLimits::default();
    let text = document("");
    let bytes = |document_bytes_max| HeaderLimits { document_bytes_max, ..default };
    assert!(limited(bytes(text.len()), &text).is_ok());
    assert_eq!(limited(bytes(text.len() - 1), &text), Err(Reason::JsonLimit));
    let records = |elements_max| HeaderLimits { elements_max, ..default };
    assert!(limited(records(2), &text).is_ok());
    assert_eq!(limited(records(1), &text), Err(Reason::JsonLimit));
    let items = document(r#""00081140":{"vr":"SQ","Value":[null,null,{},null]}"#);
    assert!(limited(records(7), &items).is_ok());
    assert_eq!(limited(records(6), &items), Err(Reason::JsonLimit));
    let depth = HeaderLimits { depth_max: 1, ..default };
    assert!(limited(depth, &nested(1)).is_ok());
    assert_eq!(limited(depth, &nested(2)), Err(Reason::JsonLimit));
}

#[test]
fn white_space_and_order_of_members_do_not_matter() {
    let spaced = "\r\n\t{ \"00080018\" : { \"Value\" : [ \"2.25.7\" ] , \"vr\" : \"UI\" } ,\n
        \"00100020\":{\"Value\" :[ \"a\" , \"b\" ],\"vr\":\"LO\"},
        \"00080016\" :{\"vr\":\"UI\",\"Value\":[\"1.2.840.10008.5.1.4.1.1.2\"]} } \n";
    check_document(spaced.as_bytes(), &[(0x0010_0020, "LO", b"a\\b ")], &[]);
}

#[test]
fn one_document_leaves_nothing_to_the_next() {
    let mut transcoder = Transcoder::new(HeaderOptions::default());
    let good = document(r#""00100020":{"vr":"LO","Value":["é\\"]}"#);
    let first = transcoder.transcode(good.as_bytes()).unwrap();
    assert!(first.data_set.ends_with(&element(0x0010_0020, "LO", "é\\ ".as_bytes())));
    for broken in [&good[..good.len() / 2], &good[..good.len() - 1], "{\"00081140\":{\"Value\":[{"]
    {
        transcoder.transcode(broken.as_bytes()).unwrap_err();
        assert_eq!(transcoder.transcode(good.as_bytes()), Ok(first.clone()));
    }
}

#[test]
fn a_large_document_does_not_keep_its_memory() {
    let mut transcoder = Transcoder::new(HeaderOptions::default());
    let items = vec![r#"{"00081155":{"vr":"UI","Value":["1.2"]}}"#; 200_000].join(",");
    let large = document(&format!(r#""00081140":{{"vr":"SQ","Value":[{items}]}}"#));
    transcoder.transcode(large.as_bytes()).unwrap();
    assert!(transcoder.memory_bytes() < 16 << 20, "{}", transcoder.memory_bytes());
    check("", &[], &[]);
}
