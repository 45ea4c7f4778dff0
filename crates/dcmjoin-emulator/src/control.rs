//! The services beside S3 that speak JSON: SQS and EventBridge.

mod bus;
mod queues;

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use s3s::Body;
use serde_json::{Value, json};

use crate::front::plain;
use crate::options::Access;
use crate::queue::MESSAGE_BYTES_MAX;
use crate::sigv4::{self, Refused};
use crate::world::Shared;

/// The longest request: ten messages of the greatest length, and their names.
const REQUEST_BYTES_MAX: usize = 10 * MESSAGE_BYTES_MAX + 64 * 1024;
const JSON: &str = "application/x-amz-json-1.0";

/// A refusal: the service's code, that of its older protocol, and words.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    code: &'static str,
    /// Clients that grew up with the query protocol look at this one.
    old_code: &'static str,
    message: &'static str,
    status: StatusCode,
}

impl Refusal {
    const fn new(code: &'static str, message: &'static str) -> Self {
        Self { code, old_code: code, message, status: StatusCode::BAD_REQUEST }
    }

    const fn old(self, old_code: &'static str) -> Self {
        Self { old_code, ..self }
    }
}

type Answer = Result<Value, Refusal>;

const INVALID_PARAMETER: Refusal =
    Refusal::new("InvalidParameterValue", "A parameter is missing, or its value is not valid.");

/// Answers a request that names its call in `X-Amz-Target`.
pub(crate) async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let answer = match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
        Ok(body) => call(shared, &head, &body.to_bytes()).await,
        Err(_) => Err(Refusal::new("RequestTooLarge", "The request is too large.")),
    };
    match answer {
        Ok(value) => plain(StatusCode::OK, JSON, value.to_string()),
        Err(refusal) => refused(refusal),
    }
}

fn refused(refusal: Refusal) -> Response<Body> {
    let body = json!({"__type": refusal.code, "message": refusal.message});
    let mut response = plain(refusal.status, JSON, body.to_string());
    let old = refusal.old_code.rsplit('#').next().unwrap_or_default();
    if let Ok(value) = HeaderValue::try_from(format!("{old};Sender")) {
        response.headers_mut().insert("x-amzn-query-error", value);
    }
    response
}

async fn call(shared: &Arc<Shared>, head: &Parts, body: &[u8]) -> Answer {
    check_signature(shared, head, body)?;
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let (service, name) = target.and_then(|target| target.split_once('.')).unwrap_or_default();
    let input: Value = serde_json::from_slice(body).map_err(|_| INVALID_PARAMETER)?;
    let host = head.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    match (service, name) {
        ("AmazonSQS", "ReceiveMessage") => receive(shared, &input).await,
        ("AmazonSQS", name) => queues::call(&mut shared.enter(), name, &input, host),
        ("AWSEvents", name) => bus::call(&mut shared.enter(), name, &input),
        _ => Err(Refusal::new("UnknownOperationException", "The operation is not known.")),
    }
}

fn check_signature(shared: &Shared, head: &Parts, body: &[u8]) -> Result<(), Refusal> {
    let world = shared.enter();
    let Access::Keys(pairs) = &world.options.access else { return Ok(()) };
    let refusal = match sigv4::verify(pairs, head, body) {
        Ok(()) => return Ok(()),
        Err(Refused::Missing) => Refusal::new("MissingAuthenticationToken", "No signature."),
        Err(Refused::UnknownKey) => Refusal::new(
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        ),
        Err(Refused::Wrong) => Refusal::new(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        ),
    };
    Err(Refusal { status: StatusCode::FORBIDDEN, ..refusal })
}

/// How often a receiver looks again, where messages become visible by the machine's time.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Gives out messages, or waits for them, in real time: so long does the client hold its line.
async fn receive(shared: &Arc<Shared>, input: &Value) -> Answer {
    let wait = queues::wait(&mut shared.enter(), input)?;
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let arrived = shared.arrived.notified();
        tokio::pin!(arrived);
        // From now on a ring is heard, also one before the wait begins.
        arrived.as_mut().enable();
        let received = queues::receive(&mut shared.enter(), input)?;
        if received.get("Messages").is_some() || tokio::time::Instant::now() >= deadline {
            return Ok(received);
        }
        let look = deadline.min(tokio::time::Instant::now() + LOOK_EVERY);
        let _ = tokio::time::timeout_at(look, arrived).await;
    }
}
