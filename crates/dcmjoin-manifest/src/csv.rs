//! Rows of CSV: the form that S3 Batch Operations takes, and those of an inventory.
//!
//! S3 Batch Operations takes `bucket,key` or `bucket,key,version`, without a header row, keys
//! URL-encoded. A size may follow: `bucket,key,size` where the third column of the first row is all
//! digits, `bucket,key,version,size` where there are four. A first row that begins with
//! `bucket,key` names the columns instead.

use crate::entry::{Entry, Place, bytes, url_decoded};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The bucket.
    Bucket,
    /// The key, URL-encoded.
    Key,
    /// The version; empty for none.
    Version,
    /// Whether it is the latest version.
    IsLatest,
    /// Whether it marks a deletion.
    IsDeleteMarker,
    /// The size in bytes; empty for none.
    Size,
    /// The storage class.
    StorageClass,
    /// Something else.
    Other,
}

impl Column {
    /// Returns the column of a name, as header rows and the `fileSchema` of inventories have it.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        match plain.to_ascii_lowercase().as_str() {
            "bucket" => Self::Bucket,
            "key" => Self::Key,
            "versionid" | "version" => Self::Version,
            "islatest" => Self::IsLatest,
            "isdeletemarker" => Self::IsDeleteMarker,
            "size" | "bytes" => Self::Size,
            "storageclass" => Self::StorageClass,
            _ => Self::Other,
        }
    }
}

/// The columns of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns(Vec<Column>);

impl Columns {
    /// Returns the columns of a list of names, if bucket and key are among them.
    ///
    /// # Errors
    /// What is missing.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'static str> {
        let columns: Vec<Column> = names.into_iter().map(Column::named).collect();
        if !columns.contains(&Column::Bucket) || !columns.contains(&Column::Key) {
            return Err("expected columns Bucket and Key");
        }
        Ok(Self(columns))
    }

    /// Returns the columns that the first row of a file shows, and whether that row names them.
    ///
    /// # Errors
    /// What was expected.
    pub fn of_first_row(row: &str) -> Result<(Self, bool), &'static str> {
        let fields = fields(row)?;
        let is = |at: usize, column| {
            fields.get(at).is_some_and(|field: &String| Column::named(field) == column)
        };
        if is(0, Column::Bucket) && is(1, Column::Key) {
            return Ok((Self::named(fields.iter().map(String::as_str))?, true));
        }
        let digits =
            |field: &String| !field.is_empty() && field.bytes().all(|b| b.is_ascii_digit());
        let columns = match fields.as_slice() {
            [_, _] => vec![Column::Bucket, Column::Key],
            [_, _, third] if digits(third) => vec![Column::Bucket, Column::Key, Column::Size],
            [_, _, _] => vec![Column::Bucket, Column::Key, Column::Version],
            [_, _, _, _] => vec![Column::Bucket, Column::Key, Column::Version, Column::Size],
            _ => return Err("expected bucket,key[,version][,size]"),
        };
        Ok((Self(columns), false))
    }

    /// Reads a row; `None` for a version that is not the latest, and for a deletion.
    ///
    /// # Errors
    /// What was expected.
    pub fn read(&self, row: &str, line: u64) -> Result<Option<Entry>, &'static str> {
        let fields = fields(row)?;
        if fields.len() != self.0.len() {
            return Err("expected as many columns as the first row has, or the inventory names");
        }
        let (mut bucket, mut key) = (String::new(), String::new());
        let mut entry = Entry::new(Place::Location(String::new()), line);
        for (column, field) in self.0.iter().zip(fields) {
            match column {
                Column::Bucket => bucket = field,
                Column::Key => key = url_decoded(&field)?,
                Column::Version => {
                    entry.version = Some(field).filter(|version| !version.is_empty());
                }
                Column::IsLatest if field == "false" => return Ok(None),
                Column::IsDeleteMarker if field == "true" => return Ok(None),
                Column::Size if !field.is_empty() => entry.bytes = Some(bytes(&field)?),
                Column::StorageClass => entry.storage_class = Some(field),
                _ => {}
            }
        }
        if bucket.is_empty() || key.is_empty() {
            return Err("expected a bucket and a key");
        }
        entry.place = Place::Object { bucket, key };
        Ok(Some(entry))
    }
}

