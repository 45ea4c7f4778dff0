//! What a plan says things cost: against a bill worked out by hand, and by its laws.

use dcmjoin_restore::class::{AccessTier, StorageClass, Tier};
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::plan::{
    Assumptions, Bill, Holding, Kms, Only, OutputLayout, Plan, PlanError, Question, Run, What,
    chart, plan,
};
use dcmjoin_restore::prices::Prices;
use proptest::prelude::*;

const PIB: u64 = 1 << 50;

fn holding(archives: u64, bytes: u64) -> Holding {
    Holding { archives, bytes, ..Holding::default() }
}

/// 1 PiB in a million archives of a thousand million instances.
fn pebibyte() -> Question {
    Question {
        region: "us-east-1".to_owned(),
        class: StorageClass::Glacier,
        metadata: Holding::default(),
        images: holding(1_000_000, PIB),
        instances: 1_000_000_000,
        only: None,
        tier: Some(Tier::Bulk),
        days: 3,
        wave_bytes: None,
        machine: Some("i3en.24xlarge".to_owned()),
        machines: 1,
        layout: OutputLayout::Instances,
        kms: Kms::Keys,
        batch_jobs: false,
        deadline_hours: None,
        assumptions: Assumptions::default(),
    }
}

fn answer(question: &Question) -> Plan {
    plan(question, &Prices::shipped()).unwrap()
}

fn bill(plan: &Plan, run: Run) -> &Bill {
    plan.runs.iter().find(|bill| bill.run == run).unwrap()
}

#[track_caller]
fn about(amount: Usd, dollars: f64) {
    let off = (amount.dollars() - dollars).abs() / dollars;
    assert!(off < 0.05, "{amount}, expected about ${dollars}");
}

#[track_caller]
fn exactly(amount: Usd, dollars: f64) {
    assert_eq!(amount, Usd::from_dollars(dollars).unwrap(), "{amount}, expected ${dollars}");
}

/// The order-of-magnitude bill that was worked out by hand before this code was written.
#[test]
fn a_pebibyte_costs_what_was_worked_out_by_hand() {
    let plan = answer(&pebibyte());
    let tier = |tier| plan.tiers.iter().find(|row| row.tier == tier).unwrap();
    exactly(tier(Tier::Bulk).retrieval_usd, 0.0);
    exactly(tier(Tier::Standard).retrieval_usd, 10_485.76);
    exactly(tier(Tier::Standard).requests_usd, 50.0);
    exactly(tier(Tier::Expedited).retrieval_usd, 31_457.28);
    exactly(tier(Tier::Expedited).requests_usd, 10_000.0);

    let copies = |days| plan.copies.iter().find(|row| row.days == days).unwrap().usd;
    about(copies(3), 2_700.0);
    about(copies(7), 5_800.0);
    about(copies(14), 11_200.0);

    let one = bill(&plan, Run::OnePass);
    exactly(one.of(What::PutOutput), 5_000.0);
    exactly(one.of(What::Get), 0.0004 * (67_108_864.0 + 1_000_000.0) / 1_000.0);
    about(one.of(What::Kms), 3_200.0);
    exactly(bill(&plan, Run::StagedRaw).of(What::PutRaw), 10_000.0);
    about(bill(&plan, Run::StagedRaw).of(What::RawStorage), 22_000.0);
    about(bill(&plan, Run::TwoPass).of(What::Get), 800.0);
    // One read by 100 Gb/s at 85 %.
    let machine = plan.machines.iter().find(|row| row.machine == "i3en.24xlarge").unwrap();
    assert!((29.0..30.0).contains(&machine.pass_hours.hours()), "{machine:?}");
    about(machine.pass_usd, 319.0);
    assert_eq!(plan.recommendation.run, Run::OnePass);
}

#[test]
fn copies_to_keep_cost_their_storage_and_the_way_there() {
    let question = pebibyte();
    let without = answer(&question);
    assert_eq!(bill(&without, Run::OnePass).of(What::Kept).nanos(), 0);
    let assumptions = Assumptions { keep_days: 365, ..question.assumptions };
    let kept = answer(&Question { assumptions, ..pebibyte() });
    // Twelve months of a pebibyte, at 23 to 21 thousandths of a dollar for a GiB and month; 134 M parts.
    let usd = bill(&kept, Run::OnePass).of(What::Kept).dollars();
    let (storage, puts, gets) = (12.0 * 1_048_576.0 * 0.0215, 134.2e6 * 5e-6, 134.2e6 * 0.4e-6);
    about(bill(&kept, Run::OnePass).of(What::Kept), storage + puts + gets);
    let all = |plan| bill(plan, Run::OnePass).total_usd.dollars();
    assert!((all(&kept) - all(&without) - usd).abs() < 0.01);
}

