//! Tasks on a real server.

use dcmjoin_ledger_postgres::Postgres;
use dcmjoin_testkit::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_task_store_does() {
    let database = Database::create().unwrap();
    let store = Postgres::open(database.url()).await.unwrap();
    crate::task_suite::check(&store).await;
}
