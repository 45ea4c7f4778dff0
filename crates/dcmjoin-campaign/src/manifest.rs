//! Sources to the archives of a campaign: listed, with their sizes and storage classes, in waves.
//!
//! A source is `s3://bucket/prefix` to list, or `@file`: a manifest in any of the forms of
//! [`dcmjoin_manifest`]. Only of rows that lack size or storage class is S3 asked.

use std::path::Path;

use dcmjoin_manifest::Entry;
use dcmjoin_model::Half;
use dcmjoin_pipeline::manifest::is_archive;
use dcmjoin_restore::class::StorageClass;
use dcmjoin_restore::task::Task;
use dcmjoin_restore::waves::WaveCutter;

use crate::aws::{Aws, From};
use crate::error::Error;
use crate::ledger::{Archive, Ledger, Mode, Place};
use crate::listing::Listed;
use crate::spec::Spec;

/// Archives that are written down at once.
const PAGE: usize = 1_000;

/// Finds the archives of a campaign and writes them down; then it is a draft no more. Returns how
/// many were found.
///
/// # Errors
/// [`Error::Service`] where a source cannot be listed, [`Error::Invalid`] where it makes no sense or
/// holds no archive.
pub async fn fill(ledger: &dyn Ledger, aws: &Aws, spec: &Spec) -> Result<u64, Error> {
    let mut filling =
        Filling { ledger, cutter: WaveCutter::new(spec.wave_bytes), page: Vec::new(), found: 0 };
    for (half, sources) in [(Half::Metadata, &spec.metadata), (Half::Image, &spec.images)] {
        let before = filling.found;
        for source in sources {
            match source.strip_prefix('@') {
                Some(file) => named(&mut filling, aws, half, file).await?,
                None => listed(&mut filling, aws, half, source).await?,
            }
        }
        if filling.found == before {
            return Err(Error::Invalid(format!("no {half} archive was found")));
        }
    }
    filling.write()?;
    ledger.set_mode(Mode::Active, None)?;
    Ok(filling.found)
}

struct Filling<'a> {
    ledger: &'a dyn Ledger,
    cutter: WaveCutter,
    page: Vec<Archive>,
    found: u64,
}

impl Filling<'_> {
    fn push(
        &mut self,
        half: Half,
        place: Place,
        bytes: u64,
        class: StorageClass,
    ) -> Result<(), Error> {
        let (wave, _) =
            self.cutter.push(half, bytes).map_err(|error| Error::Invalid(error.to_string()))?;
        self.page.push(Archive { id: 0, half, wave, place, bytes, task: Task::new(class) });
        self.found += 1;
        if self.page.len() == PAGE { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Error> {
        self.ledger.add(&self.page)?;
        self.page.clear();
        Ok(())
    }
}

async fn listed(
    filling: &mut Filling<'_>,
    aws: &Aws,
    half: Half,
    source: &str,
) -> Result<(), Error> {
    let (bucket, prefix) = parts(source)?;
    let mut token = None;
    loop {
        let from = token.as_deref().map_or(From::Begin, From::Token);
        let (page, _) = aws.list(&bucket, &prefix, from).await?;
        for Listed { key, bytes, class, .. } in page.objects {
            if is_archive(&key) {
                let place = Place { bucket: bucket.clone(), key, version: None };
                filling.push(half, place, bytes, class)?;
            }
        }
        token = page.next;
        if token.is_none() {
            return Ok(());
        }
    }
}

async fn named(filling: &mut Filling<'_>, aws: &Aws, half: Half, file: &str) -> Result<(), Error> {
    for entry in dcmjoin_manifest::open(Path::new(file)).map_err(|error| unreadable(&error))? {
        let entry = entry.map_err(|error| unreadable(&error))?;
        let wrong = |what: &str| Error::Invalid(format!("{file}:{}: {what}", entry.line));
        let place = place(&entry).ok_or_else(|| wrong("expected an object of a bucket"))?;
        let class = entry.storage_class.as_deref().map(StorageClass::from_aws);
        let told = match (entry.bytes, class) {
            (Some(bytes), Some(Ok(class))) => Some((bytes, class)),
            _ => size_and_class(aws, &place).await?,
        };
        let (bytes, class) = told.ok_or_else(|| {
            wrong(match place.version {
                Some(_) => "there is no such version, or s3:GetObjectVersion is missing",
                None => "there is no such object",
            })
        })?;
        filling.push(half, place, bytes, class)?;
    }
    Ok(())
}

fn unreadable(error: &dcmjoin_manifest::Error) -> Error {
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    Error::Invalid(format!("{error}{hint}"))
}

/// Listings know current versions only; others are looked at one by one.
async fn size_and_class(aws: &Aws, place: &Place) -> Result<Option<(u64, StorageClass)>, Error> {
    if place.version.is_some() {
        return Ok(aws.head_whole(place).await.map(|(sighting, bytes)| (bytes, sighting.class)));
    }
    let (page, _) = aws.list(&place.bucket, &place.key, From::Begin).await?;
    let object = page.objects.into_iter().find(|object| object.key == place.key);
    Ok(object.map(|object| (object.bytes, object.class)))
}

fn place(entry: &Entry) -> Option<Place> {
    let (bucket, key) = match &entry.place {
        dcmjoin_manifest::Place::Object { bucket, key } => (bucket.clone(), key.clone()),
        dcmjoin_manifest::Place::Location(url) => parts(url).ok()?,
    };
    (!key.is_empty()).then(|| Place { bucket, key, version: entry.version.clone() })
}

fn parts(source: &str) -> Result<(String, String), Error> {
    let rest = source.strip_prefix("s3://").filter(|rest| !rest.is_empty());
    let rest = rest
        .ok_or_else(|| Error::Invalid(format!("{source}: expected s3://bucket/prefix or @file")))?;
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    Ok((bucket.to_owned(), key.to_owned()))
}
