//! The local runner: drives the steps in one process.
//!
//! ```text
//! manifest ─ metadata archives ─ scan ─ header store ─ merge ─┐
//!            image archives ──── scan ──────────────────── pair ─ assemble ─ publish
//!                                             merge ─ settle ─ books ─ report ─ commit
//! ```
//!
//! `intake` reads the metadata side and seals the index, `stream` reads the images' side once,
//! `close` accounts for everything and writes the marker. Where the images' side is the smaller one,
//! `image_uids` reads it before, so that `intake` stores only what is asked for. Scheduling, limits and the wish to stop
//! are here; the steps know none of them.

mod apart;
mod archives;
mod close;
mod commit;
mod copies;
mod header_only;
mod image_uids;
mod images;
mod intake;
mod into_shards;
mod late;
mod notes;
mod pairs;
mod raw;
mod recall;
mod shard;
mod stream;
mod worker;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Instant, SystemTime};

use dcmjoin_index::{FactRuns, PairingIndexBuilder};
use dcmjoin_model::{Half, Side};
use dcmjoin_objects::{Location, Object, Root, Stores};
use tempfile::TempDir;
use tokio::task::JoinSet;

pub use self::apart::{Apart, Assembled, HalfPlace};
pub use self::pairs::pairs;
pub use self::shard::{Shard, ShardReport, shard};
pub use self::worker::{HeaderWorker, ImageWorker, Scanned};

pub(crate) use self::images::spawn;

use self::archives::Archives;
use self::commit::Syncs;
use self::image_uids::ImageUids;
use self::raw::{PairRows, RawCopies};
use crate::budget::{Budget, Members, UNIT_BYTES};
use crate::catalog::{Catalog, Finished, Known};
use crate::config::{Publish, RunConfig};
use crate::error::RunError;
use crate::keep::{self, Keep};
use crate::lock::{LOCK_KEY, Lock};
use crate::manifest;
use crate::progress::{Phase, Progress, WarningTally};
use crate::publish::Publisher;
use crate::report::{self, IgnoredBySide, Report};
use crate::rows::{Lies, Rows};
use crate::scan::{Place, Scan};
use crate::shards::UPLOAD_BYTES;
use crate::source::{PIECES_HELD_MAX, PLAIN_PIECE_BYTES, RANGES_HELD_MAX, Reading};

/// Facts of one side in memory before they are sorted to disk, as a share of the budget.
const FACTS_SHARE: u64 = 16;
/// The pairing index in memory, as a share of the budget; a larger one is on disk.
const INDEX_SHARE: u64 = 4;

/// Archives that wait to be committed.
const COMMITS_MAX: usize = 64;

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
    let run = Arc::new(Run::begin(stores, config, Part::Whole, progress).await?);
    let lock = match run.config.dry_run {
        true => None,
        false => Some(Lock::take(&run.output, LOCK_KEY, &run.name).await?),
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
    metadata: Archives,
    images: Archives,
    /// Which archives of the sources are read, and in which order.
    part: Part,
    spill: TempDir,
    reading: Reading,
    members: Members,
    archives_at_once: usize,
    /// What each archive's shard holds on its way to a store.
    upload_bytes: u64,
    /// What earlier runs learnt; none where the output is in memory.
    catalog: Option<Catalog>,
    syncs: Syncs,
    /// The UIDs of the images' side, where they were read before the headers.
    image_uids: OnceLock<ImageUids>,
    /// Raw objects of the campaign, where it keeps them.
    raw: Option<RawCopies>,
    rows: RunRows,
    tallies: Mutex<Tallies>,
    warnings: WarningTally,
}

/// What the process takes besides what it pays for: code, threads, compressors, rows on their way.
const PROCESS_BYTES: u64 = 40 << 20;

/// Returns the memory that is parted: what the process takes besides is left to it, up to half.
fn memory_bytes(config: &RunConfig) -> u64 {
    config.memory_bytes.saturating_sub(PROCESS_BYTES).max(config.memory_bytes / 2)
}

/// How a run's memory is parted: half for members that straddle ranges, three eighths for ranges,
/// one eighth for what comes out of decoders. Shards on their way to a store take half of the first half.
struct Memory {
    members_bytes: u64,
    ranges_bytes: u64,
    pieces_bytes: u64,
    range_bytes: u64,
    archives_at_once: usize,
    upload_bytes: u64,
}

/// Returns how many archives a configuration reads at once within its memory.
#[must_use]
pub fn archives_at_once(config: &RunConfig) -> usize {
    Memory::of(config).archives_at_once
}

