//! Sources to the archives of a campaign: listed, with their sizes and storage classes, in waves.
//!
//! A source is `s3://bucket/prefix` to list, or `@file` with one archive a line: `s3://bucket/key`,
//! or a row of S3 Batch Operations, `bucket,key` or `bucket,key,version` with the key URL-encoded.

use std::io::{BufRead as _, BufReader};

use dcmjoin_model::Half;
use dcmjoin_restore::class::StorageClass;
use dcmjoin_restore::task::Task;
use dcmjoin_restore::waves::WaveCutter;
use percent_encoding::percent_decode_str;

use crate::aws::{Aws, From};
use crate::error::Error;
use crate::ledger::{Archive, Ledger, Mode, Place};
use crate::listing::Listed;
use crate::spec::Spec;

/// The endings by which archives are found among other objects.
const ARCHIVE_ENDINGS: [&str; 6] = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.zstd"];
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
            let name = key.to_ascii_lowercase();
            if ARCHIVE_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
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
    let failed =
        |error: std::io::Error| Error::Invalid(format!("cannot read {file}: {}", error.kind()));
    let lines = BufReader::new(std::fs::File::open(file).map_err(failed)?).lines();
    for (at, line) in lines.enumerate() {
        let line = line.map_err(failed)?;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| Error::Invalid(format!("{file}:{}: {what}", at + 1));
        let place = place(line).ok_or_else(|| wrong("expected s3://bucket/key or bucket,key"))?;
        let (bytes, class) = size_and_class(aws, &place).await?.ok_or_else(|| {
            wrong(match place.version {
                Some(_) => "there is no such version, or s3:GetObjectVersion is missing",
                None => "there is no such object",
            })
        })?;
        filling.push(half, place, bytes, class)?;
    }
    Ok(())
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

fn place(line: &str) -> Option<Place> {
    if line.starts_with("s3://") {
        let (bucket, key) = parts(line).ok()?;
        return (!key.is_empty()).then_some(Place { bucket, key, version: None });
    }
    let mut fields = line.split(',').map(|field| field.trim_matches('"'));
    let (bucket, key) = (fields.next()?, fields.next()?.replace('+', " "));
    let version = fields.next().filter(|version| !version.is_empty()).map(str::to_owned);
    let key = percent_decode_str(&key).decode_utf8().ok()?.into_owned();
    Some(Place { bucket: bucket.to_owned(), key, version })
}

fn parts(source: &str) -> Result<(String, String), Error> {
    let rest = source.strip_prefix("s3://").filter(|rest| !rest.is_empty());
    let rest = rest
        .ok_or_else(|| Error::Invalid(format!("{source}: expected s3://bucket/prefix or @file")))?;
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    Ok((bucket.to_owned(), key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_forms_are_read() {
        let plain = place("s3://b/a b.tar").unwrap();
        assert_eq!((plain.bucket.as_str(), plain.key.as_str()), ("b", "a b.tar"));
        let row = place("b,a+b%2C.tar,v1").unwrap();
        assert_eq!((row.key.as_str(), row.version.as_deref()), ("a b,.tar", Some("v1")));
        assert_eq!(place("b"), None);
    }
}
