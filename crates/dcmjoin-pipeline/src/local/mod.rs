//! The local runner: drives the steps in one process.
//!
//! ```text
//! manifest ─ metadata archives ─ scan ─ header store ─ merge ─┐
//!            image archives ──── scan ──────────────────── pair ─ assemble ─ publish
//!                                             merge ─ settle ─ books ─ report ─ commit
//! ```
//!
//! `intake` reads the metadata side and seals the index, `stream` reads the images' side once,
//! `close` accounts for everything and writes the marker. Scheduling, limits and the wish to stop
//! are here; the steps know none of them.

mod close;
mod intake;
mod stream;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use dcmjoin_index::{FactRuns, PairingIndexBuilder};
use dcmjoin_model::{Half, Ignored, Reason, Rejection, Side};
use dcmjoin_objects::{Object, Root, Stores};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::budget::{Budget, UNIT_BYTES};
use crate::config::RunConfig;
use crate::error::RunError;
use crate::lock::Lock;
use crate::manifest;
use crate::progress::{Phase, Progress, WarningTally};
use crate::publish::Publisher;
use crate::report::{BrokenArchives, Report};
use crate::rows::{Lies, RejectedRow, Rows, Scope};
use crate::scan::{Found, Ignorance, Place, Scan};
use crate::source::{HELD_MAX, PLAIN_PIECE_BYTES, Reading};

/// Facts of one side in memory before they are sorted to disk, as a share of the budget.
const FACTS_SHARE: u64 = 16;
/// The pairing index in memory, as a share of the budget; a larger one is on disk.
const INDEX_SHARE: u64 = 4;

/// Runs a configuration to its end.
///
/// # Errors
/// [`RunError`] for what ends a run; everything else is in the report and its rows.
pub async fn run(config: RunConfig, progress: Arc<Progress>) -> Result<Report, RunError> {
    let stores = Stores::default();
    run_on(&stores, config, progress).await.map(|(report, _)| report)
}

/// Runs a configuration on stores of the caller's; gives the output too, which is gone with the
/// stores where it lies in memory.
///
/// # Errors
/// As [`run`].
pub async fn run_on(
    stores: &Stores,
    config: RunConfig,
    progress: Arc<Progress>,
) -> Result<(Report, Root), RunError> {
    let run = Arc::new(Run::begin(stores, config, progress).await?);
    let lock = match run.config.dry_run {
        true => None,
        false => Some(Lock::take(&run.output, &run.name).await?),
    };
    let finished = run.to_its_end(lock.as_ref(), stores).await;
    if let Some(lock) = lock {
        lock.release().await?;
    }
    Ok((finished?, run.output.clone()))
}

/// What all steps of a run share.
struct Run {
    name: String,
    started: SystemTime,
    clock: Instant,
    config: RunConfig,
    progress: Arc<Progress>,
    output: Root,
    publisher: Publisher,
    metadata: Vec<Object>,
    images: Vec<Object>,
    spill: TempDir,
    reading: Reading,
    members: Budget,
    archives_at_once: usize,
    rows: RunRows,
    tallies: Mutex<Tallies>,
    warnings: WarningTally,
}

/// How a run's memory is parted: half for members that straddle ranges, three eighths for ranges,
/// one eighth for what comes out of decoders.
struct Memory {
    members_bytes: u64,
    ranges_bytes: u64,
    pieces_bytes: u64,
    range_bytes: u64,
    archives_at_once: usize,
}

impl Memory {
    fn of(config: &RunConfig) -> Self {
        let ranges_bytes = config.memory_bytes / 8 * 3;
        let pieces_bytes = config.memory_bytes / 8;
        let one_range = config.range_bytes.min(ranges_bytes / HELD_MAX).max(UNIT_BYTES);
        let affordable = (ranges_bytes / (one_range * HELD_MAX))
            .min(pieces_bytes / (PLAIN_PIECE_BYTES as u64 * HELD_MAX));
        let affordable = usize::try_from(affordable).unwrap_or(usize::MAX);
        Self {
            members_bytes: config.memory_bytes / 2,
            ranges_bytes,
            pieces_bytes,
            range_bytes: one_range,
            archives_at_once: config.archives_max.min(affordable).max(1),
        }
    }
}

/// The spools of a run.
struct RunRows {
    published: Rows,
    rejected: Rows,
    unpaired: Rows,
    conflicts: Rows,
}

