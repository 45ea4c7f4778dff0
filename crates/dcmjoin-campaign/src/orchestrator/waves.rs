//! Waves: which are on their way, and which archives are read next.

use dcmjoin_model::Half;
use dcmjoin_restore::moment::{HOUR, Moment};
use dcmjoin_restore::task::{Effect, Input, ScanResult};
use tokio::sync::watch;

use super::{Orchestrator, PAGE, Rest, Running};
use crate::error::Error;
use crate::ledger::{Archive, Place, Select, WaveTally};
use crate::scanner::Batch;
use crate::stages::READ;

/// Archives of one scan, which are in memory together.
const SCAN_MAX: usize = 20_000;

/// Scans that failed before an archive is read alone: one that ends its runner takes no others with
/// it then.
const SUSPECT_SCANS: u16 = 2;

/// Returns how many may be read together with an archive, itself included: half as many each time
/// that a runner went away with it, so that one that ends its runner is alone in the end, and kills
/// that are nobody's fault cost little.
fn together_max(archive: &Archive) -> usize {
    (SCAN_MAX >> archive.task.counts.lost.min(15)).max(1)
}

/// States in which an archive waits for its copy.
const WAITS: [&str; 4] = ["planned", "requested", "restoring", "expired"];

fn archives(wave: &WaveTally, states: &[&str]) -> u64 {
    states.iter().filter_map(|state| wave.states.get(*state)).map(|tally| tally.archives).sum()
}

pub(super) fn is_finished(wave: &WaveTally) -> bool {
    wave.states.keys().all(|state| matches!(state.as_str(), "done" | "failed"))
}

impl Orchestrator {
    /// Starts the waves that are next: so many are on their way at the same time, and one whose last
    /// archives are late does not hold up the others.
    pub(super) async fn start_waves(&mut self, waves: &[WaveTally]) -> Result<(), Error> {
        let now = self.world.aws.now();
        for wave in waves {
            if archives(wave, &["available"]) > 0 {
                self.first_copy.entry(wave.wave).or_insert(now);
            }
        }
        let on_its_way = |wave: &&WaveTally| {
            let straggles =
                self.is_late(wave, now) && archives(wave, &["available", "scanning"]) == 0;
            !is_finished(wave) && !straggles
        };
        let bytes = |wave: &WaveTally| wave.states.values().map(|tally| tally.bytes).sum();
        let ahead = if let Some(ahead) = self.spec.waves_ahead {
            usize::try_from(ahead.max(1)).unwrap_or(usize::MAX)
        } else {
            let to_come = waves.iter().filter(on_its_way).map(bytes);
            self.spec.pace().ahead(to_come, self.spec.policy.days)
        };
        let next: Vec<u64> =
            waves.iter().filter(on_its_way).take(ahead).map(|wave| wave.wave).collect();
        let late = |wave: &&WaveTally| !is_finished(wave) && self.is_late(wave, now);
        let late: Vec<u64> = waves.iter().filter(late).map(|wave| wave.wave).collect();
        for wave in next.into_iter().chain(late) {
            if let Some(batch) = self.spec.batch.clone() {
                self.start_by_batch(&batch, wave, "planned").await?;
            }
            for state in ["planned", "expired"] {
                self.start(wave, state).await?;
            }
        }
        Ok(())
    }