#[test]
fn shards_cost_a_fraction_of_the_requests() {
    let plan = answer(&pebibyte());
    let layout = |layout| plan.layouts.iter().find(|row| row.layout == layout).unwrap();
    exactly(layout(OutputLayout::Instances).usd, 5_000.0);
    assert!((79.0..80.0).contains(&layout(OutputLayout::Instances).hours.hours()));
    // 16 MiB parts: 64 of a shard, the first request and the last.
    assert_eq!(layout(OutputLayout::Shards).puts, 66 << 20);
    assert_eq!(layout(OutputLayout::SeriesTar).puts, 90_000_000);
    let shards = answer(&Question { layout: OutputLayout::Shards, ..pebibyte() });
    let (with, without) = (bill(&shards, Run::OnePass), bill(&plan, Run::OnePass));
    assert!(with.total_usd < without.total_usd && with.hours.to < without.hours.to);
}

#[test]
fn the_deep_archive_has_its_own_prices_and_no_expedited() {
    let question = Question { class: StorageClass::DeepArchive, ..pebibyte() };
    let plan = answer(&question);
    let tiers: Vec<Tier> = plan.tiers.iter().map(|row| row.tier).collect();
    assert_eq!(tiers, [Tier::Bulk, Tier::Standard]);
    exactly(plan.tiers[0].retrieval_usd, 2_621.44);
    exactly(plan.tiers[1].retrieval_usd, 20_971.52);
    let expedited = Question { tier: Some(Tier::Expedited), ..question.clone() };
    let error = plan_error(&expedited);
    assert_eq!(error, PlanError::Tier { tier: Tier::Expedited });
    // Copies that come 36 hours apart are gone in a day.
    let error = plan_error(&Question { days: 1, ..question });
    assert!(matches!(error, PlanError::Days { spread_hours: 36, .. }), "{error}");
}

fn plan_error(question: &Question) -> PlanError {
    plan(question, &Prices::shipped()).unwrap_err()
}

#[test]
fn intelligent_tiering_keeps_no_copies() {
    let class = StorageClass::IntelligentTiering(AccessTier::Archive);
    let plan = answer(&Question { class, ..pebibyte() });
    assert!(plan.copies.is_empty());
    exactly(bill(&plan, Run::OnePass).of(What::Copies), 0.0);
    exactly(plan.tiers[1].retrieval_usd, 0.0);
}

#[test]
fn what_is_read_at_once_is_not_restored() {
    let images =
        Holding { ready_archives: 1_000_000, ready_bytes: PIB, ..holding(2_000_000, 2 * PIB) };
    let plan = answer(&Question { images, ..pebibyte() });
    exactly(plan.tiers[1].retrieval_usd, 10_485.76);
    exactly(plan.tiers[1].requests_usd, 50.0);
    let error = plan_error(&Question { class: StorageClass::Standard, ..pebibyte() });
    assert_eq!(error, PlanError::NotArchived);
}

#[test]
fn a_part_of_the_images_costs_a_part() {
    let metadata = holding(10_000, 10 << 30);
    let whole = answer(&Question { metadata, ..pebibyte() });
    let question = Question { metadata, only: Some(Only::Archives(500)), ..pebibyte() };
    let part = answer(&question);
    assert_eq!((part.scope.images.archives, part.scope.instances), (500, 500_000));
    assert_eq!(part.scope.metadata, whole.scope.metadata);
    exactly(bill(&part, Run::OnePass).of(What::PutOutput), 2.5);
    let bytes = Question { only: Some(Only::Bytes(PIB / 4)), ..question };
    assert_eq!(answer(&bytes).scope.images.archives, 250_000);
}

#[test]
fn expedited_is_advised_for_hundreds_of_archives_only() {
    let against = |archives| {
        let plan = answer(&Question { only: Some(Only::Archives(archives)), ..pebibyte() });
        plan.tiers.iter().find(|row| row.tier == Tier::Expedited).unwrap().against.is_some()
    };
    assert!(!against(300));
    assert!(against(1_000));
}

