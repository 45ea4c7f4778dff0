//! Calls for S3 Batch Operations: a manifest is put, a job is made of it and watched, its report is
//! read (API references of S3 and S3 Control, version 2018-08-20).

use std::collections::VecDeque;

use dcmjoin_manifest::entry::url_decoded;
use dcmjoin_restore::answer::Answer;
use serde::Deserialize;
use serde_json::Value;

use super::{Aws, Call, Reply, service};
use crate::error::Error;
use crate::ledger::Place;
use crate::listing;
use crate::sign::{encode_pair, encode_path};

/// A report is read in pieces of so many bytes.
const PIECE_BYTES: u64 = 8 << 20;
/// The longest row of a report: a key has 1,024 bytes, three times as many URL-encoded.
const ROW_BYTES_MAX: usize = 64 << 10;
/// Files of a report, at most.
const FILES_MAX: usize = 10_000;

/// A job that is to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) account: &'a str,
    pub(crate) role: &'a str,
    /// The same for the same job: asked for twice, it is made once.
    pub(crate) token: &'a str,
    pub(crate) tier: &'a str,
    pub(crate) days: Option<u32>,
    /// Whether the manifest has a column of versions.
    pub(crate) versions: bool,
    /// The bucket of the manifest and the report.
    pub(crate) bucket: &'a str,
    pub(crate) manifest: &'a str,
    pub(crate) tag: &'a str,
    /// Below which key the report is to stand.
    pub(crate) reports: &'a str,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobState {
    /// It works, or waits.
    Open,
    /// It has asked for what it could, which says nothing of copies that are there.
    Complete,
    /// It was given up; what it asked for before goes on.
    Failed,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    job_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    job: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    status: String,
}

impl Aws {
    /// Puts a small object; returns its entity tag.
    pub(crate) async fn put(&self, place: &Place, body: Vec<u8>) -> Result<String, Error> {
        let headers = [("content-type", "text/csv".to_owned())];
        let reply = self.s3("PUT", &super::path(place), &[], &headers, body).await?;
        let tag = reply.tag.as_deref().map(|tag| tag.trim_matches('"').to_owned());
        match (reply.status, tag) {
            (200, Some(tag)) => Ok(tag),
            _ => Err(service("put a manifest", &listing::code(&reply.body))),
        }
    }

    /// Makes a job; returns its id, or the code of what S3 refuses it for. After an error it may
    /// have been made all the same.
    pub(crate) async fn create_job(&self, job: &Job<'_>) -> Result<Result<String, String>, Error> {
        let reply = self.control(job.account, "POST", "", &[], job.xml().into_bytes()).await?;
        let code = listing::code(&reply.body);
        match quick_xml::de::from_str::<Created>(&reply.body) {
            Ok(created) if reply.status == 200 => Ok(Ok(created.job_id)),
            _ => match Answer::of(reply.status, &code) {
                Answer::Accepted
                | Answer::AlreadyRestored
                | Answer::Throttled
                | Answer::ServerError
                | Answer::Lost
                | Answer::CredentialsExpired => Err(service("create a batch job", &code)),
                _ => Ok(Err(code)),
            },
        }
    }

    /// Asks where a job stands.
    pub(crate) async fn job_state(&self, account: &str, id: &str) -> Result<JobState, Error> {
        let path = format!("/{}", encode_path(id));
        let reply = self.control(account, "GET", &path, &[], Vec::new()).await?;
        let described = quick_xml::de::from_str::<Described>(&reply.body);
        let described = described.ok().filter(|_| reply.status == 200);
        let described = described
            .ok_or_else(|| service("describe a batch job", &listing::code(&reply.body)))?;
        Ok(match described.job.status.as_str() {
            "Complete" => JobState::Complete,
            "Failed" | "Cancelled" => JobState::Failed,
            _ => JobState::Open,
        })
    }

    /// Asks for a job to be given up.
    pub(crate) async fn cancel_job(&self, account: &str, id: &str) -> Result<(), Error> {
        let path = format!("/{}/status", encode_path(id));
        let query = [encode_pair("requestedJobStatus", "Cancelled")];
        let reply = self.control(account, "POST", &path, &query, Vec::new()).await?;
        match reply.status {
            200..=299 => Ok(()),
            _ => Err(service("cancel a batch job", &listing::code(&reply.body))),
        }
    }