impl Memory {
    fn of(config: &RunConfig) -> Self {
        let bytes = memory_bytes(config);
        let ranges_bytes = bytes / 8 * 3;
        let pieces_bytes = bytes / 8;
        let one_range = config.range_bytes.min(ranges_bytes / RANGES_HELD_MAX).max(UNIT_BYTES);
        let uploads = matches!(config.publish, Publish::Shards(_))
            && !matches!(config.output, Location::Local(_));
        let uploads_bytes = if uploads { bytes / 4 } else { 0 };
        // A copy on its way is held besides.
        let copy_bytes = if config.keep.is_some() { keep::HELD_BYTES } else { 0 };
        let affordable = (ranges_bytes / (one_range * RANGES_HELD_MAX + copy_bytes))
            .min(pieces_bytes / (PLAIN_PIECE_BYTES as u64 * PIECES_HELD_MAX))
            .min(if uploads { uploads_bytes / UPLOAD_BYTES } else { u64::MAX });
        let affordable = usize::try_from(affordable).unwrap_or(usize::MAX);
        let archives_at_once = config.archives_max.min(affordable).max(1);
        let copies_bytes = copy_bytes * archives_at_once as u64;
        Self {
            members_bytes: bytes / 2 - uploads_bytes,
            ranges_bytes: ranges_bytes
                .saturating_sub(copies_bytes)
                .max(one_range * RANGES_HELD_MAX),
            pieces_bytes,
            range_bytes: one_range,
            archives_at_once,
            upload_bytes: uploads_bytes.min(UPLOAD_BYTES),
        }
    }
}

/// The spools of a run.
struct RunRows {
    published: Rows,
    rejected: Rows,
    unpaired: Rows,
    conflicts: Rows,
    /// Files in shards beside those that are listed.
    copies: Rows,
}

/// What the scans counted: members that are no halves.
#[derive(Debug, Default)]
struct Tallies {
    metadata: Side,
    images: Side,
    ignored: IgnoredBySide,
    archives: report::Archives,
}

/// What of the sources a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// All of them, and it accounts for them at its end.
    Whole,
    /// A part of the images, for a run to come.
    Shard(Shard),
    /// What it is given one by one, for a run to come.
    Given,
    /// Pairs that are known, and it accounts for them.
    Pairs,
}

impl Run {
    async fn begin(
        stores: &Stores,
        config: RunConfig,
        part: Part,
        progress: Arc<Progress>,
    ) -> Result<Self, RunError> {
        progress.begin(Phase::Manifest, 0, 0);
        let started = SystemTime::now();
        let output = stores.open(&config.output)?;
        let spill = spill_folder(&config)?;
        let named = match part {
            Part::Given | Part::Pairs => Some([Vec::new(), Vec::new()]),
            Part::Whole | Part::Shard(_) => manifest::named_by_sources(stores, &config).await?,
        };
        let catalog = match part {
            Part::Pairs => None,
            Part::Whole => Catalog::of_run(stores, &output, &config, spill.path()).await?,
            Part::Shard(_) | Part::Given => {
                Some(Catalog::growing(&output, &output, &config, spill.path())?)
            }
        };
        let [metadata, images] = match (named, &catalog) {
            (Some(named), _) => named,
            (None, None) => return Err(RunError::Unknown),
            (None, Some(catalog)) => manifest::named_by_catalog(stores, &config, catalog).await?,
        };
        let rows = || match part {
            Part::Whole | Part::Pairs => Rows::create(spill.path()),
            Part::Shard(_) | Part::Given => Ok(Rows::none()),
        };
        let rows = RunRows {
            published: rows()?,
            rejected: rows()?,
            unpaired: rows()?,
            conflicts: rows()?,
            copies: rows()?,
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
                keep: keep_at(stores, &config)?,
            },
            members: Members::new(memory.members_bytes, spill.path()),
            archives_at_once: memory.archives_at_once,
            upload_bytes: memory.upload_bytes,
            image_uids: OnceLock::new(),
            raw: RawCopies::of(stores, &config)?,
            config,
            progress,
            output,
            catalog,
            syncs: Syncs::default(),
            metadata: Archives::of(metadata),
            images: Archives::of(images),
            part,
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
        let ((headers, sealed), pair_rows) =
            tokio::try_join!(intake::read(self), PairRows::gather(self))?;
        lock.map_or(Ok(()), Lock::check)?;
        let facts = stream::read(self, &headers, pair_rows).await?;
        lock.map_or(Ok(()), Lock::check)?;
        self.progress.begin(Phase::Closing, 0, 0);
        close::close(self, &headers, sealed, facts, lock, stores.meter()).await
    }

    /// Runs a step over archives of a side, several at once, and commits those that it gives
    /// back; the first error ends it.
    async fn each_archive<F>(
        self: &Arc<Self>,
        phase: Phase,
        numbers: impl IntoIterator<Item = u32>,
        step: impl Fn(u32, Object) -> F,
    ) -> Result<(), RunError>
    where
        F: Future<Output = Result<Option<Finished>, RunError>> + Send + 'static,
    {
        let all = self.archives(phase.half());
        let archives: Vec<_> =
            numbers.into_iter().map(|number| (number, all.get(number))).collect();
        self.progress.begin_side(phase, archives.iter().map(|(_, archive)| archive.size()));
        let (mut tasks, mut commits) = (JoinSet::new(), JoinSet::new());
        for (number, archive) in archives {
            if tasks.len() == self.archives_at_once {
                self.commit_next(&mut tasks, &mut commits).await?;
            }
            self.check_stop()?;
            tasks.spawn(step(number, archive));
        }
        while !tasks.is_empty() {
            self.commit_next(&mut tasks, &mut commits).await?;
        }
        while let Some(done) = commits.join_next().await {
            joined(Some(done))?;
        }
        Ok(())
    }

