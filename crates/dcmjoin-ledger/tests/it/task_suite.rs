//! What every task store must do, asked of any: [`check`] on an empty store.

use std::collections::BTreeSet;
use std::time::Duration;

use dcmjoin_ledger::tasks::{
    ATTEMPTS_MAX, BATCH_MAX, Claim, Failure, Fate, LEASE, NewTask, Stage, Wanted,
};
use dcmjoin_ledger::{Campaign, CampaignName, Error, TaskStore};

/// A lease that has run out by the time it is looked at.
const OVER: Duration = Duration::ZERO;

/// Asks a store that holds no campaign.
///
/// # Panics
/// Where it does not do what the trait promises.
pub(crate) async fn check(store: &dyn TaskStore) {
    assert_eq!(store.id().await.unwrap(), store.id().await.unwrap());
    stages_follow_each_other(store).await;
    a_lost_task_is_fenced(store).await;
    what_fails_waits_and_then_is_dead(store).await;
    a_silent_worker_loses_its_tasks(store).await;
    what_is_given_back_was_not_tried(store).await;
    a_late_archive_opens_the_campaign_again(store).await;
    dead_letters_are_retried_or_dropped(store).await;
    the_greater_priority_is_first(store).await;
    many_workers_get_each_task_once(store).await;
}

async fn campaign(store: &dyn TaskStore, name: &str, priority: i32) -> CampaignName {
    let name: CampaignName = name.parse().unwrap();
    let settings = format!("{{\"of\":\"{name}\"}}");
    let campaign = Campaign { name: name.clone(), priority, settings };
    store.put_campaign(&campaign).await.unwrap();
    assert!(store.campaigns().await.unwrap().contains(&campaign));
    name
}

async fn add(store: &dyn TaskStore, name: &CampaignName, stage: Stage, urls: &[&str]) -> u64 {
    let new = |url: &&str| NewTask { stage, url: (*url).to_owned(), bytes: 10 };
    store.add(name, &urls.iter().map(new).collect::<Vec<_>>()).await.unwrap()
}

async fn claim(store: &dyn TaskStore, name: &CampaignName, lease: Duration) -> Vec<Claim> {
    let (stages, campaign) = (&Stage::ALL, Some(name));
    let wanted = Wanted { worker: "test", stages, campaign, max: 2, lease };
    store.claim(&wanted).await.unwrap()
}

fn told(claims: &[Claim]) -> Vec<(Stage, &str, u32)> {
    claims.iter().map(|claim| (claim.stage, claim.url.as_str(), claim.attempt)).collect()
}

fn failure(is_permanent: bool) -> Failure {
    Failure { code: "archive_unreadable".into(), detail: "in the suite".into(), is_permanent }
}

/// Does all that a campaign has, in one go.
async fn finish(store: &dyn TaskStore, name: &CampaignName) -> usize {
    let mut done = 0;
    loop {
        let claims = claim(store, name, LEASE).await;
        if claims.is_empty() {
            return done;
        }
        for claim in &claims {
            store.complete(claim).await.unwrap();
            done += 1;
        }
    }
}

