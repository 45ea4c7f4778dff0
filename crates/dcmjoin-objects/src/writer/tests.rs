use super::*;
use crate::Stores;

/// More than a part and a half.
const LEN: u64 = PART_BYTES * 2 + 4321;

/// Pieces whose bounds are none of the parts'.
fn pieces(len: u64) -> Vec<Bytes> {
    let all: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
    let all = Bytes::from(all);
    let bounds: Vec<usize> = (0..len as usize).step_by(3_333_333).collect();
    bounds.iter().map(|&start| all.slice(start..all.len().min(start + 3_333_333))).collect()
}

async fn write(root: &Root, key: &str, len: u64, mode: PutMode) -> Result<(), Error> {
    let mut writer = root.writer(key, len, mode).await?;
    for piece in pieces(len) {
        writer.push(piece).await?;
    }
    writer.finish().await
}

fn roots() -> (tempfile::TempDir, [Root; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let stores = Stores::default();
    let folder = stores.open(&dir.path().display().to_string().parse().unwrap()).unwrap();
    let memory = stores.open(&"memory://".parse().unwrap()).unwrap();
    (dir, [folder, memory])
}

#[tokio::test]
async fn pieces_become_one_object_under_its_condition() {
    let (_dir, roots) = roots();
    for root in roots {
        for (key, len) in [("a/none", 0), ("a/small", 5_000_000), ("a/large", LEN)] {
            write(&root, key, len, PutMode::Create).await.unwrap();
            let object = root.object(key).await.unwrap().unwrap();
            assert_eq!(object.read(0..len).await.unwrap(), pieces(len).concat(), "{key}");

            let again = write(&root, key, len, PutMode::Create).await.unwrap_err();
            assert_eq!(again.kind, ErrorKind::Exists, "{key}");
            write(&root, key, len, PutMode::Replace).await.unwrap();
            let version = root.object(key).await.unwrap().unwrap().version().map(str::to_owned);
            let over = PutMode::Over(version);
            write(&root, key, len, over.clone()).await.unwrap();
            let stale = write(&root, key, len, over).await.unwrap_err();
            assert_eq!(stale.kind, ErrorKind::Changed, "{key}");
        }
        assert_eq!(root.list().await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_place_taken_while_pieces_come_is_kept() {
    let (_dir, roots) = roots();
    for root in roots {
        let mut writer = root.writer("x", LEN, PutMode::Create).await.unwrap();
        for piece in pieces(LEN) {
            writer.push(piece).await.unwrap();
        }
        root.put("x", vec!["first".into()], PutMode::Create).await.unwrap();
        assert_eq!(writer.finish().await.unwrap_err().kind, ErrorKind::Exists);
        assert_eq!(root.object("x").await.unwrap().unwrap().size(), 5);
    }
}

#[tokio::test]
async fn what_is_given_up_leaves_nothing() {
    let (dir, roots) = roots();
    for root in roots {
        let begun = async || {
            let mut writer = root.writer("x", LEN, PutMode::Create).await.unwrap();
            writer.push(pieces(LEN).remove(0)).await.unwrap();
            writer
        };
        begun().await.abort().await;
        drop(begun().await);
        assert_eq!(begun().await.finish().await.unwrap_err().kind, ErrorKind::Invalid);
        let mut long = begun().await;
        let too_much = Bytes::from(vec![0; LEN as usize]);
        assert_eq!(long.push(too_much.clone()).await.unwrap_err().kind, ErrorKind::Invalid);
        assert!(long.push(too_much).await.is_err());
        assert!(root.object("x").await.unwrap().is_none());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn less_is_held_where_that_is_wanted() {
    let root = Stores::default().open(&"memory://".parse().unwrap()).unwrap();
    let mut writer = root.writer("x", LEN, PutMode::Create).await.unwrap();
    writer.hold_at_most(10 << 20);
    for piece in pieces(LEN) {
        writer.push(piece).await.unwrap();
    }
    writer.finish().await.unwrap();
    assert_eq!(root.object("x").await.unwrap().unwrap().size(), LEN);
    // The beginning, 7 parts of 5 MiB, the end.
    assert_eq!(root.client.meter.requests().parts, 9);
}

#[tokio::test]
async fn an_object_may_be_shorter_than_its_bound() {
    let (_dir, roots) = roots();
    for root in roots {
        for len in [0, 1_000, LEN - 1] {
            for bound in [len.max(1), LEN] {
                let key = format!("{len} {bound}");
                let mut writer = root.writer_up_to(&key, bound, PutMode::Create).await.unwrap();
                writer.push_all(pieces(len)).await.unwrap();
                if len == 0 && bound == LEN {
                    continue; // An upload without parts is none.
                }
                writer.finish().await.unwrap();
                let object = root.object(&key).await.unwrap().unwrap();
                assert_eq!(object.read(0..len).await.unwrap(), pieces(len).concat());
                assert_eq!(object.size(), len);
            }
        }
        let mut writer = root.writer_up_to("x", 10, PutMode::Create).await.unwrap();
        let too_much = writer.push_all(vec!["123456".into(), "78901".into()]).await.unwrap_err();
        assert_eq!(too_much.kind, ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn a_large_file_is_written_like_a_small_one() {
    let (_dir, roots) = roots();
    let source = tempfile::NamedTempFile::new().unwrap();
    for root in roots {
        for len in [0, 1_000, LEN] {
            std::fs::write(source.path(), pieces(len).concat()).unwrap();
            root.put_file("rows", source.path()).await.unwrap();
            let object = root.object("rows").await.unwrap().unwrap();
            assert_eq!(object.read(0..len).await.unwrap(), pieces(len).concat());
            assert_eq!(object.size(), len);
        }
    }
}

#[tokio::test]
async fn a_large_body_is_put_in_parts() {
    let root = Stores::default().open(&"memory://".parse().unwrap()).unwrap();
    for (len, parts) in [(64 << 20, 0), ((64 << 20) + 1, 7)] {
        root.put("x", pieces(len), PutMode::Replace).await.unwrap();
        assert_eq!(root.object("x").await.unwrap().unwrap().size(), len);
        assert_eq!(root.client.meter.requests().parts, parts);
    }
    let taken = root.put("x", pieces(65 << 20), PutMode::Create).await.unwrap_err();
    assert_eq!(taken.kind, ErrorKind::Exists);
}
