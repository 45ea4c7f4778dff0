//! The first and the last to see a request: faults, the ledger, the services, the headers.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, SERVER};
use http::{HeaderMap, HeaderValue, Request as HttpRequest, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use s3s::service::S3Service;
use s3s::{Body, S3Error};

use crate::admin;
use crate::error;
use crate::event::{request_id, uuid};
use crate::fault::Effect;
use crate::options::Access;
use crate::request::{Kind, Request};
use crate::world::{Shared, World};

/// The effect that a request's own service must play.
#[derive(Debug, Clone)]
pub(crate) struct Planned(pub(crate) Effect);

/// Ends the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection closed on purpose, or an answer that could not be made")]
pub(crate) struct Closed;

/// The status of an answer, where it is not the usual one: `s3s` 0.14 takes no other of a service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status(pub(crate) StatusCode);

pub(crate) async fn answer(
    shared: Arc<Shared>,
    service: S3Service,
    mut http: HttpRequest<Incoming>,
) -> Result<Response<Body>, Closed> {
    if admin::is_mine(http.uri()) {
        return Ok(admin::answer(&shared, http.method(), http.uri()));
    }
    let request = Request::read(http.method(), http.uri(), http.headers());
    let planned = plan(&mut shared.enter(), &request, http.headers());
    let response = match planned {
        Plan::Close => return Err(Closed),
        Plan::Refuse(error) => error.to_http_response().map_err(|_| Closed)?,
        Plan::Serve(effect) => {
            if let Some(effect) = effect {
                http.extensions_mut().insert(Planned(effect));
            }
            serve(&shared, service, request.kind, http).await?
        }
    };
    finish(&shared, response).await
}

/// What is to be done with a request.
enum Plan {
    Close,
    Refuse(S3Error),
    Serve(Option<Effect>),
}

fn plan(world: &mut World, request: &Request, headers: &HeaderMap) -> Plan {
    world.book.request(request.kind);
    if let Some(error) = refused_credentials(world, headers) {
        return Plan::Refuse(error);
    }
    let (kind, now) = (request.kind, world.now);
    let fits = |effect: &Effect| effect.fits(kind);
    let effect = world.request_faults.strike(kind, &request.key, now, fits);
    let Some(effect) = effect else { return Plan::Serve(None) };
    world.book.fault(effect.name());
    match effect {
        Effect::Drop => Plan::Close,
        Effect::SlowDown => Plan::Refuse(error::slow_down()),
        Effect::InternalError => Plan::Refuse(error::internal()),
        Effect::AccessDenied => Plan::Refuse(error::access_denied()),
        Effect::ExpiredToken => Plan::Refuse(error::expired_token()),
        Effect::Overwrite(body) => {
            world.overwrite(&request.bucket, &request.key, body);
            Plan::Serve(None)
        }
        other => Plan::Serve(Some(other)),
    }
}

/// Checks what the signature does not: the session that the key belongs to.
fn refused_credentials(world: &World, headers: &HeaderMap) -> Option<S3Error> {
    let Access::Keys(pairs) = &world.options.access else { return None };
    let authorization = headers.get("authorization")?.to_str().ok()?;
    let (_, credential) = authorization.split_once("Credential=")?;
    let access_key = credential.split('/').next()?;
    let pair = pairs.iter().find(|pair| pair.access_key == access_key)?;
    let token = headers.get("x-amz-security-token").and_then(|token| token.to_str().ok());
    if token != pair.session_token.as_deref() {
        return Some(error::invalid_token());
    }
    let expired = pair.expires.is_some_and(|expires| expires <= world.now);
    expired.then(error::expired_token)
}

async fn serve(
    shared: &Arc<Shared>,
    service: S3Service,
    kind: Kind,
    http: HttpRequest<Incoming>,
) -> Result<Response<Body>, Closed> {
    match kind {
        Kind::Queue => Ok(crate::control::answer(shared, http).await),
        _ => service.call(http.map(Body::from)).await.map_err(|_| Closed),
    }
}

/// Gives an answer the headers that every answer has, and an error's body what belongs there.
async fn finish(shared: &Shared, response: Response<Body>) -> Result<Response<Body>, Closed> {
    let (date, number) = {
        let mut world = shared.enter();
        world.book.answer(response.status().as_u16());
        (world.now.http_date(), world.row.draw())
    };
    let mut response =
        if is_error_text(&response) { with_details(response, number).await? } else { response };
    if let Some(Status(status)) = response.extensions().get() {
        *response.status_mut() = *status;
    }
    let headers = response.headers_mut();
    let value = |text: String| HeaderValue::try_from(text).map_err(|_| Closed);
    headers.insert(DATE, value(date)?);
    headers.insert(SERVER, HeaderValue::from_static("AmazonS3"));
    headers.insert("x-amz-request-id", value(request_id(number))?);
    headers.insert("x-amz-id-2", value(uuid(number))?);
    Ok(response)
}

fn is_error_text(response: &Response<Body>) -> bool {
    let status = response.status();
    let xml = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("application/xml")));
    xml && (status.is_client_error() || status.is_server_error())
}

async fn with_details(response: Response<Body>, number: u64) -> Result<Response<Body>, Closed> {
    let (mut head, body) = response.into_parts();
    let text = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let text = String::from_utf8(text.into()).map_err(|_| Closed)?;
    let details = head.headers.remove(error::DETAILS);
    let details = details.as_ref().and_then(|details| details.to_str().ok()).unwrap_or_default();
    let (id, host) = (request_id(number), uuid(number));
    let more = format!("{details}<RequestId>{id}</RequestId><HostId>{host}</HostId></Error>");
    head.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(head, Body::from(text.replace("</Error>", &more))))
}

/// Returns an answer of a service that is not S3.
pub(crate) fn plain(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
