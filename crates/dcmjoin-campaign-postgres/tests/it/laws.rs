//! What every journal promises.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};

use dcmjoin_campaign::Error;
use dcmjoin_campaign::job::Job;
use dcmjoin_campaign::ledger::{Change, LEASE_SECS, Ledger, Mode, Select};
use dcmjoin_model::Half;
use dcmjoin_restore::class::Tier;
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::spend::Purpose;

use crate::shelves::{archive, campaign, on_each, place, spec, started};

const NOW: Moment = Moment::from_epoch_secs(1_773_135_000);

fn all(ledger: &dyn Ledger, select: Select<'_>) -> Vec<i64> {
    let (mut ids, mut after) = (Vec::new(), 0);
    loop {
        let page = ledger.page(select, after, 2).unwrap();
        let Some(last) = page.last() else { return ids };
        after = last.id;
        ids.extend(page.iter().map(|archive| archive.id));
    }
}

#[test]
fn campaigns_stand_beside_each_other() {
    on_each(|place| {
        assert!(place.shelf.campaigns().unwrap().is_empty());
        assert!(matches!(place.shelf.open("b"), Err(Error::Invalid(_))));
        campaign(&*place.shelf, "b", 3);
        let a = campaign(&*place.shelf, "a", 1);
        let both = ["a", "b"].map(|name| (name.to_owned(), Mode::Active));
        assert_eq!(place.shelf.campaigns().unwrap(), both);
        assert!(matches!(place.shelf.create("a", &spec()), Err(Error::Invalid(_))));
        assert!(matches!(place.shelf.create("a/b", &spec()), Err(Error::Invalid(_))));
        assert_eq!(a.spec().unwrap(), spec());
        a.set_mode(Mode::Paused, Some("lunch")).unwrap();
        let standing = place.shelf.open("a").unwrap().standing().unwrap();
        assert_eq!((standing.mode, standing.reason.as_deref()), (Mode::Paused, Some("lunch")));
        let b = place.shelf.open("b").unwrap();
        assert_eq!(b.mode().unwrap(), Mode::Active);
        assert_eq!((all(&*a, Select::Half(Half::Image)).len(), b.waves().unwrap().len()), (1, 3));
    });
}

#[test]
fn a_draft_is_replaced() {
    on_each(|place| {
        let draft = place.shelf.create("a", &spec()).unwrap();
        draft.add(&[archive(Half::Image, 1, "x.tar")]).unwrap();
        assert_eq!(draft.mode().unwrap(), Mode::Draft);
        let again = place.shelf.create("a", &spec()).unwrap();
        assert!(again.waves().unwrap().is_empty());
    });
}

#[test]
fn archives_are_added_once_and_found() {
    on_each(|shelf| {
        let ledger = campaign(&*shelf.shelf, "a", 5);
        let mut versioned = archive(Half::Image, 9, "images/0.tar");
        versioned.place.version = Some("v1".into());
        let again = archive(Half::Image, 7, "images/0.tar");
        ledger.add(&[versioned, again]).unwrap();
        assert_eq!(all(&*ledger, Select::Half(Half::Image)).len(), 6);
        let wave = |version| ledger.find(&place("images/0.tar", version)).unwrap().unwrap().wave;
        // A version that nobody named is the current one's.
        assert_eq!([wave(None), wave(Some("v1")), wave(Some("v2"))], [1, 9, 1]);
        assert_eq!(ledger.find(&place("images/9.tar", None)).unwrap(), None);
        let waves = ledger.waves().unwrap();
        let numbers: Vec<u64> = waves.iter().map(|wave| wave.wave).collect();
        assert_eq!((numbers, waves[0].half), (vec![0, 1, 2, 3, 9], Half::Metadata));
        assert_eq!(waves[1].states["planned"].archives, 2);
        assert_eq!(waves[1].states["planned"].bytes, 2_000);
    });
}

