//! Tasks in a file, facts in topics.

use dcmjoin_testkit::Kafka;

use super::scene::{Scene, synthetic, two_of_three_are_killed, two_of_three_assembling_are_killed};

#[test]
fn killed_workers_change_nothing() {
    let server = Kafka::start().unwrap();
    let sharing = |prefix: &str| {
        let facts = format!("kafka://{}/{prefix}", server.bootstrap());
        Scene::folders().sharing(None, Some(&facts))
    };
    let scene = sharing("scan");
    synthetic(&scene.place);
    two_of_three_are_killed(&scene);
    two_of_three_assembling_are_killed(&sharing("assemble"));
    let scene = sharing("raw").raw(None);
    synthetic(&scene.place);
    super::raw::two_of_three_are_killed(&scene);
}
