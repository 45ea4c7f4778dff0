//! Live progress on standard error: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use dcmjoin_pipeline::Progress;
use dcmjoin_pipeline::progress::Phase;
use indicatif::{ProgressBar, ProgressStyle};

use crate::text::{count, duration, size, talk};

/// How often a terminal is painted.
const PAINT_EVERY: Duration = Duration::from_millis(200);
/// How often a line is written where nobody sees it being overwritten.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// Watches a run until it is dropped.
pub(crate) struct Watch {
    task: Option<tokio::task::JoinHandle<()>>,
    bar: ProgressBar,
}

impl Watch {
    /// Begins to watch, unless the user wants quiet. Needs a runtime.
    pub(crate) fn begin(progress: &Arc<Progress>, quiet: bool) -> Self {
        if quiet {
            return Self { task: None, bar: ProgressBar::hidden() };
        }
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
        // The template is a constant: it is well-formed.
        if let Ok(style) = ProgressStyle::with_template("{prefix:>9} [{bar:24}] {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        let (progress, painted) = (Arc::clone(progress), bar.clone());
        let task = tokio::spawn(async move {
            let mut view = View::new();
            loop {
                tokio::time::sleep(if terminal { PAINT_EVERY } else { LINE_EVERY }).await;
                view.look(&progress);
                match terminal {
                    true => view.paint(&progress, &painted),
                    false => talk(&format!("{}: {}", view.name(), view.line(&progress))),
                }
            }
        });
        Self { task: Some(task), bar }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        self.bar.finish_and_clear();
    }
}

/// What is shown: a phase with its rates since it began.
struct View {
    phase: Phase,
    since: Instant,
    bytes_before: u64,
    instances_before: u64,
}

impl View {
    fn new() -> Self {
        Self { phase: Phase::Manifest, since: Instant::now(), bytes_before: 0, instances_before: 0 }
    }

    fn look(&mut self, progress: &Progress) {
        if self.phase != progress.phase() {
            self.phase = progress.phase();
            self.since = Instant::now();
            self.bytes_before = progress.bytes.load(Relaxed);
            self.instances_before = self.instances(progress);
        }
    }

    fn instances(&self, progress: &Progress) -> u64 {
        match self.phase {
            Phase::Manifest | Phase::Uids | Phase::Metadata => progress.headers.load(Relaxed),
            Phase::Images | Phase::Closing => progress.published.load(Relaxed),
        }
    }

    fn name(&self) -> &'static str {
        match self.phase {
            Phase::Manifest => "manifest",
            Phase::Uids => "image UIDs",
            Phase::Metadata => "metadata",
            Phase::Images => "images",
            Phase::Closing => "closing",
        }
    }

    fn bytes(&self, progress: &Progress) -> u64 {
        progress.bytes.load(Relaxed).saturating_sub(self.bytes_before)
    }

    #[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "rates for people")]
    fn line(&self, progress: &Progress) -> String {
        let seconds = self.since.elapsed().as_secs_f64().max(0.001);
        let bytes = self.bytes(progress);
        let instances = self.instances(progress).saturating_sub(self.instances_before);
        let mut line = format!(
            "{}/{} archives, {} {} ({}/s, {}/s)",
            count(progress.archives_done.load(Relaxed)),
            count(progress.archives.load(Relaxed)),
            count(self.instances(progress)),
            if self.phase == Phase::Metadata { "headers" } else { "instances" },
            count((instances as f64 / seconds) as u64),
            size((bytes as f64 / seconds) as u64),
        );
        let total = progress.archive_bytes.load(Relaxed);
        if bytes > 0 && total > bytes {
            let left = (total - bytes) as f64 * seconds / bytes as f64;
            line.push_str(&format!(", {} left", duration(left)));
        }
        for (what, counter) in [("unpaired", &progress.unpaired), ("rejected", &progress.rejected)]
        {
            line.push_str(&format!(", {} {what}", count(counter.load(Relaxed))));
        }
        line
    }

    fn paint(&self, progress: &Progress, bar: &ProgressBar) {
        bar.set_prefix(self.name());
        bar.set_length(progress.archive_bytes.load(Relaxed).max(1));
        bar.set_position(self.bytes(progress));
        bar.set_message(self.line(progress));
    }
}