#[test]
fn what_is_committed_is_read_back() {
    on_each(|shelf| {
        let ledger = campaign(&*shelf.shelf, "a", 5);
        let lease = ledger.take("me").unwrap();
        let rows: Vec<_> = ledger
            .page(Select::In(1, "planned"), 0, 10)
            .unwrap()
            .iter()
            .map(|archive| started(archive, NOW))
            .collect();
        let mut spend = ledger.standing().unwrap().spend;
        let cents = Usd::from_dollars(0.02).unwrap();
        let aside = spend.reserve(Purpose::Requests, cents).unwrap();
        spend.charge(aside, cents);
        let counts = [("duplicate", 2), ("stale", 1)];
        let spend_now = Some(&spend);
        let change =
            Change { archives: &rows, spend: spend_now, counts: &counts, ..Change::default() };
        ledger.commit(lease, &change).unwrap();
        ledger.commit(lease, &Change { counts: &[("duplicate", 3)], ..Change::default() }).unwrap();

        let opened = shelf.shelf.open("a").unwrap();
        let open = opened.page(Select::Open, 0, 10).unwrap();
        assert_eq!(open, rows.iter().map(|(archive, _)| archive.clone()).collect::<Vec<_>>());
        let due = rows[0].1.unwrap();
        assert_eq!(opened.next_due().unwrap(), Some(due));
        assert_eq!(all(&*opened, Select::Due(due)).len(), 2);
        assert!(all(&*opened, Select::Due(NOW)).is_empty());
        assert_eq!(all(&*opened, Select::State("requested")).len(), 2);
        let standing = opened.standing().unwrap();
        assert_eq!(standing.spend, spend);
        assert_eq!((standing.counts["duplicate"], standing.counts["stale"]), (5, 1));
        assert_eq!(standing.waves[1].states["requested"].archives, 2);
        let (holder, silent) = standing.holder.unwrap();
        assert!(holder == "me" && silent < LEASE_SECS, "{holder}, {silent} s");
    });
}

#[test]
fn a_budget_is_set_beside_what_is_spent() {
    on_each(|shelf| {
        let ledger = campaign(&*shelf.shelf, "a", 1);
        let budget = Usd::from_dollars(3.0);
        ledger.set_budget(budget).unwrap();
        assert_eq!(ledger.standing().unwrap().spend.left(), budget);
    });
}

#[test]
fn what_a_campaign_is_told_is_changed_for_all() {
    on_each(|shelf| {
        let ledger = campaign(&*shelf.shelf, "a", 1);
        let mut spec = ledger.spec().unwrap();
        spec.policy.tier = Tier::Expedited;
        shelf.shelf.open("a").unwrap().set_spec(&spec).unwrap();
        assert_eq!(ledger.spec().unwrap(), spec);
        assert_eq!(all(&*ledger, Select::Half(Half::Image)).len(), 1, "archives stay");
    });
}

#[test]
fn a_budget_outlasts_what_an_orchestrator_writes() {
    on_each(|shelf| {
        let ledger = campaign(&*shelf.shelf, "a", 1);
        let lease = ledger.take("me").unwrap();
        let mut spend = ledger.standing().unwrap().spend;
        let cent = Usd::from_dollars(0.01).unwrap();
        for budget in [Usd::from_dollars(3.0), None, Usd::from_dollars(0.5)] {
            shelf.shelf.open("a").unwrap().set_budget(budget).unwrap();
            let aside = spend.reserve(Purpose::Copies, cent).unwrap();
            spend.charge(aside, cent);
            ledger.commit(lease, &Change { spend: Some(&spend), ..Change::default() }).unwrap();
            let standing = ledger.standing().unwrap().spend;
            assert_eq!((ledger.budget().unwrap(), standing.budget()), (budget, budget));
            assert_eq!(standing.spent(), spend.spent());
        }
    });
}

