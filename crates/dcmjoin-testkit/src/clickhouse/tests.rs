//! The promises of the engine that tests build on.

use super::*;

#[test]
fn requests_run_at_once() {
    const SLEEPS: usize = 20;
    let server = ClickHouse::start().unwrap();
    let seen = || {
        let look = "SELECT countIf(query LIKE 'SELECT sleep%') FROM system.processes";
        server.sql(look).unwrap().trim() == "1"
    };
    // One that sleeps is only seen while another one is answered.
    let seen = (0..SLEEPS).any(|_| {
        std::thread::scope(|scope| {
            let sleeping = scope.spawn(|| server.sql("SELECT sleep(1)").unwrap());
            let mut found = false;
            while !found && !sleeping.is_finished() {
                found = seen();
            }
            found
        })
    });
    assert!(seen);
}

#[test]
fn what_is_inserted_outlives_the_engine() {
    let server = ClickHouse::start().unwrap();
    server.sql("CREATE TABLE a (b UInt64) ENGINE = MergeTree ORDER BY b").unwrap();
    server.sql("INSERT INTO a SELECT number FROM numbers(1000)").unwrap();
    server.kill_and_restart().unwrap();
    assert_eq!(server.sql("SELECT count(), max(b) FROM a").unwrap(), "1000\t999\n");
    let error = server.sql("SELECT c FROM a").unwrap_err();
    assert!(format!("{error:#}").contains("Code: 47"), "{error:#}");
    let (port, folder) = (server.port, server.folder.path().to_owned());
    drop(server);
    assert!(ask(port, "GET", "").is_err());
    assert!(!folder.exists());
}
