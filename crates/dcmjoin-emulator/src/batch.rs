//! S3 Batch Operations: jobs that ask for restores of the objects of a manifest.
//!
//! Sources: the S3 Control API reference (`CreateJob`, `DescribeJob`, `ListJobs`,
//! `UpdateJobStatus`), and the S3 user guide, "Restore objects (Batch Operations)" and
//! "Completion reports". A job is complete when its restores have been *asked for*. How long a
//! job takes is not documented; the times below are this program's.

mod api;
mod engine;
mod manifest;
mod report;
mod xml;

use std::time::Duration;

pub(crate) use api::Route;

use crate::class::Tier;
use crate::time::Time;

/// From creation to the first task: AWS reads and checks the manifest.
const PREPARE: Duration = Duration::from_mins(1);
/// How long a job works on the tasks of one step.
const STEP: Duration = Duration::from_secs(1);
/// Tasks of a step: no account asks for more restores a second.
const STEP_TASKS: usize = 1000;
/// From the last task to the report.
const REPORT: Duration = Duration::from_mins(1);
/// A job fails where more than half of at least so many tasks have failed.
const FAILING_FROM: usize = 1000;
/// Jobs that are remembered; `CreateJob` refuses more.
const JOBS_MAX: usize = 1000;

/// The states of a job that can be seen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Preparing,
    Suspended,
    Active,
    Completing,
    Complete,
    Cancelled,
    Failed,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Preparing => "Preparing",
            Self::Suspended => "Suspended",
            Self::Active => "Active",
            Self::Completing => "Completing",
            Self::Complete => "Complete",
            Self::Cancelled => "Cancelled",
            Self::Failed => "Failed",
        }
    }

    const fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Cancelled | Self::Failed)
    }
}

/// How the columns of a report's rows stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReportColumns {
    /// As in the user guide's example of a report: `HTTPStatusCode` before `ErrorCode`.
    #[default]
    AsInExample,
    /// As the report's own `ReportSchema` says: `ErrorCode` before `HTTPStatusCode`.
    AsInSchema,
}

/// An object of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Task {
    key: Box<str>,
    version: Option<Box<str>>,
}

/// How a task went.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    status: u16,
    /// S3's code, where the task failed.
    code: Option<Box<str>>,
}

impl Outcome {
    const fn succeeded(&self) -> bool {
        self.code.is_none()
    }
}

/// Why a job as a whole failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failure {
    code: &'static str,
    reason: &'static str,
}

#[derive(Debug)]
pub(crate) struct Job {
    id: String,
    created: Time,
    ended: Option<Time>,
    status: Status,
    request: xml::CreateJobRequest,
    tier: Tier,
    days: Option<u32>,
    /// The bucket of all its objects.
    bucket: String,
    tasks: Vec<Task>,
    /// As many as there are tasks that were worked on.
    outcomes: Vec<Outcome>,
    failed_count: usize,
    failure: Option<Failure>,
    reason: Option<String>,
}
