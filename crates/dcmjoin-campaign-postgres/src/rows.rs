//! Archives as rows: columns for what is asked by, the task as JSON.

use std::collections::BTreeMap;

use dcmjoin_campaign::Error;
use dcmjoin_campaign::ledger::{Archive, Place, Tally, WaveTally};
use dcmjoin_model::Half;
use dcmjoin_restore::moment::Moment;
use tokio_postgres::Row;

/// The columns that [`archive`] reads.
macro_rules! columns {
    () => {
        "id, half, wave, bucket, key, version, bytes, task"
    };
}
pub(crate) use columns;

/// Archives, column by column, as `unnest` takes them.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) id: Vec<i64>,
    pub(crate) half: Vec<&'static str>,
    pub(crate) wave: Vec<i64>,
    pub(crate) bucket: Vec<String>,
    pub(crate) key: Vec<String>,
    pub(crate) version: Vec<String>,
    pub(crate) bytes: Vec<i64>,
    pub(crate) state: Vec<&'static str>,
    pub(crate) failure: Vec<Option<&'static str>>,
    pub(crate) due: Vec<Option<i64>>,
    pub(crate) open: Vec<bool>,
    pub(crate) task: Vec<String>,
}

impl Columns {
    /// Adds what may change of an archive.
    pub(crate) fn push(&mut self, archive: &Archive, due: Option<Moment>) -> Result<(), Error> {
        self.id.push(archive.id);
        self.bytes.push(signed(archive.bytes));
        self.state.push(archive.task.state.as_str());
        self.failure.push(archive.failure());
        self.due.push(due.map(|due| signed(due.epoch_secs())));
        self.open.push(archive.is_open());
        self.task.push(json(&archive.task)?);
        Ok(())
    }

    /// Adds what does not change of an archive.
    pub(crate) fn push_place(&mut self, archive: &Archive) {
        self.half.push(archive.half.as_str());
        self.wave.push(signed(archive.wave));
        self.bucket.push(archive.place.bucket.clone());
        self.key.push(archive.place.key.clone());
        self.version.push(archive.place.version.clone().unwrap_or_default());
    }
}

pub(crate) fn archive(row: &Row) -> Result<Archive, Error> {
    let version: String = get(row, 5)?;
    let place = Place {
        bucket: get(row, 3)?,
        key: get(row, 4)?,
        version: (!version.is_empty()).then_some(version),
    };
    Ok(Archive {
        id: get(row, 0)?,
        half: half(&get::<String>(row, 1)?),
        wave: unsigned(get(row, 2)?),
        place,
        bytes: unsigned(get(row, 6)?),
        task: parse(&get::<String>(row, 7)?)?,
    })
}

/// Reads rows of wave, half, state, archives and bytes, in the order of the waves.
pub(crate) fn waves(rows: &[Row]) -> Result<Vec<WaveTally>, Error> {
    let mut waves: Vec<WaveTally> = Vec::new();
    for row in rows {
        let wave = unsigned(get(row, 0)?);
        if waves.last().is_none_or(|last| last.wave != wave) {
            let half = half(&get::<String>(row, 1)?);
            waves.push(WaveTally { wave, half, states: BTreeMap::new() });
        }
        let tally = Tally { archives: unsigned(get(row, 3)?), bytes: unsigned(get(row, 4)?) };
        if let Some(last) = waves.last_mut() {
            last.states.insert(get(row, 2)?, tally);
        }
    }
    Ok(waves)
}

/// Reads rows of a name and a number.
pub(crate) fn counts(rows: &[Row]) -> Result<BTreeMap<String, u64>, Error> {
    rows.iter().map(|row| Ok((get(row, 0)?, unsigned(get(row, 1)?)))).collect()
}

pub(crate) fn get<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    column: usize,
) -> Result<T, Error> {
    row.try_get(column).map_err(|_| Error::Journal(format!("column {column} is not as expected")))
}

fn half(text: &str) -> Half {
    if text == Half::Metadata.as_str() { Half::Metadata } else { Half::Image }
}

pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Journal(error.to_string()))
}

pub(crate) fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Journal(error.to_string()))
}
