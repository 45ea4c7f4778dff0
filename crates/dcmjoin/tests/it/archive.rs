//! Small archives, built by hand, and the program run on them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dcmjoin_testkit::program;
use serde_json::Value;
use tempfile::TempDir;

/// Rows and Columns of the images that tests make.
const SIDE: usize = 4;

/// A folder with sources and an output.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for side in ["metadata", "images"] {
            fs::create_dir(folder.path().join(side)).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, members: &[(String, Vec<u8>)]) {
        fs::write(self.path(name), tar(members)).unwrap();
    }

    /// Runs the job on this place's sources; returns the report.
    pub(crate) fn run(&self, more: &[&str]) -> Report {
        let (metadata, images, output) =
            (self.text("metadata"), self.text("images"), self.text("out"));
        let sources =
            ["run", "--metadata", &metadata, "--images", &images, "--output", &output, "--json"];
        let done = dcmjoin(&[&sources[..], more].concat());
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        let json = serde_json::from_slice(&done.stdout).unwrap_or(Value::Null);
        Report { json, error, code: done.status.code().unwrap() }
    }

    /// Returns the instances of the output by their keys.
    pub(crate) fn instances(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.path("out"), "")
            .into_iter()
            .filter(|(key, _)| !key.starts_with("_dcmjoin"))
            .collect()
    }

    /// Returns the rows of a file of the only run.
    pub(crate) fn rows(&self, report: &Report, file: &str) -> Vec<Value> {
        let run = report.json["run"].as_str().unwrap();
        let text = fs::read_to_string(self.path(&format!("out/_dcmjoin/{run}/{file}"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A run's report, and how it ended.
pub(crate) struct Report {
    pub(crate) json: Value,
    pub(crate) error: String,
    pub(crate) code: i32,
}

impl Report {
    /// Returns the counts of one side or of the instances that are not zero.
    pub(crate) fn counts(&self, part: &str) -> BTreeMap<String, u64> {
        let fields =
            self.json[part].as_object().unwrap_or_else(|| panic!("no {part}: {}", self.error));
        let counts = fields.iter().map(|(name, count)| (name.clone(), count.as_u64().unwrap()));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    pub(crate) fn check(&self, part: &str, expected: &[(&str, u64)]) {
        let expected: BTreeMap<_, _> =
            expected.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
        assert_eq!(self.counts(part), expected, "{part}: {:#}", self.json);
    }
}

/// Returns how often each reason was met; the example is the first of several workers.
pub(crate) fn reasons(report: &Value) -> BTreeMap<String, u64> {
    let reasons = report["rejections"].as_object().unwrap().iter();
    reasons.map(|(reason, met)| (reason.clone(), met["count"].as_u64().unwrap())).collect()
}

pub(crate) fn dcmjoin(args: &[&str]) -> Output {
    let mut command: Command = program(env!("CARGO_BIN_EXE_dcmjoin"));
    command.args(args).output().unwrap()
}

pub(crate) fn files(folder: &Path, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let key = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            found.extend(files(&entry.path(), &format!("{key}/")));
        } else {
            found.insert(key, fs::read(entry.path()).unwrap());
        }
    }
    found
}

pub(crate) fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &content[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Returns the metadata member of an image of four by four pixels.
pub(crate) fn header(uid: &str, patient: &str) -> (String, Vec<u8>) {
    header_of(uid, patient, SIDE)
}

/// Returns the metadata member of a square image.
pub(crate) fn header_of(uid: &str, patient: &str, side: usize) -> (String, Vec<u8>) {
    let json = format!(
        r#"{{"00080016":{{"Value":["1.2.840.10008.5.1.4.1.1.7"],"vr":"UI"}},
        "00080018":{{"Value":["{uid}"],"vr":"UI"}},"00100020":{{"Value":["{patient}"],"vr":"LO"}},
        "0020000D":{{"Value":["1.2.3"],"vr":"UI"}},"0020000E":{{"Value":["1.2.3.4"],"vr":"UI"}},
        "00280002":{{"Value":[1],"vr":"US"}},"00280004":{{"Value":["MONOCHROME2"],"vr":"CS"}},
        "00280010":{{"Value":[{side}],"vr":"US"}},"00280011":{{"Value":[{side}],"vr":"US"}},
        "00280100":{{"Value":[8],"vr":"US"}},"00280101":{{"Value":[8],"vr":"US"}},
        "00280102":{{"Value":[7],"vr":"US"}},"00280103":{{"Value":[0],"vr":"US"}}}}"#
    );
    (format!("{uid}.json"), json.into_bytes())
}

/// Returns the metadata member of a structured report: an instance without pixels.
pub(crate) fn report_header(uid: &str) -> (String, Vec<u8>) {
    let json = format!(
        r#"{{"00080016":{{"Value":["1.2.840.10008.5.1.4.1.1.88.11"],"vr":"UI"}},
        "00080018":{{"Value":["{uid}"],"vr":"UI"}}}}"#
    );
    (format!("{uid}.json"), json.into_bytes())
}

/// Returns the image member of four by four pixels of one value.
pub(crate) fn image(uid: &str, value: u8) -> (String, Vec<u8>) {
    (format!("{uid}.j2c"), vec![value; SIDE * SIDE])
}