async fn stages_follow_each_other(store: &dyn TaskStore) {
    let name = campaign(store, "stages", 0).await;
    assert_eq!(add(store, &name, Stage::Images, &["i1", "i2", "i3"]).await, 3);
    assert_eq!(add(store, &name, Stage::Metadata, &["m1"]).await, 1);
    assert_eq!(add(store, &name, Stage::Metadata, &["m1"]).await, 0, "it is there already");
    let metadata = claim(store, &name, LEASE).await;
    assert_eq!(told(&metadata), [(Stage::Metadata, "m1", 1)]);
    assert!(claim(store, &name, LEASE).await.is_empty(), "images wait for headers");
    store.complete(&metadata[0]).await.unwrap();
    let first = claim(store, &name, LEASE).await;
    assert_eq!(told(&first), [(Stage::Images, "i1", 1), (Stage::Images, "i2", 1)]);
    let last = claim(store, &name, LEASE).await;
    for claim in first.iter().chain(&last) {
        assert!(self::claim(store, &name, LEASE).await.is_empty(), "the closing waits for all");
        store.complete(claim).await.unwrap();
    }
    let close = claim(store, &name, LEASE).await;
    assert_eq!(told(&close), [(Stage::Close, "", 1)]);
    store.complete(&close[0]).await.unwrap();
    assert!(claim(store, &name, LEASE).await.is_empty());
    let urls = store.urls(&name, Stage::Images, Some("i1"), 10).await.unwrap();
    assert_eq!(urls, ["i2", "i3"]);
    let depths = store.depths().await.unwrap();
    let images = depths.iter().find(|depth| depth.stage == Stage::Images).unwrap();
    assert_eq!((images.done.tasks, images.done.bytes, images.waiting.tasks), (3, 30, 0));
    assert!(images.from_to.is_some_and(|(from, to)| from <= to && from > 0));
}

async fn a_lost_task_is_fenced(store: &dyn TaskStore) {
    let name = campaign(store, "fencing", 0).await;
    add(store, &name, Stage::Images, &["i"]).await;
    let old = claim(store, &name, OVER).await.remove(0);
    let new = claim(store, &name, LEASE).await.remove(0);
    assert!(new.token > old.token && new.attempt == 2);
    assert!(matches!(store.complete(&old).await, Err(Error::Fenced)));
    assert!(matches!(store.fail(&old, &failure(true)).await, Err(Error::Fenced)));
    store.release(std::slice::from_ref(&old)).await.unwrap();
    let lost = store.beat(&[old.clone(), new.clone()], LEASE).await.unwrap();
    assert_eq!(lost, [old]);
    store.complete(&new).await.unwrap();
    assert!(matches!(store.complete(&new).await, Err(Error::Fenced)), "it is nobody's now");
}

async fn what_fails_waits_and_then_is_dead(store: &dyn TaskStore) {
    let name = campaign(store, "failing", 0).await;
    add(store, &name, Stage::Images, &["i"]).await;
    let first = claim(store, &name, LEASE).await.remove(0);
    let fate = store.fail(&first, &failure(false)).await.unwrap();
    assert!(matches!(fate, Fate::Waits(time) if time > Duration::ZERO));
    assert!(claim(store, &name, LEASE).await.is_empty(), "it waits, and the closing with it");
    add(store, &name, Stage::Images, &["j"]).await;
    let other = claim(store, &name, LEASE).await.remove(0);
    assert_eq!(store.fail(&other, &failure(true)).await.unwrap(), Fate::Dead);
    let letters = store.dead(0, BATCH_MAX).await.unwrap();
    let letter = letters.iter().find(|letter| letter.campaign == name).unwrap();
    assert_eq!((letter.url.as_str(), &letter.failure), ("j", &failure(true)));
}

async fn a_silent_worker_loses_its_tasks(store: &dyn TaskStore) {
    let name = campaign(store, "silence", 0).await;
    add(store, &name, Stage::Images, &["i"]).await;
    for attempt in 1..=ATTEMPTS_MAX {
        assert_eq!(told(&claim(store, &name, OVER).await), [(Stage::Images, "i", attempt)]);
    }
    let close = claim(store, &name, LEASE).await;
    assert_eq!(told(&close), [(Stage::Close, "", 1)], "the dead are not open");
    let letters = store.dead(0, BATCH_MAX).await.unwrap();
    let letter = letters.iter().find(|letter| letter.campaign == name).unwrap();
    assert_eq!((letter.failure.code.as_str(), letter.attempts), ("lease_expired", ATTEMPTS_MAX));
    store.complete(&close[0]).await.unwrap();
}

async fn what_is_given_back_was_not_tried(store: &dyn TaskStore) {
    let name = campaign(store, "giving-back", 0).await;
    add(store, &name, Stage::Images, &["i"]).await;
    for _ in 0..=ATTEMPTS_MAX {
        let claims = claim(store, &name, LEASE).await;
        assert_eq!(told(&claims), [(Stage::Images, "i", 1)]);
        store.release(&claims).await.unwrap();
    }
    assert_eq!(finish(store, &name).await, 2);
}

