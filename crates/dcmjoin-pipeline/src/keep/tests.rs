use super::*;

use crate::budget::Budget;
use crate::source::Reading;

/// An archive on a folder, and where its copy goes.
struct Bench {
    folder: tempfile::TempDir,
    archive: Object,
    keep: Keep,
}

const BYTES: usize = 40 << 20;

fn body(seed: u8) -> Vec<u8> {
    (0..BYTES).map(|at| (at / 4_099) as u8 ^ seed).collect()
}

fn root(folder: &std::path::Path) -> Root {
    Stores::default().open(&folder.display().to_string().parse().unwrap()).unwrap()
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["from", "to"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let keep = Keep::new(root(&folder.path().join("to")));
        let archive = Self::put(&folder, 0).await;
        Self { folder, archive, keep }
    }

    async fn put(folder: &tempfile::TempDir, seed: u8) -> Object {
        let file = folder.path().join("from/a.tar");
        std::fs::write(&file, body(seed)).unwrap();
        root(&folder.path().join("from")).list().await.unwrap().remove(0)
    }

    fn copy(&self) -> std::path::PathBuf {
        self.folder.path().join("to").join(Keep::key(&self.archive))
    }

    /// Reads so many ranges of the archive, as a scan does that ends there.
    async fn stream(&self, ranges: usize) {
        let reading = Reading {
            // Room for what a scan holds, and no more.
            ranges: Budget::new(3 << 20),
            pieces: Budget::new(3 << 20),
            range_bytes: 1 << 20,
            ratio_max: 10,
            keep: Some(self.keep.clone()),
        };
        let mut plain = reading.open(&self.archive).await.unwrap().stream;
        let mut at = 0;
        let expected = std::fs::read(self.folder.path().join("from/a.tar")).unwrap();
        for _ in 0..ranges {
            let Some(bytes) = plain.next().await else { break };
            let bytes = bytes.unwrap();
            assert!(expected[at..].starts_with(&bytes), "at {at}");
            at += bytes.len();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_streams_past_is_kept() {
    let bench = Bench::new().await;
    bench.stream(usize::MAX).await;
    assert!(bench.keep.counts(&bench.archive).await.unwrap());
    assert_eq!(std::fs::read(bench.copy()).unwrap(), body(0));

    // A second time nothing is written.
    let before = std::fs::metadata(bench.copy()).unwrap().modified().unwrap();
    bench.stream(usize::MAX).await;
    bench.keep.ensure(&bench.archive).await.unwrap();
    assert_eq!(std::fs::metadata(bench.copy()).unwrap().modified().unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_ends_early_leaves_nothing_and_the_copy_is_made_after_it() {
    let bench = Bench::new().await;
    bench.stream(30).await;
    assert!(!bench.copy().exists(), "half a copy is visible");
    assert!(!bench.keep.counts(&bench.archive).await.unwrap());
    bench.keep.ensure(&bench.archive).await.unwrap();
    assert!(bench.keep.counts(&bench.archive).await.unwrap());
    assert_eq!(std::fs::read(bench.copy()).unwrap(), body(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_compared_or_is_of_another_version_does_not_count() {
    let mut bench = Bench::new().await;
    bench.keep.ensure(&bench.archive).await.unwrap();
    // Killed before its mark was written.
    let mark = bench.folder.path().join("to").join(Keep::mark_key(&bench.archive));
    std::fs::remove_file(&mark).unwrap();
    assert!(!bench.keep.counts(&bench.archive).await.unwrap());
    bench.keep.ensure(&bench.archive).await.unwrap();
    // The archive was replaced.
    bench.archive = Bench::put(&bench.folder, 7).await;
    assert!(!bench.keep.counts(&bench.archive).await.unwrap());
    bench.keep.ensure(&bench.archive).await.unwrap();
    assert_eq!(std::fs::read(bench.copy()).unwrap(), body(7));
    // The copy was cut short.
    std::fs::OpenOptions::new().write(true).open(bench.copy()).unwrap().set_len(9).unwrap();
    assert!(!bench.keep.counts(&bench.archive).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_differs_is_removed() {
    let bench = Bench::new().await;
    let mut copying = bench.keep.begin(&bench.archive).await.unwrap();
    let mut wrong = body(0);
    wrong[BYTES / 2] ^= 1;
    copying.push(&wrong.into()).await.unwrap();
    copying.crc32c = crc32c::crc32c(&body(0));
    let error = bench.keep.end(&bench.archive, copying).await.unwrap_err();
    assert!(matches!(error, KeepError::Differs { .. }), "{error}");
    assert!(!bench.copy().exists());
    assert!(!bench.keep.counts(&bench.archive).await.unwrap());
}
