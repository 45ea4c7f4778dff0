//! The step *manifest*: sources to a list of archives.
//!
//! **Invariant:** the list is in the order of the archives' URLs and names each once, so the same
//! sources give the same list whatever their order.

use std::collections::HashSet;
use std::path::Path;

use dcmjoin_manifest::Place;
use dcmjoin_model::{Half, SopInstanceUid};
use dcmjoin_objects::{Location, Object, Stores};
use futures::{StreamExt, TryStreamExt};

use crate::catalog::Catalog;
use crate::config::{RunConfig, Source};
use crate::error::RunError;

/// The endings by which archives are found among other objects; an archive that is named by itself
/// may have any.
const ARCHIVE_ENDINGS: [&str; 6] = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.zstd"];

/// Listed archives that are looked at at the same time.
const LOOKS_AT_ONCE: usize = 32;

/// The longest list of UIDs, in bytes: ten million lines.
const LIST_BYTES_MAX: u64 = 1 << 30;

/// Returns whether an object's key or URL looks like an archive's.
#[must_use]
pub fn is_archive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ARCHIVE_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Lists the archives of one side.
///
/// # Errors
/// [`RunError::Store`] where a source cannot be listed, [`RunError::Invalid`] for a line of a
/// manifest that makes no sense, [`RunError::NoArchives`] where nothing is found.
pub async fn archives(
    stores: &Stores,
    half: Half,
    sources: &[Source],
) -> Result<Vec<Object>, RunError> {
    let mut archives = Vec::new();
    for source in sources {
        match source {
            Source::Location(location) => archives.extend(below(stores, location).await?),
            Source::Manifest(file) => archives.extend(named(stores, file).await?),
            Source::Listed(urls) => archives.extend(listed(stores, urls).await?),
        }
    }
    archives.sort_by(|a, b| a.url().cmp(b.url()));
    archives.dedup_by(|a, b| a.url() == b.url());
    if archives.is_empty() {
        let places: Vec<_> = sources.iter().map(ToString::to_string).collect();
        return Err(RunError::NoArchives { place: places.join(", ") });
    }
    tracing::info!(side = half.as_str(), archives = archives.len(), "archives listed");
    Ok(archives)
}

/// Returns the archives of both sides that sources name, the metadata's first; `None` where no
/// source does. Without a source of one side the other is read alone: campaigns and workers do so.
///
/// # Errors
/// As [`archives`].
pub async fn named_by_sources(
    stores: &Stores,
    config: &RunConfig,
) -> Result<Option<[Vec<Object>; 2]>, RunError> {
    if config.metadata.is_empty() && config.images.is_empty() {
        return Ok(None);
    }
    let mut sides = [const { Vec::new() }; 2];
    for (side, half, sources) in
        [(0, Half::Metadata, &config.metadata), (1, Half::Image, &config.images)]
    {
        if !sources.is_empty() {
            sides[side] = archives(stores, half, sources).await?;
        }
    }
    Ok(Some(sides))
}

/// Returns the archives of both sides that a catalogue names, of these only those that hold what
/// is asked for.
///
/// # Errors
/// [`RunError::Store`] where the catalogue cannot be read; [`RunError::Invalid`] where it names an
/// archive that is gone; [`RunError::Unknown`] where it knows nothing of what is asked for.
pub async fn named_by_catalog(
    stores: &Stores,
    config: &RunConfig,
    catalog: &Catalog,
) -> Result<[Vec<Object>; 2], RunError> {
    let [mut metadata, mut images] = [const { Vec::new() }; 2];
    for (half, url) in catalog.urls(config.only.as_ref()).await? {
        let object = match Stores::parts_of_version(&url) {
            Some((bucket, key, version)) => stores.s3_object(bucket, key, Some(version)).await?,
            None => one_by_any_name(stores, &url.parse()?).await?,
        };
        let missing = || RunError::Invalid {
            place: "the catalogue".to_owned(),
            detail: format!("it names an archive that is gone: {url}"),
        };
        match half {
            Half::Metadata => metadata.push(object.ok_or_else(missing)?),
            Half::Image => images.push(object.ok_or_else(missing)?),
        }
    }
    if metadata.is_empty() && images.is_empty() {
        return Err(RunError::Unknown);
    }
    Ok([metadata, images])
}

/// Returns the archives below a folder or prefix, or the one archive that the location names.
async fn below(stores: &Stores, location: &Location) -> Result<Vec<Object>, RunError> {
    if let Some(archive) = one(stores, location).await? {
        return Ok(vec![archive]);
    }
    let objects = stores.open(location)?.list().await?;
    Ok(objects.into_iter().filter(|object| is_archive(object.url())).collect())
}

/// Returns the object that a location names itself.
async fn one(stores: &Stores, location: &Location) -> Result<Option<Object>, RunError> {
    let (parent, key) = match location {
        Location::Local(path) if path.is_file() => {
            let parent = path.parent().unwrap_or(Path::new("."));
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (Location::Local(parent.to_owned()), name)
        }
        Location::Cloud(url) => {
            if !is_archive(url.path()) {
                return Ok(None);
            }
            let text = url.as_str();
            let (parent, key) = text.rsplit_once('/').unwrap_or((text, ""));
            (parent.parse()?, key.to_owned())
        }
        _ => return Ok(None),
    };
    Ok(stores.open(&parent)?.object(&key).await?)
}

