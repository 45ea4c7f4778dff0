//! The halves of a campaign that have no partner, and which of them are given up.
//!
//! ```text
//! closing ── unpaired.jsonl ──┐
//!                             ├─ rule ──▶ given up, or waiting
//! fact log ── open facts ─────┘
//! ```
//!
//! The rule is asked anew at each look, so nothing is kept that could grow old. The last closing knows all halves
//! of the campaign as they were then; the fact log knows what waits in it now, also while archives are open, but
//! of a campaign without raw objects hardly any header: those are where their images will look for them.

use std::collections::VecDeque;

use dcmjoin_ledger::facts::{FACTS_MAX, Fact, Until};
use dcmjoin_ledger::tasks::Stage;
use dcmjoin_ledger::{CampaignName, FactLog, TaskStore};
use dcmjoin_objects::{Root, Stores};
use serde::Deserialize;

use super::closings::{Closing, Closings};
use super::give_up::{GiveUp, Waited};
use super::settings::{CampaignSettings, open_tasks};
use super::work::WorkError;
use crate::error::RunError;
use crate::rows::{Lies, RowsFile, UnpairedRow};
use crate::since::Since;

/// Bytes of the rows that are read at once.
const PIECE_BYTES: u64 = 8 << 20;
/// The longest row; a UID has 64 bytes, an archive's URL 3 KB at the most.
const ROW_BYTES_MAX: usize = 1 << 16;
/// Rows of the closing.
const ROWS_NAME: &str = "unpaired.jsonl";

/// A half without partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpaired {
    /// Where it lies, and since when.
    pub row: UnpairedRow,
    /// Closings that found no partner; unknown to the fact log.
    pub attempts: Option<u32>,
    /// Whether the rule gives it up.
    pub is_given_up: bool,
}

/// How many halves have no partner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnpairedCount {
    /// Those that are given up.
    pub given_up: u64,
    /// Those that wait.
    pub waiting: u64,
}

/// What a look at halves without partner found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpairedList {
    /// The rule that was asked.
    pub rule: GiveUp,
    /// The closing that told, and when it ended; none where the fact log did.
    pub closing: Option<(String, Since)>,
    /// How many there are.
    pub count: UnpairedCount,
}

/// Takes halves one by one.
pub trait Each: FnMut(&Unpaired) -> Result<(), WorkError> {}
impl<F: FnMut(&Unpaired) -> Result<(), WorkError>> Each for F {}

/// Gives the halves without partner that the last closing of a campaign found, by another rule than the campaign's
/// where one is given.
///
/// # Errors
/// [`WorkError`] where the campaign was not closed yet, or its rows cannot be read, and what `each` returns.
pub async fn unpaired(
    stores: &Stores,
    tasks: &dyn TaskStore,
    name: &CampaignName,
    rule: Option<GiveUp>,
    mut each: impl Each,
) -> Result<UnpairedList, WorkError> {
    let settings = CampaignSettings::find(tasks, name).await?;
    let output = stores.open(&settings.output.parse().map_err(RunError::from)?)?;
    let closings = Closings::read(&output, name, &tasks.id().await?).await?;
    let Some(closing) = closings.last() else { return Err(not_closed(name).into()) };
    let is_through = is_through(tasks, name).await?;
    let (rule, now) = (rule.unwrap_or(settings.give_up), Since::now());
    let mut count = UnpairedCount::default();
    each_row(&output, closing, |row| {
        // Of an archive that was read before moments were told, all closings count and no time.
        let since = row.since;
        let attempts = closings.since(since.unwrap_or(Since(0)));
        let time = since.map(|since| since.until(now)).unwrap_or_default();
        let is_given_up = rule.is_over(Waited { time, attempts, is_through });
        count.add(is_given_up);
        each(&Unpaired { row, attempts: Some(attempts), is_given_up })
    })
    .await?;
    let closing = Some((closing.run.clone(), closing.finished));
    Ok(UnpairedList { rule, closing, count })
}

/// Gives the halves that wait for their partner in the fact log now.
///
/// # Errors
/// [`WorkError`] where the rule counts closings, which the log does not know, or the log fails, and what `each`
/// returns.
pub async fn unpaired_facts(
    tasks: &dyn TaskStore,
    facts: &dyn FactLog,
    name: &CampaignName,
    rule: Option<GiveUp>,
    mut each: impl Each,
) -> Result<UnpairedList, WorkError> {
    let settings = CampaignSettings::find(tasks, name).await?;
    let rule = rule.unwrap_or(settings.give_up);
    let is_through = is_through(tasks, name).await?;
    let mut over = match rule {
        GiveUp::Watermark => None,
        GiveUp::Age(age) => Some(Pages::of(facts, name, Until::Waited(age))),
        GiveUp::Attempts(_) => {
            let detail = "expected watermark or age=TIME, got attempts, which closings count: the fact log has none";
            return Err(
                RunError::Invalid { place: rule.to_string(), detail: detail.to_owned() }.into()
            );
        }
    };
    let mut all = Pages::of(facts, name, Until::Now);
    let mut count = UnpairedCount::default();
    while let Some(fact) = all.next().await? {
        let is_given_up = match &mut over {
            None => is_through,
            Some(over) => over.has(&fact).await?,
        };
        count.add(is_given_up);
        let Fact { half, uid, archive, offset, length, .. } = fact;
        let lies = Lies { archive: archive.into(), member: None, offset, length };
        let row = UnpairedRow { half, uid, lies, since: None };
        each(&Unpaired { row, attempts: None, is_given_up })?;
    }
    Ok(UnpairedList { rule, closing: None, count })
}

