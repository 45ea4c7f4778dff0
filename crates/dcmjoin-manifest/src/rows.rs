//! Opens a manifest and reads it row by row, whatever its form.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use crate::csv::Columns;
use crate::entry::{Entry, Place};
use crate::error::Error;
use crate::inventory::{FileFormat, Inventory};
use crate::jsonl;
use crate::lines::Lines;
use crate::table::Table;

/// The longest row, in bytes: a key has 1,024, three times as many URL-encoded.
pub const ROW_BYTES_MAX: usize = 64 << 10;

/// The rows of a manifest.
pub struct Rows {
    part: Part,
    /// The files of an inventory that come after the current one.
    files: VecDeque<PathBuf>,
    form: Form,
    skipped: u64,
    failed: bool,
}

enum Part {
    Lines(Lines),
    Table(Box<Table>),
    None,
}

enum Form {
    List,
    /// Columns that the first row shows.
    Csv(Option<Columns>),
    JsonLines,
    Inventory(Columns),
    Table,
}

/// Opens a manifest.
///
/// # Errors
/// [`Error`] where it cannot be read, or is an inventory whose files are not there or ORC.
pub fn open(file: &Path) -> Result<Rows, Error> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if ending == "json" {
        return inventory(file);
    }
    if ending == "parquet" {
        let table = Part::Table(Box::new(Table::open(file)?));
        return Ok(Rows::new(table, VecDeque::new(), Form::Table));
    }
    let mut lines = Lines::open(file)?;
    let form = match ending {
        "csv" => Form::Csv(None),
        "jsonl" | "ndjson" => Form::JsonLines,
        _ if lines.first_byte()? == Some(b'{') => Form::JsonLines,
        _ => Form::List,
    };
    Ok(Rows::new(Part::Lines(lines), VecDeque::new(), form))
}

fn inventory(file: &Path) -> Result<Rows, Error> {
    let inventory = Inventory::open(file)?;
    let place = || file.display().to_string();
    let form = match inventory.file_format {
        FileFormat::Csv => {
            let wrong =
                |detail: &'static str| Error::Row { place: place(), detail: detail.to_owned() };
            Form::Inventory(inventory.columns().map_err(wrong)?)
        }
        FileFormat::Parquet => Form::Table,
        FileFormat::Orc => return Err(Error::Format { place: place(), format: "ORC" }),
    };
    Ok(Rows::new(Part::None, inventory.locate(file)?.into(), form))
}

impl Rows {
    fn new(part: Part, files: VecDeque<PathBuf>, form: Form) -> Self {
        Self { part, files, form, skipped: 0, failed: false }
    }

    /// Returns how many rows were passed over: old versions and deletions of an inventory.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Opens the next file of an inventory; `None` after the last.
    fn next_file(&mut self) -> Option<Result<(), Error>> {
        let file = self.files.pop_front()?;
        let part = match &self.form {
            Form::Table => Table::open(&file).map(|table| Part::Table(Box::new(table))),
            _ => Lines::open(&file).map(Part::Lines),
        };
        Some(part.map(|part| self.part = part))
    }

    /// Returns the next row of the current file.
    fn of_part(&mut self) -> Option<Result<Entry, Error>> {
        match &mut self.part {
            Part::None => None,
            Part::Table(table) => loop {
                match table.next()? {
                    Ok(Some(entry)) => return Some(Ok(entry)),
                    Ok(None) => self.skipped += 1,
                    Err(error) => return Some(Err(error)),
                }
            },
            Part::Lines(lines) => loop {
                let (line, read) = match lines.next()? {
                    Ok((line, row)) => (line, self.form.read(row, line)),
                    Err(error) => return Some(Err(error)),
                };
                match read {
                    Ok(Some(entry)) => return Some(Ok(entry)),
                    Ok(None) => {}
                    Err(Passed::Over) => self.skipped += 1,
                    Err(Passed::Wrong(detail)) => return Some(Err(lines.wrong(line, detail))),
                }
            },
        }
    }
}

/// Why a row is no entry.
enum Passed {
    /// An old version, or a deletion.
    Over,
    /// It makes no sense.
    Wrong(&'static str),
}

impl Form {
    /// Reads a row; `None` for one that says nothing of an archive.
    fn read(&mut self, row: &str, line: u64) -> Result<Option<Entry>, Passed> {
        let read = match self {
            Self::JsonLines => return jsonl::read(row, line).map(Some).map_err(Passed::Wrong),
            Self::List | Self::Csv(_) if row.starts_with('#') => return Ok(None),
            Self::List | Self::Table => {
                return Ok(Some(Entry::new(Place::Location(row.to_owned()), line)));
            }
            Self::Csv(columns @ None) => {
                let (shown, header) = Columns::of_first_row(row).map_err(Passed::Wrong)?;
                let columns = columns.insert(shown);
                if header {
                    return Ok(None);
                }
                columns.read(row, line)
            }
            Self::Csv(Some(columns)) | Self::Inventory(columns) => columns.read(row, line),
        };
        read.map_err(Passed::Wrong)?.map(Some).ok_or(Passed::Over)
    }
}

impl Iterator for Rows {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = loop {
            if let Some(entry) = self.of_part() {
                break entry;
            }
            self.part = Part::None;
            if let Err(error) = self.next_file()? {
                break Err(error);
            }
        };
        self.failed = next.is_err();
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn written(name: &str, text: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        (dir, file)
    }

