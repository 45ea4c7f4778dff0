use super::*;

fn at(seconds: u64) -> Time {
    Time::from_millis(seconds * 1000)
}

fn queue() -> Queue {
    let mut queue = Queue::new("q", at(0));
    queue.send(1, "one".into(), at(0), None);
    queue.send(2, "two".into(), at(0), None);
    queue
}

fn take(queue: &mut Queue, now: Time) -> Vec<Received> {
    queue.receive(now, 10, None).0
}

#[test]
fn a_message_comes_again_unless_it_is_deleted() {
    let mut queue = queue();
    let first = take(&mut queue, at(1));
    assert_eq!(first.iter().map(|r| r.message.body.text()).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(queue.counts(), QueueCounts { visible: 0, in_flight: 2, delayed: 0 });
    assert!(take(&mut queue, at(30)).is_empty());
    queue.delete(&first[0].handle).unwrap();
    let again = take(&mut queue, at(31));
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].message.id, again[0].message.receives), (2, 2));
    assert_eq!(again[0].message.first_received, Some(at(1)));
}

#[test]
fn an_old_handle_deletes_nothing() {
    let mut queue = queue();
    let old = take(&mut queue, at(0)).remove(0);
    let new = take(&mut queue, at(30)).remove(0);
    queue.delete(&old.handle).unwrap();
    assert_eq!(queue.counts().in_flight, 2);
    queue.delete(&new.handle).unwrap();
    assert_eq!(queue.counts().in_flight, 1);
    assert_eq!(queue.delete("nonsense"), Err(BadHandle::Malformed));
}

#[test]
fn deleting_what_is_visible_again_works_too() {
    let mut queue = queue();
    let received = take(&mut queue, at(0));
    queue.settle(at(100));
    queue.delete(&received[0].handle).unwrap();
    assert_eq!(queue.counts(), QueueCounts { visible: 1, in_flight: 0, delayed: 0 });
    assert_eq!(take(&mut queue, at(100)).len(), 1);
}

#[test]
fn visibility_can_be_changed_while_in_flight() {
    let mut queue = queue();
    let received = take(&mut queue, at(0));
    queue.change_visibility(&received[0].handle, at(1), Duration::ZERO).unwrap();
    assert_eq!(take(&mut queue, at(1)).len(), 1);
    queue.change_visibility(&received[1].handle, at(1), Duration::from_secs(100)).unwrap();
    assert!(take(&mut queue, at(31)).iter().all(|r| r.message.id == 1));
    assert_eq!(
        queue.change_visibility(&received[0].handle, at(31), Duration::ZERO),
        Err(BadHandle::NotInFlight)
    );
}

#[test]
fn a_message_received_too_often_is_dead() {
    let mut queue = queue();
    queue.redrive = Some(Redrive { queue: "dlq".into(), receives_max: 2 });
    take(&mut queue, at(0));
    take(&mut queue, at(30));
    let (received, dead) = queue.receive(at(60), 10, None);
    assert!(received.is_empty());
    assert_eq!(dead.len(), 2);
    let mut dlq = Queue::new("dlq", at(0));
    dead.into_iter().for_each(|message| dlq.adopt(message, at(60)));
    assert_eq!(take(&mut dlq, at(60)).len(), 2);
}

#[test]
fn delays_and_retention_follow_the_clock() {
    let mut queue = Queue::new("q", at(0));
    queue.send(1, "late".into(), at(0), Some(Duration::from_mins(1)));
    assert_eq!(queue.counts().delayed, 1);
    assert_eq!(queue.next_due(), Some(at(60)));
    assert!(take(&mut queue, at(59)).is_empty());
    assert_eq!(take(&mut queue, at(60)).len(), 1);
    assert!(take(&mut queue, at(0) + RETENTION_DEFAULT).is_empty());
    assert_eq!(queue.counts(), QueueCounts::default());
}
