//! Names of archives and versions, by their numbers.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction, params};

use super::failed;
use crate::error::Error;

/// Names that a call remembers.
const NAMES_MAX: usize = 10_000;

/// Numbers of a campaign's names, given to new ones.
pub(super) struct Numbers<'a> {
    change: &'a Transaction<'a>,
    campaign: &'a str,
    known: HashMap<String, i64>,
}

impl<'a> Numbers<'a> {
    pub(super) fn of(change: &'a Transaction<'a>, campaign: &'a str) -> Self {
        Self { change, campaign, known: HashMap::new() }
    }

    pub(super) fn number(&mut self, text: &str) -> Result<i64, Error> {
        if let Some(&number) = self.known.get(text) {
            return Ok(number);
        }
        let values = params![self.campaign, text];
        let sql = "SELECT id FROM name WHERE campaign = ?1 AND text = ?2";
        let found =
            self.change.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
        let number = if let Some(number) = found {
            number
        } else {
            let sql = "INSERT INTO name (campaign, text) VALUES (?1, ?2)";
            self.change.prepare_cached(sql)?.execute(values)?;
            self.change.last_insert_rowid()
        };
        if self.known.len() >= NAMES_MAX {
            self.known.clear();
        }
        self.known.insert(text.to_owned(), number);
        Ok(number)
    }
}

/// Names, looked up once each.
pub(super) struct Names<'a> {
    change: &'a Transaction<'a>,
    known: HashMap<i64, Arc<str>>,
}

impl<'a> Names<'a> {
    pub(super) fn of(change: &'a Transaction<'a>) -> Self {
        Self { change, known: HashMap::new() }
    }

    pub(super) fn name(&mut self, number: i64) -> Result<Arc<str>, Error> {
        if let Some(name) = self.known.get(&number) {
            return Ok(Arc::clone(name));
        }
        let mut query = self.change.prepare_cached("SELECT text FROM name WHERE id = ?1")?;
        let text = query.query_row([number], |row| row.get::<_, String>(0)).optional()?;
        let text: Arc<str> = text.ok_or_else(|| failed(&"a fact's archive has no name"))?.into();
        if self.known.len() >= NAMES_MAX {
            self.known.clear();
        }
        self.known.insert(number, Arc::clone(&text));
        Ok(text)
    }
}
