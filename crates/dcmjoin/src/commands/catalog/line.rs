//! A row as text: JSON lines, CSV, and the fields of a table.

use std::collections::BTreeMap;

use dcmjoin_catalog::{Archive, Row};
use dcmjoin_model::{Reason, Uid, WarningCode};
use serde_json::{Value, json};

/// The columns, as they are in Parquet.
pub(super) const COLUMNS: [&str; 19] = [
    "uid",
    "half",
    "archive",
    "version",
    "offset",
    "length",
    "crc32c",
    "digest",
    "kind",
    "state",
    "reason",
    "detail",
    "member",
    "header_digest",
    "key",
    "key_offset",
    "bytes",
    "crc32",
    "warnings",
];

/// Returns the fields of a row; checksums and digests are hexadecimal, what is not known is null.
pub(super) fn fields(archive: &Archive, row: &Row) -> [Value; 19] {
    let checksum = |value: Option<u32>| value.map(|value| format!("{value:08x}"));
    let digest = |value: Option<u128>| value.map(|value| format!("{value:032x}"));
    let warnings: BTreeMap<_, _> =
        row.warnings.iter().map(|(code, count)| (WarningCode::code(code), count)).collect();
    [
        json!(row.uid.as_ref().map(Uid::as_str)),
        json!(archive.half),
        json!(archive.url),
        json!(archive.version),
        json!(row.offset),
        json!(row.length),
        json!(checksum(row.crc32c)),
        json!(digest(row.digest)),
        json!(row.kind),
        json!(row.state),
        json!(row.reason.map(Reason::code)),
        json!(row.detail),
        json!(row.member),
        json!(digest(row.header_digest)),
        json!(row.key),
        json!(row.key_offset),
        json!(row.bytes),
        json!(checksum(row.crc32)),
        if warnings.is_empty() { Value::Null } else { json!(warnings) },
    ]
}

/// Returns a JSON object in the order of the columns, without those that are null.
pub(super) fn json_line(archive: &Archive, row: &Row) -> String {
    let mut line = String::from("{");
    for (name, value) in COLUMNS.iter().zip(fields(archive, row)) {
        if !value.is_null() {
            let comma = if line.len() > 1 { "," } else { "" };
            line.push_str(&format!("{comma}\"{name}\":{value}"));
        }
    }
    line.push_str("}\n");
    line
}

/// Returns a line of CSV (RFC 4180), its line end included.
pub(super) fn csv_line(archive: &Archive, row: &Row) -> String {
    let texts = fields(archive, row).map(|value| quoted(text(value)));
    texts.join(",") + "\r\n"
}

/// Returns the value as text without quotes; empty for null.
fn text(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn quoted(text: String) -> String {
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use dcmjoin_catalog::{SCHEMA, State};
    use dcmjoin_model::Half;

    use super::*;

    fn archive() -> Archive {
        Archive {
            schema: SCHEMA.to_owned(),
            half: Half::Image,
            url: "a,b.tar".to_owned(),
            version: None,
            size: 1,
            compressed: false,
            program: String::new(),
            settings: String::new(),
            output: String::new(),
            extra: Value::Null,
        }
    }

    #[test]
    fn lines_have_the_columns_in_order() {
        let mut row = Row { crc32: Some(0xab), ..Row::at(512, State::Open) };
        row.warnings.note(WarningCode::PlanarMissing);
        let json = json_line(&archive(), &row);
        let expected = "{\"half\":\"image\",\"archive\":\"a,b.tar\",\"offset\":512,\"length\":0,\
            \"state\":\"open\",\"crc32\":\"000000ab\",\"warnings\":{\"planar_missing\":1}}\n";
        assert_eq!(json, expected);
        let csv = csv_line(&archive(), &row);
        let expected = ",image,\"a,b.tar\",,512,0,,,,open,,,,,,,,000000ab,\
            \"{\"\"planar_missing\"\":1}\"\r\n";
        assert_eq!(csv, expected);
    }
}
