//! Shelves of both kinds, empty, and what is put into them.

use dcmjoin_campaign::Spec;
use dcmjoin_campaign::files::Files;
use dcmjoin_campaign::ledger::{Archive, Ledger, Mode, Place, Shelf};
use dcmjoin_campaign_postgres::Database;
use dcmjoin_model::Half;
use dcmjoin_restore::class::{StorageClass, Tier};
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::task::{Input, Policy, Setting, Task};
use std::sync::Arc;

/// Sets a campaign's last heartbeat back by seconds.
pub(crate) type Age = Box<dyn Fn(&str, i64)>;

/// A shelf, and how its database's clock is moved for a lease.
pub(crate) struct Kept {
    pub(crate) shelf: Box<dyn Shelf>,
    /// Lets so many seconds pass since the last heartbeat of a campaign.
    pub(crate) age: Age,
}

/// Runs a law on an empty folder, and on an empty database.
pub(crate) fn on_each(law: impl Fn(&Kept)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    law(&Kept {
        shelf: Box::new(Files::Folder(path.clone())),
        age: Box::new(move |name, secs| {
            let file = rusqlite::Connection::open(path.join(format!("{name}.db"))).unwrap();
            file.execute("UPDATE campaign SET beat = beat - ?1", [secs]).unwrap();
        }),
    });
    let database = dcmjoin_testkit::Database::create().unwrap();
    let shelf = Database::at(database.url()).unwrap();
    law(&Kept {
        shelf: Box::new(shelf),
        age: Box::new(move |name, secs| {
            let sql = format!(
                "UPDATE dcmjoin_campaign SET beat = beat - {secs} * interval '1 second'
                 WHERE name = '{name}'"
            );
            database.sql(&sql).unwrap();
        }),
    });
}

pub(crate) fn spec() -> Spec {
    Spec {
        batch: None,
        keep: None,
        metadata: vec!["s3://archive/metadata/".into()],
        images: vec!["s3://archive/images/".into()],
        output: "s3://output/out".into(),
        region: "us-east-1".into(),
        queue: None,
        policy: Policy { tier: Tier::Bulk, ..Policy::default() },
        wave_bytes: 1 << 40,
        waves_ahead: Some(2),
        bytes_per_sec: 50_000_000,
        restores_per_sec: 1_000,
        budget: None,
        prices: None,
    }
}

pub(crate) fn place(key: &str, version: Option<&str>) -> Place {
    Place { bucket: "archive".into(), key: key.into(), version: version.map(str::to_owned) }
}

pub(crate) fn archive(half: Half, wave: u64, key: &str) -> Archive {
    let task = Task::new(StorageClass::Glacier);
    Archive { id: 0, half, wave, place: place(key, None), bytes: 1_000, task }
}

/// Makes a campaign of one metadata archive and so many of images, two a wave.
pub(crate) fn campaign(shelf: &dyn Shelf, name: &str, images: u64) -> Arc<dyn Ledger> {
    let ledger = shelf.create(name, &spec()).unwrap();
    let mut archives = vec![archive(Half::Metadata, 0, "metadata/0.tar")];
    archives
        .extend((0..images).map(|n| archive(Half::Image, 1 + n / 2, &format!("images/{n}.tar"))));
    ledger.add(&archives).unwrap();
    ledger.set_mode(Mode::Active, None).unwrap();
    ledger
}

/// Has an archive's restore asked for.
pub(crate) fn started(archive: &Archive, now: Moment) -> (Archive, Option<Moment>) {
    let policy = Policy::default();
    let setting = Setting { policy: &policy, now, scan_secs: 10 };
    let task = archive.task.step(&setting, &Input::Start).task;
    let due = task.wake(&setting);
    (Archive { task, ..archive.clone() }, due)
}
