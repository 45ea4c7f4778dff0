//! Batch jobs and inventories.

use dcmjoin_emulator::{
    Effect, Fault, FileFormat, Keys, Kind, Options, ReportColumns, StorageClass, Tier,
};
use dcmjoin_testkit::{Ask, Python};
use serde_json::Value;

use super::*;

const CSV: (&str, &str) = (
    "S3BatchOperations_CSV_20180820",
    "<Fields><member>Bucket</member><member>Key</member></Fields>",
);

impl Scene {
    fn with_reports(options: Options) -> Self {
        let scene = Self::with(options);
        scene.emulator.storage().create_bucket("reports").unwrap();
        scene
    }

    fn bucket_get(&self, bucket: &str, key: &str) -> Answer {
        let path = format!("/{bucket}/{key}");
        self.send(&Ask { path: &path, ..Ask::default() })
    }

    fn jobs(&self, method: &str, path: &str, query: &[(&str, &str)], body: &str) -> Answer {
        let path = format!("/v20180820/jobs{path}");
        let headers = &[("x-amz-account-id", "111122223333")];
        self.send(&Ask {
            method,
            path: &path,
            query,
            headers,
            body: body.as_bytes(),
            ..Ask::default()
        })
    }

    /// Creates a job for a manifest that is put for it.
    fn create(&self, token: &str, manifest: &str, more: &str) -> Answer {
        self.emulator
            .storage()
            .put("reports", "manifest.csv", manifest.as_bytes().to_vec(), StorageClass::Standard)
            .unwrap();
        let head =
            self.send(&Ask { method: "HEAD", path: "/reports/manifest.csv", ..Ask::default() });
        let tag = head.header("etag").unwrap().trim_matches('"').to_owned();
        self.create_for(token, CSV, "reports/manifest.csv", &tag, more)
    }

    fn create_for(
        &self,
        token: &str,
        (format, fields): (&str, &str),
        manifest: &str,
        tag: &str,
        more: &str,
    ) -> Answer {
        let body = format!(
            "<CreateJobRequest xmlns=\"http://awss3control.amazonaws.com/doc/2018-08-20/\">{more}\
             <Operation><S3InitiateRestoreObject><ExpirationInDays>2</ExpirationInDays>\
             <GlacierJobTier>BULK</GlacierJobTier></S3InitiateRestoreObject></Operation>\
             <Report><Bucket>arn:aws:s3:::reports</Bucket><Format>Report_CSV_20180820</Format>\
             <Enabled>true</Enabled><Prefix>out</Prefix><ReportScope>AllTasks</ReportScope>\
             </Report><ClientRequestToken>{token}</ClientRequestToken><Manifest><Spec>\
             <Format>{format}</Format>{fields}</Spec><Location>\
             <ObjectArn>arn:aws:s3:::{manifest}</ObjectArn><ETag>{tag}</ETag></Location>\
             </Manifest><Priority>1</Priority><RoleArn>arn:aws:iam::1:role/r</RoleArn>\
             </CreateJobRequest>"
        );
        self.jobs("POST", "", &[], &body)
    }

    fn describe(&self, id: &str) -> Answer {
        self.jobs("GET", &format!("/{id}"), &[], "")
    }

    /// Returns the rows of a report, sorted.
    fn report(&self, id: &str) -> Vec<String> {
        let manifest = self.bucket_get("reports", &format!("out/job-{id}/manifest.json"));
        let manifest: Value = serde_json::from_slice(&manifest.body).unwrap();
        let files = manifest["Results"].as_array().unwrap();
        let files = files.iter().map(|file| file["Key"].as_str().unwrap());
        let text: Vec<String> = files.map(|key| self.bucket_get("reports", key).text()).collect();
        let mut rows: Vec<String> = text.concat().lines().map(str::to_owned).collect();
        rows.sort();
        rows
    }
}