/// Returns the fields of a row; a quoted field may hold commas, and quotes written twice.
fn fields(row: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = row;
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let (field, after) = match rest.split_once(',') {
                Some((field, after)) => (field, Some(after)),
                None => (rest, None),
            };
            fields.push(field.trim().to_owned());
            match after {
                Some(after) => rest = after,
                None => return Ok(fields),
            }
            continue;
        };
        let (field, after) = quoted_field(quoted)?;
        fields.push(field);
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None if after.is_empty() => return Ok(fields),
            None => return Err("expected a comma after a quoted field"),
        }
    }
}

/// Returns a field whose opening quote is taken, and what follows its closing quote.
fn quoted_field(text: &str) -> Result<(String, &str), &'static str> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"').ok_or("expected a closing quote in the row")?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => return Ok((field, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(columns: &Columns, row: &str) -> Entry {
        columns.read(row, 1).unwrap().unwrap()
    }

    #[test]
    fn the_first_row_shows_the_columns() {
        for (row, version, size) in [
            ("b,k", None, None),
            ("b,k,3/L4kqtJlcpXroDTDmJ", Some("3/L4kqtJlcpXroDTDmJ"), None),
            ("b,k,1048576", None, Some(1_048_576)),
            ("b,k,,7", None, Some(7)),
            ("\"b\",\"k\",\"v\",\"7\"", Some("v"), Some(7)),
        ] {
            let (columns, header) = Columns::of_first_row(row).unwrap();
            assert!(!header);
            let entry = entry(&columns, row);
            assert_eq!((entry.version.as_deref(), entry.bytes), (version, size), "{row}");
        }
        let (columns, header) = Columns::of_first_row("Bucket,Key,Size,StorageClass").unwrap();
        assert!(header);
        let entry = entry(&columns, "b,a+b,5,GLACIER");
        assert_eq!(entry.place, Place::Object { bucket: "b".into(), key: "a b".into() });
        assert_eq!(entry.storage_class.as_deref(), Some("GLACIER"));
    }

    #[test]
    fn rows_that_make_no_sense_are_refused() {
        let (columns, _) = Columns::of_first_row("b,k,5").unwrap();
        for row in ["b,k", "b,k,five", "b,,5", "b,%zz,5", "\"b,k,5", "\"b\"x,k,5", "b,k,-1"] {
            assert!(columns.read(row, 1).is_err(), "{row}");
        }
        assert!(Columns::of_first_row("b").is_err());
        assert!(Columns::of_first_row("b,k,v,1,2").is_err());
    }

    #[test]
    fn old_versions_and_deletions_are_passed_over() {
        let names = ["Bucket", "Key", "VersionId", "IsLatest", "IsDeleteMarker", "Size"];
        let columns = Columns::named(names).unwrap();
        assert!(columns.read("b,k,v,true,false,1", 1).unwrap().is_some());
        assert!(columns.read("b,k,v,false,false,1", 1).unwrap().is_none());
        assert!(columns.read("b,k,v,true,true,", 1).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn quoted_fields_are_read_back(values in prop::collection::vec("[^\r\n]{0,8}", 1..6)) {
            let quote = |value: &String| format!("\"{}\"", value.replace('"', "\"\""));
            let row = values.iter().map(quote).collect::<Vec<_>>().join(",");
            prop_assert_eq!(fields(&row).unwrap(), values);
        }

        #[test]
        fn any_row_is_read_or_refused(row in ".{0,60}") {
            if let Ok((columns, _)) = Columns::of_first_row(&row) {
                let _ = columns.read(&row, 1);
            }
        }
    }
}
