//! The gate with Tokio's clock paused: order, holds, deadlines.

use super::*;

fn soon(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

fn throttled(seconds: f64, scope: Option<&str>) -> Verdict {
    Verdict {
        accepted: 0,
        rejected: 1,
        retry_after: Some(Duration::from_secs_f64(seconds)),
        scope: scope.map(str::to_owned),
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_stops_callers_who_wait_already() {
    let pace = Pace::new();
    let first = pace.acquire(Bucket::Writes, 20, soon(60)).await.expect("the first bundle goes at once");
    let waiting = tokio::spawn({
        let pace = pace.clone();
        async move { pace.acquire(Bucket::Writes, 20, soon(600)).await.map(|grant| grant.at) }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let held_from = Instant::now();
    pace.settled(first, &throttled(30.5, None));
    let at = waiting.await.expect("the task ends").expect("quota is had");
    assert!(at - held_from >= Duration::from_secs_f64(30.5), "{:?}", at - held_from);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_within_the_hold_is_refused_at_once_also_to_those_who_wait() {
    let pace = Pace::new();
    let first = pace.acquire(Bucket::Writes, 20, soon(60)).await.expect("quota");
    let waiting = tokio::spawn({
        let pace = pace.clone();
        async move { (pace.acquire(Bucket::Writes, 20, soon(20)).await.map(|_| ()), Instant::now()) }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    pace.settled(first, &throttled(30.0, None));
    let told = Instant::now();
    let (answer, at) = waiting.await.expect("the task ends");
    assert!(answer.expect_err("held").until >= told + Duration::from_secs(30));
    assert!(at - told < Duration::from_millis(10), "told after {:?}", at - told);
    let held = pace.acquire(Bucket::Writes, 1, soon(29)).await.expect_err("held");
    assert!(held.until > soon(29));
}

#[tokio::test(start_paused = true)]
async fn callers_go_in_the_order_of_asking() {
    let pace = Pace::new();
    let mut tasks = Vec::new();
    for n in [20, 1, 20, 1, 5] {
        let pace = pace.clone();
        tasks
            .push(tokio::spawn(async move { pace.acquire(Bucket::Reads, n, soon(600)).await.map(|g| g.at) }));
        tokio::task::yield_now().await;
    }
    let mut last = None;
    for task in tasks {
        let at = task.await.expect("the task ends").ok();
        assert!(at >= last);
        last = at;
    }
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_counts_reads_and_writes_holds_both() {
    for (scope, both) in
        [("Tenant_Application/ReadWrite/app/tenant", true), ("Tenant/Write/app/tenant", false)]
    {
        let pace = Pace::new();
        let grant = pace.acquire(Bucket::Writes, 1, soon(60)).await.expect("quota");
        pace.settled(grant, &throttled(10.0, Some(scope)));
        let held = |bucket| pace.status().iter().any(|s| s.bucket == bucket && s.held_for.is_some());
        assert!(held(Bucket::Writes));
        assert_eq!(held(Bucket::Reads), both, "{scope}");
        assert!(!held(Bucket::Directory));
        assert_eq!(pace.counts().throttled, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn such_a_scope_holds_the_other_half_of_its_service_alone() {
    for (throttled_bucket, other) in [
        (Bucket::Directory, Bucket::Groups),
        (Bucket::Groups, Bucket::Directory),
        (Bucket::Reads, Bucket::Writes),
        (Bucket::Writes, Bucket::Reads),
    ] {
        let pace = Pace::new();
        let grant = pace.acquire(throttled_bucket, 1, soon(60)).await.expect("quota");
        pace.settled(grant, &throttled(10.0, Some("Tenant_Application/ReadWrite/app/tenant")));
        for bucket in Bucket::ALL {
            let held = pace.of(bucket).held_for.is_some();
            assert_eq!(
                held,
                bucket == throttled_bucket || bucket == other,
                "{throttled_bucket:?} {bucket:?}"
            );
        }
    }
}

#[test]
fn each_bucket_has_a_word_and_those_of_writes_begin_as_published() {
    let words = Bucket::ALL.map(Bucket::as_str);
    assert_eq!(words, ["directory", "auth-reads", "auth-writes", "directory-writes"]);
    assert!(Bucket::ALL.into_iter().all(|bucket| Bucket::parse(bucket.as_str()) == Some(bucket)));
    for bucket in [Bucket::Writes, Bucket::Groups] {
        assert!(bucket.is_of_writes() && (bucket.start_per_s() * 150.0 - 3_000.0).abs() < 1e-6);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_while_waiting_blocks_nobody() {
    let pace = Pace::new();
    let _first = pace.acquire(Bucket::Writes, 20, soon(60)).await.expect("quota");
    let dropped =
        tokio::time::timeout(Duration::from_millis(10), pace.acquire(Bucket::Writes, 20, soon(60))).await;
    assert!(dropped.is_err());
    let asked = Instant::now();
    assert!(pace.acquire(Bucket::Writes, 20, soon(60)).await.is_ok());
    assert!(asked.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_survives_by_its_word() {
    let pace = Pace::new();
    assert!(pace.learned().is_empty());
    pace.restore("auth-writes", 50.0);
    pace.restore("unheard-of", 50.0);
    pace.restore("auth-reads", f64::NAN);
    let learned = pace.learned();
    assert!(
        matches!(learned.as_slice(), [("auth-writes", rate)] if (rate - 50.0).abs() < 1.0),
        "{learned:?}"
    );
}

/// Calls of the writes' bucket that go in so many seconds, with somebody always waiting.
async fn let_go_in(pace: &Pace, seconds: u64) -> u32 {
    let end = soon(seconds);
    let mut calls = 0;
    while let Ok(grant) = pace.acquire(Bucket::Writes, 5, end).await {
        pace.settled(grant, &Verdict { accepted: 5, ..Verdict::default() });
        calls += 5;
    }
    calls
}

#[tokio::test(start_paused = true)]
async fn no_more_goes_than_the_operator_allows_and_lifting_it_lets_all_go_again() {
    let pace = Pace::new();
    pace.restore("auth-writes", 100.0);
    pace.cap(Bucket::Writes, Some(10.0));
    let capped = let_go_in(&pace, 30).await;
    assert!((290..=325).contains(&capped), "{capped}");
    pace.cap(Bucket::Writes, None);
    let free = let_go_in(&pace, 30).await;
    assert!(free > 2_800, "{free}");
}

#[tokio::test(start_paused = true)]
async fn what_the_operator_allows_is_not_taken_for_what_the_server_can_do() {
    let pace = Pace::new();
    pace.restore("auth-writes", 100.0);
    pace.cap(Bucket::Writes, Some(10.0));
    let before = pace.learned();
    let_go_in(&pace, 600).await;
    assert_eq!(pace.learned(), before, "nothing was learned of the server");
    assert!(pace.of(Bucket::Writes).rate_per_s <= 10.0);
    pace.cap(Bucket::Writes, None);
    let rate = pace.of(Bucket::Writes).rate_per_s;
    assert!((95.0..=100.0).contains(&rate), "neither shrunk nor grown: {rate}");
}

#[tokio::test(start_paused = true)]
async fn a_cap_above_what_the_server_takes_changes_nothing() {
    let pace = Pace::new();
    pace.restore("auth-writes", 50.0);
    let before = pace.of(Bucket::Writes);
    pace.cap(Bucket::Writes, Some(1_000.0));
    assert_eq!(pace.of(Bucket::Writes), before);
}

#[tokio::test(start_paused = true)]
async fn who_waits_already_goes_earlier_when_the_cap_is_lifted() {
    let pace = Pace::new();
    pace.restore("auth-writes", 100.0);
    pace.cap(Bucket::Writes, Some(0.1));
    let _first = pace.acquire(Bucket::Writes, 20, soon(600)).await.expect("quota");
    let asked = Instant::now();
    let waiting = tokio::spawn({
        let pace = pace.clone();
        async move { pace.acquire(Bucket::Writes, 20, soon(600)).await.map(|grant| grant.at) }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    pace.cap(Bucket::Writes, None);
    waiting.await.expect("the task ends").expect("quota is had");
    assert!(asked.elapsed() < Duration::from_secs(300), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_after_its_deadline_even_if_nobody_is_held() {
    let pace = Pace::new();
    let deadline = Instant::now();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let held = pace.acquire(Bucket::Writes, 1, deadline).await.expect_err("too late");
    assert!(held.until > deadline);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_limit_gets_tens_of_thousands_a_second_through_the_gate() {
    let pace = Pace::new();
    let end = soon(12);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let pace = pace.clone();
        tasks.spawn(async move {
            while let Ok(grant) = pace.acquire(Bucket::Writes, 20, end).await {
                pace.settled(grant, &Verdict { accepted: 20, ..Verdict::default() });
            }
        });
    }
    tasks.join_all().await;
    let rate = pace.status().iter().find(|s| s.bucket == Bucket::Writes).map(|s| s.rate_per_s);
    assert!(rate > Some(20_000.0), "{rate:?}");
}
