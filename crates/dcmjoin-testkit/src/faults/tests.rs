use super::*;
use crate::{Bucket, SeaweedFs};

/// A server, a proxy in front of it, and a bucket by way of the proxy with one object of 10 bytes.
fn arranged() -> (SeaweedFs, FaultProxy, Bucket) {
    let server = SeaweedFs::start().unwrap();
    let proxy = FaultProxy::start(&server.admin()).unwrap();
    let bucket = proxy.access(&server.admin()).create_bucket("bucket").unwrap();
    bucket.put("k", "0123456789").unwrap();
    (server, proxy, bucket)
}

#[test]
fn passes_on_what_no_rule_is_for() {
    let (server, proxy, bucket) = arranged();
    assert_eq!(bucket.get("k").unwrap(), b"0123456789");
    assert_eq!(bucket.list("").unwrap(), ["k"]);
    assert_eq!(server.admin().bucket("bucket").get("k").unwrap(), b"0123456789");
    let seen = proxy.seen();
    let asked: Vec<_> = seen.iter().map(|seen| (&*seen.method, &*seen.target)).collect();
    assert_eq!(asked[..3], [("PUT", "/bucket"), ("PUT", "/bucket/k"), ("GET", "/bucket/k")]);
    assert_eq!(seen[1].header("HOST"), Some(&*proxy.address.to_string()));
    assert_eq!(proxy.connections(), seen.len());
}

#[test]
fn rules_count_their_requests() {
    let (_server, proxy, bucket) = arranged();
    proxy.on("GET", "/bucket/k").skip(1).take(2).does(Fault::SlowDown);
    let got: Vec<bool> = (0..4).map(|_| bucket.get("k").is_ok()).collect();
    assert_eq!(got, [true, false, false, true]);
    assert!(bucket.get("k").is_ok());
    let faults: Vec<_> = proxy.seen().iter().skip(2).map(|seen| seen.fault).collect();
    assert_eq!(faults, [None, Some(Fault::SlowDown), Some(Fault::SlowDown), None, None]);
}

#[test]
fn answers_are_spoiled_as_asked() {
    let (server, proxy, bucket) = arranged();
    for fault in [Fault::Cut(4), Fault::Short(4), Fault::Late(Duration::from_millis(1))] {
        proxy.on("GET", "/bucket/k").take(1).does(fault);
    }
    // The small client reads to the end of the connection, whatever the length says.
    assert_eq!(bucket.get("k").unwrap(), b"0123");
    assert_eq!(bucket.get("k").unwrap(), b"0123");
    assert_eq!(bucket.get("k").unwrap(), b"0123456789");
    proxy.on("PUT", "/bucket/lost").does(Fault::Lost);
    assert!(bucket.put("lost", "x").is_err());
    assert_eq!(server.admin().bucket("bucket").get("lost").unwrap(), b"x");
}

#[test]
fn silence_ends_with_the_proxy() {
    let (_server, proxy, bucket) = arranged();
    proxy.on("GET", "/bucket/k").does(Fault::Silent);
    let client = thread::spawn(move || bucket.get("k"));
    while proxy.seen().last().and_then(|seen| seen.fault).is_none() {
        thread::yield_now();
    }
    drop(proxy);
    assert!(client.join().unwrap().is_err());
}