    fn gz(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn places(file: &Path) -> Vec<String> {
        open(file).unwrap().map(|entry| entry.unwrap().place.to_string()).collect()
    }

    #[test]
    fn each_form_is_told_by_its_name_or_first_byte() {
        for (name, text) in [
            ("list", "\u{feff}# archives\r\n\r\ns3://b/k 1.tar\r\n"),
            ("a.CSV", "# archives\nb,k+1.tar\n"),
            ("a.csv", "bucket,key,size\nb,k+1.tar,3\n"),
            ("a.jsonl", "{\"bucket\":\"b\",\"key\":\"k 1.tar\"}\n"),
            ("a", "\n {\"bucket\":\"b\",\"key\":\"k 1.tar\"}"),
        ] {
            let (_dir, file) = written(name, text.as_bytes());
            assert_eq!(places(&file), ["s3://b/k 1.tar"], "{name}");
            let (_dir, file) = written(&format!("{name}.gz"), &gz(text));
            assert_eq!(places(&file), ["s3://b/k 1.tar"], "{name}.gz");
        }
    }

    #[test]
    fn an_inventory_is_read_file_by_file() {
        let (dir, file) = written("manifest.json", b"");
        let data: Vec<Vec<u8>> = [
            "\"b\",\"1.tar\",\"true\",\"false\",\"5\",\"GLACIER\"\n\"b\",\"old.tar\",\"false\",\"false\",\"5\",\"GLACIER\"\n",
            "",
            "\"b\",\"gone.tar\",\"true\",\"true\",\"\",\"\"\n\"b\",\"a%2Fb\",\"true\",\"false\",\"7\",\"DEEP_ARCHIVE\"\n",
        ]
        .map(gz)
        .into();
        let mut files = Vec::new();
        for (at, data) in data.iter().enumerate() {
            std::fs::write(dir.path().join(format!("{at}.csv.gz")), data).unwrap();
            files.push(format!("{{\"key\":\"x/data/{at}.csv.gz\",\"size\":{}}}", data.len()));
        }
        let manifest = format!(
            "{{\"sourceBucket\":\"b\",\"fileFormat\":\"CSV\",\"fileSchema\":\"Bucket, Key, IsLatest, \
             IsDeleteMarker, Size, StorageClass\",\"files\":[{}]}}",
            files.join(",")
        );
        std::fs::write(&file, manifest).unwrap();
        let mut rows = open(&file).unwrap();
        let entries: Vec<Entry> = rows.by_ref().map(Result::unwrap).collect();
        assert_eq!(rows.skipped(), 2);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1].place.to_string(), "s3://b/a/b");
        assert_eq!(entries[1].storage_class.as_deref(), Some("DEEP_ARCHIVE"));
        assert_eq!(entries.iter().filter_map(|entry| entry.bytes).sum::<u64>(), 12);
    }

    #[test]
    fn orc_is_refused_with_a_hint() {
        let (_dir, file) = written(
            "manifest.json",
            br#"{"sourceBucket":"b","fileFormat":"ORC","fileSchema":"struct<>","files":[]}"#,
        );
        let error = open(&file).err().unwrap();
        assert!(error.to_string().contains("ORC") && error.hint().is_some(), "{error}");
    }

    #[test]
    fn an_error_names_the_line_and_no_key_and_ends_the_rows() {
        let (_dir, file) = written("a.csv", b"b,k,5\nb,secret,five\nb,k,5\n");
        let mut rows = open(&file).unwrap();
        assert!(rows.next().unwrap().is_ok());
        let error = rows.next().unwrap().unwrap_err().to_string();
        assert!(error.contains("a.csv:2") && !error.contains("secret"), "{error}");
        assert!(rows.next().is_none());
    }

    #[test]
    fn a_row_without_end_is_refused() {
        let (_dir, file) = written("a.csv.gz", &gz(&"x".repeat(ROW_BYTES_MAX + 1)));
        let error = open(&file).unwrap().next().unwrap().unwrap_err().to_string();
        assert!(error.contains("65536"), "{error}");
        let (_dir, file) = written("list", b"\xff\xfe\n");
        assert!(open(&file).unwrap().next().unwrap().is_err());
        let (_dir, file) = written("cut.csv.gz", &gz("b,k\n".repeat(100).as_str())[..20]);
        assert!(open(&file).unwrap().any(|row| row.is_err()));
    }
}