#[test]
fn a_job_is_complete_when_its_restores_are_asked_for() {
    let scene = Scene::with_reports(Options::default());
    for key in ["a b.tar", "c.tar"] {
        scene.put(key, "12345", StorageClass::Glacier);
    }
    scene.put("plain.tar", "x", StorageClass::Standard);
    let manifest = "archive,a+b.tar\narchive,c.tar\narchive,plain.tar\narchive,none.tar\n";
    let answer = scene.create("t", manifest, "");
    let id = answer.element("JobId").unwrap();
    assert_eq!(scene.create("t", manifest, "").element("JobId").unwrap(), id);
    assert_eq!(scene.describe(&id).element("Status").as_deref(), Some("Preparing"));
    scene.advance(3 * MINUTE);
    let described = scene.describe(&id);
    assert_eq!(described.element("Status").as_deref(), Some("Complete"));
    assert_eq!(described.element("NumberOfTasksSucceeded").as_deref(), Some("2"));
    assert_eq!(described.element("NumberOfTasksFailed").as_deref(), Some("2"));
    assert_eq!(
        scene.report(&id),
        [
            "archive,a+b.tar,,succeeded,202,,Successful",
            "archive,c.tar,,succeeded,202,,Successful",
            "archive,none.tar,,failed,404,NoSuchKey,Failed",
            "archive,plain.tar,,failed,403,InvalidObjectState,Failed",
        ]
    );
    // And that is all: the archives are still out.
    refused(&scene.get("c.tar"), 403, "InvalidObjectState");
    scene.advance(12 * HOUR);
    assert_eq!(scene.get("c.tar").status, 200);
    let ledger = scene.emulator.ledger();
    assert_eq!((ledger.batch_jobs, ledger.batch_tasks), (1, 4));
    assert_eq!(ledger.retrieved(Tier::Bulk).bytes, 10);
}

#[test]
fn what_is_asked_for_twice_can_be_reported_as_failed() {
    let options = Options { report_columns: ReportColumns::AsInSchema, ..Options::default() };
    let scene = Scene::with_reports(options);
    scene.put("a.tar", "x", StorageClass::Glacier);
    scene.put("b.tar", "x", StorageClass::Glacier);
    scene.put("denied.tar", "x", StorageClass::Glacier);
    let fault = |effect, key: &str| Fault::new(effect).on(Kind::Batch).keys(Keys::Is(key.into()));
    scene.emulator.faults().requests(fault(Effect::RepeatTask, "a.tar"));
    scene.emulator.faults().requests(fault(Effect::AccessDenied, "denied.tar"));
    let manifest = "archive,a.tar\narchive,b.tar\narchive,denied.tar\n";
    let id = scene.create("t", manifest, "").element("JobId").unwrap();
    scene.advance(3 * MINUTE);
    assert_eq!(
        scene.report(&id),
        [
            "archive,a.tar,,failed,RestoreAlreadyInProgress,409,Failed",
            "archive,b.tar,,succeeded,,202,Successful",
            "archive,denied.tar,,failed,AccessDenied,403,Failed",
        ]
    );
    scene.advance(12 * HOUR);
    assert_eq!(scene.get("a.tar").status, 200);
    refused(&scene.get("denied.tar"), 403, "InvalidObjectState");
}

#[test]
fn a_job_with_a_header_row_fails() {
    let scene = Scene::with_reports(Options::default());
    scene.put("a.tar", "x", StorageClass::Glacier);
    let id = scene.create("t", "Bucket,Key\narchive,a.tar\n", "").element("JobId").unwrap();
    scene.advance(3 * MINUTE);
    let described = scene.describe(&id);
    assert_eq!(described.element("Status").as_deref(), Some("Failed"));
    assert_eq!(described.element("FailureCode").as_deref(), Some("ManifestCrossBucket"));
    assert_eq!(scene.emulator.ledger().batch_tasks, 0);
}

#[test]
fn jobs_wait_for_confirmation_and_can_be_cancelled() {
    let scene = Scene::with_reports(Options::default());
    let rows: Vec<String> = (0..2500).map(|number| format!("archive,{number}.tar\n")).collect();
    for number in 0..2500 {
        scene.put(&format!("{number}.tar"), "x", StorageClass::Glacier);
    }
    let confirm = "<ConfirmationRequired>true</ConfirmationRequired>";
    let id = scene.create("t", &rows.concat(), confirm).element("JobId").unwrap();
    scene.advance(HOUR);
    assert_eq!(scene.describe(&id).element("Status").as_deref(), Some("Suspended"));
    let update = |status: &str| {
        let query = [("requestedJobStatus", status)];
        scene.jobs("POST", &format!("/{id}/status"), &query, "")
    };
    assert_eq!(update("Ready").element("Status").as_deref(), Some("Active"));
    scene.advance(2 * Duration::from_secs(1));
    assert_eq!(scene.describe(&id).element("NumberOfTasksSucceeded").as_deref(), Some("2000"));
    assert_eq!(update("Cancelled").element("Status").as_deref(), Some("Cancelled"));
    refused(&update("Ready"), 400, "JobStatusException");
    scene.advance(HOUR);
    assert_eq!(scene.emulator.ledger().batch_tasks, 2000);
    let list = |status: &str| scene.jobs("GET", "", &[("jobStatuses", status)], "").text();
    assert!(list("Cancelled").contains(&id));
    assert!(!list("Complete").contains(&id));
    assert_eq!(scene.report(&id).len(), 2000);
}

