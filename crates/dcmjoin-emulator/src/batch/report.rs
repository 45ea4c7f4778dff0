//! Completion reports: what was asked for, and what of it was refused.

use s3s::crypto::{Checksum as _, Md5};
use serde_json::json;

use super::{Job, Outcome, ReportColumns, Task, manifest};
use crate::class::StorageClass;
use crate::event::{form_encoded, uuid};
use crate::object::Hex;
use crate::world::World;

const SCHEMA: &str = "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage";

/// Writes a job's report, if it has one. A bucket that is not there gets none, and nobody is told.
pub(super) fn write(world: &mut World, job: &Job) {
    let report = &job.request.report;
    let Some(bucket) = report.bucket.as_deref().filter(|_| report.enabled) else { return };
    let bucket = bucket.strip_prefix("arn:aws:s3:::").unwrap_or(bucket);
    let prefix = report.prefix.as_deref().filter(|prefix| !prefix.is_empty());
    let folder = match prefix {
        Some(prefix) => format!("{prefix}/job-{}", job.id),
        None => format!("job-{}", job.id),
    };
    let all = report.scope.as_deref() != Some("FailedTasksOnly");
    let mut results = Vec::new();
    for (succeeded, name) in [(true, "succeeded"), (false, "failed")] {
        let text = rows(world.options.report_columns, job, succeeded);
        if text.is_empty() || (succeeded && !all) {
            continue;
        }
        let file = uuid(world.row.draw()).replace('-', "");
        let key = format!("{folder}/results/{file}.csv");
        results.push(json!({
            "TaskExecutionStatus": name,
            "Bucket": bucket,
            "MD5Checksum": Hex(&Md5::checksum(text.as_bytes())).to_string(),
            "Key": key,
        }));
        let _ = world.put(bucket, &key, text.into_bytes().into(), StorageClass::Standard);
    }
    let manifest = json!({
        "Format": "Report_CSV_20180820",
        "ReportCreationDate": world.now.rfc3339_millis(),
        "Results": results,
        "ReportSchema": SCHEMA,
    });
    let key = format!("{folder}/manifest.json");
    let text = manifest.to_string().into_bytes();
    let md5 = Hex(&Md5::checksum(&text)).to_string().into_bytes();
    let _ = world.put(bucket, &key, text.into(), StorageClass::Standard);
    let key = format!("{folder}/manifest.json.md5");
    let _ = world.put(bucket, &key, md5.into(), StorageClass::Standard);
}

fn rows(columns: ReportColumns, job: &Job, succeeded: bool) -> String {
    let done = job.tasks.iter().zip(&job.outcomes);
    let done = done.filter(|(_, outcome)| outcome.succeeded() == succeeded);
    done.map(|(task, outcome)| row(columns, &job.bucket, task, outcome)).collect()
}

fn row(columns: ReportColumns, bucket: &str, task: &Task, outcome: &Outcome) -> String {
    let key = form_encoded(&task.key);
    let version = task.version.as_deref().unwrap_or_default();
    let status = outcome.status.to_string();
    let code = outcome.code.as_deref().unwrap_or_default();
    let (first, second) = match columns {
        ReportColumns::AsInExample => (status.as_str(), code),
        ReportColumns::AsInSchema => (code, status.as_str()),
    };
    let (word, message) =
        if outcome.succeeded() { ("succeeded", "Successful") } else { ("failed", "Failed") };
    format!("{bucket},{key},{version},{word},{first},{second},{message}\n")
}

/// Returns true where a report can be written to the bucket that is named.
pub(super) fn has_bucket(world: &World, arn: &str) -> bool {
    let bucket = arn.strip_prefix("arn:aws:s3:::").unwrap_or(arn);
    debug_assert!(manifest::place(arn).is_none(), "a bucket's ARN has no key");
    world.buckets.contains_key(bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_as_asked() {
        let task = Task { key: "a b".into(), version: None };
        let failed = Outcome { status: 409, code: Some("RestoreAlreadyInProgress".into()) };
        assert_eq!(
            row(ReportColumns::AsInExample, "b", &task, &failed),
            "b,a+b,,failed,409,RestoreAlreadyInProgress,Failed\n"
        );
        let succeeded = Outcome { status: 202, code: None };
        assert_eq!(
            row(ReportColumns::AsInSchema, "b", &task, &succeeded),
            "b,a+b,,succeeded,,202,Successful\n"
        );
    }
}
