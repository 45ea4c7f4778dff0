//! How an emulator is set up.

use std::fmt;
use std::time::SystemTime;

use crate::batch::ReportColumns;
use crate::class::Latencies;
use crate::restore::DaysFrom;
use crate::time::Time;

/// How an emulator is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the clock shows at the start. Default: the real time.
    pub start: Time,
    /// Virtual seconds a real second. Default: zero, a clock that is moved by hand.
    pub factor: f64,
    /// From which all chance follows.
    pub seed: u64,
    /// The port on the loopback; zero, the default, for a free one.
    pub port: u16,
    /// Who may ask.
    pub access: Access,
    /// How long retrievals take.
    pub latencies: Latencies,
    /// From when the days of a copy count.
    pub days_from: DaysFrom,
    /// How many restore requests are taken. Default: 1,000 a real second, as S3 does.
    pub restore_rate: Option<Rate>,
    /// As whom messages are sent to queues of other servers.
    pub forward_as: KeyPair,
    /// How the rows of batch jobs' reports are written.
    pub report_columns: ReportColumns,
    /// By which time queues hide and keep messages.
    pub queue_time: TimeKind,
    /// How many bytes of uploads are held in memory. Default: 1 GiB. What would be more is
    /// refused with a 500.
    pub memory_bytes_max: u64,
    /// Where uploads of more than 1 MiB are kept instead, in a folder of its own that is removed
    /// at the end. Default: none, all in memory.
    pub spool: Option<std::path::PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            start: SystemTime::now().into(),
            factor: 0.0,
            seed: 0,
            port: 0,
            access: Access::default(),
            latencies: Latencies::default(),
            days_from: DaysFrom::default(),
            restore_rate: Some(Rate { per_second: 1000, time: TimeKind::Real }),
            forward_as: KeyPair::new("test-key", "test-secret"),
            report_columns: ReportColumns::default(),
            queue_time: TimeKind::Virtual,
            memory_bytes_max: 1 << 30,
            spool: None,
        }
    }
}

/// Whose seconds count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeKind {
    /// Those of the emulator's clock.
    Virtual,
    /// Those of the machine's.
    Real,
}

/// So many a second; as many again can come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub per_second: u32,
    /// Of which second.
    pub time: TimeKind,
}

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Holders of these keys; every request must be signed (Signature Version 4).
    Keys(Vec<KeyPair>),
    /// Everybody, signed or not.
    Open,
}

impl Default for Access {
    fn default() -> Self {
        Self::Keys(vec![KeyPair::new("test-key", "test-secret")])
    }
}

/// An access key and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
    /// What temporary credentials bring with them (`x-amz-security-token`).
    pub session_token: Option<String>,
    /// From when on they are refused with `ExpiredToken`.
    pub expires: Option<Time>,
}

impl KeyPair {
    /// Returns credentials that last.
    #[must_use]
    pub fn new(access_key: &str, secret_key: &str) -> Self {
        let (access_key, secret_key) = (access_key.into(), secret_key.into());
        Self { access_key, secret_key, session_token: None, expires: None }
    }

    /// Returns credentials of a session, which end.
    #[must_use]
    pub fn session(access_key: &str, secret_key: &str, token: &str, expires: Time) -> Self {
        let session_token = Some(token.into());
        Self { session_token, expires: Some(expires), ..Self::new(access_key, secret_key) }
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("expires", &self.expires).finish_non_exhaustive()
    }
}
