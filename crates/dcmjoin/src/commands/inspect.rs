//! `dcmjoin inspect`: what a member, an archive or a Part 10 file holds.

use std::path::Path;

use anyhow::{Context, bail};
use bytes::Bytes;
use dcmjoin_formats::compressed;
use dcmjoin_formats::header::{Header, HeaderOptions, Transcoder};
use dcmjoin_formats::part10;
use dcmjoin_formats::payload::{self, PayloadLimits, PixelValue};
use dcmjoin_formats::tar::{MemberKind, TarEvent, TarLimits, TarParser};
use dcmjoin_model::{PixelDescription, Warnings};
use serde_json::{Map, Value, json};

use crate::cli::{InspectArgs, Talk};
use crate::exit::Exit;
use crate::text;

/// The largest file that is read whole, in bytes: all but archives.
const WHOLE_BYTES_MAX: u64 = 4 << 30;
/// The most documents' bytes after decompression.
const DOCUMENT_BYTES_MAX: u64 = 1 << 30;
/// The piece in which an archive is read, in bytes.
const PIECE_BYTES: usize = 4 << 20;

/// Says what a file holds.
pub(crate) fn run(args: &InspectArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let found = match is_tar(&args.file)? {
        true => archive(&args.file)?,
        false => whole(&args.file, args.header.as_deref())?,
    };
    let text = match talk.json {
        true => serde_json::to_string_pretty(&found)?,
        false => lines(&found),
    };
    text::data(&format!("{}\n", text.trim_end()))?;
    Ok(Exit::Complete)
}

fn read(file: &Path) -> anyhow::Result<Bytes> {
    let bytes =
        std::fs::metadata(file).with_context(|| format!("look up {}", file.display()))?.len();
    if bytes > WHOLE_BYTES_MAX {
        bail!("{}: expected at most {WHOLE_BYTES_MAX} bytes, got {bytes}", file.display());
    }
    Ok(std::fs::read(file).with_context(|| format!("read {}", file.display()))?.into())
}

fn opened(file: &Path) -> anyhow::Result<Box<dyn std::io::Read>> {
    let context = || format!("read {}", file.display());
    Ok(Box::new(std::fs::File::open(file).with_context(context)?))
}

/// A tar is told by its first header; anything else is not read as one.
fn is_tar(file: &Path) -> anyhow::Result<bool> {
    let mut head = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(opened(file)?, 512), &mut head)
        .with_context(|| format!("read {}", file.display()))?;
    let mut parser = TarParser::new(TarLimits::default());
    parser.feed(Bytes::from(head));
    let begins = parser.next_event().is_ok_and(|event| event.is_some());
    Ok(begins || file.extension().is_some_and(|extension| extension == "tar"))
}

fn archive(file: &Path) -> anyhow::Result<Value> {
    let mut reader = opened(file)?;
    let mut parser = TarParser::new(TarLimits::default());
    let mut members = Vec::new();
    let mut broken = None;
    'archive: loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        std::io::Read::read_to_end(
            &mut std::io::Read::take(&mut reader, PIECE_BYTES as u64),
            &mut piece,
        )
        .with_context(|| format!("read {}", file.display()))?;
        if piece.is_empty() {
            break;
        }
        parser.feed(piece.into());
        loop {
            match parser.next_event() {
                Ok(Some(TarEvent::Member(member))) => {
                    parser.skip_member();
                    members.push(json!({
                        "name": member.name,
                        "kind": kind(member.kind),
                        "offset": member.range.start,
                        "bytes": member.range.len(),
                    }));
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    broken = Some(error.to_string());
                    break 'archive;
                }
            }
        }
    }
    let mut found = json!({ "form": "tar archive", "members": members });
    match broken.map_or_else(|| parser.finish().map_err(|error| error.to_string()), Err) {
        Ok(end) => found["end_marker"] = json!(end.end_marker),
        Err(error) => found["broken"] = json!(error),
    }
    Ok(found)
}

fn kind(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::File => "file",
        MemberKind::Folder => "folder",
        MemberKind::Link => "link",
        MemberKind::Special => "special",
        MemberKind::Sparse => "sparse",
        MemberKind::Other => "other",
    }
}

fn whole(file: &Path, header: Option<&Path>) -> anyhow::Result<Value> {
    let bytes = read(file)?;
    if bytes.get(128..132) == Some(b"DICM") {
        return part10_file(&bytes);
    }
    if let Some(header) = header {
        return with_header(&bytes, &transcoded(&read(header)?)?);
    }
    let (plain, _) =
        compressed::plain(bytes.clone(), DOCUMENT_BYTES_MAX).unwrap_or((bytes.clone(), false));
    let text = plain.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&plain);
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{' | b'[') => Ok(document(&transcoded(&bytes)?)),
        _ => Ok(bare_payload(&bytes)),
    }
}

fn transcoded(bytes: &Bytes) -> anyhow::Result<Header> {
    let (document, _) = compressed::plain(bytes.clone(), DOCUMENT_BYTES_MAX)?;
    Ok(Transcoder::new(HeaderOptions::default()).transcode(&document)?)
}