#[test]
fn a_deadline_chooses_the_tier() {
    let question =
        Question { tier: None, only: Some(Only::Archives(300)), machines: 4, ..pebibyte() };
    let tier = |deadline_hours| {
        answer(&Question { deadline_hours, ..question.clone() }).recommendation.tier
    };
    assert_eq!(tier(None), Tier::Bulk);
    assert_eq!(tier(Some(13)), Tier::Bulk);
    assert_eq!(tier(Some(6)), Tier::Standard);
    assert_eq!(tier(Some(1)), Tier::Expedited);
    let late = answer(&Question { deadline_hours: Some(1), only: None, ..question });
    let why = late.recommendation.why.join(" ");
    assert!(why.contains("nothing is done within 1 h"), "{why}");
}

#[test]
fn an_unknown_region_is_an_error() {
    let error = plan_error(&Question { region: "mars-north-1".into(), ..pebibyte() });
    assert!(error.to_string().contains("us-east-1"), "{error}");
    assert!(error.hint().unwrap().contains("--prices"));
}

#[test]
fn a_plan_names_what_it_rests_on() {
    let plan = answer(&pebibyte());
    assert!(plan.prices.unread.contains(&What::PutOutput), "{:?}", plan.prices.unread);
    assert!(!plan.prices.unread.contains(&What::Kms), "{:?}", plan.prices.unread);
    let names: Vec<&str> = plan.assumptions.iter().map(|assumption| assumption.name).collect();
    assert!(names.contains(&"range_bytes") && !names.contains(&"instance_bytes"), "{names:?}");
}

#[test]
fn charts_need_nothing_from_elsewhere() {
    let plan = answer(&pebibyte());
    for picture in [chart::svg(&plan), chart::html(&plan)] {
        let links = picture.replace("http://www.w3.org/2000/svg", "");
        assert!(!links.contains("http") && !links.contains("url("), "{links}");
        assert!(picture.contains("US dollars") && picture.contains("one pass"));
        for bill in &plan.runs {
            assert!(picture.contains(&bill.total_usd.rounded()));
        }
    }
}

fn questions() -> impl Strategy<Value = Question> {
    let sides =
        (0u64..2_000_000, 0u64..PIB / 50, 1u64..2_000_000, 1u64..3 * PIB, 1u64..4_000_000_000);
    let choices = (
        prop::sample::select(vec![
            OutputLayout::Instances,
            OutputLayout::SeriesTar,
            OutputLayout::Shards,
        ]),
        prop::sample::select(vec![Kms::None, Kms::BucketKeys, Kms::Keys]),
        prop::sample::select(vec![
            StorageClass::Glacier,
            StorageClass::DeepArchive,
            StorageClass::IntelligentTiering(AccessTier::Archive),
        ]),
        prop::sample::select(vec!["us-east-1", "ap-southeast-2"]),
        3u32..15,
        1u32..20,
    );
    (sides, choices).prop_map(|(sides, (layout, kms, class, region, days, machines))| Question {
        region: region.to_owned(),
        metadata: holding(sides.0, sides.1),
        images: holding(sides.2, sides.3),
        instances: sides.4,
        tier: None,
        layout,
        kms,
        class,
        days,
        machines,
        ..pebibyte()
    })
}

