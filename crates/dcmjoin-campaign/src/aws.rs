//! The calls of S3 and SQS that a campaign makes: five, signed, over one client.
//!
//! Each answer's `Date` sets the server's clock, by which copies are judged; requests are signed by it
//! too once S3 has said that this machine's clock is off. So one that is a day off works as well.

pub(crate) mod control;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use dcmjoin_objects::{KeySource, Keys};
use dcmjoin_restore::answer::Answer;
use dcmjoin_restore::class::StorageClass;
use dcmjoin_restore::moment::{Moment, ServerClock};
use dcmjoin_restore::status::RestoreStatus;
use dcmjoin_restore::task::Sighting;
use serde_json::{Value, json};

use crate::error::Error;
use crate::ledger::Place;
use crate::listing::{self, Page};
pub use crate::sign::Credentials;
use crate::sign::{Unsigned, encode_pair, encode_path};

/// From connecting to the last byte of an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest answer that is read, in bytes: a page of a thousand long keys is a tenth of it.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// The caller's clock is too far from S3's.
const SKEWED: &str = "RequestTimeTooSkewed";
/// Listings are tried so often.
const TRIES: u32 = 6;
/// Messages of one receipt, and of one deletion (SQS API).
const MESSAGES_MAX: u32 = 10;

/// Gives credentials; asked anew for each request, so that those that expire can be replaced.
#[async_trait]
pub trait Provide: Send + Sync {
    /// Returns those that count now; `None` where there are none.
    async fn credentials(&self) -> Option<Credentials>;
}

#[async_trait]
impl<F: Fn() -> Option<Credentials> + Send + Sync> Provide for F {
    async fn credentials(&self) -> Option<Credentials> {
        self()
    }
}

#[async_trait]
impl Provide for KeySource {
    async fn credentials(&self) -> Option<Credentials> {
        let Keys { id, secret, token } = self.now().await?;
        Some(Credentials { access_key: id, secret_key: secret, session_token: token })
    }
}

/// What gives credentials.
pub type Provider = Arc<dyn Provide>;

/// How S3 and SQS are reached.
pub struct Aws {
    http: reqwest::Client,
    endpoint: String,
    region: String,
    provider: Provider,
    clock: Mutex<ServerClock>,
    local: Arc<dyn Fn() -> Moment + Send + Sync>,
    /// Set once S3 has said that this machine's clock is too far off to sign by.
    skewed: AtomicBool,
    requests: Requests,
}

/// Requests made, by what they are billed as.
#[derive(Debug, Default)]
pub struct Requests {
    /// `RestoreObject`, whatever was answered.
    pub restores: AtomicU64,
    /// `ListObjectsV2`.
    pub lists: AtomicU64,
    /// `HeadObject`.
    pub heads: AtomicU64,
    /// SQS.
    pub queue: AtomicU64,
}

/// A message of a queue.
#[derive(Debug)]
pub struct Message {
    /// What it says.
    pub body: String,
    handle: String,
}

struct Reply {
    status: u16,
    restore: Option<String>,
    class: Option<String>,
    archive: Option<String>,
    /// What the headers say: the answer to HEAD has a length and no body.
    length: Option<u64>,
    tag: Option<String>,
    body: String,
    at: Moment,
}

/// Returns what the process's environment says (`AWS_ACCESS_KEY_ID` and its companions), else the
/// profile in `~/.aws`, whose file is read anew for each request: it may be replaced at any time;
/// else what web identity, the container's or the machine's role gives.
///
/// # Errors
/// [`Error::Service`] where the environment contradicts itself.
pub fn from_environment() -> Result<Provider, Error> {
    let source = KeySource::of_environment()
        .map_err(|_| service("find credentials", "the environment's settings are not valid"))?;
    Ok(Arc::new(source))
}

/// Returns this machine's own time.
#[must_use]
pub fn local_time() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment::from_epoch_secs(since.as_secs())
}

impl Aws {
    /// Returns a client; `endpoint` is S3's where `None`.
    ///
    /// # Errors
    /// [`Error::Service`] where the client cannot be made.
    pub fn new(endpoint: Option<&str>, region: &str, provider: Provider) -> Result<Self, Error> {
        // A second provider is refused, and the first one is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| service("make a client", "its settings are not valid"))?;
        let endpoint =
            endpoint.map_or_else(|| format!("https://s3.{region}.amazonaws.com"), str::to_owned);
        Ok(Self {
            http,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            region: region.to_owned(),
            provider,
            clock: Mutex::default(),
            local: Arc::new(local_time),
            skewed: AtomicBool::new(false),
            requests: Requests::default(),
        })
    }

    /// Judges copies by another clock than the machine's own: one that is wrong.
    #[must_use]
    pub fn with_local_time(mut self, local: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        self.local = Arc::new(local);
        self
    }