fn document(header: &Header) -> Value {
    json!({
        "form": "DICOM JSON header",
        "sop_instance_uid": header.uid,
        "sop_class_uid": header.sop_class,
        "study_instance_uid": header.study,
        "series_instance_uid": header.series,
        "transfer_syntax_claimed": header.transfer_syntax.map(dcmjoin_model::TransferSyntax::name),
        "pixels": geometry(&header.pixels),
        "native_bytes": header.pixels.native_bytes(),
        "pixel_data_in_header": header.inline_pixels.is_some(),
        "data_set_bytes": header.data_set.len(),
        "warnings": warnings(&header.warnings),
    })
}

fn with_header(bytes: &Bytes, header: &Header) -> anyhow::Result<Value> {
    let limits = PayloadLimits::default();
    let pixels =
        payload::recognise(bytes.clone(), &header.pixels, header.transfer_syntax, &limits)?;
    let frames = match &pixels.value {
        PixelValue::Native(_) => header.pixels.frames() as usize,
        PixelValue::Encapsulated(frames) => frames.len(),
    };
    Ok(json!({
        "form": "image payload",
        "kind": pixels.kind.as_str(),
        "transfer_syntax": pixels.transfer_syntax.name(),
        "transfer_syntax_uid": pixels.transfer_syntax.uid(),
        "frames": frames,
        "pixels": geometry(&header.pixels),
        "warnings": warnings(&pixels.warnings),
    }))
}

fn bare_payload(bytes: &Bytes) -> Value {
    let seen = payload::look(bytes, &PayloadLimits::default());
    let syntaxes: Vec<_> = seen.transfer_syntaxes.iter().map(|syntax| syntax.name()).collect();
    let mut found = json!({
        "form": "image payload",
        "kind": seen.kind.as_str(),
        "compressed": seen.compressed,
        "bytes": seen.bytes,
        "transfer_syntax": syntaxes.first(),
        "frames": seen.frames,
        "precision": seen.precision,
    });
    if let Some((rows, columns, samples)) = seen.geometry {
        found["pixels"] = json!({ "rows": rows, "columns": columns, "samples_per_pixel": samples });
    } else {
        found["hint"] = json!("name its header with --header to read native pixels");
    }
    found
}

fn part10_file(bytes: &Bytes) -> anyhow::Result<Value> {
    let summary = part10::read(bytes)?;
    let data = summary.pixel_data.as_ref().map(|data| {
        json!({
            "kind": data.kind.as_str(),
            "offset": data.value.start,
            "bytes": data.value.len(),
            "fragments": data.fragments.len(),
            "frames": data.frames.len(),
            "offset_table": format!("{:?}", data.offset_table).to_lowercase(),
        })
    });
    Ok(json!({
        "form": "Part 10 file",
        "sop_instance_uid": summary.uid,
        "sop_class_uid": summary.sop_class,
        "study_instance_uid": summary.study,
        "series_instance_uid": summary.series,
        "modality": summary.modality,
        "transfer_syntax": summary.transfer_syntax.map(dcmjoin_model::TransferSyntax::name),
        "transfer_syntax_uid": summary.transfer_syntax_uid,
        "implementation": summary.implementation_version,
        "elements": summary.elements,
        "elements_out_of_order": summary.out_of_order,
        "pixels": geometry(&summary.pixels),
        "pixel_data": data,
    }))
}

fn geometry(pixels: &PixelDescription) -> Value {
    let json = json!(pixels);
    let Value::Object(fields) = json else { return Value::Null };
    let said: Map<_, _> = fields.into_iter().filter(|(_, value)| !value.is_null()).collect();
    Value::Object(said)
}

fn warnings(warnings: &Warnings) -> Value {
    let counts = warnings.iter().map(|(code, count)| (code.code().to_owned(), json!(count)));
    Value::Object(counts.collect())
}

/// Returns what was found as indented lines.
fn lines(found: &Value) -> String {
    let mut text = String::new();
    write_lines(found, 0, &mut text);
    text
}

fn write_lines(value: &Value, depth: usize, text: &mut String) {
    let Value::Object(fields) = value else { return };
    let indent = "  ".repeat(depth);
    for (name, value) in fields {
        let name = name.replace('_', " ");
        match value {
            Value::Null => {}
            Value::Object(inner) if inner.is_empty() => {}
            Value::Object(_) => {
                text.push_str(&format!("{indent}{name}:\n"));
                write_lines(value, depth + 1, text);
            }
            Value::Array(rows) => {
                text.push_str(&format!("{indent}{name}: {}\n", rows.len()));
                rows.iter()
                    .for_each(|row| text.push_str(&format!("{indent}  {}\n", row_line(row))));
            }
            Value::String(words) => text.push_str(&format!("{indent}{name}: {words}\n")),
            other => text.push_str(&format!("{indent}{name}: {other}\n")),
        }
    }
}

fn row_line(row: &Value) -> String {
    let number = |field: &str| row[field].as_u64().unwrap_or_default();
    let words = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
    // Names come from strangers: control characters do not reach the terminal.
    let name: String = words("name").chars().flat_map(char::escape_debug).collect();
    format!("{:>12} {:>12} {:<7} {name}", number("offset"), number("bytes"), words("kind"))
}
