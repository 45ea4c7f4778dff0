use super::*;
use crate::stores::Stores;

#[tokio::test]
async fn a_folder_is_listed_in_key_order_and_read_by_range() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("b")).unwrap();
    std::fs::write(dir.path().join("b/2.tar"), b"0123456789").unwrap();
    std::fs::write(dir.path().join("a.tar"), b"").unwrap();
    let root = Stores::default().open(&dir.path().display().to_string().parse().unwrap()).unwrap();
    let objects = root.list().await.unwrap();
    let urls: Vec<_> = objects.iter().map(|object| object.url().to_string()).collect();
    assert_eq!(
        urls,
        [dir.path().join("a.tar"), dir.path().join("b/2.tar")].map(|p| p.display().to_string())
    );
    assert_eq!(objects[1].read(2..5).await.unwrap(), "234");
    assert_eq!(objects[1].read(8..50).await.unwrap(), "89");
    assert_eq!(objects[0].read(0..50).await.unwrap(), "");
}

#[tokio::test]
async fn an_object_that_is_replaced_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.tar"), b"first").unwrap();
    let root = Stores::default().open(&dir.path().display().to_string().parse().unwrap()).unwrap();
    let object = root.list().await.unwrap().remove(0);
    std::fs::write(dir.path().join("a.tar"), b"second").unwrap();
    assert_eq!(object.read(0..5).await.unwrap_err().kind, ErrorKind::Changed);
}

#[tokio::test]
async fn writes_keep_their_conditions() {
    let dir = tempfile::tempdir().unwrap();
    let root = Stores::default().open(&dir.path().display().to_string().parse().unwrap()).unwrap();
    let put = async |text: &'static str, mode| root.put("x/y", vec![text.into()], mode).await;
    put("one", PutMode::Create).await.unwrap();
    assert_eq!(put("two", PutMode::Create).await.unwrap_err().kind, ErrorKind::Exists);
    put("three", PutMode::Replace).await.unwrap();
    let version = root.object("x/y").await.unwrap().unwrap().version().map(str::to_owned);
    put("four", PutMode::Over(version.clone())).await.unwrap();
    assert_eq!(put("five", PutMode::Over(version)).await.unwrap_err().kind, ErrorKind::Changed);
    assert_eq!(std::fs::read(dir.path().join("x/y")).unwrap(), b"four");
    root.delete("x/y").await.unwrap();
    root.delete("x/y").await.unwrap();
    assert!(root.object("x/y").await.unwrap().is_none());
    root.sync().unwrap();
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let root = Stores::default().open(&"/nowhere/at/all".parse().unwrap()).unwrap();
    let error = root.list().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}