/// What the scans counted: members that are no halves.
#[derive(Debug, Default)]
struct Tallies {
    metadata: SideTally,
    images: SideTally,
    broken: BrokenArchives,
}

/// The accounts of a side that a scan knows.
#[derive(Debug, Default, Clone, Copy)]
struct SideTally {
    archives: u64,
    members: u64,
    rejected: u64,
    ignored: Ignored,
}

impl SideTally {
    fn add(&mut self, other: &Self) {
        self.archives += other.archives;
        self.members += other.members;
        self.rejected += other.rejected;
        self.ignored.folders += other.ignored.folders;
        self.ignored.links += other.ignored.links;
        self.ignored.other_half += other.ignored.other_half;
        self.ignored.junk += other.ignored.junk;
        self.ignored.not_wanted += other.ignored.not_wanted;
    }

    fn ignore(&mut self, why: Ignorance) {
        let part = match why {
            Ignorance::Folder => &mut self.ignored.folders,
            Ignorance::Link => &mut self.ignored.links,
            Ignorance::OtherHalf => &mut self.ignored.other_half,
            Ignorance::Junk => &mut self.ignored.junk,
            Ignorance::NotWanted => &mut self.ignored.not_wanted,
        };
        *part += 1;
    }

    fn side(&self) -> Side {
        Side {
            archives: self.archives,
            members: self.members,
            rejected: self.rejected,
            ignored: self.ignored.total(),
            ..Side::default()
        }
    }
}

impl Run {
    async fn begin(
        stores: &Stores,
        config: RunConfig,
        progress: Arc<Progress>,
    ) -> Result<Self, RunError> {
        progress.begin(Phase::Manifest, 0, 0);
        let started = SystemTime::now();
        let metadata = manifest::archives(stores, Half::Metadata, &config.metadata).await?;
        let images = manifest::archives(stores, Half::Image, &config.images).await?;
        let output = stores.open(&config.output)?;
        let spill = spill_folder(&config)?;
        let rows = || Rows::create(spill.path());
        let rows = RunRows {
            published: rows()?,
            rejected: rows()?,
            unpaired: rows()?,
            conflicts: rows()?,
        };
        let memory = Memory::of(&config);
        Ok(Self {
            name: name(started),
            started,
            clock: Instant::now(),
            publisher: Publisher {
                root: output.clone(),
                layout: config.layout.clone(),
                if_exists: config.if_exists,
                dry_run: config.dry_run,
            },
            reading: Reading {
                ranges: Budget::new(memory.ranges_bytes),
                pieces: Budget::new(memory.pieces_bytes),
                range_bytes: memory.range_bytes,
                ratio_max: config.limits.compression_ratio_max,
            },
            members: Budget::new(memory.members_bytes),
            archives_at_once: memory.archives_at_once,
            config,
            progress,
            output,
            metadata,
            images,
            spill,
            rows,
            tallies: Mutex::default(),
            warnings: WarningTally::default(),
        })
    }

    async fn to_its_end(
        self: &Arc<Self>,
        lock: Option<&Lock>,
        stores: &Stores,
    ) -> Result<Report, RunError> {
        let (headers, sealed) = intake::read(self).await?;
        lock.map_or(Ok(()), Lock::check)?;
        let facts = stream::read(self, &headers).await?;
        lock.map_or(Ok(()), Lock::check)?;
        self.progress.begin(Phase::Closing, 0, 0);
        close::close(self, &headers, sealed, facts, lock, stores.meter()).await
    }

    /// Runs a step over all archives of a side, several at once; the first error ends it.
    async fn each_archive<F>(
        self: &Arc<Self>,
        half: Half,
        step: impl Fn(u32, Object) -> F,
    ) -> Result<(), RunError>
    where
        F: Future<Output = Result<(), RunError>> + Send + 'static,
    {
        let archives = self.archives(half);
        self.progress.begin_side(half, archives);
        let mut tasks = JoinSet::new();
        for (number, archive) in (0..).zip(archives) {
            if tasks.len() == self.archives_at_once {
                joined(tasks.join_next().await)?;
            }
            self.check_stop()?;
            tasks.spawn(step(number, archive.clone()));
        }
        while let Some(done) = tasks.join_next().await {
            joined(Some(done))?;
        }
        Ok(())
    }

