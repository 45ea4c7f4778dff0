//! Objects: written, read, listed, copied.

use dcmjoin_emulator::{Body, KeyPair, Kind, Options, StorageClass};
use dcmjoin_testkit::{Access as Client, Ask};

use super::*;

impl Scene {
    fn put_with(&self, key: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let path = format!("/archive/{key}");
        let body = body.as_bytes();
        self.send(&Ask { method: "PUT", path: &path, headers, body, ..Ask::default() })
    }

    fn list(&self, query: &[(&str, &str)]) -> Answer {
        let mut whole = vec![("list-type", "2")];
        whole.extend(query);
        self.send(&Ask { path: "/archive", query: &whole, ..Ask::default() })
    }
}

fn elements(answer: &Answer, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let text = answer.text();
    let rest = text.split(open.as_str()).skip(1);
    rest.filter_map(|part| Some(part.split_once(&close)?.0.to_owned())).collect()
}

#[test]
fn ranges_and_conditions_of_reads() {
    let scene = Scene::new();
    let put = scene.put_with("k", "0123456789", &[]);
    let tag = put.header("etag").unwrap().to_owned();
    assert_eq!(tag, "\"781e5e245d69b566979b86e28d23f2c7\"");
    let check = |range: &str, status: u16, body: &str, said: Option<&str>| {
        let answer = scene.get_with("k", &[("range", range)]);
        assert_eq!((answer.status, answer.header("content-range")), (status, said), "{range}");
        if status < 400 {
            assert_eq!(answer.text(), body, "{range}");
            assert_eq!(answer.header("content-length"), Some(body.len().to_string().as_str()));
        }
    };
    check("bytes=0-0", 206, "0", Some("bytes 0-0/10"));
    check("bytes=3-5", 206, "345", Some("bytes 3-5/10"));
    check("bytes=7-", 206, "789", Some("bytes 7-9/10"));
    check("bytes=7-99", 206, "789", Some("bytes 7-9/10"));
    check("bytes=-4", 206, "6789", Some("bytes 6-9/10"));
    check("bytes=10-", 416, "", None);
    assert_eq!(scene.get_with("k", &[("if-match", &tag)]).status, 200);
    refused(&scene.get_with("k", &[("if-match", "\"other\"")]), 412, "PreconditionFailed");
    assert_eq!(scene.get_with("k", &[("if-none-match", &tag)]).status, 304);
    refused(&scene.get("none"), 404, "NoSuchKey");
    assert_eq!(scene.head("none").status, 404);
}

#[test]
fn writes_on_a_condition() {
    let scene = Scene::new();
    let none = [("if-none-match", "*")];
    assert_eq!(scene.put_with("k", "one", &none).status, 200);
    refused(&scene.put_with("k", "two", &none), 412, "PreconditionFailed");
    let tag = scene.head("k").header("etag").unwrap().to_owned();
    assert_eq!(scene.put_with("k", "two", &[("if-match", &tag)]).status, 200);
    refused(&scene.put_with("k", "three", &[("if-match", &tag)]), 412, "PreconditionFailed");
    refused(&scene.put_with("other", "x", &[("if-match", &tag)]), 404, "NoSuchKey");
    assert_eq!(scene.get("k").body, b"two");
    let class = [("x-amz-storage-class", "GLACIER")];
    assert_eq!(scene.put_with("cold", "x", &class).status, 200);
    refused(&scene.get("cold"), 403, "InvalidObjectState");
    let class = [("x-amz-storage-class", "GLACIAL")];
    refused(&scene.put_with("cold", "x", &class), 400, "InvalidStorageClass");
}

#[test]
fn one_of_many_writers_wins() {
    let scene = Scene::new();
    let won = std::thread::scope(|scope| {
        let write = || scene.put_with("k", "x", &[("if-none-match", "*")]).status == 200;
        let writers: Vec<_> = (0..16).map(|_| scope.spawn(write)).collect();
        writers
            .into_iter()
            .filter(|_| true)
            .map(|writer| writer.join().unwrap())
            .filter(|won| *won)
            .count()
    });
    assert_eq!(won, 1);
}

#[test]
fn digests_are_compared() {
    let scene = Scene::new();
    let right = "kAFQmDzST7DWlj99KOF/cg==";
    assert_eq!(scene.put_with("k", "abc", &[("content-md5", right)]).status, 200);
    refused(&scene.put_with("k", "abd", &[("content-md5", right)]), 400, "BadDigest");
    let right = "NSRBwg==";
    assert_eq!(scene.put_with("k", "abc", &[("x-amz-checksum-crc32", right)]).status, 200);
    refused(&scene.put_with("k", "abd", &[("x-amz-checksum-crc32", right)]), 400, "BadDigest");
    let answer = scene.get_with("k", &[("x-amz-checksum-mode", "ENABLED")]);
    assert_eq!(answer.header("x-amz-checksum-crc32"), Some(right));
}

