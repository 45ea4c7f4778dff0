//! How the orchestrator waits: in real time, or on a clock that a rehearsal moves.

use std::time::Duration;

use async_trait::async_trait;
use dcmjoin_restore::moment::Moment;
use tokio::sync::watch;

/// The longest wait, where nobody says: a pause that a person asks for is seen by then.
const WAIT_MAX: Duration = Duration::from_secs(20);
const WAIT_MIN: Duration = Duration::from_secs(1);

/// Tells whether a scan has ended: true once it has.
pub type ScanEnd = watch::Receiver<bool>;

/// How an orchestrator waits.
#[async_trait]
pub trait Clockwork: Send + Sync {
    /// Waits until `wake` or for a while, whichever is first; or until a scan ends.
    async fn wait(&self, now: Moment, wake: Option<Moment>, scan: Option<ScanEnd>);

    /// Returns before when the result of a scan does not count that began at `begun` and is forecast
    /// to take so many seconds; `None` where it counts at once.
    fn scan_counts_from(&self, begun: Moment, secs: u64) -> Option<Moment>;
}

/// The world's own time.
#[derive(Debug, Clone, Copy)]
pub struct RealTime {
    /// The longest wait; the queue is asked at least that often.
    pub wait_max: Duration,
}

impl Default for RealTime {
    fn default() -> Self {
        Self { wait_max: WAIT_MAX }
    }
}

#[async_trait]
impl Clockwork for RealTime {
    async fn wait(&self, now: Moment, wake: Option<Moment>, scan: Option<ScanEnd>) {
        let longest = self.wait_max.max(WAIT_MIN);
        let until = wake.map_or(longest, |wake| Duration::from_secs(now.secs_until(wake)));
        let sleep = tokio::time::sleep(until.clamp(WAIT_MIN, longest));
        match scan {
            None => sleep.await,
            Some(mut scan) => tokio::select! {
                () = sleep => {}
                _ = scan.wait_for(|ended| *ended) => {}
            },
        }
    }

    fn scan_counts_from(&self, _: Moment, _: u64) -> Option<Moment> {
        None
    }
}