    /// Returns how the archives of a side are scanned.
    fn scan(&self, half: Half) -> Scan<'_> {
        let limits = &self.config.limits;
        Scan {
            half,
            reading: &self.reading,
            members: &self.members,
            limits: limits.tar,
            member_bytes_max: match half {
                Half::Metadata => limits.metadata_member_bytes_max,
                Half::Image => limits.image_member_bytes_max,
            },
            time_max: limits.archive_time_max,
            only: self.config.only.as_ref(),
        }
    }

    fn archives(&self, half: Half) -> &[Object] {
        match half {
            Half::Metadata => &self.metadata,
            Half::Image => &self.images,
        }
    }

    fn check_stop(&self) -> Result<(), RunError> {
        if self.progress.is_stopped() { Err(RunError::Stopped) } else { Ok(()) }
    }

    fn facts(&self) -> FactRuns {
        let bytes = self.config.memory_bytes / FACTS_SHARE;
        FactRuns::new(self.spill.path(), usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    fn index_for(&self, headers_max: u64) -> Result<PairingIndexBuilder, RunError> {
        let bytes_max = self.config.memory_bytes / INDEX_SHARE;
        Ok(PairingIndexBuilder::new(self.spill.path(), bytes_max, headers_max)?)
    }

    fn lies(&self, half: Half, archive: u32, place: &Place) -> Lies {
        Lies {
            archive: Arc::clone(self.archives(half)[archive as usize].url()),
            member: Some(place.name.clone()),
            offset: place.range.start,
            length: place.range.len(),
        }
    }

    /// Accounts for what a scan finds that is not a half.
    fn not_a_half(
        &self,
        half: Half,
        archive: u32,
        found: Found,
        tally: &mut SideTally,
    ) -> Result<(), RunError> {
        match found {
            Found::Half { .. } => {}
            Found::Ignored(why) => {
                tally.members += 1;
                tally.ignore(why);
            }
            Found::Rejected { uid, member, rejection } => {
                tally.members += 1;
                tally.rejected += 1;
                self.progress.rejected.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let lies = self.lies(half, archive, &member);
                self.rows.rejected.push(&RejectedRow::of_half(
                    half,
                    half.into(),
                    uid,
                    lies,
                    rejection,
                ))?;
            }
            Found::Broken(rejection) => self.broken(half, archive, rejection)?,
        }
        Ok(())
    }

    /// Accounts for an archive that cannot be read to its end.
    fn broken(&self, half: Half, archive: u32, rejection: Rejection) -> Result<(), RunError> {
        let reason = rejection.reason;
        tracing::warn!(side = half.as_str(), archive, reason = reason.code(), "archive is broken");
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Reason::ArchiveUnreadable => tallies.broken.unreadable += 1,
            _ => tallies.broken.damaged += 1,
        }
        drop(tallies);
        let object = &self.archives(half)[archive as usize];
        let archive = Arc::clone(object.url());
        let lies = Lies { archive, member: None, offset: 0, length: object.size() };
        let row = RejectedRow::of_half(half, Scope::Archive, None, lies, rejection);
        self.rows.rejected.push(&row)
    }

    fn archive_done(&self, half: Half, archive: u32, tally: &SideTally) {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let side = match half {
            Half::Metadata => &mut tallies.metadata,
            Half::Image => &mut tallies.images,
        };
        side.add(&SideTally { archives: 1, ..*tally });
        drop(tallies);
        self.progress.archive_done(self.archives(half)[archive as usize].size());
        tracing::info!(side = half.as_str(), archive, members = tally.members, "archive done");
    }
}

/// Returns what a task returned; a panic in it is a bug that ends the run.
fn joined<T>(
    done: Option<Result<Result<T, RunError>, tokio::task::JoinError>>,
) -> Result<Option<T>, RunError> {
    match done {
        None => Ok(None),
        Some(Ok(result)) => result.map(Some),
        Some(Err(_)) => Err(RunError::Internal("a task panicked".to_owned())),
    }
}

fn spill_folder(config: &RunConfig) -> Result<TempDir, RunError> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("dcmjoin-");
    let (place, made) = match &config.spill {
        Some(folder) => (folder.display().to_string(), builder.tempdir_in(folder)),
        None => (std::env::temp_dir().display().to_string(), builder.tempdir()),
    };
    made.map_err(RunError::io("create a spill folder in", place))
}

/// Returns the run's name: its start, and four digits against another run of the same second.
fn name(started: SystemTime) -> String {
    let seconds = humantime::format_rfc3339_seconds(started).to_string();
    let plain: String = seconds.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let nanos =
        started.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    format!("{plain}-{:04x}", (nanos ^ std::process::id().rotate_left(7)) & 0xffff)
}
