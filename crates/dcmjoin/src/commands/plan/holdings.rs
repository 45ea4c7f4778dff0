//! How much there is: counted from manifests and listings row by row, or taken from stated totals.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use dcmjoin_manifest::Entry;
use dcmjoin_model::Half;
use dcmjoin_objects::Stores;
use dcmjoin_pipeline::config::Source;
use dcmjoin_pipeline::{Progress, RunError, manifest};
use dcmjoin_restore::class::{AccessTier, StorageClass};
use dcmjoin_restore::plan::{Holding, assume};

use crate::cli::PlanArgs;
use crate::commands::on_runtime;
use crate::text::{self, Hinted};

/// Both sides.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    pub(super) metadata: Holding,
    pub(super) images: Holding,
    /// Whether the metadata side is a guess.
    pub(super) metadata_assumed: bool,
    /// The class of what must be restored.
    pub(super) class: Option<StorageClass>,
    /// What was left out.
    pub(super) notes: Vec<String>,
}

/// Counts what the arguments name.
pub(super) fn of(args: &PlanArgs) -> anyhow::Result<Holdings> {
    let sources = &args.sources;
    let mut count = Count::new(sources.class.map(StorageClass::from));
    let images = match (args.totals.archives, args.totals.bytes) {
        (Some(archives), Some(bytes)) => Holding { archives, bytes, ..Holding::default() },
        _ => count.side(Half::Image, &sources.images, sources.images_prefix.as_deref())?,
    };
    if images.archives == 0 {
        let message = "no image archives to plan for";
        return Err(Hinted::new(message, "give --images, or --archives and --bytes").into());
    }
    let stated = args.totals.metadata_archives.is_some() || args.totals.metadata_bytes.is_some();
    let metadata = match sources.metadata.is_empty() {
        true => stated_metadata(args, &images),
        false => {
            count.side(Half::Metadata, &sources.metadata, sources.metadata_prefix.as_deref())?
        }
    };
    let class = count.class()?;
    let metadata_assumed = sources.metadata.is_empty() && !stated;
    Ok(Holdings { metadata, images, metadata_assumed, class, notes: count.notes() })
}

/// Returns the metadata side of stated totals; what was not stated is a hundredth of the images'.
fn stated_metadata(args: &PlanArgs, images: &Holding) -> Holding {
    let part = |whole: u64| whole.div_ceil(100 / assume::METADATA_PERCENT);
    Holding {
        archives: args.totals.metadata_archives.unwrap_or_else(|| part(images.archives)),
        bytes: args.totals.metadata_bytes.unwrap_or_else(|| part(images.bytes)),
        ..Holding::default()
    }
}

/// What is counted on the way, of both sides.
struct Count {
    asked: Option<StorageClass>,
    /// The archive classes found.
    found: BTreeSet<StorageClass>,
    /// Rows without a size.
    without_size: u64,
    /// Rows of another archive class than asked for.
    other_class: u64,
    /// Old versions and deletions of inventories.
    skipped: u64,
}

impl Count {
    fn new(asked: Option<StorageClass>) -> Self {
        Self { asked, found: BTreeSet::new(), without_size: 0, other_class: 0, skipped: 0 }
    }

    fn side(
        &mut self,
        half: Half,
        sources: &[Source],
        prefix: Option<&str>,
    ) -> anyhow::Result<Holding> {
        let mut holding = Holding::default();
        for source in sources {
            match source {
                Source::Manifest(file) => self.manifest(file, prefix, &mut holding)?,
                Source::Location(_) | Source::Listed(_) => {
                    for bytes in listed(half, source)? {
                        holding.archives += 1;
                        holding.bytes = holding.bytes.saturating_add(bytes);
                    }
                }
            }
        }
        Ok(holding)
    }

    fn manifest(
        &mut self,
        file: &Path,
        prefix: Option<&str>,
        holding: &mut Holding,
    ) -> anyhow::Result<()> {
        let hinted = |error: dcmjoin_manifest::Error| match error {
            dcmjoin_manifest::Error::Io { .. } => anyhow::Error::from(error),
            error => Hinted::of(&error, error.hint()).into(),
        };
        let mut rows = dcmjoin_manifest::open(file).map_err(hinted)?;
        for entry in rows.by_ref() {
            let entry = entry.map_err(hinted)?;
            if prefix.is_none_or(|prefix| entry.begins_with(prefix)) {
                self.entry(&entry, holding);
            }
        }
        self.skipped += rows.skipped();
        if self.without_size > 0 {
            let message = format!(
                "{}: {} archives without a size",
                file.display(),
                text::count(self.without_size)
            );
            let hint = "use an S3 Inventory with the Size field, rows of bucket,key,version,size, or state totals by --archives and --bytes";
            return Err(Hinted::new(message, hint).into());
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, holding: &mut Holding) {
        let class =
            entry.storage_class.as_deref().and_then(|name| StorageClass::from_aws(name).ok());
        let class = class.map(archived);
        if let (Some(asked), Some(class)) = (self.asked, class)
            && class.reads_at_once() == Some(false)
            && !alike(asked, class)
        {
            self.other_class += 1;
            return;
        }
        let Some(bytes) = entry.bytes else {
            self.without_size += 1;
            return;
        };
        holding.archives += 1;
        holding.bytes = holding.bytes.saturating_add(bytes);
        match class {
            Some(class) if class.reads_at_once() == Some(true) => {
                holding.ready_archives += 1;
                holding.ready_bytes = holding.ready_bytes.saturating_add(bytes);
            }
            Some(class) => drop(self.found.insert(class)),
            None => {}
        }
    }

    /// Returns the class of all that must be restored.
    fn class(&self) -> Result<Option<StorageClass>, Hinted> {
        match (self.asked, self.found.len()) {
            (Some(asked), _) => Ok(Some(asked)),
            (None, 0 | 1) => Ok(self.found.first().copied()),
            (None, _) => Err(Hinted::new(
                "the archives are of several storage classes, which have several prices",
                "plan each by itself: --class glacier, then --class deep-archive",
            )),
        }
    }

    fn notes(&self) -> Vec<String> {
        [
            (self.skipped, "rows of an inventory are old versions or deletions, and were left out"),
            (self.other_class, "archives are of another storage class, and were left out"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{} {words}", text::count(count)))
        .collect()
    }
}

/// A manifest does not tell the tier of Intelligent-Tiering: it is taken for the archive tier.
fn archived(class: StorageClass) -> StorageClass {
    match class {
        StorageClass::IntelligentTiering(AccessTier::Unknown) => {
            StorageClass::IntelligentTiering(AccessTier::Archive)
        }
        class => class,
    }
}

/// Returns whether a class of a manifest is the one asked for, whatever its access tier.
fn alike(asked: StorageClass, class: StorageClass) -> bool {
    asked.copy_expires() == class.copy_expires() && (!asked.copy_expires() || asked == class)
}

/// Returns the sizes of the archives of a folder or prefix.
fn listed(half: Half, source: &Source) -> anyhow::Result<Vec<u64>> {
    let progress = Arc::new(Progress::default());
    on_runtime(&progress, async {
        let stores = Stores::default();
        let archives = manifest::archives(&stores, half, std::slice::from_ref(source)).await?;
        Ok::<_, RunError>(archives.iter().map(dcmjoin_objects::Object::size).collect())
    })
}
