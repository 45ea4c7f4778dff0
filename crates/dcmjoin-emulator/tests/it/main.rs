//! The emulator as its clients see it.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail with it")]

mod batch;
mod faults;
mod foreign;
mod objects;
mod queues;
mod restores;

use std::time::Duration;

use dcmjoin_emulator::{Body, Emulator, Options, StorageClass, Time};
use dcmjoin_testkit::{Access, Answer, Ask};

/// When the tests' clocks start.
const START: &str = "2026-03-10T09:30:00Z";
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// An emulator whose clock stands, with a bucket, and a client of it.
struct Scene {
    emulator: Emulator,
    client: Access,
}

impl Scene {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let options = Options { start: at(START), ..options };
        let emulator = Emulator::start(options).unwrap();
        let host = emulator.address().to_string();
        let client = Access::new(&host, "test-key", "test-secret");
        emulator.storage().create_bucket("archive").unwrap();
        Self { emulator, client }
    }

    /// Returns a scene with one archived object.
    fn archived() -> Self {
        let scene = Self::new();
        scene.put("a.tar", "0123456789", StorageClass::Glacier);
        scene
    }

    fn put(&self, key: &str, body: impl Into<Body>, class: StorageClass) {
        self.emulator.storage().put("archive", key, body, class).unwrap();
    }

    fn send(&self, ask: &Ask<'_>) -> Answer {
        self.client.send(ask).unwrap()
    }

    fn get(&self, key: &str) -> Answer {
        self.get_with(key, &[])
    }

    fn get_with(&self, key: &str, headers: &[(&str, &str)]) -> Answer {
        let path = format!("/archive/{key}");
        self.send(&Ask { path: &path, headers, ..Ask::default() })
    }

    fn head(&self, key: &str) -> Answer {
        let path = format!("/archive/{key}");
        self.send(&Ask { method: "HEAD", path: &path, ..Ask::default() })
    }

    fn restore(&self, key: &str, tier: &str, days: u32) -> Answer {
        self.restore_version(key, None, tier, days)
    }

    fn restore_version(&self, key: &str, version: Option<&str>, tier: &str, days: u32) -> Answer {
        let days = if days == 0 { String::new() } else { format!("<Days>{days}</Days>") };
        let body = format!(
            "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{days}\
             <GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters></RestoreRequest>"
        );
        let path = format!("/archive/{key}");
        let mut query = vec![("restore", "")];
        query.extend(version.map(|version| ("versionId", version)));
        let body = body.as_bytes();
        self.send(&Ask { method: "POST", path: &path, query: &query, body, ..Ask::default() })
    }

    fn advance(&self, duration: Duration) {
        self.emulator.clock().advance(duration);
    }
}

fn at(text: &str) -> Time {
    Time::parse(text).unwrap()
}

/// Checks the status and the code of a refusal.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.element("Code").as_deref(), Some(code), "{}", answer.text());
}
