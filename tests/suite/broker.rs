//! The broker kind of queue against a real RabbitMQ: nothing that was confirmed is lost, nothing leaves a queue unacked,
//! and what keeps it waiting is said. Each test has a virtual host of its own.

use ::broker::{Delivery, Depth, Error, Message, Purpose, Queue, Rabbit, RabbitQueue, Settings};
use harness::Proxy;
use harness::services::{Rabbit as Broker, rabbit};
use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

/// Far beyond what anything here takes; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A reminder that the broker reads no body: this one is of a version nobody knows.
fn message(n: usize) -> Message {
    Message::new(format!("run/{n}"), format!("{{\"v\":0,\"n\":{n}}}{}", " ".repeat(500)).into_bytes())
}

fn messages(range: std::ops::Range<usize>) -> Vec<Message> {
    range.map(message).collect()
}

fn ids(range: std::ops::Range<usize>) -> BTreeSet<String> {
    range.map(|n| message(n).id).collect()
}

async fn open(url: &str, settings: &Settings) -> RabbitQueue {
    Rabbit::connect(url, settings).await.unwrap().queue(Purpose::Work).await.unwrap()
}

fn id(delivery: &Delivery) -> String {
    delivery.message().unwrap().id.clone()
}

async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} takes too long"))
}

/// Asks until it is so; for what the broker tells to nobody by itself.
async fn becomes<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    patiently(what, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

async fn is_empty(queue: &RabbitQueue) -> bool {
    queue.depth().await.is_ok_and(|depth| depth == Depth { ready: 0, unacked: 0 })
}

/// Receives and acks until `count` different messages were seen; answers their ids in the order of their first coming,
/// and how many came again.
async fn drain(queue: &RabbitQueue, count: usize) -> (Vec<String>, usize) {
    let (mut seen, mut order, mut again) = (BTreeSet::new(), Vec::new(), 0);
    patiently("receiving", async {
        while order.len() < count {
            for delivery in queue.receive(100).await.unwrap() {
                let id = id(&delivery);
                assert!(delivery.ack());
                if seen.insert(id.clone()) { order.push(id) } else { again += 1 }
            }
        }
    })
    .await;
    (order, again)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_published_is_received_once_and_in_order() {
    let queue = open(&rabbit().new_vhost(), &Settings::default()).await;
    let mut sent = Vec::new();
    for page in 0..6 {
        let mut page = messages(page * 500..(page + 1) * 500);
        let mark = format!("00-{}", page[0].id);
        page[0].headers.insert("traceparent".to_owned(), mark);
        sent.extend(page.clone());
        queue.publish(page).await.unwrap();
    }
    let mut received = Vec::new();
    while received.len() < sent.len() {
        for delivery in patiently("receiving", queue.receive(77)).await.unwrap() {
            received.push(delivery.message().unwrap().clone());
            assert!(delivery.ack());
        }
    }
    assert_eq!(received, sent);
    becomes("an empty queue", || is_empty(&queue)).await;
    assert_eq!(queue.waits_for(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_acked_comes_again_and_an_ack_of_a_lost_connection_is_none() {
    let url = rabbit().new_vhost();
    let proxy = Proxy::to(rabbit().port);
    let queue = open(&proxy.instead_of(rabbit().port, &url), &Settings::default()).await;
    queue.publish(messages(0..10)).await.unwrap();
    let mut held = Vec::new();
    while held.len() < 10 {
        held.extend(queue.receive(10).await.unwrap());
    }
    proxy.cut();
    let (order, _) = drain(&queue, 10).await;
    assert_eq!(order.into_iter().collect::<BTreeSet<_>>(), ids(0..10));
    for delivery in held {
        assert!(!delivery.ack());
    }
    becomes("an empty queue", || is_empty(&queue)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_from_a_deleted_queue_is_told_by_its_id() {
    let url = rabbit().new_vhost();
    let queue = open(&url, &Settings::default()).await;
    queue.publish(messages(0..1)).await.unwrap();
    let vhost = url.rsplit('/').next().unwrap();
    rabbit().ctl(&["delete_queue", "-p", vhost, queue.name()]);
    let Err(Error::Unroutable { queue: name, ids: came_back }) = queue.publish(messages(1..4)).await else {
        panic!("no error")
    };
    assert_eq!((name.as_str(), came_back.into_iter().collect::<BTreeSet<_>>()), (queue.name(), ids(1..4)));
    queue.publish(messages(4..6)).await.unwrap();
    assert_eq!(drain(&queue, 2).await.0, ["run/4", "run/5"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_waits_at_a_full_queue_and_goes_on() {
    let settings = Settings { queue_limit: 100, ..Settings::default() };
    let queue = open(&rabbit().new_vhost(), &settings).await;
    let publishing = tokio::spawn({
        let queue = queue.clone();
        async move { queue.publish(messages(0..1_000)).await }
    });
    let is_full = || async { queue.waits_for().is_some_and(|words| words.contains("is full")) };
    becomes("a full queue", is_full).await;
    assert!(!publishing.is_finished());
    let (order, again) = drain(&queue, 1_000).await;
    publishing.await.unwrap().unwrap();
    assert_eq!((order.into_iter().collect::<BTreeSet<_>>(), again), (ids(0..1_000), 0));
    becomes("nothing to wait for", || async { queue.waits_for().is_none() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_message_comes_after_later_ones_and_a_parked_one_says_why() {
    let broker = Rabbit::connect(&rabbit().new_vhost(), &Settings::default()).await.unwrap();
    let queue = broker.queue(Purpose::Work).await.unwrap();
    let mut delayed = message(1);
    delayed.headers.insert("x-attempt".to_owned(), "2".to_owned());
    queue.publish_later(delayed.clone(), Duration::from_secs(1)).await.unwrap();
    queue.publish(messages(2..3)).await.unwrap();
    queue.park(message(3), "unknown version").await.unwrap();
    assert_eq!(drain(&queue, 1).await.0, ["run/2"]);
    let came = patiently("the delay", queue.receive(1)).await.unwrap().remove(0);
    assert_eq!(came.message(), Some(&delayed), "and with no header of the broker's");
    assert!(came.ack());

    let parked = broker.queue(Purpose::Parked).await.unwrap().receive(1).await.unwrap().remove(0);
    let mut expected = message(3);
    expected.headers.insert("x-reason".to_owned(), "unknown version".to_owned());
    expected.headers.insert("x-queue".to_owned(), "mfa-migrate.work".to_owned());
    assert_eq!(parked.message(), Some(&expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_in_the_middle_of_publishes_loses_nothing() {
    let url = rabbit().new_vhost();
    let proxy = Proxy::to(rabbit().port);
    let near = open(&proxy.instead_of(rabbit().port, &url), &Settings::default()).await;
    let far = open(&url, &Settings::default()).await;
    proxy.cut_after_bytes(400_001);
    let publishing = tokio::spawn(async move {
        let pages = (0..10).map(|n| near.publish(messages(n * 500..(n + 1) * 500)));
        for page in pages {
            page.await.unwrap();
        }
    });
    let mut cuts = 0;
    let all = drain(&far, 5_000);
    let cut_again = async {
        while !publishing.is_finished() {
            if proxy.cuts() > cuts {
                cuts = proxy.cuts();
                proxy.cut_after_bytes(400_001);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ((order, _), ()) = patiently("publishing", async { tokio::join!(all, cut_again) }).await;
    publishing.await.unwrap();
    assert!(proxy.cuts() >= 3, "{}", proxy.cuts());
    assert_eq!(order.into_iter().collect::<BTreeSet<_>>(), ids(0..5_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_in_the_middle_of_acks_loses_nothing() {
    let url = rabbit().new_vhost();
    let proxy = Proxy::to(rabbit().port);
    let near = open(&proxy.instead_of(rabbit().port, &url), &Settings::default()).await;
    let far = open(&url, &Settings::default()).await;
    far.publish(messages(0..5_000)).await.unwrap();
    near.set_prefetch(200);
    let (mut acked, mut seen, mut cuts) = (0, BTreeSet::new(), 0);
    patiently("receiving", async {
        while seen.len() < 5_000 {
            let mut batch = near.receive(100).await.unwrap();
            seen.extend(batch.iter().map(id));
            let rest = batch.split_off(batch.len() / 2);
            acked += batch.into_iter().map(Delivery::ack).filter(|ack| *ack).count();
            if seen.len() > (cuts + 1) * 800 {
                cuts += 1;
                proxy.cut();
            }
            acked += rest.into_iter().map(Delivery::ack).filter(|ack| *ack).count();
        }
        // What was acked on a connection that fell comes again.
        while !is_empty(&near).await {
            let Ok(batch) = tokio::time::timeout(Duration::from_millis(50), near.receive(100)).await else {
                continue;
            };
            acked += batch.unwrap().into_iter().map(Delivery::ack).filter(|ack| *ack).count();
        }
    })
    .await;
    assert_eq!(seen, ids(0..5_000));
    assert!(acked >= 5_000 && cuts >= 5, "{acked} {cuts}");
    becomes("an empty queue", || async { is_empty(&far).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_prefetch_loses_and_repeats_nothing() {
    let queue = open(&rabbit().new_vhost(), &Settings::default()).await;
    queue.publish(messages(0..3_000)).await.unwrap();
    let (mut received, mut held, mut turn) = (Vec::new(), Vec::new(), 0);
    while received.len() < 3_000 {
        turn += 1;
        queue.set_prefetch([1, 400, 3, 60, 120][turn % 5]);
        let batch = patiently("receiving", queue.receive(50)).await.unwrap();
        received.extend(batch.iter().map(id));
        // Held over a change or two, and acked out of their order.
        held.extend(batch);
        if held.len() > 30 || received.len() >= 2_900 || turn % 3 == 0 {
            assert!(held.drain(..).rev().all(Delivery::ack));
        }
    }
    assert_eq!(received.len(), 3_000);
    assert_eq!(received.into_iter().collect::<BTreeSet<_>>(), ids(0..3_000));
    becomes("an empty queue", || is_empty(&queue)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_queue_hands_back_what_was_not_acked_and_still_acks() {
    let url = rabbit().new_vhost();
    let broker = Rabbit::connect(&url, &Settings::default()).await.unwrap();
    let queue = broker.queue(Purpose::Work).await.unwrap();
    queue.publish(messages(0..30)).await.unwrap();
    let mut held = Vec::new();
    while held.len() < 5 {
        held.extend(queue.receive(5 - held.len()).await.unwrap());
    }
    queue.close();
    assert!(matches!(queue.receive(1).await, Err(Error::Closed)));
    assert!(matches!(queue.receive(1).await, Err(Error::Closed)));
    assert!(matches!(queue.publish(messages(30..31)).await, Err(Error::Closed)));
    let kept: BTreeSet<String> = held.split_off(3).iter().map(id).collect();
    let acked: BTreeSet<String> = held.iter().map(id).collect();
    assert!(held.into_iter().all(Delivery::ack));
    broker.shut_down(PATIENCE).await;

    let other = open(&url, &Settings::default()).await;
    let (order, _) = drain(&other, 27).await;
    let came: BTreeSet<String> = order.into_iter().collect();
    assert!(kept.is_subset(&came) && acked.is_disjoint(&came));
    becomes("an empty queue", || is_empty(&other)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_publisher_is_seen_while_acks_go_on_and_a_killed_broker_is_waited_for() {
    let broker = Broker::start();
    let url = broker.new_vhost();
    let queue = open(&url, &Settings::default()).await;
    queue.publish(messages(0..100)).await.unwrap();
    let held = queue.receive(10).await.unwrap();

    broker.set_memory_alarm(true);
    let publish = |range| {
        let queue = queue.clone();
        tokio::spawn(async move { queue.publish(messages(range)).await })
    };
    let blocked = publish(100..200);
    let says = |word: &'static str| {
        let queue = &queue;
        move || async move { queue.waits_for().is_some_and(|words| words.contains(word)) }
    };
    becomes("blocking", says("blocked by the broker for")).await;
    let in_hand = held.len();
    assert!(held.into_iter().all(Delivery::ack));
    drain(&queue, 100 - in_hand).await;
    becomes("acks while blocked", || is_empty(&queue)).await;
    assert!(!blocked.is_finished());
    broker.set_memory_alarm(false);
    patiently("publishing", blocked).await.unwrap().unwrap();
    becomes("nothing to wait for", || async { queue.waits_for().is_none() }).await;

    // Killed within half a second of a queue's first declaration, RabbitMQ 3.10.8 forgets which log is the queue's and
    // comes back with a queue that has no leader. Nothing tells when that time is over.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let through_the_kill = publish(200..3_000);
    broker.kill_dash_nine();
    becomes("its absence", says("the broker is away for")).await;
    broker.start_again();
    patiently("publishing", through_the_kill).await.unwrap().unwrap();
    let (order, _) = drain(&queue, 2_900).await;
    assert_eq!(order.into_iter().collect::<BTreeSet<_>>(), ids(100..3_000));
    becomes("an empty queue", || is_empty(&queue)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_at_the_start_is_said_without_the_password() {
    let url = rabbit().new_vhost();
    let settings = Settings { connect_timeout: Duration::from_secs(5), ..Settings::default() };
    let error = async |url: String, settings: &Settings| {
        let error = match Rabbit::connect(&url, settings).await {
            Ok(broker) => broker.queue(Purpose::Work).await.map(drop).unwrap_err(),
            Err(error) => error,
        };
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        error
    };
    let wrong = error(url.replace("guest:guest", "guest:hunter2"), &settings).await;
    assert!(matches!(wrong, Error::Refused { .. }), "{wrong}");
    let nowhere = error(format!("{url}-nowhere"), &settings).await;
    assert!(matches!(nowhere, Error::VirtualHost { .. }), "{nowhere}");
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let unreachable = error(format!("amqp://guest:hunter2@127.0.0.1:{closed}/"), &settings).await;
    assert!(matches!(unreachable, Error::Unreachable { .. }), "{unreachable}");
    assert!(unreachable.to_string().contains(&closed.to_string()));
    let clear = error("amqp://guest:hunter2@192.0.2.1/".to_owned(), &settings).await;
    assert!(matches!(clear, Error::Clear { .. }), "{clear}");

    open(&url, &settings).await;
    let other = Settings { queue_limit: 7, ..settings };
    let Error::Topology { queue, why } = error(url, &other).await else { panic!("another error") };
    assert!(queue == "mfa-migrate.parked" && why.contains("other settings"), "{queue} {why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_large_is_refused_before_it_is_sent() {
    let queue = open(&rabbit().new_vhost(), &Settings::default()).await;
    let large = Message::new("run/large".to_owned(), vec![0; 1024 * 1024 + 1]);
    assert!(matches!(queue.publish(vec![message(0), large]).await, Err(Error::TooLarge { .. })));
    queue.publish(vec![Message::new("run/1".to_owned(), vec![7; 1024 * 1024])]).await.unwrap();
    let delivery = queue.receive(1).await.unwrap().remove(0);
    assert_eq!(delivery.body().len(), 1024 * 1024);
    assert!(delivery.ack());
}