    /// Opens a job's report.
    pub(crate) async fn report(
        &self,
        bucket: &str,
        prefix: &str,
        id: &str,
    ) -> Result<Report<'_>, Error> {
        let key = format!("{prefix}/job-{id}/manifest.json");
        let (text, _) = self.piece(bucket, &key, 0).await?;
        let manifest: Value = serde_json::from_str(&text)
            .map_err(|_| service("read a batch job's report", "its manifest is none"))?;
        let files = manifest["Results"].as_array().into_iter().flatten();
        let files = files.filter_map(|file| Some(file["Key"].as_str()?.to_owned()));
        Ok(Report {
            aws: self,
            bucket: bucket.to_owned(),
            files: files.take(FILES_MAX).collect(),
            at: 0,
            rest: String::new(),
        })
    }

    /// Reads a piece of an object; returns whether more may follow.
    async fn piece(&self, bucket: &str, key: &str, at: u64) -> Result<(String, bool), Error> {
        let range = format!("bytes={at}-{}", at + PIECE_BYTES - 1);
        let path = format!("/{}/{}", encode_path(bucket), encode_path(key));
        let reply = self.s3("GET", &path, &[], &[("range", range)], Vec::new()).await?;
        match reply.status {
            206 => Ok((reply.body, true)),
            // Ranges were passed over.
            200 if at == 0 => Ok((reply.body, false)),
            // An empty object, or the end.
            416 => Ok((String::new(), false)),
            _ => Err(service("read a batch job's report", &listing::code(&reply.body))),
        }
    }

    /// S3 Control has the account's number before its host name; an endpoint of one's own is asked
    /// as it is.
    async fn control(
        &self,
        account: &str,
        method: &str,
        path: &str,
        query: &[String],
        body: Vec<u8>,
    ) -> Result<Reply, Error> {
        let region = &self.region;
        let endpoint = if self.endpoint == format!("https://s3.{region}.amazonaws.com") {
            format!("https://{account}.s3-control.{region}.amazonaws.com")
        } else {
            self.endpoint.clone()
        };
        let path = format!("/v20180820/jobs{path}");
        let headers =
            [("x-amz-account-id", account.to_owned()), ("content-type", "application/xml".into())];
        let call = Call { service: "s3", endpoint: &endpoint, method, path: &path };
        self.send(&call, query, &headers, body).await
    }
}

impl Job<'_> {
    fn xml(&self) -> String {
        let text = |text: &str| quick_xml::escape::escape(text).into_owned();
        let days = self.days.map(|days| format!("<ExpirationInDays>{days}</ExpirationInDays>"));
        let version = if self.versions { "<member>VersionId</member>" } else { "" };
        format!(
            "<CreateJobRequest xmlns=\"http://awss3control.amazonaws.com/doc/2018-08-20/\">\
             <ConfirmationRequired>false</ConfirmationRequired>\
             <Operation><S3InitiateRestoreObject>{}<GlacierJobTier>{}</GlacierJobTier>\
             </S3InitiateRestoreObject></Operation>\
             <Report><Bucket>arn:aws:s3:::{bucket}</Bucket><Format>Report_CSV_20180820</Format>\
             <Enabled>true</Enabled><Prefix>{}</Prefix><ReportScope>AllTasks</ReportScope></Report>\
             <ClientRequestToken>{}</ClientRequestToken>\
             <Manifest><Spec><Format>S3BatchOperations_CSV_20180820</Format>\
             <Fields><member>Bucket</member><member>Key</member>{version}</Fields></Spec>\
             <Location><ObjectArn>arn:aws:s3:::{bucket}/{}</ObjectArn><ETag>{}</ETag></Location>\
             </Manifest><Priority>10</Priority><RoleArn>{}</RoleArn></CreateJobRequest>",
            days.unwrap_or_default(),
            self.tier.to_ascii_uppercase(),
            text(self.reports),
            text(self.token),
            text(self.manifest),
            text(self.tag),
            text(self.role),
            bucket = text(self.bucket),
        )
    }
}

/// The rows of a report, piece by piece.
pub(crate) struct Report<'a> {
    aws: &'a Aws,
    bucket: String,
    files: VecDeque<String>,
    at: u64,
    /// The beginning of a row whose end is in the next piece.
    rest: String,
}