impl UnpairedCount {
    fn add(&mut self, is_given_up: bool) {
        match is_given_up {
            true => self.given_up += 1,
            false => self.waiting += 1,
        }
    }
}

/// Returns whether no archive of a campaign is open.
async fn is_through(tasks: &dyn TaskStore, name: &CampaignName) -> Result<bool, WorkError> {
    Ok(open_tasks(tasks, name, &[Stage::Metadata, Stage::Images]).await? == 0)
}

fn not_closed(name: &CampaignName) -> RunError {
    RunError::Invalid {
        place: format!("campaign {name}"),
        detail: "expected one that was closed, got none of its closings: `dcmjoin work all` closes it once its \
                 archives are through; until then `--from facts` lists what waits in the fact log"
            .to_owned(),
    }
}

/// Reads the rows of a closing, and checks them against its commit marker where it left one.
async fn each_row(
    output: &Root,
    closing: &Closing,
    mut of: impl FnMut(UnpairedRow) -> Result<(), WorkError>,
) -> Result<(), WorkError> {
    let folder = output.below(&format!("_dcmjoin/{}", closing.run))?;
    let invalid = |detail: &str| RunError::Invalid {
        place: format!("_dcmjoin/{}/{ROWS_NAME}", closing.run),
        detail: detail.to_owned(),
    };
    let gone = || invalid("expected the rows of the campaign's last closing, got no such object");
    let object = folder.object(ROWS_NAME).await?.ok_or_else(gone)?;
    let expected = match closing.is_committed {
        true => Some(told(&folder).await?.ok_or_else(gone)?),
        false => None,
    };
    let (mut lines, mut crc, mut at) = (Vec::new(), crc32fast::Hasher::new(), 0);
    while at < object.size() {
        let piece = object.read(at..at + PIECE_BYTES).await?;
        at += piece.len() as u64;
        crc.update(&piece);
        lines.extend_from_slice(&piece);
        let whole = lines.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        for line in lines[..whole].split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let row = serde_json::from_slice(line);
            of(row.map_err(|_| invalid("expected a half a line, got another one"))?)?;
        }
        lines.drain(..whole);
        if piece.is_empty() || lines.len() > ROW_BYTES_MAX {
            return Err(invalid("expected lines, got one without end").into());
        }
    }
    let crc32 = format!("{:08x}", crc.finalize());
    let fits = |told: &RowsFile| (told.bytes, told.crc32.as_str()) == (at, crc32.as_str());
    match expected.is_none_or(|told| fits(&told)) {
        true => Ok(()),
        false => {
            Err(invalid("expected the size and CRC-32 of the commit marker, got others").into())
        }
    }
}

/// Returns what the commit marker tells of the rows.
async fn told(folder: &Root) -> Result<Option<RowsFile>, RunError> {
    #[derive(Deserialize)]
    struct Marker {
        files: Vec<RowsFile>,
    }
    let Some(object) = folder.object("commit.json").await? else { return Ok(None) };
    let bytes = object.read(0..object.size()).await?;
    let marker: Option<Marker> = serde_json::from_slice(&bytes).ok();
    Ok(marker.and_then(|marker| marker.files.into_iter().find(|file| file.name == ROWS_NAME)))
}

/// Facts without partner, a page at a time, in the log's order.
struct Pages<'a> {
    facts: &'a dyn FactLog,
    campaign: &'a CampaignName,
    until: Until,
    page: VecDeque<Fact>,
    last: Option<Fact>,
    is_last: bool,
}

impl<'a> Pages<'a> {
    fn of(facts: &'a dyn FactLog, campaign: &'a CampaignName, until: Until) -> Self {
        Self { facts, campaign, until, page: VecDeque::new(), last: None, is_last: false }
    }

    async fn peek(&mut self) -> Result<Option<&Fact>, WorkError> {
        if self.page.is_empty() && !self.is_last {
            let after = self.last.as_ref();
            let page = self.facts.unpaired(self.campaign, self.until, after, FACTS_MAX).await?;
            self.is_last = page.len() < FACTS_MAX;
            self.last = page.last().cloned().or(self.last.take());
            self.page = page.into();
        }
        Ok(self.page.front())
    }

    async fn next(&mut self) -> Result<Option<Fact>, WorkError> {
        self.peek().await?;
        Ok(self.page.pop_front())
    }

    /// Returns whether a fact is among these. Facts are asked for in the log's order.
    async fn has(&mut self, fact: &Fact) -> Result<bool, WorkError> {
        while let Some(next) = self.peek().await? {
            match place_of(next).cmp(&place_of(fact)) {
                std::cmp::Ordering::Less => self.page.pop_front(),
                order => return Ok(order.is_eq()),
            };
        }
        Ok(false)
    }
}

/// Returns a fact's place in the order in which logs list.
fn place_of(fact: &Fact) -> (u128, &str, u8, &str, u64) {
    (fact.fingerprint, fact.uid.as_str(), fact.half as u8, &fact.archive, fact.offset)
}
