//! The promises of the server that tests build on.

use super::*;

#[test]
fn keeps_objects_and_knows_who_may_write() {
    let server = SeaweedFs::start().unwrap();
    let bucket = server.admin().create_bucket("shut").unwrap();
    bucket.put("a/b.txt", "one").unwrap();
    bucket.put("a/c.txt", "two").unwrap();
    assert_eq!(bucket.list("a").unwrap(), ["a/b.txt", "a/c.txt"]);
    assert_eq!(bucket.objects("").unwrap()["a/c.txt"], b"two");

    let reader = server.reader().bucket("shut");
    assert_eq!(reader.get("a/b.txt").unwrap(), b"one");
    assert!(reader.put("a/d.txt", "three").is_err());

    let open = server.admin().create_bucket("open-1").unwrap();
    server.limited().bucket("open-1").put("x", "y").unwrap();
    assert_eq!(open.get("x").unwrap(), b"y");
    assert!(server.limited().bucket("shut").put("x", "y").is_err());
}

#[test]
fn refuses_wrong_secrets_and_missing_buckets() {
    let server = SeaweedFs::start().unwrap();
    server.admin().create_bucket("there").unwrap();
    assert!(server.admin().with_wrong_secret().bucket("there").list("").is_err());
    assert!(server.admin().bucket("not-there").put("x", "y").is_err());
    assert!(server.reader().create_bucket("mine").is_err());
}

#[test]
fn is_gone_with_its_owner() {
    let server = SeaweedFs::start().unwrap();
    let port: u16 = server.host.rsplit(':').next().unwrap().parse().unwrap();
    let data = server.data.path().to_owned();
    assert!(answers(port));
    drop(server);
    assert!(!answers(port));
    assert!(!data.exists());
}
