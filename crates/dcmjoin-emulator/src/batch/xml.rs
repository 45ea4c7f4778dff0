//! The documents of the S3 Control API.

use std::fmt::Write as _;

use quick_xml::escape::escape;
use serde::Deserialize;

use super::Job;
use crate::event::{ACCOUNT, REGION};

const NAMESPACE: &str = "http://awss3control.amazonaws.com/doc/2018-08-20/";

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateJobRequest {
    #[serde(default)]
    pub(super) confirmation_required: bool,
    pub(super) operation: Operation,
    pub(super) report: Report,
    pub(super) client_request_token: String,
    pub(super) manifest: Manifest,
    #[serde(default)]
    pub(super) description: String,
    pub(super) priority: i32,
    pub(super) role_arn: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Operation {
    #[serde(rename = "S3InitiateRestoreObject")]
    pub(super) restore: Option<Restore>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Restore {
    pub(super) expiration_in_days: Option<u32>,
    pub(super) glacier_job_tier: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Report {
    pub(super) enabled: bool,
    pub(super) bucket: Option<String>,
    pub(super) prefix: Option<String>,
    #[serde(rename = "ReportScope")]
    pub(super) scope: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Manifest {
    pub(super) spec: Spec,
    pub(super) location: Location,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Spec {
    pub(super) format: String,
    #[serde(default)]
    pub(super) fields: Fields,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    pub(super) member: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Location {
    pub(super) object_arn: String,
    #[serde(rename = "ETag")]
    pub(super) tag: String,
}

/// Wraps a document's content in its root.
pub(super) fn document(root: &str, content: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><{root} xmlns=\"{NAMESPACE}\">{content}</{root}>"
    )
}

/// Writes elements, one behind the other.
#[derive(Default)]
pub(super) struct Elements(String);

impl Elements {
    pub(super) fn text(mut self, name: &str, text: &str) -> Self {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "<{name}>{}</{name}>", escape(text));
        self
    }

    pub(super) fn inner(mut self, name: &str, inner: &Self) -> Self {
        let _ = write!(self.0, "<{name}>{}</{name}>", inner.0);
        self
    }

    pub(super) fn end(self) -> String {
        self.0
    }
}

fn counts(job: &Job) -> Elements {
    let succeeded = job.outcomes.len() - job.failed_count;
    Elements::default()
        .text("TotalNumberOfTasks", &job.tasks.len().to_string())
        .text("NumberOfTasksSucceeded", &succeeded.to_string())
        .text("NumberOfTasksFailed", &job.failed_count.to_string())
}

/// Returns a job as `DescribeJob` has it.
pub(super) fn described(job: &Job) -> Elements {
    let request = &job.request;
    let mut restore = Elements::default();
    if let Some(days) = job.days {
        restore = restore.text("ExpirationInDays", &days.to_string());
    }
    restore = restore.text("GlacierJobTier", &job.tier.name().to_uppercase());
    let fields = &request.manifest.spec.fields.member;
    let members = fields.iter().fold(Elements::default(), |all, field| all.text("member", field));
    let location = Elements::default()
        .text("ObjectArn", &request.manifest.location.object_arn)
        .text("ETag", &request.manifest.location.tag);
    let spec =
        Elements::default().text("Format", &request.manifest.spec.format).inner("Fields", &members);
    let mut report = Elements::default().text("Enabled", &request.report.enabled.to_string());
    if let (true, Some(bucket)) = (request.report.enabled, &request.report.bucket) {
        report = report
            .text("Bucket", bucket)
            .text("Format", "Report_CSV_20180820")
            .text("Prefix", request.report.prefix.as_deref().unwrap_or_default())
            .text("ReportScope", request.report.scope.as_deref().unwrap_or("AllTasks"));
    }
    let mut all = Elements::default()
        .text("JobId", &job.id)
        .text("ConfirmationRequired", &request.confirmation_required.to_string())
        .text("Description", &request.description)
        .text("JobArn", &format!("arn:aws:s3:{REGION}:{ACCOUNT}:job/{}", job.id))
        .text("Status", job.status.name())
        .inner("Manifest", &Elements::default().inner("Spec", &spec).inner("Location", &location))
        .inner("Operation", &Elements::default().inner("S3InitiateRestoreObject", &restore))
        .text("Priority", &request.priority.to_string())
        .inner("ProgressSummary", &counts(job))
        .inner("Report", &report)
        .text("CreationTime", &job.created.rfc3339_millis())
        .text("RoleArn", &request.role_arn);
    if let Some(reason) = &job.reason {
        all = all.text("StatusUpdateReason", reason);
    }
    if let Some(ended) = job.ended {
        all = all.text("TerminationDate", &ended.rfc3339_millis());
    }
    if let Some(failure) = job.failure {
        let reason = Elements::default()
            .text("FailureCode", failure.code)
            .text("FailureReason", failure.reason);
        all = all.inner("FailureReasons", &Elements::default().inner("member", &reason));
    }
    all
}

/// Returns a job as `ListJobs` has it.
pub(super) fn listed(job: &Job) -> Elements {
    let mut all = Elements::default()
        .text("JobId", &job.id)
        .text("Description", &job.request.description)
        .text("Operation", "S3InitiateRestoreObject")
        .text("Priority", &job.request.priority.to_string())
        .text("Status", job.status.name())
        .text("CreationTime", &job.created.rfc3339_millis())
        .inner("ProgressSummary", &counts(job));
    if let Some(ended) = job.ended {
        all = all.text("TerminationDate", &ended.rfc3339_millis());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_boto3_sends() {
        let text = "<CreateJobRequest xmlns=\"http://awss3control.amazonaws.com/doc/2018-08-20/\">\
            <ConfirmationRequired>false</ConfirmationRequired><Operation>\
            <S3InitiateRestoreObject><ExpirationInDays>2</ExpirationInDays>\
            <GlacierJobTier>BULK</GlacierJobTier></S3InitiateRestoreObject></Operation>\
            <Report><Enabled>false</Enabled></Report>\
            <ClientRequestToken>t</ClientRequestToken><Manifest><Spec>\
            <Format>S3BatchOperations_CSV_20180820</Format><Fields><member>Bucket</member>\
            <member>Key</member></Fields></Spec><Location><ObjectArn>arn:aws:s3:::b/m.csv\
            </ObjectArn><ETag>e</ETag></Location></Manifest><Priority>1</Priority>\
            <RoleArn>arn:aws:iam::1:role/r</RoleArn></CreateJobRequest>";
        let request: CreateJobRequest = quick_xml::de::from_str(text).unwrap();
        assert_eq!(request.manifest.spec.fields.member, ["Bucket", "Key"]);
        assert_eq!(request.operation.restore.unwrap().expiration_in_days, Some(2));
    }

    #[test]
    fn texts_are_escaped() {
        let text = Elements::default().text("A", "<&>").end();
        assert_eq!(text, "<A>&lt;&amp;&gt;</A>");
    }
}
