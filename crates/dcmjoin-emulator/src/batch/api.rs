//! The calls of S3 Control, behind S3's own signature check.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{Extensions, HeaderMap, HeaderValue, Method, Uri};
use percent_encoding::percent_decode_str;
use s3s::route::S3Route;
use s3s::{Body, S3Request, S3Response, S3Result};

use super::xml::{self, Elements};
use crate::error;
use crate::options::Access;
use crate::request::is_batch;
use crate::world::Shared;

/// The longest request.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Jobs of a page of `ListJobs`, at most.
const PAGE_MAX: usize = 1000;

/// Takes what is S3 Control's.
pub(crate) struct Route {
    pub(crate) shared: Arc<Shared>,
}

#[async_trait::async_trait]
impl S3Route for Route {
    fn is_match(&self, _: &Method, uri: &Uri, _: &HeaderMap, _: &mut Extensions) -> bool {
        is_batch(uri)
    }

    async fn check_access(&self, request: &mut S3Request<Body>) -> S3Result<()> {
        let open = matches!(self.shared.enter().options.access, Access::Open);
        if open || request.credentials.is_some() { Ok(()) } else { Err(error::access_denied()) }
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let S3Request { mut input, method, uri, .. } = request;
        let body = input.store_all_limited(REQUEST_BYTES_MAX).await;
        let body = body.map_err(|_| error::malformed_xml())?;
        let path = uri.path().trim_start_matches("/v20180820/jobs").trim_matches('/');
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let text = match (&method, parts.as_slice()) {
            (&Method::POST, []) => self.create(&body)?,
            (&Method::GET, []) => self.list(&uri)?,
            (&Method::GET, [id]) => self.describe(id)?,
            (&Method::POST, [id, "status"]) => self.update(id, &uri)?,
            _ => return Err(error::invalid_request("no such call")),
        };
        let mut response = S3Response::new(Body::from(text));
        let kind = HeaderValue::from_static("application/xml");
        response.headers.insert(CONTENT_TYPE, kind);
        Ok(response)
    }
}

/// Returns the values of a parameter of the query.
fn parameters(uri: &Uri, name: &str) -> Vec<String> {
    let pairs = uri.query().unwrap_or_default().split('&');
    let pairs = pairs.filter_map(|pair| pair.split_once('='));
    let values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
    values.map(|value| percent_decode_str(value).decode_utf8_lossy().into_owned()).collect()
}

impl Route {
    fn create(&self, body: &[u8]) -> S3Result<String> {
        let text = std::str::from_utf8(body).map_err(|_| error::malformed_xml())?;
        let request = quick_xml::de::from_str(text).map_err(|_| error::malformed_xml())?;
        let id = self.shared.enter().create_job(request)?;
        let content = Elements::default().text("JobId", &id).end();
        Ok(xml::document("CreateJobResult", &content))
    }

    fn describe(&self, id: &str) -> S3Result<String> {
        let world = self.shared.enter();
        let job = world.jobs.get(id).ok_or_else(error::no_such_job)?;
        let content = Elements::default().inner("Job", &xml::described(job)).end();
        Ok(xml::document("DescribeJobResult", &content))
    }

    fn list(&self, uri: &Uri) -> S3Result<String> {
        let wanted = parameters(uri, "jobStatuses");
        let after = parameters(uri, "nextToken").pop();
        let asked = parameters(uri, "maxResults").pop();
        let asked = asked.map(|count| count.parse::<usize>()).transpose();
        let count = asked.map_err(|_| error::invalid_request("maxResults is not a number"))?;
        let count = count.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
        let world = self.shared.enter();
        let jobs = world.jobs.values().filter(|job| {
            let fits = wanted.is_empty() || wanted.iter().any(|name| name == job.status.name());
            fits && after.as_ref().is_none_or(|after| job.id > *after)
        });
        let page: Vec<_> = jobs.take(count + 1).collect();
        let mut content = Elements::default();
        if let (true, Some(last)) = (page.len() > count, page.get(count - 1)) {
            content = content.text("NextToken", &last.id);
        }
        let members = page.iter().take(count);
        let members =
            members.fold(Elements::default(), |all, job| all.inner("member", &xml::listed(job)));
        Ok(xml::document("ListJobsResult", &content.inner("Jobs", &members).end()))
    }

    fn update(&self, id: &str, uri: &Uri) -> S3Result<String> {
        let wanted = parameters(uri, "requestedJobStatus").pop().unwrap_or_default();
        let reason = parameters(uri, "statusUpdateReason").pop();
        let status = self.shared.enter().update_job(id, &wanted, reason.clone())?;
        let mut content = Elements::default().text("JobId", id).text("Status", status.name());
        if let Some(reason) = reason {
            content = content.text("StatusUpdateReason", &reason);
        }
        Ok(xml::document("UpdateJobStatusResult", &content.end()))
    }
}