#[test]
fn listings_are_in_byte_order_and_in_pages() {
    let scene = Scene::new();
    for key in ["o/a/b", "o/a", "o/a-b", "o/a.b", "z", "ü", "o/c/d", "o/c/e"] {
        scene.put(key, "x", StorageClass::Standard);
    }
    let all = ["o/a", "o/a-b", "o/a.b", "o/a/b", "o/c/d", "o/c/e", "z", "ü"];
    assert_eq!(elements(&scene.list(&[]), "Key"), all);
    let mut paged = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let mut query = vec![("max-keys", "3")];
        query.extend(token.as_deref().map(|token| ("continuation-token", token)));
        let page = scene.list(&query);
        paged.extend(elements(&page, "Key"));
        token = page.element("NextContinuationToken");
        assert_eq!(page.element("IsTruncated").unwrap(), token.is_some().to_string());
        if token.is_none() {
            break;
        }
    }
    assert_eq!(paged, all);
    let below = scene.list(&[("prefix", "o/"), ("delimiter", "/")]);
    assert_eq!(elements(&below, "Key"), ["o/a", "o/a-b", "o/a.b"]);
    let prefixes = elements(&below, "CommonPrefixes");
    assert_eq!(prefixes, ["<Prefix>o/a/</Prefix>", "<Prefix>o/c/</Prefix>"]);
    let page = scene.list(&[("prefix", "o/"), ("delimiter", "/"), ("max-keys", "4")]);
    assert_eq!(page.element("KeyCount").as_deref(), Some("4"));
    let token = page.element("NextContinuationToken").unwrap();
    let query = [("prefix", "o/"), ("delimiter", "/"), ("continuation-token", token.as_str())];
    let rest = scene.list(&query);
    assert_eq!(elements(&rest, "CommonPrefixes"), ["<Prefix>o/c/</Prefix>"]);
    assert_eq!(elements(&scene.list(&[("start-after", "o/c/e")]), "Key"), ["z", "ü"]);
    let encoded = scene.list(&[("encoding-type", "url"), ("start-after", "z")]);
    assert_eq!(elements(&encoded, "Key"), ["%C3%BC"]);
}

#[test]
fn an_upload_in_parts_is_one_object() {
    let scene = Scene::new();
    let send = |method, query: &[(&str, &str)], body: &[u8]| {
        scene.send(&Ask { method, path: "/archive/big", query, body, ..Ask::default() })
    };
    let id = send("POST", &[("uploads", "")], b"").element("UploadId").unwrap();
    let large = vec![b'a'; 5 * 1024 * 1024];
    let part = |number, body: &[u8]| {
        let answer = send("PUT", &[("partNumber", number), ("uploadId", &id)], body);
        answer.header("etag").unwrap().to_owned()
    };
    let (one, two) = (part("1", &large), part("2", b"tail"));
    let complete = |parts: &[(&str, &str)]| {
        let part = |(number, tag): &(&str, &str)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>")
        };
        let parts = parts.iter().map(part).collect::<Vec<_>>().concat();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        send("POST", &[("uploadId", &id)], body.as_bytes())
    };
    refused(&complete(&[("2", &two), ("1", &one)]), 400, "InvalidPartOrder");
    refused(&complete(&[("1", &two)]), 400, "InvalidPart");
    assert_eq!(complete(&[("1", &one), ("2", &two)]).status, 200);
    let head = scene.head("big");
    assert!(head.header("etag").unwrap().ends_with("-2\""));
    let tail = scene.get_with("big", &[("range", "bytes=5242878-5242881")]);
    assert_eq!(tail.body, b"aata");
    refused(&complete(&[("1", &one)]), 404, "NoSuchUpload");
}

#[test]
fn an_archive_is_copied_once_it_is_restored() {
    let scene = Scene::archived();
    let source = [("x-amz-copy-source", "/archive/a.tar")];
    refused(&scene.put_with("copy", "", &source), 403, "ObjectNotInActiveTierError");
    scene.restore("a.tar", "Expedited", 1);
    scene.advance(5 * MINUTE);
    assert_eq!(scene.put_with("copy", "", &source).status, 200);
    assert_eq!(scene.get("copy").body, b"0123456789");
    assert_eq!(scene.head("copy").header("x-amz-storage-class"), None);
}