proptest! {
    #[test]
    fn the_sum_of_the_lines_is_the_total(question in questions()) {
        let plan = answer(&question);
        prop_assert_eq!(plan.runs.len(), Run::ALL.len());
        for bill in &plan.runs {
            let sum: Usd = bill.lines.iter().map(|line| line.usd).sum();
            prop_assert_eq!(sum, bill.total_usd);
            prop_assert_eq!(bill.lines.len(), What::ALL.len());
            prop_assert!(bill.hours.from <= bill.hours.to);
        }
        let cheapest = plan.runs.iter().map(|bill| bill.total_usd).min();
        prop_assert_eq!(Some(plan.recommendation.total_usd), cheapest);
    }

    #[test]
    fn bulk_retrieval_from_flexible_retrieval_is_free(question in questions()) {
        let question = Question { class: StorageClass::Glacier, tier: Some(Tier::Bulk), ..question };
        for bill in answer(&question).runs {
            prop_assert_eq!(bill.of(What::Retrieval), Usd::ZERO);
            prop_assert_eq!(bill.of(What::RestoreRequests), Usd::ZERO);
        }
    }

    #[test]
    fn more_bytes_never_cost_less(question in questions(), more in 1u64..PIB) {
        let question = Question { tier: Some(Tier::Standard), ..question };
        let images = holding(question.images.archives, question.images.bytes + more);
        let larger = answer(&Question { images, ..question.clone() });
        let smaller = answer(&question);
        for run in Run::ALL {
            let (less, more) = (bill(&smaller, run), bill(&larger, run));
            for what in What::ALL {
                prop_assert!(less.of(what) <= more.of(what), "{run:?} {what:?}: {less:?} {more:?}");
            }
            prop_assert!(less.hours.to <= more.hours.to);
        }
    }

    #[test]
    fn a_wave_is_read_before_its_copies_go(question in questions()) {
        let plan = answer(&question);
        let scope = &plan.scope;
        prop_assert!(scope.days >= question.days);
        prop_assert!(scope.wave_bytes <= scope.metadata.bytes + scope.images.bytes);
        // In the time that is left of its copies, at the pace of the whole run.
        let best = bill(&plan, plan.recommendation.run);
        let all = scope.metadata.bytes + scope.images.bytes;
        let row = plan.tiers.iter().find(|row| row.tier == scope.tier).unwrap();
        let waits = row.restore_hours.to.0 - row.restore_hours.from.0 + 2 * 3_600;
        let reading = u128::from(scope.wave_bytes) * u128::from(best.work.busy_secs) / u128::from(all);
        if scope.class.copy_expires() {
            let lasts = u64::from(scope.days) * 24 * 3_600;
            prop_assert!(reading + u128::from(waits) <= u128::from(lasts), "{scope:?}");
        }
        let holds = u128::from(scope.wave_bytes) * u128::from(scope.waves);
        prop_assert!(holds >= u128::from(scope.images.bytes));
    }
}

#[test]
fn jobs_pay_where_calls_keep_an_expensive_machine() {
    let row = |machine: &str, archives: u64, batch_jobs: bool| {
        let images = holding(archives, PIB);
        let machine = Some(machine.to_owned());
        answer(&Question { machine, images, batch_jobs, ..pebibyte() })
    };
    // 2,000 seconds of $10.848 an hour, against a job a wave and two dollars.
    let dear = row("i3en.24xlarge", 2_000_000, false);
    let [calls, jobs] = &dear.asking[..] else { panic!("{:?}", dear.asking) };
    assert_eq!((calls.requests, jobs.requests), (2_000_000, dear.scope.waves));
    about(calls.usd, 2_000.0 * 10.848 / 3_600.0);
    exactly(jobs.usd, 0.25 * f64::from(u32::try_from(jobs.requests).unwrap()) + 2.0);
    assert_eq!((calls.pays, jobs.pays), (false, true));
    let why = dear.recommendation.why.join("; ");
    assert!(why.contains("ask by Batch Operations jobs: 2,000,000 calls"), "{why}");
    assert_eq!(bill(&dear, Run::OnePass).of(What::BatchJobs), Usd::ZERO, "they were not asked for");
    assert_eq!(
        bill(&row("i3en.24xlarge", 2_000_000, true), Run::OnePass).of(What::BatchJobs),
        jobs.usd
    );

    // A million calls take 1,000 seconds: $3.01; 0.25 / (3.013333 - 1) of a million pays for a job.
    let few = row("i3en.24xlarge", 10_000, false);
    assert!(few.asking[0].pays && !few.asking[1].pays, "{:?}", few.asking);
    let why = few.recommendation.why.join("; ");
    assert!(why.contains("and pay from 124,173 archives a wave on"), "{why}");
    let cheap = row("c6gn.16xlarge", 2_000_000, false).recommendation.why.join("; ");
    assert!(cheap.contains("do not pay with such a machine"), "{cheap}");
    let question = Question { tier: Some(Tier::Expedited), batch_jobs: true, ..pebibyte() };
    let expedited = answer(&question);
    assert!(expedited.asking.is_empty(), "Expedited has no jobs");
    assert_eq!(bill(&expedited, Run::OnePass).of(What::BatchJobs), Usd::ZERO);
}