/// Returns the archives that a manifest names: a list, CSV, JSON lines or an S3 Inventory.
async fn named(stores: &Stores, file: &Path) -> Result<Vec<Object>, RunError> {
    let mut archives = Vec::new();
    for entry in dcmjoin_manifest::open(file)? {
        let entry = entry?;
        let invalid = |detail: String| RunError::Invalid {
            place: format!("{}:{}", file.display(), entry.line),
            detail,
        };
        let archive = match &entry.place {
            Place::Object { bucket, key } => {
                stores.s3_object(bucket, key, entry.version.as_deref()).await?
            }
            Place::Location(_) if entry.version.is_some() => {
                return Err(invalid("a version needs a bucket and a key beside it".to_owned()));
            }
            Place::Location(line) => {
                let location = line.parse();
                let location = location
                    .map_err(|error: dcmjoin_objects::Error| invalid(error.detail.clone()))?;
                one_by_any_name(stores, &location).await?
            }
        };
        archives.push(archive.ok_or_else(|| invalid("no such archive".to_owned()))?);
    }
    Ok(archives)
}

/// Returns the objects of URLs, several at a time.
async fn listed(stores: &Stores, urls: &[String]) -> Result<Vec<Object>, RunError> {
    futures::stream::iter(urls.to_vec())
        .map(|url| listed_one(stores, url))
        .buffer_unordered(LOOKS_AT_ONCE)
        .try_collect()
        .await
}

async fn listed_one(stores: &Stores, url: String) -> Result<Object, RunError> {
    let gone = || RunError::Invalid {
        place: "the list of archives".to_owned(),
        detail: "it names an archive that is gone".to_owned(),
    };
    one_by_any_name(stores, &url.parse()?).await?.ok_or_else(gone)
}

/// Returns the object that a line of a manifest names, whatever its ending.
pub(crate) async fn one_by_any_name(
    stores: &Stores,
    location: &Location,
) -> Result<Option<Object>, RunError> {
    if let Location::Cloud(url) = location {
        let (parent, key) = url.as_str().rsplit_once('/').unwrap_or((url.as_str(), ""));
        return Ok(stores.open(&parent.parse()?)?.object(key).await?);
    }
    one(stores, location).await
}

/// Reads a list of UIDs, one a line.
///
/// # Errors
/// [`RunError::Io`] where the file cannot be read, [`RunError::Invalid`] with the line that is not
/// a UID.
pub fn uids(file: &Path) -> Result<HashSet<SopInstanceUid>, RunError> {
    lines(file)?
        .into_iter()
        .map(|(number, line)| {
            SopInstanceUid::parse(&line).map_err(|error| RunError::Invalid {
                place: format!("{}:{number}", file.display()),
                detail: error.to_string(),
            })
        })
        .collect()
}

/// Returns the lines of a list with their numbers, without comments (`#`) and empty ones.
fn lines(file: &Path) -> Result<Vec<(usize, String)>, RunError> {
    let failed = |error| RunError::io("read", file.display().to_string())(error);
    let bytes = std::fs::metadata(file).map_err(failed)?.len();
    if bytes > LIST_BYTES_MAX {
        let detail = format!("expected at most {LIST_BYTES_MAX} bytes, got {bytes}");
        return Err(RunError::Invalid { place: file.display().to_string(), detail });
    }
    let text = std::fs::read_to_string(file).map_err(failed)?;
    let numbered = text.trim_start_matches('\u{feff}').lines().enumerate();
    Ok(numbered
        .map(|(at, line)| (at + 1, line.trim().to_owned()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sources_in_any_order_give_the_same_list() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.tar", "a.tar.gz", "notes.txt", "c.TGZ"] {
            std::fs::write(dir.path().join(name), b"").unwrap();
        }
        let manifest = dir.path().join("manifest");
        let line = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(
            &manifest,
            format!("# archives\n\n{}\n{}\n", line("notes.txt"), line("b.tar")),
        )
        .unwrap();
        let folder: Source = dir.path().display().to_string().parse().unwrap();
        let listed: Source = format!("@{}", manifest.display()).parse().unwrap();
        let mut lists = Vec::new();
        for sources in [[folder.clone(), listed.clone()], [listed, folder]] {
            let archives = archives(&Stores::default(), Half::Image, &sources).await.unwrap();
            lists
                .push(archives.iter().map(|archive| archive.url().to_string()).collect::<Vec<_>>());
        }
        assert_eq!(lists[0], ["a.tar.gz", "b.tar", "c.TGZ", "notes.txt"].map(line));
        assert_eq!(lists[0], lists[1]);
    }

    #[tokio::test]
    async fn a_line_that_names_nothing_is_told_by_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = dir.path().join("manifest");
        std::fs::write(&manifest, "\n/nowhere/x.tar\n").unwrap();
        let source = Source::Manifest(manifest);
        let error = archives(&Stores::default(), Half::Image, &[source]).await.unwrap_err();
        assert!(error.to_string().contains("manifest:2"), "{error}");
    }

    #[test]
    fn uid_lists_name_the_line_that_is_wrong() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "1.2.3\r\n# comment\n2.25.4\n").unwrap();
        assert_eq!(uids(file.path()).unwrap().len(), 2);
        std::fs::write(file.path(), "1.2.3\nfour\n").unwrap();
        assert!(uids(file.path()).unwrap_err().to_string().contains(":2"));
    }
}
