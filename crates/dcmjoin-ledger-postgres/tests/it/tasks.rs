//! Tasks on a real server.

use dcmjoin_ledger_postgres::Postgres;
use dcmjoin_testkit::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_task_store_does() {
    let database = Database::create().unwrap();
    let store = Postgres::open(database.url()).await.unwrap();
    crate::task_suite::check(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_form_1_are_changed() {
    let database = Database::create().unwrap();
    Postgres::open(database.url()).await.unwrap();
    let back = "DROP INDEX dcmjoin_ledger.task_waiting; UPDATE dcmjoin_ledger.form SET form = 1";
    database.sql(back).unwrap();
    Postgres::open(database.url()).await.unwrap();
    let look = "SELECT form, to_regclass('dcmjoin_ledger.task_waiting') IS NOT NULL
                FROM dcmjoin_ledger.form";
    assert_eq!(database.sql(look).unwrap().trim(), "2|t");
}