async fn a_late_archive_opens_the_campaign_again(store: &dyn TaskStore) {
    let name = campaign(store, "late", 0).await;
    add(store, &name, Stage::Metadata, &["m"]).await;
    add(store, &name, Stage::Images, &["i"]).await;
    let before = claim(store, &name, LEASE).await.remove(0);
    store.complete(&before).await.unwrap();
    assert_eq!(finish(store, &name).await, 2);
    add(store, &name, Stage::Metadata, &["n"]).await;
    let late = claim(store, &name, LEASE).await;
    assert_eq!(told(&late), [(Stage::Metadata, "n", 1)]);
    assert!(late[0].epoch > before.epoch, "an index of the time before is told apart");
    store.complete(&late[0]).await.unwrap();
    assert_eq!(told(&claim(store, &name, OVER).await), [(Stage::Close, "", 1)]);
    assert_eq!(finish(store, &name).await, 1);
}

async fn dead_letters_are_retried_or_dropped(store: &dyn TaskStore) {
    let name = campaign(store, "dead", 0).await;
    add(store, &name, Stage::Metadata, &["m", "n"]).await;
    let claims = claim(store, &name, LEASE).await;
    for claim in &claims {
        store.fail(claim, &failure(true)).await.unwrap();
    }
    assert_eq!(finish(store, &name).await, 1, "the closing");
    let ids: Vec<i64> = claims.iter().map(|claim| claim.id).collect();
    assert_eq!(store.retry(&ids[..1]).await.unwrap(), 1);
    assert_eq!(store.drop_dead(&ids).await.unwrap(), 1, "the other one waits");
    let again = claim(store, &name, LEASE).await;
    assert_eq!(told(&again), [(Stage::Metadata, "m", 1)]);
    assert!(again[0].epoch > claims[0].epoch);
    store.complete(&again[0]).await.unwrap();
    assert_eq!(store.urls(&name, Stage::Metadata, None, 10).await.unwrap(), ["m"]);
    assert_eq!(finish(store, &name).await, 1, "it is closed again");
}

async fn the_greater_priority_is_first(store: &dyn TaskStore) {
    let low = campaign(store, "low", 100).await;
    let high = campaign(store, "high", 101).await;
    for name in [&low, &high] {
        add(store, name, Stage::Images, &["i"]).await;
    }
    let any =
        Wanted { worker: "test", stages: &[Stage::Images], campaign: None, max: 1, lease: LEASE };
    for expected in [&high, &low] {
        let claims = store.claim(&any).await.unwrap();
        assert_eq!(claims[0].campaign, *expected);
        store.complete(&claims[0]).await.unwrap();
    }
    assert_eq!(finish(store, &low).await + finish(store, &high).await, 2);
}

async fn many_workers_get_each_task_once(store: &dyn TaskStore) {
    const TASKS: usize = 300;
    let name = campaign(store, "many", 0).await;
    let new = |at| NewTask { stage: Stage::Images, url: format!("i{at}"), bytes: 1 };
    store.add(&name, &(0..TASKS).map(new).collect::<Vec<_>>()).await.unwrap();
    let worker = async || {
        let mut got = Vec::new();
        loop {
            let (stages, campaign) = (&[Stage::Images], Some(&name));
            let wanted = Wanted { worker: "one", stages, campaign, max: 7, lease: LEASE };
            let claims = store.claim(&wanted).await.unwrap();
            if claims.is_empty() {
                return got;
            }
            for claim in claims {
                store.complete(&claim).await.unwrap();
                got.push(claim.id);
            }
        }
    };
    let (a, b, c) = tokio::join!(worker(), worker(), worker());
    let all: Vec<i64> = [a, b, c].concat();
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (TASKS, TASKS));
    finish(store, &name).await;
}
