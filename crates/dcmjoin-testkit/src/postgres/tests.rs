//! The promises of the cluster that tests build on.

use super::*;

#[test]
fn databases_of_a_shared_cluster_know_nothing_of_each_other() {
    let (one, other) = (Database::create().unwrap(), Database::create().unwrap());
    assert!(Arc::ptr_eq(&one.cluster, &other.cluster));
    one.sql("CREATE TABLE a (b int); INSERT INTO a VALUES (1), (2)").unwrap();
    assert_eq!(one.sql("SELECT b, b * 2 FROM a ORDER BY b").unwrap(), "1|2\n2|4\n");
    let error = other.sql("SELECT b FROM a").unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[test]
fn what_is_committed_outlives_the_server() {
    let cluster = Postgres::start().unwrap();
    cluster.sql("CREATE TABLE a (b int)").unwrap();
    cluster.sql("INSERT INTO a VALUES (1)").unwrap();
    cluster.kill_and_restart().unwrap();
    assert!(cluster.log().contains("automatic recovery in progress"), "{}", cluster.log());
    cluster.sql("INSERT INTO a VALUES (2)").unwrap();
    cluster.restart().unwrap();
    assert_eq!(cluster.sql("SELECT b FROM a ORDER BY b").unwrap(), "1\n2\n");
}

#[test]
fn is_gone_with_its_owner() {
    let cluster = Postgres::start().unwrap();
    let folder = cluster.folder.path().to_owned();
    let mut look = cluster.program("pg_isready");
    look.args(["-q", "-h", "127.0.0.1", "-p", &cluster.port.to_string()]);
    assert!(look.status().unwrap().success());
    drop(cluster);
    assert!(!look.status().unwrap().success());
    assert!(!folder.exists());
}
