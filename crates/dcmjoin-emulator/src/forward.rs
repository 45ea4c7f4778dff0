//! Messages to queues of other SQS servers: another program's SQS, fed by this one's events.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use crate::sigv4;
use crate::world::Shared;

/// A message that is not taken so often is dropped, and counted.
const ATTEMPTS: u32 = 5;
const WAIT: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_secs(10);

type Http = Client<HttpConnector, Full<Bytes>>;

/// Sends what is in the outbox, whenever there is something.
pub(crate) async fn run(shared: Arc<Shared>) {
    let http: Http = Client::builder(TokioExecutor::new()).build_http();
    loop {
        shared.mail.notified().await;
        let letters = std::mem::take(&mut shared.enter().outbox);
        for (url, body) in letters {
            let sent = send(&shared, &http, &url, &body).await;
            let ledger = &mut shared.enter().book.ledger;
            *(if sent { &mut ledger.forwarded } else { &mut ledger.forward_failed }) += 1;
        }
    }
}

async fn send(shared: &Shared, http: &Http, url: &str, body: &str) -> bool {
    for _ in 0..ATTEMPTS {
        let Some(request) = request(shared, url, body) else { return false };
        let answer = tokio::time::timeout(TIMEOUT, http.request(request)).await;
        if matches!(answer, Ok(Ok(answer)) if answer.status() == StatusCode::OK) {
            return true;
        }
        tokio::time::sleep(WAIT).await;
    }
    false
}

/// Returns a signed `SendMessage`; `None` where the queue's URL is none.
fn request(shared: &Shared, url: &str, body: &str) -> Option<Request<Full<Bytes>>> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.authority()?.as_str();
    let pair = shared.enter().options.forward_as.clone();
    let text = json!({"QueueUrl": url, "MessageBody": body}).to_string();
    let headers = [
        ("content-type", "application/x-amz-json-1.0"),
        ("host", host),
        ("x-amz-target", "AmazonSQS.SendMessage"),
    ];
    let signed = sigv4::sign_post(&pair, "sqs", &headers, text.as_bytes(), SystemTime::now())?;
    let mut request = Request::post(format!("http://{host}/"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    for (name, value) in signed {
        request = request.header(name, value);
    }
    request.body(Full::new(text.into())).ok()
}
