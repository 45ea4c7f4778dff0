//! Tasks on a real server.

use dcmjoin_ledger_postgres::Postgres;
use dcmjoin_testkit::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_task_store_does() {
    let database = Database::create().unwrap();
    let store = Postgres::open(database.url()).await.unwrap();
    crate::task_suite::check(&store).await;
}

/// Of form 1 with a pair that is done and one that is not.
const FORM_1: &str = "
SET search_path TO dcmjoin_ledger;
DROP INDEX task_waiting;
DROP TABLE arrival;
ALTER TABLE done RENAME TO pair;
CREATE TABLE queue (
    receipt int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, partition int2 NOT NULL,
    campaign int4 NOT NULL, fingerprint uuid NOT NULL, uid text NOT NULL);
INSERT INTO pair SELECT 1, print::text::uuid, '2.25.' || at
FROM unnest('{04000000000000000000000000000007,f0000000000000000000000000000007}'::text[])
    WITH ORDINALITY paired (print, at);
INSERT INTO queue (partition, campaign, fingerprint, uid)
SELECT get_byte(uuid_send(fingerprint), 0) >> 2, campaign, fingerprint, uid FROM pair
WHERE uid = '2.25.2';
UPDATE form SET form = 1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_form_1_are_changed() {
    let database = Database::create().unwrap();
    Postgres::open(database.url()).await.unwrap();
    database.sql(FORM_1).unwrap();
    Postgres::open(database.url()).await.unwrap();
    let look = "SELECT form, to_regclass('dcmjoin_ledger.task_waiting') IS NOT NULL,
                (SELECT string_agg(uid, ' ') FROM dcmjoin_ledger.done),
                (SELECT string_agg(partition || ' ' || fingerprints::text, ' ') FROM dcmjoin_ledger.arrival)
                FROM dcmjoin_ledger.form";
    let arrived = "60 {f0000000-0000-0000-0000-000000000007}";
    assert_eq!(database.sql(look).unwrap().trim(), format!("3|t|2.25.1|{arrived}"));
}