#[test]
fn a_job_of_failures_fails() {
    let scene = Scene::with_reports(Options::default());
    let rows: Vec<String> = (0..1500).map(|number| format!("archive,{number}.tar\n")).collect();
    let id = scene.create("t", &rows.concat(), "").element("JobId").unwrap();
    scene.advance(5 * MINUTE);
    let described = scene.describe(&id);
    assert_eq!(described.element("Status").as_deref(), Some("Failed"));
    assert_eq!(described.element("NumberOfTasksFailed").as_deref(), Some("1000"));
}

#[test]
fn requests_that_cannot_be_are_refused() {
    let scene = Scene::with_reports(Options::default());
    refused(&scene.jobs("POST", "", &[], "<CreateJobRequest>"), 400, "MalformedXML");
    refused(&scene.describe("none"), 404, "NoSuchJob");
    let twice = scene.create("t", "archive,a\n", "");
    assert_eq!(twice.status, 200);
    let other = scene.create("t", "archive,b\n", "");
    refused(&other, 400, "IdempotencyException");
    let wrong = scene.client.with_wrong_secret();
    let ask = Ask { path: "/v20180820/jobs", ..Ask::default() };
    refused(&wrong.send(&ask).unwrap(), 403, "SignatureDoesNotMatch");
}

#[test]
fn an_inventory_is_a_manifest() {
    let scene = Scene::with_reports(Options::default());
    for key in ["a b.tar", "ü.tar"] {
        scene.put(key, "12345", StorageClass::Glacier);
    }
    let storage = scene.emulator.storage();
    let key = storage
        .write_inventory("archive", "reports", "inventory", "daily", FileFormat::Csv)
        .unwrap();
    assert_eq!(key, "inventory/archive/daily/2026-03-10T09-30Z/manifest.json");
    let answer = scene.bucket_get("reports", &key);
    let manifest: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(manifest["files"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["destinationBucket"], "arn:aws:s3:::reports");
    let tag = answer.header("etag").unwrap().trim_matches('"').to_owned();
    let format = ("S3InventoryReport_CSV_20161130", "");
    let place = format!("reports/{key}");
    let id = scene.create_for("t", format, &place, &tag, "").element("JobId").unwrap();
    scene.advance(5 * MINUTE);
    let described = scene.describe(&id);
    assert_eq!(
        described.element("NumberOfTasksSucceeded").as_deref(),
        Some("2"),
        "{}",
        described.text()
    );
    let other = scene.create_for("u", format, &place, "other", "").element("JobId").unwrap();
    scene.advance(5 * MINUTE);
    let code = scene.describe(&other).element("FailureCode");
    assert_eq!(code.as_deref(), Some("ManifestETagMismatch"));
}

/// pyarrow reads what the emulator writes, as it reads what S3 writes.
#[test]
fn an_inventory_in_parquet_is_read_by_others() {
    let scene = Scene::with_reports(Options::default());
    scene.put("a b+%2F.tar", "12345", StorageClass::Glacier);
    scene.put("ü.tar", "1234567", StorageClass::DeepArchive);
    let storage = scene.emulator.storage();
    let key = storage
        .write_inventory("archive", "reports", "inventory", "daily", FileFormat::Parquet)
        .unwrap();
    let manifest: Value = serde_json::from_slice(&scene.bucket_get("reports", &key).body).unwrap();
    assert_eq!(manifest["fileFormat"], "Parquet");
    let file = manifest["files"][0]["key"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.parquet");
    std::fs::write(&path, scene.bucket_get("reports", file).body).unwrap();
    let script = "import sys, pyarrow.parquet as parquet
table = parquet.read_table(sys.argv[1])
print(parquet.ParquetFile(sys.argv[1]).metadata.row_group(0).column(0).compression)
for row in table.to_pylist(): print(row['bucket'], row['key'], row['size'], row['storage_class'], row['last_modified_date'].year)";
    let read = Python::find().unwrap().run(script, [&path]).unwrap();
    let rows: Vec<&str> = read.lines().collect();
    assert_eq!(
        rows,
        ["SNAPPY", "archive a b+%2F.tar 5 GLACIER 2026", "archive ü.tar 7 DEEP_ARCHIVE 2026"]
    );
    // S3 Batch Operations takes no other than CSV.
    let tag =
        scene.bucket_get("reports", &key).header("etag").unwrap().trim_matches('"').to_owned();
    let format = ("S3InventoryReport_CSV_20161130", "");
    let made = scene.create_for("t", format, &format!("reports/{key}"), &tag, "");
    let id = made.element("JobId").unwrap();
    scene.advance(5 * MINUTE);
    assert_eq!(scene.describe(&id).element("Status").as_deref(), Some("Failed"));
}