    async fn start(&mut self, wave: u64, state: &str) -> Result<(), Error> {
        let mut after = 0;
        while self.paused.is_none() {
            let page = self.world.ledger.page(Select::In(wave, state), after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            let policy = &self.spec.policy;
            if let Some(first) = page.first() {
                let tier = policy.tier.within(first.task.class);
                let costs =
                    self.money.restore(first.bytes, first.task.class, tier, Some(policy.days));
                if !self.money.affords(&costs) {
                    self.paused = Some("the budget does not allow another restore".to_owned());
                    return Ok(());
                }
            }
            let inputs = page.into_iter().map(|archive| (archive, Input::Start)).collect();
            let effects = self.apply(inputs)?;
            self.carry_out(effects).await?;
            self.count(&[])?;
        }
        Ok(())
    }

    /// Returns whether a wave's last copies are later than its tier's spread, and an hour.
    fn is_late(&self, wave: &WaveTally, now: Moment) -> bool {
        let Some(first) = self.first_copy.get(&wave.wave) else { return false };
        let takes = self.spec.policy.tier.takes(dcmjoin_restore::class::StorageClass::DeepArchive);
        let flexible = self.spec.policy.tier.takes(dcmjoin_restore::class::StorageClass::Glacier);
        let spread = (takes.to - takes.from).min(flexible.to - flexible.from) + HOUR;
        first.plus(spread) <= now
    }

    /// Begins the next scan, where none runs: of the first wave whose copies are there, images only
    /// after all metadata.
    pub(super) async fn begin_scan(&mut self, waves: &[WaveTally]) -> Result<(), Error> {
        if self.scan.is_some() || self.paused.is_some() || self.rests() {
            return Ok(());
        }
        let now = self.world.aws.now();
        let headers_wait =
            waves.iter().any(|wave| wave.half == Half::Metadata && !is_finished(wave));
        let ready = |wave: &&WaveTally| {
            let whole = archives(wave, &WAITS) == 0 || self.is_late(wave, now);
            archives(wave, &["available"]) > 0
                && whole
                && (wave.half == Half::Metadata || !headers_wait)
        };
        let Some(wave) = waves.iter().find(ready).map(|wave| wave.wave) else { return Ok(()) };
        let mut chosen = Vec::new();
        let mut suspects = Vec::new();
        let (mut after, mut most) = (0, SCAN_MAX);
        while chosen.len() < most {
            let page = self.world.ledger.page(Select::In(wave, "available"), after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let (alone, together): (Vec<_>, Vec<_>) =
                page.into_iter().partition(|archive| archive.task.counts.scans >= SUSPECT_SCANS);
            suspects.extend(alone.into_iter().take(SCAN_MAX - suspects.len()));
            most = together.iter().map(together_max).fold(most, usize::min);
            let room = most.saturating_sub(chosen.len());
            chosen.extend(self.choose(together.into_iter().take(room).collect()).await?);
        }
        for suspect in suspects {
            if chosen.is_empty() {
                chosen = self.choose(vec![suspect]).await?;
            }
        }
        if chosen.is_empty() { Ok(()) } else { self.spawn(chosen, now) }
    }

    /// Offers archives a scan; returns those that take it, with their tickets.
    async fn choose(&mut self, archives: Vec<Archive>) -> Result<Vec<(Archive, u32)>, Error> {
        let inputs = archives.into_iter().map(|archive| (archive, Input::ScannerFree)).collect();
        let due = self.apply(inputs)?;
        let mut chosen = Vec::new();
        for (archive, effects) in &due {
            let scan = |effect: &Effect| match effect {
                Effect::Scan { ticket, .. } => Some((archive.clone(), *ticket)),
                _ => None,
            };
            chosen.extend(effects.iter().find_map(scan));
        }
        self.carry_out(due).await?;
        Ok(chosen)
    }

    fn spawn(&mut self, chosen: Vec<(Archive, u32)>, now: Moment) -> Result<(), Error> {
        let bytes = chosen.iter().map(|(archive, _)| archive.bytes).sum();
        let secs = self.spec.read_secs(bytes);
        let batch = Batch {
            archives: chosen.iter().map(|(archive, _)| archive.clone()).collect(),
            metadata: self.done(Half::Metadata)?,
        };
        tracing::info!(archives = chosen.len(), bytes, "a scan begins");
        let scanner = std::sync::Arc::clone(&self.world.scanner);
        let (ended, end) = watch::channel(false);
        let handle = tokio::spawn(async move {
            let result = scanner.scan(batch).await;
            // Nobody may be waiting.
            let _ = ended.send(true);
            result
        });
        let counts_from = self.world.clockwork.scan_counts_from(now, secs);
        self.scan = Some(Running { archives: chosen, begun: now, handle, end, counts_from });
        Ok(())
    }

    /// Takes the results of a scan that has ended.
    pub(super) async fn scan_ended(&mut self) -> Result<(), Error> {
        let now = self.world.aws.now();
        let ended = |scan: &mut Running| {
            scan.handle.is_finished() && scan.counts_from.is_none_or(|from| from <= now)
        };
        match self.scan.take_if(ended) {
            None => Ok(()),
            Some(scan) => self.take_results(scan).await,
        }
    }

    /// Stops the scan that runs, and takes its results.
    pub(super) async fn end_scan(&mut self) -> Result<(), Error> {
        match self.scan.take() {
            None => Ok(()),
            Some(scan) => {
                self.world.scanner.stop();
                self.take_results(scan).await
            }
        }
    }

    async fn take_results(&mut self, scan: Running) -> Result<(), Error> {
        let Running { archives, begun, handle, counts_from, .. } = scan;
        let results = match handle.await {
            Ok(scanned) => {
                self.money.count_scan(scanned.asked);
                match scanned.trouble {
                    Some(trouble) => self.troubled(trouble),
                    None => self.rest = Rest::default(),
                }
                scanned.results
            }
            // A panic in the runner: each of its archives may be the cause.
            Err(_) => vec![ScanResult::Broke; archives.len()],
        };
        let read = archives.iter().zip(&results).filter(|(_, result)| **result == ScanResult::Done);
        let bytes = read.map(|((archive, _), _)| archive.bytes).sum();
        let ended = counts_from.unwrap_or_else(|| self.world.aws.now());
        let secs = begun.secs_until(ended);
        self.spec.measured(bytes, secs);
        let [read_bytes, read_secs] = READ;
        self.count(&[(read_bytes, bytes), (read_secs, secs)])?;
        let mut inputs = Vec::with_capacity(archives.len());
        for ((archive, ticket), result) in archives.into_iter().zip(results) {
            // Events may have come meanwhile.
            if let Some(archive) = self.world.ledger.find(&archive.place)? {
                inputs.push((archive, Input::Scan { ticket, result }));
            }
        }
        let effects = self.apply(inputs)?;
        self.carry_out(effects).await
    }

    /// Returns the archives of a side that have been read.
    pub(super) fn done(&self, half: Half) -> Result<Vec<Place>, Error> {
        let (mut places, mut after) = (Vec::new(), 0);
        loop {
            let page = self.world.ledger.page(Select::Half(half), after, PAGE)?;
            let Some(last) = page.last() else { return Ok(places) };
            after = last.id;
            let done = |archive: Archive| {
                let done = archive.task.state.as_str() == "done";
                done.then_some(archive.place)
            };
            places.extend(page.into_iter().filter_map(done));
        }
    }
}
