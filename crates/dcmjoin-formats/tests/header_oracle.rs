//! The transcoder against pydicom: on the JSON of every DICOM file that pydicom and pydicom-data
//! carry, the bytes must be those that pydicom writes, and must read back as the same JSON.
//!
//! Where the bytes differ on purpose, a [`Rule`] says how, and checks that they differ only so.
//!
//! Needs a Python with `pydicom==3.0.2` and `pydicom-data`: `DCMJOIN_PYTHON`, or else `python3`.
//! Without it the test fails; it is never skipped.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use dcmjoin_formats::header::{Header, HeaderOptions, Transcoder};
use dcmjoin_model::WarningCode;

/// As many documents as the two packages are known to give at least.
const DOCUMENTS_MIN: usize = 200;

#[test]
fn bytes_are_those_that_pydicom_writes() {
    let folder = tempfile::tempdir().unwrap();
    let export = oracle("export", folder.path());
    let documents = documents(folder.path());
    assert!(documents.len() >= DOCUMENTS_MIN, "{} documents\n{export}", documents.len());

    let mut transcoder = Transcoder::new(HeaderOptions::default());
    let mut identical = 0;
    let mut complaints = Vec::new();
    for path in documents {
        let header = match transcoder.transcode(&std::fs::read(&path).unwrap()) {
            Ok(header) => header,
            Err(rejection) => {
                complaints.push(format!("{}: {rejection}", path.display()));
                continue;
            }
        };
        std::fs::write(path.with_extension("ours"), &header.data_set).unwrap();
        let Ok(theirs) = std::fs::read(path.with_extension("dcm")) else { continue };
        if theirs == header.data_set {
            identical += 1;
        } else {
            let differences = differences(&header, &theirs);
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            complaints.extend(differences.into_iter().map(|text| format!("{name}: {text}")));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(identical >= DOCUMENTS_MIN * 4 / 5, "{identical} are identical");
    oracle("compare", folder.path());
}

/// Runs the oracle's script; fails with what it prints.
fn oracle(command: &str, folder: &Path) -> String {
    let python = std::env::var_os("DCMJOIN_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/header_oracle.py");
    let output = Command::new(&python)
        .arg(script)
        .arg(command)
        .arg(folder)
        .output()
        .unwrap_or_else(|error| panic!("run {}: {error}", python.display()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{} with pydicom==3.0.2 and pydicom-data, {command}:\n{text}\n{errors}",
        python.display()
    );
    text
}

fn documents(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|ext| ext == "json")).collect();
    paths.sort();
    paths
}

/// A way in which the bytes differ on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// pydicom writes every character of a DS, we the 16 that the standard allows.
    DecimalOver16,
    /// pydicom leaves UN at odd lengths.
    OddUnknown,
    /// Text that the declared character set needs escapes for, or cannot hold: we switch to
    /// `ISO_IR 192`, pydicom writes escapes, Latin 1 or question marks. That the text is right is
    /// checked by reading it back.
    CharsetSwitched,
}

/// One element: its place, VR and value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Element {
    path: String,
    vr: String,
    value: Vec<u8>,
}

fn differences(header: &Header, theirs: &[u8]) -> Vec<String> {
    let switched = header.warnings.count(WarningCode::CharsetSwitched)
        + header.warnings.count(WarningCode::CharsetMissing)
        > 0;
    let (mut ours_flat, mut theirs_flat) = (Vec::new(), Vec::new());
    flatten(&header.data_set, "", &mut ours_flat);
    flatten(theirs, "", &mut theirs_flat);
    if switched {
        for flat in [&mut ours_flat, &mut theirs_flat] {
            flat.retain(|element| !element.path.ends_with("/00080005"));
        }
    }
    // pydicom keeps elements of group 0001, which PS3.5 7.8.1 forbids.
    if header.warnings.count(WarningCode::GroupDropped) > 0 {
        theirs_flat.retain(|element| !element.path.starts_with("/0001"));
    }
    if ours_flat.len() != theirs_flat.len() {
        return vec![format!("{} elements, pydicom {}", ours_flat.len(), theirs_flat.len())];
    }
    let pairs = ours_flat.iter().zip(&theirs_flat);
    pairs
        .filter(|(ours, theirs)| ours != theirs && rule(ours, theirs, switched).is_none())
        .map(|(ours, theirs)| {
            format!(
                "{} {} {:?}, pydicom {} {} {:?}",
                ours.path,
                ours.vr,
                ours.value.escape_ascii().to_string().get(..80),
                theirs.path,
                theirs.vr,
                theirs.value.escape_ascii().to_string().get(..80)
            )
        })
        .collect()
}

/// Returns the rule that explains a difference.
fn rule(ours: &Element, theirs: &Element, switched: bool) -> Option<Rule> {
    if ours.path != theirs.path || ours.vr != theirs.vr {
        return None;
    }
    match ours.vr.as_str() {
        "DS" => same_decimals(&ours.value, &theirs.value).then_some(Rule::DecimalOver16),
        "UN" => {
            let padded = [theirs.value.as_slice(), b"\0"].concat();
            (theirs.value.len() % 2 == 1 && ours.value == padded).then_some(Rule::OddUnknown)
        }
        _ if switched && !ours.value.is_ascii() => {
            std::str::from_utf8(&ours.value).is_ok().then_some(Rule::CharsetSwitched)
        }
        _ => None,
    }
}

fn same_decimals(ours: &[u8], theirs: &[u8]) -> bool {
    let values = |bytes: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(bytes).split('\\').map(|text| text.trim().to_owned()).collect()
    };
    let (ours, theirs) = (values(ours), values(theirs));
    ours.len() == theirs.len()
        && ours.iter().zip(&theirs).all(|(ours, theirs)| {
            let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
            let close = (number(ours) - number(theirs)).abs() <= number(theirs).abs() * 5e-9;
            ours == theirs || (theirs.len() > 16 && ours.len() <= 16 && close)
        })
}

/// Lists the elements of a data set in Explicit VR Little Endian with defined lengths.
fn flatten(mut bytes: &[u8], under: &str, to: &mut Vec<Element>) {
    while !bytes.is_empty() {
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let path = format!("{under}/{:04X}{:04X}", half(0), half(2));
        let vr = String::from_utf8_lossy(&bytes[4..6]).into_owned();
        let is_long =
            ["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]
                .contains(&vr.as_str());
        let (start, length) = if is_long {
            (12, u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize)
        } else {
            (8, usize::from(half(6)))
        };
        let value = &bytes[start..start + length];
        if vr == "SQ" {
            flatten_items(value, &path, to);
        } else {
            to.push(Element { path, vr, value: value.to_vec() });
        }
        bytes = &bytes[start + length..];
    }
}

fn flatten_items(mut bytes: &[u8], path: &str, to: &mut Vec<Element>) {
    let mut index = 0;
    while !bytes.is_empty() {
        let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        to.push(Element { path: format!("{path}[{index}]"), vr: String::new(), value: Vec::new() });
        flatten(&bytes[8..8 + length], &format!("{path}[{index}]"), to);
        bytes = &bytes[8 + length..];
        index += 1;
    }
    if index == 0 {
        to.push(Element { path: path.to_owned(), vr: "SQ".into(), value: Vec::new() });
    }
}