impl Report<'_> {
    /// Returns the rows of the next piece; `None` after the last. A row that cannot be told is left
    /// out: its key is asked for once more.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<(Place, Answer)>>, Error> {
        let Some(file) = self.files.front().cloned() else { return Ok(None) };
        let (piece, more) = self.aws.piece(&self.bucket, &file, self.at).await?;
        let mut text = std::mem::take(&mut self.rest);
        self.at += PIECE_BYTES;
        // A piece that is shorter is the last one; its bytes, as they may have been mended, are no
        // fewer than they were.
        if more && piece.len() as u64 >= PIECE_BYTES {
            text.push_str(&piece);
            let end = text.rfind('\n').map_or(0, |end| end + 1);
            self.rest = text.split_off(end);
            if self.rest.len() > ROW_BYTES_MAX {
                return Err(service("read a batch job's report", "a row is too long"));
            }
        } else {
            text.push_str(&piece);
            self.files.pop_front();
            self.at = 0;
        }
        Ok(Some(text.lines().filter_map(row).collect()))
    }
}

/// Reads a row: bucket, key, version, status of the task, then the HTTP status and the error's code.
/// Those two stand in another order in the user guide's example than in the schema, so each is told
/// by what it looks like.
fn row(line: &str) -> Option<(Place, Answer)> {
    let mut fields = line.split(',').map(|field| field.trim().trim_matches('"'));
    let mut field = || fields.next();
    let (bucket, key, version) = (field()?, url_decoded(field()?).ok()?, field()?);
    let word = field()?;
    let (first, second) = (field()?, field()?);
    let (status, code) = match first.parse::<u16>() {
        Ok(status) => (status, second),
        Err(_) => (second.parse().unwrap_or(0), first),
    };
    let answer = match (word, status) {
        // Whether it was 200 or 202, a restore runs or a copy is there: events and looks tell.
        ("succeeded", 200..=299) => Answer::of(status, ""),
        ("succeeded", _) => Answer::Accepted,
        _ => match Answer::of(status, code) {
            // A task that failed did not do it.
            Answer::Accepted | Answer::AlreadyRestored | Answer::Lost => Answer::ServerError,
            answer => answer,
        },
    };
    let version = Some(version).filter(|version| !version.is_empty()).map(str::to_owned);
    Some((Place { bucket: bucket.to_owned(), key, version }, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_in_either_order_of_columns() {
        for (line, expected) in [
            ("b,a+b%2C,,succeeded,202,,Successful", Answer::Accepted),
            ("b,a+b%2C,,succeeded,,202,Successful", Answer::Accepted),
            ("b,a+b%2C,,succeeded,200,,Successful", Answer::AlreadyRestored),
            ("b,a+b%2C,,failed,409,RestoreAlreadyInProgress,F", Answer::AlreadyInProgress),
            ("b,a+b%2C,,failed,RestoreAlreadyInProgress,409,F", Answer::AlreadyInProgress),
            ("b,a+b%2C,,failed,AccessDenied,403,F, with a comma", Answer::AccessDenied),
            ("b,a+b%2C,,failed,200,PermanentFailure,F", Answer::ServerError),
        ] {
            let (place, answer) = row(line).unwrap();
            assert_eq!((place.key.as_str(), answer), ("a b,", expected), "{line}");
        }
        assert_eq!(row("b,a,v1,failed,404,NoSuchKey,F").unwrap().0.version.as_deref(), Some("v1"));
        for line in ["", "b,a", "b,%ff,,succeeded,200,,S"] {
            assert!(row(line).is_none(), "{line}");
        }
    }

    #[test]
    fn what_goes_into_the_request_is_escaped() {
        let job = Job {
            account: "1",
            role: "arn:aws:iam::1:role/r",
            token: "t",
            tier: "Bulk",
            days: Some(2),
            versions: true,
            bucket: "b",
            manifest: "a&b<c>.csv",
            tag: "e",
            reports: "p",
        };
        let xml = job.xml();
        assert!(xml.contains("arn:aws:s3:::b/a&amp;b&lt;c&gt;.csv"), "{xml}");
        assert!(xml.contains("<GlacierJobTier>BULK</GlacierJobTier>"), "{xml}");
        assert!(xml.contains("<member>VersionId</member>"), "{xml}");
    }
}