    /// Returns what was asked so far.
    #[must_use]
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Returns the server's time as far as it is known, else the machine's.
    #[must_use]
    pub fn now(&self) -> Moment {
        let local = (self.local)();
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).at(local).unwrap_or(local)
    }

    /// Calls `RestoreObject`; every outcome is an answer.
    pub async fn restore(&self, place: &Place, tier: &str, days: Option<u32>) -> Answer {
        self.requests.restores.fetch_add(1, Ordering::Relaxed);
        let days = days.map(|days| format!("<Days>{days}</Days>")).unwrap_or_default();
        let body = format!(
            "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{days}\
             <GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters></RestoreRequest>"
        );
        let mut query = vec![encode_pair("restore", "")];
        query.extend(version(place));
        match self.s3("POST", &path(place), &query, &[], body.into_bytes()).await {
            Ok(reply) => Answer::of(reply.status, &listing::code(&reply.body)),
            Err(_) => Answer::Lost,
        }
    }

    /// Lists up to a thousand objects with their copies.
    ///
    /// # Errors
    /// [`Error::Service`] where S3 refuses, or fails again and again.
    pub(crate) async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        from: From<'_>,
    ) -> Result<(Page, Moment), Error> {
        let mut query = vec![
            encode_pair("list-type", "2"),
            encode_pair("encoding-type", "url"),
            encode_pair("prefix", prefix),
        ];
        query.extend(match from {
            From::Begin => None,
            From::After(key) => Some(encode_pair("start-after", key)),
            From::Token(token) => Some(encode_pair("continuation-token", token)),
        });
        let headers = [("x-amz-optional-object-attributes", "RestoreStatus".to_owned())];
        let path = format!("/{}", encode_path(bucket));
        let mut refusal = service("list the bucket", "no answer");
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
            }
            self.requests.lists.fetch_add(1, Ordering::Relaxed);
            let Ok(reply) = self.s3("GET", &path, &query, &headers, Vec::new()).await else {
                continue;
            };
            let code = listing::code(&reply.body);
            match reply.status {
                200 => {
                    let (page, odd) = listing::page(&reply.body)
                        .ok_or_else(|| service("list the bucket", "the answer is no listing"))?;
                    if odd > 0 {
                        tracing::warn!(objects = odd, "objects of a listing cannot be told");
                    }
                    return Ok((page, reply.at));
                }
                500..=599 | 408 | 429 => refusal = service("list the bucket", &code),
                // New credentials may be there by now, and the next call is signed with the server's
                // time.
                _ if code == SKEWED
                    || Answer::of(reply.status, &code) == Answer::CredentialsExpired =>
                {
                    refusal = service("list the bucket", &code);
                }
                _ => return Err(service("list the bucket", &code)),
            }
        }
        Err(refusal)
    }

    /// Looks at one object; `None` where that gives no answer to go by.
    pub async fn head(&self, place: &Place) -> Option<Sighting> {
        self.head_whole(place).await.map(|(sighting, _)| sighting)
    }

    /// As [`Aws::head`], with the object's length.
    pub(crate) async fn head_whole(&self, place: &Place) -> Option<(Sighting, u64)> {
        self.requests.heads.fetch_add(1, Ordering::Relaxed);
        let query: Vec<String> = version(place).into_iter().collect();
        let reply = self.s3("HEAD", &path(place), &query, &[], Vec::new()).await.ok()?;
        if reply.status != 200 {
            return None;
        }
        let class = StorageClass::from_aws(reply.class.as_deref().unwrap_or_default()).ok()?;
        let status = reply.restore.as_deref().map(RestoreStatus::parse_header).transpose().ok()?;
        let class = class.with_archive_status(reply.archive.as_deref());
        Some((Sighting { class, status, at: reply.at }, reply.length?))
    }

    /// Receives up to ten messages, waiting up to so many seconds for the first one.
    ///
    /// # Errors
    /// [`Error::Service`] where SQS refuses or cannot be reached.
    pub async fn receive(&self, queue: &str, wait_secs: u32) -> Result<Vec<Message>, Error> {
        let input = json!({
            "QueueUrl": queue, "MaxNumberOfMessages": MESSAGES_MAX, "WaitTimeSeconds": wait_secs,
            "VisibilityTimeout": 300,
        });
        let answer = self.queue(queue, "AmazonSQS.ReceiveMessage", &input).await?;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        let message = |message: &Value| {
            Some(Message {
                body: message["Body"].as_str()?.to_owned(),
                handle: message["ReceiptHandle"].as_str()?.to_owned(),
            })
        };
        Ok(messages.iter().filter_map(message).collect())
    }

    /// Deletes messages that were received together. One that stays comes again, and does no harm.
    ///
    /// # Errors
    /// [`Error::Service`] where SQS refuses or cannot be reached.
    pub async fn delete(&self, queue: &str, messages: &[Message]) -> Result<(), Error> {
        let entries: Vec<Value> = messages
            .iter()
            .enumerate()
            .map(|(at, message)| json!({"Id": at.to_string(), "ReceiptHandle": message.handle}))
            .collect();
        if entries.is_empty() {
            return Ok(());
        }
        let input = json!({"QueueUrl": queue, "Entries": entries});
        self.queue(queue, "AmazonSQS.DeleteMessageBatch", &input).await.map(|_| ())
    }

    async fn queue(&self, url: &str, target: &str, input: &Value) -> Result<Value, Error> {
        self.requests.queue.fetch_add(1, Ordering::Relaxed);
        let refused = |detail: &str| service("ask the queue", detail);
        let parsed = reqwest::Url::parse(url).map_err(|_| refused("its URL is none"))?;
        let endpoint = parsed.origin().ascii_serialization();
        let headers = [
            ("content-type", "application/x-amz-json-1.0".to_owned()),
            ("x-amz-target", target.to_owned()),
        ];
        let call = Call { service: "sqs", endpoint: &endpoint, method: "POST", path: "/" };
        let reply = self.send(&call, &[], &headers, input.to_string().into_bytes()).await?;
        let value: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        if reply.status == 200 {
            return Ok(value);
        }
        Err(refused(&queue_code(&reply.body)))
    }

    async fn s3(
        &self,
        method: &str,
        path: &str,
        query: &[String],
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Reply, Error> {
        let call = Call { service: "s3", endpoint: &self.endpoint, method, path };
        self.send(&call, query, headers, body).await
    }

    /// Makes a call; once more at once where it was signed by a clock that is off, or with keys that
    /// have been replaced since.
    async fn send(
        &self,
        call: &Call<'_>,
        query: &[String],
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Reply, Error> {
        let keys = || async {
            self.provider.credentials().await.ok_or_else(|| failed("there are no credentials"))
        };
        let (by, skewed) = (keys().await?, self.skewed.load(Ordering::Relaxed));
        let reply = self.send_once(call, query, headers, body.clone(), &by).await?;
        if reply.status < 400 {
            return Ok(reply);
        }
        let code = match call.service {
            "s3" => listing::code(&reply.body),
            _ => queue_code(&reply.body),
        };
        let with = match Answer::of(reply.status, &code) {
            // The answer has told the time.
            _ if code == SKEWED && !skewed => Some(by),
            Answer::CredentialsExpired => Some(keys().await?).filter(|now| *now != by),
            _ => None,
        };
        match with {
            Some(with) => self.send_once(call, query, headers, body, &with).await,
            None => Ok(reply),
        }
    }

    async fn send_once(
        &self,
        call: &Call<'_>,
        query: &[String],
        headers: &[(&'static str, String)],
        body: Vec<u8>,
        credentials: &Credentials,
    ) -> Result<Reply, Error> {
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!("{}{}{mark}{}", call.endpoint, call.path, query.join("&"));
        let url = reqwest::Url::parse(&url).map_err(|_| failed("the endpoint is no URL"))?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let unsigned = Unsigned {
            method: call.method,
            host: &host,
            path: call.path,
            query,
            headers,
            body: &body,
            service: call.service,
            region: &self.region,
        };
        let method = call.method.parse().map_err(|_| failed("no method"))?;
        let skewed = self.skewed.load(Ordering::Relaxed);
        let signed_at = if skewed { self.now() } else { local_time() };
        let mut request = self.http.request(method, url);
        for (name, value) in unsigned.sign(credentials, signed_at) {
            request = request.header(name, value);
        }
        let local = (self.local)();
        let response = request.body(body).send().await.map_err(|error| failed(kind(&error)))?;
        self.reply(response, local).await
    }

    async fn reply(&self, response: reqwest::Response, local: Moment) -> Result<Reply, Error> {
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let date = header("date").and_then(|date| Moment::parse_http(&date).ok());
        if let Some(date) = date {
            self.clock.lock().unwrap_or_else(PoisonError::into_inner).observe(local, date);
        }
        let (restore, class) = (header("x-amz-restore"), header("x-amz-storage-class"));
        let (archive, tag) = (header("x-amz-archive-status"), header("etag"));
        let length = header("content-length").and_then(|length| length.parse().ok());
        let status = response.status().as_u16();
        if response.content_length().is_some_and(|length| length > ANSWER_BYTES_MAX as u64) {
            return Err(service("reach the service", "its answer is too long"));
        }
        let body = response.text().await;
        let body = body.map_err(|error| service("reach the service", kind(&error)))?;
        if listing::code(&body) == SKEWED {
            self.skewed.store(true, Ordering::Relaxed);
        }
        let at = date.unwrap_or_else(|| self.now());
        Ok(Reply { status, restore, class, archive, length, tag, body, at })
    }
}

fn failed(detail: &str) -> Error {
    service("reach the service", detail)
}

/// Returns the code of a refusal of SQS; empty where there is none.
fn queue_code(body: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let kind = value["__type"].as_str().unwrap_or_default();
    kind.rsplit('#').next().unwrap_or_default().to_owned()
}

struct Call<'a> {
    service: &'a str,
    endpoint: &'a str,
    method: &'a str,
    path: &'a str,
}

/// Where a listing begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From<'a> {
    Begin,
    After(&'a str),
    Token(&'a str),
}

fn path(place: &Place) -> String {
    format!("/{}/{}", encode_path(&place.bucket), encode_path(&place.key))
}

fn version(place: &Place) -> Option<String> {
    place.version.as_deref().map(|version| encode_pair("versionId", version))
}

fn service(action: &'static str, detail: &str) -> Error {
    Error::Service { action, detail: detail.to_owned() }
}

/// Names a failure without its URL, which holds keys.
fn kind(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}
