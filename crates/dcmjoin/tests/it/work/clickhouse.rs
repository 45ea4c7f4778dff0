//! Tasks in a file, facts in a database of columns.

use dcmjoin_testkit::ClickHouse;

use super::scene::{Scene, synthetic, two_of_three_are_killed, two_of_three_assembling_are_killed};

#[test]
fn killed_workers_change_nothing() {
    let server = ClickHouse::start().unwrap();
    let sharing = || {
        let facts = server.url().replace("http://", "clickhouse://");
        Scene::folders().sharing(None, Some(&facts))
    };
    let scene = sharing();
    synthetic(&scene.place);
    two_of_three_are_killed(&scene);
    // The same campaign's name, but other instances' facts would mix with its own.
    server.sql("TRUNCATE TABLE dcmjoin_fact").unwrap();
    two_of_three_assembling_are_killed(&sharing());
    server.sql("TRUNCATE TABLE dcmjoin_fact").unwrap();
    server.sql("TRUNCATE TABLE dcmjoin_done").unwrap();
    let scene = sharing().raw(None);
    synthetic(&scene.place);
    super::raw::two_of_three_are_killed(&scene);
}