#[test]
fn large_bodies_are_made_as_they_are_read() {
    let scene = Scene::new();
    let body = Body::Generated { length: 1 << 40, seed: 9 };
    scene.put("huge", body.clone(), StorageClass::Standard);
    let answer = scene.get_with("huge", &[("range", "bytes=549755813888-549756813887")]);
    assert_eq!(answer.body, body.read(1 << 39..(1 << 39) + 1_000_000).unwrap());
    assert_eq!(
        answer.header("content-range"),
        Some("bytes 549755813888-549756813887/1099511627776")
    );
}

#[test]
fn long_uploads_go_to_the_spool() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Some(folder.path().to_path_buf());
    let scene = Scene::with(Options { spool, memory_bytes_max: 1 << 20, ..Options::default() });
    let long = "x".repeat(3 << 20);
    assert_eq!(scene.put_with("long", &long, &[]).status, 200);
    assert_eq!(scene.get("long").body.len(), long.len());
    let scene = Scene::with(Options { memory_bytes_max: 1 << 20, ..Options::default() });
    assert_eq!(scene.put_with("long", &long, &[]).status, 500);
}

#[test]
fn keys_must_be_right() {
    let session = KeyPair::session("temporary", "secret", "token", at(START) + HOUR);
    let pairs = vec![KeyPair::new("test-key", "test-secret"), session];
    let access = dcmjoin_emulator::Access::Keys(pairs);
    let scene = Scene::with(Options { access, ..Options::default() });
    scene.put("k", "x", StorageClass::Standard);
    assert_eq!(scene.get("k").status, 200);
    let host = scene.emulator.address().to_string();
    let ask = |client: &Client, headers| {
        client.send(&Ask { path: "/archive/k", headers, ..Ask::default() }).unwrap()
    };
    refused(&ask(&scene.client.with_wrong_secret(), &[]), 403, "SignatureDoesNotMatch");
    refused(&ask(&Client::new(&host, "unknown", "secret"), &[]), 403, "InvalidAccessKeyId");
    let temporary = Client::new(&host, "temporary", "secret");
    let token = [("x-amz-security-token", "token")];
    refused(&ask(&temporary, &[]), 400, "InvalidToken");
    assert_eq!(ask(&temporary, &token).status, 200);
    scene.advance(HOUR);
    refused(&ask(&temporary, &token), 400, "ExpiredToken");
}

#[test]
fn dates_are_those_of_the_clock() {
    let scene = Scene::new();
    scene.advance(40 * DAY);
    scene.put("k", "x", StorageClass::Standard);
    let head = scene.head("k");
    assert_eq!(head.header("date"), Some("Sun, 19 Apr 2026 09:30:00 GMT"));
    assert_eq!(head.header("last-modified"), Some("Sun, 19 Apr 2026 09:30:00 GMT"));
}

#[test]
fn the_ledger_counts_requests_and_bytes() {
    let scene = Scene::new();
    scene.put_with("k", "12345", &[]);
    scene.get("k");
    scene.get_with("k", &[("range", "bytes=1-2")]);
    scene.get("none");
    scene.head("k");
    scene.list(&[]);
    let ledger = scene.emulator.ledger();
    let counts = [Kind::Put, Kind::Get, Kind::Head, Kind::List, Kind::Restore];
    assert_eq!(counts.map(|kind| ledger.count(kind)), [1, 3, 1, 1, 0]);
    assert_eq!((ledger.bytes_written, ledger.bytes_read), (5, 7));
    assert_eq!(ledger.refused.get(&404), Some(&1));
}

#[test]
fn what_is_stored_can_be_looked_at_without_a_request() {
    let scene = Scene::archived();
    let storage = scene.emulator.storage();
    scene.put("b", "x", StorageClass::Standard);
    assert_eq!(storage.keys("archive", "a").unwrap(), ["a.tar"]);
    assert_eq!(storage.body("archive", "a.tar").unwrap().read(0..3).unwrap(), "012");
    storage.overwrite("archive", "a.tar", "other").unwrap();
    assert_eq!(scene.head("a.tar").header("content-length"), Some("5"));
    refused(&scene.get("a.tar"), 403, "InvalidObjectState");
    storage.delete("archive", "a.tar").unwrap();
    assert_eq!(storage.keys("archive", "").unwrap(), ["b"]);
    let error = storage.body("archive", "a.tar").unwrap_err();
    assert_eq!(error.to_string(), "read an object: NoSuchKey");
    assert_eq!(scene.emulator.ledger().count(Kind::Put), 0);
}