    /// Waits for one archive, and sees to it that it is committed: beside the next archives, since
    /// a folder must be synced before.
    async fn commit_next(
        self: &Arc<Self>,
        tasks: &mut JoinSet<Result<Option<Finished>, RunError>>,
        commits: &mut JoinSet<Result<(), RunError>>,
    ) -> Result<(), RunError> {
        let Some(Some(finished)) = joined(tasks.join_next().await)? else { return Ok(()) };
        if commits.len() == COMMITS_MAX {
            joined(commits.join_next().await)?;
        }
        let run = Arc::clone(self);
        commits.spawn(async move { run.commit_archive(finished).await });
        Ok(())
    }

    /// Commits an archive, once all that it published is durable.
    async fn commit_archive(&self, finished: Finished) -> Result<(), RunError> {
        let Some(catalog) = &self.catalog else { return Ok(()) };
        self.syncs.wait(&self.output).await?;
        if let Some(raw) = &self.raw {
            raw.sync().await?;
        }
        catalog.commit(finished).await
    }

    /// Returns the numbers of the archives of a side that are read, in their order: of a shard its
    /// own first, and then, of the headers, those that others may have read by then.
    fn order(&self, half: Half) -> Vec<u32> {
        let all = 0..self.archives(half).len();
        let Part::Shard(shard) = self.part else { return all.collect() };
        let (mut order, others): (Vec<_>, Vec<_>) = all.partition(|&number| shard.has(number));
        if half == Half::Metadata {
            order.extend(others);
        }
        order
    }

    /// Returns whether this run accounts for all halves at its end.
    fn keeps_books(&self) -> bool {
        self.part == Part::Whole
    }

    /// Returns what the catalogue knows of an archive.
    async fn known(&self, half: Half, archive: &Object) -> Result<Option<Known>, RunError> {
        match &self.catalog {
            Some(catalog) if !self.config.rescan => catalog.find(half, archive).await,
            _ => Ok(None),
        }
    }

    /// Returns whether this run adds to the catalogue: only one that reads archives as a whole
    /// can tell what they hold.
    fn writes_catalog(&self) -> bool {
        !self.config.dry_run && self.config.only.is_none()
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

    fn archives(&self, half: Half) -> &Archives {
        match half {
            Half::Metadata => &self.metadata,
            Half::Image => &self.images,
        }
    }

    fn check_stop(&self) -> Result<(), RunError> {
        if self.progress.is_stopped() { Err(RunError::Stopped) } else { Ok(()) }
    }

    fn facts(&self) -> FactRuns {
        let bytes = memory_bytes(&self.config) / FACTS_SHARE;
        FactRuns::new(self.spill.path(), usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    fn index_for(&self, headers_max: u64) -> Result<PairingIndexBuilder, RunError> {
        let bytes_max = memory_bytes(&self.config) / INDEX_SHARE;
        Ok(PairingIndexBuilder::new(self.spill.path(), bytes_max, headers_max)?)
    }

    fn lies(&self, half: Half, archive: u32, place: &Place) -> Lies {
        Lies {
            archive: self.archives(half).url(archive),
            member: Some(place.name.clone()),
            offset: place.range.start,
            length: place.range.len(),
        }
    }
}

/// Returns what a task returned; a panic in it is a bug that ends the run.
pub(crate) fn joined<T>(
    done: Option<Result<Result<T, RunError>, tokio::task::JoinError>>,
) -> Result<Option<T>, RunError> {
    match done {
        None => Ok(None),
        Some(Ok(result)) => result.map(Some),
        Some(Err(_)) => Err(RunError::Internal("a task panicked".to_owned())),
    }
}

fn keep_at(stores: &Stores, config: &RunConfig) -> Result<Option<Keep>, RunError> {
    let Some(place) = &config.keep else { return Ok(None) };
    Ok(Some(Keep::new(stores.open(place)?)))
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

/// Returns the run's name: its start, and twelve random digits. Thousands of parts of a run may begin
/// in the same second, and each name is used once.
fn name(started: SystemTime) -> String {
    let seconds = humantime::format_rfc3339_seconds(started).to_string();
    let plain: String = seconds.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    // The standard library's hashers begin with keys of the system's random numbers.
    let random = RandomState::new().build_hasher().finish();
    format!("{plain}-{:012x}", random >> 16)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn runs_of_one_moment_have_names_of_their_own() {
        let names: HashSet<_> = (0..10_000).map(|_| name(SystemTime::UNIX_EPOCH)).collect();
        assert_eq!(names.len(), 10_000);
        let is_a_name = |name: &String| name.len() == "19700101T000000Z-".len() + 12;
        assert!(names.iter().all(is_a_name), "{:?}", names.iter().next());
    }
}
