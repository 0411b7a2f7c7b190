//! Messages that nobody should have sent: orders twice and in any order, and what no process can open.

use broker::{Message, Purpose, Queue, Rabbit, Settings};
use contract::{Order, RunId};
use harness::{Expected, Fleet, until};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(90);

/// Publishes by hand.
fn publish(fleet: &Fleet, purpose: Purpose, messages: Vec<Message>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let rabbit = Rabbit::connect(&fleet.broker, &Settings::default()).await.unwrap();
        let queue = rabbit.queue(purpose).await.unwrap();
        queue.publish(messages).await.unwrap();
        queue.close();
    });
}

#[test]
fn every_order_twice_and_out_of_order() {
    let expected = Expected::dense(120);
    let tenant = expected.tenant(&["--faults", harness::FAULTS]);
    let fleet = Fleet::new(&tenant);
    let _coordinator = fleet.coordinator();
    let following = fleet.start_migrate(&expected);
    // Nobody works yet, so that all of them wait in the queue, the second copies backwards and behind the first.
    let is_released = || fleet.status_text().contains("release");
    assert!(until(SOON, is_released), "{}", fleet.said());
    let run = RunId(fleet.status()["run"].as_i64().unwrap());
    let again: Vec<Message> = (1..=120)
        .rev()
        .map(|ordinal| Order::new(run, ordinal))
        .map(|order| Message::new(order.message_id(), order.encode()))
        .collect();
    publish(&fleet, Purpose::Work, again.clone());
    let _workers = fleet.workers(3);
    publish(&fleet, Purpose::Work, again.clone());
    let end = fleet.end_of(following).json();
    // And once more when all is done.
    publish(&fleet, Purpose::Work, again);
    fleet.must_be_clean(&expected, &tenant, &end);
}

#[test]
fn what_nobody_can_open_is_set_aside_and_stops_nobody() {
    let expected = Expected::dense(80);
    let tenant = expected.tenant(&[]);
    let fleet = Fleet::new(&tenant);
    let _services = (fleet.coordinator(), fleet.workers(2));
    let odd = |id: &str, body: &str| Message::new(id.to_owned(), body.as_bytes().to_vec());
    let odd_ones = || {
        vec![
            odd("odd-words", "no message of ours"),
            odd("odd-version", r#"{"v":99,"run":1,"ordinal":1,"kind":"record"}"#),
            odd("odd-empty", ""),
        ]
    };
    publish(&fleet, Purpose::Snapshot, odd_ones());
    publish(&fleet, Purpose::Work, odd_ones());
    let end = fleet.migrate(&expected).json();
    fleet.must_be_clean(&expected, &tenant, &end);
    let is_shown = || fleet.status()["parkedMessages"].as_u64() == Some(6);
    assert!(until(SOON, is_shown), "{}\n{}", fleet.status(), fleet.said());
    let status = fleet.status();
    let reasons: Vec<&str> =
        status["lastParked"].as_array().unwrap().iter().filter_map(|m| m["reason"].as_str()).collect();
    assert!(reasons.iter().any(|r| r.contains("version")), "{reasons:?}");
    assert!(reasons.iter().all(|r| !r.is_empty()), "{reasons:?}");
}

#[test]
fn an_order_of_a_run_that_is_unknown_or_over_is_no_order() {
    let expected = Expected::dense(40);
    let tenant = expected.tenant(&[]);
    let fleet = Fleet::new(&tenant);
    let _services = (fleet.coordinator(), fleet.workers(2));
    let strays: Vec<Message> = [RunId(4711), RunId(1)]
        .into_iter()
        .flat_map(|run| (1..=50).map(move |ordinal| Order::new(run, ordinal)))
        .map(|order| Message::new(order.message_id(), order.encode()))
        .collect();
    publish(&fleet, Purpose::Work, strays.clone());
    let end = fleet.migrate(&expected).json();
    publish(&fleet, Purpose::Work, strays);
    fleet.must_be_clean(&expected, &tenant, &end);
}
