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
    // A log is one task store's: the next one's begins with nothing.
    let forget = || {
        let tables = server.sql("SHOW TABLES LIKE 'dcmjoin_%'").unwrap();
        for table in tables.split_whitespace() {
            server.sql(&format!("DROP TABLE {table}")).unwrap();
        }
    };
    forget();
    two_of_three_assembling_are_killed(&sharing());
    forget();
    let scene = sharing().raw(None);
    synthetic(&scene.place);
    super::raw::two_of_three_are_killed(&scene);
}
