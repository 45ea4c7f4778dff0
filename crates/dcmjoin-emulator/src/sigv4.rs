//! Signature Version 4, for the services that `s3s` does not speak for: SQS and EventBridge.
//!
//! Source: the IAM user guide, "Create a signed AWS API request".

use std::time::SystemTime;

use hmac::{Hmac, Mac as _};
use http::HeaderMap;
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use crate::event::REGION;
use crate::object::Hex;
use crate::options::KeyPair;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a signature is made over, and with.
struct Scope<'a> {
    /// `20260102/us-east-1/sqs/aws4_request`.
    scope: &'a str,
    /// `20260102T030405Z`.
    time: &'a str,
}

/// Why a signature is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Missing,
    UnknownKey,
    Wrong,
}

/// Checks the signature of a request whose body has been read.
pub(crate) fn verify(pairs: &[KeyPair], head: &Parts, body: &[u8]) -> Result<(), Refused> {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = header("authorization").ok_or(Refused::Missing)?;
    let rest = authorization.strip_prefix(ALGORITHM).ok_or(Refused::Missing)?;
    let field = |name: &str| {
        let fields = rest.split(',').map(str::trim);
        fields.filter_map(|field| field.split_once('=')).find(|(key, _)| *key == name)
    };
    let (_, credential) = field("Credential").ok_or(Refused::Missing)?;
    let (_, names) = field("SignedHeaders").ok_or(Refused::Missing)?;
    let (_, signature) = field("Signature").ok_or(Refused::Missing)?;
    let (access_key, scope) = credential.split_once('/').ok_or(Refused::Missing)?;
    let pair = pairs.iter().find(|pair| pair.access_key == access_key);
    let pair = pair.ok_or(Refused::UnknownKey)?;
    let scope = Scope { scope, time: header("x-amz-date").ok_or(Refused::Missing)? };
    let canonical = canonical(head, names, body);
    let expected = sign(&pair.secret_key, &scope, &canonical).ok_or(Refused::Wrong)?;
    if expected == signature { Ok(()) } else { Err(Refused::Wrong) }
}

/// Signs a POST to `/`; returns the headers that the request needs besides those that are given,
/// which must be sorted. `None` for a clock before 1970.
pub(crate) fn sign_post(
    pair: &KeyPair,
    service: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    now: SystemTime,
) -> Option<[(&'static str, String); 2]> {
    now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let time = humantime::format_rfc3339_seconds(now).to_string().replace(['-', ':'], "");
    let scope = format!("{}/{REGION}/{service}/aws4_request", time.get(..8)?);
    let mut all = headers.to_vec();
    all.push(("x-amz-date", &time));
    all.sort_unstable();
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: Vec<String> = all.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let hash = Sha256::digest(body);
    let canonical = format!("POST\n/\n\n{}\n{names}\n{}", lines.concat(), Hex(&hash));
    let signature = sign(&pair.secret_key, &Scope { scope: &scope, time: &time }, &canonical)?;
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        pair.access_key
    );
    Some([("x-amz-date", time), ("authorization", authorization)])
}

fn canonical(head: &Parts, names: &str, body: &[u8]) -> String {
    let mut query: Vec<&str> = head.uri.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    let headers: String = names.split(';').map(|name| line(&head.headers, name)).collect();
    let hash = Sha256::digest(body);
    let (method, path, query) = (&head.method, head.uri.path(), query.join("&"));
    format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{}", Hex(&hash))
}

fn line(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let values: Vec<String> =
        values.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    format!("{name}:{}\n", values.join(","))
}

/// Returns the signature of a canonical request; `None` for a scope that is none.
fn sign(secret: &str, scope: &Scope<'_>, canonical: &str) -> Option<String> {
    let parts: Vec<&str> = scope.scope.split('/').collect();
    let &[day, region, service, end] = parts.as_slice() else { return None };
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, region, service, end] {
        key = hmac(&key, part.as_bytes());
    }
    let digest = Sha256::digest(canonical);
    let text = format!("{ALGORITHM}\n{}\n{}\n{}", scope.time, scope.scope, Hex(&digest));
    Some(Hex(&hmac(&key, text.as_bytes())).to_string())
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the IAM user guide: `ListUsers`.
    fn example(signature: &str) -> Result<(), Refused> {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, Signature={signature}"
        );
        let request = http::Request::get("/?Action=ListUsers&Version=2010-05-08")
            .header("host", "iam.amazonaws.com")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("x-amz-date", "20150830T123600Z")
            .header("authorization", authorization);
        let (head, ()) = request.body(()).unwrap().into_parts();
        let pair = KeyPair::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        verify(&[pair], &head, b"")
    }

    #[test]
    fn what_is_signed_is_verified() {
        let pair = KeyPair::new("key", "secret");
        let headers = [("content-type", "text/plain"), ("host", "localhost:1")];
        let signed = sign_post(&pair, "sqs", &headers, b"body", SystemTime::now()).unwrap();
        let mut request = http::Request::post("/");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in signed {
            request = request.header(name, value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(verify(std::slice::from_ref(&pair), &head, b"body"), Ok(()));
        assert_eq!(verify(&[pair], &head, b"bodY"), Err(Refused::Wrong));
        assert_eq!(verify(&[], &head, b"body"), Err(Refused::UnknownKey));
    }

    #[test]
    fn agrees_with_the_published_example() {
        let right = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        assert_eq!(example(right), Ok(()));
        assert_eq!(example(&right.replace('5', "6")), Err(Refused::Wrong));
    }
}