#[test]
fn jobs_are_kept_until_they_end() {
    on_each(|shelf| {
        let ledger = campaign(&*shelf.shelf, "a", 1);
        let lease = ledger.take("me").unwrap();
        let job = |token: &str, id: Option<&str>| Job {
            token: token.into(),
            id: id.map(str::to_owned),
            tier: Tier::Bulk,
            days: Some(2),
            versions: false,
            manifest: "jobs/1.csv".into(),
            tag: "tag".into(),
            begun: NOW,
            costs: vec![(Purpose::Requests, Usd::from_dollars(0.25).unwrap())],
            keys: vec![(1, 1), (2, 7)],
        };
        let both = [job("a", None), job("b", None)];
        ledger.commit(lease, &Change { jobs: &both, ..Change::default() }).unwrap();
        assert_eq!(ledger.jobs().unwrap(), both);
        let named = [job("b", Some("id"))];
        let change = Change { jobs: &named, ended: &["a"], ..Change::default() };
        ledger.commit(lease, &change).unwrap();
        assert_eq!(shelf.shelf.open("a").unwrap().jobs().unwrap(), named);
        let other = campaign(&*shelf.shelf, "b", 1);
        assert_eq!(other.jobs().unwrap(), []);
    });
}

#[test]
fn a_holder_is_fenced_once_it_was_replaced() {
    on_each(|shelf| {
        let first = campaign(&*shelf.shelf, "a", 3);
        let second = shelf.shelf.open("a").unwrap();
        let lease = first.take("first").unwrap();
        let held = second.take("second").unwrap_err();
        assert!(matches!(&held, Error::Held { holder, .. } if holder == "first"), "{held}");
        first.beat(lease).unwrap();

        // It is not heard of for a minute, by the database's clock.
        (shelf.age)("a", i64::try_from(LEASE_SECS).unwrap() + 1);
        let newer = second.take("second").unwrap();
        assert!(newer.epoch > lease.epoch);
        let archives = first.page(Select::In(1, "planned"), 0, 1).unwrap();
        let rows = [started(&archives[0], NOW)];
        let change = Change { archives: &rows, counts: &[("stale", 1)], ..Change::default() };
        for stale in [first.commit(lease, &change), first.beat(lease)] {
            assert!(matches!(stale, Err(Error::Fenced)), "{stale:?}");
        }
        let standing = second.standing().unwrap();
        assert!(standing.counts.is_empty(), "what a fenced holder writes has no effect");
        assert_eq!(all(&*second, Select::Open), Vec::<i64>::new());

        // Nor does it give back what is not its own.
        first.release(lease).unwrap();
        assert!(matches!(first.take("first"), Err(Error::Held { .. })));
        second.commit(newer, &change).unwrap();
        second.release(newer).unwrap();
        assert!(first.take("first").unwrap().epoch > newer.epoch);
    });
}

#[test]
fn a_beat_of_the_future_is_not_trusted() {
    on_each(|shelf| {
        let ledger = campaign(&*shelf.shelf, "a", 1);
        let lease = ledger.take("first").unwrap();
        // The clock was set back by an hour.
        (shelf.age)("a", -3_600);
        assert!(ledger.take("second").unwrap().epoch > lease.epoch);
    });
}

#[test]
fn who_is_gone_is_evicted_and_nobody_else() {
    on_each(|shelf| {
        let ledger = campaign(&*shelf.shelf, "a", 1);
        let lease = ledger.take("first").unwrap();
        ledger.evict("another").unwrap();
        assert!(matches!(ledger.take("second"), Err(Error::Held { .. })));
        ledger.evict("first").unwrap();
        assert!(ledger.take("second").unwrap().epoch > lease.epoch);
        assert!(matches!(ledger.beat(lease), Err(Error::Fenced)));
    });
}

#[test]
fn one_of_many_takers_holds() {
    on_each(|shelf| {
        campaign(&*shelf.shelf, "a", 1);
        let (barrier, taken) = (Barrier::new(8), AtomicU64::new(0));
        let ledgers: Vec<_> = (0..8).map(|_| shelf.shelf.open("a").unwrap()).collect();
        std::thread::scope(|scope| {
            for (at, ledger) in ledgers.iter().enumerate() {
                let (barrier, taken) = (&barrier, &taken);
                scope.spawn(move || {
                    barrier.wait();
                    match ledger.take(&format!("number {at}")) {
                        Ok(_) => taken.fetch_add(1, Ordering::Relaxed),
                        Err(Error::Held { .. }) => 0,
                        Err(error) => panic!("{error}"),
                    };
                });
            }
        });
        assert_eq!(taken.load(Ordering::Relaxed), 1);
    });
}
